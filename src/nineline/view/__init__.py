"""Pictures of a network and of its training. They need matplotlib: ``pip install "nineline[plot]"``.

A picture reads a network and never changes it. Each function draws into the axes it is given, or makes its
own, and returns them. A trace, `nineline.view.trace`, is made of numbers and text, and needs no matplotlib.
"""

from nineline.view.answers import plot_hidden
from nineline.view.curves import plot_histories, plot_history
from nineline.view.diagram import draw_network

__all__ = ["draw_network", "plot_hidden", "plot_histories", "plot_history"]
