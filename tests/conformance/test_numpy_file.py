"""The file of plain NumPy runs in an interpreter that has no nineline, and answers as the model does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from nineline.estimators import MLPClassifier
from nineline.interchange import to_python
from nineline.interchange.samples import sample_inputs, sample_rows


def load(text: str) -> dict[str, Any]:
    module: dict[str, Any] = {}
    exec(compile(text, "the file", "exec"), module)
    return module


def test_generated_networks_answer_as_run_does(make_networks: Any) -> None:
    for network in make_networks("float64").values():
        inputs = np.random.default_rng(0).normal(size=(20, network.n_inputs)) * [[1]] * 5
        expected = network.run(inputs)
        np.testing.assert_allclose(load(to_python(network))["run"](inputs), expected, rtol=1e-11, atol=1e-12)


def test_embeddings_answer_as_run_does(make_embeddings: Any) -> None:
    for network in make_embeddings("float64").values():
        inputs = sample_inputs(20, network)
        np.testing.assert_allclose(load(to_python(network))["run"](inputs), network.run(inputs), rtol=1e-11)


def test_models_of_tables_take_raw_columns(models: Any) -> None:
    for name, model in models.items():
        samples = sample_rows(200, model.columns_)
        types = {"category": pl.String, "boolean": pl.Boolean, "number": pl.Float64, "date": pl.Datetime}
        frame = pl.DataFrame(samples, schema={c.name: types[c.kind] for c in model.columns_.used})
        module = load(to_python(model))
        if name in ("number", "skewed"):
            np.testing.assert_allclose(module["predict"](samples), model.predict(frame), rtol=1e-12)
        else:
            np.testing.assert_allclose(module["probabilities"](samples), model.predict_proba(frame), atol=1e-14)
            assert module["predict"](samples) == model.predict(frame).tolist()


def test_waves_of_a_number(waved: Any) -> None:
    table = {"x": np.linspace(-9, 9, 7).tolist(), "z": [0.0, None, 0.1, 0.2, 4.0, -1.0, 1e9], "flag": [True] * 7}
    np.testing.assert_allclose(load(to_python(waved))["predict"](table), waved.predict(pl.DataFrame(table)), atol=1e-12)


def test_a_column_that_is_there_or_not(present: Any) -> None:
    table = {"once": [7.25, None, -1e9, "8"], "x": [0.5, 0.5, 0.5, 0.5]}
    answers = load(to_python(present))["predict"](table)
    numbers = pl.DataFrame({"once": [7.25, None, -1e9, 8.0], "x": [0.5] * 4})
    np.testing.assert_allclose(answers, present.predict(numbers), rtol=1e-6)
    assert answers[0] == answers[2] == answers[3] != answers[1]
    with pytest.raises(ValueError, match="could not convert"):
        load(to_python(present))["predict"]({"once": ["much"], "x": [0.5]})


def test_a_category_of_many_levels(embedded: Any) -> None:
    table = {"x": [0.5] * 6, "level": ["ä 0", "  é 599\u3000", "rare one", "never seen", "", None]}
    answers = load(to_python(embedded))["predict"](table)
    np.testing.assert_allclose(answers, embedded.predict(pl.DataFrame(table)), rtol=1e-12)
    assert answers[2] == answers[3] != answers[4] == answers[5]
    assert len(set(answers)) == 4


def test_free_text(worded: Any) -> None:
    asked = ["Chair lamp", "  the CHAIRS, tische", "Tisch äöü" * 200, "xyz", "STRASSE straße it's", "", None]
    answers = load(to_python(worded))["predict"]({"title": asked})
    np.testing.assert_allclose(answers, worded.predict(pl.DataFrame({"title": asked})), rtol=1e-12)
    assert len(set(answers)) == 6


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("classes", [2, 3])
def test_an_mlp_is_exported_with_its_classes(classes: int) -> None:
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 4)), np.array(["a", "b", "c"])[rng.integers(classes, size=60)]
    mlp = MLPClassifier((5,), max_iter=20, random_state=0).fit(X, y)
    module = load(to_python(mlp))
    np.testing.assert_allclose(module["probabilities"](X), mlp.predict_proba(X), rtol=1e-12)
    assert module["predict"](X) == mlp.predict(X).tolist()


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_several_labels_at_once_are_the_outputs_as_they_are() -> None:
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(60, 4)), rng.integers(2, size=(60, 3))
    mlp = MLPClassifier((5,), max_iter=20, random_state=0).fit(X, Y)
    module = load(to_python(mlp))
    np.testing.assert_allclose(module["run"](X), mlp.predict_proba(X), rtol=1e-12)
    assert "predict" not in module


def test_values_may_be_spelt_as_in_a_text_file(models: Any) -> None:
    model = models["three"]
    module = load(to_python(model))
    samples = sample_rows(50, model.columns_)
    spelt = {
        column.name: [
            ("" if value is None else f" {value} ")
            if column.kind != "date"
            else (None if value is None else value.isoformat(sep=" "))
            for value in samples[column.name]
        ]
        for column in model.columns_.used
    }
    spelt = {
        name: [float("nan") if value == "" and not index % 2 else value for index, value in enumerate(values)]
        for name, values in spelt.items()
    }
    np.testing.assert_array_equal(module["prepare"](spelt), module["prepare"](samples))


def test_it_needs_numpy_alone(models: Any, tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(to_python(models["number"]))
    code = "import sys, model; print(sorted({'nineline', 'polars', 'sklearn', 'scipy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_boolean_of_another_kind_is_refused_as_in_nineline(models: Any) -> None:
    module = load(to_python(models["two"]))
    samples = sample_rows(2, models["two"].columns_)
    with pytest.raises(ValueError, match="column 'ok' holds 'maybe'; expected true or false"):
        module["prepare"]({**samples, "ok": ["maybe", None]})
