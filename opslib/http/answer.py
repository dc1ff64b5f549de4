"""What goes to a server and what comes back."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import httpx

from opslib.errors import Malformed

Params = Mapping[str, str | int | float | bool]

_SECRET_NAME = re.compile(r"token|key|secret|pass|signature|credential|auth|code", re.IGNORECASE)


@dataclass(frozen=True)
class Sending:
    """One request.

    Args:
        method, path: what to ask for; the path is appended to the client's address.
        params: query parameters.
        body: JSON to send; None sends nothing.
        headers: besides the client's own.
        asked: what the record's digest covers in place of the request, without secret values.
        content: bytes to send in place of JSON.
    """

    method: str
    path: str
    params: Params | None = None
    body: Any = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)
    asked: Any = None
    content: bytes | None = field(default=None, repr=False)

    def words(self, headers: Mapping[str, str]) -> dict[str, Any]:
        """Return what httpx takes to build the request; `headers` are the client's own."""
        sent = {"json": self.body} if self.content is None else {"content": self.content}
        return {"params": self.params, "headers": {**headers, **self.headers}, **sent}

    def trace(self, base_url: str) -> tuple[str, str]:
        """Return method and path, and SHA-256 of what was asked, both without secrets."""
        shown = {k: v for k, v in (self.params or {}).items() if not _SECRET_NAME.search(k)}
        body = [] if self.body is None else [self.body]
        asked = self.asked or [self.method, base_url + self.path, shown, *body]
        digest = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
        return f"{self.method} {httpx.URL(base_url + self.path).path}", digest


@dataclass(frozen=True)
class Answer:
    """What a server said.

    Args:
        source: name of the client that asked.
        status_code: HTTP status.
        headers: names in lower case.
        body: the bytes, decoded.
        url: the address that answered, after redirects.
        ms: from the start of the request to the last byte, name look-up included.
        timings: dns, connect, tls, first_byte in milliseconds, as far as they took place.
    """

    source: str
    status_code: int
    headers: Mapping[str, str]
    body: bytes
    url: str
    ms: float
    timings: Mapping[str, float] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The body as text; bytes that are not UTF-8 are replaced."""
        return self.body.decode("utf-8", "replace")

    @property
    def digest(self) -> str:
        """SHA-256 of the body."""
        return hashlib.sha256(self.body).hexdigest()

    @cached_property
    def json(self) -> Any:
        """The body as JSON.

        Raises:
            Malformed: it is not JSON.
        """
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError) as error:
            start = self.text[:40].strip() or "an empty body"
            raise Malformed(
                f"{self.source} ({host(self.url)}) answered with no JSON but {start!r}", kind="not-json"
            ) from error


def host(url: str) -> str:
    """Return host and port of an address."""
    return httpx.URL(url).netloc.decode()
