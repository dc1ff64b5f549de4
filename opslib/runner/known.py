"""What a log was told last: kept in `OPSLIB_HOME`, and read on from where the last look ended.

Only a shortcut: of a log that is another one than it was, all is read again.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from opslib.archive import shared
from opslib.evidence.events import (
    Approval,
    Event,
    KeyRotated,
    Planned,
    ScheduleChanged,
    SlotSkipped,
    decode_event,
)
from opslib.evidence.notes import Checkpoint, Note
from opslib.evidence.plain import written
from opslib.evidence.tiles import CHECKPOINT, WIDTH, bundles
from opslib.home import private

_VERSION = 1


@dataclass
class Known:
    """What a log says of schedule and approvals.

    Args:
        size: leaves that were read.
        origin: name of the log.
        slots: the schedule; None where none was ever logged.
        file: digest of its file; "" where it had none.
        since: when it was logged.
        skipped: slot -> the last of its moments that were logged as skipped.
        agreed: digests of the approvals.
        rotated: signatures of new keys, of which the log knows.
    """

    size: int = 0
    origin: str = ""
    slots: tuple[Planned, ...] | None = None
    file: str = ""
    since: str = ""
    skipped: dict[str, str] = field(default_factory=dict)
    agreed: list[str] = field(default_factory=list)
    rotated: list[str] = field(default_factory=list)

    def take(self, event: Event) -> None:
        """Take in one event."""
        match event:
            case ScheduleChanged():
                self.slots, self.since = event.slots, written(event.time)
                self.file = event.subjects[0].sha256 if event.subjects else ""
            case SlotSkipped():
                moment = written(event.scheduled_for)
                self.skipped[event.slot] = max(moment, self.skipped.get(event.slot, ""))
            case Approval():
                self.agreed.extend(one.sha256 for one in event.subjects)
            case KeyRotated():
                self.rotated.append(event.accepted)


def known(folder: Path) -> Known:
    """Return what a log says.

    Args:
        folder: of the log.

    Raises:
        ArchiveError: its head cannot be read.
        NotSound: it is damaged.
    """
    head = shared.read(folder / CHECKPOINT)
    if not head:
        return Known()
    checkpoint = Checkpoint.parse(Note.parse(head).text)
    place = private("known") / f"{hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:32]}.json"
    found = _kept(place)
    if found.origin != checkpoint.origin or found.size > checkpoint.size:
        found = Known(origin=checkpoint.origin)
    if found.size < checkpoint.size:
        _read_on(folder, found, checkpoint.size)
        shared.replace(place, json.dumps({"version": _VERSION, **asdict(found)}).encode(), mode=0o600)
    return found


def _read_on(folder: Path, found: Known, size: int) -> None:
    index = found.size // WIDTH * WIDTH
    for leaves in bundles(folder, size, index // WIDTH):
        for leaf in leaves:
            if index >= found.size and any(word in leaf for word in _WORDS):
                found.take(decode_event(leaf))
            index += 1
    found.size = size


def _kept(place: Path) -> Known:
    """Return what was kept; what is damaged is as good as nothing."""
    try:
        told: dict[str, Any] = json.loads(shared.read(place) or b"{}")
        if told.pop("version", None) != _VERSION:
            return Known()
        slots = told.pop("slots")
        return Known(slots=None if slots is None else tuple(Planned(**slot) for slot in slots), **told)
    except (ValueError, TypeError, KeyError, AttributeError):
        return Known()


_KINDS = (ScheduleChanged, SlotSkipped, Approval, KeyRotated)
_WORDS = tuple(f'"type":"{kind.kind}"'.encode() for kind in _KINDS)
