"""One training that several processes share, each with its own rows; they tell each other by a collective."""

from __future__ import annotations

import json
import platform
from typing import TYPE_CHECKING, Any

import numpy as np

from nineline import _checks, engines
from nineline.engines import native
from nineline.optimizers import WholeBatchOptimizer
from nineline.parallel import collective_of
from nineline.schedules import Constant
from nineline.training import validation as validated
from nineline.training.checkpoints import words
from nineline.training.plan import is_kept
from nineline.training.progress import NoProgress, display
from nineline.training.shared.checkpoint import SharedCheckpoint, digest_of
from nineline.training.shared.engine import LocalEngine, SharedEngine
from nineline.training.shared.loop import SharedLoop, shared_plan
from nineline.training.shared.share import SharedMeasure, SharedOrder, is_empty, no_rows, weigh
from nineline.training.shared.together import Together
from nineline.training.trainer import Trainer

if TYPE_CHECKING:
    import os

    from nineline._typing import RandomSource
    from nineline.engines.contract import Engine, Rule
    from nineline.network import Network
    from nineline.rows import Rows
    from nineline.training.history import History
    from nineline.training.plan import Plan


def train(
    network: Network,
    data: tuple[Any, Any, Any],
    validation: float | tuple[Any, ...] | None,
    rule: Rule,
    plan: Plan,
    *,
    parallel: object,
    local_steps: int,
    checkpoint: str | os.PathLike[str] | None,
    checkpoint_every: float,
    resume: bool,
    engine: str,
    threads: int | None,
    rng: RandomSource,
) -> History:
    """Train `network` on the rows of all processes; `Network.train` documents every argument."""
    together = Together(collective_of(parallel))
    with together.listening(), together.guard():
        with together.alike():
            generator = network.rng if rng is None else _checks.generator("rng", rng)
            trainer = _trainer(network, rule, engine, threads, generator, together, local_steps)
            rows = _check(trainer, data)
            held_out = _validation(trainer, validation)
            is_kept(checkpoint, resume)
        _agree(together, _settings(trainer, rule, plan, validation, local_steps, checkpoint is not None))
        counts = _count(together, rows, held_out)
        order = SharedOrder(counts, together.rank, generator if plan.shuffle else None)
        with together.alike():
            if plan.batch_size is not None and plan.batch_size < order.count:
                trainer.refuse_on_all_rows("batch_size", plan.batch_size, "takes all rows at each step")
            if not isinstance(plan.schedule, Constant):
                trainer.refuse_on_all_rows("schedule", repr(plan.schedule), "has no learning rate")
        _begin_alike(together, trainer)
        kept, going_on = None, None
        random_at_start: dict[str, Any] = {}
        if checkpoint is not None:
            shares = digest_of(together, rows, held_out)
            counted = f"{order.count} rows, validation {_kind(validation)}"
            with together.alike():
                if together.is_first:
                    kept = SharedCheckpoint(checkpoint, checkpoint_every, resume)
                    kept.describe_shared(network, generator, shares, counted, rule, plan, local_steps)
                    going_on = kept.open(network, rule.optimizer, generator)
            going_on = together.first(going_on)
            if going_on is not None:
                generator.bit_generator.state = going_on.random_at_start
            random_at_start = dict(generator.bit_generator.state)
        if validation is not None and held_out is None:
            rows, held_out, counts = _split(together, trainer, rows, validation)
            order = SharedOrder(counts, together.rank, order.rng)
        trainer.draw_seed()
        weighted = together.sums(rows.sample_weight is not None)[0] > 0
        plan = shared_plan(plan, together)
        loop = SharedLoop(
            trainer,
            rows,
            plan,
            held_out,
            progress=display(plan.progress, plan.epochs) if plan.in_epochs or plan.progress else NoProgress(),
            checkpoint=kept,
            random_at_start=random_at_start,
            order=order,
            measure=SharedMeasure(rows, rule.loss.reduction, order, together, weighted),
        )
        loop.together = together
        if isinstance(trainer.engine, SharedEngine):
            trainer.engine.is_even = together.sums(order.is_even)[0] == together.size
        if going_on is not None:
            with together.alike():
                if kept is not None:
                    kept.check_shared_epoch(going_on, loop.batches)
            loop.resume(going_on)
            if going_on.finished:
                return going_on.history
        history = loop.run()
        together.collective.barrier()  # nobody leaves before the last checkpoint is written
        return history


def _trainer(
    network: Network,
    rule: Rule,
    engine: str,
    threads: int | None,
    rng: np.random.Generator,
    together: Together,
    local_steps: int,
) -> Trainer:
    """Return a trainer whose steps are those of all processes."""
    steps = _checks.positive_integer("local_steps", local_steps)
    if steps > 1 and isinstance(rule.optimizer, WholeBatchOptimizer):
        raise ValueError(
            f"local_steps is {steps} and optimizer is {type(rule.optimizer).__name__}, which looks at the rows of all "
            "processes before each step; leave local_steps out"
        )
    if steps > 1 and rule.loss.reduction == "sum":
        raise ValueError(
            f"local_steps is {steps} and loss is {rule.loss!r}; steps on some of the rows go as far as those on all "
            "where the loss is a mean, such as loss='squared_error'"
        )

    def choose(name: str, of: Network, within: Rule, at_most: int) -> Engine:
        def make(inner: Rule) -> Engine:
            return engines.choose(name, of, inner, at_most)

        return (
            SharedEngine(make, of, within, together) if steps == 1 else LocalEngine(make, of, within, together, steps)
        )

    return Trainer.of(network, rule, engine, 1 if threads is None else threads, rng, choose=choose)


# The rows


def _check(trainer: Trainer, data: tuple[Any, Any, Any], of: str = "") -> Rows:
    """Return a process's share as rows; that there are none is all right."""
    if is_empty(data):
        network = trainer.network
        return no_rows(network.n_inputs, network.n_outputs, network.dtype)
    return trainer.check(*data, of=of)


def _validation(trainer: Trainer, validation: float | tuple[Any, ...] | None) -> Rows | None:
    """Return validation rows where they are given."""
    given = None if validation is None else validated.given(validation)
    return None if given is None else _check(trainer, given, "validation ")


def _count(together: Together, rows: Rows, held_out: Rows | None) -> list[int]:
    """Return how many rows each process has, or raise where there are none."""
    counts = together.of_each(len(rows))
    judging = 1 if held_out is None else sum(together.of_each(len(held_out)))
    with together.alike():
        for name, count in (("inputs", sum(counts)), ("validation inputs", judging)):
            if count == 0:
                raise ValueError(
                    f"{name} has no rows that count, on any of {together.size} processes; give each process its share"
                )
    return counts


def _split(
    together: Together, trainer: Trainer, rows: Rows, validation: float | tuple[Any, ...]
) -> tuple[Rows, Rows, list[int]]:
    """Hold out a share of each process's rows; return what is left, what is held out, and how much is left on each."""
    seed = int(trainer.rng.integers(2**63))
    share = _checks.number("validation", validation, low=0, high=1, low_open=True, high_open=True)
    order = np.random.default_rng([seed, together.rank]).permutation(len(rows))
    held = round(share * len(rows))
    left, held_out = rows.part(order[held:]), rows.part(order[:held])
    weights = together.sums(weigh(left), weigh(held_out))
    with together.alike():
        for name, weight in zip(("training", "validation"), weights, strict=True):
            if weight == 0:
                raise ValueError(
                    f"validation is {share:g} of each process's rows, which leaves none that count for {name}; give "
                    "more rows or (inputs, outputs) of its own"
                )
    return left, held_out, together.of_each(len(left))


# What has to be the same


def _kind(validation: float | tuple[Any, ...] | None) -> str:
    return "of its own" if isinstance(validation, tuple | list) else repr(validation)


def _settings(
    trainer: Trainer, rule: Rule, plan: Plan, validation: Any, local_steps: int, checkpoint: bool
) -> dict[str, str]:
    """Return in words what has to be the same on all processes."""
    network = trainer.network
    engine = trainer.engine.name
    given: dict[str, object] = {
        "network": f"{network!r} of {network.dtype}, of which learn {network.trainable()}",
        "rng": trainer.rng.bit_generator.state["bit_generator"],
        "validation": _kind(validation),
        "loss": rule.loss,
        "optimizer": rule.optimizer,
        "l1": rule.l1,
        "l2": rule.l2,
        "clip_norm": rule.clip_norm,
        "epochs": plan.epochs,
        "batch_size": plan.batch_size,
        "shuffle": plan.shuffle,
        "schedule": plan.schedule,
        "stop": plan.stop,
        "report_every": plan.report_every,
        "on_epoch": f"{len(plan.on_epoch)} functions",
        "checkpoint": "a file" if checkpoint else None,
        "local_steps": local_steps,
        "engine": f"{engine} {native.level()}" if engine == "native" else engine,
        "numpy": f"{np.__version__} on {platform.machine()}",
    }
    return {name: words(str(value)) for name, value in given.items()}


def _agree(together: Together, settings: dict[str, str]) -> None:
    """Raise on all processes where settings of one are not those of the first."""
    wanted = json.loads(together.collective.broadcast(json.dumps(settings).encode()))
    with together.alike():
        for name, value in settings.items():
            if value != wanted[name]:
                raise ValueError(
                    f"{name} is {value} on process {together.rank} and {wanted[name]} on process 0; give all "
                    "processes the same"
                )


def _begin_alike(together: Together, trainer: Trainer) -> None:
    """Give all processes the parameters of the first, and put their random generators where its stands."""
    trainer.network.parameters[...] = together.first(trainer.network.parameters)
    bits = trainer.rng.bit_generator
    bits.state = together.first(dict(bits.state))
