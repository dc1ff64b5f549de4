"""What is said of replication, on a real primary and a real replica of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from opslib.checks import replication, statistics, vacuum
from opslib.checks.database import autovacuum
from opslib.config import Door, Limit, Secret
from opslib.pg import Database
from opslib.sandbox.postgres import Cluster, Ground
from opslib.verdict import Finding, Status
from tests import majors
from tests.waiting import wait

PASSWORD = "only-for-this-test"
PCT = Limit(warning=20, unit="%")


def address(cluster: Cluster) -> str:
    """Return how the administrator gets in."""
    place = {"host": str(cluster.socket_directory), "port": str(cluster.port), "dbname": "postgres"}
    return make_conninfo(**place, user="postgres", password=PASSWORD)


@dataclass(frozen=True)
class Pair:
    """A primary and its replica, both up."""

    primary: Cluster
    replica: Cluster

    def write(self, *commands: bytes) -> None:
        """Change the primary, and wait until the replica has it."""
        with psycopg.connect(address(self.primary), autocommit=True) as admin:
            for command in commands:
                admin.execute(command)
            (row,) = admin.execute("select pg_current_wal_lsn()::text").fetchall()
        behind = "select pg_last_wal_replay_lsn() < %s::pg_lsn"
        with psycopg.connect(address(self.replica), autocommit=True) as reader:
            wait(lambda: reader.execute(behind, row).fetchone() == (False,))

    def asked(self, *, least: float = 30) -> list[Finding]:
        """Return what is found on the replica; its lag is above the limit from `least` seconds on."""
        door = Door("direct", Secret.literal("replica", address(self.replica)), pooled=False)
        with closing(Database([door], application_name="opslib/tests")) as database:
            facts, counted = database.table("server_facts"), database.table("counted_since")
            tended = database.table("tended_tables", schema="", name="")
            limit = Limit(warning=least, unit="s")
            return [
                *replication.lag(database.table("replication"), facts, limit),
                *vacuum.dead_rows(database.table("autovacuum_need", rows=9), PCT, counted),
                *statistics.stale(tended, PCT, counted),
                autovacuum(facts),
            ]


@pytest.fixture(scope="module", params=majors.folders())
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    """Servers of each version that the machine has."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPSLIB_PG_BIN", majors.folders()[request.param])
        with closing(Ground(PASSWORD)) as ground:
            primary = Cluster(ground, "primary", 0)
            primary.create(ground.template())
            stream = {"primary_conninfo": address(primary), "wal_retrieve_retry_interval": "50ms"}
            replica = Cluster(ground, "replica", 1, stream)
            replica.create(ground.base / "primary" / "data")
            signal = ground.base / "replica" / "data" / "standby.signal"
            signal.touch()
            ground.account.own(signal)
            primary.start()
            replica.start()
            yield Pair(primary, replica)


def test_a_replica_is_not_asked_for_what_only_its_primary_counts(pair: Pair) -> None:
    """It has all the dead rows and knows of none."""
    pair.write(
        b"create table full_of_dead (id int) with (autovacuum_enabled = off)",
        b"insert into full_of_dead select generate_series(1, 26000)",
        b"delete from full_of_dead where id % 3 > 0",
    )
    lag, dead, changed, tending = pair.asked()
    assert lag.status is Status.OK
    assert [dead.status, changed.status, tending.status] == [Status.SKIPPED] * 3
    assert all("primary" in one.why for one in (dead, changed, tending))


def test_a_replica_that_gets_nothing_is_behind_though_it_has_replayed_all_it_got(pair: Pair) -> None:
    """What its primary has written since, nobody there knows."""
    pair.write(b"create table last_seen ()")
    wait(lambda: pair.asked(least=1e-6)[0].status is Status.OK)
    pair.primary.shut_down()
    wait(lambda: pair.asked(least=1e-6)[0].status is Status.WARNING)
    assert "the WAL receiver is stopped" in pair.asked(least=1e-6)[0].why
    pair.primary.start()
    pair.write(b"drop table last_seen")
    wait(lambda: pair.asked(least=1e-6)[0].status is Status.OK)
