"""Early stopping: when to end training, and the best point to return to."""

from __future__ import annotations

from dataclasses import dataclass

from nineline import _checks
from nineline._value import Value


@dataclass(eq=False, repr=False)
class EarlyStopping(Value):
    """Stop when the loss has not improved for `patience` epochs; the network returns to its best point.

    The loss watched is the validation loss, or the training loss where there is no validation.

    Parameters
    ----------
    patience : int
        Epochs to wait for an improvement, at least 1.
    min_improvement : float
        How much lower the loss has to be to count, 0 or more.

    Examples
    --------
    >>> from nineline import EarlyStopping, Network
    >>> network = Network(2, 4, 1, rng=0)
    >>> history = network.train([[0, 1], [1, 0]], [[1], [1]], epochs=500,
    ...                         stop=EarlyStopping(patience=5, min_improvement=1e-3))
    >>> history.stopped
    'no improvement of the training loss by more than 0.001 for 5 epochs'
    """

    patience: int = 10
    min_improvement: float = 0.0

    def __post_init__(self) -> None:
        _checks.positive_integer("patience", self.patience)
        self.settle("min_improvement", low=0)

    def improved(self, loss: float, best: float) -> bool:
        """Return whether `loss` is an improvement over the best so far."""
        return loss < best - self.min_improvement

    def reason(self, watched: str) -> str:
        """Return the sentence that says why training stopped."""
        least = f" by more than {self.min_improvement:g}" if self.min_improvement else ""
        return f"no improvement of the {watched} loss{least} for {self.patience} epochs"
