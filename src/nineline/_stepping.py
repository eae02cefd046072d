"""One step at a time on a network, whoever takes it."""

from __future__ import annotations

import threading


class Stepping:
    """Held while a network's parameters are being moved: another thread waits, the same thread is refused.

    The same thread can only come again from a handler of signals that interrupted a step.
    """

    __slots__ = ("_inside", "_lock")

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._inside = False

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
