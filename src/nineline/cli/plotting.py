"""Plotting: what is in a file, as a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from nineline import writing
from nineline.view.axes import plain, require_matplotlib

if TYPE_CHECKING:
    from pathlib import Path

    from nineline.network import Network

FORMATS: Final = (".svg", ".png", ".pdf")


def check_picture(path: Path, model: Path) -> None:
    """Raise where a picture could not be written.

    Raises
    ------
    ImportError
        Matplotlib is not installed.
    ValueError
        The ending says no format, or it is the model's own file.
    OSError
        The file could not be written.
    """
    if path.suffix.lower() not in FORMATS:
        raise ValueError(f"plot is {path}; expected a name that ends in {', '.join(FORMATS[:-1])} or {FORMATS[-1]}")
    writing.check_writable(path, [model])
    require_matplotlib()


def write_picture(path: Path, model: Path) -> None:
    """Draw the network in a file, of several the first, and which columns decide where the file says so."""
    import io

    import numpy as np
    from matplotlib.figure import Figure
    from sklearn.utils import Bunch

    from nineline.estimators.plots import plot_importance
    from nineline.view import draw_network

    network, title, estimator = _inside(model)
    measured = None if estimator is None else estimator.importances_
    figure = Figure(figsize=(11, 9 if measured else 6), layout="constrained")
    parts: Any = figure.subplots(2 if measured else 1, 1, squeeze=False, height_ratios=[3, 2] if measured else None)
    draw_network(network, axes=parts[0, 0])
    parts[0, 0].set_title(plain(title), fontsize=11)
    if measured:
        names, means = list(measured), np.array(list(measured.values()))
        found = Bunch(names=names, importances_mean=means, importances_std=np.zeros(len(names)))
        plot_importance(estimator, importance=found, axes=parts[1, 0])
    buffer = io.BytesIO()
    figure.savefig(buffer, format=path.suffix.lower()[1:], dpi=150)
    writing.write_bytes(path, buffer.getvalue())


def _inside(model: Path) -> tuple[Network, str, Any]:
    """Return a network, what it is, and the estimator whose it is, or None."""
    from nineline import estimators, files
    from nineline.network import Network

    kind = files.read_header(model)["kind"]
    if kind == "tabular":
        estimator = estimators.load(model)
        members = len(estimator.members_)
        several = f", the first of {members} networks" if members > 1 else ""
        return estimator.members_[0], f"{model.name}: {type(estimator).__name__}{several}", estimator
    if kind in (files.NETWORKS, files.CHECKPOINT_OF_NETWORKS):
        networks = files.load_networks(model)
        return networks[0], f"{model.name}: the first of {len(networks):,} networks", None
    return Network.load(model), model.name, None
