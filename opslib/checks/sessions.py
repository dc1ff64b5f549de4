"""What sessions do to each other: locks, forgotten transactions, long queries.

Each analysis takes `headroom` (statement `connections_headroom`) too: where the server hides sessions
from our role, finding nothing is `unknown`, not `ok`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from opslib import frames
from opslib.checks import compare
from opslib.checks.holders import blind
from opslib.verdict import Cause, Finding, Status

if TYPE_CHECKING:
    from opslib.config import Limit

STORM = "lock-storm"
FORGOTTEN = "idle-in-transaction"
LONG = "long-query"
PREPARED = "prepared-transaction-forgotten"
# Work that takes long by its nature; it is named, but it alone is no emergency.
_LONG_BY_NATURE = ("pg_dump", "pg_basebackup", "pg_restore")
_MOST_ROOTS = 5
_MINUTE = 60.0


def locks(tree: pd.DataFrame, headroom: pd.DataFrame, limit: Limit) -> list[Finding]:
    """Name the sessions at the root of each queue for a lock, never those who only wait in it.

    Args:
        tree: statement `blocking_tree`.
        headroom: statement `connections_headroom`.
        limit: `lock_wait_seconds`.
    """
    expected = "nobody waits for a lock for long"
    if nothing := _nothing("locks", tree, headroom, expected, "nobody waits"):
        return [nothing]
    roots = tree[tree["depth"] == 0].head(_MOST_ROOTS)
    return [_whole(_root(row, tree, limit, expected), headroom) for row in roots.to_dict("records")]


def idle_in_transaction(sessions: pd.DataFrame, headroom: pd.DataFrame, limit: Limit) -> list[Finding]:
    """Find transactions that stand open while nobody works in them, by application.

    Args:
        sessions: statement `sessions`; the clock is `in_state`, not the age of the last statement.
        headroom: statement `connections_headroom`.
        limit: `idle_in_transaction_minutes`.
    """
    check, expected = "idle in transaction", "transactions end when their work ends"
    states = pd.Series(dtype="object") if frames.reason(sessions) else sessions["state"].fillna("")
    stuck = sessions[states.str.startswith("idle in transaction")] if len(states) else sessions
    if nothing := _nothing(check, stuck, headroom, expected, "none"):
        return [nothing]
    found = [_forgotten(str(name), rows, limit, expected) for name, rows in stuck.groupby("application")]
    return _bad(found) or [_whole(_within(check, len(stuck), limit, expected), headroom)]


def long_queries(running: pd.DataFrame, headroom: pd.DataFrame, limit: Limit) -> list[Finding]:
    """Find statements that run for long; those that only wait for a lock are the lock's business.

    Args:
        running: statement `long_running`, asked with 0 seconds or with the limit.
        headroom: statement `connections_headroom`.
        limit: `long_query_seconds`.
    """
    check, expected = "long queries", "no statement runs longer than its limit"
    known = not frames.reason(running)
    waits = running["waits_for"].fillna("").astype(str).str.startswith("Lock:") if known else None
    working = running[~waits] if waits is not None and len(running) else running
    if nothing := _nothing(check, working, headroom, expected, "none"):
        return [nothing]
    found = [_long(str(name), rows, limit, expected) for name, rows in working.groupby("application")]
    return _bad(found) or [_whole(_within(check, len(working), limit, expected), headroom)]


def idle(owners: pd.DataFrame, headroom: pd.DataFrame, limit: Limit, slots: Limit) -> Finding:
    """Find sessions that have been idle for very long; they matter once slots get scarce.

    Args:
        owners: statement `connections_by_owner`.
        headroom: statement `connections_headroom`.
        limit: `idle_minutes`.
        slots: `connections_pct`.
    """
    check, expected = "idle sessions", "sessions that nobody uses are closed before slots get scarce"
    if nothing := _nothing(check, owners, headroom, expected, "none"):
        return nothing
    first = _first(limit)
    old = owners[owners["longest_idle"].fillna(0) >= first * _MINUTE]
    if old.empty:
        none = Finding(check, Status.OK, "", f"none idle for {first:g} min", f"{first:g} min", expected)
        return _whole(none, headroom)
    names = ", ".join(dict.fromkeys(old["application"]))
    scarce = float(headroom.iloc[0]["pct_of_usable"]) >= (slots.warning or slots.critical or 80.0)
    seen = f"{names}: idle for up to {span(float(old['longest_idle'].max()))}"
    why = "they hold slots that others need" if scarce else ""
    status = Status.WARNING if scarce else Status.OK
    return _whole(Finding(check, status, "", seen, f"{first:g} min", expected, why), headroom)


def prepared(transactions: pd.DataFrame, limit: Limit) -> list[Finding]:
    """Find prepared transactions that nobody finishes: they hold locks without any session.

    Args:
        transactions: statement `prepared_transactions`.
        limit: `idle_in_transaction_minutes`.
    """
    check, expected = "prepared transactions", "each is committed or rolled back at once"
    if reason := frames.reason(transactions):
        return [compare.unknown(check, reason, expected=expected)]
    old = transactions[transactions["age"] >= _first(limit) * _MINUTE]
    if old.empty:
        return [Finding(check, Status.OK, "", "none left over", "", expected)]
    cause = Cause(PREPARED, "a prepared transaction was never finished and holds its locks", 38)
    why = "it keeps its locks, also over a restart, until somebody commits or rolls it back by its name"
    return [
        Finding(check, Status.WARNING, str(row["gid"]), f"prepared {span(row['age'])} ago by {row['owner']}",
                f"{_first(limit):g} min", expected, why, cause=cause)
        for row in old.to_dict("records")
    ]  # fmt: skip


def span(seconds: float) -> str:
    """Return a time as people say it: `0.4 s`, `48 s`, `12 min`, `3.5 h`, `2 d`."""
    for unit, size in (("d", 86400.0), ("h", 3600.0), ("min", _MINUTE)):
        if seconds >= size * (2 if unit != "h" else 1):
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"


def _nothing(
    check: str, frame: pd.DataFrame, headroom: pd.DataFrame, expected: str, seen: str
) -> Finding | None:
    """Return the finding for a frame without rows, or None when there is something to judge."""
    if reason := frames.reason(frame):
        return compare.unknown(check, reason, expected=expected)
    if len(frame):
        return None
    return _whole(Finding(check, Status.OK, "", seen, "", expected), headroom)


def _whole(finding: Finding, headroom: pd.DataFrame) -> Finding:
    """Return the finding, but `unknown` for an `ok` that was said without having seen every session."""
    if finding.status is Status.OK and (reason := blind(headroom)):
        return compare.unknown(finding.check, reason, subject=finding.subject, expected=finding.expected)
    return finding


def _root(row: dict[Any, Any], tree: pd.DataFrame, limit: Limit, expected: str) -> Finding:
    waited = 0.0 if pd.isna(row["longest_wait"]) else float(row["longest_wait"])
    who = f"{row['application']} (pid {row['pid']})" if row["pid"] else "a prepared transaction"
    does = f"{row['state']} for {span(row['in_state'])}, " if row["state"] else ""
    held = f"{row['blocked_total']} session{'s' if row['blocked_total'] > 1 else ''}"
    seen = f"{who}: {does}holds up {held} for {span(waited)}"
    status = _status(waited, limit)
    first = _next_in_line(tree, row["root"])
    why = "" if status is Status.OK else f"all of them wait for it, directly or in line; {first}"
    cause = Cause(STORM, f"{who}, {row['state'] or 'without a session'}, holds up {held}", 30)
    return Finding(
        "locks", status, str(row["application"]), seen, _bounds(limit), expected, why,
        cause=None if status is Status.OK else cause,
    )  # fmt: skip


def _next_in_line(tree: pd.DataFrame, root: int) -> str:
    waiting = tree[(tree["root"] == root) & (tree["depth"] > 0)].sort_values(
        "waiting", ascending=False, kind="stable"
    )
    row = waiting.iloc[0]
    return f"first in line: {row['application']} (pid {row['pid']}) wants {row['wants']}"


def _forgotten(name: str, rows: pd.DataFrame, limit: Limit, expected: str) -> Finding:
    oldest = float(rows["in_state"].max())
    status = _status(oldest / _MINUTE, limit)
    pids = ", ".join(str(pid) for pid in rows.sort_values("in_state", ascending=False)["pid"].head(5))
    count = f"{len(rows)} transaction{'s' if len(rows) > 1 else ''}"
    cause = Cause(FORGOTTEN, f"{name} left {count} open and does nothing in them", 40)
    return Finding(
        "idle in transaction",
        status,
        name,
        f"{count}, the oldest {span(oldest)} (pid {pids})",
        _bounds(limit),
        expected,
        "each holds its locks and keeps vacuum from its work",
        cause=cause,
    )


def _long(name: str, rows: pd.DataFrame, limit: Limit, expected: str) -> Finding:
    oldest = float(rows["statement"].max())
    status = _status(oldest, limit)
    if name in _LONG_BY_NATURE and status is Status.CRITICAL:
        status = Status.WARNING
    pids = ", ".join(str(pid) for pid in rows.sort_values("statement", ascending=False)["pid"].head(5))
    count = f"{len(rows)} statement{'s' if len(rows) > 1 else ''}"
    cause = Cause(LONG, f"{name} has been running a statement for {span(oldest)}", 50)
    return Finding(
        "long queries",
        status,
        name,
        f"{count}, the oldest {span(oldest)} (pid {pids})",
        _bounds(limit),
        expected,
        "it takes the server's time, and vacuum can't clean behind it",
        "slow-queries",
        cause,
    )


def _bad(found: list[Finding]) -> list[Finding]:
    return [finding for finding in found if finding.status is not Status.OK]


def _within(check: str, count: int, limit: Limit, expected: str) -> Finding:
    """Return the one finding for what goes on but has not gone on for long."""
    return Finding(check, Status.OK, "", f"{count}, none for long", _bounds(limit), expected)


def _status(value: float, limit: Limit) -> Status:
    if limit.critical is not None and value >= limit.critical:
        return Status.CRITICAL
    return Status.WARNING if limit.warning is not None and value >= limit.warning else Status.OK


def _bounds(limit: Limit) -> str:
    scale = _MINUTE if limit.unit == "min" else 1.0
    values = [value for value in (limit.warning, limit.critical) if value is not None]
    return " / ".join(span(value * scale) for value in values)


def _first(limit: Limit) -> float:
    """Return the value at which a limit begins to count; endless when it has none."""
    values = [value for value in (limit.warning, limit.critical) if value is not None]
    return min(values, default=float("inf"))
