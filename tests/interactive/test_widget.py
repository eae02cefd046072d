"""The playground in a notebook: without one, at the other end of a comm that is none; and in a real kernel."""

from __future__ import annotations

import asyncio
import gc
import queue
import re
import sys
import threading
import time

import numpy as np
import pytest

pytest.importorskip("anywidget", reason="anywidget is not installed (extra playground)")

import nineline
from nineline import Network
from nineline._extras import MissingExtraError
from nineline.interactive.messages import TEXT_AT_MOST

from .conftest import read

X = np.random.default_rng(0).uniform(-1, 1, (60, 2))
Y = (X[:, :1] * X[:, 1:] > 0) * 1.0


def made(**options):
    return Network(2, 4, 1, **{"activation": "tanh", "output": "sigmoid", "bias": True, "rng": 0, **options})


class Cell:
    """What a notebook's cell is to a playground: messages go in as ipywidgets brings them, and come out of `send`."""

    def __init__(self, network, *rows, **rule):
        self.page = nineline.playground(network, *rows, **rule)
        self.heard = queue.Queue()
        self.page.send = lambda content, buffers: self.heard.put((content, buffers))

    def say(self, kind, buffers=(), **message):
        self.page._handle_custom_msg({"type": kind, **message}, list(buffers))

    def hears(self, *kinds, seconds=20.0):
        while True:
            content, (buffer,) = self.heard.get(timeout=seconds)
            assert content == {}
            assert isinstance(buffer, bytes)
            header, arrays = read(buffer)
            if header["type"] in kinds:
                return header, arrays

    def asks(self, kind, *kinds, **message):
        self.say(kind, **message)
        return self.hears(*kinds)

    def runs(self, step=100, seconds=20.0):
        """Run until so many steps are taken."""
        self.say("speed", value=None)
        self.say("run")
        until = time.monotonic() + seconds
        while self.asks("ready", "frame")[0]["step"] < step:
            assert time.monotonic() < until


@pytest.fixture
def cells():
    """Return what makes a cell with a playground; it is closed when the test ends."""
    held = []

    def make(network=None, *rows, **rule):
        cell = Cell(made() if network is None else network, *(rows or (X, Y)), **rule)
        held.append(cell)
        return cell

    yield make
    for cell in held:
        cell.page.close()


@pytest.fixture
def cell(cells):
    return cells()


def steps(cell):
    """Take one step, and return the state that is told of it."""
    state = cell.asks("step", "state")[0]
    while state["step"] == 0:
        state = cell.hears("state")[0]
    return state


def test_hello_is_answered_in_binary(cell):
    cell.say("hello", session=None, settings=None)
    welcome, state, (data, points) = cell.hears("welcome")[0], cell.hears("state")[0], cell.hears("data")
    assert welcome["version"] == nineline.__version__
    assert not welcome["editable_data"]
    assert state["parameters"] == made().parameters.size
    assert data["train"] == 60
    assert len(points["x"]) == 60
    frame, arrays = cell.asks("ready", "frame")
    assert frame["step"] == 0
    assert (arrays["parameters"] == made().parameters.astype(np.float32)).all()


def test_it_runs_beside_and_the_network_has_the_weights_once_it_pauses(cells):
    network = made()
    cell = cells(network)
    cell.runs()
    assert (network.parameters == made().parameters).all()
    state = cell.asks("pause", "state")[0]
    while state["running"]:
        state = cell.hears("state")[0]
    frame, arrays = cell.asks("ready", "frame")
    assert frame["step"] == state["step"] >= 100
    assert (arrays["parameters"] == network.parameters.astype(np.float32)).all()
    assert (network.parameters != made().parameters).any()
    assert network.run(X) == pytest.approx(cell.page.session.run.network.run(X), abs=0)


def test_pause_is_the_pages_button(cell):
    cell.runs()
    cell.page.pause()
    while cell.hears("state")[0]["running"]:
        pass
    assert not cell.page.session.running


def test_dropout_does_not_matter_and_another_shape_does(cells):
    network = made()
    cell = cells(network)
    cell.say("change", settings={"layers": [{"nodes": 4, "activation": "tanh", "dropout": 0.5}]})
    steps(cell)
    assert (network.parameters == cell.page.session.run.network.parameters).all()
    before = network.parameters.copy()
    cell.say("change", settings={"layers": [{"nodes": 5, "activation": "tanh", "dropout": 0.0}]})
    steps(cell)
    assert (network.parameters == before).all()


def test_the_same_number_of_weights_in_another_shape_is_not_taken_over(cells):
    network = Network(1, 3, 1, bias=True, rng=0)  # ten
    before = network.parameters.copy()
    cell = cells(network, X[:, :1], Y)
    cell.say("change", settings={"layers": [{"nodes": 5, "activation": "sigmoid", "dropout": 0.0}], "bias": False})
    assert steps(cell)["parameters"] == network.parameters.size
    assert (network.parameters == before).all()


def test_a_network_of_single_precision_keeps_it(cells):
    network = made(dtype="float32")
    cell = cells(network)
    while cell.asks("step", "state")[0]["step"] < 3:
        pass
    cell.page.close()
    assert network.dtype == np.float32
    assert (network.parameters == cell.page.session.run.network.parameters.astype(np.float32)).all()


@pytest.mark.parametrize(
    "content",
    [None, 1, "run", [], {}, {"type": None}, {"type": 3}, {"type": ["run"]}, {"type": "run", "x": "x" * TEXT_AT_MOST}],
)
def test_garbage_is_ignored(cell, content):
    cell.page._handle_custom_msg(content, [])
    cell.asks("hello", "welcome")
    assert not cell.page.session.running


@pytest.mark.parametrize("message", [{"type": "x"}, {"type": "set"}, {"type": "speed", "value": "fast"}])
def test_what_makes_no_sense_is_refused(cell, message):
    cell.page._handle_custom_msg(message, [memoryview(b"none of these bytes")])
    assert cell.hears("refused")[0]["of"] == message["type"]


def test_close_ends_the_thread_and_gives_the_last_weights(cells):
    network = made()
    cell = cells(network)
    (thread,) = (each for each in threading.enumerate() if each is cell.page.session._thread)
    cell.runs()
    cell.page.close()
    assert not thread.is_alive()
    assert cell.page.session.run.step >= 100
    assert (network.parameters == cell.page.session.run.network.parameters).all()
    cell.page.close()  # again does nothing
    cell.say("run")
    assert not thread.is_alive()


def test_what_a_page_begins_with(cells):
    settings = cells(made(), X, Y, loss="squared_error", learning_rate=0.5, batch_size=None).page.session.run.settings
    assert (settings.loss, settings.learning_rate, settings.batch_size) == ("squared_error", 0.5, None)
    with pytest.raises(TypeError, match="y is missing"):
        nineline.playground(made(), X)
    with pytest.raises(TypeError, match="expected a Network"):
        nineline.playground([2, 4, 1], X, Y)


def test_without_anywidget_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "anywidget", None)
    with pytest.raises(MissingExtraError, match=r'pip install "nineline\[playground\]"'):
        nineline.playground(made(), X, Y)


def test_the_loader_finds_every_module(cell):
    modules = cell.page.modules
    assert "widget.js" in modules
    for text in modules.values():
        named = re.findall(r'(?:from|import)\s*\(?\s*"\./([^"]+)"', text)
        assert set(named) <= set(modules)
        assert len(named) == len(re.findall(r'from\s+"\./[^"]+"', text))  # in the one way that the loader knows
    assert ".nineline-playground" in cell.page._css
    assert cell.page._esm.startswith("// Loads")
    assert len(str(modules)) < 300_000


def test_the_modules_import_in_no_circle(cell):
    def below(name, above=()):
        assert name not in above
        for other in re.findall(r'from\s+"\./([^"]+)"', cell.page.modules[name]):
            below(other, (*above, name))

    below("widget.js")


def test_in_a_notebook_without_matplotlib_there_is_the_text_alone(cell, monkeypatch):
    html = cell.page._picture(made(), "The playground <after> 3 steps.").data
    assert "<svg" in html
    assert "&lt;after&gt;" in html
    assert f'class="{cell.page.picture}"' in html
    assert "<script" not in html
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert "<svg" not in cell.page._picture(made(), "x").data


CELLS = {
    "show": """
import asyncio, time
import numpy as np
import nineline
from nineline import Network

X = np.random.default_rng(0).uniform(-1, 1, (60, 2))
network = Network(2, 4, 1, activation="tanh", output="sigmoid", bias=True, rng=0)
page = nineline.playground(network, X, (X[:, :1] * X[:, 1:] > 0) * 1.0)
other = nineline.playground(network.copy(), X[:, [0, 1, 1]][:, :2], X[:, :1] > 0)

def until(true, seconds=20):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.005)

page
""",
    "run": """
for each in page, other:
    each.session.hear({"type": "speed", "value": None})
    each.session.hear({"type": "run"})
until(lambda: page.session.run.step > 100 and other.session.run.step > 100)  # while this cell is busy
""",
    "are both running": """
steps = page.session.run.step, other.session.run.step
until(lambda: page.session.run.step > steps[0] and other.session.run.step > steps[1])
print(page.session.running, other.session.running)
""",
    "have both paused": """
until(lambda: not (page.session.running or other.session.running))
until(lambda: (network.parameters == page.session.run.network.parameters).all())
""",
    "busy": """
try:
    page.session.hear({"type": "run"})
    until(lambda: page.session.running)
    print("begun", flush=True)
    time.sleep(60)
except KeyboardInterrupt:
    print("interrupted")
""",
    "busy and awaiting": """
page.session.hear({"type": "run"})
until(lambda: page.session.running)
print("begun", flush=True)
await asyncio.sleep(60)
""",
    "let it be drawn": """
for _ in range(2000):
    await asyncio.sleep(0.01)
    if page._owed is None and page._drawn and page._drawn[1] == page.session.run.step:
        break
print(page.session.run.step)
""",
}


@pytest.fixture(scope="module")
def executed():
    """Return a notebook's cells, executed in a kernel that is interrupted now and then; each kind of cell in order."""
    nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed")
    pytest.importorskip("nbclient", reason="nbclient is not installed")
    pytest.importorskip("ipykernel", reason="ipykernel is not installed")
    from jupyter_client import AsyncKernelManager
    from jupyter_client.kernelspec import KernelSpecManager
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    class OwnKernel(AsyncKernelManager):
        """A kernel of the interpreter that runs the tests."""

        def __init__(self, **options):
            super().__init__(kernel_spec_manager=KernelSpecManager(kernel_dirs=[]), **options)

    notebook = nbformat.v4.new_notebook()

    async def run():
        client = NotebookClient(notebook, kernel_name="python3", kernel_manager_class=OwnKernel, timeout=60)

        async def execute(name):
            cell = nbformat.v4.new_code_cell(CELLS[name], metadata={"name": name})
            notebook.cells.append(cell)
            await client.async_execute_cell(cell, len(notebook.cells) - 1)
            return cell

        async def interrupted(name):
            task = asyncio.ensure_future(execute(name))
            await asyncio.sleep(0)
            while not said(notebook.cells[-1]):
                await asyncio.sleep(0.01)
                assert not task.done()
            await client.km.interrupt_kernel()
            ended = await asyncio.gather(task, return_exceptions=True)
            names = [each.ename for each in ended if isinstance(each, CellExecutionError)]
            assert set(names) <= {"KeyboardInterrupt", "CancelledError"}

        async with client.async_setup_kernel():
            for name in ("show", "run", "are both running"):
                await execute(name)
            await client.km.interrupt_kernel()
            await execute("have both paused")
            for name in ("busy", "busy and awaiting"):
                await interrupted(name)
                await execute("have both paused")
            await execute("let it be drawn")

    asyncio.run(run())
    gc.collect()
    return notebook.cells


def said(cell):
    return "".join(output.text for output in cell.outputs if output.output_type == "stream")


def outputs(executed, name):
    return [said(cell).split() for cell in executed if cell.metadata.name == name]


def test_it_trains_while_cells_are_busy_and_between_them(executed):
    assert outputs(executed, "are both running") == [["True", "True"]]


def test_an_interrupt_pauses_it_whatever_the_kernel_does(executed):
    assert outputs(executed, "have both paused") == [[]] * 3  # no assertion has failed there
    assert outputs(executed, "busy") == [["begun", "interrupted"]]


def test_a_kept_notebook_has_the_widget_and_its_last_picture(executed):
    widget, picture = executed[0].outputs
    assert widget.data["application/vnd.jupyter.widget-view+json"]["model_id"]
    assert len(widget.data["text/plain"]) < 200
    assert set(picture.data) == {"text/html", "text/plain"}
    html = picture.data["text/html"]
    (steps,) = outputs(executed, "let it be drawn")[0]
    assert f"after {int(steps):,} steps" in html
    assert html.count("<svg") == 1
    assert "<script" not in html
