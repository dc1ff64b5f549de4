"""The tables of the index, and putting one run into them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from opslib.archive import reading, store, texts
from opslib.archive.asking import KIND, PLACES, place
from opslib.errors import ArchiveError

VERSION = 2  # another number, and every index is made anew when it is next opened
_COLUMNS = {
    "kind": ("id", *KIND, "runs", "last"),
    "run": ("id", "run_id", "kind", "scheduled_for", "folder", "document"),
    "words": (*texts.COLUMNS, "marks"),
    "unreadable": ("path", "reason"),
}
_SCHEMA = f"""
drop table if exists run;
drop table if exists kind;
drop table if exists words;
drop table if exists unreadable;
create table kind (
    id integer primary key, {", ".join(f"{name} text not null" for name in KIND)},
    runs integer not null, last integer not null, unique ({", ".join(KIND)})
);
create index kind_by_actor on kind (actor);
create table run (
    id integer primary key, run_id text not null unique, kind integer not null, scheduled_for text,
    folder text not null, document text not null
);
create index run_by_time on run (id, kind);
create index run_by_kind on run (kind, id);
create index run_by_slot on run (kind, scheduled_for, run_id) where scheduled_for is not null;
create virtual table words using fts5 ({", ".join(texts.COLUMNS)}, marks, tokenize = 'porter unicode61');
create table unreadable (path text primary key, reason text not null);
pragma user_version = {VERSION};
"""


def fill(database: sqlite3.Connection, archive: Path) -> None:
    """Put all records of an archive, and nothing else, into a database; what cannot be read is listed."""
    database.execute("pragma secure_delete = on")  # of a record that was destroyed, nothing stays in the file
    with database:
        database.execute("begin immediate")
        for command in _SCHEMA.split(";\n"):
            database.execute(command)
        for path in store.records(archive):
            _add_path(database, path, archive)


def add(database: sqlite3.Connection, document: Mapping[str, Any], folder: Path, archive: Path) -> None:
    """Put one run into the tables; one that is there already is left as it is.

    Args:
        database: the index, in a transaction.
        document: what is kept of the run.
        folder: folder of its record.
        archive: the archive's folder.
    """
    if database.execute("select 1 from run where run_id = ?", (document["run_id"],)).fetchone():
        return
    own = _place(database, str(document["started_at"]))
    kind = {name: texts.bindable(value) for name, value in _kind(document).items()}
    values = {
        "id": own,
        "run_id": document["run_id"],
        "kind": _kind_id(database, kind, own),
        "scheduled_for": document["scheduled_for"],
        "folder": str(folder.relative_to(archive)),
        "document": json.dumps({**document, "record": ""}, default=str),
    }
    places = ", ".join(f":{name}" for name in _COLUMNS["run"])
    database.execute(f"insert into run ({', '.join(_COLUMNS['run'])}) values ({places})", values)
    told = _texts(database, document, folder, archive)
    marks = " ".join(texts.mark(name, value) for name, value in kind.items())
    names = ", ".join(("rowid", *texts.COLUMNS, "marks"))
    words = (own, *(told[name] for name in texts.COLUMNS), marks)
    database.execute(f"insert into words ({names}) values (?, ?, ?, ?, ?)", words)


def ours(database: sqlite3.Connection, whole: bool) -> bool:
    """Say whether a database is an index of this version.

    Args:
        database: whatever stands in the index's place.
        whole: look at all of its pages, not at its tables only.

    Raises:
        sqlite3.DatabaseError: it cannot be opened, or is busy.
    """
    try:
        version = database.execute("pragma user_version").fetchone()[0]
        for table, columns in _COLUMNS.items():
            database.execute(f"select {', '.join(columns)} from {table} limit 0")
        checked = database.execute("pragma quick_check(1)").fetchone()[0] if whole else "ok"
    except sqlite3.DatabaseError as error:
        if damaged(error):
            return False
        raise
    return bool(version == VERSION and checked == "ok")


def damaged(error: sqlite3.DatabaseError) -> bool:
    """Tell a file that is no index, or a broken one, from one that cannot be opened or is busy."""
    return error.sqlite_errorcode & 0xFF in (
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_ERROR,
    )


def _add_path(database: sqlite3.Connection, path: Path, archive: Path) -> None:
    try:
        document = reading.document(path)
    except ArchiveError as error:
        _name(database, path, error.message, archive)
    else:
        add(database, document, path.parent, archive)


def _texts(
    database: sqlite3.Connection, document: Mapping[str, Any], folder: Path, archive: Path
) -> dict[str, str]:
    """Return what is searched of a run; a notebook that cannot be read is listed."""
    if document.get("disposed"):
        return texts.searched(document, {})
    try:
        return texts.searched(document, reading.notebook(folder))
    except ArchiveError as error:
        _name(database, folder / reading.NOTEBOOK, error.message, archive)
        return texts.searched(document, {})


def _name(database: sqlite3.Connection, path: Path, why: str, archive: Path) -> None:
    row = (str(path.relative_to(archive)), texts.bindable(why.removeprefix(f"{path}: ")))
    database.execute("insert or replace into unreadable values (?, ?)", row)


def _kind(document: Mapping[str, Any]) -> dict[str, str]:
    cause = document.get("cause") or {}
    told = {**document, "cause": cause.get("id")}
    return {name: str(told.get(name) or "") for name in KIND}


def _kind_id(database: sqlite3.Connection, kind: Mapping[str, str], own: int) -> int:
    marks = ", ".join(f":{name}" for name in KIND)
    command = (
        f"insert into kind ({', '.join(KIND)}, runs, last) values ({marks}, 1, :last) "
        f"on conflict ({', '.join(KIND)}) do update set runs = runs + 1, last = max(last, excluded.last)"
        " returning id"
    )
    return int(database.execute(command, {**kind, "last": own}).fetchone()[0])


def _place(database: sqlite3.Connection, started_at: str) -> int:
    """Return an id for a run: the first free one of the millisecond in which it began."""
    first = place(started_at)
    ask = "select max(id) from run where id >= ? and id < ?"
    taken = database.execute(ask, (first, first + (1 << PLACES))).fetchone()[0]
    return first if taken is None else int(taken) + 1
