"""Prism between a client and a vendor: what breaks the vendor's specification meets an objection."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.buckets import answers, free_port
from tests.contracts import specification
from tests.servers import Handle, reply, serving
from tests.waiting import wait

_HOP = {
    "host", "connection", "content-length", "accept-encoding", "content-encoding", "transfer-encoding",
    "expect",
}  # fmt: skip


@dataclass(frozen=True)
class Asked:
    """One request and its answer, as they went by.

    Args:
        method, path: the path without its query.
        query: the names in the query.
        headers: those that were sent.
        body: the bytes that were sent.
        answer: what came back.
    """

    method: str
    path: str
    query: frozenset[str]
    headers: dict[str, str]
    body: bytes
    answer: httpx.Response

    @property
    def objection(self) -> str:
        """What was said against it, in Prism's own words or in those that the vendor has for that."""
        refused = self.answer.status_code >= HTTPStatus.BAD_REQUEST
        return f"{self.method} {self.path}: {self.answer.status_code} {self.answer.text}" if refused else ""


@dataclass
class Line:
    """A line to a server on which everything that goes by is kept.

    Args:
        url: the address that a client is given.
        asked: what went by, in order.
    """

    url: str
    asked: list[Asked] = field(default_factory=list)

    @property
    def objections(self) -> list[str]:
        """All that was said against anything on this line."""
        return [one.objection for one in self.asked if one.objection]


def program() -> str:
    """Return where Prism is, or skip the test: `make prism` puts it into the user's cache."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folders = [str(cache / "opslib" / "prism" / "node_modules" / ".bin"), os.environ.get("PATH", "")]
    found = shutil.which("prism", path=os.pathsep.join(folders))
    if found is None:
        pytest.skip("Prism is not installed: make prism")
    return found


@contextmanager
def prism(vendor: str, upstream: str = "") -> Iterator[str]:
    """Have Prism hold a vendor's specification; yields its address.

    Args:
        vendor: name of the specification.
        upstream: the server whose answers are held, too; without one Prism makes answers up.
    """
    port, way = free_port(), ["proxy"] if upstream else ["mock"]
    options = ["--errors", "--host", "127.0.0.1", "--port", str(port), "--verboseLevel", "error"]
    with tempfile.TemporaryDirectory() as folder:
        spec = Path(folder) / "specification.json"
        spec.write_text(json.dumps(specification(vendor)), encoding="utf-8")
        words = [program(), *way, *options, str(spec), *([upstream] if upstream else [])]
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait(lambda: process.poll() is not None or answers(port))
            assert process.poll() is None, "Prism has ended"
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()
            process.wait()


@contextmanager
def line(url: str) -> Iterator[Line]:
    """Have a line to a server."""
    made = Line("")
    with httpx.Client(trust_env=False, timeout=20) as client, serving(_passing_on(client, url, made)) as at:
        made.url = at
        try:
            yield made
        except Exception as error:
            error.add_note("\n".join(made.objections))
            raise


def _passing_on(client: httpx.Client, url: str, line: Line) -> Handle:
    """Return a handler that asks the server what it is asked, and keeps both."""

    def handle(request: BaseHTTPRequestHandler) -> None:
        headers = {name.lower(): value for name, value in request.headers.items()}
        if "expect" in headers:  # S3's client sends no body before it is told to
            request.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = request.rfile.read(int(headers.get("content-length", 0)))
        sent = {name: value for name, value in headers.items() if name not in _HOP}
        answer = client.request(request.command, url + request.path, content=body, headers=sent)
        parts = urlsplit(request.path)
        query = frozenset(parse_qs(parts.query, keep_blank_values=True))
        line.asked.append(Asked(request.command, parts.path, query, headers, body, answer))
        told = {name: value for name, value in answer.headers.items() if name not in _HOP}
        reply(answer.status_code, answer.content, **told)(request)

    return handle
