"""A file of SQL that people wrote, run as it stands inside a transaction of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opslib.errors import Malformed
from opslib.pg.session import SCRIPT_TIMEOUT_S

if TYPE_CHECKING:
    import psycopg

_SET = "select pg_catalog.set_config('role', %s, true), pg_catalog.set_config('statement_timeout', %s, true)"
_TRANSACTION = "select pg_catalog.pg_current_xact_id()::text"

# Not `discard all`, which would give back the lock that the gate holds.
_FORGET = (b"reset session authorization", b"reset role", b"reset all")


def run(connection: psycopg.Connection, text: str, role: str) -> None:
    """Run a file, as a role and with that role's own search path, within the transaction that is open.

    The session's lock_timeout holds: a busy table makes it fail instead of making everybody wait.

    Args:
        connection: in a transaction that may write.
        text: the whole file.
        role: who does it, so that what it makes belongs to them.

    Raises:
        Malformed: it ended the transaction that it was to stay in.
        psycopg.Error: one of its statements failed.
    """
    connection.execute(_SET, [role, f"{SCRIPT_TIMEOUT_S}s"])
    connection.execute("set local search_path to default")
    begun = connection.execute(_TRANSACTION).fetchone()
    connection.execute(text.encode())  # without values, so that it may hold many statements and any %
    if connection.execute(_TRANSACTION).fetchone() != begun:
        raise Malformed(
            "the file ended the transaction around it: what it did before that stands", kind="lost"
        )
    connection.execute("set local search_path to pg_catalog")


def forget(connection: psycopg.Connection) -> None:
    """Undo what files have set for the session, such as `set lock_timeout = 0`: no other one inherits it.

    Raises:
        psycopg.Error: the server does not answer.
    """
    for text in _FORGET:
        connection.execute(text)
