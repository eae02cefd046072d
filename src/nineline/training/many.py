"""What `Networks.train` takes, put together into an engine of many networks and a loop around it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nineline import _checks, draws, engines
from nineline.engines.contract import Rule
from nineline.engines.many import ManyRule
from nineline.optimizers import WholeBatchOptimizer
from nineline.schedules import Constant
from nineline.training import validation as validated
from nineline.training.many_checkpoint import ManyCheckpoint
from nineline.training.many_loop import ManyData, ManyLoop
from nineline.training.plan import Plan, is_kept
from nineline.training.progress import NoProgress, display
from nineline.training.trainer import Trainer, engine_of

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    import numpy.typing as npt

    from nineline.engines.many import ManyEngine, Numbers
    from nineline.losses import Loss
    from nineline.networks import Networks
    from nineline.rows import Rows
    from nineline.training.histories import Histories

__all__ = ["Plan", "Rule", "evaluate", "train"]


def train(
    networks: Networks,
    data: tuple[Any, Any, Any],
    validation: float | tuple[Any, ...] | None,
    rule: Rule,
    plan: Plan,
    *,
    rows: Sequence[npt.ArrayLike] | None,
    learning_rate: npt.ArrayLike | None,
    l1: npt.ArrayLike,
    l2: npt.ArrayLike,
    checkpoint: str | os.PathLike[str] | None,
    checkpoint_every: float,
    resume: bool,
    engine: str,
    threads: int | None,
    rng: Any,
) -> Histories:
    """Train `networks` on data, ``(inputs, outputs, sample_weight)``; `Networks.train` documents every argument."""
    count, one = len(networks), networks.one
    rule.check(one)
    rates = _one_or_each(
        "learning_rate", rule.optimizer.learning_rate if learning_rate is None else learning_rate, count
    )
    if (rates == 0).any():
        raise ValueError("learning_rate has a 0; expected positive numbers")
    penalties = _one_or_each("l1", l1, count), _one_or_each("l2", l2, count)
    trainer = Trainer.of(one, rule, "reference", None, np.random.default_rng(0))  # which checks, and takes no step
    if learning_rate is not None:
        trainer.refuse_on_all_rows("learning_rate", learning_rate, "has no learning rate")
    given = check_data(networks, trainer, data, rows)
    if plan.batch_size is not None and any(plan.batch_size < given.count(member) for member in range(count)):
        trainer.refuse_on_all_rows("batch_size", plan.batch_size, "takes all rows at each step")
    if not isinstance(plan.schedule, Constant):
        trainer.refuse_on_all_rows("schedule", repr(plan.schedule), "has no learning rate")
    generators = _generators(networks, rng)
    every = [generators] if isinstance(generators, np.random.Generator) else list(generators)
    checkpoints, found = None, None
    if is_kept(checkpoint, resume):
        assert checkpoint is not None
        checkpoints = ManyCheckpoint(checkpoint, checkpoint_every, resume)
        checkpoints.describe(one, every[0], given.rows, None, validated.as_arrays(validation), rule, plan)
        own = {"learning_rate": rates, "l1": penalties[0], "l2": penalties[1], "generators": len(every), "count": count}
        checkpoints.describe_many(given.among, **own)
        found = checkpoints.at_start(every)
    held_out = None
    if validation is not None:  # from here on generators are drawn from, so nothing may be wrong any more
        given, held_out = _split(networks, trainer, given, validation, generators)
    many = ManyRule(rule, rates, *penalties, _seeds(generators, count))
    made = make_engine(engine, networks, many, given.rows, _checks.threads("threads", threads))
    loop = ManyLoop(
        networks,
        made,
        given,
        plan,
        generators,
        held_out,
        progress=display(plan.progress, plan.epochs) if plan.in_epochs or plan.progress else NoProgress(),
        checkpoint=checkpoints,
    )
    if checkpoints is not None and found is not None:
        snapshot = checkpoints.rebuild(found, loop.snapshot(), every)
        loop.restore(snapshot)
        if snapshot.finished:
            return loop.settled()
    return loop.run()


def make_engine(engine: str, networks: Networks, many: ManyRule, rows: Rows, threads: int) -> ManyEngine:
    """Return an engine for many networks, of those that `engine` leaves."""
    optimizer = many.rule.optimizer
    if not isinstance(optimizer, WholeBatchOptimizer):
        return engines.choose_many(engine, networks, many, rows, threads)
    from nineline.engines.one_by_one import OneByOne

    return OneByOne(
        list(networks), networks.parameters, many, lambda network, rule: engine_of(engine, network, rule, threads)
    )


def evaluate(
    networks: Networks, data: tuple[Any, Any, Any], loss: str | Loss | None, rows: Sequence[npt.ArrayLike] | None
) -> npt.NDArray[np.float64]:
    """Return the loss of each network as it runs; see `Networks.evaluate`."""
    rule, count = Rule(loss), len(networks)
    rule.check(networks.one)
    trainer = Trainer.of(networks.one, rule, "reference", None, np.random.default_rng(0))
    given = check_data(networks, trainer, data, rows)
    nothing = np.zeros(count)
    many = ManyRule(rule, nothing, nothing, nothing, np.zeros(count, np.uint64))
    members = np.arange(count)
    engine = make_engine("auto", networks, many, given.rows, _checks.threads("threads", None))
    return engine.evaluate(members, given.rows, given.of(members))


# Data


def check_data(
    networks: Networks, trainer: Trainer, data: tuple[Any, Any, Any], rows: Sequence[npt.ArrayLike] | None, of: str = ""
) -> ManyData:
    """Return what a user passed as data of many networks, or raise."""
    inputs, outputs, weights = data
    count = len(networks)
    if np.ndim(inputs) == 3 or np.ndim(outputs) == 3:
        if rows is not None:
            raise ValueError(
                f"rows is given, and {of}inputs or {of}outputs have an axis for the networks; give one of the two"
            )
        return _of_their_own(networks, trainer, inputs, outputs, weights, of)
    if weights is not None and np.ndim(weights) == 2:
        raise ValueError(
            f"{of}sample_weight has shape {np.shape(weights)}; with rows that all networks share, expected (rows,)"
        )
    checked = trainer.check(inputs, outputs, weights, of)
    if rows is None:
        return ManyData(checked)
    if len(rows) != count:
        raise ValueError(f"rows has {len(rows)} lists; expected one for each of {count} networks")
    return ManyData(checked, [_row_numbers(f"rows[{k}]", each, checked) for k, each in enumerate(rows)])


def _row_numbers(argument: str, given: npt.ArrayLike, rows: Rows) -> Numbers:
    """Return the numbers of some rows, or raise; a mask is taken, too."""
    array = np.asarray(given)
    if array.dtype == bool and array.shape == (len(rows),):
        array = np.flatnonzero(array)
    if array.ndim != 1 or array.dtype.kind not in "iu" or not array.size:
        raise ValueError(
            f"{argument} has shape {array.shape} and dtype {array.dtype}; expected the numbers of rows, (n,), at least "
            "one"
        )
    if array.min() < 0 or array.max() >= len(rows):
        raise ValueError(f"{argument} names row {array.min() if array.min() < 0 else array.max()} of {len(rows)}")
    if rows.sample_weight is not None and not rows.sample_weight[array].any():
        raise ValueError(f"sample_weight is zero for every row in {argument}")
    return array.astype(np.intp)


def _of_their_own(networks: Networks, trainer: Trainer, inputs: Any, outputs: Any, weights: Any, of: str) -> ManyData:
    """Return data of (count, rows, …) as rows of one table, and which of them are whose."""
    count, one = len(networks), networks.one
    x, y = np.asarray(inputs), np.asarray(outputs)
    size = x.shape[1] if x.ndim == 3 else x.shape[0]
    for name, array in ((f"{of}inputs", x), (f"{of}outputs", y)):
        if array.ndim == 3 and len(array) != count:
            raise ValueError(f"{name} has shape {array.shape}; expected {count} sets of rows, one for each network")
    x = np.broadcast_to(x, (count, *x.shape[-2:])).reshape(count * size, x.shape[-1])
    if y.ndim == 3:
        y = y.reshape(-1, y.shape[-1])
    elif y.shape[:2] == (count, size):
        y = y.reshape(-1)
    elif y.shape[:1] == (size,):
        y = np.broadcast_to(y, (count, *y.shape)).reshape(-1, *y.shape[1:])
    else:
        raise ValueError(
            f"{of}outputs has shape {y.shape}; expected ({count}, {size}, {one.n_outputs}), or "
            f"({size}, {one.n_outputs}) for all networks alike"
        )
    if weights is not None:
        w = np.asarray(weights)
        if w.shape not in ((count, size), (size,)):
            raise ValueError(f"{of}sample_weight has shape {w.shape}; expected ({count}, {size}) or ({size},)")
        weights = np.broadcast_to(w, (count, size)).reshape(-1)
    checked = trainer.check(x, y, weights, of)
    among = [np.arange(member * size, (member + 1) * size) for member in range(count)]
    if checked.sample_weight is not None:
        for member, mine in enumerate(among):
            if not checked.sample_weight[mine].any():
                raise ValueError(f"{of}sample_weight is zero for every row of network {member}")
    return ManyData(checked, among)


def _split(
    networks: Networks,
    trainer: Trainer,
    data: ManyData,
    validation: float | tuple[Any, ...],
    generators: np.random.Generator | Sequence[np.random.Generator],
) -> tuple[ManyData, ManyData]:
    """Return training and validation data: a given pair, or a share of the rows of each network."""
    given = validated.given(validation)
    if given is not None:
        return data, check_data(networks, trainer, given, None, "validation ")
    shared = isinstance(generators, np.random.Generator)
    orders: dict[int, Numbers] = {}
    learn, judge = [], []
    for member in range(1 if shared and data.among is None else len(networks)):
        rows = data.count(member)
        held = validated.held_out(validation, rows)
        if not isinstance(generators, np.random.Generator):
            order = generators[member].permutation(rows)
        else:
            if rows not in orders:
                orders[rows] = generators.permutation(rows)
            order = orders[rows]
        mine = order if data.among is None else data.among[member][order]
        learn.append(mine[held:])
        judge.append(mine[:held])
    if shared and data.among is None:
        return ManyData(data.rows.part(learn[0])), ManyData(data.rows.part(judge[0]))
    return ManyData(data.rows, learn), ManyData(data.rows, judge)


# What each network has of its own


def _one_or_each(argument: str, given: npt.ArrayLike, count: int) -> npt.NDArray[np.float64]:
    """Return a number for each network, from one for all or one for each."""
    if np.ndim(given) == 0:
        return np.full(count, _checks.number(argument, given, low=0))
    array = np.asarray(given)
    if array.shape != (count,):
        raise ValueError(
            f"{argument} has shape {array.shape}; expected one number, or one for each of {count} networks"
        )
    return np.array([_checks.number(f"{argument}[{k}]", each, low=0) for k, each in enumerate(array.tolist())])


def _generators(networks: Networks, rng: Any) -> np.random.Generator | list[np.random.Generator]:
    """Return one generator for all networks, or one for each."""
    if rng is None:
        return networks.rng
    if isinstance(rng, np.random.Generator) or np.ndim(rng) == 0:
        return _checks.generator("rng", rng)
    if len(rng) != len(networks):
        raise ValueError(f"rng has {len(rng)} entries; expected one seed, or one for each of {len(networks)} networks")
    each = [_checks.generator(f"rng[{k}]", one) for k, one in enumerate(rng)]
    if len({id(one) for one in each}) != len(each):
        raise ValueError("rng holds a Generator twice; give each network one of its own, as rng.spawn(count) does")
    return each


def _seeds(generators: np.random.Generator | Sequence[np.random.Generator], count: int) -> npt.NDArray[np.uint64]:
    """Draw the seeds of what is drawn inside steps: from one generator one, from which the others follow."""
    if isinstance(generators, np.random.Generator):
        first = draws.seed(generators)
        return draws.seeds_after(first, count)
    return np.array([draws.seed(each) for each in generators], np.uint64)
