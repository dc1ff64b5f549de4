"""The simulated vendors: what their APIs answer and what their status pages say.

An outage is one state with two faces: the vendor's API really answers 503 to the apps that use it,
and its status page tells of it in the vendor's own format. Several scenarios may want the same
vendor out at once; it is well again when the last of them lets go.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

STARTED = "2026-01-05T03:02:00Z"


@dataclass
class VendorState:
    """One vendor.

    Args:
        name: opslib's name of it.
        title: its name as people write it.
        status_format: statuspage, incident.io, betterstack or none.
        components: parts on its status page.
        token: what its API wants to see.
        outages: who wants it out (scenario and system) -> components that are down.
        maintenances: who wants it under maintenance -> components concerned.
        page: how the status page answers: json, html or gone, per who wants it so.
    """

    name: str
    title: str
    status_format: str
    components: tuple[str, ...]
    token: str
    outages: dict[str, tuple[str, ...]] = field(default_factory=dict)
    maintenances: dict[str, tuple[str, ...]] = field(default_factory=dict)
    pages: dict[str, str] = field(default_factory=dict)

    @property
    def up(self) -> bool:
        """Whether its API works."""
        return not self.outages

    @property
    def page(self) -> str:
        """How the status page answers: json, html or gone."""
        return next(iter(self.pages.values()), "json")

    def state_of(self, component: str) -> str:
        """Return operational, outage or maintenance."""
        if any(component in down for down in self.outages.values()):
            return "outage"
        return "maintenance" if any(component in m for m in self.maintenances.values()) else "operational"


def page_document(vendor: VendorState) -> dict[str, Any]:
    """Return the status page in the vendor's format."""
    makers = {"statuspage": _statuspage, "incident.io": _incidentio, "betterstack": _betterstack}
    return makers[vendor.status_format](vendor)


def _incident_title(vendor: VendorState) -> str:
    return f"{vendor.title} requests are failing"


_STATUSPAGE = {"operational": "operational", "outage": "major_outage", "maintenance": "under_maintenance"}


def _statuspage(vendor: VendorState) -> dict[str, Any]:
    calm = {"indicator": "none", "description": "All Systems Operational"}
    broken = {"indicator": "critical", "description": "Major System Outage"}
    busy = {"indicator": "maintenance", "description": "Service Under Maintenance"}
    status = broken if vendor.outages else busy if vendor.maintenances else calm
    return {
        "page": {"id": vendor.name, "name": vendor.title, "url": "", "updated_at": STARTED},
        "status": status,
        "components": [
            {
                "id": f"{vendor.name}-{number}",
                "name": name,
                "status": _STATUSPAGE[vendor.state_of(name)],
                "group_id": None,
                "group": False,
                "updated_at": STARTED,
            }
            for number, name in enumerate(vendor.components)
        ],
        "incidents": [_notice(_incident_title(vendor), "investigating", "critical")] * bool(vendor.outages),
        "scheduled_maintenances": [_notice(f"{vendor.title} maintenance", "in_progress", "maintenance")]
        * bool(vendor.maintenances),
    }


def _notice(name: str, status: str, impact: str) -> dict[str, Any]:
    return {
        "id": "n1",
        "name": name,
        "status": status,
        "impact": impact,
        "shortlink": "",
        "started_at": STARTED,
        "created_at": STARTED,
        "updated_at": STARTED,
        "resolved_at": None,
        "incident_updates": [{"id": "u1", "status": status, "body": name, "created_at": STARTED}],
    }


def _incidentio(vendor: VendorState) -> dict[str, Any]:
    incident = {**_event(vendor, _incident_title(vendor), "investigating", "full_outage", vendor.outages)}
    running = _event(
        vendor,
        f"{vendor.title} maintenance",
        "maintenance_in_progress",
        "under_maintenance",
        vendor.maintenances,
    )
    return {
        "page_title": vendor.title,
        "page_url": "",
        "ongoing_incidents": [incident] * bool(vendor.outages),
        "in_progress_maintenances": [running] * bool(vendor.maintenances),
        "scheduled_maintenances": [],
    }


def _event(
    vendor: VendorState, name: str, status: str, impact: str, wanted: Mapping[str, tuple[str, ...]]
) -> dict[str, Any]:
    hit = [c for c in vendor.components if any(c in listed for listed in wanted.values())]
    return {
        "id": "e1",
        "name": name,
        "status": status,
        "url": "",
        "started_at": STARTED,
        "last_update_at": STARTED,
        "last_update_message": name,
        "current_worst_impact": impact,
        "affected_components": [{"id": c.lower(), "name": c, "current_status": impact} for c in hit],
    }


_BETTERSTACK = {"operational": "operational", "outage": "downtime", "maintenance": "maintenance"}


def _betterstack(vendor: VendorState) -> dict[str, Any]:
    worst = "downtime" if vendor.outages else "maintenance" if vendor.maintenances else "operational"
    resources = [
        {
            "id": str(number),
            "type": "status_page_resource",
            "attributes": {"public_name": name, "status": _BETTERSTACK[vendor.state_of(name)]},
        }
        for number, name in enumerate(vendor.components)
    ]
    reports = [_report(_incident_title(vendor), "manual", "downtime")] * bool(vendor.outages)
    reports += [_report(f"{vendor.title} maintenance", "maintenance", "maintenance")] * bool(
        vendor.maintenances
    )
    page = {"company_name": vendor.title, "aggregate_state": worst, "updated_at": STARTED}
    return {
        "data": {"id": vendor.name, "type": "status_page", "attributes": page},
        "included": [*resources, *reports],
    }


def _report(title: str, kind: str, state: str) -> dict[str, Any]:
    attributes = {
        "title": title,
        "report_type": kind,
        "starts_at": STARTED,
        "ends_at": None,
        "aggregate_state": state,
    }
    return {"id": "r1", "type": "status_report", "attributes": attributes}
