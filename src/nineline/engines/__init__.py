"""Engines: what computes. This is the one place that chooses.

`reference` is NumPy and the definition; `native` is the same mathematics at speed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nineline import _checks
from nineline.engines.native import Native, NotNativeError, answerer, check_known
from nineline.engines.reference import Reference

if TYPE_CHECKING:
    from collections.abc import Callable

    from nineline._typing import Array
    from nineline.engines.contract import Engine, Task
    from nineline.losses import Loss
    from nineline.network import Network
    from nineline.optimizers import Optimizer, State


_NAMES: Final = ("auto", "native", "reference")


def check_name(engine: str) -> str:
    """Return the name of an engine, or raise ValueError."""
    if engine not in _NAMES:
        raise ValueError(f"engine is {engine!r}, which is not known{_checks.nearest(str(engine), _NAMES)}")
    return engine


def check(engine: str, network: Network, loss: Loss, optimizer: Optimizer) -> None:
    """Raise ValueError where there is no such engine, or it does not know one of these."""
    if check_name(engine) == "reference":
        return
    try:
        check_known(network, loss, optimizer)
    except NotNativeError as error:
        if engine == "native":
            raise ValueError(f"engine is 'native', but {error}; engine='auto' leaves that to the reference") from None


def choose(engine: str, network: Network, task: Task, threads: int, state: State | None = None) -> Engine:
    """Return a checked engine to train `network` on `task` with; "auto" is native for all that it knows.

    `state` is what the optimizer remembers of earlier training; by default it remembers nothing.
    """
    if engine != "reference":
        try:
            return Native(network, task, threads, state)
        except NotNativeError:
            pass
    return Reference(network, task, state)


def choose_answerer(network: Network) -> Callable[[object], Array | None]:
    """Return the fast way from inputs to outputs, see `native.answerer`; it answers None where it cannot."""
    try:
        return answerer(network)
    except NotNativeError:
        return lambda _inputs: None
