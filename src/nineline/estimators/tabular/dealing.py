"""Dealing: which rows of a table on a disk are held out together, and into which parts of it they go."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

from nineline.estimators.tabular.grouping import places_of_groups
from nineline.tables.series import texts_of

if TYPE_CHECKING:
    import narwhals as nw
    import numpy.typing as npt

    from nineline.estimators.tabular.recipe import Recipe
    from nineline.tables.summaries import ValueSummary

    Numbers = npt.NDArray[np.float64]

HELD_OUT_AT_MOST: Final = 100_000  # rows of each member


@dataclass(frozen=True)
class Dealing:
    """Sets of rows, each of which some members hold out; the other rows all members learn from.

    Attributes
    ----------
    shares : list of float
        Of all rows, that each set has; together half of them at most.
    sets : dict of str to int, or None
        The number of the set that each group is in, where groups are held out; the others are in none.
    words : str
        Which rows the sets are, for a report; nothing where they are drawn one by one.
    """

    shares: list[float]
    sets: dict[str, int] | None = None
    words: str = ""

    @classmethod
    def of_rows(cls, recipe: Recipe, rows: int) -> Self:
        """Return sets of rows that are drawn one by one."""
        share = share_of(recipe, rows)
        return cls([share] * _sets(recipe, share) if share else [])

    @classmethod
    def of_groups(cls, groups: GroupCounts, recipe: Recipe, rng: np.random.Generator) -> Self:
        """Return sets of whole groups."""
        share, rows = share_of(recipe, groups.rows), groups.counts
        if not share:
            return cls([])
        places, share = groups.places(share, rng)
        with np.errstate(invalid="ignore"):
            which = np.where(np.isnan(places), -1, places // share).astype(np.intp)
        count = _sets(recipe, share)
        there = (which >= 0) & (which < count)
        shares = np.bincount(which[there], rows[there], minlength=count) / groups.rows
        sets = {groups.names[group]: int(which[group]) for group in np.flatnonzero(there)}
        return cls(shares.tolist(), sets, f"rows of {len(sets):,} of {len(groups.names):,} groups")

    def parts(self, about: int) -> tuple[list[float], list[list[int]]]:
        """Return the share of the rows that each part has, of about so many, and the parts of each set."""
        of_each = [math.ceil(share * about) for share in self.shares]
        left = max(about - sum(of_each), 1)
        shares = [share / count for share, count in zip(self.shares, of_each, strict=True) for _ in range(count)]
        shares += [(1 - sum(self.shares)) / left] * left
        ends = np.cumsum([0, *of_each]).tolist()
        return shares, [list(range(first, end)) for first, end in itertools.pairwise(ends)]

    def draws(self, groups: nw.Series[Any], rng: np.random.Generator) -> Numbers:
        """Return a draw in [0, 1) for each row, by which it goes into a part of its group's set, or into no set's."""
        assert self.sets is not None
        begins = np.cumsum([0.0, *self.shares])
        lengths = [*self.shares, 1 - begins[-1]]
        texts = texts_of(groups)
        which = texts.each([self.sets.get(name, len(self.shares)) for name in texts.values], len(self.shares))
        return begins[which] + np.array(lengths)[which] * rng.random(len(which))


@dataclass(frozen=True)
class GroupCounts:
    """The groups of a table, in the order of their names, and how many rows each has.

    Attributes
    ----------
    names : list of str
    counts : array, (groups,)
    """

    names: list[str]
    counts: Numbers

    @classmethod
    def of(cls, summary: ValueSummary) -> Self:
        """Return what was counted piece by piece.

        Raises
        ------
        ValueError
            There were more groups than are told apart.
        """
        if summary.others:
            raise ValueError(
                f"groups has more than {len(summary.values):,} different ones; of a table that is read piece by piece "
                "they are all kept in memory: name a column of fewer, or give more memory"
            )
        order = sorted(range(len(summary.values)), key=summary.values.__getitem__)
        return cls([summary.values[number] for number in order], summary.counts[order])

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return int(self.counts.sum())

    def places(self, share: float, rng: np.random.Generator) -> tuple[Numbers, float]:
        """Return the place of each group; see `places_of_groups`."""
        every = np.arange(len(self.names))
        return places_of_groups(every, np.zeros_like(every), self.counts, share, rng)


def share_of(recipe: Recipe, rows: int) -> float:
    """Return which share of so many rows a member holds out."""
    return min(recipe.share, HELD_OUT_AT_MOST / rows)


def _sets(recipe: Recipe, share: float) -> int:
    return max(1, min(recipe.members, math.floor(0.5 / share)))
