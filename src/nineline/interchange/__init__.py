"""Interchange: networks from elsewhere, and what is shipped to where there is no Python."""

from nineline.interchange.c import CProgram, to_c
from nineline.interchange.onnx import from_onnx, to_onnx
from nineline.interchange.python import to_python
from nineline.interchange.sklearn import from_sklearn
from nineline.interchange.torch import from_torch, to_torch

__all__ = ["CProgram", "from_onnx", "from_sklearn", "from_torch", "to_c", "to_onnx", "to_python", "to_torch"]
