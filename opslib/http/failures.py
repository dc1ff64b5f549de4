"""Turn whatever goes wrong between two machines into one of our errors, with a kind."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Iterator, Mapping
from typing import Any

import httpcore
import httpx

from opslib import masking
from opslib.errors import Forbidden, Malformed, RateLimited, SourceError, Unreachable
from opslib.http import retry
from opslib.http.transport import NameNotResolved

TRANSPORT_ERRORS = (
    httpcore.NetworkError,
    httpcore.TimeoutException,
    httpcore.ProtocolError,
    httpcore.UnsupportedProtocol,
    httpcore.ProxyError,
    httpx.DecodingError,
    httpx.RemoteProtocolError,
    httpx.InvalidURL,
    httpx.UnsupportedProtocol,
    OSError,
)

_WORDS = ("message", "detail", "error_description", "title")
_LONGEST_WORDS = 300
_NOT_HTTP = (httpcore.ProtocolError, httpx.RemoteProtocolError, httpx.DecodingError, httpx.InvalidURL)


def from_exception(error: Exception, where: str) -> SourceError:
    """Return the error for a request that got no answer.

    Args:
        error: what httpcore or the socket raised.
        where: name and host of the server, for the message.
    """
    if isinstance(error, _NOT_HTTP):
        return _protocol(error, where)
    kind, words = _network(error)
    return Unreachable(f"{where} {words}", kind=kind)


def from_status(
    status_code: int, headers: Mapping[str, str], where: str, path: str, said: str = ""
) -> SourceError | None:
    """Return the error for an answer that is not a success, or None for 2xx; `said` is its reason."""
    if 200 <= status_code < 300:
        return None
    says = f"{where} answered {status_code} for {path}" + (f" ({said})" if said else "")
    if retry.limited(status_code, headers):
        wait = retry.asked_to_wait(headers)
        return RateLimited(f"{says}: too many requests" + (f", back in {wait:.0f} s" if wait else ""))
    if status_code in (401, 407):
        return Forbidden(f"{says}: the credentials were refused", kind="authentication")
    if status_code == 403:
        return Forbidden(f"{says}: these credentials may not see it", kind="permission")
    if status_code >= 500:
        return Unreachable(says, kind="http-5xx")
    if status_code == 408:
        return Unreachable(f"{says}: it waited too long for another server", kind="timeout")
    if status_code >= 400:
        return Malformed(says, kind="conflict" if status_code == 409 else "http-4xx")
    return Malformed(f"{says}: it redirects too often, or to where it must not", kind="redirect")


def vendors_words(body: bytes) -> str:
    """Return what a vendor says is wrong, masked, in one line; "" where it says nothing of the kind."""
    found = _object(body)
    several = found.get("errors") or found.get("messages")  # the second is Doppler's
    given = [*(several if isinstance(several, list) else []), found.get("error"), found]
    words = next((said for part in given if (said := _words(part))), "")
    # Masked before it is cut: half a secret would not be known again.
    # Also what only looks like a key or a person: it repeats what it was told, and goes to terminals too.
    masked = masking.Masker(masking.registered(), net=True).mask(words) if words else ""
    return " ".join(masked.split())[:_LONGEST_WORDS]


def errors_within(body: bytes) -> str:
    """Return the errors that a success carries all the same, as GraphQL's do; "" for none."""
    several = _object(body).get("errors")
    if not isinstance(several, list) or not several:
        return ""
    return vendors_words(body) or "without a word"


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _words(part: Any) -> str:
    """Return the sentence in one of the shapes that vendors use."""
    if isinstance(part, str):
        return part
    if not isinstance(part, dict):
        return ""
    return next((part[name] for name in _WORDS if isinstance(part.get(name), str) and part[name]), "")


def _protocol(error: Exception, where: str) -> SourceError:
    if isinstance(error, httpcore.RemoteProtocolError) and "disconnected" in str(error):
        return Unreachable(f"{where} closed the connection without a whole answer", kind="reset")
    return Malformed(f"{where} does not speak proper HTTP: {error}", kind="not-http")


def _network(error: Exception) -> tuple[str, str]:
    for link in _chain(error):
        if isinstance(link, NameNotResolved):
            return "dns", f"has no address: {link}"
        if isinstance(link, socket.gaierror):
            return "dns", "has no address"
        if isinstance(link, ssl.SSLError):
            return "tls", f"offers no safe connection: {_tls_reason(link)}"
        if isinstance(link, ConnectionRefusedError):
            return "refused", "refuses connections"
        if isinstance(link, ConnectionResetError | BrokenPipeError):
            return "reset", "broke the connection off"
        if isinstance(link, httpcore.TimeoutException | TimeoutError):
            return "timeout", "did not answer in time"
    return "unreachable", f"cannot be reached: {error or type(error).__name__}"


def _tls_reason(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    return (error.reason or "handshake failed").replace("_", " ").lower()


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: list[BaseException] = []
    while error is not None and error not in seen:
        seen.append(error)
        yield error
        error = error.__cause__ or error.__context__
