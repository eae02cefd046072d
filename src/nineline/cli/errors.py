"""What the command line says where something is wrong, and whose mistake that is."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Final

from nineline import _checks

_MESSAGE_AT_MOST: Final = 2000  # characters of an error


def is_of_input(error: Exception) -> bool:
    """Return whether an error is of what was given, and not a mistake of nineline's own."""
    from polars.exceptions import PolarsError

    from nineline._extras import MissingExtraError
    from nineline.parallel import ParallelError
    from nineline.training.errors import DivergenceError

    ours = DivergenceError, MissingExtraError, ParallelError, PolarsError
    return isinstance(error, (ValueError, TypeError, OSError, MemoryError, *ours))


def is_first() -> bool:
    """Return whether this is the process that speaks: it is alone, or the first of those that mpiexec started."""
    mpi = sys.modules.get("mpi4py.MPI")
    return mpi is None or mpi.COMM_WORLD.Get_rank() == 0


def said_of(error: Exception) -> str:
    """Return an error in words, as a terminal may show them."""
    if isinstance(error, MemoryError):
        return f"there is not enough memory{f': {error}' if str(error) else ''}; take fewer rows or columns"
    text = str(error)
    if not is_of_input(error):
        text = f"{type(error).__name__}: {text} (a mistake of nineline's own; nineline --debug ... shows where)"
    if len(text) > _MESSAGE_AT_MOST:  # what came is longer than what is said of it
        text = f"{text[: _MESSAGE_AT_MOST // 2]} … {text[-_MESSAGE_AT_MOST // 4 :]}"
    return "\n".join(_checks.printable(line, _MESSAGE_AT_MOST) for line in text.split("\n"))


def drop_output() -> None:
    """Let what is still to be written to standard output go nowhere, for it cannot be written."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
