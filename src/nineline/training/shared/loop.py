"""The loop of a training that several processes share: what is shown, and what is decided, by the first of them."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, NoReturn

import numpy as np

from nineline.training.errors import DivergenceError
from nineline.training.loop import Loop
from nineline.training.watch import EarlyStopping

if TYPE_CHECKING:
    from nineline.network import Network
    from nineline.training.epoch import Epoch
    from nineline.training.history import History
    from nineline.training.plan import Plan
    from nineline.training.shared.together import Together


class SharedLoop(Loop):
    """See `nineline.training.loop.Loop`. `together` is to be given before it runs."""

    together: Together

    def run(self) -> History:
        history = super().run()
        history.seconds = self.together.first(history.seconds)
        return history

    def report(self) -> None:
        loss = self.trainer.measure(self.rows)
        if self.together.is_first:
            print(f"{'Epoch' if self.plan.in_epochs else 'Iteration'} {self.history.epochs:,}, loss {loss:.6g}")

    def diverged(self, what: str) -> NoReturn:
        try:
            super().diverged(what)
        except DivergenceError as error:  # all have seen the same number
            self.together.raise_for_all(error)


def shared_plan(plan: Plan, together: Together) -> Plan:
    """Return the same plan, but that its functions are called together.

    `on_epoch` ends training where it says so on any process; a score is the first process's; the first shows progress.
    """
    shared = copy.copy(plan)
    if plan.on_epoch:
        functions = plan.on_epoch

        def on_epoch(epoch: Epoch) -> bool:
            answers: list[object] = []
            with together.alike("cannot go on"):
                answers = [function(epoch) for function in functions]
            ends = any(isinstance(answer, (bool, np.bool_)) and answer for answer in answers)
            return together.sums(ends)[0] > 0

        vars(shared)["on_epoch"] = [on_epoch]
    if plan.stop is not None and plan.stop.score is not None:
        score = plan.stop.score

        def first_score(network: Network) -> float:
            value = 0.0
            with together.alike("cannot go on"):
                value = float(score(network))
            return together.first(value)

        vars(shared)["stop"] = EarlyStopping(plan.stop.patience, plan.stop.min_improvement, first_score)
    if not together.is_first:
        vars(shared)["progress"] = False
    return shared
