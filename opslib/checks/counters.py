"""May what a server has counted of its tables be believed: dead rows, changed rows, times of upkeep."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from opslib import frames
from opslib.checks import compare

if TYPE_CHECKING:
    from opslib.verdict import Finding

# For so long after counters began anew, a table that had many dead rows before looks like a clean one.
YOUNG = pd.Timedelta(days=1)
# A server that is made now begins to count within this time: what is counted there is all that there was.
SETTING_UP = pd.Timedelta(minutes=10)


def doubt(counted: pd.DataFrame) -> str:
    """Return why counters do not tell what happened to tables, or "" when they do.

    Args:
        counted: the statement `counted_since`, answered.
    """
    row = counted.iloc[0]
    if row["is_replica"]:
        return "a replica does not count what changed in its tables: ask its primary"
    if not row["tracked"]:
        return "track_counts is off: this server does not count what changes in its tables"
    if row["now"] - row["since"] >= YOUNG or row["since"] - row["made_at"] < SETTING_UP:
        return ""
    return f"counted since {row['since']:%Y-%m-%d %H:%M} UTC only: a reset or a crash took what was before"


def unasked(tables: pd.DataFrame, counted: pd.DataFrame) -> str:
    """Return why there is nothing to judge, or "" when there is.

    Args:
        tables: what is to be judged.
        counted: the statement `counted_since`.
    """
    absent = "the answer has no rows" if counted.empty else ""
    return frames.reason(tables) or frames.reason(counted) or absent


def measured(tables: pd.DataFrame, counted: pd.DataFrame) -> pd.Series[bool]:
    """Return for each table whether its counters can be believed.

    Vacuum and analyze count a table anew, so one that was tended since is known again.

    Args:
        tables: the statement `autovacuum_need` or `tended_tables`.
        counted: the statement `counted_since`, answered.
    """
    if not doubt(counted):
        return pd.Series(True, tables.index)
    if counted["is_replica"].iloc[0] or not counted["tracked"].iloc[0]:
        return pd.Series(False, tables.index)
    return tables["last_vacuum"].notna() | tables["last_analyze"].notna()


def forgotten(check: str, tables: pd.DataFrame, counted: pd.DataFrame) -> list[Finding]:
    """Return that tables could not be judged, as one finding that is skipped; none where all could be.

    Args:
        check: name of the check.
        tables: the statement `autovacuum_need` or `tended_tables`.
        counted: the statement `counted_since`, answered.
    """
    unknown = int((~measured(tables, counted)).sum())
    if not unknown:
        return []
    return [compare.skipped(check, f"{doubt(counted)}; not known of {unknown} of {len(tables)} tables")]
