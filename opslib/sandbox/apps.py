"""The five applications, as far as an operator meets them: they answer, or fail, for real reasons.

An app runs the code and the variables of the deployment that serves (or of the deployment whose own
address was asked), opens a real connection to its database, really calls the vendor it needs, and
asks its flags, at each request, which features a visitor gets.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from opslib.config import rehearsal
from opslib.errors import SourceError
from opslib.http import ONCE, Client
from opslib.sandbox.container import Service
from opslib.sandbox.flags import Features, nowhere
from opslib.sandbox.hosting import Deployment, Project

if TYPE_CHECKING:
    import psycopg

    from opslib.config import System
    from opslib.config.parts import Endpoint

CONNECT_TIMEOUT_S = 2
DEFAULT_POOL = (5, 10)
JSON, HTML, TEXT = "application/json", "text/html", "text/plain"


@dataclass(frozen=True)
class Reply:
    """What the app answers with."""

    status: int
    body: str
    media_type: str = HTML


class Pool:
    """The app's connection pool: `size` connections, up to `overflow` more, all of them real.

    Args:
        dsn: the database's address.
        size, overflow: as SQLAlchemy has them.
    """

    def __init__(self, dsn: str, size: int, overflow: int) -> None:
        self._dsn, self.size, self.overflow = dsn, size, overflow
        self._out: list[psycopg.Connection[Any]] = []

    def take(self, count: int) -> None:
        """Check out up to `count` connections, as far as the pool has room."""
        import psycopg

        for _ in range(min(count, self.size + self.overflow - len(self._out))):
            self._out.append(psycopg.connect(self._dsn, application_name="app-pool", autocommit=True))

    def give_back(self) -> None:
        """Return and close all connections."""
        while self._out:
            self._out.pop().close()

    def block(self) -> dict[str, int]:
        """Return the pool as the app reports it."""
        out = len(self._out)
        free = max(0, self.size - out)
        return {
            "pool_size": self.size,
            "max_overflow": self.overflow,
            "checked_out": out,
            "checked_in": free,
        }


@dataclass
class App:
    """One running application; scenarios change its fields.

    Args:
        system: what its runbook says it must answer.
        project: where its code and variables come from.
        dsn: the database it uses; a scenario may spoil it.
        vendor_urls: address of each vendor's API.
        pool: its connection pool.
        failing: who wants every page to fail with 500.
        delays: who wants answers to be late -> by how many milliseconds.
        odd_json: who wants health endpoints to answer 200 with something else than promised.
        features: what lies behind its flags; a broken one fails for whom its flag lets through.
        backend: where it has a service of its own for its backend, that; the site hands on to it whatever
            is no page.
    """

    system: System
    project: Project
    dsn: str
    vendor_urls: Mapping[str, str]
    pool: Pool
    failing: set[str] = field(default_factory=set)
    delays: dict[str, int] = field(default_factory=dict)
    odd_json: set[str] = field(default_factory=set)
    features: Features = field(default_factory=lambda: Features(nowhere))
    backend: Service | None = None

    @property
    def delay_s(self) -> float:
        """How long an answer waits."""
        return sum(self.delays.values()) / 1000

    @property
    def needs(self) -> tuple[str, ...]:
        """The vendors without which the app does not work."""
        fields = {name for endpoint in self._endpoints.values() for name in self._called(endpoint)}
        fallback = {"supabase"} & set(self.system.vendors)
        return tuple(sorted(fields or fallback))

    def deployment(self, host: str) -> Deployment:
        """Return the deployment that a host name leads to: its own, else the one that serves."""
        try:
            return self.project.find(host.split(":")[0])
        except KeyError:
            return self.project.serving

    def reply(self, deployment: Deployment, path: str) -> Reply:
        """Answer a GET of `path` with the code of `deployment`; touches the database and the vendors."""
        if self.failing or deployment.broken or self.features.fail(path):
            return Reply(500, "<h1>500</h1><p>Internal Server Error</p>")
        missing = sorted(set(self.system.required_env) - deployment.variables)
        if missing:
            return Reply(500, f"configuration is incomplete: {', '.join(missing)} is not set", TEXT)
        if self._shows_flags(path):
            return Reply(200, self.features.document(), JSON)
        endpoint = self._endpoints.get(path)
        if endpoint is None:
            return Reply(404, "<h1>404</h1><p>This page could not be found</p>")
        return self._answer(endpoint, deployment)

    @property
    def _endpoints(self) -> dict[str, Endpoint]:
        pages = (rehearsal.FRONT_PAGE, *self.system.smoke, *rehearsal.health(self.system))
        return {endpoint.path: endpoint for endpoint in pages}

    def _shows_flags(self, path: str) -> bool:
        # Where flags are in the app's own table, the address in its file takes changes and shows nothing.
        flags = self.system.flags
        return flags is not None and flags.store == "posthog" and flags.endpoint == path

    def _called(self, endpoint: Endpoint) -> list[str]:
        """Return the vendors that an endpoint reports as connected or not."""
        return [
            name
            for name, accepted in endpoint.expect.items()
            if name in self.system.vendors and "configured" not in accepted
        ]

    def _answer(self, endpoint: Endpoint, deployment: Deployment) -> Reply:
        page = not (endpoint.expect or endpoint.pool or endpoint.version_field)
        if self.backend and self.backend.serving.broken and not page:
            return Reply(500, "Internal Server Error", TEXT)
        works = {
            "database": self._database_answers(),
            **{name: self._vendor_answers(name) for name in self.needs},
        }
        well = all(works.values())
        if page:
            html = f"<!doctype html><title>{self.system.title}</title><h1>{self.system.title}</h1>"
            return Reply(200, html) if well else Reply(503, "<h1>503</h1><p>Please try again</p>")
        if self.odd_json:
            return Reply(200, '{"ok": true}', JSON)
        document: dict[str, Any] = {}
        for name in endpoint.expect:
            document[name] = self._field(name, works, deployment, endpoint)
        if endpoint.pool:
            document[endpoint.pool] = self.pool.block()
        if endpoint.version_field:
            document[endpoint.version_field] = self._version(endpoint, deployment)
        return Reply(200 if well else 503, json.dumps(document), JSON)

    def _field(self, name: str, works: Mapping[str, bool], deployment: Deployment, endpoint: Endpoint) -> str:
        accepted = endpoint.expect[name]
        good = next((value for value in accepted if value != "*"), "")
        if name in works:
            return (good or "connected") if works[name] else "disconnected"
        if name == "status":
            return (good or "ok") if all(works.values()) else "unhealthy"
        if name in ("timestamp", "time"):
            return datetime.now(UTC).isoformat()
        return good or self._version(endpoint, deployment)

    def _version(self, endpoint: Endpoint, deployment: Deployment) -> str:
        accepted = endpoint.expect.get(endpoint.version_field or "", ())
        commit = self.backend.serving.commit if self.backend else deployment.commit
        return next((value for value in accepted if value != "*"), commit)

    def _database_answers(self) -> bool:
        import psycopg

        try:
            with psycopg.connect(
                self.dsn, connect_timeout=CONNECT_TIMEOUT_S, application_name="app", autocommit=True
            ) as connection:
                return connection.execute("select 1").fetchone() is not None
        except psycopg.Error:
            return False

    def _vendor_answers(self, name: str) -> bool:
        with Client(self.vendor_urls[name], name=name, timeout=CONNECT_TIMEOUT_S, policy=ONCE) as client:
            try:
                return client.fetch("/auth/v1/health").status_code < 500
            except SourceError:
                return False
