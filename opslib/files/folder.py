"""Files in a folder of this machine, or one that is mounted: a copy that does not go with the bucket."""

from __future__ import annotations

import hashlib
import os
import secrets
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from opslib.errors import Malformed, Unreachable
from opslib.files.place import (
    MOST_BYTES,
    Content,
    Object,
    checked,
    listed,
    media_type,
    must_be,
    there_already,
)

if TYPE_CHECKING:
    from opslib.acts import Opening

_PART = ".opslib-part-"


class Folder:
    """A place in a folder.

    Args:
        path: the folder, which must be there: one that is not mounted is no empty copy.
        hash_bytes: how many bytes may be read to tell files apart that have the same size.
    """

    def __init__(self, path: Path, hash_bytes: int = 0) -> None:
        self._path, self._hash_bytes = path, hash_bytes

    def __str__(self) -> str:
        return str(self._path)

    def objects(self) -> Mapping[str, Object]:
        """Return all files; those beyond `hash_bytes` have no entity tag."""
        found: dict[str, Object] = {}
        left = self._hash_bytes
        with self._plainly():
            for path, about in sorted(self._files()):
                key = path.relative_to(self._path).as_posix()
                left -= about.st_size
                etag = _md5(path) if left >= 0 else ""
                found[key] = Object(key, about.st_size, etag, datetime.fromtimestamp(about.st_mtime, tz=UTC))
                listed(found, self)
        return found

    def content(self, key: str) -> Content | None:
        """Return what is in a file; None where there is none."""
        path = self._path / checked(key)
        with self._plainly():
            self._there()
            if not path.is_file():
                return None
            if path.stat().st_size > MOST_BYTES:
                raise Malformed(
                    f"{self}: {key} is larger than {MOST_BYTES // 1_000_000} MB", kind="too-large"
                )
            return Content(path.read_bytes(), media_type(key))

    def versioned(self) -> bool | None:
        """Return None: a folder keeps no versions."""
        return None

    def public(self) -> bool:
        """Return False: a folder is read by who may enter this machine."""
        return False

    def put(self, opening: Opening, key: str, content: Content) -> None:
        """Write a file where there is none: it has its name only once all of it is on the disk."""
        path = self._path / checked(key)
        opening.use()
        with self._plainly():
            self._there()
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            # Unlinked, never written over: what one that was killed has left may be a file's content by now.
            own = f"{_PART}{hashlib.sha256(path.name.encode()).hexdigest()[:16]}"
            for left in path.parent.glob(f"{own}*"):
                left.unlink(missing_ok=True)
            part = path.with_name(f"{own}-{secrets.token_hex(4)}")
            try:
                _write(part, content.data)
                os.link(part, path)  # refuses where there is one, which a rename would not
            except FileExistsError:
                raise there_already(self, key) from None
            finally:
                part.unlink(missing_ok=True)
            _sync(path.parent)

    def take(self, opening: Opening, key: str, sha256: str) -> None:
        """Remove a file; no file system takes a condition, so it is read right before."""
        path = self._path / checked(key)
        must_be(key, self.content(key), sha256)
        opening.use()
        with self._plainly():
            path.unlink()

    def _files(self) -> Iterator[tuple[Path, os.stat_result]]:
        self._there()
        for folder, _, names in os.walk(self._path, onerror=_raise):
            for name in names:
                path = Path(folder, name)
                about = path.lstat()
                if stat.S_ISREG(about.st_mode) and not name.startswith(_PART):
                    yield path, about

    def _there(self) -> None:
        if not self._path.is_dir():
            raise Unreachable(f"{self}: there is no such folder; is its disk mounted?", kind="refused")

    @contextmanager
    def _plainly(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise Unreachable(f"{self}: {(error.strerror or 'it fails').lower()}", kind="refused") from None


def _write(path: Path, data: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _raise(error: OSError) -> None:
    raise error
