"""The table: results as a person reads them, on a terminal or in Markdown."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.measure import Result

OURS: Final = "nineline"
_OURS_TOO: Final = (OURS, "nineline-reference")
TOLERANCE: Final = 0.01
"""How far losses of the same work may lie apart, relatively: rounding, after some steps in float32."""


@dataclass(frozen=True)
class Row:
    """A line of the table, in words.

    Attributes
    ----------
    cells : tuple of str
    ours : bool
    wrong : bool
        The loss is not the others', so it did not do the same work.
    """

    cells: tuple[str, ...]
    ours: bool
    wrong: bool


def header(threads: Sequence[int]) -> tuple[str, ...]:
    """Return the names of the columns."""
    by_threads = (
        f"{name}, {number} thread{'s' if number > 1 else ''}"
        for number in threads
        for name in ("step", "GFLOP/s", "× nineline", "cold")
    )
    return ("workload", "peer", *by_threads, "loss")


def rows(results: Sequence[Result], threads: Sequence[int]) -> list[Row]:
    """Return a line for each workload and peer; after "seed", its cold starts once more, with their ratios."""
    lines: list[Row] = []
    for workload, group in groupby(results, key=lambda result: result.workload):
        table = {(result.peer, result.threads): result for result in group}
        peers = list(dict.fromkeys(peer for peer, _ in table))
        wrong = disagreeing(list(table.values()))
        for peer in peers:
            cells: list[str] = []
            for number in threads:
                result = table[peer, number]
                gflops = "" if result.gflops is None else f"{result.gflops:.3g}"
                times = {name: table[name, number].seconds for name in peers}
                cells += [
                    duration(result.seconds),
                    gflops,
                    ratio(peer, times),
                    duration(result.cold_seconds),
                ]
            ends = [table[peer, number] for number in threads]
            lines.append(_row(workload, peer, cells, ends, (workload, peer) in wrong))
        if workload == "seed":
            for peer in peers:
                cells = []
                for number in threads:
                    times = {name: table[name, number].cold_seconds for name in peers}
                    cells += ["", "", ratio(peer, times), duration(times[peer])]
                ends = [table[peer, number] for number in threads]
                lines.append(_row("cold seed", peer, cells, ends, (workload, peer) in wrong))
    return lines


def disagreeing(results: Sequence[Result]) -> set[tuple[str, str]]:
    """Return (workload, peer) of those whose loss differs from the median of all peers' by more than `TOLERANCE`."""
    wrong = set()
    for workload in dict.fromkeys(result.workload for result in results):
        losses = [(r.peer, r.loss) for r in results if r.workload == workload and r.loss is not None]
        middle = statistics.median(loss for _, loss in losses) if losses else 0.0
        wrong |= {(workload, peer) for peer, loss in losses if not math.isclose(loss, middle, rel_tol=TOLERANCE)}
    return wrong


def ratio(peer: str, times: dict[str, float | None]) -> str:
    """Return how many times our time a peer takes; for ourselves, how many the fastest of the others takes."""
    ours = times.get(OURS)
    others = {name: seconds for name, seconds in times.items() if name not in _OURS_TOO and seconds is not None}
    if ours is None:
        return ""
    if peer != OURS:
        seconds = times[peer]
        return "" if seconds is None else _factor(seconds / ours)
    if not others:
        return ""
    fastest = min(others, key=others.__getitem__)
    return f"{fastest}: {_factor(others[fastest] / ours)}"


def duration(seconds: float | None) -> str:
    """Return a time with three digits and its unit."""
    if seconds is None:
        return ""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{_digits(seconds / size)} {unit}"
    return f"{_digits(seconds * 1e9)} ns"


def to_markdown(columns: Sequence[str], lines: Sequence[Row]) -> str:
    """Return the table in Markdown; our own lines are bold."""
    written = [f"| {' | '.join(columns)} |", f"|---|---|{'---:|' * (len(columns) - 2)}"]
    for line in lines:
        cells = [f"**{cell}**" if cell and line.ours else cell for cell in line.cells]
        written.append(f"| {' | '.join(cells)} |")
    return "\n".join(written)


def show(columns: Sequence[str], lines: Sequence[Row]) -> None:
    """Print the table on the terminal, as wide as it is."""
    from rich.console import Console
    from rich.table import Table

    shown = Table(box=None, pad_edge=False, header_style="bold")
    for number, column in enumerate(columns):
        shown.add_column(column.replace(", ", "\n"), justify="left" if number < 2 else "right", no_wrap=True)
    before = ""
    for line in lines:
        workload = line.cells[0]
        if before not in ("", workload):
            shown.add_section()
        style = "bold red" if line.wrong else "bold" if line.ours else None
        shown.add_row(workload if workload != before else "", *line.cells[1:], style=style)
        before = workload
    console = Console()
    if not console.is_terminal:
        console = Console(width=200)
    console.print(shown)


def _row(workload: str, peer: str, cells: Sequence[str], results: Sequence[Result], wrong: bool) -> Row:
    loss = " ".join(dict.fromkeys(f"{result.loss:.5g}" for result in results if result.loss is not None))
    error = next((result.error for result in results if result.error), "")
    if error:
        loss = f"FAILED: {error}"
    elif wrong:
        loss = f"LOSS DIFFERS: {loss}"
    return Row((workload, peer, *cells, loss), peer == OURS, wrong or bool(error))


def _factor(number: float) -> str:
    return f"{_digits(number, 2)} ×"


def _digits(number: float, significant: int = 3) -> str:
    """Return a number with at least so many significant digits, and never an exponent."""
    places = max(0, significant - 1 - math.floor(math.log10(number))) if number > 0 else 0
    return f"{number:,.{places}f}"
