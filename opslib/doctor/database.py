"""The ways into a database, and what the role behind them may see."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from opslib.doctor import operator
from opslib.doctor.report import Line
from opslib.errors import SourceError
from opslib.verdict import Status

if TYPE_CHECKING:
    from opslib.config import Door, Environment
    from opslib.pg.database import Database

PART = "database"
_SQL_HINT = "opslib doctor --sql prints the statements"


def lines(environment: Environment) -> list[Line]:
    """Try every door, and ask what the role behind it may see or do."""
    if not environment.doors:
        hint = f"add a database to parameters/systems/{environment.system.name}.yml"
        return [Line(PART, "database", Status.SKIPPED, "none is named", hint)]
    return [*_looking(environment), *operator.lines(environment)]


def _looking(environment: Environment) -> list[Line]:
    absent = [_absent(door) for door in environment.doors if not door.dsn.available()]
    there = [door for door in environment.doors if door.dsn.available()]
    return _softened([*absent, *(_asked(there) if there else [])])


def _absent(door: Door) -> Line:
    hint = f"set {door.dsn.reference}"
    return Line(PART, f"door {door.name}", Status.UNKNOWN, f"{door.dsn.reference} is not there", hint)


def _softened(found: list[Line]) -> list[Line]:
    """One open door is enough to look: then a closed one is only a warning."""
    if not any(line.status is Status.OK and line.what.startswith("door ") for line in found):
        return found
    return [
        Line(line.part, line.what, Status.WARNING, line.seen, line.hint)
        if line.what.startswith("door ") and line.status is Status.UNKNOWN
        else line
        for line in found
    ]


def _asked(doors: list[Door]) -> list[Line]:
    from opslib.pg.database import Database

    database = Database(doors, application_name="opslib/doctor")
    try:
        tried = [_door(row) for row in database.doors().to_dict("records")]
        reached = any(line.status is Status.OK for line in tried)
        return [*tried, *(_role(database) if reached else [])]
    finally:
        database.close()


def _door(row: Mapping[Any, Any]) -> Line:
    if row["reachable"]:
        return Line(PART, f"door {row['door']}", Status.OK, f"open in {row['ms']:.0f} ms")
    hint = (
        "check the role and its password"
        if row["kind"] == "authentication"
        else "check host, port and network"
    )
    return Line(PART, f"door {row['door']}", Status.UNKNOWN, str(row["error"]), hint)


def _role(database: Database) -> Iterator[Line]:
    try:
        facts = database.facts
        extensions = list(database.table("extensions")["name"])
    except SourceError as error:
        yield Line(PART, "role", Status.UNKNOWN, error.message, error.hint)
        return
    where = f"{facts['database']}{', a replica' if facts['is_replica'] else ''}"
    yield Line(PART, "server", Status.OK, f"PostgreSQL {facts['version_text']}, database {where}")
    yield _own_role(facts)
    yield _monitor(facts)
    if facts["version"] >= 16:
        yield _reserved(facts)
    yield _statements(extensions)


def _own_role(facts: Mapping[str, Any]) -> Line:
    if facts["is_superuser"]:
        seen = f"{facts['role']} is a superuser: more than looking needs"
        return Line(PART, "role", Status.WARNING, seen, f"use opslib_monitor; {_SQL_HINT}")
    return Line(PART, "role", Status.OK, str(facts["role"]))


def _monitor(facts: Mapping[str, Any]) -> Line:
    if facts["can_monitor"] or facts["is_superuser"]:
        return Line(PART, "pg_monitor", Status.OK, "sees all sessions and statistics")
    seen = f"{facts['role']} is no member: it sees its own sessions only"
    return Line(PART, "pg_monitor", Status.WARNING, seen, _SQL_HINT)


def _reserved(facts: Mapping[str, Any]) -> Line:
    """From version 16 on some slots can be kept free for the role that looks."""
    what = "reserved slots"
    if facts["is_superuser"] or (facts["can_use_reserved"] and facts["reserved"]):
        return Line(PART, what, Status.OK, "can look when applications have taken all slots")
    why = "reserved_connections is 0" if facts["can_use_reserved"] else "not in pg_use_reserved_connections"
    return Line(PART, what, Status.SKIPPED, why, "when all slots are taken, only another door could look")


def _statements(extensions: list[Any]) -> Line:
    if "pg_stat_statements" in extensions:
        return Line(PART, "pg_stat_statements", Status.OK, "installed")
    hint = "create extension pg_stat_statements (it must be in shared_preload_libraries)"
    return Line(PART, "pg_stat_statements", Status.WARNING, "not installed: no history of queries", hint)
