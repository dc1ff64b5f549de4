"""Keys of a machine: made once, private, the same for all processes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from opslib.errors import ConfigError
from opslib.evidence.ed25519 import verified
from opslib.keys.machine import machine_key

PROJECT = Path(__file__).parents[1]
SHOW = "from opslib.keys.machine import machine_key; print(machine_key('runner').public.text)"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own."""
    monkeypatch.setenv("OPSLIB_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_a_key_is_made_once_and_stays(home: Path) -> None:
    """Each purpose has its own, and nobody else can read it."""
    runner = machine_key("runner")
    assert machine_key("runner").public == runner.public != machine_key("log").public
    assert verified(runner.raw, b"head", runner.sign(b"head"))
    assert {path.name for path in (home / "keys").glob("*_ed25519")} == {"runner_ed25519", "log_ed25519"}
    assert (home / "keys" / "runner_ed25519").stat().st_mode & 0o777 == 0o600
    assert not list((home / "keys").glob("*.new"))


def test_processes_that_begin_at_once_have_the_same_key() -> None:
    """Two runners of one machine must not disown each other's records."""
    words = [sys.executable, "-c", SHOW]
    running = [subprocess.Popen(words, cwd=PROJECT, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    assert len({process.communicate()[0] for process in running}) == 1


def test_a_key_that_others_can_read_is_not_used(home: Path) -> None:
    """Whoever has read it can sign records."""
    machine_key("runner")
    (home / "keys" / "runner_ed25519").chmod(0o644)
    with pytest.raises(ConfigError, match="others may read"):
        machine_key("runner")


def test_a_damaged_key_is_said_and_not_replaced(home: Path) -> None:
    """A new key in its place would make all earlier records look forged."""
    machine_key("log")
    path = home / "keys" / "log_ed25519"
    path.write_text("damaged")
    with pytest.raises(ConfigError, match="no Ed25519 private key"):
        machine_key("log")
    assert path.read_text() == "damaged"


def test_what_shows_a_key_does_not_show_its_private_part() -> None:
    """It must not reach a log."""
    assert "Private" not in repr(machine_key("runner"))
