"""The loop around an engine's steps: batches, validation, stopping, reports, checkpoints, the History.

The loop decides and the engine computes: it hands an engine many steps at a time, sized so that a call
takes about 50 ms, and between calls looks at the losses, the clock and whoever asked to be called.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeAlias

import numpy as np

from nineline.history import History
from nineline.stopping import EarlyStopping

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy.typing as npt

    from nineline._typing import Array
    from nineline.checkpoints import Keeper, Moment
    from nineline.engines.contract import Engine, Task
    from nineline.network import Network
    from nineline.progress import Silent
    from nineline.schedules import Schedule

    Data: TypeAlias = tuple[Array, Array, Array | None]

_CALL_SECONDS: Final = 0.05
_SHOWN_AT_MOST: Final = 40  # values of errors that fit on a screen


class DivergenceError(ArithmeticError):
    """The loss stopped being finite. The network is at its last finite state.

    Attributes
    ----------
    history : History
        The epochs before.
    """

    def __init__(self, message: str, history: History) -> None:
        super().__init__(message, history)  # both, so that it can be pickled
        self.history = history

    def __str__(self) -> str:
        return str(self.args[0])


@dataclass(frozen=True)
class Epoch:
    """What `on_epoch` is called with: a finished epoch.

    Attributes
    ----------
    number : int
        From 1.
    epochs : int
        How many there are to be.
    loss : float
    validation_loss : float or None
    network : Network
        As it is now.
    history : History
        So far, this epoch included.
    """

    number: int
    epochs: int
    loss: float
    validation_loss: float | None
    network: Network
    history: History


@dataclass(frozen=True)
class Plan:
    """How the task is to be walked through."""

    epochs: int
    batch_size: int | None
    shuffle: bool
    schedule: Schedule
    stop: EarlyStopping | None
    report_every: int
    unit: str
    """What an epoch is called in reports."""
    on_epoch: Sequence[Callable[[Epoch], object]]
    rng: np.random.Generator


class Loop:
    """One training on its way: `run` goes through it. `train` puts it together."""

    def __init__(
        self, network: Network, task: Task, plan: Plan, validation: Data | None, engine: Engine, shown: Silent
    ) -> None:
        self.network, self.task, self.plan, self.engine, self.shown = network, task, plan, engine, shown
        self.validation = validation
        self.rows = len(task.inputs)
        self.batch_size = self.rows if plan.batch_size is None else min(plan.batch_size, self.rows)
        self.batches = math.ceil(self.rows / self.batch_size)
        self.watched = "training" if validation is None else "validation"
        self.best_loss = math.inf
        self.best_parameters: Array | None = None
        self.history = History(engine=engine.name)
        self.steps_a_call = 1
        self.began = time.perf_counter()
        self.keeper: Keeper | None = None
        self.random_at_start: Mapping[str, Any] = {}
        self.moment: Moment | None = None
        """Where an interrupted training goes on, until it has."""

    def run(self) -> History:
        """Go through the epochs; however training ends, leave the network in a good state."""
        history, interrupted = self.history, False
        if self.keeper is not None and self.moment is None:
            self.keep()
        with self.shown:
            try:
                history.stopped = self.epochs()
            except KeyboardInterrupt:
                interrupted = True
                self.finish_table()
                history.stopped = f"interrupted in epoch {history.epochs + 1:,}"
            if not np.isfinite(self.network.parameters).all():
                self.diverged("a parameter became infinite")
        if self.best_parameters is not None:
            self.network.parameters = self.best_parameters
            history.restored = True
        if self.keeper is not None and not interrupted:
            self.keep(finished=True)
        return history

    def epochs(self) -> str:
        """Run the epochs and return why they ended."""
        plan, history = self.plan, self.history
        while history.epochs < plan.epochs:
            if plan.report_every and history.epochs % plan.report_every == 0:
                self.report()
            if self.batches == 1:
                self.whole_batch_epochs(self.unattended())
            else:
                self.mini_batch_epoch()
            reason = self.look()
            if reason:
                return reason
            if self.keeper is not None and self.keeper.due:
                self.keep()
        return f"all {plan.epochs:,} epochs done" if plan.epochs > 1 else "the one epoch done"

    def unattended(self) -> int:
        """Return how many epochs may pass before somebody wants to look."""
        plan = self.plan
        if self.validation is not None or plan.stop is not None or plan.on_epoch:
            return 1
        to_go = plan.epochs - self.history.epochs
        if plan.report_every:
            to_go = min(to_go, plan.report_every - self.history.epochs % plan.report_every)
        return to_go

    def whole_batch_epochs(self, epochs: int) -> None:
        """Take `epochs` steps on all rows, each an epoch."""
        history = self.history
        end = history.epochs + epochs
        while history.epochs < end:
            first = history.epochs
            rates = self.rates(np.arange(first, min(first + self.steps_a_call, end), dtype=np.float64))
            losses = self.take(None, rates)
            history.loss += losses.tolist()
            constant = (rates == rates[0]).all()
            taken = len(losses)
            history.learning_rate += [float(rates[0])] * taken if constant else rates[:taken].tolist()
            history.seconds += [time.perf_counter() - self.began] * taken
            if len(losses) < len(rates):
                self.diverged(f"the loss became {self.bad_loss}")
            self.shown.update(history.epochs, history.epochs * self.rows, history)
            if self.keeper is not None and history.epochs < end and self.keeper.due:
                self.keep()

    def mini_batch_epoch(self) -> None:
        """Take one step on each batch of a new order of the rows."""
        plan, history, size = self.plan, self.history, self.batch_size
        start, losses = 0, np.empty(self.batches)
        if self.moment is not None and self.moment.order is not None:  # an epoch that is under way
            order, start = self.moment.order, len(self.moment.losses)
            losses[:start] = self.moment.losses
        else:
            order = plan.rng.permutation(self.rows) if plan.shuffle else np.arange(self.rows)
        rates = self.rates(history.epochs + np.arange(self.batches) / self.batches)
        while start < self.batches:
            stop = min(start + self.steps_a_call, self.batches)
            taken = self.take(order[start * size : stop * size], rates[start:stop])
            if len(taken) < stop - start:
                self.diverged(f"the loss became {self.bad_loss}")
            losses[start:stop] = taken
            start = stop
            self.shown.update(history.epochs + start / self.batches, history.epochs * self.rows + start * size, history)
            if self.keeper is not None and start < self.batches and self.keeper.due:
                self.keep(order, losses[:start])
        history.loss.append(self.epoch_loss(losses, order))
        history.learning_rate.append(float(rates[0]))
        history.seconds.append(time.perf_counter() - self.began)

    def take(self, order: npt.NDArray[np.intp] | None, rates: npt.NDArray[np.float64]) -> Array:
        """Let the engine take steps and return their losses; fewer than asked for where one was not finite."""
        began = time.perf_counter()
        losses = self.engine.steps(order, self.batch_size, rates)
        seconds = time.perf_counter() - began
        if not np.isfinite(losses[-1]):
            self.bad_loss, losses = losses[-1], losses[:-1]
        self.history.steps += len(losses)
        if len(losses):
            self.moment = None  # it has gone on
        pace = _CALL_SECONDS / max(seconds, 1e-9)
        self.steps_a_call = max(1, min(int(len(rates) * pace), 4 * self.steps_a_call))
        return losses

    def rates(self, epochs: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return the learning rate at each of these epochs."""
        return self.task.optimizer.learning_rate * self.plan.schedule.factors(epochs, self.plan.epochs)

    def epoch_loss(self, losses: Array, order: npt.NDArray[np.intp]) -> float:
        """Return the average of the batches' losses, weighted as their rows are; or their sum."""
        if self.task.loss.reduction == "sum":
            return float(losses.sum())
        weight = self.task.sample_weight
        first = np.arange(0, self.rows, self.batch_size)
        if weight is None:
            shares = np.minimum(self.batch_size, self.rows - first)
        else:
            shares = np.add.reduceat(weight[order].astype(np.float64), first)
        return float(losses @ shares / shares.sum())

    def look(self) -> str:
        """Measure validation, remember the best point, call back; return a reason to stop, or ''."""
        plan, history = self.plan, self.history
        number, loss = history.epochs, history.loss[-1]
        if self.validation is not None:
            loss = self.engine.evaluate(*self.validation)
            if not math.isfinite(loss):
                self.finish_table()
                self.diverged(f"the validation loss became {loss}")
            history.validation_loss.append(loss)
        if plan.stop is not None or self.validation is not None:
            minimum = plan.stop or EarlyStopping()
            if minimum.improved(loss, self.best_loss):
                self.best_loss, history.best_epoch = loss, number
                if plan.stop is not None:
                    self.best_parameters = self.point_of_loss()
        validation_loss = history.validation_loss[-1] if history.validation_loss else None
        epoch = Epoch(number, plan.epochs, history.loss[-1], validation_loss, self.network, history)
        answers = [function(epoch) for function in plan.on_epoch]
        if any(isinstance(answer, (bool, np.bool_)) and answer for answer in answers):
            return f"on_epoch asked to, after epoch {number:,}"
        if plan.stop is not None and number - (history.best_epoch or 0) >= plan.stop.patience:
            return plan.stop.reason(self.watched)
        return ""

    def point_of_loss(self) -> Array:
        """Return the parameters that the watched loss was measured at, as far as there is one such point."""
        now = self.network.parameters.copy()
        if self.validation is None and self.batches == 1:  # a whole batch's loss is from before its step
            self.engine.undo()
            point = self.network.parameters.copy()
            self.network.parameters = now
            return point
        return now

    def step_back(self) -> None:
        """Put the parameters back to those before the last step, which another process may have taken."""
        if self.moment is None:
            self.engine.undo()
        else:
            self.network.parameters = self.moment.before

    def go_on(self, moment: Moment) -> None:
        """Begin where another process was; the network, the generator and the engine are there already."""
        self.moment, engine = moment, self.history.engine
        self.history = moment.history
        self.history.engine = engine
        self.best_loss, self.best_parameters = moment.best_loss, moment.best
        self.began -= self.history.seconds[-1] if self.history.seconds else 0.0

    def keep(
        self,
        order: npt.NDArray[np.intp] | None = None,
        losses: npt.NDArray[np.float64] | None = None,
        finished: bool = False,
    ) -> None:
        """Write a checkpoint of this moment, in an epoch of this order, or between two."""
        from nineline.checkpoints import Moment

        assert self.keeper is not None
        now = self.network.parameters.copy()
        if not np.isfinite(now).all():  # the next step will find that; the checkpoint before is worth more
            return
        try:
            self.step_back()
            before = self.network.parameters.copy()
        finally:  # whoever interrupts here finds the network where it was
            self.network.parameters = now
        moment = Moment(
            parameters=now,
            before=before,
            state=self.engine.state,
            random_at_start=dict(self.random_at_start),
            random=dict(self.plan.rng.bit_generator.state),
            order=None if order is None else order.astype(np.int64),
            losses=np.empty(0) if losses is None else losses,
            best_loss=self.best_loss,
            best=self.best_parameters,
            history=self.history,
            finished=finished,
        )
        self.keeper.write(self.network, moment)

    def finish_table(self) -> None:
        """Cut the History back to epochs that have all their entries."""
        history = self.history
        columns = [history.loss, history.learning_rate, history.seconds]
        if self.validation is not None:
            columns.append(history.validation_loss)
        done = min(map(len, columns))
        for column in columns:
            del column[done:]

    def report(self) -> None:
        """Print the errors as they are now: the values while they fit on a screen, else the loss."""
        task, number = self.task, self.history.epochs
        if task.targets.size <= _SHOWN_AT_MOST:
            with np.errstate(over="ignore", invalid="ignore"):  # the step that follows says if it has diverged
                errors = task.targets - self.network.run(task.inputs)
            print(f"{self.plan.unit} {number:,}, errors:\n{errors}")
        else:
            loss = self.engine.evaluate(task.inputs, task.targets, task.sample_weight)
            print(f"{self.plan.unit} {number:,}, loss {loss:.6g}")

    def diverged(self, what: str) -> NoReturn:
        """Put the network back to its last finite state and raise DivergenceError."""
        task, history = self.task, self.history
        self.step_back()
        history.stopped = f"diverged in epoch {history.epochs + 1:,}: {what}"
        advice = [f"a smaller learning rate (it is {task.optimizer.learning_rate:g})"]
        largest = float(np.abs(task.inputs).max())
        if largest > 10:
            advice.append(f"inputs scaled to about -1..1 (the largest is {largest:.3g})")
        largest = float(np.abs(task.targets).max())
        if largest > 10:
            advice.append(f"targets scaled likewise (the largest is {largest:.3g})")
        if task.loss.reduction == "sum":
            advice.append("a loss that is a mean over rows, by its name")
        if task.clip_norm is None:
            advice.append("clip_norm=1.0")
        raise DivergenceError(
            f"training diverged in epoch {history.epochs + 1:,}: {what}. The network is back at its last finite "
            f"state. Try {'; or '.join(advice)}.",
            history,
        )
