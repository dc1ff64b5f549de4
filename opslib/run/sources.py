"""What a notebook may look at, wrapped so that a failed look is an answer.

Below this level a source that cannot be looked at raises. Here the error becomes an empty frame
that carries its reason, which every check turns into `unknown`. Only `SourceError` and missing
secrets are turned: a programming error still breaks the notebook, as it must.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any

from opslib import config, frames, site, vendors
from opslib.calls import Call
from opslib.errors import NotNamed, SecretError, SourceError
from opslib.vendors import statuspage

if TYPE_CHECKING:
    import pandas as pd

    from opslib.pg import Database

Record = Callable[[Call], None]


class DatabaseSource:
    """`ops.pg`: packaged diagnostics, one connection a run."""

    def __init__(self, env: config.Environment, application_name: str, record: Record) -> None:
        self._env = env
        self._application_name = application_name
        self._record = record
        self._open: Database | None = None
        self._told: set[str] = set()

    def table(self, name: str, /, **parameters: Any) -> pd.DataFrame:
        """Run one packaged statement.

        Args:
            name: name of a file in `opslib/sql`, without its ending.
            parameters: values for the statement's parameters.

        Returns:
            The columns that the statement's header promises; empty, with the reason, when the
            database could not be asked.
        """
        from opslib.pg import sql

        columns = [column.name for column in sql.load(name).returns]
        frame = _attempt(columns, lambda: self._database().table(name, **parameters))
        return self._told_once(frame, columns)

    def _told_once(self, frame: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
        """Say the same long reason once: a page on which each line repeats it hides the one that matters."""
        reason = frames.reason(frame)
        if reason is None or reason not in self._told:
            self._told.add(reason or "")
            return frame
        short = "the database could not be asked, as said above"
        return frames.unavailable(columns, short, absent=frames.absent(frame))

    def doors(self) -> pd.DataFrame:
        """Try every way into the database once.

        Returns:
            One row a door: door, reachable, kind, error, ms.
        """
        from opslib.pg import DOOR_COLUMNS

        return _attempt(DOOR_COLUMNS, lambda: self._database().doors())

    def close(self) -> None:
        """Close the connection, if one was opened."""
        if self._open is not None:
            self._open.close()

    def _database(self) -> Database:
        from opslib.pg import Database

        if not self._env.doors:
            raise NotNamed(f"{self._env.system.name} names no database in its file")
        if self._open is None:
            self._open = Database(
                self._env.doors, application_name=self._application_name, on_call=self._record
            )
        return self._open


class SiteSource:
    """`ops.site`: the system's own URLs, as a visitor meets them."""

    def __init__(self, env: config.Environment, record: Record) -> None:
        self._env = env
        self._record = record

    def probe(self, samples: int = 3) -> pd.DataFrame:
        """Ask every health and smoke endpoint `samples` times; columns as `site.PROBE_COLUMNS`."""
        return _attempt(
            site.PROBE_COLUMNS, lambda: site.probe(self._env, samples=samples, on_call=self._record)
        )

    def names(self) -> pd.DataFrame:
        """Resolve the host names of the system; columns as `site.NAME_COLUMNS`."""
        return _attempt(site.NAME_COLUMNS, lambda: site.names(self._env))

    def tls(self) -> pd.DataFrame:
        """Read the certificates of the system's hosts; columns as `site.TLS_COLUMNS`."""
        return _attempt(site.TLS_COLUMNS, lambda: site.tls(self._env))


class StatusSource:
    """`ops.vendors`: what the vendors say of themselves."""

    def __init__(self, env: config.Environment, record: Record) -> None:
        self._env = env
        self._record = record

    def status_pages(self) -> pd.DataFrame:
        """Read all status pages side by side; columns as `statuspage.COLUMNS`."""
        return _attempt(statuspage.COLUMNS, lambda: statuspage.read_all(self._env, on_call=self._record))


class VendorSource:
    """`ops.<vendor>`: one vendor's client; each of its methods returns a frame."""

    def __init__(self, name: str, env: config.Environment, record: Record) -> None:
        self._client_class = vendors.load(name)
        self._name = name
        self._env = env
        self._record = record
        self._client: Any = None

    def __getattr__(self, method: str) -> Callable[..., pd.DataFrame]:
        if method.startswith("_"):
            raise AttributeError(method)
        columns: Sequence[str] = self._client_class.COLUMNS[method]

        @wraps(getattr(self._client_class, method))
        def asked(*args: Any, **kwargs: Any) -> pd.DataFrame:
            return _attempt(columns, lambda: getattr(self._opened(), method)(*args, **kwargs))

        return asked

    def _opened(self) -> Any:
        access = self._env.vendors.get(self._name)
        if access is None:
            raise NotNamed(f"{self._env.system.name} names no vendor {self._name} in its file")
        if self._client is None:
            self._client = self._client_class(access, resolver=self._env.resolver, on_call=self._record)
        return self._client


def _attempt(columns: Sequence[str], look: Callable[[], pd.DataFrame]) -> pd.DataFrame:
    try:
        return look()
    except (SourceError, SecretError) as error:
        return frames.unavailable(columns, error.message, absent=isinstance(error, NotNamed))
