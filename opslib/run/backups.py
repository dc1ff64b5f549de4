"""`ops.backups`: take backups of the system's database, list them, read them back, drill with them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from functools import cached_property
from typing import Any

import pandas as pd

from opslib import config, frames, ids
from opslib.backup import manifest, reading, retention, store, taking, tools
from opslib.backup.manifest import Content, Manifest
from opslib.checks import backups
from opslib.config.model import SANDBOX
from opslib.errors import NotNamed, OpsError, Refused, SandboxError, SecretError, SourceError
from opslib.pg import Database, sql
from opslib.run.sources import Record
from opslib.show import display

LISTED = (
    "id", "taken_at", "age_hours", "content", "megabytes", "rows", "tables", "seconds", "database", "server",
    "client", "problem", "kind",
)  # fmt: skip
READ = ("id", "whole", "kind", "text")
TOOLS = ("server", "fits", "text")
ROOM = ("free_bytes", "needed_bytes")
TAKEN = ("id", "rows", "tables", "megabytes", "seconds", "client", "compression", "digest", "warnings")
CODE = ("remote", "branches", "tags", "newest_tag")
RETIRED = ("id", "taken_at", "removed", "why")
_TABLES = "backup_tables"
_MB = 1e6
_HOUR_S = 3600


class BackupSource:
    """`ops.backups`: our own backups of one system's database.

    Args:
        env: whose database.
        application_name: what its server's administrator sees.
        run_id: the run, for progress.
        record: receives a record of each question.
    """

    def __init__(
        self, env: config.Environment, application_name: str, run_id: str, record: Record = lambda call: None
    ) -> None:
        self._env, self._name, self._record = env, application_name, record
        self._say = display.Progress(run_id)

    def list(self) -> pd.DataFrame:
        """Return all backups, the newest first; `problem` and `kind` say which cannot be used."""
        return _attempt(LISTED, lambda: listed(self.store, self.store.origin))

    def read_back(self, newest: int = 1, name: str = "") -> pd.DataFrame:
        """Hash every byte of the newest backups, and read all of them as a restore would.

        Args:
            newest: how many.
            name: this one instead.

        Returns:
            One row a backup: id, whole, kind of damage, text; whole is NA where nobody can tell.
        """
        return _attempt(READ, lambda: self._read_back(newest, name))

    def tools(self, major: int) -> pd.DataFrame:
        """Say which client programs fit a server of a major version, or why none does."""
        if not major:
            return frames.unavailable(TOOLS, "the server did not say its version")
        return _attempt(TOOLS, lambda: self._tools(major))

    def tables(self) -> pd.DataFrame:
        """Return the statement `backup_tables` as the role answers it that takes backups: no other counts."""
        columns = [column.name for column in sql.load(_TABLES).returns]
        return _attempt(columns, self._tables)

    def room(self, needed_bytes: int) -> pd.DataFrame:
        """Say how much room is left where backups are kept, beside what one more may take."""
        columns = list(ROOM)
        return _attempt(
            ROOM, lambda: pd.DataFrame([(self.store.free_bytes(), needed_bytes)], columns=columns)
        )

    def take(self, content: Content = "all", jobs: int = 2) -> pd.DataFrame:
        """Take a backup; it is in the store only when all of it was read back.

        Args:
            content: everything, the schema only, or the data only.
            jobs: tables that are dumped at once; each takes a connection.
        """
        return _attempt(TAKEN, lambda: _taken(self._take(content, jobs)))

    def retire(self, keep_least: int = retention.KEEP_LEAST) -> pd.DataFrame:
        """Remove own backups that the rule no longer keeps; never one of the newest, never a strange one."""
        return _attempt(RETIRED, lambda: self._retire(keep_least))

    def code(self) -> pd.DataFrame:
        """Say what the remote of the code lists: columns remote, branches, tags, newest_tag; one row."""
        return _attempt(CODE, self._code)

    @cached_property
    def store(self) -> store.Folder:
        """Where they are kept on this machine."""
        return store.of(prepared(self._env))

    def _source(self) -> taking.Source:
        if self._env.backup is None:
            raise NotNamed(
                f"{self._env.system.name} names no door to the server itself in {self._env.name}",
                hint="add `backup:` under database: a role that may read every row",
            )
        return taking.Source(self._env.system.name, self._env.name, self._env.backup, self._name)

    def _take(self, content: Content, jobs: int) -> Manifest:
        return taking.take(self._source(), self.store, content=content, jobs=jobs, say=self._say)

    def _tables(self) -> pd.DataFrame:
        asked = Database([self._source().door], application_name=self._name, on_call=self._record)
        with closing(asked):
            return asked.table(_TABLES)

    def _tools(self, major: int) -> pd.DataFrame:
        try:
            found = tools.find(major, remote=tools.over_network(self._source().door))
            row = (major, True, f"{found}; packs with {tools.compression(found)}")
        except Refused as error:
            row = (major, False, error.message)
        return pd.DataFrame([row], columns=list(TOOLS))

    def _read_back(self, newest: int, name: str) -> pd.DataFrame:
        chosen = [name] if name else newest_of(self.store, self.store.origin, newest)
        rows = [_verified(self.store, one) for one in chosen]
        return pd.DataFrame(rows, columns=list(READ)).astype({"whole": "boolean"})

    def _code(self) -> pd.DataFrame:
        from opslib.backup import code

        remote = code.remote_of(self._env)
        found = code.listed(remote)
        row = (remote, len(found.branches), len(found.tags), next(iter(found.tags), ""))
        return pd.DataFrame([row], columns=list(CODE))

    def _retire(self, keep_least: int) -> pd.DataFrame:
        kept_days = retention.days(self._env.system)
        rows = retention.retire(self.store, kept_days, keep_least, ids.now(), self.store.origin)
        return pd.DataFrame(rows, columns=list(RETIRED))


def prepared(env: config.Environment) -> config.Environment:
    """Return an environment whose backups are there: the sandbox takes its own when they are first needed."""
    if env.name == SANDBOX:
        from opslib.sandbox import control

        control.backups(env.system.name)
    return env


def listed(kept: retention.Kept, origin: str) -> pd.DataFrame:
    """Return all backups of a place, the newest first; columns `LISTED`.

    Args:
        kept: the place.
        origin: whose they must be, as `ENVIRONMENT/SYSTEM`.

    Raises:
        SourceError: it cannot be listed.
    """
    rows = [_row(kept, name, origin) for name in reversed(kept.ids())]
    frame = pd.DataFrame(rows, columns=list(LISTED))
    return frame.astype({"age_hours": "float64", "megabytes": "float64", "rows": "Int64", "tables": "Int64"})


def newest_of(kept: retention.Kept, origin: str, count: int) -> Sequence[str]:
    """Return the newest backups of a place, and always the newest one that a restore would begin with.

    Args:
        kept: the place.
        origin: whose they must be.
        count: how many, whatever they hold and whether they can be read.

    Raises:
        SourceError: it cannot be listed.
    """
    good = backups.whole(listed(kept, origin))["id"].head(1)
    return tuple(dict.fromkeys([*kept.ids()[::-1][:count], *good]))


def _row(kept: retention.Kept, name: str, origin: str) -> tuple[Any, ...]:
    try:
        found = manifest.read(kept.manifest(name), f"backup {name}")
    except SourceError as error:
        return (name, pd.NaT, *[None] * (len(LISTED) - 4), error.message, error.kind)
    strange = f"it is of {found.origin}, not of {origin}" if found.origin != origin else ""
    kind = manifest.FOREIGN if strange else "" if found.sealed else manifest.UNSEALED
    age = (ids.now() - found.taken_at).total_seconds() / _HOUR_S
    holds = found.holds
    return (
        name, pd.Timestamp(found.taken_at), round(age, 2), found.content, round(found.bytes / _MB, 3),
        holds.rows, len(holds.tables), found.seconds, holds.database, holds.server_version,
        found.client_version, strange, kind,
    )  # fmt: skip


def _verified(kept: store.Folder, name: str) -> tuple[Any, ...]:
    try:
        wrong = reading.verify(kept, name)
    except OpsError as error:
        return (name, pd.NA, "unseen", error.message)
    if wrong:
        return (name, False, wrong.kind, wrong.text)
    return (name, True, "", "every byte is as it was written, and all of it could be read")


def _taken(made: Manifest) -> pd.DataFrame:
    import hashlib

    digest = f"sha256:{hashlib.sha256(made.text().encode()).hexdigest()}"
    size = round(made.bytes / _MB, 3)
    row = (
        made.id, made.holds.rows, len(made.holds.tables), size, made.seconds, made.client_version,
        made.compression, digest, "; ".join(made.warnings),
    )  # fmt: skip
    return pd.DataFrame([row], columns=list(TAKEN))


def _attempt(columns: Sequence[str], look: Callable[[], pd.DataFrame]) -> pd.DataFrame:
    try:
        return look()
    except (SourceError, SecretError, Refused, SandboxError) as error:
        return frames.unavailable(columns, error.message, absent=isinstance(error, NotNamed))
