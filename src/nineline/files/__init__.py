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
from nineline.files.networks import CHECKPOINT_OF_NETWORKS, NETWORKS, load_networks, save_networks

__all__ = [
    "CHECKPOINT_OF_NETWORKS",
    "FORMAT_VERSION",
    "NETWORKS",
    "TRAINER",
    "FileError",
    "check_description",
    "describe",
    "in_words",
    "load",
    "load_networks",
    "read",
    "read_header",
    "rebuild",
    "save",
    "save_networks",
    "tensors",
    "within_memory",
    "write",
]
