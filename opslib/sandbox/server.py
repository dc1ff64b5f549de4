"""The sandbox's control endpoint: a few commands over HTTP on loopback, behind a token."""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from opslib.errors import OpsError

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

Command = Callable[[dict[str, Any]], Any]
_LEAVE_S = 1


class Control:
    """A port for commands, and the loop that answers them until told to end.

    Args:
        commands: path without the slash -> function of the posted JSON object; may block and raise OpsError.
        token: what callers must know.

    Attributes:
        address: the port's URL.
    """

    def __init__(self, commands: dict[str, Command], token: str) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._owner_gone = False
        self._leases = Leases(self._last_gone)
        self._runner = asyncio.Runner()
        self._loop = self._runner.get_loop()
        application = _application(commands, self._leases, token)
        self._server = uvicorn.Server(
            uvicorn.Config(
                application, lifespan="off", log_config=None, access_log=False, ws="none",
                timeout_graceful_shutdown=_LEAVE_S,
            )
        )  # fmt: skip

    def serve(self) -> None:
        """Answer until `end`, SIGTERM or SIGINT."""
        with self._runner:
            self._runner.run(self._server.serve(sockets=[self._socket]))

    def end(self) -> None:
        """End `serve`, from any thread or signal handler; nothing happens once it has ended."""
        self._server.should_exit = True
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._leases.closing.set)

    def owner_is_gone(self) -> None:
        """End `serve` as soon as nobody holds a lease, from any thread."""
        self._owner_gone = True
        self._loop.call_soon_threadsafe(self._last_gone)

    @property
    def leases(self) -> int:
        """How many processes need the sandbox to stay."""
        return self._leases.count

    def _last_gone(self) -> None:
        if self._owner_gone and not self._leases.count:
            self.end()


class Leases:
    """Who needs the sandbox to stay: one open request each, which ends with the process that made it.

    Args:
        last_gone: called when the last lease ends.
    """

    def __init__(self, last_gone: Callable[[], None]) -> None:
        self.count = 0
        self.closing = asyncio.Event()
        self._last_gone = last_gone

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer at once, then hold the answer open until the other side goes or the sandbox ends."""
        headers = [(b"content-type", b"text/plain")]
        self.count += 1
        try:
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": b"held\n", "more_body": True})
            await self._until_gone(receive)
        finally:
            self.count -= 1
            if not self.count:
                self._last_gone()

    async def _until_gone(self, receive: Receive) -> None:
        ending = asyncio.ensure_future(self.closing.wait())
        try:
            while not ending.done():
                message = asyncio.ensure_future(receive())
                await asyncio.wait({message, ending}, return_when=asyncio.FIRST_COMPLETED)
                if message.done() and message.result()["type"] == "http.disconnect":
                    return
                message.cancel()
        finally:
            ending.cancel()


class Guard:
    """Lets only those in who know the token.

    Args:
        app: what is behind it.
        token: expected as `Authorization: Bearer <token>`.
    """

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._expected = f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, or answer 401."""
        given = dict(scope.get("headers") or ()).get(b"authorization", b"")
        if scope["type"] != "http" or secrets.compare_digest(given, self._expected):
            await self._app(scope, receive, send)
            return
        await JSONResponse({"error": "token"}, status_code=401)(scope, receive, send)


def _application(commands: dict[str, Command], leases: Leases, token: str) -> ASGIApp:
    routes = [Route(f"/{name}", _endpoint(command), methods=["POST"]) for name, command in commands.items()]
    return Guard(Starlette(routes=[*routes, Route("/lease", leases, methods=["GET"])]), token)


def _endpoint(command: Command) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        try:
            result = await run_in_threadpool(command, await request.json())
        except OpsError as error:
            told = {"error": type(error).__name__, "message": error.message, "hint": error.hint}
            return JSONResponse(told, status_code=422)
        return JSONResponse({"result": result})

    return answer
