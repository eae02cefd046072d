"""Sinks: a table written piece by piece, in memory that does not grow with it."""

from __future__ import annotations

import contextlib
import gzip
import os
import queue
import threading
from typing import IO, TYPE_CHECKING, Final, Self, cast

from nineline.tables.formats import ARROW, JSON_LINES, PARQUET, TABS, TableError, check_ending, endings_of, reason_of
from nineline.tables.frames import as_type, cut
from nineline.writing import replacing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import TracebackType

    import polars as pl

_ROWS: Final = 131_072  # of a row group of Parquet, of a batch of Arrow IPC
_LEVEL: Final = 6  # of gzip
_PATIENCE: Final = 0.1  # seconds, after which it is seen whether the writer still lives


class TableSink:
    """A table that is written to a file piece by piece; the same rows are the same bytes, however they are cut.

    A context manager. The file is put in its place at the end, as a whole; after an exception, what lay there before is
    untouched.

    Parameters
    ----------
    path : path
        Its ending says what is written, as in `write_table`.
    schema : mapping of str to DataType
        The columns, and their types.

    Raises
    ------
    TableError
        As `check_ending`; or a piece has other columns or types.
    OSError
        The file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import polars as pl
    >>> from nineline.tables.sinks import TableSink
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "answers.csv"
    ...     with TableSink(path, {"rent": pl.Float64}) as sink:
    ...         sink.write(pl.DataFrame({"rent": [600.0, 612.5]}))
    ...         sink.write(pl.DataFrame({"rent": [550.0]}))
    ...     path.read_text().split()
    ['rent', '600.0', '612.5', '550.0']
    """

    def __init__(self, path: str | os.PathLike[str], schema: Mapping[str, pl.DataType | type[pl.DataType]]) -> None:
        import polars as pl

        check_ending(path)
        self.path = path
        self._empty = pl.DataFrame(schema=schema)
        if not self._empty.width:
            raise TableError(f"{path}: the schema is empty; expected at least one column")
        self._within = contextlib.ExitStack()
        self._put: Callable[[pl.DataFrame], None] | None = None

    def __enter__(self) -> Self:
        ending, packing = endings_of(self.path)
        with contextlib.ExitStack() as within:
            file: IO[bytes] = within.enter_context(replacing(self.path))
            if packing:  # the same bytes for the same table
                file = cast("IO[bytes]", within.enter_context(gzip.GzipFile("", "wb", _LEVEL, file, mtime=0)))
            if ending in (*PARQUET, *ARROW):
                self._put = within.enter_context(_Writer(file, self._empty, ending, self.path)).put
            elif ending in JSON_LINES:
                self._put = lambda frame: _write(file, frame.write_ndjson())
            else:
                tabs = "\t" if ending in TABS else ","
                with self._holding():
                    _write(file, self._empty.write_csv(separator=tabs))
                self._put = lambda frame: _write(file, frame.write_csv(separator=tabs, include_header=False))
            self._within = within.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._put = None
        self._within.__exit__(kind, error, trace)

    def write(self, frame: pl.DataFrame) -> None:
        """Write a piece of the table, whatever the order of its columns.

        Raises
        ------
        TableError
            It has other columns, or types whose values the column cannot hold.
        OSError
            The file cannot be written.
        """
        import polars as pl

        if self._put is None:
            raise RuntimeError(f"{self.path} is not open; write in a block `with TableSink(...) as sink:`")
        said = f"the pieces for {os.fspath(self.path)}"
        if set(frame.columns) != set(self._empty.columns):
            raise TableError(f"{said}: one has the columns {frame.columns}; expected {self._empty.columns}")
        same = [as_type(frame[name], dtype, said) for name, dtype in self._empty.schema.items()]
        with self._holding():
            self._put(pl.DataFrame(same))

    @contextlib.contextmanager
    def _holding(self) -> Iterator[None]:
        import polars as pl

        try:
            yield
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
            raise TableError(f"{os.fspath(self.path)} cannot hold such a table: {reason_of(error)}") from error


class _StoppedError(Exception):
    """What is written is not wanted any more."""


class _Writer:
    """Parquet or Arrow IPC: polars writes what it asks a generator for, in a thread, which is handed the pieces.

    Parameters
    ----------
    file : file
    empty : DataFrame
        Of the columns and types.
    ending : str
    path : path
        In messages.
    """

    def __init__(self, file: IO[bytes], empty: pl.DataFrame, ending: str, path: str | os.PathLike[str]) -> None:
        self._file, self._empty, self._ending, self._path = file, empty, ending, path
        self._pieces: queue.Queue[pl.DataFrame | _StoppedError | None] = queue.Queue(1)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._write, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._hand_over(None if error is None else _StoppedError())
        self._thread.join()
        if error is None:
            self._raise()

    def put(self, frame: pl.DataFrame) -> None:
        """Hand over a piece; wait where one is still to be written."""
        self._hand_over(frame)
        self._raise()

    def _hand_over(self, piece: pl.DataFrame | _StoppedError | None) -> None:
        while self._thread.is_alive():
            try:
                self._pieces.put(piece, timeout=_PATIENCE)
            except queue.Full:
                continue
            return

    def _raise(self) -> None:
        if self._error is not None:
            raise OSError(f"{os.fspath(self._path)} cannot be written: {reason_of(self._error)}") from self._error

    def _handed_over(self) -> Iterator[pl.DataFrame]:
        while (piece := self._pieces.get()) is not None:
            if isinstance(piece, _StoppedError):
                raise piece
            yield piece

    def _write(self) -> None:
        from polars.io.plugins import register_io_source

        try:
            table = register_io_source(lambda *_: cut(self._handed_over(), _ROWS), schema=self._empty.schema)
            if self._ending in PARQUET:
                table.sink_parquet(self._file, row_group_size=_ROWS)
            else:
                table.sink_ipc(self._file, record_batch_size=_ROWS)
        except BaseException as error:  # which is raised where the pieces come from
            self._error = error


def _write(file: IO[bytes], text: str) -> None:
    """Write a text; polars itself would flush the file after each piece, which a packed one then shows."""
    file.write(text.encode())
