"""Predictions for a table that is read piece by piece, written piece by piece."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from nineline.tables.sinks import TableSink
from nineline.tables.sources import TableSource

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

    import numpy.typing as npt


def predictions(
    model: Any, tables: Any, *, proba: bool = False, ending: str | None = None, dtype: npt.DTypeLike = np.float64
) -> Iterator[pl.DataFrame]:
    """Yield what a fitted estimator predicts for the rows of a table, in their order, piece by piece.

    Parameters
    ----------
    model : TabularClassifier or TabularRegressor
    tables
        As `TableSource.of` takes them. Columns that the model does not use may be there, or lack.
    proba : bool
        Also the probability of each class, or label.
    ending : str, optional
        What files are, whatever their names.
    dtype : dtype
        In which the networks compute: float64 or float32.

    Raises
    ------
    nineline.tables.TableError
        A file is no table.
    ValueError
        A column that the model uses is not there.
    """
    model = _computing_in(model, np.dtype(dtype))
    given = tables if isinstance(tables, TableSource) else None
    source = given or TableSource.of(tables, text_columns=model.columns_.text_names, ending=ending)
    model.columns_.require(source.schema)
    needed = [column.name for column in model.columns_.used if column.name in source.schema]
    for piece in source.select(needed).pieces():
        yield _answered(model, piece, proba=proba)


def predict_to(
    model: Any,
    tables: Any,
    path: str | os.PathLike[str],
    *,
    proba: bool = False,
    ending: str | None = None,
    dtype: npt.DTypeLike = np.float64,
) -> None:
    """Write what `predictions` yields to a file, in memory that does not grow with the table.

    Raises
    ------
    nineline.tables.TableError
        The ending of `path` says no format.
    OSError
        It cannot be written; what lay there before is untouched.
    """
    pieces = predictions(model, tables, proba=proba, ending=ending, dtype=dtype)
    first = next(pieces)
    with TableSink(path, first.schema) as sink:
        for piece in itertools.chain([first], pieces):
            sink.write(piece)


def _computing_in(model: Any, dtype: np.dtype[Any]) -> Any:
    """Return a fitted estimator whose networks compute in a dtype."""
    if dtype not in (np.float64, np.float32):
        raise ValueError(f"dtype is {dtype}; expected float64 or float32")
    if model.network_.dtype == dtype:
        return model
    kind: Any = type(model)
    twin = kind.__new__(kind)
    vars(twin).update(vars(model))
    twin.network_ = model.network_.astype(dtype)
    return twin


def _answered(model: Any, piece: pl.DataFrame, *, proba: bool) -> pl.DataFrame:
    """Return a table of predictions."""
    rows = model.select(piece)
    names = model.target_names_
    if not hasattr(model, "predict_proba"):
        return pl.DataFrame(_by_name(names, model.predict(rows)))
    shares = model.predict_proba(rows)
    answers = _by_name(names, model.target_.predicted(shares))
    if proba:
        several = len(names) > 1  # labels, each with its own probability
        of = names if several else pl.Series(model.classes_.tolist()).cast(pl.String)  # as the answers are written
        answers |= {f"probability of {name}": shares[:, i] for i, name in enumerate(of)}
    return pl.DataFrame(answers)


def _by_name(names: list[str], predicted: npt.NDArray[Any]) -> dict[str, Any]:
    """Return the columns of predictions, (rows,) or (rows, outputs), by their names."""
    return dict(zip(names, predicted.reshape(len(predicted), -1).T, strict=True))
