"""Whether a plan may be applied here and now, by whom it was allowed, and why not.

The same function answers before a kernel is started and inside the kernel, so that a notebook in
JupyterLab is held to what the command line is held to.
"""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import datetime, timedelta

from opslib import config, keys
from opslib.archive.changes import Changes
from opslib.errors import Refused
from opslib.gate import bounds, signing, undo
from opslib.gate.approving import BREAK_GLASS as BREAK_GLASS
from opslib.gate.approving import NONE as NONE
from opslib.gate.approving import OTHER as OTHER
from opslib.gate.approving import SELF as SELF
from opslib.gate.approving import SKEW as SKEW
from opslib.gate.approving import Authority, approved, refused
from opslib.gate.approving import approvers as approvers
from opslib.gate.approving import broke_the_glass as broke_the_glass
from opslib.gate.approving import needed as needed
from opslib.gate.approving import requested as requested
from opslib.gate.approving import review_due as review_due
from opslib.gate.ledger import Ledger
from opslib.gate.plan import Plan

TRIGGER = "OPSLIB_TRIGGER"  # what started the run; only a person may change something


def allow(plan: Plan, env: config.Environment, changes: Changes, now: datetime) -> Authority:
    """Return what allows a plan to be applied to an environment.

    Args:
        plan: as it is kept in the archive.
        env: where it is to be applied.
        changes: plans, approvals and ledgers.
        now: the time.

    Raises:
        Refused: it may not be; the message gives each reason, and nothing was changed.
    """
    _by_a_person()
    _here(plan, env)
    bounds.check(plan)
    rule = config.load_policy().rule(env, plan.draft.risk)
    settle_only = _in_time(plan, rule, changes, now)
    if len(plan.draft.targets) > rule.maximum_targets:
        text = f"it has {len(plan.draft.targets)} targets; {rule.maximum_targets} are allowed in {env.name}"
        raise refused(plan, text, "plan fewer at a time, or change parameters/policy.yml")
    applier = _own(env, now)
    if plan.undoes:
        covered = _covered(plan, env, changes, rule, applier, now)
        if covered:
            return replace(covered, settle_only=settle_only)
    return approved(plan, env, changes, rule, applier, now, settle=settle_only)


def _by_a_person() -> None:
    trigger = os.environ.get(TRIGGER, "manual")
    if trigger != "manual":
        raise Refused(
            f"a run that was started by the {trigger} changes nothing",
            hint="a person applies: opslib apply DIGEST",
        )


def _here(plan: Plan, env: config.Environment) -> None:
    here = (env.system.name, env.name)
    if (plan.system, plan.environment) != here:
        text = f"it was made for {plan.system} ({plan.environment}), not for {here[0]} ({here[1]})"
        raise refused(plan, text, "plan again for this one")
    if plan.production != env.production:
        raise refused(plan, f"{env.name} was {'' if plan.production else 'not '}production when it was made")


def _in_time(plan: Plan, rule: config.Rule, changes: Changes, now: datetime) -> bool:
    """Tell whether only what was begun may be finished."""
    if plan.created > now + SKEW:
        text = f"it was made at {plan.created_at}, which by this machine's clock is still to come"
        raise refused(plan, text, "set this machine's clock, or the one's that made the plan")
    if plan.expires > plan.created + timedelta(minutes=rule.expires_minutes):
        raise refused(plan, f"it claims to hold longer than the {rule.expires_minutes} min that are allowed")
    if now <= plan.expires:
        return False
    if Ledger(changes, plan.digest).open_entries(plan.draft.targets):
        return True
    raise refused(plan, f"it expired at {plan.expires_at}", "plan again: the state may have changed since")


def _own(env: config.Environment, now: datetime) -> str:
    """Return who applies, by the key of this machine's user; "" for nobody known, off production.

    Raises:
        Refused: where real users are, nobody unknown changes anything.
    """
    signer = keys.own()
    if signer is None:
        if env.production:
            raise Refused(
                f"you have no key, and {env.name} is changed by known people only", hint="opslib keys init"
            )
        return ""
    try:
        person = signing.person(signer.public, now, env)
    except Refused:
        if env.production:
            raise
        return ""
    person.must("apply")
    return person.id


def _covered(
    plan: Plan, env: config.Environment, changes: Changes, rule: config.Rule, applier: str, now: datetime
) -> Authority | None:
    """Return the approval of the plan that is taken back: its undo was part of what was approved.

    The ledger is nobody's word: it only says when the plan before was begun. That it was allowed to be
    is found out again, from the signatures; None when it is too long ago, and an approval of its own is
    needed.
    """
    original = Plan.from_document(changes.plan(plan.undoes))
    began = Ledger(changes, plan.undoes).began
    if began is None:
        raise refused(plan, "what it takes back was never applied")
    _must_be_the_undo(plan, original, changes)
    at = datetime.fromisoformat(began["at"])
    if not original.created - SKEW <= at <= original.expires + SKEW:
        raise refused(plan, f"what it takes back was begun at {began['at']}, when it did not hold")
    if now > at + timedelta(hours=rule.undo_hours):
        return None
    try:
        return replace(approved(original, env, changes, rule, "", at), applied_by=applier)
    except Refused as error:
        raise refused(plan, f"nothing shows that what it takes back was allowed: {error.message}") from None


def _must_be_the_undo(plan: Plan, original: Plan, changes: Changes) -> None:
    """Raise `Refused` unless a plan is exactly the undo of another, as it stands in the ledger now."""
    expected = undo.reverse(original, changes, minutes=0, by=plan.planned_by, now=plan.created)
    if replace(expected, created_at=plan.created_at, expires_at=plan.expires_at) != plan:
        raise refused(
            plan, "it is not the undo that was approved with the plan before", f"opslib undo {original.short}"
        )
