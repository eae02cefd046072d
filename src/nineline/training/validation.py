"""Validation data as users pass them: a pair or three of arrays, or a share of the rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nineline import _checks
from nineline.rows import Compact, arrays_of

if TYPE_CHECKING:
    from nineline.sources import Source


def given(validation: float | tuple[Any, ...]) -> tuple[Any, Any, Any] | None:
    """Return inputs, outputs and sample weights where they are given; None where a share is."""
    if not isinstance(validation, (tuple, list)):
        return None
    if len(validation) not in (2, 3):
        raise ValueError(
            f"validation has {len(validation)} parts; expected (inputs, outputs) or (inputs, outputs, sample_weight)"
        )
    return validation[0], validation[1], validation[2] if len(validation) == 3 else None


def held_out(validation: Any, rows: int) -> int:
    """Return how many of so many rows a share holds out, or raise."""
    share = _checks.number("validation", validation, low=0, high=1, low_open=True, high_open=True)
    held = round(share * rows)
    if not 0 < held < rows:
        raise ValueError(
            f"validation is {share:g} of {rows} rows, which leaves {held} for validation and "
            f"{rows - held} for training; give more rows or (inputs, outputs) of its own"
        )
    return held


def as_arrays(validation: float | tuple[Any, ...] | Source | None) -> object:
    """Return validation data as arrays, of which there are digests, and a share or a source as it is."""
    if isinstance(validation, (tuple, list)):
        return tuple(_arrays(part) for part in validation)
    return validation


def _arrays(part: Any) -> Any:
    if isinstance(part, Compact):
        return arrays_of(part)
    if hasattr(part, "tocsr"):
        matrix = part.tocsr()
        return matrix.data, matrix.indices, matrix.indptr
    return np.asarray(part)
