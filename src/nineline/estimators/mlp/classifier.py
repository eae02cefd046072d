"""MLPClassifier: scikit-learn's, faster, and with what it leaves out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

import numpy as np
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.metrics import accuracy_score
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import _check_partial_fit_first_call, type_of_target, unique_labels
from sklearn.utils.validation import check_is_fitted

from nineline.activations import Activation, Sigmoid, Softmax
from nineline.estimators.mlp.base import BaseMLP, columns, one_column
from nineline.losses import BinaryCrossEntropy, CrossEntropy, Loss

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from nineline._typing import Array


class MLPClassifier(ClassifierMixin, BaseMLP):
    """A multi-layer perceptron that tells classes apart: a drop-in for scikit-learn's `MLPClassifier`.

    The first 23 parameters are scikit-learn 1.9's, with its meanings and defaults; from the same `random_state` they
    lead to its weights, to rounding. Those after `max_fun` are more. docs/guide/coming-from-scikit-learn.md has what
    differs.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int
        Units of each hidden layer; () is none.
    activation : str, Activation, or a list of them
        "logistic" (or "sigmoid"), "tanh", "relu", "identity" or any other of `nineline.activations.ACTIVATIONS`, of
        all hidden layers; a list has one for each.
    solver : {"adam", "sgd", "lbfgs", "lm"}
        "lm", which scikit-learn does not have, is Levenberg and Marquardt's method (`nineline.LevenbergMarquardt`): for
        few weights, where a fit should be close.
    alpha : float
        Adds ``alpha / 2 * sum(w**2) / rows of the batch`` over all weights (not biases) to the loss.
    batch_size : int or "auto"
        Rows a step; "auto" is 200, or all where they are fewer. Not for lbfgs and lm.
    learning_rate : {"constant", "invscaling", "adaptive"}
        For sgd: as it is; divided by ``(t_ + 1)**power_t`` after each epoch; or divided by 5 where training would stop.
    learning_rate_init : float
        Of sgd and adam.
    power_t : float
    max_iter : int
        Epochs of sgd and adam, iterations of lbfgs and lm, at most.
    shuffle : bool
        Whether each epoch takes the rows in a new order.
    random_state : int, numpy.random.RandomState or None
        Rules initial weights, validation rows, shuffling and dropout.
    tol : float
        An improvement of less is none. For lbfgs and lm the largest gradient at which it is done.
    verbose : bool
        Whether to print each iteration's loss.
    warm_start : bool
        Whether `fit` goes on from the weights of the last call.
    momentum : float
        Of sgd, in [0, 1].
    nesterovs_momentum : bool
    early_stopping : bool
        Whether to watch a score on rows that are not learned from, stop when it has not improved for
        `n_iter_no_change` epochs, and return to the best weights. Otherwise the training loss says when to stop.
    validation_fraction : float
        The share of the rows to watch, stratified by class (not for multilabel), where `fit` is given no `validation`.
    beta_1, beta_2, epsilon : float
        Of adam.
    n_iter_no_change : int or inf
    max_fun : int
        Calls of the loss that lbfgs may make.
    dropout : float or a list of float
        In [0, 1): the share of hidden outputs that each step of sgd or adam leaves out; a list has one for each layer.
    class_weight : dict, list of dict, "balanced" or None
        Weights of the classes, as scikit-learn's other classifiers take them; they multiply `sample_weight`.
    scoring : str, callable or None
        What `early_stopping` watches: "loss" (its negative is the score), the name of a scorer, a function of
        (estimator, X, y), or None for the accuracy.
    keep_optimizer : bool
        Whether `warm_start` keeps what the solver remembers (adam's averages, sgd's velocity and learning rate), as
        `partial_fit` does, too.
    engine : {"auto", "native", "reference"}
        What computes: C++, or NumPy; "auto" takes C++ wherever it can.
    threads : int or None
        At most so many share a step; None is one a core. The weights are the same bits for any number.

    Attributes
    ----------
    classes_ : array, or list of array
    coefs_, intercepts_ : list of array
        (inputs, outputs) and (outputs,) of each layer. They are views into the network: change them, or put others
        there, and predictions follow.
    loss_ : float
        After the last iteration.
    loss_curve_ : list of float
        By epoch (sgd, adam).
    validation_scores_ : list of float or None
        By epoch, where there were validation rows.
    best_loss_, best_validation_score_ : float or None
    n_iter_, n_layers_, n_outputs_, t_ : int
        Epochs or iterations of the last call; layers, inputs and outputs included; rows trained on so far.
    out_activation_ : {"softmax", "logistic"}
    n_features_in_ : int
    feature_names_in_ : array of str
        Only where the columns have names.
    network_ : Network
        What can be drawn, looked into, saved and exported.
    history_ : History
        By epoch or iteration: loss, validation loss, learning rate, seconds; which engine ran, and why it stopped.
    stopped_early_ : bool
        Whether the last epoch of sgd or adam was one too many without an improvement.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from nineline.estimators import MLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> model = MLPClassifier(max_iter=500, random_state=0).fit(X, y)
    >>> model.score(X, y) > 0.95
    True

    References
    ----------
    scikit-learn 1.9, `sklearn.neural_network.MLPClassifier`, for the parameters and their meaning.
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseMLP._parameter_constraints,
        "class_weight": [StrOptions({"balanced"}), dict, list, None],
    }

    loss: Final = "log_loss"

    def __init__(
        self,
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
        class_weight: Mapping[Any, float] | Sequence[Mapping[Any, float]] | str | None = None,
        scoring: Any = None,
        keep_optimizer: bool = False,
        engine: str = "auto",
        threads: int | None = None,
    ) -> None:
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
        self.class_weight = class_weight
        self.scoring = scoring
        self.keep_optimizer = keep_optimizer
        self.engine = engine
        self.threads = threads

    classes_: npt.NDArray[Any]
    _label_binarizer: Any

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: npt.ArrayLike | None = None, *, validation: Any = None) -> Self:
        """Train the network.

        Parameters
        ----------
        X : array_like or sparse matrix, (rows, features)
            float32 stays float32. Sparse rows are made dense a few batches at a time (about 32 MB), for lbfgs all at
            once.
        y : array_like, (rows,) or (rows, labels)
            Classes; or an indicator of several labels a row.
        sample_weight : array_like, (rows,), optional
        validation : (X, y) or (X, y, sample_weight), optional
            Rows to watch, instead of a share of those above; their scores and losses are kept. They say when to stop
            where `early_stopping` is True. For sgd and adam.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            An argument is wrong, or the weights stopped being finite.
        """
        return self._fit(X, y, sample_weight, validation, incremental=False)

    @available_if(lambda self: self._check_solver())
    def partial_fit(
        self,
        X: Any,
        y: Any,
        sample_weight: npt.ArrayLike | None = None,
        classes: npt.ArrayLike | None = None,
        *,
        validation: Any = None,
    ) -> Self:
        """Train one epoch on these rows, going on where the last call stopped. For sgd and adam.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`.
        classes : array_like, (classes,)
            All that there will be; needed in the first call.
        validation : (X, y) or (X, y, sample_weight), optional
            Rows to watch. With `early_stopping` True they are needed, and `stopped_early_` says when it is enough; the
            weights are the best ones then.

        Returns
        -------
        self
        """
        if sample_weight is None and classes is None and validation is None and self._quick_partial_fit(X, y):
            return self
        return self._partial_fit(X, y, sample_weight, classes, validation)

    @_fit_context(prefer_skip_nested_validation=True)
    def _partial_fit(self, X: Any, y: Any, sample_weight: Any, classes: Any, validation: Any) -> Self:
        if _check_partial_fit_first_call(self, classes):
            binarizer = LabelBinarizer()
            self._label_binarizer = binarizer.fit(y if type_of_target(y).startswith("multilabel") else classes)
        return self._fit(X, y, sample_weight, validation, incremental=True)

    def _quick_targets(self, y: npt.NDArray[Any]) -> npt.NDArray[Any] | None:
        classes = self.classes_
        if type(classes) is not np.ndarray or y.dtype != classes.dtype or len(classes) < 2 or self.class_weight:
            return None
        numbers = np.minimum(classes.searchsorted(y), len(classes) - 1)
        if not (classes[numbers] == y).all():
            return None
        if self.n_outputs_ == 1:
            return numbers.astype(self._layered.network.dtype).reshape(-1, 1)
        return numbers if self.n_outputs_ == len(classes) and self.out_activation_ == "softmax" else None

    def _check_targets(self, y: Any, *, incremental: bool) -> tuple[npt.NDArray[Any], npt.NDArray[Any] | None]:
        y = one_column(y)
        if not hasattr(self, "classes_") or not (self.warm_start or incremental):
            self._label_binarizer = LabelBinarizer().fit(y)
            self.classes_ = self._label_binarizer.classes_
        else:
            classes = unique_labels(y)
            if self.warm_start and set(classes) != set(self.classes_):
                raise ValueError(
                    "warm_start can only be used where `y` has the same classes as in the previous call to fit. "
                    f"Previously got {self.classes_}, `y` has {classes}"
                )
            if len(np.setdiff1d(classes, self.classes_, assume_unique=True)):
                raise ValueError(
                    f"`y` has classes not in `self.classes_`. `self.classes_` has {self.classes_}. 'y' has {classes}."
                )
        targets = columns(self._label_binarizer.transform(y).astype(bool))
        return targets, targets if targets.shape[1] == 1 else None

    def _check_held_targets(self, y: Any) -> npt.NDArray[Any]:
        y = one_column(y)
        strange = np.setdiff1d(unique_labels(y), self.classes_)
        if len(strange):
            raise ValueError(f"y has the class {strange.tolist()[0]!r}, which is not one of {self.classes_}")
        return columns(self._label_binarizer.transform(y).astype(bool))

    def _labels_of(self, targets: npt.NDArray[Any]) -> Any:
        return self._label_binarizer.inverse_transform(targets)

    def _output(self) -> tuple[str, Activation, Loss]:
        if self._label_binarizer.y_type_ == "multiclass":
            return "softmax", Softmax(), CrossEntropy()
        return "logistic", Sigmoid(), BinaryCrossEntropy()

    def _row_weights(self, y: Any, sample_weight: Array | None, *, incremental: bool) -> Array | None:
        if self.class_weight is None:
            return sample_weight
        if incremental and isinstance(self.class_weight, str):
            raise ValueError(
                "class_weight is 'balanced', which partial_fit cannot know from a part of the rows; give it a dict: "
                "dict(zip(classes, sklearn.utils.class_weight.compute_class_weight('balanced', classes=classes, y=y)))"
            )
        weight: Array = compute_sample_weight(self.class_weight, y)
        return weight if sample_weight is None else weight * sample_weight

    def _plain_score(self, y: Any, predicted: Any, sample_weight: Array | None) -> float:
        return float(accuracy_score(y, predicted, sample_weight=sample_weight))

    def _predict_outputs(self, outputs: Array) -> Any:
        kind = self._label_binarizer.y_type_
        if kind == "multiclass":
            return self.classes_.take(outputs.argmax(axis=1))
        if kind == "binary" and len(self.classes_) == 2:
            return self.classes_.take(outputs[:, 0] > 0.5)
        return self._label_binarizer.inverse_transform(outputs[:, 0] if outputs.shape[1] == 1 else outputs)

    def predict_proba(self, X: Any) -> Array:
        """Return the probability of each class, in the order of `classes_`, (rows, classes)."""
        outputs = self._run(X)
        return np.hstack([1 - outputs, outputs]) if outputs.shape[1] == 1 else outputs

    def predict_log_proba(self, X: Any) -> Array:
        """Return the logarithms of `predict_proba`, (rows, classes)."""
        probabilities = self.predict_proba(X)
        return np.log(probabilities, out=probabilities)

    def input_gradient(self, X: Any, output: int | None = None) -> Array:
        """Return how the probabilities change with the inputs: ``d predict_proba(X)[r, k] / d X[r, j]``.

        Parameters
        ----------
        X : array_like or sparse matrix, (rows, features)
        output : int, optional
            The place of one class in `classes_`.

        Returns
        -------
        array, (rows, classes, features)
            Or (rows, features), where `output` is given.
        """
        check_is_fitted(self)
        outputs = self.n_outputs_
        if outputs > 1:
            units = range(outputs) if output is None else range(self._one_output(output, outputs), output + 1)
            gradients = self._output_gradients(X, units)
            return gradients if output is None else gradients[:, 0]
        of_second = self._output_gradients(X, range(1))  # the one unit is the second class's
        gradients = np.concatenate([-of_second, of_second], axis=1)
        return gradients if output is None else gradients[:, self._one_output(output, 2)]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
