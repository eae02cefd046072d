"""A table that comes piece by piece: its columns and target learned in one pass, its compact rows kept on a disk."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Self, final

import narwhals as nw
import numpy as np
import polars as pl

from nineline import _checks
from nineline.estimators.tabular.members import Lesson, mean_of
from nineline.rows import Rows
from nineline.sources import Source
from nineline.tables.columns import ColumnsLearner
from nineline.tables.sources import TableSource
from nineline.tables.spilled import SpilledRows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt

    from nineline.estimators.tabular.members import MemberSettings
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
    """A table with a target, piece by piece.

    Attributes
    ----------
    source : TableSource
    target : str
        The column that is predicted.
    weight : str or None
        The column of the rows' weights.
    labels : function
        Checks a target, and returns it as an array.
    without_target : int
        Rows that have none, of the last pass; they are left out.
    rows : int
        The others.
    first : DataFrame
        The first piece.
    """

    source: TableSource
    target: str
    weight: str | None
    labels: Callable[[Any], npt.NDArray[Any]]
    without_target: int = 0
    rows: int = 0
    first: Any = None

    def __post_init__(self) -> None:
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
        return [name for name in self.source.schema if name not in (self.target, self.weight)]

    def pieces(self) -> Iterator[tuple[pl.DataFrame, npt.NDArray[Any], Numbers | None]]:
        """Yield columns, targets and weights of the rows that count."""
        self.without_target = self.rows = 0
        for given in self.source.pieces():
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
            frame = piece.select(self.names)
            self.first = frame if self.first is None else self.first
            yield frame, self.labels(piece[self.target]), weights

    def fits(self, memory: int) -> tuple[pl.DataFrame, npt.NDArray[Any], Numbers | None] | None:
        """Return all rows where they take a small part of the memory, else None."""
        kept, size = [], 0
        for piece in self.pieces():
            size += int(piece[0].estimated_size())
            if size > memory / _SMALL:
                return None
            kept.append(piece)
        if not kept:
            raise ValueError(f"{self.source.in_words()} has no row with a target {self.target!r}")
        frames, labels, weights = zip(*kept, strict=True)
        known = [each for each in weights if each is not None]
        return pl.concat(frames), np.concatenate(labels), np.concatenate(known) if known else None

    def learn(self, target: Any, memory: int) -> ColumnsLearner:
        """Go through the rows once, and learn of every column and, into a summary, of the target."""
        learner = ColumnsLearner(memory=memory // 2)
        for frame, labels, weights in self.pieces():
            learner.see(nw.from_native(frame, eager_only=True), weights)
            target.see(labels, weights)
        return learner

    def spill(
        self,
        columns: Columns,
        target: Target,
        weigh: Callable[[npt.NDArray[Any], Any], Any],
        seed: int,
        recipe: Recipe,
        memory: int,
        *,
        weighted: bool,
    ) -> SpilledTable:
        """Go through the rows once more, and keep them on a disk, in parts several of which fit a window."""
        size = SpilledRows.dtype_of(columns.encoding, weighted=weighted).itemsize * self.rows
        parts = min(max(math.ceil(size * _PARTS_OF_MEMORY / memory), _PARTS_AT_LEAST), _PARTS_AT_MOST)
        share, members = min(recipe.share, HELD_OUT_AT_MOST / self.rows), 0
        if share:
            members = max(1, min(recipe.members, math.floor(0.5 / share)))
        of_each = math.ceil(share * parts)
        left = max(parts - members * of_each, 1)
        shares = [share / of_each] * (members * of_each) + [(1 - members * share) / left] * left
        held = [list(range(member * of_each, (member + 1) * of_each)) for member in range(members)]
        spilled = SpilledRows(columns.encoding, shares, seed, weighted=weighted, memory=memory)
        try:
            for frame, labels, weights in self.pieces():
                rows = columns.compact(nw.from_native(frame, eager_only=True))
                spilled.add(rows, target.numbers(labels), weigh(labels, weights))
            spilled.finish()
        except BaseException:
            spilled.close()
            raise
        return SpilledTable(spilled, held)


def available() -> int:
    """Return how many bytes of memory are free, as far as the system says; 8 GB where it does not."""
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return 8 * 10**9


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
    """

    def __init__(self, spilled: SpilledRows, parts: list[int], encoding: Encoding, target: Target, memory: int) -> None:
        super().__init__(memory)
        self.spilled, self.parts, self.encoding, self.target = spilled, parts, encoding, target
        self.rows = sum(spilled.counts[part] for part in parts)
        self.streams = len(parts)

    def open(self, stream: int) -> Iterator[Piece]:
        rows = rows_of(self.spilled.read(self.parts[stream]), self.encoding, self.target)
        yield rows.inputs, rows.targets, rows.sample_weight

    def fingerprint(self) -> str:
        """Return a digest of the rows, and which parts of them these are."""
        return f"{self.spilled.fingerprint()}, parts {self.parts}, {self.encoding.width} inputs"


def rows_of(part: SpilledPart, encoding: Encoding, target: Target) -> Rows:
    """Return rows that were spilled, as a network learns them."""
    return Rows(replace(part.inputs, encoding=encoding), target.encode_numbers(part.targets), part.weights)


@dataclass(frozen=True)
class SpilledTable:
    """Spilled rows, and which of them are held out.

    Attributes
    ----------
    spilled : SpilledRows
    held : list of list of int
        Parts that are held out: member i holds out those of number ``i % len(held)``; none where it is empty.
    """

    spilled: SpilledRows
    held: list[list[int]]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.spilled.close()

    def sample(self, rows: int, encoding: Encoding, target: Target) -> tuple[Rows, npt.NDArray[Any]]:
        """Return about so many rows that no member holds out, and their targets."""
        parts: list[int] = []
        for part in range(sum(map(len, self.held)), len(self.spilled.counts)):
            parts.append(part)
            if sum(self.spilled.counts[part] for part in parts) >= rows:
                break
        read, labels = self.read(parts, encoding, target)
        return read.part(slice(rows)), labels[:rows]

    def read(self, parts: list[int], encoding: Encoding, target: Target) -> tuple[Rows, npt.NDArray[Any]]:
        """Return the rows of some parts, and their targets."""
        read = [self.spilled.read(part) for part in parts] or [self.spilled.none()]
        numbers = np.concatenate([part.targets for part in read])
        return Rows.joined([rows_of(part, encoding, target) for part in read]), target.values(numbers)

    def held_out(self, encoding: Encoding, target: Target) -> tuple[Rows, npt.NDArray[Any]]:
        """Return the rows of all held-out parts, member after member, and their targets."""
        return self.read([part for parts in self.held for part in parts], encoding, target)

    def lessons(
        self, settings: MemberSettings, encoding: Encoding, held: Rows, sample: Rows, memory: int
    ) -> Callable[[int], Lesson]:
        """Return what gives each member its lesson: all rows but those that it holds out."""
        counts = [sum(self.spilled.counts[part] for part in parts) for parts in self.held]
        mean = mean_of(sample, np.arange(len(sample)))

        def lesson(number: int) -> Lesson:
            mine = number % len(counts) if counts else 0
            first, count = sum(counts[:mine]), counts[mine] if counts else 0
            own = self.held[mine] if counts else []
            parts = [part for part in range(len(self.spilled.counts)) if part not in own]
            source = SpilledSource(self.spilled, parts, encoding, settings.target, memory)
            out = np.arange(first, first + count)
            return Lesson((source, None, None), None, encoding, mean, held.part(slice(first, first + count)), out)

        return lesson
