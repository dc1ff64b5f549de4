"""A system's database, asked (and, for the gate, changed) with packaged statements over one connection."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence, Sized
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from opslib.calls import Call
from opslib.errors import OpsError, Refused, SourceError
from opslib.pg import acting, frame, settings, sql
from opslib.pg.connect import DoorLike, open_door
from opslib.pg.ladder import Ladder
from opslib.pg.session import Session

if TYPE_CHECKING:
    import pandas as pd

    from opslib.acts import Act, Opening
    from opslib.pg.frame import Row

Answer = TypeVar("Answer", bound=Sized)
Build = Callable[[sql.Statement, list[str], list[tuple[Any, ...]]], Answer]

DOOR_COLUMNS = ("door", "reachable", "kind", "error", "ms")
_CONNECT = "connect"


class Database:
    """The database behind some doors; connects when it is first asked, and then once.

    Args:
        doors: ways in, the best first.
        application_name: what the server's administrator sees of us.
        on_call: told of each question put to the server.
    """

    def __init__(
        self,
        doors: Sequence[DoorLike],
        *,
        application_name: str,
        on_call: Callable[[Call], None] | None = None,
    ) -> None:
        self._doors = tuple(doors)
        self._application_name = application_name
        self._on_call = on_call or (lambda call: None)
        self._session: Session | None = None
        self._locks: dict[str, acting.Held] = {}
        self._first: Database | None = None
        self._cancelled = 0  # how often, so that nothing is asked again for whoever has gone
        self._ladder = Ladder(self._doors, self._enter)

    @property
    def door(self) -> str:
        """Name of the door in use, or "" before the first question."""
        return self._session.door if self._session else ""

    @property
    def facts(self) -> dict[str, Any]:
        """What the server says of itself and of our role: the row of `server_facts`."""
        return self.rows("server_facts")[0]

    def table(self, name: str, /, **params: Any) -> pd.DataFrame:
        """Run one packaged statement that reads.

        Args:
            name: a statement of `sql.names()`.
            params: a value for each of its parameters.

        Returns:
            The columns that its header promises.

        Raises:
            SourceError: the database could not be asked, or did not answer as promised.
            UnknownName: there is no such statement.
            Refused: it does not only read.
            ParameterError: a parameter is missing or unknown.
        """
        return self._looked(name, params, {}, frame.build)

    def rows(self, name: str, /, **params: Any) -> list[Row]:
        """Run one packaged statement that reads; as `table`, but row by row, by the names of the columns."""
        return self._looked(name, params, {}, frame.rows)

    def table_as(self, role: str, claims: Mapping[str, str], name: str, /, **params: Any) -> pd.DataFrame:
        """Run one packaged statement that reads, as a request of the web API would run it.

        Args:
            role: the role to be for one transaction that reads only; ours must be a member.
            claims: what the request's token says, as policies read it; all else is as for `table`.
        """
        return self._looked(name, params, acting.request(role, claims), frame.build)

    def plan(self, query: str) -> Any:
        """Return the plan of a recorded statement, as EXPLAIN gives it in JSON; raises as `Session.plan`."""
        with self._recorded(self._opened().door, "explain", query) as answer:
            answer += self._opened().plan(query)
        return answer[0][0][0]["Plan"]

    def another(self) -> Database:
        """Return the same database over a second connection, which is open; it acts under this one's locks.

        Raises:
            SourceError: no second connection can be had.
        """
        other = Database(self._doors, application_name=self._application_name, on_call=self._on_call)
        other._first = self
        other._opened()
        return other

    def act(self, opening: Opening, stretch: Mapping[str, Any] | None = None) -> list[Row]:
        """Carry out exactly the statement that an opening of the gate is for, once.

        It is never repeated: when the connection is lost on the way, whoever asked must look.

        Args:
            opening: the leave; it is spent before anything is sent.
            stretch: within which part of what the statement may do this step of it keeps, by the
                parameters that its header names for that; None for all of it.

        Returns:
            The rows that the statement's header promises, by the names of their columns.

        Raises:
            Refused: no statement of kind `write`, used before, only a pooler leads in, or a lock that
                was taken is gone with its connection. Nothing was done.
            ParameterError: its values are not those of the header. Nothing was done.
            Unreachable: of kind `lost`, nobody knows whether it was done.
            SourceError: the server did not do it.
        """
        statement, params = acting.demanded(opening.act, stretch or {})
        backend = acting.backend(self._locks, self._session)
        if self._first:
            acting.backend(self._first._locks, self._first._session)
        session = self._opened()
        acting.fits(session, statement)
        opening.use()
        return self._on(session, statement, params, frame.rows, backend, act=opening.act)

    @contextmanager
    def lock(self, name: str) -> Iterator[None]:
        """Hold an advisory lock of the server; it is gone when its connection is.

        Args:
            name: what is locked; the same for everybody who would change it.

        Raises:
            Refused: somebody has it; the message says who.
            SourceError: the server could not be asked.
        """
        if name in self._locks:
            raise Refused(f"{name} is locked by this very run")
        key = {"key": acting.lock_key(name)}
        session = self._opened()
        given = self._on(session, sql.load("advisory_lock"), key, frame.rows)[0]
        if not given["taken"]:
            holder = acting.held_by(self.rows("advisory_holder", **key))
            raise Refused(f"{name} is being changed by {holder}", hint="wait for it to end")
        self._locks[name] = acting.Held(session, int(given["backend"]))
        try:
            yield
        finally:
            del self._locks[name]
            self._give_back(session, key)

    def doors(self) -> pd.DataFrame:
        """Try every way in once; the first that opens stays open for the questions to come.

        Returns:
            One row a door: door, reachable, kind ("" when reachable), error, ms.
        """
        import pandas as pd

        rows = [self._tried(door) for door in self._doors]
        return pd.DataFrame(rows, columns=list(DOOR_COLUMNS)).astype(
            {"reachable": "boolean", "ms": "float64"}
        )

    def cancel(self) -> None:
        """End what is being asked, from another thread: whoever waited for the answer has gone."""
        self._cancelled += 1
        session = self._session
        if session is not None:
            session.cancel()

    def close(self) -> None:
        """Close the connection; the next question opens one again."""
        if self._session is not None:
            self._session.close()
            self._session = None

    def _looked(
        self, name: str, params: Mapping[str, Any], local: Mapping[str, str], build: Build[Answer]
    ) -> Answer:
        statement = sql.load(name)
        if statement.kind != sql.READ:
            raise Refused(f"{name} changes something; only the gate may run it")
        acting.named(statement, params)
        cancelled = self._cancelled
        try:
            return self._on(self._opened(), statement, params, build, local=local)
        except SourceError:
            # A warm connection may have been cut since the last question; then one new one is tried.
            if not (self._session and self._session.lost) or self._cancelled > cancelled:
                raise
            self.close()
            return self._on(self._opened(), statement, params, build, local=local)

    def _on(
        self,
        session: Session,
        statement: sql.Statement,
        params: Mapping[str, Any],
        build: Build[Answer],
        backend: int | None = None,
        local: Mapping[str, str] | None = None,
        act: Act | None = None,
    ) -> Answer:
        """Run a statement of any kind on one session, and record it."""
        acting.fits(session, statement)
        locked = statement.locking(params)
        text, params = statement.filled(session.major, params)
        plain = statement.kind == sql.READ and not local
        asked = text if plain else f"{text}\n{sorted({**params, **(local or {})}.items())}"
        read = partial(build, statement)
        with self._recorded(session.door, statement.name, asked) as answer:
            if statement.kind in sql.ACTING:
                found = acting.carried_out(session, statement, text, params, read, backend, act, locked)
            else:
                local = {**(settings.ALL_ROWS if statement.all_rows else {}), **(local or {})}
                found = read(*session.run(text, params, local, statement.within))
            answer += range(len(found))
        return found

    def _give_back(self, session: Session, key: Mapping[str, int]) -> None:
        """Give a lock back; where that fails, ending the session does."""
        try:
            if not session.lost:
                self._on(session, sql.load("advisory_unlock"), key, frame.rows)
        except SourceError:
            session.close()

    def _opened(self) -> Session:
        """Return the open session, or climb the ladder of doors."""
        if self._session is not None and not self._session.lost:
            return self._session
        self._session = None
        self._session = self._ladder.climb()
        return self._session

    def _enter(self, door: DoorLike) -> Session:
        with self._recorded(door.name, _CONNECT, door.name):
            connection, pooled = open_door(door, self._application_name)
            return Session(connection, door.name, pooled)

    def _tried(self, door: DoorLike) -> tuple[str, bool, str, str, float]:
        started = time.perf_counter()
        mine = self._session if self._session and self._session.door == door.name else None
        try:
            if mine and not mine.lost:
                mine.run("select 1", {})
            else:
                self._keep(self._enter(door))
        except SourceError as error:
            return door.name, False, error.kind, error.message, _ms(started)
        return door.name, True, "", "", _ms(started)

    def _keep(self, session: Session) -> None:
        if self._session is None or self._session.lost:
            self._session = session
        elif session is not self._session:
            session.close()

    @contextmanager
    def _recorded(self, door: str, what: str, text: str) -> Iterator[list[Any]]:
        """Record a question, with the error that ends it, or as many rows as are put into the list."""
        started, answer, error = time.perf_counter(), list[Any](), "it did not end"
        try:
            yield answer
            error = ""
        except OpsError as caught:
            error = caught.message
            raise
        finally:
            rows = None if error or what == _CONNECT else len(answer)
            digest = hashlib.sha256(text.encode()).hexdigest()
            self._on_call(Call(f"pg:{door}", what, rows, _ms(started), not error, error, digest))


def _ms(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 1)
