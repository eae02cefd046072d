"""The container: a description and arrays in one file, safe to open.

It is safetensors: a JSON header and raw arrays, nothing that runs. Under its metadata key ``nineline`` lies a JSON
text with a format version, a digest and what the arrays belong to. The digest is the SHA-256 of the whole file with
the digest's own 64 characters taken as zeros, so that a change of any byte is found. `nineline.writing` writes it, as
a whole or not at all. docs/format.md describes the format.

A file may come from a stranger. Its header is bounded and read first; what it says about sizes is held against the
file before memory is taken, every name and number is checked, and whatever is wrong comes out as a `FileError`.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from nineline import _checks
from nineline.writing import write_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from io import BufferedReader

    from nineline._typing import Array

FORMAT_VERSION: Final = 5
_KEY: Final = "nineline"
_NO_DIGEST: Final = "0" * 64
_HALVES: Final = re.compile("[\ud800-\udfff]")  # of characters, which UTF-8 does not have
_DTYPES: Final = {"F32": "<f4", "F64": "<f8", "I64": "<i8"}
_HEADER_AT_MOST: Final = 2**26  # bytes; a table of a thousand columns of 64 levels each takes a twentieth of it
_ARRAYS_IN_HEADER: Final = 2**22  # of them, for the arrays of as many networks as any estimator has
_DIGITS_AT_MOST: Final = 40  # of a number; a random generator's state has 39
_MESSAGE_AT_MOST: Final = 4000  # characters


class FileError(ValueError):
    """A file is not a model that this version of nineline can read; the message names the file and the reason.

    What it quotes from the file is cut where it is long, and holds nothing that a terminal would obey.
    """

    def __init__(self, message: str) -> None:
        super().__init__(_checks.printable(message, _MESSAGE_AT_MOST))


def write(path: str | os.PathLike[str], kind: str, content: Mapping[str, Any], arrays: Mapping[str, Array]) -> None:
    """Write arrays and a description to a file: all of it, or nothing."""
    from safetensors.numpy import save as to_bytes

    header = {"format_version": FORMAT_VERSION, "digest": _NO_DIGEST, "kind": kind, **content}
    text = _as_json(header)
    plain = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    data = to_bytes(plain, metadata={_KEY: text})
    _check_length(int.from_bytes(data[:8], "little"))
    write_bytes(path, data.replace(_NO_DIGEST.encode(), hashlib.sha256(data).hexdigest().encode(), 1))


def check_description(content: Mapping[str, Any]) -> None:
    """Raise ValueError where a description, nearly whole, is none that a file can hold."""
    _check_length(len(json.dumps(_as_json(content), ensure_ascii=False).encode()) + _ARRAYS_IN_HEADER)


def _check_length(length: int) -> None:
    if length > _HEADER_AT_MOST:
        raise ValueError(
            f"what describes the model takes {length:,} bytes, and a file takes {_HEADER_AT_MOST:,}: names of columns, "
            "levels of categories or classes are too long or too many; shorten them, or leave such columns out"
        )


def _as_json(content: Mapping[str, Any]) -> str:
    """Return a description as a file holds it, after making sure that it reads as the same."""

    def text_of(values: Any) -> str:
        text = json.dumps(values, allow_nan=False, ensure_ascii=False)
        return _HALVES.sub(lambda half: f"\\u{ord(half[0]):04x}", text)

    text = text_of(content)
    if text_of(_from_json(text)) != text:
        raise ValueError(
            "a text holds two halves of a character (surrogates) side by side, which would be read as that character; "
            "decode the table's texts again"
        )
    return text


def read(path: str | os.PathLike[str], *kinds: str) -> tuple[dict[str, Any], dict[str, Array]]:
    """Return a file's description and arrays, after making sure that it is whole and of one of `kinds`."""
    name = os.fspath(path)
    with within_memory(path), Path(path).open("rb") as file:
        header, blocks, start = _header(name, file)
        digest = header.get("digest")
        if not isinstance(digest, str) or not re.fullmatch("[0-9a-f]{64}", digest):
            raise FileError(f"{name} holds no digest; it has been altered")
        before, _, after = start.partition(digest.encode())
        found = hashlib.sha256(before + _NO_DIGEST.encode())
        found.update(after)
        arrays = {}
        for key, block in blocks.items():
            arrays[key] = np.empty(block.shape, block.dtype)
            data = arrays[key].reshape(-1).view(np.uint8).data
            file.readinto(data)
            found.update(data)
    if found.hexdigest() != digest:
        raise FileError(f"{name} has been altered or damaged: its digest does not match; take a whole copy")
    if header.get("kind") not in kinds:
        raise FileError(f"{name} holds a {header.get('kind')} model, expected {' or '.join(kinds)}")
    return header, arrays


def read_header(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return a file's description without loading its arrays; nothing is checked against the digest."""
    name = os.fspath(path)
    with within_memory(path), Path(path).open("rb") as file:
        return _header(name, file)[0]


@contextlib.contextmanager
def within_memory(path: str | os.PathLike[str]) -> Iterator[None]:
    """Make a FileError of memory that is not there for what a file holds."""
    try:
        yield
    except MemoryError:
        raise FileError(f"{os.fspath(path)} takes more memory than there is") from None


@dataclass(frozen=True)
class _Block:
    """An array in a file, as the container's header describes it."""

    begin: int
    end: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @classmethod
    def of(cls, entry: dict[str, Any], size: int) -> _Block:
        """Return a description from a file of so many bytes, after making sure that it makes sense."""
        begin, end = entry["data_offsets"]
        shape = tuple(entry["shape"])
        sizes = begin, end, *shape
        if any(type(each) is not int or not 0 <= each <= size for each in sizes) or entry["dtype"] not in _DTYPES:
            raise ValueError("their sizes or types are none")
        dtype = np.dtype(_DTYPES[entry["dtype"]])
        if len(shape) > 2:
            raise ValueError(f"one has {len(shape):,} axes, where ours have two at most")
        if math.prod(shape) * dtype.itemsize != end - begin:
            raise ValueError("a shape does not fit its bytes")
        return cls(begin, end, shape, dtype)


def _header(name: str, file: BufferedReader) -> tuple[dict[str, Any], dict[str, _Block], bytes]:
    """Return the description inside the container's header, its arrays in their order, and the bytes read for it."""
    size = os.fstat(file.fileno()).st_size
    start = file.read(8)
    length = int.from_bytes(start, "little")
    if len(start) < 8 or not 0 < length <= size - 8:
        raise FileError(f"{name} is no nineline file, or is cut off ({size:,} bytes)")
    if length > _HEADER_AT_MOST:
        raise FileError(f"{name} is no nineline file: its header of {length:,} bytes is longer than any of ours")
    start += file.read(length)
    try:
        container = _from_json(str(start[8:], "utf-8"))
        header = _from_json(container["__metadata__"][_KEY])
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
        raise FileError(f"{name} is no nineline file: its header is not one") from None
    if not isinstance(header, dict) or not isinstance(header.get("format_version"), int):
        raise FileError(f"{name} is no nineline file: it has no format version")
    if header["format_version"] > FORMAT_VERSION:
        raise FileError(
            f"{name} has format version {header['format_version']}, this nineline reads up to {FORMAT_VERSION}; "
            "install a newer nineline: pip install --upgrade nineline"
        )
    try:
        found = {key: _Block.of(entry, size) for key, entry in container.items() if key != "__metadata__"}
    except (KeyError, TypeError, ValueError) as error:
        raise FileError(f"{name} holds no valid arrays: {error}") from None
    blocks = dict(sorted(found.items(), key=lambda each: (each[1].begin, each[1].end)))
    place = 0
    for block in blocks.values():
        if block.begin != place:
            raise FileError(f"{name} holds no valid arrays: they do not lie one behind the other")
        place = block.end
    if place != size - len(start):
        raise FileError(f"{name} is cut off or altered: its {size:,} bytes are not as many as its header says")
    return header, blocks, start


def _from_json(text: str) -> Any:
    return json.loads(text, parse_int=_whole_number)


def _whole_number(digits: str) -> int:
    """Return what the digits say; the time that many of them take grows with their square."""
    if len(digits) > _DIGITS_AT_MOST:
        raise ValueError(f"a number has {len(digits):,} digits; a file takes {_DIGITS_AT_MOST} at most")
    return int(digits)
