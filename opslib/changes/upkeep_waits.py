"""Why a build, a rebuild or a drop would not come to its end: what it would wait for, and for how long by now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opslib import frames
from opslib.checks.locks import LONG_HELD_S

if TYPE_CHECKING:
    import pandas as pd

    from opslib.changes.upkeep_targets import Row


def waits(horizon: pd.DataFrame) -> str:
    """Return which old snapshot a build would wait for, or nothing; `horizon`: `xmin_horizon`."""
    if frames.reason(horizon):
        return "whether an old transaction holds it up could not be seen"
    # A build waits for no worker of autovacuum, and one that is in its way gives way by itself.
    return _oldest(horizon[horizon["owner"].ne("autovacuum worker")])


def held(locks: pd.DataFrame, row: Row) -> str:
    """Return which holder of a lock a rebuild or a drop would wait for, or nothing.

    Args:
        locks: the statement `table_locks`.
        row: one of `indexes`.
    """
    if frames.reason(locks):
        return "whether somebody has locked its table could not be seen"
    of_it = locks["schema"].eq(row["schema"]) & locks["table_name"].eq(row["table_name"])
    return _oldest(locks[of_it])


def _oldest(holders: pd.DataFrame) -> str:
    old = holders[holders["since"].ge(LONG_HELD_S)]
    if old.empty:
        return ""
    first: dict[Any, Any] = old.sort_values("since").iloc[-1].to_dict()
    held_by = f"{first['holder']} {first['name']} ({first['owner']})"
    return f"it would wait for {held_by}, {first['since'] / 60:.0f} min old; end that first"
