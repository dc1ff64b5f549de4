"""Is nothing kept for longer than the policy allows, and does the app's own clean-up still run?

The policy stands in the system's file. The app has a table of its own by which its job works; only where
both say the same is anything deleted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from opslib import frames
from opslib.checks import compare
from opslib.checks.old_rows import Seen
from opslib.checks.old_rows_facts import Asked
from opslib.errors import SourceError
from opslib.pg import sql
from opslib.verdict import Cause, Finding, Status

if TYPE_CHECKING:
    import pandas as pd

    from opslib.config import Limit, System

_SCHEMA, _TABLE = "public", "retention_policies"
_COLUMNS = tuple(column.name for column in sql.load(_TABLE).returns)
DIFFERS = Cause("policy-differs", "the system's file and the app itself keep rows for different times", 45)
STOPPED = Cause("cleanup-stopped", "the app's own clean-up has not run for too long", 30)


def policies(database: Asked) -> pd.DataFrame:
    """Return the app's own policies, as the statement `retention_policies`; empty with the reason.

    Args:
        database: where.
    """
    facts = database.table("table_facts", schema=_SCHEMA, name=_TABLE, time="")
    if reason := frames.reason(facts):
        return frames.unavailable(_COLUMNS, reason)
    if facts.empty:
        return frames.unavailable(_COLUMNS, "the app has no table retention_policies", absent=True)
    if bool(facts.iloc[0]["hidden"]) or not bool(facts.iloc[0]["readable"]):
        reason = (
            f"our role may not see the rows of {_TABLE}: grant select, and let it past row level security"
        )
        return frames.unavailable(_COLUMNS, reason)
    return database.table(_TABLE)


def standing(own: pd.DataFrame, system: System, table: Sequence[str]) -> str:
    """Return in one line by which rules rows of a table are kept now, and whether anything holds them.

    What was planned by other rules is not what the owner of the policy wants now: where the line is another
    one than at the time of the plan, nothing more may be deleted.

    Args:
        own: from `policies`, asked anew each time.
        system: as its file describes it now.
        table: its schema and name.

    Raises:
        SourceError: the app has policies, and they cannot be read.
    """
    if (reason := frames.reason(own)) and not frames.absent(own):
        raise SourceError(reason)
    names = [".".join(table), *([table[1]] if table[0] == _SCHEMA else ())]
    part = next((system.tables[name] for name in names if name in system.tables), None)
    row = next((row for row in frames.records(own) if row["table_name"] in names), None)
    said = _said(part.keep_days, part.age_column, part.legal_hold) if part else "no rule"
    told = _said(row["keep_days"], row["column_name"], row["legal_hold"]) if row else "no rule"
    return f"the system's file: {said}; the app: {told}"


def _said(days: float | None, column: str, hold: bool) -> str:
    kept = f"{days:g} d by {column}" if days is not None else "no end"
    return f"{kept}, legal hold" if hold else kept


def agreed(looks: Sequence[Seen], own: pd.DataFrame) -> list[Seen]:
    """Return what was seen, with what the app's own policy says against deleting.

    Args:
        looks: from `old_rows_look.look`.
        own: from `policies`.
    """
    return [_agreed(one, own) for one in looks]


def agreement(looks: Sequence[Seen], own: pd.DataFrame) -> list[Finding]:
    """Find tables for which the system's file and the app do not say the same."""
    expected = "the system's file and the app's own policy say the same"
    if blind := compare.blind("policy", own, expected=expected):
        return [blind]
    found = []
    for one in looks:
        said = _difference(one, own)
        cause = DIFFERS if said else None
        status = Status.WARNING if said else Status.OK
        observed = "different" if said else f"{one.rule.days} d by {one.rule.column}"
        found.append(
            Finding("policy", status, one.rule.table, observed, "", expected, said or "", cause=cause)
        )
    return found


def unruled(system: System, own: pd.DataFrame) -> list[Finding]:
    """Find tables for which the app has a policy and the system's file none: nobody looks at their rows.

    Args:
        system: its file has the rules.
        own: from `policies`.
    """
    if frames.reason(own):
        return []  # `agreement` says so
    known = {name for name, part in system.tables.items() if part.keep_days is not None}
    expected = "each policy of the app is in the system's file, too"
    why = "its rows are not looked at here: write keep_days and age_column into the system's file"
    return [
        Finding("policy", Status.WARNING, name, "in the app only", "", expected, why, cause=DIFFERS)
        for name in sorted(set(own["table_name"]) - known)
    ]


def cleanup(own: pd.DataFrame, limit: Limit, now: datetime | None = None) -> list[Finding]:
    """Find tables that the app's own clean-up has not been at for too long.

    Args:
        own: from `policies`.
        limit: hours.
        now: the time; default now.
    """
    expected = "the app clears away once a day"
    if blind := compare.blind("clean-up", own, expected=expected):
        return [blind]
    if own.empty:
        return [compare.unknown("clean-up", "the app's table of policies has no rows", expected=expected)]
    return [_cleanup(row, limit, now or datetime.now(UTC), expected) for row in frames.records(own)]


def _cleanup(row: Mapping[str, Any], limit: Limit, now: datetime, expected: str) -> Finding:
    name, last = str(row["table_name"]), row["last_cleanup_at"]
    if row["legal_hold"]:
        return compare.skipped("clean-up", "legal hold: nothing is cleared away", subject=name)
    if last is None:
        return Finding(
            "clean-up", Status.WARNING, name, "never", "", expected, "its job never ran", cause=STOPPED
        )
    hours = (now - last.to_pydatetime()).total_seconds() / 3600
    return compare.below(
        round(hours, 1), check="clean-up", warning=limit.warning, critical=limit.critical, unit="h",
        expected=expected, subject=name, cause=STOPPED,
        why="rows pile up until it runs again: see the job retention-cleanup, and what it logged last",
    )  # fmt: skip


def _agreed(one: Seen, own: pd.DataFrame) -> Seen:
    if reason := frames.reason(own):
        return one if frames.absent(own) else replace(one, reason=one.reason or reason, identity={})
    held = any(row["legal_hold"] for row in frames.records(own) if row["table_name"] == one.rule.table)
    seen = replace(one, rule=replace(one.rule, hold=one.rule.hold or held))
    said = _difference(one, own)
    return replace(seen, against=(*seen.against, said), identity={}) if said else seen


def _difference(one: Seen, own: pd.DataFrame) -> str:
    row = next((row for row in frames.records(own) if row["table_name"] == one.rule.table), None)
    if row is None:
        return "the app has no policy for it"
    days, column = int(row["keep_days"]), row["column_name"]
    if (days, column) == (one.rule.days, one.rule.column):
        return ""
    return f"{one.rule.days} d by {one.rule.column} in the system's file, {days} d by {column} in the app"
