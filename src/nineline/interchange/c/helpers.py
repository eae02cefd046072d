"""The functions of exported C that turn the values of columns into numbers, and the constants that these need."""

from __future__ import annotations

import math
from dataclasses import dataclass
from string import Template
from typing import TYPE_CHECKING, Final

import numpy as np

from nineline.interchange.c.text import wrapped

if TYPE_CHECKING:
    from nineline.interchange.c.activations import Real


@dataclass(frozen=True)
class Helper:
    """A function of exported C."""

    template: str
    """Its text; ``$real`` is the type of numbers, and ``$sqrt`` and the like stand for functions of math.h."""
    cycle: int = 0
    """How many points of the circle it needs, or 0."""

    def text(self, real: Real) -> str:
        """Return its text, where ``$sqrt`` and the like are left, behind the table of its points."""
        numbers = {
            "limit": real.literal(1e8),
            "turn": real.literal(2 * math.pi / 1440),
            "tau": real.literal(2 * math.pi),
            "half": real.literal(0.5),
            "quarter": real.literal(0.25),
            "reciprocals": ", ".join(real.literal(1 / ((2 * k - 1) * 2 * k)) for k in range(1, 12)),
        }
        return self._points(real) + Template(self.template).safe_substitute(real=real.name, **numbers)

    def flash(self, real: Real) -> int:
        """Return the bytes of its points."""
        return 2 * self.cycle * real.size

    def _points(self, real: Real) -> str:
        if not self.cycle:
            return ""
        angles = 2 * np.pi * np.arange(self.cycle) / self.cycle
        points = [f"{{{real.literal(math.sin(a))}, {real.literal(math.cos(a))}}}" for a in angles]
        name = f"sines_of_{self.cycle}[{self.cycle}][2]"
        return f"\n{wrapped(points, f'static const {real.name} {name} = {{', '};')}\n"


HELPERS: Final = {
    "bent": Helper(
        """
/* A scaled number bent towards 3 and -3; 0 where it is missing. */
static $real bent($real z)
{
  if (z != z) return 0;
  if (z > $limit) return 3;
  if (z < -$limit) return -3;
  return z / $sqrt(1 + z * z / 9);
}
"""
    ),
    "fill": Helper(
        """
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
    ),
    "waves": Helper(
        """
/* cos(2 pi turns), by the even powers of what is left of a quarter turn. */
static $real wave($real turns)
{
  static const $real r[11] = {$reciprocals};
  $real t = turns - ($real)(int)(turns < 0 ? turns - $half : turns + $half), x, sum = 1;
  const int beyond = (t = t < 0 ? -t : t) > $quarter;
  int i;
  if (beyond) t = $half - t;
  x = $tau * t * ($tau * t);
  for (i = 10; i >= 0; --i) sum = 1 - x * r[i] * sum;
  return beyond ? -sum : sum;
}

/* The waves of a scaled number; 0 where it is missing. */
static void waves($real z, const $real turns_and_phases[][2], int count, $real inputs[])
{
  int i;
  for (i = 0; i < count; ++i)
    inputs[i] = z != z ? 0 : wave(bent(z) * turns_and_phases[i][0] + turns_and_phases[i][1]);
}
"""
    ),
    "blank_at": Helper(
        """
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
"""
    ),
    "place_of": Helper(
        """
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
    ),
    "level_of": Helper(
        """
/* The place of a text among levels in the order of their bytes, blanks around it aside; UNSEEN, or MISSING. */
static int level_of(const char *text, const char *const levels[], int count)
{
  const char *end, *rest;
  int low = 0, high = count, bytes;
  while (text != NULL && (bytes = blank_at(text)) > 0) text += bytes;
  if (text == NULL || *text == '\\0') return MISSING;
  for (end = rest = text; *rest != '\\0';) {
    if ((bytes = blank_at(rest)) > 0) rest += bytes;
    else end = ++rest;
  }
  while (low < high) {
    const int middle = low + (high - low) / 2;
    const char *mine = text, *level = levels[middle];
    while (mine != end && *mine == *level) ++mine, ++level;
    if (mine == end && *level == '\\0') return middle;
    if (mine == end || (*level != '\\0' && (unsigned char)*mine < (unsigned char)*level)) high = middle;
    else low = middle + 1;
  }
  return UNSEEN;
}
"""
    ),
    "one_hot": Helper(
        """
static void one_hot(int place, $real inputs[], int count)
{
  int i;
  for (i = 0; i < count; ++i) inputs[i] = i == place ? 1 : 0;
}
"""
    ),
    "month_of": Helper(
        """
/* The month, from 0, of a day. Years begin on 1 March, so that a leap day is the last of its year. */
static int month_of(int32_t day)
{
  const int32_t of_cycle = (day % 146097 + 146097 + 719468 % 146097) % 146097; /* of the days in 400 years */
  const int32_t year = (of_cycle - of_cycle / 1460 + of_cycle / 36524 - of_cycle / 146096) / 365;
  const int32_t of_year = of_cycle - (365 * year + year / 4 - year / 100);
  return (int)(((5 * of_year + 2) / 153 + 2) % 12);
}
""",
        cycle=12,
    ),
    "weekday_of": Helper(
        """
/* The day of the week, from 0 on Monday; 1970-01-01 was a Thursday. */
static int weekday_of(int32_t day)
{
  return (int)((day % 7 + 7 + 3) % 7);
}
""",
        cycle=7,
    ),
    "on_circle": Helper(
        """
static void on_circle(int place, const $real sines[][2], int count, $real inputs[], int missing)
{
  inputs[0] = missing || place < 0 || place >= count ? 0 : sines[place][0];
  inputs[1] = missing || place < 0 || place >= count ? 0 : sines[place][1];
}
"""
    ),
    "on_clock": Helper(
        """
static void on_clock(int32_t minute, $real inputs[], int missing)
{
  const $real angle = ($real)minute * $turn;
  inputs[0] = missing ? 0 : $sin(angle);
  inputs[1] = missing ? 0 : $cos(angle);
}
"""
    ),
}
"""Each by its name, in the order in which they are written."""
