"""What backs up a system beside our own backups: those of the database's vendor, and the code's remote."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from opslib import frames, ids
from opslib.checks import backups, compare, point_in_time
from opslib.verdict import Cause, Finding, Status

if TYPE_CHECKING:
    from opslib.checks.point_in_time import Reach
    from opslib.config import Limit, System

SHORT = Cause(
    "vendor-window-short", "the vendor's own history of the database does not reach back enough", 34
)
OFF = Cause("vendor-backups-off", "the vendor keeps no backups of the database", 33)
NO_LOG = Cause("point-in-time-off", "point-in-time recovery is off, and the runbook counts on it", 35)
STALE = Cause("vendor-backup-stale", "the vendor's newest backup of the database is too old", 33)
UNTAGGED = Cause("release-tags-missing", "the repository has no tag of a release", 40)
_COMPLETED = "COMPLETED"
_NEITHER = "the database is neither at Neon nor at Supabase, as the system's file has it"
_RELEASES = "release_tags"


def window(reach: Reach, limit: Limit, next: str = "") -> Finding:
    """Find whether the database can be put back far enough.

    Args:
        reach: `point_in_time.reach()`.
        limit: hours.
        next: procedure that takes a backup of our own.
    """
    expected = "the vendor's history reaches back far enough"
    if reach.absent:
        return compare.skipped("vendor's window", _NEITHER)
    if reach.reason:
        return compare.unknown("vendor's window", reach.reason, subject=reach.vendor, expected=expected)
    if reach.earliest is None or reach.latest is None:
        return compare.skipped("vendor's window", f"{reach.vendor}: {reach.text}")
    hours = (reach.latest - reach.earliest).total_seconds() / 3600
    found = compare.above(
        hours, check="vendor's window", subject=reach.vendor, warning=limit.warning, critical=limit.critical,
        unit=limit.unit, expected=expected, cause=SHORT, next=next, why=f"{reach.text}: what was lost before"
        " can be had from our own backups only",
    )  # fmt: skip
    return backups.asking(found)


def newest(reach: Reach, kept: pd.DataFrame, limit: Limit, next: str = "") -> Finding:
    """Find whether the vendor's newest backup is young enough.

    With point-in-time recovery the log is the backup, and daily ones are not made. Neon makes none at all:
    its history is what `window` looks at.

    Args:
        reach: `point_in_time.reach()`.
        kept: as `Supabase.backups`.
        limit: hours.
        next: procedure that takes a backup of our own.
    """
    expected = "the vendor's newest backup is younger than the limit"
    if reach.absent or reach.vendor == point_in_time.NEON:
        return compare.skipped(
            "vendor's newest", _NEITHER if reach.absent else "Neon keeps a history instead"
        )
    if reason := reach.reason or frames.reason(kept):
        return compare.unknown("vendor's newest", reason, subject=reach.vendor, expected=expected)
    last = reach.latest or kept[kept["status"] == _COMPLETED]["created"].max()
    if pd.isna(last):
        why = "neither a log nor a daily backup: what is lost can be had from our own backups only"
        found = Finding(
            "vendor's newest", Status.CRITICAL, reach.vendor, "none", "", expected, why, next, OFF
        )
        return backups.asking(found)
    hours = (ids.now() - pd.Timestamp(last)).total_seconds() / 3600
    found = compare.below(
        max(hours, 0.0), check="vendor's newest", subject=reach.vendor, warning=limit.warning,
        critical=limit.critical, unit=limit.unit, expected=expected, cause=STALE, next=next,
        why="its console says why it stopped; a plan without backups looks like this, too",
    )  # fmt: skip
    return backups.asking(found)


def promised(reach: Reach, system: System) -> Finding:
    """Find whether point-in-time recovery is on where the runbook counts on it.

    Args:
        reach: `point_in_time.reach()`.
        system: as its file describes it.
    """
    fact = system.facts.get("point_in_time")
    expected = "point-in-time recovery is on, as the runbook says"
    if not fact or fact.value is not True or reach.absent:
        return compare.skipped("point in time", "the runbook does not count on it")
    if reach.reason:
        return compare.unknown("point in time", reach.reason, subject=reach.vendor, expected=expected)
    if reach.earliest and reach.latest and reach.earliest < reach.latest:
        return Finding("point in time", Status.OK, reach.vendor, "on", "", expected)
    return Finding(
        "point in time", Status.WARNING, reach.vendor, "off", "", expected, f"stated in: {fact.source}",
        cause=NO_LOG,
    )  # fmt: skip


def code(listed: pd.DataFrame, system: System) -> list[Finding]:
    """Find whether the repository's remote answers, and has the tags that the runbook speaks of.

    Args:
        listed: `ops.backups.code()`.
        system: as its file describes it.
    """
    expected = "the remote answers, and lists branches"
    if frames.absent(listed):
        return [compare.skipped("code", str(frames.reason(listed)))]
    if reason := frames.reason(listed):
        return [compare.unknown("code", reason, expected=expected)]
    row = listed.iloc[0]
    if not row["branches"]:
        return [Finding("code", Status.WARNING, str(row["remote"]), "no branch", "", expected)]
    found = Finding("code", Status.OK, str(row["remote"]), f"{row['branches']} branches", "", expected)
    return [found, *_tags(row, system)]


def _tags(row: pd.Series, system: System) -> list[Finding]:
    fact = system.facts.get(_RELEASES)
    if not fact or fact.value is not True:
        return []
    expected = "releases are tagged, as the runbook says"
    remote = str(row["remote"])
    if row["tags"]:
        seen = f"{row['tags']}, the highest {row['newest_tag']}"
        return [Finding("release tags", Status.OK, remote, seen, "", expected)]
    why = f"without one nobody knows which commit was released; stated in: {fact.source}"
    return [Finding("release tags", Status.WARNING, remote, "none", "", expected, why, cause=UNTAGGED)]
