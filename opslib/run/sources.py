"""What a notebook may look at, wrapped so that a failed look is an answer.

Below this level a source that cannot be looked at raises. Here the error becomes an empty frame
that carries its reason, which every check turns into `unknown`. Only `SourceError` and missing
secrets are turned: a programming error still breaks the notebook, as it must.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any

from opslib import config, frames, site, vendors
from opslib.calls import Call
from opslib.errors import NotNamed, SecretError, SourceError
from opslib.vendors import statuspage

if TYPE_CHECKING:
    import pandas as pd

    from opslib.pg import Database
    from opslib.pg.frame import Row

Record = Callable[[Call], None]


class DatabaseSource:
    """`ops.pg`: packaged diagnostics, one connection a run."""

    def __init__(
        self, env: config.Environment, application_name: str, record: Record, host: str | None = None
    ) -> None:
        self._env = env
        self._application_name = application_name
        self._record = record
        self._host = host
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

    def rows(self, name: str, /, **parameters: Any) -> list[Row]:
        """Run one packaged statement, for a check that reads an answer row by row.

        Returns:
            By the names of the columns; what is missing is None.

        Raises:
            SourceError: the database could not be asked.
        """
        found = self.table(name, **parameters)
        if reason := frames.reason(found):
            raise SourceError(reason)
        return frames.records(found)

    def table_as(self, role: str, claims: Mapping[str, str], name: str, /, **parameters: Any) -> pd.DataFrame:
        """Run one packaged statement as a role of the web API; columns and reason as for `table`."""
        from opslib.pg import sql

        columns = [column.name for column in sql.load(name).returns]
        return _attempt(columns, lambda: self._database().table_as(role, claims, name, **parameters))

    def plan(self, query: str) -> pd.DataFrame:
        """Have a recorded statement planned, not run; one row with the column plan."""
        import pandas as pd

        return _attempt(("plan",), lambda: pd.DataFrame({"plan": [self._database().plan(query)]}))

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

    def counts(self, tables: Sequence[str]) -> pd.DataFrame:
        """Count the rows of tables; columns table, rows (None where not counted), reason."""
        from opslib.pg import counting

        return _attempt(counting.COUNTS, lambda: counting.counts(self._database(), tables))

    def at(self, host: str | None) -> DatabaseSource:
        """Return the same database and role at another host, such as that of a branch.

        Args:
            host: the other host; "" where none is known, so that looking says so; None for this one.
        """
        if host is None:
            return self
        return DatabaseSource(self._env, self._application_name, self._record, host)

    def close(self) -> None:
        """Close the connection, if one was opened."""
        if self._open is not None:
            self._open.close()

    def _database(self) -> Database:
        from opslib.pg import Database
        from opslib.pg.connect import elsewhere

        if not self._env.doors:
            raise NotNamed(f"{self._env.system.name} names no database in its file")
        if self._host == "":
            raise SourceError("no host of it is known")
        if self._open is None:
            doors = self._env.doors if self._host is None else [elsewhere(self._env.doors[0], self._host)]
            self._open = Database(doors, application_name=self._application_name, on_call=self._record)
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
