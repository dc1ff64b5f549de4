"""A system's own addresses, as a visitor meets them: names, certificates, answers."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pandas as pd

from opslib import dns
from opslib.calls import Call
from opslib.errors import Malformed, SourceError
from opslib.http import ONCE, Answer, Client
from opslib.http.transport import ssl_context

if TYPE_CHECKING:
    from opslib.config import Environment, HealthEndpoint

PROBE_COLUMNS = (
    "endpoint", "url", "sample", "status_code", "ms", "error", "error_kind", "json_ok", "fields",
    "body_digest",
)  # fmt: skip
NAME_COLUMNS = ("host", "addresses", "error", "kind", "ms")
TLS_COLUMNS = ("host", "expires", "days_left", "error", "kind")
_TIMEOUT_S = 8.0
_SIDE_BY_SIDE = 4


def probe(
    environment: Environment, *, samples: int = 3, on_call: Callable[[Call], None] | None = None
) -> pd.DataFrame:
    """Ask every health and smoke endpoint, each time over a new connection, as a visitor would.

    Args:
        environment: its `health` and `smoke` endpoints are asked.
        samples: how often each endpoint is asked, one after the other; fewer where its name does
            not resolve or it stayed silent twice.
        on_call: receives a record of each request.

    Returns:
        One row a sample: endpoint (name), url, sample (from 1), status_code (0: no answer), ms,
        error and error_kind (why there was no answer), json_ok (None: no JSON is expected), fields
        (the expected JSON fields with their values, the pool block and the version), body_digest.

    Raises:
        SourceError: the system has no address in this environment.
    """
    endpoints = _endpoints(environment)

    def look(endpoint: HealthEndpoint) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        while len(rows) < samples and not _hopeless(rows):
            rows.append(_sample(endpoint, len(rows) + 1, environment.resolver, on_call))
        return rows

    with ThreadPoolExecutor(_SIDE_BY_SIDE) as pool:
        rows = [row for rows in pool.map(look, endpoints) for row in rows]
    return pd.DataFrame(rows, columns=list(PROBE_COLUMNS))


def names(environment: Environment) -> pd.DataFrame:
    """Resolve the host names of the endpoints.

    Returns:
        One row a host: host, addresses (comma-separated), error, kind (nxdomain, servfail,
        no-address, timeout), ms.
    """
    found = [dns.resolve(host, environment.resolver) for host in _hosts(environment, ("http", "https"))]
    rows = [(r.host, ", ".join(r.addresses), r.error, r.kind, r.ms) for r in found]
    return pd.DataFrame(rows, columns=list(NAME_COLUMNS))


def tls(environment: Environment) -> pd.DataFrame:
    """Read the certificate of every host that is reached by https.

    Returns:
        One row a host: host, expires (UTC), days_left, error, kind (dns, refused, timeout, tls);
        no rows when nothing is reached by https.
    """
    rows = [_certificate(host, environment.resolver) for host in _hosts(environment, ("https",))]
    return pd.DataFrame(rows, columns=list(TLS_COLUMNS))


def dig(document: Any, path: str) -> Any:
    """Return what a JSON document holds at `a.b.c`, or None."""
    for step in path.split("."):
        if not isinstance(document, dict):
            return None
        document = document.get(step)
    return document


def _hopeless(rows: Sequence[dict[str, Any]]) -> bool:
    """Tell whether asking again would only cost time."""
    kinds = [row["error_kind"] for row in rows]
    return "dns" in kinds or kinds.count("timeout") > 1


def _endpoints(environment: Environment) -> Sequence[HealthEndpoint]:
    endpoints = (*environment.health, *environment.smoke)
    if not endpoints or not environment.base_url:
        raise SourceError(f"{environment.system.name} has no address in {environment.name}")
    return endpoints


def _hosts(environment: Environment, schemes: tuple[str, ...]) -> list[str]:
    urls = [urlsplit(endpoint.url) for endpoint in _endpoints(environment)]
    hosts = [(url.hostname or "", url.port) for url in urls if url.scheme in schemes]
    if schemes == ("https",):
        return list(dict.fromkeys(f"{host}:{port or 443}" for host, port in hosts))
    return list(dict.fromkeys(host for host, _ in hosts))


def _sample(
    endpoint: HealthEndpoint, number: int, resolver: str | None, on_call: Callable[[Call], None] | None
) -> dict[str, Any]:
    row: dict[str, Any] = {"endpoint": endpoint.name, "url": endpoint.url, "sample": number}
    parts = urlsplit(endpoint.url)
    base = f"{parts.scheme}://{parts.netloc}"
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    started = time.perf_counter()
    with Client(
        base, name="site", resolver=resolver, timeout=_TIMEOUT_S, policy=ONCE, on_call=on_call
    ) as client:
        try:
            answer = client.fetch(path)
        except SourceError as error:
            ms = round((time.perf_counter() - started) * 1000, 1)
            return {**row, **_silence(error), "ms": ms}
    return {**row, **_said(endpoint, answer)}


def _silence(error: SourceError) -> dict[str, Any]:
    return {
        "status_code": 0,
        "error": error.message,
        "error_kind": error.kind,
        "json_ok": None,
        "fields": {},
        "body_digest": "",
    }


def _said(endpoint: HealthEndpoint, answer: Answer) -> dict[str, Any]:
    wanted = [*endpoint.expect, *filter(None, (endpoint.pool, endpoint.version_field))]
    document, json_ok = _document(answer) if wanted else (None, None)
    return {
        "status_code": answer.status_code,
        "ms": answer.ms,
        "error": "",
        "error_kind": "",
        "json_ok": json_ok if endpoint.json else None,
        "fields": {name: dig(document, name) for name in wanted},
        "body_digest": answer.digest,
    }


def _document(answer: Answer) -> tuple[Any, bool]:
    try:
        document = answer.json
    except Malformed:
        return None, False
    return document, isinstance(document, dict)


def _certificate(address: str, resolver: str | None) -> tuple[str, Any, float | None, str, str]:
    host, _, port = address.rpartition(":")
    found = dns.resolve(host, resolver)
    if not found.addresses:
        return host, pd.NaT, None, found.error, "dns"
    try:
        expires = _not_after(found.addresses[0], int(port), host)
    except ssl.SSLCertVerificationError as error:
        return host, pd.NaT, None, f"the certificate is not accepted: {error.verify_message}", "tls"
    except ssl.SSLError as error:
        return host, pd.NaT, None, f"no safe connection: {error.reason or error}", "tls"
    except OSError as error:
        kind = "refused" if isinstance(error, ConnectionRefusedError) else "timeout"
        return host, pd.NaT, None, f"{host}:{port} does not take a connection ({kind})", kind
    days = (expires - datetime.now(UTC)).total_seconds() / 86400
    return host, pd.Timestamp(expires), round(days, 1), "", ""


def _not_after(address: str, port: int, host: str) -> datetime:
    with (
        socket.create_connection((address, port), timeout=_TIMEOUT_S / 2) as plain,
        ssl_context().wrap_socket(plain, server_hostname=host) as safe,
    ):
        certificate = safe.getpeercert() or {}
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(str(certificate["notAfter"])), UTC)
