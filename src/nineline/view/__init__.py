"""Pictures of a network and of its training. They need matplotlib: ``pip install "nineline[plot]"``.

A picture reads a network and never changes it. Each function draws into the axes it is given, or makes its
own, and returns them. A trace, `nineline.view.trace`, is made of numbers and text, and needs no matplotlib.
"""

from nineline.view.answers import plot_hidden
from nineline.view.curves import plot_histories, plot_history
from nineline.view.decision import plot_decision
from nineline.view.diagram import draw_network
from nineline.view.landscape import Landscape, loss_landscape, plot_landscape
from nineline.view.layer_statistics import plot_statistics
from nineline.view.weights import plot_weights

__all__ = [
    "Landscape",
    "draw_network",
    "loss_landscape",
    "plot_decision",
    "plot_hidden",
    "plot_histories",
    "plot_history",
    "plot_landscape",
    "plot_statistics",
    "plot_weights",
]
