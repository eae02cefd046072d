"""History: a training as a table, a picture of it in a few lines, and the reason it stopped."""

from __future__ import annotations

import pickle

import pytest

from nineline import History
from nineline.training.history import sparkline


def made(**changes):
    return History(
        **{
            "loss": [8.0, 4.0, 2.0, 1.0, 1.0],
            "validation_loss": [9.0, 5.0, 3.0, 2.0, 3.0],
            "learning_rate": [0.1] * 5,
            "seconds": [0.1, 0.2, 0.3, 0.4, 0.5],
            "steps": 5000,
            "stopped": "all 5 epochs done",
            "best_epoch": 4,
            "restored": True,
            **changes,
        }
    )


@pytest.mark.parametrize(
    ("history", "text"),
    [
        (
            made(),
            (
                "History: 5 epochs, 5,000 steps in 0.5 s (reference engine)\n"
                "  loss        8 █▄▂▁▁ 1\n"
                "  validation  9 █▄▂▁▂ 3\n"
                "  best        after epoch 4; the network is back at it\n"
                "  stopped     all 5 epochs done"
            ),
        ),
        (
            made(validation_loss=[], best_epoch=None, restored=False, engine="native"),
            (
                "History: 5 epochs, 5,000 steps in 0.5 s (native engine)\n"
                "  loss        8 █▄▂▁▁ 1\n"
                "  stopped     all 5 epochs done"
            ),
        ),
        (
            made(loss=[0.123456], validation_loss=[], best_epoch=1, restored=False, stopped="the one epoch done"),
            (
                "History: 1 epoch, 5,000 steps in 0.5 s (reference engine)\n"
                "  loss        0.1235 ▁ 0.1235\n"
                "  best        after epoch 1\n"
                "  stopped     the one epoch done"
            ),
        ),
        (
            History(stopped="interrupted in epoch 1"),
            "History: no epoch finished (reference engine); stopped: interrupted in epoch 1",
        ),
        (History(), "History: no epoch finished (reference engine); stopped: not started"),
    ],
    ids=["all", "no validation", "one epoch", "none", "new"],
)
def test_repr_shows_the_curves_and_the_reason(history, text):
    assert repr(history) == text


@pytest.mark.parametrize(
    ("values", "width", "curve"),
    [
        ([0, 1, 2, 3, 4, 5, 6, 7], 32, "▁▂▃▄▅▆▇█"),
        ([7, 0], 32, "█▁"),
        ([3, 3, 3], 32, "▁▁▁"),
        ([5.0], 32, "▁"),
        ([-1, 0, 6], 32, "▁▂█"),
        ([0, 0, 7, 7], 2, "▁█"),  # pairs are averaged
        ([0, 7, 0, 7], 2, "▁▁"),
    ],
)
def test_sparkline_by_hand(values, width, curve):
    assert sparkline(values, width) == curve


@pytest.mark.parametrize("count", [31, 32, 33, 100, 10_001])
def test_a_sparkline_is_never_wider_than_asked(count):
    curve = sparkline(list(range(count)))
    assert len(curve) == min(count, 32)
    assert list(curve) == sorted(curve)
    assert (curve[0], curve[-1]) == ("▁", "█")


def test_columns_are_the_table():
    assert made().columns == {
        "epoch": [1.0, 2.0, 3.0, 4.0, 5.0],
        "loss": [8.0, 4.0, 2.0, 1.0, 1.0],
        "validation_loss": [9.0, 5.0, 3.0, 2.0, 3.0],
        "learning_rate": [0.1] * 5,
        "seconds": [0.1, 0.2, 0.3, 0.4, 0.5],
    }
    assert list(made(validation_loss=[]).columns) == ["epoch", "loss", "learning_rate", "seconds"]
    assert History().columns == {}


def test_columns_are_copies():
    history = made()
    history.columns["loss"].clear()
    assert history.epochs == 5


def test_to_frame_is_a_polars_frame_and_pandas_takes_the_columns():
    import pandas as pd

    frame = made().to_frame()
    assert frame.shape == (5, 5)
    assert frame["validation_loss"].to_list() == [9, 5, 3, 2, 3]
    assert pd.DataFrame(made().columns)["loss"].tolist() == [8, 4, 2, 1, 1]
    assert History().to_frame().shape == (0, 0)


def test_best_validation_loss():
    assert made().best_validation_loss == 2
    with pytest.raises(ValueError, match="this training had no validation"):
        _ = made(validation_loss=[]).best_validation_loss


def test_two_histories_share_nothing():
    first, second = History(), History()
    first.loss.append(1.0)
    assert second.epochs == 0


def test_a_history_can_be_pickled():
    assert pickle.loads(pickle.dumps(made())) == made()
