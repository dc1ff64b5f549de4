"""Ways in which a backup would not hold everything."""

from __future__ import annotations

from opslib.sandbox import nightly, roles, small_disk
from opslib.sandbox.scenario import Scenario, World
from opslib.sandbox.scenarios.backup_check import put_back, spoil
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


def _fill_the_disk(world: World, system: str) -> None:
    """Keep the backups on a disk that is full to the last page."""
    small_disk.fill(spoil(world, system).path)


def _have_the_old_disk(world: World, system: str) -> None:
    small_disk.empty(nightly.store(world.databases, system).path)
    put_back(world, system)


# Only where this process may put a file system onto a folder: a full disk cannot be had otherwise.
_FULL_DISK = (
    Scenario(
        "disk-nearly-full",
        "the disk that backups are kept on is full",
        _fill_the_disk,
        {"backup": (Status.CRITICAL, "disk-nearly-full")},
        heal=_have_the_old_disk,
    ),
)

SCENARIOS: tuple[Scenario, ...] = (
    *(_FULL_DISK if small_disk.possible() else ()),
    Scenario(
        "backup-rows-hidden",
        "policies hide rows from the role that takes backups",
        _hide,
        {"backup": (Status.CRITICAL, "backup-rows-hidden")},
        systems=_WITH_POLICIES,
        heal=_show,
    ),
)
