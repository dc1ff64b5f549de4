"""What an auditor gets of all that a log holds: approvals, notes, the schedule, keys that were replaced."""

from __future__ import annotations

import base64
import json
import shutil
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from opslib.evidence import Trust, trust
from opslib.evidence.events import Hold, Planned, ScheduleChanged, SlotSkipped, encode_event
from opslib.evidence.exporting import Asked, Export, Keys, export
from opslib.evidence.findings import Scope
from opslib.evidence.many import verify_many
from opslib.evidence.population import Extent
from opslib.evidence.verifier import verified_folder
from tests.besides import RUNNER, annotate, approve, begin, replaced
from tests.evidencing import BEGAN, SLOT, Kept, key, later
from tests.test_export import (
    GIVEN,
    browser,
    edit,
    kinds_on,
    opened,
    resigned,
    rows,
    said,
    zipped,
)  # fmt: skip

__all__ = ["browser"]
HOURLY = Planned(SLOT, "site-down", "kulti", "production", "0 * * * *", "UTC", "30")
OTHER = Planned("other", "vendor-status", "kulti", "production", "0 * * * *", "UTC", "30")
EXTENT = Extent("CC7.4", ("site-down",), BEGAN, later(7.5))
SHORTER = Extent("CC7.4", ("site-down",), BEGAN, later(7))  # without the moment that was missed
PLAN, UNDO, ELSE = "sha256:aa", "sha256:bb", "sha256:ee"


def every_hour(planned: Planned, begin: datetime, end: datetime) -> Iterator[datetime]:
    """Yield each whole hour of the tests' day."""
    return (later(hour) for hour in range(48) if begin <= later(hour) < end)


def archive(folder: Path) -> tuple[Kept, Trust]:
    """Return an archive with leaves of all kinds, and whom somebody believed before keys were replaced."""
    kept = Kept(folder / "archive")
    before = kept.trusted()
    kept.log.append(ScheduleChanged(time=later(-1), slots=(HOURLY, OTHER)))
    approve(kept, PLAN, at=later(-0.5), until=later(4))
    approve(kept, ELSE, at=later(-0.4))
    kept.run(0)
    annotate(kept, "run-0000", "a false alarm", at=later(0.2))
    kept.run(1, procedure="rollback", slot="")
    kept.run(11, at=later(1.1), moment=later(1))
    annotate(kept, "run-0001", "of another control", at=later(1.2))
    kept.log.append(SlotSkipped(time=later(2.6), slot=SLOT, scheduled_for=later(2), reason="no disk"))
    kept.run(3)
    begin(kept, 40, PLAN, at=later(3.5))
    replaced(kept, later(3.9))
    kept.run(4)
    begin(kept, 50, UNDO, at=later(4.5), undoes=PLAN)
    annotate(kept, "run-0000", "seen again", at=later(5))
    kept.run(5)
    kept.run(6)
    return kept, before


def handed_over(kept: Kept, target: Path, believed: Trust | None = None, **asked: Any) -> Export:
    """Export the control when the last moment of the schedule is over."""
    wanted = {"extent": EXTENT, "moments": every_hour, "now": later(8), **asked}
    keys = Keys(kept.policy, f"{kept.runner.public.line}\n", believed or kept.trusted(), kept.runner)
    return export(kept.archive, target, Asked(**wanted), keys)


def unzipped(made: Export, folder: Path) -> Path:
    """Return a folder into which an export was unpacked."""
    with zipfile.ZipFile(made.path) as packed:
        packed.extractall(folder)
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Kept, Trust, Export]:
    """An archive, whom somebody believed at first, and what was handed over."""
    folder = tmp_path_factory.mktemp("made")
    kept, before = archive(folder)
    return kept, before, handed_over(kept, folder / "evidence.zip")


@pytest.fixture
def unpacked(made: tuple[Kept, Trust, Export], tmp_path: Path) -> Path:
    """A folder of the auditor's."""
    return unzipped(made[2], tmp_path / "auditor")


def test_all_that_bears_on_the_runs_goes_along_and_is_sound(
    made: tuple[Kept, Trust, Export], unpacked: Path
) -> None:
    """Approvals of what they changed and notes about them; what is of other controls is not missed."""
    code, found = said(unpacked)
    assert [one["kind"] for one in found["findings"]] == ["skipped", "never-recorded"] and code == 2
    names = (path.relative_to(unpacked).as_posix() for path in unpacked.rglob("*.json"))
    beside = {name for name in names if name.startswith(("changes/", "notes/"))}
    assert beside == {"changes/aa/approval-1.json", "notes/run-0000/0312.json", "notes/run-0000/0800.json"}
    assert made[2].report.to_dict()["findings"] == found["findings"]


def test_each_leaf_is_explained(unpacked: Path) -> None:
    """An approval is of the population though it names no run, and was given before the period."""
    told = [(row["kind"], row["explained"]) for row in rows(unpacked, "log.csv")]
    assert told.count(("approval", "population")) == 1 and ("approval", "other event") not in told
    assert told.count(("annotation", "population")) == 2 and told.count(("annotation", "other control")) == 1
    assert told.count(("change.begun", "population")) == 2 == told.count(("key.rotated", "other event"))


def test_each_moment_of_the_schedule_is_told(unpacked: Path, made: tuple[Kept, Trust, Export]) -> None:
    """Of the control's procedures only, and none whose run may still begin; the script says from where."""
    slots = json.loads((unpacked / "slots.json").read_text())
    states = ["run", "run", "skipped", "run", "run", "run", "run", "missing"]
    assert [one["state"] for one in slots] == states and {one["name"] for one in slots} == {SLOT}
    figures = made[2].manifest.counts
    assert (figures["moments"], figures["moments missing"], figures["moments run"]) == (8, 1, 6)
    _, found = said(unpacked)
    assert any("taken from slots.json" in why for why in found["unproven"])
    assert not any("no schedule was given" in why for why in found["unproven"])


def test_a_moment_whose_run_may_still_begin_is_not_told(
    made: tuple[Kept, Trust, Export], tmp_path: Path
) -> None:
    """It is neither there nor missing."""
    early = handed_over(made[0], tmp_path / "x.zip", extent=SHORTER)
    assert early.report.sound and early.manifest.counts["moments missing"] == 0
    waiting = handed_over(made[0], tmp_path / "y.zip", now=later(7.4))
    assert waiting.report.sound and waiting.manifest.counts["moments"] == 7


def test_a_log_without_a_schedule_says_so(tmp_path: Path) -> None:
    """Nothing is told as complete that nobody could look at."""
    kept = Kept(tmp_path / "archive")
    kept.run(0)
    report = handed_over(kept, tmp_path / "x.zip").report
    assert report.sound and any("no schedule was given" in why for why in report.unproven)
    kept.log.append(ScheduleChanged(time=later(1.5), slots=(OTHER,)))
    report = handed_over(kept, tmp_path / "y.zip").report
    assert report.sound and any("due before is not known" in why for why in report.unproven)


def test_keys_that_were_replaced_are_followed_either_way(
    made: tuple[Kept, Trust, Export], unpacked: Path, tmp_path: Path
) -> None:
    """Who knows only those of last year, and who knows only those of today; an earlier head too."""
    kept, before, _ = made
    believed = {"old": before, "new": kept.trusted()}
    for name, one in believed.items():
        report = verify_many(unpacked, one, Scope())
        assert report.named() == {"never-recorded"}, name
    strange = trust(kept.policy, [key(77).public.line])
    assert verify_many(unpacked, strange, Scope()).named() == {"record-edited"}


def test_an_earlier_head_may_be_signed_with_the_key_of_then(tmp_path: Path) -> None:
    """An audit goes over several years."""
    kept = Kept(tmp_path / "archive")
    kept.run(0)
    head = (kept.log.folder / "checkpoint").read_bytes()
    replaced(kept, later(0.5))
    kept.run(1)
    made = handed_over(kept, tmp_path / "x.zip", earlier=head)
    assert made.report.sound, made.report.findings


def test_a_run_of_which_the_log_has_only_its_change_is_in(tmp_path: Path) -> None:
    """No order of leaves makes it fall out."""
    from opslib.evidence.events import ChangeBegun

    kept = Kept(tmp_path / "archive")
    kept.run(0)
    kept.log.append(ChangeBegun(time=later(1), run="odd", plan=PLAN, need="none"))
    made = handed_over(kept, tmp_path / "x.zip")
    assert made.report.sound and made.manifest.counts["runs open"] == 1


APPROVAL, NOTE = "changes/aa/approval-1.json", "notes/run-0000/0312.json"


def signed_again(act: Callable[[Path], object]) -> Callable[[Path], None]:
    """Return what somebody does who holds the runner's key: digests fit again."""

    def done(folder: Path) -> None:
        act(folder)
        resigned(folder, lambda told: None, RUNNER)

    return done


TAMPERINGS: dict[str, tuple[Callable[[Path], object], set[str]]] = {
    "an approval is edited": (
        lambda folder: edit(folder / APPROVAL, "agree", "object"), {"file-edited", "approval-edited"},
    ),
    "an approval is gone": (lambda folder: (folder / APPROVAL).unlink(), {"deleted"}),
    "with the runner's key an approval less": (
        signed_again(lambda folder: (folder / APPROVAL).unlink()), {"deleted"},
    ),
    "with the runner's key another note": (
        signed_again(lambda folder: edit(folder / NOTE, "false", "true")), {"note-edited"},
    ),
    "with the runner's key a note less": (
        signed_again(lambda folder: (folder / NOTE).unlink()), {"deleted"},
    ),
    "with the runner's key a note more": (
        signed_again(lambda folder: shutil.copy(folder / NOTE, folder / "notes/run-0000/9.json")), {"forged"},
    ),
    "a missed moment is bettered": (
        signed_again(lambda folder: edit(folder / "slots.json", '"missing"', '"run"')), {"file-edited"},
    ),
    "a missed moment is left out": (
        signed_again(
            lambda folder: (folder / "slots.json").write_text(
                json.dumps(json.loads((folder / "slots.json").read_text())[:-1])
            )
        ),
        {"forged"},
    ),
    "a moment of another period is added": (
        signed_again(lambda folder: edit(folder / "slots.json", "2026-11-21T03", "2026-11-20T03")),
        {"file-edited", "forged"},
    ),
    "the moments are no list": (lambda folder: (folder / "slots.json").write_text("{"), {"file-edited"}),
    "the list is signed with the old key": (
        lambda folder: resigned(folder, lambda told: None, 2), {"retired-key"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TAMPERINGS)
def test_what_is_done_to_it_afterwards_is_named(name: str, unpacked: Path) -> None:
    """By its kind; also where whoever does it can sign as the runner."""
    act, kinds = TAMPERINGS[name]
    act(unpacked)
    assert kinds <= verified_folder(unpacked, {}).named()


def given(tab: Any, folder: Path) -> str:
    """Give the page a folder, packed; return its verdict."""
    return str(tab.evaluate(GIVEN, base64.b64encode(zipped(folder).read_bytes()).decode()))


@pytest.mark.browser
def test_the_page_names_what_the_script_names(
    browser: Any, unpacked: Path, made: tuple[Kept, Trust, Export]
) -> None:
    """Untouched, and after each tampering; nothing less and nothing more."""
    tab = opened(browser, unpacked)
    acts: dict[str, Callable[[Path], object]] = {name: act for name, (act, _) in TAMPERINGS.items()}
    for name, act in {"nothing": Path.exists, **acts}.items():
        folder = Path(shutil.copytree(unpacked, unpacked.parent / "tampered"))
        act(folder)
        assert given(tab, folder) == "✕ NOT SOUND", name
        assert kinds_on(tab) == verified_folder(folder, {}).named(), name
        shutil.rmtree(folder)
    assert "taken from slots.json" in tab.inner_text("main") and tab.errors == []


@pytest.mark.browser
@pytest.mark.xdist_group("page")
def test_a_moment_that_something_else_pretends_to_fill_is_missing_for_both(
    browser: Any, tmp_path: Path
) -> None:
    """Each has the schedule from the log, and what the record itself says."""
    kept = Kept(tmp_path / "archive")
    kept.log.append(ScheduleChanged(time=later(-1), slots=(replace(HOURLY, system="klutr"),)))
    kept.run(0)
    kept.log.append(ScheduleChanged(time=later(0.5), slots=(HOURLY,)))
    kept.run(1, where="sandbox")
    made = handed_over(kept, tmp_path / "x.zip", extent=Extent("CC7.4", ("site-down",), BEGAN, later(1.5)))
    folder = unzipped(made, tmp_path / "auditor")
    slots = json.loads((folder / "slots.json").read_text())
    assert [one["state"] for one in slots] == ["missing", "run"]
    assert "run-0000 says that it was for this, but ran" in slots[0]["text"]
    tab = opened(browser, folder)
    assert given(tab, folder) == "✕ NOT SOUND"
    assert kinds_on(tab) == {"never-recorded", "forged"} == made.report.named() and tab.errors == []
    assert "its record is of sandbox, but production was asked for" in tab.inner_text("main")
    assert "run-0000 says that it was for this, but ran site-down on kulti" in tab.inner_text("main")


@pytest.mark.browser
def test_the_page_follows_keys_and_finds_it_sound(browser: Any, tmp_path: Path) -> None:
    """With the keys of before, too, which an auditor has from last year."""
    kept, _ = archive(tmp_path)
    made = handed_over(kept, tmp_path / "x.zip", extent=SHORTER)
    folder = unzipped(made, tmp_path / "auditor")
    tab = opened(browser, folder)
    assert given(tab, folder) == "✓ SOUND", tab.inner_text("main")
    (tmp_path / "policy").write_text(Kept(tmp_path / "same").policy)
    (tmp_path / "keys").write_text(f"{key(2).public.line}\n")
    tab.set_input_files("#own-policy", str(tmp_path / "policy"))
    tab.set_input_files("#own-runners", str(tmp_path / "keys"))
    assert given(tab, folder) == "✓ SOUND", tab.inner_text("main")
    assert tab.errors == []


@pytest.mark.browser
def test_changes_that_nobody_approved_are_named_by_both(browser: Any, tmp_path: Path) -> None:
    """Neither before nor at all."""
    kept = Kept(tmp_path / "archive")
    begin(kept, 1, PLAN, at=later(1))
    begin(kept, 2, UNDO, at=later(2))
    approve(kept, UNDO, at=later(3))
    made = handed_over(kept, tmp_path / "x.zip")
    assert made.report.named() == {"unapproved", "approved-afterwards"}
    folder = unzipped(made, tmp_path / "auditor")
    tab = opened(browser, folder)
    assert given(tab, folder) == "✕ NOT SOUND" and kinds_on(tab) == made.report.named()


@pytest.mark.browser
@pytest.mark.parametrize("until", [0.5, 1.5])
def test_an_approval_that_had_expired_is_named_by_both(browser: Any, tmp_path: Path, until: float) -> None:
    """One that held when the plan was begun is not, and covers what undoes it later."""
    kept = Kept(tmp_path / "archive")
    approve(kept, PLAN, at=later(0.1), until=later(until))
    begin(kept, 1, PLAN, at=later(1))
    begin(kept, 2, UNDO, at=later(3), undoes=PLAN)
    made = handed_over(kept, tmp_path / "x.zip")
    assert ("unapproved" in made.report.named()) == (until < 1)
    folder = unzipped(made, tmp_path / "auditor")
    tab = opened(browser, folder)
    given(tab, folder)
    assert kinds_on(tab) == made.report.named() and tab.errors == []
    assert ("it held until" in tab.inner_text("main")) == (until < 1)


@pytest.mark.browser
def test_of_a_run_that_is_not_handed_over_the_log_alone_tells_who_had_approved_it(
    browser: Any, tmp_path: Path
) -> None:
    """What people signed goes along with the runs of the control; that of others is not missed."""
    kept = Kept(tmp_path / "archive")
    kept.run(0)
    approve(kept, PLAN, at=later(0.5))
    begin(kept, 1, PLAN, at=later(1), procedure="rollback")
    made = handed_over(kept, tmp_path / "x.zip")
    assert made.report.sound, made.report.findings
    folder = unzipped(made, tmp_path / "auditor")
    assert [row["run"] for row in rows(folder, "population.csv")] == ["run-0000"]
    assert not (folder / "changes").exists()
    tab = opened(browser, folder)
    assert given(tab, folder) == "✓ SOUND", tab.inner_text("main")


HELD = Hold(time=later(2), run="run-0000", state="cleared", reason="closed")
STRANGE_LEAVES = {
    "a kind that is not known": b'{"type":"run.vanished"}',
    "a name twice": b'{"type":"hold",' + encode_event(HELD)[1:],
    "a part too many": encode_event(HELD)[:-1] + b',"zz":""}',
    "a mark before it": b"\xef\xbb\xbf" + encode_event(HELD),
}


@pytest.mark.browser
@pytest.mark.xdist_group("page")
def test_leaves_in_another_form_are_named_by_both(
    browser: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They could say anything, and each reader something else."""
    kept = Kept(tmp_path / "archive")
    kept.run(0)
    for leaf in STRANGE_LEAVES.values():
        monkeypatch.setattr("opslib.evidence.log.encode_event", lambda event, leaf=leaf: leaf)
        kept.log.append(HELD)
    made = handed_over(kept, tmp_path / "x.zip", extent=SHORTER)
    strange = {f"leaf {at}" for at in range(3, 3 + len(STRANGE_LEAVES))}
    assert {one.subject for one in made.report.findings if one.kind == "not-understood"} == strange
    folder = unzipped(made, tmp_path / "auditor")
    tab = opened(browser, folder)
    assert given(tab, folder) == "✕ NOT SOUND" and kinds_on(tab) == made.report.named()
    assert all(leaf in tab.inner_text("main") for leaf in strange)
