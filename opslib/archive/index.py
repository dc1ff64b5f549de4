"""A SQLite index over the records: quick to ask, never trusted, rebuilt from `runs/` at any time."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from filelock import FileLock

from opslib.archive import asking, disposed, naming, schema, searching, store, texts
from opslib.archive.asking import Filters
from opslib.archive.searching import Hit
from opslib.errors import ArchiveError, UnknownName

_WAIT_SECONDS = 30
_LOCK = ".index.lock"
_STALE = ".index.stale"  # there while the index may lack a record


class Index:
    """The index of one archive; opened for each question, so that nothing is held in between.

    Raises:
        ArchiveError: the archive cannot be read; the message says why.
    """

    def __init__(self, archive: Path) -> None:
        self.archive = archive
        self._path = archive / "index.sqlite"
        self._stale = archive / _STALE
        self._held: sqlite3.Connection | None = None

    def add(self, document: Mapping[str, Any], folder: Path) -> None:
        """Add one run; adding it again changes nothing.

        If it cannot be added, the index is marked, and whoever asks next makes it anew.
        """
        try:
            with self._told(), closing(self._connect()) as database, database:
                database.execute("begin immediate")
                schema.add(database, document, folder, self.archive)
        except ArchiveError:
            # The record is safe, which is what counts; it must not be missing from the index for ever.
            with store.plainly(self.archive):
                self._stale.touch()

    def find(self, *, limit: int = 50, **asked: str) -> list[dict[str, Any]]:
        """Return documents of runs, the newest first.

        Args:
            limit: the largest number of runs.
            asked: as `asking.Filters` has them: procedure, system, environment, verdict, cause, trigger,
                actor, since, until, before.
        """
        filters = Filters(**asked)

        def found(database: sqlite3.Connection) -> list[Any]:
            query, values = asking.newest(database, filters)
            whole = f"select folder, document from run where id in ({query}) order by id desc"
            return database.execute(whole, {**_plain(values), "limit": limit}).fetchall()

        return [self._document(*row) for row in self._ask(found)]

    def get(self, name: str) -> dict[str, Any]:
        """Return the document of one run.

        Args:
            name: its id, or the beginning of it; or words as in `latest`, `latest ok`,
                `latest critical database-connections kulti production`.

        Raises:
            UnknownName: no run is called so, or more than one.
        """
        filters = naming.latest(name)
        if filters is not None:
            found = self.find(limit=1, **asdict(filters))
        else:
            query = "select folder, document from run where run_id >= ? and run_id < ? limit 2"
            begin = texts.bindable(name)
            rows = self._ask(lambda database: database.execute(query, (begin, begin + "\x7f")).fetchall())
            found = [self._document(*row) for row in rows]
        if len(found) == 1:
            return found[0]
        words = "more than one run begins with" if found else "no run is kept under"
        raise UnknownName(f"{words} {name!r} in {self.archive}", hint="`opslib history` lists runs and ids")

    def places(self, *names: str) -> dict[str, Path]:
        """Return the folders of some records by the ids of their runs.

        Args:
            names: as for `get`.

        Raises:
            UnknownName: no run is called so, or more than one.
            UsageError: the content of one was destroyed.
            ArchiveError: a folder is not that of the run: whoever altered the index wants another looked at.
        """
        documents = [self.get(name) for name in names]
        disposed.must_be_there(*documents)
        found = {document["run_id"]: Path(document["record"]) for document in documents}
        for run, place in found.items():
            if place.name != run or not place.resolve().is_relative_to((self.archive / "runs").resolve()):
                hint = "delete index.sqlite, it is made anew"
                raise ArchiveError(f"{place} is not where the record of {run} belongs", hint=hint)
        return found

    def search(self, words: Sequence[str], *, limit: int = 20, **asked: str) -> list[Hit]:
        """Return where words stand in findings, causes and outputs of runs, the newest run first.

        Args:
            words: one word or phrase each; all must be there.
            limit: the largest number of runs.
            asked: as for `find`.

        Raises:
            UsageError: there is nothing to be looked for in the words.
        """
        query, values = searching.statement(words, Filters(**asked))
        given = {**_plain(values), "limit": limit}
        rows = self._ask(lambda database: database.execute(query, given).fetchall())
        return [searching.hit(self._document(*row[:2]), row[2:]) for row in rows]

    def counts(self, **asked: str) -> dict[str, int]:
        """Return how many runs came to each verdict.

        Args:
            asked: as for `find`.
        """
        query, values = asking.counting(Filters(**asked))
        return dict(self._ask(lambda database: database.execute(query, _plain(values)).fetchall()))

    def known(self) -> dict[str, list[str]]:
        """Return the values that runs have, by the name of the filter: procedure, system and so on."""
        ask = "select distinct {name} from kind where {name} <> '' order by {name}"

        def found(database: sqlite3.Connection) -> list[Any]:
            rows = ((name, database.execute(ask.format(name=name)).fetchall()) for name in asking.KIND)
            return [(name, [value for (value,) in values]) for name, values in rows]

        return dict(self._ask(found))

    def ready(self) -> bool:
        """Say whether a question can be answered now, or whether all records have to be read first."""
        with self._told():
            if self._held is not None:
                return True
            found = None if self._stale.exists() else self._existing()
            if found is not None:
                found.close()
            return found is not None

    def unreadable(self) -> list[tuple[Path, str]]:
        """Return the files of records that could not be read when the index was made, and why.

        What was moved out of the archive since then is not among them.
        """
        query = "select path, reason from unreadable order by path"
        rows = self._ask(lambda database: database.execute(query).fetchall())
        return [(self.archive / path, why) for path, why in rows if (self.archive / path).parent.exists()]

    def scheduled(self, slot: str) -> Iterator[tuple[datetime, str, str]]:
        """Yield (scheduled for, verdict, run id) of the runs that a slot started."""
        query = (
            "select scheduled_for, verdict, run_id from kind join run on run.kind = kind.id"
            " where actor = ? and scheduled_for is not null"
        )
        name = texts.bindable(slot)
        for moment, verdict, run_id in self._ask(lambda base: base.execute(query, (name,)).fetchall()):
            yield datetime.fromisoformat(moment), verdict, run_id

    def rebuild(self) -> int:
        """Read all records again and return how many there are; see `unreadable` for the others."""
        with self._told(), closing(self._renewed(again=True)) as database:
            return int(database.execute("select count(*) from run").fetchone()[0])

    def outdate(self) -> None:
        """Have whoever asks next make it anew."""
        with store.plainly(self.archive):
            self._stale.touch()

    def _document(self, folder: str, document: str) -> dict[str, Any]:
        # The archive may have been moved: where a record is follows from where the archive is now.
        return {**json.loads(document), "record": str(self.archive / folder)}

    def _ask(self, question: Callable[[sqlite3.Connection], list[Any]]) -> list[Any]:
        """Return the answer to a question; an index that turns out to be damaged is made anew first."""
        with self._told():
            with closing(self._connect()) as database:
                try:
                    return question(database)
                except sqlite3.DatabaseError as error:
                    if not schema.damaged(error):
                        raise
            with closing(self._renewed()) as database:
                return question(database)

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
            if not schema.ours(database, whole):
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
            return self._in_memory()
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

    def _in_memory(self) -> sqlite3.Connection:
        """Return an index for an archive that cannot be written to; it lasts as long as this object."""
        place = f"file:opslib-{id(self)}?mode=memory&cache=shared"
        if self._held is None:
            self._held = _filled(sqlite3.connect(place, uri=True), self.archive)
        return sqlite3.connect(place, uri=True)


def _filled(database: sqlite3.Connection, archive: Path) -> sqlite3.Connection:
    """Return a database with all records of an archive and nothing else in it."""
    with ExitStack() as unwanted:
        unwanted.callback(database.close)
        schema.fill(database, archive)
        unwanted.pop_all()
    return database


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: texts.bindable(v) if isinstance(v, str) else v for name, v in values.items()}
