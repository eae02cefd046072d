"""A thousand random starts of the tutorial's network: how many learn, and what is the matter with those that do not.

The weights that a network begins with decide where it ends. Here the tutorial's function is learned a thousand times
over with two, three, four and six hidden nodes, side by side; the last is the tutorial's network. What is seen:
all of those learn it, and of those with two nodes a quarter.

What tells those that fail is what their hidden nodes make of the rows. In some, two rows that should be answered
differently are the same to every hidden node, and no output node can tell them apart. In the others a row turns every
hidden node off, and sigmoid(0) is 0.5, whatever the weights behind. Both are for good: a hidden node that is all the
way on or off has no slope, so its weights stand still. With six nodes there are always some left that tell.

    python examples/starts.py [PICTURE.png]
"""

from __future__ import annotations

import sys

import numpy as np

from nineline import Histories, Networks

X = np.array([[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]])
Y = np.array([[0], [1], [1], [0]])
HIDDEN = (2, 3, 4, 6)


def learn(hidden: int, starts: int = 1000) -> tuple[Networks, Histories]:
    """Train so many networks, each from weights of its own."""
    networks = Networks(starts, 3, hidden, 1, rng=0)
    return networks, networks.train(X, Y, report_every=0)


def learned(networks: Networks) -> np.ndarray:
    """Return which networks are less than a quarter off at every row."""
    return (np.abs(networks.run(X) - Y) < 0.25).all(axis=(1, 2))


def told_apart(networks: Networks) -> np.ndarray:
    """Return how far apart hidden nodes keep what has to be kept apart: at least so much.

    It is the distance between their answers to two rows that should be answered differently, and from all of them off.
    """
    hidden = np.stack([network.layers[0].forward(X) for network in networks])
    zeros, ones = hidden[:, Y[:, 0] == 0], hidden[:, Y[:, 0] == 1]
    pairs = np.linalg.norm(zeros[:, :, None] - ones[:, None, :], axis=-1).min(axis=(1, 2))
    return np.minimum(pairs, np.linalg.norm(hidden, axis=2).min(axis=1))


def draw(networks: Networks, history: Histories, shares: dict[int, float], picture: str) -> None:
    """Draw the losses, how many learn, and what tells those that fail."""
    import matplotlib.pyplot as plt

    right, apart = learned(networks), told_apart(networks)
    figure, (curves, bars, nodes) = plt.subplots(1, 3, figsize=(13, 4), layout="constrained")
    history.plot(axes=curves, highlight=~right)
    curves.set_title("two hidden nodes; those that fail in vermilion", fontsize="medium")
    shown = bars.bar([str(hidden) for hidden in shares], [100 * share for share in shares.values()], color="#0072B2")
    bars.bar_label(shown, fmt="%.1f %%")
    bars.set(xlabel="hidden nodes", ylabel="starts that learn, %", ylim=(0, 110))
    bars.set_title("how many learn", fontsize="medium")
    bins = np.linspace(0, apart.max(), 40)
    nodes.hist([apart[right], apart[~right]], bins, stacked=True, color=["#0072B2", "#D55E00"], label=["learn", "fail"])
    nodes.set(xlabel="how far apart hidden nodes keep\nwhat they keep apart worst", ylabel="networks")
    nodes.set_title("two hidden nodes, after training", fontsize="medium")
    nodes.legend(loc="upper center", frameon=False)
    for axes in (bars, nodes):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(picture, dpi=80)
    plt.close(figure)


def main(picture: str | None = None, starts: int = 1000) -> dict[int, float]:
    shares = {}
    for hidden in HIDDEN:
        networks, history = learn(hidden, starts)
        right, apart = learned(networks), told_apart(networks)
        shares[hidden] = float(right.mean())
        failing = "" if right.all() else f"; of those that fail {apart[~right].max():.3f} at most"
        print(
            f"{hidden} hidden nodes: {right.sum():>5,} of {starts:,} learn. What is kept apart worst is "
            f"{apart[right].min():.2f} apart at least{failing}"
        )
        if hidden == HIDDEN[0]:
            narrow = networks, history
    if picture is not None:
        draw(*narrow, shares, picture)
    return shares


if __name__ == "__main__":
    main(*sys.argv[1:])
