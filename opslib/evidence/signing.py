"""Sign: heads of the log with its key, records with the runner's."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from opslib.evidence.envelopes import STATEMENT, Envelope, EnvelopeSignature, pae
from opslib.evidence.events import KeyRotated
from opslib.evidence.notes import LOG_KEY, Checkpoint, Note, NoteSignature, VerifierKey
from opslib.evidence.plain import text64
from opslib.evidence.rotations import rotation_message
from opslib.keys.machine import MachineKey


@dataclass(frozen=True)
class LogSigner:
    """What signs the heads of a log.

    Args:
        origin: name of the log, such as `records.example.com/acme`; it never changes.
        key: the log's.
    """

    origin: str
    key: MachineKey = field(repr=False)

    @property
    def verifier(self) -> VerifierKey:
        """The public key, as policies have it."""
        return VerifierKey(self.origin, LOG_KEY, self.key.raw)

    def sign(self, checkpoint: Checkpoint) -> Note:
        """Return a checkpoint with the log's signature."""
        text = checkpoint.text
        return Note(
            text, (NoteSignature(self.origin, self.verifier.id, self.key.sign(text.encode())),)
        )  # fmt: skip


def rotation(time: datetime, role: str, old: MachineKey, new: MachineKey) -> KeyRotated:
    """Return the event in which a key takes the place of another, signed by both.

    Args:
        time: now.
        role: `runner` or `log`.
        old: the key that is retired.
        new: the one that takes its place.
    """
    message = rotation_message(role, old.public.text, new.public.text)
    return KeyRotated(
        time=time, role=role, old=old.public.text, new=new.public.text,
        vouched=text64(old.sign(message)), accepted=text64(new.sign(message)),
    )  # fmt: skip


def sign_statement(payload: bytes, *keys: MachineKey) -> bytes:
    """Return the envelope of a statement.

    Args:
        payload: the statement, an in-toto Statement v1 as JSON.
        keys: who signs it.
    """
    message = pae(STATEMENT, payload)
    made = tuple(EnvelopeSignature(key.public.fingerprint, key.sign(message)) for key in keys)
    return Envelope(payload, STATEMENT, made).encode()
