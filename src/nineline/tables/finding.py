"""Finding: the files that a path, a pattern or a folder stands for, and what the names of folders say of them."""

from __future__ import annotations

import errno
import glob
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import unquote

from nineline.tables.formats import KNOWN, STANDARD_INPUT, TableError, endings_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_WILD: Final = frozenset("*?[")
_NULL: Final = "__HIVE_DEFAULT_PARTITION__"


class Found(NamedTuple):
    """A file of a table.

    Attributes
    ----------
    path : str
    said : dict
        What the names of its folders say: ``year=2024`` is the text "2024" of the column ``year``, in all its rows.
    """

    path: str
    said: Mapping[str, str | None]


def find(given: str | os.PathLike[str], ending: str | None = None) -> list[Found]:
    """Return the files that a path stands for.

    Parameters
    ----------
    given : path
        A file; or a pattern (``*``, ``?``, ``[...]``, ``**`` for any folders), unless a file has that name; or a
        folder, for all tables in it and below it, but for what begins with a dot or an underscore.
    ending : str, optional
        What all files are, whatever they are called.

    Raises
    ------
    TableError
        There is no file.
    FileNotFoundError
        The path is no pattern, and there is nothing.
    """
    path = os.fspath(given)
    if path == STANDARD_INPUT:
        raise TableError("standard input can be read only once; write it to a file, and name that")
    if Path(path).is_dir():
        found = _in_folder(path, path, ending)
        if not found:
            what = "no file" if ending is not None else f"no file that ends in one of {', '.join(KNOWN)}"
            raise TableError(f"the folder {path} holds {what}; name a folder of tables, a pattern or a file")
        return found
    if Path(path).is_file():
        return [Found(path, {})]
    if Path(path).exists():
        raise TableError(f"{path} is no file, and can be read only once; write it to a file, and name that")
    if not _WILD & set(path):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
    parts = Path(path).parts
    fixed = str(Path(*parts[: next(i for i, part in enumerate(parts) if _WILD & set(part))]))
    matches = sorted(glob.glob(path, recursive=True))  # noqa: PTH207  (Path.glob: hidden files, no absolute patterns)
    files = [Found(match, _said(fixed, match)) for match in matches if not Path(match).is_dir()]
    if not files:  # it may name folders
        files = [each for match in matches for each in _in_folder(match, fixed, ending)]
    if not files:
        raise TableError(f"no file matches {path!r}, seen from {Path.cwd()}; name a file, or another pattern")
    return files


def find_all(given: Sequence[str | os.PathLike[str]], ending: str | None = None) -> list[Found]:
    """Return the files that several paths stand for; raise where a file is among them twice."""
    found = [each for path in given for each in find(path, ending)]
    seen: dict[Path, str] = {}
    for each in found:
        place = Path(each.path).resolve()
        if place in seen:
            raise TableError(f"{seen[place]} is named twice, again as {each.path}; name each table once")
        seen[place] = each.path
    return found


def _in_folder(folder: str, base: str, ending: str | None) -> list[Found]:
    """Return the tables in a folder and below it, in the order of their paths."""
    found: list[str] = []
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith((".", "_"))]
        seen = [name for name in names if not name.startswith((".", "_"))]
        tables = [name for name in seen if ending is not None or endings_of(name)[0] in KNOWN]
        found += [str(Path(place) / name) for name in tables]
    return [Found(path, _said(base, path)) for path in sorted(found)]


def _said(base: str, path: str) -> dict[str, str | None]:
    """Return what the names of the folders between `base` and a file say of it."""
    said: dict[str, str | None] = {}
    for part in Path(os.path.relpath(path, base)).parts[:-1]:
        key, equals, value = part.partition("=")
        if key and equals:
            said[unquote(key)] = None if value == _NULL else unquote(value)
    return said
