"""What holds vacuum, a build or a drop up, on a real server: nothing is left out, and nobody is blamed who is not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from threading import Thread
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from opslib.changes import upkeep_choice
from opslib.sandbox import control
from tests.answers import administrator, answer, monitor
from tests.waiting import wait

SYSTEM = "kulti"
SLOWLY = "set vacuum_cost_delay = 100; set vacuum_cost_limit = 1"


@contextmanager
def session(database: str = SYSTEM) -> Iterator[psycopg.Connection[Any]]:
    """Open a session of the administrator's, in a transaction from its first statement on."""
    door = make_conninfo(control.status()["databases"][SYSTEM]["admin"], dbname=database)
    with closing(psycopg.connect(door)) as opened:
        yield opened


@pytest.fixture
def table(sandbox: object) -> Iterator[str]:
    """A table of some pages with an index; gone after the test."""
    with administrator(SYSTEM) as admin:
        admin.execute(b"create table held (id int primary key, a int)")
        admin.execute(b"insert into held select n, n from generate_series(1, 20000) n")
        yield "held"
        admin.execute(b"drop table held")


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


def test_a_vacuum_is_no_holder_of_old_rows(table: str) -> None:
    """No other vacuum waits for it, by hand or not, and no build of another table's index."""
    with session() as worker:
        worker.autocommit = True
        worker.execute(SLOWLY)
        pid = worker.info.backend_pid
        running = Thread(target=_until_cancelled, args=(worker, f"vacuum {table}"))
        running.start()
        try:
            with administrator(SYSTEM) as admin:
                wait(lambda: _in_progress(admin, pid))
                found = holders()
                assert _in_progress(admin, pid) and str(pid) not in found
        finally:
            worker.cancel()
            running.join()


def test_nobody_is_told_to_end_a_worker_of_autovacuum() -> None:
    """A build does not wait for its snapshot; that of a person it does wait for."""
    worker = {"holder": "session", "name": "8", "owner": "autovacuum worker", "since": 9000.0}
    person = {"holder": "session", "name": "7", "owner": "psql", "since": 9000.0}
    assert upkeep_choice.waits(answer("xmin_horizon", worker)) == ""
    assert "session 7 (psql), 150 min old" in upkeep_choice.waits(answer("xmin_horizon", worker, person))


def _in_progress(admin: psycopg.Connection[Any], pid: int) -> bool:
    return bool(admin.execute("select from pg_stat_progress_vacuum where pid = %s", [pid]).fetchall())


def _until_cancelled(worker: psycopg.Connection[Any], statement: str) -> None:
    with pytest.raises(psycopg.errors.QueryCanceled):
        worker.execute(statement.encode())
