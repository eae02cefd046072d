"""nineline: small neural networks. Readable as the nine lines, ready to ship.

The names here need NumPy alone. Tables and scikit-learn estimators are in `nineline.estimators`, pictures in
`nineline.view`. What trains is loaded when it is first asked for.
"""

from typing import TYPE_CHECKING, Any, Final

from nineline._version import __version__ as __version__
from nineline.activations import Activation, sigmoid, sigmoid_prime
from nineline.ensemble import Ensemble
from nineline.gradient_check import GradientCheck, gradient_check
from nineline.initializers import Initializer
from nineline.layers import Dropout, Embedding, Layer, LayerNorm, Residual
from nineline.losses import Loss
from nineline.network import Network
from nineline.networks import Networks
from nineline.optimizers import LBFGS, Adam, AdamW, GradientDescent, LevenbergMarquardt, Optimizer, RMSprop

if TYPE_CHECKING:
    from nineline.interactive.playground import playground
    from nineline.schedules import Schedule
    from nineline.sources import ArraySource, IteratorSource, Source
    from nineline.training.epoch import Epoch
    from nineline.training.errors import DivergenceError
    from nineline.training.histories import Histories
    from nineline.training.history import History
    from nineline.training.layer_statistics import LayerStatistics
    from nineline.training.many_loop import ManyEpoch
    from nineline.training.trainer import Trainer
    from nineline.training.watch import EarlyStopping

__all__ = [
    "LBFGS",
    "Activation",
    "Adam",
    "AdamW",
    "ArraySource",
    "DivergenceError",
    "Dropout",
    "EarlyStopping",
    "Embedding",
    "Ensemble",
    "Epoch",
    "GradientCheck",
    "GradientDescent",
    "Histories",
    "History",
    "Initializer",
    "IteratorSource",
    "Layer",
    "LayerNorm",
    "LayerStatistics",
    "LevenbergMarquardt",
    "Loss",
    "ManyEpoch",
    "Network",
    "Networks",
    "Optimizer",
    "RMSprop",
    "Residual",
    "Schedule",
    "Source",
    "Trainer",
    "gradient_check",
    "playground",
    "sigmoid",
    "sigmoid_prime",
]

_LATER: Final = {
    "ArraySource": "sources",
    "DivergenceError": "training.errors",
    "EarlyStopping": "training.watch",
    "Epoch": "training.epoch",
    "Histories": "training.histories",
    "History": "training.history",
    "IteratorSource": "sources",
    "LayerStatistics": "training.layer_statistics",
    "ManyEpoch": "training.many_loop",
    "Schedule": "schedules",
    "Source": "sources",
    "Trainer": "training.trainer",
    "playground": "interactive.playground",
}


def __getattr__(name: str) -> Any:
    """Return a name whose module is loaded when it is first asked for."""
    if name not in _LATER:
        raise AttributeError(f"module 'nineline' has no attribute {name!r}")
    from importlib import import_module

    globals()[name] = found = getattr(import_module(f"nineline.{_LATER[name]}"), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
