"""Does an archive continue its copy: the heads over there, and the files that change as time goes on?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from opslib.archive.bucket import Bucket, Stored
from opslib.evidence.copies import HEAD, HELD, NEXT, held_heads
from opslib.evidence.findings import Kind
from opslib.evidence.history import History
from opslib.evidence.layout import PROOF
from opslib.evidence.log import Log
from opslib.evidence.notes import Checkpoint, Note, VerifierKey
from opslib.evidence.plain import NotSound
from opslib.evidence.proofs import Proof
from opslib.evidence.trusting import quickly_verified

_GROWING = ".jsonl"
_FEW, _LOCKED = 8, "a head that is locked"
_TORN = {Kind.TRUNCATED, Kind.FORKED, Kind.REBUILT, Kind.LOG_EDITED, Kind.REORDERED, Kind.DELETED}


def torn(history: History) -> str:
    """Return why a log is not what was signed; whatever else is wrong with an archive is copied as it is.

    Args:
        history: of our log.
    """
    found = (one for one in history.findings if one.kind in _TORN)
    return next((f"{one.kind}: {one.text}; `opslib verify` says more" for one in found), "")


def contradicted(
    log: Log, bucket: Bucket, there: Mapping[str, Stored], size: int, *, locked: bool = False
) -> str:
    """Return which head over there our log does not continue; nothing where it continues all of them.

    Args:
        log: ours.
        bucket: where the copy is.
        there: its objects.
        size: leaves of our log.
        locked: whether the store keeps heads by a lock, which is looked at behind what hides them, too.

    Raises:
        ArchiveError: our log is damaged.
        SourceError: the store cannot be asked.
    """
    for name in (HEAD, NEXT):
        content = bucket.read(name) if name in there else None
        if content is not None and (why := _unlike(log, name, content, size)):
            return why
    held = held_heads(bucket, _FEW) if locked or any(name.startswith(HELD) for name in there) else ()
    # What somebody else has put there a verification names; it must not keep us from pushing.
    found = (_unlike(log, _LOCKED, content, size) for content in held if _is_ours(log, content))
    return next(filter(None, found), "")


def _is_ours(log: Log, content: bytes) -> bool:
    try:
        return bool(Note.parse(content).signers(log.keys, quickly_verified))
    except NotSound:
        return False


def _unlike(log: Log, name: str, content: bytes, size: int) -> str:
    try:
        note = Note.parse(content)
        ours, head = note.signers(log.keys, quickly_verified), Checkpoint.parse(note.text)
    except NotSound as error:
        return f"{name} over there is no head of a log: {error}"
    if not ours or head.origin != log.signer.origin:
        return f"{name} over there is a head of {head.origin}, which this log has not signed"
    if head.size > size:
        return (
            f"truncated: {name} over there has {head.size} leaves, and this log has {size}: it was cut"
            " back, or put back from an older copy"
        )
    if not log.continues(head):
        return f"forked: the first {head.size} leaves are not those over which {name} over there was signed"
    return ""


def may_replace(name: str, old: bytes, new: bytes, keys: Sequence[VerifierKey]) -> bool:
    """Say whether one content of a file follows from another; only so may it take its place.

    Args:
        name: of the file.
        old: what the copy has.
        new: what the archive has.
        keys: of the log.
    """
    if name.endswith(_GROWING):
        return new.startswith(old)
    try:
        if name.endswith(f"/{PROOF}"):
            before, proof = Proof.parse(old), Proof.parse(new)
            proof.included()
            ours = proof.note.signers(keys, quickly_verified)
            return bool(ours) and (before.index, before.leaf) == (proof.index, proof.leaf)
        less, more = Note.parse(old), Note.parse(new)
        return less.text == more.text and set(less.signatures) <= set(more.signatures)
    except NotSound:
        return False
