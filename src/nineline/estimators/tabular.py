"""TabularClassifier and TabularRegressor: a table in, everything chosen, a network out."""

from __future__ import annotations

import os
import re
from abc import abstractmethod
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Self

import narwhals as nw
import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d

from nineline import _checks, files
from nineline.columns import Columns
from nineline.estimators.frames import as_frame, is_missing
from nineline.estimators.pickles import Pickled
from nineline.estimators.splitting import hold_out
from nineline.layers import AbstractLayer, Dropout, Layer
from nineline.network import Network
from nineline.optimizers import AdamW
from nineline.schedules import Cosine
from nineline.stopping import EarlyStopping

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from nineline._typing import Array
    from nineline.activations import Activation
    from nineline.history import History

_FILE_KIND = "tabular"
_NOT_IN_A_FILE = ("checkpoint", "resume")  # a place on the machine that trained is none of the model's business
_ROWS_AT_ONCE = 16_384
_FEW_ROWS = 40  # below this no row can be spared for validation


class _Tabular(Pickled, BaseEstimator):
    """What the two estimators share: the columns, the network, and how it is trained."""

    def __init__(
        self,
        hidden_layer_sizes: Sequence[int] | str = "auto",
        *,
        activation: str | Activation = "relu",
        dropout: float = 0.1,
        learning_rate: float = 2e-3,
        weight_decay: float | str = "auto",
        batch_size: int | str = "auto",
        max_epochs: int = 100,
        patience: int = 12,
        validation_fraction: float | str = "auto",
        random_state: int | np.random.RandomState | None = None,
        verbose: bool | None = False,
        engine: str = "auto",
        checkpoint: str | os.PathLike[str] | None = None,
        resume: bool = False,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.dropout = dropout
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.patience = patience
        self.validation_fraction = validation_fraction
        self.random_state = random_state
        self.verbose = verbose
        self.engine = engine
        self.checkpoint = checkpoint
        self.resume = resume

    columns_: Columns
    network_: Network
    history_: History
    evaluation_: dict[str, float]
    target_name_: str
    n_features_in_: int
    names_: list[str]

    @abstractmethod
    def _check_target(self, y: Any) -> npt.NDArray[Any]:
        """Return the target as an array of labels or numbers, (rows,), or raise."""

    @abstractmethod
    def _learn_target(self, y: npt.NDArray[Any], weights: Array | None) -> tuple[Array, npt.NDArray[Any] | None]:
        """Return the target as the network learns it, (rows, outputs), and the classes to stratify by."""

    @abstractmethod
    def _output(self) -> tuple[int, str, str]:
        """Return the number of outputs, the output activation and the loss."""

    @abstractmethod
    def _describe_target(self) -> dict[str, Any]:
        """Return what `_learn_target` learned, as JSON can hold it."""

    @abstractmethod
    def _rebuild_target(self, described: dict[str, Any]) -> None:
        """Take over what `_describe_target` described."""

    def fit(self, X: Any, y: Any, sample_weight: npt.ArrayLike | None = None) -> Self:
        """Learn the columns and train the network.

        Parameters
        ----------
        X : DataFrame or array_like, (rows, columns)
            Numbers, text, booleans and dates; missing values are welcome. Any DataFrame that narwhals knows.
        y : array_like, (rows,)
            The target, without missing values.
        sample_weight : array_like, (rows,), optional
            0 or more.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            The table or the target is of no use; the message names the column.
        """
        frame, named = as_frame(self, X, fitting=True)
        if y is None:
            raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is None")
        labels = self._check_target(y)
        if len(labels) != len(frame):
            raise ValueError(f"X has {len(frame)} rows and y has {len(labels)}; expected as many of each")
        if len(frame) < 2:
            raise ValueError("X has 1 sample; expected at least 2 rows to learn from")
        weights = _checks.row_weights("sample_weight", sample_weight, len(frame), np.dtype(np.float32))
        if weights is not None and not weights.all():  # a row of weight 0 is no row
            counting = np.flatnonzero(weights)
            frame, labels, weights = frame[counting.tolist()], labels[counting], weights[counting]
        settings = self._settings(len(frame))
        random = check_random_state(self.random_state)
        rng = np.random.default_rng(random.randint(2**31, size=4))
        columns = Columns.learn(frame, named=named)
        inputs = columns.encode(frame)
        targets, classes = self._learn_target(labels, weights)
        self.columns_, self.names_ = columns, list(frame.columns)
        self.target_name_ = str(getattr(y, "name", None) or "target")

        validation = None
        if len(inputs) >= _FEW_ROWS and settings["validation"] > 0:
            kept, out = hold_out(len(inputs), settings["validation"], rng, classes)
            held_weights = None if weights is None else weights[out]
            if len(out):
                validation = (inputs[out], targets[out]) + (() if held_weights is None else (held_weights,))
                inputs, targets, weights = inputs[kept], targets[kept], None if weights is None else weights[kept]
        self.network_ = self._network(inputs.shape[1], settings["hidden"], rng)
        if targets.shape[1] == 1:  # begin at the mean, not at 0
            self._begin_at_mean(targets, weights)
        self.history_ = self.network_.train(
            inputs,
            targets,
            epochs=settings["epochs"],
            batch_size=settings["batch_size"],
            loss=self._output()[2],
            optimizer=AdamW(settings["learning_rate"], weight_decay=settings["weight_decay"]),
            schedule=Cosine(0.02),
            validation=validation,
            stop=None if validation is None else EarlyStopping(settings["patience"]),
            sample_weight=weights,
            clip_norm=10.0,
            progress=self.verbose,
            engine=self.engine,
            checkpoint=self.checkpoint,
            resume=self.resume,
            rng=rng,
        )
        # Trained in float32; run in float64, so that an answer does not depend on which rows it comes with.
        self.network_ = self.network_.astype(np.float64)
        self.evaluation_ = {}
        return self

    def select(self, frame: Any) -> Any:
        """Return the columns that `fit` saw, in its order, from a DataFrame that may have others or lack unused ones.

        Raises
        ------
        ValueError
            A column that the network uses is not there.
        """
        check_is_fitted(self, "network_")
        table = nw.from_native(frame, eager_only=True)
        table = table.rename({name: str(name) for name in table.columns})
        self.columns_.require(table.columns)
        nothing = nw.lit(None, dtype=nw.String)
        wanted = [name if name in table.columns else nothing.alias(name) for name in self.names_]
        return table.select(*wanted).to_native()

    def _settings(self, rows: int) -> dict[str, Any]:
        """Check the constructor's arguments and resolve what is "auto" for a table of so many rows."""
        if isinstance(self.hidden_layer_sizes, str):
            if self.hidden_layer_sizes != "auto":
                raise ValueError(f"hidden_layer_sizes is {self.hidden_layer_sizes!r}; expected 'auto' or whole numbers")
            hidden: tuple[int, ...] = (64, 32) if rows < 2000 else (128, 64)
        elif not isinstance(self.hidden_layer_sizes, Iterable):
            raise TypeError(
                f"hidden_layer_sizes is {self.hidden_layer_sizes!r}; expected 'auto' or widths, such as (64, 32)"
            )
        else:
            hidden = tuple(_checks.positive_integer("hidden_layer_sizes", size) for size in self.hidden_layer_sizes)
        if self.batch_size == "auto":
            batch_size = 32 if rows < 2000 else 128 if rows < 20_000 else 256
        else:
            batch_size = _checks.positive_integer("batch_size", self.batch_size)
        weight_decay = 1.0 if rows < 2000 else 0.1 if rows < 10_000 else 0.01
        if self.weight_decay != "auto":
            weight_decay = _checks.number("weight_decay", self.weight_decay, low=0)
        validation = 0.2 if rows < 2000 else 0.1
        if self.validation_fraction != "auto":
            validation = _checks.number("validation_fraction", self.validation_fraction, low=0, high=1, high_open=True)
        if self.checkpoint is not None and not isinstance(self.random_state, (int, np.integer)):
            raise ValueError(
                f"checkpoint is given and random_state is {self.random_state!r}; a training that goes on has to hold "
                "out the same rows again, so give a whole number: random_state=0"
            )
        return {
            "hidden": hidden,
            "batch_size": batch_size,
            "epochs": _checks.positive_integer("max_epochs", self.max_epochs),
            "patience": _checks.positive_integer("patience", self.patience),
            "learning_rate": _checks.number("learning_rate", self.learning_rate, low=0, low_open=True),
            "weight_decay": weight_decay,
            "validation": validation,
        }

    def _network(self, width: int, hidden: Sequence[int], rng: np.random.Generator) -> Network:
        outputs, output, _ = self._output()
        layers: list[AbstractLayer] = []
        for size in hidden:
            layers.append(Layer(width, size, self.activation, bias=True, rng=rng))
            if self.dropout:
                layers.append(Dropout(self.dropout))
            width = size
        layers.append(Layer(width, outputs, output, bias=True, rng=rng))
        return Network(*layers, dtype=np.float32)

    def _begin_at_mean(self, targets: Array, weights: Array | None) -> None:
        mean = float(np.average(targets[:, 0], weights=weights))
        if self.network_.output_layer.activation == Layer(1, 1, "sigmoid", rng=0).activation:
            mean = float(np.log(mean / (1 - mean))) if 0 < mean < 1 else 0.0
        self.network_.output_layer.bias = np.array([mean])

    def _run(self, X: Any) -> Array:
        """Return the network's outputs, (rows, outputs)."""
        check_is_fitted(self, "network_")
        frame, named = as_frame(self, X, fitting=False)
        if not (named and hasattr(self, "feature_names_in_")):  # one side has no names: by position
            frame = frame.rename(dict(zip(frame.columns, self.names_, strict=True)))
        pieces = [frame[start : start + _ROWS_AT_ONCE] for start in range(0, len(frame), _ROWS_AT_ONCE)]
        return np.concatenate([self.network_.run(self.columns_.encode(piece)) for piece in pieces])

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted estimator to one file: columns, encodings, network and settings, nothing that runs.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            `fit` has not been called.
        OSError
            The file cannot be written; what lay there before is untouched.
        """
        check_is_fitted(self, "network_")
        settings = self.get_params(deep=False)
        for name in _NOT_IN_A_FILE:
            del settings[name]
        if not isinstance(self.random_state, (int, np.integer, type(None))):
            settings["random_state"] = None
        if not isinstance(self.activation, str):
            settings["activation"] = files.describe_activation(self.activation)
        sizes = self.hidden_layer_sizes
        settings["hidden_layer_sizes"] = sizes if isinstance(sizes, str) else tuple(int(size) for size in sizes)
        names = getattr(self, "feature_names_in_", None)
        content = {
            "estimator": type(self).__name__,
            "settings": {name: value.item() if hasattr(value, "item") else value for name, value in settings.items()},
            "target": {"name": self.target_name_, **self._describe_target()},
            "features": {"names": self.names_, "named": names is not None},
            "columns": self.columns_.describe(),
            "network": files.describe(self.network_),
            "evaluation": self.evaluation_,
        }
        files.write(path, _FILE_KIND, content, files.tensors(self.network_))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read an estimator that `save` wrote; its predictions are the same to the last bit.

        Raises
        ------
        nineline.files.FileError
            The file is no such estimator, or truncated, or altered, or of a newer format.
        OSError
            The file cannot be read.
        """
        model = load(path)
        if not isinstance(model, cls):
            raise files.FileError(f"{os.fspath(path)} holds a {type(model).__name__}, expected a {cls.__name__}")
        return model

    def _check_loaded(self) -> None:
        """Raise ValueError or TypeError where names and scores from a file are none."""
        texts = [self.target_name_, *self.names_]
        if not isinstance(self.names_, list) or not all(isinstance(text, str) for text in texts):
            raise TypeError("names that are no text")
        if len(set(self.names_)) < len(self.names_) or not {c.name for c in self.columns_.used} <= set(self.names_):
            raise ValueError("names of columns that are not different ones, or not those in use")
        if not all(isinstance(value, (int, float)) for value in self.evaluation_.values()):
            raise TypeError("scores that are no numbers")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        tags.non_deterministic = False
        return tags


def load(path: str | os.PathLike[str]) -> TabularClassifier | TabularRegressor:
    """Read either estimator from a file that its `save` wrote; see `TabularClassifier.load`."""
    header, arrays = files.read(path, _FILE_KIND)
    kinds = {kind.__name__: kind for kind in (TabularClassifier, TabularRegressor)}
    try:
        settings = header["settings"]
        if isinstance(settings["activation"], dict):
            settings["activation"] = files.rebuild_activation(settings["activation"])
        if isinstance(settings["hidden_layer_sizes"], list):
            settings["hidden_layer_sizes"] = tuple(settings["hidden_layer_sizes"])
        model: TabularClassifier | TabularRegressor = kinds[header["estimator"]](**settings)
        model.target_name_ = header["target"]["name"]
        model._rebuild_target(header["target"])
        model.names_ = header["features"]["names"]
        model.n_features_in_ = len(model.names_)
        if header["features"]["named"]:
            model.feature_names_in_ = np.array(model.names_, dtype=object)
        model.columns_ = Columns.rebuild(header["columns"])
        model.evaluation_ = header["evaluation"]
        model._check_loaded()
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise files.FileError(f"{os.fspath(path)} holds no valid estimator: {error!r}") from error
    model.network_ = files.rebuild(path, header.get("network"), arrays)
    outputs, output, _ = model._output()
    answers = Layer(1, outputs, output, rng=0).activation, outputs
    last = model.network_.output_layer
    if (last.activation, last.n_outputs) != answers or model.network_.n_inputs != model.columns_.width:
        raise files.FileError(
            f"{os.fspath(path)} holds no valid estimator: its network does not fit its columns or target"
        )
    return model


class TabularClassifier(ClassifierMixin, _Tabular):
    """A classifier for tables that chooses everything by itself.

    It works out each column's kind (number, category, boolean, date; `nineline.columns`), scales and encodes,
    gives missing values an indicator, holds out some rows to stop in time, and trains a network with AdamW
    along a cosine.

    Parameters
    ----------
    hidden_layer_sizes : "auto" or sequence of int
        "auto" is (64, 32) below 2,000 rows, else (128, 64).
    activation : str or Activation
        Of the hidden layers.
    dropout : float
        In [0, 1), behind every hidden layer.
    learning_rate : float
        The peak; it falls along half a cosine to a fiftieth.
    weight_decay : "auto" or float
        AdamW's. "auto" is 1 below 2,000 rows, 0.1 below 10,000, else 0.01.
    batch_size : "auto" or int
        "auto" is 32 below 2,000 rows, 128 below 20,000, else 256.
    max_epochs : int
    patience : int
        Epochs without improvement on the held-out rows before training stops; the best point is kept.
    validation_fraction : "auto" or float
        In [0, 1): the share of rows held out for that, stratified. "auto" is 0.2 below 2,000 rows, else 0.1.
        0, or fewer than 40 rows: none, and training runs for `max_epochs`.
    random_state : int, RandomState or None
        Weights, shuffling, dropout and the held-out rows.
    verbose : bool or None
        Whether to show a progress bar; None: on a terminal or in a notebook.
    engine : {"auto", "native", "reference"}
    checkpoint : path, optional
        A file to keep the training in while it goes on, as in `Network.train`; needs a whole number as `random_state`.
    resume : bool
        Go on from that file, where it exists, with the same table and settings: the model will be the same to the
        last bit as if nothing had happened.

    Attributes
    ----------
    classes_ : array, (classes,)
    columns_ : Columns
        What became of every column.
    network_ : Network
        Trained in float32, kept in float64.
    history_ : History
        (Not kept in a file.)
    target_name_ : str
    n_features_in_ : int
    feature_names_in_ : array of str
        Only where the columns have names.
    names_ : list of str
        The columns' names, made up where they had none.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from nineline.estimators import TabularClassifier
    >>> X, y = load_wine(return_X_y=True)
    >>> TabularClassifier(random_state=0).fit(X, y).score(X, y) > 0.97
    True
    """

    classes_: npt.NDArray[Any]

    def _check_target(self, y: Any) -> npt.NDArray[Any]:
        labels: npt.NDArray[Any] = column_or_1d(np.asarray(y), warn=True)
        _refuse_missing(labels)
        if labels.dtype.kind not in "USOiufb":
            raise TypeError(
                f"y holds values of dtype {labels.dtype}; expected text, whole numbers or booleans as classes"
            )
        if labels.dtype.kind == "f" and np.isinf(labels).any():
            raise ValueError("y holds infinity; expected classes")
        check_classification_targets(labels)
        if len(np.unique(labels)) < 2:
            raise ValueError(
                f"y has one class only, {labels[0]!r}; a classifier needs at least two classes to tell apart"
            )
        return labels

    def _learn_target(self, y: npt.NDArray[Any], weights: Array | None) -> tuple[Array, npt.NDArray[Any] | None]:
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"y has one class only, {y[0]!r}, in the rows of weight above 0; expected two or more")
        if len(self.classes_) == 2:
            return codes.astype(np.float32)[:, np.newaxis], codes
        return np.eye(len(self.classes_), dtype=np.float32)[codes], codes

    def _output(self) -> tuple[int, str, str]:
        if len(self.classes_) == 2:
            return 1, "sigmoid", "binary_cross_entropy"
        return len(self.classes_), "softmax", "cross_entropy"

    def _describe_target(self) -> dict[str, Any]:
        return {"classes": self.classes_.tolist(), "dtype": _portable_dtype(self.classes_)}

    def _rebuild_target(self, described: dict[str, Any]) -> None:
        classes, dtype = described["classes"], described["dtype"]
        plain = all(isinstance(value, (str, int, float)) for value in classes)
        if not plain or not re.fullmatch(r"str|object|[<>|=]?[biuf][1248]", dtype):
            raise ValueError(f"classes of {dtype!r}")
        self.classes_ = np.array(classes, dtype=dtype)
        if len(self.classes_) < 2 or len(set(self.classes_.tolist())) < len(self.classes_):
            raise ValueError("classes that are not different ones")

    def predict_proba(self, X: Any) -> npt.NDArray[np.float64]:
        """Return the probability of each class, in the order of `classes_`, (rows, classes)."""
        outputs = self._run(X).astype(np.float64)
        if len(self.classes_) == 2:
            return np.hstack([1 - outputs, outputs])
        probabilities: npt.NDArray[np.float64] = outputs / outputs.sum(axis=1, keepdims=True)
        return probabilities

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """Return the most probable class of each row, (rows,)."""
        probabilities = self.predict_proba(X)
        return self.classes_[probabilities.argmax(axis=1)]


class TabularRegressor(RegressorMixin, _Tabular):
    """A regressor for tables that chooses everything by itself; the target is standardised on the way in.

    Parameters, attributes and errors are those of `TabularClassifier`, without `classes_`.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from nineline.estimators import TabularRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> TabularRegressor(random_state=0).fit(X, y).score(X, y) > 0.4
    True
    """

    def _check_target(self, y: Any) -> npt.NDArray[Any]:
        array = column_or_1d(np.asarray(y), warn=True)
        _refuse_missing(array)
        if array.dtype.kind in "USOmM":
            try:
                array = array.astype(np.float64)
            except (TypeError, ValueError):
                raise ValueError(
                    f"y holds {array[0]!r}; a regressor needs numbers (for classes use TabularClassifier)"
                ) from None
        return _checks.as_float("y", array, np.dtype(np.float64))

    def _learn_target(self, y: npt.NDArray[Any], weights: Array | None) -> tuple[Array, npt.NDArray[Any] | None]:
        values = y
        self.target_mean_ = float(np.average(values, weights=weights))
        self.target_scale_ = float(np.sqrt(np.average((values - self.target_mean_) ** 2, weights=weights))) or 1.0
        return ((values - self.target_mean_) / self.target_scale_).astype(np.float32)[:, np.newaxis], None

    def _output(self) -> tuple[int, str, str]:
        return 1, "identity", "squared_error"

    def _describe_target(self) -> dict[str, Any]:
        return {"mean": self.target_mean_, "scale": self.target_scale_}

    def _rebuild_target(self, described: dict[str, Any]) -> None:
        self.target_mean_, self.target_scale_ = float(described["mean"]), float(described["scale"])
        if not np.isfinite([self.target_mean_, self.target_scale_]).all():
            raise ValueError("a target that is not scaled by finite numbers")

    def predict(self, X: Any) -> npt.NDArray[np.float64]:
        """Return the expected target of each row, (rows,)."""
        outputs = self._run(X)[:, 0].astype(np.float64)
        return outputs * self.target_scale_ + self.target_mean_


def _refuse_missing(y: npt.NDArray[Any]) -> None:
    missing = [i for i, value in enumerate(y.tolist()) if is_missing(value)]
    if missing:
        raise ValueError(
            f"y is missing (NaN or None) in {len(missing)} of {len(y)} rows, first in row {missing[0]}; "
            "drop these rows first: Input y contains NaN"
        )


def _portable_dtype(classes: npt.NDArray[Any]) -> str:
    return {"U": "str", "S": "str", "O": "object"}.get(classes.dtype.kind, classes.dtype.str)
