"""Trials: short trainings that decide between ways to see a table, by the rows that they hold out."""

from __future__ import annotations

import math
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

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
    about : str
        What was decided: "numbers" (how they are seen), "target" (how it is learned); nothing for a learning rate.
    """

    name: str
    error: float
    about: str = ""


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
    about: str,
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
    about : str
        As a `Trial` has it.
    """
    turns = judged_by(folds, ways[0][1])
    rows = [(rows, settings.recipe.learning_rate) for _, rows in ways]
    tried = each_briefly(rows, folds, settings, budget, interruption, networks=turns, turns=turns)
    if tried is None:
        return Tried([], 0, [], budget)
    errors = [error(way, trained) if trained else math.inf for way, trained in enumerate(tried.members)]
    best = int(np.argmin(errors))
    trials = [Trial(name, far, about) for (name, _), far in zip(ways, errors, strict=True)]
    return Tried(trials, best, tried.members[best], tried.budget)


def judged_by(folds: Splits, rows: Rows) -> int:
    """Return by how many folds ways are judged: one where it holds out a thousand rows, else two."""
    return 1 if folds.share * len(rows) >= HELD_OUT else 2


class Briefly(NamedTuple):
    """What was trained a little, a list for each way; and the budget that is left."""

    members: list[list[Member]]
    budget: Budget


def each_briefly(
    ways: Sequence[tuple[Rows, float]],
    folds: Splits,
    settings: MemberSettings,
    budget: Budget,
    interruption: Interruption,
    *,
    networks: int,
    turns: int,
) -> Briefly | None:
    """Train so many networks a little with each way, side by side; None where no row is held out to tell by.

    Parameters
    ----------
    ways : sequence of (Rows, float)
        And the learning rate of each.
    folds, settings, budget, interruption
        As `try_out` takes them.
    networks : int
        Of each way.
    turns : int
        So many folds are held out, by one network after the other.
    """
    folds = folds.thinned(TRIED_ON)
    if not len(folds.of(0)[1]):
        return None
    began, recipe = time.perf_counter(), settings.recipe
    short = replace(recipe, members=networks, epochs=math.ceil(recipe.epochs / SHORT))
    part = Budget(
        time_limit=None if budget.time_limit is None else OF_THE_TIME * budget.time_limit,
        jobs=max(1, budget.jobs // len(ways)),
    )

    def one(way: tuple[Rows, float]) -> list[Member]:
        rows, rate = way
        lessons = Lessons(rows, folds)
        own = replace(settings, recipe=replace(short, learning_rate=rate), checkpoint=None, resume=False)
        return train_members(lambda number: lessons(number % turns), own, part, _NO_PROGRESS, interruption)

    with ThreadPoolExecutor(min(budget.jobs, len(ways))) as pool:
        trained = list(pool.map(one, ways))
    left = budget.time_limit
    if left is not None:
        left = max(left - (time.perf_counter() - began), 1e-9)
    return Briefly(trained, replace(budget, time_limit=left))
