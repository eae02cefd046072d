"""One member of an estimator: what it is, what it learns from, and how it is trained."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast, final

import numpy as np

from nineline.estimators.tabular.folds import stretch
from nineline.estimators.tabular.recipe import Recipe, vector_width
from nineline.estimators.tabular.widening import Widening, widened
from nineline.layers import AbstractLayer, Dropout, Embedding, Layer
from nineline.losses import LOSSES
from nineline.network import Network
from nineline.optimizers import AdamW
from nineline.schedules import Schedule, WarmupStableDecay
from nineline.training import arguments
from nineline.training.arguments import Plan, Rule
from nineline.training.watch import EarlyStopping

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    import numpy.typing as npt

    from nineline._typing import Array
    from nineline.activations import Activation
    from nineline.estimators.tabular.folds import Splits
    from nineline.estimators.tabular.interruption import Listening
    from nineline.rows import Compact, Encoding, Rows
    from nineline.tables.targets import Target
    from nineline.training.epoch import Epoch
    from nineline.training.history import History
    from nineline.training.shared.together import Together


_FACTORS: Final = {"vectors": 4.0}  # of the learning rate: a vector moves only in steps that its level comes up in


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
    begin : tuple of Network
        What members begin as, by their numbers, where they do not begin anew.
    """

    recipe: Recipe
    activation: str | Activation
    target: Target
    score: Callable[[Array, npt.NDArray[np.intp]], float] | None
    seed: int
    engine: str
    checkpoint: str | os.PathLike[str] | None
    resume: bool
    begin: tuple[Network, ...] = ()


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
    learning_rate : float or None
        None: the recipe's.
    widening : Widening or None
        What becomes of the network in the end, where others are given more inputs.
    """

    data: tuple[Any, Any, Any]
    among: npt.NDArray[Any] | None
    encoding: Encoding
    mean: npt.NDArray[np.float64]
    held: Rows
    out: npt.NDArray[np.intp]
    learning_rate: float | None = None
    widening: Widening | None = None


@dataclass(frozen=True, eq=False)
class Lessons:
    """What gives each member its lesson, of rows in memory: all but its fold.

    Attributes
    ----------
    rows : Rows
    folds : Splits
    learning_rate, widening
        Of each lesson.
    """

    rows: Rows
    folds: Splits
    learning_rate: float | None = None
    widening: Widening | None = None

    def __call__(self, number: int) -> Lesson:
        """Return a member's lesson."""
        learned, out = self.folds.of(number)
        kept = learned.astype(np.int32)  # of many rows their numbers are a good part of the memory
        rows = self.rows
        data = rows.inputs, rows.targets, rows.sample_weight
        encoding = cast("Compact", rows.inputs).encoding
        mean, held = mean_of(rows, kept), rows.part(stretch(out))
        return Lesson(data, kept, encoding, mean, held, out, self.learning_rate, self.widening)


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


def train_member(
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
    if lesson.learning_rate is not None:
        settings = replace(settings, recipe=replace(settings.recipe, learning_rate=lesson.learning_rate))
    recipe, rng = settings.recipe, np.random.default_rng([settings.seed, number])
    network, held, out = begun(settings, lesson.encoding, lesson.mean, rng), lesson.held, lesson.out
    if number < len(settings.begin):
        network.parameters = settings.begin[number].parameters
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
        checkpoint=checkpoint_of(settings.checkpoint, number),
        resume=settings.resume,
        engine=settings.engine,
        threads=threads,
        rng=rng,
        parallel=together,
    )
    if progress.out_of_time:
        history.stopped = f"out of time in epoch {history.epochs + 1:,}"
    # Trained in float32; run in float64, so that an answer does not depend on which rows it comes with.
    member = Member(network.astype(np.float64), history, out)
    return member if lesson.widening is None else widened_member(member, settings, lesson.widening)


def widened_member(member: Member, settings: MemberSettings, widening: Widening) -> Member:
    """Return a member whose network is given the inputs that others are given, too, and answers as before."""
    empty = _network(settings, widening.encoding, np.random.default_rng(0)).astype(member.network.dtype)
    return replace(member, network=widened(member.network, empty, widening.places))


def checkpoint_of(path: str | os.PathLike[str] | None, number: int) -> Path | None:
    """Return a member's own file: the first one's is the path itself, the others' have their number behind it."""
    return None if path is None else Path(path) if number == 0 else Path(f"{Path(path)}.{number}")


def rule_of(settings: MemberSettings, encoding: Encoding) -> Rule:
    """Return what members descend on, and how."""
    recipe, factors = settings.recipe, _FACTORS if encoding.embedded else {}
    optimizer = AdamW(recipe.learning_rate, beta_2=0.95, weight_decay=recipe.weight_decay, factors=factors)
    loss = LOSSES[settings.target.loss](**settings.target.loss_settings)
    return Rule(loss, optimizer, clip_norm=10.0)


def begun(
    settings: MemberSettings, encoding: Encoding, mean: npt.NDArray[np.float64], rng: np.random.Generator
) -> Network:
    """Return a member's network as it begins: about at the mean of the targets, not at 0."""
    network, mean = _network(settings, encoding, rng), settings.target.begin(mean)
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
