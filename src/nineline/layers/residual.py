"""A residual connection: what goes into some layers is added to what comes out of them."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any, Final, Self, final

from nineline import _checks
from nineline.layers.contract import LAYERS_AT_MOST, AbstractLayer, curvature_of_chain, kind_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np

    from nineline._typing import Array
    from nineline.draws import Draw

_DEEPEST: Final = 16


@final
class Residual(AbstractLayer):
    """``outputs = inputs + layers(inputs)``; backward, the errors take both ways and add up again.

    Parameters
    ----------
    *layers : AbstractLayer
        At least one, and they have to give as many numbers as they take. Any kind but an `Embedding`; another
        `Residual` may be among them.

    Attributes
    ----------
    layers : tuple of AbstractLayer
        Each has its own `learning_rate` and `trainable`.
    trainable : bool
        False freezes all of them.

    Examples
    --------
    >>> from nineline import Layer, LayerNorm, Network, Residual
    >>> block = Residual(LayerNorm(), Layer(32, 32, "relu", bias=True), Layer(32, 32, "identity", bias=True))
    >>> network = Network(Layer(8, 32, "relu", bias=True), block, Layer(32, 1, "identity", bias=True), rng=0)
    >>> [name for name, *_ in network.blocks][2:4]
    ['1.0.gain', '1.0.bias']

    References
    ----------
    He, Zhang, Ren, Sun (2016), Deep residual learning for image recognition, arXiv 1512.03385, equation 1.
    """

    kind = "residual"

    def __init__(self, *layers: AbstractLayer, trainable: bool = True) -> None:
        if not layers:
            raise ValueError("layers is empty; give Residual the layers whose inputs it adds to their outputs")
        for layer in layers:
            if not isinstance(layer, AbstractLayer):
                raise TypeError(f"layers has a {type(layer).__name__}; expected layers: Residual(Layer(8, 8), ...)")
            if layer.reads_data:
                raise ValueError(f"layers has {layer!r}, which reads the data; it has to be a network's first layer")
            if layer.adopted:
                raise ValueError(f"{layer!r} already belongs to a network; give Residual layers of its own")
        if len(layers) > LAYERS_AT_MOST:
            raise ValueError(f"layers are {len(layers):,}; expected {LAYERS_AT_MOST:,} at most")
        if _depth(layers) > _DEEPEST:
            raise ValueError(f"layers are nested {_depth(layers)} deep; expected {_DEEPEST} at most")
        self.layers = layers
        self.trainable = _checks.boolean("trainable", trainable)
        self.stacks = all(layer.stacks for layer in layers)
        self.dtype = next((layer.dtype for layer in layers if layer.blocks()), self.dtype)
        self.take_dtype(self.dtype)
        widths = [layer.n_inputs for layer in layers if layer.n_inputs is not None]
        if widths:
            self.connect(widths[0])
            self.build(widths[0])

    def connect(self, width: int) -> int:
        end = super().connect(width)
        for number, layer in enumerate(self.layers):
            try:
                end = layer.connect(end)
            except ValueError as error:
                raise ValueError(f"layer {number} of Residual ({layer!r}) {error}") from None
        if end != width:
            raise ValueError(f"the layers of Residual take {width} numbers and give {end}; expected as many")
        return width

    def build(self, width: int) -> None:
        self.n_inputs = self.n_outputs = width
        for layer in self.layers:
            layer.build(width)
            width = layer.connect(width)

    def compute(self, inputs: Array, draw: Draw | None = None) -> tuple[Array, list[Any]]:
        """Return ``inputs + layers(inputs)``, (rows, width) twice, and what each layer saw."""
        outputs, seen = inputs, []
        for place, layer in enumerate(self.layers):
            outputs, saw = layer.compute(outputs, None if draw is None else draw.inside(place))
            seen.append(saw)
        return inputs + outputs, seen

    def backprop(self, seen: list[Any], output_errors: Array) -> tuple[Array, dict[str, Array]]:
        errors = output_errors
        updates: dict[str, Array] = {}
        for place in reversed(range(len(self.layers))):
            errors, found = self.layers[place].backprop(seen[place], errors)
            updates |= {f"{place}.{name}": update for name, update in found.items()}
        return output_errors + errors, updates

    def row_updates(self, seen: list[Any], output_errors: Array) -> dict[str, Array]:
        errors = output_errors
        updates: dict[str, Array] = {}
        for place in reversed(range(len(self.layers))):
            layer = self.layers[place]
            updates |= {f"{place}.{name}": each for name, each in layer.row_updates(seen[place], errors).items()}
            errors, _ = layer.backprop(seen[place], errors)
        return updates

    def push_forward(self, seen: list[Any], tangents: Array) -> Array:
        inner = tangents
        for layer, saw in zip(self.layers, seen, strict=True):
            inner = layer.push_forward(saw, inner)
        return tangents + inner

    def curvature(self, seen: list[Any], tangents: Array, output_errors: Array) -> Array:
        return curvature_of_chain(self.layers, seen, tangents, output_errors)

    def blocks(self) -> dict[str, Array]:
        return {
            f"{place}.{name}": block
            for place, layer in enumerate(self.layers)
            for name, block in layer.blocks().items()
        }

    def owner(self, block: str) -> tuple[AbstractLayer, str]:
        place, _, name = block.partition(".")
        return self.layers[int(place)].owner(name)

    def learns(self, block: str) -> bool:
        place, _, name = block.partition(".")
        return self.trainable and self.layers[int(place)].learns(name)

    def adopt(self, views: dict[str, Array]) -> None:
        for place, layer in enumerate(self.layers):
            layer.adopt({name: views[f"{place}.{name}"] for name in layer.blocks()})

    def initialize(self, rng: np.random.Generator) -> None:
        for layer in self.layers:
            layer.initialize(rng)

    def describe(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "layers": [layer.describe() for layer in self.layers],
            **({} if self.trainable else {"trainable": False}),
        }

    @classmethod
    def rebuild(cls, described: Mapping[str, Any], blocks: Callable[[str, tuple[int, ...]], Array]) -> Self:
        def of(place: int) -> Callable[[str, tuple[int, ...]], Array]:
            return lambda name, shape: blocks(f"{place}.{name}", shape)

        layers = [kind_of(each).rebuild(each, of(place)) for place, each in enumerate(described["layers"])]
        return cls(*layers, trainable=described.get("trainable", True) is not False)

    @classmethod
    def in_words(cls, described: Mapping[str, Any]) -> tuple[str, int]:
        each = [kind_of(layer).in_words(layer) for layer in described["layers"]]
        words = _summary([words for words, _ in each], described.get("trainable", True) is not False)
        return words, sum(count for _, count in each)

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "layers": tuple(copy(layer) for layer in self.layers)}

    def __str__(self) -> str:
        return "\n\n".join(f"Layer {place}:\n{layer}" for place, layer in enumerate(self.layers))

    def __repr__(self) -> str:
        return _summary([*map(repr, self.layers)], self.trainable)


def _depth(layers: tuple[AbstractLayer, ...]) -> int:
    return 1 + max((_depth(layer.layers) for layer in layers), default=0)


def _summary(layers: list[str], trainable: bool) -> str:
    return f"Residual({', '.join([*layers, *['trainable=False'] * (not trainable)])})"
