"""Files of tables: CSV, TSV, Parquet, Arrow IPC and JSON lines in and out, by polars; packed or not, one or several."""

from __future__ import annotations

import gzip
import io
from typing import TYPE_CHECKING

from nineline.tables import delimited
from nineline.tables.formats import ARROW, JSON_LINES, PARQUET, TABS, check_ending, endings_of, reading
from nineline.tables.origins import Origin
from nineline.tables.stacking import agree, check_columns, check_types, common
from nineline.tables.tidying import tidy
from nineline.writing import write_bytes

if TYPE_CHECKING:
    import os
    from collections.abc import Collection, Sequence

    import polars as pl


def read_table(
    path: str | os.PathLike[str], text_columns: Collection[str] = (), *, ending: str | None = None
) -> pl.DataFrame:
    r"""Read a table from a file; its ending says what it is.

    Parameters
    ----------
    path : path
        ``.csv``, ``.tsv``, ``.tab``, ``.txt`` (delimited by comma, semicolon, tab or bar, whichever splits the
        lines evenly; a first line of column names; quoted fields), ``.parquet``, ``.pq``, ``.arrow``, ``.feather``,
        ``.ipc``, ``.jsonl``, ``.ndjson``; ``.gz`` after any of them, ``.zst`` after those of text. ``"-"`` is
        standard input.
    text_columns : collection of str
        Columns to leave as the text they are in a delimited file, whatever they look like: what was text when a
        model was trained must not become numbers because of the values that happen to be in this file.
    ending : str, optional
        What the table is, such as ``".csv"``, whatever the ending of its name. Whether it is packed by gzip or zstd
        is then told by its first bytes. Standard input needs it.

    Returns
    -------
    polars.DataFrame
        Text that is `MISSING` becomes null; a column of numbers written as text becomes numbers.

    Raises
    ------
    TableError
        The file is empty, cut short, or not what its name says.
    OSError
        The file cannot be read.

    Examples
    --------
    >>> import gzip, tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "flats.csv.gz"
    ...     _ = path.write_bytes(gzip.compress(b"area,district\n55,harbour\nNA,hill\n"))
    ...     read_table(path).rows()
    [(55, 'harbour'), (None, 'hill')]
    """
    return _read(Origin.of(path, ending), text_columns)


def read_tables(
    paths: Sequence[str | os.PathLike[str]], text_columns: Collection[str] = (), *, ending: str | None = None
) -> pl.DataFrame:
    r"""Read several files of the same columns as one table: the rows of the first, then those of the second, and so on.

    Columns are matched by name, and come in the order of the first file. A column gets the type that it would have
    in one file: whole numbers beside fractions are numbers, and what is text in one file is left as text in all.

    Parameters
    ----------
    paths : sequence of paths
    text_columns, ending
        As for `read_table`, all of them.

    Raises
    ------
    TableError
        A file is no table, or its columns are others than those of the first.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = (Path(folder) / "jan.csv").write_text("code,rent\n007,600\n")
    ...     _ = (Path(folder) / "feb.csv").write_text("rent,code\n612.5,A1\n")
    ...     read_tables([f"{folder}/jan.csv", f"{folder}/feb.csv"]).rows()
    [('007', 600.0), ('A1', 612.5)]
    """
    import polars as pl

    origins = [Origin.of(path, ending) for path in paths]
    if not origins:
        raise ValueError("paths is empty; expected at least one file")
    frames: list[pl.DataFrame] = []
    for origin in origins:
        frames.append(_read(origin, text_columns))
        check_columns(origin.name, frames[-1].columns, origins[0].name, frames[0].columns)
    mixed = [name for name in frames[0].columns if not agree(_types(frames, name))]
    if mixed:  # of several types: as the text that they are, where they are
        texts = [*text_columns, *mixed]
        for i, origin in enumerate(origins):
            if any(dtype != pl.String for name in mixed for dtype in _types(frames[i : i + 1], name)):
                frames[i] = _read(origin, texts)
        for name in mixed:
            named = zip(origins, frames, strict=True)
            check_types(name, [(origin.name, dtype) for origin, frame in named for dtype in _types([frame], name)])
    return _stacked(frames)


def text_columns(frame: pl.DataFrame) -> list[str]:
    """Return the names of a table's text columns, for `read_table` of another table like it."""
    import polars as pl

    return [name for name, dtype in frame.schema.items() if dtype == pl.String]


def write_table(frame: pl.DataFrame, path: str | os.PathLike[str]) -> None:
    """Write a table to a file; its ending says as what, as in `read_table`, and ``.gz`` after it packs it.

    Raises
    ------
    TableError
        As `check_ending`.
    OSError
        The file cannot be written; what lay there before is untouched.
    """
    check_ending(path)
    ending, packing = endings_of(path)
    to = io.BytesIO()
    if ending in PARQUET:
        frame.write_parquet(to)
    elif ending in ARROW:
        frame.write_ipc(to)
    elif ending in JSON_LINES:
        frame.write_ndjson(to)
    else:
        frame.write_csv(to, separator="\t" if ending in TABS else ",")
    data = to.getvalue()
    write_bytes(path, gzip.compress(data, mtime=0) if packing else data)  # the same bytes for the same table


def _read(origin: Origin, text_columns: Collection[str]) -> pl.DataFrame:
    """Return all of a table."""
    import polars as pl

    left = set(text_columns)
    data = origin.unpacked()
    if not data or data.isspace():
        raise origin.empty()
    with reading(origin.name, origin.ending, origin.said_by):
        commas = False
        if origin.ending in PARQUET:
            frame = pl.read_parquet(data)
        elif origin.ending in ARROW:
            frame = pl.read_ipc(data)
        elif origin.ending in JSON_LINES:
            frame = pl.read_ndjson(data, infer_schema_length=None)
        else:
            delimited.check_text(origin, data)
            data = delimited.begun(delimited.as_utf8(data))
            text = delimited.Delimited.of(origin, data, whole=True)
            frame, commas = text.frame(data, text_columns=left), text.commas
    if frame.height == 0:
        raise origin.no_rows()
    return tidy(frame, left, commas=commas)


def _types(frames: list[pl.DataFrame], column: str) -> list[pl.DataType]:
    """Return the types of a column in the tables where it has values."""
    return [frame[column].dtype for frame in frames if frame[column].null_count() < frame.height]


def _stacked(frames: list[pl.DataFrame]) -> pl.DataFrame:
    """Return the rows of all tables; a column that is missing in all of one table has no type there."""
    import polars as pl

    if len(frames) == 1:
        return frames[0]
    schema = {name: common(_types(frames, name) or [dtype]) for name, dtype in frames[0].schema.items()}
    same = [
        frame.with_columns(  # and not `select`, by which a table of nothing but missing values has one row
            pl.col(name).cast(dtype) if frame[name].null_count() < frame.height else pl.lit(None, dtype).alias(name)
            for name, dtype in schema.items()
        ).select(list(schema))
        for frame in frames
    ]
    return pl.concat(same, how="vertical")
