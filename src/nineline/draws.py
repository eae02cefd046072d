"""Random draws inside a training step, from a counter-based generator.

Each draw is a pure function of (seed, step, layer, row, unit), so that results depend neither on the order
in which an engine works, nor on threads, nor on which engine it is. The function is SplitMix64: its output
number ``n`` is ``mix(key + n * GOLDEN)``, and here the key is made of the seed, the step and the layer, the
number of the row and the unit.

References
----------
Steele, Lea, Flood (2014), Fast splittable pseudorandom number generators, section 4 (variant 13 of mix64).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)
_Words = TypeVar("_Words", np.uint64, "npt.NDArray[np.uint64]")
_FIRST: Final = np.uint64(0xBF58476D1CE4E5B9)
_SECOND: Final = np.uint64(0x94D049BB133111EB)


class Draw(NamedTuple):
    """The place in the stream of draws that one layer has in one step."""

    seed: int
    step: int
    layer: int = 0

    def of_layer(self, layer: int) -> Draw:
        """Return the place of another layer in the same step."""
        return Draw(self.seed, self.step, layer)

    def inside(self, place: int) -> Draw:
        """Return the place of a layer that this one holds, for each another, however deep."""
        with np.errstate(over="ignore"):
            key = _mix(_mix(np.uint64(self.layer) + GOLDEN) + np.uint64(place))
        return Draw(self.seed, self.step, int(key))

    def uniform(self, rows: int, units: int) -> npt.NDArray[np.float32]:
        """Return (rows, units) numbers uniform in [0, 1), multiples of 2**-24 (exact in float32 and float64).

        Examples
        --------
        >>> from nineline.draws import Draw
        >>> Draw(seed=1, step=0).uniform(1, 3)
        array([[0.55239016, 0.96017957, 0.88310635]], dtype=float32)
        """
        with np.errstate(over="ignore"):  # the arithmetic is modulo 2**64 by design
            key = _mix(np.uint64(self.seed) + GOLDEN)
            key = _mix(key + np.uint64(self.step))
            key = _mix(key + np.uint64(self.layer))
            row = np.arange(1, rows + 1, dtype=np.uint64)[:, np.newaxis] << np.uint64(32)
            unit = np.arange(units, dtype=np.uint64)
            bits = _mix(key + (row + unit) * GOLDEN)
        return (bits >> np.uint64(40)).astype(np.float32) * np.float32(2.0**-24)


def seed(rng: np.random.Generator) -> int:
    """Draw a seed, below 2**64, as ``int.from_bytes(rng.bytes(8), "little")`` does in ten times the time."""
    bits = rng.bit_generator
    draw = bits.ctypes
    with bits.lock:
        low, high = draw.next_uint32(draw.state), draw.next_uint32(draw.state)
    return int(high << 32 | low)


def seeds_after(first: int, count: int) -> npt.NDArray[np.uint64]:
    """Return so many seeds, (count,): the first, and others that follow from it as SplitMix64's numbers do."""
    places = np.arange(count, dtype=np.uint64)
    with np.errstate(over="ignore"):
        seeds = _mix(np.uint64(first) + places * GOLDEN)
    seeds[:1] = first
    return seeds


def _mix(x: _Words) -> _Words:
    x = (x ^ (x >> np.uint64(30))) * _FIRST
    x = (x ^ (x >> np.uint64(27))) * _SECOND
    return x ^ (x >> np.uint64(31))
