"""Upkeep of a database: what is judged, what is skipped with a reason, what stays unknown."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import psycopg
import pytest

from opslib import config, frames
from opslib.changes import upkeep_tables
from opslib.checks import database, replication, vacuum
from opslib.config import Door, Limit, Secret
from opslib.pg import Database, frame, sql
from opslib.sandbox import control
from opslib.verdict import Finding, Status

SYSTEM = "kulti"
PCT = Limit(warning=20, critical=50, unit="%")
IDS = Limit(warning=40, critical=75, unit="%")
HITS = Limit(warning=95, critical=90, unit="%")
LAG = Limit(warning=30, critical=300, unit="s")
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
MB = 1024**2


def answer(name: str, *rows: dict[str, Any]) -> pd.DataFrame:
    """Return rows as the server's answer to a packaged statement; columns not given are NULL."""
    statement = sql.load(name)
    columns = [column.name for column in statement.returns]
    return frame.build(statement, columns, [[row.get(column) for column in columns] for row in rows])


def unanswered(name: str) -> pd.DataFrame:
    """Return the frame of a statement that could not be asked."""
    return frames.unavailable([column.name for column in sql.load(name).returns], "door direct: refused")


def history(*seen: tuple[float, float]) -> pd.DataFrame:
    """Return earlier sizes: (days ago, MB)."""
    rows = [(pd.Timestamp(NOW - timedelta(days=days)), "ok", size, f"{size} MB") for days, size in seen]
    return pd.DataFrame(rows, columns=["finished_at", "status", "observed", "text"])


MONITOR = answer("server_facts", {"role": "opslib_monitor", "can_monitor": True})
NOBODY = answer("server_facts", {"role": "web", "can_monitor": False})
COUNTED = answer(
    "counted_since",
    {"since": NOW - timedelta(days=9), "made_at": NOW - timedelta(days=9), "now": NOW}
    | {"is_replica": False, "tracked": True},
)
SIZE = answer("database_sizes", {"database": SYSTEM, "bytes": 2000 * MB, "is_current": True})


def judged(asked: Database) -> list[Finding]:
    """Return every finding about a real database."""
    facts = asked.table("server_facts")
    return [
        database.rights(facts),
        database.autovacuum(facts),
        database.size(asked.table("database_sizes")),
        *database.hit_rates(asked.table("hit_rates"), HITS),
        *database.wraparound(asked.table("wraparound_databases"), IDS),
        *database.invalid_indexes(asked.table("invalid_indexes")),
        database.checksums(asked.table("database_counters")),
        *vacuum.dead_rows(asked.table("autovacuum_need", rows=200), PCT, asked.table("counted_since")),
        *vacuum.bloat(asked.table("table_bloat_estimate", min_bytes=0)),
        *vacuum.freezing(asked.table("tended_tables", schema="", name=""), IDS),
        *vacuum.old_snapshots(asked.table("xmin_horizon"), facts),
        *replication.slots(asked.table("wal_and_slots")),
        *replication.lag(asked.table("replication"), facts, LAG),
    ]


def statuses(found: list[Finding]) -> set[Status]:
    """Return the distinct statuses."""
    return {finding.status for finding in found}


@pytest.fixture
def asked(sandbox: object) -> Iterator[Database]:
    """A rehearsed system's database, as the monitor meets it."""
    doors = config.load_system(SYSTEM).environment("sandbox").doors
    opened = Database(doors, application_name="opslib/tests")
    yield opened
    opened.close()


@pytest.fixture
def as_role(sandbox: object) -> Iterator[Callable[..., Database]]:
    """Make logins on a rehearsed server, each with the given memberships; they are gone afterwards."""
    admin = psycopg.connect(control.status()["databases"][SYSTEM]["admin"], autocommit=True)
    opened: list[Database] = []

    def login(*memberships: str) -> Database:
        admin.execute("create role stranger login password 'let-me-in-please'")
        for membership in memberships:
            admin.execute(f"grant {membership} to stranger".encode())
        address = psycopg.conninfo.make_conninfo(
            control.status()["databases"][SYSTEM]["admin"], user="stranger", password="let-me-in-please"
        )
        door = Door("direct", Secret.literal("stranger", address), pooled=False)
        opened.append(Database([door], application_name="opslib/tests"))
        return opened[-1]

    yield login
    for each in opened:
        each.close()
    admin.execute("drop role if exists stranger")
    admin.close()


def test_a_healthy_database_is_found_healthy(asked: Database) -> None:
    """Nothing but ok, and skipped with a reason."""
    found = judged(asked)
    assert statuses(found) <= {Status.OK, Status.SKIPPED}, found
    assert all(finding.why for finding in found if finding.status is Status.SKIPPED)


@pytest.mark.parametrize(
    "scenario, subject, seen",
    [
        ("wraparound-near", "public.", " transactions old, "),
        ("bloat", "public.import_staging", "% of 7"),
        ("invalid-index", "public.lookup_once_key", "failed build on public.credits"),
        ("slot-retaining-wal", "analytics_sync", "inactive, keeps "),
    ],
)
def test_what_goes_bad_slowly_is_named_with_its_cause(
    asked: Database, scenario: str, subject: str, seen: str
) -> None:
    """The finding names the table, index or slot, and by how much."""
    control.break_(scenario, SYSTEM)
    named = [f for f in judged(asked) if f.cause and f.cause.id == scenario]
    assert statuses(named) == {Status.WARNING}
    assert any(subject in finding.subject and seen in finding.observed for finding in named), named
    control.heal(scenario)
    healed = judged(asked)
    assert statuses(healed) <= {Status.OK, Status.SKIPPED}, [f for f in healed if f.status.severity > 1]


def test_a_plain_member_of_pg_monitor_gets_true_verdicts(as_role: Callable[..., Database]) -> None:
    """All core checks look; only the estimate that needs more is skipped, and says what to grant."""
    found = judged(as_role("pg_monitor"))
    assert statuses(found) <= {Status.OK, Status.SKIPPED}, found
    bloat = [finding for finding in found if finding.check == "bloat"]
    assert [finding.status for finding in bloat] == [Status.SKIPPED]
    assert "grant it pg_read_all_data" in bloat[0].why


def test_a_role_without_pg_monitor_is_told_that_it_cannot_see(as_role: Callable[..., Database]) -> None:
    """Half a view is unknown, never ok."""
    blind = {f.check: f for f in judged(as_role()) if f.status is Status.UNKNOWN}
    assert set(blind) == {"rights", "old snapshots", "replication lag"}
    assert all("grant pg_monitor to stranger" in finding.why for finding in blind.values())


@pytest.mark.parametrize(
    "judge",
    [
        lambda: [database.rights(unanswered("server_facts"))],
        lambda: [database.autovacuum(unanswered("server_facts"))],
        lambda: [database.size(unanswered("database_sizes"))],
        lambda: [database.growth(unanswered("database_sizes"), history((9, 1)), PCT, NOW)],
        lambda: database.hit_rates(unanswered("hit_rates"), HITS),
        lambda: database.wraparound(unanswered("wraparound_databases"), PCT),
        lambda: database.invalid_indexes(unanswered("invalid_indexes")),
        lambda: [database.checksums(unanswered("database_counters"))],
        lambda: vacuum.dead_rows(unanswered("autovacuum_need"), PCT, COUNTED),
        lambda: vacuum.bloat(unanswered("table_bloat_estimate")),
        lambda: vacuum.old_snapshots(unanswered("xmin_horizon"), MONITOR),
        lambda: replication.slots(unanswered("wal_and_slots")),
        lambda: replication.lag(unanswered("replication"), MONITOR, LAG),
        lambda: replication.lag(answer("replication"), unanswered("server_facts"), LAG),
    ],
)
def test_what_could_not_be_asked_is_unknown_with_the_reason(judge: Callable[[], list[Finding]]) -> None:
    """A shut door is no clean bill."""
    found = judge()
    assert statuses(found) == {Status.UNKNOWN}
    assert {finding.why for finding in found} == {"door direct: refused"}


@pytest.mark.parametrize(
    "judge",
    [
        lambda: [database.rights(answer("server_facts"))],
        lambda: [database.autovacuum(answer("server_facts"))],
        lambda: [database.size(answer("database_sizes"))],
        lambda: [database.growth(answer("database_sizes"), history((9, 1)), PCT, NOW)],
        lambda: database.hit_rates(answer("hit_rates"), HITS),
        lambda: database.wraparound(answer("wraparound_databases"), PCT),
        lambda: [database.checksums(answer("database_counters"))],
    ],
)
def test_an_answer_without_rows_where_there_must_be_some_is_unknown(
    judge: Callable[[], list[Finding]],
) -> None:
    """Every server has a size, and a database."""
    assert statuses(judge()) == {Status.UNKNOWN}


def test_growth_is_measured_against_a_record_at_least_a_day_old() -> None:
    """Twice as much in a week, from 1000 MB, is above any limit; the same within an hour says nothing."""
    fast = database.growth(SIZE, history((7, 1000), (1, 1900)), PCT, NOW)
    assert (fast.status, fast.observed) == (Status.CRITICAL, "100 % a week")
    assert "twice as large in 1 week" in fast.why
    assert database.growth(SIZE, history((70, 1000)), PCT, NOW).status is Status.OK
    assert database.growth(SIZE, history((0.04, 1000)), PCT, NOW).status is Status.SKIPPED
    assert database.growth(SIZE, history(), PCT, NOW).status is Status.SKIPPED


def test_growth_of_the_last_week_is_seen_after_a_quiet_half_year() -> None:
    """And the disk fills at the pace of the months, where in the last week much was deleted."""
    quiet = history(*((7.0 * week, 1000) for week in range(29, 0, -1)), (0.02, 1990))
    burst = database.growth(SIZE, quiet, PCT, NOW)
    assert (burst.status, burst.observed) == (Status.CRITICAL, "100 % a week")
    full = database.forecast(SIZE, quiet, ROOM, WEEKS, NOW)
    assert (full.status, full.observed) == (Status.WARNING, "2.1 weeks")
    cleared = database.forecast(SIZE, history((70, 500), (7, 2500)), ROOM, WEEKS, NOW)
    assert cleared.observed == "14 weeks"


ROOM = Limit(critical=4, unit="GB")
WEEKS = Limit(warning=8, critical=2, unit="weeks")


@pytest.mark.parametrize(
    "before, status",
    [(1990, Status.OK), (1500, Status.WARNING), (500, Status.CRITICAL), (2500, Status.OK)],
)
def test_a_full_disk_is_foretold_from_the_growth_so_far(before: float, status: Status) -> None:
    """Two of four gigabytes are taken; what counts is how soon the rest will be."""
    found = database.forecast(SIZE, history((7, before)), ROOM, WEEKS, NOW)
    assert found.status is status, found


def test_without_the_size_of_the_disk_or_a_past_nothing_is_foretold() -> None:
    """And a disk that must be full already needs no past."""
    unsized = Limit(what="size of the disk", unit="GB")
    past = history((7, 1000))
    assert "disk_gb" in database.forecast(SIZE, past, unsized, WEEKS, NOW).why
    assert database.forecast(SIZE, history(), ROOM, WEEKS, NOW).status is Status.SKIPPED
    full = database.forecast(SIZE, history(), Limit(critical=1, unit="GB"), WEEKS, NOW)
    assert full.status is Status.CRITICAL
    assert database.forecast(unanswered("database_sizes"), past, ROOM, WEEKS, NOW).status is Status.UNKNOWN


def test_growth_of_a_small_database_alarms_nobody() -> None:
    """Nine times as large, and still small."""
    small = answer("database_sizes", {"database": SYSTEM, "bytes": 90 * MB, "is_current": True})
    assert database.growth(small, history((7, 10)), PCT, NOW).status is Status.OK


def test_without_an_archive_growth_is_skipped_with_the_reason() -> None:
    """An unreadable archive is no fault of the database."""
    found = database.growth(SIZE, frames.unavailable(["observed"], "the archive is locked"), PCT, NOW)
    assert (found.status, found.why) == (Status.SKIPPED, "the archive is locked")


def test_a_hit_rate_counts_only_over_enough_reads() -> None:
    """Just after a restart every rate is low."""
    rates = answer(
        "hit_rates",
        {"of": "indexes", "hits": 920_000, "reads": 80_000, "hit_pct": 92.0, "since": NOW},
        {"of": "tables", "hits": 10, "reads": 90, "hit_pct": 10.0},
    )
    indexes, tables = database.hit_rates(rates, HITS)
    assert (indexes.status, indexes.observed) == (Status.WARNING, "92 %")
    assert "1000000 block reads since 2026-11-21" in indexes.why
    assert tables.status is Status.SKIPPED and "only 100 block reads" in tables.why


def test_the_end_of_transaction_ids_is_critical_and_names_the_database() -> None:
    """The worst database counts, wherever it stands in the list."""
    ages = answer(
        "wraparound_databases",
        {"database": "small", "pct_to_wraparound": 1.0, "pct_of_freeze_age": 10.0},
        {"database": "shop", "pct_to_wraparound": 81.0, "pct_of_freeze_age": 870.0},
    )
    end, freezing = database.wraparound(ages, IDS)
    assert (end.status, end.subject) == (Status.CRITICAL, "shop")
    assert (freezing.status, freezing.subject) == (Status.WARNING, "shop")
    assert end.cause is not None and end.cause.id == "wraparound-near"


def test_the_oldest_tables_are_named_and_vacuumed_first() -> None:
    """By their share of the freeze age, or of the way to the end where the freeze age is set far off."""
    row: dict[str, Any] = {
        "schema": "s",
        "table_name": "old",
        "last_vacuum": None,
        "dead_rows": 0,
        "in_progress": "",
    }
    row |= {"locked": False, "xid_age": 320_000_000, "pct_of_freeze_age": 160.0, "pct_to_wraparound": 15.0}
    near = row | {"table_name": "near", "pct_of_freeze_age": 90.0, "pct_to_wraparound": 80.0}
    young = row | {"table_name": "young", "pct_of_freeze_age": 99.0}
    tended = answer("tended_tables", row, near, young)
    found = vacuum.freezing(tended, IDS)
    assert [(f.subject, f.status) for f in found] == [("s.near", Status.CRITICAL), ("s.old", Status.WARNING)]
    assert [f.next_parameters for f in found] == [{"tables": ["s.near"]}, {"tables": ["s.old"]}]
    draft = upkeep_tables.tables(["wraparound-near"], tended, PCT, PCT, IDS)
    assert draft is not None and [target.name for target in draft.targets] == [
        "vacuum s.near",
        "vacuum s.old",
    ]
    assert "up to 320000000 transactions old are frozen" in draft.targets[0].effect
    assert upkeep_tables.tables(["bloat"], tended, PCT, PCT, IDS) is None


def test_an_index_that_is_being_built_is_left_alone() -> None:
    """It is invalid until it is done."""
    row = {"index_name": "a", "table_name": "t", "leftover": "failed build", "in_progress": True}
    (found,) = database.invalid_indexes(answer("invalid_indexes", row))
    assert (found.status, found.observed) == (Status.OK, "1 being built")


def test_a_damaged_page_is_critical_and_no_checksums_is_said() -> None:
    """Without checksums damage would go unseen, which is no proof that there is none."""
    damaged = answer("database_counters", {"checksums_on": True, "checksum_failures": 2})
    assert database.checksums(damaged).status is Status.CRITICAL
    without = database.checksums(answer("database_counters", {"checksums_on": False}))
    assert without.status is Status.SKIPPED and "unseen" in without.why


def test_dead_rows_are_urgent_only_in_large_numbers() -> None:
    """A share of a small table wakes nobody."""

    def status(dead: int) -> Status:
        row = {
            "schema": "s",
            "table_name": "t",
            "dead_rows": dead,
            "dead_pct": 90.0,
            "autovacuum_enabled": True,
        }
        return vacuum.dead_rows(answer("autovacuum_need", row), PCT, COUNTED)[0].status

    assert [status(count) for count in (900, 20_000, 2_000_000)] == [
        Status.OK, Status.WARNING, Status.CRITICAL,
    ]  # fmt: skip


def test_hidden_tables_do_not_hide_the_bloat_that_can_be_seen() -> None:
    """Two findings: what is known, and how much is not."""
    seen: dict[str, Any] = {"no_statistics": False, "hidden": False, "schema": "s", "table_name": "t"}
    seen |= {"heap_bytes": 900 * MB, "bloat_bytes": 700 * MB, "bloat_pct": 78.0}
    unseen = {"schema": "s", "table_name": "u", "heap_bytes": MB, "no_statistics": True, "hidden": True}
    bloated, hidden = vacuum.bloat(answer("table_bloat_estimate", seen, unseen))
    assert (bloated.status, bloated.subject) == (Status.WARNING, "s.t")
    assert hidden.status is Status.SKIPPED and "1 of 2 large tables" in hidden.why


def test_old_snapshots_are_named_and_vacuum_s_own_is_not() -> None:
    """By age in time or in transactions."""
    rows: list[dict[str, Any]] = [
        {"holder": "session", "name": "7", "owner": "etl", "xmin_age": 10, "since": 7200.0},
        {"holder": "slot", "name": "s", "owner": "pgoutput", "xmin_age": 5_000_000},
        {"holder": "session", "name": "8", "owner": "autovacuum worker", "xmin_age": 10, "since": 9000.0},
        {"holder": "session", "name": "9", "owner": "web", "xmin_age": 10, "since": 1.0},
    ]
    found = vacuum.old_snapshots(answer("xmin_horizon", *rows), MONITOR)
    assert [finding.subject for finding in found] == ["session 7", "slot s"]
    assert vacuum.old_snapshots(answer("xmin_horizon"), NOBODY)[0].status is Status.UNKNOWN


def test_a_transaction_that_wrote_and_then_slept_is_among_the_holders(asked: Database) -> None:
    """It has no snapshot, but its own id holds vacuum back."""
    with psycopg.connect(control.status()["databases"][SYSTEM]["app"]) as writer:
        writer.execute("select pg_current_xact_id()")
        pid = str(writer.info.backend_pid)
        horizon = asked.table("xmin_horizon")
        assert pid in set(horizon["name"])


@pytest.mark.parametrize(
    "row, status",
    [
        ({"active": False, "retained_bytes": 3 * MB}, Status.OK),
        ({"active": True, "retained_bytes": 900 * MB}, Status.OK),
        ({"active": False, "retained_bytes": 900 * MB}, Status.WARNING),
        ({"active": True, "retained_bytes": 20_000 * MB}, Status.CRITICAL),
        ({"active": False, "retained_bytes": 900 * MB, "safe_wal_bytes": 100 * MB}, Status.CRITICAL),
        ({"active": True, "retained_bytes": 76 * MB, "safe_wal_bytes": 948 * MB}, Status.OK),
        ({"active": True, "retained_bytes": 20_000 * MB, "safe_wal_bytes": 80_000 * MB}, Status.OK),
        ({"active": True, "retained_bytes": 900 * MB, "wal_status": "unreserved"}, Status.CRITICAL),
        ({"active": False, "wal_status": "lost"}, Status.CRITICAL),
    ],
)
def test_a_slot_is_judged_by_what_it_keeps_and_by_the_room_left(row: dict[str, Any], status: Status) -> None:
    """A consumer that is being restarted is no fault; one that never comes fills the disk."""
    (found,) = replication.slots(answer("wal_and_slots", {"slot": "sync", **row}))
    assert found.status is status


def test_replicas_are_held_to_their_lag() -> None:
    """A replica that does not tell its lag is unknown; no replica is nothing to judge."""
    rows: list[dict[str, Any]] = [
        {"name": "near", "lag": 0.2},
        {"name": "far", "lag": 90.0},
        {"name": "mute"},
    ]
    found = replication.lag(answer("replication", *rows), MONITOR, LAG)
    assert [finding.status for finding in found] == [Status.OK, Status.WARNING, Status.UNKNOWN]
    assert replication.lag(answer("replication"), MONITOR, LAG)[0].status is Status.SKIPPED
    assert replication.lag(answer("replication"), NOBODY, LAG)[0].status is Status.UNKNOWN
