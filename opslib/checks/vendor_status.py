"""What the vendors' status pages mean for one system: one finding a vendor."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import pandas as pd

from opslib.checks import compare
from opslib.verdict import Cause, Finding, Status

EXPECTED = "all parts that this system uses are operational"
DISTANCE = 70
_STATUS = {
    "operational": Status.OK,
    "maintenance": Status.WARNING,
    "degraded": Status.WARNING,
    "outage": Status.CRITICAL,
}
_ORDER = ("operational", "maintenance", "degraded", "outage")

Rows = Sequence[Mapping[Hashable, Any]]


def analyse(pages: pd.DataFrame) -> list[Finding]:
    """Judge each vendor by the parts that the system uses; a page that cannot be read is unknown.

    Args:
        pages: as `statuspage.read_all` returns it.

    An open incident alone, with every used part operational, is a warning: it may concern others.
    """
    if blind := compare.blind("vendor", pages):
        return [blind]
    if pages.empty:
        return [compare.unknown("vendor", "no status page was read")]
    # As rows: a page has a handful, and most of the check's time went into choosing among them in a frame.
    rows = pages.to_dict("records")
    names = dict.fromkeys(row["vendor"] for row in rows)
    return [_vendor(str(name), [row for row in rows if row["vendor"] == name]) for name in names]


def _vendor(name: str, rows: Rows) -> Finding:
    if unread := next((row["error"] for row in rows if row["error"]), ""):
        return _unreadable(name, str(unread))
    if not any(row["state"] for row in rows):
        return compare.skipped("vendor", str(rows[0]["detail"]), subject=name)
    judged = [row for row in rows if row["used"] and row["kind"] in ("page", "component")]
    worst = max((row["state"] for row in judged), key=_ORDER.index, default="operational")
    notices = [row for row in rows if row["kind"] in ("incident", "maintenance")]
    if worst == "operational" and notices:
        worst = "maintenance" if all(row["kind"] == "maintenance" for row in notices) else "degraded"
    return _finding(name, worst, judged, notices)


def _unreadable(name: str, reason: str) -> Finding:
    cause = Cause("vendor-status-unreachable", f"the status page of {name} cannot be read", DISTANCE + 5)
    return Finding("vendor", Status.UNKNOWN, name, "could not look", "", EXPECTED, reason, "", cause)


def _finding(name: str, worst: str, judged: Rows, notices: Rows) -> Finding:
    status = _STATUS[worst]
    if status is Status.OK:
        return Finding("vendor", status, name, "operational", "operational", EXPECTED)
    off = [row for row in judged if row["state"] != "operational"]
    parts = ", ".join(f"{row['name']}: {row['state']}" for row in off)
    return Finding(
        "vendor",
        status,
        name,
        parts or worst,
        "operational",
        EXPECTED,
        _told(notices) or "the vendor says so itself",
        cause=_cause(name, worst),
    )


def _told(notices: Rows) -> str:
    return "; ".join(f"{row['name']} ({row['detail']}, since {row['since']})" for row in notices[:3])


def _cause(name: str, worst: str) -> Cause:
    if worst == "maintenance":
        return Cause("vendor-maintenance", f"{name} is under maintenance", DISTANCE)
    return Cause("vendor-outage", f"{name} has an outage, by its own status page", DISTANCE)
