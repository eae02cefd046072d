"""Members: the networks of an estimator, trained side by side."""

from __future__ import annotations

import math
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np

from nineline.layers import AbstractLayer, Dropout, Layer
from nineline.network import Network
from nineline.optimizers import AdamW
from nineline.schedules import Schedule, WarmupStableDecay
from nineline.stopping import EarlyStopping

if TYPE_CHECKING:
    import os
    from collections.abc import Callable
    from pathlib import Path

    import numpy.typing as npt

    from nineline._typing import Array
    from nineline.activations import Activation
    from nineline.estimators.tabular.recipe import Recipe
    from nineline.estimators.tabular.rows import Rows, Turns
    from nineline.estimators.tabular.shown import Shown
    from nineline.history import History
    from nineline.loop import Epoch


@dataclass(frozen=True)
class Member:
    """A trained network.

    Attributes
    ----------
    network : Network
    history : History
    held_out : array of int
        The rows that it did not learn from.
    """

    network: Network
    history: History
    held_out: npt.NDArray[np.intp]


@dataclass(frozen=True)
class Work:
    """What all members have in common.

    Attributes
    ----------
    rows : Rows
    turns : Turns
    recipe : Recipe
    activation : str or Activation
    outputs : int
    output, loss : str
        The activation of the outputs, and the loss.
    score : function or None
        Takes the outputs for held-out rows, the rows and their weights, and returns what is to be as large as can be;
        None watches the loss.
    seed : int
    engine : str
    checkpoint : path or None
    resume : bool
    time_limit : float or None
        Seconds for all members together.
    jobs : int
        How many are trained at once.
    shown : Shown
    """

    rows: Rows
    turns: Turns
    recipe: Recipe
    activation: str | Activation
    outputs: int
    output: str
    loss: str
    score: Callable[[Array, npt.NDArray[np.intp]], float] | None
    seed: int
    engine: str
    checkpoint: str | os.PathLike[str] | None
    resume: bool
    time_limit: float | None
    jobs: int
    shown: Shown


def train_members(work: Work) -> list[Member]:
    """Train every member; where time runs out, those for which there was time, at least one.

    A member depends on the seed and its own number alone: not on how many there are, nor on what runs beside it.
    Ctrl-C ends training and keeps what is there.
    """
    members = work.recipe.members
    jobs = min(work.jobs, members)
    clock = _Clock(work.time_limit, members, jobs)
    stop = threading.Event()

    def one(number: int) -> Member | None:
        budget = clock.budget(number)
        return None if budget == 0 or (stop.is_set() and number) else _train(work, number, budget, jobs, stop)

    with work.shown, ThreadPoolExecutor(jobs) as pool:
        futures = [pool.submit(one, number) for number in range(members)]
        try:
            trained = [future.result() for future in futures]
        except KeyboardInterrupt:
            stop.set()
            trained = [future.result() for future in futures]
        except BaseException:
            stop.set()  # the others need not go on
            raise
    return [member for member in trained if member is not None and np.isfinite(member.network.parameters).all()]


class _Clock:
    """How many seconds each member has: an equal share of what is left, among those that run one after the other."""

    def __init__(self, limit: float | None, members: int, jobs: int) -> None:
        self.limit, self.members, self.jobs = limit, members, jobs
        self.began = time.perf_counter()

    def budget(self, number: int) -> float | None:
        """Return the seconds for a member that begins now; None: as long as it takes, 0: it is too late."""
        if self.limit is None:
            return None
        left = self.limit - (time.perf_counter() - self.began)
        turns = math.ceil((self.members - number) / self.jobs)
        return max(left / turns, 0.0) if number else max(left / turns, 1e-9)  # the first is always trained


@final
class _ByTheClock(Schedule):
    """Another schedule, gone through faster where time is short: by the share of the epochs, or of the seconds."""

    def __init__(self, schedule: Schedule, seconds: float) -> None:
        self.schedule, self.seconds, self.began = schedule, seconds, time.perf_counter()

    def factor(self, epoch: float, epochs: float) -> float:
        passed = min((time.perf_counter() - self.began) / self.seconds, 0.999)
        return self.schedule.factor(max(epoch / epochs, passed), 1.0)

    def out_of_time(self, epoch: Epoch) -> bool:
        """Return whether the seconds are over."""
        return time.perf_counter() - self.began >= self.seconds


class _Watch:
    """Keeps the point of the best score, and asks to stop when it has not risen for long; called after every epoch."""

    def __init__(self, score: Callable[[Network], float], patience: int) -> None:
        self.score, self.patience = score, patience
        self.best, self.best_epoch = -math.inf, 0
        self.parameters: Array = np.empty(0)

    def __call__(self, epoch: Epoch) -> bool:
        score = self.score(epoch.network)
        if score > self.best or not len(self.parameters):
            self.best, self.best_epoch, self.parameters = score, epoch.number, epoch.network.parameters.copy()
        return epoch.number - self.best_epoch >= self.patience


def _train(work: Work, number: int, seconds: float | None, jobs: int, stop: threading.Event) -> Member:
    """Train one member."""
    recipe, rng = work.recipe, np.random.default_rng([work.seed, number])
    kept, out = work.turns.of(number)
    inputs, targets, *weights = work.rows.part(kept)
    network = _network(work, inputs.shape[1], rng)
    _begin_at_mean(network, targets, weights[0] if weights else None)
    schedule: Schedule = WarmupStableDecay()

    def interrupt(_: Epoch) -> None:
        if stop.is_set():
            raise KeyboardInterrupt  # as if it had reached this thread: the checkpoint stays one that can go on

    callbacks: list[Callable[[Epoch], object]] = [interrupt, work.shown.of(number)]
    if seconds is not None:
        schedule = _ByTheClock(schedule, seconds)
        callbacks.append(schedule.out_of_time)
    score, watch = work.score, None
    if len(out) and score is not None:
        watch = _Watch(lambda now: score(now.run(work.rows.inputs[out]), out), recipe.patience)
        callbacks.append(watch)
    history = network.train(
        inputs,
        targets,
        epochs=recipe.epochs,
        batch_size=recipe.batch_size,
        loss=work.loss,
        optimizer=AdamW(recipe.learning_rate, beta_2=0.95, weight_decay=recipe.weight_decay),
        schedule=schedule,
        validation=work.rows.part(out) if len(out) else None,
        stop=EarlyStopping(recipe.patience) if len(out) and watch is None else None,
        sample_weight=weights[0] if weights else None,
        clip_norm=10.0,
        on_epoch=callbacks,
        progress=False,
        engine=work.engine,
        threads=max(1, work.jobs // jobs),
        checkpoint=_checkpoint(work.checkpoint, number),
        resume=work.resume,
        rng=rng,
    )
    if watch is not None:
        network.parameters = watch.parameters
        history.best_epoch, history.restored = watch.best_epoch, True
    # Trained in float32; run in float64, so that an answer does not depend on which rows it comes with.
    return Member(network.astype(np.float64), history, out)


def _checkpoint(path: str | os.PathLike[str] | None, number: int) -> str | Path | None:
    """Return a member's own file: the first one's is the path itself, the others' have their number behind it."""
    from pathlib import Path

    return None if path is None else Path(path) if number == 0 else Path(f"{Path(path)}.{number}")


def _network(work: Work, width: int, rng: np.random.Generator) -> Network:
    layers: list[AbstractLayer] = []
    for size in work.recipe.hidden:
        layers.append(Layer(width, size, work.activation, bias=True, rng=rng))
        if work.recipe.dropout:
            layers.append(Dropout(work.recipe.dropout))
        width = size
    layers.append(Layer(width, work.outputs, work.output, bias=True, rng=rng))
    return Network(*layers, dtype=np.float32)


def _begin_at_mean(network: Network, targets: Array, weights: Array | None) -> None:
    """Set the last bias so that the network begins about at the mean of the targets, not at 0."""
    mean = np.average(targets.astype(np.float64), axis=0, weights=weights)
    name: Any = type(network.output_layer.activation).__name__
    if name == "Sigmoid":
        mean = np.clip(mean, 1e-3, 1 - 1e-3)
        mean = np.log(mean / (1 - mean))
    elif name == "Softmax":
        mean = np.log(np.clip(mean, 1e-3, 1))
    network.output_layer.bias = mean
