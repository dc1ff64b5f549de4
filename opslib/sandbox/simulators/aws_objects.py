"""What a simulated S3 bucket holds: objects, and what is being sent in parts. It keeps no versions."""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

NULL = "null"  # the one version of each object
_LEAST_PART = 5 << 20
_SHA256, _MD5 = "x-amz-checksum-sha256", "content-md5"


class Wrong(Exception):
    """A request is refused.

    Args:
        status: HTTP code.
        code: S3's own name for it.
        message: in words.
    """

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


@dataclass(frozen=True)
class Object:
    """One object.

    Args:
        data: its bytes.
        etag: without quotation marks.
        sha256: the sum that the client sent with it, in base64; of parts, that over their sums.
        type: media type.
        modified: when it was put.
    """

    data: bytes
    etag: str
    sha256: str = ""
    type: str = "binary/octet-stream"
    modified: datetime = field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0))


@dataclass
class Upload:
    """A file that is being sent in parts.

    Args:
        key: what it becomes.
        parts: number -> its bytes, ETag and sum.
    """

    key: str
    parts: dict[int, tuple[bytes, str, str]] = field(default_factory=dict)


@dataclass
class Kept:
    """One bucket.

    Args:
        denied: the key that opslib has may do nothing here any more.
        objects: by key.
        uploads: what is being sent in parts, by id.
    """

    denied: bool = False
    objects: dict[str, Object] = field(default_factory=dict)
    uploads: dict[str, Upload] = field(default_factory=dict)

    def read(self, key: str, version: str = "") -> Object:
        """Return an object."""
        if version not in ("", NULL):
            raise Wrong(404, "NoSuchVersion", "The specified version does not exist.")
        if key not in self.objects:
            raise Wrong(404, "NoSuchKey", "The specified key does not exist.")
        return self.objects[key]

    def listed(self, prefix: str, after: str, most: int) -> tuple[list[tuple[str, Object]], str]:
        """Return one page of objects by key, and the key after which the next one begins; "" for none."""
        page = sorted(key for key in self.objects if key > after and key.startswith(prefix))
        return [(key, self.objects[key]) for key in page[:most]], page[most - 1] if page[most:] else ""

    def put(self, key: str, data: bytes, given: Mapping[str, str]) -> Object:
        """Put an object; `given` are the headers that came with it."""
        self._may_be_put(key, given)
        made = Object(data, _checked(data, given), given.get(_SHA256, ""))
        self.objects[key] = replace(made, type=given.get("content-type") or made.type)
        return self.objects[key]

    def remove(self, key: str) -> None:
        """Remove an object, if it is there."""
        self.objects.pop(key, None)

    def begin(self, key: str) -> str:
        """Begin a file in parts; return its id."""
        upload = secrets.token_hex(16)
        self.uploads[upload] = Upload(key)
        return upload

    def add(self, upload: str, key: str, number: int, data: bytes, given: Mapping[str, str]) -> str:
        """Take one part; return its ETag."""
        etag = _checked(data, given)
        self._upload(upload, key).parts[number] = (data, etag, given.get(_SHA256, ""))
        return etag

    def complete(
        self, upload: str, key: str, wanted: list[tuple[int, str]], given: Mapping[str, str]
    ) -> Object:
        """Put the parts together, in the order of their numbers."""
        parts = self._upload(upload, key).parts
        if [number for number, _ in wanted] != sorted({number for number, _ in wanted}):
            raise Wrong(400, "InvalidPartOrder", "The list of parts was not in ascending order.")
        if not wanted or any(parts.get(number, (b"", ""))[1] != etag for number, etag in wanted):
            raise Wrong(400, "InvalidPart", "One or more of the specified parts could not be found.")
        chosen = [parts[number] for number, _ in wanted]
        if any(len(data) < _LEAST_PART for data, _, _ in chosen[:-1]):
            raise Wrong(400, "EntityTooSmall", "Your proposed upload is smaller than what is allowed")
        self._may_be_put(key, given)
        del self.uploads[upload]
        etags = hashlib.md5(b"".join(bytes.fromhex(tag) for _, tag, _ in chosen), usedforsecurity=False)
        sums = b"".join(base64.b64decode(sum_) for _, _, sum_ in chosen)
        sha256 = f"{base64.b64encode(hashlib.sha256(sums).digest()).decode()}-{len(chosen)}" if sums else ""
        data = b"".join(data for data, _, _ in chosen)
        self.objects[key] = Object(data, f"{etags.hexdigest()}-{len(chosen)}", sha256)
        return self.objects[key]

    def abandon(self, upload: str, key: str) -> None:
        """Forget a file in parts."""
        self._upload(upload, key)
        del self.uploads[upload]

    def _upload(self, upload: str, key: str) -> Upload:
        found = self.uploads.get(upload)
        if found is None or found.key != key:
            raise Wrong(404, "NoSuchUpload", "The specified upload does not exist.")
        return found

    def _may_be_put(self, key: str, given: Mapping[str, str]) -> None:
        if given.get("if-none-match") == "*" and key in self.objects:
            raise Wrong(412, "PreconditionFailed", "At least one of the pre-conditions did not hold")


def _checked(data: bytes, given: Mapping[str, str]) -> str:
    """Hold what came against the sums that came with it; return its ETag."""
    for name, value in sums(data).items():
        if given.get(name, value) != value:
            raise Wrong(400, "BadDigest", f"The {name} you specified did not match what was received.")
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def sums(data: bytes) -> dict[str, str]:
    """Return the headers with sums that a careful client sends with what it puts."""
    digests = {_MD5: hashlib.md5(data, usedforsecurity=False), _SHA256: hashlib.sha256(data)}
    return {name: base64.b64encode(digest.digest()).decode() for name, digest in digests.items()}
