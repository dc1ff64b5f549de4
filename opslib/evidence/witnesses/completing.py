"""Proofs that were made before a head was cosigned get the cosignatures of that head."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from filelock import FileLock, Timeout

from opslib import ids
from opslib.archive import shared
from opslib.errors import ArchiveError
from opslib.evidence.events import RunFinished, decode_event
from opslib.evidence.layout import PROOF
from opslib.evidence.log import Log
from opslib.evidence.notes import Checkpoint, Note, VerifierKey
from opslib.evidence.plain import NotSound, content_of, whole
from opslib.evidence.proofs import Proof
from opslib.evidence.records import folder_of
from opslib.evidence.sealing import write_proof
from opslib.evidence.tiles import COSIGNED, WIDTH, bundles
from opslib.evidence.trusting import quickly_verified

MOST_PROOFS = 2000  # in one go; the next one goes on
_MARK, _LOCK = "completed", ".completing"
_SOON = timedelta(days=1)  # after its leaf, a record has its proof or never will


@dataclass(frozen=True)
class _Completing:
    """What proofs are to be given.

    Args:
        archive: the archive's folder.
        log: its log.
        note: the head that was cosigned.
        keys: of those who cosign.
        count: how many of them have cosigned it.
    """

    archive: Path
    log: Log
    note: Note
    keys: Sequence[VerifierKey]
    count: int

    def one(self, index: int, leaf: bytes) -> bool | None:
        """Put a better proof beside a record; say whether there was one, None if it is too early."""
        event = _finished(leaf)
        folder = folder_of(self.archive, event) if event else None
        if event is None or folder is None or not folder.is_dir():
            return False
        content = content_of(folder / PROOF)
        if content is None:
            return None if ids.now() - event.time < _SOON else False
        if not self._wants(content, index, leaf):
            return False
        write_proof(folder, self.log.proof(index, leaf=leaf, note=self.note))
        return True

    def _wants(self, content: bytes, index: int, leaf: bytes) -> bool:
        try:
            proof = Proof.parse(content)
            signed = len(proof.note.signers(self.keys, quickly_verified))
        except NotSound:
            return False  # somebody altered it: a verification is to name that, we must not cover it up
        return (proof.index, proof.leaf) == (index, leaf) and signed < self.count


def complete(archive: Path, log: Log, keys: Sequence[VerifierKey], needed: int) -> int:
    """Complete the proofs of records, and return how many got better.

    Args:
        archive: the archive's folder.
        log: its log.
        keys: of those who cosign.
        needed: how many of them are enough; a proof that has fewer is looked at again the next time.

    Raises:
        ArchiveError: the log is damaged, or a proof cannot be written.
    """
    found = _latest(log, keys)
    if found is None:
        return 0
    note, count = found
    place = log.folder / COSIGNED
    try:
        with FileLock(place / _LOCK, timeout=0):
            first = _marked(place / _MARK)
            end, done = _completed(_Completing(archive, log, note, keys, count), first)
            if count >= needed and end > first:
                shared.replace(place / _MARK, f"{end}\n".encode())
            return done
    except Timeout:
        return 0  # another process is at it
    except NotSound as error:
        raise ArchiveError(f"{log.folder}: proofs cannot be completed: {error}") from None


def _completed(work: _Completing, first: int) -> tuple[int, int]:
    """Return up to which leaf nothing is left to be done, and how many proofs got better."""
    done, early = 0, []
    size = Checkpoint.parse(work.note.text).size
    for at, leaf in _leaves(work.log, first, size):
        if done == MOST_PROOFS:
            early.append(at)
            break
        better = work.one(at, leaf)
        done += bool(better)
        early += [at] if better is None else []
    return min([size, *early]), done


def _latest(log: Log, keys: Sequence[VerifierKey]) -> tuple[Note, int] | None:
    """Return the head of our log that most witnesses have cosigned, the largest of those, and how many."""
    best: tuple[int, int, Note | None] = (0, 0, None)
    for path in sorted((log.folder / COSIGNED).glob("[0-9]*"), reverse=True)[: 2 * len(keys)]:
        try:
            note = Note.parse(content_of(path) or b"")
            head = Checkpoint.parse(note.text)
            count = len(note.signers(keys, quickly_verified))
            ours = bool(note.signers(log.keys, quickly_verified))
        except NotSound:
            continue  # a verification names it
        if ours and (count, head.size) > best[:2] and log.continues(head):
            best = (count, head.size, note)
    return (best[2], best[0]) if best[2] else None


def _leaves(log: Log, first: int, size: int) -> Iterator[tuple[int, bytes]]:
    for number, leaves in enumerate(bundles(log.folder, size, first // WIDTH), first // WIDTH):
        yield from ((at, leaf) for at, leaf in enumerate(leaves, number * WIDTH) if at >= first)


def _finished(leaf: bytes) -> RunFinished | None:
    try:
        event = decode_event(leaf)
    except NotSound:
        return None  # a leaf of a kind that this version does not know
    return event if isinstance(event, RunFinished) else None


def _marked(mark: Path) -> int:
    """Return below which leaf all proofs have got what they need; 0 where nobody knows."""
    try:
        return whole((content_of(mark) or b"0").decode("ascii", "replace").strip())
    except NotSound:
        return 0
