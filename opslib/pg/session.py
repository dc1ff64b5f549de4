"""One open connection, kept within bounds that spare a sick server.

Through a direct door the bounds are set once for the session. Through a transaction pooler a setting
would reach the sessions of others, so there each statement runs in a transaction of its own with
settings that end with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from opslib.pg.failures import failed_statement

if TYPE_CHECKING:
    import psycopg

STATEMENT_TIMEOUT_S = 15
LOCK_TIMEOUT_S = 2
_SETTINGS = {
    "statement_timeout": f"{STATEMENT_TIMEOUT_S}s",
    "lock_timeout": f"{LOCK_TIMEOUT_S}s",
    "search_path": "pg_catalog",
    "timezone": "UTC",
}
_FOR_SESSION = {
    **_SETTINGS,
    "default_transaction_read_only": "on",
    "idle_in_transaction_session_timeout": "30s",
}
_FOR_TRANSACTION = {**_SETTINGS, "transaction_read_only": "on"}
_IDLE_SESSION_TIMEOUT_SINCE = 14


class Session:
    """A connection through one door.

    Args:
        connection: open, in autocommit.
        door: the door's name.
        pooled: it leads through a transaction pooler.

    Raises:
        SourceError: the server did not take the settings.
    """

    def __init__(self, connection: psycopg.Connection, door: str, pooled: bool) -> None:
        self.door = door
        self.pooled = pooled
        self._connection = connection
        if not pooled:
            self._prepare()

    @property
    def major(self) -> int:
        """Major version of the server."""
        return self._connection.info.server_version // 10000

    @property
    def lost(self) -> bool:
        """The connection can't be used any more."""
        return self._connection.closed

    def run(self, text: str, params: Mapping[str, Any]) -> tuple[list[str], list[tuple[Any, ...]]]:
        """Run one statement and return the names of its columns, and its rows.

        Raises:
            SourceError: it could not be answered; `kind` says in which way.
        """
        import psycopg

        try:
            if self.pooled:
                with self._connection.transaction():
                    self._set(_FOR_TRANSACTION, local=True)
                    return self._ask(text, params)
            return self._ask(text, params)
        except psycopg.Error as error:
            raise failed_statement(error, f"door {self.door}") from None

    def close(self) -> None:
        """Close the connection; nothing happens if it is closed."""
        import psycopg

        with suppress(psycopg.Error):
            self._connection.close()

    def _prepare(self) -> None:
        import psycopg

        settings = dict(_FOR_SESSION)
        if self.major >= _IDLE_SESSION_TIMEOUT_SINCE:
            settings["idle_session_timeout"] = "0"
        try:
            self._set(settings, local=False)
        except psycopg.Error as error:
            self.close()
            raise failed_statement(error, f"door {self.door}") from None

    def _set(self, settings: Mapping[str, str], *, local: bool) -> None:
        """Make all settings in one round trip."""
        calls = ", ".join(["pg_catalog.set_config(%s, %s, %s)"] * len(settings))
        values = [part for name, value in settings.items() for part in (name, value, local)]
        self._connection.execute(f"select {calls}".encode(), values)

    def _ask(self, text: str, params: Mapping[str, Any]) -> tuple[list[str], list[tuple[Any, ...]]]:
        # Bytes, as the text comes from a packaged file and never from a template.
        cursor = self._connection.execute(text.encode(), params)
        return [column.name for column in cursor.description or ()], cursor.fetchall()
