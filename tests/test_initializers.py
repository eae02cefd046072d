"""Initializers: shapes, reproducibility, and the variances that their papers name."""

from __future__ import annotations

import re

import numpy as np
import pytest
from scipy import stats

from nineline.initializers import INITIALIZERS, Initializer, Normal, Scaled, Uniform, Zeros

INPUTS, OUTPUTS = 200, 300

# The variance of each: Glorot (2010) 2 / (in + out), He (2015) 2 / in, LeCun (1998) 1 / in; uniform on [-1, 1): 1/3.
VARIANCES = {
    "uniform": 1 / 3,
    "normal": 0.05**2,
    "zeros": 0,
    "glorot_uniform": 2 / (INPUTS + OUTPUTS),
    "glorot_normal": 2 / (INPUTS + OUTPUTS),
    "he_uniform": 2 / INPUTS,
    "he_normal": 2 / INPUTS,
    "lecun_uniform": 1 / INPUTS,
    "lecun_normal": 1 / INPUTS,
}


def test_the_table_here_knows_every_initializer():
    assert set(VARIANCES) == set(INITIALIZERS)


@pytest.mark.parametrize("name", sorted(VARIANCES))
def test_mean_and_variance_are_as_published(name):
    weights = INITIALIZERS[name]().draw(INPUTS, OUTPUTS, np.random.default_rng(0))
    assert weights.shape == (INPUTS, OUTPUTS)
    assert weights.dtype == np.float64
    # 60,000 draws: the mean within 4 standard errors; the variance's standard error is at most sqrt(2 / 60,000).
    variance = VARIANCES[name]
    assert abs(weights.mean()) <= 4 * np.sqrt(variance / weights.size)
    assert weights.var() == pytest.approx(variance, rel=4 * np.sqrt(2 / weights.size))


@pytest.mark.parametrize("name", [name for name in sorted(VARIANCES) if name != "zeros"])
def test_the_distribution_is_the_one_named(name):
    weights = INITIALIZERS[name]().draw(INPUTS, OUTPUTS, np.random.default_rng(0)).ravel()
    if "normal" in name:
        distribution = stats.norm(scale=np.sqrt(VARIANCES[name]))
    else:
        bound = np.sqrt(3 * VARIANCES[name])
        assert weights.min() >= -bound
        assert weights.max() < bound
        distribution = stats.uniform(-bound, 2 * bound)
    assert stats.kstest(weights, distribution.cdf).pvalue > 0.001


@pytest.mark.parametrize("name", sorted(INITIALIZERS))
def test_one_seed_one_draw(name):
    first, again = (INITIALIZERS[name]().draw(4, 5, np.random.default_rng(7)) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    if name != "zeros":
        assert (first != INITIALIZERS[name]().draw(4, 5, np.random.default_rng(8))).all()


@pytest.mark.parametrize("seed", range(5))
def test_uniform_is_the_tutorials_line_to_the_digit(seed):
    drawn = Uniform().draw(3, 6, np.random.default_rng(seed))
    np.testing.assert_array_equal(drawn, 2 * np.random.default_rng(seed).random((3, 6)) - 1)


def test_constants_reach_the_draw():
    rng = np.random.default_rng(0)
    low_to_high = Uniform(2.0, 3.0).draw(100, 100, rng)
    assert low_to_high.min() >= 2
    assert low_to_high.max() < 3
    assert Normal(2.0).draw(200, 200, rng).std() == pytest.approx(2, rel=0.02)
    assert not Zeros().draw(3, 4, rng).any()
    assert Scaled(5.0, "in", "normal").draw(200, 200, rng).var() == pytest.approx(5 / 200, rel=0.03)


def test_scaled_keeps_the_size_of_a_signal():
    """What the customary variances are for: He's keeps the mean square of a deep relu network's signal."""
    rng = np.random.default_rng(0)
    signal = rng.normal(size=(500, 256))
    before = (signal**2).mean()
    for _ in range(6):
        signal = np.maximum(signal @ INITIALIZERS["he_normal"]().draw(256, 256, rng), 0)
    assert 0.5 < (signal**2).mean() / before < 2  # without the gain of 2 it would be about 1/64


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Scaled(0.0), "gain is 0.0; expected a finite number in (0, inf)"),
        (lambda: Scaled(fan="out"), "fan is 'out'; expected 'in' or 'average'"),
        (lambda: Scaled(distribution="gauss"), "distribution is 'gauss'; expected 'uniform' or 'normal'"),
    ],
)
def test_wrong_constants_are_refused(make, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        make()


def test_one_of_your_own_is_one_method():
    class Diagonal(Initializer):
        def draw(self, inputs, outputs, rng):
            return np.eye(inputs, outputs)

    from nineline import Layer

    np.testing.assert_array_equal(Layer(2, 3, initializer=Diagonal()).weights, [[1, 0, 0], [0, 1, 0]])
