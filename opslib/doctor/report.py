"""What the doctor says: one line a thing that was tried."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from opslib.verdict import Status


@dataclass(frozen=True)
class Line:
    """One thing that was tried.

    Args:
        part: heading it belongs under: machine, system, site, database, vendors, people.
        what: the thing.
        status: ok; warning when something optional is missing; critical when this machine lacks
            something needed or a file is wrong; unknown when what is named does not answer from here
            (it may be down, or the address wrong: one look cannot tell); skipped when not named.
        seen: what was seen.
        hint: what to do about it.
    """

    part: str
    what: str
    status: Status
    seen: str = ""
    hint: str = ""


@dataclass(frozen=True)
class Report:
    """Everything that was tried.

    Args:
        system: the system looked at, or an empty string for the machine alone.
        environment: the environment looked at.
        lines: one a thing.
        left_out: procedure id -> why it would be skipped.
    """

    system: str
    environment: str
    lines: tuple[Line, ...]
    left_out: Mapping[str, str] = field(default_factory=dict)

    @property
    def status(self) -> Status:
        """The worst of all lines; what was skipped does not count."""
        return worst(line.status for line in self.lines)

    def to_dict(self) -> dict[str, Any]:
        """The report as one JSON object."""
        return {
            "system": self.system,
            "environment": self.environment,
            "verdict": str(self.status),
            "lines": [asdict(line) for line in self.lines],
            "left_out": dict(self.left_out),
        }


def worst(statuses: Iterable[Status]) -> Status:
    """Return the worst status, ok when there is none but skipped ones."""
    found = [status for status in statuses if status is not Status.SKIPPED]
    return max(found, key=lambda status: status.severity, default=Status.OK)
