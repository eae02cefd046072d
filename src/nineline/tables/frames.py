"""Frames: tables that a program hands over, in pieces: one in memory, one to be computed, what a function gives."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import narwhals as nw

from nineline.tables.formats import TableError, reason_of
from nineline.tables.stacking import agree, common

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    import polars as pl

_ROWS: Final = 262_144  # of a stream


class Table(ABC):
    """A table that can be read piece by piece."""

    @property
    @abstractmethod
    def schema(self) -> Mapping[str, pl.DataType]:
        """Its columns and their types."""

    @property
    def rows(self) -> int | None:
        """How many rows it has, where that is known."""
        return None

    @property
    def streams(self) -> int:
        """From how many places it can be read."""
        return 1

    @abstractmethod
    def frames(self, stream: int, names: Sequence[str], rows_at_once: int) -> Iterator[pl.DataFrame]:
        """Yield these columns from one of the places, some rows at a time."""

    @abstractmethod
    def in_words(self) -> str:
        """Return what it is called."""

    @abstractmethod
    def marks(self) -> object:
        """Return what tells it from another, as JSON can hold it."""


class Frame(Table):
    """A table that is there.

    Parameters
    ----------
    frame : polars.DataFrame
    """

    def __init__(self, frame: pl.DataFrame) -> None:
        self._frame = frame

    @property
    def schema(self) -> Mapping[str, pl.DataType]:
        return self._frame.schema

    @property
    def rows(self) -> int:
        return self._frame.height

    @property
    def streams(self) -> int:
        return max(1, -(-self.rows // _ROWS))

    def frames(self, stream: int, names: Sequence[str], rows_at_once: int) -> Iterator[pl.DataFrame]:
        yield self._frame.select(names).slice(stream * _ROWS, _ROWS)

    def in_words(self) -> str:
        return f"a DataFrame of {self.rows:,} rows"

    def marks(self) -> object:
        return [*_marks(self.schema), self.rows]


class Lazy(Table):
    """A table that polars computes when it is asked for rows, each time anew.

    Parameters
    ----------
    frame : polars.LazyFrame
    """

    def __init__(self, frame: pl.LazyFrame) -> None:
        self._frame = frame
        with self._computing():
            self._schema = dict(frame.collect_schema())

    @property
    def schema(self) -> Mapping[str, pl.DataType]:
        return self._schema

    def frames(self, stream: int, names: Sequence[str], rows_at_once: int) -> Iterator[pl.DataFrame]:
        with self._computing():
            yield from self._frame.select(names).collect_batches(chunk_size=rows_at_once, lazy=True)

    @contextmanager
    def _computing(self) -> Iterator[None]:
        import polars as pl

        try:
            yield
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
            raise TableError(f"the LazyFrame cannot be computed: {reason_of(error)}") from error

    def in_words(self) -> str:
        return "a LazyFrame"

    def marks(self) -> object:
        return _marks(self.schema)


class Calls(Table):
    """A table that a function gives in pieces, each time it is called.

    Parameters
    ----------
    function : callable
        Of no argument; returns an iterable of DataFrames. The first piece says what columns there are, and of which
        types; of one that has no value in it, a later one.

    Raises
    ------
    TableError
        It gives no piece, or two of different columns.
    TypeError
        It gives something else.
    """

    def __init__(self, function: Callable[[], Iterable[Any]]) -> None:
        import polars as pl

        self._function = function
        schema: dict[str, pl.DataType] = {}
        for frame in self._frames():
            schema = schema or dict(frame.schema)
            self._check_columns(frame, schema)
            schema |= {name: frame.schema[name] for name, dtype in schema.items() if dtype == pl.Null}
            if all(dtype != pl.Null for dtype in schema.values()):
                break
        if not schema:
            raise TableError(f"{self.in_words()}: there is none; expected at least one DataFrame with a column")
        self._schema = schema

    def _frames(self) -> Iterator[pl.DataFrame]:
        given = self._function()
        if is_frame(given):
            yield as_polars(given)
            return
        try:
            pieces = iter(given)
        except TypeError:
            kind = type(given).__name__
            raise TypeError(f"{self.in_words()}: it returned {kind}; expected an iterable of DataFrames") from None
        for piece in pieces:
            if not is_frame(piece):
                kind = type(piece).__name__
                raise TypeError(f"{self.in_words()}: one of them is {kind}; expected a DataFrame")
            yield as_polars(piece)

    @property
    def schema(self) -> Mapping[str, pl.DataType]:
        return self._schema

    def frames(self, stream: int, names: Sequence[str], rows_at_once: int) -> Iterator[pl.DataFrame]:
        for frame in self._frames():
            self._check_columns(frame, self._schema)
            yield frame.select(as_type(frame[name], self._schema[name], self.in_words()) for name in names)

    def _check_columns(self, frame: pl.DataFrame, schema: Mapping[str, pl.DataType]) -> None:
        if set(frame.columns) != set(schema):
            raise TableError(
                f"{self.in_words()}: one has the columns {_few(frame.columns)}, and the first had "
                f"{_few(list(schema))}; expected the same in all of them, each time"
            )

    def in_words(self) -> str:
        return f"the pieces of {getattr(self._function, '__name__', type(self._function).__name__)}()"

    def marks(self) -> object:
        return _marks(self.schema)


def is_frame(given: object) -> bool:
    """Return whether something is a DataFrame of whatever library."""
    return isinstance(nw.from_native(given, eager_only=True, pass_through=True), nw.DataFrame)


def as_polars(given: Any) -> pl.DataFrame:
    """Return a DataFrame of whatever library as polars'.

    Raises
    ------
    TableError
        A column holds what polars has no column for.
    """
    import polars as pl

    frame = nw.from_native(given, eager_only=True)
    try:
        return frame.to_polars()
    except Exception:  # which every library says in its own way; some need pyarrow for it
        columns = []
    for name in frame.columns:
        series = frame.get_column(name)
        missing = series.is_null().to_list()
        values = [None if none else value for value, none in zip(series.to_list(), missing, strict=True)]
        try:
            columns.append(pl.Series(str(name), values))
        except (TypeError, OverflowError, pl.exceptions.PolarsError) as error:
            raise TableError(
                f"the column {name!r} holds what is not of one type ({reason_of(error)}); "
                "make it numbers, texts or dates"
            ) from error
    return pl.DataFrame(columns)


def as_type(values: pl.Series, dtype: pl.DataType, said: str) -> pl.Series:
    """Return a piece of a column in the type that the column has, where that holds all such values.

    Raises
    ------
    TableError
        It does not; the message begins with what is said.
    """
    if values.dtype == dtype:
        return values
    if values.null_count() == len(values):
        return values.clear(len(values)).cast(dtype)
    if agree([values.dtype, dtype]) and common([dtype, values.dtype]) == dtype:
        return values.cast(dtype)
    raise TableError(
        f"{said}: one holds {values.dtype} in the column {values.name!r}, which is {dtype} before; "
        f"expected one type in all of them: cast it, as by pl.col({values.name!r}).cast(...)"
    )


def cut(frames: Iterable[pl.DataFrame], rows_at_once: int) -> Iterator[pl.DataFrame]:
    """Yield the same rows in pieces of so many, and what is left."""
    import polars as pl

    held: list[pl.DataFrame] = []
    lacking = rows_at_once
    for frame in frames:
        rest = frame
        while rest.height:
            held.append(rest[:lacking])
            rest = rest[lacking:]
            lacking -= held[-1].height
            if not lacking:
                yield held[0] if len(held) == 1 else pl.concat(held)
                held, lacking = [], rows_at_once
    if held:
        yield held[0] if len(held) == 1 else pl.concat(held)


def _marks(schema: Mapping[str, pl.DataType]) -> list[list[str]]:
    return [[name, str(dtype)] for name, dtype in schema.items()]


def _few(names: list[str]) -> str:
    return ", ".join(map(repr, names[:8])) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
