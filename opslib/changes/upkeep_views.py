"""Which materialized views are proposed to be refreshed, and that it is noted where the app notes it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from opslib import frames
from opslib.acts import Statement
from opslib.changes import upkeep_targets as make
from opslib.changes.upkeep_choice import AUTO, NONE, Picks, plain_rows
from opslib.checks import views as judged
from opslib.gate.plan import Draft, Target

if TYPE_CHECKING:
    import pandas as pd

    from opslib.changes.upkeep_targets import Row

_FINAL = "what a view showed before is gone: nothing brings old rows back"
_SHUT = "without a unique index its refresh shuts out every reader until it ends: set shut_out_readers"


def refresh(
    causes: Iterable[str], views: pd.DataFrame, seen: pd.DataFrame, stale: Iterable[str], *,
    log: Mapping[str, Any], names: Sequence[Sequence[str]] = (), shut_out_readers: bool = False,
    repair: str = AUTO, most: int = 10,
) -> Draft | None:  # fmt: skip
    """Propose which views to refresh.

    Args:
        causes: ids of the causes that were found.
        views: the statement `materialized_views`.
        seen: when each was refreshed, as `views.refreshes` returns it.
        stale: schema.name of the views that a check found.
        log: the table that notes refreshes, as `views.refreshes` takes it; may be empty.
        names: schema and name of the views to refresh instead.
        shut_out_readers: also those that nobody can read meanwhile.
        repair: `auto`, or `none`.
        most: how many targets one plan may have; a refresh and its note are one each.
    """
    if repair == NONE or frames.reason(views):
        return None
    wanted = [".".join(name) for name in names] or (list(stale) if judged.STALE.id in set(causes) else [])
    times, picks = judged.noted(views, seen), Picks(most)
    for row in plain_rows(views):
        if judged.name(row) in wanted:
            closed = row["populated"] and not row["concurrently"] and not shut_out_readers
            picks.take(_refresh(row), _SHUT if closed else "")
            if log and not closed and judged.name(row) in times:
                picks.take(_note(row, log, *times[judged.name(row)]))
    picks.final = [_FINAL] if picks.targets else []
    return picks.draft(
        "Refresh materialized views", "the views show what is true now; their tables are read once"
    )


def _refresh(row: Row) -> Target:
    relation = [row["schema"], row["view_name"]]
    beside = bool(row["concurrently"])
    act = Statement(make.REFRESH_BESIDE if beside else make.REFRESH, {"view": relation})
    effect = "readers go on, and see the new rows all at once"
    if not beside:
        effect = (
            "nobody can read it until it is done" if row["populated"] else "it can be queried from then on"
        )
    before = {"refreshed": make.as_now(row[make.MARKS[act.name]]), "populated": bool(row["populated"])}
    after = {"refreshed": make.DONE, "populated": True}
    return Target(f"refresh {judged.name(row)}", {"relation": relation}, before, after, act, effect=effect)


def _note(row: Row, log: Mapping[str, Any], noted_as: str, at: Any) -> Target:
    identity = {
        "relation": [row["schema"], row["view_name"]], "name": noted_as, **log, "note": True,
    }  # fmt: skip
    seen = make.stamp(at)
    act = Statement(make.NOTE, {**log, "name": noted_as, "seen": seen})
    return Target(
        f"note the refresh of {judged.name(row)}", identity, {"noted": seen}, {"noted": make.DONE}, act,
        effect="whoever asks the app's own table learns of the refresh",
    )  # fmt: skip
