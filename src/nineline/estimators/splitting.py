"""Holding rows out: for validation, and for a test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Indices = npt.NDArray[np.intp]


def hold_out(
    rows: int, share: float, rng: np.random.Generator, classes: npt.NDArray[Any] | None = None
) -> tuple[Indices, Indices]:
    """Return the rows kept and the rows held out, drawn at random, both in ascending order.

    Parameters
    ----------
    rows : int
    share : float
        In (0, 1): how much is held out.
    rng : numpy.random.Generator
    classes : array, (rows,), optional
        Then every class is held out in the same share, and each class keeps at least one row.

    Examples
    --------
    >>> import numpy as np
    >>> from nineline.estimators.splitting import hold_out
    >>> kept, out = hold_out(10, 0.2, np.random.default_rng(0), classes=np.array([0, 1] * 5))
    >>> len(kept), len(out)
    (8, 2)
    """
    groups = [np.arange(rows)] if classes is None else [np.flatnonzero(classes == c) for c in np.unique(classes)]
    out = np.sort(np.concatenate([_some_of(group, share, rng) for group in groups]))
    return np.setdiff1d(np.arange(rows), out), out


def _some_of(group: Indices, share: float, rng: np.random.Generator) -> Indices:
    exact = share * len(group)
    number = int(exact) + (rng.random() < exact - int(exact))  # rounded at random, so that shares add up
    return rng.permutation(group)[: min(number, len(group) - 1)]
