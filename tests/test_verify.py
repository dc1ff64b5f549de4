"""What is kept is what was sealed: runs write to the log, `opslib verify` names what somebody changed."""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from opslib.evidence import events
from opslib.runner import notary
from tests import shop
from tests.conftest import ROOT
from tests.shop import Project
from tests.waiting import alive, wait

HOURLY = events.Planned("schedule:hourly", "too-warm", "shop", "production", "0 * * * *", "UTC", "60")
SLOTS = """
slots:
  - {id: hourly, procedure: too-warm, system: shop, environment: production, cron: "0 * * * *", owner: me}
"""
HANG = """
import pathlib, sys
from opslib.runner.execute import run
from tests import small
folder = pathlib.Path(sys.argv[1])
cell = "import os, pathlib, time; pathlib.Path({!r}).write_text(str(os.getpid())); time.sleep(600)"
run(small.request(folder, cell.format(str(folder / "hangs"))))
"""
DIE_BEFORE_THE_LOG = """
import os, pathlib, sys
from opslib.runner import notary
from opslib.runner.execute import run
from tests import small
notary.sealed = lambda *words: os._exit(9)
run(small.request(pathlib.Path(sys.argv[1]), small.verdict("ok")))
"""


@pytest.fixture
def project(one_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project of the test's own with one sealed run."""
    monkeypatch.chdir(tmp_path)
    return shop.copied(one_run, tmp_path, monkeypatch)


def verified(project: Project, *words: str, code: int = 0) -> list[str]:
    """Verify the archive and return the names of what was found."""
    done = project.here("verify", *words, "--json")
    assert done.returncode == code, done.stdout + done.stderr
    (report,) = json.loads(done.stdout)["reports"]
    assert report["sound"] == (code == 0)
    return sorted({found["kind"] for found in report["findings"]})


def moment(text: str) -> datetime:
    """Return a moment in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def records(project: Project) -> list[Path]:
    """Return the folders of all records, the oldest first."""
    return sorted(path.parent for path in project.archive.glob("runs/*/*/*/*/run.json"))


def append(path: Path, more: str = " ") -> None:
    """Change a file a little."""
    path.write_bytes(path.read_bytes() + more.encode())


def spoil(path: Path) -> None:
    """Change the last byte of a file."""
    path.write_bytes(path.read_bytes()[:-2] + b"x}")


def test_a_run_is_announced_begun_and_sealed_with_its_proof(project: Project) -> None:
    """Three leaves a run, in their order, and nothing is wrong."""
    done = project.opslib("verify")
    assert done.returncode == 0 and "1 records, 3 leaves of the log" in done.stdout
    assert "no witness has cosigned this log" in done.stdout
    (folder,) = records(project)
    assert {path.name for path in folder.iterdir()} == {
        "run.ipynb", "run.html", "run.json", "run.dsse.json", "run.tlog-proof",
    }  # fmt: skip
    assert verified(project, "latest") == [] and verified(project, folder.name) == []


def test_show_and_history_tell_which_leaf_a_record_is_or_why_it_is_none(project: Project) -> None:
    """What nobody sealed must not look like what somebody did."""
    (folder,) = records(project)
    assert "Sealed: leaf 2 of the log" in project.here("show", "latest").stdout
    (run,) = json.loads(project.here("history", "--json").stdout)["runs"]
    assert (run["seal"]["sealed"], run["seal"]["index"]) == (True, 2)
    shutil.copy(folder / "run.tlog-proof", project.root / "proof")
    append(folder / "run.tlog-proof")
    assert "Not sealed: its proof is not good" in project.here("show", "latest").stdout
    shutil.copy(project.root / "proof", folder / "run.tlog-proof")
    append(folder / "run.dsse.json")
    assert "Not sealed: its proof is not of this" in project.here("show", "latest").stdout
    for name in ("run.tlog-proof", "run.dsse.json"):
        (folder / name).unlink()
        assert (
            f"{name} is not there"
            in json.loads(project.here("show", "latest", "--json").stdout)["seal"]["text"]
        )


ATTACKS: dict[str, Callable[[Path], Any]] = {
    "notebook-edited": lambda record: append(record / "run.ipynb"),
    "record-edited": lambda record: append(record / "run.dsse.json"),
    "file-edited": lambda record: append(record / "run.html"),
    "deleted": lambda record: shutil.rmtree(record),
    "forged": lambda record: shutil.copytree(record, record.with_name("0" * 8 + record.name[8:])),
    "log-edited": lambda record: spoil(record.parents[4] / "log" / "tile" / "entries" / "000.p" / "3"),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_what_somebody_did_to_the_archive_is_named(project: Project, name: str) -> None:
    """The exit code says that something is wrong, the report what."""
    ATTACKS[name](records(project)[0])
    assert name in verified(project, code=2)


def test_a_sound_record_in_the_archives_own_place_hides_nothing(project: Project) -> None:
    """All is looked at, as if it were not there."""
    (record,) = records(project)
    shutil.copytree(record, project.archive, dirs_exist_ok=True)
    append(record / "run.ipynb")
    assert verified(project, code=2) == ["notebook-edited"]


def test_an_index_that_names_the_record_of_another_run_is_not_followed(project: Project) -> None:
    """Anybody who may write into the archive may write into its index."""
    assert project.opslib("run", "too-warm", "--system", "shop").returncode == 0
    first, second = records(project)
    with closing(sqlite3.connect(project.archive / "index.sqlite")) as base, base:
        other = (str(second.relative_to(project.archive)), first.name)
        base.execute("update run set folder = ? where run_id = ?", other)
    append(first / "run.ipynb")
    done = project.opslib("verify", first.name)
    assert done.returncode != 0 and f"not where the record of {first.name} belongs" in done.stderr


def test_the_plain_statement_that_everything_reads_is_sealed_too(project: Project) -> None:
    """History and reports are made of it; a better verdict in it must not go unseen."""
    statement = records(project)[0] / "run.json"
    statement.write_text(statement.read_text().replace('"verdict": "ok"', '"verdict": "critical"'))
    assert verified(project, code=2) == ["file-edited"]


def test_a_log_that_was_cut_back_is_seen_with_a_head_kept_elsewhere(project: Project, tmp_path: Path) -> None:
    """Without one it is not, and the report says so."""
    shutil.copytree(project.archive, tmp_path / "yesterday")
    project.here("run", "too-warm", "--system", "shop")
    head = tmp_path / "head"
    shutil.copy(project.archive / "log" / "checkpoint", head)
    shutil.rmtree(project.archive)
    shutil.copytree(tmp_path / "yesterday", project.archive)
    assert verified(project) == []
    assert verified(project, "--checkpoint", str(head), code=2) == ["truncated"]


def test_a_moment_of_the_schedule_without_a_run_is_named(project: Project) -> None:
    """What was never recorded leaves no trace but the schedule that the log holds, whatever it is today."""
    shutil.rmtree(project.archive)
    log = notary.log_of(project.archive)
    log.append(events.ScheduleChanged(time=moment("2026-11-20T00:30"), slots=(HOURLY,)))
    log.append(events.ScheduleChanged(time=moment("2026-11-20T03:30")))
    project.schedule("slots: []")
    period = ["--complete", "2026-11-20T00:30Z"]
    found = verified(project, *period, "2026-11-20T05:00Z", code=2)
    assert found == ["never-recorded", "rescheduled"]
    (report,) = json.loads(project.here("verify", *period, "now", "--json").stdout)["reports"]
    assert [(one["moment"][11:16], one["state"]) for one in report["slots"]] == [
        ("01:00", "missing"), ("02:00", "missing"), ("03:00", "missing"),
    ]  # fmt: skip
    assert verified(project, *period, "2026-11-20T00:50Z") == []


def test_a_procedure_that_could_not_look_is_announced_and_sealed_like_any_other(project: Project) -> None:
    """That nobody looked is a fact, too."""
    assert project.here("run", "needs-database", "--system", "shop").returncode == 3
    assert verified(project) == [] and len(records(project)) == 2


def test_several_runs_at_once_are_all_sealed(project: Project) -> None:
    """They share one log."""
    project.here("run", *["too-warm"] * 5, "--system", "shop", "--jobs", "4")
    assert verified(project) == [] and len(records(project)) == 6


def test_two_processes_that_begin_a_log_write_to_the_same(home: Path) -> None:
    """Both have looked before either has written: the name of the log is given by the quicker one."""
    logs = []
    for _ in range(2):
        logs.append(notary.log_of(home / "archive"))
        notary._log.cache_clear()  # as in a process of its own
    now = datetime.now(UTC)
    indices = [log.append(events.RunStarted(time=now, run=f"r-{at}")).first for at, log in enumerate(logs)]
    assert indices == [0, 1]


def small_run(tmp_path: Path, code: str) -> subprocess.Popen[str]:
    """Start a runner of small notebooks in a process of its own."""
    return subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, text=True)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home and an archive for runners that die."""
    monkeypatch.setenv("OPSLIB_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("OPSLIB_PARAMETERS", str(ROOT / "parameters"))
    return tmp_path


def swept(home: Path) -> dict[str, Any]:
    """Verify with the command that also takes up what killed runners left, and return the report."""
    words = [sys.executable, "-m", "opslib", "verify", "--archive", str(home / "archive"), "--json"]
    done = subprocess.run(words, capture_output=True, text=True, cwd=home)
    (report,) = json.loads(done.stdout)["reports"]
    return dict(report)


def test_a_run_whose_runner_was_killed_is_sealed_by_the_next_command(home: Path) -> None:
    """The log knows that it began, so it cannot just be forgotten."""
    runner = small_run(home, HANG)
    wait(lambda: (home / "hangs").exists() and bool((home / "hangs").read_text()))
    runner.send_signal(signal.SIGKILL)
    runner.wait()
    report = swept(home)
    assert (report["sound"], report["records"], report["leaves"]) == (True, 1, 3)
    wait(lambda: not alive(home / "hangs"))


def test_a_runner_that_died_between_record_and_log_is_made_up_for(home: Path) -> None:
    """A record without a leaf would look forged."""
    assert small_run(home, DIE_BEFORE_THE_LOG).wait() == 9
    report = swept(home)
    assert (report["sound"], report["records"]) == (True, 1)


def test_a_log_that_cannot_be_written_keeps_nobody_from_looking(project: Project) -> None:
    """The verdict is that of the notebook; that the record is not in the log is said, and seen."""
    (project.archive / "log" / "checkpoint").write_text("nonsense\n")
    done = project.opslib("run", "too-warm", "--system", "shop")
    assert done.returncode == 0 and "not in the log" in done.stderr
    assert len(records(project)) == 2
    assert "log-edited" in verified(project, code=2)


def test_the_log_of_another_machine_is_left_alone(project: Project, tmp_path: Path) -> None:
    """Two keys for one log would make it worthless; the record is kept all the same."""
    before = (project.archive / "log" / "checkpoint").read_bytes()
    done = project.opslib("run", "too-warm", "--system", "shop", OPSLIB_HOME=str(tmp_path / "elsewhere"))
    assert done.returncode == 0 and "not in the log" in done.stderr
    assert (project.archive / "log" / "checkpoint").read_bytes() == before
    assert verified(project, code=2) == ["forged"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["0123abcd"], "0123abcd"),
        (["--since", "yesterday"], "--since yesterday is no moment"),
        (["--policy", "x"], "--policy and --runner-keys belong together"),
        (["--policy", "x", "--runner-keys", "y"], "x: cannot be read"),
        (["--checkpoint", "nowhere"], "nowhere: the checkpoint cannot be read"),
        (["--complete", "2026-11-20"], "'--complete' requires 2 arguments"),
        (["--complete", "2026-11-20", "2026-11-20"], "ends before it begins"),
        (["--complete", "2026-11-20", "now", "--since", "2026-11-20"], "its own period"),
        (["--complete", "2026-11-20", "now", "latest"], "its own period"),
    ],
)
def test_wrong_words_end_with_64_and_the_next_step(project: Project, words: list[str], says: str) -> None:
    """Nothing is changed by them."""
    done = project.here("verify", *words)
    assert done.returncode == 64 and says in done.stderr


def test_neither_key_nor_proof_is_open_to_others(project: Project) -> None:
    """Whoever has the key of the log can write it anew."""
    for name in ("log_ed25519", "runner_ed25519"):
        assert (project.home / "keys" / name).stat().st_mode & 0o077 == 0
    for path in project.archive.rglob("*"):
        assert not path.is_file() or b"PRIVATE KEY" not in path.read_bytes()
