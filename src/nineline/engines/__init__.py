"""Engines: what computes. This is the one place that chooses.

`reference` is NumPy and the definition; `native` is the same mathematics at speed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from nineline import _checks
from nineline.engines.contract import Rule
from nineline.engines.native import Native, NotNativeError, answer_rows, answerer
from nineline.engines.reference import Reference

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nineline._typing import Array
    from nineline.engines.contract import Engine
    from nineline.network import Network
    from nineline.rows import Compact

__all__ = ["Rule", "answer_rows", "answer_together", "check_name", "choose", "choose_answerer"]

_NAMES: Final = ("auto", "native", "reference")


def check_name(engine: str) -> str:
    """Return the name of an engine, or raise ValueError."""
    if engine not in _NAMES:
        raise ValueError(f"engine is {engine!r}, which is not known{_checks.nearest(str(engine), _NAMES)}")
    return engine


def choose(engine: str, network: Network, rule: Rule, threads: int = 1) -> Engine:
    """Return an engine to train `network` by `rule`; "auto" is native for all that it knows.

    Raises
    ------
    ValueError
        There is no such engine, or it does not know something of the network or the rule.
    """
    if check_name(engine) == "reference":
        return Reference(network, rule)
    try:
        return Native(network, rule, threads)
    except NotNativeError as error:
        if engine == "native":
            raise ValueError(f"engine is 'native', but {error}; engine='auto' leaves that to the reference") from None
    return Reference(network, rule)


def answer_together(networks: Sequence[Network], inputs: Compact) -> Array:
    """Return the sum of what networks of one shape answer for checked rows, (rows, n_outputs)."""
    total = np.zeros((len(inputs), networks[0].n_outputs), networks[0].dtype)
    answers = np.empty_like(total)
    for network in networks:
        if answer_rows(network.quick_answer(), inputs, answers) is None:
            network.answer(inputs, answers)
        total += answers
    return total


def choose_answerer(network: Network) -> Callable[..., Array | None]:
    """Return the fast way from inputs to outputs, see `native.answerer`; it answers None where it cannot."""
    try:
        return answerer(network)
    except NotNativeError:
        return lambda _inputs, _out=None: None
