"""Who is known to hold how much of a log: what screens say. What it is worth, `opslib verify` says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from opslib.config import Witnesses
from opslib.evidence.layout import PROOF
from opslib.evidence.notes import Checkpoint, Note
from opslib.evidence.plain import NotSound, content_of
from opslib.evidence.proofs import Proof
from opslib.evidence.tiles import CHECKPOINT, COSIGNED
from opslib.evidence.trusting import quickly_verified
from opslib.evidence.witnesses import stamps
from opslib.evidence.witnesses.known import Cosigner, cosigners, state_folder

_MOST = 500  # heads that are looked through for a witness which has not answered for long


@dataclass(frozen=True)
class Standing:
    """Who holds how much.

    Args:
        held: name of a witness -> leaves of the largest head that it holds; 0 where it holds none.
        keys: those whose signatures can be checked.
    """

    held: Mapping[str, int]
    keys: tuple[Cosigner, ...] = field(default=(), repr=False)

    @property
    def summary(self) -> str:
        """Who holds how much, in words."""
        return ", ".join(f"{name} holds {size} leaves" for name, size in self.held.items())

    def holders(self, folder: Path) -> list[str] | None:
        """Return which witnesses hold the leaf of a record; None where it has no proof that can be read.

        Args:
            folder: of the record.
        """
        try:
            proof = Proof.parse(content_of(folder / PROOF) or b"")
        except NotSound:
            return None
        signed = _signers(proof.note, self.keys)
        return [name for name, size in self.held.items() if size > proof.index or name in signed]

    def told(self, folder: Path) -> str:
        """Return in words how far a record is witnessed."""
        holders = self.holders(folder)
        if holders is None:
            return "not sealed"
        if not holders:
            return "sealed, not yet witnessed"
        return f"witnessed by {len(holders)} of {len(self.held)}"


def standing(log: Path, found: Witnesses) -> Standing:
    """Return who holds how much of a log.

    Args:
        log: its folder.
        found: who witnesses it.

    Raises:
        ConfigError: a key cannot be used.
    """
    known = cosigners(found)
    held: dict[str, int] = dict.fromkeys((one.name for one in found.witnesses), 0)
    held |= _cosigned(log, known, _size(log / CHECKPOINT))
    remotes = (one.name for one in found.witnesses if one.kind in ("git", "s3"))
    held |= {name: _size(state_folder(log) / name) for name in remotes}
    stamping = (one.name for one in found.witnesses if one.kind == stamps.KIND)
    return Standing(held | {name: stamps.largest(log, name) for name in stamping}, known)


def _cosigned(log: Path, known: Iterable[Cosigner], most: int) -> dict[str, int]:
    """Return how many leaves each has cosigned, of the log as it is now."""
    left = list(known)
    held: dict[str, int] = {}
    for path in sorted((log / COSIGNED).glob("[0-9]*"), reverse=True)[:_MOST]:
        try:
            note = Note.parse(content_of(path) or b"")
            size = Checkpoint.parse(note.text).size
        except NotSound:
            continue  # it proves nothing; a verification names it
        if size > most or "-" in path.name:
            continue  # of another history
        held |= {one.name: size for one in left if one.name in _signers(note, left)}
        left = [one for one in left if one.name not in held]
        if not left:
            break
    return held


def _signers(note: Note, known: Iterable[Cosigner]) -> set[str]:
    found = set()
    for one in known:
        try:
            if note.signers([one.key], quickly_verified):
                found.add(one.name)
        except NotSound:
            continue  # a signature that is not good is none
    return found


def _size(path: Path) -> int:
    try:
        return Checkpoint.parse(Note.parse(content_of(path) or b"").text).size
    except NotSound:
        return 0
