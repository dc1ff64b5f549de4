"""Since when a server has counted the scans of its indexes: what a crash or a reset does to it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from typing import Any

import psycopg
import pytest

from opslib.config import Secret
from opslib.config.environment import Door
from opslib.errors import SandboxError
from opslib.pg import Database
from opslib.sandbox.databases import Databases
from tests import majors
from tests.waiting import wait

SYSTEM = "your-app"


@pytest.fixture(scope="module", params=majors.folders())
def servers(request: pytest.FixtureRequest) -> Iterator[Databases]:
    """A server of its own, which may crash; one of each version that the machine has."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPSLIB_PG_BIN", majors.folders()[request.param])
        with closing(Databases([SYSTEM], scale=0.1)) as databases:
            yield databases


def counted_since(servers: Databases) -> datetime:
    """Return since when, as the statement `indexes` tells."""
    door = Door("direct", Secret.literal("test", servers.dsn(SYSTEM, "monitor")), False)
    with closing(Database([door], application_name="opslib/test/1")) as database:
        found: datetime = database.table("indexes", schema="", name="")["counted_since"].iloc[0]
    return found


def asked(servers: Databases, query: bytes) -> Any:
    """Return the one value of an answer to the administrator."""
    with servers.admin(SYSTEM) as admin:
        row = admin.execute(query).fetchone()
    assert row
    return row[0]


def answers(servers: Databases) -> bool:
    """Tell whether the server lets somebody in."""
    try:
        return bool(asked(servers, b"select true"))
    except SandboxError:
        return False


def test_what_was_counted_before_a_crash_is_gone_and_is_not_counted_on(servers: Databases) -> None:
    """The server goes on with the start that it had; only its background writer says when it began anew."""
    before, started = counted_since(servers), asked(servers, b"select pg_postmaster_start_time()")
    crashed = asked(servers, b"select clock_timestamp()")
    with pytest.raises(psycopg.OperationalError), servers.admin(SYSTEM) as admin:
        os.kill(admin.info.backend_pid, signal.SIGKILL)
        admin.execute(b"select pg_sleep(60)")
    wait(lambda: answers(servers))
    assert asked(servers, b"select pg_postmaster_start_time()") == started
    assert before < crashed <= counted_since(servers)


def test_what_was_counted_before_a_reset_is_not_counted_on(servers: Databases) -> None:
    """Somebody wanted to see better, and took the history with it."""
    moment = asked(servers, b"select clock_timestamp()")
    asked(servers, b"select pg_stat_reset()::text")
    wait(lambda: counted_since(servers) >= moment)  # 14 hears of it a little later
