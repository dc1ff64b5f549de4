"""Proofs that one event is in the log, as C2SP's tlog-proof has them: one text file, checked offline.

The line `extra` holds the leaf itself. It needs no trust: the inclusion proof starts from its hash.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from opslib.evidence.ed25519 import verified
from opslib.evidence.merkle import HASH_BYTES, leaf_hash, root_from_inclusion
from opslib.evidence.notes import LARGEST_NOTE, Check, Checkpoint, Note, VerifierKey
from opslib.evidence.people import Holder
from opslib.evidence.plain import NotSound, strict64, text64, whole
from opslib.evidence.policy import Policy

_FIRST, _EXTRA, _INDEX = "c2sp.org/tlog-proof@v1", "extra ", "index "
_LONGEST_PATH = 63


@dataclass(frozen=True)
class Trust:
    """Whom a verifier believes; it comes from elsewhere than the evidence.

    Args:
        policy: logs, witnesses, quorum.
        runners: keys that may sign records: fingerprint -> 32 bytes.
        check: says whether an Ed25519 signature is good.
        people: whose keys may approve changes: fingerprint -> holder; None where they are not at hand.
    """

    policy: Policy
    runners: Mapping[str, bytes]
    check: Check = field(default=verified, repr=False)
    people: Mapping[str, Holder] | None = None


@dataclass(frozen=True)
class Head:
    """A checkpoint, and who signed it.

    Args:
        checkpoint: what was signed.
        signed: whether the log itself has, with a key of the policy for its origin.
        witnesses: key -> when it cosigned.
        quorum: whether these are as many as the policy demands; also where it demands none.
    """

    checkpoint: Checkpoint
    signed: bool
    witnesses: Mapping[VerifierKey, datetime]
    quorum: bool


@dataclass(frozen=True)
class Proof:
    """A proof of inclusion.

    Args:
        index: of the leaf.
        path: hashes from the leaf's neighbour up to the child of the root.
        note: the checkpoint with its signatures, as it was signed.
        leaf: the event's bytes.
    """

    index: int
    path: tuple[bytes, ...]
    note: Note
    leaf: bytes

    @classmethod
    def parse(cls, content: bytes) -> Proof:
        """Return a proof.

        Raises:
            NotSound: the form is not exactly that of a proof with its leaf.
        """
        above, _, note = content[: 2 * LARGEST_NOTE].partition(b"\n\n")
        try:
            first, extra, index, *path = above.decode("ascii").split("\n")
        except ValueError:
            raise NotSound("this is no proof: first line, extra, index, path, checkpoint") from None
        if first != _FIRST or not extra.startswith(_EXTRA) or not index.startswith(_INDEX):
            raise NotSound("this is no proof of the form c2sp.org/tlog-proof@v1 with a leaf in `extra`")
        steps = tuple(strict64(step) for step in path)
        if len(steps) > _LONGEST_PATH or any(len(step) != HASH_BYTES for step in steps):
            raise NotSound("a line of the inclusion proof is no SHA-256 hash")
        leaf = strict64(extra.removeprefix(_EXTRA))
        return cls(whole(index.removeprefix(_INDEX)), steps, Note.parse(note), leaf)

    def encode(self) -> bytes:
        """Return the proof as it is kept in a file."""
        lines = [_FIRST, f"{_EXTRA}{text64(self.leaf)}", f"{_INDEX}{self.index}", *map(text64, self.path)]
        return ("\n".join(lines) + "\n\n").encode() + self.note.encode()

    def included(self) -> Checkpoint:
        """Return the checkpoint in which the leaf is; who signed it is another question.

        Raises:
            NotSound: the leaf is not in it.
        """
        checkpoint = Checkpoint.parse(self.note.text)
        found = root_from_inclusion(leaf_hash(self.leaf), self.index, checkpoint.size, self.path)
        if found != checkpoint.root:
            raise NotSound(f"the leaf is not number {self.index} of the log that the checkpoint is of")
        return checkpoint


def head_of(note: Note, trust: Trust) -> Head:
    """Return a checkpoint and who signed it.

    Raises:
        NotSound: it is no checkpoint, or a signature of a known key is not good.
    """
    checkpoint = Checkpoint.parse(note.text)
    found = note.signers(trust.policy.keys, trust.check)
    signed = any(key.name == checkpoint.origin for key, time in found.items() if time is None)
    witnesses = {key: time for key, time in found.items() if time is not None}
    return Head(checkpoint, signed, witnesses, trust.policy.met(witnesses))
