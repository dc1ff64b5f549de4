"""Findings, causes and the verdict that follows from them.

The one rule that everything rests on: critical > unknown > warning > ok. What could not be
looked at is `unknown`, never `ok`; a run in which every check was skipped is `unknown` too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Status(StrEnum):
    """What one check, or a whole run, says."""

    OK = "ok"
    WARNING = "warning"
    CRITICAL = "critical"
    UNKNOWN = "unknown"
    SKIPPED = "skipped"

    @property
    def exit_code(self) -> int:
        """Process exit code, by the convention of monitoring plug-ins."""
        return _EXIT_CODES[self]

    @property
    def severity(self) -> int:
        """Sort key: the larger, the worse."""
        return _SEVERITY[self]


_SEVERITY = {
    Status.SKIPPED: 0,
    Status.OK: 1,
    Status.WARNING: 2,
    Status.UNKNOWN: 3,
    Status.CRITICAL: 4,
}
_EXIT_CODES = {
    Status.OK: 0,
    Status.WARNING: 1,
    Status.CRITICAL: 2,
    Status.UNKNOWN: 3,
    Status.SKIPPED: 3,
}

FINDING_COLUMNS = ("check", "status", "subject", "observed", "limit", "expected", "why", "next", "key")


@dataclass(frozen=True)
class Cause:
    """What is behind a finding.

    Args:
        id: the scenario id under which the catalogue knows this cause.
        text: one sentence for a person.
        distance: how far the cause is from the person who sees the fault; nearer causes rank first.
    """

    id: str
    text: str
    distance: int = 50

    def to_dict(self) -> dict[str, str]:
        """`{"id", "text"}` as the JSON contract has it."""
        return {"id": self.id, "text": self.text}


@dataclass(frozen=True)
class Finding:
    """The result of one check of one subject.

    Args:
        check: name of the check, stable across runs.
        status: what the check says.
        subject: what was looked at (an endpoint, a database, a vendor).
        observed: the value seen, with its unit.
        limit: the limit it was held against, with its unit.
        expected: what a good result looks like, in words.
        why: why it matters, or why it could not be looked at.
        next: id of the procedure that goes on from here.
        cause: what is behind it, where that is known.
        next_parameters: parameters with which `next` should be opened.
    """

    check: str
    status: Status
    subject: str = ""
    observed: str = ""
    limit: str = ""
    expected: str = ""
    why: str = ""
    next: str = ""
    cause: Cause | None = None
    next_parameters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Stable identity of the finding, for trends and suppression."""
        return f"{self.check}:{self.subject}" if self.subject else self.check

    def _ipython_display_(self) -> None:
        """Show nothing as the value of a cell: the finding is shown where it is made."""

    def to_dict(self) -> dict[str, str]:
        """The nine columns that every finding has."""
        return {name: str(getattr(self, name)) for name in FINDING_COLUMNS}


@dataclass(frozen=True)
class Verdict:
    """What a run says as a whole.

    Args:
        status: ok, warning, critical or unknown.
        causes: known causes, the nearest first.
        findings: all findings, in the order in which they were made.
    """

    status: Status
    causes: tuple[Cause, ...] = ()
    findings: tuple[Finding, ...] = ()

    @property
    def cause(self) -> Cause | None:
        """The cause to act on first."""
        return self.causes[0] if self.causes else None

    def _ipython_display_(self) -> None:
        """Show nothing as the value of a cell: banner and note say it."""


def combine(statuses: Iterable[Status]) -> Status:
    """Return the worst status; nothing looked at, or everything skipped, is `unknown`."""
    worst = max(statuses, key=lambda status: status.severity, default=Status.UNKNOWN)
    return Status.UNKNOWN if worst is Status.SKIPPED else worst


def rank(findings: Iterable[Finding]) -> tuple[Cause, ...]:
    """Return the distinct causes behind findings that are not ok.

    What is certain goes before what is not (a cause under an `unknown` finding is a guess), a
    fault before a mere warning, then the nearer cause first.
    """
    order = {Status.CRITICAL: 0, Status.WARNING: 1, Status.UNKNOWN: 2}
    found = [finding for finding in findings if finding.status in order]
    found.sort(key=lambda finding: (order[finding.status], finding.cause.distance if finding.cause else 0))
    causes: dict[str, Cause] = {}
    for finding in found:
        if finding.cause:
            causes.setdefault(finding.cause.id, finding.cause)
    return tuple(causes.values())


def conclude(findings: Iterable[Finding]) -> Verdict:
    """Draw the verdict from findings."""
    kept = tuple(findings)
    return Verdict(combine(finding.status for finding in kept), rank(kept), kept)
