"""The one array type the library speaks: floating-point NumPy arrays, rows first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[np.floating[Any]]
"""A float32 or float64 array; data are (rows, features)."""

if TYPE_CHECKING:
    RandomSource: TypeAlias = int | np.random.Generator | None
"""What `rng=` takes: a seed, a generator, or None for NumPy's global state (`numpy.random.seed`)."""
