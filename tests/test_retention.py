"""Nothing is kept for longer than the policy allows, and nothing is deleted that somebody has not stated."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import psycopg
import pytest

from opslib import config, frames
from opslib.archive.changes import Changes
from opslib.changes import archiving
from opslib.checks import old_rows, old_rows_look, retention
from opslib.checks.old_rows import Rule, Seen
from opslib.config import Limit
from opslib.errors import ParameterError, SourceError
from opslib.gate import faults
from opslib.pg import Database, sql
from opslib.pg.frame import Row
from opslib.sandbox import control
from opslib.verdict import Status
from tests.acting import ROOT, Case, applied, planned, ready, states
from tests.answers import administrator, monitor, unanswered

SYSTEM = "your-app"
OVERDUE = Case("retention", "retention-overdue", SYSTEM, {"batch": 100})
NOW = datetime(2026, 11, 22, 3, tzinfo=UTC)
HOURS = Limit(warning=26, critical=74, unit="h")
POLICY = {"table_name": "events", "column_name": "timestamp", "keep_days": 90, "legal_hold": False}
RULE = Rule("events", "timestamp", "2026-08-23T00:00:00+00:00", 90)


def own(*rows: dict[str, Any]) -> pd.DataFrame:
    """Return the app's own policies."""
    columns = [column.name for column in sql.load("retention_policies").returns]
    frame = pd.DataFrame([{**dict.fromkeys(columns), **row} for row in rows], columns=columns)
    return frame.astype({"last_cleanup_at": "datetime64[us, UTC]"})


def overdue(**rule: Any) -> Seen:
    """Return a look at a table with old rows, that could be deleted."""
    made = Rule(**{**RULE.__dict__, **rule})
    values = {"rows": 5, "checksum": "1", "structure": "x"}
    identity = {"table": ["public", "events"], "key": "id", "time": "timestamp", "since": "a", "cutoff": "b"}
    return Seen(made, rows=5, oldest="2026-01-01T00:00:00Z", identity=identity, values=values)


@pytest.fixture
def archive(signer: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An archive in the running sandbox, and a key to approve with."""
    ready(monkeypatch, tmp_path)
    yield tmp_path


def events(condition: str) -> int:
    """Return how many events there are of a kind."""
    with psycopg.connect(control.status()["databases"][SYSTEM]["admin"], autocommit=True) as connection:
        row = connection.execute(f"select count(*) from events where {condition}".encode()).fetchone()
    assert row
    return int(row[0])


def test_overdue_rows_are_deleted_in_batches_and_none_besides_also_when_killed_between(
    archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is gone is gone: so the plan says, and so it counts."""
    others = events("true")
    control.break_(OVERDUE.scenario, SYSTEM)
    document = planned(OVERDUE, archive)
    assert (document["verdict"], document["cause"]["id"]) == ("warning", "retention-overdue")
    plan = Changes(archive).plan(document["plan"]["digest"])
    assert "only a backup has them" in str(plan["not_undoable"])
    assert [target["undo"] for target in plan["targets"]] == [None]
    monkeypatch.setenv(faults.VARIABLE, f"{faults.STEP}:1")
    assert applied(OVERDUE, document, archive)["cause"]["id"] == "kernel-died"
    assert 0 < events("name = 'kept-for-too-long'") < 400
    monkeypatch.delenv(faults.VARIABLE)
    after = applied(OVERDUE, document, archive)
    assert (after["verdict"], states(after)) == ("ok", ["done"])
    assert (events("name = 'kept-for-too-long'"), events("true")) == (0, others)


def test_a_hold_that_comes_after_the_approval_ends_the_deletion(
    archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut off after some batches; then somebody needs what is left."""
    control.break_(OVERDUE.scenario, SYSTEM)
    document = planned(OVERDUE, archive)
    monkeypatch.setenv(faults.VARIABLE, f"{faults.STEP}:1")
    assert applied(OVERDUE, document, archive)["cause"]["id"] == "kernel-died"
    monkeypatch.delenv(faults.VARIABLE)
    left = events("name = 'kept-for-too-long'")
    with psycopg.connect(control.status()["databases"][SYSTEM]["admin"], autocommit=True) as admin:
        hold = "update retention_policies set legal_hold = {} where table_name = 'events'"
        admin.execute(hold.format("true").encode())
        try:
            after = applied(OVERDUE, document, archive)
        finally:
            admin.execute(hold.format("false").encode())
            admin.execute(b"vacuum retention_policies")  # others look for dead rows
    assert states(after) == ["failed"] and "legal hold" in after["changed"][0]["text"], after["changed"]
    assert events("name = 'kept-for-too-long'") == left > 0


@pytest.mark.parametrize("kind", ["timestamptz", "timestamp", "date"])
def test_rows_without_a_time_are_named_and_never_planned(sandbox: object, kind: str) -> None:
    """No age can be told of them, so that they would stay for ever and nobody would know."""
    rule = Rule("parcels", "sent_at", "2026-08-23T00:00:00+00:00", 90)
    with administrator(SYSTEM) as admin, monitor(SYSTEM) as database:
        admin.execute(f"create table parcels (id integer primary key, sent_at {kind})".encode())
        try:
            admin.execute(
                "insert into parcels values (1, null), (2, '-infinity'), (3, 'infinity'), (4, now())"
            )
            looks = old_rows_look.look(database, [rule])
            (found,) = old_rows_look.timeless(database, looks)
            admin.execute("delete from parcels where id < 4")
            (none,) = old_rows_look.timeless(database, looks)
        finally:
            admin.execute("drop table parcels")
    assert (looks[0].rows, found.subject, found.status, found.observed) == (0, "parcels", Status.WARNING, "3")
    assert none.status is Status.OK


def test_whether_rows_have_a_time_is_unknown_where_nobody_answers() -> None:
    """What could not be counted is not none."""

    class Nobody:
        """A database that lets nobody look."""

        def table(self, name: str, /, **params: Any) -> pd.DataFrame:
            """Return why there is no answer."""
            return unanswered(name)

        def rows(self, name: str, /, **params: Any) -> list[Row]:
            """Say why there is no answer."""
            raise SourceError(str(frames.reason(unanswered(name))))

    (found,) = old_rows_look.timeless(Nobody(), [overdue()])
    assert found.status is Status.UNKNOWN


def test_a_table_without_a_policy_is_refused_and_nobody_makes_one_up() -> None:
    """An age typed at night is no policy."""
    with pytest.raises(ParameterError, match="'users' has no policy; there are: security_audit, events"):
        old_rows.retention_rules(config.load_system(SYSTEM, ROOT), table="users")


def test_a_row_is_overdue_a_day_after_its_time() -> None:
    """The clean-up runs once a day; in between nothing is wrong."""
    rules = old_rows.retention_rules(config.load_system(SYSTEM, ROOT), table="events", now=NOW)
    assert [(rule.days, rule.before) for rule in rules] == [(90, "2026-08-23T00:00:00+00:00")]


@pytest.mark.parametrize("other", [{"keep_days": 30}, {"column_name": "created_at"}])
def test_where_file_and_app_differ_nothing_is_planned(other: dict[str, Any]) -> None:
    """One of the two is wrong, and a guess would delete what nobody can bring back."""
    policies = own({**POLICY, **other})
    seen = retention.agreed([overdue()], policies)
    (found,) = retention.agreement(seen, policies)
    assert (found.status, found.cause) == (Status.WARNING, retention.DIFFERS)
    draft = archiving.draft(seen, config.load_system(SYSTEM, ROOT).environment("production"))
    assert draft and not draft.targets and "in the system's file" in draft.left_out["events"]


def test_a_policy_that_only_the_app_has_is_named() -> None:
    """No row of that table is looked at, so that nothing overdue would be found there."""
    policies = own(POLICY, {**POLICY, "table_name": "invoices"})
    (found,) = retention.unruled(config.load_system(SYSTEM, ROOT), policies)
    assert (found.subject, found.status, found.cause) == ("invoices", Status.WARNING, retention.DIFFERS)


@pytest.mark.parametrize("where", ["file", "app"])
def test_a_legal_hold_of_either_keeps_the_rows(where: str) -> None:
    """The hold outlives the policy."""
    policies = own({**POLICY, "legal_hold": where == "app"})
    seen = retention.agreed([overdue(hold=where == "file")], policies)
    draft = archiving.draft(seen, config.load_system(SYSTEM, ROOT).environment("production"))
    assert draft and not draft.targets and draft.left_out == {"events": "legal hold"}
    assert [one.status for one in old_rows.waiting(seen)] == [Status.SKIPPED]


def test_a_hold_or_a_rule_that_comes_after_the_plan_is_seen_by_the_gate(sandbox: object) -> None:
    """A lawyer's hold between approval and application must stop the deletion, batch by batch."""
    env, table = config.load_system(SYSTEM).environment("sandbox"), ["public", "events"]
    assert env.operator
    with (
        closing(Database([env.operator], application_name="opslib/test")) as database,
        psycopg.connect(control.status()["databases"][SYSTEM]["admin"], autocommit=True) as admin,
    ):

        def standing() -> str:
            return retention.standing(retention.policies(database), env.system, table)

        planned = standing()
        assert planned == "the system's file: 90 d by timestamp; the app: 90 d by timestamp"
        for change in ("legal_hold = true", "keep_days = 400", "column_name = 'created_at'"):
            kept = admin.execute("select * from retention_policies where table_name = 'events'").fetchone()
            admin.execute(f"update retention_policies set {change} where table_name = 'events'".encode())
            assert standing() != planned, change
            admin.execute("delete from retention_policies where table_name = 'events'")
            assert "the app: no rule" in standing()
            marks = ", ".join(["%s"] * len(kept or ()))
            admin.execute(f"insert into retention_policies values ({marks})".encode(), kept)
        admin.execute(b"vacuum retention_policies")  # others look for dead rows
        assert standing() == planned
        held = env.system.tables["events"].model_copy(update={"legal_hold": True})
        system = env.system.model_copy(update={"tables": {**env.system.tables, "events": held}})
        own = retention.policies(database)
        assert "90 d by timestamp, legal hold; the app" in retention.standing(own, system, table)
        assert "no rule; the app: no rule" in retention.standing(own, system, ["elsewhere", "events"])


def test_rows_of_which_nobody_has_said_whether_they_are_held_are_held(sandbox: object) -> None:
    """The app's own `where not legal_hold` would keep them, too."""
    env = config.load_system(SYSTEM).environment("sandbox")
    change = "alter table retention_policies alter legal_hold {} not null".format
    undecided = b"update retention_policies set legal_hold = null where table_name = 'events'"
    assert env.operator
    with (
        closing(Database([env.operator], application_name="opslib/test")) as database,
        psycopg.connect(control.status()["databases"][SYSTEM]["admin"], autocommit=True) as admin,
    ):
        admin.execute(change("drop").encode())
        try:
            admin.execute(undecided)
            found = retention.policies(database)
        finally:
            admin.execute(undecided.replace(b"null", b"false"))
            admin.execute(change("set").encode())
            admin.execute(b"vacuum retention_policies")  # others look for dead rows
    assert "legal hold" in retention.standing(found, env.system, ["public", "events"])


def test_a_policy_of_the_app_that_cannot_be_read_plans_nothing() -> None:
    """It may hold what the file does not know."""
    hidden = frames.unavailable(["table_name"], "our role may not see the rows")
    seen = retention.agreed([overdue()], hidden)
    assert seen[0].reason == "our role may not see the rows" and not seen[0].identity
    assert retention.agreement(seen, hidden)[0].status is Status.UNKNOWN
    assert retention.cleanup(hidden, HOURS)[0].status is Status.UNKNOWN


def test_an_app_without_such_a_table_goes_by_the_file() -> None:
    """Not to have it is no fault."""
    none = frames.unavailable(["table_name"], "the app has no table retention_policies", absent=True)
    assert retention.agreed([overdue()], none)[0].identity
    assert retention.cleanup(none, HOURS)[0].status is Status.SKIPPED


@pytest.mark.parametrize(
    ("hours", "status"),
    [(9, Status.OK), (30, Status.WARNING), (100, Status.CRITICAL), (None, Status.WARNING)],
)
def test_a_clean_up_that_stopped_is_found_before_rows_pile_up(hours: int | None, status: Status) -> None:
    """The job fails in silence; its last run does not."""
    last = None if hours is None else NOW - timedelta(hours=hours)
    (found,) = retention.cleanup(own({**POLICY, "last_cleanup_at": last}), HOURS, NOW)
    assert found.status is status
    assert found.cause is (None if status is Status.OK else retention.STOPPED)


def test_a_table_of_policies_without_rows_is_unknown() -> None:
    """Row level security shows it so, or somebody emptied it."""
    assert retention.cleanup(own(), HOURS, NOW)[0].status is Status.UNKNOWN


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"readable": True, "hidden": True}, "may not see"),
        ({"readable": False, "hidden": False}, "may not see"),
    ],
)
def test_policies_that_our_role_may_not_see_are_not_taken_for_none(facts: dict[str, bool], said: str) -> None:
    """What the role may not see is unknown."""

    class Database:
        """A database in which the table is there, and closed to us."""

        def table(self, name: str, /, **params: Any) -> pd.DataFrame:
            """Return the facts."""
            return pd.DataFrame([facts])

    assert said in str(frames.reason(retention.policies(Database())))


def test_rows_that_a_policy_forbids_are_called_so_and_not_slow() -> None:
    """An auditor asks what the policy says; a slow table is another matter."""
    late = Seen(Rule("audit", "at", "2026-01-01T00:00:00+00:00", 90), rows=5, oldest="2020-01-01T00:00:00Z")
    (overdue,), (old,) = old_rows.waiting([late], old_rows.OVERDUE), old_rows.waiting([late])
    assert overdue.why == "the policy says 90 days: they should not be there"
    assert "slower" in old.why
