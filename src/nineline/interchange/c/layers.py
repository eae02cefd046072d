"""The kinds of layer in exported C: the tables of each, the statements that run it, and what they take.

For derivatives a layer is run by `compute`, which keeps what `backprop` has to see: as in `nineline.layers`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Final, Generic, final

from nineline.interchange.c.activations import Unit
from nineline.interchange.c.text import array
from nineline.interchange.model import Kind
from nineline.layers import AbstractLayer, Dropout, Embedding, Layer, LayerNorm, Residual

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nineline.interchange.c.activations import Real
    from nineline.interchange.c.buffers import Buffers
    from nineline.interchange.model import Placed
    from nineline.interchange.rounding import Rounded

_FEW: Final = 4  # outputs that are summed one by one, in a register


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
        self.real, self.all_rounded, self.rounded = real, rounded, rounded.get(placed.number)

    @property
    def units(self) -> list[Unit]:
        """Its activations."""
        return []

    @property
    def helpers(self) -> tuple[str, ...]:
        """The functions that it calls; ``$sqrt`` stands for the function of math.h."""
        return ()

    @property
    def backprop_helpers(self) -> tuple[str, ...]:
        """Those that `backprop` calls."""
        return ()

    def tables(self) -> str:
        """Return its constants."""
        return ""

    def flash(self) -> int:
        """Return their bytes."""
        return 0

    @abstractmethod
    def run(self, x: str, buffers: Buffers) -> tuple[str, str]:
        """Return the statements that run it on array x, and the array that its outputs are in; x is given back."""

    def compute(self, x: str, buffers: Buffers) -> tuple[str, str, Any]:
        """Return what `run` returns, and what `backprop` has to see of it; that is kept."""
        return *self.run(x, buffers), None

    @abstractmethod
    def backprop(self, seen: Any, errors: str, buffers: Buffers, into: str = "") -> tuple[str, str]:
        """Return the statements that carry errors of its outputs back, and the array that those of its inputs are in.

        That is array `into`, where one is named; `errors` is given back.
        """


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

    def compute(self, x: str, buffers: Buffers) -> tuple[str, str, str]:
        """Run it, and see its slopes; of softmax, whose units depend on each other, the outputs."""
        if self.unit.whole:
            y = buffers.take_for_good(f"shares_{self.number}", self.layer.n_outputs)
        else:
            y = buffers.take(self.layer.n_outputs)
        text, seen = self.compute_into(x, y, buffers)
        return text, y, seen

    def compute_into(self, x: str, y: str, buffers: Buffers) -> tuple[str, str]:
        """Return the statements that run it on array x, with its outputs in y, and what `backprop` has to see."""
        unit, outputs = self.unit, self.layer.n_outputs
        text = self._sums(x, y, str)
        buffers.free(x)
        if unit.whole:
            return f"{text}  {unit.name}({y}, {y}, {outputs});\n", y
        if not unit.bends:
            return text, ""
        slope = buffers.take_for_good(f"slope_{self.number}", outputs)
        return (
            f"{text}  for (j = 0; j < {outputs}; ++j) {{\n    const {self.real.name} sum = {y}[j];\n"
            f"    {y}[j] = {unit.of('sum')};\n    {slope}[j] = {unit.slope('sum', f'{y}[j]')};\n  }}\n"
        ), slope

    def backprop(self, seen: str, errors: str, buffers: Buffers, into: str = "") -> tuple[str, str]:
        n, outputs, delta = self.number, self.layer.n_outputs, errors
        text = f"\n  /* layer {n}, back */\n"
        factors = [] if self.unit.whole or not seen else [f"{seen}[j]"]
        factors += [] if self.rounded is None else [f"scale_{n}[j]"]
        if self.unit.whole:
            delta = buffers.change(errors, outputs)
            text += f"  {self.unit.slope_name}({seen}, {errors}, {delta}, {outputs});\n"
        if factors:
            errors, delta = delta, buffers.change(delta, outputs)
            text += f"  for (j = 0; j < {outputs}; ++j) {delta}[j] = {' * '.join([f'{errors}[j]', *factors])};\n"
        x = into or buffers.take(self.layer.n_inputs)
        buffers.free(delta)
        return text + (
            f"  for (i = 0; i < {self.layer.n_inputs}; ++i) {{\n    {self.real.name} sum = 0;\n"
            f"    for (j = 0; j < {outputs}; ++j) sum += {delta}[j] * {self._weight('i', 'j')};\n"
            f"    {x}[i] = sum;\n  }}\n"
        ), x

    def backprop_one(self, seen: str, output: str, buffers: Buffers, into: str = "") -> tuple[str, str]:
        """Return what `backprop` returns for an error of 1 at one output, whose number C has under a name."""
        n, outputs = self.number, self.layer.n_outputs
        if self.unit.whole:
            errors = buffers.take(outputs)
            text, x = self.backprop(seen, errors, buffers, into)
            return f"  for (j = 0; j < {outputs}; ++j) {errors}[j] = j == {output} ? 1 : 0;\n{text}", x
        x = into or buffers.take(self.layer.n_inputs)
        factors = [] if not seen else [f"{seen}[{output}]"]
        factors += [] if self.rounded is None else [f"scale_{n}[{output}]"]
        value = " * ".join([*factors, self._weight("i", output)])
        return f"  /* layer {n}, back */\n  for (i = 0; i < {self.layer.n_inputs}; ++i) {x}[i] = {value};\n", x

    def _weight(self, i: str, j: str) -> str:
        """Return one weight; of eight bits, what its scale has to be multiplied by."""
        return f"{'' if self.rounded is None else f'({self.real.name})'}weights_{self.number}[{i}][{j}]"

    def _sums(self, x: str, y: str, of: Callable[[str], str]) -> str:
        """Return the statements that put ``of(x @ weights + bias)`` into array y."""
        n, inputs, outputs, real = self.number, self.layer.n_inputs, self.layer.n_outputs, self.real.name
        weight, scale = self._weight("i", "j"), "" if self.rounded is None else f" * scale_{n}[j]"
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

    def backprop(self, seen: Any, errors: str, buffers: Buffers, into: str = "") -> tuple[str, str]:
        assert not into  # as the first layer it is left out
        return "", errors


_LOOK_UP: Final = """
/* The vector of a level; zeros for what is none. */
static void look_up(const $real *vectors, long levels, int width, $real level, $real vector[])
{
  const long place = level >= 0 && level < ($real)levels ? (long)level : -1;
  int j;
  for (j = 0; j < width; ++j) vector[j] = place < 0 ? 0 : vectors[place * width + j];
}
"""


@final
class EmbeddingInC(LayerInC[Embedding]):
    """A table of vectors for each column of levels; plain numbers pass on behind them."""

    helpers = (_LOOK_UP,)

    def tables(self) -> str:
        n, real = self.number, self.real
        return f"\n/* {self.placed} */\n" + "".join(
            array(f"static const {real.name} vectors_{n}_{column}[{len(vectors)}][{vectors.shape[1]}]", vectors, real)
            for column, vectors in enumerate(self.layer.vectors)
        )

    def flash(self) -> int:
        return sum(vectors.size for vectors in self.layer.vectors) * self.real.size

    def run(self, x: str, buffers: Buffers) -> tuple[str, str]:
        layer, n, start = self.layer, self.number, 0
        y = buffers.take(layer.n_outputs)
        text = f"\n  /* {self.placed} */\n"
        for column, (levels, width) in enumerate(zip(layer.levels, layer.widths, strict=True)):
            text += f"  look_up(&vectors_{n}_{column}[0][0], {levels}L, {width}, {x}[{column}], &{y}[{start}]);\n"
            start += width
        if layer.numbers:
            text += f"  for (j = 0; j < {layer.numbers}; ++j) {y}[{start} + j] = {x}[{len(layer.levels)} + j];\n"
        buffers.free(x)
        return text, y

    def backprop(self, seen: Any, errors: str, buffers: Buffers, into: str = "") -> tuple[str, str]:
        """Levels have no derivative, and numbers pass on."""
        columns, numbers, start = len(self.layer.levels), self.layer.numbers, sum(self.layer.widths)
        x = into or buffers.take(columns + numbers)
        buffers.free(errors)
        return (
            f"\n  /* layer {self.number}, back: levels have no derivative, numbers pass on */\n"
            f"  for (i = 0; i < {columns}; ++i) {x}[i] = 0;\n"
            f"  for (i = 0; i < {numbers}; ++i) {x}[{columns} + i] = {errors}[{start} + i];\n"
        ), x


_NORMALISE: Final = """
/* Numbers at mean 0 and standard deviation 1, then times a gain and a bias. */
static void normalise(const $real x[], const $real gain[], const $real bias[], long count, $real epsilon, $real y[])
{
  $real mean = 0, variance = 0, root;
  long j;
  for (j = 0; j < count; ++j) mean += x[j];
  mean /= ($real)count;
  for (j = 0; j < count; ++j) variance += (x[j] - mean) * (x[j] - mean);
  root = $sqrt(variance / ($real)count + epsilon);
  for (j = 0; j < count; ++j) y[j] = gain[j] * ((x[j] - mean) / root) + bias[j];
}
"""
_BACKWARD_NORMALISE: Final = """
/* Errors of what normalise made of x carried back to x; both may be one array. */
static void backward_normalise(const $real x[], const $real gain[], long count, $real epsilon,
                               const $real errors[], $real back[])
{
  $real mean = 0, variance = 0, root, mean_of_g = 0, mean_of_g_n = 0;
  long j;
  for (j = 0; j < count; ++j) mean += x[j];
  mean /= ($real)count;
  for (j = 0; j < count; ++j) variance += (x[j] - mean) * (x[j] - mean);
  root = $sqrt(variance / ($real)count + epsilon);
  for (j = 0; j < count; ++j) {
    const $real g = errors[j] * gain[j], n = (x[j] - mean) / root;
    mean_of_g += g;
    mean_of_g_n += g * n;
  }
  mean_of_g /= ($real)count;
  mean_of_g_n /= ($real)count;
  for (j = 0; j < count; ++j) {
    const $real g = errors[j] * gain[j], n = (x[j] - mean) / root;
    back[j] = (g - mean_of_g - n * mean_of_g_n) / root;
  }
}
"""


@final
class LayerNormInC(LayerInC[LayerNorm]):
    """A gain and a bias."""

    helpers = (_NORMALISE,)
    backprop_helpers = (_BACKWARD_NORMALISE,)

    def tables(self) -> str:
        n, real, count = self.number, self.real, self.layer.n_inputs
        gain = array(f"static const {real.name} gain_{n}[{count}]", self.layer.gain, real)
        bias = array(f"static const {real.name} bias_{n}[{count}]", self.layer.bias, real)
        return f"\n/* {self.placed} */\n{gain}{bias}"

    def flash(self) -> int:
        return 2 * self.layer.gain.size * self.real.size

    def run(self, x: str, buffers: Buffers) -> tuple[str, str]:
        n, count, epsilon = self.number, self.layer.gain.size, self.real.literal(self.layer.epsilon)
        y = buffers.take(count)
        buffers.free(x)
        return f"\n  /* {self.placed} */\n  normalise({x}, gain_{n}, bias_{n}, {count}, {epsilon}, {y});\n", y

    def compute(self, x: str, buffers: Buffers) -> tuple[str, str, str]:
        """Run it, and see its inputs."""
        buffers.keep(x)
        return *self.run(x, buffers), x

    def backprop(self, seen: str, errors: str, buffers: Buffers, into: str = "") -> tuple[str, str]:
        n, count, epsilon = self.number, self.layer.gain.size, self.real.literal(self.layer.epsilon)
        x = buffers.change(errors, count, into)
        call = f"backward_normalise({seen}, gain_{n}, {count}, {epsilon}, {errors}, {x});"
        return f"\n  /* layer {n}, back */\n  {call}\n", x


@final
class ResidualInC(LayerInC[Residual]):
    """The layers inside, and the sum of what goes in and what comes out."""

    @property
    def inner(self) -> list[LayerInC[Any]]:
        """The layers inside."""
        return [layer_in_c(placed, self.real, self.all_rounded) for placed in self.placed.inner]

    @property
    def units(self) -> list[Unit]:
        return [unit for layer in self.inner for unit in layer.units]

    @property
    def helpers(self) -> tuple[str, ...]:
        return tuple(helper for layer in self.inner for helper in layer.helpers)

    @property
    def backprop_helpers(self) -> tuple[str, ...]:
        return tuple(helper for layer in self.inner for helper in layer.backprop_helpers)

    def tables(self) -> str:
        return "".join(layer.tables() for layer in self.inner)

    def flash(self) -> int:
        return sum(layer.flash() for layer in self.inner)

    def run(self, x: str, buffers: Buffers) -> tuple[str, str]:
        texts, last = [f"\n  /* {self.placed} */\n"], x
        buffers.keep(x)
        for layer in self.inner:
            text, last = layer.run(last, buffers)
            texts.append(text)
        text, y = self._sum(x, last, buffers)
        return "".join([*texts, text]), y

    def compute(self, x: str, buffers: Buffers) -> tuple[str, str, list[Any]]:
        texts, last, seen = [f"\n  /* {self.placed} */\n"], x, []
        buffers.keep(x)
        for layer in self.inner:
            text, last, saw = layer.compute(last, buffers)
            texts.append(text)
            seen.append(saw)
        text, y = self._sum(x, last, buffers)
        return "".join([*texts, text]), y, seen

    def backprop(self, seen: list[Any], errors: str, buffers: Buffers, into: str = "") -> tuple[str, str]:
        """The errors take both ways, and add up again."""
        texts, last = [f"\n  /* layer {self.number}, back */\n"], errors
        buffers.keep(errors)
        for layer, saw in zip(reversed(self.inner), reversed(seen), strict=True):
            text, last = layer.backprop(saw, last, buffers)
            texts.append(text)
        text, x = self._sum(errors, last, buffers, into)
        return "".join([*texts, text]), x

    def _sum(self, x: str, y: str, buffers: Buffers, into: str = "") -> tuple[str, str]:
        """Return the statement that adds arrays, which are given back, and the array that their sum is in."""
        width = self.layer.n_outputs or 0
        total = buffers.change(y, width, into)
        buffers.free(x)
        return f"  for (j = 0; j < {width}; ++j) {total}[j] = {x}[j] + {y}[j];\n", total


_LAYERS: Final[dict[type[AbstractLayer], type[LayerInC[Any]]]] = {
    Layer: DenseInC,
    Dropout: DropoutInC,
    Embedding: EmbeddingInC,
    LayerNorm: LayerNormInC,
    Residual: ResidualInC,
}


def layer_in_c(placed: Placed[AbstractLayer], real: Real, rounded: Mapping[str, Rounded]) -> LayerInC[Any]:
    """Return a layer in C."""
    return _LAYERS[type(placed.layer)](placed, real, rounded)
