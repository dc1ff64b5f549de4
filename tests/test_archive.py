"""The archive: a whole record or none, and an index that can always be made again."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from opslib.archive import record, store
from opslib.archive.index import Index
from opslib.errors import ArchiveError, DiskFull, UnknownName

STARTED = datetime(2026, 11, 21, 3, 4, 5, tzinfo=UTC)
FILES = {"run.ipynb": b"{}", "run.html": b"<p>", "run.json": b"{}"}
ROOT = Path(__file__).parents[1]
WITHOUT_ROOM = """
import datetime, pathlib, resource, signal, sys
from opslib.archive import store
from opslib.errors import OpsError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    store.publish(pathlib.Path(sys.argv[1]), "x", datetime.datetime.now(), {"run.ipynb": b"x" * 9999})
except OpsError as error:
    print(type(error).__name__)
    sys.exit(error.exit_code)
"""
DIE_WHILE_WRITING = """
import datetime, os, pathlib, sys
from opslib.archive import store
store.sync = lambda folder: os._exit(9)
whole = pathlib.Path(sys.argv[2]).read_bytes()
store.publish(pathlib.Path(sys.argv[1]), "half", datetime.datetime(2026, 11, 21), {"run.json": whole})
"""
WRITE = """
import pathlib, sys
from tests.test_archive import keep
for number in range(8):
    keep(pathlib.Path(sys.argv[1]), f"{sys.argv[2]}-{number}")
"""


def keep(archive: Path, run_id: str, hour: int = 3, **told: Any) -> Path:
    """Put a record into an archive and into its index; return its folder."""
    document = {
        "run_id": run_id, "procedure": "site-down", "system": "kulti", "environment": "production",
        "verdict": "ok", "cause": None, "causes": [], "findings": [], "next": [], "plan": None, "changed": [],
        "started_at": f"2026-11-21T{hour:02d}:00:00.000Z", "finished_at": f"2026-11-21T{hour:02d}:00:02.000Z",
        "duration_s": 2.0, **told,
    }  # fmt: skip
    origin = {
        "parameters": {}, "trigger": "manual", "scheduled_for": None, "secrets": [], "actor": "ana",
        "actor_type": "User", "host": "here", "versions": {}, "masked": {},
        "source": {"name": "x.ipynb", "sha256": "0", "commit": None, "dirty": None}, **told,
    }  # fmt: skip
    stated = record.statement(record.predicate(document, origin, []), {"run.html": b"<p>"})
    folder = store.publish(archive, run_id, STARTED, {**FILES, "run.json": record.encode(stated)})
    Index(archive).add(record.document(stated, folder), folder)
    return folder


def ids(archive: Path, **filters: Any) -> list[str]:
    """Return the ids of the runs that the index finds, the newest first."""
    return [found["run_id"] for found in Index(archive).find(**filters)]


def files(archive: Path) -> set[str]:
    """Return the names of all files below an archive, but for locks."""
    return {path.name for path in archive.rglob("*") if path.is_file() and path.suffix != ".lock"}


def test_a_record_is_found_by_the_day_on_which_it_began(tmp_path: Path) -> None:
    """A person with a file browser needs no index."""
    folder = store.publish(tmp_path / "new" / "archive", "x", STARTED, FILES)
    assert folder == tmp_path / "new" / "archive" / "runs" / "2026" / "11" / "21" / "x"
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == FILES
    assert [path.name for path in folder.parent.iterdir()] == ["x"]


def test_a_record_that_is_there_is_never_written_again(tmp_path: Path) -> None:
    """Evidence does not change."""
    store.publish(tmp_path, "x", STARTED, FILES)
    folder = store.publish(tmp_path, "x", STARTED, {"run.ipynb": b"other"})
    assert (folder / "run.ipynb").read_bytes() == FILES["run.ipynb"]


def test_a_full_disk_is_said_in_a_sentence_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    """No traceback, no half record: code 3, and the next step."""
    words = [sys.executable, "-c", WITHOUT_ROOM, str(tmp_path / "archive")]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (DiskFull.exit_code, "DiskFull"), done.stderr
    assert not files(tmp_path / "archive")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 kB, where this user may mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    words = [str(mount), "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if not mount or os.geteuid() or subprocess.run(words, capture_output=True, check=False).returncode:
        pytest.skip("this user cannot mount a small disk here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_really_is_full_keeps_the_records_that_it_has(small_disk: Path) -> None:
    """The one before is whole, of the one that did not fit nothing is there."""
    archive = small_disk / "archive"
    store.publish(archive, "first", STARTED, FILES)
    with pytest.raises(DiskFull) as raised:
        store.publish(archive, "second", STARTED, {**FILES, "run.html": b"x" * 90_000})
    assert str(archive) in raised.value.message and "space" in raised.value.hint
    assert files(archive) == set(FILES)
    store.publish(archive, "third", STARTED, FILES)


def test_a_disk_without_room_is_told_before_anything_is_started(small_disk: Path) -> None:
    """Not even the file with which the room was tried is left."""
    archive = small_disk / "archive"
    archive.mkdir()
    (small_disk / "filler").write_bytes(b"x" * 61_440)
    with pytest.raises(DiskFull) as raised:
        store.check(archive)
    assert "nothing was started" in raised.value.hint
    assert not files(archive)


def test_what_a_killed_process_was_writing_is_no_record(tmp_path: Path) -> None:
    """Whole or not: it was not in place, so it is not in the index, and the next attempt takes its place."""
    whole = keep(tmp_path, "whole") / "run.json"
    words = [sys.executable, "-c", DIE_WHILE_WRITING, str(tmp_path), str(whole)]
    assert subprocess.run(words, cwd=ROOT, check=False).returncode == 9
    assert len(list(tmp_path.rglob("run.json"))) == 2
    assert Index(tmp_path).rebuild() == 1
    store.publish(tmp_path, "half", STARTED, FILES)
    assert sorted(path.name for path in whole.parents[1].iterdir()) == ["half", "whole"]


def test_an_archive_that_is_a_file_is_named(tmp_path: Path) -> None:
    """Reading and writing say the same."""
    place = tmp_path / "archive"
    place.write_text("not a folder")
    for ask in (lambda: store.check(place), Index(place).find, Index(place).rebuild):
        with pytest.raises(ArchiveError) as raised:
            ask()
        assert str(place) in raised.value.message and raised.value.exit_code == 64


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    """An archive with one record and no index that nobody can write to: a mount for root, else a mode."""
    archive = tmp_path / "archive"
    keep(archive, "kept")
    (archive / "index.sqlite").unlink()
    if os.geteuid():
        (archive / "runs").chmod(0o500)
        archive.chmod(0o500)
        yield archive
        archive.chmod(0o700)
        (archive / "runs").chmod(0o700)
        return
    bound = ["mount", "--bind", str(archive), str(archive)]
    if not shutil.which("mount") or subprocess.run(bound, capture_output=True, check=False).returncode:
        pytest.skip("this root cannot mount here")
    subprocess.run(["mount", "-o", "remount,ro,bind", str(archive)], check=True)
    yield archive
    subprocess.run(["umount", str(archive)], check=True)


def test_an_archive_that_cannot_be_written_is_said_before_a_run_and_can_still_be_read(
    read_only: Path,
) -> None:
    """An auditor has a copy on a medium that nobody can change."""
    with pytest.raises(ArchiveError) as raised:
        store.check(read_only)
    assert str(read_only) in raised.value.message and "--archive" in raised.value.hint
    assert ids(read_only) == ["kept"]
    assert files(read_only) == set(FILES)


def test_an_archive_that_cannot_be_written_is_read_once_for_all_questions(
    read_only: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A report asks a dozen questions; reading a year of records for each would take the night."""
    read: list[Path] = []

    def records(archive: Path) -> list[Path]:
        read.append(archive)
        return []

    monkeypatch.setattr(store, "records", records)
    index = Index(read_only)
    assert (index.find(), index.counts(), index.unreadable()) == ([], {}, [])
    assert read == [read_only]
    assert Index(read_only).find() == [] and len(read) == 2


def test_asking_an_archive_that_is_not_there_finds_nothing_and_makes_nothing(tmp_path: Path) -> None:
    """`opslib history` in the wrong folder must not leave an archive behind."""
    assert ids(tmp_path / "archive") == []
    assert not (tmp_path / "archive").exists()


def test_the_index_finds_by_what_was_looked_at_and_when(tmp_path: Path) -> None:
    """The newest first."""
    keep(tmp_path, "a", 3)
    keep(tmp_path, "b", 5, system="klutr", verdict="critical")
    keep(tmp_path, "c", 4, environment="sandbox", procedure="health-check")
    assert ids(tmp_path) == ["b", "c", "a"]
    assert ids(tmp_path, system="klutr", verdict="critical") == ["b"]
    assert ids(tmp_path, procedure="health-check", environment="sandbox") == ["c"]
    assert ids(tmp_path, since="2026-11-21T04:00:00Z") == ["b", "c"]
    assert ids(tmp_path, limit=1) == ["b"]


def test_a_run_is_found_by_the_beginning_of_its_id_if_that_is_clear(tmp_path: Path) -> None:
    """Nobody types thirty-six characters; nobody wants the wrong run either."""
    keep(tmp_path, "019a-1", 3)
    keep(tmp_path, "019b-2", 4)
    index = Index(tmp_path)
    assert index.get("019a")["run_id"] == "019a-1"
    assert index.get("latest")["run_id"] == "019b-2"
    for unclear, words in (("019", "more than one"), ("x", "no run"), ("019_", "no run"), ("%", "no run")):
        with pytest.raises(UnknownName, match=words):
            index.get(unclear)


def test_adding_a_run_twice_changes_nothing(tmp_path: Path) -> None:
    """A sweep may do again what a killed process had done already."""
    folder = keep(tmp_path, "a")
    document = Index(tmp_path).get("a")
    Index(tmp_path).add({**document, "verdict": "critical"}, folder)
    assert [found["verdict"] for found in Index(tmp_path).find()] == ["ok"]


def test_an_archive_that_was_moved_says_where_its_records_are_now(tmp_path: Path) -> None:
    """Paths are not part of a record."""
    keep(tmp_path / "old", "a")
    (tmp_path / "old").rename(tmp_path / "new")
    found = Index(tmp_path / "new").get("a")["record"]
    assert Path(found).is_dir() and str(tmp_path / "new") in found


def overwritten(path: Path, begin: int, words: bytes = b"\xff") -> None:
    """Destroy a file from a position on."""
    content = path.read_bytes()
    path.write_bytes(content[:begin] + words * len(content[begin:]))


def foreign(path: Path) -> None:
    """Put somebody else's database, with the same version number, in the place of the index."""
    path.unlink()
    with sqlite3.connect(path) as database:
        database.execute("create table run (other text)")
        database.execute("pragma user_version = 1")
    database.close()


def older(path: Path) -> None:
    """Make the index one of another version."""
    with sqlite3.connect(path) as database:
        database.execute("pragma user_version = 0")
    database.close()


DAMAGES: dict[str, Callable[[Path], None]] = {
    "missing": Path.unlink,
    "empty": lambda path: os.truncate(path, 0),
    "a text": lambda path: overwritten(path, 0, b"hello "),
    "broken from its second page on": lambda path: overwritten(path, 4096),
    "broken at its beginning": lambda path: overwritten(path, 0),
    "cut off": lambda path: os.truncate(path, 5000),
    "somebody else's": foreign,
    "of another version": older,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_an_index_that_cannot_be_used_is_made_again_from_the_records(tmp_path: Path, damage: str) -> None:
    """For who asks and for who adds: an index is a convenience, the records are the truth."""
    keep(tmp_path, "a", 3)
    keep(tmp_path, "b", 4, verdict="critical")
    DAMAGES[damage](tmp_path / "index.sqlite")
    assert ids(tmp_path) == ["b", "a"]
    DAMAGES[damage](tmp_path / "index.sqlite")
    keep(tmp_path, "c", 5)
    assert ids(tmp_path, verdict="ok") == ["c", "a"]


def test_a_damaged_record_is_named_when_the_index_is_made_again(tmp_path: Path) -> None:
    """Leaving it out without a word would hide a run; stopping there would hide all the others."""
    keep(tmp_path, "a")
    bad = keep(tmp_path, "b") / "run.json"
    bad.write_text("{}")
    assert Index(tmp_path).rebuild() == 1
    ((named, why),) = Index(tmp_path).unreadable()
    assert named == bad and "not a record of opslib" in why
    assert ids(tmp_path) == ["a"]


def test_a_record_in_the_folder_of_another_run_is_named(tmp_path: Path) -> None:
    """Two records that were swapped must not be shown under each other's name."""
    folder = keep(tmp_path, "a")
    folder.rename(folder.with_name("b"))
    assert Index(tmp_path).rebuild() == 0
    assert "run a" in Index(tmp_path).unreadable()[0][1]


def test_a_run_that_could_not_be_added_is_in_the_index_of_who_asks_next(tmp_path: Path) -> None:
    """Somebody's long backup held the index; the record is safe, and must not be missing for ever."""
    keep(tmp_path, "a", 3)
    place = tmp_path / "index.sqlite"
    place.unlink()
    place.mkdir()
    keep(tmp_path, "b", 4)
    with pytest.raises(ArchiveError):
        Index(tmp_path).find()
    place.rmdir()
    assert ids(tmp_path) == ["b", "a"]
    assert files(tmp_path) == {*FILES, "index.sqlite"}


def test_many_writers_and_a_rebuild_at_once_lose_nothing(tmp_path: Path) -> None:
    """A routine, a schedule and a person at a terminal share one archive."""
    words = [sys.executable, "-c", WRITE, str(tmp_path)]
    writers = [subprocess.Popen([*words, name], cwd=ROOT) for name in "abcd"]
    # As long as all write: a last rebuild, after the last record, would find what had been lost.
    while all(writer.poll() is None for writer in writers):
        Index(tmp_path).rebuild()
        ids(tmp_path)
    assert [writer.wait() for writer in writers] == [0, 0, 0, 0]
    assert len(ids(tmp_path, limit=999)) == 4 * 8
