"""Is the log the one that was signed, and does it continue every head that was seen of it?"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from opslib.evidence.events import Event, decode_event
from opslib.evidence.findings import Finding, Kind, Scope
from opslib.evidence.layout import LOG
from opslib.evidence.merkle import HASH_BYTES
from opslib.evidence.notes import Checkpoint, Note
from opslib.evidence.plain import NotSound, Unreadable, content_of, shown, unreadable
from opslib.evidence.proofs import Head, Trust, head_of
from opslib.evidence.rotations import Chain, followed, unlisted
from opslib.evidence.tiles import CHECKPOINT, COSIGNED, WIDTH, Rehashed, bundles, hashes_in, read_tile


@dataclass(frozen=True)
class Anchor:
    """A moment at which enough witnesses had seen so many leaves.

    Args:
        size: leaves.
        earliest: when the first of them cosigned.
        latest: when the last did.
    """

    size: int
    earliest: datetime
    latest: datetime


@dataclass(frozen=True)
class Leaves:
    """What a log holds.

    Args:
        size: leaves, as its head says.
        tree: over all that could be read.
        intact: whether they are those over which the head was signed.
    """

    size: int
    tree: Rehashed
    intact: bool

    def unlike(self, name: str, checkpoint: Checkpoint) -> Finding | None:
        """Return what is wrong if the log does not continue an earlier head of it.

        Args:
            name: of what holds the checkpoint.
            checkpoint: the earlier head.
        """
        if checkpoint.size > self.size:
            text = f"the log had {checkpoint.size} leaves when {name} was signed, now it has {self.size}"
            return Finding(Kind.TRUNCATED, LOG, text)
        if self.intact and self.tree.root(checkpoint.size) != checkpoint.root:
            text = f"the first {checkpoint.size} leaves are not those over which {name} was signed"
            return Finding(Kind.FORKED, LOG, text)
        return None


@dataclass(frozen=True)
class History:
    """A log, hashed again.

    Args:
        leaves: what it holds.
        events: (index, event) of those that are understood.
        anchors: what witnesses stand for, the smallest first.
        dated: these, and what was stamped with the time.
        findings: what is wrong with the log as a whole.
        chain: whom to believe, once the log's rotations of keys were followed.
    """

    leaves: Leaves
    events: tuple[tuple[int, Event], ...]
    anchors: tuple[Anchor, ...]
    dated: tuple[Anchor, ...]
    findings: tuple[Finding, ...]
    chain: Chain


def read_history(folder: Path, trust: Trust, scope: Scope) -> History:
    """Return the log of a folder, held against its signed head and all others that are known.

    Args:
        folder: of the log.
        trust: whom to believe.
        scope: has the checkpoints that were kept elsewhere.
    """
    reading = _Reading(trust)
    note = reading.note(folder / CHECKPOINT)
    head = reading.head(note)
    leaves = reading.leaves(folder, head)
    chain = reading.follow()
    reading.findings.extend(unlisted(folder, reading.events))
    if note and head:
        reading.judge(note, chain, leaves)
    for name, content in reading.others(folder, scope):
        reading.other(name, content, leaves if head else None)
    anchors = _sorted(reading.anchors)
    stamped = list(reading.stamped(scope, leaves, head)) if head else []
    if trust.policy.wants_witnesses and not any(one.unknown for one in reading.findings):
        reading.findings.extend(_unwitnessed(reading.events, anchors, scope))
    dated = _sorted([*anchors, *stamped])
    return History(leaves, tuple(reading.events), anchors, dated, tuple(reading.findings), chain)


def _sorted(anchors: Iterable[Anchor]) -> tuple[Anchor, ...]:
    return tuple(sorted(anchors, key=lambda anchor: (anchor.size, anchor.earliest)))


def leaves_with(folder: Path, *needles: bytes) -> Iterator[tuple[int, Event]]:
    """Yield the events of a log whose leaves hold one of some texts; nothing else is looked at.

    Raises:
        NotSound: the log, or one of these leaves, cannot be read.
    """
    size = Checkpoint.parse(Note.parse(content_of(folder / CHECKPOINT) or b"").text).size
    reached = 0
    for leaves in bundles(folder, size):
        for index, leaf in enumerate(leaves, reached):
            if any(needle in leaf for needle in needles):
                yield index, decode_event(leaf)
        reached += len(leaves)


class _Reading:
    def __init__(self, trust: Trust) -> None:
        self.trust = trust
        self.tree = Rehashed()
        self.events: list[tuple[int, Event]] = []
        self.anchors: list[Anchor] = []
        self.findings: list[Finding] = []

    def say(self, kind: Kind, subject: str, text: str, index: int | None = None) -> None:
        self.findings.append(Finding(kind, subject, text, index))

    def note(self, path: Path) -> Note | None:
        content = content_of(path)
        if content is None:
            if why := unreadable(path):
                self.say(Kind.UNREADABLE, LOG, f"{path.name} cannot be read: {why}")
            else:
                self.say(Kind.TRUNCATED, LOG, f"{path.name} is not there: the log has no head any more")
            return None
        try:
            return Note.parse(content)
        except NotSound as error:
            self.say(Kind.LOG_EDITED, path.name, str(error))
            return None

    def head(self, note: Note | None) -> Head | None:
        try:
            return head_of(note, self.trust) if note else None
        except NotSound as error:
            self.say(Kind.LOG_EDITED, CHECKPOINT, str(error))
            return None

    def follow(self) -> Chain:
        chain = followed(self.trust, self.events)
        self.trust = chain.trust
        self.findings.extend(chain.findings)
        return chain

    def judge(self, note: Note, chain: Chain, leaves: Leaves) -> None:
        """Say what is wrong with who signed the head; the keys may be those that the leaves have named."""
        head = self.head(note)
        if head is None:
            return
        if not head.signed:
            text = f"its head is of {head.checkpoint.origin!r} and no key trusted for it has signed it"
            self.say(Kind.REBUILT, LOG, text)
        signers = note.signers(self.trust.policy.logs, self.trust.check)
        ends = [chain.logs.get(key.public, leaves.size) for key in signers]
        if ends and all(end < leaves.size for end in ends):
            self.say(Kind.RETIRED_KEY, LOG, "its head is signed with a key that had been retired", max(ends))
        self._anchor(head)

    def leaves(self, folder: Path, head: Head | None) -> Leaves:
        """Read the leaves, among them those that name further keys; who signed the head is judged after."""
        size = head.checkpoint.size if head else 0
        try:
            for leaves in bundles(folder, size):
                self._understand(leaves)
                self.tree.add(leaves)
        except NotSound as error:
            self.say(_missing(error), LOG, f"not all of its leaves are there: {error}")
            return Leaves(size, self.tree, False)
        self.findings.extend(_unlike_tiles(folder, self.tree))
        intact = head is not None and self.tree.root(size) == head.checkpoint.root
        if head and not intact:
            self.say(Kind.LOG_EDITED, LOG, "its leaves are not those over which its head was signed")
        return Leaves(size, self.tree, intact)

    def _understand(self, leaves: Sequence[bytes]) -> None:
        for index, leaf in enumerate(leaves, self.tree.size):
            try:
                self.events.append((index, decode_event(leaf)))
            except NotSound as error:
                self.say(Kind.NOT_UNDERSTOOD, f"leaf {index}", str(error), index)

    def others(self, folder: Path, scope: Scope) -> Iterator[tuple[str, bytes]]:
        """Yield heads that were kept elsewhere, or sent back by witnesses."""
        for number, content in enumerate(scope.checkpoints, 1):
            yield f"checkpoint {number} of those kept elsewhere", content
        for path in sorted((folder / COSIGNED).glob("[0-9]*")):
            name = f"{COSIGNED}/{path.name}"
            if why := unreadable(path):
                self.say(Kind.UNREADABLE, name, f"cannot be read: {why}")
            else:
                yield name, content_of(path) or b""

    def other(self, name: str, content: bytes, leaves: Leaves | None) -> None:
        try:
            head = head_of(Note.parse(content), self.trust)
        except NotSound as error:
            self.say(Kind.PROOF_EDITED, name, str(error))
            return
        if not head.signed and not head.witnesses:
            self.say(Kind.PROOF_EDITED, name, "nobody who is trusted has signed this checkpoint")
            return
        if leaves and (unlike := leaves.unlike(name, head.checkpoint)):
            self.findings.append(unlike)
        self._anchor(head)

    def stamped(self, scope: Scope, leaves: Leaves, head: Head) -> Iterator[Anchor]:
        """Yield what stamps stand for, and say which of them the log does not continue."""
        for one in scope.stamps:
            if one.fault:
                self.say(Kind.PROOF_EDITED, one.name, one.fault)
            elif one.size > leaves.size:
                text = f"the log had {one.size} leaves when {one.name} was made, now it has {leaves.size}"
                self.say(Kind.TRUNCATED, LOG, text)
            elif leaves.intact:
                text = Checkpoint(head.checkpoint.origin, one.size, leaves.tree.root(one.size)).text
                if hashlib.new(one.algorithm, text.encode()).digest() == one.digest:
                    yield Anchor(one.size, one.time, one.time)
                else:
                    self.say(Kind.FORKED, LOG, f"the first {one.size} leaves are not those of {one.name}")

    def _anchor(self, head: Head) -> None:
        if head.witnesses and head.quorum:
            times = head.witnesses.values()
            self.anchors.append(Anchor(head.checkpoint.size, min(times), max(times)))


def _unwitnessed(
    events: Sequence[tuple[int, Event]], anchors: Sequence[Anchor], scope: Scope
) -> Iterator[Finding]:
    """Yield what has been in the log for too long without the cosignatures that are demanded."""
    if not anchors:
        if events and all(scope.present - event.time < scope.patience for _, event in events):
            return
        text = "no checkpoint here is cosigned by as many witnesses as demanded"
        yield Finding(Kind.UNWITNESSED, LOG, text)
        return
    for index, event in events:
        if index >= anchors[-1].size and scope.present - event.time > scope.late:
            text = f"since {shown(event.time)} fewer witnesses than demanded have cosigned what was logged"
            yield Finding(Kind.UNWITNESSED, LOG, text, index)
            return


def _unlike_tiles(folder: Path, tree: Rehashed) -> Iterator[Finding]:
    """Yield where the tiles on the disk are not those of the leaves beside them."""
    for level, number, hashes in tree.tiles():
        name = f"tile/{level}/{number}"
        try:
            there = hashes_in(read_tile(folder, str(level), number, len(hashes)))[: len(hashes)]
        except NotSound as error:
            yield Finding(_missing(error), name, str(error))
            continue
        if there != list(hashes):
            yield _unlike(name, number * WIDTH if level == 0 else None, there, hashes)


def _missing(error: NotSound) -> Kind:
    return Kind.UNREADABLE if isinstance(error, Unreadable) else Kind.DELETED


def _unlike(name: str, first: int | None, there: Sequence[bytes], hashes: Sequence[bytes]) -> Finding:
    padded = [*there, *[bytes(HASH_BYTES)] * (len(hashes) - len(there))]
    unlike = [at for at, pair in enumerate(zip(padded, hashes, strict=True)) if pair[0] != pair[1]]
    if first is None:
        return Finding(Kind.LOG_EDITED, name, "the tile is not the one that follows from the leaves")
    index, count = first + unlike[0], len(unlike)
    if sorted(padded) == sorted(hashes):
        return Finding(Kind.REORDERED, name, f"{count} leaves stand in another order than logged", index)
    return Finding(Kind.LOG_EDITED, name, f"{count} leaves are not those that were logged", index)
