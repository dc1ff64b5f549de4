"""An S3 bucket with Object Lock as a witness: each head that it is given, it keeps from being removed.

It signs nothing and compares nothing: we compare. But neither we nor whoever has our credentials can take
back what it holds before its time is over. Where it is, and for how long it holds, parameters/store.yml says.
"""

from __future__ import annotations

from collections.abc import Iterator

from opslib import ids
from opslib.config import Witness
from opslib.errors import ConfigError, OpsError
from opslib.evidence.copies import HELD, held_heads
from opslib.evidence.log import Log
from opslib.evidence.notes import Checkpoint, Note
from opslib.evidence.places import bucket_of, lock_of
from opslib.evidence.plain import NotSound
from opslib.evidence.trusting import quickly_verified
from opslib.evidence.witnesses.cosigning import contradicted
from opslib.evidence.witnesses.known import Asked, remember
from opslib.verdict import Status

KIND = "s3"


def ask(witness: Witness, log: Log) -> Asked:
    """Have the store hold the present head of our log, unless it holds what our log does not continue.

    Args:
        witness: of kind s3.
        log: ours.
    """
    try:
        return _asked(witness, log)
    except (OpsError, NotSound) as error:
        return Asked(witness.name, KIND, Status.UNKNOWN, getattr(error, "message", str(error)))


def held(witness: Witness, log: Log) -> Note | None:
    """Return a head that our log does not continue, else the largest; None where the store holds none.

    Raises:
        OpsError: it cannot be asked.
        NotSound: something that it holds is no head that our log has signed.
    """
    notes = _ours(held_heads(bucket_of()[0]), log)
    strange = (note for note in notes if not log.continues(Checkpoint.parse(note.text)))
    return next(strange, notes[-1] if notes else None)


def _asked(witness: Witness, log: Log) -> Asked:
    note = log.head()
    if note is None:
        return Asked(witness.name, KIND, Status.SKIPPED, "nothing was ever logged")
    bucket, hold = bucket_of()
    if hold is None:
        raise ConfigError("parameters/store.yml: object_lock: is missing, so the store would hold nothing")
    bucket.must_lock()
    head = Checkpoint.parse(note.text)
    for there in _ours(held_heads(bucket), log):
        if not log.continues(found := Checkpoint.parse(there.text)):
            log.keep_cosigned(there)
            return contradicted(witness.name, KIND, found, head.size)
    bucket.create(f"{HELD}{head.size:012d}", note.encode(), lock_of(hold, ids.now()))
    remember(witness.name, log.folder, note)
    return Asked(witness.name, KIND, Status.OK, f"holds {head.size} leaves", head.size)


def _ours(heads: tuple[bytes, ...], log: Log) -> list[Note]:
    """Return heads as notes, the smallest first."""
    return sorted(_signed(heads, log), key=lambda note: Checkpoint.parse(note.text).size)


def _signed(heads: tuple[bytes, ...], log: Log) -> Iterator[Note]:
    for content in heads:
        note = Note.parse(content)
        if not note.signers(log.keys, quickly_verified):
            raise NotSound("a head that it holds is not signed with the key of this log")
        yield note
