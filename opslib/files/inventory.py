"""What is in a bucket and what is in its copy, held against each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property, partial
from typing import TYPE_CHECKING

from opslib.errors import ConfigError, Forbidden, NotNamed, OpsError, Refused, SourceError, UsageError
from opslib.files import places
from opslib.files.places import COPY, LIVE
from opslib.verdict import Cause

if TYPE_CHECKING:
    from opslib.config import Environment
    from opslib.config.files import FileBucket
    from opslib.files.place import Object, Place

# What may keep a place from being looked at; anything else is a fault of ours, and breaks the run.
CANNOT_LOOK = (SourceError, ConfigError, UsageError, Refused)
FORBIDDEN = Cause("storage-forbidden", "the store refuses opslib's key, or shows it nothing", 25)


@dataclass(frozen=True)
class Said:
    """What a place says of itself, or why it does not.

    Args:
        value: what it says; None where it has nothing of the kind.
        reason: why nobody can tell.
    """

    value: bool | None = None
    reason: str = ""


@dataclass(frozen=True)
class Side:
    """A place as it was seen.

    Args:
        where: its name for people.
        objects: all of them, by key.
        versioned, public: what it says of itself.
        reason: why its objects could not be listed to the end; then there are none here.
        absent: the system's file names no such place.
        cause: what keeps opslib from looking, where that is known.
    """

    where: str
    objects: Mapping[str, Object] = field(default_factory=dict)
    versioned: Said = Said()
    public: Said = Said()
    reason: str = ""
    absent: bool = False
    cause: Cause | None = None

    @property
    def bytes(self) -> int:
        """How large all objects are together."""
        return sum(one.size for one in self.objects.values())

    @property
    def newest(self) -> datetime | None:
        """When the last object was written; None where there is none."""
        return max((one.modified for one in self.objects.values()), default=None)


@dataclass(frozen=True)
class Inventory:
    """A declared bucket and its copy.

    Args:
        name: in the system's file.
        spec: what the file says of it.
        live, copy: what was seen.
        changed: keys that are on both sides with another content.
        unsure: keys whose entity tags differ, and which could not be read to see whether the content does.
        by_size: how many were compared by their size alone.
    """

    name: str
    spec: FileBucket
    live: Side
    copy: Side
    changed: tuple[str, ...] = ()
    unsure: tuple[str, ...] = ()
    by_size: int = 0

    @property
    def reason(self) -> str:
        """Why the two sides could not be compared."""
        return self.live.reason or self.copy.reason

    @cached_property
    def missing(self) -> tuple[str, ...]:
        """Keys that only the copy has."""
        return tuple(sorted(self.copy.objects.keys() - self.live.objects.keys()))

    @cached_property
    def uncopied(self) -> tuple[str, ...]:
        """Keys that only the bucket has, the oldest first."""
        left = self.live.objects.keys() - self.copy.objects.keys()
        return tuple(sorted(left, key=lambda key: (self.live.objects[key].modified, key)))

    def lost(self, now: datetime) -> tuple[str, ...]:
        """Return the keys that only the copy has, but for those old enough to be there alone by now."""
        days = self.spec.archive_after_days
        if days is None:
            return self.missing
        since = now - timedelta(days=days)
        return tuple(key for key in self.missing if self.copy.objects[key].modified >= since)

    def old(self, now: datetime) -> tuple[str, ...]:
        """Return the keys in the bucket that belong into the copy alone by now, the oldest first."""
        days = self.spec.archive_after_days
        if days is None:
            return ()
        until = now - timedelta(days=days)
        found = [one for one in self.live.objects.values() if one.modified < until]
        return tuple(one.key for one in sorted(found, key=lambda one: (one.modified, one.key)))


def look(env: Environment, name: str, record: places.Record = None, *, most_bytes: int) -> Inventory:
    """List a declared bucket and its copy, and compare them.

    Args:
        env: where.
        name: of the bucket in the system's file.
        record: receives a record of each request.
        most_bytes: how much of a copy in a folder is hashed, and how much is read where tags differ.

    Raises:
        ParameterError: the system's file declares no such bucket.
    """
    spec = places.named(env, name)

    def place(side: str) -> Place:
        return places.of(env, name, side, record, hash_bytes=most_bytes)

    # The copy first: what is written and copied meanwhile must not look lost.
    copy, live = (_side(partial(place, side), f"{side} of {name}") for side in (COPY, LIVE))
    if live.reason or copy.reason:
        return Inventory(name, spec, live, copy)
    suspects, by_size, changed = _compared(live, copy)
    confirmed, unsure = _confirmed(suspects, live, lambda: (place(LIVE), place(COPY)), most_bytes)
    return Inventory(name, spec, live, copy, tuple(sorted({*changed, *confirmed})), unsure, by_size)


def _side(place: Callable[[], Place], words: str) -> Side:
    where = words
    try:
        opened = place()
        where = str(opened)
        objects = opened.objects()
    except CANNOT_LOOK as error:
        cause = FORBIDDEN if isinstance(error, Forbidden) else None
        return Side(where, reason=error.message, absent=isinstance(error, NotNamed), cause=cause)
    return Side(where, objects, _said(opened.versioned), _said(opened.public))


def _said(ask: Callable[[], bool | None]) -> Said:
    try:
        return Said(ask())
    except CANNOT_LOOK as error:
        return Said(reason=error.message)


def _compared(live: Side, copy: Side) -> tuple[list[str], int, list[str]]:
    """Return the keys whose tags differ, how many could be told by size only, and those of another size."""
    suspects, by_size, changed = [], 0, []
    for key in live.objects.keys() & copy.objects.keys():
        here, there = live.objects[key], copy.objects[key]
        if here.size != there.size:
            changed.append(key)
        elif not (here.md5 and there.md5):
            by_size += here.etag != there.etag or not here.etag
        elif here.md5 != there.md5:
            suspects.append(key)
    return sorted(suspects), by_size, changed


def _confirmed(
    suspects: list[str], live: Side, both: Callable[[], tuple[Place, Place]], most_bytes: int
) -> tuple[list[str], tuple[str, ...]]:
    """Read what has other tags: a store that encrypts has tags that are no sums of the content.

    Returns:
        The keys whose content differs, and those that could not be read.
    """
    changed, unsure = [], []
    left = most_bytes
    for key in suspects:
        left -= live.objects[key].size
        same = _same(key, both) if left >= 0 else None
        if same is None:
            unsure.append(key)
        elif not same:
            changed.append(key)
    return changed, tuple(unsure)


def _same(key: str, both: Callable[[], tuple[Place, Place]]) -> bool | None:
    try:
        contents = [place.content(key) for place in both()]
    except OpsError:
        return None
    found = [content.sha256 for content in contents if content]
    return found[0] == found[1] if len(found) == 2 else None
