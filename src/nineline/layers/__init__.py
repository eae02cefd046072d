"""Layers: forward beside backward, a kind a file.

`contract` says what a layer is, `dense` is the tutorial's, with its nine lines, and `dropout` draws. To add a kind,
write a class of `AbstractLayer` in a file here and enter it in `LAYERS`.
"""

from typing import Final

from nineline.layers.contract import AbstractLayer
from nineline.layers.dense import Layer, Seen, summary
from nineline.layers.dropout import Dropout

__all__ = ["LAYERS", "AbstractLayer", "Dropout", "Layer", "Seen", "summary"]

LAYERS: Final[dict[str, type[AbstractLayer]]] = {kind.kind: kind for kind in (Layer, Dropout)}
"""Every kind of layer under the name it has in a file."""
