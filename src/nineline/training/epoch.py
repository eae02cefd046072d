"""Epoch: what is said when one is over."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from nineline.network import Network
    from nineline.training.history import History


class Epoch(NamedTuple):
    """What `on_epoch` is called with: a finished epoch.

    Attributes
    ----------
    number : int
        From 1.
    epochs : int
        How many there are to be.
    loss : float
    validation_loss : float or None
    network : Network
        As it is now.
    history : History
        So far, this epoch included.
    """

    number: int
    epochs: int
    loss: float
    validation_loss: float | None
    network: Network
    history: History
