"""The columns of a table as a part of an ONNX graph: an input for each, and all of them as the network's inputs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from nineline.interchange.model import no_text
from nineline.tables.kinds import Boolean, Category, Date, EmbeddedCategory, Number, Presence
from nineline.tables.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable

    from nineline.interchange.onnx.graph import Graph
    from nineline.tables.columns import Columns
    from nineline.tables.contract import Column

_MISSING: Final = -2  # among places of levels
_HALF_A_MILLISECOND: Final = 5e-4  # by which a float of days may fall short of a full minute


def add_columns(graph: Graph, columns: Columns) -> str:
    """Add every column's encoding, and return the name of all numbers side by side, (rows, width) of float32."""
    parts = [part for column in columns.used for part in _COLUMNS[type(column)](graph, column)]
    return graph.op("Concat", *parts, attributes={"axis": 1})


def _numeric(about: str, encode: Callable[[Graph, Any, str], list[str]]) -> Callable[[Graph, Any], list[str]]:
    """Return what adds a column whose values are given as numbers, `about` says which, and encoded where they are."""

    def add(graph: Graph, column: Column) -> list[str]:
        given = graph.input(column.name, "float64", 1, f"{about}, NaN where it is missing; {column.summary()}")
        missing = graph.op("IsNaN", given)
        known = graph.op("Where", missing, graph.constant(0.0, "float64"), given)
        parts = encode(graph, column, known)
        zero = graph.constant(0.0, "float32")
        encoded = [graph.op("Where", missing, zero, graph.cast(part, "float32")) for part in parts]
        return [*encoded, graph.cast(missing, "float32")] if column.missing else encoded

    return add


def _number(graph: Graph, column: Number, known: str) -> list[str]:
    bent = _bent(graph, column, known)
    return [*_waves(graph, column, bent), bent, *_filled(graph, column, known)]


def _presence(graph: Graph, column: Presence, known: str) -> list[str]:
    return []


def _boolean(graph: Graph, column: Boolean, known: str) -> list[str]:
    doubled = graph.op("Mul", known, graph.constant(2.0, "float64"))
    return [graph.op("Sub", doubled, graph.constant(1.0, "float64"))]


def _bent(graph: Graph, column: Number, given: str) -> str:
    """Add ``z / sqrt(1 + (z / 3)**2)``, ``z = (x - center) / scale``."""
    one, three = graph.constant(1.0, "float64"), graph.constant(3.0, "float64")
    z = graph.op("Sub", given, graph.constant(column.center, "float64"))
    z = graph.op("Div", z, graph.constant(column.scale, "float64"))
    third = graph.op("Div", z, three)
    return graph.op("Div", z, graph.op("Sqrt", graph.op("Add", one, graph.op("Mul", third, third))))


def _waves(graph: Graph, column: Number, bent: str) -> list[str]:
    """Add ``cos(2 pi frequency * bent + phase)`` for every wave, (rows, waves)."""
    if not column.frequencies:
        return []
    turns = 2 * np.pi * np.array(column.frequencies)[np.newaxis]
    quarters = np.array(column.phases)[np.newaxis] + np.pi / 2  # few runtimes know cos of float64
    angle = graph.op("Mul", bent, graph.constant(turns, "float64"))
    return [graph.op("Sin", graph.op("Add", angle, graph.constant(quarters, "float64")))]


def _filled(graph: Graph, column: Number, given: str) -> list[str]:
    """Add ``clip((x - left) / (right - left), 0, 1)`` for every interval, (rows, intervals)."""
    if not column.edges:
        return []
    edges = np.array(column.edges)
    beyond = graph.op("Sub", given, graph.constant(edges[np.newaxis, :-1], "float64"))
    share = graph.op("Div", beyond, graph.constant(np.diff(edges)[np.newaxis], "float64"))
    zero, one = graph.constant(0.0, "float64"), graph.constant(1.0, "float64")
    return [graph.op("Clip", share, zero, one)]


def _category(graph: Graph, column: Category) -> list[str]:
    levels, count = list(column.levels), len(column.levels)
    shown = ", ".join(levels[:8])
    given = graph.input(column.name, "object", 1, f'text, stripped of blanks, "" where it is missing; levels {shown}')
    keys = {
        "keys_strings": [*levels, ""],
        "values_int64s": [*range(count), _MISSING],
        "default_int64": count if column.rare else -1,
    }
    place = graph.op("LabelEncoder", given, domain="ai.onnx.ml", attributes=keys)
    if column.own_width == 1:
        last = graph.op("Equal", place, graph.constant(count - 1, "int64"))
        seen = graph.op("GreaterOrEqual", place, graph.constant(0, "int64"))
        one, minus, zero = (graph.constant(value, "float32") for value in (1.0, -1.0, 0.0))
        parts = [graph.op("Where", last, one, graph.op("Where", seen, minus, zero))]
    else:
        places = graph.constant(np.arange(column.own_width)[np.newaxis], "int64")
        parts = [graph.cast(graph.op("Equal", place, places), "float32")]
    if column.missing:
        parts.append(graph.cast(graph.op("Equal", place, graph.constant(_MISSING, "int64")), "float32"))
    return parts


def _embedded(graph: Graph, column: EmbeddedCategory) -> list[str]:
    shared = len(column.levels)
    about = f'text, stripped of blanks, "" where it is missing; {shared:,} levels'
    given = graph.input(column.name, "object", 1, about)
    keys = {
        "keys_strings": [*column.levels, ""],
        "values_int64s": [*range(shared), column.vectors - 1],
        "default_int64": shared,
    }
    return [graph.cast(graph.op("LabelEncoder", given, domain="ai.onnx.ml", attributes=keys), "float32")]


def _text(graph: Graph, column: Text) -> list[str]:
    raise no_text(column, "ONNX")


def _date(graph: Graph, column: Date, days: str) -> list[str]:
    """Add elapsed time, and the month, weekday and hour as points on a circle, from days since 1970-01-01."""
    elapsed = graph.op("Sub", days, graph.constant(column.center, "float64"))
    parts = [graph.op("Div", elapsed, graph.constant(column.scale, "float64"))]
    floor = graph.op("Floor", days)
    day = graph.cast(floor, "int64")
    for part in column.parts:
        parts += _PARTS[part](graph, days, floor, day)
    return parts


def _hour(graph: Graph, days: str, floor: str, day: str) -> list[str]:
    share = graph.op("Sub", days, floor)
    seconds = graph.op("Mul", share, graph.constant(86_400.0, "float64"))
    seconds = graph.op("Add", seconds, graph.constant(_HALF_A_MILLISECOND, "float64"))
    minute = graph.op("Floor", graph.op("Div", seconds, graph.constant(60.0, "float64")))
    angle = graph.op("Mul", minute, graph.constant(2 * math.pi / 1440, "float64"))
    quarter = graph.op("Add", angle, graph.constant(math.pi / 2, "float64"))
    return [graph.op("Sin", angle), graph.op("Sin", quarter)]  # few runtimes know cos of float64


def _on_circle(cycle: int, place_of: Callable[[Graph, str], str]) -> Callable[[Graph, str, str, str], list[str]]:
    """Return what adds one of so many places on a circle."""

    def add(graph: Graph, days: str, floor: str, day: str) -> list[str]:
        place, angles = place_of(graph, day), 2 * np.pi * np.arange(cycle) / cycle
        return [
            graph.op("Gather", graph.constant(values, "float64"), place) for values in (np.sin(angles), np.cos(angles))
        ]

    return add


def _weekday(graph: Graph, day: str) -> str:
    """Add ``(day + 3) mod 7``: 1970-01-01 was a Thursday, Monday is 0. Mod of ONNX is never negative here."""
    return graph.op("Mod", graph.op("Add", day, graph.constant(3, "int64")), graph.constant(7, "int64"))


def _month(graph: Graph, day: str) -> str:
    """Add the month, from 0, of days since 1970-01-01.

    Years are counted from 1 March of the year 0, so that a leap day is the last of its year; Div of whole numbers drops
    the fraction.
    """

    def whole(value: int) -> str:
        return graph.constant(value, "int64")

    def over(what: str, by: int) -> str:
        return graph.op("Div", what, whole(by))

    of_cycle = graph.op("Mod", graph.op("Add", day, whole(719_468)), whole(146_097))  # of the days in 400 years
    leaps = graph.op("Sub", over(of_cycle, 36_524), over(of_cycle, 1_460))
    year = over(graph.op("Sub", graph.op("Add", of_cycle, leaps), over(of_cycle, 146_096)), 365)
    passed = graph.op("Mul", year, whole(365))
    passed = graph.op("Sub", graph.op("Add", passed, over(year, 4)), over(year, 100))
    of_year = graph.op("Sub", of_cycle, passed)
    month = over(graph.op("Add", graph.op("Mul", of_year, whole(5)), whole(2)), 153)
    return graph.op("Mod", graph.op("Add", month, whole(2)), whole(12))


_PARTS: Final = {"month": _on_circle(12, _month), "weekday": _on_circle(7, _weekday), "hour": _hour}
"""Adds a part of a date as a point on a circle, from days since 1970-01-01, their whole number, and that as int64."""
_COLUMNS: Final[dict[type[Column], Callable[[Graph, Any], list[str]]]] = {
    Number: _numeric("a number", _number),
    Presence: _numeric("a number", _presence),
    Category: _category,
    EmbeddedCategory: _embedded,
    Boolean: _numeric("1 or 0", _boolean),
    Date: _numeric("days since 1970-01-01", _date),
    Text: _text,
}
"""Adds a column, and returns the names of its float32 parts in their order."""
