"""The server: GET and HEAD, for the names of this machine only, and headers that bind a browser."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import socket
import sys
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from opslib.errors import UsageError
from opslib.web import frame
from opslib.web.library import Library
from opslib.web.routes import HTML, Answer, answer, problem

READS = ("GET", "HEAD")
TOKEN = "token"
_LOCALHOST = "localhost"
_ALWAYS = (
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Frame-Options", "DENY"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cache-Control", "private, no-cache"),
)


class Server(ThreadingHTTPServer):
    """Listens for browsers; one thread a connection.

    Args:
        library: what is shown.
        host: address to listen on.
        port: 0 for any that is free.
        token: what a browser must know; empty where everybody who reaches it may look.

    Raises:
        UsageError: that address cannot be listened on.
    """

    daemon_threads = True

    def __init__(self, library: Library, host: str, port: int, token: str = "") -> None:
        self.library = library
        self.host = host
        self.token = token
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            super().__init__((host, port), Handler)
        except (OSError, OverflowError) as error:
            why = (getattr(error, "strerror", "") or str(error)).lower()
            raise UsageError(
                f"{host}:{port} cannot be listened on: {why}", hint="give --listen another port, 0 for any"
            ) from None

    @property
    def address(self) -> str:
        """Where a browser finds it; with the token, if there is one."""
        name = f"[{self.host}]" if ":" in self.host else self.host
        token = f"?{TOKEN}={self.token}" if self.token else ""
        return f"http://{name}:{self.server_address[1]}/{token}"

    @property
    def cookie(self) -> str:
        """Name of the cookie that holds the token; cookies do not tell ports apart."""
        return f"opslib-archive-{self.server_address[1]}"

    def server_bind(self) -> None:
        """Bind without asking a name server who we are, as the library's own way does."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say in a line what broke; a browser that has left is nobody's fault."""
        from opslib.runner import crash

        error = sys.exc_info()[1]
        if error is not None and not isinstance(error, ConnectionError | TimeoutError):
            print(*crash.told(error), sep="; ", file=sys.stderr)

    def is_ours(self, host: str) -> bool:
        """Say whether a request was meant for us: another name may have been bent to this address."""
        try:
            name = (urlsplit(f"//{host}").hostname or "").casefold()
        except ValueError:
            return False
        if name in (self.host.casefold(), _LOCALHOST):
            return True
        literal = _literal(name)
        if literal is None:
            return not is_loopback(self.host) and name == socket.gethostname().casefold()
        return literal.is_loopback or not is_loopback(self.host)


def is_loopback(host: str) -> bool:
    """Say whether only this machine reaches an address."""
    literal = _literal(host)
    return host == _LOCALHOST or (literal is not None and literal.is_loopback)


def _literal(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None


class Handler(BaseHTTPRequestHandler):
    """Answers one connection."""

    protocol_version = "HTTP/1.1"
    timeout = 30  # seconds that a silent connection is held
    wbufsize = -1  # head and body in one packet: else each page waits for the other side's delayed answer
    disable_nagle_algorithm = True
    server: Server

    def do_GET(self) -> None:
        """Answer with a page."""
        if self._has_body():
            self.close_connection = True  # what follows would be taken for another request
        self._send(self._answer())

    do_HEAD = do_GET

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refuse a request that is no request, or one that would write."""
        self.close_connection = True
        if code == HTTPStatus.NOT_IMPLEMENTED:
            refused = problem(405, "Here one can look, and nothing else", "records are made by opslib run")
            return self._send(Answer(405, refused.content, headers=(("Allow", ", ".join(READS)),)))
        return self._send(problem(code, message or HTTPStatus(code).phrase))

    def version_string(self) -> str:
        """Return a name without numbers."""
        return "opslib"

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: addresses hold what people search for, and the token."""

    def _answer(self) -> Answer:
        hosts = self.headers.get_all("Host") or []
        if len(hosts) != 1 or not self.server.is_ours(hosts[0]):
            hint = "use the address that was printed"
            return problem(421, "This is not the name of this server", hint)
        if not self.path.startswith("/"):
            return problem(400, "This is no address of a page", "use the address that was printed")
        return self._let_in() or answer(self.server.library, self.path)

    def _let_in(self) -> Answer | None:
        """Return nothing for whoever knows the token; else the way in, or that there is none."""
        if not self.server.token or self._knows(self._cookie()):
            return None
        path, _, query = self.path.partition("?")
        if self._knows(dict(parse_qsl(query)).get(TOKEN, "")):
            value = f"{self.server.cookie}={self.server.token}; Path=/; HttpOnly; SameSite=Lax"
            return Answer(303, b"", headers=(("Location", path), ("Set-Cookie", value)))
        return problem(403, "Only whoever has the token may look", "open the address that was printed")

    def _knows(self, token: str) -> bool:
        return hmac.compare_digest(token.encode(), self.server.token.encode())

    def _cookie(self) -> str:
        try:
            kept = SimpleCookie(self.headers.get("Cookie", "")).get(self.server.cookie)
        except CookieError:
            return ""
        return kept.value if kept else ""

    def _has_body(self) -> bool:
        return "Transfer-Encoding" in self.headers or self.headers.get("Content-Length", "0") != "0"

    def _send(self, found: Answer) -> None:
        tag = f'"{hashlib.sha256(found.content).hexdigest()[:32]}"'
        known = found.status == HTTPStatus.OK and self._header("If-None-Match") == tag
        content = b"" if known else found.content
        self.send_response(HTTPStatus.NOT_MODIFIED if known else found.status)
        policy = found.policy or (frame.policy() if found.kind == HTML else "default-src 'none'")
        for name, value in (*_ALWAYS, *found.headers, ("Content-Security-Policy", policy)):
            self.send_header(name, value)
        if found.status == HTTPStatus.OK:
            self.send_header("ETag", tag)
        if not known:
            self.send_header("Content-Type", found.kind)
            self.send_header("Content-Length", str(len(content)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _header(self, name: str) -> str:
        return str(self.headers.get(name, "")) if hasattr(self, "headers") else ""
