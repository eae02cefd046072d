"""Windows: the rows of a source in parts that fit the memory, filled from several places and mixed."""

from __future__ import annotations

import itertools
import warnings
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import TYPE_CHECKING, Any, Final, TypeVar

import numpy as np

from nineline.optimizers import LevenbergMarquardt
from nineline.rows import Rows
from nineline.sources import Source, streams_of_share

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt

    from nineline.training.plan import Plan
    from nineline.training.trainer import Trainer

T = TypeVar("T")

PLACES: Final = 16
"""From so many streams of a source a window is filled at once."""
_SHARE: Final = 4  # a window is learned from while another is read, and put together out of its pieces
_SORTED: Final = 0.02  # of the variance of the targets, that between windows: with rows in random order next to nothing


class Windows:
    """The rows of a source in windows of bounded size: mixed to learn from, or as they come to be judged by.

    Where all rows fit one window, they are read once and stay.

    Parameters
    ----------
    source : Source
    check : function
        Takes a piece, and returns it as Rows, or raises.
    seed : int
        Of the order of the rows.
    share : (int, int)
        Of several processes that read one source, the number of this one, from 0, and how many they are; see
        `nineline.sources.streams_of_share`.
    none : Rows, optional
        No rows, where it is all right that there are none.
    """

    def __init__(
        self,
        source: Source,
        check: Callable[..., Rows],
        seed: int = 0,
        *,
        share: tuple[int, int] = (0, 1),
        none: Rows | None = None,
    ) -> None:
        self.source, self.check, self.none = source, check, none
        self.seeds = [seed]
        self.rows = source.rows if share[1] == 1 else None
        """How many there are, as soon as that is known."""
        self.weight: float | None = None
        """What they weigh together, as soon as that is known."""
        self.whole: Rows | None = None
        """All rows, where they fit one window."""
        self._streams, self._every = streams_of_share(source.streams, share)

    def __len__(self) -> int:
        if self.rows is None:
            self._go_through()
        assert self.rows is not None
        return self.rows

    def weigh(self, which: None = None) -> float:
        """Return the sum of the weights of all rows."""
        if self.weight is None:
            self._go_through()
        assert self.weight is not None
        return self.weight

    def _go_through(self) -> None:
        for _ in self.in_order():
            pass

    def in_order(self) -> Iterator[Rows]:
        """Yield the rows as they come, window by window."""
        yield from self._windows(None)

    def of_epoch(self, epoch: int, cut: Cut, *, shuffle: bool) -> Iterator[tuple[Rows, npt.NDArray[np.intp]]]:
        """Yield windows, and the order in which an epoch takes the rows of each, batch by batch.

        But for the last window an order is of whole batches: what is left over goes into the next window. Where the
        rows are shuffled, it depends on the source, its memory, the seeds and the number of the epoch alone.
        """
        rng = np.random.default_rng([*self.seeds, epoch, 0]) if shuffle else None
        draw = np.random.default_rng([*self.seeds, epoch, 1]).permutation if shuffle else np.arange
        variance = _Variance()
        left: Rows | None = None
        for window, last in _with_last(self._windows(rng)):
            if shuffle and epoch == 0:
                variance.see(window)
            rows = window if left is None else Rows.joined([left, window])
            order: npt.NDArray[np.intp] = draw(len(rows))
            taken, batches = cut.take(order, last=last)
            left = None if last else rows.part(order[taken:])
            if len(batches):
                yield rows, batches
        if self.none is not None and self.rows == 0:
            yield self.none, cut.take(np.arange(0), last=True)[1]
        if variance.share > _SORTED + variance.chance:
            self._warn(variance)

    def _warn(self, variance: _Variance) -> None:
        warnings.warn(
            f"the rows of this source are sorted: {variance.share:.0%} of the variance of their targets is between "
            f"windows, of which {self.rows:,} rows made {variance.windows}, and only the rows of a window are mixed. "
            f"Write them in random order, split them over more streams, or give more memory ({self.source.memory:,} "
            "bytes)",
            stacklevel=3,
        )

    def _windows(self, rng: np.random.Generator | None) -> Iterator[Rows]:
        """Yield the rows in windows, drawn from several streams at once by `rng`, or one stream after the other."""
        if self.whole is not None:
            yield self.whole
            return
        count, number, weight = 0, 0, 0.0
        for rows in _ahead(lambda stop: self._filled(rng, stop)):
            number, count, weight = number + 1, count + len(rows), weight + rows.weigh()
            yield rows
        if count == 0 and self.none is None:
            before = f"and had {self.rows:,} before" if self.rows else "and an epoch needs one"
            raise ValueError(
                f"the source yielded no rows, {before}; what it reads is empty, or is an iterator that can be gone "
                "through only once where a function that returns a new one is needed"
            )
        self.rows, self.weight = count, weight
        if number == 1:
            self.whole = rows

    def _filled(self, rng: np.random.Generator | None, stop: Event) -> Iterator[Rows]:
        most = self.source.memory // _SHARE
        parts: list[tuple[int, int, Rows]] = []
        size, only = 0, True
        for piece in self._pieces(rng):
            if stop.is_set():
                return
            if parts and size + piece[2].nbytes > most:
                yield Rows.joined([rows for _, _, rows in parts])
                parts, size, only = [], 0, False
            parts.append(piece)
            size += piece[2].nbytes
        if only:  # what stays lies in the order of the source, whichever epoch read it
            parts.sort(key=lambda piece: piece[:2])
        if parts:
            yield Rows.joined([rows for _, _, rows in parts])

    def _pieces(self, rng: np.random.Generator | None) -> Iterator[tuple[int, int, Rows]]:
        """Yield stream, number and rows of each piece."""
        waiting = list(self._streams)[::-1] if rng is None else rng.permutation(self._streams).tolist()
        places: list[Iterator[tuple[int, int, Rows]]] = []
        at_once = 1 if rng is None else PLACES
        while waiting or places:
            while waiting and len(places) < at_once:
                places.append(self._stream(waiting.pop()))
            number = 0 if rng is None else int(rng.integers(len(places)))
            piece = next(places[number], None)
            if piece is None:
                del places[number]
            else:
                yield piece

    def _stream(self, stream: int) -> Iterator[tuple[int, int, Rows]]:
        first, step = self._every
        for number, piece in enumerate(self.source.open(stream)):
            if not isinstance(piece, tuple | list) or len(piece) not in (2, 3):
                raise TypeError(
                    f"piece {number} of stream {stream} of the source is {type(piece).__name__}; expected (inputs, "
                    "outputs) or (inputs, outputs, sample_weight)"
                )
            if not len(piece[1]):
                continue
            rows = self.check(*piece, of_piece=f"piece {number} of stream {stream}: ")
            if step > 1:
                every = np.arange(first, len(rows), step)
                first = (first - len(rows)) % step
                rows = rows.part(every)
            if len(rows):
                yield stream, number, rows


class Cut:
    """How the rows of an epoch that come in windows are cut into batches: of one size, the last of what is left.

    Parameters
    ----------
    batch_size : int
    """

    def __init__(self, batch_size: int) -> None:
        self.batch_size = batch_size

    def take(self, order: npt.NDArray[np.intp], *, last: bool) -> tuple[int, npt.NDArray[np.intp]]:
        """Return how many rows of an order make whole batches, all of the last one, and the order of these batches."""
        taken = len(order) if last else len(order) // self.batch_size * self.batch_size
        return taken, order[:taken]


class _Variance:
    """How much of the variance of the targets is between windows, whatever their scale: 0 to 1."""

    def __init__(self) -> None:
        self.windows = 0
        self.counts: list[int] = []
        self.means: list[npt.NDArray[np.float64]] = []
        self.squares: list[npt.NDArray[np.float64]] = []

    def see(self, rows: Rows) -> None:
        targets: Any = rows.targets.astype(np.float64).reshape(len(rows), -1)
        self.windows += 1
        self.counts.append(len(rows))
        self.means.append(targets.mean(axis=0))
        self.squares.append(((targets - self.means[-1]) ** 2).sum(axis=0))

    @property
    def share(self) -> float:
        if self.windows < 2:
            return 0.0
        counts, means = np.array(self.counts, np.float64)[:, np.newaxis], np.array(self.means)
        mean = (counts * means).sum(axis=0) / counts.sum()
        between = (counts * (means - mean) ** 2).sum(axis=0)
        total = between + np.sum(self.squares, axis=0)
        return float(np.divide(between, total, out=np.zeros_like(total), where=total > 0).max())

    @property
    def chance(self) -> float:
        """How much it may be by chance: the mean of a beta distribution and six of its standard deviations."""
        between, rows = max(self.windows - 1, 0), max(sum(self.counts), 2)
        return (between + 6 * (2 * between) ** 0.5) / (rows - 1)


def check_source(
    trainer: Trainer, data: tuple[Any, Any, Any], validation: float | tuple[Any, ...] | Source | None, plan: Plan
) -> None:
    """Raise where something is given with a source that does not go with one."""
    source, *rest = data
    for name, given in zip(("outputs", "sample_weight"), rest, strict=True):
        if given is not None:
            raise ValueError(f"inputs is a {type(source).__name__} and {name} is given; a source yields its own")
    if validation is not None and not isinstance(validation, tuple | list | Source):
        raise ValueError(
            f"validation is {validation!r} and inputs is a {type(source).__name__}, of which no share is drawn; give "
            "(inputs, outputs) or a source of its own"
        )
    if plan.batch_size is not None:
        trainer.refuse_on_all_rows("batch_size", plan.batch_size, "takes all rows at each step")
    if isinstance(trainer.rule.optimizer, LevenbergMarquardt):
        trainer.refuse_on_all_rows("inputs", f"a {type(source).__name__}", "solves for all rows at once")


def check_of(trainer: Trainer, of: str = "") -> Callable[..., Rows]:
    """Return what checks a piece of a source; `of` is what messages begin with."""

    def check(inputs: Any, outputs: Any, sample_weight: Any = None, *, of_piece: str) -> Rows:
        return trainer.check(inputs, outputs, sample_weight, of=f"{of_piece}{of}")

    return check


def _with_last(items: Iterator[T]) -> Iterator[tuple[T, bool]]:
    """Yield each item, and whether it is the last."""
    item = next(items, None)
    for following in itertools.chain(items, [None]):
        if item is not None:
            yield item, following is None
        item = following


def _ahead(make: Callable[[Event], Iterator[T]]) -> Iterator[T]:
    """Yield what an iterator does, which makes the next item in a thread beside, while this one is worked on.

    The iterator is made with an event, which is set when no more is wanted.
    """
    stop = Event()
    items = make(stop)
    with ThreadPoolExecutor(1, "nineline-source") as pool:
        try:
            future = pool.submit(next, items, None)
            while (item := future.result()) is not None:
                future = pool.submit(next, items, None)
                yield item
        finally:
            stop.set()
