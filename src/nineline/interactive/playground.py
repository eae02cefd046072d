"""playground: the door of a notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nineline._extras import need

if TYPE_CHECKING:
    import numpy.typing as npt

    from nineline.interactive.widget import Playground
    from nineline.network import Network


def playground(
    network: Network, X: npt.ArrayLike | None = None, y: npt.ArrayLike | None = None, **rule: Any
) -> Playground:
    """Return the playground of a network and its rows as a widget, which a notebook's cell shows.

    Parameters
    ----------
    network : Network
        Dense layers, and dropout behind them: six hidden layers of 32 nodes at most. It is trained.
    X, y : array_like, (rows, n_inputs) and (rows, n_outputs), optional
        As `Network.train` takes them. Without them there are 200 points at random, and the network's own answers.
    **rule
        What the page begins with: ``loss`` (by default the mean one that fits the output; "sum_of_squares" is the
        tutorial's), ``optimizer`` ("adam"), ``learning_rate`` (0.01), ``batch_size`` (32; None: all rows), ``l1``,
        ``l2``. All can be changed on the page.

    Returns
    -------
    nineline.interactive.widget.Playground
        With `pause`, `close`, and the network.

    Raises
    ------
    ImportError
        anywidget is not installed.
    ValueError, TypeError
        The network has layers that a page does not draw, or the rows do not fit it.

    Examples
    --------
    >>> from nineline import Network, playground
    >>> X, y = [[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]], [[0], [1], [1], [0]]
    >>> page = playground(Network(3, 6, 1, rng=1), X, y, loss="sum_of_squares", batch_size=None)
    >>> page.session.run.step
    0
    >>> page.close()
    """
    need("anywidget", "playground", "a playground in a notebook")
    from nineline.interactive.opening import open_network
    from nineline.interactive.widget import Playground

    return Playground(open_network(network, X, y, **rule), network)
