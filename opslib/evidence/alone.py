"""Verify one record by the proof beside it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from opslib.evidence.events import Event, RunFinished, decode_event
from opslib.evidence.findings import Finding, Kind, Report, Scope, gone, report
from opslib.evidence.layout import LOG, PROOF
from opslib.evidence.lives import story_of
from opslib.evidence.notes import Checkpoint, Note
from opslib.evidence.plain import NotSound, content_of, shown
from opslib.evidence.proofs import Head, Proof, Trust, head_of
from opslib.evidence.records import Place, record_findings
from opslib.evidence.rotations import Chain, followed, rotations
from opslib.evidence.tiles import CHECKPOINT

NO_WITNESS = (
    "no witness has cosigned this log: whoever holds its keys could have cut it back, reordered it, rewritten"
    " it or left runs out before anybody else had seen it, and nothing here would show that"
)
ONE_RECORD = "one record was looked at: whether others were removed or left out needs the whole log"
_AN_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def verify_record(folder: Path, trust: Trust, scope: Scope | None = None) -> Report:
    """Verify one record by the proof beside it; the log itself is not needed.

    Where keys were replaced, and the log is at hand, it leads from those that are trusted to those that have
    signed, and says which did not count any more.

    Args:
        folder: of the record, with envelope, proof and files; its name is the run's, unless it is no id.
        trust: whom to believe.
        scope: earlier checkpoints, limits.
    """
    chain, unproven = _followed(_around(folder, LOG) / LOG, trust)
    return _alone(folder, chain, scope or Scope(), [ONE_RECORD, *unproven])


def _followed(log: Path, trust: Trust) -> tuple[Chain, list[str]]:
    if not (log / CHECKPOINT).exists():
        return Chain(trust), []
    try:
        return followed(trust, rotations(log)), []
    except NotSound as error:
        return Chain(trust), [f"whether a key had been retired: the log beside it cannot be used: {error}"]


def _alone(folder: Path, chain: Chain, scope: Scope, unproven: list[str]) -> Report:
    trust = chain.trust
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
