"""Bring an archive back from its copy in a store, as far as the head of the copy goes."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from opslib.archive import store
from opslib.archive.bucket import Bucket, Stored
from opslib.errors import SourceError, UsageError
from opslib.evidence.copies import (
    HEAD,
    NEXT,
    Progress,
    at_once,
    counted,
    is_file,
    is_witnessed,
    tiles_of,
)
from opslib.evidence.events import Annotation, Event, RunFinished, RunRequested, decode_event
from opslib.evidence.layout import LOG, RUNS
from opslib.evidence.notes import LARGEST_NOTE, Checkpoint, Note
from opslib.evidence.plain import NotSound
from opslib.evidence.proofs import Trust, head_of
from opslib.evidence.tiles import WIDTH, bundles, rehash

_TRIES = 3  # somebody may be pushing to it meanwhile
TrustOf = Callable[[Path], Trust]


@dataclass(frozen=True)
class Pulled:
    """What was brought.

    Args:
        size: leaves of its head.
        files: how many.
        waiting: records and notes of a push that has not ended, which the head does not cover: left out.
    """

    size: int
    files: int
    waiting: tuple[str, ...] = ()


def pull(
    bucket: Bucket, folder: Path, trust_of: TrustOf | None = None, progress: Progress = lambda text: None
) -> Pulled:
    """Bring a copy into a folder.

    Args:
        bucket: where the copy is.
        folder: empty.
        trust_of: whom to believe about a folder with a log; without it, what a push that has not ended was
            about to send is left out whoever signed its head.
        progress: hears, in words, how far it is.

    Raises:
        UsageError: there is no such copy.
        ArchiveError: the folder cannot be written.
        SourceError: the store cannot be asked, or refuses, or is being pushed to all the time.
    """
    there: dict[str, str] = {}
    for _ in range(_TRIES):
        head, following = bucket.read(HEAD), bucket.read(NEXT)
        if head is None:
            raise UsageError(
                f"{bucket}: there is no archive, or its first push has not ended",
                hint="see `opslib archive push --help`",
            )
        with store.plainly(folder):
            size = _size(head)
            whole = _brought(bucket, folder, max(size, _size(following)), size, there, progress)
            (folder / LOG).mkdir(parents=True, exist_ok=True)
            (folder / HEAD).write_bytes(head)
            if whole and bucket.read(HEAD) == head:
                waiting = tuple(_left_out(folder, size, following, trust_of)) if following else ()
                return Pulled(size, len(there) + 1 - len(waiting), waiting)
    raise SourceError(f"{bucket}: somebody is pushing to it all the time", hint="try again in a minute")


def _brought(
    bucket: Bucket, folder: Path, most: int, size: int, have: dict[str, str], progress: Progress
) -> bool:
    """Bring what belongs to a copy and is not here yet; say whether all of it was still there."""
    there = bucket.listed()
    for name in have.keys() - there.keys():
        (folder / name).unlink(missing_ok=True)
        del have[name]
    wanted = dict.fromkeys(_wanted(there, most, size))
    names = [name for name in wanted if have.get(name) != there[name].etag]

    def bring(name: str) -> bool:
        content = bucket.read(name)
        if content is not None:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            have[name] = there[name].etag
        return content is not None

    return all(at_once(bring, names, counted(progress, "files", names)))


def _wanted(there: Mapping[str, Stored], most: int, size: int) -> Iterator[str]:
    """Yield the objects of the archive, and the tiles of its log and of the one that is being pushed."""
    # A head may say that it has more leaves than there are objects for: that is not believed.
    for leaves in (one for one in {size, most} if one <= WIDTH * len(there)):
        for *_, name in tiles_of(leaves):
            whole = name.partition(".p/")[0]
            yield from (one for one in dict.fromkeys((name, whole)) if one in there)
    yield from (name for name in there if is_file(name) or is_witnessed(name, size))


def _size(content: bytes | None) -> int:
    """Return how many leaves a head speaks of; 0 where it is none, which a verification tells."""
    try:
        return Checkpoint.parse(Note.parse((content or b"")[:LARGEST_NOTE]).text).size
    except NotSound:
        return 0


def _left_out(folder: Path, size: int, following: bytes, trust_of: TrustOf | None) -> Iterator[str]:
    """Remove what only the head tells of that is still to come, if it is one; yield the names."""
    try:
        before, later = _leaves(folder / LOG, size, following, trust_of(folder) if trust_of else None)
    except NotSound:
        return  # it is no head of this log: what it seems to tell of is nobody's
    sealed = {event.run for event in before if isinstance(event, RunFinished)}
    runs = {event.run for event in later if isinstance(event, RunFinished | RunRequested)} - sealed
    for place in sorted(folder.glob(f"{RUNS}/*/*/*/*")):
        if place.name in runs:
            yield from _gone(folder, [path for path in sorted(place.rglob("*")) if path.is_file()])
            shutil.rmtree(place)
    told = {one.name for event in later if isinstance(event, Annotation) for one in event.subjects}
    yield from _gone(folder, [folder / name for name in sorted(told) if is_file(name)])


def _leaves(log: Path, size: int, following: bytes, trust: Trust | None) -> tuple[list[Event], list[Event]]:
    """Return the events that the head covers, and those that the next one will.

    Raises:
        NotSound: the next one is not signed by this log, or not over these leaves.
    """
    note = Note.parse(following)
    head = Checkpoint.parse(note.text)
    if trust and not head_of(note, trust).signed:
        raise NotSound("nobody who is trusted has signed it")
    if head.size < size or rehash(log, head.size).root(head.size) != head.root:
        raise NotSound("it is not over the leaves that are there")
    leaves = [leaf for bundle in bundles(log, head.size) for leaf in bundle]
    return _understood(leaves[:size]), _understood(leaves[size:])


def _understood(leaves: Iterable[bytes]) -> list[Event]:
    events: list[Event] = []
    for leaf in leaves:
        with suppress(NotSound):  # a verification names it
            events.append(decode_event(leaf))
    return events


def _gone(folder: Path, paths: Iterable[Path]) -> Iterator[str]:
    for path in paths:
        if path.is_file():
            path.unlink()
            yield path.relative_to(folder).as_posix()
