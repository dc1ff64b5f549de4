"""`opslib archive serve`: says where it is, keeps to this machine, and ends when told to."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from opslib.keys.machine import machine_key
from opslib.runner import notary
from tests.browsing import LONG
from tests.kept import keep
from tests.test_cli import Shell

SERVE = ("archive", "serve", "--listen")


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One sealed run."""
    monkeypatch.setenv("OPSLIB_HOME", str(tmp_path / "home"))
    (tmp_path / "archive").mkdir()
    keep(tmp_path / "archive", "0-first", LONG, sealed=True)
    monkeypatch.setenv("OPSLIB_ARCHIVE", str(tmp_path / "archive"))
    return tmp_path / "archive"


@pytest.fixture
def opslib(capsys: pytest.CaptureFixture[str]) -> Shell:
    """Command lines."""
    return Shell(capsys)


@contextmanager
def serving(*words: str) -> Iterator[subprocess.Popen[str]]:
    """Serve in a process of its own, as a person does."""
    command = [sys.executable, "-m", "opslib", "archive", "serve", *words]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def said(process: subprocess.Popen[str]) -> str:
    """Return the first line that a process prints."""
    assert process.stdout
    return process.stdout.readline()


def got(address: str, cookie: str = "") -> tuple[int, str]:
    """Return status and text of a page."""
    place = urlsplit(address)
    line = http.client.HTTPConnection(place.netloc, timeout=30)
    line.request("GET", f"{place.path}?{place.query}", headers={"Cookie": cookie})
    found = line.getresponse()
    return found.status, found.getheader("Set-Cookie") or found.read().decode()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_it_says_in_one_line_where_it_is_and_ends_with_0(archive: Path, how: signal.Signals) -> None:
    """A program reads the address, a person presses Ctrl-C, a service manager sends its signal."""
    with serving("--listen", "127.0.0.1:0", "--json") as process:
        told = json.loads(said(process))
        status, text = got(told["address"])
        assert told["archive"] == str(archive) and status == 200 and "/runs/0-first" in text
        assert "<b>sealed</b>" in got(f"{told['address']}runs/0-first")[1]
        process.send_signal(how)
        out, err = process.communicate(timeout=30)
        assert (process.returncode, out, err) == (0, "", "Ended.\n")


def test_an_address_that_others_reach_needs_a_token(archive: Path, opslib: Shell) -> None:
    """The message says why, and what is better."""
    for place in ("0.0.0.0:0", "192.0.2.1:8750", "[::]:0", "example.org:0"):
        assert opslib(*SERVE, place) == 64
        assert "others reach this address" in opslib.err and "SSH tunnel" in opslib.err
    with serving("--listen", "0.0.0.0:0", "--token", "--json") as process:
        address = json.loads(said(process))["address"].replace("0.0.0.0", "127.0.0.1")
        token = urlsplit(address).query
        assert len(token) > 40 and got(address.partition("?")[0])[0] == 403
        status, cookie = got(address)
        assert status == 303
        assert got(address.partition("?")[0], cookie.split(";")[0])[0] == 200


@pytest.mark.parametrize("place", ["8750", "127.0.0.1", "127.0.0.1:http", "127.0.0.1:99999", ":8750"])
def test_an_address_that_is_none_is_refused(archive: Path, opslib: Shell, place: str) -> None:
    """Before anything listens."""
    assert opslib(*SERVE, place) == 64
    assert place in opslib.err and "→" in opslib.err


def test_a_port_that_is_taken_is_named(archive: Path, opslib: Shell) -> None:
    """With the way out."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        assert opslib(*SERVE, f"127.0.0.1:{other.getsockname()[1]}") == 64
    assert "cannot be listened on: address already in use" in opslib.err and "another port" in opslib.err


def test_a_place_that_is_no_archive_and_keys_that_are_none_are_told_at_once(
    archive: Path, opslib: Shell, tmp_path: Path
) -> None:
    """Not on a page that nobody has opened yet."""
    (tmp_path / "file").write_text("x")
    assert opslib(*SERVE, "127.0.0.1:0", "--archive", str(tmp_path / "file")) == 64
    assert "must be a folder" in opslib.err
    assert opslib(*SERVE, "127.0.0.1:0", "--policy", str(tmp_path / "file")) == 64
    assert "belong together" in opslib.err
    keys = ("--policy", str(tmp_path / "file"), "--runner-keys", str(tmp_path / "file"))
    assert opslib(*SERVE, "127.0.0.1:0", *keys) == 64 and str(tmp_path / "file") in opslib.err


def test_an_archive_from_elsewhere_is_believed_by_the_keys_that_came_with_it(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By those of this machine it is a stranger's."""
    policy, runners = tmp_path / "policy", tmp_path / "runner-keys"
    (log,) = notary.own_trust(archive).policy.logs
    policy.write_text(f"log {log.text}\nquorum none\n")
    runners.write_text(machine_key("runner").public.line)
    monkeypatch.setenv("OPSLIB_HOME", str(tmp_path / "elsewhere"))
    told = []
    for words in ((), ("--policy", str(policy), "--runner-keys", str(runners))):
        with serving("--listen", "127.0.0.1:0", "--json", *words) as process:
            told.append(got(f"{json.loads(said(process))['address']}runs/0-first")[1])
    assert "<b>not sound</b>" in told[0] and "no key that is trusted for this log" in told[0]
    assert "the keys are those of this machine" in told[0]
    assert "<b>sealed</b>" in told[1] and "the keys are those of this machine" not in told[1]


def test_help_shows_how(opslib: Shell) -> None:
    """With an example that works as it stands."""
    assert opslib("archive", "serve", "--help") == 0
    assert "opslib archive serve --listen 127.0.0.1:0 --json" in opslib.out and "ssh -L" in opslib.out
