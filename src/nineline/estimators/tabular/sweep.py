"""A sweep: networks that differ in their learning rate alone, side by side; held-out rows tell which is best."""

from __future__ import annotations

import contextlib
import math
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final, cast

import numpy as np

from nineline.estimators.tabular.member import begun, mean_of, rule_of
from nineline.estimators.tabular.trials import HELD_OUT, OF_THE_TIME, SHORT, TRIED_ON, Trial
from nineline.networks import Networks
from nineline.schedules import WarmupStableDecay
from nineline.training.errors import DivergenceError

if TYPE_CHECKING:
    from nineline.estimators.tabular.folds import Splits
    from nineline.estimators.tabular.interruption import Interruption
    from nineline.estimators.tabular.member import MemberSettings
    from nineline.estimators.tabular.members import Budget
    from nineline.rows import Compact, Rows
    from nineline.training.many_loop import ManyEpoch

_FACTORS: Final = (1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8)
"""Of the recipe's learning rate."""


def sweep(
    rows: Rows, folds: Splits, settings: MemberSettings, budget: Budget, interruption: Interruption
) -> tuple[MemberSettings, list[Trial], Budget]:
    """Train members with some learning rates, a quarter of their epochs each; return settings with the best.

    It is the first member where that holds out a thousand rows, else all of them. At each rate they begin with the same
    weights and take their rows in the same order. Where no row is held out, or time or Ctrl-C
    ends it before an epoch is over, the settings stay as they are.

    Parameters
    ----------
    rows, folds, settings, budget, interruption
        As `train_members` takes them. Where time is limited, a tenth of it is spent here.

    Returns
    -------
    settings : MemberSettings
    trials : list of Trial
        The mean loss on held-out rows by learning rate; NaN where a network diverged.
    budget : Budget
        What is left.
    """
    recipe, rates = settings.recipe, settings.recipe.learning_rate * np.array(_FACTORS)
    some = folds.thinned(TRIED_ON)
    members = 1 if folds.share * len(rows) >= HELD_OUT else recipe.members
    parts = [some.of(number) for number in range(members)]
    if not all(len(out) for _, out in parts):
        return settings, [], budget
    began = time.perf_counter()
    limit = None if budget.time_limit is None else OF_THE_TIME * budget.time_limit
    encoding = cast("Compact", rows.inputs).encoding
    rule = rule_of(settings, encoding)
    begin = [
        begun(settings, encoding, mean_of(rows, kept), np.random.default_rng([settings.seed, number]))
        for number, (kept, _) in enumerate(parts)
    ]
    networks = Networks(network for network in begin for _ in rates)
    data = rows.inputs, rows.targets, rows.sample_weight

    def is_over(_: ManyEpoch) -> bool:
        return interruption.heard or (limit is not None and time.perf_counter() - began > limit)

    with contextlib.suppress(DivergenceError):
        networks.train(
            *data[:2],
            sample_weight=data[2],
            rows=[kept for kept, _ in parts for _ in rates],
            epochs=math.ceil(recipe.epochs / SHORT),
            batch_size=recipe.batch_size,
            loss=rule.loss,
            optimizer=rule.optimizer,
            learning_rate=np.tile(rates, members),
            clip_norm=rule.clip_norm,
            schedule=WarmupStableDecay(),
            on_epoch=is_over,
            engine=settings.engine,
            threads=budget.jobs,
            progress=False,
            rng=np.random.default_rng([settings.seed, len(parts)]),
        )
    diverged = np.isnan(networks.losses)
    found = networks.evaluate(*data, loss=rule.loss, rows=[out for _, out in parts for _ in rates])
    losses = np.where(diverged, np.nan, found).reshape(members, len(rates)).mean(axis=0)
    trials = [Trial(f"{rate:.3g}", float(loss)) for rate, loss in zip(rates, losses, strict=True)]
    left = budget.time_limit
    if left is not None:
        left = max(left - (time.perf_counter() - began), 1e-9)
    if np.isfinite(losses).any():
        best = float(rates[int(np.nanargmin(losses))])
        settings = replace(settings, recipe=replace(recipe, learning_rate=best))
    return settings, trials, replace(budget, time_limit=left)
