"""The contract of a layer: two functions that only read, and what remembers and learns around them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

import numpy as np

from nineline import _checks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import numpy.typing as npt

    from nineline._typing import Array
    from nineline.draws import Draw


class AbstractLayer(ABC):
    """What a network is made of: `compute` and `backprop`, which only read, and the arrays that are learned.

    `forward` and `backward` are the tutorial's: they remember and learn, for every kind of layer.
    """

    kind: ClassVar[str] = ""
    """The name of this kind of layer in a file; one of your own has none."""
    penalised: ClassVar[frozenset[str]] = frozenset({"weights"})
    """The names of blocks that `l1` and `l2` count."""
    lazy: ClassVar[frozenset[str]] = frozenset()
    """The names of tables of which a step moves only the rows that its batch has read; see `Embedding`."""
    reads_data: ClassVar[bool] = False
    """Whether it reads the data themselves, and so has to be a network's first layer; lazy blocks ask for it."""

    stacks: bool = False
    """Whether it works on networks in a stack, too: on arrays with an axis for these in front of rows and features."""

    n_inputs: int | None = None
    """The width that it takes; None where it takes any."""
    n_outputs: int | None = None
    """The width that it gives; None where that is the width it takes."""
    dtype: np.dtype[np.floating[Any]] = np.dtype(np.float64)
    inputs: Array | None = None
    """The inputs of the last forward pass, (rows, n_inputs)."""
    outputs: Array | None = None
    """The outputs of the last forward pass, (rows, n_outputs)."""
    seen: Any = None
    """What `compute` saw in the last forward pass, for `backprop`."""
    adopted: bool = False
    """Whether the learned arrays are views into a network's vector."""
    learning_rate: float = 1.0
    """How far `backward` moves the learned arrays."""
    trainable: bool = True
    """Whether the layer learns. A Trainer takes note of it when it is made."""
    layers: tuple[AbstractLayer, ...] = ()
    """The layers that this one holds, where it holds some."""

    @abstractmethod
    def compute(self, inputs: Array, draw: Draw | None = None) -> tuple[Array, Any]:
        """Return the outputs, (rows, n_inputs) → (rows, n_outputs), and whatever `backprop` has to see of it.

        In training a layer may draw at random, by `draw`; None is the network as it runs. Nothing is changed.
        """

    @abstractmethod
    def backprop(self, seen: Any, output_errors: Array) -> tuple[Array, dict[str, Array]]:
        """Carry errors of the outputs, (rows, n_outputs), back, and return those of the inputs, (rows, n_inputs).

        And the updates: of each block, by its name, the direction that reduces the errors. Nothing is changed.
        """

    def updates(self, seen: Any, output_errors: Array) -> dict[str, Array]:
        """Return the updates of `backprop`, where nobody asks for the errors of the inputs."""
        return self.backprop(seen, output_errors)[1]

    # What second-order methods and second derivatives ask for besides; a layer of your own may do without.

    def row_updates(self, seen: Any, output_errors: Array) -> dict[str, Array]:
        """Return the updates of `backprop` of each row by itself: of each block (rows, *shape)."""
        raise TypeError(f"{self!r} has no row_updates, which LevenbergMarquardt asks of a layer")

    def push_forward(self, seen: Any, tangents: Array) -> Array:
        """Carry directions of the inputs, (rows, directions, n_inputs), on: those of the outputs as the inputs move."""
        raise TypeError(f"{self!r} has no push_forward, which Network.hessian asks of a layer")

    def curvature(self, seen: Any, tangents: Array, output_errors: Array) -> Array:
        """Return d² sum(output_errors * outputs) along each pair of directions, (rows, directions, directions).

        `tangents` are directions of the inputs, (rows, directions, n_inputs); a layer that is linear gives `straight`.
        """
        raise TypeError(f"{self!r} has no curvature, which Network.hessian asks of a layer")

    @staticmethod
    def straight(tangents: Array) -> Array:
        """Return the curvature of a layer that is linear: zeros, (rows, directions, directions)."""
        return np.zeros((*tangents.shape[:2], tangents.shape[1]), tangents.dtype)

    def connect(self, width: int) -> int:
        """Return the number of outputs for `width` inputs, or raise ValueError where it does not take so many."""
        if self.n_inputs is not None and width != self.n_inputs:
            raise ValueError(f"takes {self.n_inputs} inputs, the layer before it gives {width}")
        return width if self.n_outputs is None else self.n_outputs

    def build(self, width: int) -> None:
        """Make the arrays that waited for the width of what comes in, which `connect` has accepted."""

    def blocks(self) -> dict[str, Array]:
        """Return the arrays that are learned, by name."""
        return {}

    def walk(self) -> Iterator[AbstractLayer]:
        """Yield this layer and all that it holds."""
        yield self
        for layer in self.layers:
            yield from layer.walk()

    def learns(self, block: str) -> bool:
        """Return whether a block is moved: a layer that is not trainable holds still, and so does all inside it."""
        return self.trainable

    def owner(self, block: str) -> tuple[AbstractLayer, str]:
        """Return whose array a block is, this layer's or that of one it holds, and what it is called there."""
        return self, block

    def touched(self, inputs: Array) -> dict[str, npt.NDArray[np.intp]]:
        """Return of each lazy block which of its rows some inputs, (rows, n_inputs), read."""
        return {}

    def check_values(self, argument: str, inputs: Array) -> None:
        """Raise ValueError where finite inputs, (rows, n_inputs), hold what this layer cannot take."""

    def adopt(self, views: dict[str, Array]) -> None:
        """Move the learned arrays into `views` and live there from now on."""

    def initialize(self, rng: np.random.Generator) -> None:
        """Draw the learned arrays anew."""

    def describe(self) -> dict[str, Any]:
        """Return the layer's settings as JSON can hold them; its blocks are written beside them."""
        raise ValueError(f"{self!r} is a layer of your own, and a file holds no code; save network.parameters yourself")

    @classmethod
    def rebuild(cls, described: Mapping[str, Any], blocks: Callable[[str, tuple[int, ...]], Array]) -> Self:
        """Return the layer that `describe` described; ``blocks(name, shape)`` returns a block, or raises ValueError."""
        raise ValueError(f"unknown kind of layer {described['kind']!r}")

    @classmethod
    def in_words(cls, described: Mapping[str, Any]) -> tuple[str, int]:
        """Return how a described layer prints, and the number of its parameters."""
        raise ValueError(f"unknown kind of layer {described['kind']!r}")

    def forward(self, inputs: npt.ArrayLike) -> Array:
        """Return the outputs, (rows, n_inputs) → (rows, n_outputs), and remember what `backward` needs."""
        return self.look_at(self.check("inputs", inputs))

    def look_at(self, inputs: Array) -> Array:
        """Do what `forward` does, with inputs that are checked."""
        outputs, self.seen = self.compute(inputs)
        self.inputs, self.outputs = inputs, outputs
        return outputs

    def backward(self, output_errors: npt.ArrayLike) -> Array:
        """Learn from the errors of the outputs, and return the errors of the inputs.

        Both by `backprop`, with the weights before the update; then ``block += learning_rate * update``, where the
        layer is trainable.

        Parameters
        ----------
        output_errors : array_like, (rows, n_outputs)
            Target − output, for the rows of the last `forward`.

        Returns
        -------
        array, (rows, n_inputs)
        """
        if self.outputs is None:
            raise RuntimeError("backward needs a forward pass before it; call forward(inputs) first")
        errors = self.check("output_errors", output_errors)
        if errors.shape != self.outputs.shape:
            had, gave = f"{len(errors)} rows", f"{len(self.outputs)}"
            if len(errors) == len(self.outputs):
                had, gave = f"shape {errors.shape}", f"{self.outputs.shape}"
            raise ValueError(
                f"output_errors has {had}, the last forward pass had {gave}; "
                "call forward(inputs) on the same rows first"
            )
        input_errors, updates = self.backprop(self.seen, errors)
        for name, update in updates.items():
            if self.learns(name):
                block = self.blocks()[name]
                block += self.owner(name)[0].learning_rate * update
        return input_errors

    def check(self, argument: str, data: npt.ArrayLike) -> Array:
        """Return "inputs" or "output_errors" as finite numbers, (rows, width), or raise."""
        width = self.n_inputs if argument == "inputs" else self.n_outputs
        if width is not None:
            array = _checks.matrix(argument, data, width, "the layer", self.dtype)
        else:
            single = np.asarray(data).dtype == np.float32 and not self.blocks()
            array = _checks.as_float(argument, data, np.dtype(np.float32) if single else self.dtype)
            if array.ndim != 2 or not array.size:
                raise ValueError(f"{argument} has shape {array.shape}; the layer takes (rows, width), each 1 or more")
        if argument == "inputs":
            self.connect(array.shape[1])
            if width is None:
                self.take_dtype(array.dtype)
                self.build(array.shape[1])
            self.check_values(argument, array)
        return array

    def take_dtype(self, dtype: np.dtype[np.floating[Any]]) -> None:
        """Be of a dtype, as far as no array says another: this layer and all inside it."""
        for layer in self.walk():
            if not layer.blocks():
                layer.dtype = dtype

    def assign(self, name: str, values: npt.ArrayLike) -> None:
        """Copy values into a block, or raise ValueError."""
        block = self.blocks()[name]
        if values is block:  # layer.weights += step has done its work in place
            return
        array = _checks.as_float(name, values, self.dtype)
        if array.shape != block.shape:
            raise ValueError(f"{name} has shape {array.shape}; this layer's is {block.shape}")
        block[...] = array

    def __getstate__(self) -> dict[str, Any]:
        own = {name: value.copy() if isinstance(value, np.ndarray) else value for name, value in vars(self).items()}
        for name in ("inputs", "outputs", "seen"):  # what it has seen stays behind
            own.pop(name, None)
        return {**own, "adopted": False}


def compute_chain(layers: Sequence[AbstractLayer], inputs: Array) -> tuple[Array, list[Any]]:
    """Return the outputs of layers one behind the other as they run, and what each saw."""
    outputs, seen = inputs, []
    for layer in layers:
        outputs, saw = layer.compute(outputs)
        seen.append(saw)
    return outputs, seen


def curvature_of_chain(layers: Sequence[AbstractLayer], seen: Sequence[Any], tangents: Array, errors: Array) -> Array:
    """Return the curvature of layers one behind the other; see `AbstractLayer.curvature`.

    Each layer bends what comes in by itself, along the directions that have come as far as it, weighed by the errors
    that have come back to it: ``sum over layers of t' (d² sum(e * outputs)) t``.
    """
    directions = [tangents]
    for layer, saw in zip(layers[:-1], seen[:-1], strict=True):
        directions.append(layer.push_forward(saw, directions[-1]))
    total = np.zeros((*tangents.shape[:2], tangents.shape[1]), tangents.dtype)
    for layer, saw, each in zip(reversed(layers), reversed(seen), reversed(directions), strict=True):
        total += layer.curvature(saw, each, errors)
        errors, _ = layer.backprop(saw, errors)
    return total


LAYERS_AT_MOST: Final = 1000
"""That a file takes, and that one layer holds."""
LAYERS: Final[dict[str, type[AbstractLayer]]] = {}
"""Every kind of layer under the name it has in a file. The package enters its own; yours may be entered beside them."""


def kind_of(described: Mapping[str, Any]) -> type[AbstractLayer]:
    """Return the kind of a described layer; `AbstractLayer`, which is none, where it is not known."""
    return LAYERS.get(described["kind"], AbstractLayer)
