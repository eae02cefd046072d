"""The contract of a layer: two functions that only read, and what remembers and learns around them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

import numpy as np

from nineline import _checks

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

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
    """The names of blocks of which a step moves those rows alone that its batch reads; see `Embedding`."""
    first: ClassVar[bool] = False
    """Whether it reads the data themselves, and so has to be a network's first layer."""

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

    def connect(self, width: int) -> int:
        """Accept `width` inputs, or raise ValueError, and return the number of outputs."""
        if self.n_inputs is not None and width != self.n_inputs:
            raise ValueError(f"takes {self.n_inputs} inputs, the layer before it gives {width}")
        return width if self.n_outputs is None else self.n_outputs

    def blocks(self) -> dict[str, Array]:
        """Return the arrays that are learned, by name."""
        return {}

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
            raise ValueError(
                f"output_errors has {len(errors)} rows, the last forward pass had {len(self.outputs)}; "
                "call forward(inputs) on the same rows first"
            )
        input_errors, updates = self.backprop(self.seen, errors)
        for name, update in updates.items():
            owner, _ = self.owner(name)
            if self.trainable and owner.trainable:
                block = self.blocks()[name]
                block += owner.learning_rate * update
        return input_errors

    def check(self, argument: str, data: npt.ArrayLike) -> Array:
        """Return "inputs" or "output_errors" as finite numbers, (rows, width), or raise."""
        width = self.n_inputs if argument == "inputs" else self.n_outputs
        if width is None:
            return _checks.as_float(argument, data, self.dtype)
        array = _checks.matrix(argument, data, width, "the layer", self.dtype)
        if argument == "inputs":
            self.check_values(argument, array)
        return array

    def __getstate__(self) -> dict[str, Any]:
        own = {name: value.copy() if isinstance(value, np.ndarray) else value for name, value in vars(self).items()}
        for name in ("inputs", "outputs", "seen"):  # what it has seen stays behind
            own.pop(name, None)
        return {**own, "adopted": False}


LAYERS: Final[dict[str, type[AbstractLayer]]] = {}
"""Every kind of layer under the name it has in a file. The package enters its own; yours may be entered beside them."""
