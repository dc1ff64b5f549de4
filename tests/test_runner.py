"""The runner: a verdict, a record, and nothing left behind, whatever the notebook does."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from opslib.archive import record
from opslib.archive.index import Index
from opslib.errors import ArchiveError, DiskFull
from opslib.runner import recover
from opslib.runner.execute import run, run_many
from tests import small

SECRET = "Tr0ub4dor-and-3-horses"
ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own for every test, and a secret that klutr's production uses."""
    home = tmp_path / "home"
    monkeypatch.setenv("OPSLIB_HOME", str(home))
    monkeypatch.setenv("OPSLIB_PARAMETERS", str(ROOT / "parameters"))
    monkeypatch.setenv("KLUTR_DATABASE_URL", f"postgresql://app:{SECRET}@db.invalid/klutr")
    return home


def notebook(record: Path) -> dict[str, Any]:
    """Return the executed notebook of a record."""
    return dict(json.loads((record / "run.ipynb").read_text(encoding="utf-8")))


def written(*folders: Path) -> str:
    """Return everything that was written below folders, as one text."""
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    return "\n".join(path.read_bytes().decode("utf-8", "replace") for path in files)


@pytest.mark.parametrize("status, code", [("ok", 0), ("warning", 1), ("critical", 2), ("unknown", 3)])
def test_the_typed_result_of_the_notebook_is_the_verdict(tmp_path: Path, status: str, code: int) -> None:
    """Never text that was scraped: the result has a type of its own."""
    outcome = run(small.request(tmp_path, small.verdict(status, "lock-storm")))
    assert (str(outcome.status), outcome.status.exit_code) == (status, code)
    assert outcome.document["cause"]["id"] == "lock-storm"


def test_a_record_has_the_notebook_the_page_and_the_statement_that_names_them(tmp_path: Path) -> None:
    """Three files, found by date, and found again through the index."""
    outcome = run(small.request(tmp_path, small.verdict("ok")))
    assert sorted(path.name for path in outcome.record.iterdir()) == ["run.html", "run.ipynb", "run.json"]
    statement = json.loads((outcome.record / "run.json").read_text())
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    for subject in statement["subject"]:
        content = (outcome.record / subject["name"]).read_bytes()
        assert subject["digest"]["sha256"] == record.sha256(content)
    found = Index(tmp_path / "archive").get(outcome.run_id[:20])
    assert found["verdict"] == "ok" and found["record"] == str(outcome.record)


def test_parameters_arrive_typed_in_a_cell_of_their_own(tmp_path: Path) -> None:
    """papermill's format, so that every tool that reads it reads ours."""
    asked = small.request(tmp_path, "print(system, environment)", small.verdict("ok"))
    cells = notebook(run(asked).record)["cells"]
    injected = next(cell for cell in cells if "injected-parameters" in cell["metadata"].get("tags", []))
    assert 'system = "klutr"' in "".join(injected["source"])
    printed = [output["text"] for cell in cells for output in cell.get("outputs", []) if "text" in output]
    assert "".join(printed[0]) == "klutr production\n"
    assert all("papermill" in cell["metadata"] for cell in cells)


BROKEN = {
    "an exception": ("1 / 0", "procedure-broke", "ZeroDivisionError"),
    "a dead kernel": ("import os; os._exit(7)", "kernel-died", ""),
    "an endless loop": ("while True: pass", "timed-out", ""),
    "no result": ("1 + 1", "procedure-broke", "without reaching its verdict"),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_procedure_that_breaks_is_unknown_and_its_record_says_how(tmp_path: Path, how: str) -> None:
    """Neither ok nor critical: nobody knows, and that is what is kept."""
    cell, cause, words = BROKEN[how]
    outcome = run(small.request(tmp_path, "print('before')", cell, cell_timeout_s=2))
    assert outcome.document["verdict"] == "unknown"
    assert outcome.document["cause"]["id"] == cause
    assert words in outcome.document["cause"]["text"]
    assert "before" in written(outcome.record)


def test_a_result_followed_by_an_exception_is_unknown(tmp_path: Path) -> None:
    """A verdict only counts when the notebook got to its end."""
    outcome = run(small.request(tmp_path, small.verdict("ok"), "1 / 0"))
    assert outcome.document["verdict"] == "unknown"


def test_a_run_that_takes_too_long_as_a_whole_is_stopped(tmp_path: Path) -> None:
    """Many short cells can hang a night as well as one long one."""
    asked = small.request(tmp_path, "import time", *["time.sleep(0.4)"] * 9, run_timeout_s=2.5)
    assert run(asked).document["cause"]["id"] == "timed-out"


LEAKS = {
    "printed": f"print({SECRET!r})",
    "in pieces": f"for piece in {SECRET!r}: print(piece, end='', flush=True)",
    "in an exception": f"raise RuntimeError('cannot log in with ' + {SECRET!r})",
    "in HTML": f"from IPython.display import HTML, display\ndisplay(HTML('<b>' + {SECRET!r} + '</b>'))",
    "in SVG": f"from IPython.display import SVG, display\n"
    f"display(SVG('<svg xmlns=\"http://www.w3.org/2000/svg\"><text>' + {SECRET!r} + '</text></svg>'))",
    "by a child process": f"import subprocess, sys\n"
    f"subprocess.run([sys.executable, '-c', 'import sys; sys.stderr.write({SECRET!r})'])",
    "as base64": f"import base64\nprint(base64.b64encode(b'user:' + {SECRET!r}.encode()).decode())",
    "as an update": f"from IPython.display import display\n"
    f"handle = display('x', display_id=True)\nhandle.update({SECRET!r})",
}


@pytest.mark.parametrize("how", LEAKS)
def test_a_secret_is_masked_in_whatever_is_written(
    tmp_path: Path, how: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Record, index, spool and our own output: the value is in none of them."""
    source = LEAKS[how].replace(repr(SECRET), "SECRET")
    opening = "import os\nSECRET = os.environ['KLUTR_DATABASE_URL'].split(':')[2].split('@')[0]"
    if how == "by a child process":
        source = source.replace("SECRET", "' + repr(SECRET) + '")
    outcome = run(small.request(tmp_path, opening, source, small.verdict("ok")))
    said = capfd.readouterr()
    everything = written(tmp_path / "archive", tmp_path / "home") + said.out + said.err
    assert SECRET not in everything
    assert SECRET not in json.dumps(outcome.document)
    if how != "by a child process":
        assert "[redacted:" in written(outcome.record)


def test_the_statement_counts_what_was_masked_once(tmp_path: Path) -> None:
    """An auditor reads how often, and a notebook is saved many times."""
    show = "import os\nprint(os.environ['KLUTR_DATABASE_URL'].split(':')[2].split('@')[0])"
    outcome = run(small.request(tmp_path, show, "1", "2", small.verdict("ok")))
    stated = json.loads((outcome.record / "run.json").read_text())["predicate"]["redaction"]["masked"]
    assert sum(stated.values()) == 1, stated


def test_a_flood_of_output_is_cut_and_the_record_says_how_much(tmp_path: Path) -> None:
    """A record of thirty megabytes is read by nobody."""
    flood = "for _ in range(40): print('x' * 100_000)"
    outcome = run(small.request(tmp_path, flood, small.verdict("ok")))
    assert outcome.document["verdict"] == "ok"
    assert (outcome.record / "run.ipynb").stat().st_size < 2_000_000
    assert "output cut: 3,5" in written(outcome.record)


def test_runs_go_side_by_side_and_come_back_in_the_order_of_asking(tmp_path: Path) -> None:
    """Two that wait for each other can only end if they run at the same time."""
    meet = (
        "import pathlib, time\nmine, other = pathlib.Path({0!r}), pathlib.Path({1!r})\nmine.touch()\n"
        "end = time.monotonic() + 30\n"
        "while not other.exists() and time.monotonic() < end: time.sleep(0.01)\nassert other.exists()"
    )
    one, two = str(tmp_path / "one"), str(tmp_path / "two")
    first = small.request(tmp_path / "a", meet.format(one, two), small.verdict("warning"))
    second = small.request(tmp_path / "b", meet.format(two, one), small.verdict("ok"))
    outcomes = run_many([first, second], jobs=2)
    assert [str(outcome.status) for outcome in outcomes] == ["warning", "ok"]


def test_runs_do_not_see_each_other(tmp_path: Path) -> None:
    """A kernel of its own for each, so a variable of one is not in the other."""
    look = "assert 'mark' not in globals()\nmark = 1"
    asked = [small.request(tmp_path / name, look, small.verdict("ok")) for name in "ab"]
    assert [str(outcome.status) for outcome in run_many(asked)] == ["ok", "ok"]


def alive(mark: Path) -> bool:
    """Say whether the kernel that left its process id in a file still runs."""
    try:
        os.kill(int(mark.read_text()), 0)
    except ProcessLookupError:
        return False
    return True


HANG = """
import os, sys, pathlib
from opslib.runner.execute import run
from tests import small
folder = pathlib.Path(sys.argv[1])
cell = "import os, pathlib, time; pathlib.Path({!r}).write_text(str(os.getpid())); time.sleep(600)"
run(small.request(folder, "print('first')", cell.format(str(folder / "hangs"))))
"""
SWEEP = """
import sys, pathlib
from opslib.runner import recover
print(len(recover.sweep(pathlib.Path(sys.argv[1]))))
"""
PUBLISH_WITHOUT_ROOM = """
import datetime, pathlib, resource, signal, sys
from opslib.archive import store
from opslib.errors import OpsError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    store.publish(pathlib.Path(sys.argv[1]), "x", datetime.datetime.now(), {"run.ipynb": b"x" * 9999})
except OpsError as error:
    print(type(error).__name__)
    sys.exit(error.exit_code)
"""
HEAVY = """
import sys
from opslib.runner import client, execute, notebooks, seal
heavy = ("jupyter_server", "jupyterlab", "rfc3987_syntax", "pandas")
print([name for name in heavy if sys.modules.get(name)])
"""


def start(tmp_path: Path) -> subprocess.Popen[str]:
    """Start a runner in a process of its own and wait until its second cell hangs."""
    mark = tmp_path / "hangs"
    words = [sys.executable, "-c", HANG, str(tmp_path)]
    runner = subprocess.Popen(words, cwd=ROOT, text=True, stderr=subprocess.PIPE)
    wait(lambda: mark.exists() and mark.read_text())
    return runner


def wait(true: Any, seconds: float = 30) -> None:
    """Wait until something is true."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.02)


def test_a_killed_runner_leaves_a_record_and_no_kernel(tmp_path: Path) -> None:
    """kill -9 in the middle: the next command keeps what was done, with verdict unknown."""
    runner = start(tmp_path)
    runner.send_signal(signal.SIGKILL)
    runner.wait()
    (outcome,) = recover.sweep(tmp_path / "archive")
    assert outcome.document["verdict"] == "unknown"
    assert outcome.document["cause"]["id"] == "interrupted"
    assert "first" in written(outcome.record)
    assert recover.sweep(tmp_path / "archive") == []
    wait(lambda: not alive(tmp_path / "hangs"))


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_stops_its_kernel_and_keeps_its_record(
    tmp_path: Path, how: signal.Signals
) -> None:
    """Ctrl-C at night is an answer too."""
    runner = start(tmp_path)
    runner.send_signal(how)
    runner.wait(30)
    assert runner.returncode != 0
    (found,) = Index(tmp_path / "archive").find()
    assert (found["verdict"], found["cause"]["id"]) == ("unknown", "interrupted")
    assert not alive(tmp_path / "hangs")


def test_a_run_that_still_goes_on_is_left_alone_by_the_sweep(tmp_path: Path) -> None:
    """Another terminal's run is not a dead one."""
    runner = start(tmp_path)
    try:
        assert recover.sweep(tmp_path / "archive") == []
    finally:
        runner.send_signal(signal.SIGINT)
        runner.wait(30)


def test_two_sweeps_at_once_keep_one_record(tmp_path: Path) -> None:
    """Two commands may start at the same moment after a crash."""
    runner = start(tmp_path)
    runner.send_signal(signal.SIGKILL)
    runner.wait()
    words = [sys.executable, "-c", SWEEP, str(tmp_path / "archive")]
    sweeps = [subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=ROOT) for _ in range(2)]
    counts = sorted(int(sweep.communicate()[0]) for sweep in sweeps)
    assert counts == [0, 1]
    assert len(Index(tmp_path / "archive").find()) == 1


def test_an_archive_that_is_a_file_is_said_before_anything_is_run(tmp_path: Path) -> None:
    """Wrong usage ends with code 64 and no kernel."""
    asked = small.request(tmp_path, "1 / 0")
    asked.archive.write_text("not a folder")
    with pytest.raises(ArchiveError) as raised:
        run(asked)
    assert raised.value.exit_code == 64 and str(asked.archive) in raised.value.message
    assert not list((tmp_path / "home").rglob("*.ipynb"))


def test_a_full_disk_is_said_in_a_sentence_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    """No traceback, no half record: code 3, and the next step."""
    words = [sys.executable, "-c", PUBLISH_WITHOUT_ROOM, str(tmp_path / "archive")]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (DiskFull.exit_code, "DiskFull"), done.stderr
    assert not [path for path in (tmp_path / "archive").rglob("*") if path.is_file()]


def test_papermill_with_our_engine_masks_too(tmp_path: Path) -> None:
    """`papermill --engine opslib` is the same execution with papermill's own command line."""
    opening = "import os\nprint(os.environ['KLUTR_DATABASE_URL'])"
    source = small.procedure(tmp_path, opening, small.verdict("ok")).path
    words = ["papermill", "--engine", "opslib", str(source), str(tmp_path / "out.ipynb")]
    words += ["-p", "system", "klutr", "-p", "environment", "production"]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(words, env=os.environ | {"PATH": path}, capture_output=True, text=True, check=True)
    out = (tmp_path / "out.ipynb").read_text()
    assert SECRET not in out + done.stdout + done.stderr
    assert "[redacted:" in out and "application/vnd.opslib.run+json" in out


def test_the_runner_never_imports_a_jupyter_server(tmp_path: Path) -> None:
    """Half a second and a web server are not needed to run a notebook."""
    done = subprocess.run([sys.executable, "-c", HEAVY], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
