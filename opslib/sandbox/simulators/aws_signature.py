"""Signatures of requests to S3 (AWS Signature Version 4), checked as the real store checks them."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, quote, unquote

from opslib.sandbox.simulators.aws_objects import Wrong

_SCHEME = "AWS4-HMAC-SHA256"
_FORM = re.compile(
    rf"{_SCHEME} Credential=(?P<key>[^/]+)/(?P<scope>[^,]+), ?SignedHeaders=(?P<headers>[^,]+), ?"
    r"Signature=(?P<signature>[0-9a-f]{64})"
)
_TIME = "%Y%m%dT%H%M%SZ"
_APART = timedelta(minutes=15)
_UNSIGNED = "UNSIGNED-PAYLOAD"
_SAFE = "-_.~"
Keys = Mapping[str, str]


def check(method: str, scope: Mapping[str, Any], given: Mapping[str, str], body: bytes, keys: Keys) -> None:
    """Refuse a request that was not signed by one of the keys, or is not what was signed.

    Args:
        method: HTTP method.
        scope: of ASGI, for path and query as they were sent.
        given: headers, names in lower case.
        body: what was sent.
        keys: key -> its secret.

    Raises:
        Wrong: it is refused.
    """
    told = _FORM.fullmatch(given.get("authorization", ""))
    if not told:
        raise Wrong(403, "AccessDenied", "Access Denied")
    if told["key"] not in keys:
        raise Wrong(403, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist")
    signed, moment = told["headers"].split(";"), given.get("x-amz-date", "")
    wanted = _signature(keys[told["key"]], told["scope"], moment, _canonical(method, scope, given, signed))
    if "host" not in signed or not hmac.compare_digest(wanted, told["signature"]):
        raise Wrong(403, "SignatureDoesNotMatch", "The request signature we calculated does not match")
    if abs(datetime.now(UTC) - _moment(moment)) > _APART:
        raise Wrong(403, "RequestTimeTooSkewed", "The difference between the two clocks is too large")
    said = given.get("x-amz-content-sha256", "")
    if said not in (_UNSIGNED, hashlib.sha256(body).hexdigest()):
        raise Wrong(400, "XAmzContentSHA256Mismatch", "The provided header does not match what was computed")


def _canonical(method: str, scope: Mapping[str, Any], given: Mapping[str, str], signed: list[str]) -> str:
    """Return the text that was signed."""
    path = quote(unquote(scope["raw_path"].decode()), safe=f"/{_SAFE}")
    asked = parse_qsl(scope["query_string"].decode(), keep_blank_values=True)
    query = "&".join(sorted(f"{quote(name, safe=_SAFE)}={quote(value, safe=_SAFE)}" for name, value in asked))
    headers = "".join(f"{name}:{' '.join(given.get(name, '').split())}\n" for name in signed)
    return "\n".join([method, path, query, headers, ";".join(signed), given.get("x-amz-content-sha256", "")])


def _signature(secret: str, scope: str, moment: str, canonical: str) -> str:
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = _mac(key, part)
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    return _mac(key, "\n".join([_SCHEME, moment, scope, digest])).hex()


def _mac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def _moment(text: str) -> datetime:
    try:
        return datetime.strptime(text, _TIME).replace(tzinfo=UTC)
    except ValueError:
        raise Wrong(403, "AccessDenied", "AWS authentication requires a valid date") from None
