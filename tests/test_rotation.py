"""Keys of a machine are replaced, and who trusts the old one, or the new one, can follow to the other."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from opslib import ids
from opslib.archive import store
from opslib.cli.app import cli
from opslib.errors import ArchiveError
from opslib.evidence import (
    Log,
    LogSigner,
    Trust,
    finished,
    seal,
    standalone_verifier,
    trust,
    verify_archive,
    verify_record,
)
from opslib.evidence.events import KeyRotated, RunRequested, decode_event
from opslib.evidence.rotating import rotate, rotated
from opslib.evidence.tiles import bundles
from opslib.keys import machine
from opslib.keys.machine import machine_key
from opslib.runner import notary
from tests.evidencing import statement


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An archive, and a home of its own."""
    monkeypatch.setenv("OPSLIB_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("OPSLIB_PARAMETERS", str(tmp_path))
    return tmp_path / "archive"


def run(archive: Path, name: str) -> Path:
    """Have a run leave all that it leaves, and return the folder of its record."""
    began = ids.now()
    notary.log_of(archive).append(RunRequested(time=began, run=name))
    files = {"run.ipynb": name.encode()}
    signed = notary.signed(statement(name, began, "ok", files))
    folder = store.publish(archive, name, began, {**files, **signed})
    event = finished(signed["run.dsse.json"], ids.now())
    seal(notary.log_of(archive), folder, event)
    return folder


def policy(archive: Path) -> Trust:
    """Return whom somebody believes who is handed this machine's keys as they are now."""
    verifier = notary.log_of(archive).signer.verifier
    return trust(f"log {verifier.text}\nquorum none\n", [machine_key("runner").public.line])


def rotations(archive: Path) -> list[str]:
    """Return the roles of the keys that the log says were replaced, in its order."""
    size = int((archive / "log" / "checkpoint").read_text().split("\n")[1])
    events = [decode_event(leaf) for leaves in bundles(archive / "log", size) for leaf in leaves]
    return [event.role for event in events if isinstance(event, KeyRotated)]


def test_both_policies_verify_what_was_before_and_after(archive: Path) -> None:
    """The auditor's of last year, and one that is made today; whole, and record by record."""
    first = run(archive, "first")
    old = policy(archive)
    for role in ("log", "runner"):
        rotate(role)
    second = run(archive, "second")
    rotate("log")
    third = run(archive, "third")
    assert rotations(archive) == ["log", "runner", "log"]
    for believed in (old, policy(archive), notary.own_trust(archive)):
        report = verify_archive(archive, believed)
        assert report.sound and report.records == 3, report.findings
        for folder in (first, second, third):
            assert verify_record(folder, believed).sound


def test_each_log_of_a_machine_learns_of_the_new_key(archive: Path) -> None:
    """Also the one that was not at hand when the key was replaced."""
    other = archive.with_name("other")
    run(archive, "first")
    run(other, "there")
    believed = policy(other)
    assert cli.main(["keys", "rotate", "--archive", str(archive), "--json"], standalone_mode=False) == 0
    assert verify_archive(other, notary.own_trust(other)).sound
    assert rotations(archive) == ["log", "runner"] and rotations(other) == []
    run(other, "again")
    assert rotations(other) == ["log", "runner"]
    assert verify_archive(other, believed).sound


def test_the_command_says_the_new_key_and_destroys_the_old(
    archive: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever finds the old one could sign with it."""
    run(archive, "first")
    keys = archive.with_name("home") / "keys"
    before = (keys / "log_ed25519").read_text()
    assert cli.main(["keys", "rotate", "log", "--archive", str(archive)], standalone_mode=False) == 0
    assert notary.log_of(archive).signer.verifier.text in capsys.readouterr().out
    assert all(before not in path.read_text() for path in keys.iterdir())
    assert (keys / "log_ed25519").stat().st_mode & 0o777 == 0o600


def test_a_key_that_was_replaced_in_silence_is_named(archive: Path) -> None:
    """Whoever put it there may not be who they say."""
    run(archive, "first")
    believed = policy(archive)
    (archive.with_name("home") / "keys" / "runner_ed25519").unlink()
    run(archive, "second")
    (found,) = verify_archive(archive, believed).findings
    assert found.kind == "forged" and "a key that was never announced" in found.text


def test_the_old_log_key_is_of_no_use_any_more(archive: Path) -> None:
    """Neither to the log itself, nor to who verifies what it signs."""
    run(archive, "first")
    home = archive.with_name("home")
    shutil.copytree(home, archive.with_name("stolen"))
    believed = policy(archive)
    thief = Log(archive / "log", LogSigner(believed.policy.logs[0].name, machine_key("log")))
    rotate("log")
    run(archive, "second")
    with pytest.raises(ArchiveError, match="not signed with the key"):
        thief.append(RunRequested(time=ids.now(), run="third"))


def test_a_rotation_that_was_cut_off_leaves_the_old_key_good(
    archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Written down, but the new key never came to its place: it leads nowhere."""
    run(archive, "first")
    rotate("log")
    key = machine_key("log")

    def killed(path: Path, made: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(machine, "_write", killed)
        rotate("log")
    assert machine_key("log").public == key.public
    run(archive, "second")
    rotate("log")
    run(archive, "third")
    assert len(rotated("log", machine_key("log"))) == 2 == len(rotations(archive))
    assert verify_archive(archive, notary.own_trust(archive)).sound


def test_the_stand_alone_verifier_follows_too(archive: Path, tmp_path: Path) -> None:
    """With the policy of last year and nothing but Python."""
    run(archive, "first")
    (tmp_path / "policy").write_text(f"log {notary.log_of(archive).signer.verifier.text}\nquorum none\n")
    (tmp_path / "keys").write_text(f"{machine_key('runner').public.line}\n")
    for role in ("log", "runner"):
        rotate(role)
    run(archive, "second")
    script = tmp_path / "verify_evidence.py"
    script.write_text(standalone_verifier())
    words = ["--policy", str(tmp_path / "policy"), "--runner-keys", str(tmp_path / "keys"), "--json"]
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(script), str(archive), *words], capture_output=True, text=True
    )
    assert json.loads(done.stdout)["sound"], done.stdout + done.stderr
