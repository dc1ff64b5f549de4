"""Moving a million old rows with an app at work: in batches and killed twice, against the runbook's way."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from bench import moving
from bench.measure import say
from bench.report import Table
from opslib import config, ids
from opslib.archive.changes import Changes
from opslib.changes import archiving
from opslib.checks import old_rows_look
from opslib.checks.old_rows import Rule
from opslib.config import Secret
from opslib.config.environment import Door
from opslib.gate import faults
from opslib.gate.plan import Plan as Proposal
from opslib.pg import Database
from opslib.sandbox.databases import Databases

SYSTEM, PAYLOAD = "voiceaitraining", "repeat('word ', 20)"
_WRITERS = 2
# The runbook's own statements, each by itself, as psql runs them.
_RUNBOOK = (
    "insert into {0}_archive select * from {0} where ended_at < now() - interval '1 year'",
    "delete from {0} where ended_at < now() - interval '1 year'",
)
_FULL = "vacuum full {0}"
Way = Callable[[Databases, "Plan", str], AbstractContextManager[Callable[[], int]]]


@dataclass(frozen=True)
class Plan:
    """How much is moved.

    Args:
        rows: old rows in each of the tables; four times as many stay, as where it is done each quarter.
        kills: how often the mover is killed on the way.
    """

    rows: int = 1_000_000
    kills: int = 2


QUICK = Plan(rows=20_000)


@dataclass(frozen=True)
class Moved:
    """What one way came to.

    Args:
        seconds: until all was done.
        longest_s: how long the app's slowest statement took meanwhile.
        writes: how many statements the app got through.
        lost, doubled: rows, by key.
        killed: how often.
    """

    seconds: float
    longest_s: float
    writes: int
    lost: int
    doubled: int
    killed: int = 0


def tables(plan: Plan) -> list[Table]:
    """Measure all ways in one server, one after the other, and return the table."""
    undisturbed = replace(plan, kills=0)
    with closing(Databases([SYSTEM], scale=0.02)) as databases:
        ways = (
            ("opslib, in batches", _measured(databases, undisturbed, "moved_rows", _ours)),
            ("runbook: insert, delete", _measured(databases, plan, "runbook_rows", _typed(*_RUNBOOK))),
            (
                "runbook: insert, delete, vacuum full",
                _measured(databases, plan, "full_rows", _typed(*_RUNBOOK, _FULL)),
            ),
            ("opslib, killed on the way", _measured(databases, plan, "killed_rows", _ours)),
        )
    columns = ("way", "seconds", "longest wait of the app, s", "app's writes", "killed", "lost", "doubled")
    note = (
        f"{plan.rows:,} rows of {5 * plan.rows:,} are old, as after a quarter where a year stays; {_WRITERS}"
        " writers insert new rows and correct old ones all the time; the plan was made before. Rows lost and"
        " doubled are counted key by key. The time of opslib holds the start of its process, the counts and"
        " checksums of both sides before and after, and each new start. The server keeps its files"
        " in memory's reach (fsync off), so the ratio counts."
    )
    cells = tuple(
        (name, f"{way.seconds:.1f}", f"{way.longest_s:.2f}", f"{way.writes:,}", str(way.killed),
         str(way.lost), str(way.doubled))
        for name, way in ways
    )  # fmt: skip
    return [Table("Old rows into an archive table", columns, cells, note)]


def _measured(databases: Databases, plan: Plan, table: str, way: Way) -> Moved:
    with databases.admin(SYSTEM) as admin:
        for statement in _made(table, plan.rows):
            admin.execute(statement.encode())
        say(f"{table}: {plan.rows} old rows are there")
        with way(databases, plan, table) as act, _app(databases, table, plan.rows) as (waits, stop):
            began = time.perf_counter()
            killed = act()
            seconds = time.perf_counter() - began
            stop.set()
        lost = f"""select count(*) from {table}_keys k
            where not exists (select from {table} t where t.id = k.id)
            and not exists (select from {table}_archive a where a.id = k.id)"""
        twice = f"select count(*) from {table} t join {table}_archive a using (id)"
        missing, doubled = (_number(admin, query) for query in (lost, twice))
        admin.execute(f"drop table {table}, {table}_archive, {table}_keys".encode())
    say(f"{table}: {seconds:.1f} s, the app waited {max(waits):.2f} s at most")
    return Moved(seconds, max(waits), len(waits), missing, doubled, killed)


def _made(table: str, rows: int) -> Iterator[str]:
    columns = "id bigint primary key, org uuid not null, score int, transcript text, ended_at timestamptz"
    yield f"create table {table} ({columns}); create table {table}_archive ({columns})"
    yield (
        f"insert into {table} select n, md5((n % 30)::text)::uuid, n % 100, {PAYLOAD},"
        f" now() - interval '366 days' - ({rows} - n) * interval '1 second' from generate_series(1, {rows}) n"
    )
    yield (
        f"insert into {table} select {rows} + n, md5('x')::uuid, 1, {PAYLOAD}, now()"
        f" from generate_series(1, {4 * rows}) n"
    )
    yield f"create index on {table} (ended_at)"
    yield f"create table {table}_keys as select id from {table} where id <= {rows}"
    yield f"alter table {table} owner to app_{SYSTEM}; alter table {table}_archive owner to app_{SYSTEM}"
    yield f"vacuum (analyze) {table}"


@contextmanager
def _app(databases: Databases, table: str, rows: int) -> Iterator[tuple[list[float], threading.Event]]:
    """Let an app work until it is told to stop; keep how long each of its statements took."""
    waits, stop = [0.0], threading.Event()
    threads = [
        threading.Thread(target=_write, args=(databases, table, rows, number, waits, stop))
        for number in range(_WRITERS)
    ]
    for thread in threads:
        thread.start()
    try:
        yield waits, stop
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _write(
    databases: Databases, table: str, rows: int, number: int, waits: list[float], stop: threading.Event
) -> None:
    at = 1_000_000_000 * (number + 1)
    with databases.admin(SYSTEM) as connection:
        connection.execute(b"set lock_timeout = 0")
        while not stop.is_set():
            at += 1
            new = f"insert into {table} values ({at}, md5('w')::uuid, 1, {PAYLOAD}, now())"
            old = f"update {table} set score = score + 1 where id = {at * 7919 % rows}"
            for statement in (new, old):
                began = time.perf_counter()
                connection.execute(statement.encode())
                waits.append(time.perf_counter() - began)
            stop.wait(0.01)


@contextmanager
def _ours(databases: Databases, plan: Plan, table: str) -> Iterator[Callable[[], int]]:
    """Plan, and let it be applied by processes of their own."""
    with tempfile.TemporaryDirectory() as folder:
        proposal = _planned(databases, table)
        Changes(Path(folder)).keep(proposal.document)
        command = [sys.executable, "-m", "bench.moving", folder, proposal.digest]
        known = {**os.environ, moving.ADDRESS: databases.dsn(SYSTEM, "operator"), "OPSLIB_HOME": folder}
        batches = proposal.draft.numbers["batches"]

        def act() -> int:
            for _ in range(plan.kills):
                fault = f"{faults.STEP}:{max(1, batches // (plan.kills + 2))}"
                killed = subprocess.run(command, env={**known, faults.VARIABLE: fault}, check=False)
                assert killed.returncode < 0, "it was not killed"
            said = subprocess.run(command, env=known, check=True, capture_output=True, text=True).stdout
            assert said.startswith("done"), said
            return plan.kills

        yield act


def _planned(databases: Databases, table: str) -> Proposal:
    """Look and draft as the notebook does, and return the plan."""
    env = config.load_system(SYSTEM).environment("sandbox")
    door = Door("direct", Secret.literal("bench", databases.dsn(SYSTEM, "monitor")), False)
    now = ids.now()
    rule = Rule(table, "ended_at", (now - timedelta(days=365)).isoformat(), 365, f"{table}_archive")
    began = time.perf_counter()
    with closing(Database([door], application_name="opslib/bench/1")) as database:
        draft = archiving.draft(old_rows_look.look(database, [rule]), env, connections=2)
    assert draft and draft.targets, draft
    say(f"{table}: planned in {time.perf_counter() - began:.1f} s, {draft.numbers['batches']} batches")
    return Proposal(
        "archive-rows", "", {}, SYSTEM, "sandbox", False, draft, ids.stamp(now),
        ids.stamp(now + timedelta(hours=1)), {}, "bench",
    )  # fmt: skip


def _typed(*statements: str) -> Way:
    @contextmanager
    def way(databases: Databases, plan: Plan, table: str) -> Iterator[Callable[[], int]]:
        with databases.admin(SYSTEM) as admin:

            def act() -> int:
                for statement in statements:
                    admin.execute(statement.format(table).encode())
                return 0

            yield act

    return way


def _number(admin: Any, query: str) -> int:
    return int(admin.execute(query.encode()).fetchone()[0])
