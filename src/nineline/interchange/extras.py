"""Packages that only some need: imported when asked for, with the way to install them where they are absent."""

from __future__ import annotations

import importlib
from typing import Any


def need(module: str, extra: str) -> Any:
    """Return a module that an extra brings.

    Raises
    ------
    ImportError
        It is not installed; the message says how to install it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        how = f'pip install "nineline[{extra}]"' if extra == "onnx" else f"pip install {extra}"
        raise ImportError(f"{module} is not installed; install it first: {how}", name=module) from error
