"""ONNX there and back: what onnxruntime answers, what onnx's own checker says, and what others' files become."""

from __future__ import annotations

import itertools
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import narwhals as nw
import numpy as np
import polars as pl
import pytest

from nineline import Dropout, Embedding, Layer, LayerNorm, Network, Residual
from nineline.estimators import TabularRegressor
from nineline.files import FileError
from nineline.interchange import to_onnx
from nineline.interchange.samples import EPOCH, sample_inputs, sample_rows
from nineline.tables.series import moments_of

onnx = pytest.importorskip("onnx", reason="onnx is not installed (the extra onnx)")
runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

if TYPE_CHECKING:
    from nineline.tables.columns import Columns


def session(model: Any) -> Any:
    onnx.checker.check_model(model, full_check=True)
    return runtime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def feed(samples: dict[str, list[Any]], columns: Columns) -> dict[str, np.ndarray[Any, Any]]:
    """Return a table's columns as the graph's inputs take them."""
    fed = {}
    for column in columns.used:
        values = samples[column.name]
        if column.kind == "category":
            array = np.array(["" if value is None else value for value in values], dtype=object)
        elif column.kind == "date":
            array = np.array([np.nan if v is None else (v - EPOCH).total_seconds() / 86_400 for v in values])
        else:
            array = np.array([np.nan if value is None else float(value) for value in values])
        fed[column.name] = array[:, np.newaxis]
    return fed


def frame(samples: dict[str, list[Any]], columns: Columns) -> pl.DataFrame:
    types = {"category": pl.String, "boolean": pl.Boolean, "date": pl.Datetime}
    return pl.DataFrame(samples, schema={column.name: types.get(column.kind, pl.Float64) for column in columns.used})


def test_generated_networks_answer_as_run_does(make_networks: Any) -> None:
    for network in make_networks("float32").values():
        ready = session(to_onnx(network))
        for rows in (1, 7):
            inputs = np.random.default_rng(rows).normal(size=(rows, network.n_inputs)).astype(np.float32)
            (outputs,) = ready.run(None, {"inputs": inputs})
            expected = network.run(inputs)
            np.testing.assert_allclose(outputs, expected, rtol=2e-6, atol=2e-6, err_msg=repr(network))


def test_embeddings_answer_as_run_does(make_embeddings: Any) -> None:
    for network in make_embeddings("float32").values():
        inputs = sample_inputs(20, network).astype(np.float32)
        (outputs,) = session(to_onnx(network)).run(None, {"inputs": inputs})
        np.testing.assert_allclose(outputs, network.run(inputs), rtol=2e-6, atol=2e-6, err_msg=repr(network))


def cases_of_layer_norm() -> list[Any]:
    """Return ONNX's own test vectors of LayerNormalization, those of rows."""
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cases = collect_testcases("LayerNormalization")
    return [each for each in cases if each.name.startswith("test_layer_normalization") and "expanded" not in each.name]


def test_onnx_s_own_vectors_of_layer_normalisation() -> None:
    """Of every number of axes, normalised over the last or over several, which are rows once they are laid flat."""
    cases = cases_of_layer_norm()
    assert len(cases) >= 15
    for case in cases:
        (node,) = case.model.graph.node
        settings = {each.name: onnx.helper.get_attribute_value(each) for each in node.attribute}
        ((inputs, expected),) = case.data_sets
        x, gain, bias = (np.asarray(each) for each in inputs)
        axis = settings.get("axis", -1) % x.ndim
        layer = LayerNorm.of(gain.reshape(-1), bias.reshape(-1), settings.get("epsilon", 1e-5))
        outputs = layer.forward(x.reshape(int(np.prod(x.shape[:axis])), -1))
        np.testing.assert_allclose(outputs.reshape(x.shape), expected[0], rtol=1e-5, atol=1e-6, err_msg=case.name)


def test_a_column_without_a_name_is_called_unnamed() -> None:
    table = pl.DataFrame({"": np.arange(40.0) % 7, "unnamed": np.arange(40.0) % 5})
    model = TabularRegressor(max_epochs=2, n_members=1).fit(table, table[""])
    graph = session(to_onnx(model, "model"))
    assert [each.name for each in graph.get_inputs()] == ["unnamed_", "unnamed"]
    given = {"unnamed_": table[""].to_numpy()[:, np.newaxis], "unnamed": table["unnamed"].to_numpy()[:, np.newaxis]}
    np.testing.assert_allclose(graph.run(None, given)[0][:, 0], model.predict(table), rtol=1e-5)


def test_models_of_tables_take_raw_columns(models: Any) -> None:
    for name, model in models.items():
        samples = sample_rows(300, model.columns_)
        outputs = session(to_onnx(model, name)).run(None, feed(samples, model.columns_))
        table = frame(samples, model.columns_).with_columns(pl.lit("x").alias("id")).drop("id")
        if name in ("number", "skewed"):
            np.testing.assert_allclose(outputs[0][:, 0], model.predict(table), rtol=1e-5)
            continue
        expected = model.predict_proba(table)
        np.testing.assert_allclose(outputs[1], expected, atol=2e-6)
        clear = np.abs(np.diff(np.sort(expected, axis=1)[:, -2:], axis=1))[:, 0] > 1e-5
        assert clear.mean() > 0.9
        np.testing.assert_array_equal(outputs[0][clear], model.predict(table)[clear])


@pytest.mark.parametrize("name", ["adult", "telco_churn", "bike_hour", "california_housing", "hypothyroid"])
def test_real_tables(name: str, real_data: Path) -> None:
    from nineline.estimators.session import train_on_table
    from nineline.tables import read_table

    data = read_table(real_data / "tabular" / f"{name}.csv")[:2000]
    target = {"adult": "income", "telco_churn": "churn", "california_housing": "median_house_value"}.get(name)
    target = target or ("Class" if "Class" in data.columns else data.columns[-1])
    model = train_on_table(data, target, max_epochs=2, hidden_layer_sizes=(8,)).model
    rows = model.select(data.drop(target))
    samples = {}
    for column in model.columns_.used:
        values = rows[column.name]
        if column.kind == "boolean":
            values = values.cast(pl.String).str.to_lowercase().is_in(["true", "yes", "t", "y", "1"])
        elif column.kind == "date":
            moments = moments_of(nw.from_native(values, series_only=True), column.format)
            assert moments is not None
            known = pl.Series(moments.microseconds).cast(pl.Datetime("us"))
            values = known.set(pl.Series(moments.missing), None)
        elif column.kind == "category" and values.dtype != pl.String:
            values = pl.Series(
                [None if v is None else str(int(v)) if float(v).is_integer() else str(v) for v in values]
            )
        samples[column.name] = values.to_list()
    outputs = session(to_onnx(model)).run(None, feed(samples, model.columns_))
    if hasattr(model, "classes_"):
        np.testing.assert_allclose(outputs[1], model.predict_proba(rows), atol=5e-6)
    else:
        np.testing.assert_allclose(outputs[0][:, 0], model.predict(rows), rtol=1e-5, atol=1e-4 * model.scaling_.scale)


def test_metadata_and_names_say_what_it_is(models: Any) -> None:
    model = to_onnx(models["three"], "grades")
    assert model.producer_name == "nineline"
    assert model.graph.name == "grades"
    about = {each.key: each.value for each in model.metadata_props}
    assert about["classes"] == '["high", "low", "mid"]'
    assert about["target"] == "target"
    assert [each.name for each in model.graph.input] == [column.name for column in models["three"].columns_.used]
    assert [each.name for each in model.graph.output] == ["label", "probabilities"]


def test_a_column_that_is_there_or_not(present: Any) -> None:
    once, x = np.array([[7.25], [np.nan], [-1e9]]), np.full((3, 1), 0.5)
    (answers,) = session(to_onnx(present)).run(None, {"once": once, "x": x})
    expected = present.predict(pl.DataFrame({"once": [7.25, None, -1e9], "x": [0.5] * 3}))
    np.testing.assert_allclose(answers[:, 0], expected, rtol=1e-5)


def test_a_category_of_many_levels(embedded: Any) -> None:
    levels, x = np.array([["ä 0"], ["é 599"], ["rare one"], ["never seen"], [""]], object), np.full((5, 1), 0.5)
    (answers,) = session(to_onnx(embedded)).run(None, {"level": levels, "x": x})
    expected = embedded.predict(pl.DataFrame({"x": [0.5] * 5, "level": levels[:, 0].tolist()}))
    np.testing.assert_allclose(answers[:, 0], expected, rtol=1e-5)


def test_columns_may_have_any_name() -> None:
    from nineline.estimators import TabularClassifier

    names = ["label", "probabilities", "gemm_3", "constant_0", "0.weights", "inputs"]
    data = pl.DataFrame({name: np.random.default_rng(i).normal(size=60) for i, name in enumerate(names)})
    model = TabularClassifier(max_epochs=1, random_state=0).fit(data, (data["label"] > 0).to_numpy())
    outputs = session(to_onnx(model)).run(None, {name: data[name].to_numpy()[:, np.newaxis] for name in names})
    np.testing.assert_allclose(outputs[1], model.predict_proba(data), atol=1e-6)


# Back


def test_networks_come_back(make_networks: Any, tmp_path: Path) -> None:
    for network in make_networks("float32").values():
        onnx.save(to_onnx(network), tmp_path / "there.onnx")
        back = Network.from_onnx(tmp_path / "there.onnx")
        dense = [layer for layer in network.layers if not isinstance(layer, Dropout)]
        assert [repr(layer) for layer in back.layers] == [repr(layer) for layer in dense]
        assert back.parameters.tobytes() == network.parameters.tobytes()


def test_dropout_inside_is_nothing_and_an_embedding_is_not_read(tmp_path: Path) -> None:
    residual = Residual(Dropout(0.2), Layer(3, 3, "tanh"), Dropout(0.1))
    network = Network(Layer(2, 3, "relu"), residual, Layer(3, 1, "identity"), rng=0, dtype="float32")
    onnx.save(to_onnx(network), tmp_path / "there.onnx")
    back = Network.from_onnx(tmp_path / "there.onnx")
    np.testing.assert_array_equal(back.run(np.eye(2, dtype=np.float32)), network.run(np.eye(2, dtype=np.float32)))
    embedded = Network(Embedding(3, 2), Layer(2, 1), rng=0)
    onnx.save(to_onnx(embedded), tmp_path / "there.onnx")
    with pytest.raises(FileError, match="Gather .* is not known here"):
        Network.from_onnx(tmp_path / "there.onnx")


def test_a_network_that_came_back_trains_on(tmp_path: Path) -> None:
    onnx.save(to_onnx(Network(2, 8, 1, activation="tanh", output="sigmoid", bias=True, rng=0)), tmp_path / "n.onnx")
    X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], [[0], [1], [1], [0]]
    network = Network.from_onnx(tmp_path / "n.onnx")
    network.train(X, y, 4000, report_every=0)
    np.testing.assert_array_equal(network.run(X).round(), y)


def others(nodes: list[Any], arrays: dict[str, Any], inputs: int = 1, width: int = 3) -> bytes:
    helper, numpy_helper = onnx.helper, onnx.numpy_helper
    given = [helper.make_tensor_value_info(f"x{i}", 1, ["n", width]) for i in range(inputs)]
    answer = [helper.make_tensor_value_info("y", 1, ["n", None])]
    constants = [numpy_helper.from_array(np.asarray(value, np.float32), name) for name, value in arrays.items()]
    made = [helper.make_node(kind, ins, [out], **settings) for kind, ins, out, settings in nodes]
    return bytes(helper.make_model(helper.make_graph(made, "g", given, answer, constants)).SerializeToString())


W, B = np.arange(6.0).reshape(3, 2) / 7, np.array([0.5, -0.25])
OTHERS: dict[str, tuple[list[Any], dict[str, Any], Any]] = {
    "MatMul and Add": ([("MatMul", ["x0", "w"], "a", {}), ("Add", ["b", "a"], "y", {})], {"w": W, "b": B}, W),
    "MatMul alone": ([("MatMul", ["x0", "w"], "y", {})], {"w": W}, W),
    "transposed Gemm": ([("Gemm", ["x0", "w", "b"], "y", {"transB": 1})], {"w": W.T, "b": B}, W),
    "Flatten, Identity and Dropout": (
        [
            ("Flatten", ["x0"], "f", {"axis": 1}),
            ("Gemm", ["f", "w", "b"], "g", {}),
            ("Identity", ["g"], "i", {}),
            ("Dropout", ["i"], "d", {}),
            ("Relu", ["d"], "y", {}),
        ],
        {"w": W, "b": B},
        W,
    ),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_what_other_programs_write_is_read(kind: str, tmp_path: Path) -> None:
    nodes, arrays, weights = OTHERS[kind]
    data = others(nodes, arrays)
    (tmp_path / "other.onnx").write_bytes(data)
    network = Network.from_onnx(tmp_path / "other.onnx")
    np.testing.assert_array_equal(network.layers[0].weights, weights.astype(np.float32))
    inputs = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    (expected,) = runtime.InferenceSession(data).run(None, {"x0": inputs})
    np.testing.assert_allclose(network.run(inputs), expected, atol=1e-6)


GEMM = ("Gemm", ["x0", "w"], "g", {})
REFUSED: dict[str, tuple[bytes, str]] = {
    "no ONNX": (b"\x00\x01 not a model", "does not read as a network"),
    "another node": (others([GEMM, ("Sin", ["g"], "y", {})], {"w": W}), "Sin 'y' is not known here; known are Gemm"),
    "two inputs": (others([GEMM], {"w": W}, inputs=2), "2 inputs and 1 outputs"),
    "a dead end": (others([GEMM], {"w": W}), "'g' leads nowhere"),
    "a factor": (others([("Gemm", ["x0", "w"], "y", {"alpha": 2.0})], {"w": W}), "no x @ weights"),
    "an activation inside a residual": (
        others([GEMM, ("Relu", ["g"], "r", {}), ("Add", ["g", "r"], "y", {})], {"w": W}),
        "has Relu 'r' where no linear map stands before it",
    ),
    "an activation first": (others([("Relu", ["x0"], "y", {})], {}), "where no linear map stands before it"),
    "a loop": (
        others([GEMM, ("Relu", ["g"], "r", {}), ("Identity", ["r"], "x0", {})], {"w": W}),
        "'x0' leads back to itself",
    ),
    "a product in a loop": (
        others(
            [
                GEMM,
                ("Sigmoid", ["g"], "s", {}),
                ("Relu", ["s"], "r", {}),
                ("Tanh", ["r"], "s2", {}),
                ("Relu", ["s2"], "r2", {}),
                ("Identity", ["r2"], "s", {}),
                ("Mul", ["g", "g"], "y", {}),
            ],
            {"w": W},
        ),
        "which is no activation known here",
    ),
    "a product of another": (
        others([GEMM, ("Sigmoid", ["g"], "s", {}), ("Mul", ["g", "g"], "y", {})], {"w": W}),
        "which is no activation known here",
    ),
    "gelu that is not halved": (
        others(
            [
                GEMM,
                ("Div", ["g", "root"], "d", {}),
                ("Erf", ["d"], "e", {}),
                ("Add", ["e", "one"], "a", {}),
                ("Mul", ["g", "a"], "m", {}),
                ("Relu", ["m"], "y", {}),
            ],
            {"w": W, "root": 2**0.5, "one": 1},
        ),
        "is not halved, which gelu is",
    ),
    "a normalisation of columns": (
        others([("LayerNormalization", ["x0", "w"], "n", {"axis": 0})], {"w": W}),
        "is no normalisation of rows",
    ),
    "a normalisation that is not constant": (
        others([("LayerNormalization", ["x0", "x0"], "n", {})], {}),
        "is no normalisation of rows",
    ),
    "a sum that does not come": (
        others([("Add", ["x0", "elsewhere"], "s", {}), ("MatMul", ["x0", "w"], "y", {})], {"w": W}),
        "is not on the way to the output",
    ),
    "a sum of other widths": (
        others(
            [("MatMul", ["x0", "w"], "m", {}), ("Add", ["x0", "m"], "s", {}), ("MatMul", ["s", "w"], "y", {})], {"w": W}
        ),
        "take 3 numbers and give 2",
    ),
    "sums that cross": (
        others(
            [
                ("MatMul", ["x0", "e"], "a", {}),
                ("MatMul", ["a", "e"], "b", {}),
                ("Add", ["x0", "b"], "c", {}),
                ("Add", ["a", "c"], "d", {}),
                ("MatMul", ["d", "w"], "y", {}),
            ],
            {"w": W, "e": np.eye(3)},
        ),
        "Add 'c' is not known here",
    ),
    "sums within sums": (
        others(
            [
                ("MatMul", ["x0", "e"], "m0", {}),
                *[("Add", ["x0", f"m{i}"], f"m{i + 1}", {}) for i in range(20)],
                ("MatMul", ["m20", "w"], "y", {}),
            ],
            {"w": W, "e": np.eye(3)},
        ),
        "layers are nested 17 deep; expected 16 at most",
    ),
    "the same weights in a thousand layers": (
        others(
            [("MatMul", [f"x{i}", "w"], f"x{i + 1}" if i < 999 else "y", {}) for i in range(1000)], {"w": np.eye(3)}
        ),
        "its layers take more than 16 times the weights that it holds",
    ),
    "more layers than a file takes": (
        others(
            [("MatMul", [f"x{i}", f"w{i}"], f"x{i + 1}" if i < 19_999 else "y", {}) for i in range(20_000)],
            {f"w{i}": np.eye(3) for i in range(20_000)},
        ),
        "it has more than 1,000 linear maps",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_other_graphs_are_refused_by_the_name_of_the_node(kind: str, tmp_path: Path) -> None:
    data, message = REFUSED[kind]
    (tmp_path / "other.onnx").write_bytes(data)
    with pytest.raises(FileError, match=message):
        Network.from_onnx(tmp_path / "other.onnx")


def test_a_long_chain_takes_no_longer_than_its_length(tmp_path: Path) -> None:
    count = 20_000
    names = ["g", *(f"i{i}" for i in range(count - 1)), "y"]
    nodes = [GEMM, *(("Identity", [a], b, {}) for a, b in itertools.pairwise(names))]
    (tmp_path / "long.onnx").write_bytes(others(nodes, {"w": W}))
    began = time.process_time()
    assert Network.from_onnx(tmp_path / "long.onnx").n_outputs == 2
    assert time.process_time() - began < 10


# Arrays in other files


@pytest.fixture
def apart(tmp_path: Path) -> Path:
    """Return a file whose weights lie beside it, in ``folder/weights``; another one lies outside of the folder."""
    (tmp_path / "folder").mkdir()
    path = tmp_path / "folder" / "apart.onnx"
    onnx.save(
        onnx.load_from_string(others([("Gemm", ["x0", "w"], "y", {})], {"w": W})),
        path,
        save_as_external_data=True,
        location="weights",
        size_threshold=0,
    )
    (tmp_path / "weights").write_bytes((tmp_path / "folder" / "weights").read_bytes())
    return path


def elsewhere(path: Path, **said: str) -> None:
    """Change what a file says of where its weights are."""
    model = onnx.load(path, load_external_data=False)
    (tensor,) = model.graph.initializer
    kept = {each.key: each.value for each in tensor.external_data} | said
    del tensor.external_data[:]
    for key, value in kept.items():
        tensor.external_data.add(key=key, value=value)
    path.write_bytes(model.SerializeToString())


def test_arrays_in_other_files_are_read_where_that_is_asked_for(
    apart: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # where a file of that name lies, too
    with pytest.raises(FileError, match="'w' lies in another file, 'weights'; pass external_data=True"):
        Network.from_onnx(apart)
    network = Network.from_onnx(apart, external_data=True)
    np.testing.assert_array_equal(network.layers[0].weights, W.astype(np.float32))


@pytest.mark.parametrize(
    "said",
    [
        {"location": "../weights"},
        {"location": "/etc/hostname"},
        {"location": "link"},
        {"location": "none"},
        {"location": "."},
        {"offset": "-4"},
        {"offset": "4"},
        {"length": "1000000000000"},
        {"length": "-1"},
        {"length": "9" * 5000},
    ],
    ids=str,
)
def test_arrays_elsewhere_are_refused(said: dict[str, str], apart: Path, tmp_path: Path) -> None:
    (apart.parent / "link").symlink_to(tmp_path / "weights")
    elsewhere(apart, **said)
    with pytest.raises(FileError):
        Network.from_onnx(apart, external_data=True)


def test_the_same_bytes_are_not_read_for_many_arrays(apart: Path) -> None:
    model = onnx.load(apart, load_external_data=False)
    (tensor,) = model.graph.initializer
    for number in range(5):
        model.graph.initializer.add().CopyFrom(tensor)
        model.graph.initializer[-1].name = f"w{number}"
    apart.write_bytes(model.SerializeToString())
    with pytest.raises(FileError, match="too few for what is said to be in it"):
        Network.from_onnx(apart, external_data=True)


def test_a_table_is_no_chain(models: Any, tmp_path: Path) -> None:
    onnx.save(to_onnx(models["two"]), tmp_path / "table.onnx")
    with pytest.raises(FileError, match="inputs and 2 outputs"):
        Network.from_onnx(tmp_path / "table.onnx")


def test_free_text_is_refused(worded: Any) -> None:
    with pytest.raises(ValueError, match="column 'title' is free text, which cannot be written as ONNX: .*to_python"):
        to_onnx(worded)
