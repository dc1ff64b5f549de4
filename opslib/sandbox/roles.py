"""The roles of a rehearsed database: the app's own, and the two that a user is asked to make for opslib."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from psycopg import Connection

MONITOR = "opslib_monitor"
OPERATOR = "opslib_operator"
# A diagnosis takes one connection; the rest is for runs side by side.
OPSLIB_CONNECTIONS = 5
_READING = ("pg_monitor", "pg_read_all_data")
# From version 16 on a member still gets in when all ordinary slots are taken.
_RESERVED, _RESERVED_SINCE = "pg_use_reserved_connections", 160000


@dataclass(frozen=True)
class Role:
    """One login.

    Args:
        name: as the server knows it.
        options: of `create role`, beside login and password.
        member_of: roles whose rights it has.
    """

    name: str
    options: str = ""
    member_of: tuple[str, ...] = ()


def app(system: str) -> str:
    """Return the role that a system's app logs in as and that owns its tables."""
    return f"app_{system.replace('-', '_')}"


def login(system: str, role: str) -> str:
    """Return the server's name of a role: admin, app, monitor or operator."""
    return {"admin": "postgres", "app": app(system), "monitor": MONITOR, "operator": OPERATOR}[role]


def make(admin: Connection, system: str, passwords: Mapping[str, str]) -> None:
    """Make the roles and the system's empty database, which belongs to the app.

    Args:
        admin: a superuser's connection with autocommit.
        system: the system; its database gets the same name.
        passwords: app, monitor and operator -> password.
    """
    from psycopg import sql

    for kind, role in _roles(system, admin.info.server_version).items():
        name = sql.Identifier(role.name)
        make_role = sql.SQL("create role {} login password {} {}")
        admin.execute(make_role.format(name, sql.Literal(passwords[kind]), sql.SQL(role.options)))
        for group in role.member_of:
            admin.execute(sql.SQL("grant {} to {}").format(sql.Identifier(group), name))
    make_database = sql.SQL("create database {} owner {}")
    admin.execute(make_database.format(sql.Identifier(system), sql.Identifier(app(system))))


def _roles(system: str, server_version: int) -> dict[str, Role]:
    reading = (*_READING, _RESERVED) if server_version >= _RESERVED_SINCE else _READING
    # Rows behind row-level security must be seen, else a table that is full of them looks clean.
    options = f"bypassrls connection limit {OPSLIB_CONNECTIONS}"
    return {
        "app": Role(app(system)),
        "monitor": Role(MONITOR, options, reading),
        "operator": Role(OPERATOR, options, (*reading, "pg_signal_backend", app(system))),
    }
