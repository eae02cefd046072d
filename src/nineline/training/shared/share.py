"""A process's share of the rows: which of them each batch takes, so that batches of all processes are as asked for."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from nineline.rows import Rows
from nineline.training.loop import Measure, Order
from nineline.training.windows import Cut

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from nineline._typing import Array
    from nineline.training.shared.together import Together


def places(counts: Sequence[int], rank: int) -> npt.NDArray[np.int64]:
    """Return the place of each row of a process among the rows of all, if they lie mixed as evenly as can be.

    Row j of n stands at ``(2 j + 1) / n``, and of those that stand at the same spot the lowest rank comes first: equal
    shares lie in turn.

    Examples
    --------
    >>> places([3, 3], 0), places([3, 3], 1), places([4, 2], 1)
    (array([0, 2, 4]), array([1, 3, 5]), array([1, 4]))
    """
    count = counts[rank]
    spots = 2 * np.arange(count, dtype=np.int64) + 1
    before = np.zeros(count, np.int64)
    for other, many in enumerate(counts):
        # Rows i of the other stand before: (2 i + 1) / many < spot / count, or <= where its rank is lower.
        before += ((spots * many - (other >= rank)) // count + 1) // 2
    return before


class SharedOrder(Order):
    """The rows of this process in batches that all processes take together.

    A batch of all is `batch_size` rows of those of all processes, mixed as `places` says, the last one what is left: of
    each process it has about as large a part as its share is, and none where that is too small. What an epoch takes
    here is padded with -1, which is no row, to batches of one length.

    Parameters
    ----------
    counts : list of int
        How many rows each process has.
    rank : int
    rng : numpy.random.Generator, optional
        That stands alike on all processes. One number is drawn from it for an epoch, and each process's order follows
        from that and its rank.
    """

    def __init__(self, counts: Sequence[int], rank: int, rng: np.random.Generator | None) -> None:
        super().__init__(counts[rank], rng)
        self.counts, self.rank, self.seed = counts, rank, 0
        self.count = sum(counts)
        self._cuts = np.array([0, counts[rank]])

    def cut(self, batch_size: int | None) -> tuple[int, int]:
        size = self.count if batch_size is None else min(batch_size, self.count)
        batches = math.ceil(self.count / size)
        ends = np.minimum(np.arange(batches + 1, dtype=np.int64) * size, self.count)
        self.sizes = np.diff(ends)
        """How many rows each batch of all processes has."""
        self._cuts = np.searchsorted(places(self.counts, self.rank), ends)
        self._size = max(1, int(np.diff(self._cuts).max()))
        return self._size, batches

    @property
    def takes_all(self) -> bool:
        return len(self._cuts) == 2

    def next(self) -> npt.NDArray[Any]:
        self.seed = 0 if self.rng is None else int(self.rng.integers(2**63))
        return self._padded()

    def kept(self, order: npt.NDArray[np.intp]) -> npt.NDArray[np.int64]:
        return np.array([self.seed], np.int64)

    def again(self, kept: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        self.seed = int(kept[0])
        return self._padded()

    def _padded(self) -> npt.NDArray[np.intp]:
        own = self.counts[self.rank]
        order = np.arange(own) if self.rng is None else np.random.default_rng([self.seed, self.rank]).permutation(own)
        return padded(order, np.diff(self._cuts), self._size)

    def cut_windows(self, steps_together: int = 1) -> SharedCut:
        """Return how windows of the rows of this process are cut into the same batches."""
        return SharedCut(self._cuts, self._size, steps_together)


class SharedCut(Cut):
    """How the rows of a process that come in windows are cut into its parts of the batches of all.

    Parameters
    ----------
    cuts : array of int, (batches + 1,)
        Of its rows in an epoch's order, where each of its parts begins, and the last ends.
    size : int
        To so many rows parts are padded with -1.
    steps_together : int
        A window is of whole lots of so many batches, but for the last.
    """

    def __init__(self, cuts: npt.NDArray[np.int64], size: int, steps_together: int) -> None:
        super().__init__(size)
        self._cuts, self._steps_together = cuts, steps_together
        self._done = 0

    def take(self, order: npt.NDArray[np.intp], *, last: bool) -> tuple[int, npt.NDArray[np.intp]]:
        begin = self._cuts[self._done]
        if last and begin + len(order) != self._cuts[-1]:
            raise ValueError(
                f"the source yielded {begin + len(order):,} rows, and says that it has {self._cuts[-1]:,}; processes "
                "have to know how many each has"
            )
        done = len(self._cuts) - 1
        if not last:
            done = int(np.searchsorted(self._cuts, begin + len(order), side="right")) - 1
            done -= (done - self._done) % self._steps_together
        parts = np.diff(self._cuts[self._done : done + 1])
        taken, self._done = int(parts.sum()), done
        return taken, padded(order[:taken], parts, self.batch_size)


def padded(order: npt.NDArray[Any], parts: npt.NDArray[Any], size: int) -> npt.NDArray[np.intp]:
    """Return parts of an order, each padded with -1 to so many rows."""
    found = np.full((len(parts), size), -1, np.intp)
    found[np.arange(size) < parts[:, np.newaxis]] = order
    return found.reshape(-1)


class SharedMeasure(Measure):
    """The loss of an epoch from those of its batches, weighted as the rows of all processes are."""

    def __init__(self, rows: Rows, reduction: str, order: SharedOrder, together: Together, weighted: bool) -> None:
        super().__init__(rows, reduction)
        self._order, self._together, self._weighted = order, together, weighted

    def of_epoch(self, losses: npt.NDArray[np.float64], order: npt.NDArray[np.intp], batch_size: int) -> Any:
        if self.reduction == "sum":
            return losses.sum()
        shares = self._order.sizes.astype(np.float64)
        if self._weighted:
            here = np.ones(self._order.counts[self._order.rank]) if self.weight is None else self.weight
            shares = self._together.sum_of(shares_of_padded(here, order, batch_size))
        return losses @ shares / shares.sum()


def shares_of_padded(weight: Array, order: npt.NDArray[np.intp], size: int) -> npt.NDArray[np.float64]:
    """Return the weight of each batch of a padded order, (batches,)."""
    shares: npt.NDArray[np.float64] = np.append(weight, 0.0)[order].reshape(-1, size).sum(axis=1)
    return shares


def no_rows(n_inputs: int, n_outputs: int, dtype: np.dtype[np.floating[Any]]) -> Rows:
    """Return the share of a process that has nothing."""
    return Rows(np.empty((0, n_inputs), dtype), np.empty((0, n_outputs), dtype))


def is_empty(data: Sequence[Any]) -> bool:
    """Return whether there are no rows in inputs, outputs and weights, or none that counts."""
    inputs, outputs, weight = data
    shape = getattr(inputs, "shape", None)
    count = shape[0] if shape else len(inputs)
    without = weight is not None and count > 0 and not np.any(weight)
    return without or (count == 0 and len(outputs) == 0)
