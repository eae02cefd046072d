"""Snapshots: where a Trainer stands, and where a loop around one does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import numpy.typing as npt

    from nineline._typing import Array
    from nineline.optimizers import State
    from nineline.training.history import History


class Snapshot(NamedTuple):
    """A Trainer between two calls. Its arrays are copies.

    Attributes
    ----------
    parameters : array, (n,)
    before : array, (n,)
        Those before the last step, which divergence goes back to.
    state : State
        What the optimizer remembers, and the number of steps taken.
    random : dict
        Where the random generator stands.
    seed : int or None
        Of the draws inside a step; None leaves it as the trainer has it.
    """

    parameters: Array
    before: Array
    state: State
    random: Mapping[str, Any]
    seed: int | None


class LoopSnapshot(NamedTuple):
    """A loop between two calls of its engine: the trainer's snapshot, and the place in the epochs.

    Attributes
    ----------
    trainer : Snapshot
    random_at_start : dict
        Where the random generator stood before anything was drawn.
    order : array of int64, (rows,), or None
        Of the epoch that is under way; None between epochs.
    losses : array of float64
        Of the batches of that epoch that are done.
    best_loss : float
    best : array, (n,), or None
        The parameters to return to.
    history : History
    finished : bool
        Whether training has ended; the parameters are the ones that it ended with.
    """

    trainer: Snapshot
    random_at_start: Mapping[str, Any]
    order: npt.NDArray[np.int64] | None
    losses: npt.NDArray[np.float64]
    best_loss: float
    best: Array | None
    history: History
    finished: bool = False
