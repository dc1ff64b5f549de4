"""S3 as far as backups need it: a bucket for each system that copies its backups there, with real bytes.

As the real one it looks at the signature of each request and at the sums that come with what is put, and
refuses in XML. Behind its own address each bucket is a path.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import Any
from xml.etree import ElementTree

from starlette.requests import Request
from starlette.responses import Response

from opslib.config import System
from opslib.config.fields import is_placeholder
from opslib.config.files import AWS
from opslib.sandbox.simulators import Estate, aws_xml, path_of
from opslib.sandbox.simulators.aws_objects import Kept, Object, Wrong, sums
from opslib.sandbox.simulators.aws_signature import check

REGION = "us-east-1"
_PREFIX = "databases"
_MOST = 1000


class AwsApi:
    """Answers for the buckets of all systems that keep copies of their backups in one.

    Attributes:
        SIGNED: each request proves itself by its signature, and carries bytes as they are.
    """

    SIGNED = True

    def __init__(self, estate: Estate) -> None:
        self._key = secrets.token_hex(10)
        self._secret = estate.vendors[AWS].token
        users = [system for system in estate.systems.values() if AWS in system.vendors]
        self._names = {system.name: _name(system) for system in users}
        self._buckets = {name: Kept() for name in self._names.values()}

    @property
    def settings(self) -> Mapping[str, Any]:
        """The key that the token belongs to, and where each system's copies are."""
        places = {system: f"s3://{name}/{_PREFIX}" for system, name in self._names.items()}
        return {"key": self._key, "region": REGION, "backup_bucket": places}

    @property
    def systems(self) -> tuple[str, ...]:
        """The systems that have a bucket."""
        return tuple(self._names)

    def bucket(self, system: str) -> Kept:
        """Return a system's bucket, to be read and changed."""
        return self._buckets[self._names[system]]

    def put(self, system: str, name: str, data: bytes) -> None:
        """Put an object below the prefix of a system's copies, as if it had been sent."""
        self.bucket(system).put(f"{_PREFIX}/{name}", data, sums(data))

    def answer(self, method: str, path: str, request: Request, body: Any) -> Response:
        """Answer one request."""
        given = {name.lower(): value for name, value in request.headers.items()}
        try:
            check(method, request.scope, given, body or b"", {self._key: self._secret})
            bucket, _, key = path_of(request, AWS).partition("/")
            return self._answered(method, bucket, key, dict(request.query_params), given, body or b"")
        except Wrong as error:
            return aws_xml.error(error, method)

    def _answered(
        self, method: str, bucket: str, key: str, asked: dict[str, str], given: dict[str, str], body: bytes
    ) -> Response:
        if bucket not in self._buckets:
            raise Wrong(404, "NoSuchBucket", "The specified bucket does not exist")
        kept = self._buckets[bucket]
        if kept.denied:
            raise Wrong(403, "AccessDenied", "Access Denied")
        if not key:
            return _of_bucket(method, bucket, kept, asked)
        if "uploadId" in asked or "uploads" in asked:
            return _in_parts(method, bucket, kept, key, asked, given, body)
        answers: Mapping[str, Callable[[], Response]] = {
            "GET": lambda: _content(kept.read(key, asked.get("versionId", "")), given),
            "HEAD": lambda: _content(kept.read(key, asked.get("versionId", "")), given),
            "PUT": lambda: aws_xml.stored(kept.put(key, body, given)),
            "DELETE": lambda: _removed(kept, key),
        }
        return answers.get(method, _unknown)()


def _of_bucket(method: str, name: str, kept: Kept, asked: Mapping[str, str]) -> Response:
    if method != "GET":
        return _unknown()
    if "versioning" in asked:
        return aws_xml.versioning()
    most = min(int(asked.get("max-keys", _MOST)), _MOST)
    prefix = asked.get("prefix", "")
    if "versions" in asked:
        return aws_xml.versions(name, prefix, *kept.listed(prefix, asked.get("key-marker", ""), most))
    if asked.get("list-type") != "2":
        return _unknown()
    after = aws_xml.uncovered(asked.get("continuation-token", ""))
    return aws_xml.listing(name, prefix, *kept.listed(prefix, after, most))


def _in_parts(
    method: str, bucket: str, kept: Kept, key: str, asked: Mapping[str, str], given: Mapping[str, str],
    body: bytes,
) -> Response:  # fmt: skip
    if method == "POST" and "uploads" in asked:
        return aws_xml.begun(bucket, key, kept.begin(key))
    upload = asked["uploadId"]
    if method == "PUT":
        return aws_xml.part(kept.add(upload, key, int(asked["partNumber"]), body, given), given)
    if method == "DELETE":
        kept.abandon(upload, key)
        return Response(status_code=204)
    if method != "POST":
        return _unknown()
    return aws_xml.completed(bucket, key, kept.complete(upload, key, _parts(body), given))


def _parts(body: bytes) -> list[tuple[int, str]]:
    """Return number and ETag of the parts that a client wants put together."""
    try:
        root = ElementTree.fromstring(body)
        found = [{child.tag.rpartition("}")[2]: child.text or "" for child in part} for part in root]
        return [(int(part["PartNumber"]), part["ETag"].strip('"')) for part in found]
    except (ElementTree.ParseError, KeyError, ValueError):
        raise Wrong(400, "MalformedXML", "The XML you provided was not well-formed") from None


def _content(found: Object, given: Mapping[str, str]) -> Response:
    data = found.data
    headers = aws_xml.about(found, with_sum=given.get("x-amz-checksum-mode", "").upper() == "ENABLED")
    if not given.get("range", "").startswith("bytes="):
        return Response(data, headers=headers, media_type=found.type)
    first, _, last = given["range"].removeprefix("bytes=").partition("-")
    start, end = int(first), min(int(last or len(data)), len(data) - 1)
    if start > end:
        raise Wrong(416, "InvalidRange", "The requested range is not satisfiable")
    headers["content-range"] = f"bytes {start}-{end}/{len(data)}"
    return Response(data[start : end + 1], 206, headers, found.type)


def _removed(kept: Kept, key: str) -> Response:
    kept.remove(key)
    return Response(status_code=204)


def _unknown() -> Response:
    raise Wrong(501, "NotImplemented", "A header or query you provided implies what is not implemented")


def _name(system: System) -> str:
    named = str(system.vendors[AWS].settings.get("bucket", ""))
    return named if named and not is_placeholder(named) else f"{system.name}-backups"


SIMULATOR = AwsApi
