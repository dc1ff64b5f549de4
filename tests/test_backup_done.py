"""Whoever asks for a backup gets one, is told its name, and is told what was removed."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from opslib import catalog, config, ids
from opslib.backup import manifest
from opslib.backup.store import MANIFEST
from opslib.backup.store import of as store_of
from opslib.sandbox import control
from tests.acting import ROOT, perform, ready

SYSTEM = "kulti"


@pytest.fixture
def archive(signer: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An archive in the running sandbox, with backups of some nights."""
    ready(monkeypatch, tmp_path)
    control.backups(SYSTEM)
    return tmp_path


def finding(document: dict[str, Any], check: str) -> dict[str, str]:
    """Return the one finding of a check."""
    (found,) = [one for one in document["findings"] if one["check"] == check]
    return dict(found)


def test_where_one_is_to_be_taken_the_command_takes_it_and_says_its_name(archive: Path) -> None:
    """A person at night pastes what stands there, and believes the OK that follows."""
    kept = store_of(config.load_system(SYSTEM).environment("sandbox"))
    control.break_("backup-truncated", SYSTEM)
    told, before = perform("backup-check", SYSTEM, archive), kept.ids()
    (step,) = [one for one in told["next"] if one["procedure"] == "backup"]
    given = {k: v for k, v in step["parameters"].items() if k not in ("system", "environment")}
    found = finding(perform("backup", SYSTEM, archive, **given), "taken")
    assert (found["status"], [found["subject"]]) == ("ok", [x for x in kept.ids() if x not in before])
    assert " rows of " in found["observed"]


def test_who_does_not_ask_for_one_is_told_that_none_was_taken(archive: Path) -> None:
    """And how to take one; the README has that command, too."""
    found = finding(perform("backup", SYSTEM, archive), "taken")
    assert found["status"] == "skipped" and "none was taken" in found["why"]
    assert "opslib run backup --system kulti --env sandbox -p take=true" in found["why"]
    assert catalog.load(ROOT / "notebooks").get("backup").command == "opslib run backup -p take=true"
    assert "opslib run backup -p take=true" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_what_was_removed_is_named_and_what_could_not_be_is_a_warning(archive: Path) -> None:
    """Backups that are gone stand in no list any more: the record of the run is all that tells."""
    control.break_("backup-stale", SYSTEM)
    kept = store_of(config.load_system(SYSTEM).environment("sandbox"))
    old = kept.ids()[1]
    strange = manifest.read(kept.manifest(old), old)
    (kept.folder(old) / MANIFEST).write_text("{")
    assert ids.now() - strange.taken_at > timedelta(days=1)
    before = set(kept.ids())
    found = finding(perform("backup", SYSTEM, archive, take=True, retire=True), "retired")
    gone = before - set(kept.ids())
    assert gone and found["observed"].startswith(f"{len(gone)} removed; {len(kept.ids())} kept, 1 to look at")
    assert found["status"] == "warning" and old in found["why"]


def test_nothing_is_removed_without_a_new_one_and_that_is_said(archive: Path) -> None:
    """Whoever asks for it sees that it was not done."""
    found = finding(perform("backup", SYSTEM, archive, retire=True), "retired")
    assert found["status"] == "skipped" and "nothing was removed" in found["why"]
