"""Parsing: what is typed, as the commands take it."""

from __future__ import annotations

import glob
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class Task(StrEnum):
    """What kind of answer the target asks for."""

    classification = "classification"
    regression = "regression"


class Effort(StrEnum):
    """How much a training may take."""

    NORMAL = "normal"
    HIGH = "high"


class Format(StrEnum):
    """What a table is whose name does not say it."""

    csv = "csv"
    tsv = "tsv"
    parquet = "parquet"
    jsonl = "jsonl"


class Form(StrEnum):
    """What a model is exported as."""

    c = "c"
    onnx = "onnx"
    py = "py"


def number_or_auto(name: str, given: str) -> str | int:
    """Return a whole number, or "auto"."""
    if given == "auto":
        return given
    try:
        return int(given)
    except ValueError:
        raise ValueError(f"{name} is {given!r}; expected a whole number, or auto") from None


def widths(hidden: str) -> str | tuple[int, ...]:
    """Return the widths of hidden layers, or "auto"."""
    if hidden == "auto":
        return hidden
    try:
        return tuple(int(width) for width in hidden.split(","))
    except ValueError:
        raise ValueError(f"hidden is {hidden!r}; expected widths such as 64,32, or auto") from None


def find_tables(words: Sequence[str]) -> list[str]:
    """Return the files that words name: a file itself, or a pattern such as ``data/*.csv``, in the order of names.

    As in a shell, ``*``, ``?`` and ``[...]`` leave out hidden files; ``**`` stands for any folders. A word that is a
    file's name is that file, whatever it is spelled with.

    Raises
    ------
    TableError
        A pattern matches no file, or a file is named twice.

    Examples
    --------
    >>> find_tables(["jan.csv", "-"])
    ['jan.csv', '-']
    """
    from nineline.tables import STANDARD_INPUT, TableError

    found: list[str] = []
    for word in words:
        if not set("*?[") & set(word) or Path(word).exists():
            found.append(word)
            continue
        matches = glob.glob(word, recursive=True)  # noqa: PTH207  (Path.glob: hidden files, no absolute patterns)
        names = sorted(match for match in matches if not Path(match).is_dir())
        if not names:
            raise TableError(f"no file matches {word!r}, seen from {Path.cwd()}; name a file, or another pattern")
        found += names
    seen: dict[str | Path, str] = {}
    for name in found:
        place = name if name == STANDARD_INPUT else Path(name).resolve()
        if place in seen:
            raise TableError(f"{called(seen[place])} is named twice, again as {name}; name each table once")
        seen[place] = name
    return found


def files_of(names: Sequence[str]) -> list[Path]:
    """Return names and, of a folder, what is in and below it."""
    paths = [Path(name) for name in names]
    return [file for path in paths for file in (path.rglob("*") if path.is_dir() else [path])]


def called(name: str) -> str:
    """Return what a table is called in a message."""
    return "standard input" if name == "-" else name


def ending_of(given: Format | None) -> str | None:
    """Return the ending that a format stands for."""
    return None if given is None else f".{given.value}"


def model_path(words: Sequence[str], names: Sequence[str]) -> Path:
    """Return where a model is written by default: what one table is called, and no name out of several."""
    from nineline.tables import PACKINGS, STANDARD_INPUT

    if len(names) > 1 or list(names) != list(words) or names[0] == STANDARD_INPUT:
        return Path("model.nineline")
    table = Path(names[0])
    return Path(f"{Path(table.stem).stem if table.suffix.lower() in PACKINGS else table.stem}.nineline")
