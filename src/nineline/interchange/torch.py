"""Networks from PyTorch's Sequential, and back.

Reading asks a module for its class's name and its numbers, so that torch is imported by nobody but who has one already.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

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
from nineline.interchange.extras import need
from nineline.interchange.model import TrainedModel
from nineline.layers import Dropout, Layer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nineline.network import Network

_PLAIN: Final[dict[str, type[Activation]]] = {
    "Sigmoid": Sigmoid,
    "Tanh": Tanh,
    "ReLU": Relu,
    "SELU": Selu,
    "SiLU": Silu,
    "Mish": Mish,
    "Exp": Exponential,
}
_KNOWN: Final = (
    "Linear, Identity, ReLU, LeakyReLU, ELU, SELU, SiLU, Mish, GELU, Sigmoid, Tanh, Softplus, Softmax, Dropout, "
    "Flatten and a Sequential of them"
)


def from_torch(module: Any) -> Network:
    """Make a network of a PyTorch Sequential.

    Parameters
    ----------
    module : torch.nn.Sequential
        Of Linear, the activations that nineline knows, Dropout, Flatten of inputs that are flat (rows, features), and
        Sequentials of the like. Softplus goes over into the straight line at its threshold, ours never does.

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
    for name, part in _parts(module, ""):
        _add(chain, name, part)
    return chain.network()


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


def _add(chain: Chain, name: str, part: Any) -> None:
    kind = type(part).__name__
    if kind == "Linear":
        bias = None if part.bias is None else part.bias.detach().cpu().numpy()
        chain.linear(part.weight.detach().cpu().numpy().T, bias)
    elif kind == "Dropout":
        chain.dropout(part.p)
    elif kind == "Identity" or (kind == "Flatten" and part.start_dim == 1):
        return  # rows of numbers are flat already
    elif kind in _PLAIN:
        chain.activation(_PLAIN[kind](), name)
    elif kind == "LeakyReLU":
        chain.activation(LeakyRelu(part.negative_slope), name)
    elif kind == "ELU":
        chain.activation(Elu(part.alpha), name)
    elif kind == "Softplus" and part.beta == 1:
        chain.activation(Softplus(), name)
    elif kind == "GELU" and part.approximate == "none":
        chain.activation(Gelu(), name)
    elif kind == "Softmax" and part.dim in (1, -1):
        chain.activation(Softmax(), name)
    elif kind in ("Softplus", "GELU", "Softmax", "Flatten"):
        raise ValueError(
            f"module {name} is {part}, which nineline has only as PyTorch makes it by default (Softmax: dim=1)"
        )
    else:
        raise ValueError(f"module {name} is not known; known are {_KNOWN}")


def to_torch(network: Network) -> Any:
    """Make a PyTorch Sequential of a network (needs torch).

    Its parameters are copies in the network's dtype, and train in PyTorch. It is in training mode, as modules
    begin: call ``eval()`` to switch dropout off.

    Raises
    ------
    ImportError
        torch is not installed.
    ValueError
        The network holds an activation of your own.
    """
    torch = need("torch", "torch")
    nn = torch.nn
    _ = TrainedModel.of(network).layers  # refuses what torch has no word for
    parts: list[Any] = []
    for layer in network.layers:
        if isinstance(layer, Dropout):
            parts.append(nn.Dropout(layer.rate))
        elif isinstance(layer, Layer):
            linear = nn.Linear(layer.n_inputs, layer.n_outputs, layer.bias is not None)
            linear = linear.to(torch.from_numpy(np.empty(0, layer.dtype)).dtype)
            with torch.no_grad():
                linear.weight.copy_(torch.from_numpy(layer.weights.T.copy()))
                if layer.bias is not None:
                    linear.bias.copy_(torch.from_numpy(layer.bias.copy()))
            parts += [linear, *_module_of(nn, torch, layer.activation)]
    return nn.Sequential(*parts)


def _module_of(nn: Any, torch: Any, activation: Activation) -> list[Any]:
    """Return the module that is an activation; none for the identity."""
    if isinstance(activation, Identity):
        return []
    if isinstance(activation, LeakyRelu):
        return [nn.LeakyReLU(activation.slope)]
    if isinstance(activation, Elu):
        return [nn.ELU(activation.alpha)]
    if isinstance(activation, Softmax):
        return [nn.Softmax(dim=1)]
    if isinstance(activation, Exponential):

        class Exp(nn.Module):  # type: ignore[misc]
            """exp, which PyTorch has as a function alone."""

            def forward(self, z: Any) -> Any:
                return torch.exp(z)

        return [Exp()]
    others: dict[type[Activation], str] = {kind: name for name, kind in _PLAIN.items()} | {
        Softplus: "Softplus",
        Gelu: "GELU",
    }
    return [getattr(nn, others[type(activation)])()]
