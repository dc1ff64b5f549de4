"""Schema and plausible rows of the five systems, made inside their own server.

`schemas/<system>.sql` holds the tables, `seeds/<system>.sql` the rows. Both run as the system's own
role, so that it owns what it would own in production. The rows follow from a seed and are placed
relative to now: "an hour ago" stays an hour ago whenever the sandbox is started.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from opslib.errors import SandboxError
from opslib.sandbox.roles import MONITOR

if TYPE_CHECKING:
    from psycopg import Connection

SEED = 20251111
_ROOT = files("opslib.sandbox")
_CHECKS = "amcheck"
_STATISTICS = ("pg_stat_statements", "pgstattuple", "pg_buffercache", _CHECKS)


@cache
def systems() -> tuple[str, ...]:
    """Return the names of the systems that the sandbox has a schema for."""
    names = (entry.name.removesuffix(".sql") for entry in (_ROOT / "schemas").iterdir())
    return tuple(sorted(name for name in names if not name.startswith(("_", "."))))


def load(connection: Connection, system: str, owner: str, *, scale: float, seed: int = SEED) -> None:
    """Make the tables of a system and fill them.

    Args:
        connection: a superuser's, with autocommit, in the system's empty database.
        system: one of `systems()`.
        owner: the role that owns the tables.
        scale: multiplies the number of rows.
        seed: the rows follow from it.

    Raises:
        SandboxError: a statement of a packaged file failed.
    """
    schema = _text("schemas", system)
    platform = re.match(r"-- platform: (\w+)", schema)
    if not platform:
        raise SandboxError(f"opslib/sandbox/schemas/{system}.sql: the first line must name its platform")
    _run(connection, f"schemas/_{platform.group(1)}.sql", _text("schemas", f"_{platform.group(1)}"))
    _extensions(connection)
    _as_since_15(connection, owner)
    connection.execute(
        "select set_config('role', %s, false), set_config('sandbox.scale', %s, false)", [owner, str(scale)]
    )
    connection.execute("select setseed(%s)", [seed % 1000000 / 1000000])
    _run(connection, f"schemas/{system}.sql", schema)
    _run(connection, "seeds/_tools.sql", _text("seeds", "_tools"))
    _run(connection, f"seeds/{system}.sql", _text("seeds", system))
    connection.execute("reset role")
    if connection.info.server_version >= 150000:
        # Counts of the rows just written must arrive before VACUUM sets them, not on top of it.
        connection.execute("select pg_stat_force_next_flush()")
    connection.execute("vacuum (analyze)")


def _as_since_15(connection: Connection, owner: str) -> None:
    """Let an older server be one whose owner has closed `public`, as newer ones come."""
    if connection.info.server_version < 150000:
        connection.execute("revoke create on schema public from public")
        connection.execute(f"grant create on schema public to {owner}".encode())


def _extensions(connection: Connection) -> None:
    there = connection.execute(
        "select name from pg_available_extensions where name = any(%s)", [list(_STATISTICS)]
    ).fetchall()
    for (name,) in there:
        connection.execute(f"create extension {name} schema extensions")
    if (_CHECKS,) in there:
        connection.execute(
            f"grant execute on function extensions.bt_index_check(regclass) to {MONITOR}".encode()
        )


def _run(connection: Connection, name: str, text: str) -> None:
    import psycopg

    try:
        connection.execute(text.encode())
    except psycopg.Error as error:
        raise SandboxError(f"opslib/sandbox/{name}: {error}") from error


def _text(folder: str, name: str) -> str:
    return (_ROOT / folder / f"{name}.sql").read_text(encoding="utf-8")
