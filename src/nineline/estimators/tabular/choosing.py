"""How a model of a table is chosen, trained and judged, once its rows are ready."""

from __future__ import annotations

import time
from abc import abstractmethod
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias, cast

import numpy as np
from sklearn.base import BaseEstimator

from nineline import _checks
from nineline.ensemble import Ensemble
from nineline.estimators.pickles import Pickled
from nineline.estimators.tabular.background import Background
from nineline.estimators.tabular.held_out import HeldOut
from nineline.estimators.tabular.interruption import Interruption
from nineline.estimators.tabular.member import Member, MemberSettings
from nineline.estimators.tabular.members import Budget, soon_judged, train_members
from nineline.estimators.tabular.portfolio import Way, choose
from nineline.estimators.tabular.progress import MemberProgress
from nineline.estimators.tabular.recipe import Recipe
from nineline.estimators.tabular.report import FitReport
from nineline.estimators.tabular.scoring import error_of, scorer_of
from nineline.estimators.tabular.sweep import sweep
from nineline.estimators.tabular.texts import try_texts
from nineline.estimators.tabular.trials import Trial, Tried

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt
    from sklearn.utils import Bunch

    from nineline._typing import Array
    from nineline.estimators.tabular.folds import Splits
    from nineline.estimators.tabular.learned import Learned
    from nineline.network import Network
    from nineline.rows import Compact, Rows
    from nineline.tables.columns import Columns
    from nineline.tables.profile import ColumnProfile
    from nineline.tables.targets import Target
    from nineline.training.history import History
    from nineline.training.snapshot import Snapshot


Whole: TypeAlias = "Callable[[Columns, Rows, MemberSettings], tuple[Any, ...]]"


class Choosing(Pickled, BaseEstimator):
    """What comes of rows that are ready; what it calls, a subclass says."""

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
