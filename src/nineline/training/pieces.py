"""An engine that takes rows in windows, too, as if they lay side by side in memory."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from nineline import engines
from nineline.training.windows import Windows

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from nineline._typing import Array
    from nineline.engines.contract import Engine, Rule
    from nineline.losses import Loss
    from nineline.network import Network
    from nineline.rows import Rows


class PieceByPiece:
    """See `nineline.engines.contract.Engine`: one that adds up what an engine finds in each of several windows.

    Parameters
    ----------
    inner : Engine
    rule : Rule
        Its own.
    """

    def __init__(self, inner: Engine, rule: Rule) -> None:
        self.inner, self.rule = inner, rule

    def __getattr__(self, name: str) -> Any:
        """Return whatever has nothing to do with rows from the engine inside."""
        return getattr(self.inner, name)

    def steps(
        self,
        rows: Rows | Windows,
        order: npt.NDArray[np.intp] | None,
        batch_size: int,
        rates: npt.NDArray[np.float64],
    ) -> Array:
        if not isinstance(rows, Windows):
            return self.inner.steps(rows, order, batch_size, rates)
        parameters = self.inner.parameters()
        gradient, losses = np.empty_like(parameters), np.empty(len(rates))
        for step, rate in enumerate(rates):
            losses[step] = self.gradient(rows, gradient)
            if not np.isfinite(losses[step]):
                return losses[: step + 1]
            self.inner.move(gradient, float(rate))
        return losses

    def gradient(
        self,
        rows: Rows | Windows,
        into: Array,
        loss: Loss | None = None,
        which: npt.NDArray[np.intp] | None = None,
    ) -> float:
        if not isinstance(rows, Windows):
            return self.inner.gradient(rows, into, loss, which)
        total = np.zeros(into.shape, np.float64)
        value = weight = 0.0
        penalty: float | None = None
        mean = (loss or self.rule.loss).reduction == "mean"
        for window in rows.in_order():
            share = window.weigh() if mean else 1.0
            if not mean and weight and penalty is None:
                # What a row that counts nothing leaves over: of a sum of losses, each window has the penalty.
                nothing = replace(window.part(slice(1)), sample_weight=np.zeros(1, into.dtype))
                penalty = self.inner.gradient(nothing, into, loss)
                of_penalty = into.astype(np.float64)
            found = self.inner.gradient(window, into, loss)
            if penalty is not None:
                found -= penalty
                total -= of_penalty
            value += share * found
            total += share * into
            weight += share
        into[...] = total / weight if mean else total
        return value / weight if mean else value

    def evaluate(self, rows: Rows | Windows) -> float:
        if not isinstance(rows, Windows):
            return self.inner.evaluate(rows)
        mean = self.rule.loss.reduction == "mean"
        value = weight = 0.0
        for window in rows.in_order():
            share = window.weigh() if mean else 1.0
            value += share * self.inner.evaluate(window)
            weight += share
        return value / weight if mean else value

    def first_steps(self, rows: Rows | Windows) -> int:
        """Return how many steps to take in the first call."""
        first: Callable[[Any], int] = getattr(self.inner, "first_steps", lambda _: 1)
        return 1 if isinstance(rows, Windows) else first(rows)


def choose(name: str, network: Network, rule: Rule, threads: int) -> Engine:
    """Return the engine of a name, as `nineline.engines.choose` does; it takes windows, too."""
    return cast("Engine", PieceByPiece(engines.choose(name, network, rule, threads), rule))
