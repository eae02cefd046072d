"""The arithmetic of exported C: each activation as a function, and exp and its kin where there is no math library.

Every text is C99 for one real type, float or double. ``$exp`` and the like stand for the function of math.h, or for
one of those at the end of this file, which need no library and are right to a few units in the last place of 1:

- ``exp(x) = 2**k * exp(r)`` with ``k = round(x / ln 2)`` and ``r = x - k ln 2``, so that ``|r| < 0.35`` and a few terms
  of its series are enough; ``2**k`` is made by squaring;
- ``log(1 + t) = 2 artanh(t / (2 + t))``, whose terms shrink at least by nine each for t in [0, 1];
- the square root of 1 or more by Newton's rule, which falls towards it from above.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from decimal import Decimal
from string import Template
from typing import TYPE_CHECKING, Final

import numpy as np

from nineline.activations import Softmax, setting_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nineline.activations import Activation
    from nineline.interchange.model import Dense


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

# What follows `return`; z is a weighted sum.
_ACTIVATIONS: Final = {
    "sigmoid": "1 / (1 + $exp(-z))",
    "tanh": "$tanh(z)",
    "relu": "z > 0 ? z : 0",
    "leaky_relu": "z > 0 ? z : $setting * z",
    "elu": "z > 0 ? z : $setting * $expm1(z)",
    "selu": "$scale * (z > 0 ? z : $alpha * $expm1(z))",
    "softplus": "(z > 0 ? z : 0) + $log1p($exp(z > 0 ? -z : z))",
    "exponential": "$exp(z)",
    "silu": "z / (1 + $exp(-z))",
    "gelu": "z / 2 * $erfc(z * -$root_half)",
}
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


def function_name(layer: Dense) -> str:
    """Return the name of a layer's activation in C; two settings of one activation are two functions."""
    activation = layer.activation
    if activation != type(activation)():
        return f"unit_{layer.activation_name}_{layer.number}"
    return f"unit_{layer.activation_name}"


def functions(layers: Iterable[Dense], real: Real, *, libm: bool, also: Iterable[str] = ()) -> tuple[str, bool]:
    """Return the functions that the layers' activations need, and whether they call math.h.

    Parameters
    ----------
    layers : iterable of Dense
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
    texts: dict[str, str] = {}
    for layer in layers:
        name = function_name(layer)
        if layer.activation_name != "identity" and name not in texts:
            texts[name] = _function(name, layer.activation_name, layer.activation, real)
    needed = set(also) | {each for text in texts.values() for each in _called(text)}
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


def _function(name: str, kind: str, activation: Activation, real: Real) -> str:
    if isinstance(activation, Softmax) or kind == "mish":
        whole = _SOFTMAX if kind == "softmax" else _MISH
        return Template(whole).safe_substitute(name=name, real=real.name)
    formula = Template(_ACTIVATIONS[kind]).safe_substitute(
        setting=real.literal(setting_of(activation)),
        scale=real.literal(1.0507009873554804934193349852946),
        alpha=real.literal(1.6732632423543772848170429916717),
        root_half=real.literal(math.sqrt(0.5)),
    )
    return f"\nstatic {real.name} {name}({real.name} z)\n{{\n  return {formula};\n}}\n"


def _called(text: str) -> list[str]:
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
/* The square root of 1 or more without a library: Newton's rule falls towards it from above. */
static $real $sqrt($real square)
{
  $real root = square, next = (1 + square) / 2;
  while (next < root) {
    root = next;
    next = (root + square / root) / 2;
  }
  return root;
}
""",
}
"""Stand-ins for functions of math.h, each after those that it calls."""
