"""Snapshots in files: every array and number is checked on the way in, for a file may come from a stranger."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from nineline import files
from nineline.engines.contract import Rule
from nineline.files import FileError
from nineline.losses import LOSSES
from nineline.optimizers import OPTIMIZERS
from nineline.training.history import History
from nineline.training.snapshot import LoopSnapshot, Snapshot

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from nineline._typing import Array
    from nineline._value import Value
    from nineline.network import Network
    from nineline.optimizers import Optimizer, State

_GENERATORS: Final = ("MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64")
# Places in the buffers of NumPy's generators, which take any number and read there.
_LIMITS: Final = {"pos": 624, "buffer_pos": 4, "has_uint32": 1, "uinteger": 2**32 - 1}
_COLUMNS: Final = ("loss", "validation_loss", "learning_rate", "seconds")
_RECORDS: Final = ("damping", "effective_parameters", "l2")  # columns that most trainings have not


# A loop's


def describe_loop(snapshot: LoopSnapshot) -> dict[str, Any]:
    """Return what of a loop's snapshot is no array, as JSON can hold it."""
    history = snapshot.history
    return {
        **_facts_of_state(snapshot.trainer.state),
        "random_at_start": plain_state(snapshot.random_at_start),
        "random": plain_state(snapshot.trainer.random),
        "best_loss": snapshot.best_loss if math.isfinite(snapshot.best_loss) else None,
        "finished": snapshot.finished,
        "history": {
            "engine": history.engine,
            "steps": history.steps,
            "stopped": history.stopped,
            "best_epoch": history.best_epoch,
            "restored": history.restored,
        },
    }


def arrays_of_loop(network: Network, snapshot: LoopSnapshot) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays of a loop's snapshot by the names they have in a file."""
    arrays = _arrays_of_trainer(network, snapshot.trainer)
    if snapshot.order is not None:
        arrays["order"] = snapshot.order
    if snapshot.order is not None or len(snapshot.losses):  # of a source, whose order follows from the seed
        arrays["losses"] = snapshot.losses
    if snapshot.best is not None:
        arrays["best"] = snapshot.best
    for column in (*_COLUMNS, *_RECORDS):
        values = getattr(snapshot.history, column)
        if values or column in _COLUMNS:
            arrays[f"history.{column}"] = np.array(values, np.float64)
    return arrays


def _arrays_of_trainer(network: Network, snapshot: Snapshot) -> dict[str, npt.NDArray[Any]]:
    arrays: dict[str, npt.NDArray[Any]] = {
        block.name: snapshot.parameters[block.place].reshape(block.shape) for block in network.blocks
    }
    arrays["before"] = snapshot.before
    return arrays | {f"optimizer.{name}": vector for name, vector in snapshot.state.vectors.items()}


def _facts_of_state(state: State) -> dict[str, Any]:
    """Return what of an optimizer's memory is no array."""
    return {"steps": state.steps, **({"numbers": state.numbers} if state.numbers else {})}


def _trainer_snapshot(
    kept: dict[str, Any],
    arrays: Mapping[str, npt.NDArray[Any]],
    network: Network,
    optimizer: Optimizer,
    rng: np.random.Generator,
) -> Snapshot:
    """Rebuild a trainer's snapshot, every array and number checked against the network."""
    parameters = np.empty_like(network.parameters)
    for block in network.blocks:
        array = arrays[block.name]
        if array.dtype != network.dtype or array.shape != block.shape or not np.isfinite(array).all():
            raise ValueError(f"array {block.name} does not fit")
        parameters[block.place] = array.ravel()
    state = optimizer.start(network.parameters)
    for name, memory in state.vectors.items():
        memory[...] = _array(arrays, f"optimizer.{name}", memory)
    for name in state.numbers:
        state.numbers[name] = _finite(kept["numbers"][name])
    state.steps = _count(kept["steps"])
    return Snapshot(
        parameters=parameters,
        before=_vector(arrays, "before", network),
        state=state,
        random=random_state(kept["random"], rng),
        seed=_seed(kept["seed"]) if "seed" in kept else None,
    )


def _vector(arrays: Mapping[str, npt.NDArray[Any]], name: str, network: Network) -> Array:
    return _array(arrays, name, network.parameters).copy()


def _array(arrays: Mapping[str, npt.NDArray[Any]], name: str, like: Array) -> Array:
    array = arrays[name]
    if array.dtype != like.dtype or array.shape != like.shape:
        raise ValueError(f"array {name} does not fit")
    return array


def rebuild_loop(
    kept: dict[str, Any],
    arrays: Mapping[str, npt.NDArray[Any]],
    network: Network,
    optimizer: Optimizer,
    rng: np.random.Generator,
) -> LoopSnapshot:
    """Rebuild a loop's snapshot, every array and number checked against the network and the data."""
    names = [*_COLUMNS, *(column for column in _RECORDS if f"history.{column}" in arrays)]
    columns = [arrays[f"history.{column}"] for column in names]
    if any(column.dtype != np.float64 or column.ndim != 1 for column in columns):
        raise ValueError("the History does not fit")
    facts = kept["history"]
    history = History(
        engine=str(facts["engine"]),
        steps=_count(facts["steps"]),
        stopped=str(facts["stopped"]),
        best_epoch=None if facts["best_epoch"] is None else _count(facts["best_epoch"]),
        restored=facts["restored"] is True,
        **{name: column.tolist() for name, column in zip(names, columns, strict=True)},
    )
    if any(
        len(each) != history.epochs for each in (history.learning_rate, history.seconds, *filter(None, history.records))
    ):
        raise ValueError("the History does not fit")
    order, losses = arrays.get("order"), arrays.get("losses", np.empty(0))
    if losses.dtype != np.float64 or losses.ndim != 1 or (order is not None and order.dtype != np.int64):
        raise ValueError("the epoch under way does not fit")
    best_loss = kept["best_loss"]
    return LoopSnapshot(
        trainer=_trainer_snapshot(kept, arrays, network, optimizer, rng),
        random_at_start=random_state(kept["random_at_start"], rng),
        order=order,
        losses=losses,
        best_loss=math.inf if best_loss is None else float(best_loss),
        best=_vector(arrays, "best", network) if "best" in arrays else None,
        history=history,
        finished=kept["finished"] is True,
    )


# A trainer's


def save_trainer(path: str | os.PathLike[str], network: Network, rule: Rule, snapshot: Snapshot) -> None:
    """Write a training; see `Trainer.save`."""
    content = {
        "network": files.describe(network),
        "rule": {
            "loss": _describe("loss", rule.loss, LOSSES),
            "optimizer": _describe("optimizer", rule.optimizer, OPTIMIZERS),
            "l1": rule.l1,
            "l2": rule.l2,
            "clip_norm": rule.clip_norm,
        },
        "training": {**_facts_of_state(snapshot.state), "random": plain_state(snapshot.random), "seed": snapshot.seed},
    }
    files.write(path, files.TRAINER, content, _arrays_of_trainer(network, snapshot))


def read_trainer(path: str | os.PathLike[str]) -> tuple[Network, Rule, np.random.Generator, Snapshot]:
    """Read what `save_trainer` wrote; the generator is of the right kind, and stands anywhere."""
    header, arrays = files.read(path, files.TRAINER)
    network = files.rebuild(path, header.get("network"), arrays)
    try:
        kept, described = header["training"], header["rule"]
        rule = Rule(
            _rebuild(described["loss"], LOSSES),
            _rebuild(described["optimizer"], OPTIMIZERS),
            l1=described["l1"],
            l2=described["l2"],
            clip_norm=described["clip_norm"],
        )
        rule.check(network)
        kind = kept["random"]["bit_generator"]
        if kind not in _GENERATORS:
            raise ValueError(f"{kind!r} is no random generator")
        rng = np.random.Generator(getattr(np.random, kind)(0))
        return network, rule, rng, _trainer_snapshot(kept, arrays, network, rule.optimizer, rng)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise FileError(f"{os.fspath(path)} holds no valid training: {reason_of(error)}") from error


def _describe(argument: str, value: Value, table: Mapping[str, type[Any]]) -> dict[str, Any]:
    if table.get(value.name) is type(value):
        return {"name": value.name, **vars(value)}
    raise ValueError(f"{argument} {value!r} is your own, and a file holds no code; keep trainer.snapshot() yourself")


def _rebuild(described: Mapping[str, Any], table: Mapping[str, type[Any]]) -> Any:
    settings = dict(described)
    return table[settings.pop("name")](**settings)


def _seed(value: object) -> int:
    if not 0 <= _whole(value) < 2**64:
        raise ValueError(f"{value!r} is no seed")
    return _whole(value)


def reason_of(error: Exception) -> str:
    """Return in words why a file holds no valid content."""
    return f"there is no {error}" if isinstance(error, KeyError) else str(error)


def _whole(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{value!r} is no whole number")
    return value


def _finite(value: object) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not math.isfinite(value):
        raise ValueError(f"{value!r} is no finite number")
    return float(value)


def _count(value: object) -> int:
    if not 0 <= _whole(value) < 2**63:
        raise ValueError(f"{value!r} is no count")
    return _whole(value)


def plain_state(value: Any) -> Any:
    """Return a generator's state as JSON can hold it."""
    if isinstance(value, dict):
        return {name: plain_state(inner) for name, inner in value.items()}
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value


def random_state(kept: Any, rng: np.random.Generator) -> dict[str, Any]:
    """Return a state that this generator takes."""
    bits = rng.bit_generator
    state: dict[str, Any] = _shaped(kept, dict(bits.state))
    type(bits)(0).state = state  # raises where the numbers are none
    return state


def _shaped(kept: Any, like: Any, limit: int = 2**128 - 1) -> Any:
    if isinstance(like, dict):
        if kept.keys() != like.keys():
            raise ValueError("the state of the random generator does not fit")
        return {name: _shaped(kept[name], inner, _LIMITS.get(name, 2**128 - 1)) for name, inner in like.items()}
    if isinstance(like, np.ndarray):
        array = np.array(kept, like.dtype)
        if array.shape != like.shape:
            raise ValueError("the state of the random generator does not fit")
        return array
    if isinstance(like, str):
        if kept != like:
            raise ValueError(f"{kept!r} in the state of the random generator")
    elif not 0 <= _whole(kept) <= limit:
        raise ValueError(f"{kept!r} in the state of the random generator")
    return kept
