"""Profiles of columns: histograms that add up, however the column came."""

from __future__ import annotations

from datetime import date, timedelta

import narwhals as nw
import numpy as np
import polars as pl
import pytest

from nineline.tables.columns import ColumnsLearner
from nineline.tables.profile import NumberProfile, ValueProfile
from nineline.tables.summaries import NumberSummary

TABLE = pl.DataFrame(
    {
        "number": [0.5 * i for i in range(99)] + [None],
        "text numbers": [str(i) for i in range(99)] + [""],
        "category": ["a"] * 60 + ["b"] * 30 + [None] * 10,
        "flag": [True, False] * 50,
        "day": [date(2020, 1, 1) + timedelta(days=i) for i in range(100)],
        "text day": [f"{1 + i % 12}/{1 + i % 28}/20" for i in range(100)],
        "constant": [7] * 100,
        "empty": pl.Series([None] * 100, dtype=pl.Float64),
    }
)


def profiles(*pieces, weights=None):
    learner = ColumnsLearner()
    for piece in pieces:
        learner.see(nw.from_native(piece, eager_only=True), weights)
    learner.finish()
    return {profile.name: profile for profile in learner.profiles()}


def test_everything_is_counted_once():
    for name, profile in profiles(TABLE).items():
        missing = TABLE[name].is_null().sum() if name != "text numbers" else 1
        counted = profile.counts.sum() + (profile.others if isinstance(profile, ValueProfile) else 0)
        if isinstance(profile, NumberProfile):
            counted += profile.below + profile.above
        assert (profile.rows, profile.missing, counted) == (100, missing, 100 - missing), name


def test_a_table_in_pieces_has_the_same_profiles():
    whole, parts = profiles(TABLE), profiles(TABLE[:30], TABLE[30:])
    for name, profile in whole.items():
        np.testing.assert_array_equal(parts[name].counts, profile.counts)
        assert parts[name].missing == profile.missing
        if isinstance(profile, NumberProfile):
            np.testing.assert_array_equal(parts[name].edges, profile.edges)
        else:
            assert parts[name].values == profile.values


def test_histograms_are_numpys():
    profile = profiles(TABLE)["number"]
    counts, edges = np.histogram(TABLE["number"].drop_nulls().to_numpy(), bins=len(profile.counts))
    np.testing.assert_allclose(profile.edges, edges)
    np.testing.assert_array_equal(profile.counts, counts)
    np.testing.assert_array_equal(profile.quantiles, [0, 12, 24.5, 37, 49])


def test_weights_count():
    heavy = np.where(np.arange(100) < 60, 2.0, 1.0)
    profile = profiles(TABLE, weights=heavy)["category"]
    assert (profile.values, profile.counts.tolist(), profile.rows) == (("a", "b"), [120, 30], 100)


def test_the_most_frequent_values_come_first_and_the_others_are_counted():
    series = [f"level {i}" for i in range(30) for _ in range(i + 1)]
    profile = profiles(pl.DataFrame({"x": series}))["x"]
    assert profile.values[:2] == ("level 29", "level 28")
    assert (len(profile.values), profile.different) == (10, 30)
    assert profile.others == sum(range(1, 21))


def test_few_whole_numbers_have_a_bin_each():
    profile = NumberProfile.of("x", NumberSummary.of(np.array([1.0, 1, 2, 4])))
    np.testing.assert_array_equal(profile.edges, [0.5, 1.5, 2.5, 3.5, 4.5])
    np.testing.assert_array_equal(profile.counts, [2, 1, 0, 1])


def test_outliers_do_not_squeeze_the_others():
    values = np.concatenate([np.linspace(0, 1, 999), [1e9]])
    profile = NumberProfile.of("x", NumberSummary.of(values))
    assert profile.edges[-1] < 2
    assert profile.above >= 1
    assert profile.quantiles[-1] == 1e9


@pytest.mark.parametrize(
    "values", [[5.0], [0.0, 0.0], [1e300, -1e300], [np.inf, -np.inf], [np.inf, 3.0], [1e-320, 0.0]]
)
def test_strange_numbers(values):
    profile = NumberProfile.of("x", NumberSummary.of(np.array(values)))
    assert np.isfinite(profile.edges).all()
    assert (np.diff(profile.edges) > 0).all()
    assert profile.counts.sum() + profile.below + profile.above == np.isfinite(values).sum()


def test_dates_are_known_as_such():
    found = profiles(TABLE)
    assert found["day"].dates
    assert found["text day"].dates
    assert not found["number"].dates


@pytest.mark.parametrize("value", [1_700_000_000_000_000_000, 10**17, 2**53, -(2**60)])
def test_large_whole_numbers(value):
    for values in ([value] * 50, [value, value + 1024, value + 2048] * 20):
        profile = NumberProfile.of("x", NumberSummary.of(np.array(values, float)))
        assert profile.counts.sum() == len(values)
        assert (np.diff(profile.edges) > 0).all()
