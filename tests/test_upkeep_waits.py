"""What holds vacuum, a build or a drop up, on a real server: all of it, and nobody else is blamed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from threading import Thread
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from opslib import config
from opslib.acts import Opening, Statement
from opslib.changes import upkeep_choice, upkeep_waits
from opslib.checks import locks as checks
from opslib.config import Door, Secret
from opslib.errors import SourceError
from opslib.pg import Database
from opslib.pg import settings as pg_settings
from opslib.sandbox import control
from opslib.verdict import Status
from tests.answers import administrator, answer, monitor, unanswered
from tests.waiting import wait

SYSTEM = "kulti"
COPIED = "create table copied (id int primary key)"
SLOWLY = "set vacuum_cost_delay = 100; set vacuum_cost_limit = 1"


@contextmanager
def session(database: str = SYSTEM) -> Iterator[psycopg.Connection[Any]]:
    """Open a session of the administrator's, in a transaction from its first statement on."""
    door = make_conninfo(control.status()["databases"][SYSTEM]["admin"], dbname=database)
    with closing(psycopg.connect(door)) as opened:
        yield opened


@pytest.fixture
def table(sandbox: object) -> Iterator[str]:
    """A table of the app, of some pages, with an index; gone after the test."""
    door = control.status()["databases"][SYSTEM]["app"]
    with closing(psycopg.connect(door, autocommit=True)) as app:
        app.execute("create table held (id int primary key, a int)")
        app.execute("insert into held select n, n from generate_series(1, 20000) n")
        app.execute("create index held_a_idx on held (a)")
        yield "held"
        app.execute("drop table held")


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
    assert upkeep_waits.waits(answer("xmin_horizon", worker)) == ""
    assert "session 7 (psql), 150 min old" in upkeep_waits.waits(answer("xmin_horizon", worker, person))


def test_whoever_has_only_read_a_table_holds_a_rebuild_and_a_drop_up(table: str) -> None:
    """It has neither snapshot nor id while it does nothing; the plan leaves that table's indexes alone."""
    with session() as reader, monitor(SYSTEM) as asked:
        reader.execute(f"select count(*) from {table}".encode())
        look = upkeep_choice.seen(asked.table)
        locks, pid = look.table_locks, str(reader.info.backend_pid)
        mine = locks[locks["name"].eq(pid)]
        assert pid not in set(look.xmin_horizon["name"]) and set(mine["table_name"]) == {table}
    late = mine.assign(since=mine["since"] + 3600)
    names = [["public", "held_a_idx"], ["public", "recordings_session_id_idx"]]
    draft = upkeep_choice.rebuild(replace(look, table_locks=late), names=names)
    assert draft is not None
    assert [target.name for target in draft.targets] == ["rebuild public.recordings_session_id_idx"]
    assert f"it would wait for session {pid}" in draft.left_out["rebuild public.held_a_idx"]
    found = [*checks.held(mine), *checks.held(late)]
    assert [(one.subject, one.status) for one in found] == [("", Status.OK), ("public.held", Status.WARNING)]
    assert [f.status for f in checks.held(unanswered("table_locks"))] == [Status.UNKNOWN]
    assert "could not be seen" in upkeep_waits.held(unanswered("table_locks"), {})


def test_only_what_leaves_half_an_index_behind_is_never_cut_off(
    table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server ends a vacuum that takes too long; a build, a rebuild and a drop it does not."""
    monkeypatch.setitem(pg_settings.FOR_COMMAND, "statement_timeout", "1ms")
    relation, name = ["public", table], ["public", "held_new_idx"]
    built = {"index": "held_new_idx", "table": relation, "method": "btree", "columns": ["a", "id"]}
    door = config.load_system(SYSTEM).environment("sandbox").operator
    assert door is not None
    with closing(Database((door,), application_name="opslib/test/1")) as database:
        for statement, given in (
            ("create_index", built), ("reindex_index", {"index": name}), ("drop_index", {"index": name}),
        ):  # fmt: skip
            database.act(Opening(Statement(statement, given), "key"))
        with pytest.raises(SourceError, match="timeout"):
            database.act(Opening(Statement("vacuum_table", {"table": relation}), "key"))


def test_a_lock_in_a_copy_of_the_database_locks_nothing_here(sandbox: object) -> None:
    """In a copy every table has the same number."""
    door = control.status()["databases"][SYSTEM]["admin"]
    with administrator(SYSTEM) as admin:
        try:
            admin.execute(b"create database first_one")
            with psycopg.connect(make_conninfo(door, dbname="first_one")) as first:
                first.execute(COPIED)
            admin.execute(b"create database second_one template first_one")
            with session("first_one") as holder:
                holder.execute("lock table copied in access exclusive mode")
                assert _locked(door, "first_one") == [True, True] and _locked(door, "second_one") == [
                    False,
                    False,
                ]
        finally:
            admin.execute(b"drop database if exists second_one")
            admin.execute(b"drop database if exists first_one")


def _locked(door: str, database: str) -> list[bool]:
    address = Secret.literal("copy", make_conninfo(door, dbname=database))
    with closing(Database((Door("direct", address, False),), application_name="opslib/test/1")) as asked:
        rows = asked.table("indexes", schema="", name=""), asked.table("tended_tables", schema="", name="")
        return [bool(frame["locked"].iloc[0]) for frame in rows]


def _in_progress(admin: psycopg.Connection[Any], pid: int) -> bool:
    return bool(admin.execute("select from pg_stat_progress_vacuum where pid = %s", [pid]).fetchall())


def _until_cancelled(worker: psycopg.Connection[Any], statement: str) -> None:
    with pytest.raises(psycopg.errors.QueryCanceled):
        worker.execute(statement.encode())
