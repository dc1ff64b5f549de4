"""Nobody is believed to have approved or noted something that they have not signed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from opslib.cli import trusting
from opslib.errors import UsageError
from opslib.evidence import Report, verify_archive
from opslib.evidence.beside import NO_PEOPLE
from opslib.evidence.events import Subject
from opslib.evidence.exporting import Asked, Keys, export
from opslib.evidence.people import Holder, people_keys
from opslib.evidence.plain import NotSound
from opslib.evidence.verifier import PEOPLE_INSIDE
from opslib.gate import signing
from opslib.runner import people
from tests.attacks import PLAN
from tests.besides import BO, EVE, approval, approve, begin, sign_note, signer
from tests.evidencing import BEGAN, Kept, audit, later
from tests.test_export import browser, kinds_on, opened, said
from tests.test_export_leaves import EXTENT, given, unzipped

__all__ = ["browser"]

UNDO = f"sha256:{'cd' * 32}"
STRANGER, BOS = signer(EVE).fingerprint, signer(BO).fingerprint


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    """An archive with nothing in it yet."""
    return Kept(tmp_path / "archive")


def verified(kept: Kept, **known: Holder) -> Report:
    """Verify it as somebody who knows people by these names and keys, if any."""
    held = {signer({"bo": BO, "eve": EVE}[whose]).fingerprint: one for whose, one in known.items()}
    return verify_archive(kept.archive, replace(kept.trusted(), people=held or None), audit())


def why(report: Report, kind: str) -> str:
    """Return what is said of the first finding of a kind."""
    return next(one.text for one in report.findings if one.kind == kind)


def logged(kept: Kept, change: Callable[[dict[str, Any]], object] = dict, **more: Any) -> None:
    """Log an approval whose file was written by somebody who can make the log believe anything."""
    path, event = approval(kept, PLAN, at=later(0))
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))
    name = path.relative_to(kept.archive).as_posix()
    file = Subject(name, hashlib.sha256(path.read_bytes()).hexdigest())
    kept.log.append(replace(event, **{"subjects": (file,), **more}))


def signed_as(seed: int = BO, kind: str = signing.APPROVAL, plan: str = PLAN, **stated: Any) -> Any:
    """Return what puts another signed statement into the place of the one that was there."""

    def change(document: dict[str, Any]) -> None:
        before = json.loads(document["statement"])
        values = {name: before[name] for name in before.keys() - {"type", "digest"}}
        document.update(signing.sign(kind, plan, signer(seed), **{**values, **stated}))

    return change


def of_a_note(document: dict[str, Any]) -> None:
    """Sign the same words for another purpose."""
    document["signature"] = signer(BO).sign(document["statement"].encode(), "opslib-note")


def loosely(document: dict[str, Any]) -> None:
    """Sign words in which something stands twice."""
    document["statement"] = document["statement"].replace("{", '{"at":"then",', 1)
    document["signature"] = signer(BO).sign(document["statement"].encode(), "opslib-change")


FORGERIES: dict[str, tuple[Callable[[Kept], object], str]] = {
    "a leaf without any file": (lambda kept: logged(kept, subjects=()), "names no file"),
    "a file without a signature": (
        lambda kept: logged(kept, lambda told: told.pop("signature")), "nothing that somebody has signed",
    ),
    "what is no signature": (
        lambda kept: logged(kept, lambda document: document.update(signature="I agree")), "it is not signed",
    ),
    "other words than were signed": (
        lambda kept: logged(
            kept, lambda told: told.update(statement=told["statement"].replace("I agree", "I insist"))
        ),
        "does not fit",
    ),
    "the signature of somebody else": (lambda kept: logged(kept, signed_as(EVE)), f"not {BOS}"),
    "an approval of another plan": (lambda kept: logged(kept, signed_as(plan=UNDO)), "not about"),
    "a review": (lambda kept: logged(kept, signed_as(kind=signing.REVIEW)), "does not say approved"),
    "no broken glass": (lambda kept: logged(kept, decision="break-glass"), "does not say break-glass"),
    "another time": (lambda kept: logged(kept, given=later(-1)), "another time"),
    "words that can be read in two ways": (lambda kept: logged(kept, loosely), "not in its one form"),
    "a signature for a note": (lambda kept: logged(kept, of_a_note), "for another purpose"),
}  # fmt: skip


@pytest.mark.parametrize("name", FORGERIES)
def test_what_a_person_has_not_signed_approves_nothing(name: str, kept: Kept) -> None:
    """Whoever holds the log's key must not be able to speak for a person."""
    act, says = FORGERIES[name]
    act(kept)
    begin(kept, 1, PLAN, at=later(1))
    report = verified(kept)
    assert report.named() == {"forged", "unapproved"}
    assert says in why(report, "unapproved") and says in why(report, "forged")


def test_an_approval_that_had_expired_approves_nothing(kept: Kept) -> None:
    """It says itself until when it holds; an hour, here."""
    approve(kept, PLAN, at=later(0))
    begin(kept, 1, PLAN, at=later(1.5))
    report = verified(kept)
    assert report.named() == {"unapproved"} and "it held until" in why(report, "unapproved")


def test_what_was_begun_in_time_may_be_finished_later(kept: Kept) -> None:
    """A run that was killed is not approved anew, and what undoes a plan is covered by its approval."""
    approve(kept, PLAN, at=later(0))
    begin(kept, 1, PLAN, at=later(0.5))
    begin(kept, 2, PLAN, at=later(3))
    begin(kept, 3, UNDO, at=later(4), undoes=PLAN)
    assert "unapproved" not in verified(kept).named()


def test_one_approval_that_holds_is_enough(kept: Kept) -> None:
    """Whoever was late asks again."""
    approve(kept, PLAN, at=later(0))
    approve(kept, PLAN, at=later(2))
    begin(kept, 1, PLAN, at=later(2.5))
    assert "unapproved" not in verified(kept).named()


@pytest.mark.parametrize("ends", ["never", 7, None, "2026-13-01T00:00:00Z"])
def test_an_approval_whose_end_is_no_time_approves_nothing(kept: Kept, ends: object) -> None:
    """What cannot be read has not been promised."""
    logged(kept, signed_as(expires_at=ends))
    begin(kept, 1, PLAN, at=later(0.5))
    assert "unapproved" in verified(kept).named()


def test_a_change_whose_approval_was_given_before_the_period_is_held_against_its_file(kept: Kept) -> None:
    """The period of an audit must not hide that there is none."""
    approve(kept, PLAN, at=later(0)).unlink()
    begin(kept, 1, PLAN, at=later(2))
    report = verify_archive(kept.archive, kept.trusted(), audit(since=later(1)))
    assert report.named() == {"unapproved"} and "is not there" in why(report, "unapproved")


@pytest.mark.parametrize(
    ("holder", "says"),
    [
        (Holder("ada"), "the key of ada, not of bo"),
        (Holder("bo", until=later(-1)), "did not count then"),
        (Holder("bo", since=later(2)), "did not count then"),
    ],
)
def test_only_who_is_known_by_that_key_at_that_time_approves(kept: Kept, holder: Holder, says: str) -> None:
    """Under another name, after its end, before its beginning."""
    approve(kept, PLAN, at=later(0))
    begin(kept, 1, PLAN, at=later(1))
    assert verified(kept, bo=Holder("bo", later(-1), later(1))).sound
    report = verified(kept, bo=holder)
    assert report.named() == {"unapproved"} and says in why(report, "unapproved")


def test_a_stranger_approves_in_the_sandbox_only(kept: Kept) -> None:
    """Who rehearses needs no line in a file; where users are, nobody unknown counts."""
    approve(kept, PLAN, at=later(0), by=EVE, actor="you")
    begin(kept, 1, PLAN, at=later(1), environment="sandbox")
    assert verified(kept, bo=Holder("bo")).sound
    begin(kept, 2, PLAN, at=later(2), environment="production")
    report = verified(kept, bo=Holder("bo"))
    assert [one.subject for one in report.findings] == ["run-0002"]
    assert f"{STRANGER} is the key of nobody" in why(report, "unapproved")


def test_that_nobody_knows_whose_keys_these_are_is_said(kept: Kept) -> None:
    """Only where it matters: for changes that needed somebody."""
    begin(kept, 1, PLAN, at=later(1), need="none")
    assert NO_PEOPLE not in verified(kept).unproven
    approve(kept, UNDO, at=later(1))
    begin(kept, 2, UNDO, at=later(2))
    assert NO_PEOPLE in verified(kept).unproven and NO_PEOPLE not in verified(kept, bo=Holder("bo")).unproven


def test_what_is_lawful_stays_sound(kept: Kept) -> None:
    """Self approval, break-glass with its review, a second try, an undo."""
    approve(kept, PLAN, at=later(0), by=EVE, actor="ana")
    approve(kept, PLAN, at=later(0), decision="break-glass")
    for number in (1, 2):
        begin(kept, number, PLAN, at=later(number), need="self")
    begin(kept, 3, UNDO, at=later(3), undoes=PLAN, need="other")
    approve(kept, PLAN, at=later(4), decision="reviewed")
    assert verified(kept).findings == ()
    assert verified(kept, bo=Holder("bo")).findings == ()


def test_people_are_read_from_lines_as_openssh_has_them(tmp_path: Path, monkeypatch: Any) -> None:
    """With the days on which a key counts; both ends are in it."""
    (tmp_path / "systems").mkdir()
    (tmp_path / "people.yml").write_text(
        f"people:\n- {{id: bo, name: Bo, since: 2026-01-01, keys: [{{key: {signer(BO).public},"
        " until: 2026-11-20}]}\n"
    )
    monkeypatch.setenv("OPSLIB_PARAMETERS", str(tmp_path))
    text = people.people_text()
    assert text and text.startswith("bo namespaces=") and text.endswith(f"{signer(BO).public}\n")
    (holder,) = people_keys(text).values()
    assert people.known_people() == {BOS: holder}
    assert holder.held(BEGAN - timedelta(hours=3, seconds=1)) and not holder.held(BEGAN - timedelta(hours=3))
    (tmp_path / "people.yml").unlink()
    assert people.known_people() is None
    with pytest.raises(NotSound, match="line 2 of the people's keys"):
        people_keys(f"{text}ada ssh-ed25519 AAAA")


def test_keys_of_people_are_given_with_all_others_or_not_at_all(kept: Kept, tmp_path: Path) -> None:
    """Keys of this machine and of another's people make no sense together."""
    files = {"policy": kept.policy, "runners": kept.runner.public.line, "people": "# nobody\n"}
    paths = {name: tmp_path / name for name in files}
    for name, text in files.items():
        paths[name].write_text(text)
    assert trusting.trusted(kept.archive, paths["policy"], paths["runners"]).people is None
    given = trusting.trusted(kept.archive, paths["policy"], paths["runners"], paths["people"])
    assert given.people == {}
    with pytest.raises(UsageError, match="--people-keys belongs to"):
        trusting.trusted(kept.archive, None, None, paths["people"])


def test_a_signed_note_is_held_against_its_signature(kept: Kept) -> None:
    """The log only knows a digest: that it was this person's is shown by what they signed."""
    kept.run(0)
    sign_note(kept, "run-0000", "the load test was ours", at=later(1))
    assert verified(kept).sound
    for more, says in (
        ({"key": STRANGER}, f"{BOS} has signed it, not {STRANGER}"),
        ({"key": ""}, "not nobody"),
        ({"run": "run-0009"}, "about run-0000, not about run-0009"),
    ):
        sign_note(kept, "run-0000", "another", at=later(2), **more)
        report = verified(kept)
        assert report.named() == {"forged"} and says in report.findings[-1].text


@pytest.mark.browser
@pytest.mark.xdist_group("page")
def test_script_and_page_look_at_signatures_too(browser: Any, kept: Kept, tmp_path: Path) -> None:
    """An auditor needs neither opslib nor its word, and gets the keys of people with the rest."""
    for act, _ in FORGERIES.values():
        act(kept)
    begin(kept, 1, PLAN, at=later(1))
    sign_note(kept, "run-0001", "ours", at=later(2), key=STRANGER)
    sign_note(kept, "run-0001", "ours, too", at=later(2))
    approve(kept, UNDO, at=later(2))
    begin(kept, 2, UNDO, at=later(3))
    held = f"{Holder('eve').line} {signer(EVE).public}\n"
    keys = Keys(kept.policy, kept.runner.public.line, kept.trusted(), kept.runner, held)
    made = export(kept.archive, tmp_path / "x.zip", Asked(EXTENT), keys)
    folder = unzipped(made, tmp_path / "auditor")
    code, found = said(folder)
    told = {(one["kind"], one["subject"]) for one in found["findings"]}
    assert code == 2 and len([one for one in told if one[0] == "forged"]) == len(FORGERIES) + 1
    assert {("unapproved", "run-0001"), ("unapproved", "run-0002")} <= told
    assert PEOPLE_INSIDE in found["unproven"] and NO_PEOPLE not in found["unproven"]
    tab = opened(browser, folder)
    assert given(tab, folder) == "✕ NOT SOUND" and kinds_on(tab) == {"forged", "unapproved"}
    shown = tab.inner_text("main")
    assert all(subject in shown for _, subject in told) and PEOPLE_INSIDE in shown and tab.errors == []
    assert f"{BOS} is the key of nobody who is known" in shown
    (folder / "people-keys").write_text(held.replace("eve", "bo"))
    assert "run-0002" in {one["subject"] for one in said(folder)[1]["findings"]}
    known = tmp_path / "known"
    known.write_text(f"{Holder('bo').line} {signer(BO).public}\n")
    found = said(folder, "--people-keys", str(known))[1]
    assert "run-0002" not in {one["subject"] for one in found["findings"]}
    assert PEOPLE_INSIDE not in found["unproven"]
