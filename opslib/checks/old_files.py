"""Are files left in a bucket that are old enough to be in its copy alone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from opslib import ids
from opslib.checks import compare
from opslib.files.inventory import Inventory
from opslib.verdict import Cause, Finding, Status

OLD = Cause("exports-old", "files are older than they are kept in the bucket", 50)
_HERE = "file-storage"


def old(seen: Sequence[Inventory]) -> list[Finding]:
    """Find whether a bucket still has files that belong into the copy alone.

    Args:
        seen: the declared buckets; those whose files have no such age are not looked at.
    """
    found = [_old(one, ids.now()) for one in seen if one.spec.archive_after_days is not None]
    return found or [compare.skipped("old files", "no bucket says when its files are archived")]


def _old(one: Inventory, now: datetime) -> Finding:
    expected = f"none older than {one.spec.archive_after_days:g} days"
    if one.reason:
        return compare.unknown("old files", one.reason, subject=one.name, expected=expected)
    keys = one.old(now)
    if not keys:
        return Finding("old files", Status.OK, one.name, "none", "", expected)
    waiting = len(set(keys) & set(one.uncopied))
    why = f"the oldest is of {one.live.objects[keys[0]].modified:%Y-%m-%d}"
    why += f"; {waiting} of them are not in the copy yet" if waiting else ""
    seen = f"{len(keys)} of {len(one.live.objects)}"
    return Finding(
        "old files", Status.WARNING, one.name, seen, "none", expected, why, _HERE, OLD,
        {"action": "archive", "bucket": one.name},
    )  # fmt: skip
