"""Scaling of targets of numbers."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import stats

from nineline.tables.targets import TargetScaling, skewness

Y = np.array([1.0, 2.0, 2.0, 4.0, 30.0])


@pytest.mark.parametrize("log", [False, True])
def test_there_and_back(log: bool) -> None:
    scaling = TargetScaling.learn(Y, log=log)
    z = scaling.targets(Y)
    assert z.dtype == np.float32
    assert z.shape == (5, 1)
    np.testing.assert_allclose([z.mean(), z.std()], [0, 1], atol=1e-6)
    np.testing.assert_allclose(scaling.answers(z), Y, rtol=1e-6)


@pytest.mark.parametrize("log", [False, True])
def test_no_answer_leaves_what_training_saw(log: bool) -> None:
    scaling = TargetScaling.learn(Y, log=log)
    np.testing.assert_array_equal(scaling.answers(np.array([[-1e9], [1e9]])), [1.0, 30.0])


@pytest.mark.parametrize("log", [False, True])
def test_a_weight_of_two_is_two_rows(log: bool) -> None:
    twice = TargetScaling.learn(np.repeat(Y, [1, 2, 1, 3, 1]), log=log)
    weighted = TargetScaling.learn(Y, np.array([1, 2, 1, 3, 1]), log=log)
    np.testing.assert_allclose([weighted.mean, weighted.scale], [twice.mean, twice.scale])


def test_a_constant_target() -> None:
    scaling = TargetScaling.learn(np.full(3, 7.0))
    np.testing.assert_array_equal(scaling.answers(scaling.targets(np.full(3, 7.0))), 7.0)


def test_answers_of_a_logarithm_are_brought_to_the_mean() -> None:
    rng = np.random.default_rng(0)
    truth = np.exp(rng.normal(3, 1, 100_000))
    scaling = TargetScaling.learn(truth, log=True)
    known_best = np.zeros((len(truth), 1))  # nothing is known of any row
    assert scaling.answers(known_best)[0] == pytest.approx(np.exp(3), rel=0.02)
    better = scaling.calibrated(truth, scaling.answers(known_best), None)
    assert better.answers(known_best)[0] == pytest.approx(truth.mean(), rel=1e-6)
    assert TargetScaling.learn(truth).calibrated(truth, truth, None) == TargetScaling.learn(truth)


def test_skewness_is_scipys() -> None:
    assert skewness(Y) == pytest.approx(stats.skew(Y))
    assert skewness(Y, np.array([1, 2, 1, 3, 1])) == pytest.approx(stats.skew(np.repeat(Y, [1, 2, 1, 3, 1])))
    assert skewness(np.full(3, 7.0)) == 0


@pytest.mark.parametrize("log", [False, True])
def test_it_survives_json(log: bool) -> None:
    scaling = TargetScaling.learn(Y, log=log)
    assert TargetScaling.rebuild(json.loads(json.dumps(scaling.describe()))) == scaling
    assert TargetScaling.rebuild({"mean": 1.0, "scale": 2.0}) == TargetScaling(1.0, 2.0)  # as format 1 has it


@pytest.mark.parametrize(
    "wrong", [{"mean": np.nan}, {"scale": 0.0}, {"scale": -1.0}, {"low": 5.0, "high": 4.0}, {"log": 1}, {"low": np.nan}]
)
def test_what_scales_nothing_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="scales nothing"):
        TargetScaling.rebuild({"mean": 0.0, "scale": 1.0} | wrong)


def test_a_spread_that_is_no_number_is_said() -> None:
    with pytest.raises(ValueError, match=r"y has 1e\+200, whose square is beyond the range of numbers; divide y by"):
        TargetScaling.learn(np.array([1.0, 1e200]))
