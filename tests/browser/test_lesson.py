"""The lesson in docs/guide/playground.md, step by step, as a class performs it."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from .test_playground import choose, press, run_until, said, session_of, type_in, wait

GUIDE = Path(__file__).parents[2] / "docs" / "guide" / "playground.md"


def share_right(page):
    return float(page.inner_text('[data-number="right"] dd').removesuffix(" %"))


def at_full_speed(page):
    choose(page, "speed", "null")


def run_to(page, step):
    """Run to a step or further, and see by the time line what it had come to there."""
    at_full_speed(page)
    run_until(page, lambda now: now.step >= step)
    drag(page, '[data-action="time-line"]', step)
    wait(page, lambda now: now.step == step)
    page.wait_for_timeout(150)


def drag(page, where, value):
    page.locator(where).evaluate(
        "(e, v) => { e.value = v; e.dispatchEvent(new Event('input')); e.dispatchEvent(new Event('change')); }", value
    )


def slide(page, setting, value):
    drag(page, f'input[data-setting="{setting}"]', value)


def shape(page, nodes, activation):
    type_in(page, "layers.0.nodes", nodes)
    choose(page, "layers.0.activation", activation)
    wait(page, lambda now: now.step == 0 or not now.running)


def step_1(page, playground):
    press(page, "run")
    wait(page, lambda now: now.step > 3000, seconds=30)
    press(page, "run")
    wait(page, lambda now: not now.running)
    assert share_right(page) >= 90
    assert page.locator("[data-node]").count() == 2 + 4 + 1
    here = said(page).step
    page.focus('[data-action="time-line"]')
    page.keyboard.press("Home")
    wait(page, lambda now: now.step == 0)
    page.keyboard.press("End")
    wait(page, lambda now: now.step == here)


def step_2(page, playground):
    press(page, "remove-layer")
    page.wait_for_selector('[data-node="1,0"]', state="detached")
    run_to(page, 2000)
    assert 40 < share_right(page) < 75
    assert said(page).loss == pytest.approx(np.log(2), abs=0.03)


def step_3(page, playground):
    press(page, "remove-layer")
    page.wait_for_selector('[data-node="1,0"]', state="detached")
    press(page, "add-layer")
    page.wait_for_selector('[data-node="1,0"]')
    run_to(page, 3000)
    assert share_right(page) >= 90


def step_4(page, playground):
    choose(page, "layers.0.activation", "identity")
    press(page, "rewind")
    run_to(page, 2000)
    assert 40 < share_right(page) < 75
    choose(page, "layers.0.activation", "tanh")
    press(page, "rewind")
    run_to(page, 3000)
    assert share_right(page) >= 90


def learned_of_a_hundred(page):
    press(page, "starts")
    page.wait_for_selector("dialog[open] :text('of 100 learned it')")
    words = page.inner_text("dialog[open]")
    press(page, "close-starts")
    return int(re.search(r"(\d+) of 100 learned it", words)[1]), words


def step_5(page, playground):
    shape(page, 2, "relu")
    learned, words = learned_of_a_hundred(page)
    assert 0 < learned < 50
    assert "dead" in words
    assert "stuck" in words
    type_in(page, "layers.0.nodes", 8)
    page.wait_for_selector('[data-node="0,7"]')
    learned, _ = learned_of_a_hundred(page)
    assert learned > 90


def step_6(page, playground):
    shape(page, 4, "tanh")
    choose(page, "optimizer", "gradient_descent")
    choose(page, "learning_rate", "10")
    first = session_of(playground, page).run.network.parameters.copy()
    run_to(page, 3000)
    assert said(page).loss > 0.4
    assert page.locator(".layer-spread", has_text="saturated").count() > 0
    press(page, "rewind")
    wait(page, lambda now: now.step == 0)
    assert (session_of(playground, page).run.network.parameters == first).all()
    choose(page, "learning_rate", "0.3")
    run_to(page, 5000)
    assert share_right(page) > 85


def step_7(page, playground):
    page.click('[data-example="moons"]')
    page.wait_for_function("() => document.querySelector('[data-example=moons]').ariaPressed === 'true'")
    slide(page, "data.noise", 0.35)
    slide(page, "data.rows", 100)
    slide(page, "data.test", 0.5)
    shape(page, 16, "tanh")
    press(page, "add-layer")
    choose(page, "optimizer", "adam")
    choose(page, "learning_rate", "0.01")
    page.wait_for_selector('[data-node="1,15"]')
    run_to(page, 20_000)
    run = session_of(playground, page).run
    losses = np.array([(mark.loss, mark.test_loss) for mark in run.marks if mark.step <= run.step])
    best = losses[:, 1].argmin()
    assert losses[-1, 0] < 0.05
    assert losses[-1, 1] > 1.5 * losses[best, 1]
    loss = session_of(playground, page).run.test_loss
    page.click(".further summary")
    choose(page, "l2", "0.01")
    run_to(page, 60_000)
    assert session_of(playground, page).run.test_loss < 0.5 * loss


def step_8(page, playground):
    page.click('[data-node="0,1"]')
    quoted = re.search(r"`(Z0\[0, 1\] = [^`]+)`", GUIDE.read_text(encoding="utf-8"))[1]
    page.wait_for_selector(".formulas")
    assert quoted in page.inner_text(".formulas")
    page.fill('[data-place="0,weights,0,1"]', "1")
    page.press('[data-place="0,weights,0,1"]', "Enter")
    page.wait_for_function("() => document.querySelector('.formulas').textContent.includes('*1 + ')")
    run = session_of(playground, page).run
    layer, x = run.network.layers[0], run.data.inputs[0]
    assert f"= {x @ layer.weights[:, 1] + layer.bias[1]:.4f}" in page.inner_text(".formulas")
    press(page, "step")
    wait(page, lambda now: now.step == 1)
    assert layer.weights[0, 1] != 1


def step_9(page, playground):
    for _ in range(21):
        press(page, "epoch")
    for _ in range(6):
        press(page, "step")
    wait(page, lambda now: now.step == 300)
    press(page, "export-python")
    page.wait_for_selector("dialog[open] pre")
    mine, guides = {}, {}
    exec(page.inner_text("dialog[open] pre"), mine)
    blocks = re.findall(r"^```python\n(.*?)^```$", GUIDE.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    exec(blocks[0], guides)
    assert (mine["network"].parameters == guides["network"].parameters).all()


STEPS = {number: globals()[f"step_{number}"] for number in range(1, 10)}


def test_every_step_of_the_lesson_is_performed():
    numbers = re.findall(r"^## (\d+)\. ", GUIDE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert [int(number) for number in numbers] == list(STEPS)


@pytest.mark.parametrize("number", STEPS)
def test_the_lesson(page, playground, number, capsys):
    STEPS[number](page, playground)
