"""Checkpoints of many networks in training, in one file; see `nineline.training.checkpoints`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nineline.files.networks import CHECKPOINT_OF_NETWORKS, arrays_of
from nineline.training.checkpoints import Checkpoint, fingerprint
from nineline.training.snapshot import ManySnapshot
from nineline.training.snapshot_file import plain_state, random_state

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    import numpy.typing as npt

    from nineline.networks import Networks
    from nineline.training.histories import Histories


class ManyCheckpoint(Checkpoint):
    """The checkpoint of one training of many networks. It is taken between epochs, or between calls on the whole batch.

    Parameters
    ----------
    path, every, resume
        As in `Checkpoint`.
    """

    def __init__(self, path: str | os.PathLike[str], every: float, resume: bool) -> None:
        super().__init__(path, every, resume, CHECKPOINT_OF_NETWORKS)
        self.random_at_start: list[dict[str, Any]] = []

    def describe_many(self, among: Sequence[npt.NDArray[Any]] | None, **own: object) -> None:
        """Take note of what the networks have of their own, `among` their rows, after `describe`."""
        self.settings["rows"] = fingerprint(None if among is None else tuple(among))
        self.settings |= {name: fingerprint(value) for name, value in own.items()}

    def at_start(self, generators: Sequence[np.random.Generator]) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """Return what the file holds, None to begin, and put the generators where they were before anything was drawn.

        Raises
        ------
        nineline.files.FileError, ValueError
            See `Checkpoint.read`.
        """
        found = self.read()
        if found is not None:
            try:
                kept = found[0]["random_at_start"]
                states = [random_state(state, rng) for state, rng in zip(kept, generators, strict=True)]
            except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
                raise self.damaged(error) from error
            for state, rng in zip(states, generators, strict=True):
                rng.bit_generator.state = state
        self.random_at_start = [dict(rng.bit_generator.state) for rng in generators]
        return found

    def keep(self, networks: Networks, snapshot: ManySnapshot, history: Histories) -> None:
        """Write where a loop stands.

        Raises
        ------
        CheckpointError
            It cannot be written.
        """
        if not np.isfinite(snapshot.parameters).all():  # the next step will find that; what is there is worth more
            return
        arrays = {**arrays_of(networks), "active": snapshot.active, "watch.best": snapshot.best}
        arrays |= {f"optimizer.{name}": array for name, array in snapshot.memory.items()}
        arrays |= {f"number.{name}": values for name, values in snapshot.numbers.items()}
        arrays |= {f"history.{name}": table for name, table in snapshot.tables.items()}
        if snapshot.points is not None:
            arrays["watch.points"] = snapshot.points
        whole = {name: array.astype(np.int64) for name, array in arrays.items() if array.dtype.kind in "biu"}
        facts = {
            "random_at_start": [plain_state(state) for state in self.random_at_start],
            "random": [plain_state(state) for state in snapshot.random],
            "count": len(networks),
            "stopped": snapshot.stopped,
            "finished": snapshot.finished,
        }
        self.put(networks.one, facts, {**arrays, **whole}, history)

    def rebuild(
        self,
        found: tuple[dict[str, Any], dict[str, Any]],
        like: ManySnapshot,
        generators: Sequence[np.random.Generator],
    ) -> ManySnapshot:
        """Return the snapshot that a file holds, every array and number checked against one of this training.

        Raises
        ------
        nineline.files.FileError
            The file holds what does not fit.
        """
        facts, arrays = found
        count = len(like.parameters)
        try:
            tables = {
                name: _fitting(arrays, f"history.{name}", table, rows=table.ndim == 2 or name in ("factors", "seconds"))
                for name, table in like.tables.items()
            }
            epochs = len(tables["seconds"])
            best_epoch = tables["best_epoch"]
            if {len(tables["loss"]), len(tables["factors"])} != {epochs} or not np.isin(
                best_epoch, np.arange(epochs + 1)
            ).all():
                raise ValueError("the Histories do not fit")
            active = _fitting(arrays, "active", like.active, rows=True)
            stopped = [str(reason) for reason in facts["stopped"]]
            if not np.isin(active, np.arange(count)).all() or len(stopped) != count:
                raise ValueError("the networks that go on do not fit")
            pairs = zip(facts["random"], generators, strict=True)
            return ManySnapshot(
                parameters=_fitting(arrays, "parameters", like.parameters),
                memory={name: _fitting(arrays, f"optimizer.{name}", each) for name, each in like.memory.items()},
                numbers={name: _fitting(arrays, f"number.{name}", each) for name, each in like.numbers.items()},
                active=active,
                best=_fitting(arrays, "watch.best", like.best),
                points=None if like.points is None else _fitting(arrays, "watch.points", like.points),
                tables=tables,
                stopped=stopped,
                random=[random_state(kept, rng) for kept, rng in pairs],
                finished=facts["finished"] is True,
            )
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise self.damaged(error) from error


def _fitting(arrays: dict[str, Any], name: str, like: npt.NDArray[Any], rows: bool = False) -> Any:
    """Return an array of a file that has the shape and the type of another, but with `rows` any number of rows."""
    array = arrays[name]
    wanted = np.dtype(np.int64) if like.dtype.kind in "biu" else like.dtype
    same = array.ndim == like.ndim and array.shape[rows:] == like.shape[rows:]
    if not same or array.dtype != wanted:
        raise ValueError(f"array {name} does not fit")
    return array.astype(like.dtype)
