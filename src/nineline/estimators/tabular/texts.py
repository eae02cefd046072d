"""Whether the free text of a table is used: where a short training with it answers better on held-out rows."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, cast

from nineline.estimators.tabular.trials import Tried, try_out

if TYPE_CHECKING:
    from collections.abc import Callable

    from nineline.estimators.tabular.folds import Folds
    from nineline.estimators.tabular.interruption import Interruption
    from nineline.estimators.tabular.member import Member, MemberSettings
    from nineline.estimators.tabular.members import Budget
    from nineline.rows import Compact, Rows
    from nineline.tables.columns import Columns

_NO_HELP: Final = "free text that did not help on held-out rows"
_NOT_TRIED: Final = "free text, and no rows are held out that could tell whether it helps"


def try_texts(
    columns: Columns,
    rows: Rows,
    folds: Folds,
    settings: MemberSettings,
    budget: Budget,
    interruption: Interruption,
    error: Callable[[list[Member], Rows], float],
) -> tuple[Tried, Columns, Rows]:
    """Try the table without its free text and with it, and return what came of it, and columns and rows with the best.

    Text that is all there is to learn from is used; where no rows are held out, any other is not.

    Parameters
    ----------
    columns : Columns
    rows : Rows
        Of those columns.
    folds, settings, budget, interruption
        As `nineline.estimators.tabular.trials.try_out` takes them.
    error : function
        Of the members that were trained, and the rows that some of were held out.
    """
    texts = columns.texts
    if len(texts) in (0, len(columns.used)):
        return Tried([], 0, [], budget), columns, rows
    without = columns.without_texts(_NO_HELP)
    others = replace(rows, inputs=cast("Compact", rows.inputs).read_by(without.encoding))
    more = f" and {len(texts) - 1} more" if len(texts) > 1 else ""
    ways = (f"without the text of {texts[0]!r}{more}", others), ("with it", rows)
    tried = try_out(ways, folds, settings, budget, interruption, lambda way, members: error(members, ways[way][1]))
    if not tried.trials:
        return tried, columns.without_texts(_NOT_TRIED), others
    if tried.best == 1 or not tried.members:  # what was trained before, with the text, is all there is
        return tried, columns, rows
    return tried, without, others
