"""What vendors say of themselves: three formats of public status pages, read alike.

`statuspage` is Atlassian's `/api/v2/summary.json` (incident.io serves it too, with the times in
other fields), `incident.io` is incident.io's own `/api/v1/summary`, `betterstack` is `/index.json`.
Only JSON with the expected keys is believed: a page in any other shape says nothing about the vendor.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pandas as pd

from opslib.calls import Call
from opslib.errors import Malformed, NotNamed, SourceError
from opslib.http import Client, Policy

if TYPE_CHECKING:
    from opslib.config import Environment, VendorAccess

COLUMNS = ("vendor", "kind", "name", "state", "used", "detail", "since", "url", "error")
PATHS = {
    "statuspage": "/api/v2/summary.json",
    "incident.io": "/api/v1/summary",
    "betterstack": "/index.json",
}
STATES = ("operational", "maintenance", "degraded", "outage")
_TIMEOUT_S = 6.0
_SIDE_BY_SIDE = 6

_COMPONENT = {
    "operational": "operational",
    "degraded_performance": "degraded",
    "partial_outage": "degraded",
    "major_outage": "outage",
    "full_outage": "outage",
    "under_maintenance": "maintenance",
    "degraded": "degraded",
    "downtime": "outage",
    "maintenance": "maintenance",
}
_IMPACT = {
    "none": "operational",
    "minor": "degraded",
    "major": "outage",
    "critical": "outage",
    "maintenance": "maintenance",
    **_COMPONENT,
}
_CLOSED = {"resolved", "postmortem", "completed"}

Row = dict[str, Any]


def read_all(environment: Environment, *, on_call: Callable[[Call], None] | None = None) -> pd.DataFrame:
    """Read the status pages of all vendors of an environment, side by side.

    Args:
        environment: the status pages of its vendors are read.
        on_call: receives a record of each request.

    Returns:
        One row per page, component, open incident and running maintenance:
        vendor; kind (page, component, incident, maintenance); name; state (one of `STATES`);
        used (False for what does not count: components that the system did not choose, the page
        as a whole if it chose some); detail; since (text); url; error (why the page or the part
        could not be read: then state is empty). A vendor without a page that opslib can read has
        one row with an empty state and no error.

    Raises:
        NotNamed: the system names no vendor.
    """
    wanted = list(environment.vendors.values())
    if not wanted:
        raise NotNamed(f"{environment.system.name} names no vendor in its file")

    def look(access: VendorAccess) -> list[Row]:
        return _read_one(access, environment.resolver, on_call)

    with ThreadPoolExecutor(_SIDE_BY_SIDE) as pool:
        rows = [row for rows in pool.map(look, wanted) for row in rows]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def parse(document: Any, page_format: str) -> list[Row]:
    """Return the rows of one page, without vendor, used, url and error.

    Raises:
        Malformed: the document is not what `page_format` promises.
    """
    readers = {"statuspage": _statuspage, "incident.io": _incidentio, "betterstack": _betterstack}
    try:
        return readers[page_format](document)
    except (KeyError, TypeError, AttributeError) as error:
        raise Malformed(f"the status page is not in the {page_format} format (no {error})") from error


def _read_one(
    access: VendorAccess, resolver: str | None, on_call: Callable[[Call], None] | None
) -> list[Row]:
    url = str(access.status_url).rstrip("/")
    if access.status_format == "none":
        rows = [_row("page", access.name, "", "opslib can read no status page of this vendor")]
    else:
        try:
            rows = parse(_document(url, access, resolver, on_call), access.status_format)
            rows += _absent(rows, access)
        except SourceError as error:
            rows = [{**_row("page", access.name, "", error.kind), "error": error.message}]
    shown = {"vendor": access.name, "url": url}
    return [{**row, **shown, "used": _used(row, access.components)} for row in rows]


def _absent(rows: Sequence[Row], access: VendorAccess) -> list[Row]:
    """Return a row for each chosen component that its page does not know (any more)."""
    if access.status_format == "incident.io":
        return []  # such a page lists only what is affected
    listed = {row["name"].casefold() for row in rows if row["kind"] == "component"}
    return [
        {**_row("component", name, "", "absent"), "error": f"the page of {access.name} has no part {name!r}"}
        for name in access.components
        if name.casefold() not in listed
    ]


def _document(
    url: str, access: VendorAccess, resolver: str | None, on_call: Callable[[Call], None] | None
) -> Any:
    if not url:
        raise SourceError(f"no address is known for the status page of {access.name}")
    name, patience = f"status:{access.name}", Policy(attempts=2, total_s=_TIMEOUT_S)
    with Client(
        url, name=name, resolver=resolver, timeout=_TIMEOUT_S, policy=patience, on_call=on_call
    ) as client:
        return client.get(PATHS[access.status_format]).json


def _used(row: Row, components: Sequence[str]) -> bool:
    """Tell whether the row counts: the chosen components, or the page as a whole if none is chosen."""
    if row["kind"] == "component":
        return any(row["name"].casefold() == name.casefold() for name in components)
    return row["kind"] != "page" or not components or bool(row["error"])


def _row(kind: str, name: str, state: str, detail: str, since: str = "") -> Row:
    return {"kind": kind, "name": name, "state": state, "detail": detail, "since": since, "error": ""}


def _statuspage(document: Any) -> list[Row]:
    status = document["status"]
    rows = [_row("page", document["page"]["name"], _IMPACT[status["indicator"]], status["description"])]
    for part in document["components"]:
        if not part.get("group"):
            rows.append(_row("component", part["name"], _COMPONENT[part["status"]], part["status"]))
    rows += [_incident(entry) for entry in document["incidents"] if entry["status"] not in _CLOSED]
    planned = document.get("scheduled_maintenances", [])
    running = [entry for entry in planned if entry["status"] in ("in_progress", "verifying")]
    rows += [
        _row("maintenance", entry["name"], "maintenance", entry["status"], _since(entry)) for entry in running
    ]
    return rows


def _incident(entry: Any) -> Row:
    state = _open(_IMPACT[entry.get("impact") or "minor"])
    return _row("incident", entry["name"], state, entry["status"], _since(entry))


def _since(entry: Any) -> str:
    return str(entry.get("started_at") or entry.get("scheduled_for") or entry.get("created_at") or "")


def _incidentio(document: Any) -> list[Row]:
    pages = [entry["summary"] for entry in document.get("subpages", [])] or [document]
    incidents = [entry for page in pages for entry in page["ongoing_incidents"]]
    running = [entry for page in pages for entry in page["in_progress_maintenances"]]
    rows: list[Row] = []
    for entry in incidents:
        state = _COMPONENT[entry.get("current_worst_impact") or "degraded_performance"]
        rows.append(_row("incident", entry["name"], _open(state), entry["status"], _since(entry)))
        rows += [_affected(part) for part in entry.get("affected_components", [])]
    rows += [_row("maintenance", e["name"], "maintenance", e["status"], _since(e)) for e in running]
    worst = max((row["state"] for row in rows), key=STATES.index, default="operational")
    return [_row("page", document["page_title"], worst, f"{len(incidents)} open incidents"), *rows]


def _affected(part: Any) -> Row:
    state = part.get("current_status") or "degraded_performance"
    return _row("component", part["name"], _COMPONENT[state], state)


def _open(state: str) -> str:
    """Return the state of an open incident, which has some effect whatever its page calls it."""
    return "degraded" if state == "operational" else state


def _betterstack(document: Any) -> list[Row]:
    page = document["data"]["attributes"]
    parts = [entry for entry in document["included"] if entry["type"] == "status_page_resource"]
    reports = [entry for entry in document["included"] if entry["type"] == "status_report"]
    rows = [_row("page", page["company_name"], _COMPONENT[page["aggregate_state"]], page["aggregate_state"])]
    for part in (entry["attributes"] for entry in parts):
        state = part["status"]
        if state != "not_monitored":
            rows.append(_row("component", part["public_name"], _COMPONENT[state], state))
    for report in (entry["attributes"] for entry in reports):
        if not report.get("ends_at"):
            rows.append(_report(report))
    return rows


def _report(report: Any) -> Row:
    kind = "maintenance" if report["report_type"] == "maintenance" else "incident"
    state = "maintenance" if kind == "maintenance" else _open(_COMPONENT[report["aggregate_state"]])
    title = report["title"] or "untitled report"
    return _row(kind, title, state, report["report_type"], str(report.get("starts_at") or ""))
