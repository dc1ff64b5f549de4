"""Real sessions that a scenario keeps open on a system's database, and what the server says of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from opslib.errors import SandboxError

if TYPE_CHECKING:
    from psycopg import Connection

    from opslib.sandbox.databases import Databases

_CONNECT_S = 10
# What another scenario locked stays locked: whoever waits for it gives up, but for those who are to wait.
_LOCK_S = 5
_PATIENCE_S = 30.0
_PAUSE_S = 0.05


def open_as_app(databases: Databases, system: str, name: str) -> Connection[Any]:
    """Open a session as the system's own app.

    Args:
        databases: the clusters.
        system: whose database.
        name: the session's application_name.

    Raises:
        psycopg.OperationalError: the server does not let it in.
    """
    import psycopg

    return psycopg.connect(
        databases.dsn(system, "app"), application_name=name, connect_timeout=_CONNECT_S,
        autocommit=True, prepare_threshold=None, options=f"-c lock_timeout={_LOCK_S}s",
    )  # fmt: skip


class Busy:
    """A session that is busy with one statement in a thread of its own.

    Args:
        connection: an open session; this takes it over.
        statement: what it runs, and may run or wait for as long as it likes.
    """

    def __init__(self, connection: Connection[Any], statement: str) -> None:
        self._connection = connection
        self._thread = threading.Thread(target=self._run, args=(statement,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Cancel the statement and end the session."""
        import psycopg

        deadline = time.monotonic() + _PATIENCE_S
        # A cancellation that arrives between two statements is lost, so it is repeated.
        while self._thread.is_alive() and time.monotonic() < deadline:
            with suppress(psycopg.Error):
                self._connection.cancel_safe()
            self._thread.join(_PAUSE_S)
        self._connection.close()

    def _run(self, statement: str) -> None:
        import psycopg

        # Cancelled by `close`, or ended by whoever heals the system by hand: both are what it is for.
        with suppress(psycopg.Error):
            self._connection.execute("set lock_timeout = 0")
            self._connection.execute(statement.encode())


def until(done: Callable[[], bool], what: str) -> None:
    """Wait until a condition holds.

    Raises:
        SandboxError: it does not within half a minute; the message says `what`.
    """
    deadline = time.monotonic() + _PATIENCE_S
    while not done():
        if time.monotonic() > deadline:
            raise SandboxError(f"The sandbox waited in vain: {what}")
        time.sleep(_PAUSE_S)


def count(databases: Databases, system: str, query: str, *values: Any) -> int:
    """Return the one number that a query of the administrator gives."""
    with databases.admin(system) as admin:
        row = admin.execute(query.encode(), values).fetchone()
    return int(row[0]) if row and row[0] is not None else 0


def gone(databases: Databases, system: str, *names: str) -> None:
    """Wait until the server lists no session under these application names; a stopped server lists none."""
    if databases.running(system):
        listed = "select count(*) from pg_stat_activity where application_name = any(%s)"
        until(
            lambda: not count(databases, system, listed, list(names)), f"{', '.join(names)} to leave {system}"
        )
