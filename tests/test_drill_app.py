"""An app that is started for a drill: it answers, or says why not, and nothing of it is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import httpx
import pandas as pd
import pytest

from opslib import config, frames, site
from opslib.backup import drilling, instance
from opslib.backup.drilling import Drill
from opslib.backup.instance import Start
from opslib.checks import drills
from opslib.config import Door, Secret
from opslib.config.environment import Environment
from opslib.config.parts import DrillApp
from opslib.errors import Unreachable
from opslib.run.recovery import RecoverySource
from opslib.verdict import Status
from tests.waiting import wait

DSN = "postgresql://postgres:secret@/scratch"
# Notes which processes it is, says what it was given, and has a child that would outlive it.
APP = """
import http.server, json, os, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
open(sys.argv[1], "w").write(f"{os.getpid()} {child.pid}")
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(int(sys.argv[2]))
        self.end_headers()
        told = {"status": "ok", "given": sorted(os.environ), "dsn": os.environ["DB"]}
        told["home"] = os.listdir(os.environ["HOME"])
        self.wfile.write(json.dumps(told).encode())
    def log_message(self, *words):
        pass
http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""
HELD = """
import sys, time
from opslib.backup.instance import Start, running
with running(Start(tuple(sys.argv[1:]), "DB", 20), "x"):
    print("up", flush=True)
    time.sleep(600)
"""


def start(notes: Path, status: int = 200, seconds: float = 20) -> Start:
    """Return how the app of the test is started."""
    return Start((sys.executable, "-c", APP, str(notes), str(status)), "DB", seconds)


def gone(notes: Path) -> bool:
    """Tell whether neither the app nor its child is there."""
    return not any(Path(f"/proc/{number}").exists() for number in notes.read_text().split())


def test_an_instance_knows_the_database_and_no_key_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a key of production it would send mails for what happened last week."""
    monkeypatch.setenv("RESEND_API_KEY", "re_live")
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".netrc").touch()
    notes = tmp_path / "pids"
    with instance.running(start(notes), DSN) as url:
        said = httpx.get(f"{url}/health").json()
        assert said["dsn"] == DSN and "RESEND_API_KEY" not in said["given"]
        assert said["home"] == [], "many keys lie in files such as ~/.aws/credentials"
        commands = Path(f"/proc/{notes.read_text().split()[0]}/cmdline").read_bytes()
        assert b"secret" not in commands, "every account of the machine can read command lines"
    wait(lambda: gone(notes))


def test_it_is_ended_also_when_something_breaks_meanwhile(tmp_path: Path) -> None:
    """With all that it has started itself."""
    notes = tmp_path / "pids"
    with pytest.raises(KeyboardInterrupt), instance.running(start(notes), DSN):
        raise KeyboardInterrupt
    wait(lambda: gone(notes))


def test_it_is_ended_also_when_whoever_started_it_is_killed(tmp_path: Path) -> None:
    """kill -9 lets nobody clear away; the pipe closes all the same."""
    notes = tmp_path / "pids"
    words = [sys.executable, "-c", HELD, *start(notes).command]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout and holder.stdout.readline() == "up\n"
        assert not gone(notes)
        os.kill(holder.pid, signal.SIGKILL)
    wait(lambda: gone(notes))


@pytest.mark.parametrize(
    "command, said",
    [
        ((sys.executable, "-c", "raise SystemExit('no such column: users.name')"), "no such column"),
        ((sys.executable, "-c", "import time; print('waiting', flush=True); time.sleep(60)"), "waiting"),
        (("/nowhere/npm", "start"), "No such file"),
    ],
)
def test_one_that_does_not_come_up_says_why(command: tuple[str, ...], said: str) -> None:
    """Its last line is what a person would look for."""
    begun = Start(command, "DB", 1.5)
    with pytest.raises(Unreachable, match=said) as refused, instance.running(begun, DSN):
        raise AssertionError("it does not listen")
    assert refused.value.kind == instance.KIND


def environment(command: str) -> Environment:
    """Return a real environment whose file says how the app is started."""
    env = config.load_system("kulti").environment("production")
    told = DrillApp(command=command, variable="DB", seconds=20)
    return replace(env, system=env.system.model_copy(update={"drill_app": told}))


def tried(env: Environment) -> Drill:
    """Return a drill that came through, with an app tried on what it restored."""
    recovery = RecoverySource(env, "run")
    door = Door("scratch", Secret.literal("test", DSN), False)
    made = Drill(None)  # type: ignore[arg-type]
    made.app = drilling._tried(recovery._try_app, door)
    return made


def test_the_systems_own_command_is_started_and_its_endpoints_are_asked(tmp_path: Path) -> None:
    """One that answers 500 on the restored database is a drill that failed."""
    (tmp_path / "app.py").write_text(APP)
    for status, wanted in ((200, Status.OK), (500, Status.CRITICAL)):
        env = environment(f"{sys.executable} {tmp_path}/app.py {tmp_path}/pids {status}")
        found = drills.app(tried(env), env)
        assert found[0].status is wanted, found
        assert {one.cause for one in found if one.status is Status.CRITICAL} <= {drills.APP}
        wait(lambda: gone(tmp_path / "pids"))


def test_an_app_that_does_not_start_fails_the_drill_and_one_that_nobody_named_is_skipped() -> None:
    """The restore itself was good, and is said to be."""
    env = environment(f"{sys.executable} -c 1/0")
    found = drills.app(tried(env), env)[0]
    assert (found.status, found.cause) == (Status.CRITICAL, drills.APP) and "ZeroDivision" in found.why
    silent = config.load_system("kulti").environment("production")
    assert drills.app(tried(silent), silent)[0].status is Status.SKIPPED
    assert drills.app(None, silent)[0].status is Status.SKIPPED
    unseen = Drill(None)  # type: ignore[arg-type]
    unseen.app = frames.unavailable(site.PROBE_COLUMNS, "no answer")
    assert drills.app(unseen, silent)[0].status is Status.UNKNOWN
    assert isinstance(tried(silent).app, pd.DataFrame)
