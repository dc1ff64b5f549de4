"""Files in a bucket at S3, or at a store that speaks as S3 does."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import UTC
from typing import TYPE_CHECKING, Any, ClassVar

from opslib.archive.access import Access
from opslib.archive.bucket import THERE_ALREADY, Answered, Bucket
from opslib.calls import Call
from opslib.errors import Forbidden, Malformed, OpsError
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
    from opslib.config import VendorAccess

_EVERYBODY = ("/AllUsers", "/AuthenticatedUsers")
_NONE_SET = ("NoSuchBucketPolicy", "NoSuchPublicAccessBlockConfiguration")
_UNTOLD = "binary/octet-stream"  # what S3 says of an object whose type nobody gave


class S3Bucket(Bucket):
    """A bucket, or a part of one.

    Args:
        access: secrets `key`, `secret` and `token`, those of the usual AWS environment where none are named;
            setting `region`; its address, that of AWS where none is given.
        bucket: its name.
        prefix: what stands before each key.
        on_call: receives a record of each request.

    To look, it needs s3:ListBucket, GetObject, GetBucketVersioning, GetBucketAcl, GetBucketPolicyStatus and
    GetBucketPublicAccessBlock; to write, PutObject and DeleteObject.
    """

    FILE: ClassVar[str] = "the vendor `aws` of the system's file"

    def __init__(
        self,
        access: VendorAccess,
        bucket: str,
        prefix: str = "",
        *,
        on_call: Callable[[Call], None] | None = None,
    ) -> None:
        given = {name: access.secrets[name].reveal() for name in ("key", "secret", "token")
                 if name in access.secrets}  # fmt: skip
        reach = Access(access.api_url, access.settings.get("region", ""), **given)
        super().__init__(bucket, prefix.strip("/"), reach)
        self._on_call = on_call

    def objects(self) -> Mapping[str, Object]:
        """Return all objects, by key, page by page to the end."""
        found: dict[str, Object] = {}
        for page in self._pages("list_objects_v2", "", "ContinuationToken"):
            for entry in page.get("Contents", ()):
                one = self._object(entry)
                if not one.key.endswith("/"):  # what consoles put where they show a folder
                    found[one.key] = one
            listed(found, self)
        return found

    def content(self, key: str) -> Content | None:
        """Return what is in an object; None where there is none."""
        try:
            about = self._call("head_object", Key=self.prefix + checked(key))
        except Answered as answer:
            if answer.code in ("404", "NoSuchKey"):
                return None
            raise self._refused(answer, f"{key} cannot be read") from None
        if int(about["ContentLength"]) > MOST_BYTES:
            raise Malformed(f"{self}: {key} is larger than {MOST_BYTES // 1_000_000} MB", kind="too-large")
        kind = str(about.get("ContentType") or _UNTOLD)
        data = super().read(key)
        return None if data is None else Content(data, media_type(key) if kind == _UNTOLD else kind)

    def versioned(self) -> bool:
        """Tell whether the bucket keeps versions."""
        return bool(self._told("get_bucket_versioning").get("Status") == "Enabled")

    def public(self) -> bool:
        """Tell whether everybody may read the bucket: by its policy, or by its list of grants."""
        guard = self._told("get_public_access_block").get("PublicAccessBlockConfiguration", {})
        grants = self._told("get_bucket_acl").get("Grants", ())
        open_to = [str(grant.get("Grantee", {}).get("URI", "")) for grant in grants]
        granted = any(one.endswith(_EVERYBODY) for one in open_to) and not guard.get("IgnorePublicAcls")
        status = self._told("get_bucket_policy_status").get("PolicyStatus", {})
        return granted or bool(status.get("IsPublic") and not guard.get("RestrictPublicBuckets"))

    def put(self, opening: Opening, key: str, content: Content) -> None:
        """Put an object where there is none: the store itself refuses to put it over another one."""
        checked(key)
        opening.use()
        # A request that got no answer is sent again, and then meets the file that it has put there itself.
        if not self.create(key, content.data, kind=content.type) and self.read(key) != content.data:
            raise there_already(self, key)

    def take(self, opening: Opening, key: str, sha256: str) -> None:
        """Remove an object: S3 itself refuses where it is another by then; a bucket with versions has both.

        A store that does not know the condition removes what is there at that moment.
        """
        # The tag first: what is put there after this has another one, whatever was read.
        tag = self._tag(key)
        must_be(key, self.content(key), sha256)
        opening.use()
        try:
            self._call("delete_object", Key=self.prefix + key, IfMatch=tag)
        except Answered as answer:
            if answer.code in (*THERE_ALREADY, "NoSuchKey"):
                raise Malformed(f"{self}: {key} is another one by now", kind="conflict") from None
            raise self._refused(answer, f"{key} cannot be removed") from None

    def _tag(self, key: str) -> str:
        try:
            return str(self._call("head_object", Key=self.prefix + checked(key)).get("ETag", ""))
        except Answered:
            return ""  # reading it says why

    def _object(self, entry: Mapping[str, Any]) -> Object:
        key = str(entry["Key"]).removeprefix(self.prefix)
        etag = str(entry.get("ETag", "")).strip('"')
        return Object(key, int(entry["Size"]), etag, entry["LastModified"].astimezone(UTC))

    def _told(self, method: str) -> Mapping[str, Any]:
        """Return what the bucket says of itself; nothing where it was never told."""
        try:
            return self._call(method)
        except Answered as answer:
            if answer.code in _NONE_SET:
                return {}
            raise self._refused(answer, f"{method} is not answered") from None

    def _call(self, method: str, **words: Any) -> Mapping[str, Any]:
        started, error = time.perf_counter(), ""
        try:
            return super()._call(method, **words)
        except (Answered, OpsError) as failed:
            error = str(failed)
            raise
        finally:
            if self._on_call:
                ms = round((time.perf_counter() - started) * 1000, 1)
                self._on_call(Call(f"s3:{self.name}", method, None, ms, not error, error, ""))

    def _refused(self, answer: Answered, what: str) -> OpsError:
        if answer.code == "NoSuchBucket":
            return Forbidden(f"{self}: there is no such bucket", kind="unseen")
        return super()._refused(answer, what)
