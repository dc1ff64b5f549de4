"""Ways in which a database refuses, or starves, those who want to use it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from itertools import cycle
from typing import TYPE_CHECKING, Any

from opslib.sandbox.scenario import Scenario, World
from opslib.sandbox.sessions import Busy, count, gone, open_as_app, until
from opslib.verdict import Status

if TYPE_CHECKING:
    from psycopg import Connection

# The table that each app writes all day, and its key.
BUSY_TABLES = {
    "klutr": ("notes", "id"),
    "kulti": ("credits", "user_id"),
    "voiceaitraining": ("scenario_attempts", "id"),
    "your-app": ("events", "id"),
    "your-backend": ("agent_runs", "id"),
}
# Who takes the slots: most of them short-lived functions that never gave their connection back.
_LEAKING = ("vercel-lambda-api", "vercel-lambda-api", "vercel-lambda-api", "nextjs-ssr", "cron-worker")
_OPENING_AT_ONCE = 8
# How many slots ordinary sessions could still have, once the one that asks is gone.
_FREE = """
select current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
       - coalesce(current_setting('reserved_connections', true), '0')::int - count(*)
from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()
"""
_FORGETFUL = "checkout-worker"
_HOLDER, _ALTERING, _READING = "psql", "migrate", "nextjs-ssr-read"
_REPORT = "nightly-report"
# A little beyond the sandbox's limits, so that a condition is past them when `make` returns.
_OLD_TRANSACTION_S, _OLD_WAIT_S, _OLD_QUERY_S = 2.3, 1.3, 2.3


def _exhaust(world: World, system: str) -> None:
    """Open idle sessions until the server refuses."""
    stack = world.hold("connections-exhausted-idle", system)
    names = cycle(_LEAKING)
    with ThreadPoolExecutor(_OPENING_AT_ONCE) as pool:
        takers = [pool.submit(_take_slots, world, system, names) for _ in range(_OPENING_AT_ONCE)]
        for taker in takers:
            _keep(stack, taker.result())

    def full() -> bool:
        # Whoever is about to be refused has a slot until then, so that several can refuse each other
        # the last one.
        _keep(stack, _take_slots(world, system, names))
        return count(world.databases, system, _FREE) <= 0

    until(full, f"the sessions to take every slot of {system}")


def _keep(stack: ExitStack, taken: list[Connection[Any]]) -> None:
    for connection in taken:
        stack.callback(connection.close)


def _take_slots(world: World, system: str, names: Iterator[str]) -> list[Connection[Any]]:
    import psycopg

    table = BUSY_TABLES[system][0]
    taken: list[Connection[Any]] = []
    while True:
        try:
            connection = open_as_app(world.databases, system, next(names))
        except psycopg.OperationalError as error:
            if "slots are reserved" in str(error) or "too many clients" in str(error):
                return taken
            raise
        try:
            connection.execute("set lock_timeout = '20ms'")
            connection.execute(f"select count(*) from {table}".encode())
        except psycopg.errors.LockNotAvailable:
            connection.execute("select 1")  # another scenario locked the table
        taken.append(connection)


def _give_slots_back(world: World, system: str) -> None:
    world.release("connections-exhausted-idle", system)
    gone(world.databases, system, *dict.fromkeys(_LEAKING))


def _forget_transactions(world: World, system: str) -> None:
    """Lock a row each in a few transactions that nobody ends."""
    stack = world.hold("idle-in-transaction", system)
    table, key = BUSY_TABLES[system]
    for number in range(4):
        connection = stack.enter_context(closing(open_as_app(world.databases, system, _FORGETFUL)))
        connection.execute("begin")
        connection.execute(
            f"select 1 from {table} where {key} ="
            f" (select {key} from {table} order by {key} limit 1 offset {number}) for update".encode()
        )
    _until_old(
        world,
        system,
        "now() - state_change",
        "state = 'idle in transaction'",
        4,
        _OLD_TRANSACTION_S,
        _FORGETFUL,
    )


def _end_transactions(world: World, system: str) -> None:
    world.release("idle-in-transaction", system)
    gone(world.databases, system, _FORGETFUL)


def _storm(world: World, system: str) -> None:
    """Hold a table in an idle transaction; a migration queues behind it, and all readers behind that."""
    stack = world.hold("lock-storm", system)
    table, key = BUSY_TABLES[system]
    holder = stack.enter_context(closing(open_as_app(world.databases, system, _HOLDER)))
    holder.execute("begin")
    # As after a write: by itself it holds up no reader.
    holder.execute(f"lock table {table} in row exclusive mode".encode())
    # Changes nothing even if somebody ends the holder and lets it through: a key is never null.
    altering = f"alter table {table} alter column {key} set not null"
    stack.enter_context(closing(Busy(open_as_app(world.databases, system, _ALTERING), altering)))
    until(lambda: _waiting(world, system) >= 1, f"the migration to queue in {system}")
    for _ in range(6):
        reading = f"select count(*) from {table}"
        stack.enter_context(closing(Busy(open_as_app(world.databases, system, _READING), reading)))
    until(lambda: _waiting(world, system, _OLD_WAIT_S) >= 7, f"the readers to queue in {system}")


def _waiting(world: World, system: str, seconds: float = 0) -> int:
    waiting = (
        "select count(*) from pg_locks where not granted and locktype = 'relation'"
        " and clock_timestamp() - waitstart >= %s * interval '1 second'"
    )
    return count(world.databases, system, waiting, seconds)


def _calm(world: World, system: str) -> None:
    world.release("lock-storm", system)
    gone(world.databases, system, _HOLDER, _ALTERING, _READING)


def _report(world: World, system: str) -> None:
    """Run a report that reads a table and takes hours over it."""
    stack = world.hold("long-query", system)
    table, key = BUSY_TABLES[system]
    report = f"select {key}, pg_sleep(60) from {table} order by {key}"
    stack.enter_context(closing(Busy(open_as_app(world.databases, system, _REPORT), report)))
    _until_old(world, system, "now() - query_start", "state = 'active'", 1, _OLD_QUERY_S, _REPORT)


def _end_report(world: World, system: str) -> None:
    world.release("long-query", system)
    gone(world.databases, system, _REPORT)


def _until_old(
    world: World, system: str, age: str, condition: str, sessions: int, seconds: float, name: str
) -> None:
    query = (
        f"select count(*) from pg_stat_activity where {condition} and application_name = %s"
        f" and {age} >= %s * interval '1 second'"
    )
    until(lambda: count(world.databases, system, query, name, seconds) >= sessions, f"{name} to grow old")


def _use_up_the_pool(world: World, system: str) -> None:
    """Check out every connection that the app's own pool may have; the server has room for more."""
    pool = world.web.app(system).pool
    pool.take(pool.size + pool.overflow)


def _refill_the_pool(world: World, system: str) -> None:
    world.web.app(system).pool.give_back()
    gone(world.databases, system, "app-pool")


def _stop(world: World, system: str) -> None:
    world.databases.stop(system)


def _start(world: World, system: str) -> None:
    world.databases.start(system)


def _critical(cause: str, *procedures: str) -> dict[str, tuple[Status, str]]:
    return dict.fromkeys(procedures, (Status.CRITICAL, cause))


SCENARIOS: tuple[Scenario, ...] = (
    Scenario(
        "connections-exhausted-idle",
        "idle sessions hold every connection slot that the app could get",
        _exhaust,
        _critical("connections-exhausted-idle", "database-connections"),
        heal=_give_slots_back,
    ),
    Scenario(
        "idle-in-transaction",
        "transactions locked rows and were then forgotten open",
        _forget_transactions,
        _critical("idle-in-transaction", "database-connections"),
        heal=_end_transactions,
    ),
    Scenario(
        "lock-storm",
        "one idle transaction holds a table, a migration waits for it, and everybody waits for the migration",
        _storm,
        _critical("lock-storm", "database-connections"),
        heal=_calm,
    ),
    Scenario(
        "long-query",
        "one query has been running far too long",
        _report,
        _critical("long-query", "database-connections"),
        heal=_end_report,
    ),
    Scenario(
        "pool-too-small",
        "the app's own pool is used up while the server has room",
        _use_up_the_pool,
        _critical("pool-too-small", "database-connections"),
        heal=_refill_the_pool,
    ),
    Scenario(
        "database-down",
        "the database server is stopped",
        _stop,
        _critical("database-down", "database-connections", "site-down"),
        heal=_start,
    ),
)
