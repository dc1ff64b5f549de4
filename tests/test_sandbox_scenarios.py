"""Each way of breaking a database breaks the real thing, and healing restores it exactly."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

from opslib.errors import SandboxError, UnknownName, UsageError
from opslib.sandbox import control, stage
from opslib.sandbox.scenario import Scenario

SYSTEM = "kulti"


def connect(role: str, system: str = SYSTEM) -> psycopg.Connection[Any]:
    """Open a connection as one of the system's roles."""
    return psycopg.connect(control.status()["databases"][system][role], autocommit=True)


def number(query: str, system: str = SYSTEM) -> Any:
    """Return the one value that a query gives the monitor."""
    with connect("monitor", system) as monitor:
        row = monitor.execute(query.encode()).fetchone()
    assert row is not None
    return row[0]


def others(condition: str = "true", system: str = SYSTEM) -> int:
    """Count sessions of apps for which a condition holds."""
    counted = f"select count(*) from pg_stat_activity where starts_with(usename, 'app_') and {condition}"
    return int(number(counted, system))


def test_exhausted_means_that_the_app_gets_no_slot_and_the_reserve_is_left(sandbox: object) -> None:
    """All slots are taken by idle sessions; from version 16 on the monitor still gets in."""
    control.break_("connections-exhausted-idle", SYSTEM)
    with pytest.raises(psycopg.OperationalError, match="slots are reserved"):
        connect("app")
    with connect("admin") as admin:
        reserved = 6 if admin.info.server_version >= 160000 else 3
        held = "select count(*), count(distinct application_name) from pg_stat_activity where state = 'idle'"
        assert admin.execute(f"{held} and usename = 'app_kulti'".encode()).fetchone() == (200 - reserved, 3)
    if reserved == 6:
        assert others("state = 'idle'") == 194
    control.heal("connections-exhausted-idle")
    assert others() == 0
    connect("app").close()


def test_forgotten_transactions_hold_their_rows_and_leave_no_change(sandbox: object) -> None:
    """They hold their rows; rolled back, nothing of them is left."""
    before = number("select sum(balance) from credits")
    control.break_("idle-in-transaction", SYSTEM)
    old = "state = 'idle in transaction' and now() - state_change > '2 s'"
    assert others(old) == 4
    control.heal("idle-in-transaction")
    assert others() == 0
    assert number("select sum(balance) from credits") == before


def test_a_storm_has_one_root_a_migration_behind_it_and_readers_behind_that(sandbox: object) -> None:
    """The visible victim is the migration; the root is idle."""
    control.break_("lock-storm", SYSTEM)
    assert others("wait_event_type = 'Lock'") == 7
    assert others("application_name = 'psql' and state = 'idle in transaction'") == 1
    with connect("app") as app, pytest.raises(psycopg.errors.LockNotAvailable):
        app.execute("set lock_timeout = '50ms'")
        app.execute("select count(*) from credits")
    control.heal("lock-storm")
    assert others() == 0
    assert number("select count(*) from pg_locks where not granted") == 0
    assert number("select count(*) from credits") > 0


def test_healing_a_storm_works_after_somebody_ended_its_root_by_hand(sandbox: object) -> None:
    """The person who rehearses does the right thing, and heals only then."""
    control.break_("lock-storm", SYSTEM)
    with connect("admin") as admin:
        admin.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'psql'"
        )
    control.heal()
    assert others() == 0
    assert control.status()["broken"] == []


def test_a_long_query_really_runs(sandbox: object) -> None:
    """It is active, old, and gone when cancelled."""
    control.break_("long-query", SYSTEM)
    assert others("state = 'active' and now() - query_start > '2 s'") == 1
    control.heal("long-query")
    assert others() == 0


def test_a_pool_is_used_up_while_the_server_has_room(sandbox: object) -> None:
    """The server sees a busy pool and could take many more."""
    control.break_("pool-too-small", "your-app")
    assert others("application_name = 'app-pool'", "your-app") == 50
    connect("app", "your-app").close()
    control.heal("pool-too-small")
    assert others("application_name = 'app-pool'", "your-app") == 0


def test_a_stopped_database_answers_nobody_and_comes_back_whole(sandbox: object) -> None:
    """A crash, and the recovery from it."""
    before = number("select count(*) from credit_transactions")
    control.break_("database-down", SYSTEM)
    with pytest.raises(psycopg.OperationalError):
        connect("admin")
    control.heal("database-down")
    assert number("select count(*) from credit_transactions") == before


def test_spent_transaction_ids_are_given_back(sandbox: object) -> None:
    """The server falls behind in freezing, and has caught up afterwards."""
    behind = (
        "select max(100.0 * age(datfrozenxid)) / current_setting('autovacuum_freeze_max_age')::int"
        " from pg_database where datallowconn"
    )
    control.break_("wraparound-near", SYSTEM)
    assert number(behind) >= 150
    control.heal("wraparound-near")
    assert number(behind) < 100
    assert others() == 0


def test_bloat_is_dead_rows_and_goes_without_a_trace(sandbox: object) -> None:
    """The space is really taken, and really given back."""
    dead, tables = "select max(n_dead_tup) from pg_stat_user_tables", "select count(*) from pg_class"
    size = "select pg_database_size(current_database())"
    before, small = number(tables), number(size)
    control.break_("bloat", SYSTEM)
    assert number(dead) >= 10_000
    assert number(size) > small + 50 * 1024**2
    control.heal("bloat")
    assert number(tables) == before
    assert number(size) < small + 10 * 1024**2


def test_a_forgotten_slot_keeps_the_log_and_is_dropped(sandbox: object) -> None:
    """As a replica that was switched off without a word."""
    kept = "select max(pg_current_wal_lsn() - restart_lsn) from pg_replication_slots where not active"
    control.break_("slot-retaining-wal", SYSTEM)
    assert number(kept) > 64 * 1024**2
    control.heal("slot-retaining-wal")
    assert number("select count(*) from pg_replication_slots") == 0


def test_a_failed_build_leaves_an_invalid_index(sandbox: object) -> None:
    """PostgreSQL leaves it, for the person to decide."""
    invalid = "select count(*) from pg_index where not indisvalid"
    control.break_("invalid-index", SYSTEM)
    assert number(invalid) == 1
    control.heal("invalid-index")
    assert number(invalid) == 0


@pytest.mark.parametrize("name", ["idle-in-transaction", "long-query", "lock-storm", "invalid-index"])
def test_what_works_on_one_system_works_on_all(sandbox: object, name: str) -> None:
    """Each system has other tables."""
    assert len(control.break_(name)) == 5
    assert len(control.heal(name)) == 5


def test_scenarios_compose_and_heal_newest_first(sandbox: object) -> None:
    """Trouble seldom comes alone; a stopped server takes the others' sessions with it."""
    control.break_("idle-in-transaction", SYSTEM)
    control.break_("long-query", SYSTEM)
    control.break_("database-down", SYSTEM)
    assert control.status()["broken"] == ["idle-in-transaction", "long-query", "database-down"]
    healed = control.heal()
    assert [name for name, _ in healed] == ["database-down", "long-query", "idle-in-transaction"]
    assert others() == 0


def test_slots_are_taken_also_where_the_busy_table_is_locked(sandbox: object) -> None:
    """Two faults at once; the one must not hang the sandbox because of the other."""
    control.break_("lock-storm", SYSTEM)
    control.break_("connections-exhausted-idle", SYSTEM)
    with pytest.raises(psycopg.OperationalError, match="slots are reserved"):
        connect("app")
    assert len(control.heal()) == 2 and others() == 0


def test_a_scenario_that_another_keeps_from_its_table_gives_up(sandbox: object) -> None:
    """It waited for ever, and no command was answered any more, not even heal."""
    control.break_("lock-storm", SYSTEM)
    with pytest.raises(
        SandboxError, match=r"idle-in-transaction could not be made: .*lock timeout"
    ) as refused:
        control.break_("idle-in-transaction", SYSTEM)
    assert "sandbox heal" in refused.value.hint
    assert control.heal() == (("lock-storm", SYSTEM),) and others() == 0


def test_a_storm_rises_also_over_forgotten_transactions(sandbox: object) -> None:
    """Its root only wrote, as they did; the migration waits for all of them."""
    control.break_("idle-in-transaction", SYSTEM)
    control.break_("lock-storm", SYSTEM)
    assert others("application_name = 'migrate' and cardinality(pg_blocking_pids(pid)) = 5") == 1
    assert len(control.heal()) == 2 and others() == 0


def test_breaking_what_is_broken_and_healing_what_is_well_do_nothing(sandbox: object) -> None:
    """A command that was sent twice must not matter."""
    assert control.break_("database-down", SYSTEM) == (("database-down", SYSTEM),)
    assert control.break_("database-down", SYSTEM) == ()
    assert control.heal("database-down", SYSTEM) == (("database-down", SYSTEM),)
    assert control.heal("database-down", SYSTEM) == ()
    assert control.heal() == ()


def test_without_a_system_all_that_can_be_broken_are(sandbox: object) -> None:
    """And one of them can be healed by itself."""
    assert len(control.break_("database-down")) == 5
    assert control.heal("database-down", SYSTEM) == (("database-down", SYSTEM),)
    assert control.status()["broken"] == ["database-down"]
    assert len(control.heal()) == 4


def test_wrong_names_are_answered_with_the_right_ones(sandbox: object) -> None:
    """At three in the morning people mistype."""
    with pytest.raises(UnknownName) as scenario:
        control.break_("lock-strom", SYSTEM)
    assert "lock-storm" in scenario.value.hint
    with pytest.raises(UnknownName) as system:
        control.break_("lock-storm", "kuti")
    assert "kulti" in system.value.hint
    with pytest.raises(UnknownName):
        control.heal("nothing-of-the-kind")


def test_a_scenario_breaks_only_the_systems_that_it_can(monkeypatch: pytest.MonkeyPatch) -> None:
    """Said by name, with the systems that it can break."""
    acts: list[str] = []
    only = Scenario(
        "only-klutr", "breaks klutr", lambda w, s: acts.append(s), {}, ("klutr",), lambda w, s: acts.remove(s)
    )
    monkeypatch.setattr(stage, "catalogue", lambda: (only,))
    world: Any = SimpleNamespace(databases=SimpleNamespace(systems=("klutr", "kulti")))
    there = stage.Stage(world)
    with pytest.raises(UsageError, match="only-klutr cannot break kulti") as refused:
        there.break_("only-klutr", "kulti")
    assert "klutr" in refused.value.hint
    assert there.break_("only-klutr") == (("only-klutr", "klutr"),)
    assert acts == ["klutr"] and there.heal("only-klutr") == (("only-klutr", "klutr"),) and not acts


def test_a_scenario_that_cannot_be_made_is_undone(sandbox: object) -> None:
    """Half a breakage would be found by nobody's procedure."""
    control.break_("database-down", SYSTEM)
    with pytest.raises(SandboxError, match="lock-storm could not be made"):
        control.break_("lock-storm", SYSTEM)
    assert control.status()["broken"] == ["database-down"]
    control.heal()
    assert others() == 0


def test_without_a_sandbox_nothing_can_be_broken(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says how to start one."""
    monkeypatch.setenv("OPSLIB_HOME", str(tmp_path))
    with pytest.raises(SandboxError) as refused:
        control.break_("lock-storm")
    assert "opslib sandbox up" in refused.value.hint
    with pytest.raises(SandboxError, match="No sandbox is up"):
        control.heal()


def test_every_scenario_has_an_id_and_a_sentence() -> None:
    """Ids are causes: they appear in verdicts."""
    listed = control.scenarios()
    assert {"connections-exhausted-idle", "lock-storm", "database-down"} <= {each.id for each in listed}
    for each in listed:
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", each.id) and " " in each.text


def test_a_database_that_was_down_comes_back_with_its_counters(sandbox: object) -> None:
    """Healed exactly: a crash would lose the statistics, and database-health would have less to look at."""
    with psycopg.connect(control.status()["databases"][SYSTEM]["admin"]) as admin:
        analyzed = "select count(*) from pg_stat_user_tables where last_analyze is not null"
        before = admin.execute(analyzed).fetchone()
    control.break_("database-down", SYSTEM)
    control.heal("database-down", SYSTEM)
    with psycopg.connect(control.status()["databases"][SYSTEM]["admin"]) as admin:
        assert admin.execute(analyzed).fetchone() == before
