"""What a colleague with a key and a shared archive could try: forged plans, statements and ledgers."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import rfc8785

from opslib import catalog, ids, keys
from opslib.changes import Means
from opslib.errors import ArchiveError, Refused
from opslib.gate import authority, locks, signing, undo
from opslib.gate.ledger import DO, DONE, Ledger
from opslib.gate.plan import Plan, Risk
from opslib.runner import permission
from tests.changing import Office, Shelf, ShelfKind, draft, target


def refusal(office: Office, plan: Plan) -> str:
    """Return why a plan may not be applied."""
    with pytest.raises(Refused) as caught:
        authority.allow(plan, office.env(plan.environment), office.changes, datetime.now(UTC))
    return caught.value.text()


def simple(office: Office, risk: Risk = Risk.MEDIUM) -> Plan:
    """Return a plan with one target."""
    return office.plan(draft(target("a", "1", "2"), risk=risk))


def as_if_applied(office: Office, plan: Plan) -> None:
    """Write the ledger that an application would have left, as anybody can who may write there."""
    ledger = Ledger(office.changes, plan.digest, "run-2")
    ledger.started({"approved_by": ["bob"], "approvals": ["sha256:0"], "requested_by": "ada"})
    for one in plan.draft.targets:
        ledger.intent(one, DO)
        ledger.outcome(one, DO, DONE, "done")


def the_undo(office: Office, plan: Plan, **changed: Any) -> Plan:
    """Keep the undo of a plan, with some of it changed."""
    back = undo.reverse(plan, office.changes, minutes=30, by={}, now=datetime.now(UTC))
    made = replace(back, draft=replace(back.draft, **changed.pop("draft", {})), **changed)
    office.changes.keep(made.document)
    return made


def test_a_plan_that_nobody_allowed_has_no_undo_that_is_allowed(office: Office) -> None:
    """A ledger says of itself that the plan was approved; only signatures count."""
    plan = simple(office, Risk.HIGH)
    as_if_applied(office, plan)
    assert "nothing shows that what it takes back was allowed" in refusal(office, the_undo(office, plan))


def test_an_approval_that_came_after_the_change_covers_no_undo(office: Office) -> None:
    """It was not there when the change was begun."""
    plan = office.plan(draft(target("a", "1", "2"), risk=Risk.HIGH), age=20)
    office.become("bob")
    office.approve(plan)
    office.become("ada")
    ledger = Ledger(office.changes, plan.digest, "run-2")
    early = ids.stamp(datetime.now(UTC) - timedelta(minutes=10))
    ledger.lines.append(office.changes.write(plan.digest, {"type": "started", "at": early, "run_id": ""}, []))
    ledger.intent(plan.draft.targets[0], DO)
    ledger.outcome(plan.draft.targets[0], DO, DONE, "done")
    assert "still to come" in refusal(office, the_undo(office, plan))


def test_a_ledger_cannot_make_the_time_for_an_undo_longer(office: Office) -> None:
    """Two hours after the change, however late the ledger says that it was begun."""
    plan = office.plan(draft(target("a", "1", "2")), age=50 * 60)
    as_if_applied(office, plan)
    assert "when it did not hold" in refusal(office, the_undo(office, plan))


@pytest.mark.parametrize(
    "changed",
    [
        {"draft": {"settings": {"watch_seconds": 0}}},
        {"draft": {"kind": "other"}},
        {"draft": {"risk": Risk.LOW}},
        {"draft": {"title": "Harmless"}},
        {"draft": {"not_undoable": ()}, "parameters": {"name": "x"}},
        {"procedure": "rollback"},
        {"run_id": "other"},
    ],
    ids=str,
)
def test_an_undo_that_is_not_exactly_what_was_approved_is_refused(
    office: Office, changed: dict[str, Any]
) -> None:
    """Not its targets alone: kind, risk, settings, words and parameters too."""
    plan = simple(office)
    office.approve(plan)
    as_if_applied(office, plan)
    assert "not the undo that was approved" in refusal(office, the_undo(office, plan, **changed))


@pytest.mark.parametrize("order", [(1, 0), (0,)], ids=["reordered", "half"])
def test_an_undo_of_some_targets_or_in_another_order_is_refused(
    office: Office, order: tuple[int, ...]
) -> None:
    """What builds on another comes back first."""
    plan = office.plan(draft(target("a", "1", "2"), target("b", "1", "2")))
    office.approve(plan)
    as_if_applied(office, plan)
    ways = undo.reverse(plan, office.changes, minutes=30, by={}, now=datetime.now(UTC)).draft.targets
    back = the_undo(office, plan, draft={"targets": tuple(ways[n] for n in order)})
    assert "not the undo that was approved" in refusal(office, back)


def test_an_undo_of_another_systems_plan_is_refused(office: Office) -> None:
    """The approval was for that system."""
    plan = office.plan(draft(target("a", "1", "2")), "staging")
    office.approve(plan)
    as_if_applied(office, plan)
    elsewhere = the_undo(office, plan, environment="production", production=True)
    assert "not the undo that was approved" in refusal(office, elsewhere)


def test_the_undo_of_what_was_allowed_goes_on_being_allowed(office: Office) -> None:
    """Also after the approval has expired: it held when the change was begun."""
    plan = office.plan(draft(target("a", "1", "2")))
    office.approve(plan)
    as_if_applied(office, plan)
    back = the_undo(office, plan)
    allowed = authority.allow(back, office.env(), office.changes, datetime.now(UTC) + timedelta(minutes=20))
    assert (allowed.approved_by, allowed.applied_by) == (("ada",), "ada")
    shelf = Shelf(a="2")
    assert office.applying(back, shelf)[0].state == "done" and shelf.values == {"a": "1"}


def sign(office: Office, plan: Plan, text: str) -> None:
    """Keep a text that whoever works now has signed as an approval of a plan."""
    signer = keys.own()
    assert signer
    signature = signer.sign(text.encode(), signing.NAMESPACE)
    office.changes.add_approval(
        plan.digest, {"statement": text, "signature": signature, "key": signer.public}
    )


def stated(plan: Plan, **changed: Any) -> dict[str, Any]:
    """Return what a good approval states."""
    now = datetime.now(UTC)
    return {
        "type": "https://opslib.dev/approval/v0.1", "digest": plan.digest, "at": ids.stamp(now),
        "expires_at": ids.stamp(now + timedelta(minutes=5)), "reason": "because",
        "system": plan.system, "environment": plan.environment, "break_glass": False,
    } | changed  # fmt: skip


@pytest.mark.parametrize("text", ["[]", "null", '"text"', "1", "{", "\\", "[" * 20_000, '{"type":NaN}', "{}"])
def test_a_signature_over_something_else_is_refused_and_breaks_nothing(office: Office, text: str) -> None:
    """Anybody can sign anything, and put it there."""
    plan = simple(office)
    office.become("stranger")
    sign(office, plan, text)
    office.become("ada")
    assert "approval 1:" in refusal(office, plan)


@pytest.mark.parametrize("name", ["digest", "at", "expires_at", "reason", "system", "environment"])
def test_an_approval_that_leaves_something_out_is_refused(office: Office, name: str) -> None:
    """It says which."""
    plan = simple(office)
    whole = stated(plan)
    del whole[name]
    sign(office, plan, rfc8785.dumps(whole).decode())
    assert f"does not state: {name}" in refusal(office, plan)


@pytest.mark.parametrize(
    "changed",
    [
        {"at": 5},
        {"expires_at": None},
        {"at": "2026-11-21"},
        {"at": "soon"},
        {"expires_at": "2026-11-21T10:00:00"},
    ],
    ids=str,
)
def test_an_approval_with_a_time_that_is_none_is_refused(office: Office, changed: dict[str, Any]) -> None:
    """Without its zone, a time is no time either."""
    plan = simple(office)
    sign(office, plan, rfc8785.dumps(stated(plan, **changed)).decode())
    assert "approval 1:" in refusal(office, plan)


def test_an_approval_with_two_readings_is_refused(office: Office) -> None:
    """A key twice, or another order: who checks it with another tool may read something else."""
    plan, other = simple(office), simple(office)
    text = rfc8785.dumps(stated(plan)).decode()
    sign(office, plan, text.replace('"digest"', f'"digest":"{other.digest}","digest"', 1))
    sign(office, plan, json.dumps(stated(plan)))
    said = refusal(office, plan)
    assert said.count("not in the one form") == 2


def test_an_approval_that_claims_a_longer_life_than_the_policy_gives_is_refused(office: Office) -> None:
    """Its signer's file may have had other rules."""
    plan = simple(office)
    sign(office, plan, rfc8785.dumps(stated(plan, expires_at="2999-01-01T00:00:00Z")).decode())
    assert "claims to hold longer than the 30 min" in refusal(office, plan)


def test_the_glass_is_broken_by_a_plain_yes_only(office: Office) -> None:
    """The text "false" is not."""
    people = office.root / "parameters" / "people.yml"
    rights = "name: Ada, may: [approve, apply, break-glass],"
    people.write_text(people.read_text().replace("name: Ada,", rights))
    plan = simple(office, Risk.BREAK_GLASS)
    sign(office, plan, rfc8785.dumps(stated(plan, break_glass="false")).decode())
    assert "needs the glass broken" in refusal(office, plan)


def test_who_left_cannot_sign_as_of_yesterday(office: Office) -> None:
    """The time in a statement is the signer's own word; the key must hold now too."""
    now = datetime.now(UTC)
    yesterday = (now - timedelta(days=1)).date()
    (office.root / "parameters" / "policy.yml").write_text(
        "environments: {production: {medium: self, expires_minutes: 1440, approval_minutes: 1440}}\n"
    )
    people = office.root / "parameters" / "people.yml"
    people.write_text(people.read_text().replace("id: bob,", f"id: bob, until: {yesterday},"))
    late = datetime.combine(yesterday, datetime.max.time(), UTC).replace(microsecond=0)
    age = (now - late).total_seconds() / 60 + 1
    if age >= 1439:  # the plan itself would have expired by then
        pytest.skip("within a minute of midnight")
    plan = office.plan(draft(target("a", "1", "2")), age=age)
    office.become("bob")
    until = ids.stamp(now + timedelta(minutes=5))
    sign(office, plan, rfc8785.dumps(stated(plan, at=ids.stamp(late), expires_at=until)).decode())
    office.become("ada")
    assert "bob ended on" in refusal(office, plan)


@pytest.mark.parametrize(
    "earlier, may", [(10, "approve"), (0, "apply")], ids=["too-early", "without-the-right"]
)
def test_a_review_that_is_none_leaves_it_due(office: Office, earlier: int, may: str) -> None:
    """Signed before there was anything to review, or by somebody who may not."""
    people = office.root / "parameters" / "people.yml"
    text = people.read_text().replace("name: Ada,", "name: Ada, may: [approve, apply, break-glass],")
    people.write_text(text.replace("name: Bob,", f"name: Bob, may: [{may}],"))
    plan = office.plan(draft(target("a", "1", "2"), risk=Risk.BREAK_GLASS), age=15)
    office.approve(plan, break_glass=True)
    as_if_applied(office, plan)
    office.become("bob")
    review = {**stated(plan), "type": "https://opslib.dev/review/v0.1"}
    at = ids.stamp(datetime.now(UTC) - timedelta(minutes=earlier))
    sign(office, plan, rfc8785.dumps({**review, "at": at}).decode())
    assert authority.review_due(plan, office.env(), office.changes)


def forge(office: Office, plan: Plan, **changed: Any) -> str:
    """Put an edited plan into the archive under its own digest, and return that."""
    return office.changes.keep({**plan.document, **changed})


def edited_target(plan: Plan, **changed: Any) -> list[dict[str, Any]]:
    """Return the targets of a plan, the first one edited."""
    return [{**plan.draft.targets[0].to_dict(), **changed}]


@pytest.mark.parametrize(
    "changed",
    [
        {"targets": []}, {"targets": {}}, {"targets": ["x"]}, {"expires_at": "soon"}, {"title": None},
        {"expires_at": "2026-11-21T10:00:00"}, {"expires_at": "1999-01-01T00:00:00Z"}, {"production": "no"},
        {"parameters": []}, {"numbers": {"things": "1"}}, {"numbers": {"things": True}}, {"undo": "text"},
        {"left_out": {"x": 1}}, {"risk": "none"}, {"undoes": None}, {"more": 1}, {"type": "other"},
    ],
    ids=str,
)  # fmt: skip
def test_what_has_not_the_shape_of_a_plan_is_refused(office: Office, changed: dict[str, Any]) -> None:
    """In one sentence, not as a crash."""
    digest = forge(office, simple(office), **changed)
    with pytest.raises(ArchiveError, match="plan"):
        Plan.from_document(office.changes.plan(digest))


@pytest.mark.parametrize(
    "changed",
    [
        {"name": ""}, {"name": 5}, {"act": None}, {"act": {"statement": "x"}}, {"act": {"params": {}}},
        {"undo": {"statement": 1, "params": {}}}, {"identity": "a"}, {"more": 1},
        {"act": {"source": "s", "method": "PUT", "path": "/", "params": {}, "body": 1, "more": 1}},
    ],
    ids=str,
)  # fmt: skip
def test_what_has_not_the_shape_of_a_target_is_refused(office: Office, changed: dict[str, Any]) -> None:
    """An act that cannot be shown whole cannot be approved."""
    plan = simple(office)
    digest = forge(office, plan, targets=edited_target(plan, **changed))
    with pytest.raises(ArchiveError, match="plan"):
        Plan.from_document(office.changes.plan(digest))


def test_two_targets_of_one_name_are_refused(office: Office) -> None:
    """What became of the second would hide what became of the first."""
    plan = simple(office)
    digest = forge(office, plan, targets=edited_target(plan) * 2)
    with pytest.raises(ArchiveError, match="its own"):
        Plan.from_document(office.changes.plan(digest))


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"\xff\xfe", b"null", b'{"a":NaN}', b'{"a":1e400}', b'{"a":12345678901234567890}',
     b'{"a":"\\ud800"}', b"[" * 100_000],
    ids=lambda content: repr(content[:20]),
)  # fmt: skip
@pytest.mark.parametrize("name", ["plan.json", "requested.json", "approval-1.json", "ledger.jsonl"])
def test_a_damaged_file_is_named_and_never_a_crash(office: Office, name: str, content: bytes) -> None:
    """Whatever was written there, by whomever."""
    plan = simple(office)
    (office.changes.folder(plan.digest) / name).write_bytes(content + b"\n" * (name == "ledger.jsonl"))
    looks: Mapping[str, Callable[[], object]] = {
        "plan.json": lambda: office.changes.plan(plan.digest),
        "requested.json": lambda: office.changes.request(plan.digest),
        "approval-1.json": lambda: office.changes.approvals(plan.digest),
        "ledger.jsonl": lambda: office.changes.ledger(plan.digest),
    }
    look = looks[name]
    if name == "requested.json" and not content:
        assert look() is None
        return
    with pytest.raises(ArchiveError, match=name):
        look()


def test_a_plan_in_another_spelling_is_refused(office: Office) -> None:
    """A key twice, or blanks: people read the file, and the digest is over what opslib reads."""
    plan = simple(office)
    path = office.changes.folder(plan.digest) / "plan.json"
    path.write_text(path.read_text().replace('"blast":', '"blast":"all is well","blast":'))
    with pytest.raises(ArchiveError, match="was edited"):
        office.changes.plan(plan.digest)


@pytest.mark.parametrize(
    "name", ["approval-x.json", "approval-1-2.json", "approval-.json", "approval-0.json"]
)
def test_files_with_other_names_are_no_approvals(office: Office, name: str) -> None:
    """They do not stop those that are."""
    plan = simple(office)
    office.approve(plan)
    (office.changes.folder(plan.digest) / name).write_text("x")
    assert len(office.changes.approvals(plan.digest)) == 1


@pytest.mark.parametrize("name", ["ledger.jsonl", "requested.json", "plan.json", "approval-1.json"])
def test_no_link_in_the_archive_is_followed(office: Office, name: str) -> None:
    """Else a colleague's link would have your own files read, or written into."""
    plan = simple(office)
    mine = office.root / "mine"
    mine.write_text("keep out")
    path = office.changes.folder(plan.digest) / name
    path.unlink(missing_ok=True)
    path.symlink_to(mine)
    calls: Mapping[str, Callable[[], object]] = {
        "ledger.jsonl": lambda: office.changes.write(plan.digest, {"type": "x"}, []),
        "requested.json": lambda: office.changes.request(plan.digest),
        "plan.json": lambda: office.changes.plan(plan.digest),
        "approval-1.json": lambda: office.changes.approvals(plan.digest),
    }
    with pytest.raises(ArchiveError, match="link"):
        calls[name]()
    assert mine.read_text() == "keep out"


def test_a_link_in_the_place_of_a_lock_or_of_who_holds_it_is_not_written_through(office: Office) -> None:
    """Who holds a lock is told in a file beside it."""
    plan = simple(office)
    means = Means(office.env(), lambda: None, lambda name: None, {})  # type: ignore[arg-type, return-value]
    archive = office.changes.archive
    with locks.held(plan, ShelfKind, means, archive, "run-1"):
        notes = [path.name for path in (archive / "changes" / ".locks").glob("*.holder")]
    mine = office.root / "mine"
    mine.write_text("keep out")
    for name in notes:
        (archive / "changes" / ".locks" / name).symlink_to(mine)
    with locks.held(plan, ShelfKind, means, archive, "run-1"):
        pass
    assert mine.read_text() == "keep out"


def test_a_pipe_in_the_place_of_a_plan_is_not_waited_for(office: Office) -> None:
    """One such thing would hang every command."""
    plan = simple(office)
    path = office.changes.folder(plan.digest) / "plan.json"
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(ArchiveError, match="no plain file"):
        office.changes.plan(plan.digest)
    assert office.changes.digests() == ()


def test_a_folder_that_is_a_link_is_no_plan(office: Office) -> None:
    """Nor is one whose name is no digest."""
    plan = simple(office)
    folder = office.changes.folder(plan.digest)
    moved = folder.rename(office.root / "elsewhere")
    folder.symlink_to(moved)
    with pytest.raises(ArchiveError, match="link"):
        office.changes.plan(plan.digest)


@pytest.mark.parametrize(
    "line",
    [
        {}, {"type": "started"}, {"type": "started", "at": "soon", "run_id": ""},
        {"type": 5, "at": "", "run_id": ""},
        {"type": "outcome", "at": "2026-11-21T10:00:00Z", "run_id": "", "target": "x", "act": "do"},
    ],
    ids=str,
)  # fmt: skip
def test_a_ledger_with_lines_that_opslib_did_not_write_is_refused(
    office: Office, line: dict[str, Any]
) -> None:
    """Its chain of digests is easily made; what a line must hold is checked too."""
    plan = simple(office)
    office.changes.write(plan.digest, line, [])
    with pytest.raises(ArchiveError, match="line 1 of the ledger does not hold"):
        _ = Ledger(office.changes, plan.digest).lines


@pytest.mark.parametrize("left", [0, 1, 2])
def test_a_ledger_whose_end_was_cut_off_is_not_gone_on_with(office: Office, left: int) -> None:
    """Else what was done would be done again, as soon as things look as they did before."""
    plan = simple(office)
    office.applying(plan, Shelf(a="1"))
    path = office.changes.folder(plan.digest) / "ledger.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:left]))
    shelf = Shelf(a="1")
    with pytest.raises(ArchiveError, match="no longer holds what this machine has written"):
        office.applying(plan, shelf)
    assert shelf.writes == []


@pytest.mark.parametrize(
    "parameters, said",
    [
        ({"x = 1\nimport os": 1}, "there is no parameter"),
        ({"system": "other"}, "names what its run decides"),
        ({"dry_run": False}, "names what its run decides"),
        ({"host": "not a choice"}, "was not made by rollback"),
    ],
    ids=["code", "system", "dry-run", "value"],
)
def test_parameters_of_a_plan_that_the_procedure_does_not_declare_never_reach_a_notebook(
    office: Office, parameters: dict[str, Any], said: str
) -> None:
    """Their names are put in as they are: one with a line break would be code on the machine that applies."""
    procedure = catalog.load(Path(__file__).parents[1] / "notebooks").get("rollback")
    plan = replace(simple(office), parameters=parameters)
    with pytest.raises(Refused, match=said):
        permission.own(plan, procedure)
