"""The witness over HTTP: a server of the standard library, for few requests, each of them small."""

from __future__ import annotations

import logging
import re
import socket
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opslib.errors import ArchiveError
from opslib.evidence.witnesses.service import Said, Service
from opslib.evidence.witnesses.wire import ADD, LARGEST_REQUEST

SECONDS = 15  # for a request to arrive; an idle connection is closed after it, too
MOST_CONNECTIONS = 64
_LENGTH = re.compile(r"[0-9]{1,9}")
_NOT_KEPT = Said(500, "this witness cannot keep what it sees: nothing was signed\n")

log = logging.getLogger("opslib.witness")


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = MOST_CONNECTIONS

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self._free = threading.BoundedSemaphore(MOST_CONNECTIONS)
        super().__init__(address, handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Take a connection, unless there are too many; whoever is turned away asks again."""
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Let the next one in when this connection is done."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say in one line what went wrong with a connection; the next one is served."""
        log.warning("%s: the connection broke", client_address[0], exc_info=log.isEnabledFor(logging.DEBUG))


def server(service: Service, host: str, port: int) -> ThreadingHTTPServer:
    """Return a server of a witness that listens already; `serve_forever` answers.

    Args:
        service: the witness.
        host: address to listen on.
        port: 0 for any that is free.

    Raises:
        OSError: nobody may listen there.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        server_version, sys_version = "opslib-witness", ""
        timeout = SECONDS
        disable_nagle_algorithm = True
        wbufsize = -1  # head and body in one packet

        def do_POST(self) -> None:
            """Cosign a head."""
            body = self._body()
            if body is not None:
                known = self.path == ADD
                self._say(_kept(lambda: service.add_checkpoint(body)) if known else _nothing(self.path))

        def do_GET(self) -> None:
            """Show the head that was cosigned last."""
            self._say(_kept(lambda: service.held(self.path)))

        def log_message(self, format: str, *args: object) -> None:
            """Write one line a request, where that is asked for."""
            log.info("%s %s", self.address_string(), format % args)

        def _body(self) -> bytes | None:
            length = self.headers.get("Content-Length", "")
            if not _LENGTH.fullmatch(length) or int(length) > LARGEST_REQUEST:
                self.close_connection = True  # the rest of the body would be taken for a request
                self._say(
                    Said(413 if length.isdigit() else 411, "the request has no length, or is too large\n")
                )
                return None
            return self._arrived(int(length))

        def _arrived(self, length: int) -> bytes | None:
            content, end = b"", time.monotonic() + SECONDS
            while len(content) < length and time.monotonic() < end:
                chunk = self.rfile.read1(length - len(content))
                if not chunk:
                    break
                content += chunk
            if len(content) == length:
                return content
            self.close_connection = True
            return None

        def _say(self, said: Said) -> None:
            content = said.text.encode()
            self.send_response(said.status)
            self.send_header("Content-Type", said.type)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    return _Server((host, port), Handler)


def _nothing(path: str) -> Said:
    return Said(404, f"there is nothing at {path[:100]}\n")


def _kept(answer: Callable[[], Said]) -> Said:
    try:
        return answer()
    except (ArchiveError, OSError) as error:
        log.error("%s", getattr(error, "message", error))
        return _NOT_KEPT
