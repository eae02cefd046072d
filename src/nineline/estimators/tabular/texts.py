"""Whether the free text of a table is used: where a short training with it answers better on held-out rows."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, cast

from nineline.estimators.tabular.trials import Tried, try_out

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nineline.estimators.tabular.folds import Splits
    from nineline.estimators.tabular.interruption import Interruption
    from nineline.estimators.tabular.member import Member, MemberSettings
    from nineline.estimators.tabular.members import Budget
    from nineline.estimators.tabular.portfolio import Way
    from nineline.rows import Compact, Rows

_NO_HELP: Final = "free text that did not help on held-out rows"
_NOT_TRIED: Final = "free text, and no rows are held out that could tell whether it helps"


def try_texts(
    ways: Sequence[Way],
    folds: Splits,
    settings: MemberSettings,
    budget: Budget,
    interruption: Interruption,
    error: Callable[[list[Member], Rows], float],
) -> tuple[Tried, Sequence[Way]]:
    """Try the first way to see the table without its free text and with it; return what came of it, and the ways so.

    Text that is all there is to learn from is used; where no rows are held out, any other is not.

    Parameters
    ----------
    ways : sequence of Way
        With the text.
    folds, settings, budget, interruption
        As `nineline.estimators.tabular.trials.try_out` takes them.
    error : function
        Of the members that were trained, and the rows that some of were held out.
    """
    columns = ways[0].columns
    texts = columns.texts
    if len(texts) in (0, len(columns.used)):
        return Tried([], 0, [], budget), ways
    without = _without(ways[0], _NO_HELP)
    more = f" and {len(texts) - 1} more" if len(texts) > 1 else ""
    tries = (f"without the text of {texts[0]!r}{more}", without.rows), ("with it", ways[0].rows)

    def far(number: int, members: list[Member]) -> float:
        return error(members, tries[number][1])

    tried = try_out(tries, folds, settings, budget, interruption, far, "text")
    if not tried.trials:
        return tried, [_without(way, _NOT_TRIED) for way in ways]
    return tried, ways if tried.best == 1 else [_without(way, _NO_HELP) for way in ways]


def _without(way: Way, reason: str) -> Way:
    """Return a way to see the table without its text."""
    columns = way.columns.without_texts(reason)
    inputs = cast("Compact", way.rows.inputs).read_by(columns.encoding)
    return replace(way, columns=columns, rows=replace(way.rows, inputs=inputs))
