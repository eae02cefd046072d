"""A table whose rows are on a disk: what members learn of it, and which of its rows they hold out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, final

import numpy as np

from nineline.estimators.tabular.dealing import HELD_OUT_AT_MOST
from nineline.estimators.tabular.member import Lesson, mean_of
from nineline.rows import Rows
from nineline.sources import Source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import numpy.typing as npt

    from nineline.estimators.tabular.member import MemberSettings
    from nineline.rows import Encoding
    from nineline.sources import Piece
    from nineline.tables.spilled import SpilledPart, SpilledRows
    from nineline.tables.targets import Target
    from nineline.training.shared.together import Together


@final
class SpilledSource(Source):
    """Some parts of spilled rows, as a network learns them.

    Parameters
    ----------
    spilled : SpilledRows
    parts : list of int
    encoding : Encoding
        What the rows become.
    target : Target
    memory : int
    rank : int
        Of several processes, whose rows they are.
    """

    def __init__(
        self, spilled: SpilledRows, parts: list[int], encoding: Encoding, target: Target, memory: int, rank: int = 0
    ) -> None:
        super().__init__(memory)
        self.spilled, self.parts, self.encoding, self.target, self.rank = spilled, parts, encoding, target, rank
        self.rows = sum(spilled.counts[part] for part in parts)
        self.streams = len(parts)

    def open(self, stream: int) -> Iterator[Piece]:
        rows = rows_of(self.spilled.read(self.parts[stream]), self.encoding, self.target)
        yield rows.inputs, rows.targets, rows.sample_weight

    def fingerprint(self) -> str:
        """Return a digest of the rows, and which parts of them these are."""
        whose = f" of process {self.rank}" if self.rank else ""  # processes may have the same rows
        return f"{self.spilled.fingerprint()}{whose}, parts {self.parts}, {self.encoding.width} inputs"


def rows_of(part: SpilledPart, encoding: Encoding, target: Target) -> Rows:
    """Return rows that were spilled, as a network learns them."""
    return Rows(part.inputs.read_by(encoding), target.encode_numbers(part.targets), part.weights)


@dataclass(frozen=True)
class SpilledTable:
    """Spilled rows, and which of them are held out.

    Attributes
    ----------
    spilled : SpilledRows
    held : list of list of int
        Parts that are held out: member i holds out those of number ``i % len(held)``; none where it is empty.
    together : Together
        The processes that have such rows, and as many members that hold some out.
    aside : SpilledPart or None
        Rows that all members hold out and none learns from, as far as this process has them; then `held` is empty.
    """

    spilled: SpilledRows
    held: list[list[int]]
    together: Together
    aside: SpilledPart | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.spilled.close()

    def sample(self, rows: int, encoding: Encoding, target: Target) -> tuple[Rows, npt.NDArray[Any]]:
        """Return about so many rows that no member holds out, and their targets; of all processes, as they have."""
        here = sum(self.spilled.counts)
        most = math.ceil(rows * here / max(self.together.sums(here)[0], 1))
        parts: list[int] = []
        for part in range(sum(map(len, self.held)), len(self.spilled.counts)):
            parts.append(part)
            if sum(self.spilled.counts[part] for part in parts) >= most:
                break
        read, labels = self.read(parts, encoding, target)
        return _joined(self.together.each_of((read.part(slice(most)), labels[:most])))

    def read(self, parts: list[int], encoding: Encoding, target: Target) -> tuple[Rows, npt.NDArray[Any]]:
        """Return the rows of some parts, and their targets."""
        read = [self.spilled.read(part) for part in parts] or [self.spilled.none()]
        numbers = np.concatenate([part.targets for part in read])
        return Rows.joined([rows_of(part, encoding, target) for part in read]), target.values(numbers)

    def held_out(self, encoding: Encoding, target: Target) -> tuple[Rows, npt.NDArray[Any], list[int]]:
        """Return the held-out rows of all processes, member after member, their targets, and how many each has."""
        if self.aside is not None:
            here = [(rows_of(self.aside, encoding, target), target.values(self.aside.targets))]
        else:
            here = [self.read(self._to_judge_by(parts), encoding, target) for parts in self.held or [[]]]
        members = [_joined(parts) for parts in zip(*self.together.each_of(here), strict=True)]
        return *_joined(members), [len(rows) for rows, _ in members]

    def first_held_out(self, encoding: Encoding, target: Target) -> tuple[Rows, npt.NDArray[Any]]:
        """Return the rows that the first member holds out, and their targets."""
        held, truth, counts = self.held_out(encoding, target)
        return held.part(slice(counts[0])), truth[: counts[0]]

    def _to_judge_by(self, parts: list[int]) -> list[int]:
        """Return as many of a set's parts as have enough rows: those of whole groups may be more."""
        found, rows = [], 0
        for part in parts:
            if rows < HELD_OUT_AT_MOST / self.together.size:
                found.append(part)
                rows += self.spilled.counts[part]
        return found

    def lessons(
        self, settings: MemberSettings, encoding: Encoding, held: Rows, counts: list[int], sample: Rows, memory: int
    ) -> Callable[[int], Lesson]:
        """Return what gives each member its lesson: all rows but those that it holds out.

        `held` and `counts` are of `held_out`.
        """
        mean = mean_of(sample, np.arange(len(sample)))

        def lesson(number: int) -> Lesson:
            mine = number % len(counts)
            first, count = sum(counts[:mine]), counts[mine]
            own = self.held[mine] if self.held else []
            parts = [part for part in range(len(self.spilled.counts)) if part not in own]
            source = SpilledSource(self.spilled, parts, encoding, settings.target, memory, self.together.rank)
            out = np.arange(first, first + count)
            return Lesson((source, None, None), None, encoding, mean, held.part(slice(first, first + count)), out)

        return lesson


def _joined(parts: Iterable[tuple[Rows, npt.NDArray[Any]]]) -> tuple[Rows, npt.NDArray[Any]]:
    """Return rows and their targets, part after part."""
    rows, labels = zip(*parts, strict=True)
    return Rows.joined(rows), np.concatenate(labels)
