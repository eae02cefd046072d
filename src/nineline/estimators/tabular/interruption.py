"""Interruption: Ctrl-C while threads train, heard by the one that waits and seen by those that work."""

from __future__ import annotations

import contextvars
import threading
import time
from concurrent.futures import Future
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar, final

from nineline.training.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Callable

    from nineline.training.history import History

T = TypeVar("T")

_LISTENS_EVERY: Final = 0.1  # seconds


class Interruption:
    """Whether Ctrl-C has been pressed in one fit."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._asked: SimpleQueue[tuple[Callable[[], Any], Future[Any]]] = SimpleQueue()

    @property
    def heard(self) -> bool:
        """Whether training is to end."""
        return self._event.is_set()

    def stop(self) -> None:
        """Say that training is to end."""
        self._event.set()

    def run(self, work: Callable[[], T]) -> T:
        """Do work in a thread, so that this one does nothing but listen; return or raise what it does.

        A thread that waits without a timeout is not woken by a signal whose handler restarts system calls, as that of
        polars does. The first Ctrl-C says that training is to end, and the work goes on to keep what is there; the
        second is a KeyboardInterrupt at once.
        """
        returned: list[T] = []
        raised: list[BaseException] = []
        done = threading.Event()
        context = contextvars.copy_context()

        def doing() -> None:
            try:
                returned.append(context.run(work))
            except BaseException as error:
                raised.append(error)
            finally:
                done.set()

        try:
            threading.Thread(target=doing, name="nineline fit", daemon=True).start()
        except KeyboardInterrupt:  # nothing is trained yet
            self.stop()
            raise
        while True:
            try:
                while not done.wait(_LISTENS_EVERY):
                    self._do_what_is_asked()
                break
            except KeyboardInterrupt:
                if self.heard:
                    raise
                self.stop()
        if raised:
            raise raised[0]
        return returned[0]

    def by_the_caller(self, work: Callable[[], T]) -> T:
        """Let the thread that called `run` do some of the work, and return or raise what it does.

        For what has to be done there, and hears Ctrl-C by itself: then it is a KeyboardInterrupt.
        """
        answer: Future[T] = Future()
        self._asked.put((work, answer))
        return answer.result()

    def _do_what_is_asked(self) -> None:
        while not self._asked.empty():
            work, answer = self._asked.get()
            try:
                if self.heard:
                    raise KeyboardInterrupt
                answer.set_result(work())
            except BaseException as error:
                answer.set_exception(error)


@final
class Listening(Progress):
    """Ends a training in the midst of an epoch where Ctrl-C was heard or its time is over; passes on how far it is.

    Parameters
    ----------
    interruption : Interruption
    deadline : float, optional
        What `time.perf_counter` says then.
    tell : function
        Called with the epochs that are done.
    """

    def __init__(self, interruption: Interruption, deadline: float | None, tell: Callable[[float], object]) -> None:
        self.interruption, self.deadline, self.tell = interruption, deadline, tell
        self.out_of_time = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def update(self, epochs: float, rows: int, history: History) -> None:
        """Raise KeyboardInterrupt, as if it had reached this thread: a checkpoint stays one that can go on."""
        if self.deadline is not None and time.perf_counter() >= self.deadline:
            self.out_of_time = True
        if self.interruption.heard or self.out_of_time:
            raise KeyboardInterrupt
        self.tell(epochs)
