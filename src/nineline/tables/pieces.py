"""Pieces: one file of a table read piece by piece, and what its columns are, in memory that does not grow with it."""

from __future__ import annotations

import tempfile
from abc import ABC, abstractmethod
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from nineline import _checks
from nineline.tables import delimited
from nineline.tables.delimited import Delimited
from nineline.tables.formats import ARROW, JSON_LINES, PARQUET, TableError, reading
from nineline.tables.tidying import Facts, Reading, together

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
    from concurrent.futures import Future

    import polars as pl

    from nineline.tables.origins import Origin

_ROWS: Final = 131_072  # that are read at once
_CELLS: Final = 2**23  # that are read at once, where there are many columns
_FEW: Final = 1_024  # rows, which mostly tell that a column of texts is none of numbers
_THREADS: Final = 4  # at most; each holds a block

Result = TypeVar("Result")


class Stamp(NamedTuple):
    """What tells that a file is still the same."""

    size: int
    modified: int

    @classmethod
    def of(cls, path: str) -> Stamp:
        """Return that of a file that is there."""
        found = Path(path).stat()
        return cls(found.st_size, found.st_mtime_ns)


class FileInPieces(ABC):
    """A file of a table.

    Parameters
    ----------
    origin : Origin
    text_columns : collection of str
        As for `read_table`.

    Attributes
    ----------
    stamp : Stamp
        What the file was when this was made.
    """

    def __init__(self, origin: Origin, text_columns: Collection[str] = ()) -> None:
        self.origin = origin
        self.text_columns = frozenset(text_columns)
        self.stamp = Stamp.of(origin.name)

    @property
    def name(self) -> str:
        """What messages call it."""
        return self.origin.name

    @property
    @abstractmethod
    def columns(self) -> list[str]:
        """Its columns."""

    @property
    @abstractmethod
    def rows(self) -> int | None:
        """How many rows it has, where that is known without reading them."""

    @property
    @abstractmethod
    def streams(self) -> int:
        """From how many places it can be read."""

    @abstractmethod
    def reading(self, name: str, *, as_text: bool = False) -> Reading:
        """Return how a column is read, and of which type it is then; as text, where it can be."""

    @abstractmethod
    def has_values(self, name: str) -> bool:
        """Return whether a column has a value in some row."""

    @abstractmethod
    def frames(self, stream: int, readings: Mapping[str, Reading]) -> Iterator[pl.DataFrame]:
        """Yield the rows from one of the places, some at a time: these columns, one at least, read so."""

    def check(self) -> None:
        """Raise TableError where the file is not the one that it was."""
        try:
            now = Stamp.of(self.name)
        except OSError as error:
            raise TableError(
                f"{self.name} was there when the table was first looked at, and cannot be read now "
                f"({error.strerror}); leave the files of a table where they are while it is read"
            ) from error
        if now != self.stamp:
            raise TableError(
                f"{self.name} has changed since the table was first looked at ({self.stamp.size:,} bytes then, "
                f"{now.size:,} now); leave the files of a table as they are while it is read"
            )

    @contextmanager
    def open(self) -> Iterator[None]:
        """Around whatever reads the file: it is the one that it was, before and after, and reads as what it is."""
        self.check()
        try:
            with reading(self.name, self.origin.ending, self.origin.said_by):
                yield
        except (TableError, OSError):
            self.check()  # which says more, where this is the reason
            raise
        self.check()


class ColumnsInPieces(FileInPieces):
    """Parquet or Arrow IPC: each column lies by itself, and rows can be read from anywhere."""

    def __init__(self, origin: Origin, text_columns: Collection[str] = ()) -> None:
        import polars as pl

        super().__init__(origin, text_columns)
        self._unpacked: tempfile._TemporaryFileWrapper[bytes] | None = None
        self._facts: dict[str, Facts] = {}
        if self.stamp.size == 0:
            raise origin.empty()
        with self.open():
            self._schema = dict(self._scan().collect_schema())
            self._rows: int = self._scan().select(pl.len()).collect().item()
        if not self._rows:
            raise origin.no_rows()

    def _scan(self) -> pl.LazyFrame:
        import polars as pl

        path = self._plain()
        if self.origin.ending in PARQUET:
            return pl.scan_parquet(path, glob=False, hive_partitioning=False)
        return pl.scan_ipc(path, glob=False, hive_partitioning=False)

    def _plain(self) -> str:
        """Return the path of the file unpacked: what is packed is kept so in a temporary file."""
        if self._unpacked is not None:
            return self._unpacked.name
        with Path(self.name).open("rb") as file:
            packed = self.origin.packing_of(file.read(4))
        if not packed:
            return self.name
        self._unpacked = tempfile.NamedTemporaryFile(prefix="nineline-", suffix=self.origin.ending)  # noqa: SIM115
        for chunk in self.origin.chunks():
            self._unpacked.write(chunk)
        self._unpacked.flush()
        return self._unpacked.name

    @property
    def columns(self) -> list[str]:
        return list(self._schema)

    @property
    def rows(self) -> int:
        return self._rows

    @property
    def _rows_at_once(self) -> int:
        return max(_FEW, min(_ROWS, _CELLS // max(1, len(self._schema))))

    @property
    def streams(self) -> int:
        return -(-self._rows // self._rows_at_once)

    def reading(self, name: str, *, as_text: bool = False) -> Reading:
        import polars as pl

        dtype = self._schema[name]
        if dtype != pl.String or as_text or name in self.text_columns:
            return Reading(dtype)
        return Reading.of(self._seen(name), dtype, as_text=False, commas=False)

    def has_values(self, name: str) -> bool:
        import polars as pl

        if self._schema[name] == pl.String:
            return self._seen(name).valued
        with self.open():
            return bool(self._scan().select(pl.col(name).is_not_null().any()).collect(engine="streaming").item())

    def _seen(self, name: str) -> Facts:
        """Return what a column of texts is; all of them are looked at together, each until it is decided."""
        import polars as pl

        if not self._facts:
            facts = {column: Facts() for column, dtype in self._schema.items() if dtype == pl.String}
            start = 0
            with self.open():
                while start < self._rows and (open_ := [n for n, each in facts.items() if not each.decided]):
                    count = self._rows_at_once if start else _FEW
                    for values in self._scan().select(open_).slice(start, count).collect().get_columns():
                        facts[values.name].add(Facts.of(values, commas=False))
                    start += count
            self._facts = facts
        return self._facts[name]

    def frames(self, stream: int, readings: Mapping[str, Reading]) -> Iterator[pl.DataFrame]:
        start = stream * self._rows_at_once
        with self.open():
            columns = self._scan().select(list(readings)).slice(start, self._rows_at_once)
            frame = columns.select(each.column(name) for name, each in readings.items()).collect()
        if frame.height != min(self._rows_at_once, self._rows - start):
            raise TableError(f"{self.name} says that it has {self._rows:,} rows, and has fewer; write it again")
        yield frame


class TextInPieces(FileInPieces):
    """Delimited text or JSON lines: what its columns are depends on all rows, which are read in order, in blocks."""

    def __init__(self, origin: Origin, text_columns: Collection[str] = ()) -> None:
        super().__init__(origin, text_columns)
        self._rows: int | None = None
        self._facts: dict[str, Facts] = {}
        self._types: dict[str, pl.DataType] = {}
        self._expected: dict[str, pl.DataType | None] = {}  # by the blocks so far

    @property
    def streams(self) -> int:
        return 1

    @property
    def rows(self) -> int | None:
        return self._rows

    @property
    def columns(self) -> list[str]:
        self._learn()
        return list(self._types)

    def has_values(self, name: str) -> bool:
        self._learn()
        return self._facts[name].valued

    def _learn(self) -> None:
        """Look at all of the file, once."""
        if self._rows is not None:
            return
        facts: dict[str, Facts] = {}
        rows = 0
        with self.open():
            for height, block in _side_by_side(self._look_at, self._blocks()):
                rows += height
                for name, each in block.items():
                    facts.setdefault(name, Facts()).add(each)
                self._expected = {name: each.expected for name, each in facts.items()}
            types = {name: together(each, self.origin.ending) for name, each in facts.items()}
        if not rows:
            raise self.origin.no_rows()
        self._facts, self._types, self._rows = facts, types, rows

    def frames(self, stream: int, readings: Mapping[str, Reading]) -> Iterator[pl.DataFrame]:
        self._learn()
        types = self._types | {name: each.type for name, each in readings.items()}
        columns = [each.column(name) for name, each in readings.items()]
        rows = 0
        with self.open():
            for block in self._blocks():
                frame = self._frame(block, types).select(columns)
                rows += frame.height
                yield frame
        if rows != self._rows:
            raise TableError(f"{self.name} had {self._rows:,} rows when it was first read, and has {rows:,} now")

    @abstractmethod
    def _blocks(self) -> Iterator[bytes]:
        """Yield the file in blocks of whole rows."""

    @abstractmethod
    def _frame(self, block: bytes, types: dict[str, pl.DataType] | None = None) -> pl.DataFrame:
        """Return a block with these types; None: with those that polars gives it."""

    def _look_at(self, block: bytes) -> tuple[int, dict[str, Facts]]:
        """Return how many rows a block has, and what its columns are."""
        frame = self._frame(block)
        return frame.height, {each.name: Facts.of(each, commas=self._commas) for each in frame.get_columns()}

    @property
    def _commas(self) -> bool:
        """Whether decimal commas are looked for."""
        return False


class DelimitedInPieces(TextInPieces):
    """CSV, TSV and the like."""

    def __init__(self, origin: Origin, text_columns: Collection[str] = ()) -> None:
        super().__init__(origin, text_columns)
        self._windows = False
        self._text: Delimited | None = None

    def reading(self, name: str, *, as_text: bool = False) -> Reading:
        import polars as pl

        self._learn()
        as_text = as_text or name in self.text_columns
        dtype = pl.String() if as_text else self._types[name]
        return Reading.of(self._facts[name], dtype, as_text=as_text, commas=self._commas)

    def _learn(self) -> None:
        try:
            super()._learn()
        except UnicodeDecodeError:
            self._windows, self._text = True, None
            super()._learn()

    @property
    def _commas(self) -> bool:
        return self._delimited.commas

    @property
    def _delimited(self) -> Delimited:
        if self._text is None:
            delimited.check_text(self.origin, next(self.origin.chunks(), b""))
            self._text = Delimited.of(self.origin, delimited.beginning(self._chunks()), whole=False)
        return self._text

    def _chunks(self) -> Iterator[bytes]:
        chunks = self.origin.chunks()
        return delimited.begun_chunks(map(delimited.from_windows, chunks) if self._windows else chunks)

    def _blocks(self) -> Iterator[bytes]:
        return self._delimited.blocks(self._chunks())

    def _frame(self, block: bytes, types: dict[str, pl.DataType] | None = None) -> pl.DataFrame:
        if types is None:
            if not self._windows:
                delimited.check_utf8(block)
            frame = self._as_expected(block)
            return self._delimited.frame(block, text_columns=self.text_columns) if frame is None else frame
        return self._delimited.frame(block, list(types.values()))

    def _as_expected(self, block: bytes) -> pl.DataFrame | None:
        """Return a block with the types that the blocks before had, where polars surely gives it the same.

        It takes long to tell the type of each cell, and short to read numbers and texts: so whole numbers and
        booleans are read as texts, and are what they look like where they are written as polars itself writes them.
        """
        import polars as pl

        expected = self._expected  # which another thread replaces
        if not expected or None in expected.values():
            return None
        read = [pl.Float64() if dtype == pl.Float64 else pl.String() for dtype in expected.values()]
        try:
            frame = self._delimited.frame(block, read)
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
            return None
        columns = []
        for name, dtype in expected.items():
            texts = frame[name]
            if dtype in (pl.Int64, pl.Boolean):
                values = (texts == "true") if dtype == pl.Boolean else texts.cast(pl.Int64, strict=False)
                if not values.cast(pl.String).eq_missing(texts).all():
                    return None
                columns.append(values)
            elif dtype == pl.Null and texts.null_count() < len(texts):
                return None
        return frame.with_columns(columns)


class JsonLinesInPieces(TextInPieces):
    """JSON lines."""

    def reading(self, name: str, *, as_text: bool = False) -> Reading:
        self._learn()
        as_text = as_text or name in self.text_columns
        return Reading.of(self._facts[name], self._types[name], as_text=as_text, commas=False)

    def _blocks(self) -> Iterator[bytes]:
        none = True
        for block in delimited.row_blocks(self.name, self.origin.chunks(), quoted=False):
            if not block.isspace():
                none = False
                yield block
        if none:
            raise self.origin.empty()

    def _frame(self, block: bytes, types: dict[str, pl.DataType] | None = None) -> pl.DataFrame:
        import polars as pl

        if types is None:
            return pl.read_ndjson(block, infer_schema_length=None)
        return pl.read_ndjson(block, schema=types)


def in_pieces(origin: Origin, text_columns: Collection[str] = ()) -> FileInPieces:
    """Return a file to be read piece by piece.

    Raises
    ------
    TableError
        It is Parquet or Arrow IPC, and does not read; of text, that is seen later.
    OSError
        It cannot be read.
    """
    if origin.ending in (*PARQUET, *ARROW):
        return ColumnsInPieces(origin, text_columns)
    return (JsonLinesInPieces if origin.ending in JSON_LINES else DelimitedInPieces)(origin, text_columns)


def _side_by_side(work: Callable[[bytes], Result], blocks: Iterable[bytes]) -> Iterator[Result]:
    """Yield what becomes of each block, in order; some are worked on at the same time."""
    threads = min(_checks.threads("threads", None), _THREADS)
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[Result]] = deque()
        for block in blocks:
            if len(waiting) > threads:
                yield waiting.popleft().result()
            waiting.append(pool.submit(work, block))
        while waiting:
            yield waiting.popleft().result()
