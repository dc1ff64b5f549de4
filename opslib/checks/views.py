"""Are the materialized views filled, and how old is what they show."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from opslib import frames
from opslib.checks import compare
from opslib.pg import relations
from opslib.verdict import Cause, Finding, Status

if TYPE_CHECKING:
    from opslib.config import Limit
    from opslib.config.parts import Table

# Keys of a table's columns in the system's file: that table notes when which view was refreshed.
VIEW, TIME = "refreshed_view", "refreshed_at"
_NEXT_SEEN = ("view_name", "refreshed_at")

STALE = Cause("matview-stale", "a materialized view shows what was true long ago", 40)


def log(tables: Mapping[str, Table]) -> dict[str, Any]:
    """Return table (schema and name), view and time: what the table that notes refreshes is called.

    Args:
        tables: of the system's file; a table without a schema is in `public`.

    Returns:
        Nothing where none of them notes refreshes.
    """
    for text, table in tables.items():
        if {VIEW, TIME} <= set(table.columns):
            schema, name = relations.taken_apart(text)
            own = {"view": table.columns[VIEW], "time": table.columns[TIME]}
            return {"table": [schema or "public", name], **own}
    return {}


def refreshes(ask: Callable[..., pd.DataFrame], names: Mapping[str, Any]) -> pd.DataFrame:
    """Ask when each view was refreshed.

    Args:
        ask: `ops.pg.table`.
        names: as `log` returns them.

    Returns:
        view_name, refreshed_at; absent where the system names no such table.
    """
    if names:
        return ask("view_refreshes", **names)
    reason = "PostgreSQL keeps no time of a refresh, and the system's file names no table that does"
    return frames.unavailable(_NEXT_SEEN, reason, absent=True)


def filled(views: pd.DataFrame) -> list[Finding]:
    """Find views that were never filled: each query of them fails.

    Args:
        views: the statement `materialized_views`.
    """
    expected = "each view can be queried"
    if reason := frames.reason(views):
        return [compare.unknown("view filled", reason, expected=expected)]
    empty = views[~views["populated"]]
    why = "each query of it fails with 'has not been populated'; refresh it"
    return [
        Finding("view filled", Status.CRITICAL, name(row), "not filled", "", expected, why, cause=STALE)
        for row in empty.to_dict("records")
    ] or [Finding("view filled", Status.OK, "", f"{len(views)} views", "", expected)]


def age(views: pd.DataFrame, seen: pd.DataFrame, facts: pd.DataFrame, limit: Limit) -> list[Finding]:
    """Find views that were refreshed too long ago.

    Args:
        views: the statement `materialized_views`.
        seen: as `refreshes` returns it.
        facts: the statement `server_facts`: the server's clock.
        limit: hours.
    """
    expected = "what views show is not older than promised"
    if reason := frames.reason(views) or frames.reason(facts):
        return [compare.unknown("view age", reason, expected=expected)]
    if views.empty:
        return [compare.skipped("view age", "there is no materialized view")]
    if blind := compare.blind("view age", seen, expected=expected):
        return [blind]
    now = facts["server_time"].iloc[0]
    times = noted(views, seen)
    return [_age(row, times.get(name(row)), now, limit, expected) for row in views.to_dict("records")]


def stale(views: pd.DataFrame, found: Iterable[Finding]) -> list[str]:
    """Return the views that are not filled or too old, as the findings name them.

    Args:
        views: the statement `materialized_views`.
        found: what `age` returned.
    """
    if frames.reason(views):
        return []
    old = {finding.subject for finding in found if finding.cause is STALE}
    return [name(row) for row in views.to_dict("records") if not row["populated"] or name(row) in old]


def noted(views: pd.DataFrame, seen: pd.DataFrame) -> dict[str, tuple[str, Any]]:
    """Return schema.name -> what it is noted as, and the time of its last refresh, as far as it is noted.

    A bare name that several views have is none of theirs: nobody can tell whose refresh it was.

    Args:
        views: the statement `materialized_views`.
        seen: as `refreshes` returns it.
    """
    if frames.reason(views) or frames.reason(seen):
        return {}
    times = {row["view_name"]: row["refreshed_at"] for row in seen.to_dict("records")}
    bare = views["view_name"].value_counts()
    found: dict[str, tuple[str, Any]] = {}
    for row in views.to_dict("records"):
        names = [name(row), *([row["view_name"]] if bare[row["view_name"]] == 1 else [])]
        found |= {name(row): (one, times[one]) for one in names[::-1] if one in times}
    return found


def counted(ask: Callable[..., pd.DataFrame], views: pd.DataFrame) -> pd.DataFrame:
    """Count the rows of each filled view; reads each of them whole.

    Args:
        ask: `ops.pg.table`.
        views: the statement `materialized_views`.

    Returns:
        view, rows (missing where they could not be counted).
    """
    if reason := frames.reason(views):
        return frames.unavailable(("view", "rows"), reason)
    rows = [(name(row), _count(ask, row)) for row in views[views["populated"]].to_dict("records")]
    return pd.DataFrame(rows, columns=["view", "rows"]).astype({"rows": "Int64"})


def name(row: Mapping[Any, Any]) -> str:
    """Return schema and name of a view."""
    return f"{row['schema']}.{row['view_name']}"


def _count(ask: Callable[..., pd.DataFrame], row: Mapping[Any, Any]) -> int | None:
    found = ask("row_count", table=[row["schema"], row["view_name"]])
    return None if frames.reason(found) else int(found["counted"].iloc[0])


def _age(
    row: Mapping[Any, Any], noted_as: tuple[str, Any] | None, now: Any, limit: Limit, expected: str
) -> Finding:
    at = noted_as[1] if noted_as else None
    if at is None or pd.isna(at):
        reason = "no refresh is noted under a name that is this view's alone"
        return compare.skipped("view age", reason, subject=name(row))
    hours = (now - at).total_seconds() / 3600
    return compare.below(
        hours, check="view age", warning=limit.warning, critical=limit.critical, expected=expected,
        why=f"last refreshed {at:%Y-%m-%d %H:%M} UTC: see whether the job that does it still runs",
        subject=name(row), cause=STALE, unit=limit.unit,
    )  # fmt: skip
