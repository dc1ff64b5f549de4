"""Ways in which statements come to take long although nothing is broken."""

from __future__ import annotations

from contextlib import closing

from opslib.sandbox.scenario import Scenario, World
from opslib.sandbox.sessions import open_as_app
from opslib.verdict import Status

_TABLE, _ROWS, _LOOKUPS = "viewing_log", 60_000, 40
_FLUSHES = 150000
_LIST = "select user_id from sessions order by id limit 50"
_ONE = "select email from users where id = '{}'"
# As the server records them, without their values.
_RECORDED = [_LIST.replace("50", "$1"), _ONE.replace("'{}'", "$1")]
_LOOPS = 2_000
# What filling the database took is nobody's load, and would hide what the app does.
_FORGET_FILLING = r"""
select extensions.pg_stat_statements_reset(s.userid, s.dbid, s.queryid)
from extensions.pg_stat_statements s join pg_database d on d.oid = s.dbid
where d.datname = current_database() and s.query !~* '^\s*select'
"""
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


def _ask_one_by_one(world: World, system: str) -> None:
    """Let the app show a list, and ask for the user of each of its lines, one after the other."""
    with closing(open_as_app(world.databases, system, "web")) as app, world.databases.admin(system) as admin:
        admin.execute(_FORGET_FILLING.encode())
        for _ in range(_LOOPS):
            users = app.execute(_LIST.encode()).fetchall()
            app.execute(";".join(_ONE.format(user) for (user,) in users).encode())


def _forget_loop(world: World, system: str) -> None:
    """Have the statements of the list forgotten."""
    with world.databases.admin(system) as admin:
        admin.execute(
            "select extensions.pg_stat_statements_reset(userid, dbid, queryid)"
            " from extensions.pg_stat_statements where query = any(%s)",
            [_RECORDED],
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
        "n-plus-one",
        "the app asks for the user of each line of a list by a query of its own",
        _ask_one_by_one,
        {"slow-queries": (Status.WARNING, "n-plus-one")},
        systems=("your-app",),
        heal=_forget_loop,
    ),
    Scenario(
        "bad-plan",
        "index scans were switched off for the database and forgotten",
        _switch_off,
        {"slow-queries": (Status.WARNING, "bad-plan")},
        heal=_switch_on,
    ),
)
