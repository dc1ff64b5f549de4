"""The databases of the rehearsed systems: one real PostgreSQL cluster each."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from opslib.errors import SandboxError
from opslib.sandbox import data, roles
from opslib.sandbox.lookup import known
from opslib.sandbox.postgres import Cluster, Ground

if TYPE_CHECKING:
    from psycopg import Connection

# Slots that ordinary logins can't take (version 16 on): a diagnosis gets in when all others are used.
RESERVED_CONNECTIONS = 3
ROLES = ("admin", "app", "monitor", "operator")
_CONNECT_S = 10
_LOCK_S = 10  # what a scenario locked stays locked: the sandbox itself must not wait for it
_LIBRARY = "pg_stat_statements"

Progress = Callable[[str], None]


class Databases:
    """Clusters with schema, rows and roles, each named after its system.

    Args:
        systems: which ones to make; all by default.
        scale: multiplies the number of rows.
        state: a state file that the watchdog removes if this process dies.
        progress: told what happens, in short sentences.

    Raises:
        UnknownName: there is no such system.
        SandboxError: a server did not start; everything that was started is gone again.
    """

    def __init__(
        self, systems: Iterable[str] | None = None, *, scale: float = 1.0, state: Path | None = None,
        progress: Progress = lambda sentence: None,
    ) -> None:  # fmt: skip
        chosen = tuple(data.systems() if systems is None else dict.fromkeys(systems))
        for system in chosen:
            known("system", system, data.systems())
        self._scale = scale
        self._progress = progress
        self._adding = threading.Lock()
        self._ready: set[str] = set()
        self._passwords = {role: secrets.token_urlsafe(12) for role in ROLES}
        self._ground = Ground(self._passwords["admin"], state)
        settings = self._settings()
        self._clusters = {
            system: Cluster(self._ground, system, number, settings)
            for number, system in enumerate(data.systems())
        }
        try:
            self.add(chosen)
        except BaseException:
            self.close()
            raise

    @property
    def systems(self) -> tuple[str, ...]:
        """The systems whose cluster was made, running or not."""
        return tuple(sorted(self._ready))

    @property
    def base(self) -> Path:
        """The private folder of sockets and data."""
        return self._ground.base

    def add(self, systems: Iterable[str]) -> None:
        """Make the clusters of systems that have none yet, side by side, and wait until they are loaded.

        Raises:
            UnknownName: there is no such system.
            SandboxError: a server did not start, or a packaged file did not run.
        """
        with self._adding:
            missing = [
                known("system", system, self._clusters) for system in systems if system not in self._ready
            ]
            if not missing:
                return
            self._progress(f"PostgreSQL {self._ground.programs.version} ({self._ground.programs.source})")
            template = self._ground.template()
            with ThreadPoolExecutor(len(missing)) as pool:
                list(pool.map(lambda system: self._make(system, template), missing))

    def start(self, system: str) -> None:
        """Start a stopped server; nothing happens if it runs."""
        self._cluster(system).start()

    def stop(self, system: str) -> None:
        """Stop a server and end its sessions; its counters survive, so that a restart restores it exactly."""
        self._cluster(system).shut_down()

    def restart(self, system: str) -> None:
        """Stop a server in order and start it again; nothing happens where it is not made or does not run."""
        if system in self._ready and self.running(system):
            self.stop(system)
            self.start(system)

    def running(self, system: str) -> bool:
        """Whether the server's process is there."""
        return self._cluster(system).running

    def dsn(self, system: str, role: str) -> str:
        """Return a libpq URI for one role, also before the system's cluster is made.

        Args:
            system: any system that the sandbox has a schema for.
            role: `admin` (superuser), `app`, `monitor` or `operator`.
        """
        password = self._passwords[known("role", role, self._passwords)]
        cluster = self._clusters[known("system", system, self._clusters)]
        folder = quote(str(cluster.socket_directory), safe="/")
        login = roles.login(system, role)
        return f"postgresql://{login}:{password}@/{system}?host={folder}&port={cluster.port}"

    def admin(self, system: str, database: str = "") -> Connection:
        """Open a superuser's connection, through the slots that are kept for superusers; autocommit.

        Args:
            system: whose cluster.
            database: one of its databases; the system's own when not given.
        """
        return _connect(self.dsn(system, "admin"), database or system)

    def close(self) -> None:
        """Stop everything and remove every file."""
        with ThreadPoolExecutor() as pool:
            list(pool.map(Cluster.stop, self._clusters.values()))
        self._ground.close()

    def _cluster(self, system: str) -> Cluster:
        return self._clusters[known("system", system, self.systems)]

    def _make(self, system: str, template: Path) -> None:
        cluster = self._clusters[system]
        cluster.create(template)
        cluster.start()
        with self.admin(system, "postgres") as admin:
            roles.make(admin, system, self._passwords)
        with self.admin(system) as admin:
            data.load(admin, system, roles.app(system), scale=self._scale)
        self._ready.add(system)
        self._progress(f"{system}: database ready")

    def _settings(self) -> dict[str, str]:
        settings = {"log_min_duration_statement": "1000"}
        if self._ground.programs.major >= 16:
            settings |= {"reserved_connections": str(RESERVED_CONNECTIONS), "scram_iterations": "64"}
        if self._ground.programs.has_library(_LIBRARY):
            settings |= {"shared_preload_libraries": _LIBRARY, f"{_LIBRARY}.track": "all"}
        return settings


def _connect(dsn: str, database: str) -> Connection:
    import psycopg

    try:
        return psycopg.connect(
            dsn,
            autocommit=True,
            connect_timeout=_CONNECT_S,
            application_name="opslib-sandbox",
            prepare_threshold=None,
            dbname=database,
            options=f"-c lock_timeout={_LOCK_S}s",
        )
    except psycopg.OperationalError as error:
        raise SandboxError(
            f"The sandbox's own PostgreSQL does not let its administrator in: {error}"
        ) from error
