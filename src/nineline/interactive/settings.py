"""Settings: all that is set in a playground, as a page, a link and a program write it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Final, Self

from nineline import _checks
from nineline.activations import ACTIVATIONS
from nineline.initializers import INITIALIZERS
from nineline.losses import Loss, SquaredError
from nineline.optimizers import (
    LBFGS,
    Adam,
    AdamW,
    GradientDescent,
    LevenbergMarquardt,
    Optimizer,
    RMSprop,
    WholeBatchOptimizer,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LAYERS_AT_MOST: Final = 6
NODES_AT_MOST: Final = 32
ROWS: Final = (6, 2000)
SEEDS_AT_MOST: Final = 2**32 - 1

SUM_OF_SQUARES: Final = "sum_of_squares"
"""The tutorial's loss: half the squared error, added up over the rows of a step."""

LOSS_NAMES: Final = (
    "squared_error",
    SUM_OF_SQUARES,
    "absolute_error",
    "huber",
    "binary_cross_entropy",
    "cross_entropy",
)
HIDDEN_ACTIVATIONS: Final = tuple(name for name in ACTIVATIONS if name not in ("softmax", "exponential"))
OUTPUT_ACTIVATIONS: Final = ("sigmoid", "softmax", "identity", "tanh", "relu", "softplus")
DEFAULT_INITIALIZER: Final = "default"

OPTIMIZER_MAKERS: Final[dict[str, Callable[[float], Optimizer]]] = {
    "gradient_descent": GradientDescent,
    "momentum": lambda rate: GradientDescent(rate, momentum=0.9),
    "nesterov": lambda rate: GradientDescent(rate, momentum=0.9, nesterov=True),
    "rmsprop": RMSprop,
    "adam": Adam,
    "adamw": AdamW,
    "lbfgs": lambda _: LBFGS(),
    "levenberg_marquardt": lambda _: LevenbergMarquardt(),
}


@dataclass(frozen=True)
class HiddenLayer:
    """One hidden layer: how many nodes, which activation, and which share of its nodes training drops."""

    nodes: int = 4
    activation: str = "tanh"
    dropout: float = 0.0

    @classmethod
    def of(cls, described: object, name: str) -> Self:
        """Return what a message describes, or raise ValueError or TypeError."""
        given = _object(name, described, cls)
        return cls(
            nodes=_whole(f"{name}.nodes", given.get("nodes", cls.nodes), 1, NODES_AT_MOST),
            activation=_one_of(f"{name}.activation", given.get("activation", cls.activation), HIDDEN_ACTIVATIONS),
            dropout=_checks.number(f"{name}.dropout", given.get("dropout", cls.dropout), low=0, high=0.9),
        )


@dataclass(frozen=True)
class DataSettings:
    """Which rows there are to learn from.

    Attributes
    ----------
    kind : {"example", "table", "given"}
        One of `nineline.datasets.DATASETS`, a table that was opened, or arrays that a program has handed over.
    name : str
        Of the example, or of the table's file.
    rows : int
    noise : float
    expression : str
        Of an example that takes one: what is learned is where it holds.
    test : float
        The share of the rows that is held out.
    seed : int
        Of the rows, and of which are held out.
    target : str
        The column of a table that is to be predicted.
    """

    kind: str = "example"
    name: str = "xor"
    rows: int = 200
    noise: float = 0.1
    expression: str = ""
    test: float = 0.3
    seed: int = 0
    target: str = ""

    @classmethod
    def of(cls, described: object) -> Self:
        """Return what a message describes, or raise ValueError or TypeError."""
        given = _object("data", described, cls)
        return cls(
            kind=_one_of("data.kind", given.get("kind", cls.kind), ("example", "table", "given")),
            name=_text("data.name", given.get("name", cls.name)),
            rows=_whole("data.rows", given.get("rows", cls.rows), *ROWS),
            noise=_checks.number("data.noise", given.get("noise", cls.noise), low=0, high=1),
            expression=_text("data.expression", given.get("expression", cls.expression)),
            test=_checks.number("data.test", given.get("test", cls.test), low=0, high=0.9),
            seed=_whole("data.seed", given.get("seed", cls.seed), 0, SEEDS_AT_MOST),
            target=_text("data.target", given.get("target", cls.target)),
        )


@dataclass(frozen=True)
class Settings:
    """A training's whole set-up: data, network and rule.

    Attributes
    ----------
    data : DataSettings
    layers : tuple of HiddenLayer
    output : str
        The last layer's activation.
    bias : bool
    initializer : str
        One of `nineline.initializers.INITIALIZERS`, or "default": by the activation, as `nineline.Layer` chooses.
    seed : int
        Of the weights, of the order of the rows, and of dropout.
    start : int or None
        Which of the networks that the seed draws, one after the other; None: the weights that were opened.
    loss, optimizer : str
    learning_rate : float
    batch_size : int or None
        None: all rows at each step; so it is with an optimizer that looks at all rows.
    l1, l2 : float
    """

    data: DataSettings = field(default_factory=DataSettings)
    layers: tuple[HiddenLayer, ...] = (HiddenLayer(4),)
    output: str = "sigmoid"
    bias: bool = True
    initializer: str = DEFAULT_INITIALIZER
    seed: int = 0
    start: int | None = 0
    loss: str = "binary_cross_entropy"
    optimizer: str = "adam"
    learning_rate: float = 0.01
    batch_size: int | None = 10
    l1: float = 0.0
    l2: float = 0.0

    @classmethod
    def of(cls, described: object, before: Self | None = None) -> Self:
        """Return what a message describes; what it leaves out is as before.

        Raises
        ------
        ValueError, TypeError
            A setting is not known, or of no use; it is named.
        """
        given = _object("settings", described, cls)
        base = cls() if before is None else before
        changes: dict[str, Any] = {}
        for name, value in given.items():
            changes[name] = _READERS[name](name, value)
        return replace(base, **changes)

    def describe(self) -> dict[str, Any]:
        """Return the settings as `of` reads them, of numbers, text, lists and dictionaries alone."""
        return asdict(self)

    @property
    def takes_all_rows(self) -> bool:
        """Whether the optimizer looks at all rows at each step."""
        return isinstance(self.make_optimizer(), WholeBatchOptimizer)

    @property
    def rows_a_step(self) -> int | None:
        """How many rows a step takes; None: all of them."""
        return None if self.takes_all_rows else self.batch_size

    def make_optimizer(self) -> Optimizer:
        """Return the optimizer, which remembers nothing yet."""
        return OPTIMIZER_MAKERS[self.optimizer](self.learning_rate)

    def make_loss(self) -> str | Loss:
        """Return the loss as `nineline.Trainer` takes it."""
        return SquaredError(reduction="sum") if self.loss == SUM_OF_SQUARES else self.loss

    @property
    def shape(self) -> tuple[Any, ...]:
        """What a training starts with: where it differs, the training starts anew."""
        nodes = tuple(layer.nodes for layer in self.layers)
        return self.data, nodes, self.bias, self.initializer, self.seed, self.start

    @property
    def functions(self) -> tuple[Any, ...]:
        """What else the network is made of: where it differs, another network goes on with the same weights."""
        return tuple((layer.activation, layer.dropout) for layer in self.layers), self.output

    @property
    def rule(self) -> tuple[Any, ...]:
        """What a Trainer is made with: where it differs, another one goes on, whose optimizer remembers nothing."""
        return self.loss, self.optimizer, self.l1, self.l2


def _object(name: str, described: object, kind: type[Any]) -> Mapping[str, Any]:
    if not isinstance(described, dict):
        raise TypeError(f"{name} is {_checks.quoted(described)}; expected an object")
    known = [each.name for each in fields(kind)]
    for key in described:
        if key not in known:
            raise ValueError(f"{name} has {_checks.quoted(key)}, which is not known{_checks.nearest(key, known)}")
    return described


def _one_of(name: str, value: object, known: tuple[str, ...]) -> str:
    if not isinstance(value, str) or value not in known:
        raise ValueError(f"{name} is {_checks.quoted(value)}; expected one of {', '.join(known)}")
    return value


def _text(name: str, value: object) -> str:
    if not isinstance(value, str) or len(value) > 500:
        raise ValueError(f"{name} is {_checks.quoted(value)}; expected text of at most 500 characters")
    return value


def _whole(name: str, value: object, low: int, high: int) -> int:
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # JavaScript has one kind of number
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ValueError(f"{name} is {_checks.quoted(value)}; expected a whole number from {low:,} to {high:,}")
    return value


def _layers(name: str, value: object) -> tuple[HiddenLayer, ...]:
    if not isinstance(value, (list, tuple)) or len(value) > LAYERS_AT_MOST:
        raise ValueError(f"{name} is {_checks.quoted(value)}; expected a list of at most {LAYERS_AT_MOST} layers")
    return tuple(HiddenLayer.of(each, f"{name}.{number}") for number, each in enumerate(value))


def _optional(read: Callable[[str, Any], Any]) -> Callable[[str, Any], Any]:
    return lambda name, value: None if value is None else read(name, value)


_READERS: Final[dict[str, Callable[[str, Any], Any]]] = {
    "data": lambda _, value: DataSettings.of(value),
    "layers": _layers,
    "output": lambda name, value: _one_of(name, value, OUTPUT_ACTIVATIONS),
    "bias": _checks.boolean,
    "initializer": lambda name, value: _one_of(name, value, (DEFAULT_INITIALIZER, *INITIALIZERS)),
    "seed": lambda name, value: _whole(name, value, 0, SEEDS_AT_MOST),
    "start": _optional(lambda name, value: _whole(name, value, 0, 999)),
    "loss": lambda name, value: _one_of(name, value, LOSS_NAMES),
    "optimizer": lambda name, value: _one_of(name, value, tuple(OPTIMIZER_MAKERS)),
    "learning_rate": lambda name, value: _checks.number(name, value, low=0, high=1e6, low_open=True),
    "batch_size": _optional(lambda name, value: _whole(name, value, 1, 100_000)),
    "l1": lambda name, value: _checks.number(name, value, low=0, high=1e6),
    "l2": lambda name, value: _checks.number(name, value, low=0, high=1e6),
}
