"""What a network answers over two of its inputs, as a surface with the data on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from nineline import _checks
from nineline.activations import Sigmoid, Tanh
from nineline.rows import sampled
from nineline.view.axes import colour_bar, finite_of, grid, new_axes, not_finite, start_over
from nineline.view.palette import LIGHT, answers_scale, palette_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    from matplotlib.axes import Axes

    from nineline._typing import Array
    from nineline.network import Network

_PLACES: Final = 121  # along each axis
_POINTS: Final = 1000
_MARKERS: Final = "osD^vP*X<>"
_MARGIN: Final = 0.12


def plot_decision(
    network: Network,
    inputs: npt.ArrayLike | None = None,
    targets: npt.ArrayLike | None = None,
    *,
    output: int | None = None,
    columns: tuple[int, int] | None = None,
    at: npt.ArrayLike | None = None,
    axes: Axes | None = None,
) -> Axes:
    """Draw what a network answers over the plane of two inputs, with its data as points.

    One output is drawn in shades, with the line where it changes sides: 0.5 behind a sigmoid, 0 behind a tanh. Of
    several outputs, as those of a softmax, each region has the colour of the largest one, the fainter the nearer the
    others are. Points have the shade or the colour, and the marker, of what is true of them.

    Parameters
    ----------
    network : Network
    inputs : array_like, (rows, n_inputs), optional
        Rows, which also say how far the plane reaches; of many 1,000 are drawn. By default it is that from 0 to 1.
    targets : array_like, (rows, n_outputs), or (rows,), optional
        What is true of the rows: outputs, or class numbers.
    output : int, optional
        Which of several outputs is drawn, alone and in shades.
    columns : (int, int), optional
        Which inputs are the plane's, to the right and upwards; by default the only two.
    at : array_like, (n_inputs,), optional
        What the others are held at; by default their mean over `inputs`.
    axes : matplotlib.axes.Axes, optional
        Where to draw; by default in a new figure.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ImportError
        Matplotlib is not installed.
    ValueError
        The network takes more than two inputs and `columns` does not say which, or one; or shapes do not fit.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from nineline import Network
    >>> from nineline.view import plot_decision
    >>> X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], [[0], [1], [1], [0]]
    >>> plot_decision(Network(2, 4, 1, rng=1), X, y, axes=Figure().subplots()).get_xlabel()
    'input 1'
    """
    columns = _columns(network, columns)
    if output is not None and not 0 <= output < network.n_outputs:
        raise ValueError(f"output is {output}; the network has {network.n_outputs}, 0 to {network.n_outputs - 1}")
    rows = None if inputs is None else _checks.matrix("inputs", inputs, network.n_inputs, "the network", network.dtype)
    truth = None if targets is None else _truth(targets, rows, network.n_outputs, output)
    across, up = _reach(rows, columns)
    x, y = np.meshgrid(across, up)
    plane = np.tile(_held(network, rows, at), (x.size, 1))
    plane[:, columns[0]], plane[:, columns[1]] = x.ravel(), y.ravel()
    answers = network.run(plane.astype(network.dtype))
    axes = new_axes(5.6, 4.6) if axes is None else axes
    start_over(axes)
    extent = float(across[0]), float(across[-1]), float(up[0]), float(up[-1])
    shades = network.n_outputs == 1 or output is not None
    if shades:
        image, scale = _shade(axes, network, (x, y), answers[:, output or 0].reshape(x.shape), truth, extent)
    else:
        _colour_regions(axes, answers.reshape(*x.shape, -1), extent)
    left_out = not_finite(answers)
    if rows is not None:
        kept = sampled(len(rows), _POINTS)
        if len(rows) > _POINTS:
            left_out += f" ({_POINTS:,} of {len(rows):,} rows drawn)"
        points = rows[kept][:, list(columns)]
        if truth is None:
            axes.plot(*points.T, "o", markersize=4, color=LIGHT.ink, markeredgecolor="white", markeredgewidth=0.6)
        elif shades:
            axes.scatter(
                points[:, 0], points[:, 1], c=truth[kept], s=28, edgecolors=LIGHT.ink, linewidths=0.8, zorder=3, **scale
            )
        else:
            _mark_classes(axes, points, truth[kept].astype(int), network.n_outputs)
    axes.set(xlim=extent[:2], ylim=extent[2:])
    axes.set_xlabel(f"input {columns[0] + 1}{left_out}")
    axes.set_ylabel(f"input {columns[1] + 1}")
    grid(axes, palette_of(axes))
    axes.grid(visible=False)
    if shades:
        colour_bar(axes, image, "answer" if network.n_outputs == 1 else f"output {output}")
    return axes


def _columns(network: Network, columns: Sequence[int] | None) -> tuple[int, int]:
    if columns is None:
        if network.n_inputs == 2:
            return 0, 1
        ways = "plot_hidden(network, layer=-1) draws it" if network.n_inputs == 1 else "say which: columns=(0, 1)"
        raise ValueError(f"the network takes {network.n_inputs} inputs; a plane needs two: {ways}")
    there = range(network.n_inputs)
    if len(columns) != 2 or columns[0] == columns[1] or not all(type(c) is int and c in there for c in columns):
        raise ValueError(f"columns is {columns!r}; expected two different numbers from 0 to {network.n_inputs - 1}")
    return columns[0], columns[1]


def _truth(targets: Any, rows: Array | None, outputs: int, output: int | None) -> npt.NDArray[np.float64]:
    """Return what is true of each row, (rows,): a class, or a number."""
    if rows is None:
        raise ValueError("targets is given and inputs is not; give the rows whose targets they are")
    truth: Any = np.asarray(targets, np.float64)
    if truth.shape not in ((len(rows),), (len(rows), 1), (len(rows), outputs)):
        raise ValueError(f"targets has shape {truth.shape}; expected ({len(rows)}, {outputs}), or ({len(rows)},)")
    if outputs == 1:
        return truth.reshape(-1)
    given = truth.ndim == 1 or truth.shape[1] == 1
    classes = truth.reshape(-1) if given else truth.argmax(axis=1)
    if given and not np.isin(classes, np.arange(outputs)).all():
        raise ValueError(f"targets holds numbers that are none of the {outputs} classes, 0 to {outputs - 1}")
    if output is None:
        return classes
    return (classes == output).astype(np.float64) if given else truth[:, output]


def _reach(rows: Array | None, columns: tuple[int, int]) -> list[npt.NDArray[np.float64]]:
    """Return the places along each axis."""
    found = []
    for column in columns:
        low, high = (0.0, 1.0) if rows is None else (float(rows[:, column].min()), float(rows[:, column].max()))
        margin = _MARGIN * (high - low or 1.0)
        found.append(np.linspace(low - margin, high + margin, _PLACES))
    return found


def _held(network: Network, rows: Array | None, at: npt.ArrayLike | None) -> npt.NDArray[np.float64]:
    if at is not None:
        held = np.asarray(at, np.float64)
        if held.shape != (network.n_inputs,):
            raise ValueError(f"at has shape {held.shape}; expected one row of inputs, ({network.n_inputs},)")
        return held
    return np.zeros(network.n_inputs) if rows is None else rows.mean(axis=0, dtype=np.float64)


def _shade(
    axes: Axes, network: Network, plane: tuple[Array, Array], answers: Array, truth: Array | None, extent: Any
) -> tuple[Any, dict[str, Any]]:
    """Draw one output in shades, and the line where it changes sides; return the image, and its scale for points."""
    every = answers.ravel() if truth is None else np.concatenate([answers.ravel(), truth])
    every, answers = every[np.isfinite(every)], finite_of(answers)
    if not len(every):
        raise ValueError("no answer of the network over the plane is finite; nothing to draw")
    scale = answers_scale(every)
    if network.output_layer.activation not in (Sigmoid(), Tanh()):  # a quantity: from its lowest to its highest
        scale |= {"vmin": float(every.min()), "vmax": float(every.max()) + 1e-12}
    image = axes.imshow(answers, origin="lower", extent=extent, aspect="auto", **scale)
    side = {Sigmoid: 0.5, Tanh: 0.0}.get(type(network.output_layer.activation))
    if side is not None and answers.min() < side < answers.max():
        axes.contour(*plane, answers, levels=[side], colors=[LIGHT.ink], linewidths=1.2)
    return image, {name: scale[name] for name in ("cmap", "vmin", "vmax")}


def _colour_regions(axes: Axes, answers: Array, extent: Any) -> None:
    """Draw of each place the largest output as a colour, the fainter the nearer the others are."""
    from matplotlib.colors import to_rgb

    colours = palette_of(axes)
    count = answers.shape[2]
    finite: Any = np.isfinite(answers).all(axis=2)
    if not finite.any():
        raise ValueError("no answer of the network over the plane is finite; nothing to draw")
    answers = np.where(finite[..., np.newaxis], answers, 0)
    of_class = np.array([to_rgb(colours.classes[number % len(colours.classes)]) for number in range(count)])
    ranked = np.sort(answers, axis=2)
    lead = ranked[..., -1] - ranked[..., -2]
    strength = 0.12 + 0.5 * np.clip(lead / (float(lead.max()) or 1.0), 0, 1)[..., np.newaxis]
    strength[~finite] = 0
    paper = np.array(to_rgb(colours.paper))
    axes.imshow(
        paper + strength * (of_class[answers.argmax(axis=2)] - paper), origin="lower", extent=extent, aspect="auto"
    )


def _mark_classes(axes: Axes, points: Array, classes: npt.NDArray[np.int_], count: int) -> None:
    colours = palette_of(axes)
    for number in range(count):
        mine = points[classes == number]
        if len(mine):
            axes.plot(
                mine[:, 0],
                mine[:, 1],
                _MARKERS[number % len(_MARKERS)],
                linestyle="none",
                markersize=5.5,
                color=colours.classes[number % len(colours.classes)],
                markeredgecolor=colours.paper,
                markeredgewidth=0.7,
                label=f"class {number}",
            )
    if count <= len(_MARKERS):
        axes.legend(frameon=False, labelcolor=colours.ink, fontsize=9, loc="center left", bbox_to_anchor=(1, 0.5))
