"""Schedules: values at ends and in the middle, by hand; pieces that only rise or only fall."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest

from nineline.schedules import (
    SCHEDULES,
    Constant,
    Cosine,
    ExponentialDecay,
    Function,
    OneCycle,
    Schedule,
    Step,
    as_schedule,
)

VALUES = [
    # schedule, epoch, epochs, factor by hand
    (Constant(), 0, 10, 1),
    (Constant(), 9.9, 10, 1),
    (Step(), 0, 100, 1),
    (Step(), 29.99, 100, 1),
    (Step(), 30, 100, 0.1),
    (Step(), 60, 100, 0.01),
    (Step(every=2.5, decay=0.5), 7.4, 100, 0.25),
    (ExponentialDecay(), 0, 10, 1),
    (ExponentialDecay(), 1, 10, 0.95),
    (ExponentialDecay(0.5), 2.5, 10, 0.5**2.5),
    (Cosine(), 0, 10, 1),
    (Cosine(), 5, 10, 0.5),
    (Cosine(), 10 / 3, 10, 0.75),  # cos(pi / 3) = 1/2
    (Cosine(), 10, 10, 0),
    (Cosine(final=0.2), 5, 10, 0.6),
    (Cosine(final=0.2), 10, 10, 0.2),
    (OneCycle(), 0, 100, 0.04),
    (OneCycle(), 15, 100, 0.52),  # half-way up: the mean of 0.04 and 1
    (OneCycle(), 30, 100, 1),
    (OneCycle(), 65, 100, (1 + 4e-6) / 2),
    (OneCycle(), 100, 100, 4e-6),
    (OneCycle(warmup=0.5, start=0.1, final=0.0), 25, 100, 0.55),
    (OneCycle(warmup=0.5, start=0.1, final=0.0), 75, 100, 0.5),
    (Function(lambda epoch: 1 / (1 + epoch)), 3, 10, 0.25),
]


@pytest.mark.parametrize(("schedule", "epoch", "epochs", "factor"), VALUES, ids=lambda value: repr(value)[:40])
def test_values_by_hand(schedule, epoch, epochs, factor):
    found = schedule.factor(epoch, epochs)
    assert isinstance(found, float)
    assert found == pytest.approx(factor, rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("schedule", [Constant(), Step(), ExponentialDecay(), Cosine(), Cosine(0.3)], ids=repr)
def test_a_decay_never_rises_and_begins_at_1(schedule):
    factors = [schedule.factor(epoch, 100) for epoch in np.linspace(0, 100, 401)]
    assert factors[0] == 1
    assert (np.diff(factors) <= 0).all()
    assert min(factors) >= 0


@pytest.mark.parametrize("schedule", [OneCycle(), OneCycle(0.1, 0.5, 0.01)], ids=repr)
def test_one_cycle_rises_to_its_peak_and_falls(schedule):
    epochs = np.linspace(0, 100, 1001)
    factors = np.array([schedule.factor(epoch, 100) for epoch in epochs])
    peak = factors.argmax()
    assert epochs[peak] == pytest.approx(100 * schedule.warmup)
    assert factors[peak] == 1
    assert (np.diff(factors[: peak + 1]) > 0).all()
    assert (np.diff(factors[peak:]) < 0).all()
    assert np.abs(np.diff(factors)).max() < 0.02  # no jump anywhere
    assert [factors[0], factors[-1]] == pytest.approx([schedule.start, schedule.final])


@pytest.mark.parametrize("name", sorted(SCHEDULES))
def test_names_become_schedules(name):
    assert as_schedule(name) == SCHEDULES[name]()
    assert isinstance(as_schedule(name), Schedule)


def test_objects_functions_and_none_become_schedules():
    cosine = Cosine()
    assert as_schedule(cosine) is cosine
    assert as_schedule(None) == Constant()
    assert as_schedule(lambda epoch: 0.9**epoch).factor(2, 10) == pytest.approx(0.81)
    assert as_schedule(math.exp).factor(1, 10) == math.e
    assert as_schedule(lambda epoch: np.float32(0.5)).factor(2, 10) == 0.5


def test_one_of_your_own_is_one_method():
    class Warmup(Schedule):
        def factor(self, epoch, epochs):
            return min(1.0, (epoch + 1) / 5)

    assert as_schedule(Warmup()).factor(0, 10) == 0.2


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Step(every=0), "every is 0; expected a finite number in (0, inf)"),
        (lambda: Step(decay=-0.1), "decay is -0.1"),
        (lambda: ExponentialDecay(0), "decay is 0"),
        (lambda: Cosine(final=-1), "final is -1; expected a finite number in [0, inf)"),
        (lambda: OneCycle(warmup=1), "warmup is 1; expected a finite number in (0, 1)"),
        (lambda: OneCycle(start=math.nan), "start is nan"),
        (lambda: as_schedule(lambda epoch: -1.0).factor(2.5, 10), "schedule at epoch 2.5 is -1.0"),
        (lambda: as_schedule(lambda epoch: math.nan).factor(0, 10), "schedule at epoch 0 is nan"),
        (lambda: as_schedule("cosin"), "schedule is 'cosin', which is not known; did you mean 'cosine'?"),
    ],
)
def test_wrong_values_are_refused(make, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        make()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (Cosine, "schedule is the class Cosine; pass an instance: Cosine()"),
        (0.5, "schedule is 0.5 (float); expected a Schedule or one of the names constant, cosine"),
    ],
)
def test_wrong_types_are_refused(given, message):
    with pytest.raises(TypeError, match=re.escape(message)):
        as_schedule(given)
