"""The playground in a real browser: what a person does with it, and what it then shows."""

from __future__ import annotations

import json
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from urllib.parse import quote

import numpy as np
import pytest

from nineline import Network
from nineline.interactive import server as servers
from nineline.interactive.opening import open_example
from tests.interactive.serving import served

FLATS = "area,floor,district,rent\n" + "".join(
    f"{40 + 7 * n % 60},{n % 5},{'harbour' if n % 3 else 'hill'},{300 + 11 * (7 * n % 60) + 40 * (n % 3)}.5\n"
    for n in range(120)
)


def press(page, action):
    page.click(f'[data-action="{action}"]')


def choose(page, setting, value):
    page.select_option(f'select[data-setting="{setting}"]', value)


def type_in(page, setting, value):
    page.fill(f'input[data-setting="{setting}"]', str(value))
    page.press(f'input[data-setting="{setting}"]', "Enter")


def said(page):
    """Return what the page says of itself."""
    data = page.evaluate("({ ...document.querySelector('.nineline-playground').dataset })")
    return SimpleNamespace(
        step=float(data.get("step", "nan")),
        loss=float(data.get("loss", "nan").replace("null", "nan")),
        frames=float(data.get("frames", "nan")),
        last=float(data.get("lastStep", "nan")),
        running=data.get("running") == "true",
    )


def wait(page, condition, seconds=20):
    """Wait until a condition holds for what the page says of itself."""
    until = time.monotonic() + seconds
    while not condition(said(page)):
        assert time.monotonic() < until, f"it does not come to that: {said(page)}"
        page.wait_for_timeout(15)


def session_of(playground, page):
    name = page.evaluate("Object.entries(sessionStorage).find(([k]) => k.startsWith('nineline session'))[1]")
    return playground._sessions[name]


def run_until(page, condition):
    press(page, "run")
    wait(page, condition)
    press(page, "run")
    wait(page, lambda now: not now.running)


def settled(page):
    """Wait until what was asked for is drawn."""
    frames = said(page).frames
    press(page, "step")
    wait(page, lambda now: now.frames > frames)


# Learning


def test_it_runs_until_the_exclusive_or_is_learned(tabs, playground):
    page = tabs(playground, "#" + quote(json.dumps({"data": {"name": "xor", "noise": 0, "test": 0}})))
    choose(page, "speed", "null")
    run_until(page, lambda now: now.loss < 0.02)
    run = session_of(playground, page).run
    wait(page, lambda now: (now.step, now.loss) == (run.step, pytest.approx(run.loss)))
    assert float(page.inner_text('[data-number="right"] dd').removesuffix(" %")) > 97


def test_steps_epochs_undo_and_back_to_the_start(page, playground):
    first = session_of(playground, page).run.network.parameters.copy()
    for action, step in [("step", 1), ("step", 2), ("epoch", 14), ("undo", 13), ("rewind", 0)]:
        press(page, action)
        wait(page, lambda now, step=step: now.step == step)
    assert (session_of(playground, page).run.network.parameters == first).all()
    press(page, "new-weights")
    page.wait_for_function("() => document.querySelector('[data-setting=seed]').value !== '0'")
    assert (session_of(playground, page).run.network.parameters != first).any()


def test_a_layer_is_added_while_it_runs(page):
    press(page, "run")
    wait(page, lambda now: now.step > 20)
    press(page, "add-layer")
    page.wait_for_selector('[data-node="2,0"]')
    assert page.locator("[data-node]").count() == 2 + 4 + 4 + 1
    assert said(page).running
    frames = said(page).frames
    wait(page, lambda now: now.frames > frames + 5)
    press(page, "remove-layer")
    page.wait_for_selector('[data-node="2,0"]', state="detached")


def test_the_time_line_is_dragged_back_and_goes_on_from_there(page, playground):
    choose(page, "speed", "null")
    run_until(page, lambda now: now.step > 500)
    last = int(said(page).step)
    box = page.locator('[data-action="time-line"]').bounding_box()
    page.mouse.move(box["x"] + box["width"] - 6, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, steps=8)
    page.mouse.up()
    wait(page, lambda now: now.step < 0.6 * last and now.step > 0.4 * last)
    assert said(page).last == last
    page.focus('[data-action="time-line"]')
    page.keyboard.press("Home")
    wait(page, lambda now: now.step == 0)
    page.keyboard.press("End")
    wait(page, lambda now: now.step == last)
    page.keyboard.press("ArrowLeft")
    wait(page, lambda now: now.step == last - 1)


def test_a_page_that_is_loaded_again_in_the_middle_goes_on(page):
    type_in(page, "layers.0.nodes", 7)
    press(page, "run")
    wait(page, lambda now: now.step > 100)
    page.reload()
    wait(page, lambda now: now.step > 100)
    assert page.input_value('[data-setting="layers.0.nodes"]') == "7"
    assert said(page).running
    press(page, "run")
    wait(page, lambda now: not now.running)


def test_a_training_that_diverges_says_why(page, tabs, playground):
    press(page, "run")
    choose(page, "loss", "squared_error")
    choose(page, "output", "identity")
    choose(page, "optimizer", "gradient_descent")
    choose(page, "layers.0.activation", "relu")
    choose(page, "learning_rate", "other")
    type_in(page, "learning_rate.other", 100000)
    page.wait_for_selector(".notice:has-text('Try a smaller learning rate')")
    assert np.isfinite(said(page).loss)
    press(page, "run")  # it says so again
    page.wait_for_selector(".notice:has-text('Try a smaller learning rate')")


# Looking


def test_a_node_shows_its_formula_with_the_numbers_in_it_and_its_weights_can_be_set(page, playground):
    page.click('[data-node="0,2"]')
    page.wait_for_selector(".formulas")
    network = session_of(playground, page).run.network
    x = session_of(playground, page).run.data.inputs[0]
    written = page.inner_text(".formulas")
    total = x @ network.layers[0].weights[:, 2] + network.layers[0].bias[2]
    assert f"= {total:.4f}" in written
    assert f"= {np.tanh(total):.4f}" in written
    page.fill('[data-place="0,weights,1,2"]', "0.625")
    page.press('[data-place="0,weights,1,2"]', "Enter")
    page.wait_for_function("() => document.querySelector('.formulas').textContent.includes('0.6250')")
    assert network.layers[0].weights[1, 2] == 0.625


def test_an_edge_shows_its_gradient(page):
    page.locator('[data-edge="1,2,0"]').dispatch_event("click")
    page.wait_for_selector(".formulas:has-text('∇W1[2, 0]')")


def test_a_row_under_the_pointer_is_followed_through_the_network(page, playground):
    surface = page.locator('[data-action="surface"]')
    surface.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_selector(".row-said:has-text('x')")
    page.wait_for_selector(".formulas:has-text('loss, of this row')")
    first = page.inner_text(".formulas")
    page.keyboard.press("ArrowRight")
    page.wait_for_function("text => document.querySelector('.formulas').innerText !== text", arg=first)
    page.keyboard.press("Escape")
    page.wait_for_selector(".formulas", state="hidden")


@pytest.mark.parametrize(("example", "nodes"), [("spirals3", 2 + 4 + 3), ("wave", 1 + 4 + 1), ("tutorial", 3 + 6 + 1)])
def test_every_kind_of_example_is_shown(page, example, nodes):
    page.click(f'[data-example="{example}"]')
    page.wait_for_function("n => document.querySelectorAll('[data-node]').length === n", arg=nodes)
    settled(page)
    assert page.locator(".notice").is_hidden()


def test_a_curve_of_ones_own_is_learned_and_a_wrong_one_is_said(page, tabs):
    page.click('[data-example="curve"]')
    type_in(page, "data.expression", "y > sin(3x)")
    settled(page)
    type_in(page, "data.expression", "y > import os")
    page.wait_for_selector(".notice:has-text('expression')")
    page.wait_for_function("() => document.querySelector('[data-setting=\"data.expression\"]').value === 'y > sin(3x)'")


def test_a_hundred_starts_say_which_fail_and_one_is_taken(page, playground):
    type_in(page, "layers.0.nodes", 2)
    press(page, "starts")
    page.wait_for_selector("dialog[open] [data-start]")
    page.wait_for_selector("dialog[open] :text('of 100 learned it')")
    assert re.search(r"\d+ of 100 learned it; \d+ did not \(", page.inner_text("dialog[open]"))
    page.locator("dialog[open] [data-start]").last.click()
    page.wait_for_selector("dialog[open]", state="hidden")
    settled(page)
    assert session_of(playground, page).run.settings.start > 0


# Tables


def upload(page, name, content):
    page.set_input_files('input[type="file"]', {"name": name, "mimeType": "text/csv", "buffer": content})


def test_a_table_is_uploaded_and_its_axes_are_chosen(page, playground):
    upload(page, "flats.csv", FLATS.encode())
    page.wait_for_selector("dialog[open]")
    choose(page, "target", "rent")
    press(page, "use-table")
    page.wait_for_selector('select[data-setting="axes.x"]:visible')
    choose(page, "axes.x", "0")
    choose(page, "axes.y", "2")
    page.wait_for_selector('[data-setting="hold.1"]')
    page.focus('[data-setting="hold.1"]')
    page.keyboard.press("ArrowRight")
    choose(page, "speed", "null")
    run_until(page, lambda now: now.step > 1000)
    assert said(page).loss < 0.1
    plane = session_of(playground, page).views.plane
    assert (plane.x, plane.y) == (0, 2)
    assert plane.held[1] != 2


def test_a_table_is_dropped(page):
    page.evaluate(
        """text => {
          const data = new DataTransfer();
          data.items.add(new File([text], "flats.csv", { type: "text/csv" }));
          for (const type of ["dragover", "drop"])
            document.querySelector(".nineline-playground")
              .dispatchEvent(new DragEvent(type, { dataTransfer: data, bubbles: true, cancelable: true }));
        }""",
        FLATS,
    )
    page.wait_for_selector("dialog[open]")
    press(page, "close-table")


def test_a_file_of_100_megabytes_is_refused_before_it_is_sent(page, tmp_path):
    large = tmp_path / "large.csv"
    with large.open("wb") as file:
        file.truncate(100_000_000)
    page.set_input_files('input[type="file"]', large)
    page.wait_for_selector(".notice:has-text('large.csv has 100.0 MB')")
    settled(page)


def test_a_table_of_10000_columns_is_refused(page):
    line = ",".join(f"c{n}" for n in range(10_000)) + "\n"
    upload(page, "wide.csv", (line + line.replace("c", "")).encode())
    page.wait_for_selector(".notice:has-text('wide.csv has 10,000 columns')")
    settled(page)


# Taking along


def test_the_code_comes_to_the_same_weights(page, playground, capsys):
    press(page, "epoch")
    choose(page, "learning_rate", "0.1")
    page.click('[data-node="0,0"]')
    page.fill('[data-place="0,weights,0,0"]', "-0.75")
    page.press('[data-place="0,weights,0,0"]', "Enter")
    press(page, "epoch")
    wait(page, lambda now: now.step == 28)
    press(page, "export-python")
    page.wait_for_selector("dialog[open] pre")
    names = {}
    exec(page.inner_text("dialog[open] pre"), names)
    assert (names["network"].parameters == session_of(playground, page).run.network.parameters).all()
    assert names["network"].layers[0].weights[0, 0] != -0.75  # it went on from there


def test_the_model_file_and_c_are_saved(page, playground, tmp_path):
    press(page, "epoch")
    for action, name in [("export-model", "network.nineline"), ("export-c", "network.c")]:
        with page.expect_download() as saved:
            press(page, action)
        assert saved.value.suggested_filename == name
        saved.value.save_as(tmp_path / name)
    network = session_of(playground, page).run.network
    assert (Network.load(tmp_path / "network.nineline").parameters == network.parameters).all()
    assert "network_run" in (tmp_path / "network.c").read_text()


def test_a_link_holds_the_whole_set_up(tabs, playground):
    set_up = {"layers": [{"nodes": 3}, {"nodes": 2, "activation": "relu"}], "data": {"name": "moons"}, "seed": 4}
    page = tabs(playground, "#" + quote(json.dumps(set_up)))
    page.wait_for_selector('[data-node="2,0"]')
    assert page.input_value('[data-setting="layers.1.activation"]') == "relu"
    run = session_of(playground, page).run
    assert (run.settings.seed, run.settings.data.name) == (4, "moons")
    press(page, "copy-link")
    page.wait_for_function(
        "() => document.querySelector('dialog[open] pre') || document.querySelector('.notice:not([hidden])')"
    )


# By keys, and for everybody


def test_everything_can_be_done_by_keys(page, playground):
    page.keyboard.press("Tab")
    for _ in range(40):
        if page.evaluate("document.activeElement.dataset.action") == "run":
            break
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    wait(page, lambda now: now.running and now.step > 20)
    page.keyboard.press("Enter")
    wait(page, lambda now: not now.running)
    for key, step in [("r", 0), ("s", 1), ("e", 14), ("z", 13)]:
        page.keyboard.press(key)
        wait(page, lambda now, step=step: now.step == step)
    for _ in range(80):
        if page.evaluate("document.activeElement.dataset.node"):
            break
        page.keyboard.press("Tab")
    for key in ("ArrowLeft", "ArrowRight", "ArrowDown", "Enter"):
        page.keyboard.press(key)
    page.wait_for_selector(".weights input")
    assert page.evaluate("document.activeElement.dataset.node") == "0,1"
    for _ in range(80):
        if page.evaluate("document.activeElement.dataset.place"):
            break
        page.keyboard.press("Tab")
    page.keyboard.press("Control+A")
    page.keyboard.type("0.5")
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.querySelector('.formulas').textContent.includes('0.5000')")
    assert session_of(playground, page).run.network.layers[0].weights[0, 1] == 0.5


SIZES = {"wide": (1440, 900), "phone": (360, 740)}


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_and_nothing_overflows(tabs, playground, size, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed")
    viewport = {"width": size[0], "height": size[1]}
    page = tabs(playground, viewport=viewport, color_scheme=scheme, bypass_csp=True)
    page.click('[data-node="0,1"]')
    press(page, "epoch")
    page.wait_for_selector(".formulas")
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    found = axe.Axe().run(page).response["violations"]
    assert [each["id"] for each in found if each["impact"] in ("serious", "critical")] == []
    press(page, "export-python")
    page.wait_for_selector("dialog[open] pre")
    found = axe.Axe().run(page).response["violations"]
    assert [each["id"] for each in found if each["impact"] in ("serious", "critical")] == []


# Whose it is


def test_a_wrong_token_opens_nothing(chromium, playground):
    page = chromium.new_page()
    answer = page.goto(playground.address.replace(playground.token, "wrong"))
    assert answer.status == 403
    assert "Open the address that nineline playground has printed" in page.inner_text("body")
    page.close()


def test_a_page_from_elsewhere_reaches_nothing(chromium, playground):
    class Elsewhere(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<p>elsewhere</p>")

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere) as elsewhere:
        threading.Thread(target=elsewhere.serve_forever, daemon=True).start()
        page = chromium.new_page()
        page.goto(f"http://127.0.0.1:{elsewhere.server_port}/")
        address = playground.address.replace("http", "ws") + "socket"
        reached = """a => new Promise(r => {
            const s = new WebSocket(a); s.onopen = () => r(true); s.onerror = () => r(false); })"""
        assert page.evaluate(reached, address) is False
        fetched = "a => fetch(a).then(r => r.text()).then(t => t, () => null)"
        assert page.evaluate(fetched, playground.address) is None
        framed = """a => new Promise(r => {
            const f = document.createElement('iframe');
            f.src = a;
            f.onload = () => { try { r(f.contentDocument.body.innerHTML.length > 0); } catch { r(false); } };
            document.body.append(f); })"""
        assert page.evaluate(framed, playground.address) is False
        page.close()
        elsewhere.shutdown()


def test_two_tabs_share_nothing_and_closing_the_last_ends_the_work(tabs, monkeypatch):
    monkeypatch.setattr(servers, "SECONDS_WITHOUT_A_PAGE", 0.3)
    ended = threading.Event()
    with served(open_example("moons"), ended=ended.set) as playground:
        one, two = tabs(playground), tabs(playground)
        press(one, "epoch")
        wait(one, lambda now: now.step == 14)
        assert said(two).step == 0
        press(one, "run")
        one.close()
        assert not ended.wait(0.6)
        two.close()
        assert ended.wait(20)


def test_a_tab_that_is_hidden_asks_for_nothing_and_slows_nothing(page, playground):
    choose(page, "speed", "null")
    press(page, "run")
    wait(page, lambda now: now.step > 100)
    page.evaluate("window.requestAnimationFrame = () => 0")  # as a browser does to what is hidden
    page.wait_for_timeout(200)
    session = session_of(playground, page)
    frames, step = said(page).frames, session.run.step
    page.wait_for_timeout(400)
    assert said(page).frames == frames
    assert session.run.step > step
    session.hear({"type": "pause"})
