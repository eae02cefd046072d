"""A network as ONNX, and networks from ONNX files.

The graph computes in float32, takes any number of rows, and uses opset 17 and version 3 of ai.onnx.ml, which runtimes
have known since 2022. In this folder ``onnx`` is the installed package; it is imported where it is needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nineline._extras import need
from nineline.interchange.model import TrainedModel
from nineline.interchange.onnx.network import model_of
from nineline.interchange.onnx.reader import from_onnx

if TYPE_CHECKING:
    import onnx

__all__ = ["from_onnx", "to_onnx"]


def to_onnx(model: object, name: str = "network") -> onnx.ModelProto:
    """Write a network, or a fitted estimator with its columns, as an ONNX model (needs the extra ``onnx``).

    A network takes ``inputs``, (rows, n_inputs) of float32, and gives ``outputs``, (rows, n_outputs). An estimator of a
    table takes an input for each column, (rows, 1): numbers, true and false (1 and 0) and dates (days since 1970-01-01,
    the time of day as a fraction) as float64 with NaN for missing, text as strings, stripped of blanks, with "" for
    missing. A classifier gives ``label``, (rows,), and ``probabilities``, (rows, classes); a regressor ``prediction``,
    (rows, 1).

    Parameters
    ----------
    model : Network or estimator of nineline's
    name : str
        Of the graph.

    Returns
    -------
    onnx.ModelProto
        To be written with ``onnx.save(model, path)``. Its metadata say what wrote it, and the target and its classes.

    Raises
    ------
    ImportError
        onnx is not installed.
    TypeError, ValueError
        The model is none, or holds an activation of your own.

    Examples
    --------
    >>> from nineline import Network
    >>> from nineline.interchange import to_onnx
    >>> [node.op_type for node in to_onnx(Network(3, 6, 1)).graph.node]
    ['Gemm', 'Sigmoid', 'Gemm', 'Sigmoid']
    """
    onnx = need("onnx", "onnx")
    proto = model_of(TrainedModel.of(model).astype(np.dtype(np.float32)), name)
    onnx.checker.check_model(proto, full_check=True)
    return proto
