"""Words in exported C: names, comments, strings and tables of numbers, safe whatever a table's columns are called."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

    from nineline.interchange.c_math import Real

_KEYWORDS: Final = frozenset(
    re.findall(
        r"\w+",
        """
        auto break case char const continue default do double else enum errno extern float for goto if inline int long
        main register restrict return short signed sizeof static struct switch typedef union unsigned void volatile
        while and asm bool catch class delete explicit export false friend mutable namespace new not operator or private
        protected public template this throw true try typename using virtual xor
        """,
    )
)
"""Of C, and of C++, so that a header can be included there."""
_WIDTH: Final = 118


def identifier(text: str, taken: Iterable[str] = ()) -> str:
    """Return a name that C accepts, made of a text, different from those that are taken.

    Examples
    --------
    >>> from nineline.interchange.c_text import identifier
    >>> identifier("petal length (cm)"), identifier("class"), identifier("2nd"), identifier("a b", ["a_b"])
    ('petal_length_cm', 'class_', '_2nd', 'a_b_2')
    """
    name = re.sub(r"[^0-9a-z]+", "_", text.lower()).strip("_") or "column"
    name = f"_{name}" if name[0].isdigit() else f"{name}_" if name in _KEYWORDS else name
    taken, number, unique = set(taken), 1, name
    while unique in taken:
        number += 1
        unique = f"{name}_{number}"
    return unique


def comment(text: str) -> str:
    """Return a text that can stand inside a comment: on one line, and unable to end it."""
    plain = "".join(character if character.isprintable() else " " for character in text)
    return plain.replace("*/", "* /").replace("/*", "/ *").replace("??/", "?? /")


def string(text: str) -> str:
    """Return a text as a string literal, its UTF-8 bytes in octal where they are not plain."""
    plain = "".join(chr(b) if 32 <= b < 127 and chr(b) not in '"\\?' else f"\\{b:03o}" for b in text.encode())
    return f'"{plain}"'


def array(declaration: str, values: npt.NDArray[Any], real: Real) -> str:
    """Return a constant table, a row of a matrix on lines of its own; floats by `real`, the rest as they are."""

    def one(value: object) -> str:
        return real.literal(value) if isinstance(value, float) else str(value)

    rows: list[Any] = values.tolist()
    if rows and isinstance(rows[0], list):
        body = ",\n".join(wrapped(map(one, row), "  {", "}") for row in rows)
        return f"{declaration} = {{\n{body}\n}};\n"
    return wrapped(map(one, rows), f"{declaration} = {{", "};") + "\n"


def wrapped(words: Iterable[str], before: str, after: str) -> str:
    """Return words between commas, in lines that fit on a screen."""
    words = list(words)
    if len(before) + sum(len(word) + 2 for word in words) + len(after) <= _WIDTH:
        return before + ", ".join(words) + after
    indent = " " * (len(before) - len(before.lstrip()) + 2)
    lines = [indent]
    for word in words:
        if len(lines[-1]) + len(word) > _WIDTH and lines[-1] != indent:
            lines.append(indent)
        lines[-1] += word + ", "
    return "\n".join([before, *map(str.rstrip, lines)])[:-1] + after
