"""Telling: what a page is told of a run, as headers and arrays of messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nineline._version import __version__
from nineline.datasets import DATASETS
from nineline.initializers import INITIALIZERS
from nineline.interactive.settings import (
    DEFAULT_INITIALIZER,
    HIDDEN_ACTIVATIONS,
    LAYERS_AT_MOST,
    LOSS_NAMES,
    NODES_AT_MOST,
    OPTIMIZER_MAKERS,
    OUTPUT_ACTIVATIONS,
    ROWS,
    Settings,
)
from nineline.interactive.table import BYTES_AT_MOST
from nineline.interactive.views import dense_places
from nineline.training.errors import DivergenceError
from nineline.view.palette import DARK, LIGHT, Palette

if TYPE_CHECKING:
    import numpy.typing as npt

    from nineline.interactive.inspecting import Look
    from nineline.interactive.run import Run
    from nineline.interactive.views import Place, Views


def welcome(session: str, *, editable: bool) -> dict[str, Any]:
    """Return what a page is told first: what there is to choose from.

    Parameters
    ----------
    session : str
        Its name, by which a page finds it again.
    editable : bool
        Whether other data may be chosen.
    """
    return {
        "type": "welcome",
        "session": session,
        "version": __version__,
        "editable_data": editable,
        "choices": {
            "examples": [
                {"name": name, **{key: getattr(each, key) for key in ("title", "task", "inputs", "about")}}
                | {"options": list(each.options)}
                for name, each in DATASETS.items()
            ],
            "activations": HIDDEN_ACTIVATIONS,
            "outputs": OUTPUT_ACTIVATIONS,
            "losses": LOSS_NAMES,
            "optimizers": [
                {"name": name, "title": name.replace("_", " "), "whole_batch": Settings(optimizer=name).takes_all_rows}
                for name in OPTIMIZER_MAKERS
            ],
            "initializers": [DEFAULT_INITIALIZER, *INITIALIZERS],
            "limits": {"layers": LAYERS_AT_MOST, "nodes": NODES_AT_MOST, "rows": ROWS, "upload": BYTES_AT_MOST},
        },
        "palette": {"light": _colours(LIGHT), "dark": _colours(DARK)},
    }


def state(run: Run) -> dict[str, Any]:
    """Return how a run is set, and where it stands."""
    data = run.data
    return {
        "type": "state",
        "settings": run.settings.describe(),
        "step": run.step,
        "epoch": run.epochs,
        "last_step": run.last,
        "parameters": int(run.network.parameters.size),
        "engine": run.trainer.engine.name,
        "network": {
            "layers": [_layer(place) for place in dense_places(run.network)],
            "input_names": data.input_names,
            "output_names": data.output_names,
        },
        "task": data.task,
        "classes": data.classes,
    }


def _layer(place: Place) -> dict[str, Any]:
    inputs, outputs = place.layer.weights.shape
    bias = None if place.bias is None else (place.bias.start, place.bias.stop)
    return {
        "inputs": inputs,
        "outputs": outputs,
        "activation": place.layer.activation.name,
        "bias": bias is not None,
        "place": {"weights": (place.weights.start, place.weights.stop), "bias": bias},
    }


def frame(run: Run, views: Views, look: Look) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
    """Return what is seen of a run at this moment."""
    answers, way = views.answers(run.network), look.way(run)
    accuracy, test_accuracy = views.scores(run.network)
    header = {
        "type": "frame",
        "step": run.step,
        "epoch": run.epochs,
        "last_step": run.last,
        "loss": run.loss,
        "test_loss": run.test_loss,
        "accuracy": accuracy,
        "test_accuracy": test_accuracy,
        "grid": views.shape,
        "ranges": answers["ranges"],
        "curve": {"stride": run.stride},
    }
    arrays = {
        "parameters": run.network.parameters.astype(np.float32),
        "nodes": answers["nodes"],
        "answers": answers["answers"],
        "curve_steps": np.array([mark.step for mark in run.marks], np.float64),
        "curve_train": np.array([mark.loss for mark in run.marks], np.float32),
        "curve_test": np.array([mark.test_loss for mark in run.marks], np.float32),
    }
    return header, arrays if way is None else {**arrays, "way": way.astype(np.float32)}


def statistics(run: Run, views: Views, look: Look) -> dict[str, Any]:
    """Return what takes longer to find, and is asked for less often: histograms, and what is looked at."""
    try:
        described = look.describe(run)
    except DivergenceError:
        lines = [{"name": "", "text": "The loss of this row is not finite."}]
        described = {"title": "No trace", "lines": lines, "weights": []}
    return {"histograms": views.histograms(run), "look": described}


def _colours(palette: Palette) -> dict[str, Any]:
    names = ("ink", "grey", "faint", "paper", "shade", "blue", "orange", "classes")
    return {name: getattr(palette, name) for name in names}
