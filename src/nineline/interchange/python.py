"""A network as one file of plain NumPy: the nine lines' grandchild, to be read, pasted and run without nineline."""

from __future__ import annotations

import json
import pprint
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from nineline.activations import (
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
    Softmax,
    Softplus,
    Tanh,
    setting_of,
)
from nineline.interchange.model import TrainedModel
from nineline.layers import AbstractLayer, Dropout, Embedding, Layer, LayerNorm, Residual
from nineline.tables.kinds import FALSE, TRUE, Boolean, Category, Date, EmbeddedCategory, Number, Presence
from nineline.tables.series import ISO
from nineline.tables.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from nineline._typing import Array
    from nineline.interchange.model import Placed
    from nineline.tables.columns import Columns
    from nineline.tables.contract import Column


def to_python(model: object) -> str:
    """Write a network, or a fitted estimator with its columns, as a Python module that needs NumPy alone.

    The module has ``run(inputs)``, (rows, n_inputs) → (rows, n_outputs), in float64. For an estimator of a table it has
    ``prepare(table)`` as well, from a mapping of column names to values, and ``predict(table)``.

    Raises
    ------
    TypeError, ValueError
        The model is none, or holds an activation of your own.

    Examples
    --------
    >>> from nineline import Network
    >>> from nineline.interchange import to_python
    >>> network, module = Network(3, 6, 1, rng=0), {}
    >>> exec(to_python(network), module)
    >>> bool(abs(module["run"]([[0, 0, 1]]) - network.run([[0, 0, 1]])) < 1e-15)
    True
    """
    trained = TrainedModel.of(model)
    return "\n".join(_module(trained)) + "\n"


def _module(model: TrainedModel) -> Iterator[str]:
    target = model.target
    kinds = {} if model.columns is None else {type(column): _COLUMNS[type(column)] for column in model.columns.used}
    network = [*_constants(model.layers), *_run(model.networks)]
    yield '"""A neural network in plain NumPy, written by nineline; layers are weights of (inputs, outputs) and biases.'
    if target is not None:
        yield f"\nIt predicts {_plain(target.name)}."
    yield '"""\n'
    if model.columns is not None or any("math." in line for line in network):
        yield "import math"
    yield from (kind.imports for kind in kinds.values() if kind.imports)
    yield "\nimport numpy as np\n"
    yield from network
    if model.columns is not None:
        yield from _columns(model.columns)
    if target is not None:
        yield from _answer(model)


def _constants(layers: list[Placed[AbstractLayer]]) -> Iterator[str]:
    for placed in layers:
        yield from _LAYERS[type(placed.layer)].constants(placed)


def _run(networks: list[list[Placed[AbstractLayer]]]) -> Iterator[str]:
    several = len(networks) > 1
    what = f"the mean outputs of {len(networks)} networks" if several else "the outputs of the network"
    yield f'\n\ndef run(inputs):\n    """Answer: {what}, a row for each row of inputs."""'
    yield f"    {'inputs' if several else 'x'} = np.asarray(inputs, float)"
    for number, layers in enumerate(networks):
        if several:
            yield "    x = inputs"
        for placed in layers:
            yield from _LAYERS[type(placed.layer)].statements(placed)
        if several:
            yield f"    answers = {'x' if number == 0 else 'answers + x'}"
    yield f"    return answers / {len(networks)}" if several else "    return x"


def _numbers(array: Array) -> str:
    """Return an array as the list that Python reads back to the last bit."""
    return pprint.pformat(array.astype(np.float64).tolist(), width=118, compact=True)


def _plain(text: str) -> str:
    """Return a text that can stand inside a docstring."""
    return json.dumps(text, ensure_ascii=True).replace("\\", "/").replace('"', "'")


def _columns(columns: Columns) -> Iterator[str]:
    used = [kind for kind in _COLUMNS if kind in {type(column) for column in columns.used}]
    facts = [
        {"name": column.name, "kind": column.kind, "width": column.own_width, "missing": column.missing}
        | _COLUMNS[type(column)].facts(column)
        for column in columns.used
    ]
    yield "\n\n# What was learned of each column; None and NaN are missing values."
    yield "columns = " + pprint.pformat(facts, width=118, sort_dicts=False)
    yield _GONE
    yield from (_COLUMNS[kind].text for kind in used)
    yield _PREPARE.replace("KINDS", ", ".join(f'"{kind.kind}": {kind.kind}' for kind in used))


def _answer(model: TrainedModel) -> Iterator[str]:
    target = model.target
    assert target is not None
    given = "inputs" if model.columns is None else "prepare(table)"
    argument = "inputs" if model.columns is None else "table"
    if target.classes is None:
        yield f"\n\ndef predict({argument}):"
        scaling = target.scaling
        known = f"run({given})[:, 0] * {scaling.scale!r} + {scaling.mean!r}"
        low, high = (f"float({str(bound)!r})" for bound in (scaling.low, scaling.high))
        yield '    """Predict a number for each row, between the least and the largest that training saw."""'
        yield f"    return np.clip({f'np.exp({known})' if scaling.log else known}, {low}, {high})"
        return
    yield f"\n\nclasses = {list(target.classes)!r}"
    yield f'\n\ndef probabilities({argument}):\n    """Return the probability of each class, (rows, classes)."""'
    yield f"    p = run({given})"
    yield "    return np.hstack([1 - p, p])" if len(target.classes) == 2 else "    return p"
    yield f'\n\ndef predict({argument}):\n    """Predict the most probable class of each row."""'
    yield f"    return [classes[i] for i in probabilities({argument}).argmax(axis=1)]"


_GONE: Final = '''

def is_missing(value):
    return value is None or value != value or (isinstance(value, str) and not value.strip())


def as_text(value):
    """Return a value as text, stripped; 3.0 is "3" as 3 is."""
    if isinstance(value, str):
        return value.strip()
    return str(int(value)) if not isinstance(value, bool) and value == int(value) else str(value)
'''
_NUMBER: Final = '''
def number(column, value):
    """Scale a number and bend it towards 3 and -3, beside its waves and how much of each interval it fills."""
    x, edges = float(value), column["edges"]
    z = (x - column["center"]) / column["scale"]
    bent = z / math.hypot(1, z / 3)
    waves = [math.cos(2 * math.pi * frequency * bent + phase) for frequency, phase in column["waves"]]
    filled = [min(max((x - left) / (right - left), 0), 1) for left, right in zip(edges, edges[1:])]
    return [*waves, bent, *filled]
'''
_PRESENCE: Final = '''
def presence(column, value):
    """Whether it is missing says all that it can tell."""
    float(value)
    return []
'''
_CATEGORY: Final = '''
def category(column, value):
    """One place for each level, and one for all rare ones; two levels are -1 and 1."""
    levels, text = column["levels"], as_text(value)
    if len(levels) <= 2 and not column["rare"]:
        return [0 if text not in levels else 1 if text == levels[-1] else -1]
    places = [float(text == level) for level in levels]
    return [*places, float(text not in levels)] if column["rare"] else places
'''
_EMBEDDED: Final = '''
def embedded(column, value):
    """The number of a level's vector; rare and unseen levels share one."""
    return [column["levels"].get(as_text(value), len(column["levels"]))]
'''
_TEXT: Final = '''
def text(column, value):
    """1 for each token as far as there is room: words, then parts of words, of both the rarest first."""
    places, room = column["tokens"], column["slots"]
    words = ["<" + word + ">" for word in re.findall(r"\\w+", as_text(value)[:1000].lower())]
    parts = [word[i : i + 3] for word in words for i in range(len(word) - 2) if len(word) > 3]
    found = sorted({places[word] for word in words if word in places}, reverse=True)[:room]
    others = {places[part] for part in parts if part in places}.difference(found)
    found += sorted(others, reverse=True)[: room - len(found)]
    return [float(place in found) for place in range(column["width"])]
'''
_BOOLEAN: Final = f'''
def boolean(column, value):
    """1 for true, -1 for false."""
    word = as_text(value).lower()
    if word not in {sorted(TRUE | FALSE)}:
        raise ValueError(f"column {{column['name']!r}} holds {{value!r}}; expected true or false")
    return [1 if word in {sorted(TRUE)} else -1]
'''
_DATE: Final = '''
def moment(column, value):
    """Return a date, or a text that is one, as a moment in UTC without a zone."""
    if isinstance(value, str):
        try:
            value = datetime.strptime(value.strip(), column["format"] or "%Y-%m-%d")
        except ValueError:
            value = datetime.fromisoformat(value.strip())
    if not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)
    return value.astimezone(timezone.utc).replace(tzinfo=None) if value.tzinfo else value


def date(column, value):
    """Elapsed time, scaled, and the parts that vary as points on a circle."""
    when = moment(column, value)
    days = when.replace(tzinfo=timezone.utc).timestamp() / 86400
    turns = {
        "month": (when.month - 1) / 12,
        "weekday": when.weekday() / 7,
        "hour": (when.hour + when.minute / 60) / 24,
    }
    angles = [2 * math.pi * turns[part] for part in column["parts"]]
    return [(days - column["center"]) / column["scale"], *[f(a) for a in angles for f in (math.sin, math.cos)]]
'''
_PREPARE: Final = '''
kinds = {KINDS}


def prepare(table):
    """Turn a table, a mapping of column names to values, into the numbers that the network takes."""
    blocks = []
    for column in columns:
        values = list(table[column["name"]])
        gone = [is_missing(value) for value in values]
        known = [None if missing else kinds[column["kind"]](column, value) for value, missing in zip(values, gone)]
        width = column["width"]
        block = [column.get("gone", [0.0] * width) if row is None else row for row in known]
        if column["missing"]:
            block = [[*row, float(missing)] for row, missing in zip(block, gone)]
        blocks.append(np.array(block, np.float32))
    return np.hstack(blocks)
'''


# What is written of each kind of activation, layer and column

_ACTIVATIONS: Final[dict[type[Activation], str]] = {
    Identity: "z",
    Sigmoid: "1 / (1 + np.exp(-np.maximum(z, -709)))",
    Tanh: "np.tanh(z)",
    Relu: "np.maximum(z, 0)",
    LeakyRelu: "np.where(z > 0, z, {setting} * z)",
    Elu: "np.where(z > 0, z, {setting} * np.expm1(np.minimum(z, 0)))",
    Selu: f"{SELU_SCALE} * np.where(z > 0, z, {SELU_ALPHA} * np.expm1(np.minimum(z, 0)))",
    Softplus: "np.logaddexp(z, 0)",
    Exponential: "np.exp(z)",
    Silu: "z / (1 + np.exp(-np.maximum(z, -709)))",
    Mish: "z * np.tanh(np.logaddexp(z, 0))",
    Gelu: "z * np.vectorize(math.erfc)(z * -math.sqrt(0.5)) / 2",
    Softmax: "np.exp(z - z.max(axis=1, keepdims=True)) / "
    "np.exp(z - z.max(axis=1, keepdims=True)).sum(axis=1, keepdims=True)",
}


class _LayerInPython(NamedTuple):
    constants: Callable[[Any], Iterator[str]]
    statements: Callable[[Any], Iterator[str]]
    """That turn x into the outputs, and call them x."""


def _dense_constants(placed: Placed[Layer]) -> Iterator[str]:
    layer, n = placed.layer, placed.number
    yield f"# {placed}"
    yield f"weights_{n} = np.array({_numbers(layer.weights)})"
    if layer.bias is not None:
        yield f"bias_{n} = np.array({_numbers(layer.bias)})"


def _dense_statements(placed: Placed[Layer]) -> Iterator[str]:
    layer, n = placed.layer, placed.number
    z = f"x @ weights_{n}" + ("" if layer.bias is None else f" + bias_{n}")
    value = _ACTIVATIONS[type(layer.activation)].format(setting=setting_of(layer.activation))
    if value == "z":
        yield f"    x = {z}"
    else:
        yield f"    z = {z}"
        yield f"    x = {value}"


def _nothing(placed: Placed[Dropout]) -> Iterator[str]:
    yield from ()


def _embedding_constants(placed: Placed[Embedding]) -> Iterator[str]:
    yield f"# {placed}"
    for column, vectors in enumerate(placed.layer.vectors):
        yield f"vectors_{placed.number}_{column} = np.array({_numbers(vectors)})"


def _embedding_statements(placed: Placed[Embedding]) -> Iterator[str]:
    count = len(placed.layer.vectors)
    found = [f"vectors_{placed.number}_{column}[x[:, {column}].astype(int)]" for column in range(count)]
    yield f"    x = np.hstack([{', '.join([*found, f'x[:, {count}:]'])}])"


def _norm_constants(placed: Placed[LayerNorm]) -> Iterator[str]:
    yield f"# {placed}"
    yield f"gain_{placed.number} = np.array({_numbers(placed.layer.gain)})"
    yield f"bias_{placed.number} = np.array({_numbers(placed.layer.bias)})"


def _norm_statements(placed: Placed[LayerNorm]) -> Iterator[str]:
    n = placed.number
    yield "    x = x - x.mean(axis=1, keepdims=True)"
    yield f"    x = x / np.sqrt((x**2).mean(axis=1, keepdims=True) + {placed.layer.epsilon!r})"
    yield f"    x = gain_{n} * x + bias_{n}"


def _residual_statements(placed: Placed[Residual]) -> Iterator[str]:
    yield f"    given_{placed.number} = x"
    for each in placed.inner:
        yield from _LAYERS[type(each.layer)].statements(each)
    yield f"    x = given_{placed.number} + x"


def _residual_constants(placed: Placed[Residual]) -> Iterator[str]:
    yield from _constants(placed.inner)


_LAYERS: Final[dict[type[AbstractLayer], _LayerInPython]] = {
    Layer: _LayerInPython(_dense_constants, _dense_statements),
    Dropout: _LayerInPython(_nothing, _nothing),
    Embedding: _LayerInPython(_embedding_constants, _embedding_statements),
    LayerNorm: _LayerInPython(_norm_constants, _norm_statements),
    Residual: _LayerInPython(_residual_constants, _residual_statements),
}


class _ColumnInPython(NamedTuple):
    facts: Callable[[Any], dict[str, Any]]
    """What was learned, as its function reads it."""
    text: str
    """Of the function, which is called as the kind is."""
    imports: str = ""


def _number_facts(column: Number) -> dict[str, Any]:
    waves = list(zip(column.frequencies, column.phases, strict=True))
    return {"center": column.center, "scale": column.scale, "edges": list(column.edges), "waves": waves}


def _presence_facts(column: Presence) -> dict[str, Any]:
    return {}


def _category_facts(column: Category) -> dict[str, Any]:
    return {"levels": list(column.levels), "rare": column.rare > 0}


def _embedded_facts(column: EmbeddedCategory) -> dict[str, Any]:
    levels = {level: number for number, level in enumerate(column.levels)}
    return {"missing": False, "levels": levels, "gone": [float(column.vectors - 1)]}


def _boolean_facts(column: Boolean) -> dict[str, Any]:
    return {}


def _text_facts(column: Text) -> dict[str, Any]:
    return {"tokens": column.places, "slots": column.slots}


def _date_facts(column: Date) -> dict[str, Any]:
    form = "" if column.format == ISO else column.format
    return {"format": form, "center": column.center, "scale": column.scale, "parts": list(column.parts)}


_COLUMNS: Final[dict[type[Column], _ColumnInPython]] = {
    Number: _ColumnInPython(_number_facts, _NUMBER),
    Presence: _ColumnInPython(_presence_facts, _PRESENCE),
    Category: _ColumnInPython(_category_facts, _CATEGORY),
    EmbeddedCategory: _ColumnInPython(_embedded_facts, _EMBEDDED),
    Boolean: _ColumnInPython(_boolean_facts, _BOOLEAN),
    Date: _ColumnInPython(_date_facts, _DATE, "from datetime import datetime, timezone"),
    Text: _ColumnInPython(_text_facts, _TEXT, "import re"),
}
