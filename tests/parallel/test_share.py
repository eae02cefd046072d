"""Shares: batches of all processes have the rows asked for, and each process its part of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nineline.training.shared.share import SharedOrder, is_empty, places

shares = st.lists(st.integers(0, 40), min_size=1, max_size=6).filter(lambda counts: sum(counts) > 0)


@given(shares)
def test_rows_of_all_have_places_of_their_own(counts):
    found = [places(counts, rank) for rank in range(len(counts))]
    assert sorted(np.concatenate(found)) == list(range(sum(counts)))
    assert all((np.diff(each) > 0).all() for each in found)


def test_equal_shares_lie_in_turn():
    assert [places([3, 3, 3], rank).tolist() for rank in range(3)] == [[0, 3, 6], [1, 4, 7], [2, 5, 8]]


@given(shares, st.integers(1, 60), st.booleans())
def test_batches_are_of_the_size_asked_for_and_take_every_row_once(counts, batch_size, shuffle):
    total, taken = sum(counts), []
    for rank, count in enumerate(counts):
        order = SharedOrder(counts, rank, np.random.default_rng(5) if shuffle else None)
        size, batches = order.cut(batch_size)
        assert batches == -(-total // min(batch_size, total))
        assert order.takes_all == (batches == 1)
        padded = order.next()
        assert np.array_equal(order.again(order.kept(padded)), padded)
        parts = padded.reshape(batches, size)
        assert sorted(parts[parts >= 0]) == list(range(count))
        taken.append((parts >= 0).sum(axis=1))
        fair = np.array([min(batch_size, total)] * batches) * count / total
        assert (np.abs(taken[-1] - fair)[:-1] <= 1 + len(counts)).all()
    assert np.array_equal(np.sum(taken, axis=0), order.sizes)
    assert (order.sizes[:-1] == min(batch_size, total)).all()


def test_processes_shuffle_alike_where_they_stand_and_each_for_itself():
    one, other = (SharedOrder([20, 20], rank, np.random.default_rng(1)) for rank in range(2))
    one.cut(8)
    other.cut(8)
    orders = [(one.next(), other.next()) for _ in range(2)]
    assert one.seed == other.seed
    assert all(not np.array_equal(a, b) for a, b in orders)
    assert not np.array_equal(orders[0][0], orders[1][0])


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (([], [], None), True),
        ((np.empty((0, 3)), np.empty((0, 1)), None), True),
        (([[1, 2]], [[1]], [0.0]), True),
        (([[1, 2]], [[1]], [0.5]), False),
        (([[1, 2]], [[1]], None), False),
    ],
)
def test_what_is_nothing(data, expected):
    assert is_empty(data) is expected
