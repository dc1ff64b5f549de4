"""One open connection, kept within bounds that spare a sick server.

Through a direct door the bounds are set once for the session. Through a transaction pooler a setting
would reach the sessions of others, so there each statement runs in a transaction of its own with
settings that end with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from threading import Event
from typing import TYPE_CHECKING, Any, TypeVar

from opslib.errors import Malformed, NotNamed, Refused, SourceError, Unreachable
from opslib.pg import cutting, settings
from opslib.pg.failures import failed_statement

if TYPE_CHECKING:
    import psycopg

Names = list[str]
Rows = list[tuple[Any, ...]]
Answer = TypeVar("Answer")

# The server ends a statement sooner; this is for a network that fell silent, or a pooler without end.
ANSWER_TIMEOUT_S = 20.0
LEND_TIMEOUT_S = 5.0
SCRIPT_TIMEOUT_S = 600
_SLACK_S = 5
_COMMAND_OK = 1  # of libpq
_PLANS_WITHOUT_VALUES_SINCE = 16
_WRITING = "set transaction read write"
_REPEATABLE = "set transaction isolation level repeatable read, read write"


class Session:
    """A connection through one door.

    Args:
        connection: open, in autocommit.
        door: the door's name.
        pooled: it leads through a transaction pooler.

    Raises:
        SourceError: the server did not take the settings, or the pooler has no connection to lend.
    """

    def __init__(self, connection: psycopg.Connection, door: str, pooled: bool) -> None:
        self.door = door
        self.pooled = pooled
        self._connection = connection
        if pooled:
            self._borrow()
        else:
            self._prepare()

    @property
    def major(self) -> int:
        """Major version of the server."""
        return self._connection.info.server_version // 10000

    @property
    def lost(self) -> bool:
        """The connection can't be used any more."""
        return self._connection.closed

    def run(
        self, text: str, params: Mapping[str, Any], local: Mapping[str, str] | None = None, within: int = 0
    ) -> tuple[Names, Rows]:
        """Run one statement and return the names of its columns, and its rows.

        Args:
            text: the statement, from a packaged file.
            params: values for its parameters.
            local: settings for this statement alone, such as the role that asks.
            within: seconds that the server may take for it; 0 for as few as for any other.

        Raises:
            SourceError: it could not be answered; `kind` says in which way.
        """
        longer = {"statement_timeout": f"{within}s"} if within else {}
        with self._bounded(within + _SLACK_S if within else ANSWER_TIMEOUT_S):
            return self._read(text, params, {**longer, **(local or {})})

    def plan(self, query: str) -> Rows:
        """Return the plan of a statement as the server recorded it, without running it.

        Args:
            query: its text, with $1 in place of values; from nobody but the server's own statistics.

        Raises:
            NotNamed: the server can plan nothing without its values; that came with version 16.
            SourceError: the server makes no plan of it, or it is more than one statement.
        """
        if self.major < _PLANS_WITHOUT_VALUES_SINCE:
            raise NotNamed(f"plans without values need PostgreSQL {_PLANS_WITHOUT_VALUES_SINCE}")
        explain = f"explain (generic_plan, verbose, format json) {query}"
        with self._bounded(ANSWER_TIMEOUT_S), self._connection.transaction():
            as_asked = {"search_path": settings.SEARCHED_BY_REQUESTS, **settings.AS_BY_THEMSELVES}
            self._set({**settings.FOR_TRANSACTION, **as_asked}, local=True)
            # The server itself refuses here what holds more than one statement.
            parsed = self._connection.pgconn.prepare(b"", explain.encode())
            if parsed.status != _COMMAND_OK:
                said = parsed.error_message.decode(errors="replace").splitlines()[0]
                raise Malformed(f"door {self.door}: no plan: {said}", kind="statement")
            return self._connection.execute(explain.encode()).fetchall()

    def act(
        self,
        text: str,
        params: Mapping[str, Any],
        read: Callable[[Names, Rows], Answer],
        backend: int | None = None,
        before: Callable[[psycopg.Connection], None] | None = None,
        *,
        repeatable: bool = False,
        all_rows: bool = False,
        first: Sequence[str] = (),
    ) -> Answer:
        """Run one statement that changes something, in a transaction of its own, once.

        Args:
            text: the statement, from a packaged file.
            params: values for its parameters.
            read: makes the answer of names and rows; what it raises undoes the change.
            backend: the server's process that holds the locks, where there are any.
            before: what goes before it in the same transaction; it may take longer.
            repeatable: fail where a foreign key would delete a row that came after the statement began.
            all_rows: fail where a policy would hide a row.
            first: commands without values that go before all, so that a view of the data begins after them.

        Raises:
            Refused: another process would do it: a transaction pooler that nobody declared.
            SourceError: it was not done; of kind `lost`, nobody knows whether it was.
        """
        seconds = SCRIPT_TIMEOUT_S + _SLACK_S if before else ANSWER_TIMEOUT_S
        try:
            with self._bounded(seconds), self._connection.transaction():
                # The session reads only, and goes on to: this holds until the end of the transaction.
                told = {
                    **({} if before else settings.FOR_ACT),
                    **(settings.FOR_BATCH if repeatable else {}),
                    **(settings.ALL_ROWS if all_rows else {}),
                }
                local = [f"set local {name} = '{value}'" for name, value in told.items()]
                begun = [_REPEATABLE if repeatable else _WRITING, *local, *first]
                self._connection.execute("; ".join(begun).encode())
                self._must_be(backend)
                if before:
                    before(self._connection)
                return read(*self._ask(text, params))
        except SourceError as error:
            raise self._unknown_if_lost(error) from None
        finally:
            if before:
                self._afresh()

    def command(
        self, text: str, read: Callable[[Names, Rows], Answer], backend: int | None = None, *,
        unbroken: bool = False,
    ) -> Answer:  # fmt: skip
        """Run one command that no transaction may be around, once.

        It may take long: its own lock is not waited for as briefly as else, because CONCURRENTLY would
        leave half an index behind, and it is not cut off before an hour.

        Args:
            text: the command, from a packaged file, names put in.
            read: makes the answer of names and rows.
            backend: the server's process that holds the locks, where there are any.
            unbroken: the server is never told to cut it off; after an hour nobody waits for it any more.

        Raises:
            Refused: another process would do it: a transaction pooler that nobody declared.
            SourceError: it was not done; of kind `lost`, nobody knows whether it was.
        """
        try:
            with self._bounded(settings.COMMAND_TIMEOUT_S + _SLACK_S):
                self._must_be(backend)
                told = settings.UNBROKEN if unbroken else settings.FOR_COMMAND
                self._set(told, local=False)
                try:
                    return read(*self._ask(text, {}))
                finally:
                    with suppress(Exception):
                        self._set({name: settings.FOR_SESSION.get(name, "0") for name in told}, local=False)
        except SourceError as error:
            raise self._unknown_if_lost(error) from None

    def cancel(self) -> None:
        """Have the server end what it does for us; where it cannot be told so, the connection ends."""
        import psycopg

        try:
            self._connection.cancel_safe(timeout=LEND_TIMEOUT_S)
        except psycopg.Error:
            cutting.cut(self._connection)

    def close(self) -> None:
        """Close the connection; nothing happens if it is closed."""
        import psycopg

        with suppress(psycopg.Error):
            self._connection.close()

    def _afresh(self) -> None:
        """Forget what a file of people's own has set, or end the session."""
        from opslib.pg import script

        try:
            with self._bounded(ANSWER_TIMEOUT_S):
                script.forget(self._connection)
            self._prepare()
        except SourceError:
            self.close()

    def _must_be(self, backend: int | None) -> None:
        if backend is not None and self._ask("select pg_backend_pid()", {})[1] != [(backend,)]:
            raise Refused(f"door {self.door} leads to another server process than holds the lock")

    def _unknown_if_lost(self, error: SourceError) -> SourceError:
        if not self.lost:
            return error
        return Unreachable(f"{error.message}; whether the change was made is not known", kind="lost")

    @contextmanager
    def _bounded(self, seconds: float) -> Iterator[None]:
        """Give the connection up when an answer takes longer, and name whatever goes wrong."""
        import psycopg

        late = Event()
        try:
            with cutting.cut_off(self._connection, seconds, late):
                yield
        except psycopg.Error as error:
            if late.is_set():
                self.close()
                message = f"door {self.door}: no answer within {seconds:g} s"
                raise Unreachable(message, kind="timeout") from None
            raise failed_statement(error, f"door {self.door}") from None

    def _borrow(self) -> None:
        """See whether the pooler has a connection to lend: it lets everybody in."""
        try:
            with self._bounded(LEND_TIMEOUT_S):
                self._read("select 1", {}, {})
        except SourceError as error:
            self.close()
            if error.kind != "timeout":
                raise
            message = f"door {self.door}: the pooler let us in and then lent no connection"
            raise Unreachable(message, kind="pool-exhausted") from None

    def _prepare(self) -> None:
        import psycopg

        try:
            self._set(settings.for_session(self.major), local=False)
        except psycopg.Error as error:
            self.close()
            raise failed_statement(error, f"door {self.door}") from None

    def _read(self, text: str, params: Mapping[str, Any], local: Mapping[str, str]) -> tuple[Names, Rows]:
        if not self.pooled and not local:
            return self._ask(text, params)
        with self._connection.transaction():
            self._set({**settings.FOR_TRANSACTION, **local}, local=True)
            return self._ask(text, params)

    def _set(self, told: Mapping[str, str | None], *, local: bool) -> None:
        """Make all settings in one round trip; None is what the role begins with."""
        calls = ", ".join(["pg_catalog.set_config(%s, %s, %s)"] * len(told))
        values = [part for name, value in told.items() for part in (name, value, local)]
        self._connection.execute(f"select {calls}".encode(), values)

    def _ask(self, text: str, params: Mapping[str, Any]) -> tuple[Names, Rows]:
        # Bytes, as the text comes from a packaged file and never from a template.
        cursor = self._connection.execute(text.encode(), params)
        rows = cursor.fetchall() if cursor.description else []
        return [column.name for column in cursor.description or ()], rows
