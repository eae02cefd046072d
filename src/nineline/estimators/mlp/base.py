"""What MLPClassifier and MLPRegressor share: checks, initial weights, the flow of a fit, answers."""

from __future__ import annotations

from abc import abstractmethod
from itertools import pairwise
from numbers import Real
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.metrics import check_scoring
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, column_or_1d, validate_data

from nineline import _checks
from nineline.activations import Activation, Sigmoid
from nineline.estimators.mlp import lbfgs, levenberg_marquardt, policies
from nineline.estimators.mlp.callbacks import CallbackSupportMixin, Tasks
from nineline.estimators.mlp.coefficients import Architecture, LayeredNetwork
from nineline.estimators.mlp.parameters import CONSTRAINTS, NAMED_ACTIVATIONS, STOCHASTIC
from nineline.estimators.mlp.policies import NOT_FINITE, Held
from nineline.estimators.notebook import Shown
from nineline.estimators.pickles import Pickled
from nineline.rows import Rows, Sparse
from nineline.training.history import History

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from nineline._typing import Array
    from nineline.losses import Loss
    from nineline.network import Network

_FLOATS = (np.float64, np.float32)


class BaseMLP(Shown, CallbackSupportMixin, Pickled, BaseEstimator):
    """See `MLPClassifier` and `MLPRegressor`, which have the constructors."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = CONSTRAINTS

    coefs_: list[Array]
    intercepts_: list[Array]
    history_: History
    loss_curve_: list[float]
    validation_scores_: list[float] | None
    best_loss_: float | None
    best_validation_score_: float | None
    n_outputs_: int
    out_activation_: str
    n_features_in_: int
    _layered: LayeredNetwork

    # What the two differ in

    @abstractmethod
    def _check_targets(self, y: Any, *, incremental: bool) -> tuple[npt.NDArray[Any], npt.NDArray[Any] | None]:
        """Learn or check the labels; return what the network learns, (rows, outputs), and what to stratify by."""

    @abstractmethod
    def _check_held_targets(self, y: Any) -> npt.NDArray[Any]:
        """Return the targets of validation data, (rows, outputs)."""

    @abstractmethod
    def _labels_of(self, targets: npt.NDArray[Any]) -> Any:
        """Return targets as scorers take them."""

    @abstractmethod
    def _output(self) -> tuple[str, Activation, Loss]:
        """Return the output activation, under scikit-learn's name and as an object, and the loss."""

    @abstractmethod
    def _row_weights(self, y: Any, sample_weight: Array | None, *, incremental: bool) -> Array | None:
        """Return the weights of rows, those of their classes included."""

    @abstractmethod
    def _plain_score(self, y: Any, predicted: Any, sample_weight: Array | None) -> float:
        """Return what `score` would."""

    @abstractmethod
    def _predict_outputs(self, outputs: Array) -> Any:
        """Return predictions from the network's outputs."""

    # Learning

    def _fit(self, X: Any, y: Any, sample_weight: Any, validation: Any, *, incremental: bool) -> Self:
        sizes = self._hidden_sizes()
        activations, dropout = self._activations(len(sizes)), self._dropout(len(sizes))
        self._check_settings(validation, incremental=incremental)
        first = not hasattr(self, "coefs_") or not (self.warm_start or incremental)
        given = X, y, sample_weight
        X, y = self._check_rows(X, y, reset=first)
        targets, classes = self._check_targets(y, incremental=incremental)
        weight = None if sample_weight is None else _check_sample_weight(sample_weight, X)
        weight = self._row_weights(y, weight, incremental=incremental)
        held = None if validation is None else self._check_validation(validation)

        random = check_random_state(self.random_state)
        name, output, loss = self._output()
        try:
            loss.check(output, targets)
        except ValueError as error:
            raise ValueError(f"y does not fit the loss: {error}") from None
        architecture = Architecture(sizes, activations, dropout, output)
        if first:
            self._begin(architecture, targets.shape[1], name, X.dtype, random)
        self._check_continues(sizes, targets.shape[1])
        self._hold(architecture)
        self._begin_records(first=first)
        network = self._layered.network
        learn = np.arange(X.shape[0])
        stochastic = self.solver in STOCHASTIC
        watching = self.early_stopping and stochastic
        if watching and held is None:
            learn, out = self._split(len(learn), classes, random)
            held = X[out], targets[out], None if weight is None else weight[out]
        rows = _as_rows(X, targets, weight, network.dtype)
        tasks = None if incremental else Tasks(self, *given, self.max_iter, self._as_it_stands)
        if held is not None and self.validation_scores_ is None:
            self.validation_scores_, self.best_validation_score_ = [], -np.inf
        if stochastic:
            judged = None
            if held is not None:
                judged = Held(_as_rows(*held, network.dtype), self._scorer(*held), watching)
            state = policies.prepare(self, loss, random, incremental=incremental)
            policies.fit(self, state, rows, learn, judged, random, tasks, incremental=incremental)
        else:
            method = levenberg_marquardt if self.solver == "lm" else lbfgs
            method.fit(self, rows, loss, tasks)
        if not np.isfinite(network.parameters).all():
            raise ValueError(NOT_FINITE)
        if tasks is not None:
            tasks.end()
        if incremental:
            self._remember_parameters()
        return self

    def _quick_partial_fit(self, X: Any, y: Any) -> bool:
        """Go through one epoch of plain arrays, and return whether that was possible.

        It is where a call like the last one comes again: no parameter has changed, nothing is watched, and the arrays
        are of the network's dtype and finite. Everything else goes through scikit-learn's checks, which take longer
        than a few rows do.
        """
        about = vars(self)
        state = about.get("_optimizer")
        if state is None or not _are_same(state.parameters, self._parameters_now()) or "feature_names_in_" in about:
            return False
        layered, network = self._layered, self._layered.network
        plain = type(X) is np.ndarray and X.ndim == 2 and X.dtype == network.dtype and X.flags.c_contiguous
        if not plain or X.shape[0] == 0 or X.shape[1] != network.n_inputs or not self._shows(layered):
            return False
        targets = self._quick_targets(y) if type(y) is np.ndarray and y.shape == X.shape[:1] else None
        if targets is None or state.trainer.network is not network or not _checks.is_finite(X):
            return False
        self._begin_records(first=False)
        order, random = np.arange(len(X)), None
        if type(self.random_state) is int:  # which draws the same order for as many rows
            order = state.order_of(self.random_state, len(X)) if self.shuffle else order
        else:
            random = check_random_state(self.random_state)
        policies.fit(self, state, Rows(X, targets), order, None, random, None, incremental=True)
        return True

    def _parameters_now(self) -> tuple[Any, ...]:
        about = vars(self)
        return tuple([about[name] for name in self._parameter_constraints])

    def _remember_parameters(self) -> None:
        """Take note of the parameters that a quick call may come with: nothing watched, nothing drawn, nothing said."""
        quick = self.solver in STOCHASTIC and not (self.early_stopping or self.verbose or self._dropped())
        now = self._parameters_now() if quick else ()
        self._optimizer.parameters = tuple([list(each) if isinstance(each, list) else each for each in now])

    def _dropped(self) -> bool:
        return any(self._layered.architecture.dropout)

    @abstractmethod
    def _quick_targets(self, y: npt.NDArray[Any]) -> npt.NDArray[Any] | None:
        """Return targets as the network learns them, or None where they need a closer look."""

    def _check_rows(self, X: Any, y: Any, *, reset: bool) -> tuple[Any, Any]:
        return validate_data(
            self, X, y, accept_sparse=["csr", "csc"], multi_output=True, dtype=_FLOATS, reset=reset, **self._y_checks
        )

    _y_checks: ClassVar[dict[str, Any]] = {}

    def _check_settings(self, validation: Any, *, incremental: bool) -> None:
        if self.early_stopping and incremental and validation is None:
            raise ValueError(
                "partial_fit does not support early_stopping=True without validation data: a batch of rows cannot "
                "spare some; give partial_fit(..., validation=(X, y))"
            )
        if self.solver in STOCHASTIC:
            return
        if validation is not None:
            raise ValueError(
                f"validation is given and solver is {self.solver!r}, which is not watched while it works; "
                "expected solver 'adam' or 'sgd'"
            )
        if any(self._dropout(len(self._hidden_sizes()))):
            raise ValueError(
                f"dropout is {self.dropout!r} and solver is {self.solver!r}, whose loss may not change from call to "
                "call; expected solver 'adam' or 'sgd'"
            )

    def _check_validation(self, validation: Any) -> tuple[Any, npt.NDArray[Any], Array | None]:
        if not isinstance(validation, (tuple, list)) or len(validation) not in (2, 3):
            raise ValueError(f"validation is a {type(validation).__name__}; expected (X, y) or (X, y, sample_weight)")
        try:
            X, y = self._check_rows(*validation[:2], reset=False)
            targets = self._check_held_targets(y)
            weight = _check_sample_weight(validation[2], X) if len(validation) == 3 else None
        except ValueError as error:
            raise ValueError(f"validation: {error}") from error
        return X, targets, weight

    def _hidden_sizes(self) -> tuple[int, ...]:
        sizes = self.hidden_layer_sizes
        sizes = list(sizes) if hasattr(sizes, "__iter__") else [sizes]
        if any(isinstance(size, Real) and size <= 0 for size in sizes):
            raise ValueError(f"hidden_layer_sizes must be > 0, got {sizes}.")
        return tuple(_checks.positive_integer(f"hidden_layer_sizes[{i}]", size) for i, size in enumerate(sizes))

    def _activations(self, layers: int) -> tuple[Activation, ...]:
        given = self.activation
        each = list(given) if isinstance(given, (list, tuple)) else [given] * layers
        if len(each) != layers:
            raise ValueError(f"activation has {len(each)} entries; expected one for each of {layers} hidden layer(s)")
        return tuple(_checks.resolve("activation", one, Activation, NAMED_ACTIVATIONS) for one in each)

    def _dropout(self, layers: int) -> tuple[float, ...]:
        given = self.dropout
        each = list(given) if isinstance(given, (list, tuple)) else [given] * layers
        if len(each) != layers:
            raise ValueError(f"dropout has {len(each)} entries; expected one for each of {layers} hidden layer(s)")
        return tuple(_checks.number("dropout", rate, low=0, high=1, high_open=True) for rate in each)

    def _begin(
        self, architecture: Architecture, outputs: int, name: str, dtype: npt.DTypeLike, random: np.random.RandomState
    ) -> None:
        """Draw the initial weights: the draws of scikit-learn, uniform by Glorot's rule, in its order."""
        sizes = [self.n_features_in_, *architecture.sizes, outputs]
        self.n_iter_, self.t_ = 0, 0
        self.n_layers_ = len(sizes)
        self.n_outputs_ = outputs
        self.out_activation_ = name
        self.coefs_, self.intercepts_ = [], []
        hidden = [
            *architecture.activations,
            *architecture.activations[-1:],
        ]  # the output layer goes by the last hidden one
        for number, (into, out) in enumerate(pairwise(sizes)):
            sigmoid = bool(hidden) and isinstance(hidden[number], Sigmoid)
            bound = np.sqrt((2.0 if sigmoid else 6.0) / (into + out))
            self.coefs_.append(random.uniform(-bound, bound, (into, out)).astype(dtype, copy=False))
            self.intercepts_.append(random.uniform(-bound, bound, out).astype(dtype, copy=False))

    def _begin_records(self, *, first: bool) -> None:
        if first or not hasattr(self, "history_"):
            self.history_ = History()
            self._best_parameters: Array | None = None
        if self.solver not in STOCHASTIC:
            return
        if first or not hasattr(self, "loss_curve_"):
            self.loss_curve_, self.best_loss_ = [], None
            self.validation_scores_ = self.best_validation_score_ = None
        if first or not hasattr(self, "_no_improvement_count"):
            self._no_improvement_count = 0
        if not hasattr(self, "validation_scores_"):
            self.validation_scores_ = self.best_validation_score_ = None
        if self.early_stopping:
            self.best_loss_ = None
            now = self._layered.network.parameters
            if self._best_parameters is None or self._best_parameters.size != now.size:
                self._best_parameters = now.copy()
        elif self.best_loss_ is None:
            self.best_loss_ = np.inf

    def _check_continues(self, sizes: tuple[int, ...], outputs: int) -> None:
        held = [self.n_features_in_, *(np.shape(coef)[1] for coef in self.coefs_)]
        wanted = [self.n_features_in_, *sizes, outputs]
        if held != wanted:
            raise ValueError(
                f"this would be a network of the sizes {wanted}, and the one to go on with has {held}; fit anew with "
                "warm_start=False to change hidden_layer_sizes or the number of outputs"
            )

    def _hold(self, architecture: Architecture) -> None:
        """Make sure that there is a network of the arrays in `coefs_` and `intercepts_`, and they views into it."""
        held = vars(self).get("_layered")
        if held is None or held.architecture != architecture or held.engine != self.engine or not self._shows(held):
            self._layered = LayeredNetwork(self.coefs_, self.intercepts_, architecture, self.engine)
            self.coefs_, self.intercepts_ = list(self._layered.coefs), list(self._layered.intercepts)

    def _shows(self, held: LayeredNetwork) -> bool:
        return held.is_shown_by(self.coefs_, self.intercepts_)

    def _split(
        self, rows: int, classes: npt.NDArray[Any] | None, random: np.random.RandomState
    ) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
        learn, out = train_test_split(
            np.arange(rows), random_state=random, test_size=self.validation_fraction, stratify=classes
        )
        if len(out) < 2:
            raise ValueError(
                "The validation set is too small. Increase 'validation_fraction' or the size of your dataset."
            )
        return learn, out

    def _scorer(self, X: Any, targets: npt.NDArray[Any], weight: Array | None) -> Callable[[float], float]:
        """Return a function from the loss on held rows to the score on them."""
        if isinstance(self.scoring, str) and self.scoring == "loss":
            return lambda loss: -loss
        nameless, labels = self._nameless(), self._labels_of(targets)
        if self.scoring is None:

            def plain(_loss: float) -> float:
                with np.errstate(over="ignore", invalid="ignore"):
                    outputs = nameless._layered.run(X)
                    predicted = self._predict_outputs(outputs)
                    if not np.isfinite(outputs).all():
                        return np.nan
                    return self._plain_score(labels, predicted, weight)

            return plain
        scorer = check_scoring(self, scoring=self.scoring)
        more = {} if weight is None else {"sample_weight": weight}
        return lambda _loss: float(scorer(nameless, X, labels, **more))

    def _nameless(self) -> Self:
        """Return the same estimator without the columns' names, for rows that have been checked already."""
        other = type(self).__new__(type(self))
        other.__dict__.update({name: value for name, value in vars(self).items() if name != "feature_names_in_"})
        return other

    def _as_it_stands(self) -> dict[str, Any]:
        return {
            "coefs_": [coef.copy() for coef in self.coefs_],
            "intercepts_": [intercept.copy() for intercept in self.intercepts_],
        }

    def _check_solver(self) -> bool:
        if self.solver not in STOCHASTIC:
            raise AttributeError(
                f"partial_fit is only available for stochastic optimizers. {self.solver} is not stochastic."
            )
        return True

    # Answering

    def _show(self) -> str:
        from nineline.view.notebook import history_curve, network_html

        learned = f"\n{self.history_!r}" if self.history_.loss else ""
        return network_html(self.network_, f"{self!r}\n{self.network_!r}{learned}", history_curve(self.history_))

    @property
    def network_(self) -> Network:
        """The `nineline.Network` of `coefs_` and `intercepts_`: to draw, look into, save or export."""
        check_is_fitted(self)
        return self._in_step().network

    def _in_step(self) -> LayeredNetwork:
        """Return the network, made anew where somebody has put other arrays into `coefs_` or `intercepts_`."""
        held: LayeredNetwork | None = vars(self).get("_layered")
        if held is not None and held.is_shown_by(self.coefs_, self.intercepts_):
            return held
        sizes = tuple(np.shape(coef)[1] for coef in self.coefs_[:-1])
        architecture = Architecture(sizes, self._activations(len(sizes)), self._dropout(len(sizes)), self._output()[1])
        self._layered = LayeredNetwork(self.coefs_, self.intercepts_, architecture, self.engine)
        self.coefs_, self.intercepts_ = list(self._layered.coefs), list(self._layered.intercepts)
        return self._layered

    def _run(self, X: Any) -> Array:
        """Return the network's outputs, (rows, outputs).

        A plain array of the right type and shape whose numbers are finite, which the native engine looks at itself,
        takes the short way; everything else goes through scikit-learn's checks, which take longer than a small
        network does.
        """
        about = vars(self)
        if type(X) is np.ndarray and X.ndim == 2 and "_layered" in about and "feature_names_in_" not in about:
            outputs = self._in_step().answer(X)
            if outputs is not None:
                return outputs
        check_is_fitted(self)
        layered = self._in_step()
        return layered.run(validate_data(self, X, accept_sparse=["csr", "csc"], reset=False))

    def _output_gradients(self, X: Any, units: range) -> Array:
        check_is_fitted(self)
        rows = validate_data(self, X, accept_sparse=["csr", "csc"], reset=False)
        return self._in_step().input_gradient(rows, units)

    @staticmethod
    def _one_output(output: Any, outputs: int) -> int:
        place = _checks.positive_integer("output", output, minimum=0)
        if place >= outputs:
            raise ValueError(f"output is {place}; expected a whole number from 0 to {outputs - 1}")
        return place

    def predict(self, X: Any) -> Any:
        """Return a prediction for each row.

        Parameters
        ----------
        X : array_like or sparse matrix, (rows, features)

        Returns
        -------
        array, (rows,) or (rows, outputs)
            Labels of a classifier, numbers of a regressor.
        """
        return self._predict_outputs(self._run(X))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = super().__getstate__()
        held = state.get("_layered")
        if held is not None and held.is_shown_by(self.coefs_, self.intercepts_):
            state = {name: value for name, value in state.items() if name not in ("coefs_", "intercepts_")}
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if "coefs_" not in vars(self) and "_layered" in vars(self):
            self.coefs_, self.intercepts_ = list(self._layered.coefs), list(self._layered.intercepts)


def _are_same(before: tuple[Any, ...], now: tuple[Any, ...]) -> bool:
    """Return whether parameters are the same as far as that can be told without asking them much."""
    plain = (int, float, str, bool, tuple, list)
    return len(before) == len(now) and all(
        a is b or (type(a) is type(b) and type(a) in plain and a == b) for a, b in zip(before, now, strict=True)
    )


def _as_rows(X: Any, targets: npt.NDArray[Any], weight: Array | None, dtype: np.dtype[Any]) -> Rows:
    """Return checked rows as training takes them; sparse ones stay sparse."""
    inputs = np.ascontiguousarray(X, dtype) if isinstance(X, np.ndarray) else Sparse.of("X", X, dtype)
    if weight is not None:
        weight = np.ascontiguousarray(weight, dtype)
        _checks.check_range_of_weights("sample_weight", weight)
    return Rows(inputs, np.ascontiguousarray(targets, dtype), weight)


def one_column(y: Any) -> Any:
    """Return targets of one column as a row's worth of them, with scikit-learn's warning."""
    return column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y


def columns(targets: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return targets as (rows, outputs)."""
    return targets.reshape(-1, 1) if targets.ndim == 1 else targets
