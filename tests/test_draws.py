"""Draws inside a step: SplitMix64, written a second time here in Python's whole numbers."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from nineline.draws import Draw

WORD = 2**64 - 1
GOLDEN = 0x9E3779B97F4A7C15


def mix(x):
    """Variant 13 of mix64, as in Steele, Lea, Flood (2014)."""
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & WORD
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & WORD
    return x ^ (x >> 31)


def draw(seed, step, layer, row, unit):
    """The number at one place: the counter is the row from 1 in the high half, the unit in the low one."""
    key = mix((seed + GOLDEN) & WORD)
    key = mix((key + step) & WORD)
    key = mix((key + layer) & WORD)
    return (mix((key + (((row + 1) << 32) + unit) * GOLDEN) & WORD) >> 40) / 2**24


def test_the_oracle_is_splitmix64():
    """The first outputs for seed 1234567, as published at rosettacode.org/wiki/Pseudo-random_numbers/Splitmix64."""
    outputs = [mix((1234567 + n * GOLDEN) & WORD) for n in range(1, 6)]
    assert outputs == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]


@pytest.mark.parametrize(
    ("seed", "step", "layer"),
    [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (2**64 - 1, 10**12, 7), (0x9E3779B97F4A7C15, 3, 2)],
)
def test_draws_are_those_of_whole_number_arithmetic(seed, step, layer):
    found = Draw(seed, step, layer).uniform(5, 9)
    expected = [[draw(seed, step, layer, row, unit) for unit in range(9)] for row in range(5)]
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, expected)


def test_a_draw_does_not_depend_on_how_many_are_asked_for():
    everything = Draw(3, 14, 15).uniform(50, 20)
    for rows, units in [(1, 1), (1, 20), (50, 1), (7, 13)]:
        np.testing.assert_array_equal(Draw(3, 14, 15).uniform(rows, units), everything[:rows, :units])


def test_of_layer_changes_the_layer_alone():
    assert Draw(5, 6).of_layer(7) == Draw(5, 6, 7)


def test_draws_lie_in_0_to_1_in_steps_of_2_to_the_minus_24():
    found = Draw(0, 0).uniform(300, 100).astype(np.float64)
    assert found.min() >= 0
    assert found.max() < 1
    np.testing.assert_array_equal(found * 2**24 % 1, 0)


@pytest.mark.parametrize("step", [0, 1, 999])
def test_draws_are_uniform(step):
    """Chi-square over 256 equal boxes; fixed seeds, so the test cannot fail by chance later."""
    counts = np.bincount((Draw(2026, step).uniform(1000, 256) * 256).astype(int).ravel(), minlength=256)
    assert len(counts) == 256
    assert stats.chisquare(counts).pvalue > 0.001


NEIGHBOURS = {
    "seeds": lambda i: Draw(i, 0, 0).uniform(1, 1)[0, 0],
    "large seeds": lambda i: Draw(2**63 + (i << 40), 0, 0).uniform(1, 1)[0, 0],
    "steps": lambda i: Draw(1, i, 0).uniform(1, 1)[0, 0],
    "layers": lambda i: Draw(1, 0, i).uniform(1, 1)[0, 0],
    "diagonal": lambda i: Draw(i, i, i).uniform(1, 1)[0, 0],
}


@pytest.mark.parametrize("name", NEIGHBOURS)
def test_neighbouring_keys_are_independent(name):
    """Across neighbouring keys the draws are uniform, and neighbours are not correlated."""
    values = np.array([NEIGHBOURS[name](i) for i in range(3000)], dtype=np.float64)
    assert stats.kstest(values, "uniform").pvalue > 0.001
    assert abs(np.corrcoef(values[:-1], values[1:])[0, 1]) < 4 / np.sqrt(3000)


def test_rows_units_steps_and_layers_are_uncorrelated():
    base = Draw(9, 4, 2).uniform(200, 100).astype(np.float64)
    above = np.triu_indices(100, 1)
    others = {
        "next row": (base[:-1], base[1:]),
        "next unit": (base[:, :-1], base[:, 1:]),
        "row and unit exchanged": (base[:100][above], base[:100].T[above]),
        "next step": (base, Draw(9, 5, 2).uniform(200, 100)),
        "next layer": (base, Draw(9, 4, 3).uniform(200, 100)),
        "next seed": (base, Draw(10, 4, 2).uniform(200, 100)),
        "step and layer exchanged": (base, Draw(9, 2, 4).uniform(200, 100)),
    }
    for name, (a, b) in others.items():
        assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 4 / np.sqrt(a.size), name
