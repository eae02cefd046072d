"""What a kind of column must do; the kinds are in `nineline.tables.kinds` and `nineline.tables.text`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias, cast

import numpy as np

from nineline import _checks
from nineline.rows import LevelPart, NumberPart
from nineline.tables.compact import compact

if TYPE_CHECKING:
    import narwhals as nw
    import numpy.typing as npt

    Numbers = npt.NDArray[np.float64]
    Levels = npt.NDArray[np.int32]

Part: TypeAlias = NumberPart | LevelPart
"""What a number or a level of a compact row becomes."""
Values: TypeAlias = "Numbers | Levels"
"""What compact rows hold for a part, (rows,)."""


@dataclass(frozen=True)
class Column(ABC):
    """One column of a table, as learned from the training rows."""

    name: str
    missing: bool
    """Whether values were missing in training; then missing has an indicator of its own."""

    def __post_init__(self) -> None:
        """Raise ValueError where what was learned makes no sense; it may come from a file."""
        if not isinstance(self.name, str) or not isinstance(self.missing, bool):
            raise ValueError(f"column {self.name!r} has no name, or does not say whether values were missing")

    kind: ClassVar[str]
    phrase: ClassVar[str]
    """What its values are, for messages: "numbers"."""
    numeric: ClassVar[bool] = False
    """Whether a file's values are to be read as numbers where they look so, and not as text."""

    @property
    def width(self) -> int:
        """How many numbers a value becomes, the indicator included."""
        return self.own_width + self.missing

    @property
    @abstractmethod
    def own_width(self) -> int:
        """How many numbers a value becomes, without the indicator."""

    @property
    @abstractmethod
    def encoding(self) -> tuple[Part, ...]:
        """What a value becomes: the parts of its inputs, the first of which has place 0."""

    @abstractmethod
    def values(self, series: nw.Series[Any]) -> tuple[Values, ...]:
        """Return for each part what a compact row holds of every value: numbers or levels, (rows,).

        Raises
        ------
        ValueError
            The values are of another kind than in training.
        """

    def one(self, value: object) -> tuple[float, ...] | None:
        """Return the same for one value of Python, where that is soon done; None: ask `values`."""
        return None

    def encode(self, series: nw.Series[Any]) -> Numbers:
        """Return what the values become, (rows, width); a missing one is 0 everywhere and 1 in the indicator.

        Raises
        ------
        ValueError
            The values are of another kind than in training.
        """
        return cast("Numbers", compact([self], [series], len(series), np.float64).astype(np.float64).dense())

    @abstractmethod
    def summary(self) -> str:
        """Return what was learned, in a few words."""

    def mismatch(self, value: object) -> ValueError:
        """Return the error for a value of another kind."""
        held = _checks.quoted(value)
        return ValueError(f"column {self.name!r} holds {held}; expected {self.phrase}, which it held in training")
