"""A folder in an S3 bucket: list, read, create, replace and remove the objects below a prefix.

What is created is never put over something else: the store itself refuses it (If-None-Match).
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from opslib.archive.access import Access
from opslib.errors import ConfigError, Forbidden, OpsError, SourceError, Unreachable, UsageError

_AGAIN = "try again; what was sent before is kept, and the next push goes on"
_NO_BUCKET = {"NoSuchBucket"}
_NOT_THERE = {"NoSuchKey", "404", "NoSuchVersion"}
_REFUSED = {
    "AccessDenied", "403", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken",
    "RequestTimeTooSkewed", "AuthorizationHeaderMalformed", "InvalidClientTokenId",
}  # fmt: skip
_THERE_ALREADY = {"PreconditionFailed", "ConditionalRequestConflict", "412"}
_NO_LOCK = {"ObjectLockConfigurationNotFoundError", "InvalidRequest"}


@dataclass(frozen=True)
class Stored:
    """An object, as a listing has it.

    Args:
        size: bytes.
        etag: MD5 of the content for most stores and keys; else something that changes with it.
    """

    size: int
    etag: str

    def surely_is(self, content: bytes) -> bool:
        """Say whether the listing alone shows that this is the content; if not, it has to be read."""
        return self.size == len(content) and self.etag == _md5(content).hex()


@dataclass(frozen=True)
class Version:
    """One version of an object, also where it was deleted or written over since.

    Args:
        name: of the object.
        id: of the version.
        size: bytes.
        written: when, as the store's own clock had it.
    """

    name: str
    id: str
    size: int
    written: datetime


@dataclass(frozen=True)
class Lock:
    """Until when the store is to let nobody remove an object.

    Args:
        mode: `COMPLIANCE` or `GOVERNANCE`.
        until: in UTC.
    """

    mode: str
    until: datetime


class Answered(Exception):
    """The store has refused something.

    Args:
        code: as it was called.
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Bucket:
    """The objects below a prefix; their names are relative to it.

    Args:
        name: of the bucket.
        prefix: without slashes at its ends; empty for the whole bucket.
        access: how it is reached.

    Raises:
        UsageError: the package that speaks to stores is not installed.

    Attributes:
        FILE: where people name the store.
    """

    FILE: ClassVar[str] = "parameters/store.yml"

    def __init__(self, name: str, prefix: str, access: Access) -> None:
        self.name = name
        self.prefix = f"{prefix}/" if prefix else ""
        self._where = access.endpoint or "AWS"
        self._files = access.files()

    def __str__(self) -> str:
        return f"s3://{self.name}/{self.prefix}".rstrip("/")

    def listed(self, under: str = "") -> dict[str, Stored]:
        """Return the objects whose names begin with something: name -> what the listing says.

        Raises:
            SourceError: the store cannot be asked, or refuses.
            UsageError: there is no such bucket.
        """
        pages = self._pages("list_objects_v2", under, "ContinuationToken")
        entries = [entry for page in pages for entry in page.get("Contents", ())]
        return {self._own(one["Key"]): Stored(one["Size"], one["ETag"].strip('"')) for one in entries}

    def versions(self, under: str) -> list[Version]:
        """Return all versions of objects whose names begin with something, the hidden ones too.

        Raises:
            SourceError: the store cannot be asked, or refuses.
        """
        pages = self._pages("list_object_versions", under, "KeyMarker", "VersionIdMarker")
        entries = [entry for page in pages for entry in page.get("Versions", ())]
        return [
            Version(self._own(one["Key"]), one["VersionId"], one["Size"], one["LastModified"])
            for one in entries
        ]

    def read(self, name: str, version: str = "") -> bytes | None:
        """Return the content of an object; None where there is none.

        Raises:
            SourceError: the store cannot be asked, or refuses.
        """
        older = {"version_id": version} if version else {}
        try:
            with self._plainly():
                content = self._files.cat_file(f"{self.name}/{self.prefix}{name}", **older)
        except Answered as answer:
            if answer.code in _NOT_THERE:
                return None
            raise self._refused(answer, f"{name} cannot be read") from None
        return bytes(content)

    def create(self, name: str, content: bytes, lock: Lock | None = None, kind: str = "") -> bool:
        """Put an object where there is none; say whether it is ours, or there was one before.

        Args:
            name: of the object.
            content: its bytes.
            lock: until when nobody is to remove it.
            kind: its media type; that of the store when not given.

        Raises:
            SourceError: the store cannot be asked, or refuses.
        """
        held = {"ObjectLockMode": lock.mode, "ObjectLockRetainUntilDate": lock.until} if lock else {}
        typed = {"ContentType": kind} if kind else {}
        try:
            self._put(name, content, IfNoneMatch="*", **typed, **held)
        except Answered as answer:
            if answer.code in _THERE_ALREADY:
                return False
            raise self._refused(answer, f"{name} cannot be written") from None
        return True

    def replace(self, name: str, content: bytes) -> None:
        """Put an object, whatever was there; a reader meets the old one or the new one.

        Raises:
            SourceError: the store cannot be asked, or refuses.
        """
        try:
            self._put(name, content)
        except Answered as answer:
            raise self._refused(answer, f"{name} cannot be written") from None

    def remove(self, version: Version) -> bool:
        """Remove a version of an object for good; say whether its lock allows it.

        Raises:
            SourceError: the store cannot be asked.
        """
        try:
            self._call("delete_object", Key=self.prefix + version.name, VersionId=version.id)
        except Answered as answer:
            if answer.code in ("AccessDenied", "ObjectLocked", "403"):
                return False
            raise self._refused(answer, f"{version.name} cannot be removed") from None
        return True

    def hide(self, name: str) -> None:
        """Have listings leave out an object of which versions must stay.

        Raises:
            SourceError: the store cannot be asked, or refuses.
        """
        try:
            self._call("delete_object", Key=self.prefix + name)
        except Answered as answer:
            raise self._refused(answer, f"{name} cannot be removed") from None

    def must_lock(self) -> None:
        """See that the bucket can keep objects from being removed.

        Raises:
            ConfigError: it was made without Object Lock.
            SourceError: the store cannot be asked, or refuses.
        """
        try:
            self._call("get_object_lock_configuration")
        except Answered as answer:
            if answer.code not in _NO_LOCK:
                raise self._refused(answer, "its Object Lock cannot be looked at") from None
            raise ConfigError(
                f"parameters/store.yml: object_lock: the bucket {self.name} has no Object Lock",
                hint="make the bucket with Object Lock, or leave `object_lock` out",
            ) from None

    def _put(self, name: str, content: bytes, **more: Any) -> None:
        # Where a lock is asked for, stores take nothing without a sum.
        digest = base64.b64encode(_md5(content)).decode()
        self._call("put_object", Key=self.prefix + name, Body=content, ContentMD5=digest, **more)

    def _pages(self, method: str, under: str, *places: str) -> Iterator[Mapping[str, Any]]:
        """Yield the pages of a listing; a page says by `Next` and the name of each place where to go on."""
        where: dict[str, Any] = {}
        while True:
            try:
                page = self._call(method, Prefix=self.prefix + under, **where)
            except Answered as answer:
                raise self._refused(answer, "cannot be listed") from None
            yield page
            if not page.get("IsTruncated"):
                return
            where = {place: page[f"Next{place}"] for place in places if page.get(f"Next{place}")}

    def _call(self, method: str, **words: Any) -> Mapping[str, Any]:
        with self._plainly():
            found: Mapping[str, Any] = self._files.call_s3(method, Bucket=self.name, **words)
            return found

    def _own(self, key: str) -> str:
        return key.removeprefix(self.prefix)

    def _refused(self, answer: Answered, what: str) -> OpsError:
        if answer.code in _NO_BUCKET:
            hint = f"make it, or see `copy` in {self.FILE}"
            return UsageError(f"{self}: there is no such bucket", hint=hint)
        if answer.code in _REFUSED:
            hint = f"see `key` and `secret` in {self.FILE}, or AWS_ACCESS_KEY_ID and its like"
            why = f"the store refuses these credentials ({answer.code})"
            return Forbidden(f"{self}: {what}: {why}", hint=hint)
        return SourceError(f"{self}: {what}: the store answers {answer.code}", hint=_AGAIN)

    @contextmanager
    def _plainly(self) -> Iterator[None]:
        """Turn what the packages raise into what the store has answered, or that it has not."""
        from botocore import exceptions as boto

        try:
            yield
        except (boto.NoCredentialsError, boto.PartialCredentialsError):
            hint = f"name `key` and `secret` in {self.FILE}, or set AWS_ACCESS_KEY_ID and its like"
            raise ConfigError(f"{self}: there are no credentials for the store", hint=hint) from None
        except (boto.BotoCoreError, boto.ClientError, OSError) as error:
            if code := _code(error):
                raise Answered(code) from None
            why = f"{self}: {self._where} does not answer ({type(error).__name__})"
            raise Unreachable(why, hint=_AGAIN) from None


def _code(error: BaseException) -> str:
    """Return what the store called its refusal; nothing where it was none of the store's."""
    said = getattr(error.__cause__, "response", None) or getattr(error, "response", None) or {}
    return str(said.get("Error", {}).get("Code", ""))


def _md5(content: bytes) -> bytes:
    return hashlib.md5(content, usedforsecurity=False).digest()
