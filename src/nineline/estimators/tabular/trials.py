"""Trials: short trainings that decide between ways to see a table, by the rows that they hold out."""

from __future__ import annotations

import math
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from nineline.estimators.tabular.member import Lessons, Member, MemberSettings
from nineline.estimators.tabular.members import Budget, train_members
from nineline.estimators.tabular.progress import MemberProgress

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nineline.estimators.tabular.folds import Splits
    from nineline.estimators.tabular.interruption import Interruption
    from nineline.rows import Rows

SHORT: Final = 4  # a trial's epochs are a quarter of a training's
HELD_OUT: Final = 1000  # rows that are enough to tell by; fewer take a second member
TRIED_ON: Final = 100_000  # rows at most
OF_THE_TIME: Final = 0.1  # where it is limited
_NO_PROGRESS: Final = MemberProgress(False, 0, 0)


@dataclass(frozen=True)
class Trial:
    """One way to see the table, and how far off a short training with it was.

    Attributes
    ----------
    name : str
    error : float
        Log-loss, root mean squared error in units of the target, or what else `error_of` says, on held-out rows.
    """

    name: str
    error: float


@dataclass(frozen=True)
class Tried:
    """What came of trials.

    Attributes
    ----------
    trials : list of Trial
    best : int
        The number of the best way.
    members : list of Member
        What was trained with it: too short for a model, and all there is where no more is trained.
    budget : Budget
        What is left.
    """

    trials: list[Trial]
    best: int
    members: list[Member]
    budget: Budget


def try_out(
    ways: Sequence[tuple[str, Rows]],
    folds: Splits,
    settings: MemberSettings,
    budget: Budget,
    interruption: Interruption,
    error: Callable[[int, list[Member]], float],
) -> Tried:
    """Train a little with each way, side by side; where that is interrupted, what was trained by then decides.

    Parameters
    ----------
    ways : sequence of (name, Rows)
        The first is taken where none is better, or no row is held out.
    folds : Splits
    settings : MemberSettings
    budget : Budget
        Where time is limited, a tenth of it is spent here.
    interruption : Interruption
    error : function
        Of the way's number and the members that were trained.
    """
    folds = folds.thinned(TRIED_ON)
    if not len(folds.of(0)[1]):
        return Tried([], 0, [], budget)
    began, recipe = time.perf_counter(), settings.recipe
    members = 1 if folds.share * len(ways[0][1]) >= HELD_OUT else 2
    short = replace(
        settings,
        recipe=replace(recipe, members=members, epochs=math.ceil(recipe.epochs / SHORT)),
        checkpoint=None,
        resume=False,
    )
    part = Budget(
        time_limit=None if budget.time_limit is None else OF_THE_TIME * budget.time_limit,
        jobs=max(1, budget.jobs // len(ways)),
    )

    def one(number: int) -> tuple[Trial, list[Member]]:
        name, rows = ways[number]
        trained = train_members(Lessons(rows, folds), short, part, _NO_PROGRESS, interruption)
        return Trial(name, error(number, trained) if trained else math.inf), trained

    with ThreadPoolExecutor(min(budget.jobs, len(ways))) as pool:
        tried = list(pool.map(one, range(len(ways))))
    best = min(range(len(ways)), key=lambda number: tried[number][0].error)
    left = budget.time_limit
    if left is not None:
        left = max(left - (time.perf_counter() - began), 1e-9)
    return Tried([trial for trial, _ in tried], best, tried[best][1], replace(budget, time_limit=left))
