"""What `Network.train` takes, put together into a Trainer and a loop around it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nineline import _checks, engines
from nineline.engines.contract import Rule
from nineline.schedules import Constant
from nineline.sources import Source
from nineline.training import pieces
from nineline.training import validation as validated
from nineline.training.loop import Loop, Order
from nineline.training.plan import Plan, is_kept
from nineline.training.progress import NoProgress, Progress, display
from nineline.training.source_loop import SourceLoop
from nineline.training.trainer import Trainer
from nineline.training.windows import Windows, check_of, check_source

if TYPE_CHECKING:
    import os

    import numpy.typing as npt

    from nineline._typing import RandomSource
    from nineline.network import Network
    from nineline.rows import Rows
    from nineline.training.checkpoints import Checkpoint
    from nineline.training.history import History

__all__ = ["Plan", "Rule", "Trainer", "train"]


def train(
    network: Network,
    data: tuple[Any, Any, Any],
    validation: float | tuple[Any, ...] | Source | None,
    rule: Rule,
    plan: Plan,
    *,
    among: npt.NDArray[Any] | None = None,
    checkpoint: str | os.PathLike[str] | None,
    checkpoint_every: float = 10.0,
    resume: bool,
    engine: str,
    threads: int | None,
    rng: RandomSource,
    parallel: object = None,
    local_steps: int = 1,
    live: bool = False,
) -> History:
    """Train `network` on data, ``(inputs, outputs, sample_weight)``; `Network.train` documents every argument.

    `among` are the numbers of the rows to learn from, ascending; where it is None, these are all.
    """
    if parallel is not None:
        if live:
            raise ValueError("live is True, and parallel is given, whose processes have no notebook; leave live out")
        from nineline.training import shared  # loaded where it is used

        keeping: dict[str, Any] = {"checkpoint": checkpoint, "checkpoint_every": checkpoint_every, "resume": resume}
        computing: dict[str, Any] = {"engine": engine, "threads": threads, "rng": rng}
        together: dict[str, Any] = {"parallel": parallel, "local_steps": local_steps}
        return shared.train(network, data, validation, rule, plan, **keeping, **computing, **together)
    if local_steps != 1:
        raise ValueError(
            f"local_steps is {local_steps!r} and parallel is not given; one process has nobody to take steps apart from"
        )
    generator = network.rng if rng is None else _checks.generator("rng", rng)
    streamed = any(isinstance(given, Source) for given in (data[0], validation))
    trainer = Trainer.of(network, rule, engine, threads, generator, pieces.choose if streamed else engines.choose)
    rows: Rows | Windows
    if isinstance(data[0], Source):
        check_source(trainer, data, validation, plan)
        rows = Windows(data[0], check_of(trainer))
    else:
        rows = trainer.check(*data)
        if plan.batch_size is not None and plan.batch_size < (len(rows) if among is None else len(among)):
            trainer.refuse_on_all_rows("batch_size", plan.batch_size, "takes all rows at each step")
    if not isinstance(plan.schedule, Constant):
        trainer.refuse_on_all_rows("schedule", repr(plan.schedule), "has no learning rate")
    checkpoints = _as_checkpoint(checkpoint, checkpoint_every, resume)
    going_on, random_at_start = None, {}
    if checkpoints is not None:
        given: Any = data[0] if isinstance(rows, Windows) else rows
        checkpoints.describe(network, generator, given, among, validated.as_arrays(validation), rule, plan)
        going_on = checkpoints.open(network, rule.optimizer, generator)
        if going_on is not None:  # so that the same rows are held out, and the seed is the same
            generator.bit_generator.state = going_on.random_at_start
        random_at_start = dict(generator.bit_generator.state)
    held_out: Rows | Windows | None = None
    if isinstance(validation, Source):
        held_out = Windows(validation, check_of(trainer, "validation "))
    elif validation is not None:  # from here on the generator is drawn from, so nothing may be wrong any more
        rows, held_out = _split(trainer, rows, validation)
    trainer.draw_seed()
    shown = display(plan.progress, plan.epochs) if plan.in_epochs or plan.progress else NoProgress()
    if live:
        shown = _live(network, rows, plan)
    order = None if among is None else Order(among, generator if plan.shuffle else None)
    kind: Any = SourceLoop if isinstance(rows, Windows) else Loop
    loop: Loop = kind(
        trainer,
        rows,
        plan,
        held_out,
        progress=shown,
        checkpoint=checkpoints,
        random_at_start=random_at_start,
        order=order,
    )
    if checkpoints is not None and going_on is not None:
        if not isinstance(rows, Windows):
            checkpoints.check_epoch(going_on, loop.order.as_they_lie, plan.batch_size)
        loop.resume(going_on)
        if going_on.finished:
            return going_on.history
    return loop.run()


def _split(trainer: Trainer, rows: Rows | Windows, validation: float | tuple[Any, ...]) -> tuple[Rows | Windows, Rows]:
    """Return training and validation rows: a given pair, or a share of the rows."""
    given = validated.given(validation)
    if given is not None:
        return rows, trainer.check(*given, of="validation ")
    assert not isinstance(rows, Windows)
    held = validated.held_out(validation, len(rows))
    order = trainer.rng.permutation(len(rows))
    parts = rows.part(order[held:]), rows.part(order[:held])
    for name, part in zip(("training", "validation"), parts, strict=True):
        if part.sample_weight is not None and not part.sample_weight.any():
            raise ValueError(f"sample_weight is zero for every {name} row that validation={validation:g} leaves")
    return parts


def _live(network: Network, rows: Rows | Windows, plan: Plan) -> Progress:
    from nineline.view.live import Live

    if isinstance(rows, Windows) or not isinstance(rows.inputs, np.ndarray):
        return Live(network, None, None, plan.epochs)
    return Live(network, rows.inputs, rows.targets, plan.epochs)


def _as_checkpoint(checkpoint: str | os.PathLike[str] | None, every: float, resume: bool) -> Checkpoint | None:
    if not is_kept(checkpoint, resume):
        return None
    from nineline.training.checkpoints import Checkpoint

    assert checkpoint is not None
    return Checkpoint(checkpoint, every, resume)
