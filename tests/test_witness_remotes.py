"""A git remote holds the head, which is pushed, never by force; what contradicts it is an alarm."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from opslib.config import Witness, Witnesses
from opslib.evidence import verify_archive
from opslib.evidence.notes import Checkpoint, Note
from opslib.evidence.witnesses import Asked, read_all, remotes, standing
from opslib.verdict import Status
from tests.attacks import rewritten
from tests.besides import replaced
from tests.evidencing import ORIGIN, Kept, audit, later
from tests.waiting import alive, wait
from tests.witnessing import asked

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="there is no git on this machine")

REFUSING = "#!/bin/sh\necho 'error: heads are closed today' >&2\nexit 1\n"


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kept:
    """An archive with two runs."""
    monkeypatch.setenv("OPSLIB_HOME", str(tmp_path / "home"))
    made = Kept(tmp_path / "archive")
    made.run(0)
    made.run(1)
    return made


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    """A remote that refuses whatever is no fast-forward."""
    folder = tmp_path / "heads.git"
    git(tmp_path, "init", "--quiet", "--bare", str(folder))
    git(folder, "config", "receive.denyNonFastForwards", "true")
    return folder


def git(folder: Path, *words: str) -> str:
    """Run git."""
    own = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    who = {f"GIT_{whose}_{what}": "x@y" for whose in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    done = subprocess.run(
        ["git", *words],
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, **own, **who},
    )
    return done.stdout.strip()


def witness(remote: Path | str, name: str = "heads") -> Witness:
    """Return what the file says of a remote."""
    return Witness(name=name, kind="git", remote=str(remote))


def said(kept: Kept, remote: Path | str) -> Asked:
    """Have a remote hold the head of a log."""
    (one,) = asked(Kept(kept.archive), witness(remote))
    return one


def test_a_remote_goes_on_with_the_new_key_of_a_log(kept: Kept, remote: Path) -> None:
    """What it holds since before is signed with the old one, and is no alarm."""
    assert said(kept, remote).status is Status.OK
    replaced(kept, later(3))
    assert held(kept, remote)
    (one,) = asked(kept, witness(remote))
    assert one.status is Status.OK and Checkpoint.parse(Note.parse(held(kept, remote)).text).size == 8


def held(kept: Kept, remote: Path) -> bytes:
    """Read back what a remote holds."""
    (read,) = read_all(kept.log, Witnesses(witnesses=(witness(remote),)))
    assert read.note and not read.fault
    return read.note.encode()


def commits(remote: Path) -> list[str]:
    """Return the subjects of what was pushed, the newest first."""
    return git(remote, "log", "--format=%s", "opslib-heads").splitlines()


def test_each_new_head_is_one_commit_on_a_branch_that_grows(kept: Kept, remote: Path) -> None:
    """A head that it holds already is not pushed again."""
    for _ in range(2):
        assert said(kept, remote) == Asked("heads", "git", Status.OK, "holds 6 leaves", 6)
    kept.run(2)
    assert said(kept, remote).size == 9
    assert commits(remote) == [f"{ORIGIN}: 9 leaves", f"{ORIGIN}: 6 leaves"]
    assert held(kept, remote) == (kept.archive / "log" / "checkpoint").read_bytes()
    found = standing(kept.archive / "log", Witnesses(witnesses=(witness(remote),)))
    assert found.told(kept.folder(2)) == "witnessed by 1 of 1"


def test_several_logs_share_a_branch(kept: Kept, remote: Path, tmp_path: Path) -> None:
    """Each has a file of its own, and neither takes the other's away."""
    from opslib.evidence import Log, LogSigner
    from opslib.evidence.events import RunStarted
    from opslib.evidence.witnesses import ask_all
    from tests.evidencing import BEGAN, key

    said(kept, remote)
    other = Log(tmp_path / "other" / "log", LogSigner("other.example/log", key(20)))
    other.append(RunStarted(time=BEGAN, run="x"))
    told = ask_all(tmp_path / "other", other, Witnesses(witnesses=(witness(remote),)))
    assert [one.status for one in told.witnesses] == [Status.OK]
    kept.run(2)
    assert said(kept, remote).status is Status.OK
    assert len(git(remote, "ls-tree", "-r", "--name-only", "opslib-heads").splitlines()) == 2


def test_a_log_that_was_cut_back_is_an_alarm(kept: Kept, remote: Path, tmp_path: Path) -> None:
    """Nothing is pushed, and what the remote holds is kept so that a verification names it."""
    shutil.copytree(kept.archive, tmp_path / "before")
    kept.run(2)
    said(kept, remote)
    shutil.rmtree(kept.archive)
    shutil.copytree(tmp_path / "before", kept.archive)
    assert verify_archive(kept.archive, kept.trusted(), audit()).sound
    found = said(kept, remote)
    assert found.status is Status.CRITICAL and "holds 9 leaves of this log, which now has 6" in found.text
    assert len(commits(remote)) == 1
    assert verify_archive(kept.archive, kept.trusted(), audit()).named() == {"truncated"}


def test_a_log_that_was_rewritten_is_an_alarm(kept: Kept, remote: Path) -> None:
    """With the stolen key of the log; read back and given to a verification, it is a fork."""
    said(kept, remote)
    rewritten(kept, 0, 1, 2, verdict="warning")
    report = verify_archive(kept.archive, kept.trusted(), audit(checkpoints=(held(kept, remote),)))
    assert report.named() == {"forked"}
    found = said(kept, remote)
    assert found.status is Status.CRITICAL and "it was rewritten" in found.text
    assert commits(remote) == [f"{ORIGIN}: 6 leaves"]


def test_a_branch_that_was_put_back_or_taken_away_is_an_alarm(kept: Kept, remote: Path) -> None:
    """Somebody else than the log has touched the remote."""
    said(kept, remote)
    kept.run(2)
    said(kept, remote)
    git(remote, "update-ref", "refs/heads/opslib-heads", git(remote, "rev-parse", "opslib-heads~"))
    found = said(kept, remote)
    assert found.status is Status.CRITICAL and "held 9 leaves and holds 6 now" in found.text
    git(remote, "update-ref", "-d", "refs/heads/opslib-heads")
    found = said(kept, remote)
    assert found.status is Status.CRITICAL and "its branch was taken away" in found.text


def test_a_head_that_our_log_never_signed_is_not_built_upon(kept: Kept, remote: Path) -> None:
    """Whoever may push there has put something else in its place."""
    said(kept, remote)
    other = Kept(kept.archive.parent / "other", seed=70)
    for number in range(3):
        other.run(number)
    tree = git(remote, "ls-tree", "-r", "--name-only", "opslib-heads")
    shutil.copy(other.archive / "log" / "checkpoint", remote / "strange")
    blob = git(remote, "hash-object", "-w", "strange")
    git(remote, "read-tree", "--empty")
    git(remote, "update-index", "--add", "--cacheinfo", f"100644,{blob},{tree}")
    commit = git(remote, "commit-tree", git(remote, "write-tree"), "-p", "opslib-heads", "-m", "x")
    git(remote, "update-ref", "refs/heads/opslib-heads", commit)
    found = said(kept, remote)
    assert found.status is Status.UNKNOWN and "is not signed with the key of this log" in found.text
    assert commits(remote)[0] == "x"


def test_a_push_that_is_refused_is_said_in_the_words_of_the_remote(kept: Kept, remote: Path) -> None:
    """And tried again the next time."""
    hook = remote / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(REFUSING)
    hook.chmod(0o755)
    found = said(kept, remote)
    assert found.status is Status.UNKNOWN and "heads are closed today" in found.text
    hook.unlink()
    assert said(kept, remote).status is Status.OK


def test_a_push_is_never_forced(kept: Kept, remote: Path) -> None:
    """Somebody else was faster: what they pushed stays, ours comes on top."""
    said(kept, remote)
    kept.run(2)
    repository = remotes._repository(witness(remote), kept.log)
    stale = repository.committed(b"x", "", "a history of its own")
    assert "non-fast-forward" in repository.pushed(stale) or "rejected" in repository.pushed(stale)
    assert said(kept, remote).status is Status.OK
    assert commits(remote) == [f"{ORIGIN}: 9 leaves", f"{ORIGIN}: 6 leaves"]


@pytest.mark.parametrize(
    ("place", "says"),
    [
        ("/nowhere/heads.git", "nowhere"),
        ("ext::sh -c true".replace(" ", "%20"), "not allowed"),
        ("http://127.0.0.1:9/heads.git", "git ls-remote"),
    ],
)
def test_a_remote_that_cannot_be_had_is_unknown(
    kept: Kept, place: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is asked for a password, and no command hides in an address, whatever git is set to allow."""
    (tmp_path / "config").write_text('[protocol "ext"]\nallow = always\n')
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "config"))
    found = said(kept, place)
    assert found.status is Status.UNKNOWN and says in found.text


def test_a_remote_that_never_answers_is_given_up(
    kept: Kept, remote: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A run of cron must not hang until the next one."""
    hanging = tmp_path / "ssh"
    hanging.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\nexec sleep 60\n")
    hanging.chmod(0o755)
    monkeypatch.setenv("GIT_SSH_COMMAND", str(hanging))
    monkeypatch.setattr("opslib.git.SECONDS", 2)
    found = said(kept, "somebody@example.invalid:heads.git")
    assert found.status is Status.UNKNOWN and "had no answer within" in found.text
    wait(lambda: not alive(tmp_path / "pid"))


def test_the_settings_of_whoever_runs_it_do_not_matter(
    kept: Kept, remote: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither hooks nor signing, nor being in the middle of a commit in another repository."""
    (tmp_path / "config").write_text(f"[core]\nhooksPath = {tmp_path}\n[commit]\ngpgSign = true\n")
    for name, value in (("CONFIG_GLOBAL", "config"), ("DIR", "elsewhere"), ("OBJECT_DIRECTORY", "objects")):
        monkeypatch.setenv(f"GIT_{name}", str(tmp_path / value))
    assert said(kept, remote).status is Status.OK and not (tmp_path / "objects").exists()
    monkeypatch.setenv("PATH", str(tmp_path))
    found = said(kept, remote)
    assert found.status is Status.UNKNOWN and found.text == "git is not installed on this machine"


def test_what_is_pushed_is_the_signed_head_and_nothing_else(kept: Kept, remote: Path) -> None:
    """Three lines and a signature: no name of a run leaves the machine."""
    said(kept, remote)
    note = Note.parse(held(kept, remote))
    assert Checkpoint.parse(note.text).size == 6 and len(note.signatures) == 1
    assert "run-0000" not in git(remote, "log", "-p", "opslib-heads")
