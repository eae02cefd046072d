"""Values and slopes of activations over all magnitudes of numbers, both engines against mpmath."""

from __future__ import annotations

import functools

import mpmath
import numpy as np
import pytest

from nineline import Layer, Network, Trainer
from nineline.activations import ACTIVATIONS
from nineline.engines import native
from nineline.losses import OutputErrors
from nineline.rows import Rows

ENGINES = ["reference", pytest.param("native", marks=pytest.mark.skipif(native._native is None, reason="not built"))]
PROMISED = 32
"""Units of rounding of max(1, |truth|) that a value and a slope may be off by."""

SCALE = mpmath.mpf("1.0507009873554804934193349852946")
ALPHA = mpmath.mpf("1.6732632423543772848170429916717")


def sigmoid(z):
    return 1 / (1 + mpmath.exp(-z))


def value_of(name, z):
    if name == "mish":
        return z * mpmath.tanh(mpmath.log1p(mpmath.exp(z)))
    return {
        "identity": lambda: z,
        "sigmoid": lambda: sigmoid(z),
        "tanh": lambda: mpmath.tanh(z),
        "relu": lambda: max(z, mpmath.mpf(0)),
        "leaky_relu": lambda: z if z > 0 else z / 100,
        "elu": lambda: z if z > 0 else mpmath.expm1(z),
        "selu": lambda: SCALE * (z if z > 0 else ALPHA * mpmath.expm1(z)),
        "softplus": lambda: mpmath.log1p(mpmath.exp(z)),
        "silu": lambda: z * sigmoid(z),
        "gelu": lambda: z * mpmath.ncdf(z),
    }[name]()


def slope_of(name, z):
    if name == "mish":
        t = mpmath.tanh(mpmath.log1p(mpmath.exp(z)))
        return t + z * (1 - t**2) * sigmoid(z)
    return {
        "identity": lambda: mpmath.mpf(1),
        "sigmoid": lambda: sigmoid(z) * sigmoid(-z),
        "tanh": lambda: mpmath.sech(z) ** 2,
        "relu": lambda: mpmath.mpf(z > 0),
        "leaky_relu": lambda: mpmath.mpf(1) if z > 0 else mpmath.mpf(1) / 100,
        "elu": lambda: mpmath.mpf(1) if z > 0 else mpmath.exp(z),
        "selu": lambda: SCALE * (mpmath.mpf(1) if z > 0 else ALPHA * mpmath.exp(z)),
        "softplus": lambda: sigmoid(z),
        "silu": lambda: sigmoid(z) * (1 + z * sigmoid(-z)),
        "gelu": lambda: mpmath.ncdf(z) + z * mpmath.npdf(z),
    }[name]()


@functools.cache
def everywhere(dtype):
    """Return weighted sums of every magnitude and both signs, up to the ends of the normal ones, and 0."""
    limits = np.finfo(dtype)
    powers = np.geomspace(float(limits.smallest_normal), float(limits.max) * 0.9, 60)
    sizes = np.concatenate([powers, np.linspace(0.01, 130, 300), np.linspace(130, 800, 30)]).astype(dtype)
    sizes = np.concatenate([sizes, [limits.smallest_normal]]).astype(dtype)  # selu is steeper than 1
    return np.unique(np.concatenate([-sizes, sizes, [0]]).astype(dtype))


@functools.cache
def truth(name, dtype):
    """Return values and slopes; from 1e4 on nothing changes but the identity in them, and mpmath is spared that."""
    values, slopes = [], []
    with mpmath.workdps(50):
        for z in everywhere(dtype).tolist():
            near = mpmath.mpf(max(min(z, 1e4), -1e4))
            slopes.append(slope_of(name, near))
            values.append(value_of(name, near) + (mpmath.mpf(z) - near) * slopes[-1])
        return np.array(values, float), np.array(slopes, float)


@pytest.mark.parametrize("name", sorted(set(ACTIVATIONS) - {"softmax", "exponential"}))
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("engine", ENGINES)
def test_values_and_slopes_are_finite_and_right_at_every_finite_weighted_sum(name, dtype, engine):
    z = everywhere(dtype)
    network = Network(Layer(1, len(z), name, dtype=dtype, rng=0))
    network.layers[0].weights[...] = z
    ones = np.ones((1, 1), dtype)
    slopes = np.empty_like(network.parameters)
    rows = Rows(ones, -np.ones((1, len(z)), dtype))
    Trainer(network, engine=engine).engine.gradient(rows, slopes, OutputErrors(reduction="sum"))
    values = network.run(ones)[0] if engine == "native" else network.compute(ones)[0]
    for found, expected in zip((values, slopes), truth(name, dtype), strict=True):
        assert np.isfinite(found).all()
        off = np.abs(found.astype(float) - expected) / np.maximum(1, np.abs(expected))
        assert off.max() <= PROMISED * np.finfo(dtype).eps, (z[off.argmax()], found[off.argmax()])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("engine", ENGINES)
def test_a_softmax_over_a_million_outputs_sums_to_one(dtype, engine):
    rng = np.random.default_rng(0)
    network = Network(Layer(1, 10**6, "softmax", dtype=dtype, rng=0))
    network.layers[0].weights[...] = rng.uniform(-1, 1, 10**6)
    ones = np.ones((1, 1), dtype)
    shares = network.run(ones)[0] if engine == "native" else network.compute(ones)[0]
    assert abs(shares.sum(dtype=float) - 1) < 32 * np.finfo(dtype).eps
