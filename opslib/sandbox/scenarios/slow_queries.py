"""Ways in which statements come to take long although nothing is broken."""

from __future__ import annotations

from contextlib import closing

from opslib.sandbox.scenario import Scenario, World
from opslib.sandbox.sessions import open_as_app
from opslib.verdict import Status

_TABLE, _ROWS, _LOOKUPS = "viewing_log", 60_000, 40
_FLUSHES = 150000
_SWITCHES = ("enable_indexscan", "enable_bitmapscan")


def _grow_unindexed(world: World, system: str) -> None:
    """Fill a new table that nobody gave an index, and let the app look people up in it."""
    with closing(open_as_app(world.databases, system, "web")) as app:
        app.execute(f"create table {_TABLE} (id bigint primary key, person integer, what text)".encode())
        app.execute(
            f"insert into {_TABLE} select n, n % 20000, 'watched' from generate_series(1, {_ROWS}) n".encode()
        )
        if app.info.server_version >= _FLUSHES:  # else its rows would count as changed after the analyze
            app.execute(b"select pg_stat_force_next_flush()")
        app.execute(f"analyze {_TABLE}".encode())
        app.execute(f"grant select on {_TABLE} to public".encode())
        for person in range(_LOOKUPS):
            app.execute(f"select what from {_TABLE} where person = %s".encode(), (person,)).fetchall()


def _drop_unindexed(world: World, system: str) -> None:
    """Drop the table, and have its statements forgotten."""
    with world.databases.admin(system) as admin:
        admin.execute(f"drop table if exists {_TABLE}".encode())
        admin.execute(
            "select extensions.pg_stat_statements_reset(userid, dbid, queryid)"
            f" from extensions.pg_stat_statements where query like '%{_TABLE}%'".encode()
        )


def _switch_off(world: World, system: str) -> None:
    """Leave behind what somebody set while trying to force a plan."""
    with world.databases.admin(system) as admin:
        for name in _SWITCHES:
            admin.execute(f'alter database "{system}" set {name} = off'.encode())


def _switch_on(world: World, system: str) -> None:
    with world.databases.admin(system) as admin:
        for name in _SWITCHES:
            admin.execute(f'alter database "{system}" reset {name}'.encode())


SCENARIOS: tuple[Scenario, ...] = (
    Scenario(
        "missing-index",
        "a table has grown large, and what the app asks of it has no index",
        _grow_unindexed,
        {"slow-queries": (Status.WARNING, "missing-index")},
        heal=_drop_unindexed,
    ),
    Scenario(
        "bad-plan",
        "index scans were switched off for the database and forgotten",
        _switch_off,
        {"slow-queries": (Status.WARNING, "bad-plan")},
        heal=_switch_on,
    ),
)
