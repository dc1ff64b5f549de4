"""What cannot be read is neither sound nor gone: nobody knows."""

from __future__ import annotations

import os
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from opslib.cli.verifying import status_of
from opslib.errors import ArchiveError
from opslib.evidence import Report, disposing, verify_archive, verify_record
from opslib.evidence.exported import verify_export
from opslib.evidence.exporting import Asked, export
from opslib.evidence.population import Extent
from opslib.evidence.verifier import main
from opslib.verdict import Status
from tests.attacks import approval_of, bundle, hashes, note_of
from tests.besides import approve, begin
from tests.evidencing import Kept, audit, later
from tests.test_export import keys

NOBODY = 65_534
EXTENT = Extent("CC7.4", ("site-down",), later(0), later(7))
PLAN = f"sha256:{'ab' * 32}"


@pytest.fixture
def kept() -> Iterator[Kept]:
    """An archive in a folder that others may look into."""
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        made = Kept(Path(place) / "archive")
        for number in range(6):
            made.run(number)
        yield made


@contextmanager
def as_somebody_else() -> Iterator[None]:
    """Root reads everything; whoever is not, looks at what is closed to all."""
    if os.geteuid():
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@contextmanager
def closed(path: Path) -> Iterator[None]:
    """Close a file or folder to everybody."""
    before = path.stat().st_mode
    path.chmod(0)
    try:
        with as_somebody_else():
            yield
    finally:
        path.chmod(before)


def verified(kept: Kept) -> Report:
    """Verify it as an auditor does."""
    return verify_archive(kept.archive, kept.trusted(), audit())


def sent_back(kept: Kept) -> Path:
    """Return the one head that a witness has cosigned."""
    kept.cosign(later(6))
    (path,) = (kept.archive / "log" / "cosigned").iterdir()
    return path


CLOSED: dict[str, Callable[[Kept], Path]] = {
    "a notebook": lambda kept: kept.folder(1) / "run.ipynb",
    "an envelope": lambda kept: kept.folder(1) / "run.dsse.json",
    "a proof": lambda kept: kept.folder(1) / "run.tlog-proof",
    "a folder of a day": lambda kept: kept.folder(1).parent,
    "the blobs": lambda kept: kept.archive / "blobs",
    "the leaves": bundle,
    "the hashes": hashes,
    "the head": lambda kept: kept.archive / "log" / "checkpoint",
    "a head that a witness has sent back": lambda kept: sent_back(kept),
    "an approval": approval_of,
    "a note": note_of,
}


@pytest.mark.parametrize("what", CLOSED)
def test_what_cannot_be_read_is_unknown_and_not_deleted(what: str, kept: Kept) -> None:
    """To somebody without the right to look, all would else seem to have been destroyed."""
    path = CLOSED[what](kept)
    assert verified(kept).sound
    with closed(path):
        report = verified(kept)
    assert {str(one.kind) for one in report.findings} == {"unreadable"}
    assert all("permission denied" in one.text for one in report.findings)
    assert not report.sound and report.unknown and report.named() == set()
    assert status_of(report) is Status.UNKNOWN
    assert verified(kept).sound


def test_what_is_gone_is_deleted_still(kept: Kept) -> None:
    """Also where a folder, or a link that leads nowhere, stands in its place; and a fault outweighs it."""
    notebook, page, envelope = (kept.folder(1) / name for name in ("run.ipynb", "run.html", "run.dsse.json"))
    for path in (notebook, page, envelope):
        path.unlink()
    page.symlink_to(page)
    envelope.mkdir()
    with closed(kept.folder(2) / "run.ipynb"):
        report = verified(kept)
    gone = [one.text for one in report.findings if one.kind == "deleted"]
    assert len(gone) == 3 and all(text.endswith("is not there") for text in gone)
    assert report.named() == {"deleted"} and status_of(report) is Status.CRITICAL


def test_a_folder_that_cannot_be_listed_may_hide_something(kept: Kept) -> None:
    """Its files are as sealed; what else lies there nobody knows."""
    folder = kept.folder(1)
    folder.chmod(0o111)
    with as_somebody_else():
        report = verified(kept)
    folder.chmod(0o755)
    assert [one.text for one in report.findings] == ["its folder cannot be looked into: permission denied"]


def test_nothing_is_destroyed_by_a_log_that_cannot_be_read(kept: Kept) -> None:
    """It might say that there is a hold."""
    with closed(hashes(kept)), pytest.raises(ArchiveError, match="cannot be read"):
        disposing.read_story(kept.archive, kept.trusted())


def test_an_export_whose_list_cannot_be_read_is_unknown(kept: Kept) -> None:
    """It was not edited, as far as anybody knows."""
    folder = kept.archive.parent / "auditor"
    made = export(kept.archive, kept.archive.parent / "x.zip", Asked(EXTENT), keys(kept))
    with zipfile.ZipFile(made.path) as packed:
        packed.extractall(folder)
    assert verify_export(folder, kept.trusted(), audit()).sound
    for name in ("export.dsse.json", "index.html"):
        with closed(folder / name):
            report = verify_export(folder, kept.trusted(), audit())
        assert [str(one.kind) for one in report.findings] == ["unreadable"], name


def test_one_record_whose_proof_cannot_be_read_is_unknown(kept: Kept) -> None:
    """It may be as good as any."""
    with closed(kept.folder(1) / "run.tlog-proof"):
        report = verify_record(kept.folder(1), kept.trusted(), audit())
    assert report.unknown and [str(one.kind) for one in report.findings] == ["unreadable"]


def test_whether_a_change_was_approved_may_be_unknown(kept: Kept) -> None:
    """Who cannot read what was signed cannot say that nobody has."""
    path = approve(kept, PLAN, at=later(6))
    begin(kept, 7, PLAN, at=later(7))
    with closed(path):
        report = verify_archive(kept.archive, kept.trusted(), audit(since=later(6.5)))
    assert [(str(one.kind), one.subject) for one in report.findings] == [("unreadable", "run-0007")]


def test_the_script_ends_with_3(kept: Kept, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither sound nor not sound."""
    kept.write_keys()
    with closed(kept.folder(1) / "run.ipynb"):
        assert main([str(kept.archive)]) == 3
    assert capsys.readouterr().out.startswith("UNKNOWN: 6 records")


def test_what_cannot_be_read_is_not_left_out_of_an_export(kept: Kept) -> None:
    """The auditor would be told that it is gone."""
    target = kept.archive.parent / "x.zip"
    kept.archive.parent.chmod(0o777)
    with closed(kept.folder(1) / "run.html"), pytest.raises(ArchiveError, match=r"run\.html: cannot be read"):
        export(kept.archive, target, Asked(EXTENT), keys(kept))
    assert not target.exists()
