"""TabularClassifier and TabularRegressor on a Dask cluster."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import clone
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from nineline import _checks
from nineline.estimators import tabular
from nineline.estimators.dask.fitting import fit_on_workers
from nineline.estimators.dask.shares import shares_of
from nineline.estimators.tabular.validation import Validation
from nineline.tables.several_targets import SeveralAnswers


class OnDask:
    """Mixed into an estimator of tables, in front of it."""

    client: Any
    random_state: Any
    warm_start: bool

    def fit(
        self,
        X: Any,
        y: Any = None,
        sample_weight: Any = None,
        *,
        validation: Any = None,
        groups: str | None = None,
        time: str | None = None,
        target: str | None = None,
        memory: int | str | None = None,
    ) -> Self:
        """Learn the columns and train the networks on the workers that have the table.

        Its partitions are computed, and stay where they were; each worker that has some trains one process. With
        `checkpoint`, partitions are dealt out to the workers by their number instead, so that a fit that goes on finds
        each process with the same ones.

        Parameters
        ----------
        X : dask.dataframe.DataFrame
            As many partitions as there are workers or more, of about the same size, are trained on fastest. Any may be
            empty, or lack some of the classes.
        y : dask.dataframe.Series, optional
            The target, with the divisions of X.
        sample_weight : dask.dataframe.Series or str, optional
            0 or more: with `y` a Series, with `target` a column's name.
        validation : DataFrame, optional
            With `target`: the rows that all members are stopped, tried out and judged by, in memory here; see
            `nineline.estimators.TabularClassifier`.
        groups, time : str, optional
            With `target`: the column that says which rows belong together, or when each was, likewise.
        target : str, optional
            A column of X that is the target, in place of `y`.
        memory : int or str, optional
            About how many bytes a fit may take on each worker besides the partitions, such as "2GB"; by default a
            quarter of what the worker has.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            The table or the target is of no use; the message names the column.
        nineline.DivergenceError
            The loss of a network did not stay finite.
        nineline.parallel.ParallelError
            A worker is gone, or there is none.
        KeyboardInterrupt
            Ctrl-C: the workers end their part, and the model is as it was.
        """
        given = Validation(validation, groups, time).by_argument()
        if target is None and any(each is not None for each in given.values()):
            name = next(name for name, each in given.items() if each is not None)
            raise ValueError(f"{name} is given and target is not; make y a column of X, and name it: target='income'")
        table, target, weight = _as_one(X, y, sample_weight, target)
        model = self._fitted_alone() if self.warm_start else self._blank_alone()
        if model.checkpoint is None and not isinstance(model.random_state, (int, np.integer)):
            model.random_state = int(check_random_state(self.random_state).randint(2**31))
        client = _client(self.client)
        shares = shares_of(client, table, by_number=model.checkpoint is not None)
        how = {"target": target, "sample_weight": weight, "memory": memory, **given}
        fitted = fit_on_workers(client, shares, model, how)
        settings = fitted.get_params(deep=False)
        vars(self).update({name: value for name, value in vars(fitted).items() if name not in settings})
        if y is not None:
            self.target_name_ = str(y.name or "target")
        return self

    def predict(self, X: Any) -> Any:
        """Return the answer for each row.

        Of a Dask DataFrame it is a Series, with its index and the name of the target, computed by partition when it is
        asked for; of quantiles a DataFrame with a column for each.
        """
        return self._by_partition("predict", X)

    def _by_partition(self, method: str, X: Any, *arguments: Any) -> Any:
        """Return what the estimator's method answers, at once or by partition."""
        if not _is_collection(X, 2):
            return getattr(super(), method)(X, *arguments)
        check_is_fitted(self, "network_")
        from dask import delayed

        model = self._fitted_alone()
        blank = _answers(method, model, arguments, X._meta.iloc[:0])
        return X.map_partitions(_by_method, delayed(model), method, arguments, blank, meta=blank)

    def _fitted_alone(self) -> Any:
        """Return the fitted estimator without a cluster."""
        model = self._blank_alone()
        vars(model).update({name: value for name, value in vars(self).items() if name not in _settings(self)})
        return model

    def _blank_alone(self) -> Any:
        """Return an estimator with the same settings, without a cluster and not fitted."""
        return self._alone(**{name: value for name, value in _settings(self).items() if name != "client"})

    _alone: Any
    """The estimator without a cluster."""

    @classmethod
    def _get_param_names(cls) -> list[str]:
        return sorted([*cls._alone._get_param_names(), "client"])

    def __sklearn_clone__(self) -> Self:
        """Return one that is not fitted: with the same client, for a cluster is not copied."""
        settings = {name: clone(value, safe=False) for name, value in _settings(self).items() if name != "client"}
        return type(self)(client=self.client, **settings)  # type: ignore[call-arg]

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "client": None}  # type: ignore[dict-item]


class TabularClassifier(OnDask, tabular.TabularClassifier):  # type: ignore[misc]
    """A classifier for tables that are on a Dask cluster; see `nineline.estimators.TabularClassifier`.

    Each step of each network is one of all workers together, so that the model is the one that a single process would
    train, but for the rows that are held out and the order of rows. Two fits are the same to the last bit where the
    same partitions lie on as many workers.

    Parameters
    ----------
    client : distributed.Client, optional
        Of the cluster; by default the one that was made last. It is neither saved nor pickled.
    **settings
        Those of `nineline.estimators.TabularClassifier`. `n_jobs` is the threads of each worker's process, by default
        as many as Dask gives it. `time_limit` is not for several processes. `checkpoint` is a path on the machine of
        the first worker that has partitions, and one that all see, such as on a shared disk, where `resume` is to find
        it again.

    Attributes
    ----------
    classes_, columns_, network_ and so on
        As there; rows that were held out stay on the workers, so that `feature_importance` takes X and y.

    Examples
    --------
    >>> from nineline.dask import TabularClassifier
    >>> TabularClassifier(n_members=1, random_state=0).get_params()["n_members"]
    1
    """

    _alone = tabular.TabularClassifier

    def __init__(self, *, client: Any = None, **settings: Any) -> None:
        self.client = client
        super().__init__(**settings)

    def predict_proba(self, X: Any) -> Any:
        """Return the probability of each class, in the order of `classes_`, (rows, classes).

        Of a Dask DataFrame it is one with a column a class, computed by partition when it is asked for.
        """
        return self._by_partition("predict_proba", X)


class TabularRegressor(OnDask, tabular.TabularRegressor):  # type: ignore[misc]
    """A regressor for tables that are on a Dask cluster; see `nineline.estimators.TabularRegressor`.

    Parameters are those of `nineline.dask.TabularClassifier`, without `class_weight`.
    """

    _alone = tabular.TabularRegressor

    def __init__(self, *, client: Any = None, **settings: Any) -> None:
        self.client = client
        super().__init__(**settings)

    def predict_interval(self, X: Any, coverage: float = 0.9) -> Any:
        """Return bounds of the target, as `nineline.estimators.TabularRegressor.predict_interval` describes them.

        Of a Dask DataFrame it is one with the columns ``lower`` and ``upper``, computed by partition when it is asked
        for.
        """
        return self._by_partition("predict_interval", X, coverage)


def _settings(model: Any) -> dict[str, Any]:
    return model.get_params(deep=False)


def _client(client: Any) -> Any:
    """Return the client that is meant."""
    import distributed

    found = distributed.default_client() if client is None else client
    if not isinstance(found, distributed.Client):
        raise TypeError(f"client is {found!r}; expected a distributed.Client, or None for the one that was made last")
    if found.asynchronous:
        raise TypeError("client is asynchronous, and fit waits for the model; expected Client(...), not asynchronous")
    return found


def _is_collection(given: Any, dimensions: int) -> bool:
    """Return whether something is a Dask DataFrame, which has two dimensions, or a Series, which has one."""
    is_dask = type(given).__module__.partition(".")[0] == "dask" and hasattr(given, "to_delayed")
    return is_dask and hasattr(given, "npartitions") and given.ndim == dimensions


def _as_one(X: Any, y: Any, sample_weight: Any, target: str | None) -> tuple[Any, str, str | None]:
    """Return a table with its target and weights as columns, and what these are called."""
    if not _is_collection(X, 2):
        raise TypeError(
            f"X is {type(X).__name__}; expected a Dask DataFrame, such as dask.dataframe.from_pandas makes of a table; "
            "nineline.estimators has the estimators for tables of one process"
        )
    names = list(map(str, X.columns))
    if (y is None) == (target is None):
        given = "neither y nor target is given" if y is None else f"target is {target!r} and y is given"
        raise ValueError(f"{given}; give one of the two: fit(X, y), or fit(X, target='income')")
    if target is not None:
        for role, name in (("target", target), ("sample_weight", sample_weight)):
            if name is not None and not isinstance(name, str):
                raise TypeError(f"target is {target!r} and {role} is {type(name).__name__}; expected a column's name")
            if name is not None and name not in names:
                raise ValueError(f"{role} is {name!r}, which is no column of X{_checks.nearest(name, names)}")
        return X, target, sample_weight
    added = {"target": y} if sample_weight is None else {"target": y, "sample_weight": sample_weight}
    columns = {}
    for role, given in added.items():
        if not _is_collection(given, 1):
            name = "y" if role == "target" else role
            if _is_collection(given, 2):
                raise TypeError(
                    f"{name} is a Dask DataFrame; expected a Dask Series: on a cluster a model has one target, so fit "
                    "one for each column, or compute the table and take nineline.estimators"
                )
            raise TypeError(f"{name} is {type(given).__name__}; expected a Dask Series, with the divisions of X")
        name = role
        while name in names:
            name += "_"
        columns[role] = name
    table = X.assign(**{columns[role]: given for role, given in added.items()})
    return table, columns["target"], columns.get("sample_weight")


def _by_method(part: Any, model: Any, method: str, arguments: tuple[Any, ...], blank: Any) -> Any:
    """Return the answers for a partition, in the type that was promised."""
    found = _answers(method, model, arguments, part)
    return found.astype(blank.dtype) if blank.ndim == 1 else found


def _answers(method: str, model: Any, arguments: tuple[Any, ...], part: Any) -> Any:
    """Return the answers for a table in memory, which may be empty, as pandas has them."""
    import pandas as pd

    classes = model.classes_ if hasattr(model, "predict_proba") else np.empty(0)
    several = model.target_names_ if isinstance(model.target_, SeveralAnswers) else None
    columns = {"predict": several, "predict_proba": classes, "predict_interval": ["lower", "upper"]}[method]
    if len(part):
        found = getattr(model, method)(model.select(part.rename(columns=str)), *arguments)
    else:
        found = np.empty(0, classes.dtype) if columns is None else np.empty((0, len(columns)))
    if columns is None:
        return pd.Series(found, index=part.index, name=model.target_name_)
    return pd.DataFrame(found, index=part.index, columns=list(columns))
