"""No writer's table lacks a kind: what is entered in a public list has a row, or a refusal, in every translation.

A kind that is forgotten is a KeyError which names it. Once it was an activation that was exported as another.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

import pytest

import nineline.interchange
from nineline.activations import ACTIVATIONS, Identity
from nineline.engines import native
from nineline.interchange import sklearn, torch
from nineline.interchange.onnx import activations as onnx
from nineline.layers import LAYERS
from nineline.tables.kinds import KINDS
from nineline.view import diagram

LISTS: dict[str, dict[str, type[Any]]] = {"_ACTIVATIONS": ACTIVATIONS, "_LAYERS": LAYERS, "_COLUMNS": KINDS}
TABLES = {
    "_ACTIVATIONS": ["c.activations", "onnx.activations", "python", "torch"],
    "_LAYERS": ["c.layers", "model", "onnx.network", "python", "rounding", "torch"],
    "_COLUMNS": ["c.columns", "onnx.columns", "python", "samples"],
}


def ours(kinds: dict[str, type[Any]]) -> set[type[Any]]:
    """Return the kinds of a public list but those that somebody registered there."""
    return {kind for kind in kinds.values() if kind.__module__.startswith("nineline.")}


@pytest.mark.parametrize(("table", "module"), [(table, each) for table, modules in TABLES.items() for each in modules])
def test_a_writer_knows_every_kind(table: str, module: str) -> None:
    rows = getattr(importlib.import_module(f"nineline.interchange.{module}"), table)
    assert set(rows) == ours(LISTS[table])


def test_every_table_is_held() -> None:
    """A new writer's tables are entered above."""
    prefix = "nineline.interchange."
    names = [each.name for each in pkgutil.walk_packages(nineline.interchange.__path__, prefix)]
    modules = {name.removeprefix(prefix): importlib.import_module(name) for name in names}
    found = {table: sorted(n for n, module in modules.items() if hasattr(module, table)) for table in TABLES}
    assert found == TABLES


def test_the_engine_and_the_diagram_know_every_layer() -> None:
    assert set(native._LAYERS) == set(diagram._KINDS) == ours(LAYERS)


def test_every_layer_and_every_column_is_tried_here(
    make_networks: Any, make_embeddings: Any, models: Any, present: Any, embedded: Any, worded: Any
) -> None:
    """A kind that is added is entered in `kinds_of_layers`, or in the fixture `table`, of conftest.py."""
    networks = [*make_networks("float64").values(), *make_embeddings("float64").values()]
    assert {type(each) for network in networks for layer in network.layers for each in layer.walk()} == ours(LAYERS)
    columns = [column for model in (*models.values(), present, embedded, worded) for column in model.columns_.used]
    assert {type(column) for column in columns} == ours(KINDS)


def test_readers_know_every_activation() -> None:
    """The identity is what is there where nothing is said, in ONNX and PyTorch."""
    every = ours(ACTIVATIONS) - {Identity}
    assert {row.activation for row in onnx.OPERATORS.values()} | {kind for _, kind in onnx.PRODUCTS.values()} == every
    assert {row.activation for row in (*torch._ROWS, torch._EXP)} == every
    assert set(sklearn._NAMES.values()) <= ours(ACTIVATIONS)  # its MLPs have six
