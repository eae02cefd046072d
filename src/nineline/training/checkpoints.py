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
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from nineline import _checks, files, writing
from nineline.files import FileError
from nineline.rows import arrays_of
from nineline.sources import Source
from nineline.training.errors import CheckpointError
from nineline.training.snapshot_file import arrays_of_loop, describe_loop, reason_of, rebuild_loop

if TYPE_CHECKING:
    import os

    import numpy.typing as npt

    from nineline.engines.contract import Rule
    from nineline.network import Network
    from nineline.optimizers import Optimizer
    from nineline.rows import Rows
    from nineline.training.plan import Plan
    from nineline.training.snapshot import LoopSnapshot

KIND: Final = "checkpoint"
SHARES: Final = "shares"
"""The setting that a training has which several processes share."""
_SHARE: Final = 0.05  # of the time, that checkpoints take at most


class Checkpoint:
    """The checkpoint of one training: keeps it, and knows whether the next is due.

    Parameters
    ----------
    path : path
    every : float
        Seconds between two checkpoints, 0 or more. 0: at every opportunity, whatever it costs; else they take a
        twentieth of the time at most, and wait longer where the disk is slow.
    resume : bool
        Whether to go on from the file, where there is one.
    kind : str
        Of the file.

    Raises
    ------
    OSError
        A file cannot be written there.
    ValueError
        A file is there that is no checkpoint, and would be lost.
    """

    def __init__(self, path: str | os.PathLike[str], every: float, resume: bool, kind: str = KIND) -> None:
        self.path, self.kind = Path(path), kind
        self.every = _checks.number("checkpoint_every", every, low=0)
        self.resume = _checks.boolean("resume", resume) and self.path.exists()
        writing.check_writable(self.path)
        writing.sweep(self.path)
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
        if kind != self.kind:
            raise ValueError(
                f"checkpoint is {self.path}, which exists and is no checkpoint, and would be overwritten; name another"
            )

    def describe(
        self,
        network: Network,
        rng: np.random.Generator,
        rows: Rows | Source,
        among: npt.NDArray[Any] | None,
        validation: object,
        rule: Rule,
        plan: Plan,
    ) -> None:
        """Take note of what shapes the training: it has to be the same when it goes on."""
        data: dict[str, Any]
        if isinstance(rows, Source):
            data = {"inputs": rows, "memory": rows.memory}  # windows are as large as memory allows
        else:
            lying = arrays_of(rows.inputs)
            inputs: Any = lying if len(lying) > 1 else lying[0]
            if among is not None:
                inputs = *lying, among
            data = {"inputs": inputs, "outputs": rows.targets, "sample_weight": rows.sample_weight}
        self.settings = {name: fingerprint(given) for name, given in {**data, "validation": validation}.items()}
        self.describe_rule(network, rng, rule, plan)

    def describe_rule(self, network: Network, rng: np.random.Generator, rule: Rule, plan: Plan) -> None:
        """Take note of what shapes the training beside its data."""
        self.settings["network"] = words(f"{network!r} of {network.dtype}")
        self.settings["rng"] = str(rng.bit_generator.state["bit_generator"])
        shape = {"epochs": plan.epochs, "batch_size": plan.batch_size, "shuffle": plan.shuffle}
        rules = {"loss": rule.loss, "optimizer": rule.optimizer, "stop": plan.stop}
        more = {"l1": rule.l1, "l2": rule.l2, "clip_norm": rule.clip_norm}
        settings = {**shape, "schedule": plan.schedule, **rules, **more}
        self.settings.update({name: words(repr(value)) for name, value in settings.items()})

    def open(self, network: Network, optimizer: Optimizer, rng: np.random.Generator) -> LoopSnapshot | None:
        """Return where to go on, after making sure that it is a place in this training; None to begin.

        Raises
        ------
        nineline.files.FileError
            The file is no checkpoint, or damaged.
        ValueError
            It is one of another training; the message says what differs.
        """
        found = self.read()
        if found is None:
            return None
        try:
            return rebuild_loop(*found, network, optimizer, rng)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise self.damaged(error) from error

    def read(self) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """Return what the file holds, facts and arrays, after making sure that it is of this training, or None."""
        if not self.resume:
            return None
        header, arrays = files.read(self.path, self.kind)
        try:
            kept = header["training"]
            shared = SHARES in kept["settings"]
            if shared != (SHARES in self.settings):
                was, now = ("with", "without") if shared else ("without", "with")
                raise ValueError(
                    f"{self.path} is a checkpoint of a training {was} parallel=..., and this one is {now}; go on as it "
                    "began, or begin anew with resume=False"
                )
            settings = {name: str(kept["settings"][name]) for name in self.settings}
        except (KeyError, TypeError) as error:
            raise self.damaged(error) from error
        for name, now in self.settings.items():
            if self.differs(name, settings[name], now):
                raise ValueError(
                    f"{name} is {_short(now)}, and {self.path} is a checkpoint of a training whose {name} was "
                    f"{_short(settings[name])}; go on with what it began with, or begin anew with resume=False"
                )
        return kept, arrays

    def differs(self, name: str, was: str, now: str) -> bool:
        """Return whether a setting is another one than it was."""
        return was != now

    def damaged(self, error: Exception) -> FileError:
        """Return the error to raise where the file holds what cannot be."""
        return FileError(f"{self.path} holds no valid checkpoint: {reason_of(error)}")

    def check_epoch(self, snapshot: LoopSnapshot, rows: npt.NDArray[Any], batch_size: int | None) -> None:
        """Raise FileError where the epoch under way is not one of these rows, ascending, in batches of that size."""
        batches = 1 if batch_size is None else math.ceil(len(rows) / batch_size)
        whole = snapshot.order is None or np.array_equal(np.sort(snapshot.order), rows)
        if not whole or len(snapshot.losses) >= batches or (snapshot.order is None and len(snapshot.losses)):
            raise FileError(f"{self.path} holds no valid checkpoint: the order of its rows does not fit the data")

    @property
    def due(self) -> bool:
        """Whether it is time for another checkpoint."""
        wait = max(self.every, self.cost / _SHARE) if self.every else 0.0
        return time.perf_counter() - self.last >= wait

    def write(self, network: Network, snapshot: LoopSnapshot) -> None:
        """Put a snapshot in the place of the one before.

        Raises
        ------
        CheckpointError
            It cannot be written.
        """
        self.put(network, describe_loop(snapshot), arrays_of_loop(network, snapshot), snapshot.history)

    def put(self, network: Network, facts: dict[str, Any], arrays: dict[str, Any], history: Any) -> None:
        """Put facts and arrays in the place of those before; see `write`."""
        began = time.perf_counter()
        try:
            described: dict[str, Any] | None = files.describe(network)
        except ValueError:  # layers or activations of your own: the file holds their parameters alone
            described = None
        try:
            content = {"network": described, "training": {"settings": self.settings, **facts}}
            files.write(self.path, self.kind, content, arrays)
        except OSError as error:
            raise CheckpointError(
                f"the checkpoint after epoch {history.epochs:,} could not be written to {self.path} "
                f"({error.strerror or error}); the one before it is intact. Make room, and train on with resume=True",
                history,
            ) from error
        self.last = time.perf_counter()
        self.cost = self.last - began


def fingerprint(given: object) -> str:
    """Return a digest of arrays, and anything else in words."""
    if isinstance(given, tuple):
        return ", ".join(map(fingerprint, given))
    if isinstance(given, np.ndarray):
        if given.dtype.hasobject:
            return words(str(given.tolist()))
        plain = np.ascontiguousarray(given).reshape(-1).view(np.uint8)
        digest = hashlib.blake2b(plain.data, digest_size=16).hexdigest()
        return f"{' × '.join(map(str, given.shape))} of {given.dtype}, {digest}"
    return words(repr(given))


def words(text: str) -> str:
    """Return a text without what differs from process to process: where an object lies in memory."""
    return re.sub(r" at 0x[0-9a-fA-F]+", "", text)


def _short(text: str) -> str:
    return text if len(text) <= 100 else text[:97] + "..."
