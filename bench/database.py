"""Moving a million old rows with an app at work: in batches and killed twice, against the runbook's way."""

from __future__ import annotations

import os
import statistics
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

from bench import attempts, moving
from bench.attempts import Tables
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

SYSTEM = "voiceaitraining"
_WRITERS, _CONNECTIONS = 2, 2
# The runbook's own statements, each by itself, as psql runs them.
_RUNBOOK = (
    "insert into {0}_archive select * from {0} where ended_at < now() - interval '1 year'",
    "delete from {0} where ended_at < now() - interval '1 year'",
)
_FULL = "vacuum full {0}"
Way = Callable[[Databases, "Plan", Tables], AbstractContextManager[Callable[[], "Took"]]]


@dataclass(frozen=True)
class Plan:
    """How much is moved.

    Args:
        rows: old rows in each of the tables; four times as many stay, as where it is done each quarter.
        kills: how often the mover is killed on the way.
        rounds: how often the ways that are compared are gone, in turns.
    """

    rows: int = 1_000_000
    kills: int = 2
    rounds: int = 3


QUICK = Plan(rows=20_000, rounds=1)


@dataclass(frozen=True)
class Took:
    """What one way took.

    Args:
        killed: how often it was.
        started_s: of its time, how long its last process took until it was connected.
    """

    killed: int = 0
    started_s: float = 0.0


@dataclass(frozen=True)
class Moved:
    """What one way came to.

    Args:
        seconds: until all was done.
        longest_s: how long the app's slowest statement took meanwhile.
        writes: how many statements the app got through.
        lost, doubled: rows, by key.
        took: what it said of itself.
    """

    seconds: float
    longest_s: float
    writes: int
    lost: int
    doubled: int
    took: Took


def tables(plan: Plan) -> list[Table]:
    """Measure all ways in one server, in turns, and return a table for each shape of tables."""
    with closing(Databases([SYSTEM], scale=0.02)) as databases:
        return [_table(shape, plan, _rounds(databases, plan, shape)) for shape in attempts.SHAPES]


def _rounds(databases: Databases, plan: Plan, shape: Tables) -> dict[str, list[Moved]]:
    """Go all ways; in each round again those that do the same, so that a slow minute meets them all."""
    undisturbed = replace(plan, kills=0)
    again: list[tuple[str, Plan, Way]] = [
        (f"opslib, in batches, {_CONNECTIONS} at once", undisturbed, _ours),
        ("runbook: insert, delete", plan, _typed(*_RUNBOOK)),
    ]
    if shape.saved:
        again.append(("the same, and what hangs on the rows first", plan, _typed(shape.saved, *_RUNBOOK)))
    once: list[tuple[str, Plan, Way]] = [
        ("runbook: insert, delete, vacuum full", plan, _typed(*_RUNBOOK, _FULL)),
        ("opslib, killed on the way", plan, _ours),
    ]
    found: dict[str, list[Moved]] = {}
    for name, each, way in again * plan.rounds + once:
        found.setdefault(name, []).append(_measured(databases, each, shape, way))
    return found


def _table(shape: Tables, plan: Plan, ways: dict[str, list[Moved]]) -> Table:
    columns = (
        "way", "seconds", "range", "of them, until connected", "longest wait of the app, s", "app's writes",
        "killed", "lost", "doubled",
    )  # fmt: skip
    note = (
        f"{plan.rows:,} rows of {5 * plan.rows:,} are old, as after a quarter where a year stays; {_WRITERS}"
        " writers insert new rows and correct old ones all the time; the plan was made before. Medians of"
        f" {plan.rounds} rounds, all ways in turns, but for the last two, which went once. Rows lost and"
        " doubled are counted key by key, with those that hang on them. The runbook's statements are sent"
        " over a connection that is open; the time of opslib holds the start of its process, the counts and"
        " checksums of both sides before and after, and each new start. The server keeps its files in"
        " memory's reach (fsync off), so the ratio counts."
    )
    cells = tuple(_cells(name, moved) for name, moved in ways.items())
    return Table(f"Old rows into an archive: {shape.name}", columns, cells, note)


def _cells(name: str, moved: list[Moved]) -> tuple[str, ...]:
    seconds = [one.seconds for one in moved]
    started = statistics.median(one.took.started_s for one in moved)
    writes = statistics.median_low(one.writes for one in moved)
    longest, lost = max(one.longest_s for one in moved), max(one.lost for one in moved)
    return (
        name, f"{statistics.median(seconds):.1f}", f"{min(seconds):.1f}-{max(seconds):.1f}", f"{started:.1f}",
        f"{longest:.2f}", f"{writes:,}", str(moved[0].took.killed), f"{lost:,}",
        str(max(one.doubled for one in moved)),
    )  # fmt: skip


def _measured(databases: Databases, plan: Plan, shape: Tables, way: Way) -> Moved:
    with databases.admin(SYSTEM) as admin:
        attempts.fill(admin, shape, plan.rows)
        say(f"{shape.table}: {plan.rows} old rows are there")
        with way(databases, plan, shape) as act, _app(databases, shape, plan.rows) as (waits, stop):
            began = time.perf_counter()
            took = act()
            seconds = time.perf_counter() - began
            stop.set()
        lost, doubled = attempts.lost_and_doubled(admin, shape)
    say(f"{shape.table}: {seconds:.1f} s, the app waited {max(waits):.2f} s at most")
    return Moved(seconds, max(waits), len(waits), lost, doubled, took)


@contextmanager
def _app(databases: Databases, shape: Tables, rows: int) -> Iterator[tuple[list[float], threading.Event]]:
    """Let an app work until it is told to stop; keep how long each of its statements took."""
    waits, stop = [0.0], threading.Event()
    threads = [
        threading.Thread(target=_write, args=(databases, shape, rows, number, waits, stop))
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
    databases: Databases, shape: Tables, rows: int, number: int, waits: list[float], stop: threading.Event
) -> None:
    at = 1_000_000_000 * (number + 1)
    with databases.admin(SYSTEM) as connection:
        connection.execute(b"set lock_timeout = 0")
        while not stop.is_set():
            at += 1
            for statement in (shape.new.format(key=at), shape.old.format(key=at * 7919 % rows)):
                began = time.perf_counter()
                connection.execute(statement.encode())
                waits.append(time.perf_counter() - began)
            stop.wait(0.01)


@contextmanager
def _ours(databases: Databases, plan: Plan, shape: Tables) -> Iterator[Callable[[], Took]]:
    """Plan, and let it be applied by processes of their own."""
    with tempfile.TemporaryDirectory() as folder:
        proposal = _planned(databases, shape)
        Changes(Path(folder)).keep(proposal.document)
        command = [sys.executable, "-m", "bench.moving", folder, proposal.digest]
        known = {**os.environ, moving.ADDRESS: databases.dsn(SYSTEM, "operator"), "OPSLIB_HOME": folder}
        batches = proposal.draft.numbers["batches"]

        def act() -> Took:
            for _ in range(plan.kills):
                fault = f"{faults.STEP}:{max(1, batches // (plan.kills + 2))}"
                killed = subprocess.run(command, env={**known, faults.VARIABLE: fault}, check=False)
                assert killed.returncode < 0, "it was not killed"
            began = time.time()
            said = subprocess.run(command, env=known, check=True, capture_output=True, text=True).stdout
            assert said.startswith("done"), said
            return Took(plan.kills, float(said.split()[1]) - began)

        yield act


def _planned(databases: Databases, shape: Tables) -> Proposal:
    """Look and draft as the notebook does, and return the plan."""
    env = config.load_system(SYSTEM).environment("sandbox")
    door = Door("direct", Secret.literal("bench", databases.dsn(SYSTEM, "monitor")), False)
    now = ids.now()
    along = {shape.child: f"{shape.child}_archive"} if shape.child else {}
    limit = (now - timedelta(days=365)).isoformat()
    rule = Rule(shape.table, "ended_at", limit, 365, f"{shape.table}_archive", along=along)
    began = time.perf_counter()
    with closing(Database([door], application_name="opslib/bench/1")) as database:
        looks = old_rows_look.look(database, [rule])
        draft = archiving.draft(looks, env, connections=_CONNECTIONS)
    assert draft and draft.targets, draft
    say(f"{shape.table}: planned in {time.perf_counter() - began:.1f} s, {draft.numbers['batches']} batches")
    return Proposal(
        "archive-rows", "", {}, SYSTEM, "sandbox", False, draft, ids.stamp(now),
        ids.stamp(now + timedelta(hours=1)), {}, "bench",
    )  # fmt: skip


def _typed(*statements: str) -> Way:
    @contextmanager
    def way(databases: Databases, plan: Plan, shape: Tables) -> Iterator[Callable[[], Took]]:
        with databases.admin(SYSTEM) as admin:

            def act() -> Took:
                for statement in statements:
                    admin.execute(statement.format(shape.table).encode())
                return Took()

            yield act

    return way
