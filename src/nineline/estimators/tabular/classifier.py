"""TabularClassifier: classes from a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self, cast

import numpy as np
from sklearn.base import ClassifierMixin

from nineline import _checks
from nineline.estimators.tabular.base import Tabular
from nineline.estimators.tabular.given_targets import classes_of
from nineline.tables.several_targets import Labels
from nineline.tables.summaries import ClassSummary
from nineline.tables.targets import Classes

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping, Sequence

    import numpy.typing as npt

    from nineline._typing import Array
    from nineline.activations import Activation
    from nineline.estimators.tabular.validation import Labelled
    from nineline.rows import Compact


class TabularClassifier(ClassifierMixin, Tabular):
    """A classifier for tables that chooses everything by itself.

    It works out each column's kind (number, category, boolean, date, text; `nineline.tables`), scales and encodes,
    gives missing values an indicator, and trains several networks with AdamW, each on all rows but some that it holds
    out to stop in time. Their mean probabilities are the answer. How they see numbers (in intervals, as they are, or by
    waves; in one way or in two) is decided by short trainings, side by side, on the rows that those hold out; so is
    whether free text is used.

    A y of several columns that are 0 or 1 has a label a column, all of which are learned at once: `predict` returns
    such a table, `predict_proba` the probability of each label, and `score` the share of rows that are right in all.

    Parameters
    ----------
    hidden_layer_sizes : "auto" or sequence of int
        "auto" is (128, 128, 64) below 5,000 rows, else (256, 256, 128).
    n_members : "auto" or int
        How many networks. "auto" is 8 below 5,000 rows, 4 below 100,000, else 2. From four on, below 100,000 rows, they
        may see numbers in two ways, in turns.
    effort : {"normal", "high"}
        "high" is twice as many networks and twice as many passes as "auto" says otherwise: four times the time.
    activation : str or Activation
        Of the hidden layers.
    dropout : "auto" or float
        In [0, 1), behind every hidden layer. "auto" is 0.2, of a regressor 0.05; 0 where a layer has fewer than 64
        units, and from 100,000 rows on.
    learning_rate : "auto", "sweep" or float
        The peak, after a short climb; from 3/10 of the epochs on it falls along half a cosine. "auto" is 0.004, twice
        that where numbers are seen as they are; from 100,000 rows on 0.0015. "sweep" trains networks with an eighth of
        that to eight times as much, side by side, for a quarter of the epochs, and takes what was best on held-out
        rows.
    weight_decay : "auto" or float
        AdamW's. "auto" is 0.1, from 100,000 rows on 0.01.
    batch_size : "auto" or int
        "auto" is 32 below 500 rows, 64 below 1,000, 128 below 5,000, else 256.
    max_epochs : "auto" or int
        "auto" is 50 (at least 400 steps) below 5,000 rows; then 36, and from 20,000 rows on fewer, down to 7, so that
        700,000 rows are learned from in all. From 100,000 rows on it falls with their fourth root, from 6 to 2: of
        262,000 rows it is 5, of a million 4, of ten million 2.
    patience : "auto" or int
        Epochs without improvement on the held-out rows before a member stops; its best point is kept. "auto" is 10 or
        3/10 of the epochs, whichever is more.
    validation_fraction : "auto" or float
        In [0, 1): the share of rows that each member holds out, stratified, in turns. "auto" is 1/8, so that eight
        members hold out every row once. 0, or fewer than 40 rows: none, and training runs for `max_epochs`. `fit` takes
        rows of your own instead (`validation`), and what says that whole groups are held out, or the latest rows.
    eval_metric : "loss", str or function
        What is watched on the held-out rows: the loss, or a scorer of scikit-learn's by its name, such as "roc_auc",
        or a function of an estimator, X and y of which more is better.
    class_weight : "balanced", dict or None
        What a row of each class counts, besides its `sample_weight`; "balanced" makes all classes count the same.
    time_limit : float, optional
        Seconds. The learning rate falls in the time there is, and members for which none is left are not trained. The
        clock is looked at after every epoch, and in one that takes longer than a second while it goes on. Members on
        other machines each have an equal share, which holds as far as these have nothing else to do.
    n_jobs : int, optional
        Members trained at once; by default, as by -1, as many as there are cores. The result does not depend on it.
        Under `joblib.parallel_config` with a backend that has other machines (Dask's, Ray's, Spark's) the members of a
        table in memory are trained there, as many at once as that has places; 1 keeps them here.
    random_state : int, RandomState or None
        Weights, shuffling, dropout and the held-out rows.
    verbose : bool or None
        True: a table with a line an epoch. None: a progress bar on a terminal or in a notebook.
    engine : {"auto", "native", "reference"}
    checkpoint : path, optional
        A file to keep the training in while it goes on, as in `Network.train`, and for each further member one with its
        number behind the name; needs a whole number as `random_state`. Not with members on other machines.
    resume : bool
        Go on from those files, where they exist, with the same table and settings: the model will be the same to the
        last bit as if nothing had happened.
    warm_start : bool
        Another `fit` begins with the networks of the last one, and keeps columns and target as they were learned then:
        nothing is tried out or swept again, and what is "auto" in the networks stays. Other rows may be given, but no
        other columns, classes or widths, which are errors. The learning rate goes its whole way again. Rows that such a
        fit holds out may be ones that were learned before. Not with a checkpoint.

    Attributes
    ----------
    classes_ : array, (classes,)
        Of several labels their numbers.
    columns_ : Columns
        What became of every column.
    members_ : list of Network
        Trained in float32, kept in float64.
    network_ : Ensemble or Network
        All members together; the network itself where there is one.
    report_ : FitReport
        What was done to the table, the curves, and measures on held-out rows; it prints as a page. (As `histories_`,
        not kept in a file.)
    histories_ : list of History
    target_name_ : str
    target_names_ : list of str
        Of several labels the name of each.
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
    >>> TabularClassifier(random_state=0, n_members=2).fit(X, y).score(X, y) > 0.97
    True

    References
    ----------
    Holzmüller, Grinsztajn, Steinwart (2024), Better by default, arXiv 2407.04491; Gorishniy, Rubachev, Babenko (2022),
    On embeddings for numerical features, arXiv 2203.05556. What was taken from them and what it gains is in
    docs/guide/how-the-defaults-were-chosen.md.
    """

    target_kinds = Classes, Labels
    target_: Classes | Labels
    _named: npt.NDArray[Any] | None = None
    """All classes, where a fit under way knows them beforehand."""

    def __init__(
        self,
        hidden_layer_sizes: Sequence[int] | str = "auto",
        *,
        n_members: int | str = "auto",
        effort: str = "normal",
        activation: str | Activation = "silu",
        dropout: float | str = "auto",
        learning_rate: float | str = "auto",
        weight_decay: float | str = "auto",
        batch_size: int | str = "auto",
        max_epochs: int | str = "auto",
        patience: int | str = "auto",
        validation_fraction: float | str = "auto",
        eval_metric: str | Callable[..., float] = "loss",
        class_weight: Mapping[Any, float] | str | None = None,
        time_limit: float | None = None,
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: bool | None = False,
        engine: str = "auto",
        checkpoint: str | os.PathLike[str] | None = None,
        resume: bool = False,
        warm_start: bool = False,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.n_members = n_members
        self.effort = effort
        self.activation = activation
        self.dropout = dropout
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.patience = patience
        self.validation_fraction = validation_fraction
        self.eval_metric = eval_metric
        self.class_weight = class_weight
        self.time_limit = time_limit
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose
        self.engine = engine
        self.checkpoint = checkpoint
        self.resume = resume
        self.warm_start = warm_start

    def _check_target(self, y: Any) -> npt.NDArray[Any]:
        return classes_of(y)

    def _row_weights(self, labels: npt.NDArray[Any], weights: Array | None) -> Array | None:
        if labels.ndim == 2:
            if self.class_weight is not None:
                raise ValueError(
                    f"class_weight is {self.class_weight!r} and y has {labels.shape[1]} labels; it is for one column "
                    "of classes: leave it out, or weigh rows by sample_weight"
                )
            return weights
        seen = self._summary()
        seen.see(labels, None if weights is None else weights.astype(np.float64))
        return self._weights_by(seen, labels, weights)

    def _to_tell_apart(self, there: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the classes, where some are there: those that are known, or were named beforehand."""
        if self._learned is not None:
            return cast("Classes", self._learned.target).classes
        return there if self._named is None else self._named

    def _weights_of_held(self, seen: Any, held: Labelled, words: str) -> Array | None:
        strange = sorted(set(held.labels.tolist()) - set(seen.values.tolist()), key=str)
        if strange:
            raise ValueError(
                f"the rows to validate by ({words}) have the class {_checks.quoted(strange[0])}, which those that are "
                "learned from have not; leave such rows out, or validate by others"
            )
        return self._weights_by(seen, held.labels, held.weights) if len(held) else held.weights

    def _weights_by(self, seen: Any, labels: npt.NDArray[Any], weights: Array | None) -> Array | None:
        classes = seen.values
        known = self._to_tell_apart(classes)
        if len(known) < 2:
            counted = " in the rows of weight above 0" if weights is not None else ""
            raise ValueError(
                f"y has one class only, {_checks.quoted(classes.tolist()[0])}{counted}; a classifier needs at least "
                "two classes to tell apart"
            )
        given = self.class_weight
        if given is None:
            return weights
        if isinstance(given, str):
            if given != "balanced":
                raise ValueError(f"class_weight is {given!r}; expected 'balanced', a dict of class to weight, or None")
            factors = 1 / seen.shares
        elif isinstance(given, dict):
            strange = [key for key in given if key not in known.tolist()]
            if strange:
                raise ValueError(
                    f"class_weight has the class {strange[0]!r}, which y has not; it has {known[:5].tolist()}"
                )
            named = [given.get(value, 1.0) for value in classes.tolist()]
            factors = np.array(
                [
                    _checks.number(f"class_weight of {value!r}", factor, low=0, low_open=True)
                    for value, factor in zip(classes.tolist(), named, strict=True)
                ]
            )
        else:
            raise TypeError(f"class_weight is {given!r}; expected 'balanced', a dict of class to weight, or None")
        factors = factors * (seen.rows / (factors @ seen.shares))  # so that rows count 1 in the mean
        each = factors[np.searchsorted(classes, labels)]
        return (each if weights is None else each * weights).astype(np.float32)

    def _summary(self) -> ClassSummary:
        return ClassSummary()

    def _learn_target(
        self, y: npt.NDArray[Any], weights: Array | None, names: Sequence[str] | None = None
    ) -> Classes | Labels:
        if names is not None:
            return Labels(tuple(names))
        return Classes.learn(y) if self._named is None else Classes.learn(self._named).widened(y)

    @property
    def classes_(self) -> npt.NDArray[Any]:
        """The classes in ascending order, (classes,); of several labels their numbers, as scikit-learn has them."""
        return self.target_.classes

    def partial_fit(
        self,
        X: Any,
        y: Any,
        sample_weight: npt.ArrayLike | None = None,
        *,
        classes: npt.ArrayLike | None = None,
    ) -> Self:
        """Go on with new rows of the same columns: each network takes one pass through them.

        As `TabularRegressor.partial_fit`, which says how. The classes are those of the first call, or of `fit`.

        Parameters
        ----------
        X : DataFrame or array_like, (rows, columns)
        y : array_like, (rows,)
        sample_weight : array_like, (rows,), optional
            0 or more.
        classes : array_like, optional
            All classes that will ever come, where the rows of the first call may lack some, which then take many rows
            to be learned; later on the same, or None.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            The rows are of no use, of other columns or of a class that is not known; or ``class_weight="balanced"``,
            which looks at all rows. The model is as it was, as after any error.
        nineline.DivergenceError
            The loss of a network did not stay finite.
        KeyboardInterrupt
            Ctrl-C.

        Examples
        --------
        >>> import numpy as np
        >>> from nineline.estimators import TabularClassifier
        >>> x = np.linspace(0, 1, 200).reshape(-1, 1)
        >>> model = TabularClassifier(random_state=0, n_members=1)
        >>> model = model.partial_fit(x, np.where(x[:, 0] < 0.5, "a", "b"), classes=["a", "b", "c"])
        >>> model.partial_fit(x, np.where(x[:, 0] < 0.5, "a", "c")).classes_.tolist()
        ['a', 'b', 'c']
        """
        if isinstance(self.class_weight, str) and self.class_weight == "balanced":
            raise ValueError(
                "class_weight is 'balanced', which would be by the rows of each call alone; expected a dict of class "
                "to weight, or None: set_params(class_weight={...})"
            )
        twin = self._twin()
        if classes is not None:
            twin._named = self._check_classes(classes)
        self._become_later(twin, X, y, sample_weight)
        return self

    def _check_classes(self, given: Any) -> npt.NDArray[Any]:
        """Return named classes, which those of a fitted model have to be."""
        named = np.unique(self._check_target(given))
        if len(named) < 2:
            raise ValueError(f"classes is {_checks.quoted(given)}; expected at least two to tell apart")
        if hasattr(self, "network_") and set(named.tolist()) != set(self.classes_.tolist()):
            raise ValueError(
                f"classes is {_checks.quoted(given)}, and the model was fitted to {self.classes_[:5].tolist()}; leave "
                "it out, or fit anew"
            )
        return named

    def _become(self, twin: Self) -> None:
        twin._named = None
        super()._become(twin)

    def predict_proba(self, X: Any) -> npt.NDArray[np.float64]:
        """Return the probability of each class, in the order of `classes_`, or of each label: (rows, classes)."""
        return self._answers(self._run(X))

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """Return the most probable class of each row, (rows,); of labels 1 where one is probable, else 0."""
        shares = self.predict_proba(X)
        return self.target_.predicted(shares)

    def _explained(self, row: Compact, of: Any) -> tuple[int, str]:
        if isinstance(self.target_, Labels):
            return super()._explained(row, of)
        if of is None:
            number = int(self._answers(self.network_.run(row))[0].argmax())
        elif of in self.classes_.tolist():
            number = self.classes_.tolist().index(of)
        else:
            hint = _checks.nearest(str(of), [str(value) for value in self.classes_.tolist()])
            raise ValueError(f"of is {of!r}, which is no class{hint}")
        return number, f"{self.target_name_} is {self.classes_.tolist()[number]}"

    def predict_proba_one(self, row: Mapping[str, Any]) -> dict[Any, float]:
        """Return the probability of each class for one row, by class; or of each label, by its name.

        Parameters
        ----------
        row : dict
            Each column's name to its value, None or NaN where it is missing; columns that are not used may be left out.
        """
        shares = self._answers(self._run_one(row))[0]
        names = self.target_.names if isinstance(self.target_, Labels) else self.classes_.tolist()
        return dict(zip(names, shares.tolist(), strict=True))

    def predict_one(self, row: Mapping[str, Any]) -> Any:
        """Return the most probable class for one row, as `predict_proba_one` takes it: as `predict`, without a table.

        Of several labels it is a dict of each label's name to 1 or 0.

        Examples
        --------
        >>> import pandas as pd
        >>> from nineline.estimators import TabularClassifier
        >>> table = pd.DataFrame({"colour": ["red", "green"] * 30, "size": range(60)})
        >>> model = TabularClassifier(random_state=0, n_members=1).fit(table, table["colour"] == "red")
        >>> model.predict_one({"colour": "red", "size": 3})
        True
        """
        shares = self._answers(self._run_one(row))
        said = self.target_.predicted(shares)[0].tolist()
        return dict(zip(self.target_.names, said, strict=True)) if isinstance(self.target_, Labels) else said

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        tags.target_tags.multi_output = True
        return tags
