"""How a number of a trace is written."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from nineline._typing import Array

Number: TypeAlias = Callable[[float], str]
"""Writes a number."""


def plain(value: float, decimals: int = 6) -> str:
    """Return a number with so many decimals; whole ones without, small and large ones by a power of ten.

    Examples
    --------
    >>> from nineline.view.trace.numbers import plain
    >>> plain(1.0), plain(-0.25), plain(0.0000123456789), plain(-0.0)
    ('1', '-0.250000', '1.234568e-05', '0')
    """
    value = float(value) + 0.0  # no "-0"
    size = abs(value)
    if size < 1e6 and value == round(value):
        return f"{value:.0f}"
    if not 1e-3 <= size < 1e6:
        return f"{value:.{decimals}e}"
    return f"{value:.{decimals}f}"


def factor(decimals: int = 6) -> Number:
    """Return what writes a number within a product: negative ones in parentheses.

    Examples
    --------
    >>> from nineline.view.trace.numbers import factor
    >>> number = factor(decimals=2)
    >>> f"{number(2.5)}*{number(-0.75)}"
    '2.50*(-0.75)'
    """

    def written(value: float) -> str:
        text = plain(value, decimals)
        return f"({text})" if text.startswith("-") else text

    return written


def table(values: Array, decimals: int = 6) -> list[list[str]]:
    """Return a matrix, (rows, columns), as texts of one kind: all whole, all with decimals, or all by powers of ten."""
    numbers = np.asarray(values, np.float64) + 0.0
    sizes = np.abs(numbers[np.isfinite(numbers) & (numbers != 0)])
    if not sizes.size or ((sizes == sizes.round()).all() and sizes.max() < 1e6):
        form = ".0f"
    elif sizes.max() >= 1e6 or sizes.max() < 1e-2:
        form = f".{decimals}e"
    else:
        form = f".{decimals}f"
    return [[_without_sign_of_zero(f"{number:{form}}") for number in row] for row in numbers.tolist()]


def _without_sign_of_zero(text: str) -> str:
    return text[1:] if text.startswith("-") and not text.strip("-0.") else text


_LATEX: Final = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "′": "'",
    **{each: f"\\{each}" for each in "&%$#_{}"},
}


def latex_number(text: str) -> str:
    r"""Return a number, or a formula with numbers, for LaTeX: ``1.5e-05`` as a power of ten.

    Examples
    --------
    >>> from nineline.view.trace.numbers import latex_number
    >>> print(latex_number("2.51e-05"), latex_number("1e-08"))
    2.51 \cdot 10^{-5} 10^{-8}
    """
    alone = re.sub(r"(?<![\d.])1e([+-]\d+)", lambda found: f"10^{{{int(found[1])}}}", text)
    return re.sub(r"(?<=\d)e([+-]\d+)", lambda found: rf" \cdot 10^{{{int(found[1])}}}", alone)


def latex_operator(name: str) -> str:
    r"""Return a name as a formula has it, upright.

    Examples
    --------
    >>> from nineline.view.trace.numbers import latex_operator
    >>> print(latex_operator("leaky_relu"))
    \operatorname{leaky\_relu}
    """
    escaped = latex_escaped(name)
    plain_name = name.replace("_", "").replace(".", "").isalnum()  # others need what only text has
    return rf"\operatorname{{{escaped}}}" if plain_name else rf"\operatorname{{\text{{{escaped}}}}}"


def latex_escaped(text: str) -> str:
    r"""Return a text as LaTeX prints it.

    Examples
    --------
    >>> from nineline.view.trace.numbers import latex_escaped
    >>> print(latex_escaped("leaky_relu, 5 %"))
    leaky\_relu, 5 \%
    """
    return "".join(_LATEX.get(character, character) for character in text)
