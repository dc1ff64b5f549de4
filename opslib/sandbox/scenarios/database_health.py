"""Ways in which a database goes bad slowly, while everything still works."""

from __future__ import annotations

from contextlib import closing

from opslib.sandbox import roles
from opslib.sandbox.scenario import Scenario, World
from opslib.sandbox.scenarios.database_connections import BUSY_TABLES
from opslib.sandbox.sessions import count, gone, open_as_app, until
from opslib.verdict import Status

# More than half as much again as the sandbox's `autovacuum_freeze_max_age`.
_BURNT_IDS = 170_000
_EXPORT = "nightly-export"
_STAGING, _STAGED_ROWS = "import_staging", 400_000
_INDEX = "lookup_once_key"
_LOST_SLOT = "search_sync"
_SLOT, _WAL_BLOCKS, _WAL_BLOCK_BYTES = "analytics_sync", 10, 8 * 1024**2


def _age(world: World, system: str) -> None:
    """Use up transaction ids while an open transaction keeps vacuum from giving any back."""
    stack = world.hold("wraparound-near", system)
    export = stack.enter_context(closing(open_as_app(world.databases, system, _EXPORT)))
    export.execute("begin")
    export.execute("select pg_current_xact_id()")
    with world.databases.admin(system) as admin:
        admin.execute(
            f"do $$ begin for number in 1..{_BURNT_IDS} loop"
            " perform pg_current_xact_id(); commit; end loop; end $$".encode()
        )


def _grow_young(world: World, system: str) -> None:
    world.release("wraparound-near", system)
    gone(world.databases, system, _EXPORT)
    # Any other old snapshot keeps the first vacuum from it.
    until(lambda: _frozen(world, system) < _BURNT_IDS, f"transaction ids to be given back in {system}")


def _frozen(world: World, system: str) -> int:
    """Vacuum every database and return the age of the oldest id that is left."""
    connectable = "from pg_database where datallowconn"
    with world.databases.admin(system) as admin:
        found = admin.execute(f"select datname {connectable}".encode()).fetchall()
    for (database,) in found:
        with world.databases.admin(system, database) as admin:
            admin.execute("vacuum (freeze)")
    return count(world.databases, system, f"select max(age(datfrozenxid)) {connectable}")


def _bloat(world: World, system: str) -> None:
    """Fill a table that autovacuum is told to leave alone, and delete nearly all of it."""
    with world.databases.admin(system) as admin:
        admin.execute(
            f"create table {_STAGING} (id bigint primary key, line text)"
            " with (autovacuum_enabled = off)".encode()
        )
        admin.execute(
            f"insert into {_STAGING} select number, repeat(md5(number::text), 5)"
            f" from generate_series(1, {_STAGED_ROWS}) number".encode()
        )
        admin.execute(f"delete from {_STAGING} where id % 20 <> 0".encode())
        # The app's, as all that it imports: so opslib's operator may tend it.
        admin.execute(f"alter table {_STAGING} owner to {roles.app(system)}".encode())
        if admin.info.server_version >= 150000:
            # Else the rows just written are counted as changed after the analyze.
            admin.execute("select pg_stat_force_next_flush()")
        admin.execute(f"analyze {_STAGING}".encode())


def _remove_bloat(world: World, system: str) -> None:
    with world.databases.admin(system) as admin:
        admin.execute(f"drop table if exists {_STAGING}".encode())


def _fail_to_index(world: World, system: str) -> None:
    """Build a unique index over rows that are not unique; what is left of it is invalid."""
    import psycopg

    table = BUSY_TABLES[system][0]
    with world.databases.admin(system) as admin:
        try:
            admin.execute(f"create unique index concurrently {_INDEX} on {table} ((true))".encode())
        except psycopg.errors.UniqueViolation:
            return


def _drop_index(world: World, system: str) -> None:
    with world.databases.admin(system) as admin:
        admin.execute(f"drop index if exists {_INDEX}".encode())


def _leave_a_slot(world: World, system: str, slot: str = _SLOT) -> None:
    """Make a slot for a consumer that never comes, and let the server write on."""
    with world.databases.admin(system) as admin:
        admin.execute("select pg_create_logical_replication_slot(%s, 'pgoutput')", (slot,))
        for _ in range(_WAL_BLOCKS):
            admin.execute(
                "select pg_logical_emit_message(false, 'sync', repeat('x', %s))", (_WAL_BLOCK_BYTES,)
            )


def _cut_a_slot_off(world: World, system: str) -> None:
    """Leave a slot behind, and have the server keep no more WAL for it than it may."""
    _leave_a_slot(world, system, _LOST_SLOT)
    with world.databases.admin(system) as admin:
        admin.execute("alter system set max_slot_wal_keep_size = '1MB'")
        admin.execute("select pg_reload_conf()")
    until(lambda: _lost(world, system) == 1, f"a slot to be cut off in {system}")
    _unbind_slots(world, system)


def _lost(world: World, system: str) -> int:
    """Have a checkpoint throw away WAL, and return how many slots lost theirs."""
    with world.databases.admin(system) as admin:
        admin.execute("checkpoint")
    lost = f"slot_name = '{_LOST_SLOT}' and wal_status = 'lost'"
    return count(world.databases, system, f"select count(*) from pg_replication_slots where {lost}")


def _unbind_slots(world: World, system: str) -> None:
    with world.databases.admin(system) as admin:
        admin.execute("alter system reset max_slot_wal_keep_size")
        admin.execute("select pg_reload_conf()")


def _drop_slot(world: World, system: str, slot: str = _SLOT) -> None:
    with world.databases.admin(system) as admin:
        admin.execute(
            "select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = %s",
            (slot,),
        )


def _drop_lost_slot(world: World, system: str) -> None:
    _unbind_slots(world, system)
    _drop_slot(world, system, _LOST_SLOT)


def _warning(cause: str, *others: str) -> dict[str, tuple[Status, str]]:
    return dict.fromkeys(("database-health", *others), (Status.WARNING, cause))


SCENARIOS: tuple[Scenario, ...] = (
    Scenario(
        "wraparound-near",
        "an open transaction keeps vacuum from giving transaction ids back",
        _age,
        _warning("wraparound-near"),
        heal=_grow_young,
    ),
    Scenario(
        "bloat",
        "a table was filled, nearly emptied and never vacuumed",
        _bloat,
        _warning("bloat", "index-usage", "reindex", "vacuum-analyze"),
        heal=_remove_bloat,
    ),
    Scenario(
        "invalid-index",
        "an index build failed half way and left its remains",
        _fail_to_index,
        _warning("invalid-index", "index-usage", "reindex"),
        heal=_drop_index,
    ),
    Scenario(
        "slot-retaining-wal",
        "a replication slot keeps WAL for a consumer that is gone",
        _leave_a_slot,
        _warning("slot-retaining-wal"),
        heal=_drop_slot,
    ),
    Scenario(
        "slot-lost",
        "a replication slot's consumer stayed away until the server cut it off",
        _cut_a_slot_off,
        {"database-health": (Status.CRITICAL, "slot-lost")},
        heal=_drop_lost_slot,
    ),
)
