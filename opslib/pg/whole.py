"""A whole database as it was at one moment: the view that a backup and its manifest share.

Unlike a diagnosis this reads every row, so it has a session of its own, with time enough, on a door that
leads to the server itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from opslib.errors import ParameterError, Refused
from opslib.pg import frame, sql
from opslib.pg.connect import DoorLike, open_door
from opslib.pg.failures import failed_statement
from opslib.pg.settings import ALL_ROWS, WRITTEN_ALIKE

if TYPE_CHECKING:
    from datetime import datetime

    import pandas as pd
    import psycopg

LOCK_TIMEOUT_S = 10
_PINNED = {
    **WRITTEN_ALIKE, **ALL_ROWS, "client_encoding": "UTF8",
    "statement_timeout": "0", "lock_timeout": f"{LOCK_TIMEOUT_S}s",
    "idle_in_transaction_session_timeout": "0", "idle_session_timeout": "0",
}  # fmt: skip
_UNBOUNDED = b"""
select pg_catalog.set_config(name, '0', false) from pg_catalog.pg_settings where name = 'transaction_timeout'
"""  # of version 17 and later

_OWN = """where not exists (
  select from pg_catalog.pg_depend d join pg_catalog.pg_class c on c.oid = d.objid
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.deptype = 'e'
    and n.nspname = schemaname and c.relname = sequencename)"""


class Frozen:
    """A database as it was at one moment.

    Args:
        connection: in an open transaction that sees that moment.
        door: the door's name, for errors.

    Attributes:
        snapshot: by which other sessions see the same.
        taken_at: the moment, by the server's clock.
        database: its name.
        version: full version of the server.
    """

    def __init__(self, connection: psycopg.Connection, door: str) -> None:
        self._connection, self._door = connection, door
        asked = "select pg_export_snapshot(), now(), current_database(), current_setting('server_version')"
        row = self._rows(asked)[0]
        self.snapshot: str = row[0]
        self.taken_at: datetime = row[1]
        self.database: str = row[2]
        self.version: str = str(row[3]).split()[0]

    @property
    def major(self) -> int:
        """Major version of the server."""
        return self._connection.info.server_version // 10000

    def table(self, name: str, /, **params: Any) -> pd.DataFrame:
        """Run one packaged statement that reads; its columns are those of its header.

        Raises:
            SourceError: it could not be answered.
            Refused: it does not only read.
            ParameterError: a parameter is missing or unknown.
        """
        import psycopg

        statement = sql.load(name)
        if statement.kind != sql.READ:
            raise Refused(f"{name} changes something; only the gate may run it")
        if set(params) != set(statement.params):
            raise ParameterError(f"{name} takes the parameters: {', '.join(statement.params) or 'none'}")
        text, bound = statement.filled(self.major, params)
        try:
            cursor = self._connection.execute(text.encode(), bound)
            rows = cursor.fetchall()
        except psycopg.Error as error:
            raise failed_statement(error, f"door {self._door}") from None
        return frame.build(statement, [column.name for column in cursor.description or ()], rows)

    def sequences(self) -> dict[str, tuple[int | None, int]]:
        """Return how far each sequence has counted, and its step, by name.

        No view holds a sequence: it is read as it is now, whatever others have drawn since the view began.
        Not a packaged statement: the server locks each sequence as if to write, which no diagnosis does.
        A sequence that may not be read looks unused; the statement `backup_tables` finds it. One that came
        with an extension is made anew with it, and no dump says how far it was.

        Returns:
            (last value, None for one that was never used; step, 0 for one that begins again at its end).

        Raises:
            SourceError: they cannot be read.
        """
        name = "pg_catalog.quote_ident(schemaname) || '.' || pg_catalog.quote_ident(sequencename)"
        step = "case when cycle then 0 else increment_by end"
        rows = self._rows(f"select {name}, last_value, {step} from pg_catalog.pg_sequences {_OWN} order by 1")
        return {found: (last, each) for found, last, each in rows}

    def cancel(self) -> None:
        """End what is being read, from another thread: whoever waited for it has gone."""
        self._connection.cancel_safe()

    def _rows(self, text: str) -> list[tuple[Any, ...]]:
        import psycopg

        try:
            return self._connection.execute(text.encode()).fetchall()
        except psycopg.Error as error:
            raise failed_statement(error, f"door {self._door}") from None


@contextmanager
def frozen(door: DoorLike, application_name: str) -> Iterator[Frozen]:
    """Hold a database as it is now, for as long as the block lasts.

    Args:
        door: a way to the server itself.
        application_name: what the server's administrator sees.

    Raises:
        Refused: a transaction pooler leads there, behind which no view can be held.
        SourceError: it did not open.
    """
    with closing(_opened(door, application_name)) as connection, connection.transaction():
        connection.execute("set transaction isolation level repeatable read, read only")
        yield Frozen(connection, door.name)


def analyze(door: DoorLike, application_name: str) -> None:
    """Gather statistics of all tables: after a restore there are none, and every plan is a guess.

    Raises:
        Refused, SourceError: as for `frozen`.
    """
    import psycopg

    with closing(_opened(door, application_name)) as connection:
        try:
            connection.execute("set default_transaction_read_only = off")
            connection.execute("analyze")
        except psycopg.Error as error:
            raise failed_statement(error, f"door {door.name}") from None


def _opened(door: DoorLike, application_name: str) -> psycopg.Connection:
    import psycopg

    connection, pooled = open_door(door, application_name)
    try:
        if pooled:
            raise Refused(
                f"door {door.name} leads through a transaction pooler, which cannot hold one view",
                hint="name the server's own address as `direct`, or as `backup`",
            )
        for name, value in _PINNED.items():
            connection.execute("select pg_catalog.set_config(%s, %s, false)", (name, value))
        connection.execute(_UNBOUNDED)
    except psycopg.Error as error:
        connection.close()
        raise failed_statement(error, f"door {door.name}") from None
    except Refused:
        connection.close()
        raise
    return connection
