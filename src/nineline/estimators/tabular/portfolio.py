"""Portfolio: the ways in which the members of a model see the numbers of a table, and the choice between them.

Networks that see the same rows differently err differently, so their mean is better than that of as many that see them
alike, where none of the ways is much worse than another. Short trainings tell: of two networks that see the held-out
rows in one way or in two, the mean of which is closer?
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Self, cast

import numpy as np

from nineline.estimators.tabular.folds import stretch
from nineline.estimators.tabular.member import Lessons, widened_member
from nineline.estimators.tabular.trials import Trial, each_briefly, judged_by
from nineline.estimators.tabular.widening import Widening, joined
from nineline.tables.kinds import Number

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from nineline._typing import Array
    from nineline.estimators.tabular.folds import Splits
    from nineline.estimators.tabular.interruption import Interruption
    from nineline.estimators.tabular.member import Lesson, Member, MemberSettings
    from nineline.estimators.tabular.members import Budget
    from nineline.estimators.tabular.recipe import Recipe
    from nineline.rows import Compact, Rows
    from nineline.tables.columns import Columns

    Indices = npt.NDArray[np.intp]
    Error = Callable[[Indices, Array], float]
    """Of outputs, (rows, outputs), for the rows of these numbers."""

_WAVES_AT_MOST: Final = 2**25  # in memory, 4 bytes each
_BETTER: Final = 0.995  # times the error of the best way alone: less is no reason to mix


@dataclass(frozen=True, eq=False)
class Way:
    """One way to see the numbers of a table.

    Attributes
    ----------
    name : str
    columns : Columns
    rows : Rows
        Compact, with the encoding of those columns.
    learning_rate : float
    """

    name: str
    columns: Columns
    rows: Rows
    learning_rate: float


def ways_of(rows: Rows, columns: Columns, divided: Columns, recipe: Recipe) -> list[Way]:
    """Return the ways to see a table: in intervals, as it is, by waves; one, where it has no numbers to divide.

    The first is taken where none is better, or no row is held out.

    Parameters
    ----------
    rows : Rows
        Of `columns`.
    columns, divided : Columns
        As they were learned, and with intervals.
    recipe : Recipe
    """
    inputs = cast("Compact", rows.inputs)
    if divided == columns:
        return [Way("the table as it is", columns, rows, recipe.learning_rate)]
    in_intervals = replace(rows, inputs=replace(inputs, encoding=divided.encoding))
    ways = [
        Way("numbers in intervals", divided, in_intervals, recipe.learning_rate),
        Way("numbers as they are", columns, rows, recipe.plain_learning_rate),
    ]
    waved = columns.waved()
    waves = sum(len(column.frequencies) for column in waved.used if isinstance(column, Number))
    if recipe.mixes and waves * len(inputs) <= _WAVES_AT_MOST:
        by_waves = replace(rows, inputs=waved.add_waves(inputs))
        ways.append(Way("waves of numbers", waved, by_waves, recipe.learning_rate))
    return ways


@dataclass(frozen=True, eq=False)
class Portfolio:
    """One way for all members, or two that they take in turns; and rows that have the inputs of both.

    Attributes
    ----------
    ways : tuple of Way
    columns : Columns
    rows : Rows
    """

    ways: tuple[Way, ...]
    columns: Columns
    rows: Rows

    @classmethod
    def of(cls, ways: Sequence[Way]) -> Self:
        """Return what is made of one way or two."""
        if len(ways) == 1:
            return cls(tuple(ways), ways[0].columns, ways[0].rows)
        columns = joined(ways[0].columns, ways[-1].columns)
        most = max(ways, key=lambda way: cast("Compact", way.rows.inputs).numbers.shape[1])
        inputs = replace(cast("Compact", most.rows.inputs), encoding=columns.encoding)
        return cls(tuple(ways), columns, replace(most.rows, inputs=inputs))

    def with_targets(self, rows: Rows) -> Self:
        """Return the same with the targets that other rows have."""
        ways = tuple(replace(way, rows=replace(way.rows, targets=rows.targets)) for way in self.ways)
        return replace(self, ways=ways, rows=replace(self.rows, targets=rows.targets))

    def lessons(self, folds: Splits) -> Callable[[int], Lesson]:
        """Return what gives each member its lesson."""
        if len(self.ways) == 1:
            return Lessons(self.rows, folds)
        return _InTurns(tuple(Lessons(w.rows, folds, w.learning_rate, self._widening(w)) for w in self.ways))

    def settings(self, settings: MemberSettings) -> MemberSettings:
        """Return settings with the learning rate of the first way, which is that of all where there is no other."""
        return replace(settings, recipe=replace(settings.recipe, learning_rate=self.ways[0].learning_rate))

    def widened(self, members: Sequence[Member], settings: MemberSettings) -> list[Member]:
        """Return members that see the table in the first way as those that are given the inputs of both."""
        if len(self.ways) == 1:
            return list(members)
        return [widened_member(member, settings, self._widening(self.ways[0])) for member in members]

    def _widening(self, way: Way) -> Widening:
        return Widening.of(way.columns, self.columns)


@dataclass(frozen=True, eq=False)
class _InTurns:
    """Lessons of several ways, one after the other."""

    lessons: tuple[Lessons, ...]

    def __call__(self, number: int) -> Lesson:
        return self.lessons[number % len(self.lessons)](number)


@dataclass(frozen=True)
class Chosen:
    """What came of choosing.

    Attributes
    ----------
    portfolio : Portfolio
    trials : list of Trial
    members : list of Member
        What was trained in its first way: too short for a model, and all there is where no more is trained.
    budget : Budget
        What is left.
    """

    portfolio: Portfolio
    trials: list[Trial]
    members: list[Member]
    budget: Budget


def choose(
    ways: Sequence[Way],
    folds: Splits,
    settings: MemberSettings,
    budget: Budget,
    interruption: Interruption,
    error: Error,
) -> Chosen:
    """Train a little in each way, and choose the best, or the best two where members are many enough to take turns.

    In each way two networks are trained that hold out the same rows, and judged together; for two ways it is one of
    each, so that it is not the second network that makes the difference.

    Parameters
    ----------
    ways, folds, settings, budget, interruption
        As `nineline.estimators.tabular.trials.try_out` takes them.
    error : function
        Of the numbers of rows, and outputs for them.
    """
    if len(ways) == 1:
        return Chosen(Portfolio.of(ways), [], [], budget)
    turns, mixes = judged_by(folds, ways[0].rows), settings.recipe.mixes
    tried = each_briefly(
        [(way.rows, way.learning_rate) for way in ways],
        folds,
        settings,
        budget,
        interruption,
        networks=2 * turns if mixes else turns,
        turns=turns,
    )
    if tried is None:
        return Chosen(Portfolio.of(ways[:1]), [], [], budget)
    answers = [_Answers.of(way, members) for way, members in zip(ways, tried.members, strict=True)]
    whole = mixes and all(len(each.outputs) == 2 * turns for each in answers)
    alone = [each.together(each, turns, error) if whole else each.error(error) for each in answers]
    trials = [Trial(way.name, each, "numbers") for way, each in zip(ways, alone, strict=True)]
    best: tuple[int, ...] = (int(np.argmin(alone)),)
    if whole:
        pairs = list(itertools.combinations(range(len(ways)), 2))
        mixed = [answers[one].together(answers[other], turns, error) for one, other in pairs]
        pair, least = pairs[int(np.argmin(mixed))], min(mixed)
        names = " and ".join(ways[number].name for number in pair)
        trials.append(Trial(f"{names}, in turns", least, "numbers"))
        if least < _BETTER * min(alone):
            best = tuple(sorted(pair, key=lambda number: alone[number]))
    portfolio = Portfolio.of([ways[number] for number in best])
    return Chosen(portfolio, trials, portfolio.widened(tried.members[best[0]], settings), tried.budget)


@dataclass(frozen=True, eq=False)
class _Answers:
    """What networks say of the rows that they held out."""

    outputs: list[tuple[Indices, Any]]

    @classmethod
    def of(cls, way: Way, members: Sequence[Member]) -> Self:
        said = [(m.held_out, m.network.run(way.rows.part(stretch(m.held_out)).inputs)) for m in members]
        return cls(said)

    def error(self, error: Error) -> float:
        """Return how far off they are, each by itself; infinity where nothing was trained."""
        if not self.outputs:
            return math.inf
        return error(
            np.concatenate([out for out, _ in self.outputs]), np.concatenate([said for _, said in self.outputs])
        )

    def together(self, other: _Answers, turns: int, error: Error) -> float:
        """Return how far off the first networks here are in the mean with the second ones of another way."""
        first, second = self.outputs[:turns], other.outputs[turns:]
        means = [(mine + theirs) / 2 for (_, mine), (_, theirs) in zip(first, second, strict=True)]
        return error(np.concatenate([out for out, _ in first]), np.concatenate(means))
