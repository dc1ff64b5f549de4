"""The answers of a simulated S3 bucket, as XML and headers."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from email.utils import format_datetime
from urllib.parse import quote
from xml.sax.saxutils import escape

from starlette.responses import Response

from opslib.sandbox.simulators.aws_objects import NULL, Object, Wrong

_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
_SHA256 = "x-amz-checksum-sha256"
_OWN = frozenset({"Error"})  # the one answer without a namespace


def error(wrong: Wrong, method: str) -> Response:
    """Return a refusal; one to HEAD has no body, so that its code alone is known."""
    told = {"Code": wrong.code, "Message": wrong.message, "RequestId": "sandbox"}
    answer = _document("Error", _elements(told), wrong.status)
    return Response(status_code=wrong.status) if method == "HEAD" else answer


def listing(bucket: str, prefix: str, page: list[tuple[str, Object]], after: str) -> Response:
    """Return one page of objects; keys are written as in an address, as clients ask for."""
    told = {
        "Name": bucket, "Prefix": quote(prefix), "KeyCount": str(len(page)), "MaxKeys": "1000",
        "EncodingType": "url", "IsTruncated": _bool(bool(after)),
    }  # fmt: skip
    more = {"NextContinuationToken": _covered(after)} if after else {}
    entries = (f"<Contents>{_elements(_about(key, one))}</Contents>" for key, one in page)
    return _document("ListBucketResult", _elements({**told, **more}) + "".join(entries))


def versions(bucket: str, prefix: str, page: list[tuple[str, Object]], after: str) -> Response:
    """Return one page of versions: each object has one."""
    told = {
        "Name": bucket, "Prefix": quote(prefix), "EncodingType": "url", "IsTruncated": _bool(bool(after)),
    }  # fmt: skip
    more = {"NextKeyMarker": quote(after), "NextVersionIdMarker": NULL} if after else {}
    own = {"VersionId": NULL, "IsLatest": _bool(True)}
    entries = (f"<Version>{_elements({**_about(key, one), **own})}</Version>" for key, one in page)
    return _document("ListVersionsResult", _elements({**told, **more}) + "".join(entries))


def versioning() -> Response:
    """Return whether a bucket keeps versions: of one that was never told, nothing."""
    return _document("VersioningConfiguration", "")


def stored(made: Object) -> Response:
    """Return what came of an object that was put."""
    return Response(headers=about(made, with_sum=True))


def begun(bucket: str, key: str, upload: str) -> Response:
    """Return the id of a file in parts."""
    told = {"Bucket": bucket, "Key": key, "UploadId": upload}
    return _document("InitiateMultipartUploadResult", _elements(told))


def part(etag: str, given: Mapping[str, str]) -> Response:
    """Return what came of one part."""
    sums = {_SHA256: given[_SHA256]} if _SHA256 in given else {}
    return Response(headers={"etag": f'"{etag}"', **sums})


def completed(bucket: str, key: str, made: Object) -> Response:
    """Return what came of a file whose parts were put together."""
    told = {"Bucket": bucket, "Key": key, "ETag": f'"{made.etag}"'}
    sums = {"ChecksumSHA256": made.sha256} if made.sha256 else {}
    return _document("CompleteMultipartUploadResult", _elements({**told, **sums}))


def about(found: Object, *, with_sum: bool) -> dict[str, str]:
    """Return the headers that tell of an object."""
    told = {"etag": f'"{found.etag}"', "last-modified": format_datetime(found.modified, usegmt=True)}
    return {**told, **({_SHA256: found.sha256} if with_sum and found.sha256 else {})}


def uncovered(token: str) -> str:
    """Return the key that a token of a listing stands for."""
    return base64.urlsafe_b64decode(token).decode()


def _covered(key: str) -> str:
    return base64.urlsafe_b64encode(key.encode()).decode()


def _about(key: str, one: Object) -> dict[str, str]:
    return {
        "Key": quote(key), "LastModified": _moment(one), "ETag": f'"{one.etag}"',
        "Size": str(len(one.data)), "StorageClass": "STANDARD",
    }  # fmt: skip


def _moment(one: Object) -> str:
    return one.modified.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def _bool(value: bool) -> str:
    return "true" if value else "false"


def _elements(told: Mapping[str, str]) -> str:
    return "".join(f"<{name}>{escape(value)}</{name}>" for name, value in told.items())


def _document(root: str, content: str, status: int = 200) -> Response:
    space = "" if root in _OWN else f' xmlns="{_NAMESPACE}"'
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n<{root}{space}>{content}</{root}>'
    return Response(text, status, media_type="application/xml")
