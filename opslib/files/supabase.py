"""Supabase Storage: the buckets of one project, and the objects in them.

Row-level security hides from a publishable key what it may not see: a listing with one would be empty,
and look like a bucket in which nothing is. So only a secret key is taken, and a bucket that the key does
not see is not seen.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from opslib.calls import Call
from opslib.errors import Forbidden, Malformed, NotNamed, SourceError
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
from opslib.http import Carrier, failures

if TYPE_CHECKING:
    from opslib.acts import Opening
    from opslib.config import VendorAccess
    from opslib.http import Answer

KEY = "secret_key"
_PAGE = 1000
_FOLDER_MARK = ".emptyFolderPlaceholder"  # what the console puts where it shows an empty folder
_PATIENCE_S = 10.0
_BYTES_S = 120.0
_NOT_THERE = ("NoSuchKey", "not_found")
_REFUSED = ("AccessDenied", "InvalidJWT", "Unauthorized", "InvalidSignature", "ExpiredToken", "401", "403")
_THERE = ("ResourceAlreadyExists", "KeyAlreadyExists", "Duplicate", "409")


class SupabaseBucket:
    """A bucket at Supabase.

    Args:
        access: setting `project`, or `storage_url` where Storage has an address of its own, or one below the
            vendor's; its secret `secret_key` is a secret key of the project, or its old `service_role` key.
        bucket: its name.
        prefix: what stands before each key.
        resolver: name server to ask.
        on_call: receives a record of each request.
    """

    def __init__(
        self,
        access: VendorAccess,
        bucket: str,
        prefix: str = "",
        *,
        resolver: str | None = None,
        on_call: Callable[[Call], None] | None = None,
    ) -> None:
        self._access, self._bucket = access, bucket
        self._prefix = f"{prefix.strip('/')}/" if prefix else ""
        self._resolver, self._on_call = resolver, on_call

    def __str__(self) -> str:
        return f"supabase:{self._bucket}/{self._prefix}".rstrip(":/")

    def buckets(self) -> dict[str, bool]:
        """Return all buckets of the project: name -> whether everybody may read it.

        Raises:
            SourceError: Supabase could not be asked.
        """
        found: dict[str, bool] = {}
        while True:
            query = f"/bucket?limit={_PAGE}&offset={len(found)}&sortColumn=id&sortOrder=asc"
            page = self._get(query).json
            if not isinstance(page, list) or not all(isinstance(e, dict) and "id" in e for e in page):
                raise Malformed(f"{self}: answered with something else than a list of buckets")
            new = {str(entry["id"]): bool(entry.get("public")) for entry in page}
            if new and new.keys() <= found.keys():
                raise Malformed(f"{self}: leads in circles while listing buckets", kind="paging")
            found |= new
            if len(page) < _PAGE:
                return found

    def objects(self) -> Mapping[str, Object]:
        """Return all objects, by key, page by page to the end."""
        self.public()
        found: dict[str, Object] = {}
        for page in self._pages():
            for entry in page:
                one = self._object(entry)
                if not one.key.endswith(_FOLDER_MARK):
                    found[one.key] = one
            listed(found, self)
        return found

    def content(self, key: str) -> Content | None:
        """Return what is in an object; None where there is none."""
        self.public()  # where the bucket is not seen, an object that is not seen proves nothing
        answer = self._large.fetch(f"/object/authenticated/{self._path(key)}")
        if answer.status_code == 200:
            kind = answer.headers.get("content-type", "").partition(";")[0]
            return Content(answer.body, kind or media_type(key))
        if _says(answer, _NOT_THERE):
            return None
        raise self._refused(answer)

    def versioned(self) -> bool | None:
        """Return None: Supabase Storage keeps no versions, whatever runbooks say."""
        return None

    def public(self) -> bool:
        """Tell whether everybody may read the bucket.

        Raises:
            Forbidden: there is no such bucket, or this key does not see it.
        """
        if self._bucket not in self._seen:
            raise Forbidden(f"{self}: there is no such bucket, or this key does not see it", kind="unseen")
        return self._seen[self._bucket]

    def put(self, opening: Opening, key: str, content: Content) -> None:
        """Put an object where there is none: Supabase itself refuses to put it over another one."""
        headers = {"content-type": content.type, "x-upsert": "false"}
        self._carried(opening, key, "POST", content.data, headers)

    def take(self, opening: Opening, key: str, sha256: str) -> None:
        """Remove an object; Supabase takes no condition, so it is read right before."""
        must_be(key, self.content(key), sha256)
        self._carried(opening, key, "DELETE", None, {})

    def _carried(
        self, opening: Opening, key: str, method: str, data: bytes | None, headers: Mapping[str, str]
    ) -> None:
        answer = self._large.carry(opening, method, f"/object/{self._path(key)}", data, headers)
        # Supabase answers 400 to nearly all that it refuses, and says in the body what it means.
        if _says(answer, _THERE):
            raise there_already(self, key)
        if not 200 <= answer.status_code < 300:
            raise self._refused(answer)

    @cached_property
    def _seen(self) -> dict[str, bool]:
        return self.buckets()

    @cached_property
    def _client(self) -> Carrier:
        return self._made(_PATIENCE_S, MOST_BYTES // 10)

    @cached_property
    def _large(self) -> Carrier:
        return self._made(_BYTES_S, MOST_BYTES)

    def _made(self, timeout: float, most: int) -> Carrier:
        secret = self._access.secrets.get(KEY)
        if secret is None:
            hint = f"add `{KEY}:` under its secrets: a reference to a secret key of the project"
            raise NotNamed(f"the file names no {KEY} of supabase", hint=hint)
        if _publishable(secret.reveal()):
            raise Forbidden(f"{self}: {KEY} is a publishable key, which sees only what everybody may see")
        return Carrier(
            self._address, name="supabase-storage", token=secret, headers={"apikey": secret.reveal()},
            resolver=self._resolver, on_call=self._on_call, timeout=timeout, max_bytes=most,
        )  # fmt: skip

    @property
    def _address(self) -> str:
        settings = self._access.settings
        if not self._access.api_url:
            raise SourceError("no address of supabase is known")
        if given := settings.get("storage_url", ""):
            return f"{self._access.api_url}{given}" if given.startswith("/") else given
        if not settings.get("project"):
            raise SourceError("the settings of supabase name no project", hint="add `project:` to the file")
        return f"https://{quote(settings['project'], safe='')}.supabase.co/storage/v1"

    def _get(self, path: str) -> Answer:
        answer = self._client.fetch(path)
        if answer.status_code == 200:
            return answer
        raise self._refused(answer)

    def _pages(self) -> Iterator[list[dict[str, Any]]]:
        asked: dict[str, Any] = {"limit": _PAGE, "prefix": self._prefix, "with_delimiter": False}
        cursors: list[str] = [""]
        while True:
            here = {"cursor": cursors[-1]} if cursors[-1] else {}
            page = self._asked({**asked, **here})
            objects = page.get("objects")
            if not isinstance(objects, list) or not isinstance(page.get("hasNext"), bool):
                raise Malformed(f"{self}: answered with something else than a page of objects")
            yield objects
            if not page["hasNext"]:
                return
            following = str(page.get("nextCursor") or "")
            if following in cursors:
                raise Malformed(f"{self}: leads nowhere while listing objects", kind="paging")
            cursors.append(following)

    def _asked(self, body: Mapping[str, Any]) -> dict[str, Any]:
        found = self._client.ask(f"/object/list-v2/{quote(self._bucket, safe='')}", dict(body)).json
        return found if isinstance(found, dict) else {}

    def _object(self, entry: Any) -> Object:
        about = entry.get("metadata") if isinstance(entry, dict) else None
        if not isinstance(about, dict) or not isinstance(about.get("size"), int):
            raise Malformed(f"{self}: answered with an object without its size")
        try:
            when = datetime.fromisoformat(str(entry.get("updated_at") or entry.get("created_at")))
        except ValueError:
            raise Malformed(f"{self}: answered with an object without its time") from None
        key = str(entry["name"]).removeprefix(self._prefix)
        return Object(key, about["size"], str(about.get("eTag") or "").strip('"'), when.astimezone(UTC))

    def _path(self, key: str) -> str:
        return f"{quote(self._bucket, safe='')}/{quote(self._prefix + checked(key))}"

    def _refused(self, answer: Answer) -> SourceError:
        said, code = failures.vendors_words(answer.body), answer.status_code
        if _says(answer, _REFUSED):
            return Forbidden(f"{self}: {said}: the key was refused", kind="permission")
        error = failures.from_status(code, answer.headers, "supabase-storage", str(self), said)
        return error or Malformed(f"{self}: answered {code}, which nobody asked for")


def _body(answer: Answer) -> dict[str, Any]:
    try:
        found = answer.json
    except Malformed:
        return {}
    return found if isinstance(found, dict) else {}


def _says(answer: Answer, codes: tuple[str, ...]) -> bool:
    body = _body(answer)
    return any(str(body.get(name, "")) in codes for name in ("code", "error", "statusCode"))


def _publishable(key: str) -> bool:
    """Tell whether a key is one that row-level security holds for: meant for browsers, or of a user."""
    if key.startswith("sb_publishable_"):
        return True
    middle = key.split(".")[1] if key.count(".") == 2 else ""
    try:
        claims = json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4))) if middle else {}
    except ValueError:
        return False
    return isinstance(claims, dict) and claims.get("role", "service_role") != "service_role"
