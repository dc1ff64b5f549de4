"""Are the backups in the bucket, too, and young and whole there."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pandas as pd

from opslib import frames
from opslib.checks import backups, compare
from opslib.verdict import Cause, Finding, Status

if TYPE_CHECKING:
    from opslib.config import Limit

REFUSES = Cause("bucket-refuses", "the bucket takes no copy: new backups are on this machine only", 19)
NONE = Cause("bucket-copy-missing", "there is no whole copy in the bucket at all", 31)
STALE = Cause("bucket-copy-stale", "the newest copy in the bucket is too old", 32)
DAMAGED = Cause("bucket-copy-damaged", "the newest copy in the bucket is not what was sent", 18)
_HERE = {
    backups.NONE: NONE, backups.STALE: STALE, backups.TRUNCATED: DAMAGED, backups.CHANGED: DAMAGED,
    backups.MANIFEST: DAMAGED, backups.FOREIGN: backups.FOREIGN, backups.OLDER: backups.OLDER,
}  # fmt: skip
_ABSENT = "the system's file names no bucket for copies of its backups"


def place(found: pd.DataFrame) -> Finding:
    """Find whether the bucket would take a copy: at least it lets itself be listed.

    Args:
        found: `ops.copies.place()`.
    """
    expected = "the bucket answers, and lets itself be listed"
    if frames.absent(found):
        return compare.skipped("bucket", _ABSENT)
    if reason := frames.reason(found):
        return compare.unknown("bucket", reason, expected=expected)
    row = found.iloc[0]
    if row["takes"]:
        return Finding("bucket", Status.OK, str(row["place"]), str(row["text"]), "", expected)
    why = f"{row['text']}. New backups are on this machine only"
    return Finding("bucket", Status.CRITICAL, str(row["place"]), "refuses", "", expected, why, cause=REFUSES)


def sent(sent: pd.DataFrame) -> Finding:
    """Find whether the backup that was just taken is in the bucket, too.

    Args:
        sent: `ops.copies.send()`.
    """
    expected = "in the bucket, every file compared with what the store has"
    if frames.absent(sent):
        return compare.skipped("sent", _ABSENT)
    if reason := frames.reason(sent):
        return compare.unknown("sent", reason, expected=expected)
    row = sent.iloc[0]
    if row["sent"]:
        return Finding("sent", Status.OK, str(row["id"]), str(row["place"]), "", expected)
    why = f"{row['reason']}. The backup itself is whole, and only here"
    return Finding(
        "sent", Status.CRITICAL, str(row["id"]), "not in the bucket", "", expected, why, cause=REFUSES
    )


def copies(listed: pd.DataFrame, read: pd.DataFrame, limit: Limit, next: str = "") -> list[Finding]:
    """Find whether the copies in the bucket are young and whole, as those on disk must be.

    Args:
        listed: `ops.copies.list()`.
        read: `ops.copies.read_back()`.
        limit: hours.
        next: procedure that sends one.
    """
    if frames.absent(listed):
        return [compare.skipped("copies", _ABSENT)]
    found = [backups.manifests(listed), backups.age(listed, limit, next), *backups.readback(read, next)]
    return [_there(one) for one in found]


def _there(one: Finding) -> Finding:
    """Return what was found of a copy, in words that are true where a backup is whole here, too."""
    here = one.cause
    one = replace(one, check=f"{one.check} in the bucket", cause=_HERE.get(here) if here else None)
    if here is not backups.NONE:
        return one
    return replace(one, observed="no copy", why="if this machine goes, nothing could be restored")
