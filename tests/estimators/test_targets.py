"""Targets of several outputs: numbers side by side, labels side by side, quantiles of a number."""

from __future__ import annotations

import json
import pickle
import re
import warnings
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse
from sklearn.base import clone
from sklearn.exceptions import DataConversionWarning
from sklearn.metrics import (
    accuracy_score,
    d2_pinball_score,
    hamming_loss,
    log_loss,
    make_scorer,
    mean_absolute_error,
    mean_pinball_loss,
    r2_score,
    root_mean_squared_error,
)
from sklearn.model_selection import cross_val_score
from sklearn.neural_network import MLPClassifier
from sklearn.utils.estimator_checks import parametrize_with_checks
from typer.testing import CliRunner

from nineline.cli import app
from nineline.estimators import TabularClassifier, TabularRegressor, load
from nineline.files import FileError
from nineline.interactive.opening import open_model
from nineline.tables.several_targets import Labels, Quantiles, Quantities

QUICK: dict[str, Any] = {"random_state": 0, "n_members": 2, "max_epochs": 12, "hidden_layer_sizes": (32,)}
LEVELS = (0.1, 0.5, 0.9)


def table(rows: int = 300) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {"size": rng.normal(size=rows), "colour": rng.choice(["red", "green"], rows), "noise": rng.normal(size=rows)}
    )


X = table()
NUMBERS = pd.DataFrame({"price": 1000 * X["size"] + 50 * X["noise"], "weight": X["size"] + (X["colour"] == "red")})
LABELS = pd.DataFrame({"large": (X["size"] > 0).astype(int), "red": (X["colour"] == "red").astype(int)})


@pytest.fixture(scope="module")
def outputs() -> TabularRegressor:
    return TabularRegressor(**QUICK).fit(X, NUMBERS)


@pytest.fixture(scope="module")
def labels() -> TabularClassifier:
    return TabularClassifier(**QUICK).fit(X, LABELS)


@pytest.fixture(scope="module")
def quantiles() -> TabularRegressor:
    return TabularRegressor(quantiles=LEVELS, **QUICK).fit(X, NUMBERS["price"])


@pytest.fixture
def any_of(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


EACH = pytest.mark.parametrize("any_of", ["outputs", "labels", "quantiles"], indirect=True)


def those_of_one_column(_: Any) -> dict[str, str]:
    """Return the checks that want predictions of (rows,)."""
    return {"check_regressors_train": "predictions are (rows, quantiles)"}


@parametrize_with_checks(
    [TabularRegressor(max_epochs=20, n_members=2, quantiles=(0.5,))], expected_failed_checks=those_of_one_column
)
def test_scikit_learn_estimator(estimator: Any, check: Any) -> None:
    check(estimator)


class TestOutputs:
    def test_answers_are_rows_and_outputs_in_the_order_of_y(self, outputs: TabularRegressor) -> None:
        answers = outputs.predict(X)
        assert answers.shape == (300, 2)
        assert outputs.score(X, NUMBERS) == pytest.approx(r2_score(NUMBERS, answers))
        assert outputs.score(X, NUMBERS) > 0.9
        assert outputs.target_names_ == ["price", "weight"]
        assert outputs.target_name_ == "price, weight"
        assert isinstance(outputs.target_, Quantities)
        for name in ("scaling_", "residuals_"):
            assert not hasattr(outputs, name)

    def test_no_answer_leaves_the_range_of_its_column(self, outputs: TabularRegressor) -> None:
        far = X.assign(size=X["size"] * 1e3)
        answers = outputs.predict(far)
        assert (answers.max(axis=0) <= NUMBERS.max(axis=0)).all()
        assert (answers.min(axis=0) >= NUMBERS.min(axis=0)).all()

    def test_scores_are_the_means_over_the_outputs(self, outputs: TabularRegressor) -> None:
        assert outputs._held_out is not None
        truth, answers, _ = outputs._held_out.judged()
        assert outputs.report_.held_out == pytest.approx(
            {
                "RMSE": root_mean_squared_error(truth, answers),
                "MAE": mean_absolute_error(truth, answers),
                "R²": r2_score(truth, answers),
            }
        )
        assert "2 numbers: price from" in str(outputs.report_)

    def test_an_output_in_other_units_is_learned_as_well(self) -> None:
        plain = TabularRegressor(**QUICK).fit(X, NUMBERS)
        scaled = TabularRegressor(**QUICK).fit(X, NUMBERS * [1e-6, 1e6])
        np.testing.assert_allclose(scaled.predict(X), plain.predict(X) * [1e-6, 1e6], rtol=1e-2, atol=1e-9)

    def test_one_row_is_a_dict(self, outputs: TabularRegressor) -> None:
        row = X.iloc[3].to_dict()
        one = outputs.predict_one(row)
        assert list(one) == ["price", "weight"]
        assert list(one.values()) == pytest.approx(outputs.predict(X[3:4])[0].tolist())

    def test_columns_without_names_have_numbers(self) -> None:
        model = TabularRegressor(**QUICK).fit(X, NUMBERS.to_numpy())
        assert model.target_names_ == ["target_0", "target_1"]
        assert model.target_name_ == "target"
        of_polars = TabularRegressor(**QUICK).fit(X, pl.from_pandas(NUMBERS))
        assert of_polars.target_names_ == ["price", "weight"]
        np.testing.assert_array_equal(of_polars.predict(X), model.predict(X))
        of_arrow = TabularRegressor(**QUICK).fit(X, pl.from_pandas(NUMBERS).to_arrow())
        assert of_arrow.target_names_ == ["price", "weight"]
        of_lists = TabularRegressor(**QUICK).fit(X, NUMBERS.to_numpy().tolist())
        np.testing.assert_array_equal(of_lists.predict(X), model.predict(X))

    def test_a_single_column_of_two_dimensions_is_a_single_target(self) -> None:
        with pytest.warns(DataConversionWarning):
            model = TabularRegressor(**QUICK).fit(X, NUMBERS[["price"]].to_numpy())
        assert model.predict(X).shape == (300,)

    def test_rows_of_weight_2_are_two_rows(self) -> None:
        twice = pd.concat([X, X]), pd.concat([NUMBERS, NUMBERS])
        weighted = TabularRegressor(**QUICK).fit(X, NUMBERS, sample_weight=np.full(300, 2.0))
        np.testing.assert_allclose(weighted.predict(X), TabularRegressor(**QUICK).fit(*twice).predict(X), rtol=1e-9)

    def test_intervals_are_refused(self, outputs: TabularRegressor) -> None:
        with pytest.raises(ValueError, match="this model predicts 2 outputs, and intervals are of one"):
            outputs.predict_interval(X)

    @pytest.mark.parametrize(
        ("y", "error", "message"),
        [
            (NUMBERS.assign(weight=np.nan), ValueError, "column 1 of y is missing .* in 300 of 300 rows"),
            (NUMBERS.assign(weight=np.inf), ValueError, "column 1 of y has inf"),
            (NUMBERS.assign(weight="heavy"), ValueError, "column 1 of y holds 'heavy'; a regressor needs numbers"),
            (NUMBERS.set_axis(["a", "a"], axis=1), ValueError, "y has two columns 'a'"),
            (NUMBERS[:-1], ValueError, "X has 300 rows and y has 299"),
            (
                scipy.sparse.csr_array(NUMBERS.to_numpy()),
                TypeError,
                r"y is a sparse matrix; pass a dense array: y.toarr",
            ),
        ],
    )
    def test_what_is_wrong_is_said(self, y: Any, error: type[Exception], message: str) -> None:
        with pytest.raises(error, match=message):
            TabularRegressor(**QUICK).fit(X, y)


class TestLabels:
    def test_conventions_are_those_of_scikit_learns_mlp(self, labels: TabularClassifier) -> None:
        theirs = MLPClassifier(max_iter=2, random_state=0)
        with warnings.catch_warnings(action="ignore"):
            theirs.fit(X[["size", "noise"]], LABELS.to_numpy())
        rows = X[["size", "noise"]]
        assert labels.predict(X).shape == theirs.predict(rows).shape == (300, 2)
        assert labels.predict(X).dtype == theirs.predict(rows).dtype
        assert labels.predict_proba(X).shape == theirs.predict_proba(rows).shape
        np.testing.assert_array_equal(labels.classes_, theirs.classes_)
        assert labels.target_names_ == ["large", "red"]

    def test_score_is_the_share_of_rows_that_are_right_in_all(self, labels: TabularClassifier) -> None:
        said = labels.predict(X)
        assert labels.score(X, LABELS) == np.mean((said == LABELS.to_numpy()).all(axis=1))
        assert labels.score(X, LABELS) > 0.9
        np.testing.assert_array_equal(said, labels.predict_proba(X) > 0.5)

    def test_measures(self, labels: TabularClassifier) -> None:
        assert labels._held_out is not None
        truth, shares, _ = labels._held_out.judged()
        held_out = labels.report_.held_out
        assert held_out["accuracy"] == accuracy_score(truth, shares > 0.5)
        assert held_out["Hamming loss"] == hamming_loss(truth, shares > 0.5)
        each = [log_loss(truth[:, i], np.clip(shares[:, i], 1e-7, 1 - 1e-7)) for i in range(2)]
        assert held_out["log-loss"] == pytest.approx(np.mean(each))
        assert 0.9 < held_out["AUC"] <= 1

    def test_one_row(self, labels: TabularClassifier) -> None:
        row = X.iloc[3].to_dict()
        shares = labels.predict_proba_one(row)
        assert list(shares.values()) == pytest.approx(labels.predict_proba(X[3:4])[0].tolist())
        assert labels.predict_one(row) == {name: int(share > 0.5) for name, share in shares.items()}

    @pytest.mark.parametrize("dtype", [bool, float, "int8"])
    def test_labels_of_any_type_of_number(self, labels: TabularClassifier, dtype: Any) -> None:
        model = TabularClassifier(**QUICK).fit(X, LABELS.astype(dtype))
        np.testing.assert_array_equal(model.predict_proba(X), labels.predict_proba(X))

    def test_a_label_that_no_row_has_is_never_there(self) -> None:
        model = TabularClassifier(**QUICK).fit(X, LABELS.assign(never=0))
        assert not model.predict(X)[:, 2].any()
        assert "AUC" not in model.report_.held_out

    def test_rare_sets_of_labels_are_held_out_like_others(self) -> None:
        target = Labels(("a", "b"))
        codes = target.codes(np.array([[0, 0], [0, 1], [0, 0], [1, 0], [1, 1]]))
        assert codes[0] == codes[2] != codes[1]
        assert codes[1] == codes[3] == codes[4]

    @pytest.mark.parametrize(
        ("y", "message"),
        [
            (LABELS * 2, r"y has 2 columns and holds 2, so it is multiclass-multioutput; .*MultiOutputClassifier"),
            (LABELS.replace({0: "no", 1: "yes"}), r"y has 2 columns and holds '(no|yes)', so it is multiclass-multiou"),
            (LABELS.astype(object).replace({1: None}), "column 0 of y is missing"),
        ],
    )
    def test_other_columns_are_refused(self, y: Any, message: str) -> None:
        with pytest.raises(ValueError, match=message):
            TabularClassifier(**QUICK).fit(X, y)

    def test_class_weight_is_refused(self) -> None:
        with pytest.raises(ValueError, match="class_weight is 'balanced' and y has 2 labels"):
            TabularClassifier(class_weight="balanced", **QUICK).fit(X, LABELS)


class TestQuantiles:
    def test_answers_ascend_with_the_levels(self, quantiles: TabularRegressor) -> None:
        answers = quantiles.predict(X)
        assert answers.shape == (300, 3)
        assert (np.diff(answers, axis=1) >= 0).all()
        assert quantiles.target_names_ == ["price_0.1", "price_0.5", "price_0.9"]

    def test_quantiles_of_skewed_noise_are_found(self) -> None:
        rng = np.random.default_rng(1)
        x = rng.uniform(1, 3, size=4000)
        y = x * rng.exponential(size=4000)  # its quantiles are -x * log(1 - level)
        model = TabularRegressor(quantiles=LEVELS, random_state=0, n_members=2).fit(x[:, np.newaxis], y)
        for at in (1.3, 2.0, 2.7):
            truth = -at * np.log(1 - np.array(LEVELS))
            np.testing.assert_allclose(model.predict([[at]])[0], truth, rtol=0.3, atol=0.06)
        assert model.report_.held_out["coverage"] == pytest.approx(0.8, abs=0.05)

    def test_measures_and_score(self, quantiles: TabularRegressor) -> None:
        assert quantiles._held_out is not None
        truth, answers, _ = quantiles._held_out.judged()
        held_out = quantiles.report_.held_out
        losses = [mean_pinball_loss(truth, answers[:, i], alpha=level) for i, level in enumerate(LEVELS)]
        assert held_out["pinball loss"] == pytest.approx(np.mean(losses))
        assert held_out["coverage"] == np.mean((answers[:, 0] <= truth) & (truth <= answers[:, 2]))
        y, said = NUMBERS["price"], quantiles.predict(X)
        each = [d2_pinball_score(y, said[:, i], alpha=level) for i, level in enumerate(LEVELS)]
        assert quantiles.score(X, y) == pytest.approx(np.mean(each))
        assert quantiles.score(X, y) > 0.5

    def test_a_single_level_is_a_column(self) -> None:
        model = TabularRegressor(quantiles=[0.5], **QUICK).fit(X, NUMBERS["price"])
        assert model.predict(X).shape == (300, 1)
        assert model.predict_one(X.iloc[0].to_dict()).keys() == {0.5}
        assert "<svg" in model._repr_html_()

    def test_networks_begin_at_the_quantiles_of_the_target(self) -> None:
        y = np.random.default_rng(0).exponential(size=300)
        target = Quantiles.learn(y, LEVELS)
        np.testing.assert_allclose(target.plain, np.quantile(y, LEVELS, method="inverted_cdf"))
        np.testing.assert_allclose(target.answers(target.begin(np.zeros(3))[np.newaxis])[0], target.plain)

    def test_weights_count_in_the_quantiles(self) -> None:
        y, weights = np.array([1.0, 2.0, 3.0]), np.array([1, 8, 1], np.float32)
        assert Quantiles.learn(y, (0.2, 0.8), weights).plain == (2.0, 2.0)

    def test_intervals_point_to_predict(self, quantiles: TabularRegressor) -> None:
        with pytest.raises(ValueError, match=r"this model predicts quantiles, 0.1, 0.5, 0.9, .* take predict"):
            quantiles.predict_interval(X)

    @pytest.mark.parametrize(
        ("given", "error", "message"),
        [
            ((), ValueError, r"quantiles is \(\); expected different numbers in \(0, 1\) in ascending order"),
            ((0.5, 0.1), ValueError, "ascending order"),
            ((0.5, 0.5), ValueError, "different numbers"),
            ((0.0, 0.5), ValueError, r"in \(0, 1\)"),
            ((0.5, 1), ValueError, r"in \(0, 1\)"),
            ((0.5, "0.9"), TypeError, r"quantile 1 is '0.9' \(str\); expected a number"),
            (0.5, TypeError, r"quantiles is 0.5; expected numbers in \(0, 1\), such as"),
            ("median", TypeError, "quantiles is 'median'"),
        ],
    )
    def test_levels_that_are_none_are_refused(self, given: Any, error: type[Exception], message: str) -> None:
        with pytest.raises(error, match=message):
            TabularRegressor(quantiles=given, **QUICK).fit(X, NUMBERS["price"])

    def test_of_one_column_alone(self) -> None:
        with pytest.raises(ValueError, match="y has 2 columns; expected one: fit a model for each column"):
            TabularRegressor(quantiles=LEVELS, **QUICK).fit(X, NUMBERS)


def answers_of(model: Any) -> Any:
    return model.predict_proba(X) if isinstance(model, TabularClassifier) else model.predict(X)


def truth_of(model: Any) -> Any:
    if isinstance(model, TabularClassifier):
        return LABELS
    return NUMBERS["price"] if isinstance(model.target_, Quantiles) else NUMBERS


@EACH
class TestWhatWalksAModel:
    def test_a_file_answers_the_same(self, any_of: Any, tmp_path: Any) -> None:
        any_of.save(tmp_path / "model")
        again = load(tmp_path / "model")
        np.testing.assert_array_equal(answers_of(again), answers_of(any_of))
        assert again.target_names_ == any_of.target_names_
        assert again.target_.in_words() == any_of.target_.in_words()
        assert again.get_params() == any_of.get_params()
        again.save(tmp_path / "again")
        assert (tmp_path / "again").read_bytes() == (tmp_path / "model").read_bytes()

    def test_pickle_and_clone(self, any_of: Any) -> None:
        np.testing.assert_array_equal(answers_of(pickle.loads(pickle.dumps(any_of))), answers_of(any_of))
        again = clone(any_of).fit(X, truth_of(any_of))
        np.testing.assert_array_equal(answers_of(again), answers_of(any_of))

    def test_importances(self, any_of: Any) -> None:
        for found in (any_of.feature_importance(), any_of.feature_importance(X, truth_of(any_of))):
            means = dict(zip(found.names, found.importances_mean, strict=True))
            assert means["size"] > 0.01
            assert means["size"] > abs(means["noise"])

    def test_a_target_with_other_columns_is_refused(self, any_of: Any) -> None:
        other = LABELS["red"] if any_of.target_.outputs == 2 else LABELS
        with pytest.raises(ValueError, match=r"y has \d columns; expected what the model has learned"):
            any_of.feature_importance(X, other)

    def test_explanations_sum_up(self, any_of: Any) -> None:
        for number, name in enumerate(any_of.target_names_):
            of = any_of.target_.levels[number] if isinstance(any_of.target_, Quantiles) else name
            explanation = any_of.explain(X[:1], of=of)
            assert explanation.of == name
            assert explanation.answer == pytest.approx(answers_of(any_of)[0, number])
            assert explanation.baseline + explanation.contributions.sum() == pytest.approx(explanation.answer)
        size = any_of.explain({"size": 2.0, "colour": "red", "noise": 0.0}, of=of if of != "red" else "large")
        assert size.names[np.abs(size.contributions).argmax()] == "size"

    def test_an_explanation_of_nothing_that_is_there(self, any_of: Any) -> None:
        with pytest.raises(ValueError, match=r"of is 'nothing'; expected one of"):
            any_of.explain(X[:1], of="nothing")

    def test_an_explanation_of_nothing_in_particular(self, any_of: Any) -> None:
        if isinstance(any_of.target_, Quantiles):
            assert any_of.explain(X[:1]).of == "price_0.5"
            return
        with pytest.raises(ValueError, match="of is not given; expected one of what is predicted"):
            any_of.explain(X[:1])

    def test_predictions_to_a_file_have_a_column_each(self, any_of: Any, tmp_path: Any) -> None:
        pl.from_pandas(X).write_csv(tmp_path / "table.csv")
        any_of.predict_to(tmp_path / "table.csv", tmp_path / "answers.parquet")
        written = pl.read_parquet(tmp_path / "answers.parquet")
        assert written.columns == any_of.target_names_
        np.testing.assert_allclose(written.to_numpy(), any_of.predict(X), rtol=1e-12)
        if isinstance(any_of, TabularClassifier):
            any_of.predict_to(X, tmp_path / "shares.csv", proba=True)
            shares = pl.read_csv(tmp_path / "shares.csv")
            assert shares.columns == ["large", "red", "probability of large", "probability of red"]
            np.testing.assert_allclose(shares.to_numpy()[:, 2:], any_of.predict_proba(X))

    def test_it_shows_itself(self, any_of: Any, tmp_path: Any) -> None:
        assert any_of.target_.in_words() in any_of._repr_html_()
        any_of.report_.to_html(tmp_path / "page.html")
        page = (tmp_path / "page.html").read_text()
        assert "Learning curves" in page
        assert "Importances" in page
        assert any_of.target_.in_words().split(":")[0] in page

    def test_pictures_of_one_target_are_refused(self, any_of: Any) -> None:
        from nineline.estimators import plots

        for plot in (plots.plot_residuals, plots.plot_roc):
            with pytest.raises(TypeError, match="this is a picture of one target, and the model predicts"):
                plot(any_of)

    def test_dependence(self, any_of: Any) -> None:
        from nineline.estimators import plots

        axes = plots.plot_dependence(any_of, "size")
        assert [text.get_text() for text in axes.get_legend().get_texts()] == any_of.target_names_
        assert plots.plot_importance(any_of).get_xlabel().startswith("rise of the")

    def test_exporters_refuse(self, any_of: Any, tmp_path: Any) -> None:
        pytest.importorskip("onnx")
        from nineline.interchange import c, onnx, python

        for export in (c.to_c, python.to_python, lambda model: onnx.to_onnx(model, tmp_path / "model.onnx")):
            with pytest.raises(ValueError, match="model predicts .*fit a model for each, or export a network of it"):
                export(any_of)

    def test_a_terminal_shows_what_it_predicts(self, any_of: Any, tmp_path: Any) -> None:
        any_of.save(tmp_path / "model.nineline")
        shown = CliRunner().invoke(app, ["show", str(tmp_path / "model.nineline")])
        assert shown.exit_code == 0
        heading, names = (
            ("quantiles", LEVELS) if isinstance(any_of.target_, Quantiles) else ("targets", any_of.target_names_)
        )
        assert re.search(rf"^{heading} +{', '.join(map(str, names))}$", shown.output, re.MULTILINE)

    def test_the_playground_refuses(self, any_of: Any, tmp_path: Any) -> None:
        any_of.save(tmp_path / "model.nineline")
        with pytest.raises(ValueError, match="predicts .*, and a playground has one target; open the table"):
            open_model(tmp_path / "model.nineline")


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"kind": "else"}, "'else'"),
        ({"names": ["price", "price"]}, "different"),
        ({"names": ["price"]}, "different"),
        ({"names": [1, 2]}, "different"),
        ({"names": ["a", "b", "c"]}, "another number"),
        ({"scalings": 3}, "iterable"),
    ],
)
def test_a_file_that_holds_no_outputs(outputs: TabularRegressor, change: Any, what: str) -> None:
    described = outputs.target_.describe() | change
    if "kind" in change:
        assert described["kind"] not in {kind.kind for kind in TabularRegressor.target_kinds}
        return
    with pytest.raises((KeyError, TypeError, ValueError), match=what):
        Quantities.rebuild(json.loads(json.dumps(described)))


@pytest.mark.parametrize(
    "change",
    [
        {"levels": [0.9, 0.1, 0.5]},
        {"levels": []},
        {"plain": [1.0]},
        {"plain": [3, 2, 1]},
        {"plain": None},
        {"scale": 0},
    ],
)
def test_a_file_that_holds_no_quantiles(quantiles: TabularRegressor, change: Any) -> None:
    described = json.loads(json.dumps(quantiles.target_.describe())) | change
    with pytest.raises((KeyError, TypeError, ValueError)):
        Quantiles.rebuild(described)


def test_files_of_another_kind_of_target_are_refused(outputs: TabularRegressor, tmp_path: Any) -> None:
    path = tmp_path / "model"
    outputs.save(path)
    data = path.read_bytes()
    path.write_bytes(data.replace(b'\\"kind\\": \\"quantities\\"', b'\\"kind\\": \\"quantitiez\\"'))
    with pytest.raises(FileError):
        load(path)


@pytest.mark.parametrize("metric", ["r2", "neg_mean_absolute_error", make_scorer(mean_absolute_error)])
def test_a_scorer_sees_every_output(metric: Any) -> None:
    model = TabularRegressor(eval_metric=metric, **QUICK).fit(X, NUMBERS)
    assert model.predict(X).shape == (300, 2)


@pytest.mark.parametrize("metric", ["accuracy", "f1_macro", "roc_auc"])
def test_a_scorer_sees_every_label(metric: str) -> None:
    assert TabularClassifier(eval_metric=metric, **QUICK).fit(X, LABELS).predict(X).shape == (300, 2)


def test_a_scorer_sees_every_quantile() -> None:
    seen = []

    def width(model: Any, rows: Any, y: Any) -> float:
        seen.append(model.predict(rows).shape[1] if np.ndim(y) == 1 else 0)
        return 1.0

    TabularRegressor(quantiles=LEVELS, eval_metric=width, **QUICK).fit(X, NUMBERS["price"])
    assert set(seen) == {3}


def test_cross_validation_scores_them() -> None:
    assert cross_val_score(TabularRegressor(**QUICK), X, NUMBERS, cv=3).min() > 0.8
    assert cross_val_score(TabularClassifier(**QUICK), X, LABELS, cv=3).min() > 0.8
    assert cross_val_score(TabularRegressor(quantiles=LEVELS, **QUICK), X, NUMBERS["price"], cv=3).min() > 0.4


def test_a_sweep_of_learning_rates() -> None:
    settings = {**QUICK, "learning_rate": "sweep", "hidden_layer_sizes": (8,)}
    assert len(TabularRegressor(quantiles=LEVELS, **settings).fit(X, NUMBERS["price"]).report_.rates) == 7
    assert len(TabularRegressor(**settings).fit(X, NUMBERS).report_.rates) == 7


@pytest.mark.parametrize("memory", [None, "2MB"])
def test_quantiles_of_a_column_of_files(memory: str | None, tmp_path: Any) -> None:
    rng = np.random.default_rng(0)
    rows = 20_000
    x = rng.normal(size=rows)
    frame = pl.DataFrame(
        {"x": x, **{f"z{i}": rng.normal(size=rows) for i in range(12)}, "y": x + rng.normal(size=rows)}
    )
    frame.write_csv(tmp_path / "table.csv")
    model = TabularRegressor(quantiles=LEVELS, random_state=0, n_members=1, max_epochs=4, hidden_layer_sizes=(32,))
    model.fit(tmp_path / "table.csv", target="y", memory=memory)
    assert model.target_names_ == ["y_0.1", "y_0.5", "y_0.9"]
    assert model.report_.held_out["coverage"] == pytest.approx(0.8, abs=0.05)


def test_a_list_of_targets_is_refused(tmp_path: Any) -> None:
    pl.from_pandas(X.join(NUMBERS)).write_csv(tmp_path / "table.csv")
    expected = "expected the name of one column: of several, read the table and give them as y"
    with pytest.raises(TypeError, match=re.escape(expected)):
        TabularRegressor(**QUICK).fit(tmp_path / "table.csv", target=["price", "weight"])  # type: ignore[arg-type]


def test_a_reference_engine_learns_the_same() -> None:
    settings = {**QUICK, "max_epochs": 2, "n_members": 1}
    for model, y in [
        (TabularRegressor(**settings), NUMBERS),
        (TabularRegressor(quantiles=LEVELS, **settings), NUMBERS["price"]),
        (TabularClassifier(**settings), LABELS),
    ]:
        native = answers_of(clone(model).fit(X, y))
        reference = answers_of(clone(model).set_params(engine="reference").fit(X, y))
        np.testing.assert_allclose(native, reference, rtol=1e-3, atol=1e-3 * np.abs(native).max())


def test_other_columns_than_were_learned_are_refused_where_a_model_goes_on() -> None:
    x = np.linspace(0, 1, 60)[:, np.newaxis]
    one, two = x[:, 0], np.column_stack([x, x**2])
    for learned, other in ((one, two), (two, one)):
        model = TabularRegressor((4,), n_members=1, max_epochs=2, random_state=0, warm_start=True).fit(x, learned)
        for go_on in (model.partial_fit, model.fit):
            with pytest.raises(ValueError, match="y has . columns; expected what the model has learned"):
                go_on(x, other)
