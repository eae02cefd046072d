"""A table as data of a playground: by the columns' code of the estimators, with any two columns as axes."""

from __future__ import annotations

import gzip
import io
import tempfile
import zlib
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import narwhals as nw
import numpy as np

from nineline import _checks
from nineline.estimators.session import CLASSIFICATION, decide_task
from nineline.interactive.data import Data, DataColumn, check_size, held_out_rows
from nineline.interactive.settings import DataSettings
from nineline.rows import evenly_spaced
from nineline.tables import read_table
from nineline.tables.columns import Columns
from nineline.tables.kinds import TRUE, Boolean, Category, EmbeddedCategory, Number
from nineline.tables.series import numbers_of, texts_of
from nineline.tables.targets import Classes, TargetScaling

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    import numpy.typing as npt
    import polars as pl

    from nineline._typing import Array
    from nineline.tables.contract import Column

    Numbers = npt.NDArray[np.float64]

BYTES_AT_MOST: Final = 20_000_000
COLUMNS_AT_MOST: Final = 100
ROWS_AT_MOST: Final = 20_000

_OTHER: Final = "(other)"
_MISSING: Final = "(missing)"
_UNKNOWN: Final = "\x00 seen nowhere"


class Table(NamedTuple):
    """A table that was opened, whose target is still to be said.

    Attributes
    ----------
    name : str
        Of its file.
    frame : polars.DataFrame
    path : str
        Where it was opened; empty where a page has sent it.
    """

    name: str
    frame: pl.DataFrame
    path: str = ""

    @classmethod
    def read(cls, path: str | os.PathLike[str], name: str | None = None) -> Table:
        """Read a table from a file.

        Raises
        ------
        ValueError
            It has too many columns, or fewer than two.
        nineline.tables.TableError, OSError
            It is no table, or cannot be read.
        """
        frame = read_table(path)
        name = Path(path).name if name is None else name
        if not 2 <= frame.width <= COLUMNS_AT_MOST:
            raise ValueError(
                f"{name} has {frame.width:,} columns; the playground shows a table of 2 to {COLUMNS_AT_MOST}. Keep the "
                "columns that matter, or train on all of them with nineline train"
            )
        return cls(name, frame, str(path))

    @classmethod
    def of_bytes(cls, name: str, content: bytes) -> Table:
        """Read a table from the bytes of a file, which its name's ending describes.

        Raises
        ------
        ValueError, nineline.tables.TableError
            It is too large, or no table.
        """
        if len(content) > BYTES_AT_MOST:
            raise ValueError(
                f"{name} has {len(content) / 1e6:,.0f} MB; the playground takes {BYTES_AT_MOST / 1e6:,.0f} MB at most. "
                "Train on the whole of it with nineline train"
            )
        ending = "".join(Path(name).suffixes[-2:])
        _check_unpacked(name, content)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"table{ending if ending.isascii() and len(ending) < 20 else ''}"
            path.write_bytes(content)
            try:
                return cls.read(path, name)._replace(path="")
            except ValueError as error:
                raise ValueError(str(error).replace(str(path), name)) from None

    def describe(self) -> dict[str, Any]:
        """Return what a page shows before the target is chosen."""
        columns = [{"name": name, "kind": str(dtype)} for name, dtype in self.frame.schema.items()]
        return {"name": self.name, "rows": len(self.frame), "columns": columns, "suggested": self.frame.columns[-1]}

    def data(self, settings: DataSettings) -> Data:
        """Return its rows, ready to be learned from.

        Raises
        ------
        ValueError
            There is no such target, or it cannot be learned.
        """
        target = settings.target
        if target not in self.frame.columns:
            raise ValueError(
                f"target is {_checks.quoted(target)}, no column of {self.name}"
                f"{_checks.nearest(target, self.frame.columns)}"
            )
        frame = self.frame.drop_nulls(target)
        notes = [f"{len(self.frame) - len(frame):,} rows without a target were left out."] * (
            len(frame) < len(self.frame)
        )
        if len(frame) > ROWS_AT_MOST:
            notes.append(f"Of the {len(frame):,} rows of the table {ROWS_AT_MOST:,} are taken.")
            frame = frame[evenly_spaced(len(frame), ROWS_AT_MOST)]
        if len(frame) < 4:
            raise ValueError(f"{self.name} has {len(frame)} rows with a target; expected 4 or more")
        return _data(nw.from_native(frame, eager_only=True), settings, notes, self.path or self.name)


def _check_unpacked(name: str, content: bytes) -> None:
    """Raise ValueError where a packed file would become too large."""
    import polars as pl

    large = f"{name} becomes too large when it is unpacked; train on the whole of it with nineline train"
    try:
        if content[:2] == b"\x1f\x8b":
            with gzip.GzipFile(fileobj=io.BytesIO(content)) as packed:
                if len(packed.read(BYTES_AT_MOST + 1)) > BYTES_AT_MOST:
                    raise ValueError(large)
        elif content[:4] == b"\x28\xb5\x2f\xfd":
            raise ValueError(f"{name} is packed by zstd; unpack it first, or train on it with nineline train")
        elif content[:4] == b"PAR1" or content[:6] == b"ARROW1":
            scan = pl.scan_parquet if content[:4] == b"PAR1" else pl.scan_ipc
            frame = scan(io.BytesIO(content))
            cells = frame.select(pl.len()).collect().item() * len(frame.collect_schema())
            if cells > BYTES_AT_MOST:
                raise ValueError(large)
    except (EOFError, OSError, zlib.error, pl.exceptions.PolarsError):
        return  # it is cut short, or no such file: whoever reads it says so


def prepared(
    path: str | os.PathLike[str], target: str, *, test: float = 0.3, seed: int = 0
) -> tuple[Numbers, Numbers, Numbers, Numbers]:
    r"""Return a table as a playground learns from it: X, y, X_test, y_test.

    Numbers are scaled robustly, categories become one input for each level; what is learned for that is learned from
    the rows that are not held out. A target of two classes is 0 and 1, of more one column for each, a number is scaled.

    Parameters
    ----------
    path : path
        As `nineline.tables.read_table` takes it.
    target : str
        The column to be predicted.
    test : float
        The share of rows that is held out, 0 to 0.9.
    seed : int
        Which rows they are.

    Raises
    ------
    ValueError
        There is no such column, or nothing to be learned.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from nineline.interactive.table import prepared
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "flats.csv"
    ...     _ = path.write_text("area,rent\n55,low\n80,high\n61,low\n95,high\n48,low\n77,high\n")
    ...     X, y, X_test, y_test = prepared(path, "rent")
    >>> X.shape, y.shape, y_test.shape
    ((4, 1), (4, 1), (2, 1))
    """
    settings = DataSettings(kind="table", name=Path(path).name, target=target, test=test, seed=seed)
    data = Table.read(path).data(settings)
    X_test, y_test = (data.inputs[data.test], data.targets[data.test])
    return *data.train, X_test, y_test


def _data(frame: nw.DataFrame[Any], settings: DataSettings, notes: list[str], name: str) -> Data:
    target = frame.get_column(settings.target)
    task, _ = decide_task(target)
    seed = settings.seed
    test = held_out_rows(len(frame), settings.test, seed)
    rest = frame.drop(settings.target)
    learned = rest.filter((~test).tolist())
    columns = _drawable(Columns.learn(learned), learned, notes)
    rest = rest.select([column.name for column in columns.used])
    classes: tuple[str, ...] = ()
    unscale: Callable[[Array], Array] = np.asarray
    output_names = [settings.target]
    if task == CLASSIFICATION:
        texts = texts_of(target)
        y = np.array([str(value) for value in texts.values])[_codes(texts)]
        kept = Classes.learn(y)
        targets, classes = kept.encode(y), tuple(map(str, kept.classes))
        output_names = [f"{settings.target} = {classes[1]}"] if len(classes) == 2 else list(classes)
    else:
        numbers = numbers_of(target)
        assert numbers is not None
        scaling = TargetScaling.learn(numbers[~test])
        targets = scaling.targets(numbers)
        unscale = partial(_unscaled, scaling)
        notes.append(
            f"Within the network {settings.target} is scaled to mean 0 and standard deviation 1, and so in formulas."
        )
    check_size(columns.width, targets.shape[1])
    return Data(
        task="classes" if task == CLASSIFICATION else "number",
        inputs=columns.encode(rest),
        targets=targets.astype(np.float64),
        test=test,
        columns=tuple(_column(column, rest.get_column(column.name)) for column in columns.used),
        input_names=tuple(label for column in columns.used for label in _labels(column)),
        output_names=tuple(output_names),
        encode=lambda values: columns.encode(_frame(columns, values)),
        code=(
            "from nineline.interactive.table import prepared",
            "",
            f"X, y, X_test, y_test = prepared({name!r}, {settings.target!r}, test={settings.test!r}, seed={seed})",
        ),
        notes=tuple(notes),
        classes=classes,
        unscale=unscale,
    )


def _drawable(columns: Columns, frame: nw.DataFrame[Any], notes: list[str]) -> Columns:
    """Return the columns that can be axes: numbers, categories, and what is true or false; say which are left out."""
    kinds = (Number, Category, Boolean)
    used = [each.name for each in columns.used if isinstance(each, kinds) and not isinstance(each, EmbeddedCategory)]
    gone = {each.name: each.reason for each in columns.dropped}
    gone |= {each.name: f"a column of {each.phrase} is no axis" for each in columns.used if each.name not in used}
    if gone:
        notes.append("Left out: " + "; ".join(f"{name} ({reason})" for name, reason in list(gone.items())[:8]) + ".")
    if not used:
        raise ValueError(f"no column can be learned from: {notes[-1]}")
    return columns if len(used) == len(columns.used) else Columns.learn(frame.select(used))


def _levels(column: Column) -> tuple[str, ...]:
    """Return the levels of an axis; none where it is one of numbers."""
    if isinstance(column, Number):
        return ()
    levels = column.levels if isinstance(column, Category) else ("false", "true")
    rare = (_OTHER,) if isinstance(column, Category) and column.rare else ()
    return (*levels, *rare, *((_MISSING,) if column.missing else ()))


def _labels(column: Column) -> list[str]:
    """Return what the inputs that a column becomes are called."""
    if isinstance(column, Category) and column.own_width > 1:
        own = [f"{column.name} = {level}" for level in _levels(column)][: column.own_width]
    elif isinstance(column, Category):
        own = [f"{column.name} = {column.levels[-1]}"]
    else:
        own = [column.name]
    return [*own, *([f"{column.name} missing"] if column.missing else [])]


def _column(column: Column, series: nw.Series[Any]) -> DataColumn:
    levels = _levels(column)
    if not levels:
        numbers = numbers_of(series)
        assert numbers is not None
        known = numbers[np.isfinite(numbers)]
        middle = float(np.median(known)) if len(known) else 0.0
        return DataColumn(column.name, np.where(np.isfinite(numbers), numbers, middle))
    texts = texts_of(series)
    places = {level: place for place, level in enumerate(levels)}
    if isinstance(column, Boolean):
        known_places = [float(text.lower() in TRUE) for text in texts.values]
    else:
        other = places.get(_OTHER, len(levels) - 1)
        known_places = [float(places.get(text, other)) for text in texts.values]
    return DataColumn(column.name, texts.each(known_places, float(len(levels) - 1)), levels)


def _unscaled(scaling: TargetScaling, numbers: Array) -> Array:
    return numbers * scaling.scale + scaling.mean


def _codes(texts: Any) -> Any:
    return texts.each(list(range(len(texts.values))), -1).astype(np.intp)


def _frame(columns: Columns, values: Numbers) -> nw.DataFrame[Any]:
    """Return values of the columns as a table such as they were learned from."""
    import polars as pl

    made: dict[str, pl.Series] = {}
    for column, numbers in zip(columns.used, values.T, strict=True):
        levels = _levels(column)
        if levels:
            said = {_MISSING: None, _OTHER: _UNKNOWN}
            texts = [said.get(level, level) for level in levels]
            made[column.name] = pl.Series([texts[int(place)] for place in numbers], dtype=pl.String)
        else:
            made[column.name] = pl.Series(numbers)
    return nw.from_native(pl.DataFrame(made), eager_only=True)
