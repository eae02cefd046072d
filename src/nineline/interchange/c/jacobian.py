"""The Jacobian in exported C: the function that gives the outputs of a network and their derivatives by its inputs."""

from __future__ import annotations

from string import Template
from textwrap import fill, indent
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from nineline.interchange.c.buffers import Buffers
from nineline.interchange.c.layers import DenseInC, DropoutInC, EmbeddingInC
from nineline.interchange.c.text import array
from nineline.network import Network

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nineline._typing import Array
    from nineline.ensemble import Ensemble
    from nineline.interchange.c.activations import Real
    from nineline.interchange.c.layers import LayerInC
    from nineline.interchange.model import TrainedModel


def check_jacobian(model: TrainedModel, what: object) -> None:
    """Raise ValueError where a model has no Jacobian in C: it is one of a table, or of several networks."""
    kind, several = type(what).__name__, len(model.networks) > 1
    way_out = "export each of its network_.networks" if several else "export its network_"
    if model.columns is not None:
        raise ValueError(
            f"jacobian is True, and model is a {kind}, which takes rows of a table, and nothing is "
            f"differentiated by a text or a date; {way_out}, which takes the numbers that columns become"
        )
    if several:
        raise ValueError(
            f"jacobian is True, and model is a {kind} of {len(model.networks)} networks; expected one: {way_out}, and "
            "take the mean"
        )


class JacobianInC:
    """The function ``name_jacobian``.

    It runs the network as ``name_run`` does and keeps the slope of every unit. Then, for each output, an error of 1 is
    carried back through the layers: what arrives at the inputs is a row of the Jacobian.

    Parameters
    ----------
    layers : sequence of LayerInC
        Of the network, the last of them dense.
    name : str
        Of the program.
    real : Real
    """

    def __init__(self, layers: Sequence[LayerInC[Any]], name: str, real: Real) -> None:
        self.name, self.real, self.buffers = name, real, Buffers()
        *self._inner, self._last = [layer for layer in layers if not isinstance(layer, DropoutInC)]
        first = layers[0].layer
        self.constant = isinstance(layers[0], EmbeddingInC) and not first.numbers
        """Whether all inputs are levels, which nothing can be derived by."""
        self._statements = "" if self.constant else "".join(self._forward_and_back())

    def promise(self) -> str:
        """Return its declaration, for the header."""
        return (
            "/* Answer as run does, and give the derivatives of the outputs by the inputs: jacobian[j][i] is that of\n"
            "   output j by input i. The three arrays must not overlap. At a kink (relu at 0) it is one of the two\n"
            "   slopes; an input that is a level has no derivative, and 0. */\n"
            f"{self._signature};\n"
        )

    @property
    def _signature(self) -> str:
        real, guard = self.real.name, self.name.upper()
        return (
            f"void {self.name}_jacobian(const {real} inputs[{guard}_INPUTS], {real} outputs[{guard}_OUTPUTS],\n"
            f"    {real} jacobian[{guard}_OUTPUTS][{guard}_INPUTS])"
        )

    def text(self, index: str) -> str:
        """Return the function; `index` is the type of what counts."""
        if self.constant:
            return self._constant(index)
        arrays = ", ".join(f"{name}[{size}]" for name, size in self.buffers.sizes.items())
        lines = fill(f"{self.real.name} {arrays};", 118, initial_indent="  ", subsequent_indent="    ")
        declared = f"{lines}\n" if arrays else ""
        return (
            f"\n/* Backpropagation: forward once, keeping the slope of every unit; then back once for each output.\n"
            f"   Its arrays take {self.ram():,} bytes of stack. */\n"
            f"{self._signature}\n{{\n{declared}  {index} i, j, output;\n{self._statements}}}\n"
        )

    def _constant(self, index: str) -> str:
        guard = self.name.upper()
        return (
            f"\n/* All inputs are levels, which have no derivative. */\n{self._signature}\n{{\n  {index} i, j;\n"
            f"  {self.name}_run(inputs, outputs);\n  for (j = 0; j < {guard}_OUTPUTS; ++j)\n"
            f"    for (i = 0; i < {guard}_INPUTS; ++i) jacobian[j][i] = 0;\n}}\n"
        )

    def _forward_and_back(self) -> Iterator[str]:
        """Yield the statements; which arrays they need is known afterwards."""
        x, seen = "inputs", []
        for layer in self._inner:
            text, x, saw = layer.compute(x, self.buffers)
            seen.append(saw)
            yield text
        last = self._last
        assert isinstance(last, DenseInC)  # as every network ends
        text, saw = last.compute_into(x, "outputs", self.buffers)
        yield text
        yield "\n  /* An error of 1 at one output, back to the inputs. */\n"
        yield f"  for (output = 0; output < {last.layer.n_outputs}; ++output) {{\n"
        row = "jacobian[output]"
        text, errors = last.backprop_one(saw, "output", self.buffers, "" if self._inner else row)
        yield indent(text, "  ")
        for place in reversed(range(len(self._inner))):
            text, errors = self._inner[place].backprop(seen[place], errors, self.buffers, "" if place else row)
            yield indent(text, "  ")
        yield "  }\n"

    # The self-test

    def recorded(self, network: Network | Ensemble, inputs: Array) -> str:
        """Return the table of what Python says of recorded inputs, a row's Jacobian on one line."""
        assert isinstance(network, Network)  # see `check_jacobian`
        slopes = network.astype(np.float64).jacobian(inputs).reshape(len(inputs), -1)
        guard = self.name.upper()
        declaration = f"  static const {self.real.name} slopes[{len(inputs)}][{guard}_OUTPUTS * {guard}_INPUTS]"
        return array(declaration, slopes, self.real).replace("\n}", "\n  }")

    def compared(self) -> str:
        """Return the statements that compare with it."""
        return Template(_COMPARED).substitute(name=self.name, guard=self.name.upper(), real=self.real.name)

    # What it takes

    def ram(self) -> int:
        """Return the bytes of its arrays."""
        return sum(self.buffers.sizes.values()) * self.real.size


_COMPARED: Final = """\
    {
      $real jacobian[${guard}_OUTPUTS][${guard}_INPUTS];
      int i;
      ${name}_jacobian(inputs, outputs, jacobian);
      for (j = 0; j < ${guard}_OUTPUTS; ++j)
        for (i = -1; i < ${guard}_INPUTS; ++i) { /* the output, and its derivatives */
          const double found = i < 0 ? outputs[j] : jacobian[j][i];
          const double truth = i < 0 ? expected[r][j] : slopes[r][j * ${guard}_INPUTS + i];
          const double gap = found < truth ? truth - found : found - truth;
          const double share = gap / (1 + (truth < 0 ? -truth : truth));
          if (!(share <= largest)) largest = share;
        }
    }
"""
