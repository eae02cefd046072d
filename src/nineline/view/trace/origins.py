"""Where a number of a step came from, written out with numbers, as Python would take it: ``0*0.25 + 1*(-0.5)``."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nineline._typing import Array
    from nineline.view.trace.numbers import Number

Place: TypeAlias = tuple[int, ...]
TERMS_AT_MOST: Final = 12
"""Of a sum that is written out; the others are one number."""


class Origin:
    """Where the numbers of a step came from. This one: from outside."""

    def expression(self, place: Place, number: Number) -> str:
        """Return the expression whose value is the number at a place; empty where there is none."""
        return ""


class Given(Origin):
    """Numbers that somebody gave: data, or parameters as they were."""


@dataclass(frozen=True)
class Computed(Origin):
    """Numbers that a layer or a rule computes in one piece.

    Parameters
    ----------
    words : str
        What computes them: "LayerNorm()".
    """

    words: str


@dataclass(frozen=True, eq=False)
class Product(Origin):
    """A matrix product, with what is added to every row, and with its sign turned: ``±(left @ right + added)``.

    Parameters
    ----------
    left : array, (rows, terms)
    right : array, (terms, columns)
    added : array, (columns,), optional
    negated : bool
    left_symbol, right_symbol, added_symbol : str
    inner : int, optional
        What is summed over, as `TraceStep.axes` has it.
    kept : int, optional
        The one term that is written out; the others are one number.
    """

    left: Array
    right: Array
    left_symbol: str
    right_symbol: str
    added: Array | None = None
    added_symbol: str = ""
    negated: bool = False
    inner: int | None = None
    kept: int | None = None

    def expression(self, place: Place, number: Number) -> str:
        row, column = place
        a, b = self.left[row].astype(np.float64), self.right[:, column].astype(np.float64)
        written = range(min(len(a), TERMS_AT_MOST)) if self.kept is None else [self.kept]
        terms = [f"{number(float(a[k]))}*{number(float(b[k]))}" for k in written]
        if len(a) > len(written):
            others = np.delete(np.arange(len(a)), list(written))
            terms.append(number(float(a[others] @ b[others])))
        if self.added is not None:
            terms.append(number(float(self.added[column])))
        return _signed(terms, self.negated)


@dataclass(frozen=True, eq=False)
class RowSum(Origin):
    """Minus the sum of a column, ``-values.sum(axis=0)``: the gradient of a bias.

    Parameters
    ----------
    values : array, (rows, columns)
    """

    values: Array

    def expression(self, place: Place, number: Number) -> str:
        column = self.values[:, place[-1]].astype(np.float64)
        terms = [number(float(value)) for value in column[:TERMS_AT_MOST]]
        if len(column) > TERMS_AT_MOST:
            terms.append(number(float(column[TERMS_AT_MOST:].sum())))
        return _signed(terms, negated=True)


@dataclass(frozen=True, eq=False)
class Elementwise(Origin):
    """Numbers that are each made from the numbers at the same place.

    Parameters
    ----------
    arrays : mapping of str to array
        By the names that the expression has for them; all of one shape.
    write : function
        Of the numbers at a place, by name, the expression: ``lambda n: "{p} - 0.1 * {g}"``.
    """

    arrays: Mapping[str, Array]
    write: Callable[[Mapping[str, float]], str]

    def expression(self, place: Place, number: Number) -> str:
        numbers = {name: float(array[place]) for name, array in self.arrays.items()}
        return self.write(numbers).format(**{name: number(value) for name, value in numbers.items()})


@dataclass(frozen=True, eq=False)
class Rowwise(Origin):
    """Numbers that are each made from a whole row.

    Parameters
    ----------
    arrays : tuple of array, (rows, columns) each
    write : function
        Of the rows, the column and what writes a number, the expression.
    """

    arrays: tuple[Array, ...]
    write: Callable[[list[list[float]], int, Number], str]

    def expression(self, place: Place, number: Number) -> str:
        return self.write([array[place[0]].tolist() for array in self.arrays], place[-1], number)


def sum_of(terms: list[str], numbers: list[float], number: Number) -> str:
    """Return a sum written out, where it is long with one number for all terms behind the first."""
    rest = [number(math.fsum(numbers[TERMS_AT_MOST:]))] if len(terms) > TERMS_AT_MOST else []
    return " + ".join([*terms[:TERMS_AT_MOST], *rest])


def _signed(terms: list[str], negated: bool) -> str:
    total = " + ".join(terms)
    return f"-({total})" if negated else total
