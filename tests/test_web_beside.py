"""What the page of a run says besides its record: notes, approvals, its destruction, its witnesses."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from opslib.archive import since
from opslib.archive.index import Index
from opslib.archive.notes import Note, Notes
from opslib.cli.app import cli
from opslib.errors import UsageError
from opslib.evidence.events import Approval, ChangeBegun, Subject
from opslib.runner import deeds, notary
from opslib.web import seal
from opslib.web.beside import logged
from opslib.web.library import Library
from tests.browsing import asked, run, served
from tests.evidencing import BEGAN, Kept
from tests.kept import keep
from tests.test_disposal import disposed, kept

__all__ = ["kept"]
NEVER_READ = Path("/proc/self/mem")
RUN, CHANGED = "0-run", "1-changed"


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An archive of a sealed run, with a home of its own."""
    monkeypatch.setenv("OPSLIB_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("OPSLIB_PARAMETERS", str(tmp_path))
    keep(tmp_path / "archive", RUN, sealed=True)
    return tmp_path / "archive"


def note(archive: Path, text: str) -> Note:
    """Note something of the run, as the command does."""
    made = Notes(archive).add(RUN, "bo", text)
    deeds.noted(archive, made)
    return made


def page(archive: Path, name: str = RUN) -> str:
    """Return the page of a run."""
    with served(archive) as server:
        return run(server, name).text


def test_each_note_says_whether_it_is_what_was_logged(archive: Path) -> None:
    """One that somebody edited, and one that was slipped in, are shown as such."""
    first, second = note(archive, "a false alarm"), note(archive, "the pool was raised")
    Notes(archive).add(RUN, "eve", "slipped in")
    first.path.write_text(first.path.read_text().replace("false", "true"))
    items = page(archive).split("<li>")
    told = {text: next(item for item in items if text in item) for text in ("a true", "the pool", "slipped")}
    assert "edited since" in told["a true"] and "as it was logged" in told["the pool"]
    assert "the log does not know it" in told["slipped"] and second.path.exists()


def test_a_note_that_cannot_be_held_against_the_log_says_so(archive: Path) -> None:
    """It is neither as logged nor edited."""
    note(archive, "a false alarm")
    (archive / "log" / "checkpoint").write_text("nothing")
    shown = page(archive)
    assert "not held against the log" in shown and "as it was logged" not in shown


def test_who_approved_a_change_stands_on_its_page(archive: Path) -> None:
    """With what became of the file that they signed."""
    path = archive / "changes" / "aa" / "approval-1.json"
    path.parent.mkdir(parents=True)
    path.write_text("I agree")
    keep(archive, CHANGED, sealed=True, changed=[{"target": "a flag", "state": "done"}])
    name = path.relative_to(archive).as_posix()
    digest = "b0f0d8ff8cc965a7b70b07e0c6b4c028f132597196ae9c70c620cb9e41344106"
    approval = Approval(time=BEGAN, actor="<b>bo", plan="sha256:aa", subjects=(Subject(name, digest),))
    change = ChangeBegun(time=BEGAN, run=CHANGED, plan="sha256:aa", need="other")
    notary.log_of(archive).append(approval, change)
    shown = page(archive, CHANGED)
    assert "Approved by" in shown and "&lt;b&gt;bo" in shown and "edited since" in shown
    path.unlink()
    assert "what was signed is not there any more" in page(archive, CHANGED)
    assert "Approved by" not in page(archive)


@pytest.mark.skipif(not NEVER_READ.exists(), reason="only Linux has a plain file that root cannot read")
def test_what_cannot_be_read_is_not_verified_and_not_gone(archive: Path) -> None:
    """Neither the seal of a record nor a note beside it."""
    made = note(archive, "a false alarm")
    unread = logged(archive, {"run_id": RUN})
    for path in (made.path, next(archive.glob(f"runs/*/*/*/{RUN}/run.ipynb"))):
        path.unlink()
        path.symlink_to(NEVER_READ)
    assert unread.state(made.path) == "what was signed cannot be read here"
    shown = page(archive)
    assert "<b>not verified</b>" in shown and "run.ipynb cannot be read" in shown


def test_a_run_that_was_destroyed_says_so(kept: Kept) -> None:
    """By which rule, when and by whom; there is nothing to open or to compare, and notes stay."""
    Notes(kept.archive).add("run-0000", "bo", "a false alarm")
    disposed(kept)
    with served(kept.archive) as server:
        shown = run(server, "run-0000").text
        report = run(server, "run-0000", "/report")
        compared = asked(server, "/diff?before=run-0000&after=run-0003")
    assert "Its content was destroyed" in shown and "cannot be read" not in shown
    assert "the log says so, too: under ops-30d: 30 days, by " in shown and "a false alarm" in shown
    assert "Whole report" not in shown
    for answer in (report, compared):
        assert answer.status == 400 and "was destroyed" in answer.text and "under ops-30d" in answer.text


def test_what_only_says_that_it_was_destroyed_is_not_sound(kept: Kept) -> None:
    """Whoever may write into the archive can put that file there."""
    disposed(kept)
    left = (kept.folder(0) / "disposed.json").read_text()
    folder = kept.folder(3)
    (folder / "disposed.json").write_text(left.replace("run-0000", "run-0003"))
    (folder / "run.json").unlink()
    (kept.archive / "index.sqlite").unlink()
    shown = page(kept.archive, "run-0003")
    assert "<b>not sound</b>" in shown and "the log says nothing of it" in shown


def test_a_run_that_was_destroyed_is_compared_with_nothing(kept: Kept) -> None:
    """No finding has gone that nobody knows any more."""
    disposed(kept)
    index = Index(kept.archive)
    words = ["--archive", str(kept.archive)]
    for command in (["diff", "run-0000", "run-0003"], ["report", "run-0000", "--print"]):
        with pytest.raises(UsageError, match="was destroyed"):
            cli.main([*command, *words], standalone_mode=False)
    with pytest.raises(UsageError, match=r"was destroyed .* under ops-30d: 30 days"):
        cli.main(["verify", "run-0000", *words], standalone_mode=False)
    assert (
        "was destroyed"
        in since.compared(index, {**index.get("run-0001"), "started_at": "2026-11-21T03:30:00.000Z"}).fault
    )
    assert cli.main(["annotate", "run-0000", "seen again", *words], standalone_mode=False) == 0
    assert not index.search(("seen",))


def test_the_badge_says_by_how_many_a_record_is_witnessed(archive: Path) -> None:
    """Where witnesses are named."""
    for told in ("witnessed by 1 of 2", None):
        document = Index(archive).get(RUN)
        words = {Path(document["record"]): told}
        library = Library(archive, partial(notary.own_trust, archive), (), words.get)
        known = library.kept(document)
        badge = seal.badge(known, library, partial(logged, archive, known.document))
        assert badge.word == "sealed" and badge.told[1:] == ((told,) if told else ())
