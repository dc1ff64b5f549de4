"""The rehearsed databases: rows, roles and reserve."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from opslib.sandbox import control, data
from opslib.sandbox.databases import Databases

SYSTEMS = data.systems()
CHECKSUM = "select md5(string_agg(username || ':' || phone, ',' order by id)) from users"


def connect(system: str, role: str) -> psycopg.Connection[Any]:
    """Open a connection to one system's database as one of its roles."""
    return psycopg.connect(control.status()["databases"][system][role], autocommit=True)


def number(connection: psycopg.Connection[Any], query: str) -> Any:
    """Return the one value of a query."""
    row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return row[0]


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_table_of_a_system_has_rows(sandbox: object, system: str) -> None:
    """An empty table would let a procedure pass that reads nothing."""
    with connect(system, "admin") as admin:
        tables = admin.execute("select schemaname, relname from pg_stat_user_tables").fetchall()
        assert len(tables) >= 8
        for schema, table in tables:
            assert number(admin, f'select count(*) from {schema}."{table}"'), f"{schema}.{table}"


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_fresh_database_is_well_kept(sandbox: object, system: str) -> None:
    """Counts are known, nothing is dead, no index is invalid, every foreign key has an index."""
    with connect(system, "monitor") as monitor:
        assert number(monitor, "select count(*) from pg_index where not indisvalid") == 0
        assert number(monitor, "select count(*) from pg_stat_user_tables where last_analyze is null") == 0
        dead = "select coalesce(max(100.0 * n_dead_tup / greatest(n_live_tup + n_dead_tup, 1)), 0)"
        # Of what other tests have written to, or analyzed, since it was made ready, nothing is promised.
        untouched = "n_mod_since_analyze = 0 and analyze_count + autoanalyze_count <= 1"
        assert number(monitor, f"{dead} from pg_stat_user_tables where {untouched}") < 5
        bare = (
            "select string_agg(c.conrelid::regclass || '.' || c.conname, ', ') from pg_constraint c"
            " where c.contype = 'f' and not exists (select from pg_index i"
            " where i.indrelid = c.conrelid and i.indkey[0] = c.conkey[1])"
        )
        assert number(monitor, bare) is None


def test_ledger_and_balances_agree(sandbox: object) -> None:
    """A healthy credit system has nothing for its procedure to find."""
    with connect("kulti", "monitor") as monitor:
        assert number(monitor, "select count(*) from credits where balance not between 0 and 10000") == 0
        drift = (
            "select count(*) from credits c where balance is distinct from (select"
            " sum(case type when 'credit' then amount else -amount end) from credit_transactions t"
            " where t.user_id = c.user_id and t.status = 'completed')"
        )
        assert number(monitor, drift) == 0


def test_the_same_seed_gives_the_same_rows() -> None:
    """Two people who rehearse the same thing see the same people in it."""
    seen = []
    for _ in range(2):
        made = Databases(["kulti"], scale=0.05)
        try:
            with made.admin("kulti") as admin:
                seen.append(number(admin, CHECKSUM))
        finally:
            made.close()
    assert seen[0] == seen[1]


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_app_owns_its_tables_and_no_more(sandbox: object, system: str) -> None:
    """As in production: its own data, and no say over the server."""
    with connect(system, "app") as app:
        role = f"app_{system.replace('-', '_')}"
        assert number(app, "select current_user") == role
        assert number(app, "select count(*) from pg_tables where tableowner = current_user") >= 8
        assert number(app, "select rolsuper from pg_roles where rolname = current_user") is False


def test_the_monitor_reads_everything_and_writes_nothing(sandbox: object) -> None:
    """It sees rows behind row-level security too, else an empty table would look clean."""
    with connect("kulti", "monitor") as monitor:
        assert number(monitor, "select count(*) from credit_transactions") > 0
        assert number(monitor, "select pg_has_role('pg_monitor', 'member')") is True
        assert number(monitor, "select pg_has_role('pg_signal_backend', 'member')") is False
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            monitor.execute("update credits set balance = 0")


def test_the_monitor_may_open_five_sessions_only(sandbox: object) -> None:
    """A diagnosis must not become the load."""
    held = [connect("kulti", "monitor") for _ in range(5)]
    try:
        with pytest.raises(psycopg.OperationalError, match="too many connections for role"):
            connect("kulti", "monitor")
    finally:
        for connection in held:
            connection.close()
