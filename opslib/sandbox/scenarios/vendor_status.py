"""Ways in which a vendor, or only its status page, is unwell."""

from __future__ import annotations

from opslib.sandbox.scenario import Scenario, World
from opslib.sandbox.simulated import VendorState
from opslib.verdict import Status


def _vendor(world: World, system: str) -> VendorState:
    """Return a vendor without which the system's app does not work."""
    return world.web.vendor(world.web.app(system).needs[0])


def _parts(world: World, system: str, vendor: VendorState) -> tuple[str, ...]:
    """Return the parts of the vendor that the system looks at."""
    return world.web.app(system).system.vendors[vendor.name].components or vendor.components


def _break(world: World, system: str) -> None:
    vendor, wanted_by = _vendor(world, system), f"vendor-outage {system}"
    vendor.outages[wanted_by] = _parts(world, system, vendor)
    world.hold("vendor-outage", system).callback(vendor.outages.pop, wanted_by)


def _maintain(world: World, system: str) -> None:
    vendor, wanted_by = _vendor(world, system), f"vendor-maintenance {system}"
    vendor.maintenances[wanted_by] = _parts(world, system, vendor)
    world.hold("vendor-maintenance", system).callback(vendor.maintenances.pop, wanted_by)


def _remove_page(world: World, system: str) -> None:
    vendor, wanted_by = _vendor(world, system), f"vendor-status-unreachable {system}"
    vendor.pages[wanted_by] = "gone"
    world.hold("vendor-status-unreachable", system).callback(vendor.pages.pop, wanted_by)


def _serve_html(world: World, system: str) -> None:
    vendor, wanted_by = _vendor(world, system), f"vendor-status-html {system}"
    vendor.pages[wanted_by] = "html"
    world.hold("vendor-status-html", system).callback(vendor.pages.pop, wanted_by)


SCENARIOS = (
    Scenario(
        "vendor-outage",
        "a vendor that the app needs answers 503, and its status page says so",
        _break,
        {
            "vendor-status": (Status.CRITICAL, "vendor-outage"),
            "site-down": (Status.CRITICAL, "vendor-outage"),
        },
    ),
    Scenario(
        "vendor-maintenance",
        "a vendor's status page tells of maintenance under way",
        _maintain,
        {"vendor-status": (Status.WARNING, "vendor-maintenance")},
    ),
    Scenario(
        "vendor-status-unreachable",
        "a vendor's status page is not there",
        _remove_page,
        {"vendor-status": (Status.UNKNOWN, "vendor-status-unreachable")},
    ),
    Scenario(
        "vendor-status-html",
        "a vendor's status page answers HTML that says all is well, where JSON was promised",
        _serve_html,
        {"vendor-status": (Status.UNKNOWN, "vendor-status-unreachable")},
    ),
)
