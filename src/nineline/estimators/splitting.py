"""Holding rows out: for validation, and for a test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nineline.estimators.tabular.folds import Folds
from nineline.estimators.tabular.validation import group_numbers, times_of

if TYPE_CHECKING:
    import numpy.typing as npt
    import polars as pl

    Indices = npt.NDArray[np.intp]


def hold_out(
    rows: int, share: float, rng: np.random.Generator, classes: npt.NDArray[Any] | None = None
) -> tuple[Indices, Indices]:
    """Return the rows kept and the rows held out, drawn at random, both in ascending order.

    Parameters
    ----------
    rows : int
    share : float
        In (0, 1): how much is held out.
    rng : numpy.random.Generator
    classes : array, (rows,), optional
        Then every class is held out in the same share, and each class keeps at least one row.

    Examples
    --------
    >>> import numpy as np
    >>> from nineline.estimators.splitting import hold_out
    >>> kept, out = hold_out(10, 0.2, np.random.default_rng(0), classes=np.array([0, 1] * 5))
    >>> len(kept), len(out)
    (8, 2)
    """
    groups = [np.arange(rows)] if classes is None else [np.flatnonzero(classes == c) for c in np.unique(classes)]
    out = np.sort(np.concatenate([_some_of(group, share, rng) for group in groups]))
    return np.setdiff1d(np.arange(rows), out), out


def _some_of(group: Indices, share: float, rng: np.random.Generator) -> Indices:
    exact = share * len(group)
    number = int(exact) + (rng.random() < exact - int(exact))  # rounded at random, so that shares add up
    return rng.permutation(group)[: min(number, len(group) - 1)]


def part_to_judge_by(
    table: pl.DataFrame,
    share: float,
    rng: np.random.Generator,
    classes: npt.NDArray[Any] | None,
    groups: str | None,
    time: str | None,
) -> tuple[Indices, Indices, str]:
    """Return the rows of a table to learn from and those to judge by, and which these are, in words.

    Parameters
    ----------
    table : polars.DataFrame
    share : float
        In [0, 1): of the rows to judge by.
    rng : numpy.random.Generator
    classes : array, (rows,), optional
    groups, time : str, optional
        The column by whose groups, or as whose latest rows, they are chosen; without one of these they are drawn, and
        there are no words.

    Raises
    ------
    ValueError
        The column says nothing for some rows, or the same for all.
    """
    if groups is not None and share:
        numbers = group_numbers(table[groups], table.height)
        kept, out = Folds(table.height, share, classes, rng, numbers).of(0)
        some, all_of_them = len(np.unique(numbers[out])), len(np.unique(numbers))
        return kept, out, f"judged by {some:,} of {all_of_them:,} groups of {groups!r}"
    if time is not None and share:
        later, begin = times_of(table[time], table.height).latest(share)
        return np.flatnonzero(~later), np.flatnonzero(later), f"judged by the rows whose {time!r} is {begin} or later"
    return *hold_out(table.height, share, rng, classes), ""
