"""Ask a C2SP witness to cosign the head of our log."""

from __future__ import annotations

from datetime import timedelta

from opslib import ids
from opslib.errors import OpsError, SourceError
from opslib.evidence.log import Log
from opslib.evidence.notes import LARGEST_NOTE, Checkpoint, Note
from opslib.evidence.plain import NotSound, readable, shown, whole
from opslib.evidence.trusting import quickly_verified
from opslib.evidence.witnesses.known import Asked, Cosigner
from opslib.evidence.witnesses.wire import ADD, Answer, Submission, exchanged, held_path
from opslib.verdict import Status

KIND = "c2sp"
_TRIES = 4  # others may ask for the same log at the same time
_CLOCKS = timedelta(minutes=5)
_BY_KEY = (403, 404)
_MEANING = {
    400: "it did not understand the request",
    401: "it asks for a token, or for another one",
    403: "it knows another key of this log",
    404: "it does not know this log",
    413: "it takes the request for too large",
    429: "it asks to come back later",
}


def ask(witness: Cosigner, log: Log, old: int) -> Asked:
    """Have a witness cosign the present head, and keep what it signed.

    Args:
        witness: whom to ask.
        log: ours.
        old: leaves that it has seen, as far as we know; it says so if that is wrong.
    """
    try:
        return _asked(witness, log, old)
    except SourceError as error:
        return _unknown(witness, error.message)
    except NotSound as error:
        return _unknown(witness, f"its answer cannot be used: {error}")


def held(witness: Cosigner, log: Log) -> Note | None:
    """Return the last head of our log that a witness cosigned; None where it never did.

    Raises:
        SourceError: it cannot be asked.
        NotSound: what it shows is not of our log, or not cosigned by it.
    """
    answer = _exchanged(witness, "GET", held_path(log.signer.origin))
    if answer.status == 404:
        return None
    if answer.status != 200:
        raise NotSound(_refused(answer, log))
    note = Note.parse(answer.body)
    # Until it is given the new key, what it holds is signed with one of those before.
    signers = note.signers([*log.keys, witness.key], quickly_verified)
    if (
        witness.key not in signers
        or len(signers) < 2
        or Checkpoint.parse(note.text).origin != log.signer.origin
    ):
        raise NotSound("the head that it shows is not signed by our log and by itself")
    known = {(key.name, key.id) for key in signers}
    return Note(note.text, tuple(one for one in note.signatures if (one.name, one.id) in known))


def _asked(witness: Cosigner, log: Log, old: int) -> Asked:
    for _ in range(_TRIES):
        note = log.head()
        if note is None:
            return Asked(witness.name, KIND, Status.SKIPPED, "nothing was ever logged")
        head = Checkpoint.parse(note.text)
        asked = Submission(min(old, head.size), log.consistency(min(old, head.size), head.size), note)
        answer = _exchanged(witness, "POST", ADD, asked.encode())
        if answer.status == 200:
            return _keep(witness, log, note, answer.body)
        seen = _seen(answer) if answer.status == 409 else old
        if answer.status == 422 or (answer.status == 409 and seen > _size(log)):
            return _conflict(witness, log, seen)
        if answer.status != 409:
            return _unknown(witness, _refused(answer, log))
        old = seen
    return _unknown(witness, "it says each time that it has seen another number of leaves")


def _exchanged(witness: Cosigner, method: str, path: str, body: bytes = b"") -> Answer:
    try:
        token = witness.token.reveal() if witness.token else ""
    except OpsError as error:
        raise SourceError(error.message) from None
    return exchanged(method, witness.url, path, body=body, token=token)


def _keep(witness: Cosigner, log: Log, note: Note, lines: bytes) -> Asked:
    signed = Note.parse(note.text.encode() + b"\n" + lines[:LARGEST_NOTE])
    time = signed.signers([witness.key], quickly_verified).get(witness.key)
    if time is None:
        return _unknown(witness, "what it sent is not signed with the key that we know of it")
    if abs(time - ids.now()) > _CLOCKS:
        return _unknown(witness, f"its clock says {shown(time)}: what it signs with that cannot be used")
    own = tuple(one for one in signed.signatures if (one.name, one.id) == (witness.key.name, witness.key.id))
    log.keep_cosigned(Note(note.text, (*note.signatures, *own)))
    size = Checkpoint.parse(note.text).size
    return Asked(witness.name, KIND, Status.OK, f"has cosigned {size} leaves, {shown(time)}", size)


def _conflict(witness: Cosigner, log: Log, seen: int) -> Asked:
    """Have the witness show what our log does not continue; without that it is only a claim."""
    note = held(witness, log)
    if note is None:
        return _unknown(witness, "it refuses our head, and shows none that it has seen before")
    head = Checkpoint.parse(note.text)
    if log.continues(head):
        return _unknown(witness, f"it refuses our head, which continues the {head.size} leaves that it shows")
    log.keep_cosigned(note)
    return contradicted(witness.name, KIND, head, _size(log))


def contradicted(name: str, kind: str, head: Checkpoint, size: int) -> Asked:
    """Return what is to be said of a witness that holds a head of our log which it does not continue.

    Args:
        name: of the witness.
        kind: of the witness.
        head: what it holds.
        size: leaves of our log.
    """
    if head.size > size:
        text = f"holds {head.size} leaves of this log, which now has {size}: it was cut back"
    else:
        text = f"holds {head.size} leaves which are not those of this log: it was rewritten"
    return Asked(name, kind, Status.CRITICAL, text, head.size)


def _seen(answer: Answer) -> int:
    return whole(answer.body.decode("ascii", "replace").removesuffix("\n"))


def _size(log: Log) -> int:
    note = log.head()
    return Checkpoint.parse(note.text).size if note else 0


def _unknown(witness: Cosigner, text: str) -> Asked:
    return Asked(witness.name, KIND, Status.UNKNOWN, text)


def _refused(answer: Answer, log: Log) -> str:
    """Return what an answer means, and what its operator is to be given where that helps."""
    meaning = _MEANING.get(
        answer.status, "it is in trouble" if answer.status >= 500 else "it is no such witness"
    )
    said = readable(answer.body[:200].decode("utf-8", "replace").strip().split("\n")[0])
    key = log.signer.verifier.text
    step = f"; give its operator this line for `serves: logs:`: {key}" if answer.status in _BY_KEY else ""
    return f"{meaning} ({answer.status}{f': {said}' if said else ''}){step}"
