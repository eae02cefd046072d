"""Which method stands behind an optimizer that looks at all rows. This is the one place that chooses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nineline.optimizers import LevenbergMarquardt
from nineline.training import levenberg_marquardt, whole_batch
from nineline.training.lbfgs import LBFGSEngine

if TYPE_CHECKING:
    from collections.abc import Callable

    from nineline.engines.contract import Engine, Rule
    from nineline.network import Network


def around(make: Callable[[Network], Engine], network: Network, rule: Rule) -> whole_batch.WholeBatchEngine[Any]:
    """Return the method of a rule around an engine, which `make` makes for a network.

    Raises
    ------
    ValueError
        The network or the rule does not fit the method.
    """
    whole_batch.check(rule, network)
    if isinstance(rule.optimizer, LevenbergMarquardt):
        levenberg_marquardt.check(rule, network)
        return levenberg_marquardt.LevenbergMarquardtEngine(make, network, rule)
    return LBFGSEngine(make(network), network, rule)
