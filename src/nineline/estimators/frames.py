"""What `fit` and `predict` are given, as one kind of table: any DataFrame through narwhals, or an array."""

from __future__ import annotations

from numbers import Number
from typing import TYPE_CHECKING, Any

import narwhals as nw
import numpy as np
from sklearn.utils.validation import check_array, validate_data

from nineline import _checks
from nineline.tables.series import is_missing, text_of

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator


def as_frame(estimator: BaseEstimator, X: Any, *, fitting: bool) -> tuple[nw.DataFrame[Any], bool]:
    """Return a table, and whether its columns have names of their own.

    Sets or checks ``n_features_in_`` and ``feature_names_in_`` as scikit-learn does. The columns of an array are
    called x0, x1, ...; an array of objects is taken apart column by column.

    Raises
    ------
    ValueError, TypeError
        No table of two dimensions with at least one row and one column; the columns are not those of `fit`.
    """
    frame = nw.from_native(X, eager_only=True, pass_through=True)
    if isinstance(frame, nw.DataFrame):
        validate_data(estimator, X, reset=fitting, skip_check_array=True)
        if len(frame) == 0 or not frame.columns:
            raise ValueError(
                f"X is empty: Found array with {len(frame)} sample(s) and {len(frame.columns)} feature(s) "
                "while a minimum of 1 is required."
            )
        return frame.rename({name: str(name) for name in frame.columns}), True
    array = validate_data(estimator, X, reset=fitting, dtype=None, ensure_all_finite=False)
    if array.dtype.kind == "m":
        raise TypeError("X holds durations; expected numbers, text or dates: make them numbers first")
    if array.dtype.kind == "M":
        array = array.astype("datetime64[us]")
    elif array.dtype.kind not in "OUS":
        array = check_array(array, dtype=np.float64, ensure_all_finite=False)
    columns = {f"x{i}": _plain(array[:, i]) for i in range(array.shape[1])}
    return nw.from_dict(columns, backend="polars"), False


def _plain(column: np.ndarray[Any, Any]) -> Any:
    """Return a column of objects as numbers where all of it is, else as text, with None for missing."""
    if column.dtype.kind not in "OUS":
        return np.ascontiguousarray(column)
    values = column.tolist()
    for value in values:
        if not is_missing(value) and not isinstance(value, (str, bytes, Number)):
            raise TypeError(f"X holds {_checks.quoted(value)}; a value's argument must be a string or a real number")
    missing = [is_missing(value) for value in values]
    if all(gone or isinstance(value, Number) for value, gone in zip(values, missing, strict=True)):
        return np.array([np.nan if gone else value for value, gone in zip(values, missing, strict=True)], float)
    return [None if gone else text_of(value) for value, gone in zip(values, missing, strict=True)]
