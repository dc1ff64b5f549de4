"""The gate: what a plan is bound to, who may allow it, and that nothing is done twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from opslib import ids
from opslib.acts import Opening, Request
from opslib.errors import ArchiveError, OpsError, Refused, UnknownName, Unreachable
from opslib.gate import authority, faults, locks, undo, vault, wording
from opslib.gate.ledger import DO, DONE, Ledger
from opslib.gate.plan import Plan, Risk
from tests.changing import ChainedKind, Office, Shelf, ShelfKind, draft, target


def states(results: Any) -> dict[str, str]:
    """Return what became of each target."""
    return {result.target: str(result.state) for result in results}


def refusal(office: Office, plan: Plan, env: str = "") -> str:
    """Return why a plan may not be applied."""
    with pytest.raises(Refused) as caught:
        authority.allow(plan, office.env(env or plan.environment), office.changes, datetime.now(UTC))
    return caught.value.text()


def test_the_digest_of_a_plan_covers_everything_in_it(office: Office) -> None:
    """Whatever is edited after the approval makes it another plan."""
    plan = office.plan(draft(target("a", "1", "2")))
    for path, value in _edits(plan.document):
        edited = json.loads(json.dumps(plan.document))
        place = edited
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value
        assert Plan.from_document(edited).digest != plan.digest, path


def _edits(document: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    pairs = document.items() if isinstance(document, dict) else enumerate(document)
    for key, value in pairs:
        here = (*path, key)
        if isinstance(value, dict | list):
            yield from _edits(value, here)
        elif key in ("created_at", "expires_at"):
            yield here, value.replace("Z", "1Z") if "." in value else value.replace("Z", ".1Z")
        elif isinstance(value, str) and key not in ("type", "risk"):
            yield here, f"{value}x"
        elif isinstance(value, bool):
            yield here, not value
        elif isinstance(value, int):
            yield here, value + 1


def test_a_plan_tells_what_changes_apart_from_what_must_stay() -> None:
    """Two hundred letters of what stays hide the one number that does not."""
    stays = {"rows younger": 4, "checksum": "a1b2"}
    made = replace(target("a", "1", "2"), before={"old rows": 600, "note": "", **stays},
                   after={"old rows": 0, "archived": 600, "note": None, **stays})  # fmt: skip
    assert wording.change(made) == "old rows 600  ->  old rows 0, archived 600"
    assert wording.seen(made) == "rows younger 4, checksum a1b2"
    same = replace(made, before=stays, after=stays)
    assert wording.change(same) == "rows younger 4, checksum a1b2  ->  rows younger 4, checksum a1b2"
    gone = replace(made, before=stays, after={"there": False})
    assert wording.change(gone) == "rows younger 4, checksum a1b2  ->  not there"


def test_a_plan_that_is_read_back_is_the_same_plan(office: Office) -> None:
    """Nothing is lost between the one who plans and the one who applies."""
    plan = office.plan(draft(target("a", "1", "2"), target("b", "1", "2", undo=False)))
    digest = office.changes.find(plan.short)
    assert Plan.from_document(office.changes.plan(digest)) == plan
    assert digest == plan.digest


def test_a_plan_that_was_edited_on_disk_is_refused(office: Office) -> None:
    """The digest in its name no longer fits."""
    plan = office.plan(draft(target("a", "1", "2")))
    path = office.changes.folder(plan.digest) / "plan.json"
    path.write_text(path.read_text().replace("Move things", "Drop things"))
    with pytest.raises(ArchiveError, match="was edited"):
        office.changes.plan(plan.digest)


def test_a_plan_that_would_hold_a_secret_is_not_kept(office: Office) -> None:
    """A secret in a plan would be on disk, on screens and under a signature for good."""
    from opslib import masking
    from opslib.errors import ProcedureError

    masking.register("canary", "kanarienvogel-1")
    with pytest.raises(ProcedureError, match="canary"):
        office.plan(draft(target("a", "1", "kanarienvogel-1")))
    assert office.changes.digests() == ()


@pytest.mark.parametrize("name", ["", "12345", "xyz", "../../etc", "sha256:"])
def test_what_is_no_digest_names_no_plan(office: Office, name: str) -> None:
    """Nor does it lead outside the archive."""
    with pytest.raises(UnknownName, match="no digest"):
        office.changes.find(name)


def test_an_unknown_digest_is_told_from_an_unclear_one(office: Office) -> None:
    """The next step differs: look again, or type more of it."""
    with pytest.raises(UnknownName, match="there is no plan"):
        office.changes.find("0123456789")


def test_ones_own_approval_is_enough_where_the_policy_says_self(office: Office) -> None:
    """Medium risk: no second person at 3 am."""
    plan = office.plan(draft(target("a", "1", "2")))
    assert "no valid approval" in refusal(office, plan)
    office.approve(plan)
    allowed = authority.allow(plan, office.env(), office.changes, datetime.now(UTC))
    assert (allowed.approved_by, allowed.requested_by, allowed.applied_by) == (("ada",), "ada", "ada")


def test_high_risk_needs_another_person_than_who_planned_and_who_applies(office: Office) -> None:
    """Four eyes are the eyes of two people, told apart by their keys."""
    plan = office.plan(draft(target("a", "1", "2"), risk=Risk.HIGH))
    office.approve(plan)
    assert "ada made the plan" in refusal(office, plan)
    office.become("bob")
    office.approve(plan)
    assert "bob applies it" in refusal(office, plan)
    office.become("ada")
    assert authority.allow(plan, office.env(), office.changes, datetime.now(UTC)).approved_by == ("bob",)


def test_four_eyes_need_a_plan_that_its_maker_has_signed(office: Office) -> None:
    """Else whoever approves may have made it too."""
    office.become("nobody")
    plan = office.plan(draft(target("a", "1", "2"), risk=Risk.HIGH))
    office.become("bob")
    office.approve(plan)
    office.become("ada")
    assert "whoever made it has not signed it" in refusal(office, plan)


def test_an_approval_that_has_expired_counts_no_more(office: Office) -> None:
    """What was true an hour ago was not approved for now."""
    plan = office.plan(draft(target("a", "1", "2")))
    office.approve(plan, minutes=-1)
    assert "approval 1: it expired at" in refusal(office, plan)


def test_a_forged_approval_is_refused(office: Office) -> None:
    """Signed with a key that nobody in people.yml has."""
    plan = office.plan(draft(target("a", "1", "2")))
    office.become("stranger")
    office.approve(plan)
    office.become("ada")
    assert "nobody in parameters/people.yml has the key" in refusal(office, plan)


@pytest.mark.parametrize("field", ["reason", "expires_at", "digest", "environment"])
def test_an_edited_approval_is_refused(office: Office, field: str) -> None:
    """The signature is over the very text."""
    plan = office.plan(draft(target("a", "1", "2")))
    document = office.approve(plan)
    path = next(office.changes.folder(plan.digest).glob("approval-*.json"))
    stated = json.loads(document["statement"])
    edited = {**document, "statement": json.dumps({**stated, field: f"{stated[field]}0"})}
    path.write_text(json.dumps(edited))
    assert "approval 1:" in refusal(office, plan)


def test_a_key_that_is_written_beside_anothers_signature_does_not_count(office: Office) -> None:
    """Who signed follows from the signature, not from what stands next to it."""
    plan = office.plan(draft(target("a", "1", "2"), risk=Risk.HIGH))
    document = office.approve(plan)
    path = next(office.changes.folder(plan.digest).glob("approval-*.json"))
    path.write_text(json.dumps({**document, "key": office.fingerprints["bob"]}))
    assert "ada made the plan" in refusal(office, plan)


def test_an_approval_of_another_plan_is_refused(office: Office) -> None:
    """A file that was copied over from a plan with other targets."""
    other = office.plan(draft(target("b", "1", "2")))
    plan = office.plan(draft(target("a", "1", "2")))
    office.approve(other, kept_for=plan.digest)
    assert "it is for another plan" in refusal(office, plan)


def test_a_plan_is_not_applied_to_another_environment(office: Office) -> None:
    """The same names mean other things there."""
    plan = office.plan(draft(target("a", "1", "2")), "staging")
    office.approve(plan)
    assert "made for shop (staging), not for shop (production)" in refusal(office, plan, "production")


def test_a_plan_that_has_expired_is_refused_with_the_next_step(office: Office) -> None:
    """The state may have changed since."""
    plan = office.plan(draft(target("a", "1", "2")), age=31)
    said = refusal(office, plan)
    assert "it expired at" in said and "plan again" in said


def test_a_plan_that_claims_a_longer_life_than_the_policy_gives_is_refused(office: Office) -> None:
    """Its maker's file may have had other rules."""
    far = ids.stamp(datetime.now(UTC) + timedelta(days=9))
    assert "longer than the 30 min" in refusal(
        office, office.plan(draft(target("a", "1", "2")), expires_at=far)
    )


def test_a_clock_that_is_wrong_is_named(office: Office) -> None:
    """A plan from the future: one of two clocks is off."""
    plan = office.plan(draft(target("a", "1", "2")), age=-5)
    assert "this machine's clock" in refusal(office, plan)


def test_more_targets_than_the_policy_allows_are_refused(office: Office) -> None:
    """Five things at a time, where the policy says five."""
    plan = office.plan(draft(*(target(f"t{n}", "1", "2") for n in range(6))))
    assert "it has 6 targets; 5 are allowed in production" in refusal(office, plan)


@pytest.mark.parametrize("trigger", ["schedule", "routine", "api"])
def test_only_a_person_changes_something(
    office: Office, monkeypatch: pytest.MonkeyPatch, trigger: str
) -> None:
    """Also with a valid approval at hand."""
    plan = office.plan(draft(target("a", "1", "2")))
    office.approve(plan)
    monkeypatch.setenv(authority.TRIGGER, trigger)
    assert f"started by the {trigger}" in refusal(office, plan)


def test_production_is_never_changed_by_an_unknown_person(office: Office) -> None:
    """An approval alone does not let a stranger's machine do it."""
    plan = office.plan(draft(target("a", "1", "2")))
    office.approve(plan)
    office.become("nobody")
    assert "you have no key" in refusal(office, plan)
    office.become("stranger")
    assert "nobody in parameters/people.yml" in refusal(office, plan)


def test_where_nothing_is_needed_production_still_needs_a_signature(office: Office) -> None:
    """`none` is for places without users."""
    (office.root / "parameters" / "policy.yml").write_text(
        "environments: {production: {low: none}, default: {low: none}}\n"
    )
    made = draft(target("a", "1", "2"), risk=Risk.LOW)
    assert "no valid approval" in refusal(office, office.plan(made))
    staging = office.plan(made, "staging")
    assert authority.allow(staging, office.env("staging"), office.changes, datetime.now(UTC)).need == "none"


def test_the_glass_is_broken_on_purpose_and_reviewed_by_somebody_else(office: Office) -> None:
    """An ordinary approval is not enough, and who broke it cannot be who reviews it."""
    people = office.root / "parameters" / "people.yml"
    people.write_text(
        people.read_text().replace("name: Ada,", "name: Ada, may: [approve, apply, break-glass],")
    )
    plan = office.plan(draft(target("a", "1", "2"), risk=Risk.BREAK_GLASS))
    office.approve(plan)
    assert "needs the glass broken" in refusal(office, plan)
    office.approve(plan, break_glass=True)
    allowed = authority.allow(plan, office.env(), office.changes, datetime.now(UTC))
    assert not authority.review_due(plan, office.env(), office.changes)
    Ledger(office.changes, plan.digest, "run-2").started(allowed.to_dict())
    assert authority.review_due(plan, office.env(), office.changes)
    _review(office, plan)
    assert authority.review_due(plan, office.env(), office.changes), "ada broke it"
    office.become("bob")
    _review(office, plan)
    assert not authority.review_due(plan, office.env(), office.changes)


def _review(office: Office, plan: Plan) -> None:
    from opslib import keys
    from opslib.gate import signing

    signer = keys.own()
    assert signer
    office.changes.add_approval(
        plan.digest, signing.sign(signing.REVIEW, plan.digest, signer, reason="read it")
    )


def test_alone_at_night_a_known_person_may_break_the_glass_for_what_needs_two(office: Office) -> None:
    """Also outside the hours; another person reviews it afterwards."""
    policy = office.root / "parameters" / "policy.yml"
    other_day = (datetime.now(UTC) + timedelta(days=3)).strftime("%a")
    policy.write_text(
        f"environments: {{production: {{high: other, hours: {{high: {other_day} 03:00-03:01 UTC}}}}}}\n"
    )
    people = office.root / "parameters" / "people.yml"
    people.write_text(
        people.read_text().replace("name: Ada,", "name: Ada, may: [approve, apply, break-glass],")
    )
    plan = office.plan(draft(target("a", "1", "2"), risk=Risk.HIGH))
    office.become("bob")
    office.approve(plan)
    office.become("ada")
    assert "allowed at" in refusal(office, plan)
    office.approve(plan, break_glass=True)
    allowed = authority.allow(plan, office.env(), office.changes, datetime.now(UTC))
    assert allowed.approved_by == ("bob", "ada")


def test_who_may_not_apply_applies_nowhere(office: Office) -> None:
    """A known person without that right is not taken for an unknown one."""
    people = office.root / "parameters" / "people.yml"
    people.write_text(people.read_text().replace("name: Ada,", "name: Ada, may: [approve],"))
    assert "ada may not apply" in refusal(office, office.plan(draft(target("a", "1", "2")), "staging"))


def test_nobody_breaks_the_glass_without_the_right_to(office: Office) -> None:
    """people.yml gives it to few."""
    plan = office.plan(draft(target("a", "1", "2"), risk=Risk.BREAK_GLASS))
    office.approve(plan, break_glass=True)
    assert "ada may not break the glass" in refusal(office, plan)


def test_what_was_planned_is_done_and_written_down(office: Office) -> None:
    """Intent before, outcome after, for each."""
    shelf = Shelf(a="1", b="1")
    plan = office.plan(draft(target("a", "1", "2"), target("b", "1", "2")))
    assert states(office.applying(plan, shelf)) == {"a": "done", "b": "done"}
    assert shelf.values == {"a": "2", "b": "2"}
    lines = [line["type"] for line in Ledger(office.changes, plan.digest).lines]
    assert lines == ["intent", "outcome", "intent", "outcome", "finished"]


def test_a_target_that_moved_is_left_out_and_named(office: Office) -> None:
    """With what it was and what it is; the others are done."""
    shelf = Shelf(a="9", b="1")
    plan = office.plan(draft(target("a", "1", "2"), target("b", "1", "2"), target("c", "1", "2")))
    results = {result.target: result for result in office.applying(plan, shelf)}
    assert results["a"].text == "it has changed since: value 1 then, value 9 now"
    assert (results["c"].state, results["c"].text) == ("left out", "it is gone")
    assert results["b"].state == "done"
    assert shelf.writes == ["b=2"]


def test_what_somebody_else_has_done_already_is_not_claimed(office: Office) -> None:
    """It is as wanted, and no act of ours."""
    results = office.applying(office.plan(draft(target("a", "1", "2"))), Shelf(a="2"))
    assert (results[0].state, results[0].text) == ("left out", "it is so already, and not by this plan")


def test_a_change_that_is_under_way_is_not_interfered_with(office: Office) -> None:
    """Somebody else's request first."""
    shelf = Shelf(a="1")
    shelf.pending.add("a")
    results = office.applying(office.plan(draft(target("a", "1", "2"))), shelf)
    assert "under way there already" in results[0].text and shelf.writes == []


def test_applied_twice_is_done_once_and_says_when(office: Office) -> None:
    """Whoever was not sure may run it again."""
    shelf = Shelf(a="1")
    plan = office.plan(draft(target("a", "1", "2")))
    first = office.applying(plan, shelf)[0]
    second = office.applying(plan, shelf)[0]
    assert (second.state, shelf.writes) == ("already done", ["a=2"])
    assert second.at[:19] == first.at[:19]


def test_a_refusal_of_the_vendor_ends_the_rest(office: Office) -> None:
    """Something is not as we thought; going on would be guessing."""
    shelf = Shelf(a="1", b="1")
    shelf.breaks(OpsError("payment required"), a="1")
    plan = office.plan(draft(target("a", "1", "2"), target("b", "1", "2")))
    assert states(office.applying(plan, shelf)) == {"a": "failed", "b": "not reached"}


def test_a_left_out_target_ends_a_chain(office: Office) -> None:
    """What builds on a change that was not made must not be made either."""
    shelf = Shelf(a="9", b="1")
    plan = office.plan(draft(target("a", "1", "2"), target("b", "1", "2")))
    assert states(office.applying(plan, shelf, ChainedKind)) == {"a": "left out", "b": "not reached"}


@pytest.mark.parametrize("arrived", [True, False], ids=["arrived", "lost"])
def test_no_answer_is_settled_by_looking(office: Office, arrived: bool) -> None:
    """A time-out says nothing about whether the act took place."""
    shelf = Shelf(a="1")
    shelf.breaks(Unreachable("no answer within 10 s"), a="2" if arrived else "1")
    result = office.applying(office.plan(draft(target("a", "1", "2"))), shelf)[0]
    assert result.state == ("done" if arrived else "unclear")
    assert arrived or "nothing changed" in result.text


def test_a_change_that_does_not_show_in_time_is_not_called_done(office: Office) -> None:
    """Accepted is not done; the next application settles it."""
    shelf = Shelf(a="1")
    shelf.answer = lambda name: shelf.pending.add(name)
    plan = office.plan(draft(target("a", "1", "2")))
    assert office.applying(plan, shelf)[0].state == "unclear"
    shelf.pending.clear()
    result = office.applying(plan, shelf)[0]
    assert (result.state, shelf.writes) == ("done", ["a=2"])


def test_what_harms_users_is_taken_back_at_once_the_newest_first(office: Office) -> None:
    """Step by step, and back by itself when the errors rise."""
    shelf = Shelf(a="1", b="1", c="1")
    plan = office.plan(draft(*(target(name, "1", "2") for name in "abc")))
    results = office.applying(plan, shelf, worry=lambda t: "errors rose to 12 %" if t.name == "b" else "")
    assert states(results) == {"a": "taken back", "b": "taken back", "c": "not reached"}
    assert shelf.writes == ["a=2", "b=2", "b=1", "a=1"]
    assert "errors rose" in results[0].text
    assert Ledger(office.changes, plan.digest).taken_back(plan.draft.targets)


def test_a_conflict_that_the_vendor_sees_leaves_the_target_out(office: Office) -> None:
    """Somebody else was faster between our look and our act."""
    from opslib.errors import Malformed

    shelf = Shelf(a="1")
    shelf.breaks(Malformed("answered 409", kind="conflict"), a="9")
    assert states(office.applying(office.plan(draft(target("a", "1", "2"))), shelf)) == {"a": "left out"}


def test_a_step_that_was_cut_off_before_it_was_watched_is_watched_when_it_goes_on(office: Office) -> None:
    """Else a harmful step would stay because of a power cut."""
    shelf = Shelf(a="1", b="1")
    plan = office.plan(draft(target("a", "1", "2"), target("b", "1", "2")))
    shelf.values["a"] = "2"
    ledger = Ledger(office.changes, plan.digest, "run-1")
    ledger.intent(plan.draft.targets[0], DO)
    ledger.outcome(plan.draft.targets[0], DO, DONE, "done")
    results = office.applying(plan, shelf, worry=lambda t: "errors rose")
    assert states(results) == {"a": "taken back", "b": "not reached"} and shelf.writes == ["a=1"]


CRASH = """
import os, sys
from opslib.gate import faults
sys.path.insert(0, {tests!r})
from pathlib import Path
import pytest
from tests.changing import Office, Shelf
from opslib.gate.plan import Plan
import json

class OnDisk(Shelf):
    def act(self, opening):
        super().act(opening)
        Path({shelf!r}).write_text(json.dumps({{"values": self.values, "writes": self.writes}}))

office = Office(Path({root!r}), pytest.MonkeyPatch())
found = json.loads(Path({shelf!r}).read_text())
shelf = OnDisk(**found["values"])
shelf.writes = found["writes"]
plan = Plan.from_document(office.changes.plan({digest!r}))
office.applying(plan, shelf, worry=lambda target: {worry!r})
"""


@pytest.mark.parametrize("harmful", [False, True], ids=["forward", "taking-back"])
@pytest.mark.parametrize("visit", [1, 2])
@pytest.mark.parametrize("point", faults.POINTS)
def test_killed_anywhere_and_run_again_each_act_is_done_exactly_once(
    office: Office, point: str, visit: int, harmful: bool
) -> None:
    """Counted where the acts arrive; also while what was done is being taken back."""
    kept = office.root / "shelf.json"
    kept.write_text(json.dumps({"values": {"a": "1", "b": "1"}, "writes": []}))
    plan = office.plan(draft(target("a", "1", "2"), target("b", "1", "2")))
    root = str(Path(__file__).parents[1])
    worry = "errors rose" if harmful else ""
    code = CRASH.format(tests=root, shelf=str(kept), root=str(office.root), digest=plan.digest, worry=worry)
    cut = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, faults.VARIABLE: f"{point}:{visit}"},
        capture_output=True, check=False,
    )  # fmt: skip
    assert cut.returncode == -signal.SIGKILL, cut.stderr.decode()
    left = json.loads(kept.read_text())
    shelf = Shelf(**left["values"])
    again = office.applying(plan, shelf, worry=lambda target: worry)
    rows = {row["target"]: row for row in (result.to_dict() for result in again)}
    assert left["writes"] + shelf.writes == (["a=2", "a=1"] if harmful else ["a=2", "b=2"])
    if harmful:
        assert rows["a"]["state"] == "taken back"
    else:
        assert {row["state"] for row in rows.values()} <= {"done", "already done"}
    if visit == 2 and not harmful:
        assert rows["a"]["state"] == "already done" and rows["a"]["at"] in rows["a"]["text"]


def test_a_plan_that_expired_while_it_was_cut_off_is_finished_but_not_gone_on_with(office: Office) -> None:
    """What may have been done is settled; nothing new is begun with an old approval."""
    shelf = Shelf(a="2", b="1")
    plan = office.plan(draft(target("a", "1", "2"), target("b", "1", "2")), age=31)
    Ledger(office.changes, plan.digest, "run-1").intent(plan.draft.targets[0], DO)
    office.approve(plan, minutes=-1)
    allowed = authority.allow(plan, office.env(), office.changes, datetime.now(UTC))
    assert allowed.settle_only
    assert states(office.applying(plan, shelf, settle_only=True)) == {"a": "done", "b": "left out"}
    assert shelf.writes == []


def test_a_ledger_that_was_edited_is_not_gone_on_with(office: Office) -> None:
    """A removed line would let an act be done twice."""
    plan = office.plan(draft(target("a", "1", "2"), target("b", "1", "2")))
    office.applying(plan, Shelf(a="1", b="1"))
    path = office.changes.folder(plan.digest) / "ledger.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:1] + lines[2:]))
    with pytest.raises(ArchiveError, match="line 2 does not follow"):
        office.applying(plan, Shelf(a="1", b="1"))


def test_a_line_that_a_power_cut_left_half_written_does_not_stop_the_next(office: Office) -> None:
    """What was not finished was not promised."""
    plan = office.plan(draft(target("a", "1", "2")))
    ledger = Ledger(office.changes, plan.digest, "run-1")
    ledger.intent(plan.draft.targets[0], DO)
    path = office.changes.folder(plan.digest) / "ledger.jsonl"
    path.write_bytes(path.read_bytes() + b'{"type":"outc')
    assert ledger.entry(plan.draft.targets[0]).open
    ledger.outcome(plan.draft.targets[0], DO, DONE, "done")
    assert ledger.entry(plan.draft.targets[0]).done


def test_two_people_do_not_apply_at_once_and_the_second_learns_who_is_at_it(office: Office) -> None:
    """Also when they have different plans for the same thing."""
    from opslib.changes import Means

    first = office.plan(draft(target("a", "1", "2")))
    second = office.plan(draft(target("a", "1", "3")))
    means = Means(office.env(), lambda: None, lambda name: None, {})  # type: ignore[arg-type, return-value]
    archive = office.changes.archive
    with locks.held(first, ShelfKind, means, archive, "run-7"):
        with pytest.raises(Refused, match=r"is being changed by .*run run-7, since 20"):
            locks.held(second, ShelfKind, means, archive, "run-8").__enter__()
        with locks.held(office.plan(draft(target("b", "1", "2"))), ShelfKind, means, archive, "run-9"):
            pass
    with locks.held(second, ShelfKind, means, archive, "run-8"):
        pass


def test_a_former_value_is_kept_in_secret_and_only_here(office: Office) -> None:
    """Encrypted in the home of who made the change; another person's home has no key for it."""
    vault.keep("sha256:1", "sha256:2", "before", "kanarienvogel-2")
    assert vault.get("sha256:1", "sha256:2", "before") == "kanarienvogel-2"
    files = [path for path in office.root.rglob("*") if path.is_file()]
    assert not [path for path in files if b"kanarienvogel-2" in path.read_bytes()]
    office.become("bob")
    with pytest.raises(Refused, match="not kept on this machine"):
        vault.get("sha256:1", "sha256:2", "before")


def test_an_undo_is_covered_by_the_approval_of_what_it_takes_back(office: Office) -> None:
    """It was part of what was approved, for as long as the policy says."""
    shelf = Shelf(a="1", b="1")
    plan = office.plan(draft(target("a", "1", "2"), target("b", "1", "2"), risk=Risk.MEDIUM))
    office.approve(plan)
    now = datetime.now(UTC)
    Ledger(office.changes, plan.digest, "run-2").started(
        authority.allow(plan, office.env(), office.changes, now).to_dict()
    )
    office.applying(plan, shelf)
    back = undo.reverse(plan, office.changes, minutes=30, by={}, now=now)
    office.changes.keep(back.document)
    assert authority.allow(back, office.env(), office.changes, now).approved_by == ("ada",)
    office.applying(back, shelf)
    assert shelf.values == {"a": "1", "b": "1"} and shelf.writes[2:] == ["b=1", "a=1"]
    late = replace(
        back, created_at=ids.stamp(now + timedelta(hours=3)), expires_at=ids.stamp(now + timedelta(hours=3.4))
    )
    office.changes.keep(late.document)
    with pytest.raises(Refused, match="no valid approval"):
        authority.allow(late, office.env(), office.changes, now + timedelta(hours=3.1))


def test_an_undo_with_other_acts_than_the_approved_ones_is_refused(office: Office) -> None:
    """Nobody slips in a change of their own as an undo."""
    plan = office.plan(draft(target("a", "1", "2")))
    office.approve(plan)
    now = datetime.now(UTC)
    allowed = authority.allow(plan, office.env(), office.changes, now)
    Ledger(office.changes, plan.digest, "run-2").started(allowed.to_dict())
    office.applying(plan, Shelf(a="1"))
    back = undo.reverse(plan, office.changes, minutes=30, by={}, now=now)
    forged = replace(back, draft=replace(back.draft, targets=(target("a", "2", "666"),)))
    office.changes.keep(forged.document)
    assert "not the undo that was approved" in refusal(office, forged)


def test_an_undo_reads_as_one_and_says_what_it_does_not_bring_back(office: Office) -> None:
    """`drop x  done` after the undo of a drop would be read as the opposite; what is lost stays lost."""
    lost = "ratings lose their link"
    plan = office.plan(
        replace(draft(target("a", "1", "2"), target("b", "1", "2", undo=False)), not_undoable=(lost,))
    )
    shelf = Shelf(a="1", b="1")
    office.applying(plan, shelf)
    back = undo.reverse(plan, office.changes, minutes=30, by={}, now=datetime.now(UTC)).draft
    assert [target.name for target in back.targets] == ["take back: a"]
    assert back.blast == "what was there before the change comes back, except what cannot"
    assert back.not_undoable == (lost, "b stays as it is: nothing brings it back")
    whole = office.plan(draft(target("c", "1", "2")))
    office.applying(whole, Shelf(c="1"))
    back = undo.reverse(whole, office.changes, minutes=30, by={}, now=datetime.now(UTC)).draft
    assert (back.blast, back.not_undoable) == ("what was there before the change comes back", ())


def test_what_cannot_be_taken_back_says_so(office: Office) -> None:
    """As it said before it was approved."""
    plan = office.plan(draft(target("a", "1", "2", undo=False)))
    office.applying(plan, Shelf(a="1"))
    with pytest.raises(Refused, match="cannot be taken back"):
        undo.reverse(plan, office.changes, minutes=30, by={}, now=datetime.now(UTC))


def test_an_opening_is_good_for_one_act(office: Office) -> None:
    """A leave that could be used twice would be a standing order."""
    opening = Opening(Request("shelf", "PUT", "/a", body={"value": {"secret": "new"}}), "key", {"new": "x"})
    assert opening.use().body == {"value": "x"}  # type: ignore[union-attr]
    with pytest.raises(Refused, match="used already"):
        opening.use()
