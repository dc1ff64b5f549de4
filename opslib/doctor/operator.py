"""The way in for approved changes: does it open, and may the role behind it do what changes need."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import TYPE_CHECKING, Any

from opslib.doctor.report import Line
from opslib.errors import SourceError
from opslib.verdict import Status

if TYPE_CHECKING:
    from opslib.config import Door, Environment

PART = "database"
_WHAT = "door operator"
_SIGNAL = "pg_signal_backend"
_SQL_HINT = "opslib doctor --sql prints the statements"
_WITHOUT = "changes to the database can be planned, not applied"


def lines(environment: Environment) -> list[Line]:
    """Look at the operator's door; nothing is changed by looking."""
    door = environment.operator
    if door is None:
        hint = f"make opslib_operator ({_SQL_HINT}), then add `operator:` under the database"
        return [Line(PART, _WHAT, Status.SKIPPED, f"none is named: {_WITHOUT}", hint)]
    if not door.dsn.available():
        hint = f"make opslib_operator ({_SQL_HINT}), then set {door.dsn.reference}"
        seen = f"{door.dsn.reference} is not there: {_WITHOUT}"
        return [Line(PART, _WHAT, Status.SKIPPED, seen, hint)]
    return list(_asked(door))


def _asked(door: Door) -> Iterator[Line]:
    from opslib.pg.connect import is_pooler, parameters
    from opslib.pg.database import Database

    with closing(Database([door], application_name="opslib/doctor")) as database:
        try:
            facts = database.facts
            pooled = is_pooler(door.pooled, parameters(door))
        except SourceError as error:
            yield Line(PART, _WHAT, Status.WARNING, f"{error.message}: {_WITHOUT}", error.hint)
            return
    yield _door(facts, pooled)
    yield _signal(facts)


def _door(facts: Mapping[str, Any], pooled: bool) -> Line:
    role = f"open, as {facts['role']}"
    if pooled:
        hint = "name the server itself, or a session pooler: an act through this one is refused"
        return Line(PART, _WHAT, Status.WARNING, "leads through a transaction pooler", hint)
    if facts["is_superuser"]:
        return Line(PART, _WHAT, Status.WARNING, f"{role}, a superuser: more than changes need", _SQL_HINT)
    return Line(PART, _WHAT, Status.OK, role)


def _signal(facts: Mapping[str, Any]) -> Line:
    if facts["can_signal"] or facts["is_superuser"]:
        return Line(PART, _SIGNAL, Status.OK, f"{facts['role']} can cancel statements and end sessions")
    seen = f"{facts['role']} is no member: it can end its own sessions only"
    return Line(PART, _SIGNAL, Status.WARNING, seen, _SQL_HINT)
