"""The loop around a Trainer's steps: batches, validation, stopping, reports, checkpoints, the History.

The loop decides and the engine computes: the trainer hands an engine many steps at a time, sized so that a call
takes about 50 ms, and between calls the loop looks at the losses, the clock and whoever asked to be called.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any, Final, NoReturn, cast

import numpy as np

from nineline import _checks
from nineline.optimizers import WholeBatchOptimizer
from nineline.rows import largest as largest_of
from nineline.schedules import Constant
from nineline.training.epoch import Epoch
from nineline.training.errors import DivergenceError
from nineline.training.history import History
from nineline.training.progress import NoProgress, Progress
from nineline.training.snapshot import LoopSnapshot
from nineline.training.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt

    from nineline._typing import Array
    from nineline.rows import Rows
    from nineline.training.checkpoints import Checkpoint
    from nineline.training.plan import Plan
    from nineline.training.trainer import Trainer

_SHOWN_AT_MOST: Final = 40  # values of errors that fit on a screen
_RATES_AT_ONCE: Final = 2**13  # steps on the whole batch whose learning rates are known ahead


class Order:
    """Which rows an epoch takes, in which order: anew for each epoch or as they lie.

    Parameters
    ----------
    rows : int or array of int
        How many rows there are, all of which an epoch takes; or the numbers of those that it takes.
    rng : numpy.random.Generator, optional
        Where there is none, the rows are taken as they lie.
    """

    def __init__(self, rows: int | npt.NDArray[Any], rng: np.random.Generator | None = None) -> None:
        self.rows, self.rng = rows, rng
        self.count = rows if isinstance(rows, int) else len(rows)

    @property
    def as_they_lie(self) -> npt.NDArray[Any]:
        """The row numbers of an epoch in ascending order."""
        return np.arange(self.rows) if isinstance(self.rows, int) else self.rows

    def cut(self, batch_size: int | None) -> tuple[int, int]:
        """Return how many rows of an epoch a batch has, and how many batches there are; None is one of all rows."""
        size = self.count if batch_size is None else min(batch_size, self.count)
        return size, math.ceil(self.count / size)

    @property
    def takes_all(self) -> bool:
        """Whether an epoch of one batch may be a step on all rows as they lie, and `next` need not be asked."""
        return isinstance(self.rows, int)

    def next(self) -> npt.NDArray[Any]:
        """Return the row numbers of the epoch that begins."""
        return self.as_they_lie if self.rng is None else self.rng.permutation(self.rows)

    def kept(self, order: npt.NDArray[np.intp]) -> npt.NDArray[np.int64]:
        """Return what a checkpoint keeps of the order of the epoch under way."""
        return order.astype(np.int64)

    def again(self, kept: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        """Return the order of which `kept` was kept."""
        return kept


class Measure:
    """The loss of an epoch, from those of its batches: their average, weighted as the rows are, or their sum.

    Parameters
    ----------
    rows : Rows
    reduction : {"mean", "sum"}
    """

    def __init__(self, rows: Rows, reduction: str) -> None:
        self.weight, self.reduction = rows.sample_weight, reduction

    before_call: Callable[[npt.NDArray[np.intp]], None] | None = None
    """Called with the rows of each step before it is taken, where the measure needs that."""

    def of_epoch(self, losses: npt.NDArray[np.float64], order: npt.NDArray[np.intp], batch_size: int) -> Any:
        """Return the loss of an epoch of this order, from (batches,) losses, or of many such epochs, (k, batches)."""
        if self.reduction == "sum":
            return losses.sum(axis=-1)
        shares = shares_of(self.weight, order, batch_size)
        return losses @ shares / shares.sum()


def shares_of(weight: Array | None, order: npt.NDArray[np.intp], batch_size: int) -> npt.NDArray[np.float64]:
    """Return the weight of each batch of this order, (batches,); None is 1 for every row."""
    first = np.arange(0, len(order), batch_size)
    if weight is None:
        return np.minimum(batch_size, len(order) - first).astype(np.float64)
    return np.add.reduceat(weight[order].astype(np.float64), first)


class Loop:
    """One training on its way: `run` goes through it.

    Parameters
    ----------
    trainer : Trainer
    rows : Rows
        To learn from.
    plan : Plan
    validation : Rows, optional
        To be judged by after every epoch.
    progress : Progress, optional
    checkpoint : Checkpoint, optional
    random_at_start : dict, optional
        Where the random generator stood before anything was drawn; a checkpoint holds it.
    history : History, optional
        One to go on with.
    order, measure, watch : Order, Measure, Watch, optional
        Another way to take the rows, to measure an epoch, to stop.
    """

    def __init__(
        self,
        trainer: Trainer,
        rows: Rows,
        plan: Plan,
        validation: Rows | None = None,
        *,
        progress: Progress | None = None,
        checkpoint: Checkpoint | None = None,
        random_at_start: Mapping[str, Any] | None = None,
        history: History | None = None,
        order: Order | None = None,
        measure: Measure | None = None,
        watch: Watch | None = None,
    ) -> None:
        self.trainer, self.rows, self.plan, self.validation = trainer, rows, plan, validation
        self.network, self.engine, self.rule = trainer.network, trainer.engine, trainer.rule
        self.watch = watch or Watch(plan.stop, "training" if validation is None else "validation")
        self.divide(order, measure)
        self.unattended = validation is None and watch is None and plan.stop is None and not plan.on_epoch
        self.history = History(engine=self.engine.name) if history is None else history
        self.began = time.perf_counter() - (self.history.seconds[-1] if self.history.seconds else 0.0)
        self.progress = progress or NoProgress()
        self.checkpoint = checkpoint
        self.random_at_start = random_at_start or {}
        self.interrupted = False
        self.resumed: LoopSnapshot | None = None
        """Where this loop goes on, until it has."""
        self.bad_loss = math.nan

    def divide(self, order: Order | None, measure: Measure | None) -> None:
        """Find out in what batches an epoch takes the rows."""
        rows, plan = self.rows, self.plan
        self.order = order or Order(len(rows), self.trainer.rng if plan.shuffle else None)
        self.measure = measure or Measure(rows, self.rule.loss.reduction)
        self.count = self.order.count
        self.batch_size, self.batches = self.order.cut(plan.batch_size)
        self.whole = self.batches == 1 and self.order.takes_all

    def run(self) -> History:
        """Go through the epochs; however training ends, leave the network in a good state."""
        history = self.history
        if self.checkpoint is not None and self.resumed is None:
            self.keep()
        with self.progress:
            try:
                history.stopped = self.go_through_epochs()
            except KeyboardInterrupt:
                self.interrupted = True
                self.cut_history()
                history.stopped = f"interrupted in epoch {history.epochs + 1:,}"
            if not _checks.is_finite(self.network.parameters):
                self.diverged("a parameter became infinite")
        best = self.watch.returns_to()
        if best is not None:
            self.network.parameters = best
            history.restored = True
        if self.checkpoint is not None and not self.interrupted:
            self.keep(finished=True)
        return history

    def go_through_epochs(self) -> str:
        """Run the epochs and return why they ended."""
        plan, history = self.plan, self.history
        while history.epochs < plan.epochs:
            if plan.report_every and history.epochs % plan.report_every == 0:
                self.report()
            if self.whole:
                self.whole_batch_epochs(self.epochs_to_next_look())
            else:
                self.mini_batch_epoch()
            reason = self.look() or self.engine.converged
            if reason:
                return reason
            if self.checkpoint is not None and self.checkpoint.due:
                self.keep()
        return f"all {plan.epochs:,} epochs done" if plan.epochs > 1 else "the one epoch done"

    def epochs_to_next_look(self) -> int:
        """Return how many epochs may pass before somebody wants to look."""
        plan = self.plan
        if not self.unattended:
            return 1
        to_go = plan.epochs - self.history.epochs
        if plan.report_every:
            to_go = min(to_go, plan.report_every - self.history.epochs % plan.report_every)
        return min(to_go, _RATES_AT_ONCE)

    def whole_batch_epochs(self, epochs: int) -> None:
        """Take `epochs` steps on all rows, each an epoch."""
        history, first = self.history, self.history.epochs
        rates = self.rates(np.arange(first, first + epochs, dtype=np.float64))
        for losses in self.trainer.walk(self.rows, None, self.batch_size, rates):
            taken = self.take(losses)
            done = history.epochs - first
            history.loss += taken.tolist()
            for column, values in self.engine.records.items():
                getattr(history, column).extend(values[: len(taken)])
            if isinstance(self.plan.schedule, Constant):  # to write one number down a hundred thousand times is dear
                history.learning_rate += [float(rates[0])] * len(taken)
            else:
                history.learning_rate += rates[done : done + len(taken)].tolist()
            history.seconds += [time.perf_counter() - self.began] * len(taken)
            if len(taken) < len(losses):
                self.diverged(f"the loss became {self.bad_loss}")
            self.progress.update(history.epochs, history.epochs * self.count, history)
            if self.checkpoint is not None and history.epochs < first + epochs and self.checkpoint.due:
                self.keep()

    def mini_batch_epoch(self) -> None:
        """Take one step on each batch of the next order of the rows."""
        history, size, count = self.history, self.batch_size, self.count
        start, losses = 0, np.empty(self.batches)
        if self.resumed is not None and self.resumed.order is not None:  # an epoch that is under way
            order, start = self.order.again(self.resumed.order), len(self.resumed.losses)
            losses[:start] = self.resumed.losses
        else:
            order = self.order.next()
        rates = self.rates(history.epochs + np.arange(self.batches) / self.batches)
        for some in self.trainer.walk(self.rows, order, size, rates, start, self.measure.before_call):
            taken = self.take(some)
            if len(taken) < len(some):
                self.diverged(f"the loss became {self.bad_loss}")
            losses[start : start + len(taken)] = taken
            start += len(taken)
            self.progress.update(history.epochs + start / self.batches, history.epochs * count + start * size, history)
            if self.checkpoint is not None and start < self.batches and self.checkpoint.due:
                self.keep(order, losses[:start])
        history.loss.append(float(self.measure.of_epoch(losses, order, size)))
        history.learning_rate.append(float(rates[0]))
        history.seconds.append(time.perf_counter() - self.began)

    def take(self, losses: Array) -> Array:
        """Take note of steps, and return the losses of those that were taken."""
        if not math.isfinite(losses[-1]):
            self.bad_loss, losses = float(losses[-1]), losses[:-1]
        self.history.steps += len(losses)
        if len(losses):
            self.resumed = None  # it has gone on
        return losses

    def rates(self, epochs: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return the learning rate at each of these epochs."""
        return self.plan.schedule.factors(epochs, self.plan.epochs) * self.rule.optimizer.learning_rate

    def look(self) -> str:
        """Measure validation, let the watch look, call back; return a reason to stop, or ''."""
        plan, history = self.plan, self.history
        if self.unattended:
            return ""
        if self.validation is not None:
            loss = self.trainer.measure(self.validation)
            if not math.isfinite(loss):
                self.cut_history()
                self.diverged(f"the validation loss became {loss}")
            history.validation_loss.append(loss)
        validation_loss = history.validation_loss[-1] if self.validation is not None else None
        epoch = Epoch(history.epochs, plan.epochs, history.loss[-1], validation_loss, self.network, history)
        reason = self.watch.look(epoch, self.point_of_loss)
        answers = [function(epoch) for function in plan.on_epoch]
        if any(isinstance(answer, (bool, np.bool_)) and answer for answer in answers):
            return f"on_epoch asked to, after epoch {epoch.number:,}"
        return reason

    def point_of_loss(self) -> Array:
        """Return the parameters that the watched loss was measured at, as far as there is one such point."""
        if self.validation is None and self.batches == 1:  # a whole batch's loss is from before its step
            return self.engine.before()
        return self.network.parameters.copy()

    def resume(self, snapshot: LoopSnapshot) -> None:
        """Begin where another process was."""
        self.resumed = snapshot
        self.trainer.restore(snapshot.trainer)
        engine, self.history = self.history.engine, snapshot.history
        self.history.engine = engine
        self.watch.best, self.watch.parameters = snapshot.best_loss, snapshot.best
        self.began -= self.history.seconds[-1] if self.history.seconds else 0.0

    def keep(
        self,
        order: npt.NDArray[np.intp] | None = None,
        losses: npt.NDArray[np.float64] | None = None,
        finished: bool = False,
    ) -> None:
        """Write a checkpoint of where this loop stands, in an epoch of this order, or between two."""
        assert self.checkpoint is not None
        trainer = self.trainer.snapshot()
        if not np.isfinite(trainer.parameters).all():  # the next step will find that; the one before is worth more
            return
        snapshot = LoopSnapshot(
            trainer=trainer,
            random_at_start=dict(self.random_at_start),
            order=None if order is None else self.order.kept(order),
            losses=np.empty(0) if losses is None else losses,
            best_loss=self.watch.best,
            best=self.watch.parameters,
            history=self.history,
            finished=finished,
        )
        self.checkpoint.write(self.network, snapshot)

    def cut_history(self) -> None:
        """Cut the History back to epochs that have all their entries."""
        history = self.history
        columns = [history.loss, history.learning_rate, history.seconds, *filter(None, history.records)]
        if self.validation is not None:
            columns.append(history.validation_loss)
        done = min(map(len, columns))
        for column in columns:
            del column[done:]

    def report(self) -> None:
        """Print the errors as they are now: the values while they fit on a screen, else the loss."""
        number, rows = self.history.epochs, self.rows
        unit = "Epoch" if self.plan.in_epochs else "Iteration"
        if self.count * self.network.n_outputs <= _SHOWN_AT_MOST:
            with np.errstate(over="ignore", invalid="ignore"):  # the step that follows says if it has diverged
                spread = rows.spread(self.network.n_outputs)
                errors = spread.targets - self.network.run(spread.inputs)
            print(f"{unit} {number:,}, errors:\n{errors}")
        else:
            print(f"{unit} {number:,}, loss {self.trainer.measure(rows):.6g}")

    def at_hand(self) -> Rows | None:
        """Return rows that are in memory, to look at where a training went wrong."""
        return self.rows

    def diverged(self, what: str) -> NoReturn:
        """Put the network back to its last finite state and raise DivergenceError."""
        rule, history = self.rule, self.history
        self.network.parameters = self.engine.before()
        history.stopped = f"diverged in epoch {history.epochs + 1:,}: {what}"
        finds_length = isinstance(rule.optimizer, WholeBatchOptimizer)
        advice = [] if finds_length else [f"a smaller learning rate (it is {rule.optimizer.learning_rate:g})"]
        rows = self.at_hand()
        largest = 0.0 if rows is None else largest_of(rows.inputs)
        if largest > 10:
            advice.append(f"inputs scaled to about -1..1 (the largest is {largest:.3g})")
        largest = 0.0 if rows is None or rows.are_classes else largest_of(cast("Array", rows.targets))
        if largest > 10:
            advice.append(f"targets scaled likewise (the largest is {largest:.3g})")
        if rule.loss.reduction == "sum":
            advice.append("a loss that is a mean over rows, by its name")
        if rule.clip_norm is None and not finds_length:
            advice.append("clip_norm=1.0")
        raise DivergenceError(
            f"training diverged in epoch {history.epochs + 1:,}: {what}. The network is back at its last finite "
            f"state. Try {'; or '.join(advice or ['smaller initial weights'])}.",
            history,
        )
