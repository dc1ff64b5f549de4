"""How bytes get to a server: own name look-up, one deadline for everything, timings by step.

httpx asks for no more than a `BaseTransport`; below it sits an httpcore pool with a network
backend that resolves names through `opslib.dns` and lets no single read outlive the deadline.
"""

from __future__ import annotations

import functools
import os
import ssl
import threading
import time
import urllib.request
from collections.abc import Iterable, Iterator
from typing import Any

import httpcore
import httpx

from opslib import dns

SocketOptions = Iterable[Any]
# Names of the variables in which httpx finds other certificates than its own.
_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR")


class NameNotResolved(httpcore.ConnectError):
    """The host's name has no address."""


def ssl_context() -> ssl.SSLContext:
    """Return the one context that all clients share: loading the certificates takes 20-40 ms."""
    return _context(*map(os.environ.get, _CERTIFICATES))


@functools.cache
def _context(*places: str | None) -> ssl.SSLContext:
    """Make a context; a process may have been given other places than the one that it was forked from."""
    return httpx.create_ssl_context()


class Clock(threading.local):
    """The deadline and the timings of the request that the current thread is sending."""

    deadline: float = float("inf")
    steps: dict[str, float]

    def begin(self, seconds: float) -> None:
        """Start the clock for one request."""
        self.deadline = time.monotonic() + seconds
        self.steps = {}

    def left(self, timeout: float | None) -> float:
        """Return how long the next step may take.

        Raises:
            httpcore.ReadTimeout: the deadline has passed.
        """
        remaining = self.deadline - time.monotonic()
        if remaining <= 0:
            raise httpcore.ReadTimeout("the whole answer took too long")
        return remaining if timeout is None else min(remaining, timeout)

    def trace(self, event: str, _: dict[str, Any]) -> None:
        """Note when httpcore reports a step; the values are seconds on the monotonic clock."""
        self.steps[event] = time.monotonic()

    def timings(self) -> dict[str, float]:
        """Return what is known of dns, connect, tls and first_byte, in milliseconds."""
        spans = {
            "connect": ("connected_from", "connected"),
            "tls": ("connection.start_tls.started", "connection.start_tls.complete"),
            "dns": ("resolve_from", "resolved"),
            "first_byte": ("http11.send_request_headers.started", "http11.receive_response_headers.complete"),
        }
        known = {name: pair for name, pair in spans.items() if set(pair) <= set(self.steps)}
        return {n: round((self.steps[b] - self.steps[a]) * 1000, 2) for n, (a, b) in known.items()}


class _Stream(httpcore.NetworkStream):
    """A connection whose reads and writes keep to the deadline."""

    def __init__(self, inner: httpcore.NetworkStream, clock: Clock) -> None:
        self._inner, self._clock = inner, clock

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, self._clock.left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, self._clock.left(timeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        inner = self._inner.start_tls(ssl_context, server_hostname, self._clock.left(timeout))
        return _Stream(inner, self._clock)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class Backend(httpcore.NetworkBackend):
    """Opens connections to resolved addresses, trying one after the other."""

    def __init__(self, resolver: str | None, clock: Clock) -> None:
        self._resolver, self._clock = resolver, clock
        self._sockets = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: SocketOptions | None = None,
    ) -> httpcore.NetworkStream:
        """Resolve, then connect to the first address that takes the connection."""
        self._clock.trace("resolve_from", {})
        found = dns.resolve(host, self._resolver, timeout=self._clock.left(dns.TIMEOUT_S))
        self._clock.trace("resolved", {})
        if not found.addresses:
            raise NameNotResolved(found.error)
        failure: httpcore.ConnectError | httpcore.ConnectTimeout | None = None
        for address in found.addresses:
            try:
                return self._connect(address, port, timeout, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = failure or error
        assert failure is not None
        raise failure

    def _connect(
        self, address: str, port: int, timeout: float | None, options: SocketOptions | None
    ) -> httpcore.NetworkStream:
        self._clock.trace("connected_from", {})
        wait = self._clock.left(timeout)
        stream = self._sockets.connect_tcp(address, port, timeout=wait, socket_options=options)
        self._clock.trace("connected", {})
        return _Stream(stream, self._clock)


class _Body(httpx.SyncByteStream):
    def __init__(self, response: httpcore.Response) -> None:
        self._response = response

    def __iter__(self) -> Iterator[bytes]:
        yield from self._response.iter_stream()

    def close(self) -> None:
        self._response.close()


class Transport(httpx.BaseTransport):
    """httpx on httpcore, with httpcore's own exceptions let through.

    Args:
        base_url: decides whether the machine's HTTP proxy is used.
        resolver: name server to ask; with one, no proxy is used.
        clock: deadline and timings of the running request.
    """

    def __init__(self, base_url: str, resolver: str | None, clock: Clock) -> None:
        backend = Backend(resolver, clock)
        proxy = None if resolver else _proxy(base_url)
        self._pool = httpcore.ConnectionPool(
            ssl_context=ssl_context() if base_url.startswith("https") or proxy else None,
            network_backend=backend,
            proxy=httpcore.Proxy(proxy) if proxy else None,
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request."""
        url = request.url
        sent = httpcore.Request(
            method=request.method,
            url=httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
            headers=request.headers.raw,
            content=request.stream,
            extensions=request.extensions,
        )
        answer = self._pool.handle_request(sent)
        return httpx.Response(
            answer.status, headers=answer.headers, stream=_Body(answer), extensions=answer.extensions
        )

    def close(self) -> None:
        """Close all connections."""
        self._pool.close()


def _proxy(base_url: str) -> str | None:
    url = httpx.URL(base_url)
    if urllib.request.proxy_bypass(url.host):
        return None
    return urllib.request.getproxies().get(url.scheme)
