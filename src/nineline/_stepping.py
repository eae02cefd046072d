"""One step at a time on a network, whoever takes it."""

from __future__ import annotations

import os
import threading
import weakref
from typing import Final

_REGISTER: Final = threading.RLock()
_ALL: Final[weakref.WeakSet[Stepping]] = weakref.WeakSet()
_HELD: Final[list[Stepping]] = []
"""What a fork under way holds."""


class Stepping:
    """Held while a network's parameters are being moved: another thread waits, the same thread is refused.

    The same thread can only come again from a handler of signals that interrupted a step. A fork waits for steps that
    other threads are taking, so that a child finds whole networks, and nothing that is held by a thread it does not
    have.
    """

    __slots__ = ("__weakref__", "_inside", "_lock")

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._inside = False
        with _REGISTER:
            _ALL.add(self)

    def __enter__(self) -> None:
        self._lock.acquire()
        if self._inside:
            self._lock.release()
            raise RuntimeError(
                "this network is in the midst of a step, which a handler of signals interrupted; take another when the "
                "handler has returned"
            )
        self._inside = True

    def __exit__(self, *_: object) -> None:
        self._inside = False
        self._lock.release()


def _before_fork() -> None:
    _REGISTER.acquire()
    for each in _ALL:
        each._lock.acquire()
        _HELD.append(each)


def _after_fork() -> None:
    while _HELD:
        _HELD.pop()._lock.release()
    _REGISTER.release()


if hasattr(os, "register_at_fork"):  # where processes fork
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)
