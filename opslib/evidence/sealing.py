"""Seal a record: what the log is told about it, and the proof that lies beside it afterwards."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from opslib.archive import shared, store
from opslib.evidence.envelopes import Envelope
from opslib.evidence.events import RunFinished, Subject, decode_event
from opslib.evidence.layout import ENVELOPE, PROOF
from opslib.evidence.log import Log
from opslib.evidence.plain import NotSound, content_of, moment
from opslib.evidence.proofs import Proof
from opslib.evidence.records import Statement


@dataclass(frozen=True)
class Sealed:
    """A record that is in the log.

    Args:
        index: of its leaf.
        event: the leaf.
        proof: what was written beside the record.
    """

    index: int
    event: RunFinished
    proof: Proof


@dataclass(frozen=True)
class Seal:
    """Whether a record is in the log, as far as the files beside it tell; `opslib verify` proves it.

    Args:
        index: of its leaf; None where it is not sealed.
        text: the same for a person, or why it is not sealed.
    """

    index: int | None
    text: str

    def to_dict(self) -> dict[str, Any]:
        """Return it for `--json`."""
        return {"sealed": self.index is not None, "index": self.index, "text": self.text}


def seal_of(folder: Path) -> Seal:
    """Return whether the record in a folder is sealed.

    Args:
        folder: of the record.
    """
    envelope, content = content_of(folder / ENVELOPE), content_of(folder / PROOF)
    if envelope is None:
        return Seal(None, f"not signed: {ENVELOPE} is not there")
    if content is None:
        return Seal(None, f"not in the log: {PROOF} is not there")
    try:
        proof = Proof.parse(content)
        size = proof.included().size
        event = decode_event(proof.leaf)
    except NotSound as error:
        return Seal(None, f"its proof is not good: {error}")
    if Subject(ENVELOPE, hashlib.sha256(envelope).hexdigest()) not in event.subjects:
        return Seal(None, f"its proof is not of this {ENVELOPE}")
    return Seal(proof.index, f"leaf {proof.index} of the log, which had {size} leaves then")


def finished(
    envelope: bytes, time: datetime, *, actor: str = "", blobs: Iterable[Subject] = ()
) -> RunFinished:  # fmt: skip
    """Return the event of a record.

    Args:
        envelope: bytes of `run.dsse.json`.
        time: now.
        actor: who had it run.
        blobs: what the record has in the archive's blobs.

    Raises:
        NotSound: it holds no statement of a run.
    """
    stated = Statement.parse(Envelope.parse(envelope).payload)
    whole = Subject(ENVELOPE, hashlib.sha256(envelope).hexdigest())
    return RunFinished(
        time=time,
        actor=actor,
        subjects=(whole, *stated.subjects, *blobs),
        run=stated.run,
        verdict=stated.verdict,
        started=moment(stated.started),
    )


def seal(log: Log, folder: Path, event: RunFinished) -> Sealed:
    """Put a record that is in its place into the log, and its proof beside it.

    Args:
        log: of the archive.
        folder: of the record, already published.
        event: what `finished` returned for it.

    Raises:
        DiskFull, ArchiveError: the log or the proof could not be written.
    """
    appended = log.append(event)
    proof = log.proof(appended.first, leaf=appended.leaves[0], note=appended.note)
    write_proof(folder, proof)
    return Sealed(appended.first, event, proof)


def write_proof(folder: Path, proof: Proof) -> None:
    """Put a proof beside a record; a newer one, with cosignatures, takes the place of an older.

    Raises:
        DiskFull, ArchiveError: it could not be written.
    """
    with store.plainly(folder):
        shared.replace(folder / PROOF, proof.encode())
