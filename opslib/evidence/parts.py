"""What leaves are made of besides plain texts: files by their digest, slots of a schedule."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields

from opslib.evidence.plain import NotSound

ROUTINE, CHECKLIST = " routine", "checklist"  # what a schedule names, and the procedure that keeps its result
_PART = re.compile(r"[^/\\\x00-\x1f]{1,255}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MINUTES = re.compile(r"[0-9]{1,6}")


@dataclass(frozen=True)
class Subject:
    """A file that an event is about.

    Args:
        name: relative to the record's folder; `blobs/…`, `notes/…` and `changes/…` relative to the archive.
        sha256: digest of its content, in hexadecimal.
    """

    name: str
    sha256: str

    def __post_init__(self) -> None:
        parts = self.name.split("/")
        if not all(_PART.fullmatch(part) and part not in (".", "..") for part in parts):
            raise NotSound(f"{self.name[:80]!r} is no name of a file in a record")
        if not _SHA256.fullmatch(self.sha256):
            raise NotSound(f"{self.sha256[:80]!r} is no SHA-256 digest")


@dataclass(frozen=True)
class Planned:
    """An entry of the schedule: all that decides when a run of it is expected, and of what.

    Args:
        name: by which its runs name it.
        runs: a procedure, or a routine.
        system: the system that is looked at.
        environment: the environment of that system.
        cron: five fields.
        timezone: in which they are meant.
        latest_start: minutes after a moment until which its run may begin.
    """

    name: str
    runs: str
    system: str
    environment: str
    cron: str
    timezone: str
    latest_start: str

    def fits(self, procedure: str, system: str, environment: str) -> bool:
        """Say whether a run is one of this entry; a routine's is that of its checklist."""
        what = CHECKLIST if self.runs.endswith(ROUTINE) else self.runs
        return (procedure, system, environment) == (what, self.system, self.environment)

    def __post_init__(self) -> None:
        values = [getattr(self, part.name) for part in fields(self)]
        if not all(isinstance(value, str) for value in values) or not _MINUTES.fullmatch(self.latest_start):
            raise NotSound("an entry of the schedule holds something else where text belongs")
