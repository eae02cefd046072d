"""Ensemble: networks that answer together, the mean of their outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np

from nineline.rows import Compact

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

    from nineline._typing import Array
    from nineline.layers import Layer
    from nineline.network import Network


class Ensemble:
    """Networks of the same inputs and outputs: ``outputs = (w_1 outputs_1 + ... + w_k outputs_k) / (w_1 + ... + w_k)``.

    Parameters
    ----------
    networks : sequence of Network
        At least one. Of classes the outputs are probabilities, and so is their mean.
    weights : array_like, (k,), optional
        What each counts, positive; by default all alike.

    Examples
    --------
    >>> from nineline import Network
    >>> from nineline.ensemble import Ensemble
    >>> ensemble = Ensemble([Network(3, 6, 1, rng=seed) for seed in range(4)])
    >>> ensemble.run([[0, 0, 1]]).shape
    (1, 1)

    References
    ----------
    Hansen, Salamon (1990), Neural network ensembles.
    """

    def __init__(self, networks: Iterable[Network], weights: npt.ArrayLike | None = None) -> None:
        self.networks = tuple(networks)
        self.weights = None if weights is None else np.asarray(weights, np.float64)
        """What each counts; None where all count alike."""
        if self.weights is not None:
            right = self.weights.shape == (len(self.networks),) and (self.weights > 0).all()
            if not right or not np.isfinite(self.weights).all():
                raise ValueError(
                    f"weights is {weights!r}; expected a positive number for each of {len(self.networks)} networks"
                )
        if not self.networks:
            raise ValueError("an ensemble needs at least one network")
        first = self.networks[0]
        for network in self.networks:
            same = (network.n_inputs, network.n_outputs, network.dtype)
            if same != (first.n_inputs, first.n_outputs, first.dtype):
                raise ValueError(f"an ensemble's networks differ: {network!r} and {first!r}")
            if network.output_layer.activation != first.output_layer.activation:
                raise ValueError(f"an ensemble's outputs differ: {network.output_layer!r} and {first.output_layer!r}")

    @property
    def n_inputs(self) -> int:
        """How many numbers a row has."""
        return self.networks[0].n_inputs

    @property
    def n_outputs(self) -> int:
        """How many numbers an answer has."""
        return self.networks[0].n_outputs

    @property
    def dtype(self) -> np.dtype[np.floating[Any]]:
        """The type of the parameters and of all arithmetic."""
        return self.networks[0].dtype

    @property
    def output_layer(self) -> Layer:
        """The last layer of the first network; the others' have the same activation."""
        return self.networks[0].output_layer

    @property
    def parameters(self) -> Array:
        """A copy of all networks' parameters, one behind the other."""
        return np.concatenate([network.parameters for network in self.networks])

    def run(self, inputs: Any) -> Array:
        """Return the mean of the networks' answers for what `Network.run` takes, (rows, n_outputs)."""
        if self.weights is not None:
            shares = (self.weights / self.weights.sum()).astype(self.dtype)
            outputs: Array = sum(
                share * network.run(inputs) for share, network in zip(shares, self.networks, strict=True)
            )
            return outputs
        if isinstance(inputs, Compact):
            return self.answer(cast("Compact", self.networks[0].check_inputs("inputs", inputs)))
        total = self.networks[0].run(inputs)
        for network in self.networks[1:]:
            total += network.run(inputs)
        return total if len(self.networks) == 1 else total / total.dtype.type(len(self.networks))

    def answer(self, given: Compact) -> Array:
        """Return the mean of the networks' answers for checked rows of a table."""
        from nineline.engines import answer_together

        total = answer_together(self.networks, given)
        total /= len(self.networks)
        return total

    def astype(self, dtype: npt.DTypeLike) -> Ensemble:
        """Return the same with parameters of another dtype."""
        return Ensemble((network.astype(dtype) for network in self.networks), self.weights)

    def __repr__(self) -> str:
        if len(self.networks) == 1:
            return repr(self.networks[0])
        return f"Ensemble of {len(self.networks)}: {self.networks[0]!r}"
