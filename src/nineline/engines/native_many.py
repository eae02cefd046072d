"""The native engine of many networks: small ones in the lanes of vectors, large ones one a thread."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from nineline.engines import native
from nineline.engines.many import ManyEngine

if TYPE_CHECKING:
    import numpy.typing as npt

    from nineline._typing import Array
    from nineline.engines.many import ManyRule, Numbers, Orders
    from nineline.network import Network
    from nineline.rows import Rows


_MOST_IN_LANES: Final = {np.dtype(np.float32): 200, np.dtype(np.float64): 100}
"""Parameters of a network up to which lanes are faster, as measured by ``python -m benchmarks.many --ways``."""
_LEAST_LANES: Final = 0.4
"""Share of the lanes that has to be taken, or networks are faster one by one."""


class NativeMany(ManyEngine):
    """See `nineline.engines.many.ManyEngine`.

    What networks and rule become in the engine's words stays; parameters and what the optimizer remembers go into lanes
    and out of them with each call.
    """

    name = "native"

    def __init__(self, network: Network, parameters: Array, many: ManyRule, threads: int, in_lanes: bool | None = None):
        super().__init__(network, parameters, many)
        self.threads = threads
        self._door = native.many_of(network, many.rule)
        self._asked = in_lanes

    def steps(
        self,
        members: Numbers,
        rows: Rows,
        orders: Orders,
        batch_size: int | None,
        factors: npt.NDArray[np.float64],
        losses: npt.NDArray[np.float64],
    ) -> Numbers:
        done = np.zeros(len(members), np.int64)
        self._door.steps(
            self._in_lanes(members, rows),
            *native.hand_over_rows(rows),
            np.ascontiguousarray(members, np.int64),
            self.parameters,
            self.before,
            list(self.vectors.values()),
            self.steps_taken,
            self.many.seeds,
            self.many.rates,
            self.many.l1,
            self.many.l2,
            *_orders(orders),
            0 if batch_size is None or orders is None else batch_size,
            np.ascontiguousarray(factors, np.float64),
            losses,
            done,
            self.threads,
        )
        return done

    def evaluate(self, members: Numbers, rows: Rows, orders: Orders) -> npt.NDArray[np.float64]:
        losses = np.empty(len(members))
        in_lanes = self._in_lanes(members, rows)
        if orders is not None and not in_lanes:  # then a call is about all rows
            for place, member in enumerate(members):
                mine = orders if isinstance(orders, np.ndarray) else orders[place]
                losses[place] = self.evaluate(np.array([member]), rows.part(mine), None)[0]
            return losses
        self._door.evaluate(
            in_lanes,
            *native.hand_over_rows(rows),
            np.ascontiguousarray(members, np.int64),
            self.parameters,
            *_orders(orders),
            losses,
            self.threads,
        )
        return losses

    def _in_lanes(self, members: Numbers, rows: Rows) -> bool:
        """Return whether networks lie in lanes: decided by sizes alone, so that results do not depend on threads."""
        return lie_in_lanes(self._door, self.parameters, len(members), rows.inputs, self._asked)


def lie_in_lanes(door: Any, parameters: Array, members: int, inputs: object, asked: bool | None = None) -> bool:
    """Return whether so many networks lie in lanes."""
    if not door.lanes or not isinstance(inputs, np.ndarray):
        return False
    if asked is not None:
        return asked
    lanes = native.LANE_VECTORS * native.vector_bytes() // parameters.itemsize
    return parameters.shape[1] <= _MOST_IN_LANES[parameters.dtype] and members >= lanes * _LEAST_LANES


def run(network: Network, parameters: Array, inputs: Array, threads: int) -> Array:
    """Return what networks answer to (rows, n_inputs), or each to its own of (count, rows, n_inputs)."""
    door = native.many_of(network, None)
    count, rows = len(parameters), inputs.shape[-2]
    outputs = np.empty((count, rows, network.n_outputs), parameters.dtype)
    members = np.arange(count, dtype=np.int64)
    in_lanes = lie_in_lanes(door, parameters, count, inputs)
    if inputs.ndim == 2:
        door.run(in_lanes, np.ascontiguousarray(inputs), members, parameters, None, None, outputs, threads)
    elif in_lanes:
        every = np.ascontiguousarray(inputs).reshape(count * rows, -1)
        order, begins = np.arange(count * rows), np.arange(count + 1) * rows
        door.run(True, every, members, parameters, order, begins, outputs, threads)
    else:
        for member in range(count):
            mine, some = np.ascontiguousarray(inputs[member]), slice(member, member + 1)
            door.run(False, mine, members[some], parameters, None, None, outputs[some], threads)
    return outputs


def _orders(orders: Orders) -> tuple[npt.NDArray[np.int64] | None, npt.NDArray[np.int64] | None]:
    """Return orders as the engine takes them: one behind the other, and where each begins."""
    if orders is None:
        return None, None
    if isinstance(orders, np.ndarray):
        return np.ascontiguousarray(orders, np.int64), None
    begins = np.zeros(len(orders) + 1, np.int64)
    np.cumsum([len(each) for each in orders], out=begins[1:])
    return np.concatenate(orders).astype(np.int64, copy=False), begins
