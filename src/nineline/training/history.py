"""History: what happened in a training, epoch by epoch, and why it stopped."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(repr=False)
class History:
    """A training as a table: one entry per epoch in each list. On the whole batch an epoch is one step.

    Attributes
    ----------
    loss : list of float
        Training loss with penalties, each batch's before its step, averaged over the epoch's batches (added up,
        for a loss with ``reduction="sum"``).
    validation_loss : list of float
        After the epoch; empty where there was no validation.
    learning_rate : list of float
        At the epoch's first step; 1 where the optimizer finds the length of its steps itself.
    damping : list of float
        With `LevenbergMarquardt` that of the epoch's step; else empty.
    effective_parameters, l2 : list of float
        With ``bayesian=True`` how many parameters the rows determine, and the weight of the parameters' squares that
        follows; else empty.
    seconds : list of float
        Since training began, when the engine came back with this epoch; short ones come back many at a time.
    engine : str
        Which engine ran.
    steps : int
        Steps taken in all.
    stopped : str
        Why training ended.
    best_epoch : int or None
        The epoch, from 1, whose watched loss was the last improvement; None where nothing was watched.
    restored : bool
        Whether the network was put back to the parameters that had that loss.
    """

    engine: str = "reference"
    loss: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    learning_rate: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    steps: int = 0
    stopped: str = ""
    best_epoch: int | None = None
    restored: bool = False
    damping: list[float] = field(default_factory=list)
    effective_parameters: list[float] = field(default_factory=list)
    l2: list[float] = field(default_factory=list)

    @property
    def epochs(self) -> int:
        """How many epochs were finished."""
        return len(self.loss)

    @property
    def best_validation_loss(self) -> float:
        """The lowest validation loss of any epoch.

        Raises
        ------
        ValueError
            There was no validation.
        """
        if not self.validation_loss:
            raise ValueError("this training had no validation; give train(..., validation=...)")
        return min(self.validation_loss)

    @property
    def records(self) -> tuple[list[float], ...]:
        """What an optimizer has written down beside the losses, a list a column."""
        return self.damping, self.effective_parameters, self.l2

    @property
    def columns(self) -> dict[str, list[float]]:
        """The table by column name, as pandas.DataFrame or polars.DataFrame take it."""
        columns: dict[str, list[float]] = {
            "epoch": [*map(float, range(1, self.epochs + 1))],
            "loss": self.loss,
            "validation_loss": self.validation_loss,
            "learning_rate": self.learning_rate,
            "damping": self.damping,
            "effective_parameters": self.effective_parameters,
            "l2": self.l2,
            "seconds": self.seconds,
        }
        return {name: list(values) for name, values in columns.items() if values}

    def to_frame(self) -> Any:
        """Return the table as a polars DataFrame.

        Examples
        --------
        >>> from nineline import Network
        >>> history = Network(2, 1, rng=0).train([[0, 1], [1, 0]], [[1], [0]], iterations=3, report_every=0)
        >>> history.to_frame().columns
        ['epoch', 'loss', 'learning_rate', 'seconds']
        """
        import polars as pl

        return pl.DataFrame(self.columns)

    def plot(self, **options: Any) -> Any:
        """Draw the losses over the epochs; see `nineline.view.curves.plot_history` (needs the extra ``plot``)."""
        from nineline.view.curves import plot_history

        return plot_history(self, **options)

    def _repr_html_(self) -> str:
        """Return the training as a notebook shows it."""
        from nineline.view.notebook import history_html

        return history_html(self)

    def __repr__(self) -> str:
        if not self.loss:
            return f"History: no epoch finished ({self.engine} engine); stopped: {self.stopped or 'not started'}"
        epochs = f"{self.epochs:,} epoch" + ("s" if self.epochs != 1 else "")
        lines = [f"History: {epochs}, {self.steps:,} steps in {self.seconds[-1]:.3g} s ({self.engine} engine)"]
        lines.append(f"  loss        {_curve(self.loss)}")
        if self.validation_loss:
            lines.append(f"  validation  {_curve(self.validation_loss)}")
        if self.damping:
            lines.append(f"  damping     {_curve([math.log10(each) for each in self.damping])} (powers of ten)")
        if self.effective_parameters:
            lines.append(f"  effective   {_curve(self.effective_parameters)} parameters")
        if self.best_epoch is not None:
            back = "; the network is back at it" if self.restored else ""
            lines.append(f"  best        after epoch {self.best_epoch:,}{back}")
        lines.append(f"  stopped     {self.stopped}")
        return "\n".join(lines)


_BARS: Final = "▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[float], width: int = 32) -> str:
    """Return a curve as a line of at most `width` block characters, lowest to highest; what is not finite is a space.

    Examples
    --------
    >>> from nineline.training.history import sparkline
    >>> sparkline([8, 4, 2, 1, 1])
    '█▄▂▁▁'
    """
    if len(values) > width:
        edges = [round(i * len(values) / width) for i in range(width + 1)]
        values = [sum(values[a:b]) / (b - a) for a, b in itertools.pairwise(edges)]
    finite = [value for value in values if math.isfinite(value)]
    low, high = min(finite, default=0.0), max(finite, default=0.0)
    span = (high / 2 - low / 2) or 0.5  # halves, so that the largest numbers do not overflow
    steps = [(v / 2 - low / 2) / span * (len(_BARS) - 1) if math.isfinite(v) else -1 for v in values]
    return "".join(_BARS[round(step)] if step >= 0 else " " for step in steps)


def _curve(values: list[float]) -> str:
    return f"{values[0]:.4g} {sparkline(values)} {values[-1]:.4g}"
