"""Engines: what computes. This is the one place that chooses.

`reference` is NumPy and the definition; a native one, the same mathematics at speed, comes beside it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nineline import _checks
from nineline.engines.reference import Reference

if TYPE_CHECKING:
    from nineline.engines.contract import Engine, Task
    from nineline.network import Network


_NAMES: Final = ("auto", "reference")


def check_name(engine: str) -> str:
    """Return the name of an engine, or raise ValueError."""
    if engine not in _NAMES:
        raise ValueError(f"engine is {engine!r}, which is not known{_checks.nearest(str(engine), _NAMES)}")
    return engine


def choose(engine: str, network: Network, task: Task) -> Engine:
    """Return the engine to train `network` on `task` with: "auto" is the fastest that knows everything asked for."""
    check_name(engine)
    return Reference(network, task)
