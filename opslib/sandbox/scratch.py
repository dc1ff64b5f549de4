"""A PostgreSQL server of its own, for as long as a drill lasts; nothing of it stays."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from urllib.parse import quote

from opslib.config import Secret
from opslib.config.environment import Door
from opslib.errors import SandboxError
from opslib.sandbox.postgres import Cluster, Ground

_DATABASE = "scratch"


@contextmanager
def scratch(major: int, roles: Iterable[str], *, owner: str = "postgres") -> Iterator[Door]:
    """Yield the door to an empty database on a server that was started for it.

    Args:
        major: the least major version that will do.
        roles: to be there, without a login.
        owner: whose the database is, one of these.

    Raises:
        SandboxError: no server of that version is on this machine, or it did not start.
    """
    password = secrets.token_urlsafe(12)
    ground = Ground(password)
    try:
        if ground.programs.major < major:
            there = f"{ground.programs.version} ({ground.programs.source})"
            raise SandboxError(
                f"this needs a PostgreSQL server {major} on this machine; there is {there}",
                hint="let OPSLIB_PG_BIN name the folder of one",
            )
        cluster = Cluster(ground, _DATABASE, 0)
        cluster.create(ground.template())
        cluster.start()
        try:
            yield _door(cluster, password, roles, owner)
        finally:
            cluster.stop()
    finally:
        ground.close()


def _door(cluster: Cluster, password: str, roles: Iterable[str], owner: str) -> Door:
    import psycopg
    from psycopg import sql

    folder = quote(str(cluster.socket_directory), safe="/")
    dsn = f"postgresql://postgres:{password}@/{{}}?host={folder}&port={cluster.port}"
    with psycopg.connect(dsn.format("postgres"), autocommit=True) as admin:
        for role in (role for role in roles if role != "postgres"):
            admin.execute(sql.SQL("create role {}").format(sql.Identifier(role)))
        made = sql.SQL("create database {} owner {}")
        admin.execute(made.format(sql.Identifier(_DATABASE), sql.Identifier(owner)))
    return Door(_DATABASE, Secret.literal("scratch", dsn.format(_DATABASE)), False)
