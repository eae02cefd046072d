"""Columns: which kind a column is, what it becomes, and what happens to values never seen."""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta, timezone
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
import pytest

from nineline.tables.columns import Columns
from nineline.tables.inference import Dropped, learn_column
from nineline.tables.kinds import Boolean, Category, Date, EmbeddedCategory, Number, Presence
from nineline.tables.series import ISO, parse_moment
from nineline.tables.summaries import NumberSummary


def series(values: list[Any], name: str = "c") -> nw.Series[Any]:
    return nw.from_native(pl.Series(name, values, strict=False), series_only=True)


def frame(**columns: list[Any]) -> nw.DataFrame[Any]:
    return nw.from_native(pl.DataFrame(columns, strict=False), eager_only=True)


DAYS = [date(2024, 1, 1) + timedelta(days=17 * i) for i in range(30)]

KINDS = {
    "whole numbers": ([3, 1, 2, 2, 5], Number),
    "fractions": ([0.5, None, 2.5, 1.0], Number),
    "numbers as text": (["1", "2.5", None, "-3e2"], Number),
    "text": (["a", "b", "a", None], Category),
    "two levels": (["red", "green", "red"], Category),
    "booleans": ([True, False, None, True], Boolean),
    "yes and no": (["yes", "no", "Yes", None], Boolean),
    "t and f": (["t", "f", "t"], Boolean),
    "y and no numbers": (["y", "n", "y"], Boolean),
    "dates": (DAYS, Date),
    "moments": ([datetime(2024, 1, day, 6) for day in range(1, 9)], Date),
    "ISO text": ([str(day) for day in DAYS], Date),
    "American dates": ([day.strftime("%m/%d/%y") for day in DAYS], Date),
    "European dates": ([day.strftime("%d.%m.%Y") for day in DAYS], Date),
    "text with a clock": ([day.strftime("%Y/%m/%d 14:30") for day in DAYS], Date),
    "empty": ([None, None], Dropped),
    "constant number": ([7, 7, 7], Dropped),
    "constant text": (["x", "x"], Dropped),
    "running number": (list(range(1, 31)), Dropped),
    "free text": ([f"remark {i}" for i in range(40)], Dropped),
    "a list in each row": ([[1], [2]], Dropped),
    # what only looks like an identifier
    "years of a series": (list(range(1960, 2020)), Number),
    "distinct fractions": ([i + 0.5 for i in range(50)], Number),
    "few distinct names": ([f"name {i}" for i in range(10)], Category),
    "one value or missing": (["x", None, "x", None], Category),
}


@pytest.mark.parametrize("case", KINDS)
def test_kind(case: str) -> None:
    values, kind = KINDS[case]
    assert type(learn_column("c", series(values))) is kind


def test_an_identifier_by_its_name_and_the_reasons_given() -> None:
    ids = [1000 + 7 * i for i in range(30)]
    assert isinstance(learn_column("customer_id", series(ids)), Dropped)
    assert isinstance(learn_column("amount", series(ids)), Number)
    assert isinstance(learn_column("customer_id", series(ids), named=False), Number)
    for values, reason in (([1, 1], "constant"), ([f"k{i}" for i in range(30)], "identifier-like")):
        column = learn_column("c", series(values))
        assert isinstance(column, Dropped)
        assert reason in column.reason


def encode(values: list[Any], new: list[Any] | None = None) -> np.ndarray[Any, Any]:
    column = learn_column("c", series(values))
    assert not isinstance(column, Dropped)
    return column.encode(series(values if new is None else new))


def test_numbers_are_scaled_by_their_quartiles_and_bent() -> None:
    # quartiles of 0..8 are 2 and 6: scale 4 / 1.349; 1e9 is bent to 3
    z = encode(list(range(9)), [4, 4 + 4 / 1.349, 1e9, -1e9])
    np.testing.assert_allclose(z[:, 0], [0, 1 / np.sqrt(1 + 1 / 9), 3, -3], atol=1e-6)


def test_numbers_mostly_alike_are_scaled_by_their_standard_deviation() -> None:
    values = [0.0] * 9 + [10.0]
    z = 10 / np.std(values)
    np.testing.assert_allclose(encode(values)[-1, 0], z / np.sqrt(1 + (z / 3) ** 2))


def test_missing_values_are_zero_and_have_an_indicator() -> None:
    np.testing.assert_array_equal(encode([1.0, None, 3.0, 2.0])[1], [0, 1])
    np.testing.assert_array_equal(encode(["a", "b", "c", None])[3], [0, 0, 0, 1])
    np.testing.assert_array_equal(encode([True, None, False])[1], [0, 1])
    # missing for the first time at prediction: no indicator was learned, the value is the middle one
    np.testing.assert_array_equal(encode([1.0, 2.0, 3.0], [None]), [[0]])


def test_categories_are_one_hot_and_two_levels_one_number() -> None:
    np.testing.assert_array_equal(encode(["b", "a", "c"]), [[0, 1, 0], [1, 0, 0], [0, 0, 1]])
    np.testing.assert_array_equal(encode(["b", "a", "b"]), [[1], [-1], [1]])


def test_unknown_levels_are_zero_or_counted_with_the_rare_ones() -> None:
    np.testing.assert_array_equal(encode(["b", "a", "c"], ["z"]), [[0, 0, 0]])
    np.testing.assert_array_equal(encode(["b", "a"], ["z"]), [[0]])
    many = [f"level {i // 3}" for i in range(300)]  # 100 levels: 64 have a place of their own
    coded = encode(many, ["never seen"])
    assert coded.shape == (1, 65)
    assert coded[0, -1] == 1


def test_levels_of_enough_rows_have_a_place_of_their_own() -> None:
    many = [f"level {i % 100}" for i in range(1000)] + [f"seldom {i}" for i in range(9)] * 3
    column = learn_column("c", series(many))
    assert isinstance(column, Category)
    assert len(column.levels) == 100
    assert column.rare == 9
    weighted = learn_column("c", series([f"level {i}" for i in range(100)] * 3), weights=np.full(300, 4.0))
    assert isinstance(weighted, Category)
    assert len(weighted.levels) == 100
    most = [f"level {i % 422}" for i in range(4220)] + [f"seldom {i % 90}" for i in range(810)]
    column = learn_column("c", series([*most, *(f"once {i}" for i in range(200))]))
    assert type(column) is Category
    assert (len(column.levels), column.rare) == (422, 290)


def test_many_levels_are_numbers_of_learned_vectors() -> None:
    most = [f"level {i % 600:03}" for i in range(6000)] + ["seldom", None, None]
    column = learn_column("c", series(most))
    assert type(column) is EmbeddedCategory
    assert (len(column.levels), column.rare, column.vectors, column.width) == (600, 1, 602, 1)
    asked = ["level 000", " level 599", "seldom", "never seen", None, " "]
    np.testing.assert_array_equal(column.encode(series(asked))[:, 0], [0, 599, 600, 600, 601, 601])
    there = learn_column("c", series(most[:6000]))
    assert isinstance(there, EmbeddedCategory)
    np.testing.assert_array_equal(there.encode(series(["level 001", None]))[:, 0], [1, 600])  # none was missing
    weighted = learn_column("c", series([f"level {i}" for i in range(600)] * 2), weights=np.full(1200, 5.0))
    assert isinstance(weighted, EmbeddedCategory)
    assert len(weighted.levels) == 600


def test_those_that_an_embedding_reads_come_first() -> None:
    most = [f"level {i % 600}" for i in range(6000)]
    table = frame(a=[float(i % 7) for i in range(6000)], b=most, c=["x", "y", "z"] * 2000, d=most[::-1])
    columns = Columns.learn(table)
    assert [column.name for column in columns.used] == ["b", "d", "a", "c"]
    assert columns.encoding.embedded == [601, 601]
    rows = columns.compact(table)
    assert (rows.numbers.shape, rows.levels.shape, rows.shape) == ((6000, 1), (6000, 3), (6000, 6))
    np.testing.assert_array_equal(rows.astype(np.float64).dense(), columns.encode(table).astype(np.float32))
    assert Columns.rebuild(json.loads(json.dumps(columns.describe()))) == columns


def test_dates_are_elapsed_time_and_parts_that_vary() -> None:
    column = learn_column("c", series(DAYS))
    assert isinstance(column, Date)
    assert column.parts == ("month", "weekday")
    z = column.encode(series(DAYS))
    assert z.shape == (30, 5)
    assert np.all(np.diff(z[:, 0]) > 0)
    np.testing.assert_allclose(z[:, 1] ** 2 + z[:, 2] ** 2, 1)
    # the same day as text, as a moment, with a zone
    noon = datetime(2024, 1, 1, tzinfo=timezone(timedelta(0)))
    np.testing.assert_allclose(column.encode(series(["2024-01-01"])), z[:1])
    np.testing.assert_allclose(column.encode(nw.from_native(pd.Series([noon]), series_only=True)), z[:1])


MISMATCHES = {
    "text for a number": ([1, 2, 3], ["1", "two"], "'two'"),
    "infinity": ([1.0, 2.0, 3.0], [np.inf], "inf"),
    "dates for a number": ([1, 2, 3], DAYS[:2], "expected numbers"),
    "numbers for categories": (["a", "b", "c"], [1.5, 2.5], "'1.5'"),
    "text for a boolean": (["yes", "no"], ["perhaps"], "'perhaps'"),
    "text for a date": (DAYS, ["yesterday"], "expected dates"),
}


@pytest.mark.parametrize("case", MISMATCHES)
def test_another_kind_than_in_training_is_an_error(case: str) -> None:
    trained, given, says = MISMATCHES[case]
    with pytest.raises(ValueError, match=says) as caught:
        encode(trained, given)
    assert "column 'c'" in str(caught.value)


def test_whole_numbers_match_categories_written_as_text() -> None:
    np.testing.assert_array_equal(encode(["10", "20", "x"], [20.0]), [[0, 1, 0]])


def test_a_whole_table_with_its_description_and_back() -> None:
    table = frame(
        size=[1.5, None, 2.0, 8.0],
        color=["a", "b", None, "c"],
        ok=[True, False, True, None],
        day=DAYS[:4],
        e=[None] * 4,
    )
    columns = Columns.learn(table)
    assert [column.name for column in columns.dropped] == ["e"]
    same = Columns.rebuild(json.loads(json.dumps(columns.describe())))
    assert same == columns
    np.testing.assert_array_equal(same.encode(table), columns.encode(table))
    assert columns.encode(table).shape == (4, columns.width)
    assert np.isfinite(columns.encode(table)).all()


def test_a_missing_column_is_named_with_the_nearest() -> None:
    columns = Columns.learn(frame(height=[1, 2, 4], width=[3, 1, 2]))
    with pytest.raises(ValueError, match=r"column 'width'.* is not in the table; did you mean 'widht'"):
        columns.encode(frame(height=[1], widht=[2]))


def test_no_column_of_use() -> None:
    with pytest.raises(ValueError, match="no column is of use .*'a' is constant"):
        Columns.learn(frame(a=[1, 1, 1]))


@pytest.mark.parametrize("backend", ["pandas", "nullable pandas", "pyarrow", "polars"])
def test_any_dataframe_gives_the_same_numbers(backend: str) -> None:
    data = {"x": [1.0, None, 3.0, 4.0], "n": [1, 2, 3, 5], "c": ["a", "b", None, "c"], "b": [True, False, True, True]}
    native: Any = pl.DataFrame(data)
    expected = Columns.learn(nw.from_native(native, eager_only=True))
    if backend == "pandas":
        native = pd.DataFrame(data)
    elif backend == "nullable pandas":
        native = pd.DataFrame(data).convert_dtypes()
    elif backend == "pyarrow":
        native = native.to_arrow()
    table = nw.from_native(native, eager_only=True)
    columns = Columns.learn(table)
    assert columns == expected
    np.testing.assert_array_equal(columns.encode(table), expected.encode(nw.from_native(pl.DataFrame(data))))


def test_codes_that_python_would_read_as_numbers_stay_text() -> None:
    assert isinstance(learn_column("code", series(["1_10", "11_0", "2_3"])), Category)
    assert isinstance(learn_column("word", series(["inf", "nan", "inf"])), Category)


def test_what_the_table_calls_a_category_is_one() -> None:
    for native in (
        pl.Series("c", ["1", "2", "3"] * 3).cast(pl.Categorical),
        pd.Series([0, 1, 2] * 3, dtype="category", name="c"),
    ):
        assert isinstance(learn_column("c", nw.from_native(native, series_only=True)), Category)


def test_numbers_beyond_all_measure() -> None:
    np.testing.assert_allclose(encode([0.0, 1.0, 2.0, 3.0], [1e200, -1e308])[:, 0], [3, -3])
    with pytest.raises(ValueError, match="too far to scale"):
        learn_column("c", series([-1.7e308, 1.7e308] * 4))


def test_a_row_is_encoded_alike_whatever_rows_come_with_it() -> None:
    levels = ["1", "2", "A"] * 5
    np.testing.assert_array_equal(encode(levels, [3.0]), encode(levels, [1.0, 3.0])[1:])
    words = ["true", "false", "unknown"] * 5
    np.testing.assert_array_equal(encode(words, [True, False]), encode(words, ["true", "false", "unknown"])[:2])


def test_dates_are_understood_in_iso_whatever_they_were_learned_in() -> None:
    american = [day.strftime("%m/%d/%y") for day in DAYS]
    np.testing.assert_allclose(encode(american, [str(day) for day in DAYS]), encode(american))
    assert encode(american, [np.nan]).shape == (1, 5)


def test_a_running_number_is_one_even_where_some_rows_are_held_out() -> None:
    kept = np.sort(np.random.default_rng(0).permutation(300)[:240])
    assert isinstance(learn_column("n", series(kept.tolist())), Dropped)


def test_intervals_are_filled_from_below() -> None:
    values = np.array([0.0] * 60 + [*range(1, 41)])
    column = Number.learn("x", NumberSummary.of(values)).divided(NumberSummary.of(values), 4)
    assert column.edges[0] == 0  # by itself, since it has more than a quarter of the rows
    assert len(column.edges) == 5
    encoded = column.encode(nw.from_native(pl.Series("x", [-5.0, 0.0, 20.0, 99.0, None]), series_only=True))
    assert encoded.shape == (5, 5)
    np.testing.assert_array_equal(encoded[:2, 1:], 0)
    np.testing.assert_array_equal(encoded[3, 1:], 1)
    assert (np.diff(encoded[2, 1:]) <= 0).all()
    filled = (20 - np.array(column.edges[:-1])) / np.diff(column.edges)
    np.testing.assert_allclose(encoded[2, 1:], np.clip(filled, 0, 1))


def test_intervals_count_weights_and_few_values_are_all_edges() -> None:
    values, weights = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, np.nan]), np.array([1.0, 1, 5, 1, 1, 3, 2])
    column = Number.learn("x", NumberSummary.of(values, weights))
    repeated = np.repeat(values, weights.astype(int))
    assert column == Number.learn("x", NumberSummary.of(repeated))
    for intervals in (2, 3, 4, 8):
        divided = column.divided(NumberSummary.of(values, weights), intervals)
        assert divided == column.divided(NumberSummary.of(repeated), intervals)
        assert len(divided.edges) - 1 <= intervals
    assert column.divided(NumberSummary.of(values, weights), 8).edges == (1, 2, 3, 4, 5, 6)


def test_edges_that_float_cannot_tell_apart_are_one() -> None:
    values = np.array([1e9, 1e9 + 1e-3, 1e9 + 1, 1e9 + 2, 0.0])
    column = Number.learn("x", NumberSummary.of(values)).divided(NumberSummary.of(values), 10)
    assert len(column.edges) < 5
    with pytest.raises(ValueError, match="has the edges"):
        Number("x", False, 0.0, 1.0, (1.0, 1.0, 2.0))


def test_many_columns_are_looked_up_each_in_no_time() -> None:
    """Names are looked for in a set: a list of them would be gone through once for each column."""

    class Counted(str):
        compared = 0

        def __eq__(self, other: object) -> bool:
            Counted.compared += 1
            return str.__eq__(self, other)

        __hash__ = str.__hash__

    columns = Columns(tuple(Number(f"c{i}", False, 0.0, 1.0) for i in range(2000)), ())
    columns.require([Counted(f"c{i}") for i in range(2000)])
    assert Counted.compared < 10_000


@pytest.mark.parametrize(
    ("text", "moment"),
    [("9999-12-31T23:59:59-05:00", datetime.max), ("0001-01-01T00:00:00+05:00", datetime.min)],
)
def test_a_zone_that_leads_out_of_the_years_is_their_end(text: str, moment: datetime) -> None:
    """9999-12-31 is how many tables say "for ever"."""
    days = [f"2024-01-{day:02d}T00:00:00-05:00" for day in range(1, 29)]
    for values in ([text, *days], [datetime.fromisoformat(value) for value in [text, *days]]):
        assert parse_moment(values[0], ISO) == moment
    columns = Columns.learn(nw.from_native(pl.DataFrame({"d": [text, *days]}), eager_only=True))
    assert isinstance(columns.used[0], Date)
    table = nw.from_native(pl.DataFrame({"d": [text, None, days[0]]}), eager_only=True)
    assert np.isfinite(columns.encode(table)).all()


# A number that is there or not


ONCE = [
    [5.0, None, 5.0, None],
    [0.1 + 0.2, 0.3, None, 0.3],  # the same but for rounding
    ["7", None, "7.0", ""],
]


@pytest.mark.parametrize("values", ONCE)
def test_a_number_that_was_always_the_same_is_whether_it_is_there(values: list[Any]) -> None:
    """Another value at prediction moved answers by more than half, in libraries that scale it."""
    column = learn_column("x", nw.from_native(pl.Series("x", values, strict=False), series_only=True))
    assert column == Presence("x", missing=True)
    assert (column.width, column.summary()) == (1, "whether it is there")
    seen = nw.from_native(pl.Series([5.0, 1e9, None, -3.0, np.nan]), series_only=True)
    np.testing.assert_array_equal(column.encode(seen), [[0], [0], [1], [0], [1]])
    with pytest.raises(ValueError, match="column 'x' holds 'many'; expected numbers, which it held in training"):
        column.encode(nw.from_native(pl.Series(["1", "many"]), series_only=True))


def test_numbers_that_differ_by_rounding_alone_are_a_constant() -> None:
    for dtype, near, apart in ((pl.Float64, 1e-15, 1e-13), (pl.Float32, 1e-6, 1e-4)):
        for gap, dropped in ((near, True), (apart, False)):
            series = pl.Series("x", [3.0, 3.0 * (1 + gap)] * 20, dtype=dtype)
            learned = learn_column("x", nw.from_native(series, series_only=True))
            assert (learned == Dropped("x", "constant")) is dropped


def test_a_presence_comes_back_from_a_description() -> None:
    frame = nw.from_native(pl.DataFrame({"x": [1.0, None, 1.0], "y": [1.0, 2.0, 4.0]}))
    columns = Columns.learn(frame)
    assert Columns.rebuild(json.loads(json.dumps(columns.describe()))) == columns
    assert columns.text_names == []
    with pytest.raises(ValueError, match="a constant that was never missing"):
        Presence("x", missing=False)
