"""Trials: short trainings that decide between ways to see a table, by the rows that they hold out."""

from __future__ import annotations

import math
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from nineline.estimators.tabular.members import Member, Work, train_members
from nineline.estimators.tabular.shown import Shown

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nineline.estimators.tabular.rows import Rows

_SHORT: Final = 4  # a trial's epochs are a quarter of a training's
_HELD_OUT: Final = 1000  # rows that are enough to tell by; fewer take a second member
_OF_THE_TIME: Final = 0.1  # where it is limited
_SILENT: Final = Shown(False, 0, 0)


@dataclass(frozen=True)
class Trial:
    """One way to see the table, and how far off a short training with it was.

    Attributes
    ----------
    name : str
    error : float
        Log-loss, or root mean squared error in units of the target, on held-out rows.
    """

    name: str
    error: float


def try_out(
    work: Work, ways: Sequence[tuple[str, Rows]], error: Callable[[int, list[Member]], float]
) -> tuple[list[Trial], Work]:
    """Train a little with each way, side by side, and return what came of them, and the work with the best.

    Parameters
    ----------
    work : Work
        What is to be done; where its time is limited, a tenth of it is spent here.
    ways : sequence of (name, Rows)
        The first is taken where none is better, or no row is held out.
    error : function
        Of the way's number and the members that were trained.
    """
    if not len(work.turns.of(0)[1]):
        return [], work
    began, recipe = time.perf_counter(), work.recipe
    members = 1 if recipe.share * len(work.rows) >= _HELD_OUT else 2
    short = replace(
        work,
        recipe=replace(recipe, members=members, epochs=math.ceil(recipe.epochs / _SHORT)),
        time_limit=None if work.time_limit is None else _OF_THE_TIME * work.time_limit,
        jobs=max(1, work.jobs // len(ways)),
        checkpoint=None,
        resume=False,
        shown=_SILENT,
    )

    def one(number: int) -> Trial:
        return Trial(ways[number][0], error(number, train_members(replace(short, rows=ways[number][1]))))

    with ThreadPoolExecutor(min(work.jobs, len(ways))) as pool:
        trials = list(pool.map(one, range(len(ways))))
    best = min(range(len(ways)), key=lambda number: trials[number].error)
    left = work.time_limit
    if left is not None:
        left = max(left - (time.perf_counter() - began), 1e-9)
    return trials, replace(work, rows=ways[best][1], time_limit=left)
