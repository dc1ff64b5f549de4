"""Many runs at once: each for itself, in the order asked, and all of them stopped as one."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import re
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import tracemalloc
from collections import Counter
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from opslib import masking
from opslib.archive import store
from opslib.archive.index import Index
from opslib.errors import ArchiveError, ProcedureError
from opslib.runner import lost, recover, routine, together
from opslib.runner.execute import run, run_many
from opslib.runner.request import Outcome, Request
from opslib.runner.together import DATABASE_RUNS, Together
from opslib.sandbox import control
from tests import shop, small
from tests.conftest import ROOT, Rehearsal
from tests.shop import Project
from tests.waiting import alive, wait

UNTIL_ANOTHER_IS_KEPT = """
import pathlib, time
from opslib.archive.index import Index
while not Index(pathlib.Path({!r})).find(): time.sleep(0.01)
"""
UNTIL_IT_IS_GONE = """
import os, pathlib, time
there = pathlib.Path({!r})
while not there.exists() or not there.read_text(): time.sleep(0.01)
try:
    while True: os.kill(int(there.read_text()), 0); time.sleep(0.01)
except ProcessLookupError: pass
"""
HANG = "import os, pathlib, time\npathlib.Path({!r}).write_text(str(os.getpid()))\ntime.sleep(600)\n"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project of the test's own."""
    monkeypatch.chdir(tmp_path)
    return shop.build(tmp_path, monkeypatch)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place for small notebooks, with a home of its own."""
    monkeypatch.setenv("OPSLIB_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("OPSLIB_PARAMETERS", str(ROOT / "parameters"))
    return tmp_path


def add(project: Project, name: str, first: str = "", **changes: Any) -> None:
    """Write a notebook like too-warm that does something else before it looks."""
    path = project.notebooks / "monitor" / f"{name}.ipynb"
    shop.write_notebook(path, **changes)
    source = json.loads(path.read_text(encoding="utf-8"))
    source["cells"][4]["source"] = first + source["cells"][4]["source"]
    path.write_text(json.dumps(source), encoding="utf-8")


def causes(archive: Path) -> list[str]:
    """Return the causes of all records, sorted."""
    return sorted((found["cause"] or {}).get("id", "") for found in Index(archive).find())


def test_results_come_in_the_order_asked_with_a_table_last_and_the_worst_verdict(project: Project) -> None:
    """The first ends last here, and is printed first all the same."""
    add(project, "patient", UNTIL_ANOTHER_IS_KEPT.format(str(project.archive)))
    add(project, "hasty", "degrees = 45\n")
    done = project.opslib("run", "patient", "hasty", "too-warm", "--system", "shop", "--jobs", "2")
    lines = done.stdout.splitlines()
    assert done.returncode == 2, done.stderr
    assert [line for line in lines if " on shop" in line] == [
        "✔ OK: patient on shop (production)",
        "✖ Critical: hasty on shop (production)",
        "✔ OK: too-warm on shop (production)",
        "✖ Critical: 3 procedures on shop",
    ]
    assert lines[-4].split() == ["PROCEDURE", "VERDICT", "CAUSE", "NEXT", "SECONDS"]
    assert [line.split()[:3] for line in lines[-3:]] == [
        ["patient", "✔", "OK"],
        ["hasty", "✖", "Critical"],
        ["too-warm", "✔", "OK"],
    ]


def test_with_json_the_runs_are_one_object_in_the_order_asked(project: Project) -> None:
    """The worst verdict, and each document as it would be alone; nothing on stderr."""
    done = project.opslib("run", "too-warm", "needs-database", "--system", "shop", "--json")
    answer = json.loads(done.stdout)
    assert (done.returncode, done.stderr) == (3, "")
    assert list(answer) == ["verdict", "runs"] and answer["verdict"] == "unknown"
    assert [(run["procedure"], run["verdict"]) for run in answer["runs"]] == [
        ("too-warm", "ok"),
        ("needs-database", "unknown"),
    ]
    alone = json.loads(project.opslib("run", "too-warm", "--system", "shop", "--json").stdout)
    assert alone.keys() == answer["runs"][0].keys()
    assert all(Path(run["record"], "run.json").is_file() for run in answer["runs"])


def test_a_parameter_goes_to_each_procedure_that_has_it(project: Project) -> None:
    """What one does not know is not forced on it."""
    add(project, "deaf")
    path = project.notebooks / "monitor" / "deaf.ipynb"
    path.write_text(path.read_text(encoding="utf-8").replace("degrees", "grades"), encoding="utf-8")
    done = project.opslib("run", "too-warm", "deaf", "-s", "shop", "-p", "degrees=35", "--json")
    assert [run["verdict"] for run in json.loads(done.stdout)["runs"]] == ["warning", "ok"]


def test_with_several_systems_each_procedure_runs_on_each(project: Project) -> None:
    """At 3 am nobody wants to type the same words for every system; one is named twice by mistake."""
    systems = project.root / "parameters" / "systems"
    shutil.copy(systems / "shop.yml", systems / "barn.yml")
    add(project, "other")
    words = ("run", "too-warm", "other", "-s", "shop", "-s", "barn", "-s", "shop")
    done = project.opslib(*words, "-p", "degrees=35")
    lines = done.stdout.splitlines()
    assert (done.returncode, lines[-7]) == (1, "▲ Warning: 4 runs on 2 systems"), done.stderr
    assert lines[-5].split()[:3] == ["SYSTEM", "PROCEDURE", "VERDICT"]
    pairs = [["shop", "too-warm"], ["shop", "other"], ["barn", "too-warm"], ["barn", "other"]]
    assert [line.split()[:2] for line in lines[-4:]] == pairs
    assert sorted(line.split(" ", 1)[1].split(":")[0] for line in done.stderr.splitlines()) == [
        "other on barn", "other on shop", "too-warm on barn", "too-warm on shop",
    ]  # fmt: skip
    runs = json.loads(project.opslib(*words, "--json").stdout)["runs"]
    assert [[run["system"], run["procedure"]] for run in runs] == pairs


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--system", "shoop"], "there is no system 'shoop'; there is: shop"),
        (["-p", "degree=1"], "none of these procedures has a parameter degree; did you mean degrees?"),
        (["-p", "degrees=abc"], "'abc' is not a whole number"),
        (["-p", "system=x"], "system is not given with -p"),
        (["too-worm"], "there is no procedure too-worm; did you mean too-warm?"),
        (["--jobs", "0"], "--jobs"),
        (["changer", "-p", "dry_run=false"], "several procedures together change nothing"),
    ],
)
def test_wrong_words_for_several_end_before_anything_is_started(
    project: Project, words: list[str], says: str
) -> None:
    """One bad word among ten, and none of the ten has run."""
    add(project, "changer", changes=True)
    path = project.notebooks / "monitor" / "changer.ipynb"
    source = json.loads(path.read_text(encoding="utf-8"))
    source["cells"][1]["source"] += '\ndry_run: bool = True  # look only\napproval: str = ""  # digest'
    path.write_text(json.dumps(source), encoding="utf-8")
    done = project.opslib("run", "too-warm", "too-warm", *words, "--system", "shop")
    assert done.returncode == 64
    assert says in done.stderr and done.stdout == ""
    assert not project.kernels_started


def test_without_a_terminal_each_end_is_a_line_on_stderr_unless_quiet(project: Project) -> None:
    """A log of a service shows how far it is; who wants silence gets it."""
    words = ("run", "too-warm", "too-warm", "--system", "shop", "--jobs", "1")
    told = project.opslib(*words).stderr.splitlines()
    assert [line.rsplit(",", 1)[0] for line in told] == [
        "1/2 too-warm on shop: ok",
        "2/2 too-warm on shop: ok",
    ]
    assert project.opslib(*words, "-q").stderr == ""


def test_a_reader_that_leaves_early_ends_no_run(project: Project) -> None:
    """`opslib run ... | head -1`: the exit code is no verdict, and the records are all there."""
    add(project, "other")
    command = f"{sys.executable} -m opslib run too-warm other -s shop -j 1 | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, cwd=project.root, check=False
    )
    assert done.stdout.strip() == "141" and "Traceback" not in done.stderr
    assert [found["verdict"] for found in Index(project.archive).find()] == ["ok", "ok"]


def test_on_a_terminal_the_picture_goes_and_what_was_printed_stays(project: Project) -> None:
    """The picture wipes out its own lines when it changes, and may wipe out no other."""
    pty = pytest.importorskip("pty")
    words = [sys.executable, "-m", "opslib", "run", "too-warm", "needs-database", "too-warm", "-s", "shop"]
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100", "LINES": "40"}
    running = subprocess.Popen(
        words, cwd=project.root, env=environment, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    written = _read(ours)
    assert running.wait(60) == 3
    assert " of 3 ended" in written and "\x1b[?25h" in written.rpartition("\x1b[?25l")[2]
    screen = _screen(written)
    assert [line for line in screen if "cell " in line or " ended" in line] == []
    assert sum(line.startswith("Took:") for line in screen) == 3
    assert sum(line.startswith("Record: ") for line in screen) == 3
    assert [line.split()[0] for line in screen[-3:]] == ["too-warm", "needs-database", "too-warm"]


def test_on_a_terminal_one_run_tells_the_heading_it_is_at_and_since_when(project: Project) -> None:
    """`cell 5 of 12` for ten minutes tells nobody whether it hangs, and where."""
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    words = [sys.executable, "-m", "opslib", "run", "too-warm", "-s", "shop"]
    running = subprocess.Popen(
        words, cwd=project.root, env=environment, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    written = _read(ours)
    assert running.wait(60) == 0
    assert re.search(r"since \d\d:\d\d:\d\d UTC, too-warm on shop: cell 3 of \d: Too warm\r", written)
    assert [line for line in _screen(written) if "cell " in line] == []


def _read(terminal: int) -> str:
    """Return all that is written to a terminal until its writers are gone."""
    whole = b""
    while True:
        try:
            part = os.read(terminal, 65536)
        except OSError:  # what Linux says at the end
            part = b""
        if not part:
            os.close(terminal)
            return whole.decode()
        whole += part


def _screen(written: str) -> list[str]:
    """Return the lines that a very tall terminal would show in the end."""
    lines, row = [""], 0
    for step in written.replace("\x1b[2K", "\0").replace("\x1b[1A", "\1").replace("\r\n", "\n"):
        if step == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif step == "\1":
            row -= 1
        elif step == "\0":
            lines[row] = ""
        elif step != "\r":
            lines[row] += step
    plain = (line.replace("\x1b[?25h", "").replace("\x1b[?25l", "") for line in lines)
    return [line for line in plain if line.strip()]


def test_one_that_hangs_holds_no_other(folder: Path) -> None:
    """It only goes on when the three others are kept, which go one after the other beside it."""
    hangs = f"{UNTIL_ANOTHER_IS_KEPT.format(str(folder / 'd' / 'archive'))}\n{small.verdict('warning')}"
    hanging = small.request(folder / "a", hangs)
    quick = [small.request(folder / name, small.verdict("ok")) for name in "bcd"]
    told: list[str] = []
    outcomes = run_many([hanging, *quick], jobs=2, on_done=lambda outcome: told.append(outcome.run_id))
    assert told == [*(request.run_id for request in quick), hanging.run_id]
    assert [str(outcome.status) for outcome in outcomes] == ["warning", "ok", "ok", "ok"]
    assert all(outcome.record.is_dir() for outcome in outcomes)


def test_one_whose_record_takes_long_to_keep_holds_no_other(folder: Path) -> None:
    """Its index is locked by somebody else until the other run has come to its end."""
    run(small.request(folder / "a", small.verdict("ok")))
    tell = f"import os, pathlib\npathlib.Path({str(folder / 'pid')!r}).write_text(str(os.getpid()))"
    slow = small.request(folder / "a", tell, small.verdict("ok"))
    other = small.request(folder / "b", UNTIL_IT_IS_GONE.format(str(folder / "pid")), small.verdict("ok"))
    told: list[str] = []
    with closing(sqlite3.connect(folder / "a" / "archive" / "index.sqlite")) as held:
        held.execute("begin exclusive")

        def note(outcome: Outcome) -> None:
            told.append(outcome.run_id)
            held.rollback()

        run_many([slow, other], jobs=2, on_done=note)
    assert told == [other.run_id, slow.run_id]
    assert len(Index(slow.archive).find()) == 2


def test_who_stops_while_a_record_is_being_kept_waits_for_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run had come to its end before."""
    keep = store.publish

    def stopped(*what: Any) -> Path:
        os.kill(os.getpid(), signal.SIGINT)
        return keep(*what)

    monkeypatch.setattr(store, "publish", stopped)
    asked = [small.request(folder / name, small.verdict("warning")) for name in "ab"]
    told: list[Outcome] = []
    with pytest.raises(KeyboardInterrupt):
        run_many(asked, jobs=1, on_done=told.append)
    assert [(outcome.run_id, str(outcome.status)) for outcome in told] == [(asked[0].run_id, "warning")]
    assert [len(Index(request.archive).find()) for request in asked] == [1, 0]
    assert not any((folder / "home" / "spool").iterdir())


def test_one_that_hangs_is_ended_by_its_own_time_out_and_makes_room(folder: Path) -> None:
    """No longer than it was given, also where only one goes at a time."""
    hanging = small.request(folder / "a", HANG.format(str(folder / "hangs")), run_timeout_s=3)
    outcomes = run_many([hanging, small.request(folder / "b", small.verdict("ok"))], jobs=1)
    assert [str(outcome.status) for outcome in outcomes] == ["unknown", "ok"]
    assert outcomes[0].document["cause"]["id"] == "timed-out"


def test_what_breaks_one_run_is_its_own_verdict(folder: Path) -> None:
    """A dead kernel, a notebook that is gone, an archive that is full: the one after them is ok."""
    runs = folder / "full" / "archive" / "runs"
    block = f"import pathlib\nplace = pathlib.Path({str(runs)!r})\nplace.rmdir()\nplace.touch()"
    dead = small.request(folder / "dead", "import os; os._exit(7)")
    gone = small.request(folder / "gone", small.verdict("ok"))
    gone.procedure.path.unlink()
    full = small.request(folder / "full", block, small.verdict("critical", "lock-storm"))
    good = small.request(folder / "good", small.verdict("ok"))
    outcomes = run_many([dead, gone, full, good], jobs=1)
    assert [str(outcome.status) for outcome in outcomes] == ["unknown", "unknown", "unknown", "ok"]
    found = [(outcome.document["cause"] or {}).get("id") for outcome in outcomes]
    assert found == ["kernel-died", "procedure-broke", "not-kept", None]
    assert "what the run found: critical (lock-storm)" in outcomes[2].document["cause"]["text"]
    assert [bool(outcome.document["record"]) for outcome in outcomes] == [True, False, False, True]
    runs.unlink()
    (taken,) = recover.sweep(folder)
    assert (taken.run_id, str(taken.status)) == (full.run_id, "critical")


def test_a_fault_of_our_own_is_unknown_for_that_run_and_its_traceback_is_kept(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Never ok, never silent, and never the end of the nine beside it."""
    monkeypatch.setenv("KLUTR_DATABASE_URL", "postgresql://app:Tr0ub4dor-and-3@db.invalid/klutr")
    bad, good = (small.request(folder / name, small.verdict("ok")) for name in ("bad", "good"))
    bad = replace(bad, parameters={"degrees": _Faulty()})
    outcomes = run_many([bad, good])
    assert [str(outcome.status) for outcome in outcomes] == ["unknown", "ok"]
    text = outcomes[0].document["cause"]["text"]
    assert outcomes[0].document["cause"]["id"] == "not-run" and "opslib itself broke: RuntimeError" in text
    (log,) = (folder / "home" / "log").iterdir()
    assert str(log) in text and "Tr0ub4dor" not in log.read_text() and "Traceback" in log.read_text()


class _Faulty:
    """A value that nobody can write down."""

    def __str__(self) -> str:
        raise RuntimeError("cannot be written: Tr0ub4dor-and-3")

    __repr__ = __str__


def test_what_stands_for_a_run_without_record_holds_no_secret(folder: Path) -> None:
    """It is printed and handed on like any other."""
    masking.register("token", "s3cr3t-t0ken-value")
    found = lost.outcome(small.request(folder), ProcedureError("no answer for s3cr3t-t0ken-value"))
    assert "[redacted:token]" in found.document["cause"]["text"]
    assert "s3cr3t" not in json.dumps(found.document)


def test_an_error_of_who_is_told_is_raised_when_all_runs_have_ended(folder: Path) -> None:
    """A reader that has left, in the middle of a routine."""
    asked = [small.request(folder / name, small.verdict("ok")) for name in "ab"]

    def leave(outcome: Outcome) -> None:
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        run_many(asked, jobs=1, on_done=leave)
    assert [len(Index(request.archive).find()) for request in asked] == [1, 1]


def test_an_archive_that_cannot_be_used_is_said_before_any_run(folder: Path) -> None:
    """Also when it is that of the last one only."""
    good, bad = (small.request(folder / name, small.verdict("ok")) for name in "ab")
    bad.archive.write_text("not a folder")
    with pytest.raises(ArchiveError):
        run_many([good, bad])
    assert not list(folder.rglob("run.*"))


def test_many_runs_cost_no_more_memory_than_a_few(folder: Path) -> None:
    """Half a megabyte of output each, and none of it stays with the outcomes."""
    loud = "from IPython.display import HTML, display\ndisplay(HTML('x' * 500_000))"
    asked = [small.request(folder / str(number), loud, small.verdict("ok")) for number in range(7)]
    run_many(asked[:1])
    tracemalloc.start()
    try:
        outcomes = run_many(asked[1:])
        gc.collect()
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert {str(outcome.status) for outcome in outcomes} == {"ok"}
    assert held < 1_000_000


class Stage:
    """Runs that last until they are let go, and remember who was there with them."""

    def __init__(self) -> None:
        self.there: list[str] = []
        self.most: Counter[str] = Counter()
        self.begun: list[str] = []

    async def run(self, request: Request) -> Outcome:
        """Stay until nobody else can come."""
        self.begun.append(request.run_id)
        self.there.append(request.system)
        for _ in range(5):
            await asyncio.sleep(0)
            for system, count in Counter(self.there).items():
                self.most[system] = max(self.most[system], count)
            self.most["all"] = max(self.most["all"], len(self.there))
        self.there.remove(request.system)
        return Outcome.of({"run_id": request.run_id, "verdict": "ok"}, Path())


def staged(requests: list[Request], jobs: int) -> Stage:
    """Let requests go over the stage."""
    stage = Stage()
    ended = asyncio.run(Together(requests, stage.run, jobs, lambda request, result: None).all())
    assert ended is None and sorted(stage.begun) == sorted(request.run_id for request in requests)
    return stage


def test_no_more_runs_are_begun_than_there_is_room_for(folder: Path) -> None:
    """Two hundred notebooks are not all held at once."""
    one = small.request(folder, small.verdict("ok"))
    stage = staged([replace(one, run_id=str(number)) for number in range(40)], jobs=3)
    assert stage.most["all"] == 3


def test_a_small_database_is_asked_by_two_runs_at_most_and_the_others_go_first(folder: Path) -> None:
    """Its role for us has three connections; who asks nothing of it need not wait."""
    free = small.request(folder / "free", small.verdict("ok"))
    asks = small.request(folder / "asks", "ops.pg.doors()", small.verdict("ok"))
    needs = replace(free.procedure, needs=replace(free.procedure.needs, database=True))
    klutr = [replace(asks, run_id="1"), *(replace(free, procedure=needs, run_id=f"{n}") for n in "234")]
    other = [replace(free, system="kulti", run_id=f"{n}") for n in "56"]
    stage = staged([*klutr, *other], jobs=4)
    assert (stage.most["klutr"], stage.most["all"]) == (DATABASE_RUNS, 4)
    assert stage.begun == ["1", "2", "5", "6", "3", "4"]


def test_the_files_that_may_be_open_bound_the_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """macOS gives a process 256; it is better to be slower than to fail in the middle."""
    monkeypatch.setattr(resource, "getrlimit", lambda what: (256, 4096))
    assert (together.bounded(64), together.bounded(4)) == (9, 4)
    monkeypatch.setattr(resource, "getrlimit", lambda what: (32, 4096))
    assert together.bounded(64) == 1


LIST = """routines:
  daily:
    source: ours
    items:
      - {id: a, title: Slots, procedure: database-connections}
      - {id: b, title: Health, procedure: database-health}
      - {id: c, title: Site, procedure: site-down}
      - {id: d, title: Answers, procedure: health-check}
"""


def test_a_run_has_one_connection_to_its_database(
    sandbox: Rehearsal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted at the server while a routine runs that looks at the same database from three sides."""
    parameters = tmp_path / "parameters"
    shutil.copytree(ROOT / "parameters", parameters)
    file = parameters / "systems" / "kulti.yml"
    file.write_text(file.read_text(encoding="utf-8").partition("routines:")[0] + LIST, encoding="utf-8")
    monkeypatch.setenv("OPSLIB_PARAMETERS", str(parameters))
    monkeypatch.setenv("OPSLIB_NOTEBOOKS", str(ROOT / "notebooks"))
    over = threading.Event()
    most: Counter[str] = Counter()
    watcher = threading.Thread(target=_count, args=[over, most])
    watcher.start()
    try:
        done = routine.run_routine("kulti", "sandbox", "daily", archive=tmp_path / "archive", jobs=4)
    finally:
        over.set()
        watcher.join()
    assert [line.state for line in done.lines] == ["ran"] * 4
    runs = {name.split("/")[1] for name in most if name != "all"}
    assert {"database-connections", "database-health"} <= runs
    assert {name: count for name, count in most.items() if name != "all" and count > 1} == {}
    assert most["all"] <= DATABASE_RUNS + 1  # one that has ended may not be gone yet


def _count(over: threading.Event, most: Counter[str]) -> None:
    """Keep the largest numbers of our connections that the server ever had, by name and together."""
    query = "select application_name from pg_stat_activity where application_name like 'opslib/%'"
    with psycopg.connect(control.status()["databases"]["kulti"]["admin"], autocommit=True) as server:
        while not over.is_set():
            names = Counter(row[0] for row in server.execute(query).fetchall())
            for name, count in (names + Counter(all=names.total())).items():
                most[name] = max(most[name], count)


def test_a_terminal_that_is_lost_ends_with_130_and_keeps_the_records(project: Project) -> None:
    """A connection breaks: what remains is the exit code, and 1 would be the verdict warning."""
    pty = pytest.importorskip("pty")
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        pytest.skip("whoever started the tests ignores a lost terminal")
    marks = [project.root / name for name in ("first", "second")]
    for mark in marks:
        add(project, mark.name, HANG.format(str(mark)))
    pid, terminal = pty.fork()
    if pid == 0:
        words = [sys.executable, "-m", "opslib", "run", "first", "second", "-s", "shop", "-j", "2"]
        os.execve(sys.executable, words, {**os.environ, "TERM": "xterm"})
    while not all(mark.exists() and mark.read_text() for mark in marks):
        assert os.read(terminal, 65536)  # the picture changes all the time
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 130
    assert causes(project.archive) == ["interrupted", "interrupted"]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda how: how.name)
@pytest.mark.parametrize("warmth", ["fork", "plain"])
def test_a_signal_stops_all_kernels_and_keeps_all_records_however_often_it_comes(
    project: Project, how: signal.Signals, warmth: str
) -> None:
    """People press Ctrl-C until the prompt is back."""
    marks = [project.root / name for name in ("first", "second", "third")]
    for mark in marks:
        add(project, mark.name, HANG.format(str(mark)))
    words = [sys.executable, "-m", "opslib", "run", *(mark.name for mark in marks), "-s", "shop", "-j", "2"]
    environment = {**os.environ, **({"OPSLIB_KERNELS": "plain"} if warmth == "plain" else {})}
    running = subprocess.Popen(
        words, cwd=project.root, env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    wait(lambda: all(mark.exists() and mark.read_text() for mark in marks[:2]))
    running.send_signal(how)
    if how == signal.SIGINT:
        wait(lambda: not all(alive(mark) for mark in marks[:2]))
        running.send_signal(how)  # while the records are being kept
    _, err = running.communicate()
    assert running.returncode == 130 and "Traceback" not in err
    assert causes(project.archive) == ["interrupted", "interrupted"]
    assert not any((project.home / "spool").iterdir())
    assert not marks[2].exists()
    wait(lambda: not any(alive(mark) for mark in marks[:2]))
