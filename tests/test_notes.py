"""Notes are added beside a record, which stays as it is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from opslib import masking
from opslib.archive.index import Index
from opslib.archive.notes import LONGEST, Notes
from opslib.errors import ArchiveError, UsageError
from tests import shop
from tests.kept import keep
from tests.test_cli import Shell
from tests.test_history import DAY


@pytest.fixture
def opslib(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """Command lines, in a project of the test's own with two runs."""
    (tmp_path / "project").mkdir()
    shop.build(tmp_path / "project", monkeypatch)
    monkeypatch.setenv("OPSLIB_ARCHIVE", str(tmp_path))
    monkeypatch.setenv("LOGNAME", "ana")
    keep(tmp_path, "1-first", DAY, system="shop")
    keep(tmp_path, "2-second", system="shop")
    return Shell(capsys)


def test_a_note_is_one_file_with_who_when_and_what(tmp_path: Path) -> None:
    """Readable in ten years without us."""
    note = Notes(tmp_path).add("a", "ana", " false alarm\n")
    (path,) = (tmp_path / "notes" / "a").iterdir()
    assert json.loads(path.read_text(encoding="utf-8")) == {
        "run_id": "a", "time": note.time, "actor": "ana", "text": "false alarm",
    }  # fmt: skip


def test_notes_are_added_and_come_in_their_order(tmp_path: Path) -> None:
    """Nothing is edited: a second thought is a second note."""
    notes = Notes(tmp_path)
    for text in ("one", "two", "three"):
        notes.add("a", "ana", text)
    notes.add("b", "bo", "other")
    assert [note.text for note in notes.of("a")] == ["one", "two", "three"]
    assert notes.of("c") == ()


@pytest.mark.parametrize("text", ["", " \n", "x" * (LONGEST + 1)])
def test_an_empty_note_and_a_book_are_refused(tmp_path: Path, text: str) -> None:
    """Nothing is written for them."""
    with pytest.raises(UsageError):
        Notes(tmp_path).add("a", "ana", text)
    assert not (tmp_path / "notes").exists()


def test_a_note_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    """In a sentence, with its place."""
    (tmp_path / "notes").write_text("a file", encoding="utf-8")
    with pytest.raises(ArchiveError, match="notes"):
        Notes(tmp_path).add("a", "ana", "text")


def test_a_note_that_cannot_be_read_is_told_in_its_place(tmp_path: Path) -> None:
    """Neither hidden, nor the end of the others; and no link is followed to somebody's own files."""
    Notes(tmp_path).add("a", "ana", "good")
    folder = tmp_path / "notes" / "a"
    for number, damage in enumerate((b"{", b"[]", b'{"time": 1, "actor": "x", "text": "y"}', b"\xff")):
        (folder / f"00-{number}.json").write_bytes(damage)
    (tmp_path / "private").write_text('{"time": "", "actor": "", "text": "stolen"}', encoding="utf-8")
    (folder / "00-9.json").symlink_to(tmp_path / "private")
    told = Notes(tmp_path).of("a")
    assert [note.readable for note in told] == [False] * 5 + [True]
    assert all(str(folder) in note.text for note in told[:5])
    assert "stolen" not in str(told)


def test_annotate_leaves_the_record_as_it_is(tmp_path: Path, opslib: Shell) -> None:
    """The note stands beside it, in show, report and history."""
    folder = Path(Index(tmp_path).get("1-first")["record"])
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert opslib("annotate", "1-f", "ticket <b>OPS-512</b>") == 0
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert opslib("show", "1-first") == 0 and "ticket <b>OPS-512</b> (ana, " in opslib.out
    assert opslib("report", "1-first", "--print") == 0
    assert opslib.out == f"{folder / 'run.html'}\n" and "OPS-512" in opslib.err
    assert opslib("history", "--json") == 0
    told = {run["run_id"]: [note["text"] for note in run["notes"]] for run in json.loads(opslib.out)["runs"]}
    assert told == {"2-second": [], "1-first": ["ticket <b>OPS-512</b>"]}
    assert opslib("history") == 0 and "NOTES" in opslib.out


def test_a_note_to_a_run_that_is_not_kept_is_refused(tmp_path: Path, opslib: Shell) -> None:
    """A typing error must not make a folder of its own."""
    assert opslib("annotate", "9", "text") == 64
    assert opslib("annotate", "../../x", "text") == 64
    assert not (tmp_path / "notes").exists()


def test_secrets_are_masked_in_notes_too(
    tmp_path: Path, opslib: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """People paste what they see."""
    monkeypatch.setattr(masking, "_registered", {"TOKEN": "tok-29fj20fj2"})
    assert opslib("annotate", "latest", "restarted with tok-29fj20fj2") == 0
    assert "tok-29fj20fj2" not in opslib.out
    (path,) = (tmp_path / "notes" / "2-second").iterdir()
    assert "[redacted:TOKEN]" in path.read_text(encoding="utf-8")
