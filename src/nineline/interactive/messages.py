"""Messages: how what a session says becomes bytes, and what a page says becomes a message.

To the page goes ``length of the header (uint32, little-endian), header (JSON), arrays``: the header is padded with
spaces so that the arrays, each of which is padded as well, begin at multiples of eight bytes; ``header["arrays"]`` says
what each is and where it begins, counted from the first. From the page comes JSON; or, with a file, its length, the
JSON, and the file.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from nineline import _checks

if TYPE_CHECKING:
    from collections.abc import Mapping

TEXT_AT_MOST: Final = 100_000
"""Characters of a message without a file."""
_TYPES: Final = {"float32", "float64", "uint8"}


def encode(header: Mapping[str, Any], arrays: Mapping[str, np.ndarray[Any, Any]] | None = None) -> bytes:
    """Return a message as bytes.

    Parameters
    ----------
    header : mapping
        Of what JSON knows; a number that is not finite becomes null.
    arrays : mapping of str to array, optional
        Of float32, float64 or uint8.

    Examples
    --------
    >>> import numpy as np
    >>> from nineline.interactive.messages import encode
    >>> message = encode({"type": "frame"}, {"answers": np.zeros((1, 4), np.float32)})
    >>> len(message) % 8, message[-16:] == bytes(16)
    (0, True)
    """
    described, pieces, start = [], [], 0
    for name, array in (arrays or {}).items():
        assert array.dtype.name in _TYPES, f"{name} is an array of {array.dtype}"
        content = np.ascontiguousarray(array).tobytes()
        described.append({"name": name, "type": array.dtype.name, "shape": list(array.shape), "start": start})
        pieces.append(content + bytes(-len(content) % 8))
        start += len(pieces[-1])
    text = json.dumps(_plain({**header, "arrays": described}), allow_nan=False).encode()
    text += b" " * (-(len(text) + 4) % 8)
    return b"".join([len(text).to_bytes(4, "little"), text, *pieces])


def decode(content: str | bytes) -> tuple[dict[str, Any], bytes]:
    """Return what a page says, and the file that it sent with it.

    Raises
    ------
    ValueError
        It is no such message.
    """
    text: str | bytes = content
    file = b""
    if isinstance(content, bytes):
        length = int.from_bytes(content[:4], "little")
        text, file = content[4 : 4 + length], content[4 + length :]
    if len(text) > TEXT_AT_MOST:
        raise ValueError(f"a message of {len(text):,} characters; expected {TEXT_AT_MOST:,} at most")
    try:
        message = json.loads(text, parse_constant=_refuse, parse_int=_short)
    except (ValueError, RecursionError):
        raise ValueError("a message that is no JSON") from None
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        raise ValueError("a message that says no type")
    return message, file


def whole(name: str, value: object) -> int:
    """Return what a message says as a whole number, or raise ValueError."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value // 1:
        raise ValueError(f"{name} is {_checks.quoted(value)}; expected a whole number")
    return int(value)


def whole_ones(name: str, value: object, count: int) -> Any:
    """Return a list of so many whole numbers as a tuple, or None where there is none; else raise ValueError."""
    if value is None:
        return None
    if not isinstance(value, list) or len(value) != count:
        raise ValueError(f"{name} is {_checks.quoted(value)}; expected {count} whole numbers")
    return tuple(whole(name, each) for each in value)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number of JSON")


def _short(digits: str) -> int:
    if len(digits) > 18:
        raise ValueError("a number of too many digits")
    return int(digits)


def _plain(value: Any) -> Any:
    """Return a value as JSON knows it."""
    if isinstance(value, (float, np.floating)):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, np.integer):
        return int(value)
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return value
