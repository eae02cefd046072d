"""TraceStep: the numbers of one step, their formula, and where each came from."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from nineline.view.trace.numbers import factor, plain
from nineline.view.trace.origins import Given, Origin, Product

if TYPE_CHECKING:
    from nineline._typing import Array

ROWS: Final = -1
"""The axis of the rows of data, among the axes of a step; the others are nodes."""


@dataclass(frozen=True, eq=False)
class TraceStep:
    """One step of a trace.

    Attributes
    ----------
    kind : str
        "inputs", "weights", "bias", "parameters", "mask", "weighted sums", "outputs", "targets", "loss", "errors",
        "deltas", "gradients", what an optimizer remembers ("velocity", "first moment", "second moment", "mean square"),
        or "new weights" and its like.
    layer : int or None
        The number of the layer, from 0; None where it belongs to none.
    symbol : str
        What the numbers are called: "Z0". Unique in a trace.
    formula : str
        "Z0 = X · W0"; empty where the numbers were given.
    latex : str
        The same for LaTeX; the symbol alone where the numbers were given.
    values : array
        The numbers themselves, as the reference engine computes them.
    shapes : str
        How the shapes go together: "(4, 3) · (3, 6) = (4, 6)".
    note : str
        What else there is to say.
    half : str
        "forward", "backward" or "update".
    """

    kind: str
    layer: int | None
    symbol: str
    formula: str
    latex: str
    values: Array
    half: str
    origin_of: Origin = field(default_factory=Given, repr=False)
    shapes: str = ""
    note: str = ""
    axes: tuple[int | None, ...] | None = None
    """What the axes are, so that a path can be followed: `ROWS`, or k for the nodes that layer k takes."""
    nodes: tuple[int, ...] = ()
    """Of a step on a path: which nodes it is about."""
    whole: tuple[int, ...] = ()
    """Of a step on a path: the shape of the whole."""
    corner: tuple[int, ...] = ()
    """Of a step on a path: the place of its number in the whole."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of `values`."""
        return self.values.shape

    @property
    def title(self) -> str:
        """The kind, and of what: "weighted sums of layer 0"."""
        where = "" if self.layer is None else f" of layer {self.layer}"
        nodes = " to ".join(map(str, self.nodes))
        return f"{self.kind}{where}" + (f", node {nodes}" if nodes else "")

    @property
    def symbol_latex(self) -> str:
        """The symbol for LaTeX."""
        return self.latex.partition(" = ")[0]

    @property
    def product(self) -> Product | None:
        """What is multiplied, where each number is a row times a column and the whole is shown."""
        return self.origin_of if isinstance(self.origin_of, Product) and not self.whole else None

    @property
    def is_of_rows(self) -> bool:
        """Whether the first axis is that of the rows of data, of which there may be many."""
        return self.axes is not None and self.axes[0] == ROWS

    @property
    def extent(self) -> str:
        """The shapes; on a path which part of them this is."""
        is_part = math.prod(self.whole) > self.values.size == 1
        return f"one number of {self.whole}" if is_part else self.shapes

    def expression(self, *place: int, decimals: int = 6) -> str:
        """Return what the number at a place was computed from, as Python reads it; empty where it was given.

        Parameters
        ----------
        *place : int
            Where in `values`: ``step.expression(0, 3)``.
        decimals : int
            How many are written.

        Raises
        ------
        IndexError
            There is no such place.
        """
        self.values[self._checked(place)]  # raises IndexError
        whole = tuple(start + index for start, index in zip(self.corner, place, strict=True)) if self.corner else place
        written = self.origin_of.expression(whole, factor(decimals))
        return re.sub(r"\((\([-+.\de]+\))\)", r"\1", written)  # f((-1)) is f(-1)

    def origin(self, *place: int, decimals: int = 6) -> str:
        """Return where the number at a place came from, written out: ``0*0.12 + 1*(-0.4) = -0.40``.

        Parameters
        ----------
        *place, decimals
            As in `expression`.

        Examples
        --------
        >>> from nineline import Layer, Network
        >>> network = Network(Layer.of([[0.5], [-0.25]]))
        >>> trace = network.trace([[1, 2]], [[1]])
        >>> trace["Z0"].origin(0, 0)
        '1*0.500000 + 2*(-0.250000) = 0'
        """
        written = self.expression(*place, decimals=decimals)
        value = plain(float(self.values[place]), decimals)
        return f"{written} = {value}" if written else value

    def named(self, place: tuple[int, ...]) -> str:
        """Return what the number at a place is called: "Z0[0, 3]"."""
        whole = tuple(start + index for start, index in zip(self.corner, place, strict=True)) if self.corner else place
        return f"{self.symbol}[{', '.join(map(str, whole))}]" if whole else self.symbol

    def _checked(self, place: tuple[int, ...]) -> tuple[int, ...]:
        if len(place) != self.values.ndim or any(index < 0 for index in place):
            raise IndexError(
                f"place is {place}; {self.symbol} has shape {self.shape}: one index, from 0, for each axis"
            )
        return place
