"""What the log holds: one leaf an event, as canonical JSON (RFC 8785).

A leaf names files by their digest and never holds their content, so a file can be destroyed lawfully
later while the log stays whole.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import ClassVar

from opslib.evidence.forms import READERS, Reader, canonical, plain_form
from opslib.evidence.parts import Planned as Planned
from opslib.evidence.parts import Subject as Subject
from opslib.evidence.plain import NotSound

LARGEST_LEAF = 65_535  # bytes; its length takes 16 bits in an entry bundle
_RUN = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,127}")


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened.

    Args:
        time: when this leaf was made, in UTC; milliseconds count.
        actor: who did it, where that is known.
        subjects: the files that it is about.
    """

    kind: ClassVar[str] = ""
    time: datetime
    actor: str = ""
    subjects: tuple[Subject, ...] = ()


@dataclass(frozen=True, kw_only=True)
class _OfRun(Event):
    run: str

    def __post_init__(self) -> None:
        if not _RUN.fullmatch(self.run):
            raise NotSound(f"{self.run[:80]!r} is no id of a run")


@dataclass(frozen=True, kw_only=True)
class RunRequested(_OfRun):
    """Somebody or something asked for a run; logged before anything else is done.

    Args:
        run: id of the run.
        procedure: what is to be run.
        system: the system that it is about.
        environment: the environment of that system.
        trigger: `manual`, `schedule` or `alert`.
        slot: name of the schedule's entry, if it asked.
        scheduled_for: the moment that the slot stands for.
    """

    kind = "run.requested"
    procedure: str = ""
    system: str = ""
    environment: str = ""
    trigger: str = ""
    slot: str = ""
    scheduled_for: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class RunStarted(_OfRun):
    """A kernel is about to be started for a run."""

    kind = "run.started"


@dataclass(frozen=True, kw_only=True)
class RunFinished(_OfRun):
    """The record of a run was sealed; its envelope is among the subjects.

    Args:
        run: id of the run.
        verdict: `ok`, `warning`, `critical` or `unknown`.
        started: when it began, which decides the folder of the record.
    """

    kind = "run.finished"
    verdict: str
    started: datetime


@dataclass(frozen=True, kw_only=True)
class Approval(Event):
    """A person answered for a plan; what they signed is the subject, the actor is whose key it was.

    Args:
        plan: digest of the plan.
        decision: `approved`, `break-glass` or `reviewed`.
        key: fingerprint of the key that signed.
        given: when, as the signer's clock had it.
    """

    kind = "approval"
    plan: str
    decision: str = "approved"
    key: str = ""
    given: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class ChangeBegun(_OfRun):
    """A run is about to carry out a plan; logged before anything is touched.

    Args:
        run: id of the run.
        plan: digest of the plan.
        undoes: digest of the plan that it takes back, whose approval covers it.
        need: whose approval the policy asks for: `none`, `self`, `other` or `break-glass`.
    """

    kind = "change.begun"
    plan: str
    undoes: str = ""
    need: str = ""


@dataclass(frozen=True, kw_only=True)
class ScheduleChanged(Event):
    """The schedule is another one from now on; its file is the subject.

    Args:
        slots: all of it, as far as it decides when a run is expected.
    """

    kind = "schedule.changed"
    slots: tuple[Planned, ...] = ()


@dataclass(frozen=True, kw_only=True)
class SlotSkipped(Event):
    """A moment of the schedule passes without a run, and this is why.

    Args:
        slot: name of the schedule's entry.
        scheduled_for: the moment.
        reason: why.
    """

    kind = "slot.skipped"
    slot: str
    scheduled_for: datetime
    reason: str


@dataclass(frozen=True, kw_only=True)
class KeyRotated(Event):
    """A key took the place of another; what the old one signs from now on does not count.

    Both have signed that, so whoever trusts one of them can follow to the other.

    Args:
        role: `runner` or `log`.
        old: the key that is retired, `ssh-ed25519 AAAA…`.
        new: the one that takes its place.
        vouched: signature of the old one, base64.
        accepted: signature of the new one, base64.
    """

    kind = "key.rotated"
    role: str
    old: str
    new: str
    vouched: str
    accepted: str


@dataclass(frozen=True, kw_only=True)
class Annotation(_OfRun):
    """Somebody added a note to a record, which itself never changes; the note's file is the subject.

    Args:
        run: id of the run.
        key: fingerprint of the key that signed the note; "" where none did.
    """

    kind = "annotation"
    key: str = ""


@dataclass(frozen=True, kw_only=True)
class Disposal(_OfRun):
    """Files of a record, the subjects, were destroyed as a rule demands.

    Args:
        run: id of the run.
        policy: the rule.
    """

    kind = "disposal"
    policy: str


@dataclass(frozen=True, kw_only=True)
class Hold(_OfRun):
    """Nothing of a record may be destroyed while this holds.

    Args:
        run: id of the run.
        state: `set` or `cleared`.
        reason: why.
    """

    kind = "hold"
    state: str
    reason: str = ""


KINDS: Mapping[str, type[Event]] = {
    kind.kind: kind
    for kind in (
        RunRequested, RunStarted, RunFinished, Approval, ChangeBegun, ScheduleChanged, SlotSkipped,
        KeyRotated, Annotation, Disposal, Hold,
    )
}  # fmt: skip


def encode_event(event: Event) -> bytes:
    """Return the leaf of an event.

    Raises:
        NotSound: it holds what has no form, or is too long.
    """
    parts = {field.name: plain_form(getattr(event, field.name)) for field in fields(event)}
    try:
        leaf = canonical({"type": event.kind, **parts})
    except UnicodeEncodeError:
        raise NotSound("the event holds half a character") from None
    if len(leaf) > LARGEST_LEAF:
        raise NotSound(f"the event takes {len(leaf)} bytes, a leaf has at most {LARGEST_LEAF}")
    return leaf


def decode_event(leaf: bytes) -> Event:
    """Return the event of a leaf.

    Raises:
        NotSound: it is none, or not in its one form.
    """
    try:
        found = json.loads(leaf.decode())
        if canonical(found) != leaf:
            raise NotSound("the leaf is not in its one form")
        kind = KINDS[found["type"]]
        return kind(**{name: read(found[name]) for name, read in _readers(kind, len(found)).items()})
    except NotSound:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise NotSound("the leaf is no event that is known here") from None


def _readers(kind: type[Event], parts: int) -> Mapping[str, Reader]:
    """Return what reads the values of a kind of event, if a leaf has as many parts as that takes."""
    if parts != len(_READERS[kind]) + 1:
        raise NotSound(f"the leaf has {parts} parts, which is not what {kind.kind} has")
    return _READERS[kind]


_READERS = {kind: {field.name: READERS[str(field.type)] for field in fields(kind)} for kind in KINDS.values()}
