"""Whether a backup fits where it is kept, and what it restores to where it is tried."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from opslib.backup import manifest, tools
from opslib.errors import Refused, SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from opslib.backup.manifest import Manifest
    from opslib.pg.whole import Frozen

# What the files need beside their own size: the one before stays until the new one is read back.
SPARE = 2.0
_MB = 1e6
# Of a server for a drill, beside the rows: what an empty one has, and its log of changes.
_SERVER = 300_000_000
_FULL = 64_000_000  # a server writes its log in pieces of 16 MB, and ends where it has no room for the next


class NoRoom(Refused):
    """There is no room for a backup."""

    hint = "remove old backups, or enlarge the disk"


class NoRoomToTry(Refused):
    """There is no room for what a backup restores to."""

    hint = "enlarge the disk, or let TMPDIR name a folder on a larger one"


class Place(Protocol):
    """Where backups are kept on a disk."""

    def ids(self) -> list[str]:
        """Return the names of all backups, the oldest first."""

    def manifest(self, name: str) -> bytes:
        """Return the manifest of a backup."""

    def free_bytes(self) -> int:
        """Return the room that is left."""


def make_sure(kept: Place, view: Frozen) -> None:
    """See that there is room for another backup: for twice the last one, else for twice the tables.

    Raises:
        NoRoom: there is not; the message has both figures.
        SourceError: the disk or the tables cannot be looked at.
    """
    last = _last(kept)
    tables = view.table("backup_tables")["bytes_estimate"]
    takes = last or int(tables.sum())
    free, whose = kept.free_bytes(), "the last backup has" if last else "the tables have"
    if free < takes * SPARE:
        raise NoRoom(
            f"{kept} has {free / _MB:.1f} MB left, and {takes * SPARE / _MB:.1f} MB are needed: twice the"
            f" {takes / _MB:.1f} MB that {whose}"
        )


def fits(kept: Place, needed: int) -> None:
    """See that there is room for a backup whose size is known.

    Raises:
        NoRoom: there is not; the message has both figures.
        SourceError: the disk cannot be looked at.
    """
    if (free := kept.free_bytes()) < needed:
        raise NoRoom(f"{kept} has {free / _MB:.1f} MB left, and {needed / _MB:.1f} MB are needed")


def restorable(folder: Path, backup: Manifest) -> None:
    """See that there is room for what a backup restores to; an older manifest says its packed size only.

    Args:
        folder: of the server.
        backup: that is to be tried.

    Raises:
        NoRoomToTry: there is not; the message has both figures.
    """
    needed, free = max(backup.database_bytes, backup.bytes) + _SERVER, shutil.disk_usage(folder).free
    if free < needed:
        raise NoRoomToTry(f"{folder} has {free / _MB:.0f} MB left, and {needed / _MB:.0f} MB are needed")


@contextmanager
def kept_free(folder: Path) -> Iterator[None]:
    """Let what breaks on a full disk be told from what the backup is to blame for.

    Raises:
        NoRoomToTry: something broke, and the disk is full, or the server said that it was.
    """
    try:
        yield
    except SourceError as error:
        if error.kind != tools.FULL and shutil.disk_usage(folder).free > _FULL:
            raise
        raise NoRoomToTry(f"the disk of {folder} is full: {error.message}") from None


def _last(kept: Place) -> int:
    """Return the size of the newest backup of everything that says what it holds; 0 where there is none."""
    for name in reversed(kept.ids()):
        try:
            found = manifest.read(kept.manifest(name), name)
        except SourceError:
            continue
        if found.content == "all":
            return found.bytes
    return 0
