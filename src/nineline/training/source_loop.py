"""The loop around a Trainer's steps on a source: window after window, in memory that is bounded."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, cast

import numpy as np

from nineline.training.loop import Loop, Measure, Order, shares_of
from nineline.training.windows import Cut

if TYPE_CHECKING:
    import numpy.typing as npt

    from nineline.rows import Rows
    from nineline.training.windows import Windows


class SourceLoop(Loop):
    """One training on the rows of a source; see `Loop`, whose `rows` are `Windows` here, and so may `validation` be.

    The order of an epoch follows from the seed and its number. Where a training goes on within an epoch, the windows
    that are done are read again and passed over.
    """

    windows: Windows
    last: Rows | None = None
    """The rows of the window that is learned from."""

    def divide(self, order: Order | None, measure: Measure | None) -> None:
        assert order is None
        assert measure is None
        self.windows = cast("Windows", self.rows)
        self.windows.seeds = [self.engine.seed]
        self.whole = self.plan.batch_size is None
        self.batch_size = self.plan.batch_size or 0
        self.count_rows()

    def count_rows(self) -> None:
        """Take note of how many rows there are, and batches in an epoch: 0 while that is not known."""
        self.count = self.windows.rows or 0
        self.batches = 1 if self.whole else math.ceil(self.count / self.batch_size)

    def whole_batch_epochs(self, epochs: int) -> None:
        super().whole_batch_epochs(epochs)
        self.count_rows()

    def mini_batch_epoch(self) -> None:
        history, plan = self.history, self.plan
        epoch = history.epochs
        done = [] if self.resumed is None else self.resumed.losses.tolist()  # of an epoch that is under way
        self.resumed = None  # of this one alone, which may have no step left
        shares: list[float] = []
        first_rate: float | None = None
        for rows, order in self.windows.of_epoch(epoch, self.cut(), shuffle=plan.shuffle):
            self.last = rows
            passed = len(shares)
            shares += self.shares_of(rows, order).tolist()
            rates = self.rates(self.places(epoch, np.arange(passed, len(shares))))
            first_rate = float(rates[0]) if first_rate is None else first_rate
            if len(done) >= len(shares):
                continue
            for some in self.trainer.walk(rows, order, self.batch_size, rates, len(done) - passed):
                taken = self.take(some)
                if len(taken) < len(some):
                    self.diverged(f"the loss became {self.bad_loss}")
                done += taken.tolist()
                rows_so_far = epoch * self.count + len(done) * (plan.batch_size or 0)
                self.progress.update(self.places(epoch, np.array([len(done)]))[0], rows_so_far, history)
                if self.checkpoint is not None and self.checkpoint.due:
                    self.keep(losses=np.array(done))
        self.count_rows()
        assert first_rate is not None
        history.loss.append(self.of_epoch(np.array(done), np.array(shares)))
        history.learning_rate.append(first_rate)
        history.seconds.append(time.perf_counter() - self.began)

    def cut(self) -> Cut:
        """Return how an epoch's windows are cut into batches."""
        return Cut(self.batch_size)

    def shares_of(self, rows: Rows, order: npt.NDArray[np.intp]) -> npt.NDArray[np.float64]:
        """Return the weight of each batch of this order, (batches,)."""
        return shares_of(rows.sample_weight, order, self.batch_size)

    def of_epoch(self, losses: npt.NDArray[np.float64], shares: npt.NDArray[np.float64]) -> float:
        """Return the loss of an epoch from those of its batches, and their weights."""
        whole = losses.sum() if self.rule.loss.reduction == "sum" else losses @ shares / shares.sum()
        return float(whole)

    def places(self, epoch: int, batches: npt.NDArray[np.intp]) -> npt.NDArray[np.float64]:
        """Return where in the training these batches of an epoch are, in epochs."""
        return epoch + np.minimum(batches / self.batches, 1.0) if self.batches else np.full(len(batches), float(epoch))

    def at_hand(self) -> Rows | None:
        return self.last

    def report(self) -> None:
        unit = "Epoch" if self.plan.in_epochs else "Iteration"
        print(f"{unit} {self.history.epochs:,}, loss {self.trainer.measure(self.rows):.6g}")
