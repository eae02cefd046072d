"""How the estimators of tables are fitted: columns and target learned, ways chosen, members trained and judged."""

from __future__ import annotations

import sys
import time
import warnings
from abc import abstractmethod
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self, TypeAlias, cast

import narwhals as nw
import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state

from nineline import _checks
from nineline.ensemble import Ensemble
from nineline.estimators.frames import as_frame
from nineline.estimators.pickles import Pickled
from nineline.estimators.tabular import file
from nineline.estimators.tabular.background import Background
from nineline.estimators.tabular.dealing import Dealing, GroupCounts, share_of
from nineline.estimators.tabular.folds import Fixed, Folds, Splits, merge
from nineline.estimators.tabular.given_targets import name_of, names_of
from nineline.estimators.tabular.held_out import HeldOut
from nineline.estimators.tabular.interruption import Interruption
from nineline.estimators.tabular.learned import Learned
from nineline.estimators.tabular.member import Member, MemberSettings
from nineline.estimators.tabular.members import Budget, soon_judged, train_members
from nineline.estimators.tabular.portfolio import Way, choose, ways_of
from nineline.estimators.tabular.progress import MemberProgress
from nineline.estimators.tabular.recipe import INTERVALS, ROWS_AN_INTERVAL, Recipe
from nineline.estimators.tabular.report import FitReport
from nineline.estimators.tabular.scoring import error_of, scorer_of
from nineline.estimators.tabular.spreading import Spreading
from nineline.estimators.tabular.streamed import EXAMPLES, Streamed, is_streamed, memory_by_default
from nineline.estimators.tabular.sweep import sweep
from nineline.estimators.tabular.texts import try_texts
from nineline.estimators.tabular.trials import TRIED_ON, Trial, Tried
from nineline.estimators.tabular.validation import Labelled, Validation, latest
from nineline.rows import Rows, evenly_spaced
from nineline.tables.columns import Columns, ColumnsLearner
from nineline.tables.sources import TableSource
from nineline.training.shared.together import together_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt
    from sklearn.utils import Bunch

    from nineline._typing import Array
    from nineline.estimators.tabular.streamed import TablePiece
    from nineline.network import Network
    from nineline.rows import Compact
    from nineline.tables.profile import ColumnProfile
    from nineline.tables.targets import Target
    from nineline.training.history import History
    from nineline.training.shared.together import Together
    from nineline.training.snapshot import Snapshot


Whole: TypeAlias = "Callable[[Columns, Rows, MemberSettings], tuple[Any, ...]]"

_AT_ONCE: Final = 2  # members that read their rows from a disk
_FOR_JUDGING: Final = 0.07  # of a time limit: for what comes behind training


class Fitting(Pickled, BaseEstimator):
    """What `fit` does, of a table in memory or one that is read piece by piece; what it calls, a subclass says."""

    columns_: Columns
    target_: Target
    members_: list[Network]
    network_: Network | Ensemble
    histories_: list[History]
    _report: FitReport
    evaluation_: dict[str, float]
    importances_: dict[str, float]
    target_name_: str
    n_features_in_: int
    names_: list[str]
    _held_out: HeldOut | None = None
    _importance: Bunch | None = None
    _background: Background | None = None
    _learning_rate: float | None = None
    _standing: list[Snapshot] | None = None
    """Where the last `partial_fit` ended."""
    _learned: Learned | None = None
    """What the fit under way goes on from, where it does not begin anew."""

    @property
    def report_(self) -> FitReport:
        """What `fit` did, and how good the model is."""
        if "_report" not in vars(self):
            raise AttributeError(f"this {type(self).__name__} has no report_: it is not fitted, or comes from a file")
        return replace(self._report, model=self)  # which holds the model, and not the other way round

    @abstractmethod
    def _check_target(self, y: Any) -> npt.NDArray[Any]:
        """Return the target as an array of labels or numbers, (rows,) or (rows, outputs), or raise."""

    @abstractmethod
    def _learn_target(self, y: npt.NDArray[Any], weights: Array | None, names: Sequence[str] | None = None) -> Target:
        """Return the target as it is learned; `names` are those of several columns."""

    target_kinds: ClassVar[tuple[type[Target], ...]]
    """What a file may hold the target as; the first is what it is where the file does not say."""

    @property
    def target_names_(self) -> list[str]:
        """What each of the answers is called: the target, or each column of several, or the target's quantiles."""
        return self.target_.of(self.target_name_)

    def _try_targets(
        self,
        rows: Rows,
        labels: npt.NDArray[Any],
        folds: Splits,
        settings: MemberSettings,
        budget: Budget,
        interruption: Interruption,
    ) -> tuple[Tried, Rows]:
        """Try other ways to learn the target, and return what came of it, and the rows with the best."""
        return Tried([], 0, [], budget), rows

    def _judge(self, members: list[Member], rows: Rows, labels: npt.NDArray[Any]) -> HeldOut:
        """Return the held-out rows with what the members answer for them."""
        return HeldOut.of(members, rows, labels, self.target_.answers)

    def _error(self, members: list[Member], rows: Rows, labels: npt.NDArray[Any]) -> float:
        """Return what trials are judged by, on held-out rows; see `error_of`."""
        return HeldOut.of(members, rows, labels, self.target_.answers).error(self)

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
        return self._learn_target(y, weights, names) if self._learned is None else self._learned.target.widened(y)

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

    def _settings(self, recipe: Recipe, labels: npt.NDArray[Any], weights: Array | None, seed: int) -> MemberSettings:
        """Return how members are made and trained that are judged by rows with these targets and weights."""
        return MemberSettings(
            recipe=recipe,
            activation=self.activation,
            target=self.target_,
            score=scorer_of(self, self.eval_metric, labels, weights),
            seed=seed,
            engine=self.engine,
            checkpoint=self.checkpoint,
            resume=self.resume,
            begin=() if self._learned is None else self._learned.networks,
        )

    def _fit_rows(
        self,
        ways: Sequence[Way],
        labels: npt.NDArray[Any],
        folds: Splits,
        settings: MemberSettings,
        budget: Budget,
        began: float,
        counts: tuple[int, int],
        seen: tuple[list[ColumnProfile], list[dict[str, Any]]],
        whole: Whole | None = None,
    ) -> None:
        """Choose, train and report, where rows with columns as they are and divided are there to choose by.

        `counts` are the rows of the table, and the different ones among them; `seen` is what its columns are like, and
        some rows.
        """
        self.evaluation_, self.importances_, self._importance, self._standing = {}, {}, None, None
        interruption = Interruption()

        def work() -> None:
            rows, trials, rates, used = self._train(ways, labels, folds, settings, budget, interruption, whole)
            self._learning_rate = used.learning_rate
            self._background = Background.of(cast("Compact", rows.inputs), rows.sample_weight, rows=counts[0])
            self._report = FitReport(
                rows=counts[0],
                different=counts[1],
                columns=self.columns_,
                target=self.target_.in_words(),
                trials=trials,
                recipe=used,
                rates=rates,
                histories=self.histories_,
                held_out=self._held_out.scores(self) if self._held_out is not None else {},
                held_out_rows=folds.words,
                judged_by=self._held_out.judges if self._held_out is not None else "",
                seconds=time.perf_counter() - began,
                interrupted=interruption.heard,
                profiles=seen[0],
                examples=seen[1],
            )

        if budget.together is None:
            interruption.run(work)
        else:  # which are told of Ctrl-C
            work()

    def _train(
        self,
        ways: Sequence[Way],
        labels: npt.NDArray[Any],
        folds: Splits,
        settings: MemberSettings,
        budget: Budget,
        interruption: Interruption,
        whole: Whole | None,
    ) -> tuple[Rows, list[Trial], list[Trial], Recipe]:
        """Choose between ways to see the table and its target, train, and become what was trained.

        The rows to choose by are all there are, or a sample of a `whole` table, which is what members learn from then.
        Return these rows as members see them, what was tried, of ways and of learning rates, and the recipe that the
        members were trained by.
        """
        rates: list[Trial] = []
        weights = ways[0].rows.sample_weight

        def error(numbers: npt.NDArray[np.intp], outputs: Array) -> float:
            counts = None if weights is None else weights[numbers]
            return error_of(self, labels[numbers], self.target_.answers(outputs), counts)

        kept: list[Member] = []
        trials: list[Trial] = []
        if self._learned is None and not interruption.heard:
            tried, ways = try_texts(ways, folds, settings, budget, interruption, partial(self._error, labels=labels))
            trials, kept, budget = tried.trials, tried.members, tried.budget
        chosen = choose(ways, folds, settings, budget, interruption, error)
        portfolio, trials, budget = chosen.portfolio, trials + chosen.trials, chosen.budget
        kept = chosen.members or portfolio.widened(kept, settings)
        self.columns_, settings = portfolio.columns, portfolio.settings(settings)
        if self._learned is None and not interruption.heard:
            first = portfolio.ways[0].rows
            tried, learned = self._try_targets(first, labels, folds, settings, budget, interruption)
            portfolio, trials, budget = portfolio.with_targets(learned), trials + tried.trials, tried.budget
            kept = portfolio.widened(tried.members, settings) or kept
        rows = portfolio.rows
        if settings.recipe.sweeps and not interruption.heard:
            settings, rates, budget = sweep(rows, folds, settings, budget, interruption)
        lessons = portfolio.lessons(folds)
        to_judge_by, count = (rows, labels), len(rows)
        if whole is not None:
            lessons, to_judge_by, count, settings = whole(self.columns_, rows, settings)
        if budget.together is not None:
            kept = []  # each process has tried what it has in memory
        shown = self.verbose if budget.together is None or budget.together.is_first else False
        progress = MemberProgress(shown, settings.recipe.members * settings.recipe.epochs, count)
        members = train_members(lessons, settings, budget, progress, interruption)
        if interruption.heard and kept:
            kept = soon_judged(kept)
            if not members or not self._error(members, *to_judge_by) < self._error(kept, rows, labels):
                members, to_judge_by = kept, (rows, labels)
        if not members:
            raise KeyboardInterrupt
        self._take(members)
        self._held_out = self._judge(members, *to_judge_by)
        return rows, trials, rates, settings.recipe

    def _take(self, members: list[Member]) -> None:
        """Become what was trained."""
        self.members_ = [member.network for member in members]
        self.histories_ = [member.history for member in members]
        self.network_ = self.members_[0] if len(members) == 1 else Ensemble(self.members_)

    def _recipe(self, rows: int, **instead: Any) -> Recipe:
        settings = {**self.get_params(deep=False), **instead}
        recipe = Recipe.of(settings, rows, classes=hasattr(self, "predict_proba"))
        return recipe if self._learned is None else self._learned.recipe(recipe, settings)

    def _check_running(self) -> tuple[float | None, int]:
        """Check what says how training runs, and return the seconds it may take and the members at once."""
        if self.checkpoint is not None and not isinstance(self.random_state, (int, np.integer)):
            raise ValueError(
                f"checkpoint is given and random_state is {self.random_state!r}; a training that goes on has to hold "
                "out the same rows again, so give a whole number: random_state=0"
            )
        if self.checkpoint is not None and (self.eval_metric != "loss" or self.time_limit is not None):
            raise ValueError(
                "checkpoint is given, and eval_metric or time_limit; a training that goes on follows the loss, and "
                "ends as it would have ended: leave them out"
            )
        if self.checkpoint is not None and self.warm_start and self._learned is not None:
            raise ValueError(
                "checkpoint is given, and warm_start, of a model that is fitted; a training in a file goes on from "
                "where it began, not from these networks: leave one of the two out"
            )
        limit = self.time_limit
        if limit is not None:
            limit = _checks.number("time_limit", limit, low=0, low_open=True)
        jobs = self.n_jobs
        if jobs is not None and isinstance(jobs, (int, np.integer)) and jobs < 0:  # as scikit-learn counts: -1 is all
            jobs = max(1, _checks.threads("n_jobs", None) + 1 + int(jobs))
        return limit, _checks.threads("n_jobs", jobs)


def _some_rows(frame: nw.DataFrame[Any]) -> list[dict[str, Any]]:
    """Return some rows, evenly spaced, by the names of the columns."""
    return [dict(row) for row in frame[evenly_spaced(len(frame), EXAMPLES).tolist()].iter_rows(named=True)]


def _double(weights: Array | None) -> npt.NDArray[np.float64] | None:
    return None if weights is None else weights.astype(np.float64)


def _left(limit: float | None, began: float) -> float | None:
    """Return what is left of a time limit for training."""
    return None if limit is None else max((1 - _FOR_JUDGING) * limit - (time.perf_counter() - began), 1e-9)
