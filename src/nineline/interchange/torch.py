"""Networks from PyTorch's Sequential, and back.

Reading asks a module for its class's name and its numbers, so that torch is imported by nobody but who has one already.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from nineline._extras import need
from nineline.activations import (
    Activation,
    Elu,
    Exponential,
    Gelu,
    Identity,
    LeakyRelu,
    Mish,
    Relu,
    Selu,
    Sigmoid,
    Silu,
    Softmax,
    Softplus,
    Tanh,
)
from nineline.interchange.chain import Chain
from nineline.interchange.counterpart import Counterpart
from nineline.interchange.model import TrainedModel
from nineline.layers import AbstractLayer, Dropout, Embedding, Layer, LayerNorm, Residual
from nineline.network import Network

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_ROWS: Final = (
    Counterpart("ReLU", Relu),
    Counterpart("LeakyReLU", LeakyRelu, {"negative_slope": "slope"}),
    Counterpart("ELU", Elu, {"alpha": "alpha"}),
    Counterpart("SELU", Selu),
    Counterpart("SiLU", Silu),
    Counterpart("Mish", Mish),
    Counterpart("GELU", Gelu, needed={"approximate": ("none",)}),
    Counterpart("Sigmoid", Sigmoid),
    Counterpart("Tanh", Tanh),
    Counterpart("Softplus", Softplus, needed={"beta": (1,)}),
    Counterpart("Softmax", Softmax, written={"dim": 1}, needed={"dim": (1, -1)}),
)
"""The activations that ``torch.nn`` has a module of."""
_EXP: Final = Counterpart("Exp", Exponential)  # a module that `to_torch` makes
_KNOWN: Final = (
    f"Linear, Identity, {', '.join(row.name for row in _ROWS)}, Dropout, Flatten, LayerNorm, Embedding and a "
    "Sequential of them"
)


def from_torch(module: Any) -> Network:
    """Make a network of a PyTorch Sequential.

    Parameters
    ----------
    module : torch.nn.Sequential
        Of Linear, the activations that nineline knows, Dropout, LayerNorm over the features, Flatten of inputs that are
        flat (rows, features), and Sequentials of the like; at the front an Embedding of one column, (rows, 1). What
        `to_torch` makes of a `Residual` and of an `Embedding` is read back; of another class that adds its inputs it
        cannot be told what it does. Softplus goes over into the straight line at its threshold, ours never does.

    Raises
    ------
    TypeError
        It is no module of PyTorch's.
    ValueError
        It holds a module that is not known, which is named, or a known one with a setting that ours has not.
    """
    if not _is_module(module):
        raise TypeError(f"module is a {type(module).__name__}; expected a torch.nn.Sequential")
    chain = Chain(f"the {type(module).__name__}")
    _read_all(chain, module, "")
    return chain.network()


def _read_all(chain: Chain, module: Any, place: str) -> None:
    for name, part in _parts(module, place):
        read = _MODULES.get(type(part).__name__)
        if read is None:
            raise ValueError(f"module {name} is not known; known are {_KNOWN}")
        if not read(chain, name, part):
            raise ValueError(
                f"module {name} is {part}, which nineline has only as PyTorch makes it by default (Softmax: dim=1)"
            )


def _is_module(given: object) -> bool:
    return any(
        kind.__module__.partition(".")[0] == "torch" and kind.__name__ == "Module" for kind in type(given).__mro__
    )


def _parts(module: Any, place: str) -> Iterator[tuple[str, Any]]:
    """Yield every module that is no Sequential, with its place and class for messages."""
    if type(module).__name__ == "Sequential":
        for name, child in module.named_children():
            yield from _parts(child, f"{place}.{name}".strip("."))
    else:
        yield f"{place or 0} ({type(module).__name__})", module


_Reader = Callable[[Chain, str, Any], bool]


def _read_linear(chain: Chain, name: str, part: Any) -> bool:
    chain.linear(_array(part.weight).T, None if part.bias is None else _array(part.bias))
    return True


def _read_dropout(chain: Chain, name: str, part: Any) -> bool:
    chain.dropout(part.p)
    return True


def _read_flatten(chain: Chain, name: str, part: Any) -> bool:
    return bool(part.start_dim == 1)  # rows of numbers are flat already


def _read_layer_norm(chain: Chain, name: str, part: Any) -> bool:
    if len(part.normalized_shape) != 1 or part.weight is None or part.bias is None:
        return False
    chain.layer_norm(_array(part.weight), _array(part.bias), part.eps)
    return True


def _read_embedding(chain: Chain, name: str, part: Any) -> bool:
    chain.embedding([_array(part.weight)])
    return bool(part.padding_idx is None and part.max_norm is None)


def _read_embeddings(chain: Chain, name: str, part: Any) -> bool:
    if not isinstance(getattr(part, "numbers", None), int):
        return False
    chain.embedding([_array(column.weight) for column in part.columns], part.numbers)
    return True


def _read_residual(chain: Chain, name: str, part: Any) -> bool:
    """Take a module that `to_torch` made: any other of this name may do something else."""
    if not getattr(part, "adds_its_inputs", False):
        return False
    chain.begin_residual()
    _read_all(chain, part.body, name.partition(" ")[0])
    chain.end_residual()
    return True


def _array(parameter: Any) -> Any:
    return parameter.detach().cpu().numpy()


def _read_identity(chain: Chain, name: str, part: Any) -> bool:
    return True


def _reader(row: Counterpart) -> _Reader:
    def read(chain: Chain, name: str, part: Any) -> bool:
        activation = row.ours({theirs: getattr(part, theirs) for theirs in (*row.settings, *row.needed)})
        if activation is not None:
            chain.activation(activation, name)
        return activation is not None

    return read


_MODULES: Final[dict[str, _Reader]] = {
    "Linear": _read_linear,
    "Dropout": _read_dropout,
    "Flatten": _read_flatten,
    "Identity": _read_identity,
    "LayerNorm": _read_layer_norm,
    "Embedding": _read_embedding,
    "Embeddings": _read_embeddings,
    "Residual": _read_residual,
    **{row.name: _reader(row) for row in (*_ROWS, _EXP)},
}
"""Adds a module of this class to the chain, and says whether it could: False where a setting of it is not ours."""


def to_torch(network: Network) -> Any:
    """Make a PyTorch Sequential of a network (needs torch).

    Its parameters are copies in the network's dtype, and train in PyTorch. It is in training mode, as modules
    begin: call ``eval()`` to switch dropout off.

    Raises
    ------
    ImportError
        torch is not installed.
    TypeError
        It is no network.
    ValueError
        It holds an activation or a layer of your own.
    """
    if not isinstance(network, Network):
        raise TypeError(f"network is a {type(network).__name__}; expected a Network")
    torch = need("torch", None)
    _ = TrainedModel.of(network)  # refuses what torch has no word for
    return torch.nn.Sequential(*_modules(torch, network.layers))


def _linear(torch: Any, layer: Layer) -> list[Any]:
    linear = torch.nn.Linear(layer.n_inputs, layer.n_outputs, layer.bias is not None)
    linear = linear.to(_dtype(torch, layer))
    with torch.no_grad():
        linear.weight.copy_(torch.from_numpy(layer.weights.T.copy()))
        if layer.bias is not None:
            linear.bias.copy_(torch.from_numpy(layer.bias.copy()))
    return [linear, *_ACTIVATIONS[type(layer.activation)](torch, layer.activation)]


def _dropout(torch: Any, layer: Dropout) -> list[Any]:
    return [torch.nn.Dropout(layer.rate)]


def _nothing(torch: Any, activation: Identity) -> list[Any]:
    return []


def _exp(torch: Any, activation: Exponential) -> list[Any]:
    class Exp(torch.nn.Module):  # type: ignore[misc]
        """exp, which PyTorch has as a function alone."""

        def forward(self, z: Any) -> Any:
            return torch.exp(z)

    return [Exp()]


def _writer(row: Counterpart) -> Callable[[Any, Any], list[Any]]:
    return lambda torch, activation: [getattr(torch.nn, row.name)(**row.theirs(activation))]


def _embedding(torch: Any, layer: Embedding) -> list[Any]:
    count = len(layer.vectors)

    class Embeddings(torch.nn.Module):  # type: ignore[misc]
        """A vector for each whole number of the first columns, side by side, and the numbers behind them."""

        def __init__(self) -> None:
            super().__init__()
            self.columns = torch.nn.ModuleList(
                torch.nn.Embedding.from_pretrained(torch.from_numpy(vectors.copy()), freeze=False)
                for vectors in layer.vectors
            )
            self.numbers = layer.numbers

        def forward(self, x: Any) -> Any:
            found = [column(x[:, place].long()) for place, column in enumerate(self.columns)]
            return torch.cat([*found, x[:, count:].to(found[0].dtype)], dim=1)

    return [Embeddings()]


def _layer_norm(torch: Any, layer: LayerNorm) -> list[Any]:
    norm = torch.nn.LayerNorm(layer.n_inputs, layer.epsilon).to(_dtype(torch, layer))
    with torch.no_grad():
        norm.weight.copy_(torch.from_numpy(layer.gain.copy()))
        norm.bias.copy_(torch.from_numpy(layer.bias.copy()))
    return [norm]


def _residual(torch: Any, layer: Residual) -> list[Any]:
    class Residual(torch.nn.Module):  # type: ignore[misc]
        """What goes in is added to what comes out of the body."""

        adds_its_inputs = True

        def __init__(self) -> None:
            super().__init__()
            self.body = torch.nn.Sequential(*_modules(torch, layer.layers))

        def forward(self, x: Any) -> Any:
            return x + self.body(x)

    return [Residual()]


def _modules(torch: Any, layers: Iterable[AbstractLayer]) -> list[Any]:
    return [part for layer in layers for part in _LAYERS[type(layer)](torch, layer)]


def _dtype(torch: Any, layer: AbstractLayer) -> Any:
    return torch.from_numpy(np.empty(0, layer.dtype)).dtype


_LAYERS: Final[dict[type[AbstractLayer], Callable[[Any, Any], list[Any]]]] = {
    Layer: _linear,
    Dropout: _dropout,
    Embedding: _embedding,
    LayerNorm: _layer_norm,
    Residual: _residual,
}
"""Returns the modules that are a layer."""
_ACTIVATIONS: Final[dict[type[Activation], Callable[[Any, Any], list[Any]]]] = {
    Identity: _nothing,
    Exponential: _exp,
    **{row.activation: _writer(row) for row in _ROWS},
}
"""Returns the modules that are an activation."""
