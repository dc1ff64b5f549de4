"""What a verification found, each kind of attack by its name, and what it could not prove."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from opslib.evidence.parts import Planned
from opslib.evidence.plain import readable, unreadable, written


class Kind(StrEnum):
    """What can be wrong with evidence, or has to be known about it."""

    RECORD_EDITED = "record-edited"
    NOTEBOOK_EDITED = "notebook-edited"
    FILE_EDITED = "file-edited"
    BLOB_EDITED = "blob-edited"
    PROOF_EDITED = "proof-edited"
    LOG_EDITED = "log-edited"
    DELETED = "deleted"
    FORGED = "forged"
    SWAPPED = "swapped"
    TRUNCATED = "truncated"
    REBUILT = "rebuilt"
    FORKED = "forked"
    REORDERED = "reordered"
    BACK_DATED = "back-dated"
    POST_DATED = "post-dated"
    RETIRED_KEY = "retired-key"
    UNAPPROVED = "unapproved"
    APPROVED_AFTERWARDS = "approved-afterwards"
    APPROVAL_EDITED = "approval-edited"
    NOTE_EDITED = "note-edited"
    NEVER_RECORDED = "never-recorded"
    UNFINISHED = "unfinished"
    UNANNOUNCED = "unannounced"
    UNWITNESSED = "unwitnessed"
    DISPOSED_ON_HOLD = "disposed-on-hold"
    DISPOSED_EARLY = "disposed-early"
    DISPOSED_WITHOUT_RULE = "disposed-without-rule"
    NOT_UNDERSTOOD = "not-understood"
    UNREADABLE = "unreadable"
    SKIPPED = "skipped"
    RESCHEDULED = "rescheduled"
    DISPOSED = "disposed"
    RUNNING = "running"
    WITNESSED_LATE = "witnessed-late"


_NO_FAULTS = {Kind.SKIPPED, Kind.RESCHEDULED, Kind.DISPOSED, Kind.RUNNING, Kind.WITNESSED_LATE}


@dataclass(frozen=True)
class Finding:
    """One thing that was found.

    Args:
        kind: which.
        subject: a run, a file, a part of the log.
        text: what is wrong, in a sentence.
        index: of the leaf, where one is meant.
    """

    kind: Kind
    subject: str
    text: str
    index: int | None = None

    @property
    def fault(self) -> bool:
        """Whether something was done that must not be."""
        return self.kind not in _NO_FAULTS and not self.unknown

    @property
    def unknown(self) -> bool:
        """Whether nobody can tell, as something could not be looked at."""
        return self.kind is Kind.UNREADABLE


class Keeping(Protocol):
    """How long records of some runs are kept, as `retention.Rule` has it."""

    def fits(self, procedure: str, environment: str) -> bool:
        """Say whether it is about a run."""
        ...

    def said(self, verdict: str) -> str:
        """Return the rule as a disposal names it."""
        ...


@dataclass(frozen=True)
class Slot:
    """A moment for which the schedule had a run.

    Args:
        name: of the schedule's entry.
        moment: in UTC.
        latest: until when its run may begin; before that, nothing is missing.
    """

    name: str
    moment: datetime
    latest: datetime | None = None


Moments = Callable[[Planned, datetime, datetime], Iterable[datetime]]


@dataclass(frozen=True)
class Filled:
    """What became of a moment of the schedule.

    Args:
        slot: the moment.
        state: `run`, `skipped`, `due` or `missing`.
        text: the run, or why there is none.
    """

    slot: Slot
    state: str
    text: str = ""

    def to_dict(self) -> dict[str, str]:
        """Return it as plain JSON."""
        told = {"name": self.slot.name, "moment": written(self.slot.moment)}
        return {**told, "state": self.state, "text": self.text}


@dataclass(frozen=True)
class Stamp:
    """What an authority for time says of a head of the log; its signature was checked by whoever made this.

    Args:
        name: of the stamp.
        size: leaves of the head.
        algorithm: of the digest, such as `sha512`.
        digest: of the head's text.
        time: when it was stamped.
        fault: why it proves nothing; then the rest has no meaning.
    """

    name: str
    size: int = 0
    algorithm: str = ""
    digest: bytes = b""
    time: datetime = datetime.min
    fault: str = ""


@dataclass(frozen=True)
class Scope:
    """What is to be verified, and how strictly.

    Args:
        since: only events at or after this moment.
        until: only events before it.
        slots: all slots that must have a run; None where they follow from the log, or are not known.
        moments: says when an entry of the schedule that the log holds was due, from a moment on and before
            another; None where nobody can.
        checkpoints: earlier heads of the log that were kept elsewhere, as signed notes.
        stamps: of heads of the log.
        tolerance: how far two clocks may be apart.
        longest: how long a run may take before one without an end is a fault.
        late: how long after an event its first cosignature may come.
        retention: rules by which records may be destroyed; None where they are not known.
        patience: how long a log, or a record, may have been there without any cosignature that is demanded.
        now: the present; a run that began lately may still be running.
    """

    since: datetime | None = None
    until: datetime | None = None
    slots: tuple[Slot, ...] | None = None
    moments: Moments | None = field(default=None, repr=False)
    checkpoints: tuple[bytes, ...] = ()
    stamps: tuple[Stamp, ...] = ()
    tolerance: timedelta = timedelta(minutes=5)
    longest: timedelta = timedelta(days=1)
    late: timedelta = timedelta(days=2)
    retention: tuple[Keeping, ...] | None = None
    patience: timedelta = timedelta(0)
    now: datetime | None = None

    def covers(self, when: datetime) -> bool:
        """Say whether a moment lies in the period."""
        return (self.since is None or self.since <= when) and (self.until is None or when < self.until)

    @property
    def present(self) -> datetime:
        """The moment from which is looked back."""
        return self.now or datetime.now(UTC)


@dataclass(frozen=True)
class Report:
    """The result of a verification.

    Args:
        findings: everything that was found.
        leaves: events in the log, hashed again.
        records: records that were looked at.
        unproven: what none of this shows, in sentences.
        slots: each moment of the schedule, and what became of it.
        unseen: what was asked for and could not be looked at, in sentences.
    """

    findings: tuple[Finding, ...]
    leaves: int
    records: int
    unproven: tuple[str, ...] = ()
    slots: tuple[Filled, ...] = ()
    unseen: tuple[str, ...] = ()

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong, as far as was looked; what could not be read is not sound."""
        return not any(finding.fault or finding.unknown for finding in self.findings)

    @property
    def unknown(self) -> bool:
        """Whether nothing wrong was found, but not all could be looked at."""
        faulty = any(finding.fault for finding in self.findings)
        return not faulty and bool(self.unseen or not self.sound)

    def named(self) -> set[str]:
        """Return the names of all faults."""
        return {str(finding.kind) for finding in self.findings if finding.fault}

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain JSON."""
        return {
            "sound": self.sound,
            "leaves": self.leaves,
            "records": self.records,
            "findings": [
                {"kind": str(one.kind), "subject": one.subject, "text": one.text, "index": one.index}
                for one in self.findings
            ],
            "unproven": list(self.unproven),
            "unseen": list(self.unseen),
            "slots": [one.to_dict() for one in self.slots],
        }


def gone(path: Path, subject: str, text: str, index: int | None = None) -> Finding:
    """Return that a file is not there; or that it cannot be read, which is another thing.

    Args:
        path: of the file.
        subject: to whom it belongs.
        text: that it is not there.
        index: of the leaf that names it.
    """
    why = unreadable(path)
    if why:
        return Finding(Kind.UNREADABLE, subject, f"{path.name} cannot be read: {why}", index)
    return Finding(Kind.DELETED, subject, text, index)


def report(
    findings: Iterable[Finding],
    leaves: int,
    records: int,
    unproven: Iterable[str] = (),
    slots: Iterable[Filled] = (),
    unseen: Iterable[str] = (),
) -> Report:
    """Return a report in which nothing stands twice, and nothing that could play tricks on a terminal."""
    plain = [Finding(one.kind, readable(one.subject), readable(one.text), one.index) for one in findings]
    found = tuple(dict.fromkeys(plain))
    return Report(found, leaves, records, tuple(unproven), tuple(slots), tuple(unseen))
