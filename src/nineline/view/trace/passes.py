"""What went through a network's layers in one step, and what the things are called."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from nineline.layers import Layer
from nineline.view.trace.numbers import latex_operator

if TYPE_CHECKING:
    from nineline._typing import Array
    from nineline.engines.contract import Rule
    from nineline.network import Block, Network
    from nineline.optimizers import State
    from nineline.rows import Batch


@dataclass
class Passed:
    """What one layer was given and what it gave. Errors and delta are as the reference has them: uphill."""

    inputs: Any = None
    outputs: Any = None
    seen: Any = None
    output_errors: Array | None = None
    """None where nobody asked: of layers before the first that learns, and of the last."""
    delta: Array | None = None
    """Of the last layer alone."""


@dataclass(frozen=True)
class Pass:
    """One step of training: what went through each layer, the gradient, and what the step has made of the network."""

    network: Network
    rule: Rule
    batch: Batch
    layers: tuple[Passed, ...]
    value: float
    """The loss of the batch."""
    first: int
    """The number of the first layer that learns."""
    factors: tuple[float, ...]
    """The learning-rate factor of each block."""
    seed: int
    gradient: Any = None
    after: Any = None
    """The network after the step."""
    state: State | None = None
    """What the optimizer remembers after the step."""

    @property
    def last(self) -> int:
        """The number of the last layer."""
        return len(self.layers) - 1

    def learning(self) -> list[tuple[Block, float]]:
        """Return the blocks that learn, those of the last layer first as the tutorial has them, and their rates."""
        rate = self.rule.optimizer.learning_rate
        pairs = [(block, rate * factor) for block, factor in zip(self.network.blocks, self.factors, strict=True)]
        moving = [(block, r) for block, r in pairs if r > 0]
        return sorted(moving, key=lambda pair: -pair[0].layer)


class Symbol(NamedTuple):
    """What an array is called: as text, and for LaTeX."""

    text: str
    latex: str


def of_layer(letter: str, number: int) -> Symbol:
    """Return what an array of a layer is called: Z0."""
    return Symbol(f"{letter}{number}", f"{letter}_{{{number}}}")


def inputs_of(number: int) -> Symbol:
    """Return what the inputs of a layer are called: X, or the outputs of the layer before it."""
    return of_layer("A", number - 1) if number else Symbol("X", "X")


def of_block(network: Network, block: Block) -> Symbol:
    """Return what a block is called: W0 and b0 of a dense layer, else its name."""
    if isinstance(network.layers[block.layer], Layer):
        return of_layer({"weights": "W", "bias": "b"}[block.kind], block.layer)
    return Symbol(block.name, latex_operator(block.name))


def name_in_layer(block: Block) -> str:
    """Return what a block is called within its layer: "weights"."""
    return block.name.partition(".")[2]


def axes_of(network: Network, block: Block) -> tuple[int | None, ...] | None:
    """Return what a block's axes are, see `TraceStep.axes`; None where a path does not lead through its numbers."""
    layer, number = network.layers[block.layer], block.layer
    if isinstance(layer, Layer):
        return (number, number + 1) if block.kind == "weights" else (number + 1,)
    single = len(block.shape) == 1 and block.shape[0] == layer.n_outputs
    return (number + 1,) if single and not layer.layers else None


def shape_text(*shapes: tuple[int, ...], result: tuple[int, ...] | None = None) -> str:
    """Return how shapes go together: "(4, 3) · (3, 6) = (4, 6)"."""
    return " · ".join(map(str, shapes)) + ("" if result is None else f" = {result}")
