"""What the vendors' status pages mean for one system: one finding a vendor."""

from __future__ import annotations

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
    return [_vendor(str(name), rows) for name, rows in pages.groupby("vendor", sort=False)]


def _vendor(name: str, rows: pd.DataFrame) -> Finding:
    unread = rows[rows["error"] != ""]
    if not unread.empty:
        return _unreadable(name, str(unread.iloc[0]["error"]))
    if (rows["state"] == "").all():
        return compare.skipped("vendor", str(rows.iloc[0]["detail"]), subject=name)
    judged = rows[rows["used"].astype(bool) & rows["kind"].isin(["page", "component"])]
    worst = max(judged["state"], key=_ORDER.index, default="operational")
    notices = rows[rows["kind"].isin(["incident", "maintenance"])]
    if worst == "operational" and not notices.empty:
        worst = "maintenance" if (notices["kind"] == "maintenance").all() else "degraded"
    return _finding(name, worst, judged, notices)


def _unreadable(name: str, reason: str) -> Finding:
    cause = Cause("vendor-status-unreachable", f"the status page of {name} cannot be read", DISTANCE + 5)
    return Finding("vendor", Status.UNKNOWN, name, "could not look", "", EXPECTED, reason, "", cause)


def _finding(name: str, worst: str, judged: pd.DataFrame, notices: pd.DataFrame) -> Finding:
    status = _STATUS[worst]
    if status is Status.OK:
        return Finding("vendor", status, name, "operational", "operational", EXPECTED)
    off = judged[judged["state"] != "operational"]
    parts = ", ".join(f"{row['name']}: {row['state']}" for row in off.to_dict("records"))
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


def _told(notices: pd.DataFrame) -> str:
    lines: list[dict[Any, Any]] = notices.to_dict("records")
    return "; ".join(f"{row['name']} ({row['detail']}, since {row['since']})" for row in lines[:3])


def _cause(name: str, worst: str) -> Cause:
    if worst == "maintenance":
        return Cause("vendor-maintenance", f"{name} is under maintenance", DISTANCE)
    return Cause("vendor-outage", f"{name} has an outage, by its own status page", DISTANCE)
