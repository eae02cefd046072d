"""How things show themselves in a notebook: what they say of themselves, and a picture, without a script.

Where matplotlib is not installed there is the text alone.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from nineline.view.curves import draw_histories, plot_history
from nineline.view.diagram import draw_network, size_of_drawing
from nineline.view.palette import LIGHT
from nineline.view.svg import to_svg

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nineline.layers import AbstractLayer
    from nineline.network import Network
    from nineline.networks import Networks
    from nineline.training.histories import Histories
    from nineline.training.history import History
    from nineline.training.trainer import Trainer

_NODES: Final = 32  # of the widest layer that is drawn
_LAYERS: Final = 8
_NODES_DRAWN: Final = 10
_CURVES: Final = 300, 60  # epochs and networks: every point is text in the page

_INK: Final = "var(--jp-content-font-color1, var(--pst-color-text-base, var(--vscode-foreground, CanvasText)))"
_PAPER: Final = "var(--jp-layout-color1, var(--pst-color-background, var(--vscode-editor-background, Canvas)))"
_MIXED: Final = {"grey": ("ink", 65), "faint": ("ink", 18), "shade": ("ink", 9)}

STYLE: Final = (
    f".nineline-shown{{--nineline-ink:{_INK};--nineline-paper:{_PAPER};"
    + "".join(
        f"--nineline-{name}:color-mix(in srgb,var(--nineline-{of}) {share}%,var(--nineline-paper));"
        for name, (of, share) in _MIXED.items()
    )
    + "".join(
        f"--nineline-{name}:color-mix(in srgb,{getattr(LIGHT, name)} 80%,var(--nineline-ink));"
        for name in ("blue", "orange")
    )
    + "color:var(--nineline-ink);overflow-x:auto}"
    ".nineline-shown pre{margin:0 0 .5em;background:none;color:inherit;font-size:13px;line-height:1.4;"
    "white-space:pre-wrap}"
    ".nineline-shown table{border-collapse:collapse;font-size:13px}"
    ".nineline-shown :is(th,td){text-align:left;padding:.15em 1em .15em 0}"
    ".nineline-shown .number{text-align:right}"
    ".nineline-shown .nineline-picture{display:block;max-width:100%;height:auto}"
)
"""Colours follow the notebook's, in light and in dark."""


def shown(text: str, *more: str) -> str:
    """Return a text, which is escaped, and elements below it, as one element with its style."""
    return f'<div class="nineline-shown"><style>{STYLE}</style><pre>{escape(text)}</pre>{"".join(more)}</div>'


def picture(draw: Callable[[Any], Any], width: float, height: float, title: str) -> str:
    """Return a picture as an element, or nothing where matplotlib is not installed."""
    try:
        return to_svg(draw, width, height, title)
    except ImportError:
        return ""


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table; all but its first column is numbers, to the right."""
    lines = [("th", head), *(("td", row) for row in rows)]
    return f"<table>{''.join(_line(kind, row) for kind, row in lines)}</table>"


def _line(kind: str, cells: Sequence[str]) -> str:
    first, *others = (escape(cell) for cell in cells)
    return f"<tr><{kind}>{first}</{kind}>{''.join(f'<{kind} class=number>{cell}</{kind}>' for cell in others)}</tr>"


def network_html(network: Network, said: str = "", *more: str) -> str:
    """Return a network as a drawing, or of a large one as a table of its layers, under what is said of it."""
    count = len(network.parameters)
    widths = " → ".join(map(str, (network.n_inputs, *_widths(network))))
    text = said or f"Network: {widths}, {count:,} parameters of {network.dtype}"
    if max(_widths(network), default=1) <= _NODES and network.n_inputs <= _NODES and len(network.layers) <= _LAYERS:
        return shown(text, _diagram(network), *more)
    return shown(text, _layers(network), *more)


def _widths(network: Network) -> list[int]:
    found, width = [], network.n_inputs
    for layer in network.layers:
        width = layer.connect(width)
        found.append(width)
    return found


def _diagram(network: Network) -> str:
    size = size_of_drawing(network, _NODES_DRAWN)
    return picture(lambda axes: draw_network(network, max_nodes=_NODES_DRAWN, axes=axes), *size, "the network")


def _layers(network: Network) -> str:
    rows = []
    for number, (layer, width) in enumerate(zip(network.layers, _widths(network), strict=True)):
        rows.append((f"{number}  {layer!r}", f"{width:,}", f"{_size(layer):,}"))
    return table(("layer", "outputs", "parameters"), rows)


def _size(layer: AbstractLayer) -> int:
    return sum(block.size for each in layer.walk() if not each.layers for block in each.blocks().values())


def networks_html(networks: Networks) -> str:
    """Return how many networks there are, of which shape, and how good."""
    losses = networks.losses[np.isfinite(networks.losses)]
    text = (
        f"{len(networks):,} networks of one shape: {networks.one!r}, {networks.parameters.shape[1]:,} parameters each"
    )
    if not len(losses):
        return shown(text)
    low, middle, high = np.quantile(losses, [0, 0.5, 1])
    gone = len(networks) - len(losses)
    left_out = f"; {gone:,} without a loss" if gone else ""
    return shown(f"{text}\nlosses {low:.4g} best, {middle:.4g} median, {high:.4g} worst{left_out}")


def history_html(history: History) -> str:
    """Return a training as its curve."""
    return shown(repr(history), history_curve(history))


def history_curve(history: History) -> str:
    """Return the curve of a training, or nothing where there is none."""
    if not any(map(np.isfinite, history.loss)):
        return ""
    return picture(lambda axes: plot_history(history, axes=axes), 6.4, 3.4, "loss over the epochs")


def histories_html(histories: Histories) -> str:
    """Return the trainings of many networks as their curves."""
    if not np.isfinite(histories.watched).any():
        return shown(repr(histories))
    drawn = picture(lambda axes: draw_histories(histories, None, axes, *_CURVES), 6.4, 3.4, "losses over the epochs")
    return shown(repr(histories), drawn)


def trainer_html(trainer: Trainer) -> str:
    """Return a training that lives as its network, its rule and how far it has come."""
    rule, steps = trainer.rule, trainer.steps_taken
    said = f"Trainer: {steps:,} step{'' if steps == 1 else 's'} taken by the {trainer.engine.name} engine"
    return network_html(
        trainer.network, f"{said}\nloss {rule.loss!r}, optimizer {rule.optimizer!r}\n{trainer.network!r}"
    )
