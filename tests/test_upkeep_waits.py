"""What holds vacuum, a build or a drop up, on a real server: nothing is left out, and nobody is blamed who is not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo

from opslib.sandbox import control
from tests.answers import monitor

SYSTEM = "kulti"


@contextmanager
def session(database: str = SYSTEM) -> Iterator[psycopg.Connection[Any]]:
    """Open a session of the administrator's, in a transaction from its first statement on."""
    door = make_conninfo(control.status()["databases"][SYSTEM]["admin"], dbname=database)
    with closing(psycopg.connect(door)) as opened:
        yield opened


def holders() -> set[str]:
    """Return the processes that keep dead rows, as the monitor sees them."""
    with monitor(SYSTEM) as asked:
        return set(asked.table("xmin_horizon")["name"])


def test_only_snapshots_of_this_database_hold_its_vacuum_up(sandbox: object) -> None:
    """Vacuum and builds pass over those of another database on the same server."""
    with session() as here, session("postgres") as elsewhere:
        for one in (here, elsewhere):
            one.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            one.execute("select 1")
        found = holders()
        assert str(here.info.backend_pid) in found
        assert str(elsewhere.info.backend_pid) not in found
