"""Recipe: everything that is chosen by the size of a table, and the settings that were given instead."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from nineline import _checks

if TYPE_CHECKING:
    from collections.abc import Callable

FEW_ROWS: Final = 40  # below this no row can be spared for validation
SWEEP: Final = "sweep"
"""As a learning rate: the best of some."""
MEMBERS_AT_MOST: Final = 1000  # that a file takes
INTERVALS: Final = 32  # of a column of numbers
ROWS_AN_INTERVAL: Final = 10  # at least
_SMALL: Final = 5000  # rows
_NARROW: Final = 64  # units of a layer; fewer have none to drop
_MIXED: Final = 4  # members at least, to see numbers in two ways
_STEPS_AT_LEAST: Final = 400
_EPOCHS: Final = 36  # of a table that is not small, and fewer where
_ROWS_IN_ALL: Final = 700_000  # so many rows pass through a network,
_LARGE: Final = 100_000  # or where rows are so many that they are never learned by heart:
_PASSES: Final = 6.3  # of so many rows; with more of them as their fourth root says, down to
_PASSES_AT_LEAST: Final = 2


@dataclass(frozen=True)
class Recipe:
    """How the networks of an estimator are made and trained.

    Attributes
    ----------
    hidden : tuple of int
    dropout, learning_rate, weight_decay : float
    batch_size, epochs, patience : int
    members : int
    share : float
        Of the rows that each member holds out; 0 for none.
    sweeps : bool
        Whether other learning rates are tried first.
    plain_learning_rate : float
        Where numbers are seen as they are.
    mixes : bool
        Whether members may differ in how they see numbers.
    """

    hidden: tuple[int, ...]
    dropout: float
    learning_rate: float
    weight_decay: float
    batch_size: int
    epochs: int
    patience: int
    members: int
    share: float
    plain_learning_rate: float
    mixes: bool
    sweeps: bool = False

    @classmethod
    def of(cls, settings: dict[str, Any], rows: int, *, classes: bool) -> Recipe:
        """Resolve what is "auto" among an estimator's parameters, for a table of so many different rows.

        Raises
        ------
        ValueError, TypeError
            A setting is none; the message names it.
        """
        small, large = rows < _SMALL, rows >= _LARGE
        batch = 32 if rows < 500 else 64 if rows < 1000 else 128 if small else 256

        def resolved(name: str, otherwise: Any, check: Callable[[str, Any], Any]) -> Any:
            given = settings[name]
            if given == SWEEP and name == "learning_rate":
                return otherwise
            if isinstance(given, str):
                if given != "auto":
                    raise ValueError(f"{name} is {given!r}; expected 'auto' or {_EXPECTED.get(name, 'a number')}")
                return otherwise
            return check(name, given)

        if settings["effort"] not in _EFFORTS:
            raise ValueError(f"effort is {settings['effort']!r}; expected {' or '.join(map(repr, _EFFORTS))}")
        times = _EFFORTS[settings["effort"]]
        hidden = resolved("hidden_layer_sizes", (128, 128, 64) if small else (256, 256, 128), _widths)
        batch = resolved("batch_size", batch, _checks.positive_integer)
        dropout = 0.0 if large or min(hidden, default=0) < _NARROW else 0.2 if classes else 0.05
        share = resolved("validation_fraction", 0.125, _share)
        share = share if rows >= FEW_ROWS else 0.0
        steps = math.ceil(rows * (1 - share) / batch)
        epochs = 50 if small else min(_EPOCHS, round(_ROWS_IN_ALL / rows))
        if large:
            epochs = max(_PASSES_AT_LEAST, round(_PASSES * (_LARGE / rows) ** 0.25))
        epochs = times * max(epochs, math.ceil(_STEPS_AT_LEAST / steps))
        epochs = resolved("max_epochs", epochs, _checks.positive_integer)
        rate = resolved("learning_rate", 1.5e-3 if large else 4e-3, _positive)
        members = resolved("n_members", times * (8 if small else 2 if large else 4), _members)
        given = settings["learning_rate"]
        decay = resolved("weight_decay", 0.01 if large else 0.1, _not_negative)
        chosen = isinstance(given, str) and not large  # by us
        return cls(
            hidden=hidden,
            dropout=resolved("dropout", dropout, _share),
            learning_rate=rate,
            weight_decay=decay,
            batch_size=batch,
            epochs=epochs,
            patience=resolved("patience", max(10, math.ceil(0.3 * epochs)), _checks.positive_integer),
            members=members,
            share=share,
            sweeps=given == SWEEP,
            plain_learning_rate=_PLAIN * rate if chosen else rate,
            mixes=members >= _MIXED and not large and given != SWEEP,
        )

    def in_words(self) -> str:
        """Return the recipe as a sentence."""
        rate = f", learning rate {self.learning_rate:.3g}" if self.sweeps else ""
        out = f", each holds out {self.share:.3g} of the rows" if self.share else ""
        return (
            f"{self.members} × {' → '.join(map(str, self.hidden))}, dropout {self.dropout:g}, batches of "
            f"{self.batch_size}, at most {self.epochs} epochs{rate}{out}"
        )


_PLAIN: Final = 2.0
"""Times the learning rate of numbers as they are: a network of fewer inputs takes a higher one."""


def vector_width(levels: int) -> int:
    """Return how long the learned vectors of a category are: four times the fourth root of its levels, 8 to 32."""
    return max(8, min(32, round(4 * levels**0.25)))


_EFFORTS: Final = {"normal": 1, "high": 2}
"""Times the members and the epochs."""
_EXPECTED: Final = {"hidden_layer_sizes": "widths, such as (64, 32)", "learning_rate": "'sweep', or a number"}


def _widths(name: str, given: Any) -> tuple[int, ...]:
    if not isinstance(given, Iterable):
        raise TypeError(f"{name} is {given!r}; expected 'auto' or widths, such as (64, 32)")
    return tuple(_checks.positive_integer(name, size) for size in given)


def _members(name: str, given: Any) -> int:
    if _checks.positive_integer(name, given) > MEMBERS_AT_MOST:
        raise ValueError(f"{name} is {given:,}; expected {MEMBERS_AT_MOST:,} at most, which is what a file takes")
    return int(given)


def _share(name: str, given: Any) -> float:
    return _checks.number(name, given, low=0, high=1, high_open=True)


def _positive(name: str, given: Any) -> float:
    return _checks.number(name, given, low=0, low_open=True)


def _not_negative(name: str, given: Any) -> float:
    return _checks.number(name, given, low=0)
