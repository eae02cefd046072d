"""Pacing: how many steps are due, where a person has asked for so many a second, and how many were taken."""

from __future__ import annotations

from collections import deque
from typing import Final

_BEHIND: Final = 0.1  # seconds' worth of steps that are made up for at most
_MEASURED: Final = 1.0  # second


class Pace:
    """Steps a second, as they are asked for and as they come.

    Parameters
    ----------
    speed : float or None
        Steps a second; None: as many as there can be.

    Examples
    --------
    >>> from nineline.interactive.pacing import Pace
    >>> pace = Pace(20.0)
    >>> pace.begin(0.0)
    >>> pace.due(0.03), pace.due(0.06), round(pace.rest(0.06), 3)
    (0, 1, 0.04)
    """

    def __init__(self, speed: float | None) -> None:
        self.speed = speed
        self._owed = 0.0
        self._at = 0.0
        self._taken: deque[tuple[float, int]] = deque()

    def begin(self, now: float) -> None:
        """Begin at a time, in seconds; nothing is owed from before."""
        self._at, self._owed = now, 0.0
        self._taken.clear()

    def due(self, now: float) -> int:
        """Return how many steps are to be taken now, which then are not due any more."""
        if self.speed is None:
            return 2**31
        self._owed = min(self._owed + (now - self._at) * self.speed, max(self.speed * _BEHIND, 1.0))
        self._at = now
        steps = int(self._owed)
        self._owed -= steps
        return steps

    def rest(self, now: float) -> float:
        """Return for how many seconds no step is due."""
        return 0.0 if self.speed is None else (1 - self._owed) / self.speed - (now - self._at)

    def took(self, now: float, steps: int) -> None:
        """Note that steps were taken."""
        self._taken.append((now, steps))

    def measured(self, now: float) -> float:
        """Return how many steps a second were taken in the last second; 0 where that is not known yet."""
        while self._taken and self._taken[0][0] < now - _MEASURED:
            self._taken.popleft()
        since = now - self._taken[0][0] if self._taken else 0.0
        return sum(steps for _, steps in self._taken) / since if since > 0.05 else 0.0
