"""Files: one file a model, safe to open.

What a file is made of stands in `container`, what it says of a network in `network`. docs/format.md describes both.
"""

from nineline.files.container import (
    FORMAT_VERSION,
    FileError,
    check_description,
    read,
    read_header,
    within_memory,
    write,
)
from nineline.files.network import TRAINER, describe, in_words, load, rebuild, save, tensors

__all__ = [
    "FORMAT_VERSION",
    "TRAINER",
    "FileError",
    "check_description",
    "describe",
    "in_words",
    "load",
    "read",
    "read_header",
    "rebuild",
    "save",
    "tensors",
    "within_memory",
    "write",
]
