"""Backups of servers of all kinds, and drills with them as `ops.recovery` has them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from opslib import config
from opslib.backup import taking, tools
from opslib.backup.drilling import Drill
from opslib.backup.manifest import Manifest
from opslib.backup.store import Folder
from opslib.checks import drills
from opslib.config import Door, Secret
from opslib.run.recovery import Picked, RecoverySource
from opslib.sandbox.postgres import Cluster, Ground
from opslib.verdict import Status
from tests import majors

SYSTEM = "kulti"


@contextmanager
def server(
    major: str = majors.PACKAGED, *statements: str, superuser: str = "postgres", **settings: str
) -> Iterator[Door]:
    """Yield the door to a database of a server whose first superuser may have another name than usual."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPSLIB_PG_BIN", majors.folders()[major])
        ground = Ground("secret")
    with closing(ground):
        cluster = Cluster(ground, "one", 0, settings)
        cluster.create(ground.template())
        cluster.start()
        dsn = f"postgresql://{{}}:secret@/{{}}?host={cluster.socket_directory}&port={cluster.port}"
        if superuser != "postgres":
            run(dsn.format("postgres", "postgres"), "create role other superuser login password 'secret'")
            run(dsn.format("other", "postgres"), f'alter role postgres rename to "{superuser}"')
            run(dsn.format(superuser, "postgres"), "drop role other")
        run(dsn.format(superuser, "postgres"), "create database shop")
        door = Door("shop", Secret.literal("test", dsn.format(superuser, "shop")), False)
        make(door, *statements)
        yield door


def run(dsn: str, *statements: str) -> None:
    """Run statements, each in a transaction of its own."""
    with closing(psycopg.connect(dsn, autocommit=True)) as session:
        for statement in statements:
            session.execute(statement.encode())


def make(door: Door, *statements: str) -> None:
    """Run statements in a database."""
    run(door.dsn.reveal(), *statements)


@contextmanager
def programs(major: str) -> Iterator[None]:
    """Use client programs and servers of one version."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("OPSLIB_PG_CLIENT_BIN", "OPSLIB_PG_BIN"):
            patch.setenv(name, majors.folders()[major])
        patch.setattr(tools, "_PACKED", ())  # gzip, which programs of all versions can read
        yield


def taken(door: Door, folder: Path, major: str = majors.PACKAGED) -> tuple[Folder, Manifest]:
    """Take a backup, and return where it is kept."""
    kept = Folder(folder / "sandbox", SYSTEM)
    with programs(major):
        return kept, taking.take(taking.Source(SYSTEM, "sandbox", door, "opslib/test"), kept)


def drilled(kept: Folder, backup: Manifest, major: str = majors.PACKAGED) -> Drill:
    """Restore a backup into the server that is started for it."""
    env = config.load_system(SYSTEM).environment("production")
    recovery = RecoverySource(replace(env, backups=kept.path.parent.parent), "run")
    recovery._store = kept
    with programs(major):
        made = recovery.drill(Picked(backup))
    assert made
    return made


def judged(door: Door, folder: Path, major: str = majors.PACKAGED) -> list[str]:
    """Drill a database, and return all that a person would be told of but what is ok."""
    made = drilled(*taken(door, folder, major), major)
    found = drills.restored(made, Picked(made.backup))
    said = [
        f"{one.status} {one.subject} {one.observed} {one.why}" for one in found if one.status is not Status.OK
    ]
    return [*said, *(f"{one.name}: {one.was} / {one.now}" for one in made.differences)]
