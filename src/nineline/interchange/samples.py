"""Samples: inputs made up from what a model knows, to try its translation on.

A file for strangers must not hold rows of the table that a model was trained on. So a self-test's rows, and those that
the loss by rounding is measured on where no table is given, are drawn from what was learned of every column.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from nineline.ensemble import Ensemble
from nineline.layers import Embedding
from nineline.tables.kinds import Boolean, Category, Date, EmbeddedCategory, Number, Presence
from nineline.tables.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable

    from nineline._typing import Array
    from nineline.network import Network
    from nineline.tables.columns import Columns
    from nineline.tables.contract import Column

EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001  (moments of a table have no zone)
UNSEEN: Final = "never seen in training"
_FIRST, _LAST = datetime(1, 1, 2), datetime(9999, 12, 30)  # noqa: DTZ001


def sample_inputs(rows: int, network: Network | Ensemble) -> Array:
    """Return (rows, n_inputs) standard normal numbers, and levels where an embedding reads them.

    They are always the same, and exact in float32.
    """
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(rows, network.n_inputs)).astype(np.float32).astype(np.float64)
    first = (network.networks[0] if isinstance(network, Ensemble) else network).layers[0]
    if isinstance(first, Embedding):
        inputs[:, : len(first.levels)] = rng.integers(first.levels, size=(rows, len(first.levels)))
    return inputs


def sample_rows(rows: int, columns: Columns) -> dict[str, list[Any]]:
    """Return made-up values by column, as a DataFrame takes them: missing and unseen ones among them.

    Numbers are exact in float32 and moments are whole seconds, so that every translation can be given the same.
    """
    rng = np.random.default_rng(0)
    return {column.name: [_value(column, rng) for _ in range(rows)] for column in columns.used}


def encode(samples: dict[str, list[Any]], columns: Columns) -> Array:
    """Return what the columns make of made-up rows, (rows, width)."""
    import narwhals as nw
    import polars as pl

    schema = {column.name: getattr(pl, _COLUMNS[type(column)].dtype) for column in columns.used}
    return columns.encode(nw.from_native(pl.DataFrame(samples, schema=schema), eager_only=True))


def _value(column: Column, rng: np.random.Generator) -> Any:
    if rng.random() < (0.15 if column.missing else 0.05):
        return None
    return _COLUMNS[type(column)].draw(column, rng)


def _number(column: Number, rng: np.random.Generator) -> float:
    with np.errstate(over="ignore"):
        value = float(np.float32(column.center + column.scale * rng.normal() * rng.choice([1, 1, 1, 30])))
    return value if np.isfinite(value) else float(np.float32(column.center))


def _presence(column: Presence, rng: np.random.Generator) -> float:
    return float(np.float32(rng.normal()))


def _category(column: Category, rng: np.random.Generator) -> str:
    levels = [*column.levels, UNSEEN]
    return levels[int(rng.integers(len(levels)))]


def _text(column: Text, rng: np.random.Generator) -> str:
    words = [*(token.strip("<>") for token in column.tokens), *UNSEEN.split()]
    return " ".join(words[int(place)] for place in rng.integers(len(words), size=int(rng.integers(1, 9))))


def _boolean(column: Boolean, rng: np.random.Generator) -> bool:
    return bool(rng.random() < 0.5)


def _date(column: Date, rng: np.random.Generator) -> datetime:
    days = column.center + column.scale * float(np.clip(rng.normal(), -3, 3))
    days = min(max(days, (_FIRST - EPOCH).days), (_LAST - EPOCH).days)
    return EPOCH + timedelta(seconds=round(days * 86_400))


class _Samples(NamedTuple):
    dtype: str
    """What polars calls the type of such a column."""
    draw: Callable[[Any, np.random.Generator], Any]


_COLUMNS: Final[dict[type[Column], _Samples]] = {
    Number: _Samples("Float64", _number),
    Presence: _Samples("Float64", _presence),
    Category: _Samples("String", _category),
    EmbeddedCategory: _Samples("String", _category),
    Boolean: _Samples("Boolean", _boolean),
    Date: _Samples("Datetime", _date),
    Text: _Samples("String", _text),
}
