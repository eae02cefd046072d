"""Members: the networks of an estimator, trained side by side."""

from __future__ import annotations

import math
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast, final

import numpy as np

from nineline.estimators.tabular.folds import stretch
from nineline.estimators.tabular.interruption import Interruption, Listening
from nineline.estimators.tabular.recipe import MEMBERS_AT_MOST, Recipe, vector_width
from nineline.layers import AbstractLayer, Dropout, Embedding, Layer
from nineline.network import Network
from nineline.optimizers import AdamW
from nineline.schedules import Schedule, WarmupStableDecay
from nineline.training import arguments
from nineline.training.arguments import Plan, Rule
from nineline.training.watch import EarlyStopping

if TYPE_CHECKING:
    import os
    from collections.abc import Callable
    from pathlib import Path

    import numpy.typing as npt

    from nineline._typing import Array
    from nineline.activations import Activation
    from nineline.estimators.tabular.folds import Folds
    from nineline.estimators.tabular.progress import MemberProgress
    from nineline.rows import Compact, Encoding, Rows
    from nineline.tables.targets import Target
    from nineline.training.epoch import Epoch
    from nineline.training.history import History
    from nineline.training.shared.together import Together


_SOON: Final = 1000  # rows
_FACTORS: Final = {"vectors": 4.0}  # of the learning rate: a vector moves only in steps that its level comes up in
_LONG: Final = 1.0  # seconds; an epoch that takes longer may be cut off by a time limit


@dataclass(frozen=True)
class Member:
    """A trained network.

    Attributes
    ----------
    network : Network
    history : History
    held_out : array of int
        The rows that it did not learn from; the first of them where training was interrupted.
    """

    network: Network
    history: History
    held_out: npt.NDArray[np.intp]


@dataclass(frozen=True)
class MemberSettings:
    """How every member is made and trained.

    Attributes
    ----------
    recipe : Recipe
    activation : str or Activation
    target : Target
    score : function or None
        Takes the outputs for held-out rows and the rows' numbers, and returns what is to be as large as can be; None
        watches the loss.
    seed : int
    engine : str
    checkpoint : path or None
    resume : bool
    """

    recipe: Recipe
    activation: str | Activation
    target: Target
    score: Callable[[Array, npt.NDArray[np.intp]], float] | None
    seed: int
    engine: str
    checkpoint: str | os.PathLike[str] | None
    resume: bool


@dataclass(frozen=True)
class Budget:
    """What training may take.

    Attributes
    ----------
    time_limit : float or None
        Seconds for all members together.
    jobs : int
        How many threads there are; a member has one, or more where there are fewer members.
    at_once : int
        How many members are trained at once at most.
    together : Together or None
        The processes that share each training, one after the other, where there are several.
    """

    time_limit: float | None
    jobs: int
    at_once: int = MEMBERS_AT_MOST
    together: Together | None = None


@dataclass(frozen=True)
class Lesson:
    """What a member learns from, and what it is watched by.

    Attributes
    ----------
    data : tuple
        ``(inputs, targets, sample_weight)``, or ``(source, None, None)``.
    among : array of int, or None
        The numbers of the rows to learn from; None for all.
    encoding : Encoding
    mean : array, (outputs,)
        Of the targets.
    held : Rows
        What it does not learn from.
    out : array of int
        The numbers of these among the rows that are judged by.
    """

    data: tuple[Any, Any, Any]
    among: npt.NDArray[Any] | None
    encoding: Encoding
    mean: npt.NDArray[np.float64]
    held: Rows
    out: npt.NDArray[np.intp]


def lessons_of(rows: Rows, folds: Folds) -> Callable[[int], Lesson]:
    """Return what gives each member its lesson, of rows in memory: all but its fold."""

    def lesson(number: int) -> Lesson:
        learned, out = folds.of(number)
        kept = learned.astype(np.int32)  # of many rows their numbers are a good part of the memory
        data = rows.inputs, rows.targets, rows.sample_weight
        encoding = cast("Compact", rows.inputs).encoding
        return Lesson(data, kept, encoding, mean_of(rows, kept), rows.part(stretch(out)), out)

    return lesson


def train_members(
    lessons: Callable[[int], Lesson],
    settings: MemberSettings,
    budget: Budget,
    progress: MemberProgress,
    interruption: Interruption,
) -> list[Member]:
    """Train every member; where time runs out, those for which there was time, at least one.

    A member depends on the seed and its own number alone: not on how many there are, nor on what runs beside it.
    An interruption ends training and keeps what is there: members that finished an epoch, or, where there is none,
    those that took a step.
    """
    members = settings.recipe.members
    if budget.together is not None:
        return _train_together(lessons, settings, budget, progress, interruption)
    jobs = min(budget.jobs, members, budget.at_once)
    clock = _Clock(budget.time_limit, members, jobs)

    def one(number: int) -> Member | None:
        seconds = clock.seconds(number)
        if seconds == 0 or interruption.heard:
            return None
        callbacks: list[Callable[[Epoch], object]] = [progress.of(number)]
        deadline = None if seconds is None else time.perf_counter() + max(seconds, _LONG)
        listening = Listening(interruption, deadline, lambda epochs: progress.moved(number, epochs))
        return _train(lessons(number), settings, number, seconds, max(1, budget.jobs // jobs), callbacks, listening)

    with progress, ThreadPoolExecutor(jobs) as pool:
        futures = [pool.submit(one, number) for number in range(members)]
        try:
            results = [future.result() for future in futures]
        except BaseException:
            interruption.stop()  # the others need not go on
            raise
    return _of_use([member for member in results if member is not None], interruption)


def _train_together(
    lessons: Callable[[int], Lesson],
    settings: MemberSettings,
    budget: Budget,
    progress: MemberProgress,
    interruption: Interruption,
) -> list[Member]:
    """Train every member by the steps of several processes, which hear of Ctrl-C at one of them."""
    members: list[Member] = []
    with progress:
        for number in range(settings.recipe.members):
            listening = Listening(interruption, None, partial(progress.moved, number))
            callbacks: list[Callable[[Epoch], object]] = [progress.of(number)]
            try:
                member = _train(
                    lessons(number), settings, number, None, budget.jobs, callbacks, listening, budget.together
                )
            except KeyboardInterrupt:  # on all of them, before a step
                interruption.stop()
                break
            members.append(member)
            if member.history.stopped.startswith("interrupted"):
                interruption.stop()
                break
    return _of_use(members, interruption)


def _of_use(members: list[Member], interruption: Interruption) -> list[Member]:
    """Return members that have learned something."""
    trained = [each for each in members if each.history.steps and np.isfinite(each.network.parameters).all()]
    if interruption.heard:
        trained = soon_judged([member for member in trained if member.history.epochs] or trained)
    return trained


def soon_judged(members: list[Member]) -> list[Member]:
    """Return members with few enough held-out rows that somebody who pressed Ctrl-C need not wait."""
    return [replace(member, held_out=member.held_out[:_SOON]) for member in members]


class _Clock:
    """How many seconds each member has: an equal share of what is left, among those that run one after the other."""

    def __init__(self, limit: float | None, members: int, jobs: int) -> None:
        self.limit, self.members, self.jobs = limit, members, jobs
        self.began = time.perf_counter()

    def seconds(self, number: int) -> float | None:
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


def _train(
    lesson: Lesson,
    settings: MemberSettings,
    number: int,
    seconds: float | None,
    threads: int,
    callbacks: list[Callable[[Epoch], object]],
    progress: Listening,
    together: Together | None = None,
) -> Member:
    """Train one member."""
    recipe, rng = settings.recipe, np.random.default_rng([settings.seed, number])
    network, held, out = begun(settings, lesson.encoding, lesson.mean, rng), lesson.held, lesson.out
    schedule: Schedule = WarmupStableDecay()
    if seconds is not None:
        schedule = _ByTheClock(schedule, seconds)
        callbacks = [*callbacks, schedule.out_of_time]
    score = settings.score

    def watched(network: Network) -> float:
        assert score is not None
        return score(network.run(held.inputs), out)

    plan = Plan(
        epochs=recipe.epochs,
        batch_size=recipe.batch_size,
        schedule=schedule,
        stop=EarlyStopping(recipe.patience, score=None if score is None else watched) if len(out) else None,
        on_epoch=callbacks,
        progress=progress,
    )
    judged = held
    if together is not None:  # who have all of it
        judged = held.part(np.arange(together.rank, len(held), together.size))
    history = arguments.train(  # as Network.train does, among rows that lie where they are
        network,
        lesson.data,
        (judged.inputs, judged.targets, judged.sample_weight) if len(out) else None,
        rule_of(settings, lesson.encoding),
        plan,
        among=lesson.among,
        checkpoint=_checkpoint(settings.checkpoint, number),
        resume=settings.resume,
        engine=settings.engine,
        threads=threads,
        rng=rng,
        parallel=together,
    )
    if progress.out_of_time:
        history.stopped = f"out of time in epoch {history.epochs + 1:,}"
    # Trained in float32; run in float64, so that an answer does not depend on which rows it comes with.
    return Member(network.astype(np.float64), history, out)


def _checkpoint(path: str | os.PathLike[str] | None, number: int) -> str | Path | None:
    """Return a member's own file: the first one's is the path itself, the others' have their number behind it."""
    from pathlib import Path

    return None if path is None else Path(path) if number == 0 else Path(f"{Path(path)}.{number}")


def rule_of(settings: MemberSettings, encoding: Encoding) -> Rule:
    """Return what members descend on, and how."""
    recipe, factors = settings.recipe, _FACTORS if encoding.embedded else {}
    optimizer = AdamW(recipe.learning_rate, beta_2=0.95, weight_decay=recipe.weight_decay, factors=factors)
    return Rule(settings.target.loss, optimizer, clip_norm=10.0)


def begun(
    settings: MemberSettings, encoding: Encoding, mean: npt.NDArray[np.float64], rng: np.random.Generator
) -> Network:
    """Return a member's network as it begins: about at the mean of the targets, not at 0."""
    network = _network(settings, encoding, rng)
    name: Any = type(network.output_layer.activation).__name__
    if name == "Sigmoid":
        mean = np.clip(mean, 1e-3, 1 - 1e-3)
        mean = np.log(mean / (1 - mean))
    elif name == "Softmax":
        mean = np.log(np.clip(mean, 1e-3, 1))
    network.output_layer.bias = mean
    return network


def mean_of(rows: Rows, kept: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return the mean of the targets of some rows, (outputs,)."""
    weights = None if rows.sample_weight is None else rows.sample_weight[kept]
    mean: npt.NDArray[np.float64] = np.average(rows.targets[kept].astype(np.float64), axis=0, weights=weights)
    return mean


def _network(settings: MemberSettings, encoding: Encoding, rng: np.random.Generator) -> Network:
    layers: list[AbstractLayer] = []
    width = encoding.width
    if encoding.embedded:
        widths = [vector_width(levels) for levels in encoding.embedded]
        layers.append(Embedding(encoding.embedded, widths, numbers=width - len(widths), rng=rng))
        width += sum(widths) - len(widths)
    for size in settings.recipe.hidden:
        layers.append(Layer(width, size, settings.activation, bias=True, rng=rng))
        if settings.recipe.dropout:
            layers.append(Dropout(settings.recipe.dropout))
        width = size
    layers.append(Layer(width, settings.target.outputs, settings.target.activation, bias=True, rng=rng))
    return Network(*layers, dtype=np.float32)
