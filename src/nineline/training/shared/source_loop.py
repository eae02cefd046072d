"""The loop of a training that several processes share on the rows of sources: each reads its windows, steps are one."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from nineline.training.shared.loop import SharedLoop
from nineline.training.shared.share import SharedOrder, shares_of_padded
from nineline.training.source_loop import SourceLoop

if TYPE_CHECKING:
    import numpy.typing as npt

    from nineline.rows import Rows
    from nineline.training.loop import Measure, Order
    from nineline.training.shared.share import SharedCut


class SharedSourceLoop(SharedLoop, SourceLoop):
    """See `SharedLoop` and `SourceLoop`. Windows end where they do for each process; steps are taken together."""

    def divide(self, order: Order | None, measure: Measure | None) -> None:
        assert isinstance(order, SharedOrder)
        self.order = order
        super().divide(None, None)
        self.windows.seeds = [self.engine.seed, order.rank]
        self.batch_size, self.batches = order.cut(self.plan.batch_size)

    def count_rows(self) -> None:
        self.count = self.order.count
        self.batches = 1 if self.whole else math.ceil(self.count / self.batch_size_of_all)

    @property
    def batch_size_of_all(self) -> int:
        """How many rows a batch of all processes has."""
        return min(self.plan.batch_size or self.count, self.count)

    def cut(self) -> SharedCut:
        assert isinstance(self.order, SharedOrder)
        return self.order.cut_windows(self.trainer.steps_together)

    def shares_of(self, rows: Rows, order: npt.NDArray[np.intp]) -> npt.NDArray[np.float64]:
        weight = np.ones(len(rows)) if rows.sample_weight is None else rows.sample_weight.astype(np.float64)
        return shares_of_padded(weight, order, self.batch_size)

    def of_epoch(self, losses: npt.NDArray[np.float64], shares: npt.NDArray[np.float64]) -> float:
        return super().of_epoch(losses, self.together.sum_of(shares))
