"""Trace: the steps of one iteration, to be printed, shown in a notebook, or handed out as a sheet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nineline.view.trace.html import to_html
from nineline.view.trace.latex import to_latex
from nineline.view.trace.text import to_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nineline.view.trace.steps import TraceStep


@dataclass(frozen=True, eq=False)
class Trace:
    """Every step of one forward pass, one backward pass and one update, as `Network.trace` returns it.

    Printed it is text; a notebook shows it as HTML, where a number under the pointer says what it was computed from.

    Attributes
    ----------
    steps : tuple of TraceStep
        In the tutorial's order: inputs, weighted sums, outputs, errors, deltas, gradients, new weights.
    loss : float
        Of the rows, before the step.
    network, rule : str
        What was traced.
    notes : tuple of str
        What holds for the whole.
    path : tuple of int or None
        On a path, the node that each layer takes, and the output's.

    Examples
    --------
    >>> import numpy as np
    >>> from nineline import Network
    >>> X, y = np.array([[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]]), np.array([[0], [1], [1], [0]])
    >>> network = Network(3, 6, 1, rng=1)
    >>> trace = network.trace(X, y)
    >>> trace["Z0"].formula, trace["Z0"].shape
    ('Z0 = X · W0', (4, 6))
    >>> np.allclose(trace["Z0"].values, X @ network.layers[0].weights)
    True
    >>> trace["D1"].origin(0, 0, decimals=3)
    '(-0.467) * 0.467 * (1 - 0.467) = -0.116'
    """

    steps: tuple[TraceStep, ...]
    loss: float
    network: str
    rule: str
    notes: tuple[str, ...] = ()
    path: tuple[int, ...] | None = None

    def __len__(self) -> int:
        return len(self.steps)

    def __iter__(self) -> Iterator[TraceStep]:
        return iter(self.steps)

    def __getitem__(self, symbol: str) -> TraceStep:
        """Return the step whose numbers have a symbol: ``trace["Z0"]``; ``'`` is as good as ``′``."""
        for step in self.steps:
            if step.symbol == symbol.replace("'", "′"):
                return step
        known = ", ".join(step.symbol for step in self.steps)
        raise KeyError(f"{symbol!r} is no symbol of this trace; there are {known}")

    def to_text(self, width: int = 100, decimals: int = 6) -> str:
        """Return the trace as text of so many columns, for a terminal; ``print(trace)`` shows it.

        Parameters
        ----------
        width : int
            In characters; 60 or more.
        decimals : int
            Of each number, 1 to 17.

        Examples
        --------
        >>> from nineline import Network
        >>> trace = Network(3, 1, rng=0).trace([0, 1, 1], [1])
        >>> print(trace.to_text(decimals=2))                 # doctest: +ELLIPSIS
        One iteration of Network(Layer(3, 1, 'sigmoid'))
        ...
         3. weighted sums of layer 0   Z0 = X · W0   (1, 3) · (3, 1) = (1, 1)
        ...
        """
        return to_text(self, width, decimals)

    def to_html(self, decimals: int = 6) -> str:
        """Return the trace as one ``<div>`` with its own style: no script, nothing from elsewhere.

        Parameters
        ----------
        decimals : int
            Of each number, 1 to 17.

        Examples
        --------
        >>> from nineline import Network
        >>> Network(3, 1, rng=0).trace([0, 1, 1], [1]).to_html()[:28]
        '<div class="nineline-trace">'
        """
        return to_html(self, decimals)

    def to_latex(self, decimals: int = 4) -> str:
        r"""Return the trace for a sheet in LaTeX, which needs the package amsmath.

        Parameters
        ----------
        decimals : int
            Of each number, 1 to 17.

        Examples
        --------
        >>> from nineline import Network
        >>> sheet = Network(3, 1, rng=0).trace([0, 1, 1], [1]).to_latex()
        >>> sheet.count(r"\begin{align*}") == sheet.count(r"\end{align*}")
        True
        """
        return to_latex(self, decimals)

    def __str__(self) -> str:
        return self.to_text()

    def __repr__(self) -> str:
        return f"<Trace of {self.network}: {len(self)} steps, {self.steps[0].symbol} to {self.steps[-1].symbol}>"

    def _repr_html_(self) -> str:
        return self.to_html()
