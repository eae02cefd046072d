"""Progress: shown where a person is looking, and nowhere else."""

from __future__ import annotations

import io
import sys
import types

import numpy as np
import pytest

from nineline import DivergenceError, GradientDescent, History, Network
from nineline.training.progress import Bar, NoProgress, display

X = np.array([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
Y = np.array([[1.0], [0.0], [1.0]])


def train(**how):
    return Network(2, 1, rng=0).train(X, Y, **{"epochs": 3, **how})


class Terminal(io.StringIO):
    def isatty(self):
        return True


def look_at(monkeypatch):
    """Put a terminal in place of stderr; called in a test itself, for pytest sets stderr anew after fixtures."""
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    return stream


@pytest.mark.parametrize("how", [{}, {"batch_size": 1}, {"progress": False}, {"validation": (X, Y)}], ids=str)
def test_silent_where_nobody_is_looking(how, capsys):
    train(**how)
    assert capsys.readouterr() == ("", "")


def test_progress_true_shows_a_bar_on_stderr_even_without_a_terminal(capsys):
    history = train(progress=True, validation=(X, Y))
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "epoch 3/3" in printed.err
    assert f"loss {history.loss[-1]:.4g}" in printed.err
    assert "rows/s" in printed.err


def test_a_terminal_gets_a_bar_with_epochs(monkeypatch):
    terminal = look_at(monkeypatch)
    train()
    assert "3/3" in terminal.getvalue()


@pytest.mark.parametrize("how", [{"progress": False}, {"epochs": None, "iterations": 3, "report_every": 0}], ids=str)
def test_a_terminal_gets_none_where_it_is_not_wanted_or_iterations_report(monkeypatch, how):
    terminal = look_at(monkeypatch)
    train(**how)
    assert terminal.getvalue() == ""


def test_iterations_show_a_bar_where_it_is_wanted(monkeypatch):
    terminal = look_at(monkeypatch)
    train(epochs=None, iterations=3, report_every=0, progress=True)
    assert "3/3" in terminal.getvalue()


@pytest.mark.parametrize("shell", ["ZMQInteractiveShell", "TerminalInteractiveShell", None])
def test_a_notebook_counts_as_somebody_looking(monkeypatch, shell):
    """IPython is looked for among what is loaded, never imported."""
    ipython = types.ModuleType("IPython")
    ipython.get_ipython = lambda: None if shell is None else type(shell, (), {})()
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    assert isinstance(display(None, 3), Bar) == (shell == "ZMQInteractiveShell")


def test_no_stderr_at_all_is_nobody_looking(monkeypatch):
    """Under pythonw and in some services ``sys.stderr`` is None."""
    monkeypatch.setattr(sys, "stderr", None)
    assert type(display(None, 3)) is NoProgress


@pytest.mark.parametrize("end", ["done", "interrupt", "error", "divergence"])
def test_however_training_ends_the_terminal_is_given_back(monkeypatch, end):
    terminal = look_at(monkeypatch)

    def stop(epoch):
        if end == "interrupt":
            raise KeyboardInterrupt
        if end == "error":
            raise LookupError

    how = {"on_epoch": stop, "progress": True}
    if end == "divergence":
        how |= {"epochs": 5000, "optimizer": GradientDescent(1e300), "loss": "squared_error"}
    network = Network(2, 1, output="identity", rng=0)
    if end in ("done", "interrupt"):
        network.train(X, Y, **{"epochs": 2, **how})
    else:
        with pytest.raises((LookupError, DivergenceError)):
            network.train(X, Y, **{"epochs": 2, **how})
    shown = terminal.getvalue()
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h") == 1  # the cursor was hidden, and is back


def test_a_bar_follows_what_it_is_told(capsys):
    history = History(loss=[0.5, 0.25], validation_loss=[0.75])
    with Bar(4) as bar:
        bar.update(2.5, 1000, history)
    shown = capsys.readouterr().err
    assert "epoch 2/4" in shown
    assert "loss 0.25  validation 0.75" in shown


def test_silent_does_nothing(capsys):
    with display(False, 3) as shown:
        shown.update(1.0, 3, History())
    assert type(shown) is NoProgress
    assert capsys.readouterr() == ("", "")
