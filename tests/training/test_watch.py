"""Early stopping: what counts as an improvement, and what is said. What training does with it: test_training."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nineline import EarlyStopping, Epoch, History, Network
from nineline.training.watch import Watch

nan, inf = math.nan, math.inf


def looks(stopping, values, watched="validation", scores=None):
    """Let a Watch look at epochs of these losses; return the best epoch, the best value and what was said at last."""
    network, history = Network(1, 1, rng=0), History()
    said = iter(scores or [])
    if scores is not None:
        stopping = EarlyStopping(stopping.patience, stopping.min_improvement, score=lambda _: next(said))
    watch = Watch(stopping, watched)
    reason = ""
    for number, value in enumerate(values, 1):
        validation = value if watched == "validation" else None
        epoch = Epoch(number, len(values), value, validation, network, history)
        reason = watch.look(epoch, lambda number=number: np.array([float(number)]))
    return history.best_epoch, watch, reason


@pytest.mark.parametrize(
    ("least", "best", "loss", "improved"),
    [
        (0, inf, 1.0, True),
        (0, 2.0, 1.0, True),
        (0, 2.0, 2.0, False),
        (0, 2.0, 3.0, False),
        (0.5, inf, 1.0, True),
        (0.5, 2.0, 1.75, False),
        (0.5, 2.0, 1.5, False),  # by more than 0.5, not by 0.5
        (0.5, 2.0, 1.25, True),
        (0, -2.0, -3.0, True),  # poisson losses may be negative
        (0.5, -2.0, -2.25, False),
        (0, 2.0, nan, False),
    ],
)
def test_an_improvement_is_lower_by_more_than_the_least(least, best, loss, improved):
    assert looks(EarlyStopping(min_improvement=least), [best, loss])[0] == (2 if improved else 1)
    scores = [-best, -loss]
    assert looks(EarlyStopping(min_improvement=least), [0, 0], scores=scores)[0] == (2 if improved else 1)


def test_the_first_score_counts_whatever_it_is_and_nan_is_better_than_nothing_alone():
    assert looks(EarlyStopping(), [0], scores=[nan])[0] == 1
    assert looks(EarlyStopping(), [0, 0, 0], scores=[nan, nan, -5.0])[0] == 3
    best, watch, _ = looks(EarlyStopping(), [0] * 4, scores=[nan, -5.0, nan, -6.0])
    assert (best, watch.best) == (2, 5.0)


def test_a_score_that_is_never_a_number_stops():
    best, _, reason = looks(EarlyStopping(2), [0] * 3, scores=[nan] * 3)
    assert (best, reason) == (1, "no improvement of the score for 2 epochs")


def test_the_point_kept_is_that_of_the_loss_or_of_the_score():
    _, watch, _ = looks(EarlyStopping(), [3.0, 1.0, 2.0])
    assert watch.returns_to().tolist() == [2.0]  # what `point` returned in epoch 2
    _, watch, _ = looks(EarlyStopping(), [3.0, 1.0, 2.0], scores=[0.1, 0.2, 0.3])
    np.testing.assert_array_equal(watch.returns_to(), Network(1, 1, rng=0).parameters)
    best, watch, _ = looks(None, [3.0, 1.0, 2.0])  # validation alone: written down, nothing kept
    assert (best, watch.returns_to()) == (2, None)
    assert looks(None, [3.0, 1.0], watched="training")[0] is None


@pytest.mark.parametrize(
    ("stopping", "how", "reason"),
    [
        (EarlyStopping(2), {}, "no improvement of the validation loss for 2 epochs"),
        (EarlyStopping(2), {"watched": "training"}, "no improvement of the training loss for 2 epochs"),
        (EarlyStopping(2, 0.25), {}, "no improvement of the validation loss by more than 0.25 for 2 epochs"),
        (EarlyStopping(2), {"scores": [3.0, 3.0, 2.0]}, "no improvement of the score for 2 epochs"),
        (EarlyStopping(3), {}, ""),
    ],
)
def test_the_reason_is_a_sentence(stopping, how, reason):
    assert looks(stopping, [1.0, 1.0, 1.0], **how)[2] == reason


def test_training_watches_a_score():
    seen = []

    def score(network):
        seen.append(network.parameters.copy())
        return [0.1, 0.5, 0.4, 0.3, 0.2][len(seen) - 1]

    network = Network(2, 3, 1, rng=0)
    history = network.train([[0, 1], [1, 0]], [[1], [0]], epochs=50, stop=EarlyStopping(3, score=score))
    assert (history.epochs, history.best_epoch, history.restored) == (5, 2, True)
    assert history.stopped == "no improvement of the score for 3 epochs"
    np.testing.assert_array_equal(network.parameters, seen[1])


def test_it_prints_as_it_is_made():
    assert repr(EarlyStopping(5)) == "EarlyStopping(patience=5, min_improvement=0.0)"  # checkpoints know it so
    assert "score=<function" in repr(EarlyStopping(score=lambda network: 0.0))


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: EarlyStopping(0), ValueError, "patience is 0; expected a whole number, 1 or more"),
        (lambda: EarlyStopping(2.0), TypeError, "patience is 2.0 (float); expected a whole number"),
        (lambda: EarlyStopping(True), TypeError, "patience is True (bool)"),
        (lambda: EarlyStopping(min_improvement=-1), ValueError, "min_improvement is -1; expected a finite number in ["),
        (lambda: EarlyStopping(min_improvement=inf), ValueError, "min_improvement is inf"),
        (lambda: EarlyStopping(score="accuracy"), TypeError, "score is 'accuracy'; expected a function"),
    ],
)
def test_wrong_settings_are_refused(make, error, message):
    with pytest.raises(error) as caught:
        make()
    assert message in str(caught.value)
