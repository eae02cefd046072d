"""One training that several processes share, each with its own rows; they tell each other by a collective."""

from __future__ import annotations

import json
import platform
from typing import TYPE_CHECKING, Any

import numpy as np

from nineline import _checks, engines
from nineline.engines import native
from nineline.optimizers import WholeBatchOptimizer
from nineline.rows import Rows
from nineline.schedules import Constant
from nineline.sources import IteratorSource, Source
from nineline.training import pieces
from nineline.training import validation as validated
from nineline.training.checkpoints import words
from nineline.training.plan import is_kept
from nineline.training.progress import NoProgress, display
from nineline.training.shared.checkpoint import SharedCheckpoint, digest_of, number_of
from nineline.training.shared.engine import LocalEngine, SharedEngine
from nineline.training.shared.loop import SharedLoop, shared_plan
from nineline.training.shared.share import SharedMeasure, SharedOrder, is_empty, no_rows
from nineline.training.shared.source_loop import SharedSourceLoop
from nineline.training.shared.together import Together, together_of
from nineline.training.trainer import Trainer
from nineline.training.windows import Windows, check_of, check_source

if TYPE_CHECKING:
    import os

    from nineline._typing import RandomSource
    from nineline.engines.contract import Engine, Rule
    from nineline.network import Network
    from nineline.training.history import History
    from nineline.training.plan import Plan


def train(
    network: Network,
    data: tuple[Any, Any, Any],
    validation: float | tuple[Any, ...] | Source | None,
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
    together = together_of(parallel)
    with together.listening(), together.guard():
        with together.alike():
            generator = network.rng if rng is None else _checks.generator("rng", rng)
            streamed = any(isinstance(given, Source) for given in (data[0], validation))
            trainer = _trainer(network, rule, engine, threads, generator, together, local_steps, streamed)
            marks = [_mark(given, together.size) for given in (data[0], validation)]
            is_kept(checkpoint, resume)
        shares = [_share(mark, together) for mark in marks]
        with together.alike():
            rows = _check(trainer, data, validation, plan, shares[0])
            held_out = _validation(trainer, validation, shares[1])
        _agree(together, _settings(trainer, rule, plan, data, validation, local_steps, checkpoint is not None))
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
            digest = digest_of(together, rows, held_out)
            counted = f"{order.count} rows, validation {_kind(validation)}"
            with together.alike():
                if together.is_first:
                    kept = SharedCheckpoint(checkpoint, checkpoint_every, resume)
                    kept.describe_shared(network, generator, digest, counted, rule, plan, local_steps)
                    going_on = kept.open(network, rule.optimizer, generator)
            going_on = together.first(going_on)
            if going_on is not None:
                generator.bit_generator.state = going_on.random_at_start
            random_at_start = dict(generator.bit_generator.state)
        if (
            validation is not None
            and not isinstance(validation, Source)
            and held_out is None
            and isinstance(rows, Rows)
        ):
            rows, held_out, counts = _split(together, trainer, rows, validation)
            order = SharedOrder(counts, together.rank, order.rng)
        trainer.draw_seed()
        plan = shared_plan(plan, together)
        kind: Any = SharedSourceLoop
        measure: SharedMeasure | None = None
        if isinstance(rows, Rows):
            weighted = together.sums(rows.sample_weight is not None)[0] > 0
            kind, measure = SharedLoop, SharedMeasure(rows, rule.loss.reduction, order, together, weighted)
        loop: SharedLoop = kind(
            trainer,
            rows,
            plan,
            held_out,
            progress=display(plan.progress, plan.epochs) if plan.in_epochs or plan.progress else NoProgress(),
            checkpoint=kept,
            random_at_start=random_at_start,
            order=order,
            measure=measure,
        )
        loop.together = together
        if going_on is not None:
            with together.alike():
                if kept is not None:
                    kept.check_shared_epoch(going_on, loop.batches, holds_order=isinstance(rows, Rows))
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
    streamed: bool,
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
            return (pieces if streamed else engines).choose(name, of, inner, at_most)

        return (
            SharedEngine(make, of, within, together) if steps == 1 else LocalEngine(make, of, within, together, steps)
        )

    return Trainer.of(network, rule, engine, 1 if threads is None else threads, rng, choose=choose)


# The rows


def _mark(given: Any, processes: int) -> int:
    """Return a number that stands for a source; 0 for what is none."""
    if not isinstance(given, Source):
        return 0
    if processes > 1 and isinstance(given, IteratorSource) and given.name == IteratorSource.NAMELESS:
        raise ValueError(
            f"inputs is an IteratorSource without a name, on {processes} processes; say whether it is one source, of "
            "which each reads its share (name='the same on all'), or each has its own (name=f'of process {rank}')"
        )
    return number_of(given.fingerprint()) + 1


def _share(mark: int, together: Together) -> tuple[int, int]:
    """Return the share of this process: one of many, where all are given the same source, or all that it is given."""
    marks = together.of_each(mark)
    return (together.rank, together.size) if mark and len(set(marks)) == 1 else (0, 1)


def _check(
    trainer: Trainer, data: tuple[Any, Any, Any], validation: Any, plan: Plan, share: tuple[int, int]
) -> Rows | Windows:
    """Return a process's share of the rows."""
    if isinstance(data[0], Source):
        check_source(trainer, data, validation, plan)
        return _windows(trainer, data[0], share)
    return _rows(trainer, data)


def _validation(trainer: Trainer, validation: Any, share: tuple[int, int]) -> Rows | Windows | None:
    """Return validation rows where they are given."""
    if isinstance(validation, Source):
        return _windows(trainer, validation, share, "validation ")
    given = None if validation is None else validated.given(validation)
    return None if given is None else _rows(trainer, given, "validation ")


def _windows(trainer: Trainer, source: Source, share: tuple[int, int], of: str = "") -> Windows:
    return Windows(source, check_of(trainer, of), share=share, none=_nothing(trainer.network))


def _rows(trainer: Trainer, data: tuple[Any, Any, Any], of: str = "") -> Rows:
    """Return rows; that there are none is all right."""
    return _nothing(trainer.network) if is_empty(data) else trainer.check(*data, of=of)


def _nothing(network: Network) -> Rows:
    return no_rows(network.n_inputs, network.n_outputs, network.dtype)


def _count(together: Together, rows: Rows | Windows, held_out: Rows | Windows | None) -> list[int]:
    """Return how many rows each process has, or raise where there are none."""
    with together.alike("cannot count its rows"):
        here, held = len(rows), 0 if held_out is None else len(held_out)
    counts = together.of_each(here)
    judging = 1 if held_out is None else sum(together.of_each(held))
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
    weights = together.sums(left.weigh(), held_out.weigh())
    with together.alike():
        for name, weight in zip(("training", "validation"), weights, strict=True):
            if weight == 0:
                raise ValueError(
                    f"validation is {share:g} of each process's rows, which leaves none that count for {name}; give "
                    "more rows or (inputs, outputs) of its own"
                )
    return left, held_out, together.of_each(len(left))


# What has to be the same


def _kind(validation: float | tuple[Any, ...] | Source | None) -> str:
    return "of its own" if isinstance(validation, tuple | list | Source) else repr(validation)


def _settings(
    trainer: Trainer, rule: Rule, plan: Plan, data: Any, validation: Any, local_steps: int, checkpoint: bool
) -> dict[str, str]:
    """Return in words what has to be the same on all processes."""
    network = trainer.network
    engine = trainer.engine.name
    given: dict[str, object] = {
        "network": f"{network!r} of {network.dtype}, of which learn {network.trainable()}",
        "rng": trainer.rng.bit_generator.state["bit_generator"],
        "inputs": "a source" if isinstance(data[0], Source) else "rows",
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
