"""Checkpoints: a training in one file, from which it goes on and ends with the same bits as if nothing had happened.

A file holds the parameters and those before the last step, what the optimizer remembers, where the random generator
stands and where it stood at the beginning, the order of the rows and how far into it training is, the best point and
the History. It holds a digest of the data and the settings in words, too, so that a training goes on with what it began
with. Draws inside a step need no keeping: they are a function of the seed and the step. It is a model file like any
other (`nineline.files`), so `Network.load` reads the network out of it.
"""

from __future__ import annotations

import hashlib
import math
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from nineline import _checks, files
from nineline.files import FileError
from nineline.history import History

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    import numpy.typing as npt

    from nineline._typing import Array
    from nineline.network import Network
    from nineline.optimizers import Optimizer, State

KIND: Final = "checkpoint"
_SHARE: Final = 0.05  # of the time, that checkpoints take at most
# Places in the buffers of NumPy's generators, which take any number and read there.
_LIMITS: Final = {"pos": 624, "buffer_pos": 4, "has_uint32": 1, "uinteger": 2**32 - 1}
_COLUMNS: Final = ("loss", "validation_loss", "learning_rate", "seconds")


class CheckpointError(OSError):
    """A checkpoint could not be written. The one before is intact, and the network is as far as training came.

    Attributes
    ----------
    history : History
        The epochs so far.
    """

    def __init__(self, message: str, history: History) -> None:
        super().__init__(message, history)  # both, so that it can be pickled
        self.history = history

    def __str__(self) -> str:
        return str(self.args[0])


@dataclass
class Moment:
    """A training between two calls of its engine, as a file holds it.

    Attributes
    ----------
    parameters : array, (n,)
    before : array, (n,)
        Those before the last step, which divergence goes back to.
    state : State
        The optimizer's.
    random_at_start, random : dict
        Where the generator stood before anything was drawn, and where it stands.
    order : array of int64, (rows,), or None
        Of the epoch that is under way; None between epochs.
    losses : array of float64
        Of the batches of that epoch that are done.
    best_loss : float
    best : array, (n,), or None
        The parameters to return to.
    history : History
    finished : bool
        Whether training has ended; `parameters` are the ones that it ended with.
    """

    parameters: Array
    before: Array
    state: State
    random_at_start: dict[str, Any]
    random: dict[str, Any]
    order: npt.NDArray[np.int64] | None
    losses: npt.NDArray[np.float64]
    best_loss: float
    best: Array | None
    history: History
    finished: bool = False


class Keeper:
    """Keeps the checkpoint of one training, and knows whether the next is due.

    Parameters
    ----------
    path : path
    every : float
        Seconds between two checkpoints, 0 or more. 0: at every opportunity, whatever it costs; else they take a
        twentieth of the time at most, and wait longer where the disk is slow.
    resume : bool
        Whether to go on from the file, where there is one.

    Raises
    ------
    OSError
        A file cannot be written there.
    ValueError
        A file is there that is no checkpoint, and would be lost.
    """

    def __init__(self, path: str | os.PathLike[str], every: float, resume: bool) -> None:
        self.path = Path(path)
        self.every = _checks.number("checkpoint_every", every, low=0)
        self.resume = _checks.boolean("resume", resume) and self.path.exists()
        files.check_writable(self.path)
        files.sweep(self.path)  # what a process left behind that was killed while it wrote
        if self.path.exists() and not self.resume:
            self._refuse_another_file()
        self.settings: dict[str, str] = {}
        """What shapes the training, in words."""
        self.cost = 0.0
        self.last = -math.inf

    def _refuse_another_file(self) -> None:
        try:
            kind = files.read_header(self.path).get("kind")
        except FileError:
            kind = None
        if kind != KIND:
            raise ValueError(
                f"checkpoint is {self.path}, which exists and is no checkpoint, and would be overwritten; name another"
            )

    def describe(
        self, network: Network, rng: np.random.Generator, data: Mapping[str, object], settings: Mapping[str, object]
    ) -> None:
        """Take note of what shapes the training: it has to be the same when it goes on."""
        self.settings = {name: _fingerprint(given) for name, given in data.items()}
        self.settings["network"] = _words(f"{network!r} of {network.dtype}")
        self.settings["rng"] = str(rng.bit_generator.state["bit_generator"])
        self.settings.update({name: _words(repr(value)) for name, value in settings.items()})

    def open(self, network: Network, optimizer: Optimizer, rng: np.random.Generator) -> Moment | None:
        """Return the moment to go on from, after making sure that it is one of this training; None to begin.

        Raises
        ------
        nineline.files.FileError
            The file is no checkpoint, or damaged.
        ValueError
            It is one of another training; the message says what differs.
        """
        if not self.resume:
            return None
        header, arrays = files.read(self.path, KIND)
        try:
            kept = header["training"]
            settings = {name: str(kept["settings"][name]) for name in self.settings}
        except (KeyError, TypeError) as error:
            raise FileError(f"{self.path} holds no valid checkpoint: {_reason(error)}") from error
        for name, now in self.settings.items():
            if settings[name] != now:
                raise ValueError(
                    f"{name} is {_short(now)}, and {self.path} is a checkpoint of a training whose {name} was "
                    f"{_short(settings[name])}; go on with what it began with, or begin anew with resume=False"
                )
        try:
            return _moment(kept, arrays, network, optimizer, rng)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise FileError(f"{self.path} holds no valid checkpoint: {_reason(error)}") from error

    def check_epoch(self, moment: Moment, rows: int, batch_size: int | None) -> None:
        """Raise FileError where the epoch under way is not one of so many rows to train on, in batches of that size."""
        batches = 1 if batch_size is None else math.ceil(rows / batch_size)
        whole = moment.order is None or np.array_equal(np.sort(moment.order), np.arange(rows))
        if not whole or len(moment.losses) >= batches or (moment.order is None and len(moment.losses)):
            raise FileError(f"{self.path} holds no valid checkpoint: the order of its rows does not fit the data")

    @property
    def due(self) -> bool:
        """Whether it is time for another checkpoint."""
        wait = max(self.every, self.cost / _SHARE) if self.every else 0.0
        return time.perf_counter() - self.last >= wait

    def write(self, network: Network, moment: Moment) -> None:
        """Put a moment in the place of the one before.

        Raises
        ------
        CheckpointError
            It cannot be written.
        """
        began = time.perf_counter()
        try:
            described: dict[str, Any] | None = files.describe(network)
        except ValueError:  # layers or activations of your own: the file holds their parameters alone
            described = None
        try:
            content = {"network": described, "training": self._content(moment)}
            files.write(self.path, KIND, content, _arrays(network, moment))
        except OSError as error:
            raise CheckpointError(
                f"the checkpoint after epoch {moment.history.epochs:,} could not be written to {self.path} "
                f"({error.strerror or error}); the one before it is intact. Make room, and train on with resume=True",
                moment.history,
            ) from error
        self.last = time.perf_counter()
        self.cost = self.last - began

    def _content(self, moment: Moment) -> dict[str, Any]:
        history = moment.history
        return {
            "settings": self.settings,
            "steps": moment.state.steps,
            "random_at_start": _plain(moment.random_at_start),
            "random": _plain(moment.random),
            "best_loss": moment.best_loss if math.isfinite(moment.best_loss) else None,
            "finished": moment.finished,
            "history": {
                "engine": history.engine,
                "steps": history.steps,
                "stopped": history.stopped,
                "best_epoch": history.best_epoch,
                "restored": history.restored,
            },
        }


def _arrays(network: Network, moment: Moment) -> dict[str, npt.NDArray[Any]]:
    arrays: dict[str, npt.NDArray[Any]] = {b.name: moment.parameters[b.place].reshape(b.shape) for b in network.blocks}
    arrays["before"] = moment.before
    arrays |= {f"optimizer.{name}": vector for name, vector in moment.state.vectors.items()}
    if moment.order is not None:
        arrays |= {"order": moment.order, "losses": moment.losses}
    if moment.best is not None:
        arrays["best"] = moment.best
    for column in _COLUMNS:
        arrays[f"history.{column}"] = np.array(getattr(moment.history, column), np.float64)
    return arrays


def _moment(
    kept: dict[str, Any],
    arrays: Mapping[str, npt.NDArray[Any]],
    network: Network,
    optimizer: Optimizer,
    rng: np.random.Generator,
) -> Moment:
    """Rebuild a moment, every array and number checked against the network and the data."""

    def vector(name: str) -> Array:
        array = arrays[name]
        if array.dtype != network.dtype or array.shape != network.parameters.shape:
            raise ValueError(f"array {name} does not fit")
        return array.copy()

    parameters = np.empty_like(network.parameters)
    for block in network.blocks:
        array = arrays[block.name]
        if array.dtype != network.dtype or array.shape != block.shape or not np.isfinite(array).all():
            raise ValueError(f"array {block.name} does not fit")
        parameters[block.place] = array.ravel()
    state = optimizer.start(network.parameters)
    for name, memory in state.vectors.items():
        memory[...] = vector(f"optimizer.{name}")
    state.steps = _count(kept["steps"])
    columns = [arrays[f"history.{column}"] for column in _COLUMNS]
    if any(column.dtype != np.float64 or column.ndim != 1 for column in columns):
        raise ValueError("the History does not fit")
    facts = kept["history"]
    history = History(
        engine=str(facts["engine"]),
        steps=_count(facts["steps"]),
        stopped=str(facts["stopped"]),
        best_epoch=None if facts["best_epoch"] is None else _count(facts["best_epoch"]),
        restored=facts["restored"] is True,
        **{name: column.tolist() for name, column in zip(_COLUMNS, columns, strict=True)},
    )
    if not len(history.loss) == len(history.learning_rate) == len(history.seconds):
        raise ValueError("the History does not fit")
    order, losses = arrays.get("order"), arrays.get("losses", np.empty(0))
    if losses.dtype != np.float64 or losses.ndim != 1 or (order is not None and order.dtype != np.int64):
        raise ValueError("the epoch under way does not fit")
    best_loss = kept["best_loss"]
    return Moment(
        parameters=parameters,
        before=vector("before"),
        state=state,
        random_at_start=_random_state(kept["random_at_start"], rng),
        random=_random_state(kept["random"], rng),
        order=order,
        losses=losses,
        best_loss=math.inf if best_loss is None else float(best_loss),
        best=vector("best") if "best" in arrays else None,
        history=history,
        finished=kept["finished"] is True,
    )


def _reason(error: Exception) -> str:
    return f"there is no {error}" if isinstance(error, KeyError) else str(error)


def _whole(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{value!r} is no whole number")
    return value


def _count(value: object) -> int:
    if not 0 <= _whole(value) < 2**63:
        raise ValueError(f"{value!r} is no count")
    return _whole(value)


def _plain(value: Any) -> Any:
    """Return a generator's state as JSON can hold it."""
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value


def _random_state(kept: Any, rng: np.random.Generator) -> dict[str, Any]:
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


def _fingerprint(given: object) -> str:
    """Return a digest of arrays, and anything else in words."""
    if isinstance(given, tuple):
        return ", ".join(map(_fingerprint, given))
    if isinstance(given, np.ndarray):
        if given.dtype.hasobject:
            return _words(str(given.tolist()))
        plain = np.ascontiguousarray(given).reshape(-1).view(np.uint8)
        digest = hashlib.blake2b(plain.data, digest_size=16).hexdigest()
        return f"{' × '.join(map(str, given.shape))} of {given.dtype}, {digest}"
    return _words(repr(given))


def _words(text: str) -> str:
    """Return a text without what differs from process to process: where an object lies in memory."""
    return re.sub(r" at 0x[0-9a-fA-F]+", "", text)


def _short(text: str) -> str:
    return text if len(text) <= 100 else text[:97] + "..."
