"""The rehearsed databases: rows, roles and reserve."""

from __future__ import annotations

import psycopg
import pytest

from opslib.sandbox import control, data

SYSTEMS = data.systems()


def connect(system: str, role: str) -> psycopg.Connection[tuple[object, ...]]:
    """Open a connection to one system's database as one of its roles."""
    return psycopg.connect(control.status()["databases"][system][role], autocommit=True)


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_table_of_a_system_has_rows(sandbox: object, system: str) -> None:
    """An empty table would let a procedure pass that reads nothing."""
    with connect(system, "admin") as admin:
        tables = admin.execute("select schemaname, relname from pg_stat_user_tables").fetchall()
        assert len(tables) >= 8
        for schema, table in tables:
            row = admin.execute(f'select count(*) from {schema}."{table}"').fetchone()
            assert row is not None and row[0], f"{schema}.{table}"
