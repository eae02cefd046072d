"""LayerStatistics: what goes through each layer while a network trains, and which nodes have stopped to learn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from nineline.activations import Relu, Sigmoid, Tanh
from nineline.layers import Layer
from nineline.rows import sampled
from nineline.training.trainer import Trainer

if TYPE_CHECKING:
    import numpy.typing as npt

    from nineline._typing import Array
    from nineline.losses import Loss
    from nineline.network import Network
    from nineline.training.epoch import Epoch

    Numbers = npt.NDArray[np.float64]

QUANTILES: Final = (0.05, 0.25, 0.5, 0.75, 0.95)
_NEAR: Final = 0.02  # of its range, to a bound
_MOSTLY: Final = 0.9  # of the rows
_RECORDS: Final = 128
_ROWS: Final = 2000
_RANGES: Final = {Sigmoid: (0.0, 1.0), Tanh: (-1.0, 1.0)}


class LayerStatistics:
    """Takes note of the outputs and gradients of each dense layer, epoch by epoch; `Network.train` calls it.

    Parameters
    ----------
    inputs, targets
        The rows that are looked at, as `Network.train` takes them; of more than 2,000, so many drawn at random.
    loss : str or Loss, optional
        Whose gradient it is, as in `Network.train`.

    Attributes
    ----------
    layers : list of int
        The numbers of the dense layers; those inside of others are not looked at.
    epochs : list of int
        Which were noted. They are at most 128: past that every second one is dropped, and from then on every second
        one skipped.
    outputs : array, (epochs, layers, 5)
        The quantiles 0.05, 0.25, 0.5, 0.75, 0.95 of all finite outputs of a layer; NaN where none is.
    gradients : array, (epochs, layers)
        Root mean square of the gradient by the layer's weights; NaN where that is beyond the range of numbers.
    dead, saturated : array, (epochs, layers)
        The share of a layer's nodes that are; see `dead_and_saturated`.

    Examples
    --------
    >>> import numpy as np
    >>> from nineline import LayerStatistics, Network
    >>> x = np.linspace(-1, 1, 50).reshape(-1, 1)
    >>> network = Network(1, 8, 1, activation="tanh", output="identity", bias=True, rng=0)
    >>> statistics = LayerStatistics(x, x**2, loss="squared_error")
    >>> history = network.train(x, x**2, epochs=20, loss="squared_error", optimizer="adam", on_epoch=statistics)
    >>> statistics.gradients.shape, statistics.epochs[-1]
    ((20, 2), 20)
    """

    def __init__(self, inputs: Any, targets: npt.ArrayLike, *, loss: str | Loss | None = None) -> None:
        self.inputs, self.targets, self.loss = inputs, targets, loss
        self.layers: list[int] = []
        self.epochs: list[int] = []
        self._records: list[tuple[Numbers, Numbers, Numbers, Numbers]] = []
        self._every = 1

    def __call__(self, epoch: Epoch) -> None:
        """Take note of an epoch; with the first one of another training everything begins anew."""
        if self.epochs and epoch.number <= self.epochs[-1]:
            self.epochs, self._records, self._every = [], [], 1
        if epoch.number % self._every:
            return
        self.note(epoch.number, epoch.network)
        if len(self.epochs) >= _RECORDS:
            kept = slice(1, None, 2)  # the even ones, which are those to come
            self.epochs, self._records = self.epochs[kept], self._records[kept]
            self._every *= 2

    def note(self, number: int, network: Network) -> None:
        """Take note of a network as it is now, after so many epochs or steps. It is left as it was."""
        looked_at = network.copy()
        trainer = Trainer(looked_at, loss=self.loss, rng=0)
        rows = trainer.check(self.inputs, self.targets)
        if len(rows) > _ROWS:
            self.inputs, self.targets = some_rows(self.inputs, self.targets, len(rows), _ROWS)
            rows = trainer.check(self.inputs, self.targets)
        outputs = dense_outputs(looked_at, rows.inputs)
        self.layers = list(outputs)
        with np.errstate(over="ignore", invalid="ignore"):
            _, gradient = trainer.gradient(self.inputs, self.targets)
            sizes = [_size(gradient, looked_at, layer) for layer in self.layers]
        shares = [_stuck(looked_at.layers[layer], each) for layer, each in outputs.items()]
        self.epochs.append(number)
        self._records.append(
            (
                np.array([_quantiles(each) for each in outputs.values()]),
                np.array(sizes),
                np.array([dead for dead, _ in shares]),
                np.array([saturated for _, saturated in shares]),
            )
        )

    @property
    def outputs(self) -> Numbers:
        return self._table(0)

    @property
    def gradients(self) -> Numbers:
        return self._table(1)

    @property
    def dead(self) -> Numbers:
        return self._table(2)

    @property
    def saturated(self) -> Numbers:
        return self._table(3)

    def _table(self, which: int) -> Numbers:
        return np.array([record[which] for record in self._records])

    def plot(self, **options: Any) -> Any:
        """Draw them; see `nineline.view.plot_statistics` (needs the extra ``plot``)."""
        from nineline.view.layer_statistics import plot_statistics

        return plot_statistics(self, **options)

    def __repr__(self) -> str:
        if not self.epochs:
            return "LayerStatistics: nothing noted yet; train(..., on_epoch=statistics)"
        lines = [f"LayerStatistics: {len(self.epochs)} epochs noted, up to {self.epochs[-1]:,}"]
        for place, layer in enumerate(self.layers):
            low, _, middle, _, high = self.outputs[-1, place]
            lines.append(
                f"  layer {layer}  outputs {low:.3g} … {middle:.3g} … {high:.3g}, gradient "
                f"{self.gradients[-1, place]:.3g}, dead {self.dead[-1, place]:.0%}, saturated "
                f"{self.saturated[-1, place]:.0%}"
            )
        return "\n".join(lines)


def some_rows(inputs: Any, targets: npt.ArrayLike, rows: int, most: int) -> tuple[Any, Any]:
    """Return so many of some rows, dense or SciPy's, that were checked: drawn at random, the same each time."""
    kept = sampled(rows, most)
    some = inputs.tocsr()[kept] if hasattr(inputs, "tocsr") else np.asarray(inputs)[kept]
    return some, np.asarray(targets)[kept]


def dead_and_saturated(network: Network, inputs: Any) -> dict[int, tuple[float, float]]:
    """Return of each dense layer, by its number, which shares of its nodes are dead and saturated.

    A node of relus is dead when it answers 0 to every row: nothing leads back through it. A node of sigmoids or tanhs
    is saturated when its answer lies within 2 % of its range to a bound, in nine of ten rows: little does. Nodes with
    other activations are neither.

    Parameters
    ----------
    network : Network
        It is left as it was.
    inputs : array_like, (rows, n_inputs)

    Returns
    -------
    dict of int to (float, float)
        In [0, 1] each.

    Raises
    ------
    ValueError
        The rows do not fit the network.

    Examples
    --------
    >>> from nineline import Layer, Network
    >>> from nineline.training.layer_statistics import dead_and_saturated
    >>> network = Network(Layer.of([[-1.0, 1.0]], activation="relu"), Layer.of([[50.0], [50.0]]))
    >>> dead_and_saturated(network, [[1.0], [2.0]])
    {0: (0.5, 0.0), 1: (0.0, 1.0)}
    """
    rows = network.check_inputs("inputs", inputs)
    return {number: _stuck(network.layers[number], each) for number, each in dense_outputs(network, rows).items()}


def dense_outputs(network: Network, rows: Any) -> dict[int, Array]:
    """Return the outputs of each dense layer, by its number; nothing is dropped."""
    found, outputs = {}, rows if isinstance(rows, np.ndarray) else rows.dense()
    with np.errstate(over="ignore", invalid="ignore"):
        for number, layer in enumerate(network.layers):
            outputs, _ = layer.compute(outputs)
            if isinstance(layer, Layer):
                found[number] = outputs
    return found


def _quantiles(outputs: Array) -> Numbers:
    """Return the quantiles of outputs, as far as they are finite."""
    finite = outputs[np.isfinite(outputs)]
    found: Numbers = np.quantile(finite, QUANTILES) if len(finite) else np.full(len(QUANTILES), np.nan)
    return found


def _size(gradient: Array, network: Network, layer: int) -> float:
    weights = network.views(gradient, layer)["weights"].astype(np.float64)
    size = float(np.sqrt(np.mean(weights**2)))
    return size if np.isfinite(size) else float("nan")


def _stuck(layer: Any, outputs: Array) -> tuple[float, float]:
    """Return the shares of a layer's nodes that are dead, and that are saturated."""
    kind = type(layer.activation)
    if kind is Relu:
        return float((outputs == 0).all(axis=0).mean()), 0.0
    if kind not in _RANGES:
        return 0.0, 0.0
    low, high = _RANGES[kind]
    room = _NEAR * (high - low)
    near = (outputs < low + room) | (outputs > high - room)
    return 0.0, float((near.mean(axis=0) >= _MOSTLY).mean())
