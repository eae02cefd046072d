"""Early stopping: when to end a training, and the best point to return to."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from nineline import _checks
from nineline._value import Value

if TYPE_CHECKING:
    from collections.abc import Callable

    from nineline._typing import Array
    from nineline.network import Network
    from nineline.training.epoch import Epoch


@dataclass(eq=False, repr=False)
class EarlyStopping(Value):
    """Stop when the loss has not improved for `patience` epochs; the network returns to its best point.

    The loss watched is the validation loss, or the training loss where there is no validation; or a score of your own.

    Parameters
    ----------
    patience : int
        Epochs to wait for an improvement, at least 1.
    min_improvement : float
        How much lower the loss (how much higher the score) has to be to count, 0 or more.
    score : function of the network, optional
        Called after every epoch; returns a number, larger is better, that is watched in place of the loss. NaN is
        never better.

    Examples
    --------
    >>> from nineline import EarlyStopping, Network
    >>> network = Network(2, 4, 1, rng=0)
    >>> history = network.train([[0, 1], [1, 0]], [[1], [1]], epochs=500,
    ...                         stop=EarlyStopping(patience=5, min_improvement=1e-3))
    >>> history.stopped
    'no improvement of the training loss by more than 0.001 for 5 epochs'

    By the share of right answers:

    >>> X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], [[0], [1], [1], [1]]
    >>> right = EarlyStopping(20, score=lambda network: float(((network.run(X) > 0.5) == y).mean()))
    >>> network.train(X, y, epochs=500, stop=right).stopped
    'no improvement of the score for 20 epochs'
    """

    patience: int = 10
    min_improvement: float = 0.0
    score: Callable[[Network], float] | None = None

    def __post_init__(self) -> None:
        _checks.positive_integer("patience", self.patience)
        self.check_number("min_improvement", low=0)
        if self.score is not None and not callable(self.score):
            raise TypeError(f"score is {self.score!r}; expected a function of the network that returns a number")

    def reason(self, watched: str) -> str:
        """Return why a training ends that has waited long enough; `watched` is the loss, "validation" or "training"."""
        least = f" by more than {self.min_improvement:g}" if self.min_improvement else ""
        what = f"{watched} loss" if self.score is None else "score"
        return f"no improvement of the {what}{least} for {self.patience} epochs"

    def __repr__(self) -> str:  # a checkpoint knows it by this text, which is older than `score`
        return super().__repr__() if self.score is not None else super().__repr__().replace(", score=None", "")


_WITHOUT: Final = EarlyStopping()
"""What counts as better where nothing stops a training."""


class Watch:
    """Early stopping on its way through one training: what was best so far, and for how long.

    Parameters
    ----------
    stopping : EarlyStopping, optional
        Where there is none, the best epoch is taken note of, nothing stops and no point is kept.
    watched : str
        The loss that is watched, in words: "validation" or "training".
    """

    def __init__(self, stopping: EarlyStopping | None, watched: str) -> None:
        self.stopping = stopping
        self.criterion = stopping or _WITHOUT
        self.watched = watched
        self.best = math.inf
        """The lowest watched loss, or minus the highest score."""
        self.parameters: Array | None = None
        """Those of the best point."""

    def look(self, epoch: Epoch, point: Callable[[], Array]) -> str:
        """Look at a finished epoch and return a reason to stop, or "".

        `point` returns the parameters that the epoch's watched loss belongs to.
        """
        stopping, history = self.stopping, epoch.history
        if stopping is None and epoch.validation_loss is None:
            return ""
        score = self.criterion.score
        if score is not None:
            value = -float(score(epoch.network))
        else:
            value = epoch.loss if epoch.validation_loss is None else epoch.validation_loss
        best = math.inf if math.isnan(self.best) else self.best  # anything is better than NaN, and NaN than nothing
        if history.best_epoch is None or value < best - self.criterion.min_improvement:
            self.best, history.best_epoch = value, epoch.number
            if stopping is not None:
                self.parameters = point() if score is None else epoch.network.parameters.copy()
        if stopping is None or epoch.number - history.best_epoch < stopping.patience:
            return ""
        return stopping.reason(self.watched)

    def returns_to(self) -> Array | None:
        """Return the parameters that the network is to have when training has ended; None leaves it as it is."""
        return self.parameters
