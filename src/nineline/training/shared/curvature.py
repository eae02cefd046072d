"""The loss to second order over the rows of all processes: each adds its ``J'J`` and ``J'c``, the first one solves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nineline.engines.curvature import ReferenceCurvature

if TYPE_CHECKING:
    import numpy.typing as npt

    from nineline._typing import Array
    from nineline.engines.contract import Rule
    from nineline.network import Network
    from nineline.rows import Rows
    from nineline.training.shared.together import Together


class SharedCurvature(ReferenceCurvature):
    """See `nineline.engines.contract.Curvature`, in NumPy; the same numbers on all processes.

    Parameters
    ----------
    network, rows, learns
        As `ReferenceCurvature` takes them, the rows being those of this process.
    rule : Rule
        Its loss is a sum.
    reduction : {"mean", "sum"}
        Of the loss over the rows of all processes.
    together : Together
    """

    def __init__(
        self,
        network: Network,
        rule: Rule,
        rows: Rows,
        learns: npt.NDArray[np.bool_],
        reduction: str,
        together: Together,
    ) -> None:
        super().__init__(network, rule, rows, learns)
        self._together = together
        self._is_wide = False  # J of all is on no process
        (self.weigh,) = together.sums(rows.weigh())
        """What the rows of all processes weigh."""
        if reduction == "mean" and self.weigh > 0:
            self._factors = self._factors / self.weigh

    def over_all(self, array: Array) -> Array:
        return self._together.sum_of(array.astype(np.float64, copy=False))

    def solve(self, added: Array, decay: float) -> Array | None:
        step = super().solve(added, decay) if self._together.is_first else None
        return self._together.first(step)

    def effective_parameters(self, decay: float) -> float:
        return self._together.first(super().effective_parameters(decay) if self._together.is_first else 0.0)
