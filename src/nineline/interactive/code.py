"""A run as Python code that comes to the same weights."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import numpy as np

from nineline.interactive.building import make_network
from nineline.interactive.run import Edit
from nineline.interactive.settings import DEFAULT_INITIALIZER, SUM_OF_SQUARES, Settings

if TYPE_CHECKING:
    from nineline.interactive.run import Run

_NAMES: Final = (
    "LBFGS",
    "Adam",
    "AdamW",
    "Dropout",
    "GradientDescent",
    "Layer",
    "LevenbergMarquardt",
    "Network",
    "Networks",
    "RMSprop",
    "Trainer",
    "datasets",
)
_OPTIMIZERS: Final = {
    "gradient_descent": "GradientDescent({rate})",
    "momentum": "GradientDescent({rate}, momentum=0.9)",
    "nesterov": "GradientDescent({rate}, momentum=0.9, nesterov=True)",
    "rmsprop": "RMSprop({rate})",
    "adam": "Adam({rate})",
    "adamw": "AdamW({rate})",
    "lbfgs": "LBFGS()",
    "levenberg_marquardt": "LevenbergMarquardt()",
}


def to_code(run: Run) -> str:
    """Return Python code that does what was done up to where the run stands, and ends with the same weights.

    Parameters
    ----------
    run : Run
        It is left as it was.
    """
    body = "\n".join(_Writer(run).write())
    names = [name for name in _NAMES if re.search(rf"\b{name}\b[(.]", body)]
    own = [line for line in run.data.code if line.startswith("from nineline.")]
    own.append("from nineline.interactive.building import batches")
    own += ["from nineline.losses import SquaredError"] * ("SquaredError(" in body)
    return (
        f'"""A session of the playground, {run.step:,} steps: it ends with the same weights."""\n\n'
        "from itertools import islice\n\nimport numpy as np\n\n"
        f"from nineline import {', '.join(names)}\n" + "\n".join(sorted(own)) + f"\n\n{body}\n"
    )


class _Writer:
    """Writes what was done, step by step."""

    def __init__(self, run: Run) -> None:
        self.run, self.data = run, run.data
        self.lines: list[str] = []
        self.settings = run.first
        self.network = make_network(run.first, run.data, run.given if run.first.start is None else None)
        self.step = 0

    def write(self) -> list[str]:
        run = self.run
        data = [line for line in run.data.code if not line.startswith("from ")]
        while data and not data[0]:
            data.pop(0)
        self.lines += [*data, "", *self._network(), f"rng = np.random.default_rng({self._seed})"]
        self.lines += [*self._trainer("rng"), self._feed(), "", "", *self._train(), ""]
        for change in run.changes[: run.made]:
            self._go_on(change.step)
            if isinstance(change.what, Edit):
                self._edit(change.what)
            else:
                self._change(change.what)
        self._go_on(run.step)
        self.lines.append("print(network)")
        return self.lines

    @property
    def _seed(self) -> int:
        return self.run.first.seed

    def _layers(self) -> list[str]:
        settings, width = self.settings, self.data.inputs.shape[1]
        how = ", bias=True" if settings.bias else ""
        if settings.initializer != DEFAULT_INITIALIZER:
            how += f', initializer="{settings.initializer}"'
        lines = []
        for hidden in settings.layers:
            lines.append(f'    Layer({width}, {hidden.nodes}, "{hidden.activation}"{how}),')
            if hidden.dropout:
                lines.append(f"    Dropout({hidden.dropout!r}),")
            width = hidden.nodes
        return [*lines, f'    Layer({width}, {self.data.targets.shape[1]}, "{settings.output}"{how}),']

    def _network(self) -> list[str]:
        start = self.settings.start
        if start is None:
            numbers = ", ".join(map(repr, np.asarray(self.run.given).tolist()))
            return ["network = Network(", *self._layers(), ")", f"network.parameters = [{numbers}]"]
        if start:
            return [
                f"network = Networks(  # of those that the seed draws, number {start}",
                f"    {start + 1},",
                *self._layers(),
                f"    rng={self._seed},",
                f")[{start}]",
            ]
        return ["network = Network(", *self._layers(), f"    rng={self._seed},", ")"]

    def _trainer(self, rng: object = None) -> list[str]:
        settings = self.settings
        loss = 'SquaredError(reduction="sum")' if settings.loss == SUM_OF_SQUARES else f'"{settings.loss}"'
        optimizer = _OPTIMIZERS[settings.optimizer].format(rate=repr(settings.learning_rate))
        more = "".join(f", {name}={value!r}" for name, value in (("l1", settings.l1), ("l2", settings.l2)) if value)
        drawn = self._seed if rng is None else rng
        return [f"trainer = Trainer(network, loss={loss}, optimizer={optimizer}{more}, rng={drawn})"]

    def _feed(self) -> str:
        return f"feed = batches(len(X), {self.settings.rows_a_step!r}, rng)"

    def _train(self) -> list[str]:
        return [
            "def train(steps, learning_rate):",
            "    for rows in islice(feed, steps):",
            "        trainer.step(X[rows], y[rows], learning_rate=learning_rate)",
            "",
        ]

    def _go_on(self, step: int) -> None:
        if step > self.step:
            rate = "None" if self.settings.takes_all_rows else repr(self.settings.learning_rate)
            self.lines.append(f"train({step - self.step}, {rate})")
            self.step = step

    def _edit(self, edit: Edit) -> None:
        for block in self.network.blocks:
            if block.place.start <= edit.place < block.place.stop:
                at = np.unravel_index(edit.place - block.place.start, block.shape)
                where = ", ".join(str(int(index)) for index in at)
                self.lines.append(f"network.layers[{block.layer}].{block.kind}[{where}] = {edit.value!r}")

    def _change(self, settings: Settings) -> None:
        before, self.settings = self.settings, settings
        if before.functions != settings.functions:
            self.network = make_network(settings, self.data, self.network.parameters)
            self.lines += ["", "before = network", "network = Network(", *self._layers(), ")"]
            self.lines += ["network.parameters = before.parameters", *self._trainer()]
        elif before.rule != settings.rule:
            self.lines += ["", *self._trainer()]
        if before.rows_a_step != settings.rows_a_step:
            self.lines.append(self._feed())
