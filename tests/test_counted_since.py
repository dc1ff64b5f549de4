"""Since when a server has counted scans and changed rows: what a crash or a reset does to it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from opslib.checks import statistics, vacuum
from opslib.config import Limit, Secret
from opslib.config.environment import Door
from opslib.errors import SandboxError
from opslib.pg import Database
from opslib.sandbox.databases import Databases
from opslib.verdict import Finding, Status
from tests import majors
from tests.answers import answer, unanswered
from tests.waiting import wait

SYSTEM = "your-app"
PCT = Limit(warning=20, unit="%")
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture(scope="module", params=majors.folders())
def servers(request: pytest.FixtureRequest) -> Iterator[Databases]:
    """A server of its own, which may crash; one of each version that the machine has."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPSLIB_PG_BIN", majors.folders()[request.param])
        with closing(Databases([SYSTEM], scale=0.1)) as databases:
            yield databases


def told(servers: Databases) -> tuple[datetime, datetime]:
    """Return since when scans are counted, and since when changes to rows."""
    door = Door("direct", Secret.literal("test", servers.dsn(SYSTEM, "monitor")), False)
    with closing(Database([door], application_name="opslib/test/1")) as database:
        scans = database.table("indexes", schema="", name="")["counted_since"]
        return scans.iloc[0], database.table("counted_since")["since"].iloc[0]


def counted_since(servers: Databases) -> datetime:
    """Return since when, as both agree at least."""
    return min(told(servers))


def judged(servers: Databases, age: timedelta) -> list[Finding]:
    """Return what is found of dead and changed rows, as if the server had been made so long ago."""
    door = Door("direct", Secret.literal("test", servers.dsn(SYSTEM, "monitor")), False)
    with closing(Database([door], application_name="opslib/test/1")) as database:
        need = database.table("autovacuum_need", rows=200)
        tended = database.table("tended_tables", schema="", name="")
        counted = database.table("counted_since")
    counted["made_at"] -= age
    return [*vacuum.dead_rows(need, PCT, counted), *statistics.stale(tended, PCT, counted)]


def asked(servers: Databases, query: bytes) -> Any:
    """Return the one value of an answer to the administrator."""
    with servers.admin(SYSTEM) as admin:
        row = admin.execute(query).fetchone()
    assert row
    return row[0]


def recovered(servers: Databases, crashed: datetime) -> bool:
    """Tell whether the server has begun anew since a moment; before it notices, it still lets people in."""
    begun = b"""select coalesce(max(backend_start), pg_postmaster_start_time()) from pg_stat_activity
        where backend_type = 'checkpointer'"""
    try:
        return bool(asked(servers, begun) > crashed)
    except (SandboxError, psycopg.OperationalError):
        return False


def test_what_was_counted_before_a_crash_is_gone_and_is_not_counted_on(servers: Databases) -> None:
    """The server goes on with the start that it had; only its background writer says when it began anew."""
    before, started = counted_since(servers), asked(servers, b"select pg_postmaster_start_time()")
    crashed = asked(servers, b"select clock_timestamp()")
    with pytest.raises(psycopg.OperationalError), servers.admin(SYSTEM) as admin:
        os.kill(admin.info.backend_pid, signal.SIGKILL)
        admin.execute(b"select pg_sleep(60)")
    wait(lambda: recovered(servers, crashed))
    assert asked(servers, b"select pg_postmaster_start_time()") == started
    assert before < crashed <= counted_since(servers)


def test_what_was_counted_before_a_reset_is_not_counted_on(servers: Databases) -> None:
    """Somebody wanted to see better, and took the history with it."""
    moment = asked(servers, b"select clock_timestamp()")
    asked(servers, b"select pg_stat_reset()::text")
    wait(lambda: counted_since(servers) >= moment)  # 14 hears of it a little later


def test_a_clean_restart_takes_no_counter_away(servers: Databases) -> None:
    """What was counted of tables still holds, and is not passed over for a day."""
    moment = asked(servers, b"select clock_timestamp()")
    servers.restart(SYSTEM)
    assert asked(servers, b"select pg_postmaster_start_time()") > moment > told(servers)[1]


def test_a_table_full_of_dead_rows_is_not_found_well_after_a_reset(servers: Databases) -> None:
    """It is as sick as before, and nobody knows of it: what was tended since is known again, and judged."""
    with servers.admin(SYSTEM) as admin:
        admin.execute(b"create table public.sick (id int) with (autovacuum_enabled = off)")
        admin.execute(b"insert into public.sick select generate_series(1, 26000)")
        admin.execute(b"delete from public.sick where id % 3 > 0")
    wait(lambda: {"public.sick"} == {one.subject for one in judged(servers, timedelta())})
    asked(servers, b"select pg_stat_reset()::text")
    wait(lambda: "public.sick" not in {one.subject for one in judged(servers, timedelta())})
    found = judged(servers, timedelta(days=9))
    assert [one.status for one in found] == [Status.SKIPPED] * 2, found
    assert all("counted since 20" in one.why for one in found)
    with servers.admin(SYSTEM) as admin:
        admin.execute(b"analyze public.sick")
    wait(lambda: judged(servers, timedelta(days=9))[0].subject == "public.sick")
    with servers.admin(SYSTEM) as admin:
        admin.execute(b"drop table public.sick")


AGES = {"since": timedelta(hours=3), "made_at": timedelta(days=300), "now": timedelta()}


@pytest.mark.parametrize(
    ("facts", "status", "said"),
    [
        ({}, Status.SKIPPED, "counted since 2026-11-21 09:00 UTC only"),
        ({"since": timedelta(hours=25)}, Status.OK, ""),
        ({"made_at": timedelta(hours=3, minutes=2)}, Status.OK, ""),
        ({"is_replica": True, "since": timedelta(days=30)}, Status.SKIPPED, "ask its primary"),
        ({"tracked": False, "since": timedelta(days=30)}, Status.SKIPPED, "track_counts is off"),
    ],
)
def test_counters_are_believed_where_they_know_the_tables_long_enough(
    facts: dict[str, Any], status: Status, said: str
) -> None:
    """A server that is as young as its counters has lost nothing; a replica never counted."""
    times = {name: NOW - facts.get(name, age) for name, age in AGES.items()}
    counted = answer("counted_since", {"is_replica": False, "tracked": True} | facts | times)
    row = {"schema": "s", "table_name": "t", "dead_rows": 0, "live_rows": 0, "changed_rows": 0}
    found = [
        *vacuum.dead_rows(answer("autovacuum_need", row), PCT, counted),
        *statistics.stale(answer("tended_tables", row | {"never_analyzed": False}), PCT, counted),
    ]
    assert [one.status for one in found] == [status] * 2
    assert all(said in one.why for one in found)


def test_without_an_answer_about_the_counters_nothing_is_known() -> None:
    """Whether they can be believed is part of the answer."""
    for counted in (unanswered("counted_since"), answer("counted_since")):
        found = [
            *vacuum.dead_rows(answer("autovacuum_need"), PCT, counted),
            *statistics.stale(answer("tended_tables"), PCT, counted),
        ]
        assert [one.status for one in found] == [Status.UNKNOWN] * 2
