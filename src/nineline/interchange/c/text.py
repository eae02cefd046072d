"""Words in exported C: names, comments, strings and tables of numbers, safe whatever a table's columns are called."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    import numpy.typing as npt

    from nineline.interchange.c.activations import Real

_KEYWORDS: Final = frozenset(
    re.findall(
        r"\w+",
        """
        auto break case char const continue default do double else enum extern float for goto if inline int long
        register restrict return short signed sizeof static struct switch typedef union unsigned void volatile while
        alignas alignof bool constexpr false nullptr static_assert thread_local true typeof typeof_unqual asm fortran
        and and_eq bitand bitor catch char8_t char16_t char32_t class co_await co_return co_yield compl concept
        const_cast consteval constinit contract_assert decltype delete dynamic_cast explicit export friend mutable
        namespace new noexcept not not_eq operator or or_eq private protected public reinterpret_cast requires
        static_cast template this throw try typeid typename using virtual wchar_t xor xor_eq
        """,
    )
)
"""Of C, and of C++, so that a header can be included there."""
_MACROS: Final = frozenset(
    re.findall(
        r"\w+",
        """
        assert complex double_t errno float_t imaginary int8_t int16_t int32_t int64_t intmax_t intptr_t main
        math_errhandling max_align_t noreturn offsetof ptrdiff_t setjmp sigmask size_t stderr stdin stdout uint8_t
        uint16_t uint32_t uint64_t uintmax_t uintptr_t unreachable va_arg va_copy va_end va_list va_start
        i386 i486 i586 i686 linux m68k mips pixel sgi sparc sun unix vax vector
        cdecl far hyper interface near pascal small
        """,
    )
)
"""And types of the standard headers, of compilers and of windows.h, which would stand for something else."""
_FILES: Final = frozenset(
    re.findall(
        r"\w+",
        """
        assert complex ctype errno fenv float inttypes iso646 limits locale math setjmp signal stdalign stdarg stdatomic
        stdbit stdbool stdckdint stddef stdint stdio stdlib stdnoreturn string tgmath threads time uchar wchar wctype
        aux con nul prn
        """,
    )
)
"""Standard headers, whose place no file of ours may take, and what is no name of a file on Windows."""
_NO_FIELDS: Final = _KEYWORDS | _MACROS
_NO_STEMS: Final = _KEYWORDS | _FILES
_WIDTH: Final = 118


def identifier(text: str, taken: Collection[str] = (), endings: Sequence[str] = ("",)) -> str:
    """Return a name that C and C++ accept with each of `endings`, made of a text, different from those that are taken.

    Examples
    --------
    >>> from nineline.interchange.c.text import identifier
    >>> identifier("petal length (cm)"), identifier("class"), identifier("2nd"), identifier("a b", ["a_b"])
    ('petal_length_cm', 'class_', '_2nd', 'a_b_2')
    """
    return _free(text, _NO_FIELDS, taken, endings)


def stem(text: str) -> str:
    """Return a name for a program's files, which the names of its functions begin with."""
    return _free(text, _NO_STEMS, (), ("",))


def _free(text: str, reserved: frozenset[str], taken: Collection[str], endings: Sequence[str]) -> str:
    name = re.sub(r"[^0-9a-z]+", "_", text.lower()).strip("_") or "column"
    name = f"_{name}" if name[0].isdigit() else name
    if any(name + ending in reserved for ending in endings):
        name = f"{name}_"
    more = (f"{name.rstrip('_')}_{number}" for number in itertools.count(2))
    return next(each for each in itertools.chain([name], more) if not any(each + end in taken for end in endings))


def comment(text: str) -> str:
    """Return a text that can stand inside a comment: on one line, and unable to end it."""
    plain = "".join(character if character.isprintable() else " " for character in text)
    return plain.replace("*/", "* /").replace("/*", "/ *").replace("??/", "?? /")


def string(text: str) -> str:
    """Return a text as a string literal, its UTF-8 bytes in octal where they are not plain.

    Raises
    ------
    ValueError
        It holds NUL, where texts end in C, or half a character (a surrogate), which UTF-8 does not have.
    """
    bad = re.search("[\0\ud800-\udfff]", text)
    if bad is not None:
        raise ValueError(
            f"the text {text[:60]!r} holds {bad[0]!r}, which no text in C can hold; take it out of the table and train "
            "again"
        )
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
