"""How the estimators of tables are fitted: a table read, its columns and target learned, its rows made ready."""

from __future__ import annotations

import sys
import time
import warnings
from abc import abstractmethod
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Self

import narwhals as nw
import numpy as np
from sklearn.utils import check_random_state

from nineline import _checks
from nineline.estimators.frames import as_frame
from nineline.estimators.tabular import file
from nineline.estimators.tabular.choosing import Choosing
from nineline.estimators.tabular.dealing import Dealing, GroupCounts, share_of
from nineline.estimators.tabular.folds import Fixed, Folds, Splits, merge
from nineline.estimators.tabular.given_targets import check_columns, name_of, names_of
from nineline.estimators.tabular.learned import Learned
from nineline.estimators.tabular.members import Budget
from nineline.estimators.tabular.portfolio import ways_of
from nineline.estimators.tabular.recipe import INTERVALS, ROWS_AN_INTERVAL
from nineline.estimators.tabular.spreading import Spreading
from nineline.estimators.tabular.streamed import EXAMPLES, Streamed, is_streamed, memory_by_default
from nineline.estimators.tabular.trials import TRIED_ON
from nineline.estimators.tabular.validation import Labelled, Validation, latest
from nineline.rows import Rows, evenly_spaced
from nineline.tables.columns import Columns, ColumnsLearner
from nineline.tables.sources import TableSource
from nineline.training.shared.together import together_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from nineline._typing import Array
    from nineline.estimators.tabular.member import MemberSettings
    from nineline.estimators.tabular.streamed import TablePiece
    from nineline.tables.targets import Target
    from nineline.training.shared.together import Together


_AT_ONCE: Final = 2  # members that read their rows from a disk
_FOR_JUDGING: Final = 0.07  # of a time limit: for what comes behind training


class Fitting(Choosing):
    """What `fit` does, of a table in memory or one that is read piece by piece; what it calls, a subclass says."""

    def _row_weights(self, labels: npt.NDArray[Any], weights: Array | None) -> Array | None:
        """Return what each row counts."""
        return weights

    def _weights_of_held(self, seen: Any, held: Labelled, words: str) -> Array | None:
        """Return what each row to validate by counts, beside rows to learn from of which there is a summary.

        Raises
        ------
        ValueError
            They have a class that is not learned; `words` says which rows they are.
        """
        return held.weights

    def _weights_by(self, seen: Any, labels: npt.NDArray[Any], weights: Array | None) -> Array | None:
        """Return the same for some of the rows of which there is a summary."""
        return weights

    @abstractmethod
    def _summary(self) -> Any:
        """Return what takes note of a target piece by piece: its different values, and the weight of each."""

    def fit(
        self,
        X: Any,
        y: Any = None,
        sample_weight: npt.ArrayLike | str | None = None,
        *,
        validation: Any = None,
        groups: Any = None,
        time: Any = None,
        target: str | None = None,
        memory: int | str | None = None,
        parallel: object = None,
    ) -> Self:
        """Learn the columns and train the networks; with ``warm_start=True`` go on from those of the last fit.

        Parameters
        ----------
        X : DataFrame or array_like, (rows, columns); or files, a LazyFrame, a function
            Numbers, text, booleans and dates; missing values are welcome. Any DataFrame that narwhals knows. Or a table
            that is read piece by piece, and may be larger than the memory: the name of a file, a pattern such as
            ``"data/*.parquet"``, a folder, a list of them; a polars LazyFrame; a function that returns an iterable of
            DataFrames. See `nineline.tables.sources.TableSource`.
        y : array_like, (rows,) or (rows, outputs)
            The target, without missing values. Of several columns, numbers for a regressor or labels that are 0 or 1
            for a classifier, all are learned at once; a DataFrame's have names.
        sample_weight : array_like, (rows,), optional
            0 or more; a row of weight 2 is the same as two rows. With `target`, a column's name.
        validation : tuple, optional
            ``(X_val, y_val)`` or ``(X_val, y_val, sample_weight)``: the rows that all members are stopped, tried out
            and judged by, in place of some of X, of which they learn from all rows then. With `target`, a table with
            that column.
        groups : array_like, (rows,), optional
            What rows belong together by: those of one patient, say. All rows of a group are learned from by a member,
            or all are held out. Groups are dealt out so that each member holds out about as many rows of each class as
            their sizes allow; one that has more than half of the rows, or a class that no other has, is never held out.
            With `target`, a column's name, which is no feature.
        time : array_like, (rows,), optional
            When each row was: numbers, dates, datetimes, or texts such as "2024-05-03". The latest rows, a share of
            `validation_fraction`, are held out by all members, for that is how answers about what is yet to come are
            judged; rows of the same time are on the same side. The latest rows are not learned from, nor are columns or
            target learned by them. To learn from them too, when you have seen how good the model is, fit once more
            without `time`. With `target`, a column's name, which stays a feature.
        target : str, optional
            A column of X that is the target, in place of `y`. Rows without one are left out, with a warning.
        memory : int or str, optional
            About how many bytes a table that is read piece by piece may take, such as "2GB"; by default a quarter of
            what the machine has. A table that takes an eighth of it is read and learned as any other. Of a larger one
            the columns are learned in one pass, and its rows kept as a few numbers each in a temporary file, dealt out
            at random; each member holds out 100,000 rows at most, and what is tried first is tried on as many. Its
            members are trained on this machine, whichever backend joblib has.
        parallel : mpi4py communicator or `nineline.parallel.Collective`, optional
            With `target`: the processes that fit this model together, such as ``MPI.COMM_WORLD``. Each calls `fit`, and
            has the same model in the end. Of files each process reads its share, where all give the same; anything else
            is the process's own share, of whatever size. Each step of a member is one of all processes (see
            `Network.train`), each with one thread where `n_jobs` does not say more; `memory` is of each process. The
            first one writes the checkpoint and shows progress.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            The table or the target is of no use; the message names the column. Two of `validation`, `groups` and `time`
            are given; there is one group or one time only; the rows to validate by have a class that the others lack.
        nineline.DivergenceError
            The loss of a network did not stay finite.
        nineline.parallel.ParallelError
            Another process cannot do its part; the message says which, and why.
        KeyboardInterrupt
            Ctrl-C came before anything was trained, or twice, or while members were trained on other machines. One that
            comes at another time ends training, with a warning: the model is what was trained by then.

        Examples
        --------
        >>> import numpy as np
        >>> from nineline.estimators import TabularRegressor
        >>> rng = np.random.default_rng(0)
        >>> X, patients = rng.normal(size=(200, 2)), rng.integers(20, size=200)
        >>> model = TabularRegressor(random_state=0, n_members=2, max_epochs=5)
        >>> model.fit(X, X[:, 0] + X[:, 1], groups=patients).report_.held_out_rows
        'rows of 4 of 20 groups'
        >>> model.fit(X, X[:, 0] + X[:, 1], time=np.arange(200)).report_.held_out_rows
        'the latest 25 rows, from 175 on'
        """
        twin = self._twin()
        if self.warm_start and hasattr(self, "network_"):
            twin._learned = Learned.of(self)
        twin._fit_any(X, y, sample_weight, Validation(validation, groups, time), target, memory, together_of(parallel))
        self._become(twin)
        if self.report_.interrupted:  # said when the model is there, for whoever makes errors of warnings
            warnings.warn(f"fit was interrupted: {self.report_.kept_in_words()}", stacklevel=2)
        return self

    def _twin(self) -> Self:
        """Return one to be fitted: where that fails, or is given up, the model is as it was."""
        twin = type(self).__new__(type(self))
        twin.__dict__.update(self.__dict__)
        return twin

    def _become(self, twin: Self) -> None:
        """Become a twin that was fitted."""
        twin._learned = None
        self.__dict__ = twin.__dict__

    def _fit_any(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        validation: Validation,
        target: str | None,
        memory: int | str | None,
        together: Together,
    ) -> None:
        """Fit what is in memory, or what is read piece by piece."""
        streamed = is_streamed(X)
        if target is not None and not isinstance(target, str):
            raise TypeError(
                f"target is {_checks.quoted(target)}; expected the name of one column: of several, read the table and "
                "give them as y: fit(table[columns], table[targets])"
            )
        if target is None and together.size > 1:
            raise ValueError(
                f"parallel is {together.size} processes, and target is not given; name the column of their tables to "
                "predict: fit(X, target='income', parallel=...)"
            )
        if target is None:
            if streamed:
                raise ValueError(
                    f"X is {_checks.quoted(X)}, which is read piece by piece, and target is not given; name the column "
                    "to predict: fit(X, target='income')"
                )
            self._fit(X, y, sample_weight, validation)
            return
        if y is not None:
            raise ValueError(f"target is {target!r} and y is given; give one of the two")
        if sample_weight is not None and not isinstance(sample_weight, str):
            raise TypeError(
                f"target is {target!r} and sample_weight is {type(sample_weight).__name__}; expected a column's name"
            )
        validation.check_names(target)
        with together.listening(), together.guard():
            with together.alike():
                source = X if isinstance(X, TableSource) else TableSource.of(X)
                bytes_given = None if memory is None else _checks.memory("memory", memory)
                mark = source.fingerprint() if source.is_files else None
            marks = list(together.each_of(mark))
            if len(marks) > 1 and mark is not None and len(set(marks)) == 1:
                source = source.share(together.rank, together.size)
            table = Streamed(
                source, target, sample_weight, self._check_target, together, validation.groups, validation.time
            )
            with together.alike():
                given = None if validation.rows is None else table.others(validation.rows)
            bytes_at_most = memory_by_default(together) if bytes_given is None else bytes_given
            whole = table.fits(bytes_at_most if streamed else sys.maxsize) if together.size == 1 else None
            if whole is None:
                self._fit_streamed(table, bytes_at_most, given)
            else:
                self._fit(whole.frame, whole.labels, whole.weights, validation.beside(given, whole.says))
            self.target_name_ = target
            gone = int(together.sums(table.without_target)[0])
        if gone and together.is_first:
            warnings.warn(f"{gone:,} rows without a {target!r} were left out", stacklevel=3)

    def _fit_streamed(self, table: Streamed, memory: int, given: TablePiece | None) -> None:
        """Fit a table that is larger than the memory, or of which several processes have shares."""
        began, together = time.perf_counter(), table.together
        with together.alike():
            time_limit, jobs = self._check_running()
            if together.size > 1 and time_limit is not None:
                raise ValueError(
                    f"time_limit is {time_limit:g}, and parallel {together.size} processes, whose clocks differ; leave "
                    "it out, and say how long by max_epochs"
                )
            self._recipe(2)  # wrong settings are said before any work
        if together.size > 1 and self.n_jobs is None:
            jobs = 1
        seed = together.first(int(check_random_state(self.random_state).randint(2**31)))
        if table.time is not None:
            table.find_latest(lambda rows: share_of(self._recipe(rows), rows))
        learner, seen = table.learn(self._summary(), memory)
        with together.alike():
            if not seen.rows:
                raise table.no_rows()
        as_frame(self, table.blank(), fitting=self._learned is None)
        weigh = partial(self._weights_by, seen)
        weighted = weigh(seen.values[:1], None) is not None or table.weight is not None
        columns = self._columns_of(learner)
        divided = self._divided(learner, columns, seen.rows)
        profiles = learner.profiles()
        del learner
        self.target_ = target = self._target_of(seen.values, seen.shares)
        file.check_room(divided, table.names, target.describe())
        aside, words = table.held_by_all(given)
        with together.alike():
            if aside is not None:
                held = Labelled(nw.from_native(aside.frame), aside.labels, aside.weights)
                aside = aside._replace(weights=_double(self._weights_of_held(seen, held, words)))
                recipe, dealing = self._recipe(seen.rows, validation_fraction=0.0), Dealing([], words=words)
            elif table.groups is not None:
                recipe, rng = self._recipe(seen.rows), np.random.default_rng([seed, 2**31 + 1])
                dealing = Dealing.of_groups(GroupCounts.of(table.counts), recipe, rng)
            else:
                recipe = self._recipe(seen.rows)
                dealing = Dealing.of_rows(recipe, seen.rows)
        self.names_ = table.names
        windows = max(memory // (2 * _AT_ONCE), 1)
        with table.spill(columns, target, weigh, seed, dealing, windows, weighted=weighted, aside=aside) as kept:
            plain, labels = kept.sample(round(TRIED_ON / (1 - recipe.share)), columns.encoding, target)
            folds: Splits
            if dealing.words:
                learned, held_rows, truth = len(plain), *kept.first_held_out(columns.encoding, target)
                folds = Fixed(learned, len(held_rows), dealing.words)
                plain, labels = Rows.joined([plain, held_rows]), np.concatenate([labels, truth])
            else:
                folds = Folds(len(plain), recipe.share, target.codes(labels), np.random.default_rng([seed, 2**31]))
                order = folds.sort()
                learned, plain, labels = len(plain), plain.part(order), labels[order]
            recipe = replace(recipe, mixes=False)  # each member reads its rows from the disk as all do
            settings = self._settings(recipe, labels, plain.sample_weight, seed)
            budget = Budget(_left(time_limit, began), jobs, _AT_ONCE, together if together.size > 1 else None)

            def whole(way: Columns, sample: Rows, settings: MemberSettings) -> tuple[Any, ...]:
                if self.target_ is not target:  # that of a sample: by its logarithm
                    self.target_ = self._learn_target_again(seen)
                held, truth, counts = kept.held_out(way.encoding, self.target_)
                settings = self._settings(settings.recipe, truth, held.sample_weight, seed)
                lessons = kept.lessons(settings, way.encoding, held, counts, sample.part(slice(learned)), windows)
                return lessons, (held, truth), seen.rows, settings

            ways = ways_of(plain, columns, divided, recipe)
            self._fit_rows(
                ways, labels, folds, settings, budget, began, (seen.rows, seen.rows), (profiles, table.examples), whole
            )

    def _columns_of(self, learner: ColumnsLearner) -> Columns:
        """Return the columns as they were learned, or, where a fit goes on, as its networks know them."""
        columns = learner.finish()
        return columns if self._learned is None else self._learned.columns

    def _divided(self, learner: ColumnsLearner, columns: Columns, rows: int) -> Columns:
        """Return the columns of so many different rows in intervals; where a fit goes on, as they are."""
        if self._learned is not None:
            return columns
        return learner.divided(columns, min(INTERVALS, rows // ROWS_AN_INTERVAL))

    def _target_of(self, y: npt.NDArray[Any], weights: Array | None, names: Sequence[str] | None = None) -> Target:
        """Return the target as it is learned, or as it was where a fit goes on."""
        if self._learned is not None:
            return self._widened(self._learned.target, y)
        return self._learn_target(y, weights, names)

    def _widened(self, target: Target, y: npt.NDArray[Any]) -> Target:
        """Return a target that was learned, for networks that go on with these rows."""
        check_columns(y, target)
        return target.widened(y)

    def _learn_target_again(self, seen: Any) -> Target:
        """Return the target in the way that was chosen, learned from all of its values."""
        return self._learn_target(seen.values, seen.shares)

    def _fit(self, X: Any, y: Any, sample_weight: npt.ArrayLike | None, validation: Validation) -> None:
        began = time.perf_counter()
        if self._learned is None:
            frame, named = as_frame(self, X, fitting=True)
        else:
            frame, named = self._frame(X), hasattr(self, "feature_names_in_")
        if y is None:
            raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is None")
        table = validation.says_of(self._labelled(frame, y, sample_weight)).counting
        target_columns = names_of(y, table.labels)
        if len(frame) < 2:
            raise ValueError("X has 1 sample; expected at least 2 rows to learn from")
        del frame
        time_limit, jobs = self._check_running()
        spreading = Spreading.chosen(self.n_jobs, self.checkpoint)
        share = self._recipe(len(table)).share  # wrong settings are said before any work
        table, held, words = self._apart(table, validation, share, named=named)
        table_rows, names, examples = len(table), list(table.frame.columns), _some_rows(table.frame)
        if held is not None and table.labels.ndim == 1:
            seen = self._summary()
            seen.see(table.labels, _double(table.weights))
            held = replace(held, weights=self._weights_of_held(seen, held, words))
        table = replace(table, weights=self._row_weights(table.labels, table.weights))
        random = check_random_state(self.random_state)
        seed = int(random.randint(2**31))
        learner = ColumnsLearner(named=named)
        learner.see(table.frame, _double(table.weights))
        columns = self._columns_of(learner)
        inputs = columns.compact(table.frame)
        kept, weights = merge(inputs, table.labels, table.weights, table.groups)
        labels, groups = table.labels[kept], None if table.groups is None else table.groups[kept]
        del table
        divided = self._divided(learner, columns, len(kept))
        profiles = learner.profiles()
        del learner
        self.target_ = self._target_of(labels, weights, target_columns)
        file.check_room(divided, names, self.target_.describe())
        folds: Splits
        if held is None:
            recipe, rng = self._recipe(len(kept)), np.random.default_rng([seed, 2**31])
            folds = Folds(len(kept), recipe.share, self.target_.codes(labels), rng, groups)
            order = folds.sort()
            folds.words = folds.in_words(recipe.members)
            labels = labels[order]
            inputs, weights = inputs.part(kept[order]), None if weights is None else weights[order]
            plain = Rows(inputs, self.target_.encode(labels), weights)
            del order
        else:
            recipe = self._recipe(len(kept), validation_fraction=0.0)
            plain = Rows(inputs.part(kept), self.target_.encode(labels), weights)
            aside, truth = self._rows_of(held, columns)
            folds = Fixed(len(plain), len(aside), words)
            plain, labels = Rows.joined([plain, aside]), np.concatenate([labels, truth])
            del aside
        different = len(kept)
        del kept, inputs
        self.names_ = names
        self.target_name_ = name_of(y, target_columns)
        settings = self._settings(recipe, labels, plain.sample_weight, seed)
        budget = Budget(_left(time_limit, began), jobs, spreading=spreading)
        ways = ways_of(plain, columns, divided, recipe)
        self._fit_rows(ways, labels, folds, settings, budget, began, (table_rows, different), (profiles, examples))

    def _labelled(self, frame: nw.DataFrame[Any], y: Any, sample_weight: Any) -> Labelled:
        """Return a table with its target and weights, checked."""
        labels = self._check_target(y)
        if len(labels) != len(frame):
            raise ValueError(f"X has {len(frame)} rows and y has {len(labels)}; expected as many of each")
        weights = _checks.row_weights("sample_weight", sample_weight, len(frame), np.dtype(np.float32))
        return Labelled(frame, labels, weights)

    def _apart(
        self, table: Labelled, validation: Validation, share: float, *, named: bool
    ) -> tuple[Labelled, Labelled | None, str]:
        """Return the rows to learn from, those that all members are to hold out, if any, and which rows these are."""
        given = validation.triple
        if given is not None:
            try:
                frame, named_too = as_frame(self, given[0], fitting=False)
                held = self._labelled(frame, *given[1:]).counting
            except (TypeError, ValueError) as error:
                kind = TypeError if isinstance(error, TypeError) else ValueError
                raise kind(f"validation does not go with X and y: {error}") from error
            if named_too != named:  # one side has no names: by position
                names = dict(zip(frame.columns, table.frame.columns, strict=True))
                held = replace(held, frame=held.frame.rename(names))
            return table, held, f"{len(held):,} rows that were given"
        if table.times is not None and share:
            return latest(table, share)
        return table, None, ""

    def _rows_of(self, held: Labelled, columns: Columns) -> tuple[Rows, npt.NDArray[Any]]:
        """Return rows to validate by as members are judged by them, and their targets."""
        inputs = columns.compact(held.frame)
        kept, weights = merge(inputs, held.labels, held.weights)
        labels = held.labels[kept]
        return Rows(inputs.part(kept), self.target_.encode(labels), weights), labels

    def _frame(self, X: Any) -> nw.DataFrame[Any]:
        """Return a table with the names that `fit` saw."""
        frame, named = as_frame(self, X, fitting=False)
        if not (named and hasattr(self, "feature_names_in_")):  # one side has no names: by position
            frame = frame.rename(dict(zip(frame.columns, self.names_, strict=True)))
        return frame


def _some_rows(frame: nw.DataFrame[Any]) -> list[dict[str, Any]]:
    """Return some rows, evenly spaced, by the names of the columns."""
    return [dict(row) for row in frame[evenly_spaced(len(frame), EXAMPLES).tolist()].iter_rows(named=True)]


def _double(weights: Array | None) -> npt.NDArray[np.float64] | None:
    return None if weights is None else weights.astype(np.float64)


def _left(limit: float | None, began: float) -> float | None:
    """Return what is left of a time limit for training."""
    return None if limit is None else max((1 - _FOR_JUDGING) * limit - (time.perf_counter() - began), 1e-9)
