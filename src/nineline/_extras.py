"""Packages that only some need: imported when asked for, with the way to install them where they are absent."""

from __future__ import annotations

from importlib import import_module
from typing import Any


class MissingExtraError(ImportError):
    """A package is not installed that only some of nineline needs; the message says how to install it."""


def need(module: str, extra: str | None, what: str = "") -> Any:
    """Return a module that an extra brings.

    Parameters
    ----------
    module : str
    extra : str or None
        The extra of this project; None: the package is installed under its own name.
    what : str
        What needs it, for the message: "pictures".

    Raises
    ------
    MissingExtraError
        It is not installed; the message says how to install it.

    Examples
    --------
    >>> from nineline._extras import need
    >>> need("math", "plot").sqrt(4.0)
    2.0
    """
    try:
        return import_module(module)
    except ImportError as error:
        if extra is None:
            how = f"pip install {module}"
        else:
            how = f'pip install "nineline[{extra}]", or from a clone of it: pip install ".[{extra}]"'
        needed = f"{what} needs {module}, which is not installed" if what else f"{module} is not installed"
        raise MissingExtraError(f"{needed}; install it first: {how}", name=module) from error
