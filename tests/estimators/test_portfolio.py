"""Portfolios: members that see the numbers of a table in intervals, as they are or by waves, in one way or in two."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import narwhals as nw
import numpy as np
import polars as pl
import pytest

from nineline import Network
from nineline.ensemble import Ensemble
from nineline.estimators import TabularClassifier, TabularRegressor, load
from nineline.estimators.tabular import portfolio
from nineline.estimators.tabular.portfolio import Chosen, Portfolio
from nineline.estimators.tabular.recipe import Recipe
from nineline.estimators.tabular.widening import joined, places_in, widened
from nineline.layers import Dropout, Embedding, Layer
from nineline.tables.columns import Columns, ColumnsLearner
from nineline.tables.kinds import Number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SMALL: dict[str, Any] = {"hidden_layer_sizes": (8,), "max_epochs": 6, "random_state": 0, "n_members": 4}


def table(rows: int = 300) -> pl.DataFrame:
    """Return numbers, some of them missing, and a category."""
    rng = np.random.default_rng(0)
    hole = pl.Series(rng.random(rows) < 0.2)
    return pl.DataFrame(
        {
            "x": rng.normal(size=rows),
            "z": pl.Series(rng.normal(size=rows)).set(hole, None),
            "kind": rng.choice(["a", "b", "c"], rows),
        }
    )


def target(frame: pl.DataFrame) -> np.ndarray[Any, Any]:
    return np.sin(2 * frame["x"].to_numpy()) + (frame["kind"] == "a").to_numpy()


@pytest.fixture(params=[(0, 1), (1, 2), (2, 0)], ids=["intervals, plain", "plain, waves", "waves, intervals"])
def mixed(request: pytest.FixtureRequest) -> Iterator[None]:
    """Have members take two ways in turns, whatever short trainings say."""

    def both(ways: Any, folds: Any, settings: Any, budget: Any, *_: object) -> Chosen:
        taken = ways if len(ways) == 1 else [ways[number] for number in request.param]  # one where a fit goes on
        return Chosen(Portfolio.of(taken), [], [], budget)

    with patch("nineline.estimators.tabular.choosing.choose", both):
        yield


def fitted(**settings: Any) -> TabularRegressor:
    frame = table()
    return TabularRegressor(**(SMALL | settings)).fit(frame, target(frame))


def test_waves_are_cosines_of_the_bent_number() -> None:
    column = Number("x", missing=True, center=1.0, scale=2.0).waved()
    values = np.array([1.0, 3.0, -1e300, np.nan])
    encoded = column.encode(nw.new_series("x", values.tolist(), backend="polars"))
    z = (values[:2] - 1) / 2
    bent = z / np.sqrt(1 + (z / 3) ** 2)
    frequencies, phases = np.array(column.frequencies), np.array(column.phases)
    np.testing.assert_allclose(encoded[:2, :16], np.cos(2 * np.pi * bent[:, None] * frequencies + phases), atol=1e-12)
    np.testing.assert_allclose(encoded[2, :16], np.cos(2 * np.pi * -3 * frequencies + phases), atol=1e-12)
    assert not encoded[3, :-1].any()
    assert encoded[3, -1] == 1
    assert (np.diff(frequencies) > 0).all()
    assert len(set(np.round(phases, 6))) == 16
    assert column.one(3.0) == pytest.approx([*encoded[1, :16], 1.0])


@pytest.mark.parametrize(
    ("frequencies", "phases"), [((0.1,), ()), ((0.1,), (float("nan"),)), ([0.1], [0.2]), ((1,), (2.0,))]
)
def test_waves_that_are_none_are_refused(frequencies: Any, phases: Any) -> None:
    with pytest.raises(ValueError, match="frequencies"):
        Number("x", False, 0.0, 1.0, (), frequencies, phases)


def test_compact_rows_with_waves_are_those_that_the_columns_make() -> None:
    columns = Columns.learn(nw.from_native(table()))
    waved = columns.waved()
    given = waved.add_waves(columns.compact(nw.from_native(table())))
    made = waved.compact(nw.from_native(table()))
    np.testing.assert_allclose(given.numbers, made.numbers, atol=1e-5)
    np.testing.assert_array_equal(given.levels, made.levels)
    assert given.encoding.width == waved.width == made.shape[1]


def test_inputs_of_one_way_have_their_places_among_those_of_both() -> None:
    frame, learner = nw.from_native(table()), ColumnsLearner()
    learner.see(frame)
    columns = learner.finish()
    divided, waved = learner.divided(columns, 4), columns.waved()
    both = joined(waved, divided)
    for way in (columns, divided, waved):
        places = places_in(way, both)
        np.testing.assert_array_equal(both.encode(frame)[:, places], way.encode(frame))
        assert len(set(places.tolist())) == way.width


def test_a_widened_network_answers_as_before_behind_an_embedding_too() -> None:
    def network(numbers: int, seed: int) -> Network:
        layers = Embedding([4, 3], [3, 2], numbers=numbers), Layer(5 + numbers, 6, bias=True), Dropout(0.1), Layer(6, 2)
        return Network(*layers, rng=seed)

    narrow, rng = network(2, 0), np.random.default_rng(0)
    rows = np.column_stack([rng.integers(4, size=9), rng.integers(3, size=9), rng.normal(size=(9, 4))])
    wide = widened(narrow, network(4, 1), np.array([0, 1, 3, 5]))
    np.testing.assert_allclose(wide.run(rows), narrow.run(rows[:, [0, 1, 3, 5]]), rtol=1e-14)


@pytest.mark.usefixtures("mixed")
class TestTwoWays:
    def test_each_member_reads_its_own_inputs(self) -> None:
        model = fitted()
        read = []
        for network in model.members_:
            first = network.layers[0]
            assert isinstance(first, Layer)
            assert network.n_inputs == model.columns_.width
            read.append(first.weights.any(axis=1))
        assert (read[0] == read[2]).all()
        assert (read[1] == read[3]).all()
        assert (read[0] != read[1]).any()
        assert (read[0] | read[1]).all()

    def test_a_member_answers_as_it_did_when_it_was_trained(self) -> None:
        """Its best loss on held-out rows is that of the History."""
        model = fitted()
        assert model._held_out is not None
        for part, history in zip(model._held_out.parts, model.histories_, strict=True):
            outputs = part.network.run(part.inputs)
            wanted = model.target_.encode(part.truth)
            loss = 0.5 * float(np.mean((outputs - wanted) ** 2))
            assert loss == pytest.approx(min(history.validation_loss), rel=1e-4)

    def test_file_pickle_and_single_rows(self, tmp_path: Path) -> None:
        model, frame = fitted(), table()
        model.save(tmp_path / "model.nineline")
        answers = model.predict(frame)
        np.testing.assert_array_equal(load(tmp_path / "model.nineline").predict(frame), answers)
        np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict(frame), answers)
        for number in range(5):
            assert model.predict_one(frame.row(number, named=True)) == pytest.approx(answers[number], rel=1e-9)

    def test_going_on_and_explaining(self) -> None:
        model, frame = fitted(warm_start=True), table()
        explanation = model.explain(frame[:1])
        missed = explanation.baseline + explanation.contributions.sum() - explanation.answer
        assert abs(missed) < 1e-9
        before = model.score(frame, target(frame))
        assert model.partial_fit(frame, target(frame)).score(frame, target(frame)) > before - 0.1
        assert model.fit(frame, target(frame)).score(frame, target(frame)) > before

    def test_a_training_that_goes_on_has_the_same_bits(self, tmp_path: Path) -> None:
        whole = fitted(checkpoint=tmp_path / "whole")
        fitted(checkpoint=tmp_path / "part", max_epochs=6)
        again = fitted(checkpoint=tmp_path / "part", resume=True)
        np.testing.assert_array_equal(whole.predict(table()), again.predict(table()))

    def test_any_number_of_jobs(self) -> None:
        one, two = fitted(n_jobs=1), fitted(n_jobs=2)
        np.testing.assert_array_equal(one.predict(table()), two.predict(table()))


def chosen_with(errors: dict[str, float], mixed: float) -> list[str]:
    """Return the names of the ways that are chosen where alone they are so far off, and any two together so."""
    seen: list[list[str]] = []

    def alone_or_together(self: Any, other: Any, *_: object) -> float:
        return errors[self.name] if self is other else mixed

    def named(way: Any, members: Any) -> Any:
        answers = object.__new__(portfolio._Answers)
        object.__setattr__(answers, "outputs", [None] * len(members))
        object.__setattr__(answers, "name", way.name)
        return answers

    def noted(*given: Any) -> Chosen:
        chosen = choose(*given)
        seen.append([way.name for way in chosen.portfolio.ways])
        return chosen

    choose: Callable[..., Chosen] = portfolio.choose
    with (
        patch.object(portfolio._Answers, "of", named),
        patch.object(portfolio._Answers, "together", alone_or_together),
        patch("nineline.estimators.tabular.choosing.choose", noted),
    ):
        fitted()
    return seen[0]


INTERVALS, PLAIN, WAVES = "numbers in intervals", "numbers as they are", "waves of numbers"


@pytest.mark.parametrize(
    ("errors", "mixed", "ways"),
    [
        ((1.0, 2.0, 3.0), 1.1, [INTERVALS]),
        ((2.0, 3.0, 1.0), 1.1, [WAVES]),
        ((2.0, 1.0, 3.0), 0.9, [PLAIN, INTERVALS]),
        ((2.0, 1.0, 3.0), 0.994, [PLAIN, INTERVALS]),
        ((2.0, 1.0, 3.0), 0.996, [PLAIN]),
    ],
)
def test_the_best_way_or_two_that_are_better(errors: tuple[float, ...], mixed: float, ways: list[str]) -> None:
    assert chosen_with(dict(zip((INTERVALS, PLAIN, WAVES), errors, strict=True)), mixed) == ways


def test_the_report_says_what_was_tried() -> None:
    model = fitted()
    names = [trial.name for trial in model.report_.trials if trial.about == "numbers"]
    assert names[:3] == [INTERVALS, PLAIN, WAVES]
    assert names[3].endswith(", in turns")
    lines = [text for heading, text in model.report_.lines() if heading == "tried"]
    assert all(name in lines[0] for name in names)


def test_few_members_and_many_rows_see_numbers_in_one_way() -> None:
    two = fitted(n_members=2)
    assert [trial.name for trial in two.report_.trials] == [INTERVALS, PLAIN]
    settings = TabularClassifier().get_params()
    assert not Recipe.of(settings, 100_000, classes=True).mixes
    assert Recipe.of(settings, 99_999, classes=True).mixes
    assert not Recipe.of(settings | {"learning_rate": "sweep"}, 1000, classes=True).mixes


def test_learning_rates() -> None:
    """What a user gives holds for every way."""
    settings = TabularClassifier().get_params()
    auto = Recipe.of(settings, 1000, classes=True)
    assert (auto.learning_rate, auto.plain_learning_rate) == pytest.approx((0.004, 0.008))
    given = Recipe.of(settings | {"learning_rate": 0.01}, 1000, classes=True)
    assert given.learning_rate == given.plain_learning_rate == 0.01
    many = Recipe.of(settings, 200_000, classes=True)
    assert many.learning_rate == many.plain_learning_rate == 0.0015


def test_effort() -> None:
    settings = TabularClassifier().get_params()
    normal, high = (Recipe.of(settings | {"effort": effort}, 9000, classes=True) for effort in ("normal", "high"))
    assert (high.members, high.epochs) == (2 * normal.members, 2 * normal.epochs)
    assert Recipe.of(settings | {"effort": "high", "n_members": 3}, 9000, classes=True).members == 3
    with pytest.raises(ValueError, match="effort is 'huge'; expected 'normal' or 'high'"):
        TabularRegressor(effort="huge").fit(table(), np.arange(300))
    model = TabularRegressor((4,), effort="high", max_epochs=1, random_state=0).fit(table(60), np.arange(60))
    assert isinstance(model.network_, Ensemble)
    assert len(model.members_) == 16
