"""Holding out: the right share, stratified, by the seed."""

from __future__ import annotations

import numpy as np
import pytest

from nineline.estimators.splitting import hold_out


@pytest.mark.parametrize(("rows", "share"), [(10, 0.2), (1000, 0.1), (7, 0.5), (3, 0.01)])
def test_every_row_is_in_one_part(rows: int, share: float) -> None:
    kept, out = hold_out(rows, share, np.random.default_rng(0))
    np.testing.assert_array_equal(np.sort(np.concatenate([kept, out])), np.arange(rows))
    assert abs(len(out) - share * rows) < 1


def test_classes_are_held_out_alike_and_each_keeps_a_row() -> None:
    classes = np.repeat([0, 1, 2], [800, 200, 1])
    kept, out = hold_out(1001, 0.25, np.random.default_rng(0), classes)
    assert np.bincount(classes[out], minlength=3).tolist() == [200, 50, 0]
    assert 1000 in kept


def test_shares_of_many_small_classes_add_up() -> None:
    classes = np.repeat(np.arange(500), 4)
    held = [len(hold_out(2000, 0.1, np.random.default_rng(seed), classes)[1]) for seed in range(20)]
    assert abs(np.mean(held) - 200) < 10
