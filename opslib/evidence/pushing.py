"""Push an archive to its copy in a store, so that the copy is a sound archive at any moment.

Leaves come first, then what they tell of, then the head that covers both, and last what only fits that head.
Whoever dies in between leaves the old head with all that it covers; the next push goes on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from opslib.archive import shared, store
from opslib.archive.bucket import Bucket, Lock, Stored, Version
from opslib.config.store import ObjectLock
from opslib.errors import ArchiveError, UsageError
from opslib.evidence.continuing import contradicted, may_replace, torn
from opslib.evidence.copies import (
    HEAD,
    HELD,
    NEXT,
    STAMPED,
    Progress,
    at_once,
    counted,
    files_of,
    is_file,
    is_partial,
    is_witnessed,
    tiles_of,
)
from opslib.evidence.findings import Scope
from opslib.evidence.history import read_history
from opslib.evidence.layout import LOG, PROOF
from opslib.evidence.lives import Story, story_of
from opslib.evidence.log import Log
from opslib.evidence.merkle import HASH_BYTES
from opslib.evidence.notes import Checkpoint, Note
from opslib.evidence.places import lock_of
from opslib.evidence.plain import NotSound
from opslib.evidence.proofs import Proof, Trust
from opslib.evidence.records import LEFT, folder_of
from opslib.evidence.tiles import COSIGNED, ENTRIES, pack, read_tile, unpack
from opslib.verdict import Status

_LOCK = ".push.lock"
_LARGEST = 1_000_000_000  # bytes of one file
_AGAIN = "push again: it goes on where it was"


@dataclass(frozen=True)
class Pushed:
    """What came of a push.

    Args:
        size: leaves of the head that the copy has now.
        sent: objects that were put there.
        bytes: in them.
        same: objects that were there already.
        removed: names of what a rule has destroyed here, and is gone over there too.
        locked: names of what should go, and is kept by the store's own lock.
        differing: names under which the copy has something else; it was left as it is.
        missing: names that the copy has and the archive has not.
        refused: why nothing was sent; empty where it was.
    """

    size: int
    sent: int = 0
    bytes: int = 0
    same: int = 0
    removed: tuple[str, ...] = ()
    locked: tuple[str, ...] = ()
    differing: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    refused: str = ""

    @property
    def status(self) -> Status:
        """What it means: critical, the copy and the archive contradict each other."""
        if self.refused or self.differing:
            return Status.CRITICAL
        return Status.WARNING if self.missing else Status.OK


def push(
    archive: Path,
    log: Log,
    trust: Trust,
    bucket: Bucket,
    *,
    hold: ObjectLock | None = None,
    now: datetime,
    progress: Progress = lambda text: None,
) -> Pushed:
    """Bring a copy up to the present head of an archive.

    Args:
        archive: the archive's folder.
        log: its log.
        trust: in the keys by which the log is read.
        bucket: where the copy is.
        hold: how the store is to let nobody remove the head; None where it need not.
        now: the current time.
        progress: hears, in words, how far it is.

    Raises:
        ArchiveError: the archive cannot be read, or another push is under way.
        UsageError: nothing was ever logged, or there is no such bucket.
        ConfigError: the bucket has no Object Lock, or there are no credentials.
        SourceError: the store cannot be asked, or refuses; what was sent is kept.
    """
    with _alone(archive):
        names = list(files_of(archive))  # before the head, which then covers whatever was sealed of them
        note = log.head()
        if note is None:
            raise UsageError(f"{archive}: nothing was ever logged, so there is nothing to copy")
        size = Checkpoint.parse(note.text).size
        progress("reading the log")
        history = read_history(archive / LOG, trust, Scope())
        progress(f"looking at {bucket}")
        if hold:
            bucket.must_lock()
        there = bucket.listed()
        if why := torn(history) or contradicted(log, bucket, there, size, locked=bool(hold)):
            return Pushed(size, refused=why)
        story = story_of(history.events)
        work = _Push(archive, log, bucket, there, note, size, progress)
        work.before(names)
        work.head(lock_of(hold, now) if hold else None)
        work.after(names, story)
        return work.told()


@dataclass
class _Push:
    """A push under way.

    Args:
        archive, log, bucket: as given.
        there: what the copy had when it began.
        note: the head that it is to have.
        size: leaves of that head.
        progress: hears how far it is.
    """

    archive: Path
    log: Log
    bucket: Bucket
    there: dict[str, Stored]
    note: Note
    size: int
    progress: Progress

    sent: list[int] = field(default_factory=list)
    same: list[str] = field(default_factory=list)
    other: list[tuple[str, bytes, bytes]] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    locked: list[str] = field(default_factory=list)
    differing: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    def told(self) -> Pushed:
        """Return what came of it."""
        names = ("removed", "locked", "differing", "missing")
        lists: dict[str, Any] = {name: tuple(sorted(getattr(self, name))) for name in names}
        return Pushed(self.size, len(self.sent), sum(self.sent), len(self.same), **lists)

    def before(self, names: Sequence[str]) -> None:
        """Send what the head covers: the leaves, and once all of them are there, what they tell of."""
        tiles = list(tiles_of(self.size))
        at_once(self._tile, tiles, counted(self.progress, "leaves", tiles))
        if not any(self._is(name, self.note.encode()) for name in (HEAD, NEXT)):
            self._replace(NEXT, self.note.encode())
        first = [name for name in names if not name.endswith(f"/{LEFT}")]
        at_once(self._file, first, counted(self.progress, "files", first))

    def head(self, lock: Lock | None) -> None:
        """Put the head into its place, and have the store keep it."""
        content = self.note.encode()
        new = not self._is(HEAD, content)
        if new:
            self._replace(HEAD, content)
        if new or NEXT in self.there:
            self.bucket.hide(NEXT)
        if lock:
            self._create(f"{HELD}{self.size:012d}", content, lock)

    def after(self, names: Sequence[str], story: Story) -> None:
        """Send what only fits the new head, and remove what it says was destroyed."""
        left = [name for name in names if name.endswith(f"/{LEFT}")]
        at_once(self._file, [*left, *self._signed()])
        for name, old, new in self.other:
            if may_replace(name, old, new, self.log.keys):
                self._replace(name, new)
            else:
                self.differing.append(name)
        going = self._destroyed(story) if story.disposals else {}
        at_once(self._remove, going.items(), counted(self.progress, "destroyed", list(going)))
        needed = {name for *_, name in tiles_of(self.size)}
        at_once(self.bucket.hide, [name for name in self.there if is_partial(name) and name not in needed])
        here = {*names, *going}
        self.missing.extend(name for name in self.there if is_file(name) and name not in here)

    def _tile(self, tile: tuple[str, int, int, str]) -> None:
        level, number, width, name = tile
        try:
            content = read_tile(self.archive / LOG, level, number, width)
            exact = pack(unpack(content, width)) if level == ENTRIES else content[: width * HASH_BYTES]
        except NotSound as error:
            raise ArchiveError(f"{self.archive / LOG}: {error}", hint="see `opslib verify`") from None
        self._create(name, exact)

    def _file(self, name: str) -> None:
        path = self.archive / name
        content = shared.read(path, most=_LARGEST)
        if not content and not path.exists():
            raise ArchiveError(f"{path}: went away while the archive was read", hint=_AGAIN)
        if path.name != PROOF or self._in_time(content):
            self._create(name, content)

    def _in_time(self, proof: bytes) -> bool:
        """Say whether a proof is of no later head than ours; the next push brings a later one."""
        try:
            return Checkpoint.parse(Proof.parse(proof).note.text).size <= self.size
        except NotSound:
            return True  # somebody has altered it: the copy is to show that, too

    def _signed(self) -> Iterator[str]:
        """Yield what witnesses have signed of heads that the copy has."""
        for place in (COSIGNED, STAMPED):
            found = sorted((self.archive / LOG / place).glob("[0-9]*"))
            names = (path.relative_to(self.archive).as_posix() for path in found)
            yield from (name for name in names if is_witnessed(name, self.size))

    def _create(self, name: str, content: bytes, lock: Lock | None = None) -> None:
        """Put an object where there is none; what is there already must be the same."""
        if self._is(name, content):
            self.same.append(name)
            return
        if name not in self.there and self.bucket.create(name, content, lock):
            self.sent.append(len(content))
            return
        there = self.bucket.read(name)
        if there == content:
            self.same.append(name)
        else:
            self.other.append((name, there or b"", content))

    def _destroyed(self, story: Story) -> dict[str, list[Version]]:
        """Return all versions of what the log says was destroyed, and is not here any more."""
        wanted = set(_of_disposals(self.archive, story, self.size))
        found: dict[str, list[Version]] = {}
        for one in self.bucket.versions(""):
            place, _, last = one.name.rpartition("/")
            ends = one.name in wanted or (f"{place}/" in wanted and last not in (PROOF, LEFT))
            if ends and is_file(one.name) and not (self.archive / one.name).exists():
                found.setdefault(one.name, []).append(one)
        return found

    def _remove(self, going: tuple[str, list[Version]]) -> None:
        name, versions = going
        kept = [one for one in versions if not self.bucket.remove(one)]
        if not kept:
            self.removed.append(name)
            return
        self.locked.append(name)
        if name in self.there:
            self.bucket.hide(name)

    def _is(self, name: str, content: bytes) -> bool:
        return name in self.there and self.there[name].surely_is(content)

    def _replace(self, name: str, content: bytes) -> None:
        self.bucket.replace(name, content)
        self.sent.append(len(content))


def _of_disposals(archive: Path, story: Story, size: int) -> Iterator[str]:
    """Yield the names of what was destroyed; a folder ends with a slash."""
    for index, event in story.disposals:
        life = story.lives.get(event.run)
        if index < size and life and life.finished:
            folder = folder_of(archive, life.finished[-1][1]).relative_to(archive).as_posix()
            yield f"{folder}/"
            yield from (one.name for one in event.subjects if "/" in one.name)


@contextmanager
def _alone(archive: Path) -> Iterator[None]:
    with store.plainly(archive):
        try:
            with FileLock(archive / _LOCK, timeout=0):
                yield
        except Timeout:
            raise ArchiveError(f"{archive}: another push is under way", hint="wait for it to end") from None
