"""Early stopping: what counts as an improvement, and what is said. What training does with it: test_training."""

from __future__ import annotations

import math

import pytest

from nineline import EarlyStopping


@pytest.mark.parametrize(
    ("least", "loss", "best", "improved"),
    [
        (0, 1.0, math.inf, True),
        (0, 1.0, 2.0, True),
        (0, 2.0, 2.0, False),
        (0, 3.0, 2.0, False),
        (0.5, 1.0, math.inf, True),
        (0.5, 1.75, 2.0, False),
        (0.5, 1.5, 2.0, False),  # by more than 0.5, not by 0.5
        (0.5, 1.25, 2.0, True),
        (0, -3.0, -2.0, True),  # poisson losses may be negative
        (0.5, -2.25, -2.0, False),
        (0, math.nan, 2.0, False),
    ],
)
def test_an_improvement_is_lower_by_more_than_the_least(least, loss, best, improved):
    assert EarlyStopping(min_improvement=least).improved(loss, best) is improved


@pytest.mark.parametrize(
    ("stopping", "reason"),
    [
        (EarlyStopping(), "no improvement of the validation loss for 10 epochs"),
        (EarlyStopping(3, 0.25), "no improvement of the validation loss by more than 0.25 for 3 epochs"),
    ],
)
def test_the_reason_is_a_sentence(stopping, reason):
    assert stopping.reason("validation") == reason


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: EarlyStopping(0), ValueError, "patience is 0; expected a whole number, 1 or more"),
        (lambda: EarlyStopping(2.0), TypeError, "patience is 2.0 (float); expected a whole number"),
        (lambda: EarlyStopping(True), TypeError, "patience is True (bool)"),
        (lambda: EarlyStopping(min_improvement=-1), ValueError, "min_improvement is -1; expected a finite number in ["),
        (lambda: EarlyStopping(min_improvement=math.inf), ValueError, "min_improvement is inf"),
    ],
)
def test_wrong_settings_are_refused(make, error, message):
    with pytest.raises(error) as caught:
        make()
    assert message in str(caught.value)
