"""Networks from scikit-learn's MLPClassifier and MLPRegressor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from nineline.activations import Activation, Exponential, Identity, Relu, Sigmoid, Softmax, Tanh
from nineline.interchange.chain import Chain

if TYPE_CHECKING:
    from nineline.network import Network

_NAMES: Final[dict[str, type[Activation]]] = {
    "identity": Identity,
    "logistic": Sigmoid,
    "tanh": Tanh,
    "relu": Relu,
    "softmax": Softmax,
    "exp": Exponential,
}


def from_sklearn(mlp: Any) -> Network:
    """Make a network of a fitted ``MLPClassifier`` or ``MLPRegressor``.

    A classifier's network answers with probabilities in the order of ``classes_``; with two classes, with that of the
    second. Training goes on with ``network.train(..., loss="cross_entropy")``, ``"binary_cross_entropy"`` or
    ``"squared_error"``.

    Parameters
    ----------
    mlp : sklearn.neural_network.MLPClassifier or MLPRegressor

    Raises
    ------
    TypeError
        It is something else.
    ValueError
        It is not fitted.

    Examples
    --------
    >>> from sklearn.neural_network import MLPRegressor
    >>> from nineline import Network
    >>> mlp = MLPRegressor(hidden_layer_sizes=(5,), solver="lbfgs", random_state=0)
    >>> mlp = mlp.fit([[0.0], [0.5], [1.0]], [0.0, 0.25, 1.0])
    >>> Network.from_sklearn(mlp)
    Network(Layer(1, 5, 'relu', bias=True), Layer(5, 1, 'identity', bias=True))
    """
    if not (hasattr(mlp, "hidden_layer_sizes") and hasattr(mlp, "activation") and hasattr(mlp, "n_iter_no_change")):
        raise TypeError(f"mlp is a {type(mlp).__name__}; expected scikit-learn's MLPClassifier or MLPRegressor")
    if not hasattr(mlp, "coefs_"):
        raise ValueError(f"the {type(mlp).__name__} is not fitted; call fit first")
    chain = Chain(f"the {type(mlp).__name__}")
    for number, (weights, bias) in enumerate(zip(mlp.coefs_, mlp.intercepts_, strict=True)):
        chain.linear(weights, bias)
        name = mlp.activation if number + 1 < len(mlp.coefs_) else mlp.out_activation_
        if name not in _NAMES:
            raise ValueError(f"activation {name!r} of the {type(mlp).__name__} is not known")
        chain.activation(_NAMES[name](), name)
    return chain.network()
