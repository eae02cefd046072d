"""Run: any of its moments is found again, to the bit, and its code comes to the same weights."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest

from nineline import Network, Trainer
from nineline.interactive.building import fitted, like_the_tutorial
from nineline.interactive.code import to_code
from nineline.interactive.data import example_data
from nineline.interactive.run import MARKS_AT_MOST, Run
from nineline.interactive.settings import DataSettings, Settings
from nineline.losses import SquaredError

SMALL = {"layers": [{"nodes": 5}, {"nodes": 3, "dropout": 0.2}], "data": {"name": "moons", "rows": 50}}
RULES = {
    "adam in batches": {},
    "the last batch is short": {"batch_size": 8},
    "all rows": {"batch_size": None},
    "momentum": {"optimizer": "momentum", "learning_rate": 0.1, "l2": 0.01},
    "levenberg_marquardt": {
        "optimizer": "levenberg_marquardt",
        "loss": "squared_error",
        "layers": [{"nodes": 4}],
    },
    "lbfgs": {"optimizer": "lbfgs", "layers": [{"nodes": 4}]},
}


def begun(described):
    settings = Settings.of({**SMALL, **described})
    data = example_data(settings.data)
    return Run(fitted(settings, data), data)


def taken(run, steps):
    until = run.step + steps
    while run.step < until and run.advance(until - run.step):
        pass
    return run


def trail(run, steps):
    """Return the parameters before each of so many steps."""
    found = []
    for _ in range(steps):
        found.append(run.network.parameters.copy())
        taken(run, 1)
    return found


def ran(code):
    names = {}
    exec(compile(code, "session.py", "exec"), names)
    return names["network"]


@pytest.mark.parametrize("described", RULES.values(), ids=RULES)
def test_any_moment_is_found_again_to_the_bit(described):
    run = begun(described)
    seen = trail(run, 60)
    for step in (59, 0, 17, 58, 16, 33, 34):
        run.go_to(step)
        assert run.step == step
        assert (run.network.parameters == seen[step]).all()


@pytest.mark.parametrize("described", RULES.values(), ids=RULES)
def test_its_code_comes_to_the_same_weights(described, capsys):
    run = taken(begun(described), 73)
    network = ran(to_code(run))
    assert (network.parameters == run.network.parameters).all()
    assert str(network) in capsys.readouterr().out


def changed_on_the_way():
    run = taken(begun({}), 23)
    run.change(Settings.of({"learning_rate": 0.1, "batch_size": 7}, run.settings))
    run.edit(3, 0.5)
    taken(run, 31)
    layers = [{"nodes": 5, "activation": "relu", "dropout": 0.1}, {"nodes": 3}]
    run.change(Settings.of({"layers": layers}, run.settings))
    taken(run, 10)
    run.change(Settings.of({"optimizer": "nesterov", "l1": 1e-4}, run.settings))
    run.edit(len(run.network.parameters) - 1, -0.25)
    return taken(run, 40)


def test_what_was_changed_on_the_way_is_part_of_it():
    run = changed_on_the_way()
    here = run.network.parameters.copy()
    assert (ran(to_code(run)).parameters == here).all()
    for step in (0, 23, 60, 104):
        run.go_to(step)
        there = run.network.parameters.copy()
        run.go_to(104)
        assert (run.network.parameters == here).all()
        run.go_to(step)
        assert (run.network.parameters == there).all()


def test_its_code_ends_where_it_has_gone_back_to():
    run = changed_on_the_way()
    run.go_to(40)
    assert (ran(to_code(run)).parameters == run.network.parameters).all()


def test_going_on_from_the_past_lets_the_future_go():
    run = changed_on_the_way()
    run.go_to(30)
    assert run.last == 104
    taken(run, 1)
    assert (run.last, len(run.changes)) == (31, 2)
    once = run.network.parameters.copy()
    run.go_to(104)
    assert run.step == 31
    assert (run.network.parameters == once).all()


def test_undo_takes_back_changes_and_steps_one_by_one():
    run = begun({})
    before = run.network.parameters.copy()
    run.edit(0, 9.0)
    taken(run, 1)
    after = run.network.parameters.copy()
    run.edit(1, 8.0)
    assert run.undo()
    assert (run.network.parameters == after).all()
    assert run.undo()
    assert (run.step, run.network.parameters[0]) == (0, 9.0)
    assert run.undo()
    assert (run.network.parameters == before).all()
    assert not run.undo()


def test_undo_takes_a_change_of_settings_back():
    run = taken(begun({}), 5)
    settings = run.settings
    run.change(Settings.of({"optimizer": "rmsprop", "batch_size": 3}, settings))
    assert run.undo()
    assert run.settings == settings
    straight = taken(begun({}), 12)
    assert (taken(run, 7).network.parameters == straight.network.parameters).all()


def test_back_to_the_start_keeps_the_weights_set_by_hand_there_and_the_settings_of_now():
    run = begun({})
    run.edit(2, 0.125)
    first = run.network.parameters.copy()
    taken(run, 20)
    run.edit(4, 7.0)
    run.change(Settings.of({"learning_rate": 0.5}, run.settings))
    again = run.again()
    assert (again.network.parameters == first).all()
    assert (again.step, again.settings.learning_rate) == (0, 0.5)


def test_a_setting_that_does_not_fit_changes_nothing():
    run = taken(begun({}), 5)
    settings, before = run.settings, run.network.parameters.copy()
    with pytest.raises(ValueError, match="LevenbergMarquardt and the network has Dropout"):
        run.change(Settings.of({"optimizer": "levenberg_marquardt"}, settings))
    assert run.settings == settings
    assert (run.network.parameters == before).all()
    assert (taken(run, 7).network.parameters == taken(begun({}), 12).network.parameters).all()


@pytest.mark.parametrize(
    "described",
    [{"output": "tanh"}, {"loss": "cross_entropy"}, {"optimizer": "levenberg_marquardt", "loss": "squared_error"}],
    ids=["another network", "another loss", "another optimizer"],
)
def test_a_change_that_is_refused_leaves_one_network_and_its_rule(described, capsys):
    run = taken(begun({}), 5)
    network, trainer, rule = run.network, run.trainer, run.trainer.rule
    with pytest.raises(ValueError, match=r"."):
        run.change(Settings.of(described, run.settings))
    assert (run.network, run.trainer) == (network, trainer)
    assert run.trainer.network is run.network
    assert run.trainer.rule is rule
    taken(run, 7)
    assert (ran(to_code(run)).parameters == run.network.parameters).all()


def test_going_back_into_an_epoch_draws_no_order_twice(capsys):
    run = taken(begun({}), 3)
    run.undo()
    run.change(Settings.of({"batch_size": 7}, run.settings))
    taken(run, 9)
    assert (ran(to_code(run)).parameters == run.network.parameters).all()


@pytest.mark.parametrize("seed", range(12))
def test_whatever_was_done_its_code_comes_to_the_same_weights(seed, capsys):
    rng = np.random.default_rng(seed)
    run = begun({"data": {"name": str(rng.choice(["xor", "spirals3", "wave"])), "rows": 40}})
    several = [{"learning_rate": 0.05}, {"batch_size": 7}, {"batch_size": None}, {"l2": 0.01}, {"optimizer": "adamw"}]
    several += [{"optimizer": "lbfgs", "layers": [{"nodes": 5}, {"nodes": 3}]}, {"optimizer": "rmsprop"}]
    several += [{"layers": [{"nodes": 5, "activation": "relu"}, {"nodes": 3, "dropout": 0.3}]}]
    for _ in range(25):
        act = rng.integers(6)
        if act == 0:
            with contextlib.suppress(ValueError):
                run.change(Settings.of(several[rng.integers(len(several))], run.settings))
        elif act == 1:
            run.edit(int(rng.integers(run.network.parameters.size)), float(rng.normal()))
        elif act == 2:
            run.undo()
        elif act == 3:
            run.go_to(int(rng.integers(run.last + 1)))
        else:
            taken(run, int(rng.integers(1, 12)))
        if run.trouble:
            run = run.again()
    assert (ran(to_code(run)).parameters == run.network.parameters).all()


def test_there_are_few_marks_however_long_it_runs():
    run = begun({"layers": [{"nodes": 2}], "batch_size": None})
    taken(run, 5 * MARKS_AT_MOST)
    steps = [mark.step for mark in run.marks]
    assert len(steps) <= MARKS_AT_MOST
    assert steps == list(range(0, run.step + 1, run.stride))
    assert run.stride > 1


def test_a_run_that_diverges_is_back_where_its_loss_was_finite():
    run = begun({"loss": "squared_error", "optimizer": "gradient_descent", "data": {"name": "wave"}})
    taken(run, 3)
    run.change(Settings.of({"learning_rate": 1e6, "output": "identity"}, run.settings))
    taken(run, 1000)
    assert "Try a smaller learning rate (it is 1e+06)" in run.trouble
    assert np.isfinite(run.loss)
    assert np.isfinite(run.network.parameters).all()
    assert run.step == run.last
    run.change(Settings.of({"learning_rate": 0.001}, run.settings))
    assert not run.trouble


def test_the_tutorials_settings_are_the_tutorial_to_the_bit():
    settings = like_the_tutorial(Settings(data=DataSettings(name="tutorial", test=0.0)))
    data = example_data(settings.data)
    run = taken(Run(settings, data), 500)
    network = Network(3, 6, 1, rng=1)
    Trainer(network, loss=SquaredError(reduction="sum")).steps(*data.train, epochs=500)
    assert (run.network.parameters == network.parameters).all()


def test_a_later_start_is_another_network_of_the_same_seed():
    first, second = begun({"start": 0}), begun({"start": 1})
    assert (first.network.parameters != second.network.parameters).any()
    taken(second, 11)
    assert (ran(to_code(second)).parameters == second.network.parameters).all()


def test_weights_that_were_opened_are_where_it_begins():
    settings = Settings.of({**SMALL, "start": None})
    data = example_data(settings.data)
    given = np.linspace(-1, 1, len(begun({}).network.parameters))
    run = Run(settings, data, given)
    assert (run.network.parameters == given).all()
    taken(run, 9)
    assert (ran(to_code(run)).parameters == run.network.parameters).all()
    assert (run.again().network.parameters == given).all()
