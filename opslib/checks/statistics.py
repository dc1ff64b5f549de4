"""Are the statistics that queries are planned by still true."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opslib import frames
from opslib.checks import compare, counters
from opslib.pg.relations import written
from opslib.verdict import Cause, Finding, Status

if TYPE_CHECKING:
    import pandas as pd

    from opslib.config import Limit

# Below this volume a plan that is wrong costs little.
ENOUGH_ROWS = 10_000
# What nobody has counted, as after pg_upgrade.
ENOUGH_BYTES = 1024**2
_MOST_SUBJECTS = 5
_EXPECTED = "statistics are not much older than the rows"

STALE = Cause("stats-stale", "queries are planned by statistics that are no longer true", 45)


def old(tables: pd.DataFrame, limit: Limit) -> pd.DataFrame:
    """Return the rows of `tended_tables` whose statistics are missing or out of date.

    Args:
        tables: the statement `tended_tables`.
        limit: per cent of the rows that changed since.
    """
    if frames.reason(tables):
        return tables
    least = limit.warning if limit.warning is not None else limit.critical or 0
    uncounted = tables["live_rows"].eq(0) & tables["bytes"].ge(ENOUGH_BYTES).fillna(False)
    never = tables["never_analyzed"] & (tables["live_rows"].ge(ENOUGH_ROWS) | uncounted)
    much = tables["changed_rows"].ge(ENOUGH_ROWS) & tables["changed_pct"].ge(least)
    return tables[never | much]


def stale(tables: pd.DataFrame, limit: Limit, counted: pd.DataFrame) -> list[Finding]:
    """Find tables whose statistics are missing or out of date; each leads on to `vacuum-analyze` for it.

    Args:
        tables: the statement `tended_tables`.
        limit: per cent of the rows that changed since.
        counted: the statement `counted_since`; tables whose counters were lost are counted in a finding
            of their own, which is skipped.
    """
    if reason := counters.unasked(tables, counted):
        return [compare.unknown("statistics", reason, expected=_EXPECTED)]
    # A large table that was never analyzed says so by itself, whenever counting began.
    known = counters.measured(tables, counted) | tables["never_analyzed"]
    rows = old(tables[known], limit).head(_MOST_SUBJECTS).to_dict("records")
    found = [_stale(row, limit) for row in rows]
    found += counters.forgotten("statistics", tables, counted)
    return found or [Finding("statistics", Status.OK, "", _looked(len(tables)), "", _EXPECTED)]


def _stale(row: dict[Any, Any], limit: Limit) -> Finding:
    observed = f"{row['changed_rows']} rows changed since, {row['changed_pct']:.0f} %"
    if row["never_analyzed"]:
        rows = row["live_rows"]
        over = f"{rows} rows" if rows else compare.number(row["bytes"] / 1024**2, "MB")
        observed = f"none, over {over}"
    bound = compare.number(limit.warning or limit.critical or 0, limit.unit)
    why = "the planner guesses wrong, and takes slow ways; analyze the table"
    return Finding(
        "statistics", Status.WARNING, _name(row), observed, bound, _EXPECTED, why, "vacuum-analyze", STALE,
        {"tables": [written(row["schema"], row["table_name"])]},
    )  # fmt: skip


def _name(row: dict[Any, Any]) -> str:
    return f"{row['schema']}.{row['table_name']}"


def _looked(tables: int) -> str:
    return f"{tables} table{'' if tables == 1 else 's'} looked at"
