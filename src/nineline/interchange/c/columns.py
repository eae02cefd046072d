"""The columns of a table in exported C: a row as a struct, and the function that turns it into the network's inputs.

A device gives raw columns: a number (NAN where it is missing), a text (NULL), true or false (-1), a day and a second.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from string import Template
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from nineline.column_kinds import Boolean, Category, Date, Number
from nineline.interchange.c.text import comment, identifier, string, wrapped
from nineline.interchange.samples import EPOCH

if TYPE_CHECKING:
    from datetime import datetime

    from nineline.column_kinds import Column
    from nineline.columns import Columns
    from nineline.interchange.c.activations import Real

_NO_DATE: Final = "INT32_MIN"
_SMALL: Final = 3e-8  # beside 1, in float


@dataclass(frozen=True)
class CTable:
    """The pieces of C that a table's columns need."""

    fields: str
    """The inside of the row's struct."""
    levels: str
    """The levels of categories."""
    helpers: str
    """Constants and functions that `prepare` calls; ``$sqrt`` and the like stand for functions of math.h."""
    prepare: str
    """The statements that fill `inputs` from `row`."""
    calls: tuple[str, ...]
    """Those functions, by their plain names."""
    flash: int
    """Bytes of its constants."""


def table_in_c(columns: Columns, real: Real, width: str, *, libm: bool) -> CTable:
    """Write the columns' encoding in C; `width` is the name that C has for how many numbers a row becomes.

    Raises
    ------
    ValueError
        `libm` is False and a column holds an hour of the day, whose place on the circle needs sin and cos.
    """
    names = _names(columns)
    fields, statements, levels, flash, start = [], [], [], 0, 0
    for column in columns.used:
        name = names[column.name]
        fields.append(_field(column, name, real))
        missing = start + column.own_width if column.missing else None
        statements.append(f"  /* {comment(column.name)}: {column.kind} */")
        if isinstance(column, Number):
            statements.append(_number(column, name, start, real))
            if column.edges:
                levels.append(_edges(column, name, real))
                flash += len(column.edges) * real.size
            gone = f"row->{name} != row->{name}"
        elif isinstance(column, Category):
            levels.append(_levels(column, name))
            flash += sum(len(level.encode()) + 1 for level in column.levels) + 4 * len(column.levels)
            statements.append(_category(column, name, start))
            gone = "place == MISSING"
        elif isinstance(column, Boolean):
            statements.append(f"  inputs[{start}] = row->{name} < 0 ? 0 : row->{name} ? 1 : -1;")
            gone = f"row->{name} < 0"
        else:
            assert isinstance(column, Date)
            if "hour" in column.parts and not libm:
                raise ValueError(
                    f"column {column.name!r} holds the hour of the day, which needs sin and cos of math.h; export with "
                    "it (libm=True, no --no-libm)"
                )
            statements.append(_date(column, name, start, real))
            gone = f"row->{name}_day == {_NO_DATE}"
        if missing is not None:
            statements.append(f"  inputs[{missing}] = {gone} ? 1 : 0;")
        start += column.width
    helpers, calls, more = _helpers(columns, real)
    uses_place = any(isinstance(column, Category) for column in columns.used)
    opening = "  int place;\n" if uses_place else ""
    if real.size == 8:
        statements.append(f"  for (i = 0; i < {width}; ++i) inputs[i] = (float)inputs[i]; /* as in Python */")
        opening += "  int i;\n"
    return CTable("\n".join(fields), "".join(levels), helpers, opening + "\n".join(statements), calls, flash + more)


def row_in_c(columns: Columns, values: dict[str, Any], real: Real) -> list[str]:
    """Return the values that a row is initialised with, for a self-test."""
    return [_value(column, values[column.name], real) for column in columns.used]


def _names(columns: Columns) -> dict[str, str]:
    """Return the field of each column, or what its two fields begin with."""
    names: dict[str, str] = {}
    taken: set[str] = set()
    for column in columns.used:
        endings = ("_day", "_second") if isinstance(column, Date) else ("",)
        names[column.name] = name = identifier(column.name, taken, endings)
        taken |= {name + ending for ending in endings}
    return names


def _value(column: Column, value: Any, real: Real) -> str:
    if isinstance(column, Category):
        return "NULL" if value is None else string(value)
    if isinstance(column, Boolean):
        return "-1" if value is None else str(int(value))
    if isinstance(column, Date):
        if value is None:
            return f"{_NO_DATE}, 0"
        day, second = day_and_second(value)
        return f"{day}, {second}"
    return "NAN" if value is None else real.literal(value)


def day_and_second(moment: datetime) -> tuple[int, int]:
    """Return a moment as days since 1970-01-01 and seconds of that day."""
    return divmod(round((moment - EPOCH).total_seconds()), 86_400)


def _field(column: Column, name: str, real: Real) -> str:
    about = f"{comment(column.name)}: {comment(column.summary())}"
    if isinstance(column, Category):
        return f"  const char *{name}; /* {about}; NULL where it is missing */"
    if isinstance(column, Boolean):
        return f"  int8_t {name}; /* {comment(column.name)}: 1 true, 0 false, -1 missing */"
    if isinstance(column, Date):
        return (
            f"  int32_t {name}_day; /* {about}; days since 1970-01-01, {_NO_DATE} where it is missing */\n"
            f"  int32_t {name}_second; /* of that day, UTC */"
        )
    return f"  {real.name} {name}; /* {about}; NAN where it is missing */"


def _number(column: Number, name: str, start: int, real: Real) -> str:
    center, rest = _split(column.center, real)
    given = f"row->{name} - {real.literal(center)}" if center >= 0 else f"row->{name} + {real.literal(-center)}"
    narrowest = min(column.scale, *np.diff(column.edges).tolist()) if column.edges else column.scale
    if abs(rest) > _SMALL * narrowest:  # what float leaves of a center that is large beside the scale
        given += f" - {real.literal(rest)}" if rest > 0 else f" + {real.literal(-rest)}"
    bent = f"  inputs[{start}] = bent(({given}) / {real.literal(column.scale)});"
    if not column.edges:
        return bent
    return f"{bent}\n  fill({given}, {name}_edges, {len(column.edges) - 1}, &inputs[{start + 1}]);"


def _edges(column: Number, name: str, real: Real) -> str:
    """Return the edges, as far from the center as the value is when it is compared with them."""
    values = [real.literal(edge - column.center) for edge in column.edges]
    declaration = f"static const {real.name} {name}_edges[{len(column.edges)}] = {{"
    return f"\n/* {comment(column.name)}, from its center */\n{wrapped(values, declaration, '};')}\n"


def _split(value: float, real: Real) -> tuple[float, float]:
    """Return a number as `real` holds it, and what that leaves."""
    if real.size == 8:
        return value, 0.0
    high = float(np.float32(value))
    return high, float(np.float32(value - high))


def _levels(column: Category, name: str) -> str:
    words = wrapped(
        map(string, column.levels), f"static const char *const {name}_levels[{len(column.levels)}] = {{", "};"
    )
    return f"\n/* {comment(column.name)} */\n{words}\n"


def _category(column: Category, name: str, start: int) -> str:
    count = len(column.levels)
    found = f"  place = place_of(row->{name}, {name}_levels, {count});\n"
    if column.own_width == 1:
        return found + f"  inputs[{start}] = place == {count - 1} ? 1 : place >= 0 ? -1 : 0;"
    if column.rare:
        found += f"  if (place == UNSEEN) place = {count}; /* with the {column.rare} rare ones */\n"
    return found + f"  one_hot(place, &inputs[{start}], {column.own_width});"


def _date(column: Date, name: str, start: int, real: Real) -> str:
    day, second, gone = f"row->{name}_day", f"row->{name}_second", f"row->{name}_day == {_NO_DATE}"
    whole = math.floor(column.center)
    after = real.literal((column.center - whole) * 86_400)
    days = f"(({real.name}){day} - {real.literal(whole)} + (({real.name}){second} - {after}) / 86400)"
    lines = [f"  inputs[{start}] = {gone} ? 0 : {days} / {real.literal(column.scale)};"]
    for part in column.parts:
        start += 1 if part == column.parts[0] else 2
        place = {
            "month": f"on_circle(month_of({day}), sines_of_12, 12, &inputs[{start}]",
            "weekday": f"on_circle(weekday_of({day}), sines_of_7, 7, &inputs[{start}]",
            "hour": f"on_clock({second} / 60, &inputs[{start}]",
        }[part]
        lines.append(f"  {place}, {gone});")
    return "\n".join(lines)


def _helpers(columns: Columns, real: Real) -> tuple[str, tuple[str, ...], int]:
    """Return the functions that the kinds of these columns need, what they call, and their constants' bytes."""
    kinds = {type(column) for column in columns.used}
    parts = {part for column in columns.used if isinstance(column, Date) for part in column.parts}
    texts, calls, flash = [], [], 0
    if Number in kinds:
        texts.append(_BENT)
        calls.append("sqrt")
    if any(isinstance(column, Number) and column.edges for column in columns.used):
        texts.append(_FILL)
    if Category in kinds:
        texts.append(_PLACE_OF)
        widths = [column.own_width for column in columns.used if isinstance(column, Category)]
        texts += [_ONE_HOT] if max(widths) > 1 else []
    for part, cycle in (("month", 12), ("weekday", 7)):
        if part in parts:
            angles = 2 * np.pi * np.arange(cycle) / cycle
            values = [f"{{{real.literal(math.sin(a))}, {real.literal(math.cos(a))}}}" for a in angles]
            texts.append("\n" + wrapped(values, f"static const $real sines_of_{cycle}[{cycle}][2] = {{", "};") + "\n")
            texts.append(_MONTH if part == "month" else _WEEKDAY)
            flash += 2 * cycle * real.size
    texts += [_ON_CIRCLE] if parts & {"month", "weekday"} else []
    if "hour" in parts:
        texts.append(_ON_CLOCK)
        calls += ["sin", "cos"]
    turn = real.literal(2 * math.pi / 1440)
    return (
        Template("".join(texts)).safe_substitute(real=real.name, limit=real.literal(1e8), turn=turn),
        tuple(calls),
        flash,
    )


_BENT: Final = """
/* A scaled number bent towards 3 and -3; 0 where it is missing. */
static $real bent($real z)
{
  if (z != z) return 0;
  if (z > $limit) return 3;
  if (z < -$limit) return -3;
  return z / $sqrt(1 + z * z / 9);
}
"""
_FILL: Final = """
/* How much of each interval between edges a value fills, 0 to 1; 0 where it is missing. */
static void fill($real x, const $real edges[], int count, $real inputs[])
{
  int i;
  for (i = 0; i < count; ++i) {
    const $real share = (x - edges[i]) / (edges[i + 1] - edges[i]);
    inputs[i] = share > 1 ? 1 : share > 0 ? share : 0;
  }
}
"""
_PLACE_OF: Final = """
#define UNSEEN (-1)
#define MISSING (-2)

/* How many bytes the blank takes that a text begins with, 0 where it begins with none; Unicode has some of 2 and 3. */
static int blank_at(const char *text)
{
  const unsigned char *c = (const unsigned char *)text;
  if (c[0] == ' ' || (c[0] >= '\\t' && c[0] <= '\\r') || (c[0] >= 0x1C && c[0] <= 0x1F)) return 1;
  if (c[0] == 0xC2) return c[1] == 0x85 || c[1] == 0xA0 ? 2 : 0;
  if (c[0] == 0xE1) return c[1] == 0x9A && c[2] == 0x80 ? 3 : 0;
  if (c[0] == 0xE3) return c[1] == 0x80 && c[2] == 0x80 ? 3 : 0;
  if (c[0] != 0xE2) return 0;
  if (c[1] == 0x81) return c[2] == 0x9F ? 3 : 0;
  if (c[1] != 0x80) return 0;
  return (c[2] >= 0x80 && c[2] <= 0x8A) || c[2] == 0xA8 || c[2] == 0xA9 || c[2] == 0xAF ? 3 : 0;
}

/* The place of a text among levels, blanks around it aside; UNSEEN, or MISSING where there is none. */
static int place_of(const char *text, const char *const levels[], int count)
{
  int place, bytes;
  while (text != NULL && (bytes = blank_at(text)) > 0) text += bytes;
  if (text == NULL || *text == '\\0') return MISSING;
  for (place = 0; place < count; ++place) {
    const char *level = levels[place], *rest = text;
    while (*level != '\\0' && *level == *rest) ++level, ++rest;
    if (*level != '\\0') continue;
    while ((bytes = blank_at(rest)) > 0) rest += bytes;
    if (*rest == '\\0') return place;
  }
  return UNSEEN;
}
"""
_ONE_HOT: Final = """
static void one_hot(int place, $real inputs[], int count)
{
  int i;
  for (i = 0; i < count; ++i) inputs[i] = i == place ? 1 : 0;
}
"""
_MONTH: Final = """
/* The month, from 0, of a day. Years begin on 1 March, so that a leap day is the last of its year. */
static int month_of(int32_t day)
{
  const int32_t of_cycle = (day % 146097 + 146097 + 719468 % 146097) % 146097; /* of the days in 400 years */
  const int32_t year = (of_cycle - of_cycle / 1460 + of_cycle / 36524 - of_cycle / 146096) / 365;
  const int32_t of_year = of_cycle - (365 * year + year / 4 - year / 100);
  return (int)(((5 * of_year + 2) / 153 + 2) % 12);
}
"""
_WEEKDAY: Final = """
/* The day of the week, from 0 on Monday; 1970-01-01 was a Thursday. */
static int weekday_of(int32_t day)
{
  return (int)((day % 7 + 7 + 3) % 7);
}
"""
_ON_CIRCLE: Final = """
static void on_circle(int place, const $real sines[][2], int count, $real inputs[], int missing)
{
  inputs[0] = missing || place < 0 || place >= count ? 0 : sines[place][0];
  inputs[1] = missing || place < 0 || place >= count ? 0 : sines[place][1];
}
"""
_ON_CLOCK: Final = """
static void on_clock(int32_t minute, $real inputs[], int missing)
{
  const $real angle = ($real)minute * $turn;
  inputs[0] = missing ? 0 : $sin(angle);
  inputs[1] = missing ? 0 : $cos(angle);
}
"""
