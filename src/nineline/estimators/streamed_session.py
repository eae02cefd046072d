"""From a table that is read piece by piece to a trained model and an honest account of how good it is."""

from __future__ import annotations

import functools
import itertools
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Final, final

import narwhals as nw
import numpy as np
import polars as pl

from nineline import _checks
from nineline.estimators.session import CLASSIFICATION, KINDS, REGRESSION, Session, check_roles, decide_task, finish
from nineline.estimators.tabular.dealing import GroupCounts
from nineline.estimators.tabular.streamed import merged
from nineline.estimators.tabular.validation import TimeSummary, Validation, group_texts, times_of
from nineline.tables.sources import TableSource
from nineline.tables.summaries import ValueSummary
from nineline.training.shared.together import together_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt

    from nineline.estimators.tabular import TabularClassifier, TabularRegressor
    from nineline.training.shared.together import Together

_CANNOT_READ: Final = "cannot read its share of the table"
_JUDGED_BY: Final = 100_000  # rows at most
_COMPARED_ON: Final = 100_000  # rows that other models learn from
_VALUES_AT_MOST: Final = 100_000  # different ones of a target, after which it is a quantity


class Aside(ABC):
    """What says of rows by a column of theirs whether they are judged by.

    Attributes
    ----------
    share : float
        Of all rows, that are.
    words : str
        Which rows these are, for a report.
    """

    share: float
    words: str

    @abstractmethod
    def judged(self, piece: pl.DataFrame) -> npt.NDArray[np.bool_]:
        """Return which rows of a piece are judged by."""


@final
class GroupsAside(Aside):
    """Some of the groups that a column says.

    Parameters
    ----------
    column : str
    counts : GroupCounts
    share : float
        Of the rows, about; groups are as large as they are.
    rng : numpy.random.Generator
    """

    def __init__(self, column: str, counts: GroupCounts, share: float, rng: np.random.Generator) -> None:
        self.column = column
        places, held = counts.places(share, rng)
        out = np.flatnonzero(places < held)
        self.share = float(counts.counts[out].sum() / counts.rows)
        self._names = {counts.names[number] for number in out}
        self.words = f"judged by {len(out):,} of {len(counts.names):,} groups of {column!r}"

    def judged(self, piece: pl.DataFrame) -> npt.NDArray[np.bool_]:
        texts = group_texts(piece[self.column], piece.height)
        return texts.each([name in self._names for name in texts.values], otherwise=False).astype(bool)


@final
class LatestAside(Aside):
    """The latest rows, as a column says.

    Parameters
    ----------
    column : str
    times : TimeSummary
    share : float
        Of the rows, about; rows of the same time are on the same side.
    """

    def __init__(self, column: str, times: TimeSummary, share: float) -> None:
        self.column, self.share = column, share
        self._begin, begin = times.latest(share)
        self.words = f"judged by the rows whose {column!r} is {begin} or later"

    def judged(self, piece: pl.DataFrame) -> npt.NDArray[np.bool_]:
        return times_of(piece[self.column], piece.height, piecewise=True).values >= self._begin


class Division:
    """Which rows of a table are learned from and which are judged by, drawn for each, piece by piece.

    Parameters
    ----------
    source : TableSource
    target : str
    share : float
        Of the rows to judge by, that do not say it themselves.
    split : str, optional
        The column that says "test" in the rows to judge by.
    seed : list of int
    dtype : polars.DataType
        Of the target.
    aside : Aside, optional
        What says it of other rows, in place of chance.
    """

    def __init__(
        self,
        source: TableSource,
        target: str,
        share: float,
        split: str | None,
        seed: list[int],
        dtype: Any,
        aside: Aside | None = None,
    ) -> None:
        self.source, self.target, self.share, self.split, self.seed = source, target, share, split, seed
        self.dtype, self.aside = dtype, aside
        self.without_target = 0
        """Rows that have none, of the last pass."""

    def parts(self) -> Iterator[tuple[pl.DataFrame, npt.NDArray[np.bool_]]]:
        """Yield pieces of the table without rows that have no target, and which of their rows are to judge by.

        The first has no rows, and says of which types the columns are.
        """
        rng = np.random.default_rng(self.seed)
        self.without_target = 0
        for given in itertools.chain([pl.DataFrame(schema=self.source.schema)], self.source.pieces()):
            piece = given.filter(given[self.target].is_not_null())
            if piece[self.target].dtype.is_float():
                piece = piece.filter(piece[self.target].is_finite())
            self.without_target += given.height - piece.height
            piece = piece.with_columns(pl.col(self.target).cast(self.dtype))
            if self.aside is not None:
                yield piece, self.aside.judged(piece)
            elif self.split is None:
                yield piece, rng.random(piece.height) < self.share
            else:
                says = piece[self.split].cast(pl.String).str.strip_chars().str.to_lowercase()
                yield piece.drop(self.split), says.eq_missing("test").to_numpy()

    def learned(self) -> Iterator[pl.DataFrame]:
        """Yield the rows to learn from."""
        for piece, judged in self.parts():
            yield piece.filter(~judged)

    def sampled(self, rows: int) -> tuple[pl.DataFrame, pl.DataFrame, int]:
        """Return some rows to learn from, those to judge by, and how many there are to learn from, of so many."""
        rng = np.random.default_rng([*self.seed, 1])
        share, some, test, count = min(1.0, _COMPARED_ON / max(rows, 1)), [], [], 0
        kept_of_judged = 1.0 if self.aside is None else min(1.0, _JUDGED_BY / (self.aside.share * max(rows, 1)))
        for piece, judged in self.parts():
            test.append(piece.filter(judged))
            if kept_of_judged < 1:
                test[-1] = test[-1].filter(rng.random(test[-1].height) < kept_of_judged)
            kept = piece.filter(~judged)
            count += kept.height
            some.append(kept.filter(rng.random(kept.height) < share))
        return pl.concat(some), pl.concat(test), count


def train_on_source(
    source: TableSource,
    target: str,
    *,
    memory: int | str | None,
    task: str | None = None,
    test: pl.DataFrame | None = None,
    split: str | None = None,
    groups: str | None = None,
    time: str | None = None,
    validation: pl.DataFrame | None = None,
    test_size: float = 0.2,
    seed: int = 0,
    compare: bool = False,
    save: Callable[[TabularClassifier | TabularRegressor], None] | None = None,
    parallel: object = None,
    **settings: Any,
) -> Session:
    """Train on a table that is read piece by piece; see `nineline.estimators.session.train_on_table`.

    It is gone through once to see what the target is, once for the rows to judge by (100,000 at most, drawn at random,
    unless `test` or `split` says which), and as `TabularClassifier.fit` does. Other models learn from 100,000 rows.

    Parameters
    ----------
    source : TableSource
    target : str
    memory : int or str, optional
    parallel : optional
        As for `TabularClassifier.fit`. Each process reads its share of the table. The first one saves and judges the
        model, and has the scores.
    task, test, split, groups, time, validation, test_size, seed, compare, save, **settings
        As for `train_on_table`.

    Raises
    ------
    ValueError
        A column is not there, or nothing can be learned; the message says which and why.
    nineline.tables.TableError
        A file does not read.
    """
    together = together_of(parallel)
    with together.alike():
        memory = None if memory is None else _checks.memory("memory", memory)
        share = _checks.number("test_size", test_size, low=0, high=1, high_open=True)
        check_roles(source.schema, target, test, split, Validation(validation, groups, time))
        source = source.share(together.rank, together.size) if together.size > 1 else source
    values, rows = _different(source, target, together)
    with together.alike():
        if not len(values):
            raise ValueError(f"target {target!r} is missing in every row; there is nothing to learn from")
        task, reason = decide_task(nw.from_native(values, series_only=True), task, rows)
    share = 0.0 if test is not None else min(share, _JUDGED_BY / rows)
    dtype: Any = pl.Float64 if task == REGRESSION else values.dtype
    if dtype.is_float() and task == CLASSIFICATION and (values == values.round()).all():
        dtype = pl.Int64  # 1.0, 2.0, ... are the classes 1, 2, ...
    seeds = [seed, together.rank] if together.size > 1 else [seed]
    aside = None
    if share and split is None and (groups or time):
        aside = _aside(source, target, groups, time, share, seed, together)
    division = Division(source, target, share, split, seeds, dtype, aside)
    with together.alike(_CANNOT_READ):
        sampled = division.sampled(rows)
    parts = list(zip(*together.each_of(sampled), strict=True))
    some, drawn, count = pl.concat(parts[0]), pl.concat(parts[1]), sum(parts[2])
    notes = ["the table is read piece by piece"]
    if together.size > 1:
        notes.append(f"{together.size} processes train together")
    if gone := int(together.sums(division.without_target)[0]):
        notes.append(f"{gone:,} rows without a target were left out")
    if aside is not None:
        notes.append(aside.words)
    with together.alike():
        if split is not None and not (drawn.height and count):
            raise ValueError(f"split column {split!r} says 'test' in {drawn.height:,} of {rows:,} rows; expected some")
        if test is not None:
            test = test.filter(test[target].is_not_null()).cast({target: dtype})
        if validation is not None:
            validation = validation.filter(validation[target].is_not_null()).cast({target: dtype})
        judged = drawn if test is None else test
        if task == CLASSIFICATION:
            strange = sorted(set(judged[target].to_list()) - set(values.cast(dtype).to_list()))
            if strange:
                raise ValueError(
                    f"the test part holds the class {_checks.quoted(strange[0])}, which the training part does not"
                )
    if not judged.height:
        notes.append("no rows are held out: the model is not judged")
    if compare and count > some.height:
        notes.append(f"the others learned from {some.height:,} rows of the table")
    model = KINDS[task](random_state=seed, **settings)
    given = Validation(validation, groups, time).by_argument()
    model.fit(TableSource.of(division.learned), target=target, memory=memory, parallel=together, **given)
    session = Session(model, task, reason, notes, count, judged.height)
    with together.alike("cannot finish"):
        if together.is_first:
            finish(session, some, judged, target, np.random.default_rng(seed), compare=compare, save=save)
    return session


def _different(source: TableSource, target: str, together: Together) -> tuple[pl.Series, int]:
    """Return the different values of a target, the first where they are very many, and how many rows have one."""
    values, rows = pl.Series(target, [], source.schema[target]), 0
    with together.alike(_CANNOT_READ):
        for piece in source.select([target]).pieces():
            known = piece[target].drop_nulls()
            if known.dtype.is_float():
                known = known.filter(known.is_finite())
            rows += len(known)
            values = _more(values, known)
    found, counts = zip(*together.each_of((values, rows)), strict=True)
    return functools.reduce(_more, found), sum(counts)


def _aside(
    source: TableSource,
    target: str,
    groups: str | None,
    time: str | None,
    share: float,
    seed: int,
    together: Together,
) -> Aside:
    """Return what says which rows are judged by, after a pass over the column that says it."""
    column = groups or time
    assert column is not None
    counts, times = ValueSummary(), TimeSummary(column)
    with together.alike(_CANNOT_READ):
        for given in source.select([column, target]).pieces():
            piece = given.filter(given[target].is_not_null())
            if groups is not None:
                counts.see(group_texts(piece[column], piece.height))
            else:
                times.see(piece[column])
    counts, times = merged(together, counts, times)
    with together.alike():
        aside: Aside
        if groups is not None:
            aside = GroupsAside(column, GroupCounts.of(counts), share, np.random.default_rng(seed))
        else:
            aside = LatestAside(column, times, share)
    return aside


def _more(values: pl.Series, others: pl.Series) -> pl.Series:
    """Return different values and those of others that are not among them, unless they are very many."""
    if len(values) >= _VALUES_AT_MOST:
        return values
    return pl.concat([values, others.unique(maintain_order=True)]).unique(maintain_order=True)
