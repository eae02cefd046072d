"""The loop around the steps of many networks: batches, validation, stopping, reports, checkpoints, the Histories.

It is `nineline.training.loop` with an axis more: what is one number there is a number for each network here, and those
that have ended are left out of every call.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from nineline.training.errors import DivergenceError
from nineline.training.histories import Histories
from nineline.training.history import History
from nineline.training.loop import Measure
from nineline.training.progress import NoProgress, Progress
from nineline.training.snapshot import ManySnapshot
from nineline.training.trainer import CALL_SECONDS
from nineline.training.watch import EarlyStopping

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from nineline._typing import Array
    from nineline.engines.many import ManyEngine, Numbers, Orders
    from nineline.networks import Networks
    from nineline.rows import Rows
    from nineline.training.many_checkpoint import ManyCheckpoint
    from nineline.training.plan import Plan

_FACTORS_AT_ONCE: Final = 2**13  # epochs on the whole batch whose learning rates are known ahead


class ManyData(NamedTuple):
    """What many networks learn from, or are judged by.

    Attributes
    ----------
    rows : Rows
        Of all of them.
    among : sequence of array of int, or None
        The numbers of each network's own rows; None: all have all.
    """

    rows: Rows
    among: Sequence[Numbers] | None = None

    def count(self, member: int) -> int:
        """Return how many rows a network has."""
        return len(self.rows) if self.among is None else len(self.among[member])

    def of(self, members: Numbers) -> Orders:
        """Return the rows of some networks as they lie."""
        return None if self.among is None else [self.among[member] for member in members]


class ManyEpoch(NamedTuple):
    """What `on_epoch` is called with: a finished epoch of many networks.

    Attributes
    ----------
    number : int
        From 1.
    epochs : int
        How many there are to be.
    losses : array, (count,)
        NaN where a network had ended.
    validation_losses : array, (count,), or None
    networks : Networks
        As they are now.
    history : Histories
        So far, this epoch included.
    """

    number: int
    epochs: int
    losses: npt.NDArray[np.float64]
    validation_losses: npt.NDArray[np.float64] | None
    networks: Networks
    history: Histories


class ManyWatch:
    """Early stopping of each network by itself; `nineline.training.watch.Watch` with an axis more."""

    def __init__(self, stopping: EarlyStopping | None, watched: str, networks: Networks) -> None:
        self.stopping, self.watched, self.networks = stopping, watched, networks
        self.criterion = stopping or EarlyStopping()
        self.best = np.full(len(networks), math.inf)
        self.parameters = networks.parameters.copy() if stopping is not None else None

    def look(self, members: Numbers, losses: npt.NDArray[np.float64], points: Array, history: Histories) -> Numbers:
        """Look at a finished epoch, and return those of the members that have nothing to wait for.

        `points` are the parameters that the losses were measured at, (count, n).
        """
        score = self.criterion.score
        values = losses
        if score is not None:
            values = np.array([-float(score(self.networks[member])) for member in members.tolist()])
            points = self.networks.parameters
        best = np.where(np.isnan(self.best[members]), math.inf, self.best[members])
        better = (history.best_epoch[members] == 0) | (values < best - self.criterion.min_improvement)
        won = members[better]
        self.best[won], history.best_epoch[won] = values[better], history.epochs
        if self.parameters is None or self.stopping is None:
            return members[:0]
        self.parameters[won] = points[won]
        return members[history.epochs - history.best_epoch[members] >= self.stopping.patience]


class ManyLoop:
    """One training of many networks on its way: `run` goes through it.

    Parameters
    ----------
    networks : Networks
    engine : ManyEngine
    data : ManyData
    plan : Plan
    generators : Generator, or sequence of Generator
        What shuffles: one for all, or one for each network.
    validation : ManyData, optional
    progress : Progress, optional
    checkpoint : ManyCheckpoint, optional
    """

    def __init__(
        self,
        networks: Networks,
        engine: ManyEngine,
        data: ManyData,
        plan: Plan,
        generators: np.random.Generator | Sequence[np.random.Generator],
        validation: ManyData | None = None,
        *,
        progress: Progress | None = None,
        checkpoint: ManyCheckpoint | None = None,
    ) -> None:
        self.networks, self.engine, self.data, self.plan, self.validation = networks, engine, data, plan, validation
        self.generators = generators
        count = len(networks)
        self.rule = engine.many.rule
        self.lengths = np.array([data.count(member) for member in range(count)])
        self.batches = np.ceil(self.lengths / (plan.batch_size or self.lengths)).astype(int)
        self.whole = bool((self.batches == 1).all())
        self.history = Histories(count, engine.many.rates, engine.name, plan.epochs)
        self.watch = ManyWatch(plan.stop, "training" if validation is None else "validation", networks)
        self.unattended = validation is None and plan.stop is None and not plan.on_epoch
        self.active = np.arange(count)
        """The numbers of the networks that go on."""
        self.progress = progress or NoProgress()
        self.checkpoint = checkpoint
        self.began = time.perf_counter()
        self.every_generator = [generators] if isinstance(generators, np.random.Generator) else list(generators)
        self._steps_a_call = 1
        self._measure = Measure(data.rows, self.rule.loss.reduction)

    def run(self) -> Histories:
        """Go through the epochs; however training ends, leave the networks in a good state."""
        history, interrupted = self.history, False
        if self.checkpoint is not None and not history.epochs:
            self.keep()
        with self.progress:
            try:
                self.go_through_epochs()
            except KeyboardInterrupt:
                interrupted = True
                self.end(self.active, f"interrupted in epoch {history.epochs + 1:,}")
        odd = np.flatnonzero(~np.isfinite(self.networks.parameters).all(axis=1) & ~history.diverged)
        self.networks.parameters[odd] = self.engine.before[odd]
        self.mark_diverged(odd, np.full(len(odd), history.epochs + 1), ["a parameter became infinite"] * len(odd))
        if self.watch.parameters is not None:
            back = np.flatnonzero((history.best_epoch > 0) & ~history.diverged)
            self.networks.parameters[back] = self.watch.parameters[back]
            history.restored[back] = True
        if self.checkpoint is not None and not interrupted:
            self.keep(finished=True)
        return self.settled()

    def settled(self) -> Histories:
        """Give the networks their losses, and return the Histories, or raise where no network has a finite loss."""
        history = self.history
        self.networks.losses = np.where(history.diverged, np.nan, history.kept)
        if history.diverged.all():
            raise DivergenceError(
                f"training diverged: of {len(history):,} networks none has a finite loss ({history.stopped[0]}). All "
                f"are back at their last finite state. Try smaller learning rates (least: {history.rates.min():g}), "
                "inputs and targets scaled to about -1..1, or clip_norm=1.0.",
                history,
            )
        return history

    def go_through_epochs(self) -> None:
        """Run epochs until no network goes on."""
        plan, history = self.plan, self.history
        while len(self.active) and history.epochs < plan.epochs:
            if plan.report_every and history.epochs % plan.report_every == 0:
                self.report()
            if self.whole:
                self.whole_batch_epochs(self.epochs_to_next_look())
            else:
                self.mini_batch_epoch()
            self.look()
            self.progress.update(history.epochs, int(history.epochs * self.lengths.sum()), self.medians())
            if self.checkpoint is not None and self.checkpoint.due:
                self.keep()
        self.end(self.active, f"all {plan.epochs:,} epochs done" if plan.epochs > 1 else "the one epoch done")

    def epochs_to_next_look(self) -> int:
        """Return how many epochs may pass before somebody wants to look."""
        if not self.unattended:
            return 1
        to_go = self.plan.epochs - self.history.epochs
        if self.plan.report_every:
            to_go = min(to_go, self.plan.report_every - self.history.epochs % self.plan.report_every)
        return min(to_go, _FACTORS_AT_ONCE)

    def whole_batch_epochs(self, epochs: int) -> None:
        """Take `epochs` steps on all rows, each an epoch."""
        first = self.history.epochs
        factors = self.factors(np.arange(first, first + epochs, dtype=np.float64))
        start = 0
        while start < epochs and len(self.active):
            stop = min(start + self._steps_a_call, epochs)
            members = self.active
            losses = self.history.room(members, stop - start)
            done = self.call(members, self.data.of(members), None, factors[start:stop], losses)
            self.history.add(members, losses, factors[start:stop], time.perf_counter() - self.began)
            self.settle(members, losses, done, first + start + done)
            start = stop
            if self.checkpoint is not None and start < epochs and self.checkpoint.due:
                self.keep()

    def mini_batch_epoch(self) -> None:
        """Take one step on each batch of the next order of each network's rows."""
        history, members = self.history, self.active
        orders = self.orders(members)
        found = np.full(len(members), np.nan)
        number = history.epochs
        factor = float(self.factors(np.array([float(number)]))[0])
        for batches in np.unique(self.batches[members]):
            places = np.flatnonzero(self.batches[members] == batches)
            mine = orders if isinstance(orders, np.ndarray) else [orders[place] for place in places.tolist()]
            factors = self.factors(number + np.arange(batches) / batches)
            found[places] = self.epoch_of(members[places], mine, factors)
        history.add(members, found[:, np.newaxis], np.array([factor]), time.perf_counter() - self.began)

    def epoch_of(
        self, members: Numbers, orders: Numbers | Sequence[Numbers], factors: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.float64]:
        """Go through the batches of networks that have as many of them, and return the loss of the epoch of each."""
        size, batches = self.plan.batch_size or len(self.data.rows), len(factors)
        losses, start = np.full((len(members), batches), np.nan), 0
        going = np.arange(len(members))
        for stop in self.stops(batches):
            piece = slice(start * size, stop * size)
            if isinstance(orders, np.ndarray):
                some: Orders = orders[piece]
            else:
                some = [orders[place][piece] for place in going.tolist()]
            taken = np.empty((len(going), stop - start))
            done = self.call(members[going], some, size, factors[start:stop], taken)
            losses[going, start:stop] = taken
            epoch = np.full(len(going), self.history.epochs + 1)
            going = going[self.settle(members[going], taken, done, epoch)]
            start = stop
            if not len(going):
                break
        return self.of_epoch(losses, [orders] * len(members) if isinstance(orders, np.ndarray) else orders)

    def of_epoch(self, losses: npt.NDArray[np.float64], orders: Sequence[Numbers]) -> npt.NDArray[np.float64]:
        """Return each network's loss of an epoch, from those of its batches, (k, batches); see `loop.Measure`."""
        size = self.plan.batch_size or len(self.data.rows)
        if self.data.rows.sample_weight is not None:
            return np.array([self._measure.of_epoch(*pair, size) for pair in zip(losses, orders, strict=True)])
        found = np.empty(len(losses))
        lengths = np.array([len(order) for order in orders])
        for length in np.unique(lengths):  # networks of as many rows have batches of the same sizes
            first = int(np.argmax(lengths == length))
            found[lengths == length] = self._measure.of_epoch(losses[lengths == length], orders[first], size)
        return found

    def stops(self, batches: int) -> Iterator[int]:
        """Yield the ends of the calls that an epoch's batches are taken in."""
        start = 0
        while start < batches:
            start = min(start + self._steps_a_call, batches)
            yield start

    def orders(self, members: Numbers) -> Numbers | Sequence[Numbers]:
        """Return the order of an epoch's rows: one for all networks, or one for each of the members."""
        data, shuffle = self.data, self.plan.shuffle
        if isinstance(self.generators, np.random.Generator):
            orders = {
                int(length): self.generators.permutation(length) if shuffle else np.arange(length)
                for length in np.unique(self.lengths)
            }
            if data.among is None:
                return orders[len(data.rows)]
            return [data.among[member][orders[len(data.among[member])]] for member in members]
        own = []
        for member in members:
            length = data.count(member)
            alone = not shuffle or self.batches[member] == 1  # on the whole batch nothing is drawn
            order = np.arange(length) if alone else self.generators[member].permutation(length)
            own.append(order if data.among is None else data.among[member][order])
        return own

    def call(
        self,
        members: Numbers,
        orders: Orders,
        batch_size: int | None,
        factors: npt.NDArray[np.float64],
        losses: npt.NDArray[np.float64],
    ) -> Numbers:
        """Take steps, and take note of how long they take."""
        began = time.perf_counter()
        with self.networks.stepping():
            done = self.engine.steps(members, self.data.rows, orders, batch_size, factors, losses)
        pace = CALL_SECONDS / max(time.perf_counter() - began, 1e-9)
        self._steps_a_call = max(1, min(int(len(factors) * pace), 4 * self._steps_a_call))
        return done

    def settle(
        self, members: Numbers, losses: npt.NDArray[np.float64], done: Numbers, epochs: Numbers
    ) -> npt.NDArray[np.bool_]:
        """Take note of steps, and of the networks that have ended with them in these epochs; return which have not."""
        last = losses[np.arange(len(members)), np.maximum(done, 1) - 1]
        lost = (done > 0) & ~np.isfinite(last)
        self.history.steps[members] += done - lost
        self.mark_diverged(members[lost], epochs[lost], [f"the loss became {each}" for each in last[lost]])
        reasons = self.engine.converged(members[~lost])
        for member, reason in reasons.items():
            self.end(np.array([member]), reason)
        ended: npt.NDArray[np.bool_] = lost | np.isin(members, list(reasons))
        return ~ended

    def mark_diverged(self, members: Numbers, epochs: Numbers, what: Sequence[str]) -> None:
        """Mark networks whose loss is no longer finite in these epochs."""
        for member, epoch, words in zip(members.tolist(), epochs.tolist(), what, strict=True):
            self.end(np.array([member]), f"diverged in epoch {epoch:,}: {words}")
            self.history.diverged[member] = True

    def end(self, members: Numbers, reason: str) -> None:
        """Let networks go on no longer."""
        for member in members.tolist():
            self.history.stopped[member] = reason
        self.active = np.setdiff1d(self.active, members)

    def factors(self, epochs: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return what learning rates are multiplied by at each of these epochs."""
        return np.ascontiguousarray(self.plan.schedule.factors(epochs, self.plan.epochs), np.float64)

    def look(self) -> None:
        """Measure validation, let the watch look, call back."""
        if self.unattended or not len(self.active):
            return
        history, members, number = self.history, self.active, self.history.epochs
        validation = None
        if self.validation is not None:
            found = self.engine.evaluate(members, self.validation.rows, self.validation.of(members))
            finite = np.isfinite(found)
            odd = members[~finite]
            self.networks.parameters[odd] = self.engine.before[odd]
            words = [f"the validation loss became {each}" for each in found[~finite]]
            self.mark_diverged(odd, np.full(len(odd), number), words)
            members, found = members[finite], found[finite]
            history.add_validation(members, found)
            validation = history.validation_loss[-1]
        losses = history.loss[-1]
        if self.plan.stop is not None or validation is not None:
            # a whole batch's loss is from before its step
            before = self.validation is None and self.whole
            watched = (losses if validation is None else validation)[members]
            points = self.engine.before if before else self.networks.parameters
            ended = self.watch.look(members, watched, points, history)
            self.end(ended, self.watch.criterion.reason(self.watch.watched))
        epoch = ManyEpoch(number, self.plan.epochs, losses, validation, self.networks, history)
        for function in self.plan.on_epoch:
            answer: Any = function(epoch)
            if isinstance(answer, (bool, np.bool_)):
                asked = self.active if answer else self.active[:0]
            elif isinstance(answer, np.ndarray) and answer.dtype == bool and answer.shape == (len(history),):
                asked = self.active[answer[self.active]]
            else:
                continue
            self.end(asked, f"on_epoch asked to, after epoch {number:,}")

    def snapshot(self, finished: bool = False) -> ManySnapshot:
        """Return where this loop stands. Its arrays are no copies."""
        return ManySnapshot(
            parameters=self.networks.parameters,
            memory=self.engine.memory(),
            numbers=self.engine.numbers,
            active=self.active,
            best=self.watch.best,
            points=self.watch.parameters,
            tables=self.history.tables(),
            stopped=self.history.stopped,
            random=[dict(each.bit_generator.state) for each in self.every_generator],
            finished=finished,
        )

    def restore(self, snapshot: ManySnapshot) -> None:
        """Begin where another process was."""
        self.networks.parameters[...] = snapshot.parameters
        self.engine.restore(snapshot.memory, snapshot.numbers)
        self.history.restore(snapshot.tables, snapshot.stopped)
        self.watch.best, self.watch.parameters, self.active = snapshot.best, snapshot.points, snapshot.active
        self.began -= self.history.seconds[-1] if self.history.epochs else 0.0
        for state, each in zip(snapshot.random, self.every_generator, strict=True):
            each.bit_generator.state = dict(state)

    def keep(self, finished: bool = False) -> None:
        """Write a checkpoint."""
        assert self.checkpoint is not None
        self.checkpoint.keep(self.networks, self.snapshot(finished), self.history)

    def report(self) -> None:
        """Print how the losses are spread, as they are now."""
        number, unit = self.history.epochs, "Epoch" if self.plan.in_epochs else "Iteration"
        with np.errstate(over="ignore", invalid="ignore"):
            losses = self.engine.evaluate(self.active, self.data.rows, self.data.of(self.active))
        finite = losses[np.isfinite(losses)]
        low, middle, high = np.quantile(finite, [0, 0.5, 1]) if len(finite) else [np.nan] * 3
        spread = f"{low:.6g} best, {middle:.6g} median, {high:.6g} worst"
        print(f"{unit} {number:,}, losses of {len(self.active):,} networks: {spread}")

    def medians(self) -> History:
        """Return what a progress bar shows."""
        shown = History()
        if not isinstance(self.progress, NoProgress):
            shown.loss = [float(np.nanmedian(self.history.loss[-1]))]
            if len(self.history.validation_loss):
                shown.validation_loss = [float(np.nanmedian(self.history.validation_loss[-1]))]
        return shown
