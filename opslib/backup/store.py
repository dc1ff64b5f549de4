"""Where backups are kept: a folder for each system, in it a folder for each backup.

A backup has its own name only once it is whole: until then it is called `.part-...`, which no listing
shows. Whatever is killed on the way leaves nothing that looks like a backup.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from filelock import FileLock, Timeout

from opslib.errors import Malformed, Refused, Unreachable, UsageError
from opslib.home import default_archive

if TYPE_CHECKING:
    from opslib.config import Environment

MANIFEST, DUMP = "manifest.json", "dump"
ID = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{6}")
_PART = ".part-"
_ASIDE = ".aside-"


class Listing(Protocol):
    """What every place with backups can say of them, a bucket too."""

    @property
    def origin(self) -> str:
        """Whose backups belong there, as `ENVIRONMENT/SYSTEM`."""

    def ids(self) -> list[str]:
        """Return the names of all backups, the oldest first."""

    def manifest(self, name: str) -> bytes:
        """Return the manifest of a backup."""


class Store(Listing, Protocol):
    """What a place for backups must be able to do."""

    def folder(self, name: str) -> Path:
        """Return a folder of this machine that holds a backup's files."""

    def put(self, part: Path, name: str) -> None:
        """Make what was prepared a backup, in one step."""

    def remove(self, name: str) -> None:
        """Remove a backup."""


class Folder:
    """A store in a folder of this machine, or one that is mounted.

    Args:
        root: for all systems.
        system: whose backups.
    """

    def __init__(self, root: Path, system: str) -> None:
        self.path = root / system

    def __str__(self) -> str:
        return str(self.path)

    def ids(self) -> list[str]:
        """Return the names of all backups, the oldest first.

        Raises:
            Unreachable: the folder cannot be read; one that is not there yet has none.
        """
        try:
            if not self.path.parent.is_dir():
                raise Unreachable(f"{self.path.parent}: there is no such folder, so no backup can be seen")
            found = self.path.iterdir() if self.path.exists() else ()
            return sorted(path.name for path in found if ID.fullmatch(path.name))
        except OSError as error:
            raise Unreachable(f"{self.path}: cannot be read: {error.strerror}") from None

    def manifest(self, name: str) -> bytes:
        """Return the manifest of a backup.

        Raises:
            Malformed: it has none.
            Unreachable: it cannot be read.
        """
        try:
            return (self.folder(name) / MANIFEST).read_bytes()
        except FileNotFoundError:
            raise Malformed(f"backup {name} has no manifest", kind="manifest") from None
        except OSError as error:
            raise Unreachable(f"{self.path / name}: cannot be read: {error.strerror}") from None

    def folder(self, name: str) -> Path:
        """Return the folder of a backup.

        Raises:
            UsageError: there is no such backup.
        """
        if not ID.fullmatch(name) or not (self.path / name).is_dir():
            raise UsageError(f"there is no backup {name!r} in {self}", hint="backup-check lists them")
        return self.path / name

    @property
    def origin(self) -> str:
        """Whose backups belong here, as `ENVIRONMENT/SYSTEM`: that is how the folders are laid out."""
        return f"{self.path.parent.name}/{self.path.name}"

    @contextmanager
    def preparing(self) -> Iterator[Path]:
        """Yield an empty folder in which a backup is prepared, one at a time; what is left of it is removed.

        Raises:
            Refused: another one is being taken, or the folder cannot be written to.
            Unreachable: the disk fails meanwhile, or is full.
        """
        with self._locked(), self._plainly("cannot be written to"):
            for left in self.path.glob(f"{_PART}*"):
                shutil.rmtree(left, ignore_errors=True)  # of one that was killed
            part = self.path / f"{_PART}{os.getpid()}"
            part.mkdir(mode=0o700)
            try:
                yield part
            finally:
                shutil.rmtree(part, ignore_errors=True)

    def put(self, part: Path, name: str) -> None:
        """Make what was prepared a backup: everything reaches the disk before it gets its name."""
        for path in (*part.rglob("*"), part):
            _sync(path)
        part.rename(self.path / name)
        _sync(self.path)

    def remove(self, name: str) -> None:
        """Remove a backup; killed on the way, what is left no longer looks like one.

        Raises:
            UsageError: there is no such backup.
            Unreachable: the disk does not let go of it.
        """
        with self._plainly(f"{name} cannot be removed"):
            gone = self.folder(name).rename(self.path / f"{_PART}{name}")
            shutil.rmtree(gone)

    def set_aside(self, name: str) -> None:
        """Take its name from a backup, if there is one: it stays, and no listing shows it."""
        if name in self.ids():
            (self.path / name).rename(self.path / f"{name}{_ASIDE}{secrets.token_hex(3)}")
            _sync(self.path)

    def free_bytes(self) -> int:
        """Return the room that is left.

        Raises:
            Unreachable: it cannot be seen.
        """
        try:
            place = next(path for path in (self.path, *self.path.parents) if path.exists())
            return shutil.disk_usage(place).free
        except OSError as error:
            raise Unreachable(f"{self.path}: its disk cannot be looked at: {error.strerror}") from None

    @contextmanager
    def _plainly(self, what: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise Unreachable(f"{self.path}: {what}: {error.strerror or error}") from None

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = FileLock(self.path / ".lock")
            lock.acquire(timeout=0)
        except Timeout:
            raise Refused(f"a backup is being written into {self}", hint="wait for it to end") from None
        except OSError as error:
            raise Refused(f"{self.path}: cannot be written to: {error.strerror}") from None
        try:
            yield
        finally:
            lock.release()


def default_root() -> Path:
    """Return where backups are kept: `OPSLIB_BACKUPS`, else the folder `backups` beside the archive."""
    given = os.environ.get("OPSLIB_BACKUPS")
    return Path(given).expanduser().absolute() if given else default_archive().parent / "backups"


def of(env: Environment) -> Folder:
    """Return the backups of one environment of a system."""
    return Folder((env.backups or default_root()) / env.name, env.system.name)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
