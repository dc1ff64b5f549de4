"""Runs that were killed or interrupted: nothing is left running, nothing that was done is lost."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from opslib import ids
from opslib.archive.index import Index
from opslib.errors import ArchiveError, DiskFull
from opslib.home import private
from opslib.runner import recover, spool
from opslib.runner.execute import run
from tests import small
from tests.waiting import alive, wait

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home of its own for every test."""
    monkeypatch.setenv("OPSLIB_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("OPSLIB_PARAMETERS", str(ROOT / "parameters"))


HANG = """
import os, sys, pathlib
from opslib.runner.execute import run
from tests import small
folder = pathlib.Path(sys.argv[1])
cell = "import os, pathlib, time; pathlib.Path({!r}).write_text(str(os.getpid())); time.sleep(600)"
run(small.request(folder, "print('fi' + 'rst')", cell.format(str(folder / "hangs"))))
"""
WAITS = """
import sys, pathlib
from opslib.runner.execute import run
from tests import small
folder = pathlib.Path(sys.argv[1])
(folder / "waits").mkdir()
cell = "import pathlib, time; place = pathlib.Path({0!r}); (place / 'here').touch()"
cell += "\\nwhile place.is_dir(): time.sleep(0.01)"
run(small.request(folder, cell.format(str(folder / "waits")), small.verdict("ok")))
"""
SWEEP = """
import sys, pathlib
from opslib.runner import recover, spool
print(len(recover.sweep(pathlib.Path(sys.argv[1]))))
"""
DIE_BEFORE_THE_INDEX = """
import os, pathlib, sys
from opslib.archive.index import Index
from opslib.runner.execute import run
from tests import small
Index.add = lambda *words: os._exit(9)
run(small.request(pathlib.Path(sys.argv[1]), small.verdict("critical", "lock-storm")))
"""
SWEEP_ON = """
import pathlib, sys
from opslib.runner import recover, spool
while not pathlib.Path(sys.argv[2]).exists():
    recover.sweep(pathlib.Path(sys.argv[1]))
"""


def start(tmp_path: Path) -> subprocess.Popen[str]:
    """Start a runner in a process of its own and wait until its second cell hangs, and the first is saved."""
    mark = tmp_path / "hangs"
    words = [sys.executable, "-c", HANG, str(tmp_path)]
    runner = subprocess.Popen(words, cwd=ROOT, text=True, stderr=subprocess.PIPE)
    wait(lambda: mark.exists() and mark.read_text())
    wait(lambda: "first" in "".join(path.read_text() for path in private("spool").glob("*/run.ipynb")))
    return runner


def test_a_killed_runner_leaves_a_record_and_no_kernel(tmp_path: Path) -> None:
    """kill -9 in the middle: the next command keeps what was done, with verdict unknown."""
    runner = start(tmp_path)
    runner.send_signal(signal.SIGKILL)
    runner.wait()
    (outcome,) = recover.sweep(tmp_path / "archive")
    assert outcome.document["verdict"] == "unknown"
    assert outcome.document["cause"]["id"] == "interrupted"
    assert "first" in (outcome.record / "run.ipynb").read_text()
    assert recover.sweep(tmp_path / "archive") == []
    wait(lambda: not alive(tmp_path / "hangs"))


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_run_stops_its_kernel_and_keeps_its_record(
    tmp_path: Path, how: signal.Signals
) -> None:
    """Ctrl-C at night is an answer too, and so is a connection that broke."""
    runner = start(tmp_path)
    runner.send_signal(how)
    runner.wait(30)
    assert runner.returncode != 0
    (found,) = Index(tmp_path / "archive").find()
    assert (found["verdict"], found["cause"]["id"]) == ("unknown", "interrupted")
    assert not alive(tmp_path / "hangs")


@pytest.mark.skipif(shutil.which("nohup") is None, reason="there is no nohup here")
class Disk:
    """Where something is saved; it is full as long as there is an error to raise."""

    def __init__(self, *errors: Exception) -> None:
        self.errors, self.saved = list(errors), list[float]()

    def write(self) -> None:
        """Save, or fail."""
        self.saved.append(asyncio.get_running_loop().time())
        if self.errors:
            raise self.errors.pop()


async def passed(seconds: float) -> None:
    """Wait until everything that was to happen within so many seconds has happened."""
    over = asyncio.Event()
    asyncio.get_running_loop().call_later(seconds, over.set)
    await over.wait()


def test_what_was_shown_in_between_is_saved_a_little_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cell that hangs after ten quick ones: nobody asks again, and all ten must be there."""
    monkeypatch.setattr(spool, "_PAUSE_S", 0.05)

    async def save() -> list[float]:
        disk = Disk()
        with closing(spool.Saver(disk.write)) as saver:
            for _ in range(10):
                saver()
            assert len(disk.saved) == 1
            await passed(0.2)
            assert len(disk.saved) == 2
            saver()
            saver()
        await passed(0.2)
        return disk.saved

    first, second, third = asyncio.run(save())
    assert second - first >= 0.05 and third > second


def test_a_save_that_failed_later_is_told_at_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is above a timer, and a full disk must end the run."""
    monkeypatch.setattr(spool, "_PAUSE_S", 0.05)

    async def save() -> None:
        disk = Disk()
        saver = spool.Saver(disk.write)
        saver()
        disk.errors.append(DiskFull("no space left"))
        saver()
        await passed(0.2)
        assert len(disk.saved) == 2
        saver()

    with pytest.raises(DiskFull, match="no space left"):
        asyncio.run(save())


def test_a_run_under_nohup_outlives_its_terminal(tmp_path: Path) -> None:
    """That is what `nohup` was asked for."""
    words = ["nohup", sys.executable, "-c", WAITS, str(tmp_path)]
    runner = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    waits = tmp_path / "waits"
    wait((waits / "here").exists)
    runner.send_signal(signal.SIGHUP)
    shutil.rmtree(waits)
    assert runner.wait(30) == 0
    assert [found["verdict"] for found in Index(tmp_path / "archive").find()] == ["ok"]


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


def test_a_runner_that_died_with_its_record_safe_has_that_record_in_the_index(tmp_path: Path) -> None:
    """Killed between record and index: the verdict was reached, and the sweep must not say otherwise."""
    words = [sys.executable, "-c", DIE_BEFORE_THE_INDEX, str(tmp_path)]
    assert subprocess.run(words, cwd=ROOT, check=False).returncode == 9
    assert recover.sweep(tmp_path / "archive") == []
    (found,) = Index(tmp_path / "archive").find()
    assert (found["verdict"], found["cause"]["id"]) == ("critical", "lock-storm")
    stated = json.loads((Path(found["record"]) / "run.json").read_text())
    assert stated["predicate"]["verdict"] == "critical"
    assert not list((tmp_path / "home" / "spool").iterdir())


def test_a_sweep_that_never_rests_takes_no_run_that_is_just_being_set_up(tmp_path: Path) -> None:
    """Every command sweeps, so one comes between any two steps of another's start."""
    done = tmp_path / "done"
    words = [sys.executable, "-c", SWEEP_ON, str(tmp_path / "archive"), str(done)]
    sweeper = subprocess.Popen(words, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    try:
        for number in range(300):
            with spool.opened(f"run-{number}") as opened:
                opened.write_intent({"run_id": opened.folder.name})
                opened.write_notebook(b"{}")
                assert opened.notebook.read_bytes() == b"{}"
                opened.remove()
    finally:
        done.touch()
        said = sweeper.communicate(timeout=30)[1]
    assert sweeper.returncode == 0, said
    assert not list((tmp_path / "home" / "spool").iterdir())


@pytest.mark.parametrize("left", ["", "{", '{"run_id": "x"}', "[]"])
def test_a_spool_that_cannot_be_read_is_kept_and_does_not_stop_the_next_command(
    tmp_path: Path, left: str
) -> None:
    """A disk that lost power may give back half a file; whoever comes next has other worries."""
    folder = tmp_path / "home" / "spool" / "torn"
    folder.mkdir(parents=True)
    (folder / "intent.json").write_text(left)
    (folder / "run.ipynb").write_text("[1, 2")
    assert recover.sweep(tmp_path / "archive") == []
    assert recover.sweep(tmp_path / "archive") == []
    assert [path.read_text() for path in tmp_path.rglob("run.ipynb")] == ["[1, 2"]


def test_a_run_that_died_before_it_asked_for_anything_leaves_nothing(tmp_path: Path) -> None:
    """Nothing was started, so there is nothing to keep."""
    (tmp_path / "home" / "spool" / "early").mkdir(parents=True)
    assert recover.sweep(tmp_path / "archive") == []
    assert not list((tmp_path / "home" / "spool").iterdir())


def test_a_run_whose_record_could_not_be_written_is_told_now_and_kept_as_what_it_was(tmp_path: Path) -> None:
    """It did end: at 3 am its verdict must not be lost, and its record must not say that it was killed."""
    runs = tmp_path / "archive" / "runs"
    block = (
        f"import pathlib\nplace = pathlib.Path({str(runs)!r})\nplace.rmdir()\nplace.write_text('in the way')"
    )
    request = small.request(tmp_path, block, small.verdict("critical", "lock-storm"))
    with pytest.raises(ArchiveError, match=r"what the run found: critical \(lock-storm\)"):
        run(request)
    runs.unlink()
    (outcome,) = recover.sweep(tmp_path / "archive")
    assert (outcome.document["verdict"], outcome.document["cause"]["id"]) == ("critical", "lock-storm")
    assert [found["check"] for found in outcome.document["findings"]] == ["slots"]
    assert not list((tmp_path / "home" / "spool").iterdir())


def test_a_killed_run_took_as_long_as_it_was_seen_and_not_until_it_was_found(tmp_path: Path) -> None:
    """Found the next morning, it did not run all night."""
    runner = start(tmp_path)
    runner.send_signal(signal.SIGKILL)
    runner.wait()
    (left,) = (tmp_path / "home" / "spool").iterdir()
    intent = json.loads((left / "intent.json").read_text())
    began = datetime.now(UTC) - timedelta(hours=9)
    (left / "intent.json").write_text(json.dumps({**intent, "started_at": ids.stamp(began)}))
    last = began.timestamp() + 60
    os.utime(left / "run.ipynb", (last, last))
    (outcome,) = recover.sweep(tmp_path / "archive")
    assert 59 <= outcome.document["duration_s"] <= 61


def test_an_archive_that_is_away_keeps_the_run_waiting(tmp_path: Path) -> None:
    """A share that is not mounted now is mounted tomorrow."""
    runner = start(tmp_path)
    runner.send_signal(signal.SIGKILL)
    runner.wait()
    archive = tmp_path / "archive"
    away = archive.rename(tmp_path / "away")
    archive.write_text("not a folder")
    assert recover.sweep(archive) == []
    archive.unlink()
    away.rename(archive)
    assert len(recover.sweep(archive)) == 1
