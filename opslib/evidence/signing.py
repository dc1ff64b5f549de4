"""Sign: heads of the log with its key, records with the runner's."""

from __future__ import annotations

from dataclasses import dataclass, field

from opslib.evidence.envelopes import STATEMENT, Envelope, EnvelopeSignature, pae
from opslib.evidence.notes import LOG_KEY, Checkpoint, Note, NoteSignature, VerifierKey
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


def sign_statement(payload: bytes, *keys: MachineKey) -> bytes:
    """Return the envelope of a statement.

    Args:
        payload: the statement, an in-toto Statement v1 as JSON.
        keys: who signs it.
    """
    message = pae(STATEMENT, payload)
    made = tuple(EnvelopeSignature(key.public.fingerprint, key.sign(message)) for key in keys)
    return Envelope(payload, STATEMENT, made).encode()
