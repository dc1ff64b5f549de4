"""Which signed statements about a plan count, and what they amount to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from opslib import config
from opslib.archive.changes import Changes, digest_of
from opslib.errors import Refused
from opslib.gate import signing
from opslib.gate.ledger import Ledger
from opslib.gate.plan import Plan
from opslib.gate.signing import APPROVAL, REQUEST, REVIEW, Signed

NONE, SELF, OTHER, BREAK_GLASS = "none", "self", "other", "break-glass"
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


def approved(
    plan: Plan, env: config.Environment, changes: Changes, rule: config.Rule, applier: str, now: datetime, *,
    settle: bool = False,
) -> Authority:  # fmt: skip
    """Return the approvals of a plan that count, if they are enough.

    Args:
        plan: what is to be applied, or was.
        env: where.
        changes: requests and approvals.
        rule: what the policy asks for.
        applier: who applies it, by key.
        now: when it is applied, or was.
        settle: finish what was begun, though the approval has expired since.

    Raises:
        Refused: they are not; the message says of each why it does not count.
    """
    need = needed(rule.need, env)
    asked = requested(plan, env, changes)
    good: list[tuple[Signed, str]] = []
    reasons: list[str] = []
    for number, document in enumerate(changes.approvals(plan.digest), 1):
        try:
            signed = signing.verified(document, APPROVAL, plan.digest, env)
            _in_time(signed, plan, env, rule, now, settle=settle)
            _holds(signed, plan, need, (asked, applier))
            good.append((signed, digest_of(document)))
        except Refused as error:
            reasons.append(f"approval {number}: {error.message}")
    glass = any(_glass(signed) for signed, _ in good)
    if not (glass or need == BREAK_GLASS or rule.open_at(now)):
        text = f"changes of this risk are allowed at {rule.hours}"
        raise refused(plan, text, f"wait, or in an emergency: opslib approve {plan.short} --break-glass ...")
    if need == OTHER and not asked and good and not glass:
        raise refused(plan, "whoever made it has not signed it, so nobody can be told apart from them", _KEYS)
    if need != NONE and not good:
        text = "; ".join([_WANTED[need], *reasons])
        raise refused(plan, text, f"opslib approve {plan.short} --reason ...")
    people = tuple(dict.fromkeys(signed.person.id for signed, _ in good))
    return Authority(need, people, tuple(digest for _, digest in good), asked, applier, settle)


def _glass(signed: Signed) -> bool:
    """Tell whether an approval breaks the glass: it counts for anything, and somebody reviews it after."""
    return signed.statement.get("break_glass") is True


_KEYS = "opslib keys init, then plan again"
_WANTED = {
    SELF: "it has no valid approval",
    OTHER: "it has no valid approval of another person",
    BREAK_GLASS: "the glass was not broken for it",
}


def _in_time(
    signed: Signed, plan: Plan, env: config.Environment, rule: config.Rule, now: datetime, *, settle: bool
) -> None:
    """Raise `Refused` unless an approval was given in time and still holds."""
    stated = signed.statement
    if signed.at > now + SKEW:
        raise Refused(f"it was signed at {stated['at']}, which by this machine's clock is still to come")
    if signed.at < plan.created - SKEW:
        raise Refused("it was signed before the plan was made")
    if signed.until > signed.at + timedelta(minutes=rule.approval_minutes) + SKEW:
        raise Refused(f"it claims to hold longer than the {rule.approval_minutes} min that are allowed")
    if settle:
        return
    if now > signed.until:
        raise Refused(f"it expired at {stated['expires_at']}")
    # Signed with a clock that was set back, a key that has ended would go on for ever.
    signing.person(signed.key, now, env)


def _holds(signed: Signed, plan: Plan, need: str, others: tuple[str, str]) -> None:
    """Raise `Refused` unless an approval is for this place, by somebody whose word counts for it."""
    stated = signed.statement
    if (stated["system"], stated["environment"]) != (plan.system, plan.environment):
        raise Refused(f"it is for {stated['system']} ({stated['environment']})")
    name = signed.person.id
    signed.person.must("break-glass" if _glass(signed) else "approve")
    if need == OTHER and name in others and not _glass(signed):
        did = "made the plan" if name == others[0] else "applies it"
        raise Refused(f"{name} {did}, and another person must approve it")
    if need == BREAK_GLASS and not _glass(signed):
        raise Refused(f"{name} approved it, but this needs the glass broken (--break-glass)")


def refused(plan: Plan, text: str, hint: str = "plan again") -> Refused:
    """Return the error that a plan may not be applied."""
    return Refused(f"plan {plan.short} may not be applied: {text}", hint=hint)


def review_due(plan: Plan, env: config.Environment, changes: Changes) -> bool:
    """Tell whether the glass was broken, the plan applied, and nobody else has reviewed it since."""
    began = Ledger(changes, plan.digest).began
    if began is None:
        return False
    documents = changes.approvals(plan.digest)
    broke = broke_the_glass(plan, env, changes)
    since = datetime.fromisoformat(began["at"]) - SKEW
    reviews = (signed for signed in _valid(documents, REVIEW, plan, env) if signed.at >= since)
    return bool(broke) and not {r.person.id for r in reviews if "approve" in r.person.may} - broke


def broke_the_glass(plan: Plan, env: config.Environment, changes: Changes) -> set[str]:
    """Return who broke the glass for a plan."""
    signed = _valid(changes.approvals(plan.digest), APPROVAL, plan, env)
    return {one.person.id for one in signed if _glass(one)}


def approvers(plan: Plan, env: config.Environment, changes: Changes) -> tuple[str, ...]:
    """Return who has signed a plan (or the one that it takes back), whether it counts still or not."""
    own = tuple(one.person.id for one in _valid(changes.approvals(plan.digest), APPROVAL, plan, env))
    if own or not plan.undoes:
        return tuple(dict.fromkeys(own))
    before = Plan.from_document(changes.plan(plan.undoes))
    return () if before.undoes else approvers(before, env, changes)


def _valid(
    documents: Iterable[Mapping[str, Any]], kind: str, plan: Plan, env: config.Environment
) -> Iterator[Signed]:
    """Yield the statements of one kind that hold; the others count for nothing here."""
    for document in documents:
        with suppress(Refused):
            yield signing.verified(document, kind, plan.digest, env)
