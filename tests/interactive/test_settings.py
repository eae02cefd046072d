"""Settings: read from messages and links, and written as they are read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nineline.interactive.settings import LAYERS_AT_MOST, NODES_AT_MOST, HiddenLayer, Settings

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
NAMES = [*Settings().describe(), "nodes", "activation", "dropout", "kind", "rows", "noise"]


def test_what_is_described_is_read_as_it_was():
    settings = Settings.of({"layers": [{"nodes": 3}, {"nodes": 5, "activation": "relu", "dropout": 0.25}], "seed": 7})
    assert settings.layers == (HiddenLayer(3), HiddenLayer(5, "relu", 0.25))
    assert Settings.of(settings.describe()) == settings


def test_what_is_left_out_is_as_before():
    before = Settings(learning_rate=0.5, batch_size=7)
    assert Settings.of({"l2": 0.1}, before) == Settings(learning_rate=0.5, batch_size=7, l2=0.1)


def test_javascripts_numbers_are_whole_where_they_have_to_be():
    assert Settings.of({"seed": 3.0, "batch_size": 8.0}).seed == 3


@pytest.mark.parametrize("optimizer", ["lbfgs", "levenberg_marquardt"])
def test_an_optimizer_that_takes_all_rows_does(optimizer):
    settings = Settings.of({"optimizer": optimizer, "batch_size": 10})
    assert settings.rows_a_step is None
    assert Settings.of({"optimizer": "adam"}, settings).rows_a_step == 10


@pytest.mark.parametrize(
    ("described", "words"),
    [
        ({"speed": 1}, "'speed', which is not known"),
        ({"layers": [{"nodes": 0}]}, f"layers.0.nodes is 0; expected a whole number from 1 to {NODES_AT_MOST}"),
        ({"layers": [{"nodes": 2.5}]}, "layers.0.nodes is 2.5"),
        ({"layers": [{}] * (LAYERS_AT_MOST + 1)}, "at most 6 layers"),
        ({"layers": [{"activation": "softmax"}]}, "layers.0.activation is 'softmax'; expected one of identity"),
        ({"layers": [{"dropout": 1}]}, "layers.0.dropout is 1"),
        ({"optimizer": "sgd"}, "optimizer is 'sgd'; expected one of gradient_descent"),
        ({"learning_rate": 0}, "learning_rate is 0"),
        ({"learning_rate": "fast"}, "learning_rate is 'fast'"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"data": {"rows": 10**9}}, "data.rows is 1000000000"),
        ({"data": {"noise": float("nan")}}, "data.noise is nan"),
        ({"data": {"expression": "x" * 501}}, "at most 500 characters"),
        ({"bias": 1}, "bias is 1"),
        ([], "settings is []; expected an object"),
    ],
)
def test_what_is_wrong_is_named(described, words):
    with pytest.raises((ValueError, TypeError)) as raised:
        Settings.of(described)
    assert words in str(raised.value)


@given(st.dictionaries(st.sampled_from(NAMES), JSON, max_size=3) | JSON)
def test_anything_is_read_or_refused(described):
    try:
        settings = Settings.of(described)
    except (ValueError, TypeError, OverflowError):
        return
    assert Settings.of(settings.describe()) == settings
