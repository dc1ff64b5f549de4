"""Everything of the sandbox that speaks over the network: apps, vendors and the name server.

One event loop in a thread of its own serves them all; the methods here may be called from any
other thread and return when the thing is done.
"""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any, Protocol, TypeVar

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from opslib import config
from opslib.config import Secret, System
from opslib.config.limits import defaults
from opslib.errors import SandboxError, UnknownName
from opslib.sandbox import container, flags, hosting, past, simulators
from opslib.sandbox.apps import DEFAULT_POOL, App, Pool
from opslib.sandbox.container import Service
from opslib.sandbox.hosting import Project
from opslib.sandbox.listener import Listener
from opslib.sandbox.names import DOMAIN, NameServer, Records
from opslib.sandbox.simulated import VendorState
from opslib.sandbox.simulators import Simulator
from opslib.sandbox.vendor_api import METHODS, STATUS_PAGE, VendorApi

_PATIENCE_S = 20
_EXTRA_COMPONENTS = ("API", "Dashboard")

T = TypeVar("T")


class Addresses(Protocol):
    """What the web needs to know of the databases."""

    @property
    def systems(self) -> Sequence[str]:
        """Names of the systems that have a database."""

    def dsn(self, system: str, role: str) -> str:
        """Return the address of a system's database for a role."""


class Web:
    """The apps of all systems, their vendors and the names that lead to them.

    Args:
        databases: the systems and where their databases are.
        restart: starts the database server of a system anew.

    Attributes:
        apps: system -> direct address of its app.
        names: system -> address of its app by name, which only `resolver` knows.
        vendors: vendor -> address of its API.
        status_pages: vendor -> address of its status page.
        vendor_settings: vendor -> token, and for Vercel the project of each system.
        resolver: `address:port` of the name server.
        dns: what the name server knows; scenarios break names there.
    """

    def __init__(self, databases: Addresses, restart: Callable[[str], None] = lambda system: None) -> None:
        self._databases, self._restart = databases, restart
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="sandbox-web", daemon=True)
        self._listeners: dict[str, Listener] = {}
        self._apps: dict[str, App] = {}
        self._projects: dict[str, Project] = {}
        self._services: dict[str, Service] = {}
        self._pasts: dict[str, Callable[[], None]] = {}
        self._simulators: dict[str, Simulator] = {}
        self._systems = [config.load_system(name) for name in databases.systems]
        self._vendors = _vendors(self._systems)
        self._desk: Listener | None = None
        self.dns = Records(hosts=set(databases.systems))
        self._name_server = NameServer(self.dns)
        self.apps: dict[str, str] = {}
        self.names: dict[str, str] = {}
        self.vendors: dict[str, str] = {}
        self.status_pages: dict[str, str] = {}
        self.vendor_settings: dict[str, dict[str, Any]] = {}
        self.resolver = ""

    def start(self) -> None:
        """Open all ports and fill in the addresses.

        Raises:
            SandboxError: a port could not be opened.
        """
        self._thread.start()
        try:
            self._do(self._start())
        except OSError as error:
            raise SandboxError(f"the sandbox could not open a port: {error.strerror}") from error

    def stop(self) -> None:
        """Close all ports and connections and end the thread."""
        for app in self._apps.values():
            app.pool.give_back()
        if self._thread.is_alive():
            self._do(self._stop())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(_PATIENCE_S)
        self._loop.close()

    def app(self, system: str) -> App:
        """Return the running app of a system.

        Raises:
            UnknownName: there is none.
        """
        return _known(self._apps, system, "app")

    def begin_again(self, system: str | None = None) -> None:
        """Have deployments and variables as they were at the start, of one system or of all."""
        for name, put_back in self._pasts.items():
            if system in (None, name):
                put_back()

    def project(self, system: str) -> Project:
        """Return the hosting vendor's project of a system.

        Raises:
            UnknownName: there is none.
        """
        return _known(self._projects, system, "project")

    def service(self, system: str) -> Service:
        """Return the container service that a system's backend runs in.

        Raises:
            UnknownName: it has none.
        """
        return _known(self._services, system, "container service")

    def vendor(self, name: str) -> VendorState:
        """Return the state of a vendor.

        Raises:
            UnknownName: no system uses it.
        """
        return _known(self._vendors, name, "vendor")

    def simulator(self, name: str) -> Simulator:
        """Return the simulated API of a vendor.

        Raises:
            UnknownName: it is not simulated.
        """
        return _known(self._simulators, name, "simulator")

    def listening(self, system: str) -> bool:
        """Tell whether a system's app takes connections."""
        return self._listeners[system].listening

    def listen(self, system: str, on: bool) -> None:
        """Open or close the port of a system's app for real."""
        listener = self._listeners[system]
        self._do(listener.open() if on else listener.close())

    def host(self, system: str) -> str:
        """Return the host name of a system's site."""
        return f"{system}.{DOMAIN}"

    async def _start(self) -> None:
        await self._name_server.start()
        self.resolver = self._name_server.address
        await self._open_vendors()
        for system in self._systems:
            await self._open_app(system)
        self._simulators |= simulators.make(self._estate(), self._vendors)
        self.vendor_settings = {name: {"token": v.token} for name, v in self._vendors.items()}
        for name, simulator in self._simulators.items():
            self.vendor_settings[name] |= simulator.settings

    async def _stop(self) -> None:
        desk = [self._desk] if self._desk else []
        await asyncio.gather(*(listener.release() for listener in [*self._listeners.values(), *desk]))
        await self._name_server.stop()
        await self._loop.shutdown_default_executor()

    async def _open_vendors(self) -> None:
        api = VendorApi(self._vendors, self._simulators)
        self._desk = Listener(_application(api.answer, METHODS))
        await self._desk.open()
        self.vendors = {name: f"{self._desk.url}/{name}" for name in self._vendors}
        read = [v.name for v in self._vendors.values() if v.status_format != "none"]
        self.status_pages = {name: f"{self.vendors[name]}/{STATUS_PAGE}" for name in read}

    async def _open_app(self, system: System) -> None:
        name = system.name
        listener = self._listeners[name] = Listener(_application(self._responder(name)))
        self._projects[name] = hosting.project(name, listener.port, system.required_env)
        dsn = self._databases.dsn(name, "app")
        app = App(system, self._projects[name], dsn, self.vendors, _pool(system, dsn))
        app.features = flags.read_by(system, lambda: app.dsn, self._at_posthog)
        if "railway" in system.vendors:
            names = [variable.name for variable in system.variables if variable.where == "backend"]
            app.backend = self._services[name] = container.service(name, names)
        self._pasts[name] = past.kept(self._projects[name], *filter(None, [app.backend]))
        self._apps[name] = app
        await listener.open()
        self.apps[name] = listener.url
        self.names[name] = f"http://{self.host(name)}:{listener.port}"

    def _at_posthog(self, project: str) -> flags.Reader:
        token = Secret.literal("sandbox-posthog-token", self._vendors["posthog"].token)
        return flags.at_posthog(self.vendors["posthog"], project, token)

    def _estate(self) -> simulators.Estate:
        systems = {system.name: system for system in self._systems}
        addresses = {name: self._databases.dsn(name, "monitor") for name in systems}
        return simulators.Estate(
            systems, self._projects, self._vendors, self._services, addresses, self._restart
        )

    def _responder(self, name: str) -> Any:
        async def respond(request: Request) -> Response:
            app = self._apps[name]
            await asyncio.sleep(app.delay_s)
            deployment = app.deployment(request.headers.get("host", ""))
            reply = await run_in_threadpool(app.reply, deployment, request.url.path)
            return Response(reply.body, reply.status, media_type=reply.media_type)

        return respond

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_PATIENCE_S)


def _application(endpoint: Any, methods: Sequence[str] = ("GET",)) -> Starlette:
    return Starlette(routes=[Route("/{path:path}", endpoint, methods=list(methods))])


def _pool(system: System, dsn: str) -> Pool:
    given = next(iter(system.pools.values()), None)
    size, overflow = (int(given.size), int(given.overflow)) if given else DEFAULT_POOL
    return Pool(dsn, size, overflow)


def _vendors(systems: Iterable[System]) -> dict[str, VendorState]:
    """Return the vendors that any of the systems uses, with the components that they look at."""
    systems = list(systems)
    names = dict.fromkeys(["vercel", *(name for system in systems for name in system.vendors)])
    return {name: _vendor(name, systems) for name in names}


def _vendor(name: str, systems: Sequence[System]) -> VendorState:
    known = defaults().vendors.get(name)
    used = [part for s in systems if name in s.vendors for part in s.vendors[name].components]
    return VendorState(
        name=name,
        title=(known and known.title) or name,
        status_format=(known and known.status_format) or "none",
        components=tuple(dict.fromkeys([*used, *_EXTRA_COMPONENTS])),
        token=secrets.token_urlsafe(24),
    )


def _known(things: dict[str, T], name: str, what: str) -> T:
    if name not in things:
        raise UnknownName(f"the sandbox has no {what} {name!r}", hint=f"there are: {', '.join(things)}")
    return things[name]
