"""What a training ends with when it cannot go on: errors that hold the History so far."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nineline.training.histories import Histories
    from nineline.training.history import History


class TrainingError(Exception):
    """A training could not go on.

    Attributes
    ----------
    history : History or Histories
        The epochs before: of a Network or of Networks.
    """

    def __init__(self, message: str, history: History | Histories) -> None:
        super().__init__(message, history)  # both, so that it can be pickled
        self.history: Any = history

    def __str__(self) -> str:
        return str(self.args[0])


class DivergenceError(TrainingError, ArithmeticError):
    """The loss stopped being finite. The network is at its last finite state."""


class CheckpointError(TrainingError, OSError):
    """A checkpoint could not be written. The one before is intact, and the network is as far as training came."""
