"""Losses: a value and its gradient, side by side.

A loss says how far outputs are from targets, one number per row, and which way it grows. The loss of a
batch is the mean over its rows (weighted by `sample_weight` where there is one), or their sum with
``reduction="sum"``, which is the tutorial's. To add one, write a class here and enter it in `LOSSES`.

Where an activation and a loss belong together (sigmoid and binary cross-entropy, softmax and
cross-entropy, exponential and poisson) the two derivatives are joined in closed form, ``outputs - targets``,
and the value is taken from the weighted sums ``z``: no logarithm of a rounded 0 and no quotient of small
numbers ever appears.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final, cast, final

import numpy as np

from nineline import _checks
from nineline._value import Value
from nineline.activations import Activation, Exponential, Sigmoid, Softmax, Softplus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nineline._typing import Array


@dataclass(eq=False, repr=False, kw_only=True)
class Loss(Value, ABC):
    """A distance between outputs and targets. Subclass it to make your own.

    Parameters
    ----------
    reduction : {"mean", "sum"}
        Over the rows of a batch. With `sample_weight` w the mean is ``sum(w * loss) / sum(w)``, the sum
        ``sum(w * loss)``: a row of weight 2 counts as two rows.
    """

    reduction: str = "mean"

    takes_classes: ClassVar[bool] = False
    """Whether targets may be the numbers of classes, (rows,)."""

    def __post_init__(self) -> None:
        if self.reduction not in ("mean", "sum"):
            raise ValueError(f"reduction is {self.reduction!r}; expected 'mean' or 'sum'")

    @abstractmethod
    def value(self, outputs: Array, targets: Array) -> Array:
        """Return the loss of each row, summed over its outputs: (rows, outputs) twice → (rows,)."""

    @abstractmethod
    def gradient(self, outputs: Array, targets: Array) -> Array:
        """Return d loss of a row / d its outputs, (rows, outputs)."""

    def check(self, activation: Activation, targets: Array) -> None:
        """Raise ValueError where the output activation or the targets do not fit this loss."""
        self.check_output(activation)
        self.check_count(targets.shape[-1])
        self.check_targets(targets)

    def check_output(self, activation: Activation) -> None:
        """Raise ValueError where the output activation does not fit this loss."""

    def check_count(self, outputs: int) -> None:
        """Raise ValueError where a network with so many outputs does not fit this loss."""

    def check_targets(self, targets: Array) -> None:
        """Raise ValueError where targets, (rows, outputs), do not fit this loss."""

    # What training uses: the same two, seen from the weighted sums in front of the last activation.

    def value_at(self, activation: Activation, z: Array, outputs: Array, targets: Array) -> Array:
        """Return the loss of each row, from whichever of `z` and `outputs` is more exact."""
        return self.value(outputs, targets)

    def delta_at(self, activation: Activation, z: Array, outputs: Array, targets: Array) -> Array:
        """Return d loss of a row / d `z`, the delta that backpropagation starts from."""
        return activation.backward(self.gradient(outputs, targets), z, outputs)

    # What methods of second order use.

    def has_residuals(self, activation: Activation) -> bool:
        """Return whether there are `residuals` behind an output activation."""
        return False

    def residuals(self, activation: Activation, z: Array, outputs: Array, targets: Array) -> tuple[Array, Array]:
        """Return residuals c, (rows, outputs), and their derivatives R by `z`, (rows, outputs, outputs).

        ``R'c`` is the gradient of a row's loss by its weighted sums, and ``R'R`` is its Hessian there, as Gauss and
        Newton take it.
        """
        raise TypeError(f"{self!r} has no residuals behind {activation!r}")

    def row_factors(self, rows: int, sample_weight: Array | None) -> Array | float:
        """Return what each row's loss is multiplied by before they are added: ``w / sum(w)`` or ``w``."""
        if self.reduction == "sum":
            return 1.0 if sample_weight is None else sample_weight
        if sample_weight is None:
            return 1.0 / rows
        total = sample_weight.sum(axis=-1, dtype=np.float64, keepdims=True).astype(sample_weight.dtype)
        return np.divide(sample_weight, total, out=np.zeros_like(sample_weight), where=total > 0)


@final
class SquaredError(Loss):
    """Half the squared error, ``(outputs - targets)**2 / 2`` summed over outputs; gradient ``outputs - targets``.

    Examples
    --------
    >>> import numpy as np
    >>> from nineline.losses import SquaredError
    >>> SquaredError().value(np.array([[1.0, 3.0]]), np.array([[0.0, 1.0]]))
    array([2.5])
    """

    name = "squared_error"

    def value(self, outputs: Array, targets: Array) -> Array:
        return ((outputs - targets) ** 2).sum(axis=-1) / 2

    def gradient(self, outputs: Array, targets: Array) -> Array:
        return outputs - targets

    def has_residuals(self, activation: Activation) -> bool:
        return True

    def residuals(self, activation: Activation, z: Array, outputs: Array, targets: Array) -> tuple[Array, Array]:
        return outputs - targets, derivatives_by_sums(activation, z, outputs)


@final
class AbsoluteError(Loss):
    """``|outputs - targets|`` summed over outputs; it is lowest at the median. Gradient ``sign(outputs - targets)``."""

    name = "absolute_error"

    def value(self, outputs: Array, targets: Array) -> Array:
        return np.abs(outputs - targets).sum(axis=-1)

    def gradient(self, outputs: Array, targets: Array) -> Array:
        return np.sign(outputs - targets)


@final
@dataclass(eq=False, repr=False, kw_only=True)
class Huber(Loss):
    """Squared near zero, absolute far away: ``r**2 / 2`` where |r| ≤ delta, else ``delta * (|r| - delta / 2)``.

    The gradient is r clipped to [-delta, delta], with ``r = outputs - targets``.

    References
    ----------
    Huber (1964), Robust estimation of a location parameter.
    """

    name = "huber"
    delta: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_number("delta", low=0, low_open=True)

    def value(self, outputs: Array, targets: Array) -> Array:
        r = np.abs(outputs - targets)
        return np.where(r <= self.delta, r**2 / 2, self.delta * (r - self.delta / 2)).sum(axis=-1)

    def gradient(self, outputs: Array, targets: Array) -> Array:
        return np.clip(outputs - targets, -self.delta, self.delta)


@final
@dataclass(eq=False, repr=False, kw_only=True)
class Quantile(Loss):
    """The pinball loss, lowest at the `level` quantile: ``max(level * r, (level - 1) * r)``, r = targets - outputs.

    The gradient is ``-level`` where the output is below the target, ``1 - level`` where it is above.

    Parameters
    ----------
    level : float or sequence of float
        In (0, 1): one for all outputs, or one for each.

    Examples
    --------
    >>> import numpy as np
    >>> from nineline.losses import Quantile
    >>> Quantile(level=(0.25, 0.75)).gradient(np.array([[1.0, 1.0]]), np.array([[2.0, 2.0]]))
    array([[-0.25, -0.75]])

    References
    ----------
    Koenker, Bassett (1978), Regression quantiles.
    """

    name = "quantile"
    level: float | Sequence[float] = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.level, (str, bytes)) or not np.ndim(self.level):
            self.check_number("level", low=0, high=1, low_open=True, high_open=True)
            return
        levels = tuple(
            _checks.number(f"level of output {output}", level, low=0, high=1, low_open=True, high_open=True)
            for output, level in enumerate(cast("Sequence[float]", self.level))
        )
        if not levels:
            raise ValueError("level is empty; expected a number in (0, 1), or one for each output")
        vars(self)["level"] = levels

    def check_count(self, outputs: int) -> None:
        if isinstance(self.level, tuple) and len(self.level) != outputs:
            raise ValueError(
                f"level has {len(self.level)} numbers, and the network {outputs} outputs; expected one for each, "
                "or one number for all"
            )

    def value(self, outputs: Array, targets: Array) -> Array:
        r, level = targets - outputs, self._level(outputs)
        return np.maximum(level * r, (level - 1) * r).sum(axis=-1)

    def gradient(self, outputs: Array, targets: Array) -> Array:
        r, level = targets - outputs, self._level(outputs)
        return np.where(r > 0, -level, np.where(r < 0, 1 - level, 0)).astype(outputs.dtype)

    def _level(self, outputs: Array) -> Any:
        """Return the level, which does not widen float32: a number, or an array that meets outputs, (outputs,)."""
        return np.array(self.level, outputs.dtype) if isinstance(self.level, tuple) else self.level


class JoinedLoss(Loss):
    """A loss that has a closed form behind one activation: its delta there is ``outputs - targets``."""

    joins: ClassVar[type[Activation]]
    """The activation whose derivative cancels against the loss's."""

    @abstractmethod
    def joined_value(self, z: Array, targets: Array) -> Array:
        """Return the loss of each row from the weighted sums `z` in front of that activation."""

    def value_at(self, activation: Activation, z: Array, outputs: Array, targets: Array) -> Array:
        if isinstance(activation, self.joins):
            return self.joined_value(z, targets)
        return super().value_at(activation, z, outputs, targets)

    def delta_at(self, activation: Activation, z: Array, outputs: Array, targets: Array) -> Array:
        if isinstance(activation, self.joins):
            return outputs - targets
        return super().delta_at(activation, z, outputs, targets)

    @abstractmethod
    def variance(self, outputs: Array) -> Array:
        """Return the variance of targets whose means are the outputs, element by element."""

    def has_residuals(self, activation: Activation) -> bool:
        return isinstance(activation, self.joins)

    def residuals(self, activation: Activation, z: Array, outputs: Array, targets: Array) -> tuple[Array, Array]:
        """Return Pearson's residuals, ``(outputs - targets) / deviation``, and their derivatives by `z`.

        These are the square root of the Hessian by z, which is the derivative of the outputs, so nothing is left out:
        ``deviation`` of an output by its own sum, and behind a softmax ``deviation * (1 - p)`` by its own and
        ``-deviation * p`` by the others.
        """
        deviation = np.sqrt(_away_from_zero(self.variance(outputs)))
        own = np.eye(outputs.shape[1], dtype=outputs.dtype)
        moved = own - outputs[:, np.newaxis] if isinstance(activation, Softmax) else own[np.newaxis]
        return (outputs - targets) / deviation, deviation[:, :, np.newaxis] * moved

    def _check_output(self, activation: Activation, *fitting: type[Activation]) -> None:
        if not isinstance(activation, fitting):
            raise ValueError(
                f"loss {type(self).__name__} does not fit the output activation {type(activation).__name__}; "
                f"give the last layer {' or '.join(repr(kind.name) for kind in fitting)}, or choose another loss"
            )


@final
class Poisson(JoinedLoss):
    """Minus the log-likelihood of counts, up to a constant: ``outputs - targets * log(outputs)``.

    Outputs are rates, above 0 (an exponential or softplus output); targets are 0 or more. Behind an
    exponential output: ``exp(z) - targets * z`` and delta ``outputs - targets``.
    """

    name = "poisson"
    joins = Exponential

    def value(self, outputs: Array, targets: Array) -> Array:
        return (outputs - targets * np.log(_away_from_zero(outputs))).sum(axis=-1)

    def gradient(self, outputs: Array, targets: Array) -> Array:
        return 1 - targets / _away_from_zero(outputs)

    def joined_value(self, z: Array, targets: Array) -> Array:
        return (np.exp(z) - targets * z).sum(axis=-1)

    def variance(self, outputs: Array) -> Array:
        return outputs

    def check_output(self, activation: Activation) -> None:
        self._check_output(activation, Softplus, Exponential)

    def check_targets(self, targets: Array) -> None:
        if (targets < 0).any():
            raise ValueError(f"outputs has the target {targets.min():g}; the poisson loss takes counts, 0 or more")


@final
class BinaryCrossEntropy(JoinedLoss):
    """``-(t * log(p) + (1 - t) * log(1 - p))`` summed over outputs, each a yes-or-no question of its own.

    Outputs p are sigmoids, targets t are in [0, 1]. From the weighted sums: ``log(1 + exp(z)) - t * z``,
    delta ``p - t``.
    """

    name = "binary_cross_entropy"
    joins = Sigmoid

    def value(self, outputs: Array, targets: Array) -> Array:
        yes = targets * np.log(_away_from_zero(outputs))
        no = (1 - targets) * np.log(_away_from_zero(1 - outputs))
        return -(yes + no).sum(axis=-1)

    def gradient(self, outputs: Array, targets: Array) -> Array:
        return (1 - targets) / _away_from_zero(1 - outputs) - targets / _away_from_zero(outputs)

    def joined_value(self, z: Array, targets: Array) -> Array:
        return (np.logaddexp(z, 0).astype(z.dtype) - targets * z).sum(axis=-1)

    def variance(self, outputs: Array) -> Array:
        return outputs * (1 - outputs)

    def check_output(self, activation: Activation) -> None:
        self._check_output(activation, Sigmoid)

    def check_targets(self, targets: Array) -> None:
        if targets.min() < 0 or targets.max() > 1:
            worst = targets.min() if targets.min() < 0 else targets.max()
            raise ValueError(f"outputs has the target {worst:g}; binary_cross_entropy takes 0, 1 or probabilities")


@final
class CrossEntropy(JoinedLoss):
    """``-sum_j t_j * log(p_j)`` over the classes j of a row: one of several.

    Outputs p are a softmax; targets t are the numbers of classes, (rows,), from 0, or one-hot rows, or probabilities
    that sum to 1. From the weighted sums: ``log(sum_j exp(z_j)) - sum_j t_j * z_j``, delta ``p - t``.
    """

    name = "cross_entropy"
    joins = Softmax
    takes_classes = True

    def value(self, outputs: Array, targets: Array) -> Array:
        return -(targets * np.log(_away_from_zero(outputs))).sum(axis=-1)

    def gradient(self, outputs: Array, targets: Array) -> Array:
        return -targets / _away_from_zero(outputs)

    def joined_value(self, z: Array, targets: Array) -> Array:
        z = z - z.max(axis=-1, keepdims=True)
        return np.log(np.exp(z).sum(axis=-1)) - (targets * z).sum(axis=-1)

    def variance(self, outputs: Array) -> Array:
        return outputs

    def check_output(self, activation: Activation) -> None:
        self._check_output(activation, Softmax)

    def check_targets(self, targets: Array) -> None:
        sums = targets.sum(axis=1)
        if targets.min() < 0 or np.abs(sums - 1).max() > 1e-3:
            row = int(np.argmax((targets < 0).any(axis=1) | (np.abs(sums - 1) > 1e-3)))
            raise ValueError(
                f"outputs has the target row {targets[row].tolist()} (row {row}); cross_entropy takes one-hot rows "
                f"or probabilities that sum to 1, or the numbers of classes, (rows,) whole numbers from 0"
            )


@final
class OutputErrors(Loss):
    """The loss behind a chain rule: ``-sum(errors * outputs)``, where the targets are errors of the outputs.

    Its gradient is minus the errors, so that a step goes where they point: downhill, as `Layer.backward` has them. It
    is what `Trainer.step_from` descends on, and stands in no list, for no table of targets holds errors.
    """

    name = "output_errors"

    def value(self, outputs: Array, targets: Array) -> Array:
        return -(targets * outputs).sum(axis=-1)

    def gradient(self, outputs: Array, targets: Array) -> Array:
        return -targets


def derivatives_by_sums(activation: Activation, z: Array, outputs: Array) -> Array:
    """Return d outputs / d weighted sums of each row, (rows, outputs, outputs)."""
    count = outputs.shape[1]
    every = np.broadcast_to(np.eye(count, dtype=outputs.dtype), (len(outputs), count, count))
    slopes = [activation.backward(every[:, output], z, outputs) for output in range(count)]
    return np.stack(slopes, axis=1)


def _away_from_zero(x: Array) -> Array:
    return np.maximum(x, np.finfo(x.dtype).tiny)


LOSSES: Final[dict[str, type[Loss]]] = {
    kind.name: kind
    for kind in (SquaredError, AbsoluteError, Huber, Quantile, Poisson, BinaryCrossEntropy, CrossEntropy)
}
"""Every loss under its public name; given by name, it is the mean over the rows of a batch."""
