"""The log: append events, durably, from several processes; prove what is in it.

What is appended is on the disk before a head says so, and a head is replaced in one step. Whoever dies
in between, at any byte, leaves the old head and files that the next append writes again.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from time import monotonic

from filelock import FileLock, Timeout

from opslib.archive import holders, shared, store
from opslib.errors import ArchiveError
from opslib.evidence.edge import Edge, Extension
from opslib.evidence.events import Event, KeyRotated, encode_event
from opslib.evidence.merkle import consistency, inclusion
from opslib.evidence.notes import Checkpoint, Note, VerifierKey
from opslib.evidence.plain import NotSound
from opslib.evidence.proofs import Proof
from opslib.evidence.rotations import NO_ROTATIONS, ROTATIONS
from opslib.evidence.signing import LogSigner
from opslib.evidence.tiles import CHECKPOINT, COSIGNED, ENTRIES, WIDTH, Tiles, read_tile, tile_path, unpack
from opslib.evidence.trusting import quickly_verified

_LOCK = ".lock"
_WAIT_SECONDS = 30
_PAUSE_SECONDS = 300  # so long the log is only asked for in passing, after nobody has let go of it
_ASK_SECONDS = 0.25
_DAMAGED = "nothing more is appended to it: `opslib verify` says what was altered"


@dataclass(frozen=True)
class Appended:
    """Where some events are now.

    Args:
        first: index of the first of them.
        leaves: their bytes.
        note: the signed head that covers them.
    """

    first: int
    leaves: tuple[bytes, ...]
    note: Note


class Log:
    """A transparency log in a folder.

    Args:
        folder: of the log; made when the first event is appended.
        signer: signs its heads.
        former: keys that have signed its heads before; the next head is signed with the present one.
    """

    def __init__(self, folder: Path, signer: LogSigner, former: Iterable[VerifierKey] = ()) -> None:
        self.folder = folder
        self.signer = signer
        self.keys = (signer.verifier, *former)
        self._known: tuple[bytes, Edge] | None = None
        self._paused = 0.0  # until then, by the clock that only goes forward

    @cached_property
    def _lock(self) -> FileLock:
        return FileLock(self.folder / _LOCK)

    def append(self, *events: Event) -> Appended:
        """Add events; when this returns they are on the disk, and the head covers them.

        Args:
            events: in the order in which they are to stand; an event that cannot be encoded is refused.

        Raises:
            DiskFull: there is no room; the head is the one from before.
            Busy: others keep it locked; for some minutes from now on it is not waited for again.
            ArchiveError: the log cannot be written, or is damaged.
            NotSound: an event has no form as a leaf.
        """
        leaves = tuple(map(encode_event, events))
        with self._alone():
            before = self._edge()
            after = before.extended(leaves)
            self._write(after.files)
            self._list(before.size, events)
            note = self.signer.sign(Checkpoint(self.signer.origin, after.edge.size, after.edge.root))
            head = note.encode()
            shared.replace(self.folder / CHECKPOINT, head)
            self._known = (head, after.edge)
            self._tidy(after)
        return Appended(before.size, leaves, note)

    def head(self) -> Note | None:
        """Return the signed head; None where nothing was ever appended.

        Raises:
            ArchiveError: it cannot be read, or this log's key has not signed it.
        """
        return self._parsed(self._head())

    def leaf(self, index: int) -> bytes:
        """Return the bytes of an event.

        Raises:
            ArchiveError: the log has no such leaf, or is damaged.
        """
        with self._told():
            return self._leaf(index, self._checkpoint().size)

    def proof(self, index: int, *, leaf: bytes | None = None, note: Note | None = None) -> Proof:
        """Return the proof that an event is in the log.

        Args:
            index: of the leaf.
            leaf: its bytes, if at hand.
            note: a head of this log, perhaps with cosignatures; the present one when not given.

        Raises:
            ArchiveError: the log has no such leaf, or is damaged.
        """
        note = note or self.head()
        with self._told():
            if note is None:
                raise NotSound("nothing was ever appended")
            checkpoint = Checkpoint.parse(note.text)
            leaf = self._leaf(index, checkpoint.size) if leaf is None else leaf
            path = inclusion(Tiles(self.folder, checkpoint.size).subtree, index, checkpoint.size)
            proof = Proof(index, path, note, leaf)
            proof.included()
            return proof

    def consistency(self, old: int, new: int | None = None) -> tuple[bytes, ...]:
        """Return the proof that the log still begins as it did when it had `old` leaves.

        Args:
            old: leaves of the earlier head.
            new: leaves of the later one; all that there are now when not given.

        Raises:
            ArchiveError: it never had so many, or is damaged.
        """
        size = self._checkpoint().size
        later = size if new is None else new
        with self._told():
            if not 0 <= old <= later <= size:
                raise NotSound(f"the log has {size} leaves, fewer than {max(old, later)}")
            return consistency(Tiles(self.folder, later).subtree, old, later)

    def continues(self, earlier: Checkpoint) -> bool:
        """Say whether the log, as its tiles have it, began as an earlier head says.

        Raises:
            ArchiveError: it is damaged.
        """
        size = self._checkpoint().size
        with self._told():
            if not earlier.size or earlier.size > size:
                return earlier == Checkpoint(self.signer.origin, 0, Edge().root)
            return Tiles(self.folder, size).subtree(0, earlier.size) == earlier.root

    def keep_cosigned(self, note: Note) -> Path:
        """Keep a head as a witness sent it back, beside what others have cosigned of it.

        A head that this log does not continue is kept as well, under another name: verification tells
        what was done.

        Raises:
            ArchiveError: this log never signed it, or it cannot be written.
        """
        self._parsed(note.encode())
        checkpoint = Checkpoint.parse(note.text)
        path = self.folder / COSIGNED / f"{checkpoint.size:012d}"
        strange = path.with_name(f"{path.name}-{checkpoint.root.hex()[:16]}")
        with self._alone():
            store.make(path.parent)
            before = _note(shared.read(path))
            if not self.continues(checkpoint) or (before and before.text != note.text):
                path, before = strange, _note(shared.read(strange))
            shared.replace(path, note.joined(before).encode())
        return path

    def _leaf(self, index: int, size: int) -> bytes:
        if not 0 <= index < size:
            raise NotSound(f"there is no leaf {index} in {size}")
        number, place = divmod(index, WIDTH)
        bundle = read_tile(self.folder, ENTRIES, number, min(WIDTH, size - number * WIDTH))
        return unpack(bundle, place + 1)[-1]

    def _checkpoint(self) -> Checkpoint:
        note = self.head()
        return Checkpoint.parse(note.text) if note else Checkpoint(self.signer.origin, 0, Edge().root)

    def _head(self) -> bytes:
        return shared.read(self.folder / CHECKPOINT)

    def _parsed(self, head: bytes) -> Note | None:
        if not head:
            return None
        with self._told():
            note = Note.parse(head)
            if not note.signers(self.keys, quickly_verified):
                raise NotSound(f"its head is not signed with the key of {self.signer.origin}")
            if Checkpoint.parse(note.text).origin != self.signer.origin:
                raise NotSound(f"its head is not of {self.signer.origin}")
            return note

    def _edge(self) -> Edge:
        """Return the edge under the present head; read again only if another process has appended."""
        head = self._head()
        if self._known and self._known[0] == head:
            return self._known[1]
        edge = self._read(self._parsed(head))
        if self._known is None:
            self._sweep(edge)
        return edge

    def _read(self, note: Note | None) -> Edge:
        if note is None:
            self._must_be_new()
            return Edge()
        checkpoint = Checkpoint.parse(note.text)
        with self._told():
            edge = Edge.read(self.folder, checkpoint.size)
            if edge.root != checkpoint.root:
                raise NotSound("its last tiles are not those over which its head was signed")
        return edge

    def _must_be_new(self) -> None:
        """Refuse to begin a log anew over one whose head was taken away."""
        first = self.folder / tile_path(ENTRIES, 0, WIDTH)
        # Whoever died in the very first append has left one bundle.
        several = len(list(first.parent.glob(f"{first.name}.p/[0-9]*"))) > 1
        if several or first.exists() or (self.folder / COSIGNED).exists():
            raise ArchiveError(f"{self.folder}: the log has leaves, but its head is gone", hint=_DAMAGED)

    def _write(self, files: dict[str, bytes]) -> None:
        for name, content in files.items():
            path = self.folder / name
            store.make(path.parent)
            shared.replace(path, content)

    def _list(self, size: int, events: Iterable[Event]) -> None:
        """Note where rotations will stand; a log that came without such a list is read whole instead."""
        path = self.folder / ROTATIONS
        added = [f"{at}\n".encode() for at, one in enumerate(events, size) if isinstance(one, KeyRotated)]
        before = shared.read(path) if added and size else b"" if size else NO_ROTATIONS
        if before:
            shared.replace(path, b"".join([before, *added]))

    def _tidy(self, after: Extension) -> None:
        for name in after.full:
            shutil.rmtree(self.folder / f"{name}.p", ignore_errors=True)

    def _sweep(self, edge: Edge) -> None:
        """Remove what `shared` wrote for writers that were killed; they can only have been at the edge."""
        # Who was about to fill a tile was at work in the next one too, and in the one above.
        files = [self.folder / path for added in (1, WIDTH) for path in edge.extended([b""] * added).files]
        left = {(place, "*") for path in files for place in (path.parent, path.parents[1])}
        # Elsewhere others keep files of their own, and some write without this lock.
        left |= {(self.folder, CHECKPOINT), (self.folder, ROTATIONS)}
        for folder, name in left:
            for path in folder.glob(f".{name}-????????"):
                path.unlink(missing_ok=True)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with store.plainly(self.folder):
            store.make(self.folder)
            try:
                self._lock.acquire(timeout=_ASK_SECONDS if monotonic() < self._paused else _WAIT_SECONDS)
            except Timeout:
                # A run at night must not wait at each of its steps.
                self._paused = monotonic() + _PAUSE_SECONDS
                raise holders.Busy(self.folder / _LOCK, _WAIT_SECONDS) from None
            self._paused = 0.0
            try:
                yield
            finally:
                self._lock.release()

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except NotSound as error:
            raise ArchiveError(f"{self.folder}: the log cannot be used: {error}", hint=_DAMAGED) from None


def _note(content: bytes) -> Note | None:
    try:
        return Note.parse(content)
    except NotSound:  # there was none, or somebody damaged it: what is sound takes its place
        return None
