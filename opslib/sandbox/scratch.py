"""A PostgreSQL server of its own, for as long as a drill lasts; nothing of it stays."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import LiteralString
from urllib.parse import quote

from opslib.config import Secret
from opslib.config.environment import Door
from opslib.errors import SandboxError
from opslib.sandbox.postgres import Cluster, Ground

_DATABASE = "scratch"
_PROVIDERS = {"c": "libc", "i": "icu", "b": "builtin"}
_PROVIDERS_SINCE = 15  # before, there was none but libc


@contextmanager
def scratch(
    major: int,
    roles: Iterable[str],
    *,
    owner: str = "postgres",
    locale: Mapping[str, str] | None = None,
    settings: Mapping[str, str] | None = None,
) -> Iterator[Door]:
    """Yield the door to an empty database on a server that was started for it.

    Args:
        major: the least major version that will do.
        roles: to be there, without a login.
        owner: whose the database is, one of these.
        locale: how it writes and sorts text, as the statement `manifest_locale` says; plain C in UTF-8
            where not given.
        settings: of the server, beside those that all have.

    Raises:
        SandboxError: no server of that version is on this machine, or it did not start, or the machine
            does not have the locale.
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
        cluster = Cluster(ground, _DATABASE, 0, settings)
        cluster.create(ground.template())
        cluster.start()
        try:
            yield _door(cluster, password, roles, owner, locale or {})
        finally:
            cluster.stop()
    finally:
        ground.close()


def _door(
    cluster: Cluster, password: str, roles: Iterable[str], owner: str, locale: Mapping[str, str]
) -> Door:
    import psycopg
    from psycopg import sql

    folder = quote(str(cluster.socket_directory), safe="/")
    dsn = f"postgresql://postgres:{password}@/{{}}?host={folder}&port={cluster.port}"
    with psycopg.connect(dsn.format("postgres"), autocommit=True) as admin:
        for role in (role for role in roles if role != "postgres"):
            admin.execute(sql.SQL("create role {}").format(sql.Identifier(role)))
        made = sql.SQL("create database {} owner {}").format(sql.Identifier(_DATABASE), sql.Identifier(owner))
        words = [sql.SQL(f"{word} = {{}}").format(value) for word, value in _words(locale, cluster.major)]
        try:
            admin.execute(sql.SQL(" ").join([made, *words]))
        except psycopg.Error as error:
            raise SandboxError(
                f"this machine cannot write and sort text as the database did: {error}",
                hint="install its locale (locale-gen), or use a server that has it",
            ) from None
    return Door(_DATABASE, Secret.literal("scratch", dsn.format(_DATABASE)), False)


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
