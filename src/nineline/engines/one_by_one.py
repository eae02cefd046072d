"""Many networks with an engine each, one after the other: whatever one network may be, and be trained by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nineline.engines.contract import Rule
from nineline.engines.many import ManyEngine
from nineline.optimizers import State

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy.typing as npt

    from nineline._typing import Array
    from nineline.engines.contract import Engine
    from nineline.engines.many import ManyRule, Numbers, Orders
    from nineline.network import Network
    from nineline.rows import Rows


class OneByOne(ManyEngine):
    """See `nineline.engines.many.ManyEngine`.

    Parameters
    ----------
    networks : sequence of Network
        Views of what `parameters` holds.
    parameters : array, (count, n)
    many : ManyRule
    make : function
        Returns an engine for a network and its rule.
    """

    def __init__(
        self,
        networks: Sequence[Network],
        parameters: Array,
        many: ManyRule,
        make: Callable[[Network, Rule], Engine],
    ) -> None:
        self.networks = networks
        self._engines = [make(network, _rule_of(many, number)) for number, network in enumerate(networks)]
        super().__init__(networks[0], parameters, many)
        self.name = self._engines[0].name
        self._kept: dict[int, tuple[Numbers, Rows]] = {}  # of a network the rows that an order names

    def steps(
        self,
        members: Numbers,
        rows: Rows,
        orders: Orders,
        batch_size: int | None,
        factors: npt.NDArray[np.float64],
        losses: npt.NDArray[np.float64],
    ) -> Numbers:
        losses[...] = np.nan
        done = np.zeros(len(members), np.intp)
        for place, member in enumerate(members.tolist()):
            engine, mine = self._engines[member], _of(orders, place)
            given, order, size = rows, mine, batch_size
            if mine is not None and batch_size is None:
                given, order = self._part(member, rows, mine), None
            found = engine.steps(given, order, len(given) if size is None else size, factors * self.many.rates[member])
            losses[place, : len(found)], done[place] = found, len(found)
            if len(found) and not np.isfinite(found[-1]):
                self.networks[member].parameters[...] = engine.before()
        return done

    def evaluate(self, members: Numbers, rows: Rows, orders: Orders) -> npt.NDArray[np.float64]:
        found = np.empty(len(members))
        for place, member in enumerate(members.tolist()):
            mine = _of(orders, place)
            found[place] = self._engines[member].evaluate(rows if mine is None else rows.part(mine))
        return found

    def converged(self, members: Numbers) -> dict[int, str]:
        reasons = {member: self._engines[member].converged for member in members.tolist()}
        return {member: reason for member, reason in reasons.items() if reason}

    @property
    def numbers(self) -> dict[str, npt.NDArray[np.float64]]:
        states = [engine.state.numbers for engine in self._engines]
        return {name: np.array([state[name] for state in states]) for name in states[0]}

    def restore(self, arrays: Mapping[str, npt.NDArray[Any]], numbers: Mapping[str, npt.NDArray[np.float64]]) -> None:
        super().restore(arrays, numbers)
        for number, engine in enumerate(self._engines):
            vectors = {name: vector[number] for name, vector in self.vectors.items()}
            facts = {name: float(values[number]) for name, values in numbers.items()}
            engine.restore(State(vectors, int(self.steps_taken[number]), facts), self.before[number])

    def memory(self) -> dict[str, npt.NDArray[Any]]:
        for number, engine in enumerate(self._engines):
            state = engine.state
            self.before[number], self.steps_taken[number] = engine.before(), state.steps
            for name, vector in state.vectors.items():
                self.vectors[name][number] = vector
        return super().memory()

    def _part(self, member: int, rows: Rows, order: Numbers) -> Rows:
        """Return the rows that an order names; those of the last one are kept."""
        kept = self._kept.get(member)
        if kept is None or kept[0] is not order:
            kept = self._kept[member] = order, rows.part(order)
        return kept[1]


def _of(orders: Orders, place: int) -> Numbers | None:
    return orders if orders is None or isinstance(orders, np.ndarray) else orders[place]


def _rule_of(many: ManyRule, number: int) -> Rule:
    rule = many.rule
    return Rule(
        rule.loss,
        rule.optimizer,
        l1=many.l1[number],
        l2=many.l2[number],
        clip_norm=rule.clip_norm,
        penalty_by_rows=rule.penalty_by_rows,
        seed=int(many.seeds[number]),
    )
