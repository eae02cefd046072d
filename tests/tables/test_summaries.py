"""Columns that are learned piece by piece: the same as at once, and bounded memory for numbers without end."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import narwhals as nw
import numpy as np
import polars as pl
import pytest

from nineline.tables.columns import Columns, ColumnsLearner
from nineline.tables.inference import ColumnLearner
from nineline.tables.series import distinct
from nineline.tables.summaries import NumberSummary, ValueSummary


def table(rows: int) -> pl.DataFrame:
    rng = np.random.default_rng(0)
    days = [date(2020, 1, 1) + timedelta(days=int(day)) for day in rng.integers(0, 900, rows)]
    columns = pl.DataFrame(
        {
            "number": rng.normal(size=rows).round(2),
            "mostly zero": np.maximum(rng.normal(size=rows), 0).round(1),
            "text number": [f"{number:.1f}" for number in rng.normal(size=rows)],
            "level": [f"level {int(level)}" for level in rng.geometric(0.02, rows)],
            "said": rng.choice(["yes", "no"], rows),
            "ok": rng.random(rows) < 0.5,
            "day": days,
            "written": [day.strftime("%d.%m.%Y") for day in days],
            "free": [f"remark {i}" for i in range(rows)],
            "once": [4.0] * rows,
        }
    )
    return columns.select(
        pl.when(pl.Series(rng.random(rows) < 0.05)).then(None).otherwise(pl.col(name)).alias(name)
        for name in columns.columns
    )


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("pieces", [2, 7])
def test_pieces_teach_what_the_whole_teaches(pieces: int, weighted: bool) -> None:
    frame = nw.from_native(table(1500), eager_only=True)
    weights = np.random.default_rng(1).integers(1, 5, 1500).astype(float) if weighted else None
    expected = Columns.learn(frame, weights=weights, intervals=32).describe()
    learner = ColumnsLearner()
    for rows in np.array_split(np.arange(1500), pieces):
        learner.see(frame[rows.tolist()], None if weights is None else weights[rows])
    columns = learner.finish()
    found = learner.divided(columns, 32).describe()
    assert found["dropped"] == expected["dropped"]
    for ours, theirs in zip(found["used"], expected["used"], strict=True):
        for name, value in theirs.items():
            assert ours[name] == (pytest.approx(value, rel=1e-12) if isinstance(value, float) else value), ours["name"]


def test_numbers_without_end_keep_their_quantiles() -> None:
    rng = np.random.default_rng(0)
    numbers = np.concatenate([rng.exponential(size=60_000), np.zeros(20_000)])
    rng.shuffle(numbers)
    summary = NumberSummary(4096)
    for piece in np.array_split(numbers, 40):
        summary.see(piece)
    assert not summary.exact
    assert len(summary.values) <= 4096
    assert summary.shares.sum() == len(numbers) == summary.rows
    assert (summary.values[0], summary.values[-1]) == (numbers.min(), numbers.max())
    shares = np.linspace(0, 1, 33)
    ranks = np.searchsorted(np.sort(numbers), summary.quantiles(shares), side="right") / len(numbers)
    np.testing.assert_array_less(shares - 0.02, ranks)
    assert (np.abs(ranks - shares)[ranks > 0.26] < 0.01).all()  # below, all are zeros
    assert summary.deviation() == pytest.approx(numbers.std(), rel=0.02)
    assert summary.shares[summary.values == 0].sum() == pytest.approx(20_000, rel=0.05)


def test_weights_are_rows() -> None:
    values, weights = np.array([3.0, np.nan, 1.0, 3.0]), np.array([2.0, 5.0, 1.0, 4.0])
    weighted, repeated = NumberSummary.of(values, weights), NumberSummary.of(np.repeat(values, [2, 5, 1, 4]))
    np.testing.assert_array_equal(weighted.values, repeated.values)
    np.testing.assert_array_equal(weighted.shares, repeated.shares)
    assert weighted.quantiles([0.1, 0.5]).tolist() == [1, 3]


def test_values_are_counted_by_type_and_in_their_order() -> None:
    def seen(values: list[Any]) -> Any:
        return distinct(nw.from_native(pl.Series("c", values, dtype=pl.Object), series_only=True))

    summary = ValueSummary()
    summary.see(seen(["b", None, "a"]))
    summary.see(seen(["a", 1, True, " b"]), np.array([2.0, 1.0, 1.0, 3.0]))
    assert summary.values == ["b", "a", 1, True, " b"]
    assert (summary.shares.tolist(), summary.counts.tolist()) == ([1, 3, 1, 1, 3], [1, 2, 1, 1, 1])
    assert (summary.rows, summary.missing) == (7, 1)
    texts, shares, known = summary.as_texts()
    assert (texts, shares.tolist(), known) == (["b", "a", "1", "True"], [4, 3, 1, 1], 6)


def test_texts_without_end_are_counted_together() -> None:
    summary = ValueSummary(3)
    for values in (["a", "b", "c", "a"], ["d", "a", "d"], ["b", None]):
        summary.see(distinct(nw.from_native(pl.Series("c", values), series_only=True)))
    assert (summary.values, summary.counts.tolist(), summary.others) == (["a", "b", "c"], [3, 2, 1], 2)
    assert summary.as_texts()[2] == 8


def test_whole_numbers_that_come_twice_are_no_identifier_however_many() -> None:
    counted, drawn = (ColumnLearner("n", numbers_at_most=64) for _ in range(2))
    for start in range(0, 1000, 100):
        counted.see(nw.new_series("n", list(range(start, start + 100)), backend="polars"))
        drawn.see(nw.new_series("n", [*range(start, start + 99), start], backend="polars"))
    assert "identifier-like" in str(counted.finish())
    assert getattr(drawn.finish(), "kind", "") == "number"


@pytest.mark.parametrize("order", ["at random", "ascending", "descending"])
def test_quantiles_of_little_memory_are_right_to_a_thousandth_of_the_rows(order: str) -> None:
    ascending = np.sort(np.random.default_rng(0).normal(size=400_000))
    given = {"at random": np.random.default_rng(1).permutation(ascending), "descending": ascending[::-1]}
    summary = NumberSummary(2**13)
    for piece in np.array_split(given.get(order, ascending), 100):
        summary.see(piece)
    shares = np.linspace(0.001, 0.999, 999)
    ranks = np.searchsorted(ascending, summary.quantiles(shares), side="right") / len(ascending)
    assert np.abs(ranks - shares).max() < 0.001
    assert (summary.values[0], summary.values[-1]) == (ascending[0], ascending[-1])


def test_texts_that_never_come_again_are_no_categories_in_however_little_memory() -> None:
    names, levels = (ColumnLearner("n", values_at_most=64) for _ in range(2))
    for start in range(0, 1000, 100):
        names.see(nw.new_series("n", [f"a{i}" for i in range(start, start + 100)], backend="polars"))
        levels.see(nw.new_series("n", [f"a{i % 80}" for i in range(start, start + 100)], backend="polars"))
    assert "more than 64 different values in 1,000 rows" in str(names.finish())
    assert getattr(levels.finish(), "kind", "") == "category"


def test_pieces_that_do_not_fit() -> None:
    learner = ColumnsLearner()
    learner.see(nw.from_dict({"a": [1.0, 2.0]}, backend="polars"))
    with pytest.raises(ValueError, match=r"this piece has the columns \['b'\]; those before had \['a'\]"):
        learner.see(nw.from_dict({"b": [1.0]}, backend="polars"))
    with pytest.raises(ValueError, match="column 'a' is of String, and in pieces before it was of Float64"):
        learner.see(nw.from_dict({"a": ["x"]}, backend="polars"))
    learner.see(nw.from_dict({"a": [3]}, backend="polars"))  # whole numbers among fractions
    assert learner.finish().used[0].kind == "number"
    with pytest.raises(ValueError, match="no column is of use to learn from: there is none"):
        ColumnsLearner().finish()
    assert "of a type that is not used" in str(ColumnLearner("c").finish())
