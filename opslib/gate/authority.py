"""Whether a plan may be applied here and now, by whom it was allowed, and why not.

The same function answers before a kernel is started and inside the kernel, so that a notebook in
JupyterLab is held to what the command line is held to.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from opslib import config, keys
from opslib.archive.changes import Changes, digest_of
from opslib.errors import Refused
from opslib.gate import signing
from opslib.gate.ledger import Ledger
from opslib.gate.plan import Plan
from opslib.gate.signing import APPROVAL, REQUEST, REVIEW, Signed

NONE, SELF, OTHER, BREAK_GLASS = "none", "self", "other", "break-glass"
TRIGGER = "OPSLIB_TRIGGER"  # what started the run; only a person may change something
SKEW = timedelta(minutes=2)


@dataclass(frozen=True)
class Authority:
    """What allows a plan to be applied.

    Args:
        need: what the policy asks for: none, self, other, break-glass.
        approved_by: the people whose approval counts.
        approvals: digests of those approvals.
        requested_by: who asked for the plan, by key; "" when they have none.
        applied_by: who applies it, by key; "" when they have none.
        settle_only: the plan has expired: what was begun is finished, nothing is begun.
    """

    need: str
    approved_by: tuple[str, ...] = ()
    approvals: tuple[str, ...] = ()
    requested_by: str = ""
    applied_by: str = ""
    settle_only: bool = False

    def to_dict(self) -> dict[str, Any]:
        """The authority as the ledger has it."""
        found = asdict(self)
        return {**found, "approved_by": list(self.approved_by), "approvals": list(self.approvals)}


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
    rule = config.load_policy().rule(env, plan.draft.risk)
    need = needed(rule.need, env)
    settle_only = _in_time(plan, rule, changes, now)
    if len(plan.draft.targets) > rule.maximum_targets:
        text = f"it has {len(plan.draft.targets)} targets; {rule.maximum_targets} are allowed in {env.name}"
        raise _refused(plan, text, "plan fewer at a time, or change parameters/policy.yml")
    applier = _own(env, now)
    if plan.undoes:
        covered = _covered(plan, env, changes, rule, now)
        if covered:
            return Authority(need, *covered, applied_by=applier, settle_only=settle_only)
    return _approved(plan, env, changes, rule, applier, now, settle_only)


def needed(need: str, env: config.Environment) -> str:
    """Return what a change needs; where real users are, it is never nothing."""
    return SELF if need == NONE and env.production else need


def requested(plan: Plan, env: config.Environment, changes: Changes) -> str:
    """Return who asked for a plan, by key; "" when nobody signed.

    Raises:
        Refused: a signature is there that does not hold.
    """
    document = changes.request(plan.digest)
    return signing.verified(document, REQUEST, plan.digest, env).person.id if document else ""


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
        raise _refused(plan, text, "plan again for this one")
    if plan.production != env.production:
        raise _refused(plan, f"{env.name} was {'' if plan.production else 'not '}production when it was made")


def _in_time(plan: Plan, rule: config.Rule, changes: Changes, now: datetime) -> bool:
    """Tell whether only what was begun may be finished."""
    if plan.created > now + SKEW:
        text = f"it was made at {plan.created_at}, which by this machine's clock is still to come"
        raise _refused(plan, text, "set this machine's clock, or the one's that made the plan")
    if plan.expires > plan.created + timedelta(minutes=rule.expires_minutes):
        raise _refused(plan, f"it claims to hold longer than the {rule.expires_minutes} min that are allowed")
    if now <= plan.expires:
        return False
    if Ledger(changes, plan.digest).open_entries(plan.draft.targets):
        return True
    raise _refused(plan, f"it expired at {plan.expires_at}", "plan again: the state may have changed since")


def _approved(
    plan: Plan,
    env: config.Environment,
    changes: Changes,
    rule: config.Rule,
    applier: str,
    now: datetime,
    settle: bool,
) -> Authority:
    need = needed(rule.need, env)
    asked = requested(plan, env, changes)
    good: list[tuple[Signed, str]] = []
    reasons: list[str] = []
    for number, document in enumerate(changes.approvals(plan.digest), 1):
        try:
            signed = signing.verified(document, APPROVAL, plan.digest, env)
            _holds(signed, plan, need, (asked, applier), now, settle=settle)
            good.append((signed, digest_of(document)))
        except Refused as error:
            reasons.append(f"approval {number}: {error.message}")
    glass = any(_glass(signed) for signed, _ in good)
    if not (glass or need == BREAK_GLASS or rule.open_at(now)):
        text = f"changes of this risk are allowed at {rule.hours}"
        raise _refused(plan, text, f"wait, or in an emergency: opslib approve {plan.short} --break-glass ...")
    if need == OTHER and not asked and good and not glass:
        raise _refused(
            plan, "whoever made it has not signed it, so nobody can be told apart from them", _KEYS
        )
    if need != NONE and not good:
        text = "; ".join([_WANTED[need], *reasons])
        raise _refused(plan, text, f"opslib approve {plan.short} --reason ...")
    people = tuple(dict.fromkeys(signed.person.id for signed, _ in good))
    return Authority(need, people, tuple(digest for _, digest in good), asked, applier, settle)


def _glass(signed: Signed) -> bool:
    """Tell whether an approval breaks the glass: it counts for anything, and somebody reviews it after."""
    return bool(signed.statement.get("break_glass"))


_KEYS = "opslib keys init, then plan again"
_WANTED = {
    SELF: "it has no valid approval",
    OTHER: "it has no valid approval of another person",
    BREAK_GLASS: "the glass was not broken for it",
}


def _holds(
    signed: Signed, plan: Plan, need: str, others: tuple[str, str], now: datetime, *, settle: bool
) -> None:
    """Raise `Refused` unless one approval counts now."""
    stated = signed.statement
    until = datetime.fromisoformat(stated["expires_at"])
    if signed.at > now + SKEW:
        raise Refused(f"it was signed at {stated['at']}, which by this machine's clock is still to come")
    if signed.at < plan.created - SKEW:
        raise Refused("it was signed before the plan was made")
    if now > until and not settle:
        raise Refused(f"it expired at {stated['expires_at']}")
    if (stated["system"], stated["environment"]) != (plan.system, plan.environment):
        raise Refused(f"it is for {stated['system']} ({stated['environment']})")
    name = signed.person.id
    signed.person.must("break-glass" if _glass(signed) else "approve")
    if need == OTHER and name in others and not _glass(signed):
        did = "made the plan" if name == others[0] else "applies it"
        raise Refused(f"{name} {did}, and another person must approve it")
    if need == BREAK_GLASS and not _glass(signed):
        raise Refused(f"{name} approved it, but this needs the glass broken (--break-glass)")


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
    plan: Plan, env: config.Environment, changes: Changes, rule: config.Rule, now: datetime
) -> tuple[tuple[str, ...], tuple[str, ...], str] | None:
    """Return the approval of the plan that is taken back: its undo was part of what was approved.

    Only for exactly the acts that were shown there as its undo, only where they were really done, and
    only for a while; None when an approval of its own is needed.
    """
    original = Plan.from_document(changes.plan(plan.undoes))
    ledger = Ledger(changes, plan.undoes)
    began = ledger.began
    if began is None:
        raise _refused(plan, "what it takes back was never applied")
    allowed = {way.digest for target in original.draft.targets if (way := target.reversed())}
    if not {target.digest for target in plan.draft.targets} <= allowed or original.system != plan.system:
        raise _refused(plan, "it is not the undo that was approved with the plan before")
    if now > datetime.fromisoformat(began["at"]) + timedelta(hours=rule.undo_hours):
        return None
    authority = began["authority"]
    return tuple(authority["approved_by"]), tuple(authority["approvals"]), authority["requested_by"]


def _refused(plan: Plan, text: str, hint: str = "plan again") -> Refused:
    return Refused(f"plan {plan.short} may not be applied: {text}", hint=hint)


def review_due(plan: Plan, env: config.Environment, changes: Changes) -> bool:
    """Tell whether the glass was broken, the plan applied, and nobody else has reviewed it since."""
    if Ledger(changes, plan.digest).began is None:
        return False
    documents = changes.approvals(plan.digest)
    approvals = _valid(documents, APPROVAL, plan, env)
    broke = {signed.person.id for signed in approvals if _glass(signed)}
    return bool(broke) and not {signed.person.id for signed in _valid(documents, REVIEW, plan, env)} - broke


def _valid(
    documents: Iterable[Mapping[str, Any]], kind: str, plan: Plan, env: config.Environment
) -> Iterator[Signed]:
    """Yield the statements of one kind that hold; the others count for nothing here."""
    for document in documents:
        with suppress(Refused):
            yield signing.verified(document, kind, plan.digest, env)
