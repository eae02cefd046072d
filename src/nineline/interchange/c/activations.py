"""The arithmetic of exported C: each activation as a function, and exp and its kin where there is no math library.

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


@dataclass(frozen=True)
class _Function:
    """An activation as a function in C."""

    text: str
    """Of ``$name``; empty where there is nothing to do."""
    whole: bool = False
    """Whether it takes all sums of a row at once: ``name(z, outputs, count)``."""


def _of(formula: str) -> _Function:
    """Return the function of one weighted sum z that a formula is."""
    return _Function(f"\nstatic $real $name($real z)\n{{\n  return {formula};\n}}\n")


_ACTIVATIONS: Final[dict[type[Activation], _Function]] = {
    Identity: _Function(""),
    Sigmoid: _of("1 / (1 + $exp(-z))"),
    Tanh: _of("$tanh(z)"),
    Relu: _of("z > 0 ? z : 0"),
    LeakyRelu: _of("z > 0 ? z : $setting * z"),
    Elu: _of("z > 0 ? z : $setting * $expm1(z)"),
    Selu: _of("$scale * (z > 0 ? z : $alpha * $expm1(z))"),
    Softplus: _of("(z > 0 ? z : 0) + $log1p($exp(z > 0 ? -z : z))"),
    Exponential: _of("$exp(z)"),
    Silu: _of("z / (1 + $exp(-z))"),
    Mish: _Function(_MISH),
    Gelu: _of("z / 2 * $erfc(z * -$root_half)"),
    Softmax: _Function(_SOFTMAX, whole=True),
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
        plain = self.activation == type(self.activation)()
        return f"unit_{self.activation.name}" + ("" if plain else f"_{self.number}")

    @property
    def whole(self) -> bool:
        """Whether it takes all sums of a row at once: ``name(z, outputs, count)``."""
        return _ACTIVATIONS[type(self.activation)].whole

    def of(self, z: str) -> str:
        """Return what it makes of one weighted sum."""
        return f"{self.name}({z})" if _ACTIVATIONS[type(self.activation)].text else z

    def text(self, real: Real) -> str:
        """Return its function, where ``$exp`` and the like are left; empty where it needs none."""
        return Template(_ACTIVATIONS[type(self.activation)].text).safe_substitute(
            name=self.name,
            real=real.name,
            setting=real.literal(setting_of(self.activation)),
            scale=real.literal(SELU_SCALE),
            alpha=real.literal(SELU_ALPHA),
            root_half=real.literal(math.sqrt(0.5)),
        )


def functions(units: Iterable[Unit], real: Real, *, libm: bool, also: Iterable[str] = ()) -> tuple[str, bool]:
    """Return the functions that activations need, each once, and whether they call math.h.

    Parameters
    ----------
    units : iterable of Unit
    real : Real
    libm : bool
        Whether math.h may be called.
    also : iterable of str
        Functions of math.h that the rest of the program calls, such as "sqrt".

    Raises
    ------
    ValueError
        `libm` is False, and an activation has no form without it.
    """
    texts = {unit.name: unit.text(real) for unit in units}
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
