"""New rows later on: `partial_fit`, `warm_start`, and explanations that begin at the mean of the training rows."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import narwhals as nw
import numpy as np
import polars as pl
import pytest

from nineline.engines import native
from nineline.estimators import TabularClassifier, TabularRegressor, load
from nineline.estimators.tabular.background import Background
from nineline.estimators.tabular.explaining import _Ways
from nineline.estimators.tabular.interruption import Interruption
from nineline.estimators.tabular.trials import TRIED_ON
from nineline.files import FileError, container

GOLDEN = Path(__file__).parents[1] / "golden"
EITHER = pytest.mark.parametrize("kind", [TabularClassifier, TabularRegressor])
SMALL = {"random_state": 0, "n_members": 2, "hidden_layer_sizes": (16, 8), "max_epochs": 15}


def table(rows: int = 300, seed: int = 0) -> pl.DataFrame:
    """Return a table of every common kind of column, with missing cells."""
    rng = np.random.default_rng(seed)
    holes = rng.random(rows) < 0.1
    return pl.DataFrame(
        {
            "size": np.where(holes, np.nan, rng.normal(size=rows)),
            "color": rng.choice(["red", "green", "blue"], rows),
            "ok": rng.random(rows) < 0.5,
        }
    )


def numbers_of(frame: pl.DataFrame) -> Any:
    size = np.nan_to_num(frame["size"].to_numpy())
    return 10 * size + 20 * (frame["color"] == "red").to_numpy() - 5 * frame["ok"].to_numpy()


def target(kind: type, frame: pl.DataFrame) -> Any:
    numbers = numbers_of(frame)
    return np.array(["low", "mid", "high"])[np.digitize(numbers, [0, 12])] if kind is TabularClassifier else numbers


def fitted(kind: type, **settings: Any) -> Any:
    frame = table()
    return kind(**{**SMALL, **settings}).fit(frame, target(kind, frame))


def parameters(model: Any) -> Any:
    return model.network_.parameters


class TestPartialFit:
    @EITHER
    def test_new_rows_move_the_answers_towards_them(self, kind: type) -> None:
        model, more = fitted(kind), table(400, seed=1)
        y = np.full(400, "low") if kind is TabularClassifier else numbers_of(more) + 30
        before = model.predict(more)
        for _ in range(10):
            assert model.partial_fit(more, y) is model
        after = model.predict(more)
        if kind is TabularClassifier:
            assert (after == "low").mean() > (before == "low").mean() + 0.2
        else:
            assert np.abs(after - y).mean() < 0.7 * np.abs(before - y).mean()

    @EITHER
    def test_more_rows_of_the_same_are_no_harm_and_help_where_there_were_few(self, kind: type) -> None:
        few, more, test = table(60), table(1500, seed=1), table(500, seed=2)
        model = kind(**{**SMALL, "max_epochs": 40}).fit(few, target(kind, few))
        before = model.score(test, target(kind, test))
        for start in range(0, 1500, 100):
            piece = more[start : start + 100]
            model.partial_fit(piece, target(kind, piece))
        assert model.score(test, target(kind, test)) > before

    @EITHER
    def test_of_a_model_that_is_not_fitted_it_is_fit(self, kind: type) -> None:
        frame = table()
        one, other = fitted(kind), kind(**SMALL).partial_fit(frame, target(kind, frame))
        np.testing.assert_array_equal(parameters(one), parameters(other))

    @EITHER
    def test_it_is_the_same_each_time(self, kind: type) -> None:
        more = table(200, seed=1)
        models = [fitted(kind, n_jobs=jobs) for jobs in (1, 2)]
        for model in models:
            for _ in range(2):
                model.partial_fit(more, target(kind, more))
        np.testing.assert_array_equal(parameters(models[0]), parameters(models[1]))

    def test_what_the_optimizer_remembers_is_kept_in_memory_and_nowhere_else(self, tmp_path: Path) -> None:
        more = table(200, seed=1)
        y = numbers_of(more)
        model = fitted(TabularRegressor).partial_fit(more, y)
        model.save(tmp_path / "m.nineline")
        others = [load(tmp_path / "m.nineline"), pickle.loads(pickle.dumps(model)), copy.copy(model)]
        anew = parameters(others[0].partial_fit(more, y))
        for other in others[1:]:
            np.testing.assert_array_equal(parameters(other.partial_fit(more, y)), anew)
        assert not np.array_equal(parameters(model.partial_fit(more, y)), anew)

    @EITHER
    def test_parameters_stay_those_of_float32(self, kind: type, tmp_path: Path) -> None:
        more = table(50, seed=1)
        model = fitted(kind).partial_fit(more, target(kind, more))
        for network in model.members_:
            assert network.dtype == np.float64
            np.testing.assert_array_equal(network.parameters, network.parameters.astype(np.float32))
        model.save(tmp_path / "m.nineline")
        np.testing.assert_array_equal(load(tmp_path / "m.nineline").predict(more), model.predict(more))

    def test_both_engines_agree(self) -> None:
        if native._native is None:
            pytest.skip("there is no native engine here")
        more = table(200, seed=1)
        model = fitted(TabularRegressor)
        found = []
        for engine in ("native", "reference"):
            twin = copy.copy(model).set_params(engine=engine)
            found.append(twin.partial_fit(more, numbers_of(more)).predict(more))
        np.testing.assert_allclose(*found, rtol=1e-3, atol=1e-3)

    def test_a_row_of_weight_two_pulls_more_and_one_of_weight_zero_is_none(self) -> None:
        model, more = fitted(TabularRegressor), table(100, seed=1)
        y = numbers_of(more)
        weights = np.r_[np.ones(50), np.zeros(50)]
        one = copy.copy(model).partial_fit(more, y, weights)
        other = copy.copy(model).partial_fit(more[:50], y[:50])
        np.testing.assert_array_equal(parameters(one), parameters(other))
        with pytest.raises(ValueError, match="sample_weight is zero for every row"):
            model.partial_fit(more, y, np.zeros(100))

    def test_answers_go_as_far_as_any_target(self) -> None:
        model, more = fitted(TabularRegressor), table(400, seed=1)
        low, high = model.scaling_.low, model.scaling_.high
        residuals = model.residuals_.copy()
        y = numbers_of(more)
        y[0], y[1] = low - 7, high + 9
        model.partial_fit(more, y)
        assert (model.scaling_.low, model.scaling_.high) == (low - 7, high + 9)
        assert (model.scaling_.mean, model.scaling_.scale) == (
            fitted(TabularRegressor).scaling_.mean,
            model.scaling_.scale,
        )
        np.testing.assert_array_equal(model.residuals_, residuals)

    def test_a_logarithm_keeps_what_its_answers_were_multiplied_by(self, tmp_path: Path) -> None:
        """Rows are learned by the mean that training had, and answered by the one that was put right behind it."""
        frame = table(600)
        noise = np.random.default_rng(3).normal(0, 1, 600)
        y = np.exp(numbers_of(frame) / 10 + noise)
        model = TabularRegressor(**SMALL).fit(frame, y)
        assert model.scaling_.log
        assert model.scaling_.shift > 0.05
        model.save(tmp_path / "m.nineline")
        assert load(tmp_path / "m.nineline").scaling_ == model.scaling_
        before = model.predict(frame).mean()
        for _ in range(20):
            model.partial_fit(frame, y)
        assert model.predict(frame).mean() == pytest.approx(before, rel=0.15)
        with pytest.raises(ValueError, match="y has -1, and the target was learned by its logarithm"):
            model.partial_fit(frame[:2], np.array([-1.0, 1.0]))

    def test_classes_that_come_later_are_named_at_the_first_call(self) -> None:
        frame = table()
        y = target(TabularClassifier, frame)
        model = TabularClassifier(random_state=0, n_members=1, max_epochs=5)
        model.partial_fit(frame, np.where(y == "mid", "high", y), classes=["mid", "low", "high"])
        assert model.classes_.tolist() == ["high", "low", "mid"]
        assert "mid" not in model.predict(frame)
        for _ in range(60):
            model.partial_fit(frame, y, classes=["high", "low", "mid"])
        assert model.score(frame, target(TabularClassifier, frame)) > 0.7

    def test_of_two_classes_one_may_come_alone(self) -> None:
        frame = table(50)
        model = TabularClassifier(**SMALL).partial_fit(frame, np.zeros(50, int), classes=[0, 1])
        assert model.predict_proba(frame).shape == (50, 2)
        model.partial_fit(frame[:1], [1])

    def test_class_weights_are_those_of_a_dict(self) -> None:
        frame, y = table(100, seed=1), np.full(100, "low")
        model = fitted(TabularClassifier, class_weight={"low": 3.0, "high": 0.5})
        model.partial_fit(frame, y)
        with pytest.raises(ValueError, match="class_weight is 'balanced'.*expected a dict"):
            fitted(TabularClassifier, class_weight="balanced").partial_fit(frame, y)

    BAD = {
        "a class": (
            TabularClassifier,
            table(3),
            ["low", "other", "mid"],
            "y has the class 'other', and the model knows",
        ),
        "a class of another type": (TabularClassifier, table(2), [1, 2], "y has the class 1"),
        "a column": (TabularRegressor, table(3).drop("color"), [1.0, 2.0, 3.0], "eature names"),
        "another kind": (
            TabularRegressor,
            table(2).with_columns(size=pl.Series(["a", "b"])),
            [1.0, 2.0],
            "column 'size' holds 'a'; expected numbers",
        ),
        "lengths": (TabularRegressor, table(3), [1.0], "X has 3 rows and y has 1"),
        "missing": (TabularRegressor, table(2), [1.0, np.nan], "y is missing"),
        "far": (TabularRegressor, table(2), [1.0, 1e300], r"y has 1e\+300, too far from what was learned"),
        "files": (TabularRegressor, "rows.csv", [1.0], "read piece by piece; expected rows in memory"),
    }

    @pytest.mark.parametrize("case", BAD)
    def test_bad_rows_leave_the_model_as_it_was(self, case: str) -> None:
        kind, rows, y, says = self.BAD[case]
        model = fitted(kind)
        more = table(50, seed=1)
        model.partial_fit(more, target(kind, more))
        before = dict(vars(model))
        with pytest.raises((ValueError, TypeError), match=says):
            model.partial_fit(rows, y)
        assert vars(model) == before

    def test_named_classes_that_are_none(self) -> None:
        frame = table(40)
        with pytest.raises(ValueError, match=r"classes is \['low'\]; expected at least two"):
            TabularClassifier().partial_fit(frame, np.full(40, "low"), classes=["low"])
        with pytest.raises(ValueError, match="y has the class 'low', and the model knows 'a', 'b'"):
            TabularClassifier(**SMALL).partial_fit(frame, np.full(40, "low"), classes=["a", "b"])
        with pytest.raises(ValueError, match="and the model was fitted to"):
            fitted(TabularClassifier).partial_fit(frame, target(TabularClassifier, frame), classes=["low", "mid"])

    def test_a_loss_that_diverges_leaves_the_model_as_it_was(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from nineline import DivergenceError, History, Trainer

        model, more = fitted(TabularRegressor), table(50, seed=1)
        before = dict(vars(model))

        def diverges(*_: Any, **__: Any) -> None:
            raise DivergenceError("the loss became nan", History())

        monkeypatch.setattr(Trainer, "steps", diverges)
        with pytest.raises(DivergenceError):
            model.partial_fit(more, numbers_of(more))
        assert vars(model) == before

    def test_ctrl_c_leaves_the_model_as_it_was(self, monkeypatch: pytest.MonkeyPatch) -> None:
        model, more = fitted(TabularRegressor), table(50, seed=1)
        before = dict(vars(model))
        monkeypatch.setattr(Interruption, "heard", True)
        with pytest.raises(KeyboardInterrupt):
            model.partial_fit(more, numbers_of(more))
        assert vars(model) == before

    def test_levels_that_were_not_seen_join_the_place_for_them(self) -> None:
        rng = np.random.default_rng(0)
        many = pl.DataFrame({"x": rng.normal(size=4000), "level": [f"level {i % 1000}" for i in range(4000)]})
        model = TabularRegressor(**{**SMALL, "max_epochs": 1}).fit(many, many["x"])
        assert model.columns_.used[0].kind == "embedded"
        vectors = [network.layers[0].vectors[0].copy() for network in model.members_]
        new = pl.DataFrame({"x": rng.normal(size=50), "level": ["never seen"] * 50})
        model.partial_fit(new, new["x"])
        for network, before in zip(model.members_, vectors, strict=True):
            moved = np.flatnonzero((network.layers[0].vectors[0] != before).any(axis=1))
            assert moved.tolist() == [1000]  # the shared one, behind those with a name

    @EITHER
    def test_what_is_measured_on_held_out_rows_is_of_the_networks_as_they_are(self, kind: type) -> None:
        model, more = fitted(kind), table(200, seed=1)
        model.feature_importance()
        model.evaluation_, model.importances_ = {"accuracy": 1.0}, {"size": 1.0}
        model.partial_fit(more, target(kind, more))
        assert [part.network for part in model._held_out.parts] == model.members_
        truth, answers, _ = model._held_out.judged()
        part = model._held_out.parts[0]
        np.testing.assert_array_equal(answers[: len(part.truth)], model._answers(part.network.run(part.inputs)))
        assert len(truth) == len(answers)
        assert set(model.feature_importance().names) == {"size", "color", "ok"}
        assert (model.evaluation_, model.importances_) == ({}, {})

    @EITHER
    def test_the_report_says_that_more_was_learned(self, kind: type) -> None:
        model = fitted(kind)
        held_out = dict(model.report_.held_out)
        for seed in (1, 2):
            more = table(50, seed)
            model.partial_fit(more, target(kind, more))
        assert model.report_.later == 100
        assert "a pass through 100 rows more" in repr(model.report_)
        assert model.report_.held_out == held_out
        assert model.history_.epochs == fitted(kind).history_.epochs

    @EITHER
    def test_a_notebook_shows_it_at_any_time(self, kind: type, tmp_path: Path) -> None:
        pytest.importorskip("matplotlib")
        model, more = fitted(kind), table(50, seed=1)
        model.save(tmp_path / "m.nineline")
        opened = load(tmp_path / "m.nineline")
        opened.evaluation_ = {"measure": 0.75}
        before, first = model._repr_html_(), opened._repr_html_()
        assert before.count("<svg") == 2
        assert "<svg" not in first
        assert "test part: measure" in first
        model.partial_fit(more, target(kind, more))
        opened.partial_fit(more, target(kind, more))
        after, later = model._repr_html_(), opened._repr_html_()
        assert "held out, 50 rows ago" in after
        assert "50 rows ago" not in before
        assert after.count("<svg") == 2
        assert "test part" not in later
        for page in (before, first, after, later):
            assert "predicts target" in page
            assert "<script" not in page
            assert len(page) < 100_000


class TestWarmStart:
    @EITHER
    def test_another_fit_begins_where_the_last_one_ended(self, kind: type) -> None:
        frame = table()
        y = target(kind, frame)
        model = fitted(kind, max_epochs=40)
        columns, scaling = model.columns_, model.target_
        model.set_params(warm_start=True, max_epochs=1).fit(frame, y)
        cold = fitted(kind, max_epochs=1)
        assert model.columns_ is columns
        assert model.report_.trials == []
        assert [h.epochs for h in model.histories_] == [1, 1]
        assert model.history_.loss[0] < 0.5 * cold.history_.loss[0]
        if kind is TabularRegressor:
            assert model.scaling_ == scaling.scaling

    @EITHER
    def test_the_first_fit_is_as_any_and_without_it_a_fit_begins_anew(self, kind: type) -> None:
        frame = table()
        warm = fitted(kind, warm_start=True)
        np.testing.assert_array_equal(parameters(warm), parameters(fitted(kind)))
        warm.set_params(warm_start=False).fit(frame, target(kind, frame))
        np.testing.assert_array_equal(parameters(warm), parameters(fitted(kind)))

    @EITHER
    def test_from_a_file_and_with_other_rows(self, kind: type, tmp_path: Path) -> None:
        model, more = fitted(kind, warm_start=True), table(500, seed=1)
        model.save(tmp_path / "m.nineline")
        again = load(tmp_path / "m.nineline")
        assert again.warm_start is True
        for each in (model, again):
            each.fit(more, target(kind, more))
        np.testing.assert_array_equal(parameters(model), parameters(again))

    @EITHER
    def test_what_is_auto_in_the_networks_stays_whatever_the_size_of_the_table(self, kind: type) -> None:
        settings = {"random_state": 0, "n_members": 1, "max_epochs": 1, "warm_start": True}
        frame, large = table(100), table(6000, seed=1)
        model = kind(**settings).fit(frame, target(kind, frame))
        before = [layer.n_outputs for layer in model.members_[0].layers[::2]]
        model.fit(large, target(kind, large))
        assert [layer.n_outputs for layer in model.members_[0].layers[::2]] == before

    @EITHER
    def test_a_table_that_is_read_piece_by_piece(self, kind: type, tmp_path: Path) -> None:
        frame = table(3000, seed=1)
        y = target(kind, frame)
        path = tmp_path / "rows.parquet"
        frame.with_columns(y=pl.Series(y)).write_parquet(path)
        model = kind(**{**SMALL, "warm_start": True}).fit(frame, y)
        before, first = model.columns_, model.history_.loss
        model.fit(path, target="y", memory="100KB")
        assert model.columns_ is before
        assert model.history_.loss[0] < first[0]
        assert model._background.rows == 3000

    def test_a_swept_learning_rate_is_kept_also_in_a_file(self, tmp_path: Path) -> None:
        frame = table()
        model = fitted(TabularRegressor, learning_rate="sweep", warm_start=True)
        rate = model.report_.recipe.learning_rate
        model.save(tmp_path / "m.nineline")
        for each in (model, load(tmp_path / "m.nineline")):
            each.fit(frame, numbers_of(frame))
            assert each.report_.recipe.learning_rate == rate
            assert each.report_.rates == []

    def test_more_members_begin_anew_and_fewer_are_the_first(self) -> None:
        frame = table()
        model = fitted(TabularRegressor, warm_start=True, max_epochs=40)
        assert len(model.set_params(n_members=3, max_epochs=1).fit(frame, numbers_of(frame)).members_) == 3
        losses = [history.loss[0] for history in model.histories_]
        assert max(losses[:2]) < 0.5 * losses[2]
        assert len(model.set_params(n_members=1).fit(frame, numbers_of(frame)).members_) == 1

    def test_a_fit_behind_partial_fit_and_the_other_way_round(self) -> None:
        frame, more = table(), table(50, seed=1)
        model = fitted(TabularRegressor, warm_start=True).partial_fit(more, numbers_of(more))
        model.fit(frame, numbers_of(frame))
        assert model.report_.later == 0
        model.partial_fit(more, numbers_of(more))
        assert model.report_.later == 50

    BAD = {
        "widths": (
            TabularRegressor,
            {"hidden_layer_sizes": (16,)},
            table(),
            r"hidden_layer_sizes is \(16,\), and the networks",
        ),
        "activation": (
            TabularRegressor,
            {"activation": "relu"},
            table(),
            "activation is Relu.*and the networks have Silu",
        ),
        "columns": (TabularRegressor, {}, table().drop("ok"), "eature names"),
        "a kind": (TabularRegressor, {}, table().with_columns(size=pl.lit("big")), "column 'size' holds 'big'"),
        "a checkpoint": (TabularRegressor, {"checkpoint": "x"}, table(), "checkpoint is given, and warm_start"),
    }

    @pytest.mark.parametrize("case", BAD)
    def test_what_does_not_fit_is_said_and_leaves_the_model_as_it_was(self, case: str) -> None:
        kind, settings, frame, says = self.BAD[case]
        model = fitted(kind, warm_start=True).set_params(**settings)
        before = dict(vars(model))
        with pytest.raises(ValueError, match=says):
            model.fit(frame, numbers_of(table()))
        assert vars(model) == before

    def test_classes_may_lack_but_not_be_new(self) -> None:
        frame = table()
        y = target(TabularClassifier, frame)
        model = fitted(TabularClassifier, warm_start=True)
        model.fit(frame, np.where(y == "mid", "low", y))
        assert model.classes_.tolist() == ["high", "low", "mid"]
        with pytest.raises(ValueError, match="y has the class 'more', and the model knows 'high', 'low', 'mid'"):
            model.fit(frame, np.where(y == "mid", "more", y))


class TestBackground:
    @EITHER
    def test_it_is_the_mean_of_the_inputs_of_all_training_rows(self, kind: type) -> None:
        model, frame = fitted(kind), table()
        inputs = model.columns_.encode(nw.from_native(frame))
        assert model._background.rows == 300
        np.testing.assert_allclose(model._background.inputs, inputs.mean(axis=0), rtol=1e-5, atol=1e-7)

    def test_weights_count_and_a_class_weight_too(self) -> None:
        frame = table()
        y, weights = target(TabularClassifier, frame), np.linspace(0, 2, 300)
        model = TabularClassifier(**SMALL, class_weight={"low": 2.0}).fit(frame, y, weights)
        inputs = model.columns_.encode(nw.from_native(frame))
        expected = np.average(inputs, axis=0, weights=weights * np.where(y == "low", 2, 1))
        np.testing.assert_allclose(model._background.inputs, expected, rtol=1e-5, atol=1e-6)

    def test_vectors_are_counted_by_their_levels(self) -> None:
        rng = np.random.default_rng(0)
        many = pl.DataFrame({"x": rng.normal(size=4000), "level": [f"level {i % 1000}" for i in range(4000)]})
        model = TabularRegressor(**{**SMALL, "max_epochs": 1}).fit(many, many["x"])
        compact = model.columns_.compact(nw.from_native(many), np.float64)
        for network in model.members_:
            inputs = compact.astype(np.float64).dense()
            mean = network.layers[0].compute(inputs)[0].mean(axis=0)
            np.testing.assert_allclose(model._background.behind(network), mean, rtol=1e-5, atol=1e-8)
        given = model.explain(many[7], background=many)
        np.testing.assert_allclose(model.explain(many[7]).contributions, given.contributions, rtol=1e-4, atol=1e-6)

    def test_rows_that_come_later_count_among_the_others(self) -> None:
        frame, more = table(), table(100, seed=1)
        model = fitted(TabularRegressor).partial_fit(more, numbers_of(more))
        inputs = model.columns_.encode(nw.from_native(pl.concat([frame, more])))
        assert model._background.rows == 400
        np.testing.assert_allclose(model._background.inputs, inputs.mean(axis=0), rtol=1e-5, atol=1e-7)

    def test_a_large_table_is_counted_by_a_part_of_it(self) -> None:
        rng = np.random.default_rng(0)
        model = fitted(TabularRegressor)
        compact = model.columns_.compact(nw.from_native(table(1000)))
        order = rng.integers(0, 1000, 2 * TRIED_ON)
        whole, part = Background.of(compact), Background.of(compact.part(order))
        assert part.rows == 2 * TRIED_ON
        np.testing.assert_allclose(part.inputs, whole.inputs, atol=0.02)

    @EITHER
    def test_a_file_and_a_pickle_keep_it(self, kind: type, tmp_path: Path) -> None:
        model, frame = fitted(kind), table()
        model.save(tmp_path / "m.nineline")
        found = model.explain(frame[3])
        for same in (load(tmp_path / "m.nineline"), pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
            again = same.explain(frame[3])
            np.testing.assert_array_equal(again.contributions, found.contributions)
            assert (again.baseline, again.answer) == (found.baseline, found.answer)

    def test_no_number_among_the_inputs(self, tmp_path: Path) -> None:
        levels = pl.DataFrame({"level": [f"level {i % 600}" for i in range(2400)]})
        y = np.arange(2400) % 600.0
        model = TabularRegressor(**{**SMALL, "max_epochs": 1}).fit(levels, y)
        assert model.columns_.width == 1
        model.save(tmp_path / "m.nineline")
        assert load(tmp_path / "m.nineline").explain(levels[3]).contributions == model.explain(levels[3]).contributions

    @pytest.mark.parametrize("version", [1, 2, 3, 4])
    def test_an_older_file_opens_and_asks_for_one(self, version: int) -> None:
        model = load(GOLDEN / str(version) / "regressor.nineline")
        row = dict.fromkeys(model.names_)
        with pytest.raises(ValueError, match="file of an older nineline.*give background=X"):
            model.explain(row)
        rows = pl.DataFrame([row], schema=model.names_)
        np.testing.assert_allclose(model.explain(row, background=rows).contributions, 0, atol=1e-12)
        row["number"] = 0.5
        model.partial_fit(pl.DataFrame([row], infer_schema_length=None), [100.0])

    @pytest.mark.parametrize("what", ["rows", "shape", "dtype", "nan", "absent", "rate"])
    def test_one_that_does_not_fit_is_refused(self, what: str, tmp_path: Path) -> None:
        path = tmp_path / "m.nineline"
        fitted(TabularRegressor).save(path)
        header, arrays = container.read(path, "tabular")
        mean = arrays["background.inputs"]
        if what == "rows":
            header["background"]["rows"] = -1
        elif what == "rate":
            header["learning_rate"] = "fast"
        elif what == "absent":
            del arrays["background.inputs"]
        else:
            changed = {"shape": mean[1:], "dtype": mean.astype(np.float32), "nan": mean * np.nan}
            arrays["background.inputs"] = changed[what]
        content = {k: v for k, v in header.items() if k not in ("format_version", "digest", "kind")}
        container.write(path, "tabular", content, arrays)
        with pytest.raises(FileError, match="holds no valid estimator"):
            load(path)


class TestContributions:
    """The integral is right before what is left is shared out."""

    CASES = {
        "classes": (TabularClassifier, {}, lambda y: y),
        "relu": (TabularClassifier, {"activation": "relu"}, lambda y: y),
        "a number": (TabularRegressor, {}, lambda y: y),
        "relu of a number": (TabularRegressor, {"activation": "relu"}, lambda y: y),
        "a logarithm": (TabularRegressor, {"max_epochs": 40}, lambda y: np.exp(y / 10)),
    }

    @pytest.mark.parametrize("case", CASES)
    def test_they_add_up_to_a_thousandth_of_the_spread(self, case: str) -> None:
        kind, settings, changed = self.CASES[case]
        frame = table(400)
        y = changed(target(kind, frame))
        model = kind(**{**SMALL, "max_epochs": 60, **settings}).fit(frame, y)
        spread = 1.0 if kind is TabularClassifier else float(np.std(y))
        rows = [*range(0, 400, 20)]
        if kind is TabularRegressor:  # and where answers end
            rows += [int(y.argmin()), int(y.argmax())]
        for row in rows:
            found = model.explain(frame[row])
            assert found.baseline + found.contributions.sum() == pytest.approx(found.answer, abs=1e-9 * spread)
            compact = model.columns_.compact_row(nw.from_native(frame[row]))
            output = model._explained(compact, None)[0]
            ways = _Ways.of(model, compact, model._background, output)
            left = min(abs(found.answer - found.baseline - ways.integrated(n).sum()) for n in (4, 256))
            assert left < 1e-3 * spread

    def test_members_count_as_they_do_in_an_answer(self) -> None:
        from nineline.ensemble import Ensemble

        model, frame = fitted(TabularRegressor), table()
        model.network_ = Ensemble(model.members_, [3.0, 1.0])
        found = model.explain(frame[3])
        assert found.answer == pytest.approx(float(model.predict(frame[3])[0]))
        assert found.baseline + found.contributions.sum() == pytest.approx(found.answer)
        model.partial_fit(frame[:5], numbers_of(frame[:5]))
        assert model.network_.weights.tolist() == [3.0, 1.0]
