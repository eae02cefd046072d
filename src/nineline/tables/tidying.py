"""Tidying: what counts as missing in a text, which texts are numbers, and what of that is known piece by piece."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from nineline.tables.formats import JSON_LINES, MISSING

if TYPE_CHECKING:
    from collections.abc import Collection

    import polars as pl
    from polars._typing import PolarsDataType

_DECIMAL_COMMA: Final = r"^\s*[+-]?\d+(,\d+)?\s*$"


def tidy(frame: pl.DataFrame, text_columns: Collection[str] = (), *, commas: bool = False) -> pl.DataFrame:
    """Strip text, turn `MISSING` into null, and text columns of nothing but numbers into numbers.

    Parameters
    ----------
    frame : polars.DataFrame
    text_columns : collection of str
        Columns to leave as text, whatever they look like.
    commas : bool
        Take ``1,5`` for a number where a column has nothing else.
    """
    import polars as pl

    left = set(text_columns)
    names = [name for name, dtype in frame.schema.items() if dtype == pl.String]
    texts = frame.select(stripped(n, commas=commas and n not in left and has_commas(frame[n])) for n in names)
    tidied = []
    for name, text in zip(names, texts.get_columns(), strict=True):
        numbers = None if name in left or text.null_count() == len(text) else _numbers(text)
        tidied.append(text if numbers is None or numbers.null_count() > text.null_count() else numbers)
    return frame.with_columns(tidied)


def stripped(name: str, *, commas: bool = False) -> pl.Expr:
    """Return a column of texts without blanks around them, null where one is `MISSING`."""
    import polars as pl

    text = pl.col(name)
    if commas:
        text = text.str.replace(",", ".", literal=True)
    text = text.str.strip_chars()
    return pl.when(text.is_in(MISSING)).then(None).otherwise(text).alias(name)


def has_commas(texts: pl.Series) -> bool:
    """Return whether all texts are numbers with decimal commas, or whole ones."""
    return bool(texts.str.contains(_DECIMAL_COMMA).all())


def _numbers(text: pl.Series) -> pl.Series:
    import polars as pl

    return text.cast(pl.Float64, strict=False)


@dataclass
class Facts:
    """What is known of the values of a column in one file, after some pieces or all.

    Attributes
    ----------
    types : list
        That polars gives to its values in pieces that have some.
    otherwise : DataType or None
        The one that it gives to a piece where it has none.
    valued : bool
        It has a value that is not missing.
    numbers, commas, numbers_by_commas : bool
        All are numbers, or texts of such; with decimal commas; with these as points.
    """

    types: list[pl.DataType] = field(default_factory=list)
    otherwise: pl.DataType | None = None
    valued: bool = False
    numbers: bool = True
    commas: bool = True
    numbers_by_commas: bool = True

    @classmethod
    def of(cls, values: pl.Series, *, commas: bool) -> Facts:
        """Return what a piece is; with `commas`, by decimal commas too."""
        import polars as pl

        if values.null_count() == len(values):
            return cls(otherwise=values.dtype)
        if values.dtype != pl.String:
            number = values.dtype.is_numeric()
            return cls([values.dtype], None, True, number, values.dtype.is_integer(), number)
        name, frame = values.name, values.to_frame()
        text = frame.select(stripped(name)).to_series()
        numbers = _numbers(text).null_count() == text.null_count()
        commas = commas and has_commas(values)
        numbers_by_commas = False
        if commas:
            pointed = frame.select(stripped(name, commas=True)).to_series()
            numbers_by_commas = _numbers(pointed).null_count() == pointed.null_count()
        return cls([values.dtype], None, text.null_count() < len(text), numbers, commas, numbers_by_commas)

    def add(self, more: Facts) -> None:
        """Take note of another piece."""
        self.types += [dtype for dtype in more.types if dtype not in self.types]
        self.otherwise = more.otherwise if self.otherwise is None else self.otherwise
        self.valued = self.valued or more.valued
        self.numbers = self.numbers and more.numbers
        self.commas = self.commas and more.commas
        self.numbers_by_commas = self.numbers_by_commas and more.numbers_by_commas

    @property
    def expected(self) -> pl.DataType | None:
        """The type to expect of the next piece of a delimited text; Null where there was no value yet."""
        import polars as pl

        if pl.String in self.types:
            return pl.String()
        if pl.Float64 in self.types and all(dtype.is_numeric() for dtype in self.types):
            return pl.Float64()
        if len(self.types) == 1 and self.types[0] in (pl.Int64, pl.Boolean):
            return self.types[0]
        return None if self.types else pl.Null()

    @property
    def decided(self) -> bool:
        """Whether nothing that comes can make another column of a text column."""
        return self.valued and not self.numbers


@dataclass(frozen=True)
class Reading:
    """How a column of a file is read.

    Attributes
    ----------
    type : DataType
        By polars.
    numbers, commas : bool
        Its texts become numbers; decimal commas become points.
    final : DataType or None
        What all becomes in the end, where that is another type.
    """

    type: pl.DataType
    numbers: bool = False
    commas: bool = False
    final: pl.DataType | None = None

    @classmethod
    def of(cls, facts: Facts, dtype: pl.DataType, *, as_text: bool, commas: bool) -> Reading:
        """Return it for a column that polars reads as a type."""
        import polars as pl

        if dtype != pl.String or as_text:
            return cls(dtype)
        commas = commas and facts.commas
        return cls(dtype, facts.valued and (facts.numbers_by_commas if commas else facts.numbers), commas)

    @property
    def tidy_type(self) -> pl.DataType:
        """The type of the column in its file, tidied."""
        import polars as pl

        return pl.Float64() if self.numbers else self.type

    def column(self, name: str) -> pl.Expr:
        """Return the column as it is in the end."""
        import polars as pl

        values = pl.col(name)
        if self.type == pl.String:
            values = stripped(name, commas=self.commas)
            if self.numbers:
                values = values.cast(pl.Float64, strict=False)
        return values if self.final in (None, self.tidy_type) else values.cast(self.final)


def together(facts: Facts, ending: str) -> pl.DataType:
    """Return the type that polars gives to a column of a text file whose pieces have several: it is asked."""
    import polars as pl

    found = facts.types
    if len(found) < 2:
        return found[0] if found else facts.otherwise or pl.String()
    if ending in JSON_LINES:
        lines = "".join(f'{{"v":{_example(dtype)}}}\n' for dtype in found)
        return pl.read_ndjson(lines.encode(), infer_schema_length=None).schema["v"]
    lines = "".join(f"{_example(dtype)}\n" for dtype in found)
    return pl.read_csv(f"v\n{lines}".encode(), infer_schema_length=None).schema["v"]


def _example(dtype: PolarsDataType) -> str:
    """Return a value of a type as it is written in a text."""
    import polars as pl

    if isinstance(dtype, pl.List):
        return f"[{_example(dtype.inner)}]"
    if isinstance(dtype, pl.Struct):
        return "{" + ",".join(f"{json.dumps(each.name)}:{_example(each.dtype)}" for each in dtype.fields) + "}"
    if dtype.is_integer():
        return str(2**63) if dtype == pl.Int128 else "1"
    if dtype.is_float():
        return "1.5"
    if dtype == pl.Boolean:
        return "true"
    return "null" if dtype == pl.Null else '"v"'
