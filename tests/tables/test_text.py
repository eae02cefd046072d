"""Free text: which tokens are learned, what a text becomes, and what is no text."""

from __future__ import annotations

import json
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
import pytest

from nineline.tables.columns import Columns, ColumnsLearner
from nineline.tables.inference import ColumnLearner, Dropped, learn_column
from nineline.tables.kinds import Category
from nineline.tables.text import Text, is_word, looks_like_text, parts_of, words_of


def series(values: list[Any], name: str = "c") -> nw.Series[Any]:
    return nw.from_native(pl.Series(name, values, strict=False), series_only=True)


def frame(**columns: list[Any]) -> nw.DataFrame[Any]:
    return nw.from_native(pl.DataFrame(columns, strict=False), eager_only=True)


def titles(rows: int = 200) -> list[str]:
    """Return texts that are all different, of words that come again."""
    colours, things = ["red", "blue", "yellow", "green"], ["chair", "table", "lamp", "shelf", "stool"]
    return [f"{colours[i % 4].title()} {things[i % 5]}, model {chr(97 + i % 26)}{i}" for i in range(rows)]


def learned(values: list[Any], **how: Any) -> Text:
    column = learn_column("c", series(values), **how)
    assert isinstance(column, Text)
    return column


NO_TEXT = {
    "codes": [f"k{i}" for i in range(60)],
    "codes of two parts": [f"AB{i} {i}Z" for i in range(60)],
    "addresses of mail": [f"someone.{i}@example.org" for i in range(60)],
    "digests": [f"{i * 7919:08x}" for i in range(1, 61)],
    "words of which none comes again": [chr(97 + i % 26) + chr(97 + i // 26) for i in range(60)],
    "one word in all rows": [f"remark {i}" for i in range(60)],
}


@pytest.mark.parametrize("values", NO_TEXT.values(), ids=NO_TEXT)
def test_what_is_no_text_is_dropped_as_before(values: list[str]) -> None:
    column = learn_column("c", series(values))
    assert isinstance(column, Dropped)
    assert column.reason == "identifier-like or free text: 60 different values in 60 rows"


def test_texts_that_come_again_are_categories_and_so_is_what_a_table_says() -> None:
    assert type(learn_column("c", series(titles(20) * 3))) is Category
    said = nw.from_native(pl.Series("c", titles(60), dtype=pl.Categorical), series_only=True)
    assert type(learn_column("c", said)) is Category


def test_tokens_are_words_and_parts_of_several_words_the_most_frequent_first() -> None:
    column = learned(titles())
    words = [token for token in column.tokens if is_word(token)]
    expected = ["red", "blue", "yellow", "green", "chair", "table", "lamp", "shelf", "stool"]
    assert set(words) == {f"<{word}>" for word in expected}
    assert words[:4] == ["<blue>", "<green>", "<red>", "<yellow>"]
    assert "<model>" not in column.tokens  # all rows have it
    parts = [token for token in column.tokens if not is_word(token)]
    everywhere = [word for text in titles() for word in set(words_of(text))]
    for part in parts:
        assert len({word for word in everywhere if part in parts_of(word)}) > 1
    assert column.slots == max(len(column.levels(text)) for text in titles())
    assert "9 words and" in column.summary()


def test_a_row_of_weight_five_counts_as_five() -> None:
    weights = np.ones(60)
    assert "<a0>" not in learned(titles(60), weights=weights).tokens
    weights[0] = 5
    assert "<a0>" in learned(titles(60), weights=weights).tokens


def test_a_text_becomes_ones_where_its_tokens_are() -> None:
    column = learned(titles())
    dense = column.encode(series(["a RED chair; a red chair", "Chairs", "", None, "never seen"]))
    assert dense.shape == (5, len(column.tokens))
    for row, words in zip(dense, (["<red>", "<chair>"], [], [], [], []), strict=True):
        found = {column.tokens[place] for place in np.flatnonzero(row)}
        assert {token for token in found if is_word(token)} == set(words)
        assert set(np.unique(row)) <= {0.0, 1.0}
    assert dense[0].sum() == len(column.levels("chair red"))
    rows = Columns((column,), ()).compact(frame(c=["a RED chair", "lamp lamp", None]))
    assert rows.levels.shape == (3, column.slots)
    for held in rows.levels:
        known = held[held >= 0]
        assert (np.diff(known) > 0).all()  # ascending, none twice
        assert (held[len(known) :] == -1).all()


def test_a_missing_text_has_an_indicator_where_one_was_missing_in_training() -> None:
    column = learned([*titles(), None, " "])
    dense = column.encode(series([None, "", "never seen", "red"]))
    np.testing.assert_array_equal(dense[:, -1], [1, 1, 0, 0])
    np.testing.assert_array_equal(dense[:3, :-1], 0)
    np.testing.assert_array_equal(learned(titles()).encode(series([None])), 0)


def test_room_is_given_to_words_then_to_the_rarest_parts() -> None:
    tokens = ("ear", "<re", "<year>", "<near>", "yea", "<rear>")
    assert Text("c", False, tokens, 4).levels("year near rear") == [2, 3, 4, 5]
    assert Text("c", False, tokens, 2).levels("year near rear") == [3, 5]
    assert Text("c", False, tokens, 6).levels("YEAR?") == [0, 2, 4]
    assert Text("c", False, tokens, 1).levels("") == []


def test_long_texts_are_read_up_to_a_thousand_characters() -> None:
    column = learned(titles())
    assert column.levels("x " * 500 + "red") == []
    assert column.levels("x " * 498 + "red") != []


@pytest.mark.parametrize("value", ["a RED chair", "", "  ", None, float("nan"), "never seen", 3.5, True])
def test_one_value_is_as_a_column_of_one(value: Any) -> None:
    columns = Columns.learn(frame(c=[*titles(), None], x=[float(i % 7) for i in range(201)]))
    assert [column.name for column in columns.used] == ["x", "c"]  # text comes last
    if value == 3.5:
        with pytest.raises(ValueError, match=r"column 'c' holds '3.5'; expected text, which it held in training"):
            columns.compact_one({"x": 1.0, "c": value})
        return
    one = columns.compact_one({"x": 1.0, "c": value})
    plain = None if isinstance(value, float) else str(value) if value is not None else None
    expected = columns.compact(frame(c=[plain, "red"], x=[1.0, 2.0]), np.float64)
    np.testing.assert_array_equal(one.levels[0], expected.levels[0])
    np.testing.assert_array_equal(one.dense()[0], expected.dense()[0])


def test_a_column_moves_as_a_whole() -> None:
    columns = Columns.learn(frame(x=[float(i % 7) for i in range(200)], c=titles(), d=titles()[::-1]))
    rows = columns.compact(frame(x=[1.0, 2.0], c=["red chair", "blue lamp"], d=["green", "shelf"]), np.float64)
    shuffled = columns.shuffled(rows, 1, np.array([1, 0]))
    width = columns.used[1].width
    np.testing.assert_array_equal(shuffled.dense()[:, 1 : 1 + width], rows.dense()[::-1, 1 : 1 + width])
    np.testing.assert_array_equal(shuffled.dense()[:, 1 + width :], rows.dense()[:, 1 + width :])
    same = columns.with_value(rows, 1, "blue lamp")
    np.testing.assert_array_equal(same.dense()[1], rows.dense()[1])
    np.testing.assert_array_equal(same.dense()[0, 1 : 1 + width], rows.dense()[1, 1 : 1 + width])


def test_rows_are_read_with_text_and_without() -> None:
    table = frame(c=titles(), x=[float(i % 7) for i in range(200)], kind=["a", "b", "c", "d"] * 50)
    columns = Columns.learn(table)
    assert columns.texts == ["c"]
    without = columns.without_texts("not today")
    assert [column.name for column in without.used] == ["x", "kind"]
    assert without.dropped == (Dropped("c", "not today"),)
    rows, plain = columns.compact(table), without.compact(table)
    read = rows.read_by(without.encoding)
    np.testing.assert_array_equal(read.levels, plain.levels)
    np.testing.assert_array_equal(read.dense(), plain.dense())


def test_pieces_and_shares_are_learned_as_the_whole() -> None:
    table = frame(c=titles(), x=[float(i % 7) for i in range(200)])
    whole = Columns.learn(table)
    pieces, one, other = ColumnsLearner(), ColumnsLearner(), ColumnsLearner()
    for start in range(0, 200, 40):
        pieces.see(table[start : start + 40])
        (one if start < 100 else other).see(table[start : start + 40])
    one.merge(other)
    assert pieces.finish() == one.finish() == whole
    assert [profile.name for profile in pieces.profiles()] == ["c", "x"]


def test_many_texts_are_learned_from_some_and_rare_words_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nineline.tables.text._TEXTS", 150)
    monkeypatch.setattr("nineline.tables.text._WORDS_AT_MOST", 60)
    column = learned(titles(1000))
    assert {"<red>", "<chair>"} <= set(column.tokens)
    learner = ColumnLearner("c", values_at_most=100)
    learner.see(series(titles(1000)))
    assert isinstance(learner.finish(), Text)


def test_tokens_are_bounded() -> None:
    rng = np.random.default_rng(0)
    words = ["".join(rng.choice(list("abcdefgh"), 5)) for _ in range(2000)]
    texts = [" ".join(rng.choice(words, 40)) for _ in range(600)]
    column = learned(texts)
    assert sum(map(is_word, column.tokens)) == Text.words_at_most
    assert len(column.tokens) == Text.words_at_most + Text.parts_at_most
    assert column.slots == Text.slots_at_most


def test_many_columns_of_text_share_the_room_of_four() -> None:
    rng = np.random.default_rng(0)
    words = ["".join(rng.choice(list("abcdefgh"), 5)) for _ in range(2000)]
    some = [[" ".join(rng.choice(words, 40)) for _ in range(600)] for _ in range(8)]
    four = Columns.learn(frame(**{f"c{i}": texts for i, texts in enumerate(some[:4])}))
    eight = Columns.learn(frame(**{f"c{i}": texts for i, texts in enumerate(some)}))
    assert four.width == eight.width == 4 * (Text.words_at_most + Text.parts_at_most)
    assert len(four.encoding.levels) == len(eight.encoding.levels) == 4 * Text.slots_at_most
    for wide, narrow in zip(four.used, eight.used[:4], strict=True):
        assert isinstance(wide, Text)
        assert isinstance(narrow, Text)
        assert set(narrow.tokens) < set(wide.tokens)
        assert sum(map(is_word, narrow.tokens)) == Text.words_at_most // 2


def test_other_frames_have_the_same_text() -> None:
    column = learned(titles())
    ours = column.encode(series(titles()))
    for theirs in (pd.Series(titles(), dtype=object), pd.Series(titles(), dtype="string")):
        np.testing.assert_array_equal(column.encode(nw.from_native(theirs, series_only=True)), ours)


@pytest.mark.parametrize(
    "change",
    [
        {"tokens": []},
        {"tokens": ["a", "a"]},
        {"tokens": ["a", 1]},
        {"tokens": "ab"},
        {"tokens": [str(i) for i in range(769)]},
        {"slots": 0},
        {"slots": 33},
        {"slots": 2.0},
        {"slots": True},
        {"missing": 1},
        {"name": None},
    ],
    ids=str,
)
def test_a_description_is_read_back_and_one_that_makes_no_sense_is_refused(change: dict[str, Any]) -> None:
    columns = Columns.learn(frame(c=titles()))
    described = json.loads(json.dumps(columns.describe()))
    assert Columns.rebuild(described) == columns
    described["used"][0] |= change
    with pytest.raises((ValueError, TypeError)):
        Columns.rebuild(described)


def test_what_looks_like_text() -> None:
    assert looks_like_text(["Braund, Mr. Owen", "O'Brien", "Straße", "日本"])
    assert not looks_like_text(["A/5 21171", "PC 17599x", "9", "http://example.org/a"] * 2 + ["word"])
