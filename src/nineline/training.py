"""Training: what `Network.train` takes, checked and put together into a `Loop`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nineline import _checks, engines
from nineline.engines.contract import Task
from nineline.loop import Epoch, Loop, Plan
from nineline.losses import LOSSES, Loss, SquaredError
from nineline.optimizers import OPTIMIZERS, GradientDescent, Optimizer
from nineline.progress import Silent, display
from nineline.schedules import Schedule, as_schedule
from nineline.stopping import EarlyStopping

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from nineline._typing import RandomSource
    from nineline.checkpoints import Keeper
    from nineline.history import History
    from nineline.loop import Data
    from nineline.network import Network


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
    plan = Plan(
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
    loop = Loop(network, task, plan, held_out, chosen, shown)
    if keeper is not None:
        loop.keeper, loop.random_at_start = keeper, random_at_start
    if moment is not None:
        loop.go_on(moment)
    return loop.run()


def _split(
    network: Network,
    loss: Loss,
    data: Data,
    validation: float | tuple[npt.ArrayLike, ...],
    rng: np.random.Generator,
) -> tuple[Data, Data]:
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

    def part(of: npt.NDArray[np.intp]) -> Data:
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
