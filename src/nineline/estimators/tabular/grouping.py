"""Grouping: whole groups of rows dealt out to places on a circle, as equally as their sizes allow."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Indices = npt.NDArray[np.intp]
    Numbers = npt.NDArray[np.float64]

_ARCS: Final = 16  # into which the circle is cut at most, where no smaller share is held out than one of them


def places_of_groups(
    group: npt.NDArray[Any], kind: npt.NDArray[Any], rows: npt.NDArray[Any], share: float, rng: np.random.Generator
) -> tuple[Numbers, float]:
    """Give every group a place on a circle of length 1, so that equal arcs have about equally many rows.

    The circle is cut into equal arcs, no more than there are groups. The largest group comes first, those of one size
    in an order drawn at random, and each goes where the fewest rows of its classes are, and of all. A group that alone
    has a class is on none: who holds it out could not learn that class. Nor is one that has more than half of the rows.

    Parameters
    ----------
    group, kind, rows : array of int, (entries,)
        How many rows of each class each group has, as `counted` says: group and class are numbers.
    share : float
        In (0, 1): of the rows that are to be on an arc that is held out.
    rng : numpy.random.Generator

    Returns
    -------
    places : array, (groups,)
        In [0, 1), the middle of an arc; NaN for none.
    share : float
        As near to the one that was asked for as whole arcs are.

    Raises
    ------
    ValueError
        No group can be held out, or there is one group only.

    Examples
    --------
    >>> import numpy as np
    >>> from nineline.estimators.tabular.grouping import counted, places_of_groups
    >>> groups = np.repeat(np.arange(4), [6, 3, 2, 1])
    >>> places_of_groups(*counted(groups, None), 0.5, np.random.default_rng(0))
    (array([0.25, 0.75, 0.75, 0.75]), 0.5)

    References
    ----------
    Graham (1969), Bounds on multiprocessing timing anomalies: the largest first, and each where the least is.
    """
    count, most, all_rows = int(group.max()) + 1, int(kind.max()) + 1, rows.sum()
    if count < 2:
        raise ValueError("groups has one group only; expected at least two, so that one can be held out")
    sizes = np.bincount(group, rows)
    needed = sizes > all_rows / 2
    if most > 1:
        needed[group[(np.bincount(kind) == 1)[kind]]] = True
    free = np.flatnonzero(~needed)
    if not len(free):
        raise ValueError(
            "groups has no group that can be held out: each has a class of y that no other has, or more than half of "
            "the rows; give groups that have some classes in common, or leave groups out"
        )
    arcs, held = _arcs(share, len(free), all_of_them=bool(needed.any()))
    order = rng.permutation(free)
    order = order[np.argsort(-sizes[order], kind="stable")]
    ends = np.searchsorted(group, np.arange(count + 1)).tolist()
    shares = rows / np.bincount(kind, rows)[kind]
    filled, total = np.zeros((most, arcs)), np.zeros(arcs)
    places = np.full(count, np.nan)
    for each in order.tolist():
        its = slice(ends[each], ends[each + 1])
        arc = int((shares[its] @ filled[kind[its]] + total * sizes[each]).argmin())
        filled[kind[its], arc] += shares[its]
        total[arc] += sizes[each] / all_rows**2
        places[each] = (arc + 0.5) / arcs
    return places, held / arcs


def counted(
    groups: npt.NDArray[Any], classes: npt.NDArray[Any] | None
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return each group, in ascending order, with each class that it has, and the number of its rows of that class.

    Examples
    --------
    >>> import numpy as np
    >>> from nineline.estimators.tabular.grouping import counted
    >>> counted(np.array([0, 1, 1, 1]), np.array([5, 2, 5, 5]))
    (array([0, 1, 1]), array([5, 2, 5]), array([1, 1, 2]))
    """
    kinds = np.zeros(len(groups), np.int64) if classes is None else classes.astype(np.int64)
    most = int(kinds.max()) + 1
    pairs, rows = np.unique(groups.astype(np.int64) * most + kinds, return_counts=True)
    return pairs // most, pairs % most, rows


def _arcs(share: float, groups: int, *, all_of_them: bool) -> tuple[int, int]:
    """Return how many arcs there are, no more than groups, and how many of them a member holds out.

    `all_of_them` says that it may be all, since there are groups beside these.
    """
    most = min(groups, max(_ARCS, round(1 / min(share, 1 - share))))
    nearest = Fraction(share).limit_denominator(most)
    if 0 < nearest < 1:
        return nearest.denominator, nearest.numerator
    if nearest == 0:
        return most, 1
    return most, most if all_of_them else most - 1
