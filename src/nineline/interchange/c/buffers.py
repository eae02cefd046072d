"""The arrays of exported C: which of them are free, and how long each has to be."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Final

_LETTERS: Final = "abcdefghklmnopqrstuvwxyz"  # i and j count


class Buffers:
    """The arrays on the stack between layers, each as long as the longest that ever lies in it."""

    def __init__(self) -> None:
        self.sizes: dict[str, int] = {}
        self._taken: Counter[str] = Counter()

    def take(self, size: int) -> str:
        """Return the name of an array that is free."""
        names = itertools.chain(_LETTERS, (f"{letter}{n}" for n in itertools.count(2) for letter in _LETTERS))
        name = next(name for name in names if not self._taken[name])
        self._taken[name] = 1
        self.sizes[name] = max(self.sizes.get(name, 0), size)
        return name

    def take_for_good(self, name: str, size: int) -> str:
        """Return an array of this name, which is not free any more, however often it is given back."""
        self._taken[name] = 2  # for it to stay, and for who has it
        self.sizes[name] = size
        return name

    def keep(self, name: str) -> None:
        """Take an array once more: it has to be given back so often."""
        self._taken[name] += 1

    def change(self, name: str, size: int, into: str = "") -> str:
        """Give an array back for one that takes what comes of it: `into`, or the same, where nobody else has it."""
        if into:
            self.free(name)
            return into
        if name in self.sizes and self._taken[name] == 1:
            return name
        other = self.take(size)
        self.free(name)
        return other

    def free(self, name: str) -> None:
        """Give an array back; what the program is handed is none of them, and stays as it is."""
        self._taken[name] -= 1
