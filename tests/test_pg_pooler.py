"""Diagnosis through a real PgBouncer in transaction mode, shared with the app; skipped where none is."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from opslib import acts
from opslib.acts import Opening
from opslib.checks import connections
from opslib.config import Door, Secret
from opslib.errors import Refused
from opslib.pg import Database
from opslib.sandbox import control
from opslib.verdict import Status

from .servers import closed_port
from .statements import EXTENDED, READS, STATEMENTS, SYSTEM, WITHOUT_LEDGER, values

NOBODY = 65534
PROGRAM = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/opt/homebrew/bin")
pytestmark = pytest.mark.skipif(PROGRAM is None, reason="no pgbouncer on this machine")


def configuration(folder: Path, port: int, servers: dict[str, dict[str, Any]]) -> str:
    """Return the settings of a pooler with a single server connection, so that any leak is seen."""
    parts = ("host", "port", "dbname", "user", "password")
    targets = (
        f"{name} = {' '.join(f'{key}={server[key]}' for key in parts)}" for name, server in servers.items()
    )
    known = "\n".join(targets)
    return f"""
[databases]
{known}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 1
query_wait_timeout = 1
server_reset_query =
logfile = {folder}/log
"""


@pytest.fixture
def pooler(sandbox: object) -> Iterator[str]:
    """A pooler before a rehearsed database; yields its address."""
    folder = Path(tempfile.mkdtemp(prefix="opslib-pooler-", dir="/tmp"))
    account: dict[str, Any] = {"user": NOBODY, "group": NOBODY} if os.geteuid() == 0 else {}
    port = closed_port()
    databases = control.status()["databases"]
    servers = {name: conninfo_to_dict(doors["monitor"]) for name, doors in databases.items()}
    (folder / "settings.ini").write_text(configuration(folder, port, servers))
    if account:
        for path in (folder, folder / "settings.ini"):
            os.chown(path, NOBODY, NOBODY)
    process = subprocess.Popen(
        [str(PROGRAM), "-q", str(folder / "settings.ini")], stderr=subprocess.DEVNULL, **account
    )
    address = make_conninfo(
        host="127.0.0.1", port=port, user="opslib_monitor", dbname=SYSTEM, sslmode="disable"
    )
    try:
        ready(address)
        yield address
    finally:
        process.terminate()
        process.wait(10)
        shutil.rmtree(folder, ignore_errors=True)


def ready(address: str) -> None:
    """Wait until the pooler takes connections."""
    deadline = time.monotonic() + 10
    while True:
        try:
            psycopg.connect(address, connect_timeout=2).close()
            return
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def door(name: str, address: str) -> Door:
    """Return a door to an address."""
    return Door(name, Secret.literal(f"pooler-test-{name}", address), pooled=name == "pooler")


def through(*doors: Door) -> Database:
    """Return the database behind these doors."""
    return Database(doors, application_name="opslib/pooler-test")


def test_every_statement_that_reads_runs_through_a_pooler(pooler: str) -> None:
    """A managed database may offer no other way in."""
    reads = [STATEMENTS[name] for name in READS if name not in EXTENDED]
    with closing(through(door("pooler", pooler))) as database:
        for statement in reads:
            found = database.table(statement.name, **values(statement, **WITHOUT_LEDGER))
            assert list(found) == [column.name for column in statement.returns]
        assert database.door == "pooler"


def test_an_act_notices_that_an_undeclared_pooler_lends_another_process_than_holds_the_lock(
    pooler: str,
) -> None:
    """The connection to the pooler stays open when the server's process, and with it the lock, is gone."""
    cancel = {
        "pid": 0,
        **dict.fromkeys(("backend_start", "state_change", "query_start"), "2020-01-01T00:00:00Z"),
    }
    leave = Opening(acts.Statement("cancel_session", cancel), "key")
    with closing(through(door("direct", pooler))) as database, database.lock("your-app/sandbox"):
        pid = int(database.table("server_facts")["pid"][0])
        with psycopg.connect(control.status()["databases"][SYSTEM]["admin"], autocommit=True) as admin:
            admin.execute("select pg_terminate_backend(%s, 5000)", [pid])
        with pytest.raises(Refused, match="another server process"):
            database.act(leave)


def test_no_setting_of_ours_reaches_the_app_that_shares_the_connection(pooler: str) -> None:
    """A read-only session or a time-out of 15 s, left behind, would take the app down."""
    settings = (
        "statement_timeout", "lock_timeout", "default_transaction_read_only", "search_path",
        "max_parallel_workers_per_gather",
    )  # fmt: skip
    shown = (
        f"select {', '.join(f'current_setting({name!r})' for name in settings)}, pg_backend_pid()".encode()
    )
    with psycopg.connect(pooler, autocommit=True, prepare_threshold=None) as app:
        before = app.execute(shown).fetchone()
        with closing(through(door("pooler", pooler))) as database:
            pid = int(database.table("server_facts")["pid"][0])
            assert before is not None and before[-1] == pid, "the pool has only one connection to share"
            assert app.execute(shown).fetchone() == before


def test_an_empty_pool_is_told_from_a_full_server(pooler: str) -> None:
    """The server has room, the pooler lends nothing: the pool is too small, and that is the cause."""
    direct = control.status()["databases"][SYSTEM]["monitor"]
    with psycopg.connect(pooler, prepare_threshold=None) as hog:
        hog.execute("select 1")
        with closing(through(door("direct", direct), door("pooler", pooler))) as database:
            tried = database.doors().set_index("door")
            assert tried.loc["direct", "reachable"]
            assert tried.loc["pooler", "kind"] == "pool-exhausted"
            headroom = database.table("connections_headroom")
            found = connections.pool(headroom.iloc[:0], (), headroom, tried.reset_index())
    named = [finding for finding in found if finding.cause]
    assert [(f.status, f.cause.id) for f in named if f.cause] == [(Status.CRITICAL, "pool-too-small")]


def test_the_pooler_is_a_way_in_when_the_direct_door_is_shut(pooler: str) -> None:
    """Its open connections still work when no new one can be made."""
    shut = make_conninfo(host="127.0.0.1", port=closed_port(), user="x", dbname="x")
    with closing(through(door("direct", shut), door("pooler", pooler))) as database:
        assert database.table("connections_headroom")["usable"][0] > 0
        assert database.door == "pooler"
