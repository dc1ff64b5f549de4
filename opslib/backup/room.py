"""Whether a backup fits where it is kept, before anything of it is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from opslib.backup import manifest
from opslib.errors import Refused, SourceError

if TYPE_CHECKING:
    from opslib.pg.whole import Frozen

# What the files need beside their own size: the one before stays until the new one is read back.
SPARE = 2.0
_MB = 1e6


class NoRoom(Refused):
    """There is no room for a backup."""

    hint = "remove old backups, or enlarge the disk"


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
