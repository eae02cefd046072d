"""Session: what a page may say, in whatever order, and what it is told."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import threading
import time

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nineline import Adam, Network, Networks
from nineline.datasets import DATASETS
from nineline.estimators import TabularRegressor
from nineline.interactive import session as sessions
from nineline.interactive.building import make_layers
from nineline.interactive.opening import open_example, open_network, open_path
from nineline.interactive.session import _ANSWERS, Session
from nineline.interactive.settings import OPTIMIZER_MAKERS

from .conftest import Page, read

FLATS = b"area,floor,district,rent\n" + b"".join(
    f"{40 + 3 * n % 60},{n % 5},{'harbour' if n % 3 else 'hill'},{300 + 11 * (n % 40)}.5\n".encode() for n in range(80)
)


def run_until(page, step, seconds=20.0):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if page.frame()[0]["step"] >= step:
            return
    raise AssertionError("it does not get there")


def test_hello_is_answered_by_all_that_a_page_needs(pages):
    page = pages()
    welcome = page.asks("hello", "welcome")
    state, (data, points) = page.hears("state")[0], page.hears("data")
    assert [each["name"] for each in welcome["choices"]["examples"]] == list(DATASETS)
    assert state["settings"]["data"]["name"] == "xor"
    assert len(points["x"]) == data["shown"] == data["train"] + data["test"] == 200
    header, arrays = page.frame()
    nodes = 2 + sum(layer["outputs"] for layer in state["network"]["layers"])
    assert arrays["nodes"].shape == (nodes, 48 * 48)
    assert len(header["ranges"]) == nodes
    assert arrays["answers"].shape == (1, 48 * 48)
    assert len(arrays["parameters"]) == state["parameters"]


def test_every_number_of_a_frame_is_the_networks_own(page):
    page.say("speed", value=None)
    page.say("run")
    run_until(page, 2000)
    page.asks("pause", "state")
    header, arrays = page.frame()
    run = page.session.run
    assert header["step"] == run.step
    assert header["loss"] == run.loss
    assert (arrays["parameters"] == run.network.parameters.astype(np.float32)).all()
    x = (np.arange(48) + 0.5) / 48
    data = page.asks("axes", "data", x=0, y=1)
    (low, high), (left, right) = data["x_range"], data["y_range"]
    grid = np.column_stack([np.tile(low + (high - low) * x, 48), np.repeat(left + (right - left) * x, 48)])
    assert arrays["answers"] == pytest.approx(run.network.run(grid).T, abs=1e-6)
    inputs, targets = run.data.train
    assert header["accuracy"] == ((run.network.run(inputs) > 0.5) == (targets > 0.5)).mean()


@pytest.mark.parametrize("name", DATASETS)
def test_every_example_is_learned(pages, name):
    page = pages(open_example(name))
    first = page.frame()[0]["loss"]
    page.say("speed", value=None)
    page.say("run")
    run_until(page, 1000)
    assert page.frame()[0]["loss"] < 0.9 * first


@pytest.mark.parametrize("optimizer", OPTIMIZER_MAKERS)
def test_every_optimizer_takes_over_while_it_runs(page, optimizer):
    page.say("run")
    state = page.asks("change", "state", settings={"loss": "squared_error"})
    while state["settings"]["loss"] != "squared_error":
        state = page.hears("state")[0]
    while state["settings"]["optimizer"] != optimizer:
        state = page.asks("change", "state", settings={"optimizer": optimizer, "learning_rate": 0.01})
    page.say("step")
    page.say("step")
    assert page.frame()[0]["loss"] < 1


def test_steps_epochs_and_back(page):
    assert page.asks("step", "state")["step"] == 1
    assert page.asks("epoch", "state")["step"] == 14  # 140 rows in batches of 10
    assert page.asks("epoch", "state")["epoch"] == 2
    first = page.parameters()
    assert page.asks("undo", "state")["step"] == 27
    assert page.asks("go_to", "state", step=28)["step"] == 27  # what was undone is gone
    page.asks("step", "state")
    assert (page.parameters() == first).all()
    state = page.asks("go_to", "state", step=5)
    assert (state["step"], state["last_step"]) == (5, 28)
    assert page.asks("rewind", "state", seed=None)["last_step"] == 0


def test_rewind_keeps_the_initial_weights_unless_a_seed_is_asked_for(page):
    first = page.parameters()
    page.asks("epoch", "state")
    page.asks("rewind", "state", seed=None)
    assert (page.parameters() == first).all()
    state = page.asks("rewind", "state", seed=5)
    assert state["settings"]["seed"] == 5
    assert (page.parameters() != first).any()
    page.asks("rewind", "state", seed=0)
    assert (page.parameters() == first).all()


def test_what_alters_the_shape_starts_anew_and_the_rest_goes_on(page):
    page.asks("epoch", "state")
    assert page.asks("change", "state", settings={"learning_rate": 0.1})["step"] == 14
    assert page.asks("change", "state", settings={"layers": [{"nodes": 4, "activation": "relu"}]})["step"] == 14
    assert page.asks("change", "state", settings={"layers": [{"nodes": 5}]})["step"] == 0


def test_undo_comes_back_to_the_run_before_a_layer_was_removed(page):
    page.asks("epoch", "state")
    before = page.parameters()
    assert page.asks("change", "state", settings={"layers": []})["step"] == 0
    state = page.asks("undo", "state")
    assert (state["step"], len(state["settings"]["layers"])) == (14, 1)
    assert (page.parameters() == before).all()
    page.asks("change", "state", settings={"data": {"name": "moons"}})
    assert page.asks("undo", "data")["rows"] == 200
    assert page.session.run.step == 14


def test_undo_takes_back_one_deed_of_an_untrained_network_at_a_time(page):
    assert not page.asks("pause", "state")["can_undo"]
    first = page.parameters()
    page.asks("change", "state", settings={"layers": [{"nodes": 4}, {"nodes": 3}]})
    page.asks("rewind", "state", seed=9)
    page.asks("change", "state", settings={"layers": []})
    assert [len(page.asks("undo", "state")["settings"]["layers"]) for _ in range(3)] == [2, 2, 1]
    assert (page.parameters() == first).all()
    assert not page.asks("undo", "state")["can_undo"]


def test_a_change_that_changes_nothing_changes_nothing(page):
    page.asks("epoch", "state")
    page.asks("go_to", "state", step=3)
    state = page.asks("change", "state", settings={"learning_rate": 0.01})
    assert (state["step"], state["last_step"]) == (3, 14)


@pytest.mark.parametrize(
    ("changed", "output", "loss"),
    [
        ({"output": "tanh"}, "tanh", "squared_error"),
        ({"loss": "squared_error"}, "sigmoid", "squared_error"),
        ({"optimizer": "levenberg_marquardt"}, "sigmoid", "squared_error"),
    ],
)
def test_output_and_loss_go_together_and_it_is_said(page, changed, output, loss):
    state = page.asks("change", "state", settings=changed)
    assert (state["settings"]["output"], state["settings"]["loss"]) == (output, loss)
    assert bool(state["said"]) == ("loss" not in changed)
    state = page.asks("change", "state", settings={"optimizer": "adam"})
    assert state["settings"]["batch_size"] == 10
    state = page.asks("change", "state", settings={"loss": "binary_cross_entropy"})
    assert state["settings"]["output"] == "sigmoid"
    data = {**state["settings"]["data"], "noise": 0.2}
    page.asks("change", "state", settings={"output": "tanh"})
    assert page.asks("change", "state", settings={"data": data})["settings"]["output"] == "tanh"


def test_a_converged_training_goes_on_after_a_weight_was_set(pages):
    page = pages(open_example("xor"))
    page.asks("change", "state", settings={"layers": [{"nodes": 1}]})
    page.asks("change", "state", settings={"optimizer": "lbfgs", "l2": 0.1})
    page.asks("speed", "state", value=None)
    state = page.asks("run", "state")
    while state["running"]:
        state = page.hears("state")[0]
    assert state["said"]
    page.asks("set", "state", place=[0, "weights", 0, 0], value=2.5)
    step = state["step"]
    assert page.asks("run", "state")["running"]
    run_until(page, step + 1)


def test_a_layer_is_added_while_it_runs_and_it_goes_on_running(page):
    page.say("run")
    run_until(page, 10)
    state = page.asks("change", "state", settings={"layers": [{"nodes": 4}, {"nodes": 3}]})
    assert state["running"]
    assert [layer["outputs"] for layer in state["network"]["layers"]] == [4, 3, 1]
    run_until(page, 10)


def test_a_pace_is_kept(page):
    page.say("speed", value=40)
    page.say("run")
    began = time.monotonic()
    run_until(page, 20)
    assert 0.3 < time.monotonic() - began < 5
    assert page.frame()[0]["steps_per_second"] < 120


def test_weights_set_by_hand_are_those_of_the_network(page):
    page.asks("set", "state", place=[0, "weights", 1, 2], value=0.625)
    page.asks("set", "state", place=[1, "bias", 0], value=-0.5)
    network = page.session.run.network
    assert network.layers[0].weights[1, 2] == 0.625
    assert network.layers[1].bias[0] == -0.5
    page.asks("undo", "state")
    assert network.layers[1].bias[0] == 0


def test_a_node_is_looked_at_with_its_formula_in_numbers(page):
    page.say("look", node=[0, 2], edge=None, row=7)
    look = page.frame()[0]["look"]
    run = page.session.run
    row = int(run.data.shown[7])
    x, layer = run.data.inputs[row], run.network.layers[0]
    total = x @ layer.weights[:, 2] + layer.bias[2]
    lines = {line["name"]: line["text"] for line in look["lines"]}
    assert lines["weighted sum"].endswith(f"= {total:.4f}")
    assert lines["output"].endswith(f"= {np.tanh(total):.4f}")
    assert [weight["value"] for weight in look["weights"]] == [*layer.weights[:, 2], layer.bias[2]]


def test_a_row_is_followed_through_the_network(page):
    page.say("look", node=None, edge=None, row=3)
    header, arrays = page.frame()
    run = page.session.run
    row = int(run.data.shown[3])
    x = run.data.inputs[row]
    hidden = np.tanh(x @ run.network.layers[0].weights + run.network.layers[0].bias)
    assert arrays["way"] == pytest.approx([*x, *hidden, *run.network.run(x[np.newaxis])[0]], abs=1e-6)
    assert header["look"]["row"] == row
    page.say("look", node=None, edge=None, row=None)
    page.say("step")
    header, arrays = page.frame()
    assert header["look"] is None
    assert "way" not in arrays


def test_an_edges_gradient_is_that_of_the_row(page):
    page.say("look", node=None, edge=[1, 2, 0], row=0)
    look = page.frame()[0]["look"]
    run = page.session.run
    row = int(run.data.shown[0])
    _, gradient = run.network.gradient(run.data.inputs[[row]], run.data.targets[[row]], loss="binary_cross_entropy")
    there = run.network.views(gradient, 1)["weights"][2, 0]
    assert look["weights"][0]["gradient"] == pytest.approx(there, rel=1e-9)


def test_three_classes_are_three_outputs(pages):
    page = pages(open_example("spirals3"))
    state = page.asks("step", "state")
    assert state["classes"] == ["0", "1", "2"]
    assert state["settings"]["loss"] == "cross_entropy"
    assert page.frame()[1]["answers"].sum(axis=0) == pytest.approx(1, abs=1e-5)


def test_one_input_is_a_curve(pages):
    header, arrays = pages(open_example("wave")).frame()
    assert header["grid"] == [200]
    assert arrays["answers"].shape == (1, 200)


# Tables


def with_flats(pages, target="rent"):
    page = pages()
    table = page.asks("table", "table", "refused", content=FLATS, name="flats.csv")
    assert [column["name"] for column in table["columns"]] == ["area", "floor", "district", "rent"]
    page.say("use_table", target=target)
    return page, page.hears("data", "refused")[0]


def test_a_table_is_learned_with_any_two_columns_as_axes(pages):
    page, data = with_flats(pages)
    assert [column["kind"] for column in data["columns"]] == ["number", "number", "category"]
    data = page.asks("axes", "data", x=0, y=2)
    assert data["y_range"] == [-0.5, 1.5]
    assert data["columns"][2]["levels"] == ["harbour", "hill"]
    page.say("run")
    run_until(page, 100)
    _, arrays = page.frame()
    lower, upper = arrays["answers"].reshape(48, 48)[:24], arrays["answers"].reshape(48, 48)[24:]
    assert (lower == lower[0]).all()  # a category has no values between its levels
    assert (upper == upper[0]).all()
    assert (lower[0] != upper[0]).any()


def test_a_table_begins_with_the_columns_that_tell_most(pages):
    rows = [f"{n % 7},{n % 2},{(n * 7) % 13},{100 * (n % 2) + (n * 7) % 13}.5" for n in range(200)]
    page = pages()
    page.asks("table", "table", content="\n".join(["a,b,c,y", *rows]).encode(), name="t.csv")
    data = page.asks("use_table", "data", target="y")
    assert (data["x"], data["y"]) == (1, 2)


def test_a_number_of_a_table_is_shown_as_a_person_knows_it(pages):
    page = pages()
    page.asks("table", "table", content=FLATS, name="flats.csv")
    page.say("use_table", target="rent")
    data, points = page.hears("data")
    rents = np.array([300 + 11 * (n % 40) + 0.5 for n in range(80)])
    assert points["target"] == pytest.approx(rents)
    assert data["target_range"] == pytest.approx([300.5, 729.5], rel=1e-6)
    page.say("look", node=None, edge=None, row=4)
    header, arrays = page.frame()
    run = page.session.run
    learned = run.network.run(run.data.inputs[[4]])[0, 0]
    known = rents[~run.data.test].mean() + rents[~run.data.test].std() * learned
    assert header["look"]["row_title"].endswith("truth 344.5")
    assert f"rent {known:.1f}" in header["look"]["lines"][1]["text"]
    assert 100 < arrays["answers"].mean() < 900


def test_columns_that_are_no_axes_are_held(pages):
    page, _ = with_flats(pages)
    before = page.frame()[1]["answers"]
    data = page.asks("hold", "data", column=2, value="hill")
    assert data["columns"][2]["held"] == 1
    assert (page.frame()[1]["answers"] != before).any()


def test_classes_of_a_table_have_their_names(pages):
    page, _ = with_flats(pages, "district")
    state = page.asks("step", "state")
    while state["task"] != "classes":
        state = page.asks("step", "state")
    assert state["classes"] == ["harbour", "hill"]
    assert state["network"]["output_names"] == ["district = hill"]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("wide.csv", (",".join(f"c{n}" for n in range(10_000)) + "\n").encode() * 3, "10,000 columns"),
        ("one.csv", b"a\n1\n2\n3\n", "has 1 columns"),
        ("large.csv", bytes(20_000_001), "20 MB"),
        ("noise.csv", bytes(range(256)) * 4, "noise.csv"),
        ("noise.parquet", b"PAR1" + bytes(100), "noise.parquet"),
        ("empty.csv", b"", "empty.csv"),
        ("../../etc/passwd.xyz", b"a,b\n1,2\n", ".xyz"),
        ("", b"a,b\n1,2\n", "name is ''"),
    ],
    ids=["10,000 columns", "one column", "too large", "no text", "no parquet", "empty", "no table", "no name"],
)
def test_a_table_that_is_none_is_refused(page, name, content, words):
    refused = page.asks("table", "refused", "table", content=content, name=name)
    assert refused["type"] == "refused"
    assert words in refused["text"]
    assert "/tmp" not in refused["text"]
    assert page.asks("step", "state")["step"] == 1


def test_what_is_small_packed_and_large_unpacked_is_refused(page, tmp_path):
    packed = gzip.compress(b"a,b\n" + b"1,2\n" * 10_000_000)
    assert len(packed) < 1_000_000
    assert "too large when it is unpacked" in page.asks("table", "refused", content=packed, name="b.csv.gz")["text"]
    path = tmp_path / "b.parquet"
    pl.select(pl.repeat(1, 30_000_000).alias("a"), pl.repeat(2, 30_000_000).alias("b")).write_parquet(path)
    refused = page.asks("table", "refused", content=path.read_bytes(), name="b.parquet")
    assert "too large when it is unpacked" in refused["text"]
    good = gzip.compress(FLATS)
    assert page.asks("table", "table", content=good, name="flats.csv.gz")["rows"] == 80


def test_axes_and_what_is_held_stay_when_other_rows_are_held_out(pages):
    page, _ = with_flats(pages)
    page.asks("axes", "data", x=0, y=2)
    data = page.asks("change", "data", settings={"data": {**page.session.run.settings.describe()["data"], "test": 0.5}})
    assert (data["x"], data["y"]) == (0, 2)


def test_a_target_that_cannot_be_learned_leaves_all_as_it_was(pages):
    page = pages()
    page.asks("table", "table", content=b"a,b,c\n1,2,\n2,3,\n3,4,\n4,5,\n", name="t.csv")
    refused = page.asks("use_table", "refused", target="c")
    assert "0 rows with a target" in refused["text"]
    assert page.asks("step", "state")["settings"]["data"]["name"] == "xor"


# Out


def test_the_code_that_is_handed_out_comes_to_the_same_weights(page, capsys):
    page.asks("set", "state", place=[0, "weights", 0, 0], value=0.5)
    page.asks("epoch", "state")
    page.asks("change", "state", settings={"optimizer": "momentum", "learning_rate": 0.05})
    page.asks("epoch", "state")
    code = page.asks("export", "file", what="python")["text"]
    names = {}
    exec(code, names)
    assert (names["network"].parameters == page.session.run.network.parameters).all()


def test_the_code_of_a_table_comes_to_the_same_weights(pages, tmp_path, monkeypatch, capsys):
    page, _ = with_flats(pages)
    page.asks("epoch", "state")
    page.say("epoch")
    code = page.asks("export", "file", what="python")["text"]
    (tmp_path / "flats.csv").write_bytes(FLATS)
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(code, names)
    assert (names["network"].parameters == page.session.run.network.parameters).all()


def test_a_model_file_holds_the_network(page, tmp_path):
    page.asks("epoch", "state")
    page.say("export", what="model")
    header, arrays = page.hears("file")
    (tmp_path / header["name"]).write_bytes(arrays["bytes"].tobytes())
    assert (Network.load(tmp_path / header["name"]).parameters == page.session.run.network.parameters).all()


@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")
def test_c_is_one_file_that_compiles(page, tmp_path):
    page.say("export", what="c")
    header, arrays = page.hears("file")
    (tmp_path / header["name"]).write_bytes(arrays["bytes"].tobytes())
    made = subprocess.run(
        ["cc", "-std=c99", "-DNINELINE_SELF_TEST", header["name"], "-lm", "-o", "self-test"],
        cwd=tmp_path, capture_output=True, check=False,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    subprocess.run(["./self-test"], cwd=tmp_path, check=True, capture_output=True)


def test_a_link_holds_the_whole_set_up(pages):
    page = pages()
    page.asks("change", "state", settings={"layers": [{"nodes": 3}, {"nodes": 2, "activation": "relu"}], "seed": 9})
    set_up = page.asks("change", "state", settings={"l2": 0.5})["settings"]
    other = pages(settings=json.loads(json.dumps(set_up)))
    assert other.asks("pause", "state")["settings"] == set_up
    assert (other.parameters() == page.parameters()).all()


def test_a_session_that_is_gone_leaves_its_set_up(pages):
    set_up = pages().session.run.settings.describe() | {"layers": [{"nodes": 7}]}
    page = Page()
    try:
        page.say("hello", before=set_up)
        state = page.hears("state")[0]
        assert state["network"]["layers"][0]["outputs"] == 7
        assert "its set-up is kept" in state["said"]
        page.asks("epoch", "state")
        page.say("hello", before=None, settings=None)  # the connection was lost, and is there again
        assert page.hears("state")[0]["step"] == 14
    finally:
        page.session.close()


def test_a_set_up_that_cannot_be_kept_is_not_said_to_be(pages):
    page = Page()
    try:
        page.say("hello", before={"data": {"kind": "table", "name": "x.csv"}})
        assert "not open here" in page.hears("refused")[0]["text"]
        page.say("hello", before=None, settings=None)  # as a page does then
        assert page.hears("state")[0]["said"] == ""
    finally:
        page.session.close()


def test_a_link_of_a_table_that_is_not_open_says_so(pages):
    page = pages()
    page.say("hello", settings={"data": {"kind": "table", "name": "x.csv"}})
    assert "'x.csv', which is not open here" in page.hears("refused")[0]["text"]
    assert page.asks("step", "state")["step"] == 1


# Starts


def test_a_hundred_starts_say_which_fail_and_why(pages):
    page = pages(open_example("xor"))
    page.asks("change", "state", settings={"layers": [{"nodes": 2, "activation": "relu"}], "learning_rate": 0.03})
    page.say("starts", count=100, epochs=60)
    header, arrays = page.hears("starts")
    while not header["done"]:
        header, arrays = page.hears("starts")
    assert arrays["images"].shape == (100, 28 * 28)
    assert arrays["curves"].shape == (100, 60)
    assert 0 < sum(header["failed"]) < 100
    assert all(bool(reason) == failed for reason, failed in zip(header["reasons"], header["failed"], strict=True))
    assert header["losses"][header["order"][0]] == min(header["losses"])
    worst = header["order"][-1]
    page.asks("take_start", "state", number=worst)
    assert page.session.run.settings.start == worst


def test_starts_are_stopped_and_the_training_answers_meanwhile(page):
    page.say("starts", count=200, epochs=5000)
    page.hears("starts")
    assert page.asks("step", "state")["step"] == 1
    page.say("stop_starts")
    header, _ = page.hears("starts")
    while not header["done"]:
        header, _ = page.hears("starts")
    assert header["epoch"] < 5000


def test_where_nothing_can_be_learned_no_start_has_learned_it(page):
    page.asks("change", "state", settings={"layers": []})
    page.say("starts", count=20, epochs=50)
    header, _ = page.hears("starts")
    while not header["done"]:
        header, _ = page.hears("starts")
    assert all(header["failed"])
    assert "hardly better than one answer to every row" in " ".join(header["reasons"])


def test_a_start_that_is_taken_does_what_its_card_showed(page):
    page.asks("change", "state", settings={"layers": [{"nodes": 3}]})
    page.say("starts", count=10, epochs=20)
    header, _ = page.hears("starts")
    while not header["done"]:
        header, _ = page.hears("starts")
    page.asks("take_start", "state", number=7)
    run = page.session.run
    while run.epochs < 20:
        run.advance(round((20 - run.epochs) * run.batches.an_epoch))
    again = Networks(10, *make_layers(run.settings, 2, 1), rng=0)
    again.train(*run.data.train, epochs=20, batch_size=10, loss="binary_cross_entropy", optimizer=Adam(0.01),
                rng=[0] * 10, report_every=0)  # fmt: skip
    assert run.network.parameters == pytest.approx(again.parameters[7], rel=1e-9, abs=1e-12)


def test_too_many_starts_for_a_page_are_refused(page):
    page.asks("change", "state", settings={"layers": [{"nodes": 32}] * 6})
    page.asks("change", "state", settings={"data": {"name": "moons", "rows": 2000}})
    assert "too much for this page" in page.asks("starts", "refused", count=400, epochs=1)["text"]


def test_starts_begin_again_at_once(page):
    page.asks("change", "state", settings={"layers": [{"nodes": 16}, {"nodes": 16}]})
    for _ in range(3):
        page.say("starts", count=50, epochs=5000)
    began = time.monotonic()
    page.asks("step", "state")
    assert time.monotonic() - began < 5
    page.say("stop_starts")
    header, _ = page.hears("starts")
    while not header["done"]:
        header, _ = page.hears("starts")


# What is wrong


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ({"type": "fly"}, "type is 'fly'"),
        ({"type": "go_to"}, "go_to lacks 'step'"),
        ({"type": "go_to", "step": "3"}, "step is '3'"),
        ({"type": "speed", "value": -1}, "speed is -1"),
        ({"type": "change", "settings": {"loss": "cross_entropy"}}, "here is one; take sigmoid"),
        ({"type": "change", "settings": {"data": {"name": "iris"}}}, "'iris', no example"),
        ({"type": "change", "settings": {"data": {"name": "curve", "expression": "import os"}}}, "expression"),
        ({"type": "set", "place": [0, "weights", 9, 9], "value": 1}, "[9, 9] of the weights of layer 0"),
        ({"type": "set", "place": [5, "weights", 0, 0], "value": 1}, "layer 5"),
        ({"type": "set", "place": [0, "weights", 0, 0], "value": float("inf")}, "value is inf"),
        ({"type": "axes", "x": 0, "y": 0}, "two different"),
        ({"type": "axes", "x": 7, "y": 0}, "x is 7"),
        ({"type": "hold", "column": 7, "value": 0}, "column is 7"),
        ({"type": "look", "node": [9, 9]}, "node is [9, 9]"),
        ({"type": "look", "edge": [0, 0]}, "edge is [0, 0]"),
        ({"type": "look", "row": 10**6}, "row is 1000000"),
        ({"type": "starts", "count": 10**9, "epochs": 1}, "1 to 400 starts"),
        ({"type": "take_start", "number": -1}, "start is -1"),
        ({"type": "use_table", "target": "y"}, "no table yet"),
        ({"type": "export", "what": "java"}, "what is 'java'"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_wrong_is_refused_in_words_and_changes_nothing(page, message, words):
    refused = page.asks("pause", "state") and page.asks(message.pop("type"), "refused", **message)
    assert words in refused["text"]
    page.say("step")
    assert page.frame()[0]["step"] == 1


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 40) | st.sampled_from([2**70, 1e308, -1.5, "", "xor", "weights"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["nodes", "name", "rows"]), inner),
    max_leaves=5,
)
KEYS = [
    "settings",
    "step",
    "seed",
    "value",
    "place",
    "x",
    "y",
    "column",
    "node",
    "edge",
    "row",
    "number",
    "name",
    "what",
]
MESSAGES = st.builds(
    lambda kind, rest: {"type": kind, **rest},
    st.sampled_from(sorted(set(_ANSWERS) - {"starts"})),
    st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=4),
)


@settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
@given(st.lists(MESSAGES, min_size=5, max_size=25))
def test_anything_in_any_order_is_answered_or_refused(caplog, messages):
    heard = []
    session = Session(heard.append)
    try:
        for message in messages:
            assert session.hear(message, b"a,b\n1,2\n")
        done = threading.Event()
        session.still = lambda _: done.set()
        session.hear({"type": "pause"})
        assert done.wait(20)
    finally:
        session.close()
    for message in heard:
        read(message)
    assert not caplog.records  # no error of ours


def test_a_session_that_is_not_read_from_is_not_slower(page):
    page.asks("speed", "state", value=None)
    page.asks("run", "state")
    time.sleep(0.3)  # no frame is asked for, and so none is made
    page.say("pause")
    state = page.hears("state")[0]
    assert state["step"] > 1000
    assert page.heard.empty()


def test_too_many_messages_are_left_out_and_said(pages, monkeypatch):
    page = pages()
    held = threading.Event()
    page.session.still = lambda _: held.wait(20)
    page.say("pause")
    taken = [page.session.hear({"type": "ready"}) for _ in range(sessions.WAITING_AT_MOST + 10)]
    held.set()
    assert not taken[-1]


def test_a_closed_session_leaves_no_thread(pages):
    before = threading.active_count()
    page = pages()
    page.say("starts", count=50, epochs=5000)
    page.say("run")
    page.hears("starts")
    assert threading.active_count() > before
    page.session.close()
    assert threading.active_count() == before


# What is opened


def test_a_network_that_was_opened_begins_with_its_weights(pages):
    network = Network(3, 6, 1, rng=1)
    X, y = [[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]], [[0], [1], [1], [0]]
    page = pages(open_network(network, X, y))
    assert (page.parameters() == network.parameters.astype(np.float32)).all()
    page.asks("epoch", "state")
    page.asks("rewind", "state", seed=None)
    assert (page.parameters() == network.parameters.astype(np.float32)).all()
    assert page.asks("rewind", "state", seed=3)["settings"]["start"] == 0
    refused = page.asks("change", "refused", settings={"data": {"name": "xor"}})
    assert "given by the program" in refused["text"]


def test_a_model_in_a_file_is_opened_or_says_what_to_open(pages, tmp_path):
    network = Network(2, 3, 1, rng=0)
    network.save(tmp_path / "small.nineline")
    page = pages(open_path(str(tmp_path / "small.nineline"), None))
    assert (page.parameters() == network.parameters.astype(np.float32)).all()
    rows = pl.read_csv(FLATS)
    for hidden, wide in (((8,), False), ((64,), True)):
        model = TabularRegressor(hidden_layer_sizes=hidden, n_members=1, max_epochs=2, random_state=0)
        model.fit(rows.drop("rent"), rows["rent"]).save(tmp_path / "flats.nineline")
        if wide:
            with pytest.raises(ValueError, match=r"Open the table that .*flats.nineline was trained on"):
                open_path(str(tmp_path / "flats.nineline"), None)
        else:
            assert pages(open_path(str(tmp_path / "flats.nineline"), None)).frame()[0]["loss"] < 1e-10


def test_one_spiral_is_as_good_as_two():
    assert open_example("spiral").settings.data.name == "spirals"


@pytest.mark.parametrize("width", [1, 2, 5])
def test_a_network_without_rows_is_shown_with_its_own_answers(pages, width):
    network = Network(width, 3, 2, activation="tanh", output="identity", bias=True, rng=0)
    page = pages(open_network(network))
    assert page.frame()[0]["loss"] < 1e-25
