"""Checks at the public edge: every error names the argument, what came, what was expected, and the way out."""

from __future__ import annotations

import functools
import math
import os
import re
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from nineline._typing import Array, RandomSource

T = TypeVar("T")


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'relu'?"`` where a known name is near, else the list of all of them."""
    from difflib import get_close_matches  # only needed on the way to an error

    names = sorted(known)
    near = get_close_matches(name.lower(), names, n=3, cutoff=0.6)
    if near:
        return "; did you mean " + " or ".join(repr(n) for n in near) + "?"
    return "; known names are " + ", ".join(names)


def resolve(argument: str, given: object, base: type[T], table: Mapping[str, Callable[[], T]]) -> T:
    """Turn a name or an object into the object: names are accepted at the public edge, and only there.

    Raises
    ------
    ValueError
        The name is not in `table`; the message has the nearest known names.
    TypeError
        `given` is neither a name nor an instance of `base`.
    """
    if isinstance(given, base):
        return given
    if isinstance(given, str):
        if given in table:
            return _made(table[given])
        raise ValueError(f"{argument} is {given!r}, which is not known{nearest(given, table)}")
    if isinstance(given, type) and issubclass(given, base):
        raise TypeError(f"{argument} is the class {given.__name__}; pass an instance: {given.__name__}()")
    raise TypeError(
        f"{argument} is {_say(given)}; expected a {base.__name__} or one of the names {', '.join(sorted(table))}"
    )


@functools.cache
def _made(kind: Callable[[], T]) -> T:
    """Return an object with the settings it has by default: it is fixed once made, so one will do."""
    return kind()


def positive_integer(argument: str, value: object, *, minimum: int = 1) -> int:
    """Return `value` as an int of at least `minimum`, or say what is wrong with it."""
    if type(value) is int and value >= minimum:
        return value
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{argument} is {_say(value)}; expected a whole number, {minimum} or more")
    if value < minimum:
        raise ValueError(f"{argument} is {value}; expected a whole number, {minimum} or more")
    return int(value)


def threads(argument: str, value: int | None) -> int:
    """Return a number of threads; None is as many as this process has cores."""
    if value is not None:
        return positive_integer(argument, value)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def boolean(argument: str, value: object, hint: str = "") -> bool:
    """Return `value` as a bool, or say that it is none."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{argument} is {value!r}; expected True or False{hint}")
    return bool(value)


def number(
    argument: str,
    value: object,
    *,
    low: float = -np.inf,
    high: float = np.inf,
    low_open: bool = False,
    high_open: bool = False,
) -> float:
    """Return `value` as a float within the range, or say what is wrong with it."""
    if type(value) is float and (low < value < high or (value == low and not low_open)):
        return value
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{argument} is {_say(value)}; expected a number")
    too_low = value <= low if low_open else value < low
    too_high = value >= high if high_open else value > high
    if not np.isfinite(value) or too_low or too_high:
        left = "(" if low_open or not np.isfinite(low) else "["
        right = ")" if high_open or not np.isfinite(high) else "]"
        raise ValueError(f"{argument} is {value}; expected a finite number in {left}{low:g}, {high:g}{right}")
    return float(value)


_UNITS: Final = {"": 1, "B": 1} | {
    f"{prefix}{unit}": base**power
    for base, unit in ((1000, "B"), (1024, "iB"))
    for power, prefix in enumerate("KMGT", start=1)
}


def memory(argument: str, value: object) -> int:
    """Return a number of bytes, given as one or as a text such as "500MB" or "1.5 GiB"."""
    expected = f"expected a number of bytes, or a text such as '500MB' or '2GB' (units are {', '.join(_UNITS)[2:]})"
    if isinstance(value, str):
        found = re.fullmatch(r"([0-9.]+) ?([A-Za-z]*)", value.strip())
        units = {unit.upper(): size for unit, size in _UNITS.items()}
        try:
            size = float(found[1]) * units[found[2].upper()] if found else 0
        except (KeyError, ValueError):
            size = 0
    elif isinstance(value, (int, np.integer)) and not isinstance(value, (bool, np.bool_)):
        size = int(value)
    else:
        raise TypeError(f"{argument} is {_say(value)}; {expected}")
    if size < 1:
        raise ValueError(f"{argument} is {quoted(value)}; {expected}")
    return int(size)


def floating_dtype(argument: str, value: object) -> np.dtype[np.floating[Any]]:
    """Return float32 or float64 as a NumPy dtype."""
    try:
        dtype = np.dtype(cast("Any", value))
        if value is not None and dtype in (np.dtype(np.float32), np.dtype(np.float64)):
            return dtype
    except TypeError:
        pass
    raise ValueError(f"{argument} is {value!r}; expected float32 or float64")


def generator(argument: str, rng: RandomSource) -> np.random.Generator:
    """Return the NumPy Generator that `rng` stands for.

    A seed makes a new one; a Generator is used as it is; None shares the state of NumPy's global
    generator, so that `numpy.random.seed(1)` at the head of a notebook rules the weights as well.
    """
    if rng is None:
        return np.random.Generator(np.random.get_bit_generator())  # type: ignore[attr-defined]  # missing from the stubs
    if isinstance(rng, np.random.Generator):
        return rng
    if isinstance(rng, (int, np.integer)) and not isinstance(rng, bool):
        if rng < 0:
            raise ValueError(f"{argument} is {rng}; a seed is a whole number, 0 or more")
        return np.random.default_rng(int(rng))
    raise TypeError(f"{argument} is {_say(rng)}; expected a seed, a numpy.random.Generator or None")


def as_float(
    argument: str,
    data: object,
    dtype: np.dtype[np.floating[Any]],
    wanted: str = "expected finite numbers: drop or fill such rows first",
) -> Array:
    """Return `data` as a floating-point array of `dtype` without NaN or infinity, of any shape."""
    if type(data) is np.ndarray and data.dtype == dtype and data.flags.c_contiguous and is_finite(data):
        return data
    if hasattr(data, "toarray"):
        raise TypeError(f"{argument} is a sparse matrix; pass a dense array: {argument}.toarray()")
    if isinstance(data, np.ma.MaskedArray) and np.ma.is_masked(data):
        raise ValueError(
            f"{argument} is a masked array with masked values; drop or fill those rows: {argument}.filled(0)"
        )
    try:
        array = np.asarray(data)
    except ValueError as error:
        raise ValueError(f"{argument} has rows of different lengths; expected a rectangular array") from error
    if array.dtype.kind == "c":
        raise TypeError(f"{argument} holds complex numbers; expected real ones")
    if array.dtype.kind in "USOMmVT":
        try:
            if array.dtype.kind != "O":
                raise TypeError
            array = array.astype(np.float64)
        except OverflowError:
            raise ValueError(
                f"{argument} holds a whole number that {dtype} cannot hold; scale the data first"
            ) from None
        except (TypeError, ValueError):
            raise TypeError(
                f"{argument} holds {_first_of(array)}; expected numbers: encode text and dates first, "
                "or use nineline.estimators.TabularClassifier or TabularRegressor, which do"
            ) from None
    with np.errstate(over="ignore"):
        result: Array = np.ascontiguousarray(array, dtype=dtype)
    if array.ndim == 0:
        result = result.reshape(())
    if not is_finite(result):
        finite = np.isfinite(result)
        where = tuple(int(i) for i in np.argwhere(~finite)[0])
        value = array[where]
        cause = f"which {dtype} cannot hold; scale the data or use dtype=float64" if np.isfinite(value) else wanted
        place = f" at {where}" if where else ""
        raise ValueError(f"{argument} has {value}{place}, {cause}")
    return result


def is_finite(array: Array) -> bool:
    """Return whether a C-contiguous array holds neither NaN nor infinity."""
    # The sum of squares is finite only where all are; it takes no memory, and says nothing when it overflows.
    return math.isfinite(np.vdot(array, array)) or bool(np.isfinite(array).all())


def matrix(
    argument: str, data: object, columns: int, taker: str, dtype: np.dtype[np.floating[Any]], hint: str = ""
) -> Array:
    """Return `data` as a finite (rows, columns) array of `dtype` with at least one row; `hint` ends a message."""
    array = as_float(argument, data, dtype)
    if array.ndim == 1 and columns == 1:
        array = array.reshape(-1, 1)
    check_shape(argument, array.shape, columns, taker, hint)
    return array


def check_shape(argument: str, shape: tuple[int, ...], columns: int, taker: str, hint: str = "") -> None:
    """Raise ValueError where a shape is not (rows, columns) with at least one row, and say the likely cause."""
    if len(shape) != 2:
        if shape == (columns,) and not hint:
            hint = f"; for one row of {columns} use {argument}.reshape(1, -1)"
        raise ValueError(f"{argument} has shape {shape}; {taker} takes (rows, {columns}){hint}")
    if shape[1] != columns:
        if shape[0] == columns and not hint:
            hint = f"; if rows and columns are swapped, use {argument}.T"
        raise ValueError(f"{argument} has {_count(shape[1], 'column')}, {taker} takes {columns}{hint}")
    if shape[0] == 0:
        raise ValueError(f"{argument} is empty (0 rows); expected at least one row")


def row_weights(argument: str, data: object, rows: int, dtype: np.dtype[np.floating[Any]]) -> Array | None:
    """Return weights as a (rows,) array of numbers >= 0, not all zero; None stays None."""
    if data is None:
        return None
    array = as_float(argument, data, dtype)
    if array.shape != (rows,):
        raise ValueError(f"{argument} has shape {array.shape}; expected one weight per row: ({rows},)")
    if (array < 0).any():
        raise ValueError(f"{argument} has {array.min()}; expected weights of 0 or more")
    if not array.any():
        raise ValueError(f"{argument} is zero for every row; expected at least one positive weight")
    check_range_of_weights(argument, array)
    return array


def check_range_of_weights(argument: str, weights: Array) -> None:
    """Raise ValueError where weights, 0 or more, leave the range of normal numbers: training would take them for 0."""
    limits = np.finfo(weights.dtype)
    with np.errstate(over="ignore"):
        least, total = weights.min(initial=np.inf, where=weights > 0), weights.sum(dtype=np.float64)
    if least >= limits.smallest_normal and total <= limits.max:
        return
    what = f"has {least}" if least < limits.smallest_normal else f"sums to {total}"
    raise ValueError(
        f"{argument} {what}, which is out of the range of normal {weights.dtype} numbers; multiply all weights by the "
        "same number, and let those be 0 that count for nothing beside the others"
    )


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def printable(text: str, most: int = 80) -> str:
    r"""Return a text as a line may show it: what a terminal would obey as escapes, and no more than `most` characters.

    Examples
    --------
    >>> from nineline._checks import printable
    >>> printable("a\x1b[31m"), printable("word " * 100, most=20)
    ('a\\x1b[31m', 'word word word word…')
    """
    cut = text if len(text) <= most else f"{text[: most - 1]}…"
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in cut)


def quoted(value: object) -> str:
    """Return a value of the user's as a message may show it."""
    return printable(repr(value))


def _say(value: object) -> str:
    return f"{quoted(value)} ({type(value).__name__})"


def _first_of(array: np.ndarray[Any, Any]) -> str:
    if array.dtype.kind != "O":
        return f"values of dtype {array.dtype}"
    for value in array.flat:
        if not isinstance(value, (int, float, np.number)):
            return f"the value {_say(value)}"
    return f"values of dtype {array.dtype}"
