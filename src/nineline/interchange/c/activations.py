"""The arithmetic of exported C: each activation and its slope, and exp and its kin where there is no math library.

Every text is C99 for one real type, float or double. ``$exp`` and the like stand for the function of math.h, or for
one of those at the end of this file, which need no library and are right to a few units in the last place of 1:

- ``exp(x) = 2**k * exp(r)`` with ``k = round(x / ln 2)`` and ``r = x - k ln 2``, so that ``|r| < 0.35`` and a few terms
  of its series are enough; ``2**k`` is made by squaring;
- ``log(1 + t) = 2 artanh(t / (2 + t))``, whose terms shrink at least by nine each for t in [0, 1];
- the square root of what is above 0 by Newton's rule, which falls towards it from above.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from decimal import Decimal
from string import Template
from typing import TYPE_CHECKING, Final

import numpy as np

from nineline.activations import (
    SELU_ALPHA,
    SELU_SCALE,
    Activation,
    Elu,
    Exponential,
    Gelu,
    Identity,
    LeakyRelu,
    Mish,
    Relu,
    Selu,
    Sigmoid,
    Silu,
    Softmax,
    Softplus,
    Tanh,
    setting_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True)
class Real:
    """The C type that a network is written in."""

    name: str
    """"float" or "double"."""
    size: int
    """Bytes."""
    suffix: str
    """What literals and the names of math.h end in."""
    tolerance: float
    """Of a self-test, on outputs of about 1."""

    def literal(self, value: float) -> str:
        """Return the shortest decimal number that C reads back to the last bit."""
        text = repr(float(value)) if self.size == 8 else str(np.float32(value))
        return text + self.suffix


REALS: Final = {"float32": Real("float", 4, "f", 1e-4), "float64": Real("double", 8, "", 1e-9)}

_MISH: Final = """
/* z * tanh(softplus(z)), where tanh(log(1 + e)) is n / (n + 2) with n = e * (e + 2). */
static $real $name($real z)
{
  $real e, n;
  if (z > 20) return z;
  e = $exp(z);
  n = e * (e + 2);
  return z * (n / (n + 2));
}
"""
_MISH_SLOPE: Final = """
/* t + z * (1 - t * t) * s, where t is n / (n + 2) as above and the sigmoid s is e / (1 + e). */
static $real $name($real z)
{
  $real e, n;
  if (z > 20) return 1;
  e = $exp(z);
  n = e * (e + 2);
  return n / (n + 2) + 4 * z * e * (e + 1) / ((n + 2) * (n + 2));
}
"""
_SILU_SLOPE: Final = """
static $real $name($real z, $real y)
{
  const $real s = 1 / (1 + $exp(-z));
  return s + y * (1 - s);
}
"""
_SOFTMAX: Final = """
/* Shares of 1: exp(z) over the sum of all exp(z), with the largest z taken off before, which cancels. */
static void $name(const $real z[], $real shares[], int count)
{
  $real largest = z[0], sum = 0;
  int j;
  for (j = 1; j < count; ++j) if (z[j] > largest) largest = z[j];
  for (j = 0; j < count; ++j) sum += shares[j] = $exp(z[j] - largest);
  for (j = 0; j < count; ++j) shares[j] /= sum;
}
"""
_SOFTMAX_BACKWARD: Final = """
/* Errors of shares of 1 carried back to the sums that they were made of; both may be one array. */
static void $name(const $real shares[], const $real errors[], $real back[], int count)
{
  $real mean = 0;
  int j;
  for (j = 0; j < count; ++j) mean += errors[j] * shares[j];
  for (j = 0; j < count; ++j) back[j] = shares[j] * (errors[j] - mean);
}
"""


@dataclass(frozen=True)
class _Function:
    """An activation as a function in C."""

    text: str
    """Of ``$name``; empty where there is nothing to do."""
    slope: str = ""
    """Of ``$name``, its derivative; empty where that is 1."""
    slope_of: tuple[str, ...] = ()
    """What that is written in terms of: the weighted sum z, the output y."""
    whole: bool = False
    """Whether it takes all sums of a row at once: ``name(z, outputs, count)``; and instead of a slope it carries
    errors back, ``name(outputs, errors, back, count)``."""


def _of(value: str, slope: str, *slope_of: str) -> _Function:
    """Return the function of one weighted sum z that a formula is, and its slope in terms of z or y or both."""
    return _Function(_returning(value, "z"), _returning(slope, *slope_of), slope_of)


def _returning(formula: str, *arguments: str) -> str:
    taken = ", ".join(f"$real {each}" for each in arguments)
    return f"\nstatic $real $name({taken})\n{{\n  return {formula};\n}}\n"


_ACTIVATIONS: Final[dict[type[Activation], _Function]] = {
    Identity: _Function(""),
    Sigmoid: _of("1 / (1 + $exp(-z))", "y * (1 - y)", "y"),
    Tanh: _of("$tanh(z)", "1 - y * y", "y"),
    Relu: _of("z > 0 ? z : 0", "y > 0 ? 1 : 0", "y"),
    LeakyRelu: _of("z > 0 ? z : $setting * z", "z > 0 ? 1 : $setting", "z"),
    Elu: _of("z > 0 ? z : $setting * $expm1(z)", "z > 0 ? 1 : y + $setting", "z", "y"),
    Selu: _of("$scale * (z > 0 ? z : $alpha * $expm1(z))", "z > 0 ? $scale : y + $scale * $alpha", "z", "y"),
    Softplus: _of("(z > 0 ? z : 0) + $log1p($exp(z > 0 ? -z : z))", "1 / (1 + $exp(-z))", "z"),
    Exponential: _of("$exp(z)", "y", "y"),
    Silu: _Function(_returning("z / (1 + $exp(-z))", "z"), _SILU_SLOPE, ("z", "y")),
    Mish: _Function(_MISH, _MISH_SLOPE, ("z",)),
    Gelu: _of(
        "z / 2 * $erfc(z * -$root_half)", "$erfc(z * -$root_half) / 2 + z * $exp(-z * z / 2) * $density_at_0", "z"
    ),
    Softmax: _Function(_SOFTMAX, _SOFTMAX_BACKWARD, whole=True),
}


@dataclass(frozen=True)
class Unit:
    """The activation of a layer in C."""

    activation: Activation
    number: str
    """The layer's."""

    @property
    def name(self) -> str:
        """The name of its function; two settings of one activation are two functions."""
        return f"unit_{self._called}"

    @property
    def slope_name(self) -> str:
        """The name of the function that is its slope, or that carries errors back where it is `whole`."""
        return f"{'backward' if self.whole else 'slope'}_{self._called}"

    @property
    def _called(self) -> str:
        plain = self.activation == type(self.activation)()
        return self.activation.name + ("" if plain else f"_{self.number}")

    @property
    def whole(self) -> bool:
        """Whether it takes all sums of a row at once: ``name(z, outputs, count)``."""
        return self._function.whole

    @property
    def bends(self) -> bool:
        """Whether it has a function, and a slope other than 1."""
        return bool(self._function.text)

    @property
    def _function(self) -> _Function:
        return _ACTIVATIONS[type(self.activation)]

    def of(self, z: str) -> str:
        """Return what it makes of one weighted sum."""
        return f"{self.name}({z})" if self.bends else z

    def slope(self, z: str, y: str) -> str:
        """Return its slope at one weighted sum z, of which it made y."""
        given = {"z": z, "y": y}
        return f"{self.slope_name}({', '.join(given[each] for each in self._function.slope_of)})"

    def text(self, real: Real) -> str:
        """Return its function, where ``$exp`` and the like are left; empty where it needs none."""
        return self._filled(self._function.text, self.name, real)

    def slope_text(self, real: Real) -> str:
        """Return the function that is its slope, as `text` does."""
        return self._filled(self._function.slope, self.slope_name, real)

    def _filled(self, text: str, name: str, real: Real) -> str:
        return Template(text).safe_substitute(
            name=name,
            real=real.name,
            setting=real.literal(setting_of(self.activation)),
            scale=real.literal(SELU_SCALE),
            alpha=real.literal(SELU_ALPHA),
            root_half=real.literal(math.sqrt(0.5)),
            density_at_0=real.literal(1 / math.sqrt(2 * math.pi)),
        )


def functions(
    units: Iterable[Unit], real: Real, *, libm: bool, slopes: bool = False, also: Iterable[str] = ()
) -> tuple[str, bool]:
    """Return the functions that activations need, each once, and whether they call math.h.

    Parameters
    ----------
    units : iterable of Unit
    real : Real
    libm : bool
        Whether math.h may be called.
    slopes : bool
        Whether the slope of each is called too.
    also : iterable of str
        Functions of math.h that the rest of the program calls, such as "sqrt".

    Raises
    ------
    ValueError
        `libm` is False, and an activation has no form without it.
    """
    texts = {}
    for unit in units:
        texts[unit.name] = unit.text(real)
        if slopes:
            texts[unit.slope_name] = unit.slope_text(real)
    needed = set(also) | {each for text in texts.values() for each in called(text)}
    if libm:
        calls = {each: each + real.suffix for each in needed}
        return "".join(Template(text).substitute(calls) for text in texts.values()), bool(needed)
    if "erfc" in needed:
        raise ValueError(
            "gelu needs erf of math.h, which has no short formula; export with it (libm=True, no --no-libm)"
        )
    for each in [*needed]:
        needed |= {"exp"} if each in ("tanh", "expm1") else set()
    order = [each for each in _OWN if each in needed]
    texts = {**{each: Template(_OWN[each]).safe_substitute(_constants(real)) for each in order}, **texts}
    return "".join(Template(text).substitute({each: own_name(each) for each in _OWN}) for text in texts.values()), False


def own_name(function: str) -> str:
    """Return the name of the stand-in for a function of math.h."""
    return f"own_{function}"


def called(text: str) -> list[str]:
    """Return the functions of math.h that a text calls as ``$exp`` and the like."""
    return re.findall(r"\$(\w+)", text)


def _constants(real: Real) -> dict[str, str]:
    bits = 10 if real.size == 4 else 32  # k times so few bits is exact
    high = math.floor(math.log(2) * 2**bits) / 2**bits
    low = float(Decimal("0.693147180559945309417232121458176568") - Decimal(high))
    return {
        "real": real.name,
        "largest": real.literal(88 if real.size == 4 else 709),
        "smallest": real.literal(-87 if real.size == 4 else -708),
        "half": real.literal(0.5),
        "log2": real.literal(math.log(2)),
        "high": real.literal(high),
        "low": real.literal(low),
        "terms": "8" if real.size == 4 else "14",
        "odd": "19" if real.size == 4 else "35",
    }


_OWN: Final = {
    "exp": """
/* exp(z) without a library: 2 to the power k, k = z / log(2) rounded, times the series of exp for what remains. */
static $real $exp($real z)
{
  $real rest, term = 1, sum = 1, power = 1, factor;
  int k, n;
  if (z < $smallest) return 0;
  if (z > $largest) z = $largest;
  k = (int)(z / $log2 + (z < 0 ? -$half : $half));
  rest = (z - ($real)k * $high) - ($real)k * $low;
  for (n = 1; n <= $terms; ++n) sum += term *= rest / ($real)n;
  for (factor = k < 0 ? $half : 2, n = k < 0 ? -k : k; n > 0; n /= 2) {
    if (n % 2 == 1) power *= factor;
    if (n > 1) factor *= factor;
  }
  return sum * power;
}
""",
    "expm1": """
static $real $expm1($real z)
{
  return $exp(z) - 1;
}
""",
    "tanh": """
static $real $tanh($real z)
{
  const $real e = $exp(z < 0 ? 2 * z : -2 * z);
  return (z < 0 ? e - 1 : 1 - e) / (1 + e);
}
""",
    "log1p": """
/* log(1 + t) for t from 0 to 1 without a library: the series of 2 artanh(u), u = t / (2 + t). */
static $real $log1p($real t)
{
  const $real u = t / (2 + t);
  $real power = u, sum = u;
  int n;
  for (n = 3; n <= $odd; n += 2) {
    power *= u * u;
    sum += power / ($real)n;
  }
  return 2 * sum;
}
""",
    "sqrt": """
/* The square root of what is above 0 without a library: Newton's rule falls towards it from above. */
static $real $sqrt($real square)
{
  $real root = 1 + square, next = (1 + square) / 2;
  while (next < root) {
    root = next;
    next = (root + square / root) / 2;
  }
  return root;
}
""",
}
"""Stand-ins for functions of math.h, each after those that it calls."""
