"""A table that comes piece by piece: its columns and target learned in one pass, its compact rows kept on a disk."""

from __future__ import annotations

import math
import os
import platform
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self, final

import narwhals as nw
import numpy as np
import polars as pl

from nineline import _checks
from nineline.estimators.tabular.member import Lesson, mean_of
from nineline.parallel import Alone
from nineline.rows import Rows
from nineline.sources import Source
from nineline.tables.columns import ColumnsLearner
from nineline.tables.frames import as_type
from nineline.tables.sources import TableSource
from nineline.tables.spilled import SpilledRows
from nineline.tables.stacking import check_columns, check_types, common
from nineline.training.shared.together import Together

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import numpy.typing as npt

    from nineline.estimators.tabular.member import MemberSettings
    from nineline.estimators.tabular.recipe import Recipe
    from nineline.rows import Encoding
    from nineline.sources import Piece
    from nineline.tables.columns import Columns
    from nineline.tables.spilled import SpilledPart
    from nineline.tables.targets import Target

    Numbers = npt.NDArray[np.float64]

HELD_OUT_AT_MOST: Final = 100_000  # rows of each member
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
    without_target: int = 0
    rows: int = 0
    examples: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        with self.together.alike(_CANNOT_READ):
            self._check_roles()
        schemas = list(self.together.each_of(self.source.schema))
        with self.together.alike(_CANNOT_READ):
            self._schema = _schema_of_all(schemas)

    def _check_roles(self) -> None:
        names = list(self.source.schema)
        for role, name in (("target", self.target), ("sample_weight", self.weight)):
            if name is not None and name not in names:
                hint = _checks.nearest(str(name), names)
                raise ValueError(f"{role} is {name!r}, which is no column of {self.source.in_words()}{hint}")
        if len(names) < 2 + (self.weight is not None):
            raise ValueError(f"the table has no column besides {self.target!r}; there is nothing to learn from")

    @property
    def names(self) -> list[str]:
        """The columns that are learned from."""
        return [name for name in self._schema if name not in (self.target, self.weight)]

    def pieces(self) -> Iterator[tuple[pl.DataFrame, npt.NDArray[Any], Numbers | None]]:
        """Yield columns, targets and weights of the rows that count."""
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
            self.rows += piece.height
            yield piece.select(self.names), self.labels(piece[self.target]), weights

    def fits(self, memory: int) -> tuple[pl.DataFrame, npt.NDArray[Any], Numbers | None] | None:
        """Return all rows where they take a small part of the memory, else None."""
        kept, size = [], 0
        for piece in self.pieces():
            size += int(piece[0].estimated_size())
            if size > memory / _SMALL:
                return None
            kept.append(piece)
        if not kept:
            raise self.no_rows()
        frames, labels, weights = zip(*kept, strict=True)
        known = [each for each in weights if each is not None]
        return pl.concat(frames), np.concatenate(labels), np.concatenate(known) if known else None

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
        with self.together.alike(_CANNOT_READ):
            for frame, labels, weights in self.pieces():
                learner.see(nw.from_native(frame, eager_only=True), weights)
                self.examples = self.examples or list(frame.head(EXAMPLES).iter_rows(named=True))
                target.see(labels, weights)
        merged: tuple[ColumnsLearner, Any] | None = None
        for each in self.together.each_of((learner, target)):
            if merged is None:
                merged = each
            else:
                merged[0].merge(each[0])
                merged[1].merge(each[1])
        assert merged is not None
        return merged

    def spill(
        self,
        columns: Columns,
        target: Target,
        weigh: Callable[[npt.NDArray[Any], Any], Any],
        seed: int,
        recipe: Recipe,
        memory: int,
        *,
        rows: int,
        weighted: bool,
    ) -> SpilledTable:
        """Go through the rows once more, and keep them on a disk, in parts several of which fit a window.

        `rows` are those of all processes.
        """
        size = SpilledRows.dtype_of(columns.encoding, weighted=weighted).itemsize * self.rows
        parts = min(max(math.ceil(size * _PARTS_OF_MEMORY / memory), _PARTS_AT_LEAST), _PARTS_AT_MOST)
        share, members = min(recipe.share, HELD_OUT_AT_MOST / rows), 0
        if share:
            members = max(1, min(recipe.members, math.floor(0.5 / share)))
        of_each = math.ceil(share * parts)
        left = max(parts - members * of_each, 1)
        shares = [share / of_each] * (members * of_each) + [(1 - members * share) / left] * left
        held = [list(range(member * of_each, (member + 1) * of_each)) for member in range(members)]
        seeds = [seed, self.together.rank] if self.together.size > 1 else seed
        spilled = SpilledRows(columns.encoding, shares, seeds, weighted=weighted, memory=memory)
        try:
            with self.together.alike(_CANNOT_READ):
                for frame, labels, weights in self.pieces():
                    inputs = columns.compact(nw.from_native(frame, eager_only=True))
                    spilled.add(inputs, target.numbers(labels), weigh(labels, weights))
                spilled.finish()
        except BaseException:
            spilled.close()
            raise
        return SpilledTable(spilled, held, self.together)


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


@final
class SpilledSource(Source):
    """Some parts of spilled rows, as a network learns them.

    Parameters
    ----------
    spilled : SpilledRows
    parts : list of int
    encoding : Encoding
        What the rows become.
    target : Target
    memory : int
    rank : int
        Of several processes, whose rows they are.
    """

    def __init__(
        self, spilled: SpilledRows, parts: list[int], encoding: Encoding, target: Target, memory: int, rank: int = 0
    ) -> None:
        super().__init__(memory)
        self.spilled, self.parts, self.encoding, self.target, self.rank = spilled, parts, encoding, target, rank
        self.rows = sum(spilled.counts[part] for part in parts)
        self.streams = len(parts)

    def open(self, stream: int) -> Iterator[Piece]:
        rows = rows_of(self.spilled.read(self.parts[stream]), self.encoding, self.target)
        yield rows.inputs, rows.targets, rows.sample_weight

    def fingerprint(self) -> str:
        """Return a digest of the rows, and which parts of them these are."""
        whose = f" of process {self.rank}" if self.rank else ""  # processes may have the same rows
        return f"{self.spilled.fingerprint()}{whose}, parts {self.parts}, {self.encoding.width} inputs"


def rows_of(part: SpilledPart, encoding: Encoding, target: Target) -> Rows:
    """Return rows that were spilled, as a network learns them."""
    return Rows(part.inputs.read_by(encoding), target.encode_numbers(part.targets), part.weights)


@dataclass(frozen=True)
class SpilledTable:
    """Spilled rows, and which of them are held out.

    Attributes
    ----------
    spilled : SpilledRows
    held : list of list of int
        Parts that are held out: member i holds out those of number ``i % len(held)``; none where it is empty.
    together : Together
        The processes that have such rows, and as many members that hold some out.
    """

    spilled: SpilledRows
    held: list[list[int]]
    together: Together

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.spilled.close()

    def sample(self, rows: int, encoding: Encoding, target: Target) -> tuple[Rows, npt.NDArray[Any]]:
        """Return about so many rows that no member holds out, and their targets; of all processes, as they have."""
        here = sum(self.spilled.counts)
        most = math.ceil(rows * here / max(self.together.sums(here)[0], 1))
        parts: list[int] = []
        for part in range(sum(map(len, self.held)), len(self.spilled.counts)):
            parts.append(part)
            if sum(self.spilled.counts[part] for part in parts) >= most:
                break
        read, labels = self.read(parts, encoding, target)
        return _joined(self.together.each_of((read.part(slice(most)), labels[:most])))

    def read(self, parts: list[int], encoding: Encoding, target: Target) -> tuple[Rows, npt.NDArray[Any]]:
        """Return the rows of some parts, and their targets."""
        read = [self.spilled.read(part) for part in parts] or [self.spilled.none()]
        numbers = np.concatenate([part.targets for part in read])
        return Rows.joined([rows_of(part, encoding, target) for part in read]), target.values(numbers)

    def held_out(self, encoding: Encoding, target: Target) -> tuple[Rows, npt.NDArray[Any], list[int]]:
        """Return the held-out rows of all processes, member after member, their targets, and how many each has."""
        here = [self.read(parts, encoding, target) for parts in self.held or [[]]]
        members = [_joined(parts) for parts in zip(*self.together.each_of(here), strict=True)]
        return *_joined(members), [len(rows) for rows, _ in members]

    def lessons(
        self, settings: MemberSettings, encoding: Encoding, held: Rows, counts: list[int], sample: Rows, memory: int
    ) -> Callable[[int], Lesson]:
        """Return what gives each member its lesson: all rows but those that it holds out.

        `held` and `counts` are of `held_out`.
        """
        mean = mean_of(sample, np.arange(len(sample)))

        def lesson(number: int) -> Lesson:
            mine = number % len(counts)
            first, count = sum(counts[:mine]), counts[mine]
            own = self.held[mine] if self.held else []
            parts = [part for part in range(len(self.spilled.counts)) if part not in own]
            source = SpilledSource(self.spilled, parts, encoding, settings.target, memory, self.together.rank)
            out = np.arange(first, first + count)
            return Lesson((source, None, None), None, encoding, mean, held.part(slice(first, first + count)), out)

        return lesson


def _joined(parts: Iterable[tuple[Rows, npt.NDArray[Any]]]) -> tuple[Rows, npt.NDArray[Any]]:
    """Return rows and their targets, part after part."""
    rows, labels = zip(*parts, strict=True)
    return Rows.joined(rows), np.concatenate(labels)
