"""A backup that is checked to its last byte, against `pg_dump | gzip` of the same database."""

from __future__ import annotations

import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.measure import say
from bench.report import Table
from opslib.backup import taking, tools
from opslib.backup.store import Folder
from opslib.sandbox import nightly
from opslib.sandbox.databases import Databases

SYSTEM, JOBS = "kulti", 2
MORE = "OPSLIB_PG_MAJORS"  # folders of further servers with their clients, as for the tests
_MB = 1e6
_TABLES = 6
_ROW = """n, md5((n % 50)::text)::uuid, n % 100,
    md5(n::text) || ' seen by visitor ' || n || ' ' || repeat('who went on reading ', n % 7),
    jsonb_build_object('source', 'web', 'n', n, 'ok', n % 3 = 0), now() - n * interval '1 second'"""


@dataclass(frozen=True)
class Plan:
    """How much is backed up.

    Args:
        rows: in each of the tables.
        rounds: how often each way, in turns.
    """

    rows: int = 200_000
    rounds: int = 3


QUICK = Plan(rows=5_000, rounds=1)


@dataclass
class Way:
    """What one way came to.

    Args:
        name: for a person.
        seconds: of each round.
        size: bytes.
        steps: how long each step of each round took.
    """

    name: str
    seconds: list[float] = field(default_factory=list)
    size: int = 0
    steps: dict[str, list[float]] = field(default_factory=dict)


def tables(plan: Plan) -> list[Table]:
    """Measure both ways on the packaged server, and on one whose client has zstd where there is one."""
    return [table for folder in ("", *_with_zstd()) for table in _compared(folder, plan)]


def _compared(folder: str, plan: Plan) -> Iterator[Table]:
    with _programs(folder), closing(Databases([SYSTEM], scale=0.02)) as databases:
        size, major = _filled(databases, plan)
        used = tools.find(major, remote=False)
        theirs, ours = Way("pg_dump into gzip"), Way(f"opslib, {tools.compression(used)}, {JOBS} jobs")
        source = nightly.source(databases, SYSTEM)
        with tempfile.TemporaryDirectory() as place:
            for _ in range(plan.rounds):
                _piped(theirs, used, source, Path(place) / "dump.gz")
                _taken(ours, source, Folder(Path(place), SYSTEM))
    name = f"PostgreSQL {used.version}, {size / _MB:.0f} MB in {_TABLES} tables"
    yield _table(f"A backup of {name}", theirs, ours)
    yield _steps("Where the time of that backup goes", ours)


def _filled(databases: Databases, plan: Plan) -> tuple[int, int]:
    """Fill some tables; return the size of the database and the server's major version."""
    columns = "id bigint primary key, org uuid, score int, body text, about jsonb, at timestamptz"
    with databases.admin(SYSTEM) as admin:
        for number in range(_TABLES):
            admin.execute(f"create table visits{number} ({columns})".encode())
            rows = f"select {_ROW} from generate_series(1, {plan.rows}) n"
            admin.execute(f"insert into visits{number} {rows}".encode())
        admin.execute(b"vacuum (analyze)")
        row = admin.execute(b"select pg_database_size(current_database())").fetchone()
        assert row
        return int(row[0]), admin.info.server_version // 10000


def _piped(way: Way, used: tools.Tools, source: taking.Source, place: Path) -> None:
    began = time.perf_counter()
    with tools.reaching(source.door, "opslib/bench") as environment, place.open("wb") as out:
        dump = subprocess.Popen(
            [used.folder / "pg_dump", "--no-password"], stdout=subprocess.PIPE, env=environment
        )
        subprocess.run(["gzip"], stdin=dump.stdout, stdout=out, check=True)
        assert dump.wait() == 0, "pg_dump failed"
    way.seconds.append(time.perf_counter() - began)
    way.size = place.stat().st_size
    say(f"{way.name}: {way.seconds[-1]:.1f} s")


def _taken(way: Way, source: taking.Source, store: Folder) -> None:
    marks: list[tuple[str, float]] = []

    def tell(text: str) -> None:
        if "written" not in text:
            marks.append((text, time.perf_counter()))

    began = time.perf_counter()
    made = taking.take(source, store, jobs=JOBS, say=tell)
    ended = time.perf_counter()
    way.seconds.append(ended - began)
    way.size = made.bytes
    for (name, at), (_, until) in zip(marks, [*marks[1:], ("", ended)], strict=True):
        way.steps.setdefault(name, []).append(until - at)
    store.remove(made.id)
    say(f"{way.name}: {way.seconds[-1]:.1f} s")


def _table(title: str, theirs: Way, ours: Way) -> Table:
    base = statistics.median(theirs.seconds)
    rows = tuple(
        (way.name, f"{statistics.median(way.seconds):.1f}", f"{min(way.seconds):.1f}-{max(way.seconds):.1f}",
         f"{way.size / _MB:.0f}", f"{base / statistics.median(way.seconds):.1f}")
        for way in (theirs, ours)
    )  # fmt: skip
    note = (
        "Medians, both ways in turns. opslib's time holds more: every row counted and summed up in the view"
        " that is dumped, every file hashed, and all of it read back."
    )
    return Table(title, ("way", "seconds", "range", "MB", "times as quick"), rows, note)


def _steps(title: str, way: Way) -> Table:
    rows = tuple((name, f"{statistics.median(seconds):.1f}") for name, seconds in way.steps.items())
    return Table(title, ("step", "seconds"), rows, "The rows are dumped while they are counted.")


def _with_zstd() -> tuple[str, ...]:
    """Return the folder of a further server whose client packs with zstd; the packaged one may not."""
    given = (Path(text) for text in os.environ.get(MORE, "").split(os.pathsep) if text)
    for folder in sorted((*given, *Path("/usr/lib/postgresql").glob("*/bin")), reverse=True):
        known = tools.known(folder, MORE)
        if known and (folder / "postgres").exists() and tools.compression(known).startswith("zstd"):
            return (str(folder),)
    return ()


@contextmanager
def _programs(folder: str) -> Iterator[None]:
    """Have server and clients taken from a folder; from where they are found otherwise when none is named."""
    names = ("OPSLIB_PG_BIN", tools.GIVEN) if folder else ()
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, folder))
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            os.environ.update({name: value} if value is not None else {})
