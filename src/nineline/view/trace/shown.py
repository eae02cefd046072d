"""What text, HTML and LaTeX have in common: how a trace is told, and how much of an array is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

import numpy as np

from nineline import _checks
from nineline.view.trace.numbers import table

if TYPE_CHECKING:
    from nineline._typing import Array
    from nineline.view.trace.steps import TraceStep

ROWS_SHOWN: Final = 20
"""Of the data; parameters are shown whole."""
HALVES: Final = {"forward": "Forward", "backward": "Backward", "update": "Update"}


class Told(Protocol):
    """What is told of a trace."""

    @property
    def steps(self) -> tuple[TraceStep, ...]: ...
    @property
    def network(self) -> str: ...
    @property
    def rule(self) -> str: ...
    @property
    def notes(self) -> tuple[str, ...]: ...
    @property
    def path(self) -> tuple[int, ...] | None: ...


class Matrix(NamedTuple):
    """An array as it is shown: its numbers as texts, and how many rows and columns were left out at their ends."""

    cells: list[list[str]]
    more_rows: int = 0
    more_columns: int = 0


def matrix(values: Array, decimals: int, *, cut_rows: bool = False, cut_columns: bool = False) -> Matrix:
    """Return an array as texts, a vector as one row; what is cut ends after `ROWS_SHOWN`."""
    whole = np.atleast_2d(values)
    rows = min(len(whole), ROWS_SHOWN) if cut_rows else len(whole)
    columns = min(whole.shape[1], ROWS_SHOWN) if cut_columns else whole.shape[1]
    return Matrix(table(whole[:rows, :columns], decimals), len(whole) - rows, whole.shape[1] - columns)


def more_rows(count: int) -> str:
    """Return the words for rows that are not shown."""
    return f"… and {count:,} more row{'s' * (count > 1)}"


def introduction(trace: Told) -> list[str]:
    """Return what stands before the steps."""
    lines = [f"One iteration of {trace.network}", trace.rule, *trace.notes]
    if trace.path is not None:
        path = " → ".join(map(str, trace.path))
        lines.append(f"One path, through the nodes {path} (counted from 0); the rest of each sum is one number.")
    return lines


def check_decimals(decimals: int) -> int:
    """Return a number of decimals that can be written, or raise."""
    decimals = _checks.positive_integer("decimals", decimals)
    if decimals > 17:
        raise ValueError(f"decimals is {decimals}; expected 17 at most, more a number does not have")
    return decimals


def first_written(step: TraceStep, decimals: int) -> str:
    """Return the first number of a step written out, with its name; empty where it was given."""
    place = (0,) * step.values.ndim
    if not step.expression(*place, decimals=decimals):
        return ""
    return f"{step.named(place)} = {step.origin(*place, decimals=decimals)}"
