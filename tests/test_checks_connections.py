"""What is said of connections and sessions: pure analyses, then the real thing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pandas as pd
import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from opslib import config, frames, site
from opslib.checks import connections, holders, sessions
from opslib.config import Limit, Secret
from opslib.config.environment import Door, HealthEndpoint
from opslib.pg import DOOR_COLUMNS, Database, sql
from opslib.sandbox import control
from opslib.verdict import Finding, Status, conclude

PCT = Limit(warning=80, critical=90, unit="%")
SECONDS = Limit(warning=5, critical=30, unit="s")
MINUTES = Limit(warning=1, critical=10, unit="min")
HEALTH = HealthEndpoint("health", "/health", "", {"status": ["ok"], "database": ["connected"]}, None, None)
POOLED = HealthEndpoint("pool", "/pool", "", {}, "pool", None)
PAGE = HealthEndpoint("page", "/", "", {}, None, None)
CLOSED = "door direct: nothing listens there"


def rows(name: str, *given: dict[str, Any]) -> pd.DataFrame:
    """Return a statement's answer; what a row does not name is None."""
    columns = [column.name for column in sql.load(name).returns]
    return pd.DataFrame([{**dict.fromkeys(columns), **row} for row in given], columns=columns)


def absent(name: str) -> pd.DataFrame:
    """Return a statement's frame when nobody answered."""
    return frames.unavailable([column.name for column in sql.load(name).returns], CLOSED)


def headroom(used: int = 10, hidden: int = 0, **more: Any) -> pd.DataFrame:
    """Return the answer of a server with 97 usable slots."""
    row = {
        "usable": 97, "used": used, "pct_of_usable": 100 * used / 97, "idle": used, "active": 0,
        "idle_in_transaction": 0, "hidden": hidden,
    }  # fmt: skip
    return rows("connections_headroom", {**row, **more})


def owners(**counts: int) -> pd.DataFrame:
    """Return who holds how many sessions, all idle for a minute."""
    zero = {"active": 0, "idle_in_transaction": 0, "never_used": 0, "longest_idle": 60.0}
    return rows(
        "connections_by_owner",
        *({**zero, "application": name, "total": n, "idle": n} for name, n in counts.items()),
    )


def tried(**kinds: str) -> pd.DataFrame:
    """Return doors by the way they failed; "" is open."""
    found = [
        (name, not kind, kind, f"door {name}: {kind}" if kind else "", 1.0) for name, kind in kinds.items()
    ]
    return pd.DataFrame(found, columns=list(DOOR_COLUMNS))


def probed(endpoint: HealthEndpoint, status_code: int = 200, **fields: Any) -> pd.DataFrame:
    """Return one sample of one endpoint."""
    row = {
        "endpoint": endpoint.name, "sample": 1, "status_code": status_code, "ms": 1.0, "error": "",
        "error_kind": "" if status_code else "timeout", "json_ok": True if fields else None, "fields": fields,
    }  # fmt: skip
    return pd.DataFrame([row], columns=list(site.PROBE_COLUMNS))


def only(found: list[Finding]) -> Finding:
    """Return the one finding."""
    assert len(found) == 1, found
    return found[0]


def test_open_doors_are_ok() -> None:
    """Nothing to add."""
    found = only(connections.doors(tried(direct="", pooler=""), probed(PAGE), [PAGE]))
    assert found.status is Status.OK and found.observed == "direct, pooler open"


@pytest.mark.parametrize("kind", ["refused", "timeout", "dns", "starting-up", "shutting-down"])
def test_a_shut_database_is_down_once_the_app_agrees(kind: str) -> None:
    """Two sources: our refusal, and the app's own health."""
    probe = probed(HEALTH, 503, status="unhealthy", database="disconnected")
    found = only(connections.doors(tried(direct=kind), probe, [HEALTH]))
    assert found.status is Status.CRITICAL and found.cause and found.cause.id == "database-down"
    assert "disconnected" in found.why


@pytest.mark.parametrize(
    "probe, endpoint",
    [
        (probed(HEALTH, 200, status="ok", database="connected"), HEALTH),
        (probed(HEALTH, 503, status="unhealthy", database="connected"), HEALTH),
        (probed(PAGE, 200), PAGE),
        (probed(PAGE, 0), PAGE),
        (frames.unavailable(site.PROBE_COLUMNS, "no address"), HEALTH),
    ],
)
def test_a_shut_database_is_unknown_while_nobody_agrees(
    probe: pd.DataFrame, endpoint: HealthEndpoint
) -> None:
    """Our own address or network may be at fault; an app that is silent is no witness."""
    found = only(connections.doors(tried(direct="refused"), probe, [endpoint]))
    assert found.status is Status.UNKNOWN and "no second source" in found.why


def test_an_app_without_such_a_field_is_a_witness_by_its_own_errors() -> None:
    """Most systems have only a front page."""
    found = only(connections.doors(tried(direct="refused"), probed(PAGE, 503), [PAGE]))
    assert found.status is Status.CRITICAL


def test_a_full_server_is_named_although_nobody_could_look() -> None:
    """The refusal itself tells why."""
    probe = probed(HEALTH, 503, status="unhealthy", database="disconnected")
    found = only(connections.doors(tried(direct="slots-exhausted"), probe, [HEALTH]))
    assert found.cause and found.cause.id == "connections-exhausted-idle"
    assert found.status is Status.CRITICAL


@pytest.mark.parametrize("kind", ["authentication", "permission", "tls", "secret", "address", "malformed"])
def test_our_own_fault_is_never_the_databases(kind: str) -> None:
    """Even if the app is down at the same time: with a wrong password we have seen nothing."""
    probe = probed(HEALTH, 503, status="unhealthy", database="disconnected")
    found = only(connections.doors(tried(direct=kind, pooler="refused"), probe, [HEALTH]))
    assert found.status is Status.UNKNOWN and found.cause is None


def test_one_shut_door_of_two_is_a_warning() -> None:
    """There is a way in, and it is said which one is shut."""
    found = only(connections.doors(tried(direct="timeout", pooler=""), probed(PAGE), [PAGE]))
    assert found.status is Status.WARNING and "direct: timeout" in found.observed


@pytest.mark.parametrize(
    "used, status", [(10, Status.OK), (78, Status.WARNING), (88, Status.CRITICAL), (97, Status.CRITICAL)]
)
def test_slots_are_held_against_those_that_can_be_used(used: int, status: Status) -> None:
    """78 of 97 are 80 %; of all 100 they would be fewer."""
    assert only(connections.slots(headroom(used), owners(api=used), PCT)).status is status


def test_no_slot_left_is_critical_whatever_the_limit_says() -> None:
    """A file may state only a warning."""
    found = only(connections.slots(headroom(97), owners(api=60, cron=37), Limit(warning=80, unit="%")))
    assert found.status is Status.CRITICAL
    assert found.cause and found.cause.id == "connections-exhausted-idle"
    assert "api 60" in found.cause.text and "97 of 97" in found.observed


def test_slots_full_of_work_have_another_cause() -> None:
    """Ending idle sessions would not help."""
    busy = headroom(97, idle=10, active=87)
    found = only(connections.slots(busy, owners(api=97), PCT))
    assert found.cause and found.cause.id == "connections-exhausted-active"


def test_hidden_sessions_are_unknown_and_never_clean() -> None:
    """Without pg_monitor the server shows rows, but not what they do."""
    blind = headroom(10, hidden=9)
    status = [found.status for found in connections.slots(blind, owners(api=10), PCT)]
    assert status == [Status.OK, Status.UNKNOWN]
    for found in (
        *sessions.locks(rows("blocking_tree"), blind, SECONDS),
        *sessions.idle_in_transaction(rows("sessions"), blind, MINUTES),
        *sessions.long_queries(rows("long_running"), blind, SECONDS),
    ):
        assert found.status is Status.UNKNOWN and "pg_monitor" in found.why


def test_our_own_sessions_being_well_says_nothing_of_hidden_ones() -> None:
    """An app's own role sees its own sessions, so the lists are not empty; what matters may be hidden."""
    room = headroom(10, hidden=5)
    quick = {
        "in_state": 1.0,
        "statement": 1.0,
        "transaction": 1.0,
        "waits_for": "",
        "application": "own",
        "pid": 7,
    }
    for found in (
        only(
            sessions.idle_in_transaction(
                rows("sessions", {**quick, "state": "idle in transaction"}), room, MINUTES
            )
        ),
        only(sessions.long_queries(rows("long_running", quick), room, SECONDS)),
        sessions.idle(owners(own=5), room, MINUTES, PCT),
        sessions.idle(owners(own=5).assign(longest_idle=7200.0), room, MINUTES, PCT),
    ):
        assert found.status is Status.UNKNOWN and "pg_monitor" in found.why


def test_nothing_that_could_not_be_looked_at_is_ok() -> None:
    """Every analysis, with its source silent."""
    gone = frames.unavailable(site.PROBE_COLUMNS, "no address")
    room = absent("connections_headroom")
    found = [
        *connections.doors(frames.unavailable(DOOR_COLUMNS, CLOSED), gone, [HEALTH]),
        *connections.slots(room, absent("connections_by_owner"), PCT),
        *connections.limits(absent("connection_limits")),
        *connections.app(gone, [HEALTH], room),
        *connections.pool(gone, [POOLED], room, frames.unavailable(DOOR_COLUMNS, CLOSED)),
        *sessions.locks(absent("blocking_tree"), room, SECONDS),
        *sessions.idle_in_transaction(absent("sessions"), room, MINUTES),
        *sessions.prepared(absent("prepared_transactions"), MINUTES),
        *sessions.long_queries(absent("long_running"), room, SECONDS),
        sessions.idle(absent("connections_by_owner"), room, MINUTES, PCT),
    ]
    assert {finding.status for finding in found} == {Status.UNKNOWN}
    assert all(finding.why for finding in found)
    assert frames.reason(holders.by_application(absent("connections_by_owner"))) == CLOSED
    assert holders.usable(room) is None


def test_a_role_at_its_own_limit_is_named() -> None:
    """The server has room, and this role is refused all the same; opslib's own roles do not count."""
    limits = rows(
        "connection_limits",
        {"scope": "role", "name": "app", "connection_limit": 20, "used": 20, "pct_used": 100.0},
        {"scope": "role", "name": "opslib_monitor", "connection_limit": 1, "used": 1, "pct_used": 100.0},
        {"scope": "database", "name": "x", "connection_limit": 0, "used": 0, "pct_used": None},
    )
    found = only(connections.limits(limits))
    assert found.status is Status.CRITICAL and found.subject == "role app"
    assert found.cause and found.cause.id == "role-limit-reached"


@pytest.mark.parametrize(
    "out, room, status, cause",
    [
        (10, headroom(), Status.OK, None),
        (42, headroom(), Status.WARNING, "pool-too-small"),
        (50, headroom(), Status.CRITICAL, "pool-too-small"),
        (50, headroom(97), Status.CRITICAL, None),
        (50, absent("connections_headroom"), Status.CRITICAL, None),
    ],
)
def test_a_full_pool_is_too_small_only_if_the_server_has_room(
    out: int, room: pd.DataFrame, status: Status, cause: str | None
) -> None:
    """Raising it while the server is full would make things worse."""
    probe = probed(POOLED, pool={"pool_size": 20, "max_overflow": 30, "checked_out": out})
    found = only(connections.pool(probe, [POOLED], room, tried(direct="")))
    assert found.status is status
    assert (found.cause.id if found.cause else None) == cause


def test_an_endpoint_without_the_promised_pool_is_unknown() -> None:
    """It was promised in the system's file; a system that promises none is skipped."""
    found = only(connections.pool(probed(POOLED, other=1), [POOLED], headroom(), tried(direct="")))
    assert found.status is Status.UNKNOWN
    assert only(connections.pool(probed(PAGE), [PAGE], headroom(), tried(direct=""))).status is Status.SKIPPED


def test_a_pooler_that_lends_nothing_counts_too() -> None:
    """It can't be seen on the server."""
    found = connections.pool(probed(PAGE), [PAGE], headroom(), tried(direct="", pooler="pool-exhausted"))
    assert found[0].status is Status.CRITICAL and found[0].cause == connections.POOL


def test_an_app_that_is_kept_out_while_we_are_in() -> None:
    """Its address or password; but if no slot is left, that explains it."""
    probe = probed(HEALTH, 503, status="unhealthy", database="disconnected")
    alone = only(connections.app(probe, [HEALTH], headroom()))
    assert alone.status is Status.CRITICAL and alone.cause == connections.APP
    full = only(connections.app(probe, [HEALTH], headroom(97)))
    assert full.status is Status.CRITICAL and full.cause is None


STORM = (
    {
        "root": 7,
        "depth": 0,
        "pid": 7,
        "application": "psql",
        "state": "idle in transaction",
        "in_state": 40.0,
    },
    {
        "root": 7,
        "depth": 1,
        "pid": 8,
        "application": "migrate",
        "waiting": 40.0,
        "wants": "AccessExclusiveLock",
    },
    {"root": 7, "depth": 2, "pid": 9, "application": "web", "waiting": 20.0, "wants": "AccessShareLock"},
)


def storm(longest: float) -> pd.DataFrame:
    """Return a queue behind an idle transaction."""
    return rows("blocking_tree", *({**row, "blocked_total": 2, "longest_wait": longest} for row in STORM))


def test_the_root_of_a_lock_queue_is_named_and_no_victim() -> None:
    """Though it does nothing at all, and the others are the ones that complain."""
    found = only(sessions.locks(storm(40.0), headroom(), SECONDS))
    assert found.status is Status.CRITICAL and found.subject == "psql"
    assert "pid 7" in found.observed and "idle in transaction" in found.observed
    assert "2 sessions" in found.observed and "migrate (pid 8)" in found.why
    assert found.cause and found.cause.id == "lock-storm" and "pid 7" in found.cause.text


def test_a_short_wait_is_the_way_locks_work() -> None:
    """Nobody is woken for half a second."""
    assert only(sessions.locks(storm(0.5), headroom(), SECONDS)).status is Status.OK


def test_a_prepared_transaction_can_be_a_root() -> None:
    """It has no session, so it has no pid and no state."""
    tree = rows(
        "blocking_tree",
        {"root": 0, "depth": 0, "pid": 0, "application": "(prepared transaction)", "blocked_total": 1,
         "longest_wait": 50.0},
        {"root": 0, "depth": 1, "pid": 8, "application": "web", "waiting": 50.0, "wants": "RowShareLock",
         "blocked_total": 1, "longest_wait": 50.0},
    )  # fmt: skip
    found = only(sessions.locks(tree, headroom(), SECONDS))
    assert found.status is Status.CRITICAL and "a prepared transaction" in found.observed


def test_a_lock_storm_ranks_above_the_idle_transaction_that_makes_it() -> None:
    """Both are true; the one that hurts leads."""
    stuck = rows(
        "sessions", {"pid": 7, "application": "psql", "state": "idle in transaction", "in_state": 900.0}
    )
    found = [
        *sessions.idle_in_transaction(stuck, headroom(), MINUTES),
        *sessions.locks(storm(40.0), headroom(), SECONDS),
    ]
    assert [cause.id for cause in conclude(found).causes] == ["lock-storm", "idle-in-transaction"]


@pytest.mark.parametrize("age, status", [(10.0, Status.OK), (90.0, Status.WARNING), (700.0, Status.CRITICAL)])
def test_a_forgotten_transaction_is_judged_by_how_long_nothing_happened(age: float, status: Status) -> None:
    """By application, with the pids to look for."""
    stuck = [
        {"pid": pid, "application": "worker", "state": state, "in_state": age}
        for pid, state in ((1, "idle in transaction"), (2, "idle in transaction (aborted)"))
    ]
    active = {"pid": 3, "application": "web", "state": "active", "in_state": 9999.0}
    found = only(sessions.idle_in_transaction(rows("sessions", *stuck, active), headroom(), MINUTES))
    assert found.status is status
    assert found.observed.startswith("2")
    assert status is Status.OK or "pid 1, 2" in found.observed


@pytest.mark.parametrize(
    "application, waits, status",
    [
        ("report", "IO: DataFileRead", Status.CRITICAL),
        ("report", None, Status.CRITICAL),
        ("report", "Lock: relation", Status.OK),
        ("pg_dump", None, Status.WARNING),
    ],
)
def test_a_long_query_is_one_that_works(application: str, waits: str | None, status: Status) -> None:
    """A victim of a lock is the lock's business; a backup takes long by its nature."""
    running = rows(
        "long_running", {"pid": 1, "application": application, "statement": 700.0, "waits_for": waits}
    )
    assert only(sessions.long_queries(running, headroom(), SECONDS)).status is status


def test_idle_sessions_matter_once_slots_get_scarce() -> None:
    """A pool keeps some on purpose."""
    old = owners(api=50).assign(longest_idle=7200.0)
    assert sessions.idle(old, headroom(50), MINUTES, PCT).status is Status.OK
    assert sessions.idle(old, headroom(90), MINUTES, PCT).status is Status.WARNING


def test_a_prepared_transaction_that_nobody_ends_is_named() -> None:
    """It survives a restart."""
    left = rows("prepared_transactions", {"gid": "tx-1", "age": 4000.0, "owner": "app"})
    found = only(sessions.prepared(left, MINUTES))
    assert found.status is Status.WARNING and found.subject == "tx-1"


@pytest.fixture
def environment(sandbox: object) -> config.Environment:
    """A real system in the sandbox."""
    return config.load_system("klutr").environment("sandbox")


def look(environment: config.Environment, *doors: Door) -> list[Finding]:
    """Make all findings as the notebook does, on real sources."""
    with closing(Database(doors or environment.doors, application_name="opslib/test/1")) as database:
        opened = database.doors()
        probes = site.probe(environment, samples=1)
        found = connections.doors(opened, probes, environment.health)
        if not opened["reachable"].any():
            return found
        room = database.table("connections_headroom")
        held = database.table("connections_by_owner")
        return [
            *found,
            *connections.slots(room, held, environment.limit("connections_pct")),
            *connections.app(probes, environment.health, room),
            *sessions.locks(database.table("blocking_tree"), room, environment.limit("lock_wait_seconds")),
            *sessions.idle_in_transaction(
                database.table("sessions", rows=50), room, environment.limit("idle_in_transaction_minutes")
            ),
        ]


def test_a_healthy_database_is_found_well(environment: config.Environment) -> None:
    """On real sources, before anything is broken."""
    assert conclude(look(environment)).status is Status.OK


def test_a_real_storm_names_its_real_root(environment: config.Environment) -> None:
    """The pid that is named is the holder's."""
    control.break_("lock-storm", "klutr")
    verdict = conclude(look(environment))
    with psycopg.connect(control.status()["databases"]["klutr"]["admin"], autocommit=True) as admin:
        row = admin.execute("select pid from pg_stat_activity where application_name = 'psql'").fetchone()
    assert verdict.cause and verdict.cause.id == "lock-storm"
    assert row and f"pid {row[0]}" in verdict.cause.text


@pytest.fixture
def stranger(environment: config.Environment) -> Iterator[Door]:
    """A role that may log in and nothing more."""
    dsn = control.status()["databases"]["klutr"]
    with psycopg.connect(dsn["admin"], autocommit=True) as admin:
        admin.execute("create role stranger login password 'stranger'")
        try:
            yield Door(
                "direct",
                Secret.literal("x", make_conninfo(dsn["monitor"], user="stranger", password="stranger")),
                False,
            )
        finally:
            admin.execute("drop role stranger")


def test_a_role_that_sees_nothing_finds_nothing_well(environment: config.Environment, stranger: Door) -> None:
    """There are other sessions, and it is not shown what they do."""
    dsn = control.status()["databases"]["klutr"]["app"]
    with psycopg.connect(dsn):
        verdict = conclude(look(environment, stranger))
    assert verdict.status is Status.UNKNOWN
    hidden = next(finding for finding in verdict.findings if finding.check == "visibility")
    assert "grant pg_monitor" in hidden.why


def test_a_wrong_password_is_unknown_while_the_database_is_well(environment: config.Environment) -> None:
    """Nothing is said of the database."""
    dsn = make_conninfo(control.status()["databases"]["klutr"]["monitor"], password="wrong-wrong")
    verdict = conclude(look(environment, Door("direct", Secret.literal("x", dsn), False)))
    assert verdict.status is Status.UNKNOWN and verdict.cause is None
