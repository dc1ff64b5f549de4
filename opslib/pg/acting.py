"""What must be right before a statement may change something: kind, values, session, locks."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from opslib import acts
from opslib.errors import Malformed, ParameterError, Refused, SourceError
from opslib.pg import script, sql
from opslib.pg.settings import SEARCHED_BY_REQUESTS

Answer = TypeVar("Answer")

if TYPE_CHECKING:
    import psycopg

    from opslib.pg.frame import Row
    from opslib.pg.session import Session

    Read = Callable[[list[str], list[tuple[Any, ...]]], Answer]

AGAIN = "run apply again: what was done is not repeated"
_LOCKS = "opslib:"
_FITTING: Mapping[str, tuple[type, ...]] = {
    "int": (int,), "float": (int, float), "seconds": (int, float), "bool": (bool,), "text": (str,),
    "time": (str,), "list": (list, tuple), "name": (list, tuple, str), "names": (list, tuple),
    "json": (dict, list, tuple, str, int, bool),
}  # fmt: skip


def demanded(act: acts.Act, stretch: Mapping[str, Any]) -> tuple[sql.Statement, dict[str, Any]]:
    """Return the statement that an act names, and the values to bind.

    Args:
        act: of a plan.
        stretch: values of the parameters that narrow a step; one that is not given narrows nothing.

    Raises:
        Refused: it is no statement that changes something.
        UnknownName: there is no such statement.
        ParameterError: its values are not those that the header asks for.
    """
    if not isinstance(act, acts.Statement):
        raise Refused(f"{act.text} is nothing that a database could do")
    statement = sql.load(act.name)
    if statement.kind not in sql.ACTING:
        raise Refused(f"{act.name} is of kind {statement.kind}: no plan can ask for it")
    named(statement, act.params)
    if unknown := set(stretch) - set(statement.step):
        raise ParameterError(f"{statement.name} has no steps that {', '.join(sorted(unknown))} could narrow")
    given = {**act.params, **{name: stretch.get(name) for name in statement.step}}
    return statement, {name: _bound(statement, name, value) for name, value in given.items()}


def around(
    act: acts.Act | None, read: Read[Answer]
) -> tuple[Callable[[psycopg.Connection], None] | None, Read[Answer]]:
    """Return what goes before an act's statement, and how its answer is read then.

    A file of people's own must be noted by exactly one row: where it is not, both are undone.
    """
    if not isinstance(act, acts.Statement) or not act.script:
        return None, read

    def noted(names: list[str], rows: list[tuple[Any, ...]]) -> Answer:
        if len(rows) != 1:
            raise SourceError(
                f"{act.script_name} was noted by somebody else: nothing was done", kind="conflict"
            )
        return read(names, rows)

    return partial(script.run, text=act.script, role=act.role), noted


def carried_out(
    session: Session, statement: sql.Statement, text: str, params: Mapping[str, Any], read: Read[Answer],
    backend: int | None, act: acts.Act | None, locked: Sequence[str],
) -> Answer:  # fmt: skip
    """Have a session carry out a statement that changes something, as its kind demands."""
    if statement.kind == sql.COMMAND:
        return session.command(text, read, backend, unbroken=statement.unbroken)
    before, read = around(act, read)
    return session.act(
        text, params, read, backend, before,
        repeatable=statement.kind == sql.BATCH, all_rows=statement.all_rows, first=locked,
    )  # fmt: skip


def named(statement: sql.Statement, params: Mapping[str, Any]) -> None:
    """See that exactly the parameters of the header are given.

    Raises:
        ParameterError: one is missing or unknown.
    """
    if set(params) != set(statement.params):
        wanted = ", ".join(statement.params) or "none"
        given = ", ".join(params) or "none"
        raise ParameterError(f"{statement.name} takes the parameters: {wanted}; given: {given}")


def fits(session: Session, statement: sql.Statement) -> None:
    """See that a statement may run on a session.

    Raises:
        Refused: it changes something, and a pooler leads there.
        Malformed: the server is too old, or the statement cannot be asked through a pooler.
    """
    if session.major < statement.since:
        raise Malformed(f"{statement.name} needs PostgreSQL {statement.since}, this is {session.major}")
    if session.pooled and statement.kind != sql.READ:
        raise Refused(
            f"door {session.door} leads through a transaction pooler, where sessions are other people's",
            hint="name a direct address, or a session pooler's, under `operator`",
        )
    if session.pooled and not statement.pooler:
        raise Malformed(f"{statement.name} can't be asked through a pooler", kind="pooler")


@dataclass(frozen=True)
class Held:
    """A lock that is held.

    Args:
        session: the connection that took it.
        backend: the server's process that has it.
    """

    session: Session
    backend: int


def backend(locks: Mapping[str, Held], session: Session | None) -> int | None:
    """Return the server's process that must do what is done under these locks; None without any.

    Raises:
        Refused: a connection was lost since, and its lock with it.
    """
    for name, held in locks.items():
        if held.session is not session or session.lost:
            raise Refused(f"the connection that held the lock on {name} was lost", hint=AGAIN)
    return next((held.backend for held in locks.values()), None)


def request(role: str, claims: Mapping[str, str]) -> dict[str, str]:
    """Return the settings under which a request of the web API runs: its role, and what its token says."""
    token = json.dumps(dict(claims), sort_keys=True)
    return {"search_path": SEARCHED_BY_REQUESTS, "request.jwt.claims": token, "role": role}


def lock_key(name: str) -> int:
    """Return the 64-bit key of the advisory lock that bears a name."""
    return int.from_bytes(hashlib.sha256(f"{_LOCKS}{name}".encode()).digest()[:8], "big", signed=True)


def held_by(holders: Sequence[Row]) -> str:
    """Say who has a lock, from the answer of `advisory_holder`."""
    if not holders:
        return "somebody who has just given it back"
    row = holders[0]
    # Who may not see other people's sessions is not told when they began.
    connected = row["connected_at"]
    since = f", connected since {connected.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if connected else ""
    return f"{row['application']} (pid {row['pid']}, role {row['role']}{since})"


def _bound(statement: sql.Statement, name: str, value: Any) -> Any:
    """Return a value as the driver takes it; times stay text, which the statement casts."""
    kind = {**statement.params, **statement.step}[name]
    if value is None:
        return None
    if not isinstance(value, _FITTING[kind]) or (isinstance(value, bool) and kind not in ("bool", "json")):
        raise ParameterError(f"{statement.name}: {name} must be {kind}, not {type(value).__name__}")
    if kind == "time" and not _is_moment(str(value)):
        raise ParameterError(f"{statement.name}: {name}: {value!r} is no time with its zone (RFC 3339)")
    if kind == "json":
        from psycopg.types.json import Jsonb

        return Jsonb(value)
    return value


def _is_moment(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False
