"""Are the files of a record those that were sealed, signed by a runner, and those of this run?"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opslib.evidence.envelopes import STATEMENT, Envelope
from opslib.evidence.events import RunFinished, Subject
from opslib.evidence.findings import Finding, Kind, Scope, gone
from opslib.evidence.history import Leaves
from opslib.evidence.layout import ENVELOPE, PROOF, RUNS
from opslib.evidence.lives import Story
from opslib.evidence.notes import Note
from opslib.evidence.plain import NotSound, content_of, listed, moment, shown, unreadable
from opslib.evidence.proofs import Proof, Trust, head_of

LEFT = "disposed.json"  # what tells of a record that was destroyed
_BLOBS = "blobs/"
KINDS_OF_FILES = {ENVELOPE: Kind.RECORD_EDITED, "run.ipynb": Kind.NOTEBOOK_EDITED}
_UNTOUCHED = ("left out", "not reached", "not begun")


@dataclass(frozen=True)
class Place:
    """Where the files of a record are.

    Args:
        folder: of the record.
        archive: of the blobs.
        only: names of the files that were handed over; None where all should be there.
    """

    folder: Path
    archive: Path
    only: frozenset[str] | None = None

    def path(self, name: str) -> Path:
        """Return where a file is."""
        return (self.archive if name.startswith(_BLOBS) else self.folder) / name

    def content(self, name: str) -> bytes | None:
        """Return what is in a file; None where it cannot be read."""
        return content_of(self.path(name))


@dataclass(frozen=True)
class Statement:
    """What a record states of its run.

    Args:
        run: id of the run.
        verdict: of the run.
        started: when it began, as text.
        finished: when it ended, as text.
        procedure: what was run.
        system: on which.
        environment: in which of its environments.
        cause: id of the first cause; empty where there is none.
        subjects: its files.
        changed: whether it has touched anything.
    """

    run: str
    verdict: str
    started: str
    finished: str
    procedure: str
    system: str
    environment: str
    cause: str
    subjects: tuple[Subject, ...]
    changed: bool = False

    @classmethod
    def parse(cls, payload: bytes) -> Statement:
        """Return the statement of an envelope.

        Raises:
            NotSound: it is no statement of a run.
        """
        try:
            found: dict[str, Any] = json.loads(payload)
            told, meta = found["predicate"], found["predicate"]["runDetails"]["metadata"]
            subjects = tuple(Subject(one["name"], one["digest"]["sha256"]) for one in found["subject"])
            external = told["runDefinition"]["externalParameters"]
            what = (external["runbook"], external["system"], external["environment"])
            cause = (told["cause"] or {"id": ""})["id"]
            times = (meta["startedOn"], meta["finishedOn"])
            texts = (meta["invocationId"], told["verdict"], *times, *what, cause)
            if not all(isinstance(text, str) for text in texts):
                raise NotSound("the statement has something else where text belongs")
            changed = any(one["state"] not in _UNTOUCHED for one in told.get("changed") or ())
            return cls(*texts, subjects, changed)
        except NotSound:
            raise
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise NotSound("the payload is no in-toto statement of a run") from None


def folder_of(archive: Path, event: RunFinished) -> Path:
    """Return where the record of a run belongs."""
    return archive / RUNS / f"{event.started:%Y/%m/%d}" / event.run


def record_findings(
    place: Place, index: int, event: RunFinished, story: Story, trust: Trust, scope: Scope
) -> Iterator[Finding]:
    """Yield what is wrong with the record of a run.

    Args:
        place: where its files are.
        index: of the leaf.
        event: the leaf.
        story: of all runs; says what was disposed of, and whose other files are.
        trust: whom to believe.
        scope: how strictly.
    """
    subjects = dict.fromkeys(event.subjects)
    if ENVELOPE not in {one.name for one in subjects}:
        yield Finding(Kind.FORGED, event.run, "was sealed without a record", index)
    content = place.content(ENVELOPE)
    if content is not None and Subject(ENVELOPE, _sha256(content)) in subjects:
        try:
            stated = _signed(content, index, story, trust)
            subjects.update(dict.fromkeys(stated.subjects))
            yield from _told_otherwise(stated, index, event, scope)
            yield from _asked_otherwise(stated, index, story)
            yield from _changed_unseen(stated, index, story)
        except _RetiredKey as error:
            yield Finding(Kind.RETIRED_KEY, event.run, str(error), index)
        except NotSound as error:
            yield Finding(Kind.FORGED, event.run, str(error), index)
    for one in subjects:
        if place.only is None or one.name in place.only:
            yield from _file(place, one, index, event, story)


def proof_findings(place: Place, index: int, leaves: Leaves, run: str, trust: Trust) -> Iterator[Finding]:
    """Yield what the proof beside a record says against the log.

    Args:
        place: where its files are.
        index: of the leaf, as the log has it.
        leaves: of the log.
        run: id of the run.
        trust: whom to believe.
    """
    content = place.content(PROOF)
    if content is None:
        if why := unreadable(place.path(PROOF)):
            yield Finding(Kind.UNREADABLE, run, f"{PROOF} cannot be read: {why}", index)
        return  # it can be made again
    try:
        proof = Proof.parse(content)
        checkpoint = proof.included()
    except NotSound as error:
        yield Finding(Kind.PROOF_EDITED, run, str(error), index)
        return
    unlike = leaves.unlike(f"the proof of {run}", checkpoint)
    if unlike and not _by_its_log(proof.note, trust):
        yield Finding(Kind.PROOF_EDITED, run, "its proof has a checkpoint that the log never signed", index)
    elif unlike:
        yield unlike
    elif proof.index != index:
        yield Finding(Kind.REORDERED, run, f"was leaf {proof.index} when its proof was made", index)


def unsealed(place: Place, index: int, event: RunFinished, story: Story) -> Iterator[Finding]:
    """Yield files that somebody put beside those that were sealed: who opens the folder takes them for such.

    Args:
        place: where the files of the record are.
        index: of the leaf.
        event: the leaf.
        story: of all runs; says whether the record was destroyed, which leaves a file that tells of it.
    """
    known = {one.name for one in event.subjects} | {PROOF}
    known |= {LEFT} if any(one.run == event.run for _, one in story.disposals) else set()
    found, why = listed(place.folder)
    if why:
        yield Finding(Kind.UNREADABLE, event.run, f"its folder cannot be looked into: {why}", index)
    for path in found:
        name = path.relative_to(place.folder).as_posix()
        if name not in known and not path.name.startswith("."):
            yield Finding(Kind.FORGED, event.run, f"{name} was not sealed with it", index)


class _RetiredKey(NotSound):
    """A key has signed that did not count any more."""


def _signed(content: bytes, index: int, story: Story, trust: Trust) -> Statement:
    envelope = Envelope.parse(content)
    signers = envelope.signers(trust.runners, trust.check)
    if not signers:
        raise NotSound(f"no runner that is trusted has signed its record{_by(envelope)}")
    if all(story.retired.get(signer, index) < index for signer in signers):
        raise _RetiredKey(f"its record is signed with {signers[0]}, which had been retired")
    if envelope.payload_type != STATEMENT:
        raise NotSound(f"its record holds {envelope.payload_type[:60]!r}, not {STATEMENT}")
    return Statement.parse(envelope.payload)


def _told_otherwise(stated: Statement, index: int, event: RunFinished, scope: Scope) -> Iterator[Finding]:
    if stated.run != event.run:
        yield Finding(Kind.SWAPPED, event.run, f"its record is that of {stated.run}", index)
    if stated.verdict != event.verdict:
        text = f"its record says {stated.verdict}, the log says {event.verdict}"
        yield Finding(Kind.FORGED, event.run, text, index)
    if moment(stated.started) != event.started:
        text = f"its record says that it began {stated.started}, the log says {shown(event.started)}"
        yield Finding(Kind.BACK_DATED, event.run, text, index)
    if moment(stated.finished) > event.time + scope.tolerance:
        text = f"its record says that it ended {stated.finished}, after it was sealed"
        yield Finding(Kind.POST_DATED, event.run, text, index)


def _asked_otherwise(stated: Statement, index: int, story: Story) -> Iterator[Finding]:
    life = story.lives.get(stated.run)
    asked = life.requested[1] if life and life.requested else None
    for name in ("procedure", "system", "environment") if asked else ():
        wanted, found = getattr(asked, name), getattr(stated, name)
        if wanted and wanted != found:
            text = f"its record is of {found}, but {wanted} was asked for"
            yield Finding(Kind.FORGED, stated.run, text, index)


def _changed_unseen(stated: Statement, index: int, story: Story) -> Iterator[Finding]:
    """Yield a change of which the log, if it is at hand, does not know what was to be done."""
    life = story.lives.get(stated.run)
    if stated.changed and life and life.requested and not life.changes:
        text = "has changed something, and the log knows no plan that it was to carry out"
        yield Finding(Kind.UNAPPROVED, stated.run, text, index)


def _file(place: Place, one: Subject, index: int, event: RunFinished, story: Story) -> Iterator[Finding]:
    content = place.content(one.name)
    if content is None:
        yield _gone(place.path(one.name), one, index, event, story)
    elif (found := _sha256(content)) != one.sha256:
        yield _other(one, found, content, index, event, story)


def _gone(path: Path, one: Subject, index: int, event: RunFinished, story: Story) -> Finding:
    at = story.disposed.get((event.run, one.sha256))
    if at is None:
        return gone(path, event.run, f"{one.name} is not there", index)
    if story.on_hold(event.run, at):
        return Finding(Kind.DISPOSED_ON_HOLD, event.run, f"{one.name} was destroyed while on hold", at)
    return Finding(Kind.DISPOSED, event.run, f"{one.name} was destroyed as a rule demands", at)


def _other(one: Subject, found: str, content: bytes, index: int, event: RunFinished, story: Story) -> Finding:
    owners = story.owners.get((one.name, found), set())
    if owners or (one.name == ENVELOPE and _of_another(content, event.run)):
        whose = min(owners, default="another run")
        return Finding(Kind.SWAPPED, event.run, f"{one.name} is that of {whose}", index)
    kind = Kind.BLOB_EDITED if one.name.startswith(_BLOBS) else KINDS_OF_FILES.get(one.name, Kind.FILE_EDITED)
    return Finding(kind, event.run, f"{one.name} is not what was sealed", index)


def _of_another(content: bytes, run: str) -> bool:
    try:
        return Statement.parse(Envelope.parse(content).payload).run != run
    except NotSound:
        return False


def _by(envelope: Envelope) -> str:
    """Say whose signature it has instead."""
    names = ", ".join(one.key_id[:60] for one in envelope.signatures)
    return f", but {names}, a key that was never announced" if names else ""


def _by_its_log(note: Note, trust: Trust) -> bool:
    try:
        return head_of(note, trust).signed
    except NotSound:
        return False


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
