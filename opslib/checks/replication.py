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
# Room left before the server cuts the slot off, where a bound is set.
SAFE_BYTES = 1024**3
_MOST_SUBJECTS = 5

SLOT = Cause(
    "slot-retaining-wal", "a replication slot that nobody reads keeps WAL until the disk is full", 30
)


def slots(found: pd.DataFrame) -> list[Finding]:
    """Find slots that keep WAL for a consumer that does not fetch it.

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
    cut_off = row["wal_status"] in ("unreserved", "lost")
    nearly = not pd.isna(row["safe_wal_bytes"]) and int(row["safe_wal_bytes"]) < SAFE_BYTES
    worst = cut_off or retained >= RETAINED_BYTES_CRITICAL or (nearly and retained >= RETAINED_BYTES)
    if not worst and (bool(row["active"]) or retained < RETAINED_BYTES):
        return None
    state = "active" if bool(row["active"]) else "inactive"
    observed = f"{state}, keeps {compare.number(retained / 1024**2, 'MB')} of WAL"
    if cut_off:
        observed += f", {row['wal_status']}"
    why = "the disk fills until its consumer reads on or the slot is dropped; ask its owner first"
    status = Status.CRITICAL if worst else Status.WARNING
    return Finding("slots", status, str(row["slot"]), observed, "64 MB", expected, why, cause=SLOT)
