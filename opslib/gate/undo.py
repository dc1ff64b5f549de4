"""The plan that takes an applied plan back: exactly the undo that was shown when it was approved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from opslib import ids
from opslib.archive.changes import Changes
from opslib.errors import Refused
from opslib.gate.ledger import UNDO, Ledger
from opslib.gate.plan import Draft, Plan, Target


def reverse(plan: Plan, changes: Changes, *, minutes: float, by: Mapping[str, Any], now: datetime) -> Plan:
    """Return the plan that takes back what was done of another.

    Args:
        plan: what was applied.
        changes: its ledger.
        minutes: how long the new plan holds.
        by: who asks for it.
        now: the time.

    Raises:
        Refused: nothing of it was done, nothing is left of it, or nothing can take it back.
    """
    ledger = Ledger(changes, plan.digest)
    done = [target for target in plan.draft.targets if ledger.entry(target).done]
    if not done:
        raise Refused(f"plan {plan.short} was never applied, so there is nothing to take back")
    left = [target for target in done if not ledger.entry(target, UNDO).done]
    if not left:
        raise Refused(f"plan {plan.short} was taken back already")
    ways = [_named(way) for target in reversed(left) if (way := target.reversed())]
    if not ways:
        why = "; ".join(plan.draft.not_undoable) or "it has no undo"
        raise Refused(
            f"plan {plan.short} cannot be taken back: {why}", hint="as it said before it was approved"
        )
    fixed = [target.name for target in left if target.undo is None]
    lost = (*plan.draft.not_undoable, *(f"{name} stays as it is: nothing brings it back" for name in fixed))
    draft = Draft(
        kind=plan.draft.kind,
        title=f"Take back: {plan.draft.title}",
        targets=tuple(ways),
        risk=plan.draft.risk,
        blast=f"what was there before the change comes back{', except what cannot' if lost else ''}",
        not_undoable=lost,
        undo=(f"plan it again: {plan.draft.title}",),
        settings=plan.draft.settings,
    )
    return replace(
        plan,
        draft=draft,
        created_at=ids.stamp(now),
        expires_at=ids.stamp(now + timedelta(minutes=minutes)),
        planned_by=dict(by),
        undoes=plan.digest,
    )


def _named(way: Target) -> Target:
    """Return a way back by a name of its own: `drop x  done` would read as the opposite."""
    return replace(way, name=f"take back: {way.name}")
