"""Answers of packaged statements as tests make them up, and logins with few rights on a rehearsed server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pandas as pd
import psycopg

from opslib import config, frames
from opslib.config import Door, Secret
from opslib.pg import Database, frame, sql
from opslib.sandbox import control
from opslib.verdict import Finding, Status

REFUSED = "door direct: refused"


def answer(name: str, *rows: dict[str, Any]) -> pd.DataFrame:
    """Return rows as the server's answer to a packaged statement; columns not given are NULL."""
    statement = sql.load(name)
    columns = [column.name for column in statement.returns]
    return frame.build(statement, columns, [[row.get(column) for column in columns] for row in rows])


def unanswered(name: str) -> pd.DataFrame:
    """Return the frame of a statement that could not be asked."""
    return frames.unavailable([column.name for column in sql.load(name).returns], REFUSED)


def statuses(found: list[Finding]) -> set[Status]:
    """Return the distinct statuses."""
    return {finding.status for finding in found}


def causes(found: list[Finding]) -> set[str]:
    """Return the ids of the causes behind findings."""
    return {finding.cause.id for finding in found if finding.cause}


@contextmanager
def administrator(system: str) -> Iterator[psycopg.Connection]:
    """Open a session that may do anything on a rehearsed server."""
    with closing(psycopg.connect(control.status()["databases"][system]["admin"], autocommit=True)) as admin:
        yield admin


@contextmanager
def monitor(system: str) -> Iterator[Database]:
    """Open a rehearsed system's database, as the monitor meets it."""
    doors = config.load_system(system).environment("sandbox").doors
    with closing(Database(doors, application_name="opslib/tests")) as opened:
        yield opened


@contextmanager
def stranger(system: str, *memberships: str) -> Iterator[Database]:
    """Open the database as a login that has these memberships alone; it is gone afterwards."""
    with administrator(system) as admin:
        admin.execute("create role stranger login password 'let-me-in-please'")
        try:
            for membership in memberships:
                admin.execute(f"grant {membership} to stranger".encode())
            address = psycopg.conninfo.make_conninfo(
                control.status()["databases"][system]["admin"], user="stranger", password="let-me-in-please"
            )
            door = Door("direct", Secret.literal("stranger", address), pooled=False)
            with closing(Database([door], application_name="opslib/tests")) as opened:
                yield opened
        finally:
            admin.execute("drop role stranger")
