"""Training: the loop around an engine's steps — batches, validation, stopping, reports, the History.

The loop decides and the engine computes: it hands an engine many steps at a time, sized so that a call
takes about 50 ms, and between calls looks at the losses, the clock and whoever asked to be called.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeAlias

import numpy as np

from nineline import _checks, engines
from nineline.engines.contract import Engine, Task
from nineline.history import History
from nineline.losses import LOSSES, Loss, SquaredError
from nineline.optimizers import OPTIMIZERS, GradientDescent, Optimizer
from nineline.progress import Silent, display
from nineline.schedules import Schedule, as_schedule
from nineline.stopping import EarlyStopping

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping, Sequence

    import numpy.typing as npt

    from nineline._typing import Array, RandomSource
    from nineline.checkpoints import Keeper, Moment

    _Data: TypeAlias = tuple[Array, Array, Array | None]
    from nineline.network import Network

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
class _Plan:
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


def train(
    network: Network,
    inputs: npt.ArrayLike,
    outputs: npt.ArrayLike,
    iterations: int = 10_000,
    *,
    epochs: int | None = None,
    batch_size: int | None = None,
    shuffle: bool = True,
    loss: str | Loss | None = None,
    optimizer: str | Optimizer | None = None,
    schedule: str | Schedule | Callable[[float], float] | None = None,
    validation: float | tuple[npt.ArrayLike, ...] | None = None,
    stop: int | EarlyStopping | None = None,
    sample_weight: npt.ArrayLike | None = None,
    l1: float = 0.0,
    l2: float = 0.0,
    clip_norm: float | None = None,
    report_every: int | None = None,
    progress: bool | None = None,
    on_epoch: Callable[[Epoch], object] | Sequence[Callable[[Epoch], object]] = (),
    checkpoint: str | os.PathLike[str] | None = None,
    checkpoint_every: float = 10.0,
    resume: bool = False,
    engine: str = "auto",
    threads: int | None = None,
    rng: RandomSource = None,
) -> History:
    """Train `network`; `Network.train` documents every argument."""
    rows, targets = network.check_data("inputs", inputs, "outputs", outputs)
    weights = _checks.row_weights("sample_weight", sample_weight, len(rows), network.dtype)
    the_loss = SquaredError(reduction="sum") if loss is None else _checks.resolve("loss", loss, Loss, LOSSES)
    the_loss.check(network.output_layer.activation, targets)
    rule: Optimizer = GradientDescent(1.0)
    if optimizer is not None:
        rule = _checks.resolve("optimizer", optimizer, Optimizer, OPTIMIZERS)
    _check_factors(network, rule)
    iterations = _checks.positive_integer("iterations", iterations)
    counted_in_epochs = epochs is not None
    if epochs is None and batch_size is not None:
        raise ValueError(
            f"batch_size is {batch_size} and epochs is not given; iterations count steps on the whole batch, so "
            "say how often to go through the data: train(..., epochs=10, batch_size=...)"
        )
    if clip_norm is not None:
        clip_norm = _checks.number("clip_norm", clip_norm, low=0, low_open=True)
    if report_every is None:
        report_every = 0 if counted_in_epochs else 1000
    if batch_size is not None:
        batch_size = _checks.positive_integer("batch_size", batch_size)
    if progress is not None:
        progress = _checks.boolean("progress", progress)
    l1, l2 = _checks.number("l1", l1, low=0), _checks.number("l2", l2, low=0)
    engines.check(engine, network, the_loss, rule)
    workers = _checks.threads("threads", threads)
    generator = network.rng if rng is None else _checks.generator("rng", rng)
    plan = _Plan(
        epochs=_checks.positive_integer("epochs", epochs) if epochs is not None else iterations,
        batch_size=batch_size,
        shuffle=_checks.boolean("shuffle", shuffle),
        schedule=as_schedule(schedule),
        stop=_as_stopping(stop),
        report_every=_checks.positive_integer("report_every", report_every, minimum=0),
        unit="Epoch" if counted_in_epochs else "Iteration",
        on_epoch=_as_functions(on_epoch),
        rng=generator,
    )
    keeper = _as_keeper(checkpoint, checkpoint_every, resume)
    moment = None
    if keeper is not None:
        data = {"inputs": rows, "outputs": targets, "sample_weight": weights, "validation": _arrays_of(validation)}
        shape = {"epochs": plan.epochs, "batch_size": batch_size, "shuffle": shuffle, "schedule": plan.schedule}
        rules = {"loss": the_loss, "optimizer": rule, "stop": plan.stop, "l1": l1, "l2": l2, "clip_norm": clip_norm}
        keeper.describe(network, generator, data, {**shape, **rules})
        moment = keeper.open(network, rule, generator)
        if moment is not None:  # so that the same rows are held out, and the seed is the same
            generator.bit_generator.state = moment.random_at_start
    random_at_start = generator.bit_generator.state
    held_out = None
    if validation is not None:  # from here on the generator is drawn from, so nothing may be wrong any more
        (rows, targets, weights), held_out = _split(network, the_loss, (rows, targets, weights), validation, generator)
    task = Task(
        inputs=rows,
        targets=targets,
        sample_weight=weights,
        loss=the_loss,
        optimizer=rule,
        l1=l1,
        l2=l2,
        clip_norm=clip_norm,
        seed=int.from_bytes(generator.bytes(8), "little"),
    )
    if keeper is not None and moment is not None:
        keeper.check_epoch(moment, len(rows), batch_size)
        network.parameters, generator.bit_generator.state = moment.parameters, dict(moment.random)
        if moment.finished:
            return moment.history
    chosen = engines.choose(engine, network, task, workers, None if moment is None else moment.state)
    shown = display(progress, plan.epochs) if counted_in_epochs or progress else Silent()
    loop = _Loop(network, task, plan, held_out, chosen, shown)
    if keeper is not None:
        loop.keeper, loop.random_at_start = keeper, random_at_start
    if moment is not None:
        loop.go_on(moment)
    return loop.run()


class _Loop:
    def __init__(
        self, network: Network, task: Task, plan: _Plan, validation: _Data | None, engine: Engine, shown: Silent
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


def _split(
    network: Network,
    loss: Loss,
    data: _Data,
    validation: float | tuple[npt.ArrayLike, ...],
    rng: np.random.Generator,
) -> tuple[_Data, _Data]:
    """Return training and validation data: a given pair, or a share of the rows."""
    if isinstance(validation, (tuple, list)):
        if len(validation) not in (2, 3):
            raise ValueError(
                f"validation has {len(validation)} parts; expected (inputs, outputs) or "
                "(inputs, outputs, sample_weight)"
            )
        rows, targets = network.check_data("validation inputs", validation[0], "validation outputs", validation[1])
        loss.check(network.output_layer.activation, targets)
        given = validation[2] if len(validation) == 3 else None
        weights = _checks.row_weights("validation sample_weight", given, len(rows), network.dtype)
        return data, (rows, targets, weights)
    share = _checks.number("validation", validation, low=0, high=1, low_open=True, high_open=True)
    inputs, targets, weights = data
    held = round(share * len(inputs))
    if not 0 < held < len(inputs):
        raise ValueError(
            f"validation is {share:g} of {len(inputs)} rows, which leaves {held} for validation and "
            f"{len(inputs) - held} for training; give more rows or (inputs, outputs) of its own"
        )
    order = rng.permutation(len(inputs))
    kept, out = order[held:], order[:held]

    def part(of: npt.NDArray[np.intp]) -> _Data:
        return inputs[of], targets[of], None if weights is None else weights[of]

    parts = part(kept), part(out)
    for name, (_, _, of_part) in zip(("training", "validation"), parts, strict=True):
        if of_part is not None and not of_part.any():
            raise ValueError(f"sample_weight is zero for every {name} row that validation={share:g} leaves")
    return parts


def _as_stopping(stop: int | EarlyStopping | None) -> EarlyStopping | None:
    if stop is None or isinstance(stop, EarlyStopping):
        return stop
    return EarlyStopping(_checks.positive_integer("stop", stop))


def _as_keeper(checkpoint: str | os.PathLike[str] | None, every: float, resume: bool) -> Keeper | None:
    if checkpoint is None:
        if _checks.boolean("resume", resume):
            raise ValueError("resume is True and checkpoint is not given; name the file to go on from: checkpoint=...")
        return None
    from nineline.checkpoints import Keeper

    return Keeper(checkpoint, every, resume)


def _arrays_of(validation: float | tuple[npt.ArrayLike, ...] | None) -> object:
    """Return validation data as arrays, and a share as it is."""
    if isinstance(validation, (tuple, list)):
        return tuple(np.asarray(part) for part in validation)
    return validation


def _as_functions(given: object) -> Sequence[Callable[[Epoch], object]]:
    functions: list[Any] = list(given) if isinstance(given, (list, tuple)) else [given]
    for function in functions:
        if not callable(function):
            raise TypeError(f"on_epoch is {function!r}; expected a function of an Epoch, or a list of them")
    return functions


def _check_factors(network: Network, optimizer: Optimizer) -> None:
    known = {block.name for block in network.blocks} | {block.kind for block in network.blocks}
    for name in optimizer.factors:
        if name not in known:
            raise ValueError(f"factors has {name!r}, which is no block of this network{_checks.nearest(name, known)}")
