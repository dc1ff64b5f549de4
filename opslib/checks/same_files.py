"""Are all files of a bucket there, and are they what was copied."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from opslib import ids
from opslib.checks import compare
from opslib.files.inventory import Inventory
from opslib.verdict import Cause, Finding, Status

if TYPE_CHECKING:
    from opslib.config import Limit

MISSING = Cause("object-missing", "files are gone from a bucket, and the copy still has them", 10)
CHANGED = Cause("object-changed", "files are not what they were when they were copied", 12)
_SHOWN, _HERE = 5, "file-storage"
_FEW = 5  # so many files are a user's own doing, whatever their share


def missing(seen: Sequence[Inventory], limit: Limit) -> list[Finding]:
    """Find whether files are gone that the copy still has.

    Args:
        seen: the declared buckets.
        limit: per cent of the copy's files, where users remove files themselves.
    """
    return [_missing(one, limit, ids.now()) for one in seen]


def changed(seen: Sequence[Inventory], limit: Limit) -> list[Finding]:
    """Find whether files are not what they were when they were copied.

    Args:
        seen: the declared buckets.
        limit: per cent of the files on both sides, where users change files themselves.
    """
    return [_changed(one, limit) for one in seen]


def _missing(one: Inventory, limit: Limit, now: datetime) -> Finding:
    expected = "every file of the copy is in the bucket"
    if one.reason:
        return compare.unknown("missing", one.reason, subject=one.name, expected=expected)
    lost = one.lost(now)
    seen = f"{len(lost)} of {len(one.copy.objects)}" if lost else "none"
    if one.spec.mutable and lost:
        return _removed(one, lost, seen, limit)
    if not lost:
        return Finding("missing", Status.OK, one.name, seen, "", expected)
    back = {"action": "restore", "bucket": one.name, "key": lost[0]}
    return Finding(
        "missing", Status.CRITICAL, one.name, seen, "none", expected, _some(lost), _HERE, MISSING, back
    )


def _removed(one: Inventory, lost: Sequence[str], seen: str, limit: Limit) -> Finding:
    """Find whether so much is gone from a bucket that no user has removed it."""
    expected = "no more is gone than users remove themselves"
    if not one.live.objects:
        why = f"the bucket is empty, and the copy has {_some(lost)}: stop the job that makes the copy first"
        return Finding("missing", Status.CRITICAL, one.name, seen, "some left", expected, why, cause=MISSING)
    share = 0.0 if len(lost) < _FEW else 100 * len(lost) / len(one.copy.objects)
    # What was copied late looks young in the copy when it is archived: that alone is not critical.
    critical = None if one.spec.archive_after_days else limit.critical
    found = _share("missing", one.name, share, limit.warning, critical, seen, expected, MISSING)
    if found.status is not Status.OK:
        return found
    why = "users remove files here, so this is no loss by itself"
    return Finding("missing", Status.OK, one.name, seen, "", expected, why)


def _changed(one: Inventory, limit: Limit) -> Finding:
    expected = "every file is what was copied"
    if one.reason:
        return compare.unknown("changed", one.reason, subject=one.name, expected=expected)
    if one.changed and not one.spec.mutable:
        seen = f"{len(one.changed)} of {len(one.live.objects)}"
        return Finding(
            "changed", Status.CRITICAL, one.name, seen, "none", expected, _some(one.changed), cause=CHANGED
        )
    if (found := _rewritten(one, limit)).status is not Status.OK:
        return found
    if one.unsure:
        why = f"their tags differ, and they were not read: {_some(one.unsure)}; give a larger `read_mb`"
        return compare.unknown("changed", why, subject=one.name, expected=expected)
    seen = f"{len(one.changed)}, as users change files here" if one.changed else "none"
    return Finding("changed", Status.OK, one.name, f"{seen}{_by_size(one)}", "", expected)


def _rewritten(one: Inventory, limit: Limit) -> Finding:
    """Find whether so much has changed in a bucket that no user has changed it."""
    both = len(one.live.objects.keys() & one.copy.objects.keys())
    share = 0.0 if len(one.changed) < _FEW else 100 * len(one.changed) / both
    expected = "no more has changed than users change themselves"
    seen = f"{len(one.changed)} of {both}"
    return _share("changed", one.name, share, limit.warning, limit.critical, seen, expected, CHANGED)


def _share(
    check: str, subject: str, share: float, warning: float | None, critical: float | None, seen: str,
    expected: str, cause: Cause,
) -> Finding:  # fmt: skip
    return compare.below(
        round(share, 1), check=check, subject=subject, warning=warning, critical=critical, unit="%",
        expected=expected, cause=cause,
        why=f"{seen}: users may have done it over time; at once it is a slip, or somebody who should not",
    )  # fmt: skip


def _some(keys: Sequence[str]) -> str:
    more = f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else ""
    return ", ".join(keys[:_SHOWN]) + more


def _by_size(one: Inventory) -> str:
    return f"; {one.by_size} compared by size only" if one.by_size else ""
