"""Layers: forward beside backward, a kind a file.

`contract` says what a layer is, `dense` is the tutorial's, with its nine lines, `dropout` draws, `embedding` looks
vectors up, `layer_norm` scales, and `residual` adds what went into some layers to what comes out. To add a kind, write
a class of `AbstractLayer` in a file here and enter it below.
"""

from nineline.layers.contract import LAYERS, LAYERS_AT_MOST, AbstractLayer, compute_chain, curvature_of_chain, kind_of
from nineline.layers.dense import Layer, Seen, summary
from nineline.layers.dropout import Dropout
from nineline.layers.embedding import Embedding
from nineline.layers.layer_norm import LayerNorm
from nineline.layers.residual import Residual

__all__ = [
    "LAYERS",
    "LAYERS_AT_MOST",
    "AbstractLayer",
    "Dropout",
    "Embedding",
    "Layer",
    "LayerNorm",
    "Residual",
    "Seen",
    "compute_chain",
    "curvature_of_chain",
    "kind_of",
    "summary",
]

LAYERS.update({kind.kind: kind for kind in (Layer, Dropout, Embedding, LayerNorm, Residual)})
