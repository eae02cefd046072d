"""Explanations: what each column of one row adds to its answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from nineline import _checks
from nineline.ensemble import Ensemble
from nineline.layers import Embedding
from nineline.layers.contract import compute_chain

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from nineline._typing import Array
    from nineline.network import Network
    from nineline.rows import Compact

    Numbers = npt.NDArray[np.float64]

STEPS: Final = 64
_LITTLE: Final = 1e-6
_CHARACTERS: Final = 60


@dataclass(frozen=True, repr=False)
class Explanation:
    """What each column of one row adds to its answer: ``baseline + sum(contributions) = answer``.

    Attributes
    ----------
    names : list of str
        Of the columns in use.
    values : list of str
        What the row has in each.
    contributions : array, (columns,)
        In the units of the answer.
    baseline, answer : float
        The answer to the baseline, the mean of the inputs of some rows; and to the row. Of classes both are
        probabilities.
    of : str
        What the answer is: the target, or the class.
    """

    names: list[str]
    values: list[str]
    contributions: Numbers
    baseline: float
    answer: float
    of: str

    def plot(self, **options: Any) -> Any:
        """Draw it; see `nineline.estimators.plots.plot_explanation` (needs the extra ``plot``)."""
        from nineline.estimators.plots import plot_explanation

        return plot_explanation(self, **options)

    def __repr__(self) -> str:
        of, *names = (_checks.printable(text, _CHARACTERS) for text in (self.of, *self.names))
        lines = [f"{of}: {self.answer:.5g}, where the mean row has {self.baseline:.5g}"]
        order = np.argsort(-np.abs(self.contributions), kind="stable")
        width = max(map(len, names))
        for i in order:
            value = _checks.printable(self.values[i], _CHARACTERS)
            lines.append(f"  {names[i]:<{width}}  {self.contributions[i]:+.4g}  ({value})")
        return "\n".join(lines)


def explain(
    model: Any,
    row: Compact,
    background: Sequence[Compact],
    weights: Numbers | None,
    output: int,
    values: list[str],
    of: str,
) -> Explanation:
    """Explain the answer of a fitted model of a table to one row, by integrated gradients.

    On the straight way from the baseline b to the row x, both as the network sees them behind its embedding, each input
    moves the answer by ``(x - b) * gradient``; what a column's inputs move it by is added up over the middles of 64
    stretches. What stretches of finite length, and an answer at the end of its range, leave between their sum and the
    way is shared out by their size, so that it is the whole way.

    Parameters
    ----------
    model : TabularClassifier or TabularRegressor
    row : Compact
        One row.
    background : sequence of Compact
        Rows whose mean is the baseline.
    weights : array, (rows,), or None
        What each of them counts.
    output : int
        Which of the answers, of classes, labels or several numbers; 0 of a number.
    values : list of str
        What the row has in each column.
    of : str
        What the answer is.

    References
    ----------
    Sundararajan, Taly, Yan (2017), Axiomatic attribution for deep networks, ICML.
    """
    networks = model.network_.networks if isinstance(model.network_, Ensemble) else (model.network_,)
    places = ((np.arange(STEPS) + 0.5) / STEPS)[:, np.newaxis]
    ends, middles, moves = [], [], []
    for network in networks:
        start = np.average(np.concatenate([_embedded(network, rows) for rows in background]), axis=0, weights=weights)
        end = _embedded(network, row)[0]
        ends.append(_answers(network, np.stack([start, end]))[0])
        outputs, gradients = _answers(network, start + places * (end - start), min(output, network.n_outputs - 1))
        middles.append(outputs)
        moves.append(_of_columns(model, network, gradients * (end - start)))
    slopes = _slopes(model, np.mean(middles, axis=0), output)
    contributions: Numbers = slopes @ np.mean(moves, axis=0) / STEPS
    baseline, answer = _answer(model, np.mean(ends, axis=0), output).tolist()
    sizes = np.abs(contributions)
    if sizes.sum() > 0:
        contributions = contributions + (answer - baseline - contributions.sum()) * sizes / sizes.sum()
    return Explanation([column.name for column in model.columns_.used], values, contributions, baseline, answer, of)


def _embedded(network: Network, rows: Compact) -> Array:
    """Return rows as the network sees them behind its embedding, (rows, width)."""
    inputs = rows.astype(network.dtype).dense()
    first = network.layers[0]
    return first.compute(inputs)[0] if isinstance(first, Embedding) else inputs


def _answers(network: Network, inputs: Array, output: int | None = None) -> tuple[Array, Array]:
    """Return the outputs for what lies behind the embedding, and the gradient of one of them by it."""
    layers = [layer for layer in network.layers if not isinstance(layer, Embedding)]
    outputs, seen = compute_chain(layers, inputs)
    carried = np.zeros_like(outputs)
    if output is not None:
        carried[:, output] = 1
        for layer, saw in zip(reversed(layers), reversed(seen), strict=True):
            carried, _ = layer.backprop(saw, carried)
    return outputs, carried


def _of_columns(model: Any, network: Network, moves: Array) -> Array:
    """Return what the inputs of each column together move an output by, (rows, columns)."""
    first = network.layers[0]
    widths = [column.width for column in model.columns_.used]
    if isinstance(first, Embedding):  # whose columns come first, as vectors
        widths[: len(first.widths)] = first.widths
    starts = np.concatenate([[0], np.cumsum(widths)[:-1]])
    return np.add.reduceat(moves, starts, axis=1)


def _answer(model: Any, outputs: Array, output: int) -> Numbers:
    answers: Numbers = model.target_.answers(outputs)
    return answers[:, output] if answers.ndim == 2 else answers


def _slopes(model: Any, outputs: Array, output: int) -> Numbers:
    """Return how fast the answer moves with the output that it is made of, (rows,): by a little up and down.

    Of a softmax, probabilities, each output is an answer.
    """
    if model.target_.activation == "softmax":
        return np.ones(len(outputs))
    return (_answer(model, outputs + _LITTLE, output) - _answer(model, outputs - _LITTLE, output)) / (2 * _LITTLE)
