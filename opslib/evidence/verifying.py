"""Verify evidence: one record by its proof, or an archive with its whole log."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from opslib.evidence.beside import NO_PEOPLE, needs_approval, of_period, spoiled, unapproved
from opslib.evidence.complete import missing, rescheduled, strangers, timetable, unfilled, unscheduled
from opslib.evidence.events import Disposal, Event, RunFinished, decode_event
from opslib.evidence.findings import Filled, Finding, Kind, Report, Scope, gone, report
from opslib.evidence.history import LOG, History, read_history
from opslib.evidence.lives import Story, order_findings, story_of, time_findings
from opslib.evidence.notes import Checkpoint, Note
from opslib.evidence.plain import NotSound, content_of, shown
from opslib.evidence.proofs import Head, Proof, Trust, head_of
from opslib.evidence.records import PROOF, Place, folder_of, proof_findings, record_findings, unsealed
from opslib.evidence.retention import disposal_findings
from opslib.evidence.rotations import Chain, followed, rotations

NO_WITNESS = (
    "no witness has cosigned this log: whoever holds its keys could have cut it back, reordered it, rewritten"
    " it or left runs out before anybody else had seen it, and nothing here would show that"
)
NO_SCHEDULE = "no schedule was given: a run that was due and never recorded cannot be missed"
NO_RULES = "no rules of retention were given: that what was destroyed had to be, only the log says"
NOT_READ = "the log is not the one that was signed: order, times and completeness were not looked at"
ONE_RECORD = "one record was looked at: whether others were removed or left out needs the whole log"
NO_EARLIER = "no earlier checkpoint was given that you kept yourself"
_AN_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def verify_archive(archive: Path, trust: Trust, scope: Scope | None = None) -> Report:
    """Verify the log of an archive and the records of a period, all of them by default.

    Args:
        archive: the archive's folder.
        trust: whom to believe.
        scope: the period, expected slots, earlier checkpoints, limits.
    """
    scope = scope or Scope()
    history = read_history(archive / LOG, trust, scope)
    trust = history.chain.trust
    story = story_of(history.events, history.chain.runners)
    chosen = [
        (index, event)
        for index, event in history.events
        if isinstance(event, RunFinished) and scope.covers(event.time)
    ]
    slots = timetable(story, scope) if history.leaves.intact else ()
    told = tuple(_logged_findings(archive, history, story, scope, slots)) if history.leaves.intact else ()
    kept = [one for leaf in chosen for one in _record(archive, *leaf, history, story, trust, scope)]
    found = (*history.findings, *told, *kept)
    unseen = tuple(unscheduled(story, scope))
    size, unproven = history.leaves.tree.size, unproven_by(history, scope)
    return report(found, size, len(chosen), unproven, slots, unseen)


def verify_record(folder: Path, trust: Trust, scope: Scope | None = None) -> Report:
    """Verify one record by the proof beside it; the log itself is not needed.

    Where keys were replaced, and the log is at hand, it leads from those that are trusted to those that have
    signed, and says which did not count any more.

    Args:
        folder: of the record, with envelope, proof and files; its name is the run's, unless it is no id.
        trust: whom to believe.
        scope: earlier checkpoints, limits.
    """
    log = _around(folder, LOG) / LOG
    chain = followed(trust, rotations(log)) if log.is_dir() else Chain(trust)
    return _alone(folder, chain, scope or Scope())


def _alone(folder: Path, chain: Chain, scope: Scope) -> Report:
    trust = chain.trust
    unproven = [ONE_RECORD]
    findings: list[Finding] = []
    content = content_of(folder / PROOF)
    if content is None:
        return report([gone(folder / PROOF, folder.name, f"{PROOF} is not there")], 0, 0, unproven)
    try:
        proof = Proof.parse(content)
        head = head_of(proof.note, trust)
        event = decode_event(proof.leaf)
        proof.included()
    except NotSound as error:
        return report([Finding(Kind.PROOF_EDITED, folder.name, str(error))], 0, 0, unproven)
    findings.extend(_head_findings(head, event, proof.index, folder.name, scope))
    if isinstance(event, RunFinished):
        story = story_of([(proof.index, event)], chain.runners)
        place = Place(folder, _around(folder, "blobs"))
        if _AN_ID.fullmatch(folder.name) and folder.name != event.run:
            text = f"its folder holds the record of {event.run}"
            findings.append(Finding(Kind.SWAPPED, folder.name, text, proof.index))
        findings.extend(record_findings(place, proof.index, event, story, trust, scope))
    else:
        findings.append(Finding(Kind.SWAPPED, folder.name, f"its proof is of {event.kind}", proof.index))
    findings.extend(_other_heads(head.checkpoint, trust, scope))
    return report(findings, 1, 1, unproven if head.witnesses else [*unproven, NO_WITNESS])


def log_findings(
    archive: Path, history: History, story: Story, scope: Scope, runs: Collection[str] | None = None
) -> Iterator[Finding]:
    """Yield what is wrong with the log's events, and records that it does not know.

    Args:
        archive: the archive's folder, or what was handed over of one.
        history: its log.
        story: of all runs.
        scope: the period.
        runs: those that were handed over; all when not given.
    """
    yield from order_findings(story, scope)
    yield from time_findings(history.events, history.dated, scope)
    yield from missing(story, scope)
    yield from rescheduled(story, scope)
    yield from unapproved(archive, story, scope, history.chain.trust, runs)
    yield from strangers(archive, story)
    yield from disposal_findings(story, scope)
    for run, life in story.lives.items():
        if len({event.subjects for _, event in life.finished}) > 1:
            yield Finding(
                Kind.FORGED, run, "was sealed twice, each time with other files", life.finished[1][0]
            )


def _logged_findings(
    archive: Path, history: History, story: Story, scope: Scope, slots: Iterable[Filled]
) -> Iterator[Finding]:
    yield from log_findings(archive, history, story, scope)
    yield from spoiled(archive, story, of_period(story, scope), history.chain.trust.check)
    yield from unfilled(slots)


def _record(
    archive: Path, index: int, event: RunFinished, history: History, story: Story, trust: Trust, scope: Scope
) -> Iterator[Finding]:
    place = Place(folder_of(archive, event), archive)
    yield from record_findings(place, index, event, story, trust, scope)
    if index == story.lives[event.run].finished[-1][0]:
        yield from unsealed(place, index, event, story)
        yield from proof_findings(place, index, history.leaves, event.run, trust)


def _around(folder: Path, name: str) -> Path:
    """Return where a folder of the archive is: beside the record's files, or in the archive it lies in."""
    around = (folder, *folder.resolve().parents[:5])
    return next((place for place in around if (place / name).is_dir()), folder)


def _head_findings(head: Head, event: Event, index: int, name: str, scope: Scope) -> Iterator[Finding]:
    if not head.signed:
        yield Finding(Kind.REBUILT, LOG, "no key that is trusted for this log has signed its head", index)
    if not head.quorum and scope.present - event.time >= scope.patience:
        yield Finding(Kind.UNWITNESSED, name, "fewer witnesses than demanded have cosigned its proof", index)
    if head.witnesses:
        yield from _seen_by_then(head, event, index, scope)


def _seen_by_then(head: Head, event: Event, index: int, scope: Scope) -> Iterator[Finding]:
    """Yield what the cosignatures of one checkpoint say against the time of a leaf in it."""
    first, latest = min(head.witnesses.values()), max(head.witnesses.values())
    subject = getattr(event, "run", event.kind)
    if event.time > latest + scope.tolerance:
        text = f"says {shown(event.time)}, but witnesses had seen it by {shown(latest)}"
        yield Finding(Kind.POST_DATED, subject, text, index)
    if first - event.time > scope.late:
        text = f"no witness saw {event.kind} of {shown(event.time)} before {shown(first)}"
        yield Finding(Kind.WITNESSED_LATE, subject, text, index)


def _other_heads(checkpoint: Checkpoint, trust: Trust, scope: Scope) -> Iterator[Finding]:
    """Yield checkpoints of the same size that have another root; more takes the log itself."""
    for content in scope.checkpoints:
        try:
            other = head_of(Note.parse(content), trust).checkpoint
        except NotSound as error:
            yield Finding(Kind.PROOF_EDITED, "a checkpoint kept elsewhere", str(error))
            continue
        if other.size == checkpoint.size and other.root != checkpoint.root:
            yield Finding(Kind.FORKED, LOG, f"two heads of {other.size} leaves have been signed")


def unproven_by(history: History, scope: Scope) -> Iterator[str]:
    """Yield what a sound log does not show, in sentences."""
    size, events = history.leaves.size, [event for _, event in history.events]
    if not history.leaves.intact:
        yield NOT_READ
    if not history.anchors:
        yield NO_WITNESS
    elif history.anchors[-1].size < size:
        last = history.anchors[-1]
        yield (
            f"leaves {last.size} to {size - 1} came after what witnesses saw last ({shown(last.latest)}):"
            " they can still be cut off or rewritten unseen"
        )
    if not scope.checkpoints:
        yield NO_EARLIER
    if history.chain.trust.people is None and any(map(needs_approval, events)):
        yield NO_PEOPLE
    if scope.slots is None and scope.moments is None:
        yield NO_SCHEDULE
    if scope.retention is None and any(isinstance(event, Disposal) for event in events):
        yield NO_RULES
