"""Functions of vectors (native/math.hpp): how far from the truth, over all magnitudes, and what they do at the ends."""

from __future__ import annotations

import functools
import math

import numpy as np
import pytest
from scipy import special

from nineline.engines import native

pytestmark = pytest.mark.skipif(native._native is None, reason="the native engine was not built")

module = native._native
LEVELS = module.levels() if module is not None else []
DTYPES = [np.float32, np.float64]

# Units in the last place (or, among denormal results, in multiples of the smallest number): the bounds that the
# table in native/math.hpp keeps, rounded up.
BOUNDS = {
    "exp": 1.5,
    "expm1": 2,
    "log": 1,
    "log1p": 1.5,
    "tanh": 3,
    "sigmoid": 3,
    "softplus": 2,
    "erf": 3,
    "normal_distribution": 8,
}
FUNCTIONS = sorted(BOUNDS)


def sigmoid(x):
    small = np.exp(-np.abs(x))
    return np.where(x < 0, small, 1) / (1 + small)


def softplus(x):
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def erfc(x):
    return np.fromiter(map(math.erfc, x), float, x.size)


def normal_distribution(x):
    """Return erfc(-x / sqrt(2)) / 2, with what the argument loses as a double brought back by the slope."""
    wide = -x / np.sqrt(np.longdouble(2))
    argument = wide.astype(float)
    slope = -2 / np.sqrt(np.pi) * np.exp(-np.square(argument.astype(np.longdouble)))
    change = np.where(np.isfinite(x), wide - argument, 0) * slope
    return (erfc(argument) + change) / 2


TWINS = {  # of a wider type of number than the one in question
    "exp": np.exp,
    "expm1": np.expm1,
    "log": np.log,
    "log1p": np.log1p,
    "tanh": np.tanh,
    "sigmoid": sigmoid,
    "softplus": softplus,
    "erf": lambda x: np.fromiter(map(math.erf, x), float, x.size),
    "normal_distribution": normal_distribution,
}
DOUBLES = {"erf", "normal_distribution"}  # their float64 twins are doubles, of Python's math: within one unit


@functools.cache
def sweep(dtype):
    """Return numbers of every magnitude and sign, and more of them where the functions bend."""
    if dtype is np.float32:
        patterns = np.arange(0, 2**32, 9_973, dtype=np.uint32)
        x = patterns.view(np.float32)
        dense = np.linspace(-110, 110, 100_003).astype(np.float32)
    else:
        rng = np.random.default_rng(0)
        x = rng.integers(2**64, size=40_000, dtype=np.uint64).view(np.float64)
        dense = np.concatenate([rng.uniform(-reach, reach, 15_000) for reach in (1, 6, 40, 760)])
    near_one = 1 + np.geomspace(1e-9, 0.5, 2001)
    ones = [sign * each for sign in (1, -1) for each in (near_one, 1 / near_one)]
    return np.concatenate([x[np.isfinite(x)], dense, *ones]).astype(dtype)


@functools.cache
def truth(function, dtype):
    """Return the function of the sweep as numbers with more digits."""
    x = sweep(dtype).astype(np.float64 if dtype is np.float32 else np.longdouble)
    with np.errstate(all="ignore"):
        return TWINS[function](x)


def units_apart(found, expected):
    """Return how far off, in units in the last place of what is expected."""
    limits = np.finfo(found.dtype)
    last_place = np.maximum(np.frexp(expected)[1], limits.minexp + 1) - (limits.nmant + 1)
    return np.ldexp(np.abs(found - expected), -last_place)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_error_is_within_the_bound(level, function, dtype):
    if dtype is np.float64 and np.finfo(np.longdouble).eps > 1e-18:
        pytest.skip("no type of number here that is wider than float64")
    found, expected = module.apply(function, sweep(dtype), level), truth(function, dtype)
    assert found.dtype == dtype
    with np.errstate(over="ignore"):
        rounded = expected.astype(dtype)
    finite = np.isfinite(rounded)
    np.testing.assert_array_equal(found[~finite], rounded[~finite])
    bound = BOUNDS[function] + (dtype is np.float64 and function in DOUBLES)
    errors = units_apart(found[finite], expected[finite])
    worst = errors.argmax()
    assert errors[worst] <= bound, f"{function}({sweep(dtype)[finite][worst]!r}) is {errors[worst]:.2f} ulp off"


NUMPYS = TWINS | {
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "softplus": lambda x: np.logaddexp(x, 0),
    "erf": special.erf,
    "normal_distribution": special.ndtr,
}


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_special_values_are_numpys(level, function, dtype):
    x = [0.0, -0.0, np.inf, -np.inf, np.nan]
    if function.startswith("log"):
        x += [-1, -2]
    if function in {"expm1", "log1p", "tanh"}:
        x += [np.finfo(dtype).smallest_subnormal, -np.finfo(dtype).smallest_subnormal]
    x = np.array(x, dtype)
    found = module.apply(function, x, level)
    with np.errstate(all="ignore"):
        expected = NUMPYS[function](x)
    np.testing.assert_array_equal(found, expected)
    numbers = ~np.isnan(expected)
    np.testing.assert_array_equal(np.signbit(found[numbers]), np.signbit(expected[numbers]))


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_nan_stays_in_its_lane(level, function, dtype):
    x = np.linspace(0.1, 3, 64).astype(dtype)
    expected = module.apply(function, x, level)
    x[::3] = expected[::3] = np.nan
    np.testing.assert_array_equal(module.apply(function, x, level), expected)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(("function", "least"), [("tanh", -1), ("erf", -1), ("sigmoid", 0), ("normal_distribution", 0)])
@pytest.mark.parametrize("dtype", DTYPES)
def test_what_has_limits_never_leaves_them(level, function, least, dtype):
    found = module.apply(function, sweep(dtype), level)
    assert found.min() == least
    assert found.max() == 1


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("function", ["tanh", "erf"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_odd_functions_are_odd_to_the_last_bit(level, function, dtype):
    x = sweep(dtype)
    np.testing.assert_array_equal(module.apply(function, -x, level), -module.apply(function, x, level))


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(
    ("function", "twin"), [("inverse", lambda x: 1 / x), ("inverse_square_root", lambda x: x**-0.5)]
)
@pytest.mark.parametrize("dtype", DTYPES)
def test_inverses_of_all_normal_numbers_are_within_two_units(level, function, twin, dtype):
    limits = np.finfo(dtype)
    rng = np.random.default_rng(0)
    x = np.exp2(rng.uniform(limits.minexp, limits.maxexp, 200_000)).astype(dtype)
    x = np.concatenate([[limits.tiny], x[(x >= limits.tiny) & (x < 1 / limits.tiny)], [1, 2, 3, 4]]).astype(dtype)
    expected = twin(x.astype(np.longdouble))
    assert units_apart(module.apply(function, x, level), expected).max() <= 2


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(("dtype", "most"), [(np.float32, 88.72283), (np.float64, 709.782712893384)])
def test_exp_overflows_where_the_numbers_end(level, dtype, most):
    most = dtype(most)
    np.testing.assert_array_equal(
        np.isinf(module.apply("exp", np.array([most, np.nextafter(most, dtype(np.inf))]), level)), [False, True]
    )
