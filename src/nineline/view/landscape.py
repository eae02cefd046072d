"""The loss landscape: how the loss goes around where a network stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from nineline import _checks
from nineline.networks import Networks
from nineline.training.layer_statistics import some_rows
from nineline.training.trainer import Trainer
from nineline.view.axes import colour_bar, grid, new_axes, start_over
from nineline.view.palette import LIGHT, depth_scale, palette_of

if TYPE_CHECKING:
    import numpy.typing as npt
    from matplotlib.axes import Axes

    from nineline._typing import Array, RandomSource
    from nineline.losses import Loss
    from nineline.network import Network

    Numbers = npt.NDArray[np.float64]

_AT_ONCE: Final = 2**23  # parameters of networks that are evaluated together
_LEVELS: Final = 14
_ROWS: Final = 1000


@dataclass(frozen=True, eq=False)
class Landscape:
    """A network's loss on a plane through its parameters.

    Attributes
    ----------
    offsets : array, (points,)
        How far from where the network stands, along each direction; the middle one is 0.
    losses : array, (points, points)
        ``losses[i, j]`` is that of ``parameters + offsets[j] * directions[0] + offsets[i] * directions[1]``; NaN or
        infinity where it is none.
    directions : array, (2, n)
    """

    offsets: Numbers
    losses: Numbers
    directions: Array

    @property
    def loss(self) -> float:
        """Where the network stands."""
        middle = len(self.offsets) // 2
        return float(self.losses[middle, middle])

    def plot(self, *, axes: Axes | None = None) -> Axes:
        """Draw it as contours, evenly spaced by the logarithm where it spans more than a factor of ten.

        Parameters
        ----------
        axes : matplotlib.axes.Axes, optional
            Where to draw; by default in a new figure.

        Returns
        -------
        matplotlib.axes.Axes
        """
        return _draw(self, axes)


def loss_landscape(
    network: Network,
    inputs: Any,
    targets: npt.ArrayLike,
    *,
    loss: str | Loss | None = None,
    span: float = 1.0,
    points: int = 25,
    rng: RandomSource = 0,
) -> Landscape:
    """Return a network's loss along two random directions from where it stands, filter-normalised.

    The directions d are normal noise, and what leads into each node, a column of weights w, is made as long as the
    network's own: ``d = d / |d| * |w|``. So networks can be compared, whatever the scale of their weights. Biases and
    the gains of a normalisation stay as they are. The network is left as it was.

    Parameters
    ----------
    network : Network
    inputs, targets
        Rows to compute the loss of, as for `Network.train`; of more than 1,000, so many drawn at random.
    loss : str or Loss, optional
        As in `Network.train`.
    span : float
        How far to go to each side: 1 is as far as the weights are long.
    points : int
        Places along each direction, odd, 3 or more.
    rng : int, numpy.random.Generator or None
        Draws the directions.

    Returns
    -------
    Landscape

    Raises
    ------
    ValueError, TypeError
        An argument is wrong.

    Examples
    --------
    >>> from nineline import Network
    >>> from nineline.view import loss_landscape
    >>> X, y = [[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]], [[0], [1], [1], [0]]
    >>> landscape = loss_landscape(Network(3, 6, 1, rng=1), X, y, points=5)
    >>> landscape.losses.shape, landscape.offsets
    ((5, 5), array([-1. , -0.5,  0. ,  0.5,  1. ]))

    References
    ----------
    Li, Xu, Taylor, Studer, Goldstein (2018), Visualizing the loss landscape of neural nets, NeurIPS, section 4.
    """
    span = _checks.number("span", span, low=0, low_open=True)
    points = _checks.positive_integer("points", points, minimum=3)
    if points % 2 == 0:
        raise ValueError(f"points is {points}; expected an odd number, so that the network stands on one of them")
    generator = _checks.generator("rng", rng)
    with np.errstate(over="ignore", invalid="ignore"):
        directions = np.stack([_direction(network, generator) for _ in range(2)])
    offsets = np.linspace(-span, span, points)
    offsets[points // 2] = 0.0
    places = np.stack(np.meshgrid(offsets, offsets), axis=-1).reshape(-1, 2)
    rows = len(Trainer(network.copy(), loss=loss, rng=0).check(inputs, targets))
    if rows > _ROWS:
        inputs, targets = some_rows(inputs, targets, rows, _ROWS)
    at_once = max(1, _AT_ONCE // max(1, len(network.parameters)))
    losses = np.empty(len(places))
    for start in range(0, len(places), at_once):
        part = slice(start, start + at_once)
        with np.errstate(over="ignore", invalid="ignore"):
            parameters = network.parameters + (places[part] @ directions).astype(network.dtype)
            losses[part] = Networks.within(network.copy(), parameters).evaluate(inputs, targets, loss=loss)
    return Landscape(offsets, losses.reshape(points, points), directions)


def plot_landscape(
    network: Network, inputs: Any, targets: npt.ArrayLike, *, axes: Axes | None = None, **options: Any
) -> Axes:
    """Draw a network's loss around where it stands.

    See `loss_landscape`, which has the parameters, and `Landscape.plot`.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ImportError
        Matplotlib is not installed.
    ValueError, TypeError
        An argument is wrong.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from nineline import Network
    >>> from nineline.view import plot_landscape
    >>> X, y = [[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]], [[0], [1], [1], [0]]
    >>> plot_landscape(Network(3, 6, 1, rng=1), X, y, points=5, axes=Figure().subplots()).get_xlabel()
    'along one random direction'
    """
    return loss_landscape(network, inputs, targets, **options).plot(axes=axes)


def _direction(network: Network, rng: np.random.Generator) -> Array:
    """Return normal noise, a filter of it as long as the network's: a column of weights, or a row of vectors."""
    direction = np.zeros(len(network.parameters))
    for block in network.blocks:
        if len(block.shape) < 2:
            continue
        axis = 1 if block.kind == "vectors" else 0
        own = network.parameters[block.place].reshape(block.shape).astype(np.float64)
        noise = rng.normal(size=block.shape)
        noise *= np.linalg.norm(own, axis=axis, keepdims=True) / np.linalg.norm(noise, axis=axis, keepdims=True)
        direction[block.place] = noise.ravel()
    return direction


def _draw(landscape: Landscape, axes: Axes | None) -> Axes:
    finite = np.isfinite(landscape.losses)
    if not finite.any():
        raise ValueError("the loss is finite nowhere; nothing to draw")
    axes = new_axes(5.6, 4.6) if axes is None else axes
    start_over(axes)
    colours = palette_of(axes)
    losses = np.ma.masked_where(~finite, landscape.losses)
    image, levels = _contours(axes, landscape.offsets, losses)
    axes.plot([0], [0], "o", markersize=8, color="white", markeredgecolor=LIGHT.ink, markeredgewidth=1.5)
    axes.set_xlabel("along one random direction")
    axes.set_ylabel("along another")
    gone = int((~finite).sum())
    left_out = f", not finite in {gone} of {finite.size} places" if gone else ""
    axes.set_title(f"loss {landscape.loss:.4g} where the network stands{left_out}", fontsize=10, color=colours.ink)
    axes.locator_params(nbins=5)
    grid(axes, colours)
    axes.grid(visible=False)
    colour_bar(axes, image, "loss", levels[::3].tolist())
    return axes


def _contours(axes: Axes, offsets: Numbers, losses: Any) -> tuple[Any, Numbers]:
    """Draw filled contours, dark where the loss is low, and lines between them; return them and their levels."""
    from matplotlib.colors import LogNorm, Normalize

    low, high = float(losses.min()), float(losses.max())
    wide = low > 0 and high > 10 * low
    if not high > low:
        high = low + (abs(low) or 1.0) * 1e-6
    levels = np.geomspace(low, high, _LEVELS) if wide else np.linspace(low, high, _LEVELS)
    norm = LogNorm(low, high) if wide else Normalize(low, high)
    image = axes.contourf(offsets, offsets, losses, levels=levels, cmap=depth_scale(), norm=norm)
    axes.contour(offsets, offsets, losses, levels=levels, colors=[LIGHT.ink], linewidths=0.4, alpha=0.4)
    return image, levels
