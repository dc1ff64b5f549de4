"""Ways in which a backup would not hold everything."""

from __future__ import annotations

from opslib.sandbox import roles
from opslib.sandbox.scenario import Scenario, World
from opslib.verdict import Status

# Where tables have row-level security.
_WITH_POLICIES = ("kulti", "voiceaitraining", "your-app", "your-backend")


def _hide(world: World, system: str) -> None:
    """Take from the role that takes backups what lets it see past policies."""
    with world.databases.admin(system) as admin:
        admin.execute(f"alter role {roles.MONITOR} nobypassrls".encode())


def _show(world: World, system: str) -> None:
    with world.databases.admin(system) as admin:
        admin.execute(f"alter role {roles.MONITOR} bypassrls".encode())


SCENARIOS: tuple[Scenario, ...] = (
    Scenario(
        "backup-rows-hidden",
        "policies hide rows from the role that takes backups",
        _hide,
        {"backup": (Status.CRITICAL, "backup-rows-hidden")},
        systems=_WITH_POLICIES,
        heal=_show,
    ),
)
