"""Ways in which tables are left untended, and the planner with numbers that are no longer true."""

from __future__ import annotations

from opslib.sandbox.scenario import Scenario, World
from opslib.sandbox.scenarios.index_usage import as_app
from opslib.sandbox.sessions import count, until
from opslib.verdict import Status

_LOAD, _LOAD_ROWS = "import_load", 20_000


def _switch_off(world: World, system: str) -> None:
    _set(world, system, b"set autovacuum = off", "off")


def _switch_on(world: World, system: str) -> None:
    _set(world, system, b"reset autovacuum", "on")


def _set(world: World, system: str, change: bytes, then: str) -> None:
    """Change the server's settings, and wait until new sessions see it."""
    with world.databases.admin(system) as admin:
        admin.execute(b"alter system " + change)
        admin.execute("select pg_reload_conf()")
    seen = f"select count(*) from pg_settings where name = 'autovacuum' and setting = '{then}'"
    until(lambda: count(world.databases, system, seen) == 1, f"autovacuum to be {then} in {system}")


SCENARIOS: tuple[Scenario, ...] = (
    Scenario(
        "stats-stale",
        "a table was filled at once, and nobody has counted its rows since",
        as_app(
            f"create table {_LOAD} (id int) with (autovacuum_enabled = off)",
            f"insert into {_LOAD} select generate_series(1, {_LOAD_ROWS})",
        ),
        dict.fromkeys(("vacuum-analyze", "slow-queries"), (Status.WARNING, "stats-stale")),
        heal=as_app(f"drop table if exists {_LOAD}"),
    ),
    Scenario(
        "autovacuum-off",
        "autovacuum was switched off for an import, and never on again",
        _switch_off,
        dict.fromkeys(("database-health", "vacuum-analyze"), (Status.WARNING, "autovacuum-off")),
        heal=_switch_on,
    ),
)
