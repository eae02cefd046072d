"""Pictures of models of tables show the numbers that scikit-learn finds, whatever the table is like."""

from __future__ import annotations

import itertools
import sys

import matplotlib as mpl
import narwhals as nw
import numpy as np
import polars as pl
import pytest
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from sklearn.metrics import confusion_matrix, roc_auc_score

from nineline.estimators import TabularClassifier, TabularRegressor
from nineline.estimators.judged import Judged
from nineline.estimators.plots import (
    plot_calibration,
    plot_column,
    plot_confusion,
    plot_dependence,
    plot_importance,
    plot_members,
    plot_precision_recall,
    plot_prediction_error,
    plot_residuals,
    plot_roc,
)
from nineline.files import container
from nineline.view.palette import DARK

mpl.use("Agg")

OF_CLASSES = [plot_confusion, plot_roc, plot_precision_recall, plot_calibration]
OF_NUMBERS = [plot_prediction_error, plot_residuals]
NASTY = "<script>alert('$x$')</script> $\\frac{" + "x" * 500


@pytest.fixture(autouse=True)
def put_away():
    yield
    plt.close("all")


def table(rows=200):
    rng = np.random.default_rng(0)
    return pl.DataFrame(
        {
            "size": rng.normal(size=rows),
            NASTY: rng.choice(["red", "<b>green</b>", "$blue$"], rows),
            "day": pl.date_range(pl.date(2020, 1, 1), pl.date(2020, 1, 1) + pl.duration(days=rows - 1), eager=True),
        }
    )


def settings(**more):
    return {"random_state": 0, "n_members": 2, "max_epochs": 3, "hidden_layer_sizes": (8,), **more}


X = table()
SIZE = X["size"].to_numpy()


@pytest.fixture(scope="module")
def classifier():
    return TabularClassifier(**settings()).fit(X, np.where(SIZE > 0, "yes", "no"))


@pytest.fixture(scope="module")
def several():
    return TabularClassifier(**settings()).fit(X, np.array(["a", "b", "c", "d"])[np.digitize(SIZE, [-0.7, 0, 0.7])])


@pytest.fixture(scope="module")
def regressor():
    return TabularRegressor(**settings()).fit(X, 3 * SIZE)


def drawn(axes):
    """Render the picture; matplotlib finds many mistakes only here."""
    axes.figure.canvas.draw()
    return axes


def labels(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


class TestClasses:
    @pytest.mark.parametrize("plot", OF_CLASSES)
    def test_into_axes_on_light_and_dark(self, plot, classifier, several):
        for model in (classifier, several):
            given = Figure(layout="constrained").subplots()
            assert drawn(plot(model, axes=given)) is given
            with plt.style.context("dark_background"):
                axes = drawn(plot(model))
            if axes.get_legend() is not None:
                assert {mpl.colors.to_hex(text.get_color()) for text in axes.get_legend().get_texts()} == {DARK.ink}

    def test_confusion_counts(self, several):
        y = several.predict(X)
        truth = np.where(np.arange(len(y)) % 3 == 0, "a", y)
        axes = drawn(plot_confusion(several, X, truth, axes=Figure().subplots()))
        expected = confusion_matrix(truth, y, labels=several.classes_)
        texts = [text.get_text() for text in axes.texts]
        assert texts == [f"{count:,}" for count in expected.ravel()]
        shown = np.asarray(axes.images[0].get_array())
        np.testing.assert_allclose(shown, expected / np.maximum(expected.sum(axis=1, keepdims=True), 1))

    def test_area_under_the_curve(self, classifier):
        truth, answers, _ = classifier._held_out.judged()
        area = roc_auc_score(truth == "yes", answers[:, 1])
        assert labels(plot_roc(classifier, axes=Figure().subplots()))[0] == f"yes: AUC {area:.3f}"

    def test_a_part_that_lacks_a_class_and_one_of_one_class(self, several):
        for kept in (["a", "b", "c"], ["b"]):
            truth = np.array(kept)[np.arange(len(X)) % len(kept)]
            for plot in OF_CLASSES:
                drawn(plot(several, X, truth, axes=Figure().subplots()))
        assert plot_roc(several, X, np.full(len(X), "b"), axes=Figure().subplots()).get_legend() is not None

    def test_a_class_that_is_never_predicted(self):
        judged = judged_of_classes(np.array([0, 1, 2] * 10), [0, 1], 3)
        for plot in OF_CLASSES:
            drawn(plot(judged, axes=Figure().subplots()))

    def test_two_hundred_classes(self):
        judged = judged_of_classes(np.arange(2000) % 200, np.arange(200), 200)
        axes = drawn(plot_confusion(judged))
        assert axes.images[0].get_array().shape == (200, 200)
        assert len(axes.texts) == 0
        for plot in OF_CLASSES[1:]:
            assert len(drawn(plot(judged, axes=Figure().subplots())).get_lines()) <= 7

    def test_a_million_rows_are_drawn_as_some_hundred_points(self):
        rng = np.random.default_rng(0)
        share = rng.uniform(size=10**6)
        truth = (rng.uniform(size=10**6) < share).astype(int)
        judged = Judged(truth, np.column_stack([1 - share, share]), None, np.array([0, 1]), "y")
        for plot in OF_CLASSES[1:]:
            for line in drawn(plot(judged, axes=Figure().subplots())).get_lines():
                assert len(line.get_xdata()) <= 1001
        bins = plot_calibration(judged, axes=Figure().subplots()).get_lines()[-1]
        np.testing.assert_allclose(bins.get_xdata(), bins.get_ydata(), atol=0.01)

    def test_a_model_of_numbers_is_refused(self, regressor):
        with pytest.raises(TypeError, match=r"a picture of classes, and the model predicts a number, 'target'"):
            plot_roc(regressor)


def judged_of_classes(truth, said, classes):
    """Return rows whose answers are drawn among `said`, which may leave classes out."""
    rng = np.random.default_rng(1)
    answers = rng.uniform(size=(len(truth), classes))
    left_out = np.setdiff1d(np.arange(classes), said)
    answers[:, left_out] = 0
    return Judged(truth, answers / answers.sum(axis=1, keepdims=True), None, np.arange(classes), "y")


class TestNumbers:
    @pytest.mark.parametrize("plot", OF_NUMBERS)
    def test_into_axes_on_light_and_dark(self, plot, regressor):
        given = Figure(layout="constrained").subplots()
        assert drawn(plot(regressor, axes=given)) is given
        with plt.style.context("dark_background"):
            drawn(plot(regressor))

    def test_points_are_truth_over_answer(self, regressor):
        axes = plot_prediction_error(regressor, X, 3 * SIZE, axes=Figure().subplots())
        points = axes.collections[0].get_offsets()
        np.testing.assert_allclose(points[:, 0], regressor.predict(X))
        np.testing.assert_allclose(points[:, 1], 3 * SIZE)

    def test_bands_hold_nine_of_ten_rows(self):
        rng = np.random.default_rng(0)
        answers = rng.uniform(0, 10, 10**6)
        judged = Judged(answers + rng.normal(size=10**6), answers, None, None, "y")
        axes = drawn(plot_residuals(judged, axes=Figure().subplots()))
        assert len(axes.collections[0].get_offsets()) == 1000
        low, high = axes.get_lines()[-2:]
        np.testing.assert_allclose(low.get_ydata(), -1.645, rtol=0.03)
        np.testing.assert_allclose(high.get_ydata(), 1.645, rtol=0.03)

    def test_one_value_only(self):
        judged = Judged(np.full(50, 2.0), np.full(50, 2.0), None, None, "y")
        for plot in OF_NUMBERS:
            drawn(plot(judged, axes=Figure().subplots()))

    def test_answers_that_are_not_finite_are_refused(self):
        judged = Judged(np.zeros(3), np.full(3, np.nan), None, None, "y")
        with pytest.raises(ValueError, match="no row with a finite answer"):
            plot_residuals(judged)


class TestColumns:
    def test_importance(self, classifier):
        axes = drawn(plot_importance(classifier, axes=Figure().subplots()))
        assert axes.get_yticklabels()[0].get_text() == "size"
        assert [patch.get_width() for patch in axes.patches] == sorted(
            classifier.feature_importance().importances_mean, reverse=True
        )

    @pytest.mark.parametrize("column", ["size", NASTY, "day"])
    def test_dependence_is_the_mean_answer_with_one_value_everywhere(self, column, regressor):
        axes = drawn(plot_dependence(regressor, column, X, axes=Figure().subplots()))
        profile = next(profile for profile in regressor.report_.profiles if profile.name == column)
        if column == NASTY:
            shown = [patch.get_height() for patch in axes.patches]
            values = list(profile.values)
        else:
            shown = axes.get_lines()[0].get_ydata()
            places = np.linspace(profile.edges[0], profile.edges[-1], 20)
            values = places if column == "size" else [np.datetime64(int(place), "us").item() for place in places]
        expected = [regressor.predict(X.with_columns(pl.lit(value).alias(column))).mean() for value in values]
        np.testing.assert_allclose(shown, expected, rtol=1e-6)

    def test_dependence_of_classes(self, classifier, several):
        assert plot_dependence(classifier, "size", axes=Figure().subplots()).get_title() == "target is yes"
        assert len(labels(plot_dependence(several, "size", axes=Figure().subplots()))) == 4
        assert len(labels(drawn(plot_dependence(several, NASTY, axes=Figure().subplots())))) == 4
        assert plot_dependence(several, "size", of="c", axes=Figure().subplots()).get_title() == "target is c"
        with pytest.raises(ValueError, match="of is 'e', which is no class"):
            plot_dependence(several, "size", of="e")

    def test_a_column_that_is_not_there(self, classifier):
        with pytest.raises(ValueError, match="column is 'sise', which is not in use; did you mean 'size'"):
            plot_dependence(classifier, "sise")

    def test_histograms_of_every_kind_of_column(self, regressor):
        for profile in regressor.report_.profiles:
            axes = drawn(plot_column(profile, axes=Figure().subplots()))
            assert len(axes.get_title().replace("\\$", "$")) <= 28

    def test_learning_curves(self, regressor):
        axes = drawn(plot_members(regressor.histories_, axes=Figure().subplots()))
        assert labels(axes) == ["learned from", "held out"]


class TestExplanation:
    @pytest.mark.parametrize("row", [0, 7, 100])
    def test_contributions_add_up_to_the_answer(self, row, classifier, several, regressor):
        for model, answer in (
            (classifier, classifier.predict_proba(X)[row].max()),
            (several, several.predict_proba(X)[row].max()),
            (regressor, regressor.predict(X)[row]),
        ):
            found = model.explain(X[row])
            assert found.answer == pytest.approx(answer)
            scale = np.abs(found.contributions).sum()
            assert found.baseline + found.contributions.sum() == pytest.approx(found.answer, abs=1e-3 * scale)
            assert found.names == [column.name for column in model.columns_.used]
            drawn(found.plot(axes=Figure().subplots()))

    def test_of_a_linear_network_they_are_exact(self):
        model = TabularRegressor(**settings(hidden_layer_sizes=(), n_members=1)).fit(X, 3 * SIZE)
        row = X[3]
        found = model.explain(row, background=X)
        network, inputs = model.members_[0], model.columns_.encode
        x, mean = inputs(nw.from_native(row))[0], inputs(nw.from_native(X)).mean(axis=0)
        moves = (x - mean) * network.layers[0].weights[:, 0] * model.scaling_.scale
        widths = np.cumsum([0, *(column.width for column in model.columns_.used)])
        expected = [moves[a:b].sum() for a, b in itertools.pairwise(widths)]
        np.testing.assert_allclose(found.contributions, expected, rtol=1e-6, atol=1e-9)

    def test_with_learned_vectors_of_a_category_of_many_levels(self):
        rng = np.random.default_rng(0)
        many = pl.DataFrame({"x": rng.normal(size=4000), "level": [f"level {i % 1000}" for i in range(4000)]})
        model = TabularRegressor(**settings(n_members=1, max_epochs=1)).fit(many, many["x"])
        assert model.columns_.used[0].kind == "embedded"
        found = model.explain({"x": 2.0, "level": "level 3"})
        assert found.baseline + found.contributions.sum() == pytest.approx(found.answer, abs=1e-3)
        assert found.names[np.abs(found.contributions).argmax()] == "x"

    def test_a_logarithm_and_missing_values(self):
        y = np.exp(2 * SIZE)
        holes = X.with_columns(pl.when(pl.col("size") < -1).then(None).otherwise(pl.col("size")).alias("size"))
        model = TabularRegressor(**settings(max_epochs=20)).fit(holes, y)
        found = model.explain({"size": None, NASTY: "red", "day": "2020-03-01"})
        assert found.values[0] == "missing"
        scale = np.abs(found.contributions).sum()
        assert found.baseline + found.contributions.sum() == pytest.approx(found.answer, abs=2e-3 * scale)

    def test_refusals(self, classifier, regressor, tmp_path):
        with pytest.raises(ValueError, match=r"row has 2 rows; expected one"):
            classifier.explain(X[:2])
        with pytest.raises(ValueError, match="of is 'maybe', which is no class"):
            classifier.explain(X[0], of="maybe")
        with pytest.raises(ValueError, match="of is 'yes', and the target 'target' is a number"):
            regressor.explain(X[0], of="yes")
        regressor.save(tmp_path / "model.nineline")
        header, arrays = container.read(tmp_path / "model.nineline", "tabular")
        older = {name: header[name] for name in header.keys() - {"format_version", "digest", "kind", "background"}}
        container.write(tmp_path / "older.nineline", "tabular", older, arrays)
        again = TabularRegressor.load(tmp_path / "older.nineline")
        with pytest.raises(ValueError, match="give background=X"):
            again.explain(X[0])
        assert again.explain(X[0], background=X).answer == pytest.approx(regressor.predict(X[0])[0])


@pytest.mark.parametrize("plot", [*OF_CLASSES, plot_importance])
def test_a_model_from_a_file_has_no_held_out_rows(plot, classifier, tmp_path):
    classifier.save(tmp_path / "model.nineline")
    again = TabularClassifier.load(tmp_path / "model.nineline")
    with pytest.raises(ValueError, match="give X and y"):
        plot(again)
    drawn(plot(again, X, classifier.predict(X), axes=Figure().subplots()))


def test_without_matplotlib_the_error_names_the_way_out(classifier, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"nineline\[plot\]"):
        plot_roc(classifier)


ALIKE = pl.DataFrame({"x": [0.0] * 900 + list(np.linspace(1, 10, 100))})


@pytest.fixture(scope="module")
def alike():
    y = np.concatenate([np.zeros(900), np.linspace(1, 10, 100)])
    return TabularRegressor(**settings(n_members=1, max_epochs=30, validation_fraction=0.4)).fit(ALIKE, y)


class TestWeights:
    """Rows that are alike are learned as one of more weight, and count as many in every picture."""

    def test_the_mean_row_is_that_of_the_table(self, alike):
        found = alike.explain(ALIKE[-1])
        assert found.baseline == pytest.approx(alike.explain(ALIKE[-1], background=ALIKE).baseline, abs=0.7)

    def test_classes_are_counted_as_often_as_they_are(self):
        truth = np.array([0, 1, 1, 0])
        answers = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.7, 0.3]])
        weights = np.array([10.0, 2, 1, 3])
        judged = Judged(truth, answers, weights, np.array([0, 1]), "y")
        assert [text.get_text() for text in plot_confusion(judged, axes=axes_of()).texts] == ["13", "0", "1", "2"]
        repeats = weights.astype(int)
        many = np.repeat(truth, repeats), np.repeat(answers, repeats, axis=0)
        repeated = Judged(*many, None, judged.classes, "y")
        for plot in (plot_roc, plot_precision_recall):
            assert labels(plot(judged, axes=axes_of())) == labels(plot(repeated, axes=axes_of()))
        lines = [plot_calibration(each, axes=axes_of()).get_lines()[-1] for each in (judged, repeated)]
        assert lines[0].get_xdata().min() == lines[1].get_xdata().min()

    def test_dependence_is_a_mean_by_weight(self, alike):
        held = alike._held_out
        parts = [part.inputs for part in held.parts]
        weights = held.kept_weights()
        assert weights.max() > 100
        found = held.dependence(alike, 0, [4.0])
        answers = alike.target_.answers(alike.members_[0].run(alike.columns_.with_value(parts[0], 0, 4.0)))
        np.testing.assert_allclose(found, [np.average(answers, weights=weights)])


def axes_of():
    return Figure(layout="constrained").subplots()


class TestOddColumns:
    def fitted(self, **columns):
        rows = pl.DataFrame({"a": np.linspace(-1, 1, 120), **columns})
        return rows, TabularRegressor(**settings()).fit(rows, rows["a"])

    def test_values_that_begin_alike_are_apart(self):
        c = ["international sales A", "international sales B", "short"] * 40
        _, model = self.fitted(c=c)
        picture = drawn(plot_dependence(model, "c", axes=axes_of()))
        names = [label.get_text() for label in picture.get_xticklabels()]
        assert len(picture.patches) == len(set(names)) == 3

    @pytest.mark.parametrize("day", ["9999-12-31", "0001-01-01"])
    def test_days_at_the_end_of_the_calendar(self, day):
        dates = [day if i % 10 == 0 else f"2020-01-{1 + i % 28:02}" for i in range(120)]
        _, model = self.fitted(d=pl.Series(dates).str.to_date())
        drawn(plot_dependence(model, "d", axes=axes_of()))
        for profile in model.report_.profiles:
            drawn(plot_column(profile, axes=axes_of()))

    def test_one_value_or_missing(self):
        _, model = self.fitted(few=[1.5 if i % 2 else None for i in range(120)])
        picture = drawn(plot_dependence(model, "few", axes=axes_of()))
        assert [label.get_text() for label in picture.get_xticklabels()] == ["1.5", "missing"]

    def test_missing_is_a_value_of_a_category(self):
        _, model = self.fitted(c=["a", "b", None] * 40)
        picture = plot_dependence(model, "c", axes=axes_of())
        assert [label.get_text() for label in picture.get_xticklabels()] == ["a", "b", "missing"]

    def test_arrays_without_names(self):
        X = np.column_stack([np.linspace(-1, 1, 120), np.arange(120) % 3])
        model = TabularRegressor(**settings()).fit(X, X[:, 0])
        name = model.names_[0]
        drawn(plot_dependence(model, name, X, axes=axes_of()))
        assert model.explain(X[:1]).names == [column.name for column in model.columns_.used]

    def test_names_that_are_numbers_rows_with_more_columns_and_control_characters(self):
        import pandas as pd

        rows = pd.DataFrame({0: np.linspace(-1, 1, 120), 1: np.arange(120.0) % 7, "a\x1b[31m\nZ": np.arange(120.0) % 5})
        model = TabularRegressor(**settings()).fit(rows.rename(columns=str), rows[0])
        found = model.explain(rows.iloc[5].to_dict())
        assert "\x1b" not in repr(found)
        drawn(plot_dependence(model, 0, axes=axes_of()))
        one = pl.from_pandas(rows.rename(columns=str))[5]
        more = one.with_columns(more=pl.lit(1.0)).select("more", *reversed(one.columns))
        np.testing.assert_allclose(model.explain(more).contributions, found.contributions)

    def test_codes_of_a_category_are_no_numbers(self, tmp_path):
        rows, model = self.fitted(c=["1", "2", "A"] * 40)
        model.save(tmp_path / "model.nineline")
        again = TabularRegressor.load(tmp_path / "model.nineline")
        numbers = rows.filter(pl.col("c") != "A")
        for some in (numbers, numbers.with_columns(pl.col("c").cast(pl.Int64))):
            picture = drawn(plot_dependence(again, "c", some, axes=axes_of()))
            assert [label.get_text() for label in picture.get_xticklabels()] == ["1", "2"]


class TestOddNames:
    def test_classes_that_look_like_formulas_or_begin_with_a_low_line(self):
        names = np.array(["$\\frac$", "b$_$", "_z"])
        model = TabularClassifier(**settings()).fit(X, pl.Series("t$^$", names[np.digitize(SIZE, [-0.5, 0.5])]))
        for plot in OF_CLASSES:
            drawn(plot(model, axes=axes_of()))
        assert len(labels(plot_roc(model, axes=axes_of()))) == 4
        assert len(labels(drawn(plot_dependence(model, "size", axes=axes_of())))) == 3

    def test_two_models_can_be_compared(self, classifier):
        given = axes_of()
        given.plot([0, 1], [0, 0], color="red", label="mine")
        plot_calibration(classifier, axes=given)
        plot_calibration(classifier, axes=given)
        assert labels(drawn(given)) == ["mine", "honest", "yes", "yes"]
        assert given.get_lines()[0].get_color() == "red"

    @pytest.mark.parametrize(
        "draw",
        [
            lambda model, axes: plot_confusion(model, axes=axes),
            lambda model, axes: plot_importance(model, axes=axes),
            lambda model, axes: plot_dependence(model, "size", axes=axes),
            lambda model, axes: model.explain(X[0]).plot(axes=axes),
            lambda model, axes: plot_column(model.report_.profiles[0], axes=axes),
        ],
    )
    def test_drawing_again_starts_over(self, draw, classifier):
        given, counts = axes_of(), []
        for _ in range(2):
            draw(classifier, given)
            counts.append([len(each) for each in (given.texts, given.patches, given.lines, given.collections)])
        assert counts[0] == counts[1]


def test_a_learned_logarithm_adds_up_too():
    model = TabularRegressor(**settings(max_epochs=8)).fit(X, np.exp(3 * SIZE))
    for row in range(0, 200, 20):
        found = model.explain(X[row])
        assert found.baseline + found.contributions.sum() == pytest.approx(found.answer)
