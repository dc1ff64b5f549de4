"""Rows that a policy no longer allows."""

from __future__ import annotations

from opslib.sandbox.scenario import Scenario, World
from opslib.verdict import Status

_SYSTEM, _MARK = "your-app", "kept-for-too-long"
_KEPT = f"""
insert into events (user_id, name, properties, timestamp)
select (select id from users order by id limit 1), '{_MARK}', '{{}}',
       now() - interval '120 days' - n * interval '1 hour'
from generate_series(1, 400) n
"""


def _keep(world: World, system: str) -> None:
    with world.databases.admin(system) as admin:
        admin.execute(_KEPT.encode())


def _clear(world: World, system: str) -> None:
    with world.databases.admin(system) as admin:
        admin.execute(f"delete from events where name = '{_MARK}'".encode())


SCENARIOS: tuple[Scenario, ...] = (
    Scenario(
        "retention-overdue",
        "the clean-up ran, and left events behind that are older than the policy allows",
        _keep,
        {"retention": (Status.WARNING, "retention-overdue")},
        systems=(_SYSTEM,),
        heal=_clear,
    ),
)
