"""Sources: a table piece by piece, as often as it is asked for, in memory that does not grow with it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import narwhals as nw

from nineline import _checks
from nineline.sources import streams_of_share
from nineline.tables.filed import Files
from nineline.tables.finding import find, find_all
from nineline.tables.formats import TableError
from nineline.tables.frames import Calls, Frame, Lazy, Table, as_polars, cut, is_frame
from nineline.tables.origins import check_known

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    import polars as pl

ROWS_AT_ONCE = 65_536


class TableSource:
    r"""A table piece by piece, as often as it is asked for, in memory that does not grow with it.

    Made by `of`. The rows of files are those that `read_tables` would give, with the same values and types; the rows
    of frames are what they are.

    Raises
    ------
    TableError
        From anything that reads: a file is not what its name says, does not go together with the others, or has
        changed since it was first looked at.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from nineline.tables.sources import TableSource
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = (Path(folder) / "1.csv").write_text("area,district\n55,harbour\n70,hill\n")
    ...     _ = (Path(folder) / "2.csv").write_text("district,area\nhill,62.5\n")
    ...     source = TableSource.of(f"{folder}/*.csv")
    ...     print(source.schema, source.rows, source.streams)
    ...     for piece in source.pieces(rows_at_once=2):
    ...         print(piece.rows())
    {'area': Float64, 'district': String} 3 2
    [(55.0, 'harbour'), (70.0, 'hill')]
    [(62.5, 'hill')]
    """

    def __init__(
        self,
        table: Table,
        names: Sequence[str] | None = None,
        counts: dict[int, int] | None = None,
        share: tuple[int, int] = (0, 1),
    ) -> None:
        self._table = table
        self._names = names
        self._counts: dict[int, int] = {} if counts is None else counts
        self._share = share

    @classmethod
    def of(cls, given: Any, *, text_columns: Collection[str] = (), ending: str | None = None) -> TableSource:
        """Return the source of a table.

        Parameters
        ----------
        given : path, list of paths, DataFrame, LazyFrame or callable
            A file of any format that `read_table` reads; a pattern such as ``"data/*.parquet"``; a folder, for all
            tables in and below it, where a folder ``key=value`` says the column ``key`` of what is in it; several of
            these. Or a DataFrame of any library, or a LazyFrame of polars. Or a function of no argument that returns an
            iterable of DataFrames, and is called again for each time that the table is gone through.
        text_columns : collection of str
            As for `read_table`; of files.
        ending : str, optional
            As for `read_table`; of files.

        Raises
        ------
        TableError
            There is no file, or one that does not read.
        OSError
            A file cannot be read.
        TypeError
            `given` is none of these.

        Notes
        -----
        What the columns of a text file are depends on all its rows: to ask for the `schema` reads it once. Of Parquet
        and Arrow IPC it reads the columns of texts, until each has something that is no number.
        """
        import polars as pl

        check_known(ending)
        given = nw.to_native(given, pass_through=True)
        if isinstance(given, (str, os.PathLike)):
            found = find(given, ending)
            said = os.fspath(given)
            one = len(found) == 1 and found[0].path == said
            return cls(Files(found, text_columns, ending, said if one else f"{said}, {_files(len(found))}"))
        if isinstance(given, pl.LazyFrame):
            return cls(Lazy(given))
        if is_frame(given):
            return cls(Frame(as_polars(given)))
        if callable(given):
            return cls(Calls(given))
        if isinstance(given, Sequence) and all(isinstance(each, (str, os.PathLike)) for each in given):
            if not given:
                raise ValueError("the list of files is empty; expected at least one path")
            found = find_all(given, ending)
            more = f" and others, {_files(len(found))}" if len(found) > 1 else ""
            return cls(Files(found, text_columns, ending, f"{os.fspath(given[0])}{more}"))
        hint = "; it can be gone through only once: give a function that returns one" * isinstance(given, Iterator)
        raise TypeError(
            f"the table is {type(given).__name__}; expected a path, a list of paths, a DataFrame, a LazyFrame of "
            f"polars, or a function that returns an iterable of DataFrames{hint}"
        )

    @property
    def schema(self) -> dict[str, pl.DataType]:
        """The columns and their types, the same for every piece."""
        schema = self._table.schema
        return dict(schema) if self._names is None else {name: schema[name] for name in self._names}

    @property
    def rows(self) -> int | None:
        """How many rows there are, where that is known: of frames, Parquet and Arrow IPC; of text once it was read."""
        if self._share[1] > 1:
            return None
        if self._table.rows is None and len(self._counts) == self.streams:
            return sum(self._counts.values())
        return self._table.rows

    @property
    def streams(self) -> int:
        """From how many places it can be read: some 262,144 rows of a file or frame each, a whole file of text."""
        return self._table.streams

    def pieces(self, stream: int | None = None, rows_at_once: int = ROWS_AT_ONCE) -> Iterator[pl.DataFrame]:
        """Yield the rows in pieces, always the same ones in the same order.

        Parameters
        ----------
        stream : int, optional
            Only those of one of the `streams`; None: of all, one after the other.
        rows_at_once : int
            So many rows in each piece, and in the last as many as are left.

        Raises
        ------
        TableError
            See the class. It has more or fewer rows than the time before.
        """
        _checks.positive_integer("rows_at_once", rows_at_once)
        if stream is not None and _checks.positive_integer("stream", stream, minimum=0) >= self.streams:
            raise ValueError(f"stream is {stream}; expected less than {self.streams}, which is how many there are")
        streams, (first, step) = streams_of_share(self.streams, self._share)
        if stream is not None:
            streams = range(stream, stream + 1)
        frames: Iterator[pl.DataFrame] = (frame for each in streams for frame in self._frames(each, rows_at_once))
        if step > 1:
            frames = _every(frames, first, step)
        return cut(frames, rows_at_once)

    @property
    def is_files(self) -> bool:
        """Whether it lies in files, which are the same for whoever reads them."""
        return isinstance(self._table, Files)

    def share(self, rank: int, size: int) -> TableSource:
        """Return the share of one of several processes, of which each row belongs to one.

        See `nineline.sources.streams_of_share`; where it goes by rows, all read all of the table.

        Parameters
        ----------
        rank : int
            The number of the process, from 0.
        size : int
            How many there are.

        Examples
        --------
        >>> import polars as pl
        >>> from nineline.tables.sources import TableSource
        >>> source = TableSource.of(pl.DataFrame({"n": [0, 1, 2, 3, 4]}))
        >>> [next(source.share(rank, 2).pieces())["n"].to_list() for rank in (0, 1)]
        [[0, 2, 4], [1, 3]]
        """
        if self._share[1] > 1:
            raise ValueError("this is a share already; take one of the whole table")
        return TableSource(self._table, self._names, self._counts, (rank, size))

    def select(self, names: Iterable[str]) -> TableSource:
        """Return the same table with these columns only, in this order; of Parquet and Arrow IPC, no others are read.

        Raises
        ------
        ValueError
            There is no such column, or one is named twice.
        """
        chosen, schema = list(names), self.schema
        for name in chosen:
            if name not in schema:
                raise ValueError(f"{self.in_words()} has no column {name!r}{_checks.nearest(name, schema)}")
        if not chosen or len(set(chosen)) < len(chosen):
            raise ValueError(f"names is {chosen}; expected at least one column, and each once")
        return TableSource(self._table, chosen, self._counts, self._share)

    def in_words(self) -> str:
        """Return what it is, such as ``"data/*.parquet, 12 files"``."""
        return self._table.in_words()

    def fingerprint(self) -> str:
        """Return what tells this table from another, as 64 digits.

        Of files, their names without folders, sizes and times of change; of frames, the schema and how many rows
        there are, where that is known. The columns that are selected do not matter.
        """
        return hashlib.sha256(json.dumps(self._table.marks()).encode()).hexdigest()

    def __repr__(self) -> str:
        return f"TableSource({self.in_words()})"

    def _frames(self, stream: int, rows_at_once: int) -> Iterator[pl.DataFrame]:
        """Yield the rows of a stream, and see that there are as many as ever."""
        rows = 0
        for frame in self._table.frames(stream, list(self.schema), rows_at_once):
            rows += frame.height
            yield frame
        before = self._counts.setdefault(stream, rows)
        if rows != before:
            raise TableError(
                f"{self.in_words()}: there were {before:,} rows the first time, and {rows:,} now; expected the same "
                "each time: a function must begin anew whenever it is called, and nothing be drawn at random"
            )


def _every(frames: Iterator[pl.DataFrame], first: int, step: int) -> Iterator[pl.DataFrame]:
    """Yield each so manieth row."""
    for frame in frames:
        if first < frame.height:
            yield frame.gather_every(step, first)
        first = (first - frame.height) % step


def _files(count: int) -> str:
    return f"{count:,} file{'s' * (count > 1)}"
