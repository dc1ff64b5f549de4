"""Does replication keep up: slots that nobody reads, replicas that lag."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from opslib import frames
from opslib.checks import compare
from opslib.checks.database import blind
from opslib.verdict import Cause, Finding, Status

if TYPE_CHECKING:
    from opslib.config import Limit

# A consumer that is just being restarted leaves its slot inactive for a moment.
RETAINED_BYTES = 64 * 1024**2
RETAINED_BYTES_CRITICAL = 10 * 1024**3
# Of the WAL that a slot may keep, where a bound is set: with less room left it is nearly cut off.
SAFE_PCT = 25
_MOST_SUBJECTS = 5

SLOT = Cause(
    "slot-retaining-wal", "a replication slot that nobody reads keeps WAL until the disk is full", 30
)
LOST = Cause(
    "slot-lost", "a replication slot was cut off: its consumer misses changes and must be built anew", 28
)
_FILLS = "the disk fills until its consumer reads on or the slot is dropped; ask its owner first"
_CUT_OFF = "at its bound the server cuts it off, and its consumer must be built anew; ask its owner first"


def slots(found: pd.DataFrame) -> list[Finding]:
    """Find slots that keep WAL for a consumer that does not fetch it, and those that were cut off.

    Args:
        found: the statement `wal_and_slots`.
    """
    expected = "every slot has a consumer that keeps up"
    if reason := frames.reason(found):
        return [compare.unknown("slots", reason, expected=expected)]
    bad = [finding for row in found.to_dict("records") if (finding := _slot(row, expected))]
    if bad:
        return bad[:_MOST_SUBJECTS]
    seen = f"{len(found)} keeping up" if len(found) else "no slot"
    return [Finding("slots", Status.OK, "", seen, "", expected)]


def lag(found: pd.DataFrame, facts: pd.DataFrame, limit: Limit) -> list[Finding]:
    """Find replicas that are behind.

    Args:
        found: the statement `replication`.
        facts: the statement `server_facts`: without pg_monitor replicas are hidden.
        limit: seconds.
    """
    if reason := frames.reason(found) or blind(facts):
        return [compare.unknown("replication lag", reason)]
    if found.empty:
        return [compare.skipped("replication lag", "this server has no replica, and is none")]
    return [
        compare.below(
            None if pd.isna(row["lag"]) else float(row["lag"]), check="replication lag",
            warning=limit.warning, critical=limit.critical, unit=limit.unit, subject=str(row["name"]),
            expected="replicas follow closely", why=_behind(row),
        )
        for row in found.to_dict("records")
    ]  # fmt: skip


def _behind(row: dict[Any, Any]) -> str:
    why = "readers of the replica see the past"
    if row["place"] != "this server" or row["state"] == "streaming":
        return why
    return f"{why}; nothing comes from its primary, the WAL receiver is {row['state']}"


def _slot(row: dict[Any, Any], expected: str) -> Finding | None:
    """Return what is wrong with a slot, or None."""
    retained = 0 if pd.isna(row["retained_bytes"]) else int(row["retained_bytes"])
    state = "active" if bool(row["active"]) else "inactive"
    if row["wal_status"] == "lost":
        why = "the WAL that its consumer needs is gone: build that anew with a new slot, then drop this one"
        return _bad(row, Status.CRITICAL, f"{state}, lost", expected, why, LOST)
    bounded = not pd.isna(row["safe_wal_bytes"])
    worst = row["wal_status"] == "unreserved" or _urgent(row, retained, bounded)
    if not worst and (bool(row["active"]) or retained < RETAINED_BYTES):
        return None
    observed = f"{state}, keeps {compare.number(retained / 1024**2, 'MB')} of WAL"
    if bounded:
        observed += f", {compare.number(max(int(row['safe_wal_bytes']), 0) / 1024**2, 'MB')} before its bound"
    status = Status.CRITICAL if worst else Status.WARNING
    cut_off = bounded or row["wal_status"] == "unreserved"
    return _bad(row, status, observed, expected, _CUT_OFF if cut_off else _FILLS, SLOT)


def _urgent(row: dict[Any, Any], retained: int, bounded: bool) -> bool:
    """Return whether a slot nears the end of what it may keep: its bound, else the disk."""
    if not bounded:
        return retained >= RETAINED_BYTES_CRITICAL
    safe = int(row["safe_wal_bytes"])
    return retained >= RETAINED_BYTES and 100 * safe < SAFE_PCT * (retained + safe)


def _bad(
    row: dict[Any, Any], status: Status, observed: str, expected: str, why: str, cause: Cause
) -> Finding:
    return Finding("slots", status, str(row["slot"]), observed, "64 MB", expected, why, cause=cause)
