"""Supabase Storage as it is simulated: the buckets that a system's file declares, with real bytes in them.

As the real one it answers 400 to nearly all that it refuses, and says in the body what it means.
"""

from __future__ import annotations

import base64
import hashlib
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from opslib.config import System
from opslib.config.fields import is_placeholder
from opslib.config.files import SUPABASE

PREFIX = "storage/v1/"
_OBJECTS = 8
_MOST = 1000
_CREATED = timedelta(days=200)

Entry = dict[str, Any]


@dataclass
class File:
    """One object.

    Args:
        data: its bytes.
        type: media type.
        modified: when it was written.
        id: its number at Supabase.
    """

    data: bytes
    type: str
    modified: datetime
    id: str = field(default_factory=lambda: str(uuid.uuid4()))

    @property
    def etag(self) -> str:
        """As Supabase has it of what was sent in one piece, quotation marks included."""
        return f'"{hashlib.md5(self.data, usedforsecurity=False).hexdigest()}"'


@dataclass
class Kept:
    """One bucket.

    Args:
        public: everybody may read it.
        files: by key.
    """

    public: bool = False
    files: dict[str, File] = field(default_factory=dict)


class Storage:
    """The Storage of one project.

    Args:
        system: whose.

    Attributes:
        buckets: by name.
        revoked: the key that opslib has is no longer one.
    """

    def __init__(self, system: System) -> None:
        self.revoked = False
        declared = {name: spec for name, spec in system.files.items() if spec.at == SUPABASE}
        self.buckets = {
            name if is_placeholder(spec.bucket) else spec.bucket: Kept(
                spec.public, _seeded(system.name, name)
            )
            for name, spec in declared.items()
        }

    def answer(self, method: str, rest: str, request: Request, body: Any) -> Response:
        """Answer one authorised request; `rest` is the path below `storage/v1/`."""
        if self.revoked or request.headers.get("apikey", "") not in request.headers["authorization"]:
            return _wrong(403, "Unauthorized", "AccessDenied", "signature verification failed")
        first, _, more = rest.partition("/")
        if (method, rest) == ("GET", "bucket"):
            return self._buckets(request.query_params)
        if first != "object":
            return _wrong(404, "not_found", "InvalidRequest", f"Route {method}:/{rest} not found")
        words = more.split("/")
        if method == "POST" and words[0] == "list-v2" and len(words) == 2:
            return self._listed(words[1], body or {})
        if method == "GET" and words[0] == "authenticated":
            words = words[1:]
        return self._one(method, words[0], "/".join(words[1:]), request, body)

    def _buckets(self, query: Mapping[str, str]) -> Response:
        first, most = int(query.get("offset", 0)), int(query.get("limit", _MOST))
        names = sorted(self.buckets)[first : first + most]
        return JSONResponse([_about_bucket(name, self.buckets[name]) for name in names])

    def _listed(self, bucket: str, asked: Mapping[str, Any]) -> Response:
        kept = self.buckets.get(bucket)
        after = _uncovered(asked["cursor"]) if asked.get("cursor") else ""
        prefix = str(asked.get("prefix", ""))
        keys = sorted(k for k in (kept.files if kept else ()) if k > after and k.startswith(prefix))
        page = keys[: min(int(asked.get("limit", _MOST)), _MOST)]
        objects = [_about_file(key, kept.files[key]) for key in page] if kept else []
        answer = {"hasNext": len(page) < len(keys), "folders": [], "objects": objects}
        last = {"nextCursor": _covered(page[-1]), "nextCursorKey": page[-1]} if answer["hasNext"] else {}
        return JSONResponse({**answer, **last})

    def _one(self, method: str, bucket: str, key: str, request: Request, body: Any) -> Response:
        if bucket not in self.buckets:
            return _wrong(404, "Bucket not found", "NoSuchBucket", "Bucket not found")
        files = self.buckets[bucket].files
        if method == "POST":
            return self._put(files, bucket, key, request, body)
        if key not in files:
            return _wrong(404, "not_found", "NoSuchKey", "Object not found")
        if method == "DELETE":
            del files[key]
            return JSONResponse({"message": "Successfully deleted"})
        return Response(files[key].data, media_type=files[key].type, headers={"etag": files[key].etag})

    def _put(self, files: dict[str, File], bucket: str, key: str, request: Request, body: Any) -> Response:
        if key in files and request.headers.get("x-upsert") != "true":
            return _wrong(409, "Duplicate", "ResourceAlreadyExists", "The resource already exists")
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        files[key] = File(data, request.headers.get("content-type", ""), datetime.now(UTC))
        return JSONResponse({"Id": files[key].id, "Key": f"{bucket}/{key}"})


def _seeded(system: str, bucket: str) -> dict[str, File]:
    """Return files of the last days, one of them written an hour ago."""
    now = datetime.now(UTC).replace(microsecond=0)
    found: dict[str, File] = {}
    for number in range(_OBJECTS):
        seed = hashlib.sha256(f"{system}/{bucket}/{number}".encode()).digest()
        age = timedelta(days=number, hours=1)
        key = f"org-{number % 3 + 1}/{seed.hex()[:12]}.mp3"
        found[key] = File(b"ID3" + seed * (20 + number), "audio/mpeg", now - age)
    return found


def _about_bucket(name: str, kept: Kept) -> Entry:
    created = _text(datetime.now(UTC) - _CREATED)
    about: Entry = {"id": name, "name": name, "owner": "", "public": kept.public, "type": "STANDARD"}
    limits = {"file_size_limit": None, "allowed_mime_types": None}
    return {**about, **limits, "created_at": created, "updated_at": created}


def _about_file(key: str, file: File) -> Entry:
    moment = _text(file.modified)
    size = len(file.data)
    metadata = {
        "eTag": file.etag, "size": size, "mimetype": file.type, "cacheControl": "no-cache",
        "lastModified": moment, "contentLength": size, "httpStatusCode": 200,
    }  # fmt: skip
    times = {"created_at": moment, "updated_at": moment, "last_accessed_at": moment}
    return {"id": file.id, "name": key, **times, "metadata": metadata}


def _covered(key: str) -> str:
    return base64.b64encode(f"l:{key}".encode()).decode()


def _uncovered(cursor: str) -> str:
    return base64.b64decode(cursor).decode().removeprefix("l:")


def _text(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def _wrong(status: int, error: str, code: str, message: str) -> Response:
    told = {"statusCode": str(status), "error": error, "message": message, "code": code}
    return JSONResponse(told, status_code=400)
