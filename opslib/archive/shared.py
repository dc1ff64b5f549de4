"""Files in a folder into which other people write too: no link is followed, nothing unbounded is read.

Whoever may write into a shared archive could put a link in the place of a file, and have the next
person's own files read or overwritten.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from pathlib import Path

from opslib.archive import store
from opslib.errors import ArchiveError

LARGEST = 5_000_000  # bytes; a plan of a thousand targets has about one million
_NO_HARD_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)
_LINK = "is a link; nothing is read or written through one"


def read(path: Path, *, most: int = LARGEST) -> bytes:
    """Return what is in a file; nothing where there is none.

    Args:
        path: the file.
        most: bytes that it may have.

    Raises:
        ArchiveError: it is a link, no plain file, too large, or cannot be read.
    """
    try:
        # Without NONBLOCK, a pipe that somebody put there would be waited for, for ever.
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise _unusable(path, error) from error
    with os.fdopen(handle, "rb") as file:
        _must_be_plain(path, handle)
        try:
            content = file.read(most + 1)
        except OSError as error:
            raise _unusable(path, error) from error
    if len(content) > most:
        raise ArchiveError(f"{path}: is larger than {most / 1e6:g} MB")
    return content


def create(path: Path, content: bytes, *, mode: int = 0o644) -> bool:
    """Write a new file, whole or not at all; tell whether it is ours, or there was one of that name before.

    Raises:
        OSError: it could not be written; nothing is left of it.
    """
    beside = _beside(path, content, mode)
    try:
        os.link(beside, path)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS or os.path.lexists(path):
            raise
        beside.rename(path)  # whoever was faster in this very moment loses; such places are rare
    finally:
        beside.unlink(missing_ok=True)
    store.sync(path.parent)
    return True


def replace(path: Path, content: bytes, *, mode: int = 0o644) -> None:
    """Write a file in one step; a link in its place is replaced, not followed.

    Raises:
        OSError: it could not be written; what was there is still there.
    """
    beside = _beside(path, content, mode)
    try:
        beside.replace(path)
    except OSError:
        beside.unlink()
        raise
    store.sync(path.parent)


def append(path: Path, line: bytes) -> None:
    """Add a line, durably; what a power failure left of an unfinished one is cut off before.

    Raises:
        OSError: it could not be written.
        ArchiveError: the file is a link, or no plain file.
    """
    new = not os.path.lexists(path)
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        handle = os.open(path, flags, 0o644)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise _unusable(path, error) from error
        raise
    with os.fdopen(handle, "rb+", buffering=0) as file:
        _must_be_plain(path, handle)
        content = file.read()
        if content and not content.endswith(b"\n"):
            os.ftruncate(handle, content.rfind(b"\n") + 1)
        _written(handle, line + b"\n")
    if new:  # else a power failure could take the file, and with it the word that something was begun
        store.sync(path.parent)


def _beside(path: Path, content: bytes, mode: int) -> Path:
    """Write a file of a name that nobody guesses, durably, and return it."""
    beside = path.with_name(f".{path.name}-{secrets.token_hex(4)}")
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(handle, "wb") as file:
            _written(file.fileno(), content)
    except OSError:
        beside.unlink()
        raise
    return beside


def _written(handle: int, content: bytes) -> None:
    left = memoryview(content)
    while left:
        left = left[os.write(handle, left) :]
    os.fsync(handle)


def _must_be_plain(path: Path, handle: int) -> None:
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        raise ArchiveError(f"{path}: is no plain file")


def _unusable(path: Path, error: OSError) -> ArchiveError:
    why = _LINK if error.errno == errno.ELOOP else f"cannot be read: {(error.strerror or '').lower()}"
    return ArchiveError(f"{path}: {why}")
