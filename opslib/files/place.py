"""The one shape of all places that keep files: Supabase Storage, S3, a folder."""

from __future__ import annotations

import hashlib
import mimetypes
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from opslib.errors import Malformed, Refused

if TYPE_CHECKING:
    from opslib.acts import Opening

MOST_OBJECTS = 200_000  # a listing that is longer is not taken for whole
MOST_BYTES = 50_000_000  # of one object that is read or written here
_MD5 = re.compile(r"[0-9a-f]{32}")
_PLAIN = "application/octet-stream"


@dataclass(frozen=True)
class Object:
    """An object, as a listing has it.

    Args:
        key: its name in the bucket.
        size: bytes.
        etag: what the store calls its content; MD5 for most of what was sent in one piece.
        modified: when it was written, in UTC.
    """

    key: str
    size: int
    etag: str
    modified: datetime

    @property
    def md5(self) -> str:
        """The entity tag where it has the form of an MD5; "" where it surely is none."""
        return self.etag if _MD5.fullmatch(self.etag) else ""


@dataclass(frozen=True)
class Content:
    """What is in an object.

    Args:
        data: its bytes.
        type: media type.
    """

    data: bytes = field(repr=False)
    type: str = _PLAIN

    @property
    def sha256(self) -> str:
        """Checksum over the bytes, in hexadecimal digits."""
        return hashlib.sha256(self.data).hexdigest()


class Place(Protocol):
    """What a place for files can do. `str` of it names it to people."""

    def objects(self) -> Mapping[str, Object]:
        """Return all objects, by key.

        Raises:
            SourceError: they could not be listed to the end.
        """

    def content(self, key: str) -> Content | None:
        """Return what is in an object; None where there is none.

        Raises:
            SourceError: that cannot be told.
        """

    def versioned(self) -> bool | None:
        """Tell whether what is removed or written over can still be had; None where no such place can."""

    def public(self) -> bool:
        """Tell whether everybody may read the objects."""

    def put(self, opening: Opening, key: str, content: Content) -> None:
        """Put an object where there is none.

        Raises:
            Malformed: there is one already (kind `conflict`).
            SourceError: it could not be put.
        """

    def take(self, opening: Opening, key: str, sha256: str) -> None:
        """Remove an object that still has a content, looked at as close to the act as the place allows.

        Raises:
            Refused: it has another one, or is gone. Nothing was asked for.
            Malformed: it had another one by the time that the place was asked (kind `conflict`).
            SourceError: it could not be removed.
        """


def media_type(key: str) -> str:
    """Return the media type that a name tells of."""
    return mimetypes.guess_type(key)[0] or _PLAIN


def listed(found: Mapping[str, Object], where: object) -> Mapping[str, Object]:
    """Return a listing that is still getting longer, if it is not too long.

    Raises:
        Malformed: it has too many objects to be read to its end.
    """
    if len(found) > MOST_OBJECTS:
        raise Malformed(f"{where}: more than {MOST_OBJECTS} objects: not listed to the end", kind="too-many")
    return found


def checked(key: str) -> str:
    """Return a key that names one object and nothing else.

    Raises:
        Refused: it leads out of its bucket, or names none.
    """
    parts = key.split("/")
    if not key or key.startswith("/") or {"", ".", ".."} & set(parts) or re.search(r"[\x00-\x1f\\]", key):
        raise Refused(f"{key!r} is no name of an object that could be copied")
    return key


def must_be(key: str, found: Content | None, sha256: str) -> None:
    """See that an object has a content, before it is removed.

    Raises:
        Refused: it has not.
    """
    if found is None or found.sha256 != sha256:
        raise Refused(f"{key} is not what was put there, and is left alone")


def there_already(where: object, key: str) -> Malformed:
    """Return the error for an object that somebody else has put there."""
    return Malformed(f"{where}: {key} is there already, and is left alone", kind="conflict")
