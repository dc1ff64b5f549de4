"""One real port on loopback that can be closed and opened again without anybody else taking it."""

from __future__ import annotations

import socket
from typing import Any

import uvicorn

HOST = "127.0.0.1"
_GRACE_S = 1


class Listener:
    """Serves an ASGI application on a port of its own.

    While closed the port stays bound but does not listen: the kernel refuses connections as it
    does for a program that is not running, and the port is still there when it opens again.
    `open` and `close` must run in the event loop that serves.

    Args:
        application: the ASGI application.
    """

    def __init__(self, application: Any) -> None:
        self._application = application
        self._socket = _bound(0)
        self._server: uvicorn.Server | None = None
        self.port = int(self._socket.getsockname()[1])

    @property
    def url(self) -> str:
        """Address of the port."""
        return f"http://{HOST}:{self.port}"

    @property
    def listening(self) -> bool:
        """Whether connections are taken."""
        return self._server is not None

    async def open(self) -> None:
        """Take connections."""
        if self._server is not None:
            return
        config = uvicorn.Config(
            self._application,
            lifespan="off",
            log_config=None,
            access_log=False,
            http="h11",
            ws="none",
            server_header=False,
            date_header=False,
            timeout_graceful_shutdown=_GRACE_S,
        )
        config.load()
        server = uvicorn.Server(config)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # The server's own main loop only watches for signals, which belong to the daemon.
        server.lifespan = config.lifespan_class(config)
        await server.startup(sockets=[self._socket])
        self._server = server

    async def close(self) -> None:
        """Refuse connections, and end those that are open."""
        if self._server is None:
            return
        server, self._server = self._server, None
        await server.shutdown(sockets=[self._socket])
        self._socket = _bound(self.port)

    async def release(self) -> None:
        """Close and give the port back."""
        await self.close()
        self._socket.close()


def _bound(port: int) -> socket.socket:
    found = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    found.bind((HOST, port))
    # Needed to bind where connections linger; without it afterwards, nobody else can share the port.
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
    return found
