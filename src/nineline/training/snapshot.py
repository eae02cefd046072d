"""Snapshots: where a Trainer stands, where a loop around one does, and where a loop of many networks does."""

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
        Of the epoch that is under way; None between epochs, and of a source, whose order follows from the seed.
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


class ManySnapshot(NamedTuple):
    """A loop of many networks between two calls of its engine.

    Attributes
    ----------
    parameters : array, (count, n)
    memory : dict of array
        What the engine remembers; see `nineline.engines.many.ManyEngine.memory`.
    numbers : dict of array, (count,)
        And what its optimizer remembers besides.
    active : array of int
        The networks that go on.
    best : array, (count,)
        The lowest watched loss of each.
    points : array, (count, n), or None
        The parameters to return to.
    tables : dict of array
        The Histories; see `nineline.training.histories.Histories.tables`.
    stopped : list of str, (count,)
    random : list of dict
        Where the random generators stand.
    finished : bool
    """

    parameters: Array
    memory: Mapping[str, npt.NDArray[Any]]
    numbers: Mapping[str, npt.NDArray[np.float64]]
    active: npt.NDArray[np.intp]
    best: npt.NDArray[np.float64]
    points: Array | None
    tables: Mapping[str, npt.NDArray[Any]]
    stopped: list[str]
    random: list[Mapping[str, Any]]
    finished: bool = False
