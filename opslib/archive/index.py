"""A SQLite index over the records: quick to ask, never trusted, rebuilt from `runs/` at any time."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from opslib.archive import record, store
from opslib.errors import ArchiveError, UnknownName

VERSION = 1
_WAIT_SECONDS = 30
_FILTERS = ("procedure", "system", "environment", "verdict")
_COLUMNS = (
    "run_id", *_FILTERS, "started_at", "finished_at", "actor", "scheduled_for", "folder", "document",
)  # fmt: skip
_SCHEMA = f"""
create table run (
    run_id text primary key, procedure text not null, system text not null, environment text not null,
    verdict text not null, started_at text not null, finished_at text not null, actor text not null,
    scheduled_for text, folder text not null, document text not null
) without rowid;
create index run_by_time on run (started_at desc);
create index run_by_target on run (procedure, system, environment, started_at desc);
create index run_by_slot on run (actor, scheduled_for) where scheduled_for is not null;
pragma user_version = {VERSION};
"""


class Index:
    """The index of one archive; opened for each question, so that nothing is held in between.

    Raises:
        ArchiveError: the archive cannot be read; the message says why.
    """

    def __init__(self, archive: Path) -> None:
        self.archive = archive
        self._path = archive / "index.sqlite"

    def add(self, document: Mapping[str, Any], folder: Path) -> None:
        """Add one run; adding it again changes nothing."""
        with store.plainly(self.archive), self._opened() as database, database:
            _insert(database, document, folder.relative_to(self.archive))

    def find(self, *, since: str = "", limit: int = 50, **filters: str) -> list[dict[str, Any]]:
        """Return documents of runs, the newest first.

        Args:
            since: only runs that began at or after this moment, RFC 3339.
            limit: the largest number of runs.
            filters: any of procedure, system, environment, verdict.
        """
        wanted = {name: filters[name] for name in _FILTERS if name in filters}
        where = " and ".join([*(f"{name} = :{name}" for name in wanted), "started_at >= :since"])
        query = f"select folder, document from run where {where} order by started_at desc limit :limit"
        with self._opened() as database:
            rows = database.execute(query, {**wanted, "since": since, "limit": limit}).fetchall()
        return [self._document(*row) for row in rows]

    def get(self, run_id: str) -> dict[str, Any]:
        """Return the document of one run, by its id or by the beginning of its id; `latest` is the newest.

        Raises:
            UnknownName: no run, or more than one, begins like that.
        """
        if run_id == "latest":
            found = self.find(limit=1)
        else:
            query = "select folder, document from run where run_id >= ? and run_id < ? limit 2"
            with self._opened() as database:
                rows = database.execute(query, (run_id, run_id + "\x7f")).fetchall()
            found = [self._document(*row) for row in rows]
        if len(found) == 1:
            return found[0]
        words = "more than one run begins with" if found else "no run is kept under"
        raise UnknownName(f"{words} {run_id!r} in {self.archive}", hint="`opslib history` lists runs and ids")

    def scheduled(self, slot: str) -> Iterator[tuple[datetime, str, str]]:
        """Yield (scheduled for, verdict, run id) of the runs that a slot started."""
        query = "select scheduled_for, verdict, run_id from run where actor = ? and scheduled_for is not null"
        with self._opened() as database:
            rows = database.execute(query, (slot,)).fetchall()
        for moment, verdict, run_id in rows:
            yield datetime.fromisoformat(moment), verdict, run_id

    def rebuild(self) -> int:
        """Read all records again and return how many there are."""
        with store.plainly(self.archive):
            self._path.unlink(missing_ok=True)
        with self._opened() as database:
            return int(database.execute("select count(*) from run").fetchone()[0])

    def _document(self, folder: str, document: str) -> dict[str, Any]:
        # The archive may have been moved: where a record is follows from where the archive is now.
        return {**json.loads(document), "record": str(self.archive / folder)}

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        if self.archive.exists() and not self.archive.is_dir():
            raise ArchiveError(f"{self.archive}: the archive must be a folder, this is a file")
        try:
            with closing(self._connect()) as database:
                yield database
        except (sqlite3.Error, PermissionError) as error:
            raise ArchiveError(
                f"{self._path}: the index cannot be used: {error}",
                hint="check who may read and write the archive; the index may be deleted, it is rebuilt",
            ) from error

    def _connect(self) -> sqlite3.Connection:
        if not self._path.exists():
            return self._built()
        database = sqlite3.connect(self._path, timeout=_WAIT_SECONDS)
        try:
            current = database.execute("pragma user_version").fetchone()[0] == VERSION
            if current:
                return database
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                database.close()
                raise
        database.close()
        self._path.unlink()
        return self._built()

    def _built(self) -> sqlite3.Connection:
        """Return a new index over all records; two builders at once end with the same rows."""
        self.archive.mkdir(parents=True, exist_ok=True)
        database = sqlite3.connect(self._path, timeout=_WAIT_SECONDS)
        with database:
            database.execute("begin immediate")
            if database.execute("pragma user_version").fetchone()[0] == VERSION:
                return database
            for command in _SCHEMA.split(";\n"):
                database.execute(command)
            for path in sorted(self.archive.glob("runs/*/*/*/*/run.json")):
                _insert(database, _read(path), path.parent.relative_to(self.archive))
        return database


def _insert(database: sqlite3.Connection, document: Mapping[str, Any], folder: Path) -> None:
    kept = {**document, "record": ""}
    values = {**document, "folder": str(folder), "document": json.dumps(kept, default=str)}
    marks = ", ".join(f":{name}" for name in _COLUMNS)
    command = f"insert or ignore into run ({', '.join(_COLUMNS)}) values ({marks})"
    database.execute(command, {name: values[name] for name in _COLUMNS})


def _read(path: Path) -> dict[str, Any]:
    try:
        return record.document(json.loads(path.read_text(encoding="utf-8")), path.parent)
    except (ValueError, KeyError, TypeError) as error:
        raise ArchiveError(
            f"{path}: this is not a record of opslib: {error!r}",
            hint="move that folder out of the archive; a record is never edited",
        ) from error
