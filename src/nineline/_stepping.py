"""One step at a time on a network, whoever takes it."""

from __future__ import annotations

import contextlib
import os
import threading
import weakref
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

_REGISTER: Final = threading.RLock()
_ALL: Final[weakref.WeakSet[Stepping]] = weakref.WeakSet()
_HELD: Final[list[Stepping]] = []
"""What a fork under way holds."""


class Stepping:
    """``with stepping():`` while a network's parameters are moved: other threads wait, the same thread is refused.

    The same thread can only come again from a handler of signals that interrupted a step. A fork waits for steps that
    other threads are taking, so that a child finds whole networks, and nothing that is held by a thread it does not
    have. What is entered is a lock of the interpreter's own, which Ctrl-C cannot leave half entered.
    """

    __slots__ = ("__weakref__", "lock")

    def __init__(self) -> None:
        self.lock: Any = threading.RLock()
        with _REGISTER:
            _ALL.add(self)

    def __call__(self) -> AbstractContextManager[object]:
        if self.lock._is_owned():
            raise RuntimeError(
                "this network is in the midst of a step, which a handler of signals interrupted; take another when the "
                "handler has returned"
            )
        lock: AbstractContextManager[object] = self.lock
        return lock


def _before_fork() -> None:
    _REGISTER.acquire()
    for each in _ALL:
        _HELD.append(each)
        each.lock.acquire()


def _after_fork() -> None:
    while _HELD:
        with contextlib.suppress(RuntimeError):  # Ctrl-C came before it was held
            _HELD.pop().lock.release()
    _REGISTER.release()


if hasattr(os, "register_at_fork"):  # where processes fork
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)
