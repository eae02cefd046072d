"""train(live=True) in a real kernel: one picture, in its place, and the training as it would be without."""

from __future__ import annotations

import nbformat
import numpy as np
import pytest
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpecManager
from nbclient import NotebookClient

from nineline import Network

CELLS = [
    """
import numpy as np
from nineline import Network

def trained(network, X, y, **options):
    options = {"epochs": 300, "batch_size": 10, "loss": "squared_error", "optimizer": "adam", "rng": 0} | options
    return network.train(X, y, progress=False, **options)

x = np.linspace(-1, 1, 60).reshape(-1, 1)
one = Network(1, 8, 1, activation="tanh", output="identity", bias=True, rng=0)
history = trained(one, x, x**2, live=True)
""",
    """
plain = Network(1, 8, 1, activation="tanh", output="identity", bias=True, rng=0)
trained(plain, x, x**2)
assert (plain.parameters == one.parameters).all()
""",
    """
points = np.random.default_rng(0).normal(size=(90, 2))
three = Network(2, 8, 3, activation="tanh", output="softmax", bias=True, rng=0)
trained(three, points, (points[:, 0] > 0) + 1 * (points[:, 1] > 0), loss="cross_entropy", live=True, validation=0.2)
wide = Network(20, 8, 1, bias=True, rng=0)
trained(wide, np.ones((5, 20)), np.ones((5, 1)), live=True);
""",
    """
import signal

def stop(epoch):
    if epoch.number == 20:
        signal.raise_signal(signal.SIGINT)  # as the kernel's stop button does

kept = trained(Network(2, 4, 1, rng=0), points, points[:, :1] > 0, live=True, on_epoch=stop, epochs=10**6)
print(kept.stopped, kept.epochs < 10**6)
""",
]


class OwnKernel(AsyncKernelManager):
    """A kernel of the interpreter that runs the tests."""

    def __init__(self, **options):
        super().__init__(kernel_spec_manager=KernelSpecManager(kernel_dirs=[]), **options)


@pytest.fixture(scope="module")
def notebook():
    cells = [nbformat.v4.new_code_cell(text) for text in CELLS]
    written = nbformat.v4.new_notebook(cells=cells)
    NotebookClient(written, kernel_name="python3", kernel_manager_class=OwnKernel, timeout=120).execute()
    return written


def pages(cell):
    return [output.data["text/html"] for output in cell.outputs if output.output_type == "display_data"]


def test_there_is_one_picture_and_it_is_the_last(notebook):
    (page,) = pages(notebook.cells[0])
    assert "epoch 300 of 300" in page
    assert page.count("<svg") == 2  # the curve, and the function over the data
    assert "<script" not in page


def test_a_plane_and_what_has_none(notebook):
    plane, alone = pages(notebook.cells[2])
    assert plane.count("<svg") == 2
    assert "validation" in plane
    assert alone.count("<svg") == 1


def test_the_stop_button_ends_it_and_the_picture_stays(notebook):
    cell = notebook.cells[3]
    said = "".join(output.text for output in cell.outputs if output.output_type == "stream")
    assert "True" in said
    assert "interrupted" in said.lower() or "ctrl" in said.lower()
    (page,) = pages(cell)
    assert "<svg" in page


def test_elsewhere_it_is_refused():
    network = Network(2, 1, rng=0)
    before = network.parameters.copy()
    with pytest.raises(ValueError, match="live is True, and this is no notebook; in a terminal progress=True"):
        network.train([[0, 1]], [[1]], epochs=1, live=True)
    with pytest.raises(TypeError, match="live"):
        network.train([[0, 1]], [[1]], epochs=1, live="yes")
    np.testing.assert_array_equal(network.parameters, before)
