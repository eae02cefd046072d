"""Estimators of tables as files; docs/format.md describes them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from nineline import _checks, files
from nineline.activations import ACTIVATIONS, describe_activation, rebuild_activation
from nineline.ensemble import Ensemble
from nineline.estimators.tabular.background import Background
from nineline.estimators.tabular.recipe import MEMBERS_AT_MOST
from nineline.layers import Embedding
from nineline.tables.columns import Columns

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nineline._typing import Array
    from nineline.network import Network

KIND: Final = "tabular"
SETTINGS: Final = frozenset(
    [
        "activation",
        "batch_size",
        "class_weight",
        "dropout",
        "effort",
        "engine",
        "eval_metric",
        "hidden_layer_sizes",
        "learning_rate",
        "max_epochs",
        "n_members",
        "patience",
        "quantiles",
        "random_state",
        "time_limit",
        "validation_fraction",
        "verbose",
        "warm_start",
        "weight_decay",
    ]
)
"""What a file may set, for it may come from a stranger; none of these is a path or says what a machine has to give."""


def save(model: Any, path: str | os.PathLike[str]) -> None:
    """Write a fitted estimator."""
    settings = {name: value for name, value in model.get_params(deep=False).items() if name in SETTINGS}
    if not model.warm_start:
        del settings["warm_start"]  # what older versions do not know is there only where it says something
    if not isinstance(model.random_state, (int, np.integer, type(None))):
        settings["random_state"] = None
    if not isinstance(model.activation, str):
        settings["activation"] = describe_activation(model.activation)
    sizes = model.hidden_layer_sizes
    settings["hidden_layer_sizes"] = sizes if isinstance(sizes, str) else tuple(int(size) for size in sizes)
    if callable(model.eval_metric):
        raise ValueError("eval_metric is a function, and a file holds no code; set_params(eval_metric='loss') first")
    if settings.get("quantiles") is not None:
        settings["quantiles"] = [float(level) for level in settings["quantiles"]]
    if isinstance(settings.get("class_weight"), dict):
        settings["class_weight"] = [[_plain(k), _plain(v)] for k, v in settings["class_weight"].items()]
    names = getattr(model, "feature_names_in_", None)
    content = {
        "estimator": type(model).__name__,
        "settings": {name: _plain(value) for name, value in settings.items()},
        "target": {"name": model.target_name_, **model.target_.describe()},
        "features": {"names": model.names_, "named": names is not None},
        "columns": model.columns_.describe(),
        "members": [files.describe(_single(network)) for network in model.members_],
        "evaluation": model.evaluation_,
        "importances": model.importances_,
    }
    arrays: dict[str, Array] = {}
    if model._learning_rate is not None:
        content["learning_rate"] = model._learning_rate
    if model._background is not None:
        content["background"] = {"rows": model._background.rows}
        arrays |= model._background.arrays()
    for number, network in enumerate(model.members_):
        arrays |= files.tensors(_single(network), f"{number}/")
    files.write(path, KIND, content, arrays)


def check_room(columns: Columns, names: Sequence[str], target: Mapping[str, Any]) -> None:
    """Raise ValueError where a file could not hold what was learned of a table; `fit` asks before it trains."""
    files.check_description({"columns": columns.describe(), "features": list(names), "target": target})


def _single(network: Network) -> Network:
    """Return a member in float32 where that holds every parameter exactly, as it does after training."""
    with np.errstate(over="ignore"):
        single = network.astype(np.float32)
    return single if (single.parameters.astype(np.float64) == network.parameters).all() else network


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value


def load(path: str | os.PathLike[str], kinds: Mapping[str, type[Any]]) -> Any:
    """Read an estimator of one of `kinds`."""
    header, arrays = files.read(path, KIND)
    if header.get("estimator") not in list(kinds):  # a list: what a stranger's file says may be anything
        expected = " or a ".join(kinds)
        raise files.FileError(f"{os.fspath(path)} holds a {header.get('estimator')}, expected a {expected}")
    try:
        settings = header["settings"]
        if not settings.keys() <= SETTINGS:
            raise ValueError(f"settings that a file cannot make: {', '.join(sorted(settings.keys() - SETTINGS))}")
        if isinstance(settings["activation"], dict):
            settings["activation"] = rebuild_activation(settings["activation"])
        if isinstance(settings["hidden_layer_sizes"], list):
            settings["hidden_layer_sizes"] = tuple(settings["hidden_layer_sizes"])
        if isinstance(settings.get("quantiles"), list):
            settings["quantiles"] = tuple(settings["quantiles"])
        if isinstance(settings.get("class_weight"), list):
            settings["class_weight"] = {key: float(value) for key, value in settings["class_weight"]}
        model = kinds[header["estimator"]](**settings)
        model.target_name_ = header["target"]["name"]
        kinds_of_target = {kind.kind: kind for kind in model.target_kinds}
        kind = header["target"].get("kind", model.target_kinds[0].kind)
        model.target_ = kinds_of_target[kind].rebuild(header["target"])
        model.names_ = header["features"]["names"]
        model.n_features_in_ = len(model.names_)
        if header["features"]["named"]:
            model.feature_names_in_ = np.array(model.names_, dtype=object)
        model.columns_ = Columns.rebuild(header["columns"])
        model.evaluation_ = header["evaluation"]
        model.importances_ = header.get("importances", {})
        if "learning_rate" in header:
            model._learning_rate = _checks.number("learning_rate", header["learning_rate"], low=0, low_open=True)
        if "background" in header:
            model._background = Background.rebuild(header["background"], arrays, model.columns_.encoding)
        _check(model)
        described = members_of(header)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise files.FileError(f"{os.fspath(path)} holds no valid estimator: {error!r}") from error
    members = [files.rebuild(path, entry, arrays, prefix, "float64") for prefix, entry in described.items()]
    target = model.target_
    wanted = ACTIVATIONS[target.activation](), target.outputs, model.columns_.width
    for network in members:
        last = network.output_layer
        first = network.layers[0]
        embedded = list(first.levels) if isinstance(first, Embedding) else []
        fits = embedded == model.columns_.encoding.embedded
        if not fits or (last.activation, last.n_outputs, network.n_inputs) != wanted:
            raise files.FileError(
                f"{os.fspath(path)} holds no valid estimator: a network does not fit its columns or target"
            )
    model.members_ = members
    model.network_ = members[0] if len(members) == 1 else Ensemble(members)
    return model


def members_of(header: Mapping[str, Any]) -> dict[str, Any]:
    """Return each member's description by the prefix of its arrays; format 1 had a single network.

    Raises
    ------
    KeyError, TypeError, ValueError
        There is none, or they are no list.
    """
    if header["format_version"] == 1:
        return {"": header["network"]}
    members = header["members"]
    if not isinstance(members, list) or not 1 <= len(members) <= MEMBERS_AT_MOST:
        raise ValueError("no list of members")
    return {f"{number}/": described for number, described in enumerate(members)}


def _check(model: Any) -> None:
    """Raise ValueError or TypeError where names and scores from a file are none."""
    texts = [model.target_name_, *model.names_]
    if not isinstance(model.names_, list) or not all(isinstance(text, str) for text in texts):
        raise TypeError("names that are no text")
    if len(set(model.names_)) < len(model.names_) or not {c.name for c in model.columns_.used} <= set(model.names_):
        raise ValueError("names of columns that are not different ones, or not those in use")
    if not all(isinstance(value, (int, float)) for value in model.evaluation_.values()):
        raise TypeError("scores that are no numbers")
    used = {column.name for column in model.columns_.used}
    if not used >= model.importances_.keys() or not all(type(each) is float for each in model.importances_.values()):
        raise TypeError("importances that are no numbers of columns in use")
