"""Members: the networks of an estimator, trained side by side, by several processes, or on other machines."""

from __future__ import annotations

import contextlib
import math
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final

import numpy as np

from nineline.estimators.tabular.interruption import Interruption, Listening
from nineline.estimators.tabular.member import Lesson, Member, MemberSettings, checkpoint_of, train_member
from nineline.estimators.tabular.recipe import MEMBERS_AT_MOST
from nineline.files import FileError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from nineline.estimators.tabular.progress import MemberProgress
    from nineline.estimators.tabular.spreading import Spreading
    from nineline.training.epoch import Epoch
    from nineline.training.shared.together import Together


_SOON: Final = 1000  # rows
_LONG: Final = 1.0  # seconds; an epoch that takes longer may be cut off by a time limit


@dataclass(frozen=True)
class Budget:
    """What training may take.

    Attributes
    ----------
    time_limit : float or None
        Seconds for all members together.
    jobs : int
        How many threads there are; a member has one, or more where there are fewer members.
    at_once : int
        How many members are trained at once at most.
    together : Together or None
        The processes that share each training, one after the other, where there are several.
    spreading : Spreading or None
        What trains them on other machines; those that read their rows from a file of this one stay here.
    """

    time_limit: float | None
    jobs: int
    at_once: int = MEMBERS_AT_MOST
    together: Together | None = None
    spreading: Spreading | None = None


def train_members(
    lessons: Callable[[int], Lesson],
    settings: MemberSettings,
    budget: Budget,
    progress: MemberProgress,
    interruption: Interruption,
) -> list[Member]:
    """Train every member; where time runs out, those for which there was time, at least one.

    A member depends on the seed and its own number alone: not on how many there are, nor on what runs beside it.
    An interruption ends training and keeps what is there: members that finished an epoch, or, where there is none,
    those that took a step. Members that are trained on other machines are lost with it: it is a KeyboardInterrupt.
    """
    if budget.spreading is not None and not interruption.heard:
        return _sound(_spread(lessons, settings, budget, budget.spreading, progress, interruption))
    members = settings.recipe.members
    if budget.together is not None:
        return _train_together(lessons, settings, budget, progress, interruption)
    jobs = min(budget.jobs, members, budget.at_once)
    clock = _Clock(budget.time_limit, members, jobs)

    def one(number: int) -> Member | None:
        seconds = clock.seconds(number)
        if seconds == 0 or interruption.heard:
            return None
        callbacks: list[Callable[[Epoch], object]] = [progress.of(number)]
        listening = Listening(interruption, _deadline(seconds), lambda epochs: progress.moved(number, epochs))
        return train_member(
            lessons(number), settings, number, seconds, max(1, budget.jobs // jobs), callbacks, listening
        )

    with _nothing_new_where_refused(settings), progress, ThreadPoolExecutor(jobs) as pool:
        futures = [pool.submit(one, number) for number in range(members)]
        try:
            results = [future.result() for future in futures]
        except BaseException:
            interruption.stop()  # the others need not go on
            raise
    return _of_use([member for member in results if member is not None], interruption)


@contextlib.contextmanager
def _nothing_new_where_refused(settings: MemberSettings) -> Iterator[None]:
    """Remove what members beside one whose checkpoint is of another training have begun to write."""
    files = [checkpoint_of(settings.checkpoint, number) for number in range(settings.recipe.members)]
    new = [file for file in files if file is not None and not file.exists()]
    try:
        yield
    except (ValueError, FileError):
        for file in new:
            file.unlink(missing_ok=True)
        raise


def _train_together(
    lessons: Callable[[int], Lesson],
    settings: MemberSettings,
    budget: Budget,
    progress: MemberProgress,
    interruption: Interruption,
) -> list[Member]:
    """Train every member by the steps of several processes, which hear of Ctrl-C at one of them."""
    members: list[Member] = []
    with progress:
        for number in range(settings.recipe.members):
            listening = Listening(interruption, None, partial(progress.moved, number))
            callbacks: list[Callable[[Epoch], object]] = [progress.of(number)]
            try:
                member = train_member(
                    lessons(number), settings, number, None, budget.jobs, callbacks, listening, budget.together
                )
            except KeyboardInterrupt:  # on all of them, before a step
                interruption.stop()
                break
            members.append(member)
            if member.history.stopped.startswith("interrupted"):
                interruption.stop()
                break
    return _of_use(members, interruption)


def _of_use(members: list[Member], interruption: Interruption) -> list[Member]:
    """Return members that have learned something."""
    trained = _sound(members)
    if interruption.heard:
        trained = soon_judged([member for member in trained if member.history.epochs] or trained)
    return trained


def _sound(members: Iterable[Member]) -> list[Member]:
    """Return the members that took a step, and to somewhere."""
    return [each for each in members if each.history.steps and np.isfinite(each.network.parameters).all()]


def _spread(
    lessons: Callable[[int], Lesson],
    settings: MemberSettings,
    budget: Budget,
    spreading: Spreading,
    progress: MemberProgress,
    interruption: Interruption,
) -> list[Member]:
    """Train every member on another machine, with one thread; the seconds of each are an equal share from the start.

    That share is as if the machines had nothing else to do, and no clock of theirs is compared with one here.
    """
    numbers = range(settings.recipe.members)

    def work() -> list[Member]:
        seconds = None
        if budget.time_limit is not None:
            seconds = _Clock(budget.time_limit, len(numbers), min(spreading.at_once(), len(numbers))).seconds(0)
        trained: dict[int, Member] = {}
        with progress:
            tasks = [(settings, number, seconds) for number in numbers]
            for number, member in spreading.results(_train_there, lessons, tasks):
                trained[number] = member
                progress.finished(number, member.network, member.history, settings.recipe.epochs)
        return [trained[number] for number in numbers]

    return interruption.by_the_caller(work)


def _train_there(
    lessons: Callable[[int], Lesson], settings: MemberSettings, number: int, seconds: float | None
) -> Member:
    """Train one member, where nobody listens."""
    listening = Listening(Interruption(), _deadline(seconds), lambda epochs: None)
    return train_member(lessons(number), settings, number, seconds, 1, [], listening)


def _deadline(seconds: float | None) -> float | None:
    """Return what `time.perf_counter` says when a member that begins now is to end at the latest."""
    return None if seconds is None else time.perf_counter() + max(seconds, _LONG)


def soon_judged(members: list[Member]) -> list[Member]:
    """Return members with few enough held-out rows that somebody who pressed Ctrl-C need not wait."""
    return [replace(member, held_out=member.held_out[:_SOON]) for member in members]


class _Clock:
    """How many seconds each member has: an equal share of what is left, among those that run one after the other."""

    def __init__(self, limit: float | None, members: int, jobs: int) -> None:
        self.limit, self.members, self.jobs = limit, members, jobs
        self.began = time.perf_counter()

    def seconds(self, number: int) -> float | None:
        """Return the seconds for a member that begins now; None: as long as it takes, 0: it is too late."""
        if self.limit is None:
            return None
        left = self.limit - (time.perf_counter() - self.began)
        turns = math.ceil((self.members - number) / self.jobs)
        return max(left / turns, 0.0) if number else max(left / turns, 1e-9)  # the first is always trained
