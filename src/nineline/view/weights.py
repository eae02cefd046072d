"""The weights of a network as heat maps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from nineline.view.axes import colour_bar, in_ink, new_axes, small_multiples, start_over, write_matrix
from nineline.view.palette import palette_of, signed_scale

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from nineline._typing import Array
    from nineline.network import Block, Network

_ACROSS: Final = 4
_WRITTEN_ROWS: Final = 16  # of a matrix whose numbers can be read
_WRITTEN_COLUMNS: Final = 8
_NAMED: Final = 24  # rows or columns with a number each


@dataclass(frozen=True)
class _Matrix:
    """What one heat map shows."""

    title: str
    values: Array
    """(rows, columns); NaN where nothing is."""
    rows: Sequence[str]
    """A name for each row."""
    y: str
    x: str


def plot_weights(network: Network, *, axes: Axes | None = None) -> Axes:
    """Draw what a network has learned as heat maps, one for each layer: inputs downwards, nodes to the right.

    That is how a matrix of weights prints. Blue is above 0, orange below, on one scale for all layers; a bias is the
    last row, a little apart. Of an embedding a row is a level's vector, of a normalisation there are a row of gains and
    one of biases. Numbers are written where they can be read.

    Parameters
    ----------
    network : Network
    axes : matplotlib.axes.Axes, optional
        Where to draw; by default in a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        The heat maps lie inside it, as its ``child_axes``.

    Raises
    ------
    ImportError
        Matplotlib is not installed.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from nineline import Network
    >>> from nineline.view import plot_weights
    >>> axes = plot_weights(Network(3, 6, 1, rng=1), axes=Figure().subplots())
    >>> [matrix.get_title() for matrix in axes.child_axes]
    ['layer 0: 3 → 6', 'layer 1: 6 → 1']
    """
    matrices = _matrices(network)
    across = min(len(matrices), _ACROSS)
    down = -(-len(matrices) // across)
    tallest = max(min(len(matrix.values), _WRITTEN_ROWS) for matrix in matrices)
    axes = new_axes(1.3 + 3.2 * across, down * max(2.4, 0.9 + 0.32 * tallest)) if axes is None else axes
    start_over(axes)
    colours = palette_of(axes)
    every = np.concatenate([matrix.values[np.isfinite(matrix.values)] for matrix in matrices])
    scale = signed_scale(every)
    image = None
    for matrix, inside in zip(matrices, small_multiples(axes, len(matrices), across, gap=0.2, head=0.75), strict=True):
        rows, columns = matrix.values.shape
        written = rows <= _WRITTEN_ROWS and columns <= _WRITTEN_COLUMNS
        inside.patch.set_visible(False)
        image = write_matrix(inside, matrix.values, scale, numbers=written)
        inside.set_title(matrix.title, fontsize=10, color=colours.ink)
        if rows <= _NAMED:
            inside.set_yticks(range(rows), matrix.rows, fontsize=8)
        else:
            inside.set_yticks([0, rows - 1 - (matrix.rows[-1] == "bias") * 2], ["1", f"{_count(matrix):,}"], fontsize=8)
        shown = range(columns) if columns <= _NAMED else (0, columns - 1)
        inside.set_xticks(list(shown), [f"{place + 1:,}" for place in shown], fontsize=8)
        inside.set_ylabel(matrix.y, fontsize=9)
        inside.set_xlabel(matrix.x, fontsize=9)
        in_ink(inside)
    assert image is not None
    colour_bar(axes, image, "weight")
    return axes


def _count(matrix: _Matrix) -> int:
    return sum(name not in ("bias", "") for name in matrix.rows)


def _matrices(network: Network) -> list[_Matrix]:
    """Return what is learned, an owner at a time."""
    owners: dict[str, list[Block]] = {}
    for block in network.blocks:
        owner = block.name.rpartition(".")[0]
        owners.setdefault(owner, []).append(block)
    found = []
    for owner, blocks in owners.items():
        arrays = {block.kind: network.parameters[block.place].reshape(block.shape) for block in blocks}
        found.append(_matrix(owner, arrays))
    return found


def _matrix(owner: str, arrays: dict[str, Any]) -> _Matrix:
    """Return the arrays of one owner as a matrix."""
    first = next(iter(arrays.values()))
    if first.ndim == 1:
        return _Matrix(f"layer {owner}", np.stack(list(arrays.values())), list(arrays), "", "input")
    inputs, nodes = first.shape
    if "weights" not in arrays:
        return _Matrix(f"layer {owner}: {inputs:,} levels", first, _numbered(inputs), "level", "number of the vector")
    rows, values = _numbered(inputs), first
    if "bias" in arrays:
        rows = [*rows, "", "bias"]
        values = np.vstack([first, np.full((1, nodes), np.nan), arrays["bias"][np.newaxis]])
    return _Matrix(f"layer {owner}: {inputs:,} → {nodes:,}", values, rows, "input", "node")


def _numbered(count: int) -> list[str]:
    return [str(number + 1) for number in range(count)]
