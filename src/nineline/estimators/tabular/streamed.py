"""A table that comes piece by piece: its columns and target learned in one pass, its compact rows kept on a disk."""

from __future__ import annotations

import math
import os
import platform
import sys
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import narwhals as nw
import numpy as np
import polars as pl

from nineline import _checks
from nineline.estimators.tabular.spilled_table import SpilledTable
from nineline.estimators.tabular.validation import TimeSummary, group_texts, times_of
from nineline.parallel import Alone
from nineline.tables.columns import ColumnsLearner
from nineline.tables.frames import as_type
from nineline.tables.sources import TableSource
from nineline.tables.spilled import SpilledPart, SpilledRows
from nineline.tables.stacking import check_columns, check_types, common
from nineline.tables.summaries import ValueSummary
from nineline.training.shared.together import Together

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy.typing as npt

    from nineline.estimators.tabular.dealing import Dealing
    from nineline.tables.columns import Columns
    from nineline.tables.targets import Target

    Numbers = npt.NDArray[np.float64]

_PARTS_OF_MEMORY: Final = 16  # a window, a quarter of the memory, has at least so many parts, over four
_PARTS_AT_LEAST: Final = 16
_PARTS_AT_MOST: Final = 4096
EXAMPLES: Final = 64
"""Rows of a table that a report looks at by themselves."""
_CANNOT_READ: Final = "cannot read its share of the table"
_SMALL: Final = 8  # a table that takes less than the memory over this is a table in memory


def is_streamed(given: Any) -> bool:
    """Return whether what `fit` is given is read piece by piece: files, a LazyFrame, a function that makes pieces."""
    if isinstance(given, (list, tuple)):
        return bool(given) and all(isinstance(each, str | os.PathLike) for each in given)
    return isinstance(given, str | os.PathLike | pl.LazyFrame | TableSource) or (
        callable(given) and not hasattr(given, "shape") and not hasattr(given, "__dataframe__")
    )


class TablePiece(NamedTuple):
    """Some rows of a table that count.

    Attributes
    ----------
    frame : polars.DataFrame
        The columns that are learned from.
    labels : array, (rows,)
    weights : array, (rows,), or None
    says : polars.Series or None
        The group of each row, or its time, where a column says one of these.
    """

    frame: pl.DataFrame
    labels: npt.NDArray[Any]
    weights: Numbers | None
    says: pl.Series | None

    def part(self, which: npt.NDArray[np.bool_]) -> TablePiece:
        """Return the rows of which a mask is True."""
        return TablePiece(
            self.frame.filter(which),
            self.labels[which],
            None if self.weights is None else self.weights[which],
            None if self.says is None else self.says.filter(which),
        )

    @classmethod
    def joined(cls, pieces: Sequence[TablePiece]) -> TablePiece:
        """Return the rows of several pieces, at least one, which have weights or not, all of them."""
        frames, labels, weights, says = zip(*pieces, strict=True)
        return cls(
            pl.concat(frames),
            np.concatenate(labels),
            None if weights[0] is None else np.concatenate(weights),
            None if says[0] is None else pl.concat(says),
        )


@dataclass
class Streamed:
    """A table with a target, piece by piece, or the share of it that one of several processes has.

    Attributes
    ----------
    source : TableSource
    target : str
        The column that is predicted.
    weight : str or None
        The column of the rows' weights.
    labels : function
        Checks a target, and returns it as an array.
    together : Together
        The processes that have shares of the table; by default there is one.
    groups, time : str or None
        The columns that say what belongs together, which is no feature, and when a row was.
    begin : float or None
        From when on rows are held out by all members; `find_latest` finds it.
    late : list of TablePiece
        These rows, when the others have been learned.
    counts : ValueSummary
        How many rows each group has, likewise.
    without_target : int
        Rows that have none, of the last pass; they are left out.
    rows : int
        The others.
    examples : list of dict
        The first rows, by the names of the columns, when they have been learned.
    """

    source: TableSource
    target: str
    weight: str | None
    labels: Callable[[Any], npt.NDArray[Any]]
    together: Together = field(default_factory=lambda: Together(Alone()))
    groups: str | None = None
    time: str | None = None
    begin: float | None = None
    late: list[TablePiece] = field(default_factory=list)
    counts: ValueSummary = field(default_factory=ValueSummary)
    without_target: int = 0
    rows: int = 0
    examples: list[dict[str, Any]] = field(default_factory=list)
    begin_in_words: str = ""

    def __post_init__(self) -> None:
        with self.together.alike(_CANNOT_READ):
            self._check_roles()
        schemas = list(self.together.each_of(self.source.schema))
        with self.together.alike(_CANNOT_READ):
            self._schema = _schema_of_all(schemas)

    def _check_roles(self) -> None:
        names = list(self.source.schema)
        roles = {"target": self.target, "sample_weight": self.weight, "groups": self.groups, "time": self.time}
        for role, name in roles.items():
            if name is not None and name not in names:
                hint = _checks.nearest(str(name), names)
                raise ValueError(f"{role} is {name!r}, which is no column of {self.source.in_words()}{hint}")
            if name == self.target and role in ("groups", "time"):
                raise ValueError(f"{role} and target are both {name!r}; expected another column")
        if len(names) < 2 + (self.weight is not None) + (self.groups is not None):
            raise ValueError(f"the table has no column besides {self.target!r}; there is nothing to learn from")

    @property
    def names(self) -> list[str]:
        """The columns that are learned from."""
        return [name for name in self._schema if name not in (self.target, self.weight, self.groups)]

    def pieces(self, late: list[TablePiece] | None = None) -> Iterator[TablePiece]:
        """Yield the rows that count, without the latest where these are held out; `late` is filled with them."""
        self.without_target = self.rows = 0
        for frame in self.source.pieces():
            given = frame
            if given.schema != self._schema:  # that of all processes
                types = self._schema.items()
                given = pl.DataFrame([as_type(frame[name], dtype, self.source.in_words()) for name, dtype in types])
            there = given[self.target].is_not_null()
            if given[self.target].dtype.is_float():
                there &= given[self.target].is_not_nan()
            self.without_target += given.height - int(there.sum())
            if self.weight is not None:
                there &= given[self.weight].fill_null(1.0) != 0
            piece = given if there.all() else given.filter(there)
            if not piece.height:
                continue
            weights: Any = None
            if self.weight is not None:
                column = piece[self.weight].to_numpy()
                weights = _checks.row_weights(f"column {self.weight!r}", column, piece.height, np.dtype(np.float64))
            beside = self.groups or self.time
            says = None if beside is None else piece[beside]
            found = TablePiece(piece.select(self.names), self.labels(piece[self.target]), weights, says)
            if self.begin is not None:
                is_late = times_of(says, piece.height, piecewise=True).values >= self.begin
                if late is not None:
                    late.append(found.part(is_late))
                found = found.part(~is_late)
            self.rows += found.frame.height
            if found.frame.height:
                yield found

    def fits(self, memory: int) -> TablePiece | None:
        """Return all rows where they take a small part of the memory, else None."""
        kept, size = [], 0
        for piece in self.pieces():
            size += int(piece.frame.estimated_size())
            if size > memory / _SMALL:
                return None
            kept.append(piece)
        if not kept:
            raise self.no_rows()
        return TablePiece.joined(kept)

    def others(self, validation: Any) -> TablePiece:
        """Return the rows of another table with the same columns, which are to be validated by."""
        if isinstance(validation, tuple):
            raise TypeError(f"target is {self.target!r} and validation is a tuple; expected a table with that column")
        other = Streamed(TableSource.of(validation), self.target, self.weight, self.labels)
        for name in self.names:
            if name not in other.names:
                raise ValueError(f"validation lacks the column {name!r}{_checks.nearest(name, other.names)}")
        rows = other.fits(sys.maxsize)
        assert rows is not None
        return rows._replace(frame=rows.frame.select(self.names))

    def no_rows(self) -> ValueError:
        """Return what to raise where nothing can be learned."""
        return ValueError(f"{self.source.in_words()} has no row with a target {self.target!r}")

    def blank(self) -> pl.DataFrame:
        """Return the columns that are learned from, and a row of nothing."""
        return pl.DataFrame({name: [None] for name in self.names}, {name: self._schema[name] for name in self.names})

    def learn(self, target: Any, memory: int) -> tuple[ColumnsLearner, Any]:
        """Go through the rows once, and return what was learned of every column and of the target, by all processes.

        `target` is an empty summary.
        """
        learner = ColumnsLearner(memory=memory // (2 if self.together.size == 1 else 4))
        groups = ValueSummary()
        with self.together.alike(_CANNOT_READ):
            for frame, labels, weights, says in self.pieces(self.late):
                learner.see(nw.from_native(frame, eager_only=True), weights)
                self.examples = self.examples or list(frame.head(EXAMPLES).iter_rows(named=True))
                target.see(labels, weights)
                if self.groups is not None:
                    groups.see(group_texts(says, frame.height))
        learner, target, self.counts = merged(self.together, learner, target, groups)
        return learner, target

    def find_latest(self, share: Callable[[int], float]) -> None:
        """Go through the times once, and find from when on rows are held out: a share that depends on how many are."""
        assert self.time is not None
        names = dict.fromkeys(name for name in (self.time, self.target, self.weight) if name is not None)
        narrow = replace(self, source=self.source.select(names))
        times = TimeSummary(self.time)
        with self.together.alike(_CANNOT_READ):
            for piece in narrow.pieces():
                times.see(piece.says)
        (times,) = merged(self.together, times)
        with self.together.alike():
            if times.numbers.rows and (held := share(times.numbers.rows)):
                self.begin, self.begin_in_words = times.latest(held)

    def held_by_all(self, given: TablePiece | None) -> tuple[TablePiece | None, str]:
        """Return the rows that all members hold out, as far as this process has them, and which these are, in words."""
        if given is not None:
            said = f"{len(given.labels):,} rows that were given"
            return given if self.together.is_first else given.part(np.zeros(len(given.labels), bool)), said
        if self.begin is None:
            return None, ""
        held = TablePiece.joined(self.late) if self.late else TablePiece(self.blank()[:0], np.empty(0), None, None)
        rows = int(self.together.sums(len(held.labels))[0])
        return held, f"the latest {rows:,} rows, from {self.begin_in_words} on"

    def spill(
        self,
        columns: Columns,
        target: Target,
        weigh: Callable[[npt.NDArray[Any], Any], Any],
        seed: int,
        dealing: Dealing,
        memory: int,
        *,
        weighted: bool,
        aside: TablePiece | None = None,
    ) -> SpilledTable:
        """Go through the rows once more, and keep them on a disk, in parts several of which fit a window.

        `aside` are those that all members hold out, which this process has, with what they weigh.
        """
        size = SpilledRows.dtype_of(columns.encoding, weighted=weighted).itemsize * self.rows
        parts = min(max(math.ceil(size * _PARTS_OF_MEMORY / memory), _PARTS_AT_LEAST), _PARTS_AT_MOST)
        shares, held = dealing.parts(parts)
        seeds = [seed, self.together.rank] if self.together.size > 1 else seed
        spilled = SpilledRows(columns.encoding, shares, seeds, weighted=weighted, memory=memory)
        try:
            with self.together.alike(_CANNOT_READ):
                rng = np.random.default_rng([seed, self.together.rank, 1])
                for frame, labels, weights, says in self.pieces():
                    inputs = columns.compact(nw.from_native(frame, eager_only=True))
                    draws = None if dealing.sets is None else dealing.draws(_narwhals(says), rng)
                    spilled.add(inputs, target.numbers(labels), weigh(labels, weights), draws)
                spilled.finish()
                part = None
                if aside is not None:
                    inputs = columns.compact(nw.from_native(aside.frame, eager_only=True))
                    numbers = target.numbers(aside.labels) if len(aside.labels) else np.empty(0)
                    single = None if aside.weights is None else aside.weights.astype(np.float32)
                    part = SpilledPart(inputs, numbers, single)
        except BaseException:
            spilled.close()
            raise
        return SpilledTable(spilled, held, self.together, part)


def merged(together: Together, *summaries: Any) -> tuple[Any, ...]:
    """Return what this process has taken note of, each with what the others have."""
    found: tuple[Any, ...] | None = None
    for each in together.each_of(summaries):
        if found is None:
            found = each
        else:
            for summary, more in zip(found, each, strict=True):
                summary.merge(more)
    assert found is not None
    return found


def _schema_of_all(schemas: Sequence[dict[str, pl.DataType]]) -> dict[str, pl.DataType]:
    """Return the columns and types of a table of which processes have shares."""
    first = schemas[0]
    for rank, schema in enumerate(schemas):
        check_columns(f"the table of process {rank}", list(schema), "that of process 0", list(first))
    found = {}
    for name in first:
        types = [(f"process {rank}", schema[name]) for rank, schema in enumerate(schemas) if schema[name] != pl.Null]
        check_types(name, types)
        found[name] = common(dtype for _, dtype in types) if types else pl.Null()
    return found


def _narwhals(series: pl.Series | None) -> nw.Series[Any]:
    assert series is not None
    return nw.from_native(series, series_only=True)


def memory_by_default(together: Together) -> int:
    """Return a quarter of the machine's memory, in bytes, shared by its processes; of 8 GB where it does not say.

    What is free would be another number each time, and a checkpoint goes on with what it began with.
    """
    try:
        whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        whole = 8 * 10**9
    here = platform.node()
    return whole // (4 * sum(each == here for each in together.each_of(here)))
