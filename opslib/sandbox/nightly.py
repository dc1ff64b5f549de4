"""The backups that a rehearsed system has: one for each night of the week, the last one taken just now."""

from __future__ import annotations

import shutil
import threading
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, cast

from opslib import ids
from opslib.backup import manifest, taking
from opslib.backup.store import MANIFEST, Folder
from opslib.config import Secret
from opslib.config.environment import Door
from opslib.config.files import AWS

if TYPE_CHECKING:
    from opslib.backup.manifest import Manifest
    from opslib.sandbox.databases import Databases
    from opslib.sandbox.simulators.aws import AwsApi
    from opslib.sandbox.simulators.aws_objects import Kept
    from opslib.sandbox.web import Web

ENVIRONMENT = "sandbox"
TARGET = "scratch"
_NIGHTS = 6
_NAME = "nightly-backup"
_ONE_AT_A_TIME = threading.Lock()


def place(databases: Databases) -> Path:
    """Return where the backups of all systems are kept."""
    return databases.base / "backups"


def target(system: str) -> str:
    """Return the name of the empty database that a backup may be restored into."""
    return f"{system}-scratch"


def address(databases: Databases, system: str, database: str) -> str:
    """Return the administrator's address of one database of a system's server."""
    import psycopg

    return psycopg.conninfo.make_conninfo(databases.dsn(system, "admin"), dbname=database)


def targets(databases: Databases, system: str) -> dict[str, str]:
    """Return name -> address of the databases that a backup may be restored into."""
    return {TARGET: address(databases, system, target(system))}


def store(databases: Databases, system: str) -> Folder:
    """Return the backups of one system."""
    return Folder(place(databases) / ENVIRONMENT, system)


def back_up(databases: Databases, web: Web, system: str) -> None:
    """Take the backups of a system that has none yet: it takes as long as all else that starts with it.

    Where the system has a bucket for copies of them, they are copied, as a job of each night has done.

    Raises:
        OpsError: one could not be taken.
    """
    with _ONE_AT_A_TIME:
        kept = store(databases, system)
        kept.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if kept.ids():
            return
        with databases.admin(system) as admin:
            there = admin.execute("select from pg_database where datname = %s", [target(system)])
            if not there.rowcount:  # an attempt that failed has made it already
                admin.execute(f'create database "{target(system)}"'.encode())
        last = taking.take(source(databases, system), kept)
        for days in range(1, _NIGHTS + 1):
            age(kept, last, timedelta(days=days), copied=True)
        if bucket(web, system) is not None:
            _copy(kept, web, system)


def bucket(web: Web, system: str) -> Kept | None:
    """Return the bucket with the copies of a system's backups, to be changed; None where it has none."""
    store = cast("AwsApi", web.simulator(AWS)) if AWS in web.vendors else None
    return store.bucket(system) if store and system in store.systems else None


def _copy(kept: Folder, web: Web, system: str) -> None:
    store = cast("AwsApi", web.simulator(AWS))
    for path in (path for name in kept.ids() for path in kept.folder(name).rglob("*") if path.is_file()):
        store.put(system, path.relative_to(kept.path.parents[1]).as_posix(), path.read_bytes())


def source(databases: Databases, system: str, database: str = "") -> taking.Source:
    """Return what a backup is taken of: the system's own database when none is named."""
    dsn = address(databases, system, database or system)
    door = Door("backup", Secret.literal(f"sandbox-{system}-nightly", dsn), False)
    return taking.Source(system, ENVIRONMENT, door, _NAME)


def age(kept: Folder, backup: Manifest, by: timedelta, *, copied: bool = False) -> None:
    """Let a backup be as old as if it had been taken that much earlier, or put such a one beside it."""
    taken, finished = backup.taken_at - by, datetime.fromisoformat(backup.finished_at) - by
    name = taking.new_id(taken)
    move = shutil.copytree if copied else shutil.move
    move(kept.path / backup.id, kept.path / name)
    older = replace(
        backup,
        id=name,
        finished_at=ids.stamp(finished),
        holds=replace(backup.holds, taken_at=ids.stamp(taken)),
    )
    (kept.path / name / MANIFEST).write_text(older.text(), encoding="utf-8")


def newest(kept: Folder) -> Manifest:
    """Return the manifest of the newest backup."""
    return manifest.read(kept.manifest(kept.ids()[-1]), kept.ids()[-1])
