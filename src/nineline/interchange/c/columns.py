"""The columns of a table in exported C: a row as a struct, and the function that turns it into the network's inputs.

A device gives raw columns: a number (NAN where it is missing), a text (NULL), true or false (-1), a day and a second.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from string import Template
from typing import TYPE_CHECKING, Any, ClassVar, Final, Generic, TypeVar, final

import numpy as np

from nineline.interchange.c.activations import called
from nineline.interchange.c.helpers import HELPERS
from nineline.interchange.c.text import comment, identifier, string, wrapped
from nineline.interchange.model import no_text
from nineline.interchange.samples import EPOCH
from nineline.tables.contract import Column
from nineline.tables.kinds import Boolean, Category, Date, EmbeddedCategory, Number, Presence
from nineline.tables.text import Text

if TYPE_CHECKING:
    from datetime import datetime

    from nineline.interchange.c.activations import Real
    from nineline.tables.columns import Columns

_NO_DATE: Final = "INT32_MIN"
_SMALL: Final = 3e-8  # beside 1, in float
_Kind = TypeVar("_Kind", bound=Column)


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
        `libm` is False and a column holds an hour of the day, whose place on the circle needs sin and cos; or a column
        is free text.
    """
    names = _names(columns)
    table = [_COLUMNS[type(column)](column, names[column.name], real) for column in columns.used]
    statements, start = [], 0
    for each in table:
        each.check(libm=libm)
        column = each.column
        statements += [f"  /* {comment(column.name)}: {column.kind} */", *filter(None, [each.statements(start)])]
        if column.width > column.own_width:
            statements.append(f"  inputs[{start + column.own_width}] = {each.gone()} ? 1 : 0;")
        start += column.width
    opening = "".join(dict.fromkeys(each.variables for each in table))
    if real.size == 8:
        statements.append(f"  for (i = 0; i < {width}; ++i) inputs[i] = (float)inputs[i]; /* as in Python */")
        opening += "  int i;\n"
    needed = {name for each in table for name in each.helpers()}
    helpers = [helper for name, helper in HELPERS.items() if name in needed]
    text = "".join(helper.text(real) for helper in helpers)
    return CTable(
        "\n".join(each.field() for each in table),
        "".join(each.constants() for each in table),
        text,
        opening + "\n".join(statements),
        tuple(dict.fromkeys(called(text))),
        sum(each.flash() for each in table) + sum(helper.flash(real) for helper in helpers),
    )


def row_in_c(columns: Columns, values: dict[str, Any], real: Real) -> list[str]:
    """Return the values that a row is initialised with, for a self-test."""
    return [_COLUMNS[type(column)](column, "", real).value(values[column.name]) for column in columns.used]


def _names(columns: Columns) -> dict[str, str]:
    """Return the field of each column, or what its two fields begin with."""
    names: dict[str, str] = {}
    taken: set[str] = set()
    for column in columns.used:
        endings = _COLUMNS[type(column)].endings
        names[column.name] = name = identifier(column.name, taken, endings)
        taken |= {name + ending for ending in endings}
    return names


class _ColumnInC(ABC, Generic[_Kind]):
    """A column in C: all that one kind of column is there.

    Parameters
    ----------
    column : Column
    name : str
        Of its field, or what the names of its fields begin with.
    real : Real
    """

    endings: ClassVar[tuple[str, ...]] = ("",)
    """Of the names of its fields."""
    variables: ClassVar[str] = ""
    """Declarations that its statements need."""

    def __init__(self, column: _Kind, name: str, real: Real) -> None:
        self.column, self.name, self.real = column, name, real

    def check(self, *, libm: bool) -> None:
        """Raise ValueError where it cannot be written."""

    @property
    def about(self) -> str:
        """What it is, for a comment."""
        return f"{comment(self.column.name)}: {comment(self.column.summary())}"

    @abstractmethod
    def field(self) -> str:
        """Return its part of the row's struct."""

    def constants(self) -> str:
        """Return its tables."""
        return ""

    def flash(self) -> int:
        """Return their bytes."""
        return 0

    def helpers(self) -> list[str]:
        """Return the functions of `HELPERS` that its statements call."""
        return []

    @abstractmethod
    def statements(self, start: int) -> str:
        """Return what fills its numbers, from ``inputs[start]`` on."""

    @abstractmethod
    def gone(self) -> str:
        """Return the condition that its value is missing, behind its statements."""

    @abstractmethod
    def value(self, value: Any) -> str:
        """Return a value as a row is initialised with it, None for a missing one."""


@final
class _NumberInC(_ColumnInC[Number]):
    def field(self) -> str:
        return f"  {self.real.name} {self.name}; /* {self.about}; NAN where it is missing */"

    def constants(self) -> str:
        """Return the edges, as far from the center as the value is when it is compared with them, and the waves."""
        column, real = self.column, self.real
        edges = [real.literal(edge - column.center) for edge in column.edges]
        waves = [
            f"{{{real.literal(frequency)}, {real.literal(phase / (2 * math.pi))}}}"
            for frequency, phase in zip(column.frequencies, column.phases, strict=True)
        ]
        text = ""
        if edges:
            declaration = f"static const {real.name} {self.name}_edges[{len(edges)}] = {{"
            text += f"\n/* {comment(column.name)}, from its center */\n{wrapped(edges, declaration, '};')}\n"
        if waves:
            declaration = f"static const {real.name} {self.name}_waves[{len(waves)}][2] = {{"
            text += (
                f"\n/* {comment(column.name)}, in turns a unit, and phases */\n{wrapped(waves, declaration, '};')}\n"
            )
        return text

    def flash(self) -> int:
        return (len(self.column.edges) + 2 * len(self.column.frequencies)) * self.real.size

    def helpers(self) -> list[str]:
        column = self.column
        return ["bent", *(["fill"] if column.edges else []), *(["waves"] if column.frequencies else [])]

    def statements(self, start: int) -> str:
        column, name, real = self.column, self.name, self.real
        center, rest = _split(column.center, real)
        given = f"row->{name} - {real.literal(center)}" if center >= 0 else f"row->{name} + {real.literal(-center)}"
        narrowest = min(column.scale, *np.diff(column.edges).tolist()) if column.edges else column.scale
        if abs(rest) > _SMALL * narrowest:  # what float leaves of a center that is large beside the scale
            given += f" - {real.literal(rest)}" if rest > 0 else f" + {real.literal(-rest)}"
        scaled, count = f"({given}) / {real.literal(column.scale)}", len(column.frequencies)
        lines = [f"  waves({scaled}, {name}_waves, {count}, &inputs[{start}]);"] if count else []
        lines.append(f"  inputs[{start + count}] = bent({scaled});")
        if column.edges:
            lines.append(f"  fill({given}, {name}_edges, {len(column.edges) - 1}, &inputs[{start + count + 1}]);")
        return "\n".join(lines)

    def gone(self) -> str:
        return f"row->{self.name} != row->{self.name}"

    def value(self, value: Any) -> str:
        return "NAN" if value is None else self.real.literal(value)


@final
class _PresenceInC(_ColumnInC[Presence]):
    def field(self) -> str:
        return f"  {self.real.name} {self.name}; /* {self.about}; NAN where it is missing */"

    def statements(self, start: int) -> str:
        return ""

    def gone(self) -> str:
        return f"row->{self.name} != row->{self.name}"

    def value(self, value: Any) -> str:
        return "NAN" if value is None else self.real.literal(value)


def _split(value: float, real: Real) -> tuple[float, float]:
    """Return a number as `real` holds it, and what that leaves."""
    if real.size == 8:
        return value, 0.0
    high = float(np.float32(value))
    return high, float(np.float32(value - high))


class _CategoryInC(_ColumnInC[Category]):
    variables = "  int place;\n"

    def field(self) -> str:
        return f"  const char *{self.name}; /* {self.about}; NULL where it is missing */"

    def constants(self) -> str:
        column = self.column
        declaration = f"static const char *const {self.name}_levels[{len(column.levels)}] = {{"
        return f"\n/* {comment(column.name)} */\n{wrapped(map(string, column.levels), declaration, '};')}\n"

    def flash(self) -> int:
        return sum(len(level.encode()) + 1 for level in self.column.levels) + 4 * len(self.column.levels)

    def helpers(self) -> list[str]:
        return ["blank_at", "place_of", "one_hot"] if self.column.own_width > 1 else ["blank_at", "place_of"]

    def statements(self, start: int) -> str:
        column, name, count = self.column, self.name, len(self.column.levels)
        found = f"  place = place_of(row->{name}, {name}_levels, {count});\n"
        if column.own_width == 1:
            return found + f"  inputs[{start}] = place == {count - 1} ? 1 : place >= 0 ? -1 : 0;"
        if column.rare:
            found += f"  if (place == UNSEEN) place = {count}; /* with the {column.rare} rare ones */\n"
        return found + f"  one_hot(place, &inputs[{start}], {column.own_width});"

    def gone(self) -> str:
        return "place == MISSING"

    def value(self, value: Any) -> str:
        return "NULL" if value is None else string(value)


@final
class _EmbeddedInC(_CategoryInC):
    def helpers(self) -> list[str]:
        return ["blank_at", "level_of"]

    def statements(self, start: int) -> str:
        column, name, count = self.column, self.name, len(self.column.levels)
        gone = f"place == MISSING ? {count + 1} : {count}" if column.missing else str(count)
        return (
            f"  place = level_of(row->{name}, {name}_levels, {count});\n"
            f"  inputs[{start}] = ({self.real.name})(place >= 0 ? place : {gone}); /* the number of its vector */"
        )


@final
class _BooleanInC(_ColumnInC[Boolean]):
    def field(self) -> str:
        return f"  int8_t {self.name}; /* {comment(self.column.name)}: 1 true, 0 false, -1 missing */"

    def statements(self, start: int) -> str:
        return f"  inputs[{start}] = row->{self.name} < 0 ? 0 : row->{self.name} ? 1 : -1;"

    def gone(self) -> str:
        return f"row->{self.name} < 0"

    def value(self, value: Any) -> str:
        return "-1" if value is None else str(int(value))


_PARTS: Final = {
    "month": (["month_of", "on_circle"], "on_circle(month_of($day), sines_of_12, 12"),
    "weekday": (["weekday_of", "on_circle"], "on_circle(weekday_of($day), sines_of_7, 7"),
    "hour": (["on_clock"], "on_clock($second / 60"),
}
"""Of each part of a date the functions that it needs, and how the one that puts it on a circle is called."""


@final
class _DateInC(_ColumnInC[Date]):
    endings = ("_day", "_second")

    def check(self, *, libm: bool) -> None:
        if "hour" in self.column.parts and not libm:
            raise ValueError(
                f"column {self.column.name!r} holds the hour of the day, which needs sin and cos of math.h; export "
                "with it (libm=True, no --no-libm)"
            )

    def field(self) -> str:
        about = f"{self.about}; days since 1970-01-01, {_NO_DATE} where it is missing"
        return f"  int32_t {self.name}_day; /* {about} */\n  int32_t {self.name}_second; /* of that day, UTC */"

    def helpers(self) -> list[str]:
        return [name for part in self.column.parts for name in _PARTS[part][0]]

    def statements(self, start: int) -> str:
        column, real, gone = self.column, self.real, self.gone()
        day, second = f"row->{self.name}_day", f"row->{self.name}_second"
        whole = math.floor(column.center)
        after = real.literal((column.center - whole) * 86_400)
        days = f"(({real.name}){day} - {real.literal(whole)} + (({real.name}){second} - {after}) / 86400)"
        lines = [f"  inputs[{start}] = {gone} ? 0 : {days} / {real.literal(column.scale)};"]
        for place, part in enumerate(column.parts):
            call = Template(_PARTS[part][1]).substitute(day=day, second=second)
            lines.append(f"  {call}, &inputs[{start + 1 + 2 * place}], {gone});")
        return "\n".join(lines)

    def gone(self) -> str:
        return f"row->{self.name}_day == {_NO_DATE}"

    def value(self, value: Any) -> str:
        if value is None:
            return f"{_NO_DATE}, 0"
        day, second = day_and_second(value)
        return f"{day}, {second}"


@final
class _TextInC(_ColumnInC[Text]):
    """Free text, which is refused."""

    def check(self, *, libm: bool) -> None:
        raise no_text(self.column, "C")

    def field(self) -> str:
        return ""

    def statements(self, start: int) -> str:
        return ""

    def gone(self) -> str:
        return ""

    def value(self, value: Any) -> str:
        return ""


def day_and_second(moment: datetime) -> tuple[int, int]:
    """Return a moment as days since 1970-01-01 and seconds of that day."""
    return divmod(round((moment - EPOCH).total_seconds()), 86_400)


_COLUMNS: Final[dict[type[Column], type[_ColumnInC[Any]]]] = {
    Number: _NumberInC,
    Presence: _PresenceInC,
    Category: _CategoryInC,
    EmbeddedCategory: _EmbeddedInC,
    Boolean: _BooleanInC,
    Date: _DateInC,
    Text: _TextInC,
}
