"""How long records are kept: rules, and whether what was destroyed was destroyed by one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from opslib.evidence.events import Disposal, RunFinished
from opslib.evidence.findings import Finding, Kind, Scope
from opslib.evidence.lives import Story
from opslib.evidence.plain import shown

_SAID = re.compile(r"(\S+): ([0-9]{1,6}) days")


@dataclass(frozen=True)
class Rule:
    """How long records of some runs are kept.

    Args:
        id: such as `ops-1y`; it never comes to mean something else.
        days: counted from when a run began.
        failure_days: the same for runs that were not ok.
        at_least: so many of the newest records of a procedure, system and environment are always kept.
        procedures: only their runs; empty for all.
        environments: only runs there; empty for all.
        retired: nothing is destroyed by it any more, but something was.
    """

    id: str
    days: int
    failure_days: int
    at_least: int = 0
    procedures: tuple[str, ...] = ()
    environments: tuple[str, ...] = ()
    retired: bool = False

    def fits(self, procedure: str, environment: str) -> bool:
        """Say whether it is about a run."""
        by_procedure = not self.procedures or procedure in self.procedures
        return by_procedure and (not self.environments or environment in self.environments)

    def days_for(self, verdict: str) -> int:
        """Return how long a run with a verdict is kept."""
        return self.days if verdict == "ok" else self.failure_days

    def said(self, verdict: str) -> str:
        """Return the rule as a disposal names it."""
        return f"{self.id}: {self.days_for(verdict)} days"


def disposal_findings(story: Story, scope: Scope) -> Iterator[Finding]:
    """Yield disposals that no rule covers, that came too early, or of what was on hold.

    Args:
        story: of all runs.
        scope: the rules, where they are known.
    """
    for index, event in story.disposals:
        life = story.lives.get(event.run)
        if story.on_hold(event.run, index):
            yield Finding(Kind.DISPOSED_ON_HOLD, event.run, "was destroyed while on hold", index)
        if not life or not life.finished:
            text = "was destroyed, but the log has no record of it"
            yield Finding(Kind.DISPOSED_WITHOUT_RULE, event.run, text, index)
            continue
        asked = life.requested[1] if life.requested else None
        where = (asked.procedure, asked.environment) if asked else ("", "")
        yield from _ruled(index, event, life.finished[-1][1], where, scope)


def _ruled(
    index: int, event: Disposal, sealed: RunFinished, where: tuple[str, str], scope: Scope
) -> Iterator[Finding]:
    found = _SAID.fullmatch(event.policy)
    if scope.retention is not None:
        rules = [rule for rule in scope.retention if rule.fits(*where)]
        if event.policy not in {rule.said(sealed.verdict) for rule in rules}:
            text = f"was destroyed by {event.policy!r}, which is no rule for it"
            yield Finding(Kind.DISPOSED_WITHOUT_RULE, event.run, text, index)
    if found and event.time < sealed.started + timedelta(days=int(found[2])):
        text = (
            f"of {shown(sealed.started)} was destroyed {shown(event.time)}, before {found[2]} days were over"
        )
        yield Finding(Kind.DISPOSED_EARLY, event.run, text, index)
