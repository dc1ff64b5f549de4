"""`opslib run` is done by a fork of the zygote, and nobody can tell but by the clock."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from opslib.kernels import client
from opslib.runner import recover
from tests import small, warmth

ROOT = Path(__file__).parents[1]
WORDS = ("run", "small", "--system", "klutr", "--env", "production")
WAITS = (
    "import os, pathlib, time\n"
    "place = pathlib.Path({0!r})\n"
    "place.with_suffix('.pid').write_text(str(os.getpid()))\n"
    "place.mkdir()\n"
    "while place.is_dir(): time.sleep(0.01)"
)


@pytest.fixture(autouse=True)
def project(zygote: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A project and an archive of the test's own, and a zygote that listens."""
    monkeypatch.setenv("OPSLIB_PARAMETERS", str(ROOT / "parameters"))
    monkeypatch.setenv("OPSLIB_NOTEBOOKS", str(tmp_path / "notebooks"))
    monkeypatch.setenv("OPSLIB_ARCHIVE", str(tmp_path / "archive"))


def command(*words: str) -> list[str]:
    """Return the command line of opslib with these words."""
    return [sys.executable, "-m", "opslib", *words]


def ran(*words: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run opslib to its end."""
    return subprocess.run(command(*words), capture_output=True, text=True, check=False, cwd=ROOT, **options)


def forks() -> int:
    """Return how many forks the zygote has made."""
    return int(client.status()["forks"])


def begun(tmp_path: Path) -> subprocess.Popen[str]:
    """Start a run that waits in its first cell until the folder `waits` is removed."""
    small.procedure(tmp_path / "notebooks", WAITS.format(str(tmp_path / "waits")), small.verdict("critical"))
    running = subprocess.Popen(
        command(*WORDS, "--json"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert warmth.within(30, (tmp_path / "waits").is_dir)
    return running


def kernel(tmp_path: Path) -> int:
    """Return the process of the kernel of such a run."""
    return int((tmp_path / "waits.pid").read_text())


@pytest.mark.parametrize(
    ("words", "code"),
    [((*WORDS, "--json"), 2), (WORDS, 2), (("run", "smal"), 64), (("run", "small", "--help"), 0)],
    ids=["json", "words", "usage", "help"],
)
def test_output_and_exit_code_are_those_of_a_process_of_its_own(
    words: tuple[str, ...], code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What differs from run to run is taken out; nothing else."""
    small.procedure(tmp_path / "notebooks", "print('told')", small.verdict("critical", "lock-storm"))
    before = forks()
    elsewhere = ran(*words)
    assert forks() > before
    monkeypatch.setenv("OPSLIB_KERNELS", client.PLAIN)
    here = ran(*words)
    assert elsewhere.returncode == here.returncode == code
    assert steady(elsewhere.stdout) == steady(here.stdout)
    assert steady(elsewhere.stderr) == steady(here.stderr)


def steady(said: str) -> list[str]:
    """Return lines without ids, times and places."""
    own = ("run_id", "record", "started_at", "finished_at", "duration_s", "Record:", "Took:")
    return [line for line in said.splitlines() if not line.strip(' "').startswith(own)]


def test_it_has_place_and_variables_of_its_caller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path on the command line begins where the caller is."""
    cell = "import os; print(os.environ['MINE'], os.getcwd())"
    small.procedure(tmp_path / "notebooks", cell, small.verdict("ok"))
    monkeypatch.setenv("MINE", "of-the-caller")
    words = command(*WORDS, "--archive", "kept", "--json")
    done = subprocess.run(words, capture_output=True, text=True, check=True, cwd=tmp_path)
    record = Path(json.loads(done.stdout)["record"])
    assert record.is_relative_to(tmp_path / "kept")
    assert f"of-the-caller {tmp_path}" in (record / "run.ipynb").read_text()


def test_without_a_zygote_the_run_is_done_here(tmp_path: Path, zygote: int) -> None:
    """Nor is one started for it: that takes longer."""
    small.procedure(tmp_path / "notebooks", small.verdict("warning"))
    client.stop(now=True)
    assert warmth.gone(zygote)
    assert ran(*WORDS).returncode == 1


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda how: how.name)
def test_what_stops_the_command_stops_the_run(tmp_path: Path, how: signal.Signals) -> None:
    """The fork is in no terminal's group, so that it is told by its caller; its record is kept."""
    running = begun(tmp_path)
    running.send_signal(how)
    said, _ = running.communicate(timeout=60)
    assert running.returncode == 130, said
    assert warmth.gone(kernel(tmp_path))
    (record,) = (tmp_path / "archive").glob("runs/*/*/*/*/run.json")
    assert '"interrupted"' in record.read_text()


def test_a_killed_command_takes_its_run_with_it(tmp_path: Path) -> None:
    """kill -9: the next command finds what was done."""
    running = begun(tmp_path)
    running.kill()
    running.communicate()
    assert warmth.gone(kernel(tmp_path))
    assert warmth.within(10, lambda: client.status()["kernels"] == [])
    (outcome,) = recover.sweep(tmp_path / "archive")
    assert outcome.document["cause"]["id"] == "interrupted"


def test_a_run_goes_on_when_the_zygote_is_killed(tmp_path: Path, zygote: int) -> None:
    """Its kernel dies with the zygote, so it looks once more on a plain one, and has its own verdict."""
    running = begun(tmp_path)
    first = kernel(tmp_path)
    (tmp_path / "waits").rmdir()
    (tmp_path / "waits").with_suffix(".pid").unlink()
    os.kill(zygote, signal.SIGKILL)
    assert warmth.gone(first)
    said, errors = finished(running, tmp_path)
    assert running.returncode == 2, errors
    assert json.loads(said)["verdict"] == "critical"


def finished(running: subprocess.Popen[str], tmp_path: Path) -> tuple[str, str]:
    """Let a run end that may wait again."""
    warmth.within(30, lambda: (tmp_path / "waits").is_dir() or running.poll() is not None)
    if (tmp_path / "waits").is_dir():
        (tmp_path / "waits").rmdir()
    return running.communicate(timeout=60)


def test_a_notebook_has_no_library_that_lacks_what_commands_do_without(tmp_path: Path) -> None:
    """Commands import jsonschema without its formats; a notebook that imports it has them."""
    cell = "import jsonschema; print('formats', 'duration' in jsonschema.FormatChecker.checkers)"
    small.procedure(tmp_path / "notebooks", cell, small.verdict("ok"))
    record = Path(json.loads(ran(*WORDS, "--json").stdout)["record"])
    assert "formats True" in (record / "run.ipynb").read_text()
