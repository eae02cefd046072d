"""Scaling of targets of numbers."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import stats

from nineline.tables.targets import Classes, TargetScaling, skewness

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


def test_what_answers_were_multiplied_by_is_not_learned() -> None:
    scaling = TargetScaling.learn(Y, log=True)
    better = scaling.calibrated(Y, np.full(5, 4.0), None)
    assert better.mean != scaling.mean
    np.testing.assert_allclose(better.targets(Y), scaling.targets(Y), atol=1e-6)
    again = better.calibrated(Y, np.full(5, 4.0), None)
    np.testing.assert_allclose(again.targets(Y), scaling.targets(Y), atol=1e-6)
    assert again.shift == pytest.approx(2 * better.shift)
    assert TargetScaling.rebuild(json.loads(json.dumps(again.describe()))) == again


@pytest.mark.parametrize("log", [False, True])
def test_a_wider_range_is_encoded_the_same(log: bool) -> None:
    scaling = TargetScaling.learn(Y, log=log)
    wider = scaling.widened(np.array([0.5, 3.0, 90.0]))
    assert (wider.low, wider.high) == (0.5, 90.0)
    np.testing.assert_array_equal(wider.targets(Y), scaling.targets(Y))
    np.testing.assert_allclose(wider.answers(wider.targets(np.array([0.5, 90.0]))), [0.5, 90.0], rtol=1e-5)
    assert scaling.widened(Y[1:3]) == scaling
    assert TargetScaling.rebuild({"mean": 1.0, "scale": 2.0}).widened(Y) == TargetScaling(1.0, 2.0)


def test_targets_that_cannot_be_encoded_are_said() -> None:
    with pytest.raises(ValueError, match="y has 0, and the target was learned by its logarithm"):
        TargetScaling.learn(Y, log=True).widened(np.array([0.0, 1.0]))
    with pytest.raises(ValueError, match=r"y has -1e\+200, too far from what was learned, 7.8 ±"):
        TargetScaling.learn(Y).widened(np.array([-1e200, 1.0]))


def test_classes_know_which_they_are() -> None:
    target = Classes.learn(np.array(["b", "a", "c"]))
    assert target.widened(np.array(["c", "c"])) is target
    with pytest.raises(ValueError, match="y has the class 'd', and the model knows 'a', 'b', 'c'"):
        target.widened(np.array(["d", "a"]))
    with pytest.raises(ValueError, match="y has the class '1', and the model knows 0, 1"):
        Classes.learn(np.array([0, 1])).widened(np.array(["1"]))


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
    "wrong",
    [
        {"mean": np.nan},
        {"scale": 0.0},
        {"scale": -1.0},
        {"low": 5.0, "high": 4.0},
        {"log": 1},
        {"low": np.nan},
        {"shift": np.inf},
    ],
)
def test_what_scales_nothing_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="scales nothing"):
        TargetScaling.rebuild({"mean": 0.0, "scale": 1.0} | wrong)


def test_a_spread_that_is_no_number_is_said() -> None:
    with pytest.raises(ValueError, match=r"y has 1e\+200, whose square is beyond the range of numbers; divide y by"):
        TargetScaling.learn(np.array([1.0, 1e200]))
