"""How activations, losses and optimizers are written: as a formula of matrices, and for one number.

Nothing here computes. What is written for one number is checked, by the tests, against the number that the reference
engine has computed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

import numpy as np

from nineline import _checks
from nineline.activations import (
    ACTIVATIONS,
    SELU_ALPHA,
    SELU_SCALE,
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
    Softplus,
    Tanh,
)
from nineline.losses import (
    LOSSES,
    AbsoluteError,
    BinaryCrossEntropy,
    CrossEntropy,
    Huber,
    JoinedLoss,
    Loss,
    Poisson,
    Quantile,
    SquaredError,
)
from nineline.optimizers import Adam, AdamW, GradientDescent, Optimizer, RMSprop
from nineline.view.trace.numbers import latex_operator

if TYPE_CHECKING:
    from nineline._typing import Array

Numbers: TypeAlias = Mapping[str, float]
Writer: TypeAlias = Callable[[Numbers], str]
"""Writes an expression with a name in braces for each number."""
_Writer: TypeAlias = Callable[[Any, Numbers], str]

_SIGMOID: Final = "1 / (1 + exp(-{z}))"
_MISH: Final = "tanh(log(1 + exp({z})))"


def _where(positive: str, else_: str) -> Callable[[Numbers], str]:
    return lambda n: positive if n["z"] > 0 else else_


_VALUES: Final[dict[type[Activation], _Writer]] = {
    Identity: lambda f, n: "{z}",
    Sigmoid: lambda f, n: _SIGMOID,
    Tanh: lambda f, n: "tanh({z})",
    Relu: lambda f, n: "max({z}, 0)",
    LeakyRelu: lambda f, n: _where("{z}", f"{f.slope!r} * {{z}}")(n),
    Elu: lambda f, n: _where("{z}", f"{f.alpha!r} * (exp({{z}}) - 1)")(n),
    Selu: lambda f, n: _where(f"{SELU_SCALE} * {{z}}", f"{SELU_SCALE} * {SELU_ALPHA} * (exp({{z}}) - 1)")(n),
    Softplus: lambda f, n: "log(1 + exp({z}))",
    Exponential: lambda f, n: "exp({z})",
    Silu: lambda f, n: "{z} / (1 + exp(-{z}))",
    Mish: lambda f, n: f"{{z}} * {_MISH}",
    Gelu: lambda f, n: "{z} * (1 + erf({z} / sqrt(2))) / 2",
}
"""Writes an output by its weighted sum z."""

_SLOPES: Final[dict[type[Activation], _Writer]] = {
    Identity: lambda f, n: "1",
    Sigmoid: lambda f, n: "{a} * (1 - {a})",
    Tanh: lambda f, n: "(1 - {a}**2)",
    Relu: lambda f, n: _where("1", "0")(n),
    LeakyRelu: lambda f, n: _where("1", f"{f.slope!r}")(n),
    Elu: lambda f, n: _where("1", f"({{a}} + {f.alpha!r})")(n),
    Selu: lambda f, n: _where(f"{SELU_SCALE}", f"({{a}} + {SELU_SCALE} * {SELU_ALPHA})")(n),
    Softplus: lambda f, n: f"({_SIGMOID})",
    Exponential: lambda f, n: "{a}",
    Silu: lambda f, n: f"({_SIGMOID} + {{a}} * (1 - {_SIGMOID}))",
    Mish: lambda f, n: f"({_MISH} + {{z}} * (1 - {_MISH}**2) / (1 + exp(-{{z}})))",
    Gelu: lambda f, n: "((1 + erf({z} / sqrt(2))) / 2 + {z} * exp(-{z}**2 / 2) / sqrt(2 * pi))",
}
"""Writes the derivative by z and the output a, ready to be multiplied."""

_SLOPES_OF_MATRICES: Final[dict[type[Activation], tuple[str, str]]] = {
    Identity: ("", ""),
    Sigmoid: ("{a} ⊙ (1 − {a})", r"{a} \odot (1 - {a})"),
    Tanh: ("(1 − {a}²)", r"(1 - {a}^2)"),
    Relu: ("[{z} > 0]", r"[{z} > 0]"),
    Exponential: ("{a}", "{a}"),
}
"""The derivative as a formula of matrices, where it is short: text and LaTeX."""


def is_known(thing: Activation | Loss) -> bool:
    """Return whether an activation or a loss is the library's."""
    table: Mapping[str, type] = ACTIVATIONS if isinstance(thing, Activation) else LOSSES
    return table.get(thing.name) is type(thing)


def name_of(thing: object) -> str:
    """Return the name of an activation, a loss or an optimizer: that of its class where it is somebody's own."""
    return str(getattr(thing, "name", "")) or _checks.printable(type(thing).__name__)


def name_of_class(thing: object) -> str:
    """Return the name of a layer's class."""
    return _checks.printable(type(thing).__name__)


def class_latex(thing: object) -> str:
    """Return the same for LaTeX."""
    return latex_operator(name_of_class(thing))


def value_writer(activation: Activation) -> Writer:
    """Return what writes an output by its weighted sum."""
    write = _VALUES.get(type(activation))
    if write is None:
        name = name_of(activation).replace("{", "{{").replace("}", "}}")
        return lambda n: f"{name}({{z}})"
    return lambda n: write(activation, n)


def slope_writer(activation: Activation) -> Writer | None:
    """Return what writes the derivative of an activation; None where it is not known element by element."""
    write = _SLOPES.get(type(activation))
    return None if write is None else lambda n: write(activation, n)


def slope_formula(activation: Activation, z: str, a: str) -> str:
    """Return the derivative as a formula of matrices, ready to be multiplied; empty for the identity's, which is 1."""
    found = _SLOPES_OF_MATRICES.get(type(activation))
    return f"{name_of(activation)}′({z})" if found is None else found[0].format(z=z, a=a)


def slope_latex(activation: Activation, z: str, a: str) -> str:
    """Return the same for LaTeX."""
    found = _SLOPES_OF_MATRICES.get(type(activation))
    return f"{function_latex(activation)}'({z})" if found is None else found[1].format(z=z, a=a)


def function_latex(activation: Activation) -> str:
    """Return the name of an activation for LaTeX."""
    if isinstance(activation, Sigmoid):
        return r"\sigma"
    return latex_operator(name_of(activation))


def in_words(activation: Activation) -> str:
    """Return the first line of what is written about an activation of the library; it is its formula."""
    if not is_known(activation) or isinstance(activation, Identity):
        return ""
    first = (type(activation).__doc__ or "").partition("\n")[0]
    return first.replace("``", "")


# Losses: the loss of one output, and its errors, which are minus the gradient

_LOSSES: Final[dict[type[Loss], _Writer]] = {
    SquaredError: lambda f, n: "({a} - {y})**2 / 2",
    AbsoluteError: lambda f, n: "abs({a} - {y})",
    Huber: lambda f, n: (
        "({a} - {y})**2 / 2"
        if abs(n["a"] - n["y"]) <= f.delta
        else f"{f.delta!r} * (abs({{a}} - {{y}}) - {f.delta!r} / 2)"
    ),
    Quantile: lambda f, n: f"max({_level(f, n)} * ({{y}} - {{a}}), ({_level(f, n)} - 1) * ({{y}} - {{a}}))",
    Poisson: lambda f, n: "({a} - {y} * log({a}))",
    BinaryCrossEntropy: lambda f, n: "-({y} * log({a}) + (1 - {y}) * log(1 - {a}))",
    CrossEntropy: lambda f, n: "{y} * log({a})",  # summed, and the sign turned
}

_ERRORS: Final[dict[type[Loss], _Writer]] = {
    SquaredError: lambda f, n: "{y} - {a}",
    AbsoluteError: lambda f, n: "sign({y} - {a})",
    Huber: lambda f, n: f"max(-{f.delta!r}, min({f.delta!r}, {{y}} - {{a}}))",
    Quantile: lambda f, n: _level(f, n) if n["y"] > n["a"] else f"{_level(f, n)} - 1" if n["y"] < n["a"] else "0",
    Poisson: lambda f, n: "{y} / {a} - 1",
    BinaryCrossEntropy: lambda f, n: "{y} / {a} - (1 - {y}) / (1 - {a})",
    CrossEntropy: lambda f, n: "{y} / {a}",
}

_OF_MATRICES: Final[dict[type[Loss], tuple[str, str, str, str]]] = {
    SquaredError: (
        "½ Σ (Y − {a})²",
        "Y − {a}",
        r"\tfrac{{1}}{{2}} \sum_{{\text{{outputs}}}} (Y - {b})^2",
        "Y - {b}",
    ),
    AbsoluteError: (
        "Σ |Y − {a}|",
        "sign(Y − {a})",
        r"\sum_{{\text{{outputs}}}} \lvert Y - {b} \rvert",
        r"\operatorname{{sign}}(Y - {b})",
    ),
    Huber: (
        "huber(Y, {a})",
        "clip(Y − {a}, −delta, delta)",
        r"\operatorname{{huber}}(Y, {b})",
        r"\operatorname{{clip}}(Y - {b}, -\delta, \delta)",
    ),
    Quantile: (
        "Σ max(level · (Y − {a}), (level − 1) · (Y − {a}))",
        "level where Y > {a}, level − 1 where Y < {a}",
        r"\sum_{{\text{{outputs}}}} \max(q \, (Y - {b}), (q - 1) \, (Y - {b}))",
        r"q \, [Y > {b}] + (q - 1) \, [Y < {b}]",
    ),
    Poisson: (
        "Σ ({a} − Y ⊙ log({a}))",
        "Y / {a} − 1",
        r"\sum_{{\text{{outputs}}}} ({b} - Y \odot \log {b})",
        r"Y / {b} - 1",
    ),
    BinaryCrossEntropy: (
        "−Σ (Y ⊙ log({a}) + (1 − Y) ⊙ log(1 − {a}))",
        "Y / {a} − (1 − Y) / (1 − {a})",
        r"-\sum_{{\text{{outputs}}}} (Y \odot \log {b} + (1 - Y) \odot \log(1 - {b}))",
        r"Y / {b} - (1 - Y) / (1 - {b})",
    ),
    CrossEntropy: (
        "−Σ Y ⊙ log({a})",
        "Y / {a}",
        r"-\sum_{{\text{{classes}}}} Y \odot \log {b}",
        r"Y / {b}",
    ),
}
"""Of each loss, of a row: text, errors; LaTeX, errors. Others go by their names."""


class LossFormula(NamedTuple):
    """A loss and its errors as formulas of matrices: text, and LaTeX."""

    value: str
    errors: str
    value_latex: str
    errors_latex: str


def loss_formula(loss: Loss, a: str, a_latex: str) -> LossFormula:
    """Return how a loss of outputs `a` is written."""
    name = name_of(loss)
    word = latex_operator(name)
    found = _OF_MATRICES.get(type(loss))
    if found is None:
        return LossFormula(
            f"{name}(Y, {a})", f"−∂{name}/∂{a}", f"{word}(Y, {a_latex})", rf"-\partial {word} / \partial {a_latex}"
        )
    return LossFormula(*(each.format(a=a, b=a_latex) for each in found))


def settings_of(loss: Loss, shape: tuple[int, ...]) -> dict[str, Array]:
    """Return what a writer has to know beside each output, (rows, outputs): the level, where each has its own."""
    if isinstance(loss, Quantile) and isinstance(loss.level, tuple):
        return {"level": np.broadcast_to(np.array(loss.level), shape)}
    return {}


def _level(loss: Quantile, n: Numbers) -> str:
    return repr(n.get("level", loss.level))


def loss_writer(loss: Loss) -> Writer | None:
    """Return what writes the loss of one output a with the target y; None for somebody's own."""
    write = _LOSSES.get(type(loss))
    return None if write is None else lambda n: write(loss, n)


def errors_writer(loss: Loss) -> Writer | None:
    """Return what writes the error of one output, minus the derivative of the loss; None for somebody's own."""
    write = _ERRORS.get(type(loss))
    return None if write is None else lambda n: write(loss, n)


def is_joined(loss: Loss, activation: Activation) -> bool:
    """Return whether the derivatives of a loss and an activation are one closed form, target − output."""
    return isinstance(loss, JoinedLoss) and isinstance(activation, loss.joins)


# Optimizers: p the parameters, g their gradient, r the learning rate; what is remembered begins at 0


class Written(NamedTuple):
    """A formula of matrices, as text and for LaTeX, and the same for one number."""

    text: str
    latex: str
    number: str


class Memory(NamedTuple):
    """What an optimizer remembers of the parameters."""

    vector: str
    """Its name in `State.vectors`."""
    kind: str
    letter: str
    """What it is called in a formula."""
    written: Written


def memories(optimizer: Optimizer, r: float, g: str, g_latex: str) -> list[Memory]:
    """Return what an optimizer of the library remembers, and how the first step makes it of the gradient."""
    if isinstance(optimizer, GradientDescent) and optimizer.momentum:
        m, rate = short(optimizer.momentum), short(r)
        text, latex = f"{m} · 0 − {rate} · {g}", rf"{m} \cdot 0 - {rate} \, {g_latex}"
        return [Memory("velocity", "velocity", "V", Written(text, latex, f"{m} * 0 - {rate} * {{g}}"))]
    if isinstance(optimizer, RMSprop):
        return [Memory("square", "mean square", "S", _average(optimizer.decay, g, g_latex, "2"))]
    if isinstance(optimizer, (Adam, AdamW)):
        return [
            Memory("mean", "first moment", "M", _average(optimizer.beta_1, g, g_latex)),
            Memory("square", "second moment", "S", _average(optimizer.beta_2, g, g_latex, "2")),
        ]
    return []


def _average(decay: float, g: str, g_latex: str, power: str = "") -> Written:
    d, squared = short(decay), {"": ("", "", ""), "2": ("²", "^{\\circ 2}", "**2")}[power]
    base = rf"\left({g_latex}\right)" if power else g_latex
    return Written(
        f"{d} · 0 + (1 − {d}) · {g}{squared[0]}",
        rf"{d} \cdot 0 + (1 - {d}) \, {base}{squared[1]}",
        f"{d} * 0 + (1 - {d}) * {{g}}{squared[2]}",
    )


def update(
    optimizer: Optimizer, r: float, p: tuple[str, str], g: tuple[str, str], of: Mapping[str, tuple[str, str]]
) -> Written:
    """Return how an optimizer of the library moves parameters in its first step.

    Parameters
    ----------
    optimizer : Optimizer
    r : float
        The learning rate.
    p, g : tuple of str
        The symbols of parameters and gradient: as text, for LaTeX.
    of : mapping of str to tuple of str
        Those of what the optimizer remembers, by the names of its vectors.
    """
    rate, (text, latex) = short(r), p
    if isinstance(optimizer, RMSprop):
        e, (s, s_latex) = short(optimizer.epsilon), of["square"]
        return Written(
            f"{text} − {rate} · {g[0]} / (√{s} + {e})",
            rf"{latex} - {rate} \, {g[1]} \oslash \left(\sqrt{{{s_latex}}} + {e}\right)",
            f"{{p}} - {rate} * {{g}} / (sqrt({{square}}) + {e})",
        )
    if isinstance(optimizer, (Adam, AdamW)):
        return _adam(optimizer, rate, p, of)
    if isinstance(optimizer, GradientDescent) and optimizer.momentum:
        m, (v, v_latex) = short(optimizer.momentum), of["velocity"]
        if optimizer.nesterov:
            return Written(
                f"{text} + {m} · {v} − {rate} · {g[0]}",
                rf"{latex} + {m} \, {v_latex} - {rate} \, {g[1]}",
                f"{{p}} + {m} * {{velocity}} - {rate} * {{g}}",
            )
        return Written(f"{text} + {v}", f"{latex} + {v_latex}", "{p} + {velocity}")
    return Written(f"{text} − {rate} · {g[0]}", rf"{latex} - {rate} \, {g[1]}", f"{{p}} - {rate} * {{g}}")


def _adam(f: Adam | AdamW, rate: str, p: tuple[str, str], of: Mapping[str, tuple[str, str]]) -> Written:
    b1, b2, e = short(f.beta_1), short(f.beta_2), short(f.epsilon)
    (m, m_latex), (s, s_latex), (text, latex) = of["mean"], of["square"], p
    decay = short(f.weight_decay) if isinstance(f, AdamW) else ""
    if decay:
        text, latex = f"{text} − {rate} · {decay} · {text}", rf"{latex} - {rate} \cdot {decay} \, {latex}"
    small = (f"{e} / √(1 − {b2})", rf"{e} / \sqrt{{1 - {b2}}}", f"{e} / sqrt(1 - {b2})") if f.epsilon_hat else (e,) * 3
    return Written(
        f"{text} − {rate} · {m} / (1 − {b1}) / (√({s} / (1 − {b2})) + {small[0]})",
        rf"{latex} - {rate} \, \frac{{{m_latex}}}{{1 - {b1}}} \oslash "
        rf"\left(\sqrt{{\frac{{{s_latex}}}{{1 - {b2}}}}} + {small[1]}\right)",
        ("{p}" + f" - {rate} * {decay} * {{p}}" * bool(decay))
        + f" - {rate} * {{mean}} / (1 - {b1}) / (sqrt({{square}} / (1 - {b2})) + {small[2]})",
    )


def is_known_optimizer(optimizer: Optimizer) -> bool:
    """Return whether an optimizer is one of the library's that step by one gradient."""
    return type(optimizer) in (GradientDescent, RMSprop, Adam, AdamW)


def short(value: float) -> str:
    """Return a setting as short as it can be written.

    Examples
    --------
    >>> from nineline.view.trace.formulas import short
    >>> short(1.0), short(0.001), short(1e-8)
    ('1', '0.001', '1e-08')
    """
    return f"{value:g}" if float(f"{value:g}") == value else repr(value)
