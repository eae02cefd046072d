"""Counterparts: what an activation is in another library, a row each, read in both directions."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nineline.activations import Activation


@dataclass(frozen=True)
class Counterpart:
    """An activation, and what another library calls it and its settings.

    Attributes
    ----------
    name : str
        Of their class or operator.
    activation : subclass of Activation
    settings : mapping
        Their name of each setting to ours; both are the same by default.
    written : mapping
        What has to be said to them besides, since theirs is something else by default.
    needed : mapping
        Of each setting of theirs that ours has not, the values that mean ours.

    Examples
    --------
    >>> from nineline.activations import LeakyRelu
    >>> from nineline.interchange.counterpart import Counterpart
    >>> row = Counterpart("LeakyReLU", LeakyRelu, {"negative_slope": "slope"}, needed={"inplace": (False,)})
    >>> row.theirs(LeakyRelu(0.2)), row.ours({"negative_slope": 0.3}), row.ours({"inplace": True})
    ({'negative_slope': 0.2}, LeakyRelu(slope=0.3), None)
    """

    name: str
    activation: type[Activation]
    settings: Mapping[str, str] = field(default_factory=dict)
    written: Mapping[str, Any] = field(default_factory=dict)
    needed: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)

    def theirs(self, activation: Activation) -> dict[str, Any]:
        """Return the settings of theirs that make it this activation."""
        return {**{theirs: getattr(activation, ours) for theirs, ours in self.settings.items()}, **self.written}

    def ours(self, given: Mapping[str, Any]) -> Activation | None:
        """Return the activation for settings of theirs; None where they mean something that ours is not."""
        for name, values in self.needed.items():
            if name in given and not any(_same(given[name], value) for value in values):
                return None
        return self.activation(**{ours: given[theirs] for theirs, ours in self.settings.items() if theirs in given})


def _same(given: object, value: object) -> bool:
    """Return whether two settings are the same; of a constant, theirs may be what float32 leaves of it."""
    if isinstance(given, float) and isinstance(value, float):
        return math.isclose(given, value, rel_tol=1e-6)
    return given == value
