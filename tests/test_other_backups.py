"""The vendor's own backups, and the code's remote: what they would be worth on the day."""

from __future__ import annotations

import socket
import subprocess
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest

from opslib import config, frames, ids
from opslib.backup import code
from opslib.checks import other_backups
from opslib.checks.point_in_time import Reach
from opslib.config import Limit
from opslib.config.environment import Environment
from opslib.errors import NotNamed, SourceError
from opslib.run.backups import CODE, BackupSource
from opslib.vendors.supabase import BACKUPS
from opslib.verdict import Finding, Status

HOURS = Limit(warning=20, critical=1, unit="h")
AGE = Limit(warning=26, critical=50, unit="h")
KLUTR, VOICE = config.load_system("klutr"), config.load_system("voiceaitraining")


def reach(hours: float, vendor: str = "supabase") -> Reach:
    """Return a window that ends now."""
    now = ids.now()
    return Reach(vendor, "p", "", "ACTIVE_HEALTHY", now - timedelta(hours=hours), now)


def nights(*ages: float, status: str = "COMPLETED") -> pd.DataFrame:
    """Return daily backups, so many hours old."""
    rows = [(1, True, status, pd.Timestamp(ids.now() - timedelta(hours=age))) for age in ages]
    return pd.DataFrame(rows, columns=list(BACKUPS))


OFF = Reach("supabase", "p", "", "ACTIVE_HEALTHY")


def seen(found: Finding) -> tuple[Status, str]:
    """Return status and cause of a finding."""
    return found.status, found.cause.id if found.cause else ""


def test_a_window_of_minutes_is_not_a_backup() -> None:
    """A plan that was made smaller takes the past away without a word."""
    assert seen(other_backups.window(reach(160), HOURS)) == (Status.OK, "")
    assert seen(other_backups.window(reach(6), HOURS)) == (Status.WARNING, "vendor-window-short")
    assert seen(other_backups.window(reach(0.2, "neon"), HOURS)) == (Status.CRITICAL, "vendor-window-short")
    assert seen(other_backups.window(OFF, HOURS)) == (Status.SKIPPED, "")


def test_without_a_log_the_daily_backups_count_and_only_those_that_were_completed() -> None:
    """One that failed last night is none."""
    assert seen(other_backups.newest(reach(9), nights(), AGE)) == (Status.OK, "")
    assert seen(other_backups.newest(OFF, nights(20, 44), AGE)) == (Status.OK, "")
    assert seen(other_backups.newest(OFF, nights(80, 104), AGE)) == (Status.CRITICAL, "vendor-backup-stale")
    failed = pd.concat([nights(2, status="FAILED"), nights(30)])
    assert seen(other_backups.newest(OFF, failed, AGE)) == (Status.WARNING, "vendor-backup-stale")
    for none in (nights(), nights(2, status="FAILED")):
        assert seen(other_backups.newest(OFF, none, AGE)) == (Status.CRITICAL, "vendor-backups-off")
    assert other_backups.newest(reach(9, "neon"), nights(), AGE).status is Status.SKIPPED


def test_a_log_that_no_longer_moves_is_an_old_backup() -> None:
    """The add-on is on, and nothing has reached the archive for days."""
    stuck = replace(reach(200), latest=ids.now() - timedelta(hours=70))
    assert seen(other_backups.newest(stuck, nights(), AGE)) == (Status.CRITICAL, "vendor-backup-stale")


def test_an_add_on_that_the_runbook_counts_on_must_be_on() -> None:
    """Whoever reads the runbook at night relies on it."""
    assert other_backups.promised(reach(9), VOICE).status is Status.OK
    off = other_backups.promised(OFF, VOICE)
    assert seen(off) == (Status.WARNING, "point-in-time-off") and "Recovery Procedures" in off.why
    assert off.cause and "keeps no backups" not in off.cause.text, "the daily ones may be there"
    assert other_backups.promised(OFF, config.load_system("your-backend")).status is Status.SKIPPED


def test_a_vendor_that_cannot_be_asked_is_unknown_and_none_is_skipped() -> None:
    """Neither is a backup that is young."""
    blind = Reach("supabase", reason="supabase refuses the token")
    unseen = frames.unavailable(BACKUPS, "supabase refuses the token")
    found = [
        other_backups.window(blind, HOURS), other_backups.newest(blind, unseen, AGE),
        other_backups.newest(OFF, unseen, AGE), other_backups.promised(blind, VOICE),
        *other_backups.code(frames.unavailable(CODE, "no answer"), KLUTR),
    ]  # fmt: skip
    assert {one.status for one in found} == {Status.UNKNOWN}
    nobody = Reach(reason="names neither", absent=True)
    found = [other_backups.window(nobody, HOURS), other_backups.newest(nobody, unseen, AGE)]
    assert {one.status for one in found} == {Status.SKIPPED}


def git(folder: Path, *words: str) -> None:
    """Run git in a folder."""
    who = ("-c", "user.name=a", "-c", "user.email=a@localhost")
    subprocess.run(["git", *who, "-C", str(folder), *words], check=True, capture_output=True)


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    """A bare repository with a branch and two tags."""
    work, bare = tmp_path / "work", tmp_path / "remote.git"
    work.mkdir()
    git(work, "init", "-q", "-b", "main")
    git(work, "commit", "-q", "--allow-empty", "-m", "first")
    git(work, "tag", "v1.9.0")
    git(work, "tag", "-a", "v1.10.0", "-m", "second")
    git(work, "clone", "-q", "--bare", str(work), str(bare))
    return bare


def environment(remote: str) -> Environment:
    """Return an environment whose code is at a remote."""
    env = KLUTR.environment("production")
    access = replace(env.vendors["github"], settings={"remote": remote})
    return replace(env, vendors={**env.vendors, "github": access})


def test_the_remote_answers_and_its_releases_are_tagged(remote: Path) -> None:
    """Tags are in the order of versions, and an annotated one counts once."""
    assert code.listed(str(remote)) == code.Listed(("main",), ("v1.10.0", "v1.9.0"))
    found = other_backups.code(BackupSource(environment(str(remote)), "x", "run").code(), KLUTR)
    assert [one.status for one in found] == [Status.OK, Status.OK] and "v1.10.0" in found[1].observed


def test_releases_that_are_not_tagged_are_missed_where_the_runbook_tags_them(remote: Path) -> None:
    """Elsewhere nobody said so."""
    for tag in ("v1.9.0", "v1.10.0"):
        git(remote, "tag", "-d", tag)
    listed = BackupSource(environment(str(remote)), "x", "run").code()
    assert seen(other_backups.code(listed, KLUTR)[1]) == (Status.WARNING, "release-tags-missing")
    assert len(other_backups.code(listed, VOICE)) == 1


@pytest.mark.parametrize("text", ["/nowhere/at/all.git", "ext::sh -c touch% /tmp/opslib-was-run", "--help"])
def test_a_remote_that_is_none_is_unknown_and_runs_nothing(text: str, tmp_path: Path) -> None:
    """An address is not a command."""
    listed = BackupSource(environment(text), "x", "run").code()
    assert other_backups.code(listed, KLUTR)[0].status is Status.UNKNOWN
    assert not Path("/tmp/opslib-was-run").exists()


def test_a_remote_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A morning's list must not wait for it."""
    monkeypatch.setattr("opslib.git.SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(SourceError, match="no answer"):
        code.listed(f"http://127.0.0.1:{silent.getsockname()[1]}/x.git")


def test_a_rehearsal_asks_nothing_outside() -> None:
    """Also where the system's file names a repository."""
    env = environment("https://github.com/acme/klutr.git")
    assert code.remote_of(env).endswith("klutr.git")
    with pytest.raises(NotNamed):
        code.remote_of(replace(env, name="sandbox"))
    named = replace(env.vendors["github"], settings={"repository": "acme/klutr"})
    found = code.remote_of(replace(env, vendors={"github": named}))
    assert found == "https://github.com/acme/klutr.git"
