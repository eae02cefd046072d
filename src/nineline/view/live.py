"""Live: a training as a picture in a notebook, drawn anew in its place while it goes on."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Self, final

import numpy as np

from nineline.rows import sampled
from nineline.training.progress import Progress, in_notebook
from nineline.view.answers import plot_hidden
from nineline.view.axes import require_matplotlib
from nineline.view.curves import plot_history
from nineline.view.decision import plot_decision
from nineline.view.notebook import picture, shown
from nineline.view.palette import LIGHT

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt
    from matplotlib.axes import Axes

    from nineline._typing import Array
    from nineline.network import Network
    from nineline.training.history import History

_EVERY: Final = 0.3  # seconds at least between two pictures
_SHARE: Final = 0.1  # of the time at most, that drawing takes
_ROWS: Final = 500
_SIZE: Final = (5.0, 3.3)


@final
class Live(Progress):
    """The curve of a training, and of a network of one or two inputs what it answers over its data.

    Each picture takes the place of the one before, in the output of the cell; the last one stays there when the
    notebook is kept. Drawing takes a tenth of the time at most. Ctrl-C, or the kernel's stop button, ends the training
    as ever.

    Parameters
    ----------
    network : Network
        The one that is trained.
    inputs, targets : array, (rows, width), or None
        The data, where they are at hand.
    epochs : int
        How many there are to be.

    Raises
    ------
    ValueError
        There is no notebook.
    ImportError
        Matplotlib is not installed.
    """

    def __init__(self, network: Network, inputs: Array | None, targets: npt.NDArray[Any] | None, epochs: int) -> None:
        if not in_notebook():
            raise ValueError("live is True, and this is no notebook; in a terminal progress=True shows a bar")
        require_matplotlib()
        self.network, self.epochs = network, epochs
        self._surface = _surface(network, inputs, targets)
        self._history: History | None = None
        self._next = 0.0
        self._handle: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._history is not None and self._history.loss:
            self._draw(self._history)

    def update(self, epochs: float, rows: int, history: History) -> None:
        self._history = history
        began = time.monotonic()
        if began < self._next or not history.loss:
            return
        self._draw(history)
        now = time.monotonic()
        self._next = now + max(_EVERY, (now - began) / _SHARE)

    def _draw(self, history: History) -> None:
        """Show how far it is, in place of what was shown before."""
        from IPython import display

        losses = f"loss {history.loss[-1]:.4g}"
        if history.validation_loss:
            losses += f", validation {history.validation_loss[-1]:.4g}"
        said = (
            f"epoch {history.epochs:,} of {self.epochs:,}, {losses}{f'; {history.stopped}' if history.stopped else ''}"
        )
        parts = []
        if np.isfinite(history.loss).any():
            parts.append(picture(lambda axes: plot_history(history, axes=axes), *_SIZE, "loss over the epochs"))
        if self._surface is not None:
            parts.append(picture(self._surface, *_SIZE, "what the network answers"))
        side_by_side = f'<div style="display:flex;flex-wrap:wrap;gap:1em">{"".join(parts)}</div>'
        show: Any = display
        page = show.HTML(shown(said, side_by_side))
        if self._handle is None:
            self._handle = show.display(page, display_id=True)
        else:
            self._handle.update(page)


def _surface(network: Network, inputs: Array | None, targets: npt.NDArray[Any] | None) -> Callable[[Axes], Any] | None:
    """Return what draws the answers over the data, or None where there is nothing to draw."""
    if inputs is None or targets is None or network.n_inputs > 2 or network.layers[0].reads_data:
        return None
    kept = sampled(len(inputs), _ROWS)
    some, truth = inputs[kept], targets[kept]
    if network.n_inputs == 2:
        return lambda axes: plot_decision(network, some, truth, axes=axes)
    return partial(_function, network, some, truth)


def _function(network: Network, inputs: Array, targets: npt.NDArray[Any], axes: Axes) -> None:
    """Draw a network of one input as curves over its data."""
    plot_hidden(network, inputs, layer=-1, axes=axes)
    if targets.ndim == 2 and targets.shape[1] == 1:
        axes.plot(inputs[:, 0], targets[:, 0], "o", markersize=3.5, color=LIGHT.grey, alpha=0.6, zorder=1)
        low, high = min(axes.get_ylim()[0], targets.min()), max(axes.get_ylim()[1], targets.max())
        axes.set_ylim(float(low), float(high))
