"""Explanations: what each column of one row adds to its answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

from nineline import _checks
from nineline.ensemble import Ensemble
from nineline.layers import Embedding
from nineline.layers.contract import compute_chain

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from nineline._typing import Array
    from nineline.estimators.tabular.background import Background
    from nineline.network import Network
    from nineline.rows import Compact

    Numbers = npt.NDArray[np.float64]

_POINTS: Final = 16  # in a stretch
_STRETCHES: Final = 4
_STRETCHES_AT_MOST: Final = 256
_CLOSE: Final = 1e-4
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
        The answer to the baseline, the mean of the inputs of many rows; and to the row. Of classes both are
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


def explain(model: Any, row: Compact, background: Background, output: int, values: list[str], of: str) -> Explanation:
    """Explain the answer of a fitted model of a table to one row, by integrated gradients.

    On the straight way from the baseline b to the row x, both as the network sees them behind its embedding, each input
    moves the answer by the integral of ``(x - b) * gradient``, and a column by the sum over its inputs. The way is cut
    into stretches of equal length, 16 points of Gauss and Legendre in each: 4 stretches, and twice as many again until
    the columns together move the answer by what lies between its ends, to 1e-4 of what they move it by, or there are
    256. What is left then is shared out by their size, so that it is the whole way.

    Parameters
    ----------
    model : TabularClassifier or TabularRegressor
    row : Compact
        One row.
    background : Background
        The rows whose mean is the baseline.
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
    ways = _Ways.of(model, row, background, output)
    baseline, answer = ways.ends()
    stretches = _STRETCHES
    contributions = ways.integrated(stretches)
    while _missed(contributions, answer - baseline) > _CLOSE and stretches < _STRETCHES_AT_MOST:
        stretches *= 2
        contributions = ways.integrated(stretches)
    sizes = np.abs(contributions)
    if sizes.sum() > 0:
        contributions = contributions + (answer - baseline - contributions.sum()) * sizes / sizes.sum()
    return Explanation([column.name for column in model.columns_.used], values, contributions, baseline, answer, of)


def _missed(contributions: Numbers, way: float) -> float:
    """Return how far a sum is from the whole way, as a share of the sizes of its parts."""
    whole = np.abs(contributions).sum()
    return float(abs(way - contributions.sum()) / whole) if whole > 0 else 0.0


@dataclass(frozen=True, eq=False)
class _Ways:
    """The straight way from the baseline to a row, as each network of a model sees it behind its embedding.

    Attributes
    ----------
    model : TabularClassifier or TabularRegressor
    networks : sequence of Network
    weights : array or None
        What each network counts.
    start, end : list of array, (width,) each
    output : int
    """

    model: Any
    networks: Sequence[Network]
    weights: Numbers | None
    start: list[Numbers]
    end: list[Array]
    output: int

    @classmethod
    def of(cls, model: Any, row: Compact, background: Background, output: int) -> Self:
        """Return the ways of all networks of a model."""
        answering = model.network_
        single = not isinstance(answering, Ensemble)
        networks, weights = ((answering,), None) if single else (answering.networks, answering.weights)
        starts = [background.behind(network) for network in networks]
        return cls(model, networks, weights, starts, [_embedded(network, row)[0] for network in networks], output)

    def ends(self) -> tuple[float, float]:
        """Return the answers to the baseline and to the row."""
        baseline, answer = _answer(self.model, self._outputs(np.array([[0.0], [1.0]])), self.output).tolist()
        return baseline, answer

    def integrated(self, stretches: int) -> Numbers:
        """Return what the inputs of each column move the answer by, (columns,), summed up over so many stretches."""
        points, counts = np.polynomial.legendre.leggauss(_POINTS)
        places = ((np.arange(stretches)[:, np.newaxis] + (points + 1) / 2) / stretches).reshape(-1, 1)
        moves = []
        for network, start, end in zip(self.networks, self.start, self.end, strict=True):
            which = min(self.output, network.n_outputs - 1)
            _, gradients = _answers(network, start + places * (end - start), which)
            moves.append(_of_columns(self.model, network, gradients * (end - start)))
        slopes = _slopes(self.model, self._outputs(np.linspace(0, 1, stretches + 1)[:, np.newaxis]), self.output)
        moved: Numbers = np.outer(slopes, counts / 2 / stretches).ravel() @ self._mean(moves)
        return moved

    def _outputs(self, places: Numbers) -> Numbers:
        """Return the mean outputs at some places of the way, (places, outputs)."""
        ways = zip(self.networks, self.start, self.end, strict=True)
        return self._mean([_answers(network, start + places * (end - start))[0] for network, start, end in ways])

    def _mean(self, of_networks: list[Array]) -> Numbers:
        mean: Numbers = np.average(of_networks, axis=0, weights=self.weights)
        return mean


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
    """Return how fast the answer moves with the output that it is made of, from each of some to the next, (rows - 1,).

    Where an answer comes to the end of its range in between, that is the mean of both slopes. Of a softmax,
    probabilities, each output is an answer.
    """
    if model.target_.activation == "softmax":
        return np.ones(len(outputs) - 1)
    middles = (outputs[1:] + outputs[:-1]) / 2
    own = outputs[:, [min(output, outputs.shape[1] - 1)]]
    half = np.maximum(np.abs(np.diff(own, axis=0)), _LITTLE) / 2
    moved = _answer(model, middles + half, output) - _answer(model, middles - half, output)
    return moved / (2 * half[:, 0])
