"""What `fit` is given as a target, checked: a column, or several side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d

from nineline import _checks
from nineline.tables.series import is_missing
from nineline.tables.several_targets import NamedAnswers, listed

if TYPE_CHECKING:
    import numpy.typing as npt

    from nineline.tables.targets import Target


def names_of(y: Any, array: npt.NDArray[Any]) -> list[str] | None:
    """Return the names of a target's columns, made up where they have none; None of a single column.

    `array` is what `numbers_of` or `classes_of` made of it.

    Raises
    ------
    ValueError
        Two columns have the same name.

    Examples
    --------
    >>> import numpy as np
    >>> from nineline.estimators.tabular.given_targets import names_of
    >>> table = np.zeros((3, 2))
    >>> names_of(table, table)
    ['target_0', 'target_1']
    """
    if array.ndim == 1:
        return None
    if not hasattr(y, "columns"):
        return [f"target_{number}" for number in range(array.shape[1])]
    names = [str(name) for name in getattr(y, "column_names", y.columns)]  # pyarrow's columns are arrays
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"y has two columns {twice!r}; expected a name of its own for each")
    return names


def name_of(y: Any, names: list[str] | None) -> str:
    """Return what a target is called: a Series by its name, of several columns the first of their names."""
    if names is None:
        return str(getattr(y, "name", None) or "target")
    if not hasattr(y, "columns"):
        return "target"
    return ", ".join(names) if len(names) <= 3 else f"{names[0]}, {names[1]} and {len(names) - 2} more"


def numbers_of(y: Any) -> npt.NDArray[np.float64]:
    """Return a regressor's target, (rows,) or (rows, outputs).

    Raises
    ------
    ValueError, TypeError
        A value is missing, no number, or not finite.
    """
    array = _array(y)
    if array.ndim == 1:
        return _column_of_numbers(array, "y")
    columns = range(array.shape[1])
    return np.column_stack([_column_of_numbers(array[:, number], _called(number)) for number in columns])


def classes_of(y: Any) -> npt.NDArray[Any]:
    """Return a classifier's target: classes, (rows,), or which labels are there, (rows, labels), 0 and 1.

    Raises
    ------
    ValueError, TypeError
        A value is missing, or they are no classes.
    """
    array = _array(y)
    if array.ndim == 1:
        return _column_of_classes(array)
    for number in range(array.shape[1]):
        refuse_missing(array[:, number], _called(number))
    try:
        labels = array.astype(np.float64)
    except (TypeError, ValueError):
        labels = np.full(array.shape, np.nan)  # text, say
    if not np.isin(labels, (0, 1)).all():
        held = _checks.quoted(array[~np.isin(labels, (0, 1))].tolist()[0])
        raise ValueError(
            f"y has {array.shape[1]} columns and holds {held}, so it is multiclass-multioutput; expected one column of "
            "classes, or columns of labels that are 0 or 1. Fit a classifier for each column "
            "(sklearn.multioutput.MultiOutputClassifier), or make columns of 0 and 1 of the classes"
        )
    return labels.astype(np.int64)


def refuse_missing(y: npt.NDArray[Any], what: str = "y") -> None:
    """Raise ValueError where a target, (rows,), is missing."""
    if y.dtype.kind == "f":
        missing = np.flatnonzero(np.isnan(y))
    elif y.dtype.kind in "iubUS":
        return
    else:
        missing = np.flatnonzero([is_missing(value) for value in y.tolist()])
    if len(missing):
        raise ValueError(
            f"{what} is missing (NaN or None) in {len(missing)} of {len(y)} rows, first in row {missing[0]}; "
            "drop these rows first: Input y contains NaN"
        )


def check_columns(y: npt.NDArray[Any], target: Target) -> None:
    """Raise ValueError where a target of other rows has other columns than the one that was learned."""
    names = target.names if isinstance(target, NamedAnswers) else None
    expected = 1 if names is None else len(names)
    given = 1 if y.ndim == 1 else y.shape[1]
    if given != expected:
        columns = "one column" if names is None else f"{expected} columns: {listed(names)}"
        raise ValueError(f"y has {given} columns; expected what the model has learned, {columns}")


def _array(y: Any) -> npt.NDArray[Any]:
    """Return a target as an array; a column of shape (rows, 1) is one of shape (rows,), with scikit-learn's warning."""
    if hasattr(y, "toarray"):
        raise TypeError("y is a sparse matrix; pass a dense array: y.toarray()")
    array = np.asarray(y)
    if array.ndim == 2 and array.shape[1] > 1:
        return array
    column: npt.NDArray[Any] = column_or_1d(array, warn=True)
    return column


def _called(number: int) -> str:
    return f"column {number} of y"


def _column_of_numbers(array: npt.NDArray[Any], what: str) -> npt.NDArray[np.float64]:
    refuse_missing(array, what)
    if array.dtype.kind in "USOmM":
        try:
            array = array.astype(np.float64)
        except (TypeError, ValueError):
            held = _checks.quoted(array[:1].tolist()[0])
            expected = "a regressor needs numbers (for classes use TabularClassifier)"
            raise ValueError(f"{what} holds {held}; {expected}") from None
    return _checks.as_float(what, array, np.dtype(np.float64)).astype(np.float64, copy=False)


def _column_of_classes(labels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    refuse_missing(labels)
    if labels.dtype.kind not in "USOiufb" or (labels.dtype.kind == "f" and labels.dtype.itemsize > 8):
        raise TypeError(f"y holds values of dtype {labels.dtype}; expected text, whole numbers or booleans as classes")
    if labels.dtype.kind == "f" and np.isinf(labels).any():
        raise ValueError("y holds infinity; expected classes")
    check_classification_targets(labels)
    return labels
