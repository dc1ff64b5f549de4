"""A PostgreSQL server of its own, for as long as a drill lasts; nothing of it stays."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import LiteralString
from urllib.parse import quote

from opslib.config import Secret
from opslib.config.environment import Door
from opslib.errors import SandboxError
from opslib.sandbox.postgres import Cluster, Ground

_DATABASE, _SUPERUSER = "scratch", "postgres"
_FIRST = "template1"  # where one can be while any other is dropped and made
_PROVIDERS = {"c": "libc", "i": "icu", "b": "builtin"}
_PROVIDERS_SINCE = 15  # before, there was none but libc


@contextmanager
def scratch(
    major: int,
    roles: Iterable[str],
    *,
    owner: str = "postgres",
    locale: Mapping[str, str] | None = None,
    database: str = _DATABASE,
    superuser: str = _SUPERUSER,
    privileged: bool = False,
    settings: Mapping[str, str] | None = None,
) -> Iterator[Door]:
    """Yield the superuser's door to an empty database on a server that was started for it.

    Args:
        major: the least major version that will do; this one where the machine has it.
        roles: to be there, without a login.
        owner: whose the database is, one of these.
        locale: how it writes and sorts text, as the statement `manifest_locale` says; plain C in UTF-8
            where not given.
        database: what it is called.
        superuser: as whom one gets in. A name that nobody else has, where `postgres` is an ordinary role.
        privileged: each of the roles is a superuser, too; else none of them.
        settings: of the server, beside those that all have.

    Raises:
        SandboxError: no server of that version is on this machine, or it did not start, or the machine
            does not have the locale.
    """
    password = secrets.token_urlsafe(12)
    ground = Ground(password, superuser=superuser, major=major or None)
    try:
        if ground.programs.major < major:
            there = f"{ground.programs.version} ({ground.programs.source})"
            raise SandboxError(
                f"this needs a PostgreSQL server {major} on this machine; there is {there}",
                hint="let OPSLIB_PG_BIN name the folder of one",
            )
        cluster = Cluster(ground, _DATABASE, 0, settings)
        cluster.create(ground.template(), last=True)
        cluster.start()
        try:
            door = partial(_address, cluster, superuser, password)
            others = [role for role in roles if role != superuser]
            _add(door(_FIRST), others, privileged)
            _make(door(_FIRST), database, owner, _words(locale or {}, cluster.major))
            yield Door(database, Secret.literal("scratch", door(database)), False)
        finally:
            cluster.stop()
    finally:
        ground.close()


def _address(cluster: Cluster, role: str, password: str, database: str) -> str:
    """Return an address as programs of other people read it."""
    folder = quote(str(cluster.socket_directory), safe="/")
    return f"postgresql://{role}:{password}@/{quote(database, safe='')}?host={folder}&port={cluster.port}"


def _add(dsn: str, roles: Iterable[str], privileged: bool) -> None:
    import psycopg
    from psycopg import sql

    made = sql.SQL("create role {} superuser" if privileged else "create role {}")
    with psycopg.connect(dsn, autocommit=True) as admin:
        for role in roles:
            admin.execute(made.format(sql.Identifier(role)))


def _make(dsn: str, database: str, owner: str, words: Iterable[tuple[LiteralString, str]]) -> None:
    """Make the database; one of this name that each server begins with gives way."""
    import psycopg
    from psycopg import sql

    name = sql.Identifier(database)
    with psycopg.connect(dsn, autocommit=True) as admin:
        made = sql.SQL("create database {} owner {}").format(name, sql.Identifier(owner))
        told = [sql.SQL(f"{word} = {{}}").format(value) for word, value in words]
        try:
            admin.execute(sql.SQL("drop database if exists {}").format(name))
            admin.execute(sql.SQL(" ").join([made, *told]))
        except psycopg.Error as error:
            raise SandboxError(
                f"this machine cannot write and sort text as the database did: {error}",
                hint="install its locale (locale-gen), or use a server that has it",
            ) from None


def _words(locale: Mapping[str, str], major: int) -> Iterator[tuple[LiteralString, str]]:
    """Yield what `create database` is told, by its own words."""
    if not locale:
        return
    yield "template", "template0"
    yield "encoding", locale["encoding"]
    yield "lc_collate", locale["collation"]
    yield "lc_ctype", locale["ctype"]
    if major >= _PROVIDERS_SINCE:
        yield "locale_provider", _PROVIDERS[locale["provider"]]
    if locale["locale"]:
        yield ("icu_locale" if locale["provider"] == "i" else "builtin_locale"), locale["locale"]
    if locale["rules"]:
        yield "icu_rules", locale["rules"]
