"""MLPRegressor: scikit-learn's, faster, and with what it leaves out."""

from __future__ import annotations

from numbers import Real
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

import numpy as np
from sklearn.base import RegressorMixin, _fit_context
from sklearn.metrics import r2_score
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from nineline import _checks
from nineline.activations import Activation, Exponential, Identity
from nineline.estimators.mlp.base import BaseMLP, columns, one_column
from nineline.losses import AbsoluteError, Huber, Loss, Poisson, Quantile, SquaredError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from nineline._typing import Array

_ANY_TARGET: Final = ("squared_error", "absolute_error", "huber", "quantile")
"""The losses for which any number is a target."""
_LOSSES: Final = (*_ANY_TARGET, "poisson")


class MLPRegressor(RegressorMixin, BaseMLP):
    """A multi-layer perceptron that predicts numbers: a drop-in for scikit-learn's `MLPRegressor`.

    Parameters, attributes and errors are those of `MLPClassifier`, without `class_weight` and `classes_`, and with
    these. Scale the inputs and the target (`StandardScaler`, `TransformedTargetRegressor`).

    Parameters
    ----------
    loss : str or Loss
        "squared_error"; "poisson" (for counts and rates, 0 or more; the output is an exponential); and more than
        scikit-learn has: "absolute_error", "huber", "quantile", or an object of `nineline.losses`.
    huber_delta : float
        Where "huber" goes from the square to the line.
    quantile : float
        In (0, 1): which one "quantile" predicts.
    scoring : str, callable or None
        As for the classifier; None is R².

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.preprocessing import scale
    >>> from nineline.estimators import MLPRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = MLPRegressor(max_iter=1000, random_state=0).fit(scale(X), scale(y))
    >>> model.score(scale(X), scale(y)) > 0.5
    True

    References
    ----------
    scikit-learn 1.9, `sklearn.neural_network.MLPRegressor`, for the parameters and their meaning.
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseMLP._parameter_constraints,
        "loss": [StrOptions(set(_LOSSES)), Loss],
        "huber_delta": [Interval(Real, 0, None, closed="neither")],
        "quantile": [Interval(Real, 0, 1, closed="neither")],
    }
    _y_checks: ClassVar[dict[str, Any]] = {"y_numeric": True}

    def __init__(
        self,
        loss: str | Loss = "squared_error",
        hidden_layer_sizes: int | Sequence[int] = (100,),
        activation: str | Activation | Sequence[str | Activation] = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: int | np.random.RandomState | None = None,
        tol: float = 1e-4,
        verbose: bool = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        dropout: float | Sequence[float] = 0.0,
        huber_delta: float = 1.0,
        quantile: float = 0.5,
        scoring: Any = None,
        keep_optimizer: bool = False,
        engine: str = "auto",
        threads: int | None = None,
    ) -> None:
        self.loss = loss
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun
        self.dropout = dropout
        self.huber_delta = huber_delta
        self.quantile = quantile
        self.scoring = scoring
        self.keep_optimizer = keep_optimizer
        self.engine = engine
        self.threads = threads

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: npt.ArrayLike | None = None, *, validation: Any = None) -> Self:
        """Train the network; see `MLPClassifier.fit`. `y` is numbers, (rows,) or (rows, outputs)."""
        return self._fit(X, y, sample_weight, validation, incremental=False)

    @available_if(lambda self: self._check_solver())
    def partial_fit(
        self, X: Any, y: Any, sample_weight: npt.ArrayLike | None = None, *, validation: Any = None
    ) -> Self:
        """Train one epoch on these rows, going on where the last call stopped; see `MLPClassifier.partial_fit`."""
        if sample_weight is None and validation is None and self._quick_partial_fit(X, y):
            return self
        return self._partial_fit(X, y, sample_weight, validation)

    @_fit_context(prefer_skip_nested_validation=True)
    def _partial_fit(self, X: Any, y: Any, sample_weight: Any, validation: Any) -> Self:
        return self._fit(X, y, sample_weight, validation, incremental=True)

    def _quick_targets(self, y: npt.NDArray[Any]) -> npt.NDArray[Any] | None:
        if y.dtype.kind != "f" or self.n_outputs_ != 1 or self.loss not in _ANY_TARGET:
            return None
        targets = np.ascontiguousarray(y, self._layered.network.dtype).reshape(-1, 1)
        return targets if _checks.is_finite(targets) else None

    def _check_targets(self, y: Any, *, incremental: bool) -> tuple[npt.NDArray[Any], npt.NDArray[Any] | None]:
        return columns(one_column(y)), None

    def _check_held_targets(self, y: Any) -> npt.NDArray[Any]:
        return columns(one_column(y))

    def _labels_of(self, targets: npt.NDArray[Any]) -> Any:
        return targets.ravel() if targets.shape[1] == 1 else targets

    def _output(self) -> tuple[str, Activation, Loss]:
        losses = {
            "squared_error": SquaredError(),
            "poisson": Poisson(),
            "absolute_error": AbsoluteError(),
            "huber": Huber(delta=self.huber_delta),
            "quantile": Quantile(level=self.quantile),
        }
        loss = self.loss if isinstance(self.loss, Loss) else losses[self.loss]
        if loss.reduction != "mean":
            raise ValueError(f"loss is {loss!r}; expected one with reduction='mean'")
        return ("exp", Exponential(), loss) if isinstance(loss, Poisson) else ("identity", Identity(), loss)

    def _row_weights(self, y: Any, sample_weight: Array | None, *, incremental: bool) -> Array | None:
        return sample_weight

    def _plain_score(self, y: Any, predicted: Any, sample_weight: Array | None) -> float:
        return float(r2_score(y, predicted, sample_weight=sample_weight))

    def _predict_outputs(self, outputs: Array) -> Any:
        return outputs.ravel() if outputs.shape[1] == 1 else outputs

    def input_gradient(self, X: Any, output: int | None = None) -> Array:
        """Return how the predictions change with the inputs: ``d predict(X)[r, k] / d X[r, j]``.

        Parameters
        ----------
        X : array_like or sparse matrix, (rows, features)
        output : int, optional
            The place of one output.

        Returns
        -------
        array, (rows, outputs, features)
            Or (rows, features), where `output` is given.
        """
        check_is_fitted(self)
        units = range(self.n_outputs_)
        if output is not None:
            place = self._one_output(output, self.n_outputs_)
            units = range(place, place + 1)
        gradients = self._output_gradients(X, units)
        return gradients if output is None else gradients[:, 0]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
