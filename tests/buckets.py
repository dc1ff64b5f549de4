"""A real S3 server on loopback for tests, with buckets of their own."""

from __future__ import annotations

import itertools
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

import httpx
import pytest

from opslib.archive.access import Access
from opslib.archive.bucket import Bucket
from tests.waiting import wait

KEY, SECRET = "key-of-the-test", "secret-of-the-test"


@dataclass(frozen=True)
class Server:
    """A server that keeps objects as S3 does.

    Args:
        url: its address.
    """

    url: str
    _count: Iterator[int] = field(default_factory=itertools.count)

    @property
    def access(self) -> Access:
        """How it is reached."""
        return Access(self.url, "us-east-1", KEY, SECRET)

    def bucket(self, *, locking: bool = False) -> Bucket:
        """Return a prefix in a new bucket."""
        made = Bucket(f"bucket-{next(self._count)}", "acme/runbooks", self.access)
        made._call("create_bucket", ObjectLockEnabledForBucket=locking)
        return made

    def strict(self, on: bool) -> None:
        """Have it look at credentials, or take any."""
        count = "0" if on else "inf"
        httpx.post(f"{self.url}/moto-api/reset-auth", content=count).raise_for_status()


@contextmanager
def serving() -> Iterator[Server]:
    """Have a server run in a process of its own."""
    if find_spec("moto") is None:
        pytest.skip("the S3 server is not installed: pip install 'moto[s3]' flask flask-cors")
    port = free_port()
    words = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait(lambda: process.poll() is not None or answers(port))
        assert process.poll() is None, "the server has ended"
        yield Server(f"http://127.0.0.1:{port}")
    finally:
        process.kill()
        process.wait()


def free_port() -> int:
    """Return a port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def contents(bucket: Bucket) -> dict[str, bytes]:
    """Return all that a listing shows, with contents."""
    return {name: bucket.read(name) or b"" for name in bucket.listed()}


class Killed(BaseException):
    """A process was killed."""


def dying(bucket: Bucket, monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """Let so many objects be put or removed, and then whoever does it die."""
    left = itertools.count(after, -1)
    call = bucket._call

    def until(method: str, **words: Any) -> Any:
        if method in ("put_object", "delete_object") and next(left) <= 0:
            raise Killed
        return call(method, **words)

    monkeypatch.setattr(bucket, "_call", until)


def answers(port: int) -> bool:
    """Say whether somebody listens on a port."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False
