"""What the examples promise to show is there to be seen."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_each_has_a_test() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.py")} == {"control", "policy", "sensors", "starts", "stream"}


def test_stream_recovers_from_a_drift(capsys: pytest.CaptureFixture[str]) -> None:
    errors = load("stream").main(8000)
    parts = (slice(200), slice(3600, 4000), slice(4000, 4200), slice(7600, 8000))
    first, before, after, last = (np.sqrt(np.mean(errors[part] ** 2)) for part in parts)
    assert before < 0.65 * first
    assert after > 1.3 * before
    assert last < 0.8 * after
    assert len(capsys.readouterr().out.splitlines()) == 6


def test_control_learns_while_it_controls() -> None:
    control = load("control")
    alone, learned = control.follow(30, learning=False), control.follow(30)
    assert control.off_by(alone[-1000:]) > 5
    assert control.off_by(learned[-1000:]) < 1.5
    assert np.abs(learned[-1000:, 4]).mean() < 0.3 * np.abs(alone[-1000:, 4]).mean()  # the feedback has less to do


def test_control_draws_its_picture(tmp_path: Path) -> None:
    mpl = pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    mpl.use("Agg")
    control = load("control")
    run = control.follow(20)
    control.draw(run, run, str(tmp_path / "control.png"))
    assert (tmp_path / "control.png").stat().st_size > 10_000


def test_policy_balances_the_pole(capsys: pytest.CaptureFixture[str]) -> None:
    lengths = load("policy").main()
    assert np.mean(lengths[:20]) < 50
    assert np.mean(lengths[-50:]) > 120
    assert len(capsys.readouterr().out.splitlines()) == 4


def test_more_starts_learn_with_more_hidden_nodes(capsys: pytest.CaptureFixture[str]) -> None:
    starts = load("starts")
    shares = starts.main(starts=200)
    assert [*shares] == [2, 3, 4, 6]
    assert shares[2] < 0.5 < shares[3] <= shares[4] <= shares[6] == 1
    networks, _ = starts.learn(2, 200)
    right, apart = starts.learned(networks), starts.told_apart(networks)
    assert apart[right].min() > 2 * apart[~right].max()  # which is what tells those that fail
    assert len(capsys.readouterr().out.splitlines()) == 4


def test_starts_and_sensors_draw_their_pictures(tmp_path: Path) -> None:
    mpl = pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    mpl.use("Agg")
    for name in ("starts", "sensors"):
        load(name).main(str(tmp_path / "picture.png"), 100)
        assert (tmp_path / "picture.png").stat().st_size > 10_000


def test_a_network_each_sees_which_sensors_have_changed(capsys: pytest.CaptureFixture[str]) -> None:
    own, for_all = load("sensors").main(sensors=200)
    assert own >= 0.75
    assert for_all <= 0.5
    assert len(capsys.readouterr().out.splitlines()) == 3
