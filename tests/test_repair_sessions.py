"""Ending sessions on a real server: exactly the ones that were shown, and never one that must live."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from opslib import catalog, config, frames, ids, keys
from opslib.acts import Opening, Statement
from opslib.archive.changes import Changes
from opslib.changes import Means, session, session_choice
from opslib.checks import connections, sessions
from opslib.config import Limit
from opslib.gate import signing
from opslib.gate.plan import Draft, Observed, Risk, Target
from opslib.pg import Database, sql
from opslib.pg.frame import Row
from opslib.runner.execute import Request, run
from opslib.sandbox import control
from opslib.sandbox.sessions import Busy
from opslib.verdict import Cause
from tests.waiting import wait

ROOT = Path(__file__).parents[1]
SYSTEM, TABLE = "kulti", "webhook_logs"
PCT = Limit(warning=80, critical=90, unit="%")
LIMITS = {
    "lock_wait_seconds": Limit(warning=0.1, unit="s"),
    "idle_in_transaction_minutes": Limit(warning=0, unit="min"),
    "long_query_seconds": Limit(warning=0, unit="s"),
    "connections_pct": PCT,
}
# A platform's own role, and a role that only replicates; gone again after each test.
ROLES = {"supabase_auth_admin": "", "replicator": "replication"}


def dsn(role: str = "app") -> str:
    """Return the address of the rehearsed database for one role."""
    return str(control.status()["databases"][SYSTEM][role])


class Stage:
    """Real sessions that a test opens, and what opslib sees of them.

    Args:
        database: entered by the operator's door.
        stack: closes what was opened.
    """

    def __init__(self, database: Database, stack: ExitStack) -> None:
        self.database, self._stack = database, stack
        env = config.load_system(SYSTEM).environment("sandbox")
        self.kind = session.Sessions(Means(env, lambda: database, lambda name: None, {}))

    def open(self, name: str, *, address: str = "", **given: Any) -> psycopg.Connection[Any]:
        """Open a session under a name, as the app or by another address."""
        connection = psycopg.connect(
            address or dsn(), application_name=name, autocommit=True, prepare_threshold=None, **given
        )
        return self._stack.enter_context(closing(connection))

    def busy(self, name: str, statement: str) -> int:
        """Run one statement in a session of its own for as long as it takes; return its pid."""
        connection = self.open(name)
        pid = connection.info.backend_pid
        self._stack.enter_context(closing(Busy(connection, statement)))
        return pid

    def all(self) -> pd.DataFrame:
        """Return the candidates."""
        return self.database.table("session_candidates", pid=0)

    def rows(self) -> dict[str, session_choice.Row]:
        """Return the candidates by application."""
        return {row["application"]: row for row in self.all().to_dict("records")}  # type: ignore[misc]

    def room(self) -> pd.DataFrame:
        """Return the slots."""
        return self.database.table("connections_headroom")

    def draft(self, *causes: str, **given: Any) -> Draft:
        """Return the proposal for some causes."""
        found = [Cause(cause, "") for cause in causes]
        made = session.draft(found, self.all(), self.room(), LIMITS.__getitem__, **given)
        assert made is not None
        return made

    def only(self, pid: int) -> Target:
        """Return the target that one session is."""
        made = self.draft(pids=[str(pid)])
        assert len(made.targets) == 1, made.left_out
        return made.targets[0]

    def act(self, target: Target) -> list[Row]:
        """Do what a target says, as the gate does."""
        return self.database.act(Opening(target.act, "key"))

    def look(self, target: Target) -> Observed:
        """Observe a target."""
        return self.kind.observe(target)


@pytest.fixture
def stage(sandbox: object) -> Iterator[Stage]:
    """A database entered by the operator's door, and sessions that end with the test."""
    door = config.load_system(SYSTEM).environment("sandbox").operator
    assert door is not None
    with ExitStack() as stack:
        database = Database((door,), application_name="opslib/test/1")
        stack.callback(database.close)
        yield Stage(database, stack)


@pytest.fixture
def special(sandbox: object) -> Iterator[Callable[[str], str]]:
    """Return the address of a role that a platform would have."""
    with psycopg.connect(dsn("admin"), autocommit=True) as admin:
        for role, options in ROLES.items():
            admin.execute(f"create role {role} login password 'special' {options}".encode())
    yield lambda role: make_conninfo(dsn(), user=role, password="special")
    with psycopg.connect(dsn("admin"), autocommit=True) as admin:
        for role in ROLES:
            admin.execute(f"drop role {role}".encode())


def alive(connection: psycopg.Connection[Any]) -> bool:
    """Tell whether a session still answers."""
    try:
        return connection.execute("select 1").fetchone() == (1,)
    except psycopg.OperationalError:
        return False


def frame(*given: dict[str, Any]) -> pd.DataFrame:
    """Return candidates; what a row does not name is as of an idle session of an app."""
    columns = [column.name for column in sql.load("session_candidates").returns]
    plain: dict[str, Any] = {
        **dict.fromkeys(columns), "state": "idle", "application": "api", "in_state": 60.0,
        "transaction": float("nan"), "statement": float("nan"), "waiting": float("nan"), "blocked_by": [],
        "maintenance": False, "queues": False, "backend_start": "b", "state_change": "s", "query_start": "q",
    }  # fmt: skip
    found = [{**plain, "pid": n, **row} for n, row in enumerate(given, 1)]
    return pd.DataFrame(found, columns=columns, dtype="object")


def room(used: int, usable: int = 100) -> pd.DataFrame:
    """Return the slots of a server."""
    return pd.DataFrame([{"used": used, "usable": usable}])


def proposed(candidates: pd.DataFrame, *causes: str, slots: int = 50, **given: Any) -> Draft | None:
    """Return the proposal for candidates that were made up."""
    found = [Cause(cause, "") for cause in causes]
    return session.draft(found, candidates, room(slots), LIMITS.__getitem__, **given)


def test_what_identifies_a_session_keeps_its_microseconds(stage: Stage) -> None:
    """Signed as text and compared as a time: the server must find it equal to the last digit."""
    stage.open("api").execute("select 1")
    row = stage.rows()["api"]
    same = (
        "select backend_start = %(backend_start)s::timestamptz and query_start = %(query_start)s::timestamptz"
        " and state_change = %(state_change)s::timestamptz from pg_stat_activity where pid = %(pid)s"
    )
    with psycopg.connect(dsn("admin")) as admin:
        assert admin.execute(same.encode(), row).fetchone() == (True,)


def test_a_planned_session_is_ended_once_and_no_other(stage: Stage) -> None:
    """Gone when the act returns; a second act finds nothing to do; its neighbour does not notice."""
    chosen, neighbour = stage.open("api"), stage.open("api")
    target = stage.only(chosen.info.backend_pid)
    assert stage.look(target).fits(target.before)
    done = stage.act(target)
    assert done[0]["gone"] and not alive(chosen)
    assert stage.look(target).fits(target.after) and stage.look(target).text == "gone"
    assert not stage.act(target) and alive(neighbour)


@pytest.mark.parametrize("state", ["idle", "idle in transaction"])
def test_a_session_that_has_worked_since_is_left_alone(stage: Stage, state: str) -> None:
    """It looks the same, and is in use: its clock says so."""
    connection = stage.open("api")
    if state != "idle":
        connection.execute("begin")
    connection.execute("select 1")
    target = stage.only(connection.info.backend_pid)
    connection.execute("select 1")
    seen = stage.look(target)
    assert seen.values["state"] == state and not seen.fits(target.before) and not seen.fits(target.after)
    assert not stage.act(target) and alive(connection)


def test_another_session_with_the_same_number_is_left_alone(stage: Stage) -> None:
    """A process number comes again; the moment of its start does not."""
    connection = stage.open("api")
    found = stage.only(connection.info.backend_pid)
    was = {"backend_start": "2020-01-01T00:00:00.000001Z"}
    act = Statement("terminate_session", {**found.act.params, **was})
    earlier = Target(found.name, {**found.identity, **was}, found.before, found.after, act)
    assert "another session now" in stage.look(earlier).text
    assert not stage.act(earlier) and alive(connection)


def test_a_statement_is_cancelled_and_its_session_lives_on(stage: Stage) -> None:
    """The next statement of the same session is not the one that was shown."""
    connection = stage.open("report")
    with closing(Busy(connection, "select pg_sleep(60)")):
        wait(lambda: stage.rows()["report"]["state"] == "active")
        target = stage.draft(sessions.LONG).targets[0]
        assert target.act.text.startswith("cancel_session")
        assert stage.look(target).fits(target.before)
        assert stage.act(target)[0]["signalled"]
        wait(lambda: stage.look(target).fits(target.after))
    assert not stage.act(target)


def test_a_cancel_never_hits_the_next_statement(stage: Stage) -> None:
    """The same session, busy again: not the statement that was shown."""
    connection = stage.open("report")
    with closing(Busy(connection, "select pg_sleep(60)")):
        wait(lambda: stage.rows()["report"]["state"] == "active")
        target = stage.draft(sessions.LONG).targets[0]
        connection.cancel_safe()
    again = stage.open("report-again")
    with closing(Busy(again, "select pg_sleep(60)")):
        wait(lambda: stage.rows()["report-again"]["state"] == "active")
        row = stage.rows()["report-again"]
        moved = {"pid": row["pid"], "backend_start": row["backend_start"]}
        act = Statement("cancel_session", {**target.act.params, **moved})
        assert not stage.act(Target("x", moved, target.before, target.after, act))
        assert stage.rows()["report-again"]["state"] == "active"


def test_a_session_that_ignores_a_cancel_is_ended_instead(stage: Stage) -> None:
    """Idle in a transaction, or waiting for a client that takes no rows: a cancel would do nothing."""
    forgotten, deaf = stage.open("forgotten"), stage.open("deaf")
    forgotten.execute("begin")
    deaf.pgconn.send_query(b"select repeat('x', 1000) from generate_series(1, 1000000)")
    wait(lambda: (stage.rows()["deaf"]["waits_for"] or "").startswith("Client:"))
    for connection in (forgotten, deaf):
        target = stage.only(connection.info.backend_pid)
        assert target.act.text.startswith("terminate_session")
        assert stage.act(target)[0]["gone"]


def test_what_must_live_is_never_chosen_and_survives_the_end_of_all(
    stage: Stage, special: Callable[[str], str]
) -> None:
    """Real sessions of each protected sort, next to ordinary ones that all end."""
    kept = {
        "root": stage.open("root", address=dsn("admin")),
        "replica": stage.open("replica", address=special("replicator"), replication="database"),
        "snapshot": stage.open("snapshot", address=special("replicator")),
        "gotrue": stage.open("gotrue", address=special("supabase_auth_admin")),
        "opslib/other/1": stage.open("opslib/other/1"),
        "pg_dump": stage.open("pg_dump"),
        "Supavisor": stage.open("Supavisor"),
        "PostgREST 12": stage.open("PostgREST 12"),
        "pg_cron": stage.open("pg_cron"),
        "leader": stage.open("leader"),
        "elsewhere": stage.open("elsewhere", address=make_conninfo(dsn(), dbname="template1")),
    }
    kept["leader"].execute("select pg_advisory_lock(42)")
    held = stage.open("holder")
    held.execute("begin")
    held.execute(f"delete from {TABLE} where false".encode())
    building = stage.busy("indexer", f"create index concurrently slow_idx on {TABLE} (event_type)")
    ordinary = [stage.open("api"), stage.open("worker")]
    wait(lambda: stage.rows()["indexer"]["state"] == "active" and stage.rows()["indexer"]["waiting"] > 0)
    made = stage.draft(repair="kill-all")
    assert made.risk is Risk.BREAK_GLASS
    ended = {target.name.split(" (")[0] for target in made.targets}
    named = {name.split(" (")[0] for name in made.left_out}
    assert ended >= {"api", "worker", "holder"} and not ended & {*kept, "indexer"}
    assert named >= {*kept, "indexer"}
    for target in made.targets:
        stage.act(target)
    assert not any(alive(connection) for connection in (*ordinary, held))
    still = {row["application"] for row in stage.rows().values()}
    assert still >= set(kept)
    assert all(alive(connection) for name, connection in kept.items() if name != "replica")
    wait(lambda: building not in {row["pid"] for row in stage.rows().values() if row["state"] == "active"})
    with psycopg.connect(dsn("admin"), autocommit=True) as admin:
        valid = admin.execute("select indisvalid from pg_index where indexrelid = 'slow_idx'::regclass")
        assert valid.fetchone() == (True,)
        admin.execute("drop index slow_idx")


def test_an_act_that_was_forged_still_spares_what_must_live(
    stage: Stage, special: Callable[[str], str]
) -> None:
    """The statement itself refuses, whatever a plan says: superuser, replication, own, elsewhere."""
    kept = [
        stage.open("root", address=dsn("admin")),
        stage.open("replica", address=special("replicator"), replication="database"),
        stage.open("opslib/other/1"),
        stage.open("elsewhere", address=make_conninfo(dsn(), dbname="template1")),
    ]
    for connection in kept:
        row = next(r for r in stage.rows().values() if r["pid"] == connection.info.backend_pid)
        same = {name: row[name] for name in ("pid", "backend_start", "state_change")}
        act = Statement("terminate_session", {**same, "state": row["state"], "wait_ms": 1000})
        assert not stage.act(Target("forged", same, {}, {}, act))
    assert {row["pid"] for row in stage.rows().values()} >= {c.info.backend_pid for c in kept}


def test_a_role_that_owns_the_tables_may_have_the_replication_attribute(stage: Stage) -> None:
    """Supabase and Neon give it to the customer's own role: its sessions are still the app's."""
    with psycopg.connect(dsn("admin"), autocommit=True) as admin:
        admin.execute(f"alter role app_{SYSTEM} replication".encode())
        try:
            stage.only(stage.open("api").info.backend_pid)
        finally:
            admin.execute(f"alter role app_{SYSTEM} noreplication".encode())


@pytest.mark.parametrize(
    "query, maintains",
    [
        ("vacuum full notes", True),
        ("  /* job */ -- nightly\n  ALTER TABLE notes add x int", True),
        ("create unique index concurrently i on notes (a)", True),
        ("select 'vacuum'", False),
        ("alternate", False),
        ("with x as (select 1) select * from x", False),
    ],
)
def test_maintenance_is_told_by_its_first_word(stage: Stage, query: str, maintains: bool) -> None:
    """Also behind remarks, in capitals, and not by a word that only looks like it."""
    text = sql.load("session_candidates").text
    pattern = text[text.index("concat(") : text.index(", false)) as maintenance")]
    with psycopg.connect(dsn("admin")) as admin:
        found = admin.execute(f"select %s ~* {pattern}".encode(), (query,)).fetchone()
    assert found == (maintains,)


def test_cancelling_the_ddl_alone_frees_those_behind_it(stage: Stage) -> None:
    """The root only reads: readers pass as soon as nobody waits for more than that before them."""
    root = stage.open("root-of-all")
    root.execute("begin")
    root.execute(f"select count(*) from {TABLE}".encode())
    stage.busy("migration", f"alter table {TABLE} alter column event_type set not null")
    wait(lambda: stage.rows()["migration"]["queues"])
    reader = stage.busy("reader", f"select count(*) from {TABLE}")
    wait(lambda: stage.rows()["reader"]["waiting"] > 0.1)
    made = stage.draft(sessions.STORM)
    done = [(target.name.split(" (")[0], target.act.text.split("(")[0]) for target in made.targets]
    assert done == [("migration", "cancel_session"), ("root-of-all", "terminate_session")]
    assert "nothing is lost" in made.targets[0].effect
    stage.act(made.targets[0])
    wait(lambda: stage.rows()["reader"]["state"] == "idle")
    assert stage.rows()["reader"]["pid"] == reader and alive(root)
    wait(lambda: stage.look(made.targets[0]).fits(made.targets[0].after))


def test_a_root_that_works_is_cancelled_and_one_that_must_live_is_only_named() -> None:
    """A root without a session cannot be ended at all."""
    waiting = {"state": "active", "waits_for": "Lock: relation", "waiting": 9.0}
    candidates = frame(
        {"pid": 1, "application": "report", "state": "active"},
        {"pid": 2, "application": "backup", "state": "active", "protected_reason": "it is a backup"},
        *({**waiting, "pid": 3 + root, "blocked_by": [root]} for root in (1, 2, 0)),
    )
    made = proposed(candidates, sessions.STORM)
    assert made and [target.identity["pid"] for target in made.targets] == [1]
    assert made.targets[0].act.text.startswith("cancel_session")
    assert made.left_out == {
        "backup (pid 2)": "it is a backup",
        "(prepared transaction)": "it has no session: commit it or roll it back by its name",
    }


def test_as_few_idle_sessions_end_as_bring_the_slots_below_the_limit() -> None:
    """Of as few applications as possible, the longest idle first; 95 of 100 slots, 75 are the aim."""
    leaking = [{"application": "lambda"}] * 30 + [{"application": "web"}] * 25
    made = proposed(frame(*leaking), connections.IDLE, slots=95)
    assert made and [target.identity["pid"] for target in made.targets] == list(range(1, 21))
    assert made.numbers["sessions"] == 20 and made.numbers["applications"] == 1
    both = proposed(frame(*leaking), connections.IDLE, slots=115)
    assert both and both.numbers["sessions"] == 40 and both.numbers["applications"] == 2
    cut = proposed(frame(*leaking), connections.IDLE, slots=115, most=10)
    assert cut and len(cut.targets) == 10 and "30 more" in cut.left_out


def test_nothing_is_proposed_for_a_cause_that_no_ending_mends() -> None:
    """Nor when nothing was found, nothing is wanted, or nothing could be seen."""
    idle = frame({}, {"state": "idle in transaction"}, {"state": "active", "statement": 900.0})
    for cause in ("database-down", "pool-too-small", connections.ACTIVE):
        assert proposed(idle, cause) is None
    assert proposed(idle) is None
    assert proposed(idle, sessions.LONG, repair="none") is None
    blind = frames.unavailable(list(idle.columns), "nobody answers")
    assert proposed(blind, sessions.LONG) is None
    assert session.draft([Cause(sessions.LONG, "")], idle, blind, LIMITS.__getitem__) is None
    assert frames.reason(session.shown(blind)) == "nobody answers"


def test_sessions_named_by_hand_are_exactly_those() -> None:
    """One that must live stays, whoever asks; one that is not there is named."""
    candidates = frame({}, {}, {"protected_reason": "it is a superuser's"})
    made = proposed(candidates, sessions.LONG, pids=["2", "3", "99"])
    assert made and [target.identity["pid"] for target in made.targets] == [2]
    assert made.left_out == {"api (pid 3)": "it is a superuser's", "pid 99": "there is no such session"}
    none = proposed(candidates, pids=["3"])
    assert none and not none.targets and none.left_out


def test_a_proposal_says_what_is_lost_for_good() -> None:
    """In figures, and that nothing brings it back."""
    candidates = frame(
        {"state": "idle in transaction", "transaction": 99.0, "in_state": 90.0}, {"application": "web"}
    )
    made = proposed(candidates, repair="kill-all")
    assert made and made.numbers == {
        "sessions": 2, "applications": 2, "open transactions": 1, "seconds in its state at most": 90,
    }  # fmt: skip
    assert "rolled back" in made.blast and made.not_undoable and not made.undo
    assert all(target.undo is None and target.effect for target in made.targets)


# A lock storm is among the procedures of test_changes.
REPAIRED = [connections.IDLE, sessions.FORGOTTEN, sessions.LONG]


def perform(archive: Path, **given: Any) -> dict[str, Any]:
    """Run the procedure and return its document."""
    procedure = catalog.load(ROOT / "notebooks").get("database-connections")
    return run(Request(procedure, SYSTEM, "sandbox", given, archive=archive)).document


def approve(digest: str, signer: keys.Signer, archive: Path, *, glass: bool = False) -> None:
    """Sign a plan."""
    until = ids.stamp(ids.now() + timedelta(minutes=10))
    document = signing.sign(
        signing.APPROVAL, digest, signer, reason="rehearsal", system=SYSTEM, environment="sandbox",
        break_glass=glass, expires_at=until,
    )  # fmt: skip
    Changes(archive).add_approval(digest, document)


@pytest.mark.parametrize("scenario", REPAIRED)
def test_a_fault_is_planned_approved_repaired_and_found_well(
    sandbox: object, signer: keys.Signer, tmp_path: Path, scenario: str
) -> None:
    """The verdict after it is that of the same questions; done twice, nothing more is done."""
    control.break_(scenario, SYSTEM)
    planned = perform(tmp_path)
    assert planned["verdict"] == "critical" and planned["cause"]["id"] == scenario
    assert not planned["changed"]
    digest = planned["plan"]["digest"]
    approve(digest, signer, tmp_path)
    given = {"dry_run": False, "approval": digest}
    first = perform(tmp_path, **given)
    assert first["verdict"] == "ok", (first["findings"], first["changed"])
    assert {result["state"] for result in first["changed"]} == {"done"}
    again = perform(tmp_path, **given)
    assert again["verdict"] == "ok", again["findings"]
    assert {result["state"] for result in again["changed"]} == {"already done"}
    assert len(again["changed"]) == len(first["changed"])
    control.heal()
    assert control.status()["broken"] == []


def test_all_sessions_end_only_when_the_glass_is_broken(
    stage: Stage, signer: keys.Signer, tmp_path: Path
) -> None:
    """An ordinary approval is not enough; those that must live are named in the plan, and live."""
    idle, dump = stage.open("api"), stage.open("pg_dump")
    used = stage.open("web")
    planned = perform(tmp_path, repair="kill-all")
    assert planned["plan"]["risk"] == planned["plan"]["needs"] == "break-glass"
    digest = planned["plan"]["digest"]
    given = {"repair": "kill-all", "dry_run": False, "approval": digest}
    approve(digest, signer, tmp_path)
    refused = perform(tmp_path, **given)
    assert refused["verdict"] == "unknown" and "glass" in refused["cause"]["text"]
    assert alive(idle)
    approve(digest, signer, tmp_path, glass=True)
    assert alive(used)
    done = {r["target"].split(" (")[0]: r["state"] for r in perform(tmp_path, **given)["changed"]}
    assert done["web"] == "left out" and "pg_dump" not in done
    assert alive(dump) and alive(used)


def test_what_was_broken_heals_also_after_every_session_was_ended(stage: Stage) -> None:
    """The person who rehearses may take the last resort; the sandbox must come back all the same."""
    for scenario in (sessions.FORGOTTEN, sessions.STORM, sessions.LONG, "pool-too-small"):
        control.break_(scenario, SYSTEM)
    made = stage.draft(repair="kill-all")
    for target in made.targets:
        stage.act(target)
    assert not {row["pid"] for row in stage.rows().values()} & {t.identity["pid"] for t in made.targets}
    assert len(control.heal()) == 4 and control.status()["broken"] == []
