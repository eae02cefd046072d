"""A trace as text for a terminal."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Final

from nineline import _checks
from nineline.view.trace.shown import (
    HALVES,
    Matrix,
    Told,
    check_decimals,
    first_written,
    introduction,
    matrix,
    more_rows,
)

if TYPE_CHECKING:
    from nineline.view.trace.steps import TraceStep

_INDENT: Final = " " * 4
_NARROWEST: Final = 60


def to_text(trace: Told, width: int, decimals: int) -> str:
    """Return a trace as lines of `width` characters at most."""
    width, decimals = _checks.positive_integer("width", width, minimum=_NARROWEST), check_decimals(decimals)
    lines = [part for line in introduction(trace) for part in textwrap.wrap(line, width, subsequent_indent=_INDENT)]
    half = ""
    for number, step in enumerate(trace.steps, 1):
        if step.half != half:
            half = step.half
            lines += ["", HALVES[half], "─" * len(HALVES[half])]
        lines += ["", *_heading(number, step, width), *_body(step, width, decimals)]
    return "\n".join(lines)


def _heading(number: int, step: TraceStep, width: int) -> list[str]:
    """Return number, title, formula and shapes: in one line, or where that is too long in several."""
    parts = [f"{number:2}. {step.title}", step.formula or step.symbol, step.extent]
    if len("   ".join(parts)) <= width:
        return ["   ".join(parts)]
    rest = "   ".join(parts[1:])
    return [parts[0], *textwrap.wrap(rest, width, initial_indent=_INDENT, subsequent_indent=_INDENT * 2)]


def _body(step: TraceStep, width: int, decimals: int) -> list[str]:
    lines = textwrap.wrap(step.note, width, initial_indent=_INDENT, subsequent_indent=_INDENT)
    if not (step.whole and step.values.size == 1 and first_written(step, decimals)):  # it stands in the line below
        lines += _rows(matrix(step.values, decimals, cut_rows=step.is_of_rows), width)
    written = first_written(step, decimals)
    lines += textwrap.wrap(
        written, width, initial_indent=_INDENT, subsequent_indent=_INDENT * 2, break_on_hyphens=False
    )
    return lines


def _rows(shown: Matrix, width: int) -> list[str]:
    """Return the rows of a matrix, its columns aligned; of a wide one in blocks of columns."""
    longest = max(len(cell) for row in shown.cells for cell in row)
    across = max(1, (width - len(_INDENT)) // (longest + 2))
    columns = len(shown.cells[0])
    lines = []
    for start in range(0, columns, across):
        stop = min(start + across, columns)
        if columns > across:
            lines.append(
                f"{_INDENT}columns {start} to {stop - 1}:" if stop - start > 1 else f"{_INDENT}column {start}:"
            )
        lines += [_INDENT + "".join(f"{cell:>{longest + 2}}" for cell in row[start:stop]) for row in shown.cells]
    return lines + ([_INDENT + more_rows(shown.more_rows)] if shown.more_rows else [])
