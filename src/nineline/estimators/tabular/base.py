"""What the estimators of tables share: how they answer, and how they are kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Self

import narwhals as nw
import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from nineline import _checks
from nineline.ensemble import Ensemble
from nineline.estimators.notebook import Shown
from nineline.estimators.tabular import file
from nineline.estimators.tabular.background import Background
from nineline.estimators.tabular.explaining import explain
from nineline.estimators.tabular.given_targets import check_columns
from nineline.estimators.tabular.held_out import HeldOut
from nineline.estimators.tabular.later import Later
from nineline.estimators.tabular.predicting import predict_to
from nineline.tables.series import is_missing
from nineline.tables.several_targets import SeveralAnswers

if TYPE_CHECKING:
    import os

    import numpy.typing as npt
    from sklearn.utils import Bunch

    from nineline._typing import Array
    from nineline.estimators.tabular.explaining import Explanation
    from nineline.rows import Compact
    from nineline.training.history import History

_ROWS_AT_ONCE: Final = 65_536  # are made compact: of fewer, each column takes longer to begin than to go through


class Tabular(Shown, Later):
    """See `TabularClassifier` and `TabularRegressor`, which have the constructors."""

    @property
    def history_(self) -> History:
        """The first member's History; a file does not keep it."""
        check_is_fitted(self, "histories_")
        return self.histories_[0]

    def select(self, frame: Any) -> Any:
        """Return the columns that `fit` saw, in its order, from a DataFrame that may have others or lack unused ones.

        Raises
        ------
        ValueError
            A column that the networks use is not there.
        """
        check_is_fitted(self, "network_")
        table = nw.from_native(frame, eager_only=True)
        table = table.rename({name: str(name) for name in table.columns})
        there = set(table.columns)
        self.columns_.require(table.columns)
        nothing = nw.lit(None, dtype=nw.String)
        wanted = [name if name in there else nothing.alias(name) for name in self.names_]
        return table.select(*wanted).to_native()

    def feature_importance(
        self, X: Any = None, y: Any = None, *, n_repeats: int = 5, random_state: int | np.random.RandomState | None = 0
    ) -> Bunch:
        """Return how much worse the answers become when one column at a time is shuffled.

        Without arguments it is measured on held-out rows, each with the member that did not learn from it, so that a
        column that was only learned by heart counts nothing. Those rows are kept since `fit`, a few thousand at most;
        they are not in a file.

        Parameters
        ----------
        X, y : optional
            Other rows to measure on, with all members.
        n_repeats : int
            How often each column is shuffled.
        random_state : int, RandomState or None

        Returns
        -------
        sklearn.utils.Bunch
            ``names`` of the columns in use, and for each ``importances_mean`` and ``importances_std``, in the order of
            the table; ``importances`` is (columns, n_repeats). The measure is the log-loss of a classifier (of several
            labels its mean over them) and the root mean squared error of a regressor in units of the target; of
            several outputs, in units of each one's standard deviation, the mean over them; of quantiles the pinball
            loss.

        Raises
        ------
        ValueError
            There are no held-out rows: none could be spared, or the estimator comes from a file. Give X and y.

        References
        ----------
        Breiman (2001), Random forests, section 10.
        """
        check_is_fitted(self, "network_")
        repeats = _checks.positive_integer("n_repeats", n_repeats)
        rng = np.random.default_rng(check_random_state(random_state).randint(2**31))
        if (X is None) != (y is None):
            raise ValueError("one of X and y is given; give both, or neither for the rows held out in training")
        if X is None:
            if self._held_out is None or not self._held_out.parts:
                raise ValueError("no held-out rows are there (too few rows, or a model from a file); give X and y")
            held_out = self._held_out
        else:
            frame = self._frame(X)
            labels = self._truth(y)
            if len(labels) != len(frame):
                raise ValueError(f"X has {len(frame)} rows and y has {len(labels)}; expected as many of each")
            held_out = HeldOut.on(self.network_, self.columns_.compact(frame, np.float64), labels)
        return held_out.importance(self, repeats, rng)

    def explain(self, row: Any, *, of: Any = None, background: Any = None) -> Explanation:
        """Return what each column of one row adds to its answer, by integrated gradients.

        ``baseline + sum(contributions) = answer``, where the baseline is the answer to the mean of the training rows'
        inputs. Contributions say what the model does, not what causes what.

        Parameters
        ----------
        row : dict, or DataFrame or array_like of one row
            A dict has each column's name and its value, None or NaN where it is missing.
        of : optional
            Of a classifier: the class whose probability is explained; by default the most probable one. Of several
            outputs or labels, the name of one of `target_names_`. Of quantiles, a level; by default the middle one.
        background : DataFrame or array_like, optional
            Other rows whose mean is the baseline. That of the training rows is kept since `fit`, also in a file: of
            more than 100,000, and of a table that does not fit in memory, it is the mean of about as many of them.

        Returns
        -------
        nineline.estimators.tabular.explaining.Explanation
            It prints as a list, the largest contribution first, and has `plot`.

        Raises
        ------
        ValueError
            There is not one row, no such class, or no background (a model from a file of an older nineline).

        Examples
        --------
        >>> import pandas as pd
        >>> from nineline.estimators import TabularRegressor
        >>> table = pd.DataFrame({"rooms": [1, 2, 3, 4] * 20, "area": range(40, 120)})
        >>> model = TabularRegressor(random_state=0, n_members=1).fit(table, 50.0 * table["rooms"])
        >>> explanation = model.explain({"rooms": 4, "area": 50})
        >>> explanation.names[abs(explanation.contributions).argmax()]
        'rooms'

        References
        ----------
        Sundararajan, Taly, Yan (2017), Axiomatic attribution for deep networks, ICML.
        """
        check_is_fitted(self, "network_")
        if isinstance(row, Mapping):
            given = {str(name): value for name, value in row.items()}
            compact = self.columns_.compact_one(given)
        else:
            frame = self._frame(self.select(row) if hasattr(row, "columns") else row)
            if len(frame) != 1:
                raise ValueError(f"row has {len(frame)} rows; expected one: X[:1]")
            compact = self.columns_.compact_row(frame)
            given = dict(zip(frame.columns, frame.row(0), strict=True))
        begin = self._background
        if background is not None:
            others = self.select(background) if hasattr(background, "columns") else background
            begin = Background.of(self.columns_.compact(self._frame(others), np.float64))
        if begin is None:
            raise ValueError(
                "this model is from a file of an older nineline, which does not say what the mean row is; give "
                "background=X, rows whose mean to begin with"
            )
        output, what = self._explained(compact, of)
        values = [_shown(given[column.name]) for column in self.columns_.used]
        return explain(self, compact, begin, output, values, what)

    def _explained(self, row: Compact, of: Any) -> tuple[int, str]:
        """Return which answer is explained, and what it is called."""
        if isinstance(self.target_, SeveralAnswers):
            output = self.target_.find(of)
            return output, self.target_names_[output]
        if of is not None:
            raise ValueError(f"of is {of!r}, and the target {self.target_name_!r} is a number; leave it out")
        return 0, self.target_name_

    def _truth(self, y: Any) -> npt.NDArray[Any]:
        """Return the target of other rows, checked: as many columns as were learned."""
        labels = self._check_target(y)
        check_columns(labels, self.target_)
        return labels

    def _importance_soon(self) -> Bunch:
        """Return what `feature_importance` does of some of the held-out rows, which are there; measured once a fit."""
        assert self._held_out is not None
        if self._importance is None:
            self._importance = self._held_out.importance_soon(self)
        return self._importance

    def _show(self) -> str:
        from nineline.estimators.page.small import small_page

        return small_page(self)

    def _run(self, X: Any) -> Array:
        """Return the networks' outputs, (rows, outputs)."""
        check_is_fitted(self, "network_")
        frame = self._frame(X)
        if len(frame) == 1:
            return self.network_.run(self.columns_.compact_row(frame))
        dtype = self.network_.dtype.type
        pieces = [frame[start : start + _ROWS_AT_ONCE] for start in range(0, len(frame), _ROWS_AT_ONCE)]
        outputs = np.concatenate([self.network_.run(self.columns_.compact(piece, dtype)) for piece in pieces])
        return outputs.astype(np.float64, copy=False)

    def _run_one(self, row: Mapping[str, Any]) -> Array:
        """Return the networks' outputs for one row, (1, outputs)."""
        if not hasattr(self, "network_"):
            check_is_fitted(self, "network_")
        if not isinstance(row, Mapping):
            raise TypeError(f"row is a {type(row).__name__}; expected a dict of each column's name to its value")
        rows = self.columns_.compact_one(row)
        if isinstance(self.network_, Ensemble):  # what columns made of a row fits
            return self.network_.answer(rows.astype(self.network_.dtype))
        return self.network_.run(rows)

    def _answers(self, outputs: Array) -> npt.NDArray[np.float64]:
        """Return what the networks' outputs say."""
        return self.target_.answers(outputs)

    def predict_to(
        self, X: Any, path: str | os.PathLike[str], *, proba: bool = False, dtype: npt.DTypeLike = np.float64
    ) -> None:
        """Write the predictions for a table that is read piece by piece to a file, in memory that is bounded.

        Parameters
        ----------
        X
            Files, a LazyFrame and so on, as `fit` takes them.
        path : path
            ``.csv``, ``.parquet`` and so on: its ending says what is written. One column, named as the target; of
            several outputs, labels or quantiles one for each, as `target_names_` has them.
        proba : bool
            Of a classifier: also the probability of each class, or label.
        dtype : dtype
            In which the networks compute. With float32 it is two to three times as fast, and answers are right to some
            1e-6 of their size, so that of classes that are as good as equally probable another may come first.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            `fit` has not been called.
        ValueError
            A column that the networks use is not there.
        nineline.tables.TableError
            A file does not read, or `path` says no format.
        OSError
            The file cannot be written; what lay there before is untouched.
        """
        check_is_fitted(self, "network_")
        if proba and not hasattr(self, "predict_proba"):
            raise ValueError(f"proba is True, and the target {self.target_name_!r} is a number")
        predict_to(self, X, path, proba=proba, dtype=dtype)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted estimator to one file: columns, encodings, networks and settings, nothing that runs.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            `fit` has not been called.
        ValueError
            A setting is a function of your own, which a file cannot hold.
        OSError
            The file cannot be written; what lay there before is untouched.
        """
        check_is_fitted(self, "network_")
        file.save(self, path)

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
        model: Self = file.load(path, {cls.__name__: cls})
        return model

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_held_out": None, "_standing": None}  # rows of the table stay here

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        tags.non_deterministic = False
        return tags


def _shown(value: object) -> str:
    """Return a value of a row as text."""
    if is_missing(value):
        return "missing"
    return f"{value:.6g}" if isinstance(value, (float, np.floating)) else str(value)
