"""A file of SQL that people wrote, run as it stands inside a transaction of ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from opslib.errors import Malformed
from opslib.pg import sql
from opslib.pg.session import SCRIPT_TIMEOUT_S
from opslib.pg.settings import AS_BY_THEMSELVES

if TYPE_CHECKING:
    import psycopg

_SET = "select pg_catalog.set_config(%s, %s, true)"
_OURS = {"search_path": "pg_catalog", "timezone": "UTC"}
_TRANSACTION = "select pg_catalog.pg_current_xact_id()::text"

# Not `discard all`, which would give back the lock that the gate holds.
_FORGET = (b"reset session authorization", b"reset role", b"reset all")


def begins(connection: psycopg.Connection, role: str) -> dict[str, str]:
    """Return the settings that a login of a role begins with: search_path, timezone.

    Raises:
        psycopg.Error: they cannot be read.
    """
    text, bound = sql.load("login_settings").filled(connection.info.server_version // 10000, {"role": role})
    return dict(connection.execute(text.encode(), bound).fetchall())


def run(
    connection: psycopg.Connection, text: str, role: str, settings: Mapping[str, str] | None = None
) -> None:
    """Run a file as a login of a role would, within the transaction that is open.

    The session's lock_timeout holds: a busy table makes it fail instead of making everybody wait.

    Args:
        connection: in a transaction that may write.
        text: the whole file.
        role: who does it, so that what it makes belongs to them.
        settings: as `begins` has them where the role is at home; None: here.

    Raises:
        Malformed: it ended the transaction that it was to stay in.
        psycopg.Error: one of its statements failed.
    """
    login = begins(connection, role) if settings is None else settings
    ours = {"statement_timeout": f"{SCRIPT_TIMEOUT_S}s", "role": role}
    _set(connection, {**login, **AS_BY_THEMSELVES, **ours})
    begun = connection.execute(_TRANSACTION).fetchone()
    connection.execute(text.encode())  # without values, so that it may hold many statements and any %
    if connection.execute(_TRANSACTION).fetchone() != begun:
        raise Malformed(
            "the file ended the transaction around it: what it did before that stands", kind="lost"
        )
    _set(connection, _OURS)


def forget(connection: psycopg.Connection) -> None:
    """Undo what files have set for the session, such as `set lock_timeout = 0`: no other one inherits it.

    Raises:
        psycopg.Error: the server does not answer.
    """
    for text in _FORGET:
        connection.execute(text)


def _set(connection: psycopg.Connection, settings: Mapping[str, str | None]) -> None:
    for name, value in settings.items():
        connection.execute(_SET, [name, value])
