"""New rows later on: networks that are trained already take a pass through them, and the model goes on with it."""

from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Self, cast

import numpy as np
from sklearn.utils import check_random_state

from nineline import _checks
from nineline.ensemble import Ensemble
from nineline.estimators.tabular.background import Background
from nineline.estimators.tabular.fitting import Fitting
from nineline.estimators.tabular.interruption import Interruption
from nineline.estimators.tabular.learned import Learned
from nineline.estimators.tabular.member import rule_of
from nineline.estimators.tabular.streamed import is_streamed
from nineline.estimators.tabular.validation import Validation
from nineline.rows import Rows
from nineline.training.trainer import Trainer

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from nineline.estimators.tabular.member import MemberSettings
    from nineline.network import Network
    from nineline.rows import Compact, Encoding
    from nineline.training.snapshot import Snapshot

_SHARE: Final = 0.3
"""Of the recipe's learning rate, which is its peak. A training ends at a thousandth of it, where nothing is learned any
more; on five tables a tenth of it followed a change of the target two to ten times as slowly as three tenths, and the
peak itself made rows that came a few at a time worse than none."""
_BATCHES_A_CALL: Final = 64  # Ctrl-C is heard in between


class Later(Fitting):
    """What `partial_fit` does."""

    def partial_fit(self, X: Any, y: Any, sample_weight: npt.ArrayLike | None = None) -> Self:
        """Go on with new rows of the same columns: each network takes one pass through them.

        A model that is not fitted is, as by `fit`; its columns are those of the first rows, so let these be many enough
        to be typical. From then on columns, encodings and the scaling of the target stay as they are: a level that was
        not seen is what it is to `predict`, and answers may go as far as any target so far. Steps are those of the
        recipe's AdamW, with dropout, at three tenths of its learning rate, which is the peak of a training that ends
        near 0, where nothing is learned. What the optimizer remembers goes on from call to call in memory; after
        `fit`, in a copy, a pickle and from a file it begins anew.

        `report_`, `histories_` and `residuals_` stay those of `fit`. Rows that were held out then are kept for
        importances and pictures, and are asked of the networks as they are now, which say too much where such a row is
        learned later on. `evaluation_` and `importances_`, which were of the networks before, are emptied.

        Parameters
        ----------
        X : DataFrame or array_like, (rows, columns)
        y : array_like, (rows,)
        sample_weight : array_like, (rows,), optional
            0 or more.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            The rows are of no use, or of other columns. The model is as it was, as after any error.
        nineline.DivergenceError
            The loss of a network did not stay finite.
        KeyboardInterrupt
            Ctrl-C.

        Examples
        --------
        >>> import numpy as np
        >>> from nineline.estimators import TabularRegressor
        >>> x = np.linspace(0, 1, 400).reshape(-1, 1)
        >>> model = TabularRegressor(random_state=0, n_members=1).fit(x, x[:, 0])
        >>> for _ in range(20):
        ...     model = model.partial_fit(x, x[:, 0] + 0.1)
        >>> bool(0.05 < model.predict([[0.5]])[0] - 0.5 < 0.15)
        True
        """
        self._become_later(self._twin(), X, y, sample_weight)
        return self

    def _become_later(self, twin: Self, X: Any, y: Any, sample_weight: Any) -> None:
        """Let a twin begin or go on, and become it."""
        begins = not hasattr(self, "network_")
        twin._partial_fit(X, y, sample_weight)
        self._become(twin)
        if begins and self.report_.interrupted:
            warnings.warn(f"fit was interrupted: {self.report_.kept_in_words()}", stacklevel=3)

    def _partial_fit(self, X: Any, y: Any, sample_weight: Any) -> None:
        """Go on, or begin."""
        if is_streamed(X):
            raise TypeError(
                f"X is {_checks.quoted(X)}, which is read piece by piece; expected rows in memory: hand over a piece a "
                "call, such as nineline.tables.sources.TableSource.of(X).pieces() yields"
            )
        if not hasattr(self, "network_"):
            self._fit(X, y, sample_weight, Validation())
            return
        self._learned = Learned.of(self)
        labels, rows = self._later_rows(X, y, sample_weight)
        background = Background.of(cast("Compact", rows.inputs), rows.sample_weight)
        if self._background is not None:
            background = self._background.joined(background)
        _, jobs = self._check_running()
        seed = int(check_random_state(self.random_state).randint(2**31))
        settings = self._settings(self._recipe(background.rows), labels, rows.sample_weight, seed)
        networks, self._standing = go_on(rows, settings, self._standing, jobs)
        self._go_on_as(networks)
        if "_report" in vars(self):
            self._report = replace(self._report, later=self._report.later + len(rows))
        if self._background is not None:
            self._background = background

    def _later_rows(self, X: Any, y: Any, sample_weight: Any) -> tuple[npt.NDArray[Any], Rows]:
        """Return the targets of new rows, as far as answers may go from now on, and the rows as networks learn them."""
        table = self._labelled(self._frame(X), y, sample_weight).counting
        self.target_ = self._widened(self.target_, table.labels)
        weights = self._row_weights(table.labels, table.weights)
        return table.labels, Rows(self.columns_.compact(table.frame), self.target_.encode(table.labels), weights)

    def _go_on_as(self, networks: list[Network]) -> None:
        """Become what the networks have become; what was measured of those before is not said of them."""
        if self._held_out is not None:
            became: dict[Network | Ensemble, Network] = dict(zip(self.members_, networks, strict=True))
            self._held_out = self._held_out.by(became, self.target_)
        before, self.members_ = self.network_, networks
        self.network_ = Ensemble(networks, before.weights) if isinstance(before, Ensemble) else networks[0]
        self.evaluation_, self.importances_, self._importance = {}, {}, None


def go_on(
    rows: Rows, settings: MemberSettings, standing: Sequence[Snapshot] | None, jobs: int
) -> tuple[list[Network], list[Snapshot]]:
    """Take one pass through new rows with each network, by the recipe's AdamW at three tenths of its learning rate.

    Nothing that is handed over is changed.

    Parameters
    ----------
    rows : Rows
        Compact, as the networks learned the others.
    settings : MemberSettings
        Among them the networks to begin with.
    standing : sequence of Snapshot or None
        Where the pass before ended: what each optimizer remembers, and its generator; None: there is none.
    jobs : int
        How many networks at once; the result does not depend on it.

    Returns
    -------
    networks : list of Network
        In float64, of parameters in float32.
    standing : list of Snapshot

    Raises
    ------
    nineline.DivergenceError
        A loss did not stay finite.
    KeyboardInterrupt
        Ctrl-C.
    """
    recipe, interruption = settings.recipe, Interruption()
    slower = replace(settings, recipe=replace(recipe, learning_rate=_SHARE * recipe.learning_rate))
    encoding, at_once = cast("Compact", rows.inputs).encoding, min(jobs, len(settings.begin))

    def one(number: int) -> tuple[Network, Snapshot]:
        trainer = _trainer(slower, encoding, number, max(1, jobs // at_once))
        if standing is not None:
            trainer.restore(standing[number])
        order = trainer.rng.permutation(len(rows))
        at = _BATCHES_A_CALL * recipe.batch_size
        for start in range(0, len(rows), at):
            if interruption.heard:
                raise KeyboardInterrupt
            some = rows.part(order[start : start + at])
            trainer.steps(some.inputs, some.targets, some.sample_weight, batch_size=recipe.batch_size, shuffle=False)
        return trainer.network.astype(np.float64), trainer.snapshot()

    def work() -> list[tuple[Network, Snapshot]]:
        with ThreadPoolExecutor(at_once) as pool:
            return list(pool.map(one, range(len(settings.begin))))

    moved = interruption.run(work)
    return [network for network, _ in moved], [snapshot for _, snapshot in moved]


def _trainer(settings: MemberSettings, encoding: Encoding, number: int, threads: int) -> Trainer:
    """Return a training of a copy of one network."""
    network = settings.begin[number].astype(np.float32)
    rng = np.random.default_rng([settings.seed, number])
    trainer = Trainer.of(network, rule_of(settings, encoding), settings.engine, threads, rng)
    trainer.draw_seed()
    return trainer
