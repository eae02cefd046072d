"""The widget's page in a browser, in place of a notebook's: its model is a fake, its other end a real playground."""

from __future__ import annotations

import base64
import json
import queue
import time

import numpy as np
import pytest

pytest.importorskip("anywidget", reason="anywidget is not installed (extra playground)")

import nineline
from nineline import Network

X = np.random.default_rng(0).uniform(-1, 1, (60, 2))
Y = (X[:, :1] * X[:, 1:] > 0) * 1.0

NOTEBOOK = """
async (state) => {
  const heard = {};
  window.model = {
    get: (name) => state[name],
    on(name, hear) { (heard[name] ??= []).push(hear); },
    off(name, hear) { heard[name] = (heard[name] ?? []).filter((one) => one !== hear); },
    send(content, _, buffers) {
      if (window.ended) throw new Error("Cannot send");
      window.say(JSON.stringify(content));
    },
  };
  window.tell = (name, text) => {
    const bytes = Uint8Array.from(atob(text ?? ""), (letter) => letter.charCodeAt(0));
    for (const hear of heard[name] ?? []) hear({}, text ? [new DataView(bytes.buffer)] : []);
  };
  const style = document.createElement("style");
  style.textContent = state._css;
  document.head.append(style);
  const address = URL.createObjectURL(new Blob([state._esm], { type: "text/javascript" }));
  const { default: widget } = await import(address);
  URL.revokeObjectURL(address);
  window.end = await widget.render({ model, el: document.querySelector("#cell") });
}
"""


class Notebook:
    """A page with a cell, in which the widget is, and the picture that is kept beside it."""

    def __init__(self, tab, playground, answers=True):
        self.tab, self.playground, self.answers = tab, playground, answers
        self.heard = queue.Queue()
        playground.send = lambda _, buffers: self.heard.put(buffers[0])
        tab.expose_binding("say", lambda _, text: playground._handle_custom_msg(json.loads(text), []))
        tab.set_content(f'<div id="cell"></div><div class="{playground.picture}">the last picture</div>')
        names = ("modules", "picture", "_esm", "_css")
        tab.evaluate(NOTEBOOK, {name: getattr(playground, name) for name in names})
        self.picture = tab.get_by_text("the last picture")
        self.widget = tab.locator(".nineline-playground")

    def until(self, true, seconds=20):
        """Bring what the playground says to the page, until something is true."""
        end = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < end
            try:
                message = self.heard.get(timeout=0.01)
            except queue.Empty:
                continue
            if self.answers:
                self.tab.evaluate("text => tell('msg:custom', text)", base64.b64encode(message).decode())

    def press(self, action):
        self.widget.locator(f"[data-action={action}]").click()

    def at(self, name):
        return self.widget.get_attribute(f"data-{name}")


@pytest.fixture
def notebook(chromium):
    """Return what makes a notebook with a playground; where its page has said an error, the test fails."""
    held, errors = [], []

    def make(**options):
        tab = chromium.new_page(viewport={"width": 1200, "height": 900})
        tab.set_default_timeout(20_000)
        tab.on("pageerror", lambda error: errors.append(str(error)))
        tab.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        network = Network(2, 4, 1, activation="tanh", output="sigmoid", bias=True, rng=0)
        playground = nineline.playground(network, X, Y)
        held.append((tab, playground))
        return Notebook(tab, playground, **options)

    yield make
    for tab, playground in held:
        tab.close()
        playground.close()
    assert not errors


def test_it_comes_runs_and_pauses_and_goes(notebook):
    book = notebook()
    book.until(lambda: book.at("frames"))
    assert book.widget.is_visible()
    assert book.picture.is_hidden()
    book.widget.evaluate("element => { element.marked = true; }")
    book.press("run")
    book.until(lambda: int(book.at("step")) > 50 and int(book.at("frames")) > 5)
    book.press("run")
    book.until(lambda: book.at("running") == "false")
    book.until(lambda: int(book.at("step")) == book.playground.session.run.step)
    assert book.widget.evaluate("element => element.marked")  # drawn in place
    book.press("run")
    book.until(lambda: book.playground.session.running)
    book.tab.evaluate("end()")
    book.until(lambda: not book.playground.session.running)  # nobody sees it
    assert book.widget.count() == 0
    assert book.picture.is_visible()


def test_without_a_kernel_there_is_the_picture(notebook):
    book = notebook(answers=False)
    book.tab.wait_for_timeout(200)
    assert book.widget.is_hidden()
    assert book.picture.is_visible()


def test_a_kernel_that_ends_is_told_of(notebook):
    book = notebook()
    book.until(lambda: book.at("frames"))
    book.tab.evaluate("tell('comm_live_update')")  # away, and back
    assert "trying to connect again" in book.widget.get_by_role("status").inner_text()
    book.until(lambda: not book.widget.get_by_role("status").inner_text())
    book.tab.evaluate("window.ended = true; tell('comm_live_update')")
    book.press("step")
    assert "run the cell again" in book.widget.get_by_role("status").inner_text()
    book.tab.evaluate("end()")
    assert book.picture.is_visible()


def test_its_keys_are_its_own(notebook):
    book = notebook()
    book.until(lambda: book.at("frames"))
    book.tab.evaluate("""() => {
      window.got = [];
      document.addEventListener("keydown", ({ key, target }) => {
        if (!target.closest("[data-lm-suppress-shortcuts]")) got.push(`before ${key}`); // as JupyterLab asks
      }, true);
      document.addEventListener("keydown", ({ key }) => got.push(key));
    }""")
    book.widget.locator("[data-action=epoch]").focus()
    for key in ("s", "x", "ArrowDown", "Control+u"):
        book.tab.keyboard.press(key)
    book.until(lambda: book.at("step") == "1")
    assert book.tab.evaluate("got") == ["before Control", "Control", "before u", "u"]
