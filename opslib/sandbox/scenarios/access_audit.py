"""A role that was given more than its work needs."""

from __future__ import annotations

from opslib.sandbox.scenario import Scenario, World
from opslib.verdict import Status

_ROLE = "reporting_tool"


def _widen(world: World, system: str) -> None:
    """Make the role of a reporting tool that may write everything and make roles."""
    with world.databases.admin(system) as admin:
        admin.execute(f"create role {_ROLE} login createrole connection limit 2".encode())
        admin.execute(f"grant pg_read_all_data, pg_write_all_data to {_ROLE}".encode())


def _drop(world: World, system: str) -> None:
    with world.databases.admin(system) as admin:
        admin.execute(f"drop role if exists {_ROLE}".encode())


SCENARIOS: tuple[Scenario, ...] = (
    Scenario(
        "role-too-wide",
        "a reporting tool's role may write every table and make roles",
        _widen,
        {"access-audit": (Status.WARNING, "role-too-wide")},
        heal=_drop,
    ),
)
