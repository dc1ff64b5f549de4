"""`opslib approve` and `opslib plans`: who agrees to what, and what there is to agree to."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from opslib.cli import confirming, options, output, wording
from opslib.errors import OpsError, Refused, UsageError

if TYPE_CHECKING:
    from opslib.archive.changes import Changes
    from opslib.config import Environment, Rule
    from opslib.gate.plan import Plan
    from opslib.keys import Signer


@click.command("approve")
@click.argument("digest")
@click.option("--reason", "-r", required=True, metavar="TEXT", help="Why; it is signed with the rest.")
@click.option("--incident", metavar="TEXT", default="", help="Number or address of the incident.")
@click.option("--break-glass", is_flag=True, help="In an emergency; somebody else reviews it afterwards.")
@click.option("--review", is_flag=True, help="Review what was done after the glass was broken.")
@options.archive
@options.as_json
def approve_command(
    digest: str,
    reason: str,
    incident: str,
    break_glass: bool,
    review: bool,
    archive: str | None,
    as_json: bool,
) -> int:
    """Read a plan and sign it with your key.

    Your name comes from the key (`opslib keys init`, parameters/people.yml). Where real users are,
    a terminal is needed, and you type what only a reader of the plan knows.

    \b
    opslib approve 3f9c01ab24d7 --reason "checkout is down" --incident INC-12
    """
    from opslib.cli.changes import environment_of, found, print_plan

    folder = options.opened_archive(archive)
    if not reason.strip():
        raise UsageError("the reason is empty", hint='--reason "checkout is down"')
    for name, text in (("reason", reason), ("incident", incident)):
        wording.must_be_words(name, text)
    plan = found(digest, folder)
    env = environment_of(plan)
    if not as_json:
        print_plan(plan, env)
    reason, incident = (wording.masked(text, plan.system, plan.environment) for text in (reason, incident))
    stated = {"reason": reason.strip(), "incident": incident, "title": plan.draft.title}
    signed = (
        _review(plan, env, folder, stated)
        if review
        else _approve(plan, env, folder, stated, break_glass, as_json)
    )
    output.emit(signed) if as_json else _said(signed, plan, folder)
    return 0


def _approve(
    plan: Plan, env: Environment, folder: Path, stated: dict[str, str], glass: bool, as_json: bool
) -> dict[str, Any]:
    from opslib import config, ids
    from opslib.archive.changes import Changes
    from opslib.gate import authority, signing
    from opslib.runner import deeds

    now = ids.now()
    rule = config.load_policy().rule(env, plan.draft.risk)
    need = authority.needed(rule.need, env)
    signer = _signer()
    person = signing.person(signer.public, now, env)
    person.must("break-glass" if glass else "approve")
    changes = Changes(folder)
    _sensible(plan, env, changes, need, person.id, glass, now)
    typed = confirming.production(plan, env, as_json=as_json)
    until = _until(plan, rule, now)
    document = signing.sign(
        signing.APPROVAL, plan.digest, signer, **stated, system=plan.system, environment=plan.environment,
        break_glass=glass, confirmed=typed, expires_at=ids.stamp(until),
    )  # fmt: skip
    path = changes.add_approval(plan.digest, document)
    deeds.approved(folder, path, document, person.id)
    return {
        "digest": plan.digest,
        "approved_by": person.id,
        "until": ids.stamp(until),
        "kept": str(path),
        "needs": need,
    }


def _sensible(
    plan: Plan, env: Environment, changes: Changes, need: str, person: str, glass: bool, now: datetime
) -> None:
    """Refuse an approval that could not count anyway."""
    from opslib.gate import authority, bounds

    bounds.check(plan)
    if now > plan.expires:
        raise Refused(f"plan {plan.short} expired at {plan.expires_at}", hint="plan again")
    if plan.created > now + authority.SKEW:
        raise Refused(
            f"plan {plan.short} was made at {plan.created_at}, which is still to come", hint="set the clock"
        )
    if need == authority.OTHER and not glass and authority.requested(plan, env, changes) == person:
        hint = "ask somebody else, or --break-glass in an emergency"
        raise Refused(f"{person} made plan {plan.short}; another person must approve it", hint=hint)
    if need == authority.BREAK_GLASS and not glass:
        raise Refused(f"plan {plan.short} needs the glass broken", hint="--break-glass, in an emergency")


def _until(plan: Plan, rule: Rule, now: datetime) -> datetime:
    return min(plan.expires, now + timedelta(minutes=rule.approval_minutes))


def _review(plan: Plan, env: Environment, folder: Path, stated: dict[str, str]) -> dict[str, Any]:
    from opslib import ids
    from opslib.archive.changes import Changes
    from opslib.gate import authority, signing
    from opslib.runner import deeds

    changes = Changes(folder)
    signer = _signer()
    person = signing.person(signer.public, ids.now(), env)
    person.must("approve")
    if not authority.review_due(plan, env, changes):
        raise Refused(f"plan {plan.short} waits for no review", hint="see `opslib plans`")
    if person.id in authority.broke_the_glass(plan, env, changes):
        raise Refused(f"{person.id} broke the glass; another person must review it", hint="ask somebody else")
    document = signing.sign(signing.REVIEW, plan.digest, signer, **stated)
    path = changes.add_approval(plan.digest, document)
    deeds.approved(folder, path, document, person.id)
    return {"digest": plan.digest, "reviewed_by": person.id, "kept": str(path)}


def _signer() -> Signer:
    from opslib import keys

    signer = keys.own()
    if signer is None:
        raise Refused("you have no key to sign with", hint="opslib keys init")
    return signer


def _said(signed: dict[str, Any], plan: Plan, folder: Path) -> None:
    from opslib.archive.changes import Changes
    from opslib.gate.ledger import Ledger
    from opslib.gate.wording import moments

    if "reviewed_by" in signed:
        output.say(f"\nReviewed by {signed['reviewed_by']}.", style="bold")
        return
    output.say(f"\nApproved by {signed['approved_by']} until {signed['until']}.", style="bold")
    if done := Ledger(Changes(folder), plan.digest).done_at(plan.draft.targets):
        output.say(f"It was applied at {moments(done)}; nothing is left to do.")
    else:
        output.say(f"To carry it out: opslib apply {plan.short}")


@click.command("plans")
@options.system
@click.option("--all", "every", is_flag=True, help="Also those that have expired or are done.")
@options.archive
@options.as_json
def plans_command(system: str | None, every: bool, archive: str | None, as_json: bool) -> int:
    """List plans: waiting, approved, applied, cut off, due for review.

    \b
    opslib plans
    opslib plans --all --system kulti
    """
    rows = [row for row in _rows(options.opened_archive(archive)) if not system or row["system"] == system]
    shown = (
        rows if every else [row for row in rows if row["state"] not in ("expired", "applied", "taken back")]
    )
    if as_json:
        output.emit({"plans": shown})
    elif not shown:
        output.say("No plan waits." + ("" if every else " See also: opslib plans --all"))
    else:
        columns = ("PLAN", "STATE", "SYSTEM", "WHAT", "TARGETS", "RISK", "UNTIL", "APPROVED BY")
        output.table(columns, [_cells(row) for row in shown])
    return 0


def _rows(folder: Path) -> Iterator[dict[str, Any]]:
    from opslib.archive.changes import Changes
    from opslib.gate.plan import Plan

    changes = Changes(folder)
    for digest in changes.digests():
        try:
            plan = Plan.from_document(changes.plan(digest))
            yield _row(plan, changes)
        except OpsError as error:
            # One damaged plan must not hide the others.
            output.note(f"opslib: {digest[:19]}: {error.text()}")


def _row(plan: Plan, changes: Changes) -> dict[str, Any]:
    from opslib.cli.changes import environment_of

    env = environment_of(plan)
    state, people = _state(plan, env, changes)
    return {
        "digest": plan.digest, "state": state, "procedure": plan.procedure, "system": plan.system,
        "environment": plan.environment, "title": plan.draft.title, "risk": str(plan.draft.risk),
        "targets": [target.name for target in plan.draft.targets], "created_at": plan.created_at,
        "expires_at": plan.expires_at, "approved_by": people, "undoes": plan.undoes,
    }  # fmt: skip


def _state(plan: Plan, env: Environment, changes: Changes) -> tuple[str, list[str]]:
    from opslib import ids
    from opslib.gate import authority
    from opslib.gate.ledger import Ledger

    ledger = Ledger(changes, plan.digest)
    people = list(authority.approvers(plan, env, changes)) if ledger.began else []
    if authority.review_due(plan, env, changes):
        return "review due", people
    if ledger.open_entries(plan.draft.targets):
        return "cut off", people
    if ledger.began:
        return ("taken back" if ledger.taken_back(plan.draft.targets) else "applied"), people
    if ids.now() > plan.expires:
        return "expired", people
    try:
        return "approved", list(authority.allow(plan, env, changes, ids.now()).approved_by)
    except Refused:
        return "waiting", people


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    place = f"{row['system']} ({row['environment']})"
    count = str(len(row["targets"]))
    people = ", ".join(row["approved_by"])
    short = row["digest"].removeprefix("sha256:")[:12]
    return (short, row["state"], place, row["title"], count, row["risk"], row["expires_at"], people)
