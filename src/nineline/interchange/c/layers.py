"""The kinds of layer in exported C: the tables of each, the statements that run it, and what they take."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Final, Generic, final

from nineline.interchange.c.activations import Unit
from nineline.interchange.c.text import array
from nineline.interchange.model import Kind
from nineline.layers import AbstractLayer, Dropout, Layer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nineline.interchange.c.activations import Real
    from nineline.interchange.model import Placed
    from nineline.interchange.rounding import Rounded

_FEW: Final = 4  # outputs that are summed one by one, in a register
_NAMES: Final = "abcdefgh"  # of arrays; i and j count


class Buffers:
    """The arrays on the stack between layers, each as long as the longest that ever lies in it."""

    def __init__(self) -> None:
        self.sizes: dict[str, int] = {}
        self._taken: set[str] = set()

    def take(self, size: int) -> str:
        """Return the name of an array that is free."""
        name = next(name for name in _NAMES if name not in self._taken)
        self._taken.add(name)
        self.sizes[name] = max(self.sizes.get(name, 0), size)
        return name

    def free(self, name: str) -> None:
        """Give an array back; what the program is handed is none of them, and stays as it is."""
        self._taken.discard(name)


class LayerInC(ABC, Generic[Kind]):
    """A layer in C.

    Parameters
    ----------
    placed : Placed
    real : Real
    rounded : mapping
        The weights that are kept in eight bits, by the number of the layer.
    """

    def __init__(self, placed: Placed[Kind], real: Real, rounded: Mapping[str, Rounded]) -> None:
        self.placed, self.layer, self.number = placed, placed.layer, placed.number
        self.real, self.rounded = real, rounded.get(placed.number)

    @property
    def units(self) -> list[Unit]:
        """Its activations."""
        return []

    def tables(self) -> str:
        """Return its constants."""
        return ""

    def flash(self) -> int:
        """Return their bytes."""
        return 0

    @abstractmethod
    def run(self, x: str, buffers: Buffers) -> tuple[str, str]:
        """Return the statements that run it on array x, and the array that its outputs are in; x is given back."""


@final
class DenseInC(LayerInC[Layer]):
    """Weights row by row of inputs, and a bias."""

    @property
    def unit(self) -> Unit:
        """Its activation."""
        return Unit(self.layer.activation, self.number)

    @property
    def units(self) -> list[Unit]:
        return [self.unit]

    def tables(self) -> str:
        n, layer, real = self.number, self.layer, self.real
        shape = f"[{layer.n_inputs}][{layer.n_outputs}]"
        texts = [f"\n/* {self.placed} */\n"]
        if self.rounded is not None:
            texts.append(array(f"static const signed char weights_{n}{shape}", self.rounded.whole, real))
            scale = f"static const {real.name} scale_{n}[{layer.n_outputs}]"
            texts.append(array(scale, self.rounded.scale, real))
        else:
            texts.append(array(f"static const {real.name} weights_{n}{shape}", layer.weights, real))
        if layer.bias is not None:
            texts.append(array(f"static const {real.name} bias_{n}[{layer.n_outputs}]", layer.bias, real))
        return "".join(texts)

    def flash(self) -> int:
        weights, outputs, size = self.layer.weights.size, self.layer.n_outputs, self.real.size
        total = weights * size if self.rounded is None else weights + outputs * size
        return total if self.layer.bias is None else total + outputs * size

    def run(self, x: str, buffers: Buffers) -> tuple[str, str]:
        unit, outputs = self.unit, self.layer.n_outputs
        y = buffers.take(outputs)
        text = self._sums(x, y, str if unit.whole else unit.of)
        buffers.free(x)
        return text + (f"  {unit.name}({y}, {y}, {outputs});\n" if unit.whole else ""), y

    def answer(self, x: str, buffers: Buffers, put: str, *, alone: bool) -> str:
        """Return the statements of a network's last layer, which `put` its outputs into the program's: "=" or "+=".

        Where the network is alone, nothing but its outputs is ever there.
        """
        unit, outputs = self.unit, self.layer.n_outputs
        y = buffers.take(outputs)
        text = self._sums(x, y, str)
        buffers.free(x)
        buffers.free(y)
        if unit.whole and alone:
            return text + f"  {unit.name}({y}, outputs, {outputs});\n"
        text += f"  {unit.name}({y}, {y}, {outputs});\n" if unit.whole else ""
        value = f"{y}[j]" if unit.whole else unit.of(f"{y}[j]")
        return text + f"  for (j = 0; j < {outputs}; ++j) outputs[j] {put} {value};\n"

    def _sums(self, x: str, y: str, of: Callable[[str], str]) -> str:
        """Return the statements that put ``of(x @ weights + bias)`` into array y."""
        n, inputs, outputs, real = self.number, self.layer.n_inputs, self.layer.n_outputs, self.real.name
        weight, scale = f"weights_{n}[i][j]", ""
        if self.rounded is not None:
            weight, scale = f"({real})weights_{n}[i][j]", f" * scale_{n}[j]"
        bias = "0" if self.layer.bias is None else f"bias_{n}[j]"
        begin = "0" if scale else bias
        end = f"{scale} + {bias}" if scale and self.layer.bias is not None else scale
        text = f"\n  /* {self.placed} */\n"
        if outputs <= _FEW:
            return (
                f"{text}  for (j = 0; j < {outputs}; ++j) {{\n    {real} sum = {begin};\n"
                f"    for (i = 0; i < {inputs}; ++i) sum += {x}[i] * {weight};\n    {y}[j] = {of(f'sum{end}')};\n  }}\n"
            )
        text += (
            f"  for (j = 0; j < {outputs}; ++j) {y}[j] = {begin};\n"
            f"  for (i = 0; i < {inputs}; ++i)\n"
            f"    for (j = 0; j < {outputs}; ++j) {y}[j] += {x}[i] * {weight};\n"
        )
        value = of(f"{y}[j]{end}")
        return text if value == f"{y}[j]" else f"{text}  for (j = 0; j < {outputs}; ++j) {y}[j] = {value};\n"


@final
class DropoutInC(LayerInC[Dropout]):
    """Nothing: dropout only learns."""

    def run(self, x: str, buffers: Buffers) -> tuple[str, str]:
        return "", x


_LAYERS: Final[dict[type[AbstractLayer], type[LayerInC[Any]]]] = {Layer: DenseInC, Dropout: DropoutInC}


def layer_in_c(placed: Placed[AbstractLayer], real: Real, rounded: Mapping[str, Rounded]) -> LayerInC[Any]:
    """Return a layer in C."""
    return _LAYERS[type(placed.layer)](placed, real, rounded)
