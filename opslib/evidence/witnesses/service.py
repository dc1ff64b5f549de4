"""A witness: it remembers the largest head that it saw of each log, and cosigns only what continues it.

What it remembers is on the disk before it signs, under a lock that threads and processes share. Whoever
kills it in between leaves a head that was not signed; nobody can have it sign two histories of one log.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout

from opslib import ids
from opslib.archive import shared
from opslib.errors import ArchiveError
from opslib.evidence.merkle import EMPTY_ROOT, consistent
from opslib.evidence.notes import (
    WITNESS_KEY,
    Checkpoint,
    Note,
    NoteSignature,
    VerifierKey,
    cosigned,
)
from opslib.evidence.plain import NotSound
from opslib.evidence.trusting import quickly_verified
from opslib.evidence.witnesses.wire import SIZE_TYPE, Submission
from opslib.keys.machine import MachineKey

_WAIT_SECONDS = 5
_HEAD, _COSIGNED, _LOCK = "head", "cosigned", ".lock"


@dataclass(frozen=True)
class Said:
    """An answer of the witness.

    Args:
        status: of HTTP.
        text: its body.
        type: of the body.
    """

    status: int
    text: str
    type: str = "text/plain; charset=utf-8"


class _Refusal(Exception):
    """A request that is not granted."""

    def __init__(self, status: int, text: str, kind: str = "") -> None:
        super().__init__(text)
        self.said = Said(status, f"{text}\n", *([kind] if kind else []))


@dataclass(frozen=True)
class Service:
    """A witness for some logs.

    Args:
        name: in its cosignatures.
        key: signs them.
        logs: keys of the logs that it witnesses; several may be of one log.
        folder: where it remembers heads.
    """

    name: str
    key: MachineKey = field(repr=False)
    logs: Sequence[VerifierKey]
    folder: Path

    @property
    def verifier(self) -> VerifierKey:
        """The public key, as policies have it."""
        return VerifierKey(self.name, WITNESS_KEY, self.key.raw)

    def add_checkpoint(self, body: bytes) -> Said:
        """Cosign a head if it continues what was seen before.

        Args:
            body: of the request.

        Raises:
            ArchiveError, OSError: what was seen cannot be read, or not be kept; nothing was signed.
        """
        try:
            asked = Submission.parse(body)
            head = Checkpoint.parse(asked.note.text)
        except NotSound as error:
            return Said(400, f"{error}\n")
        try:
            note = self._of_its_log(asked.note, head)
            place = self._place(head.origin)
            place.mkdir(parents=True, exist_ok=True, mode=0o700)
            with FileLock(place / _LOCK, timeout=_WAIT_SECONDS):
                return self._cosigned(place, asked, head, note)
        except _Refusal as refusal:
            return refusal.said
        except Timeout:
            return Said(503, "others are asking about this log: try again\n")

    def held(self, path: str) -> Said:
        """Return the last head that was cosigned of a log.

        Args:
            path: as `held_path` makes it.
        """
        known = {_named(key.name): key.name for key in self.logs}
        digest = path.removeprefix("/").removesuffix("/checkpoint")
        content = shared.read(self.folder / digest / _COSIGNED) if digest in known else b""
        return (
            Said(200, content.decode()) if content else Said(404, "no head of such a log was cosigned here\n")
        )

    def sizes(self) -> Mapping[str, int]:
        """Return how many leaves of each log were seen."""
        return {key.name: self._seen(self._place(key.name)).size for key in self.logs}

    def _of_its_log(self, note: Note, head: Checkpoint) -> Note:
        """Return the note with the signatures of its own log only."""
        keys = [key for key in self.logs if key.name == head.origin]
        if not keys:
            raise _Refusal(404, f"the log {head.origin} is not witnessed here")
        try:
            signers = note.signers(keys, quickly_verified)
        except NotSound as error:
            raise _Refusal(403, str(error)) from None
        if not signers:
            raise _Refusal(403, f"no key that is known here for {head.origin} has signed this head")
        good = {(key.name, key.id) for key in signers}
        return Note(note.text, tuple(one for one in note.signatures if (one.name, one.id) in good))

    def _cosigned(self, place: Path, asked: Submission, head: Checkpoint, note: Note) -> Said:
        _must_continue(self._seen(place), asked, head)
        shared.replace(place / _HEAD, note.encode(), mode=0o600)
        signature = self._signature(note.text)
        shared.replace(place / _COSIGNED, Note(note.text, (*note.signatures, signature)).encode(), mode=0o600)
        return Said(200, signature.line)

    def _signature(self, text: str) -> NoteSignature:
        seconds = int(ids.now().timestamp())
        content = seconds.to_bytes(8, "big") + self.key.sign(cosigned(text, seconds))
        return NoteSignature(self.name, self.verifier.id, content)

    def _seen(self, place: Path) -> Checkpoint:
        """Return the largest head that was seen of a log; one that cannot be read is never taken for none."""
        content = shared.read(place / _HEAD)
        if not content and not (place / _COSIGNED).exists() and not (place / _HEAD).exists():
            return Checkpoint("", 0, EMPTY_ROOT)
        try:
            return Checkpoint.parse(Note.parse(content).text)
        except NotSound as error:
            hint = "put it back from a copy; without it this witness could be made to sign another history"
            raise ArchiveError(f"{place / _HEAD}: what was seen cannot be read: {error}", hint=hint) from None

    def _place(self, origin: str) -> Path:
        return self.folder / _named(origin)


def _must_continue(seen: Checkpoint, asked: Submission, head: Checkpoint) -> None:
    if asked.old > head.size:
        raise _Refusal(400, f"the old size {asked.old} is above the new one, {head.size}")
    if asked.old != seen.size:
        raise _Refusal(409, str(seen.size), SIZE_TYPE)
    if head.size == 0 and head.root != EMPTY_ROOT:
        raise _Refusal(422, "a log without leaves has another root")
    if not consistent(seen.size, head.size, seen.root, head.root, asked.proof):
        raise _Refusal(422, f"this log does not continue the one that had {seen.size} leaves")


def _named(origin: str) -> str:
    return hashlib.sha256(origin.encode()).hexdigest()
