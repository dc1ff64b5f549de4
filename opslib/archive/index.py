"""A SQLite index over the records: quick to ask, never trusted, rebuilt from `runs/` at any time."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from filelock import FileLock

from opslib import ids
from opslib.archive import record, store
from opslib.errors import ArchiveError, UnknownName

VERSION = 1
_WAIT_SECONDS = 30
_LOCK = ".index.lock"
_STALE = ".index.stale"  # there while the index may lack a record
_FILTERS = ("procedure", "system", "environment", "verdict")
_COLUMNS = (
    "run_id", *_FILTERS, "started_at", "finished_at", "actor", "scheduled_for", "folder", "document",
)  # fmt: skip
_SCHEMA = f"""
drop table if exists run;
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
        self._stale = archive / _STALE

    def add(self, document: Mapping[str, Any], folder: Path) -> None:
        """Add one run; adding it again changes nothing.

        If it cannot be added, the index is marked, and whoever asks next makes it anew.
        """
        try:
            with self._told(), closing(self._connect()) as database, database:
                _insert(database, document, folder.relative_to(self.archive))
        except ArchiveError:
            # The record is safe, which is what counts; it must not be missing from the index for ever.
            with store.plainly(self.archive):
                self._stale.touch()

    def find(self, *, since: str = "", limit: int = 50, **filters: str) -> list[dict[str, Any]]:
        """Return documents of runs, the newest first.

        Args:
            since: only runs that began at or after this moment, RFC 3339.
            limit: the largest number of runs.
            filters: any of procedure, system, environment, verdict.
        """
        wanted = {name: filters[name] for name in _FILTERS if name in filters}
        since = ids.stamp(datetime.fromisoformat(since)) if since else ""
        where = " and ".join([*(f"{name} = :{name}" for name in wanted), "started_at >= :since"])
        query = f"select folder, document from run where {where} order by started_at desc limit :limit"
        rows = self._ask(query, {**wanted, "since": since, "limit": limit})
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
            rows = self._ask(query, (run_id, run_id + "\x7f"))
            found = [self._document(*row) for row in rows]
        if len(found) == 1:
            return found[0]
        words = "more than one run begins with" if found else "no run is kept under"
        raise UnknownName(f"{words} {run_id!r} in {self.archive}", hint="`opslib history` lists runs and ids")

    def scheduled(self, slot: str) -> Iterator[tuple[datetime, str, str]]:
        """Yield (scheduled for, verdict, run id) of the runs that a slot started."""
        query = "select scheduled_for, verdict, run_id from run where actor = ? and scheduled_for is not null"
        rows = self._ask(query, (slot,))
        for moment, verdict, run_id in rows:
            yield datetime.fromisoformat(moment), verdict, run_id

    def rebuild(self) -> int:
        """Read all records again and return how many there are."""
        with self._told(), closing(self._renewed(again=True)) as database:
            return int(database.execute("select count(*) from run").fetchone()[0])

    def _document(self, folder: str, document: str) -> dict[str, Any]:
        # The archive may have been moved: where a record is follows from where the archive is now.
        return {**json.loads(document), "record": str(self.archive / folder)}

    def _ask(self, query: str, values: Mapping[str, Any] | tuple[Any, ...]) -> list[Any]:
        """Return the rows of a query; an index that turns out to be damaged is made anew first."""
        with self._told():
            with closing(self._connect()) as database:
                try:
                    return database.execute(query, values).fetchall()
                except sqlite3.DatabaseError as error:
                    if not _damaged(error):
                        raise
            with closing(self._renewed()) as database:
                return database.execute(query, values).fetchall()

    @contextmanager
    def _told(self) -> Iterator[None]:
        if self.archive.exists() and not self.archive.is_dir():
            raise ArchiveError(f"{self.archive}: the archive must be a folder, this is a file")
        try:
            with store.plainly(self.archive):
                yield
        except sqlite3.Error as error:
            raise ArchiveError(
                f"{self._path}: the index cannot be used: {error}",
                hint="check who may read and write the archive; the index may be deleted, it is rebuilt",
            ) from error

    def _connect(self) -> sqlite3.Connection:
        """Return the index, made or renewed where it has to be; in memory where nothing can be written."""
        found = None if self._stale.exists() else self._existing()
        return found or self._renewed()

    def _existing(self, *, whole: bool = False) -> sqlite3.Connection | None:
        """Return the index that is there, if it is one; with `whole`, if all of its pages are good."""
        if not self._path.is_file():
            return None
        database = sqlite3.connect(self._path, timeout=_WAIT_SECONDS)
        with ExitStack() as unwanted:
            unwanted.callback(database.close)
            if not _ours(database, whole):
                return None
            unwanted.pop_all()
        return database

    def _renewed(self, *, again: bool = False) -> sqlite3.Connection:
        """Return an index over all records; one that another process made meanwhile is good enough.

        A good one is filled anew in place: SQLite may damage data if its file is taken away while others
        use it. Only a file that is no index, or a broken one, is replaced.

        Args:
            again: fill anew whatever is there.
        """
        if not os.access(self.archive, os.W_OK):
            return _filled(sqlite3.connect(":memory:"), self.archive)
        with FileLock(self.archive / _LOCK):
            again = again or self._stale.exists()
            found = self._existing(whole=True)
            if found and not again:
                return found
            if not found:
                for path in (self._path, *self.archive.glob(f"{self._path.name}-*")):
                    path.unlink(missing_ok=True)
            self._stale.touch()
            database = _filled(found or sqlite3.connect(self._path, timeout=_WAIT_SECONDS), self.archive)
            self._stale.unlink(missing_ok=True)
            return database


def _filled(database: sqlite3.Connection, archive: Path) -> sqlite3.Connection:
    """Return a database with all records of an archive and nothing else in it."""
    with ExitStack() as unwanted:
        unwanted.callback(database.close)
        with database:
            database.execute("begin immediate")
            for command in _SCHEMA.split(";\n"):
                database.execute(command)
            for path in store.records(archive):
                _insert(database, _read(path), path.parent.relative_to(archive))
        unwanted.pop_all()
    return database


def _ours(database: sqlite3.Connection, whole: bool) -> bool:
    """Say whether a database is an index of this version; without `whole`, as far as its schema tells."""
    try:
        version = database.execute("pragma user_version").fetchone()[0]
        database.execute(f"select {', '.join(_COLUMNS)} from run limit 0")
        checked = database.execute("pragma quick_check(1)").fetchone()[0] if whole else "ok"
    except sqlite3.DatabaseError as error:
        if _damaged(error):
            return False
        raise
    return bool(version == VERSION and checked == "ok")


def _damaged(error: sqlite3.DatabaseError) -> bool:
    """Tell a file that is no index, or a broken one, from one that cannot be opened or is busy."""
    return error.sqlite_errorcode & 0xFF in (
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_ERROR,
    )


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
