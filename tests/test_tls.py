"""Certificates, read from a real server over a real handshake."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import trustme

from opslib import config, site
from opslib.checks import health
from opslib.config import scaffold
from opslib.http import transport
from opslib.verdict import Status

AUTHORITY = trustme.CA()
Serve = Callable[[int], config.Environment]


class Page(BaseHTTPRequestHandler):
    """A page over https."""

    def do_GET(self) -> None:
        """Answer 200."""
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Start a server whose certificate lasts some days, and return the environment that it is."""
    servers: list[ThreadingHTTPServer] = []

    def start(days: int) -> config.Environment:
        until = datetime.now(UTC) + timedelta(days=days, hours=1)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        AUTHORITY.issue_cert("localhost", not_after=until).configure_cert(context)
        server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        scaffold.new_system("shop", f"https://localhost:{server.server_port}", root=tmp_path)
        return config.load_system("shop", tmp_path).environment("production")

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Trust the test's own authority while the test runs, although others were trusted before."""
    transport.ssl_context()
    AUTHORITY.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    yield


@pytest.mark.parametrize(
    "days, status", [(90, Status.OK), (15, Status.WARNING), (3, Status.CRITICAL), (0, Status.CRITICAL)]
)
def test_a_certificate_is_judged_by_the_days_that_it_lasts(
    trusted: None, serve: Serve, days: int, status: Status
) -> None:
    """Three weeks are time to act; a week is an alarm."""
    environment = serve(days)
    frame = site.tls(environment)
    assert list(frame["days_left"].astype(int)) == [days]
    (found,) = health.certificates(frame, environment.limit("tls_days"))
    assert found.status is status


def test_a_site_over_https_is_probed_like_any_other(trusted: None, serve: Serve) -> None:
    """The handshake is part of what a visitor waits for."""
    frame = site.probe(serve(90), samples=1)
    assert list(frame["status_code"]) == [200]


def test_a_certificate_that_nobody_vouches_for_is_critical(serve: Serve) -> None:
    """Browsers refuse it, so it is no good however long it lasts."""
    environment = serve(90)
    frame = site.tls(environment)
    assert list(frame["kind"]) == ["tls"]
    (found,) = health.certificates(frame, environment.limit("tls_days"))
    assert found.status is Status.CRITICAL
    assert list(site.probe(environment, samples=1)["error_kind"]) == ["tls"]
