"""Put a record into the archive in one step, or not at all.

A record is a folder `runs/YYYY/MM/DD/<run id>/`. Its files are written beside, synced, and the folder
is renamed into place, so a reader never meets half a record, whenever the power goes.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from opslib.errors import ArchiveError, DiskFull

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_BESIDE = ".writing-"
_DEPTH = 5  # day, month, year, runs, archive


def folder(archive: Path, run_id: str, started: datetime) -> Path:
    """Return where the record of a run belongs."""
    return archive / "runs" / f"{started:%Y}" / f"{started:%m}" / f"{started:%d}" / run_id


def check(archive: Path) -> None:
    """Make sure that a record can be written, before anything is run.

    Raises:
        ArchiveError: the archive is no folder, or may not be written to.
        DiskFull: there is no room.
    """
    probe = archive / f"{_BESIDE}{os.getpid()}"
    try:
        with plainly(archive):
            (archive / "runs").mkdir(parents=True, exist_ok=True)
            probe.write_bytes(b"opslib" * 1024)
    except DiskFull as error:
        raise DiskFull(error.message, hint="free some space; nothing was started") from error
    finally:
        with suppress(OSError):
            probe.unlink()


def publish(archive: Path, run_id: str, started: datetime, files: Mapping[str, bytes]) -> Path:
    """Write a record and return its folder; a record that is there already is left as it is.

    Args:
        archive: the archive's folder; made if it does not exist.
        run_id: identity of the run.
        started: when it began; decides the folder.
        files: name -> content.

    Raises:
        ArchiveError: the archive cannot be written to.
        DiskFull: there is no room; nothing is left behind.
    """
    target = folder(archive, run_id, started)
    if target.exists():
        return target
    beside = target.parent / f"{_BESIDE}{run_id}"
    try:
        with plainly(archive):
            beside.mkdir(parents=True, exist_ok=True)
            for name, content in files.items():
                _write(beside / name, content)
            sync(beside)
            beside.rename(target)
            # The folders of year, month and day may be new as well.
            for above in target.parents[:_DEPTH]:
                sync(above)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return target


def records(archive: Path) -> list[Path]:
    """Return the statements (`run.json`) of all records, in the order of their time.

    Of a record that was destroyed, what is left (`disposed.json`) comes first. What a killed process was
    still writing is not among them.
    """
    found = [path for name in ("run.json", "disposed.json") for path in archive.glob(f"runs/*/*/*/*/{name}")]
    return sorted(path for path in found if not path.parent.name.startswith(_BESIDE))


def replace(path: Path, content: bytes, *, durable: bool = True) -> None:
    """Write a file in one step: a reader meets the old content or the new one.

    Args:
        path: the file.
        content: what is to be in it.
        durable: also after the power went; costs a few milliseconds.
    """
    beside = path.with_suffix(".new")
    if durable:
        _write(beside, content)
    else:
        beside.write_bytes(content)
    beside.replace(path)
    if durable:
        sync(path.parent)


@contextmanager
def plainly(archive: Path) -> Iterator[None]:
    """Turn errors of the file system into sentences with a next step."""
    try:
        yield
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else str(error)
        if error.errno in _FULL:
            raise DiskFull(f"{archive}: the record could not be written: {why}") from error
        place = Path(error.filename or archive)
        named = archive if place.name.startswith(_BESIDE) else place
        raise ArchiveError(f"{named}: the archive cannot be used: {why}") from error


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def sync(path: Path) -> None:
    """Make a folder's entries durable; a file system that cannot sync folders is no worse for it."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)


def make(folder: Path) -> None:
    """Make a folder, and have the entries of all that were missing on the disk."""
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for place in missing:
        sync(place.parent)
