"""The index that a slow statement lacks: planned from its plan, built beside all others, taken back, once."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import psycopg
import pytest

from opslib import catalog, frames
from opslib.changes import upkeep_wanted
from opslib.checks import plans, statements, statistics
from opslib.cli.app import cli
from opslib.config import Limit
from opslib.gate import faults
from opslib.sandbox import control
from opslib.verdict import Status
from tests.acting import ROOT, Case, applied, perform, planned, ready, states
from tests.answers import administrator, answer, monitor, unanswered
from tests.test_checks_statements import FACTS, QUERY, SCAN, TABLE, Planner

SYSTEM = "your-app"
CASE = Case("slow-queries", "missing-index", SYSTEM)
NAME = "viewing_log_person_idx"
BUILT = f"""select i.indisvalid, pg_get_indexdef(i.indexrelid) from pg_index i join pg_class c
on c.oid = i.indexrelid where c.relname = '{NAME}'"""
WHOLE = f"CREATE INDEX {NAME} ON public.viewing_log USING btree (person)"
WANTED: dict[str, Any] = {
    "schema": "public", "table_name": "logs", "index_name": "logs_person_idx", "columns": ["person"],
    "definition": "CREATE INDEX", "for_migration": "create index", "bytes": 1, "in_progress": False,
    "stands": "",
}  # fmt: skip
STRANGE = 'Weird "per % cent" {x}'


@pytest.fixture
def archive(signer: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An archive in the running sandbox with its missing index, and a key to approve with."""
    ready(monkeypatch, tmp_path)
    control.break_("missing-index", SYSTEM)
    yield tmp_path


def built() -> list[tuple[Any, ...]]:
    """Return whether the index is whole, and what the server says of it."""
    with administrator(SYSTEM) as admin:
        return admin.execute(BUILT.encode()).fetchall()


def proposed(*rows: dict[str, Any], **given: Any) -> tuple[list[str], dict[str, str]]:
    """Return what is proposed of made-up wishes, and what is left out."""
    asked = {"indexes": answer("indexes"), "horizon": answer("xmin_horizon"), **given}
    draft = upkeep_wanted.build(answer("wanted_index", *rows), **asked)
    return ([], {}) if draft is None else ([t.name for t in draft.targets], dict(draft.left_out))


def test_a_missing_index_is_planned_built_found_built_and_taken_back(
    archive: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A dry run builds nothing; done twice is done once; undo drops that index and no other."""
    document = planned(CASE, archive)
    assert document["plan"]["targets"] == [f"build public.{NAME}"] and built() == []
    after = applied(CASE, document, archive)
    assert (after["verdict"], states(after)) == ("ok", ["done"]), after["findings"]
    assert built() == [(True, WHOLE)]
    assert states(applied(CASE, document, archive)) == ["already done"] and built() == [(True, WHOLE)]
    capsys.readouterr()
    cli.main(["undo", after["run_id"]], standalone_mode=False)
    screen = capsys.readouterr().out
    assert built() == [] and f"take back: build public.{NAME}" in screen
    assert "opslib undo" not in screen
    again = shlex.split(screen.partition("To do it again: ")[2].splitlines()[0])
    assert again == ["opslib", "plan", "slow-queries", "--system", SYSTEM, "--env", "sandbox"]
    assert cli.main(again[1:], standalone_mode=False) == 1
    assert f"build public.{NAME}" in capsys.readouterr().out


def test_killed_at_any_point_and_applied_again_it_is_built_once(
    archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the build there is nothing, after it the whole index; never a second one."""
    document = planned(CASE, archive)
    found = []
    for point in ("after-intent", "after-act", ""):
        monkeypatch.setenv(faults.VARIABLE, point)
        after = applied(CASE, document, archive)
        found.append(built())
    assert found == [[], [(True, WHOLE)], [(True, WHOLE)]]
    assert (after["verdict"], states(after)) == ("ok", ["done"]), after["findings"]


def test_what_a_cut_off_build_left_is_found_and_built_again(archive: Path) -> None:
    """An invalid index costs each write and serves no query; its name is not merely taken."""
    doors = control.status()["databases"][SYSTEM]
    with closing(psycopg.connect(doors["app"])) as older, closing(
        psycopg.connect(doors["app"], autocommit=True)
    ) as app:  # fmt: skip
        older.execute("insert into viewing_log values (-1, -1)")
        app.execute("set statement_timeout = '200ms'")
        with pytest.raises(psycopg.errors.QueryCanceled):
            app.execute(f"create index concurrently {NAME} on viewing_log (person)".encode())
        older.rollback()
    assert built() == [(False, WHOLE)]
    document = planned(CASE, archive)
    assert document["plan"]["targets"] == [f"rebuild public.{NAME}"]
    after = applied(CASE, document, archive)
    assert (after["verdict"], states(after)) == ("ok", ["done"]), after["findings"]
    assert built() == [(True, WHOLE)]


def test_without_the_right_nothing_is_built_and_the_reason_is_told(archive: Path) -> None:
    """The table belongs to somebody else by now."""
    document = planned(CASE, archive)
    with administrator(SYSTEM) as admin:
        admin.execute("alter table viewing_log owner to postgres")
    after = applied(CASE, document, archive)
    assert states(after) == ["left out"] and built() == []
    assert "may not: viewing_log belongs to postgres" in after["changed"][0]["text"]


def test_a_line_for_a_migration_does_nothing_where_the_index_is_there(archive: Path) -> None:
    """Else the deployment after the incident would fail on it."""
    document = planned(CASE, archive)
    applied(CASE, document, archive)
    with monitor(SYSTEM) as asked:
        given = {"schema": "public", "table": "viewing_log", "column": "person"}
        line = asked.table("wanted_index", **given).iloc[0]["for_migration"]
    with closing(psycopg.connect(control.status()["databases"][SYSTEM]["app"])) as app:
        app.execute(line.encode())
        app.rollback()
        app.execute("drop index viewing_log_person_idx")
        app.execute(line.encode())
        assert app.execute(BUILT.encode()).fetchall() == [(True, WHOLE)]


def test_the_server_says_of_an_index_what_was_promised_whatever_the_names(sandbox: object) -> None:
    """Quotes, capitals and signs are no reason to build another index than the plan shows."""
    quoted = '"' + STRANGE.replace('"', '""') + '"'
    with administrator(SYSTEM) as admin, monitor(SYSTEM) as asked:
        admin.execute(f"create table {quoted} ({quoted} int)".encode())
        try:
            given = {"schema": "public", "table": STRANGE, "column": STRANGE}
            (row,) = asked.table("wanted_index", **given).to_dict("records")
            admin.execute(row["for_migration"].encode())
            said = admin.execute("select indexdef from pg_indexes where tablename = %s", [STRANGE]).fetchone()
            assert said == (row["definition"],) and row["stands"] == ""
            assert asked.table("wanted_index", **given).iloc[0]["stands"] == "other"
            assert asked.table("wanted_index", **{**given, "column": "gone"}).empty
        finally:
            admin.execute(f"drop table {quoted}".encode())


_WHY_NOT = (("other", "name is taken"), ("partitions", "one by one"), ("wide", "does not fit"))


def test_of_a_partition_the_whole_table_gets_the_index_and_wide_values_get_none(sandbox: object) -> None:
    """Partitions to come would lack it; and the app's next insert of a long text would fail."""
    with administrator(SYSTEM) as admin, monitor(SYSTEM) as asked:
        admin.execute(
            b"create table events_by (k int, note text) partition by range (k);"
            b"create table events_by_1 partition of events_by for values from (1) to (100);"
            b"insert into events_by select 1, repeat(md5(n::text), 20) from generate_series(1, 50) n;"
            b"analyze events_by; create table notes_alone as select note from events_by; analyze notes_alone;"
            b"grant select on notes_alone to opslib_monitor"
        )
        try:
            given = {"schema": "public", "table": "events_by_1", "column": "k"}
            (row,) = asked.table("wanted_index", **given).to_dict("records")
            assert row["stands"] == "partitions" and " on public.events_by (k)" in row["for_migration"]
            wide = {"schema": "public", "table": "notes_alone", "column": "note"}
            assert asked.table("wanted_index", **wide).iloc[0]["stands"] == "wide"
        finally:
            admin.execute(b"drop table events_by, notes_alone")


def test_an_index_that_could_not_be_built_is_not_planned_though_the_sample_shows_short_values_only(
    sandbox: object,
) -> None:
    """One long value stops the build; and what it leaves behind would stop each later one."""
    with administrator(SYSTEM) as admin, monitor(SYSTEM) as asked:
        admin.execute("create table tokens (id int, token text, code varchar(40), amount numeric, word text)")
        admin.execute("alter table tokens alter token set storage external")
        admin.execute(
            "insert into tokens select n, concat('t', n), concat('c', n), n, concat('w', n)"
            " from generate_series(1, 2000) n union all select 0, repeat('x', 3000), 'c', 0, 'w'"
        )
        admin.execute("analyze tokens")
        try:

            def stands(column: str) -> str:
                found = asked.table("wanted_index", schema="public", table="tokens", column=column)
                return str(found.iloc[0]["stands"])

            with pytest.raises(psycopg.errors.ProgramLimitExceeded):
                admin.execute("create index concurrently tokens_token_idx on tokens (token)")
            assert [stands(name) for name in ("token", "word")] == ["wide", "wide"]
            assert [stands(name) for name in ("id", "code", "amount")] == ["", "", ""]
            admin.execute("delete from tokens where id = 0")
            admin.execute("vacuum full analyze tokens")
            assert [stands(name) for name in ("token", "word")] == ["other", ""]
        finally:
            admin.execute("drop table tokens")


def test_what_cannot_be_built_here_is_named_with_its_reason() -> None:
    """A taken name, a table of partitions, a build under way, an old transaction, one plan's most."""
    for stands, said in _WHY_NOT:
        targets, left = proposed(WANTED | {"stands": stands})
        assert not targets and said in next(iter(left.values()))
    assert "being built now" in str(proposed(WANTED | {"in_progress": True}))
    old = answer("xmin_horizon", {"holder": "session", "name": "1", "owner": "app", "since": 4000.0})
    assert "it would wait for session 1" in str(proposed(WANTED, horizon=old))
    other = WANTED | {"index_name": "logs_what_idx"}
    assert proposed(WANTED, other, most=1)[0] == ["build public.logs_person_idx"]
    elsewhere = WANTED | {"schema": "other"}
    assert proposed(WANTED, elsewhere, only=[["other", "logs"]])[0] == ["build other.logs_person_idx"]


def test_what_a_failed_build_left_is_built_again_once() -> None:
    """Whatever made it fail twice stops it a third time."""
    left = {
        "schema": "public", "table_name": "logs", "index_name": "logs_person_idx", "build": "7", "bytes": 1,
        "is_valid": False, "is_ready": False, "definition": "CREATE INDEX", "leftover": "failed build",
    }  # fmt: skip
    copy = left | {"index_name": "logs_person_idx_ccnew1", "leftover": "failed copy of a rebuild"}
    row = WANTED | {"stands": "leftover"}
    assert proposed(row, indexes=answer("indexes", left))[0] == ["rebuild public.logs_person_idx"]
    targets, kept = proposed(row, indexes=answer("indexes", left, copy))
    assert not targets and "neither its build nor its rebuild" in kept["rebuild public.logs_person_idx"]


def test_nothing_is_planned_where_nobody_asks_or_nobody_could_look() -> None:
    """A plan that was not seen asks for no index."""
    assert proposed(WANTED, repair="none") == ([], {})
    assert proposed(WANTED, indexes=unanswered("indexes")) == ([], {})
    blind = upkeep_wanted.wanted(lambda *a, **k: answer("wanted_index"), unanswered("table_scans"))
    assert frames.reason(blind)
    assert upkeep_wanted.build(blind, answer("indexes"), answer("xmin_horizon")) is None


def test_only_columns_without_an_index_are_asked_for() -> None:
    """One that an index begins with already has another fault."""
    looks = plans.look(Planner(SCAN), answer("slow_statements", QUERY), FACTS, 5)
    asked: list[dict[str, Any]] = []

    def table(name: str, **given: Any) -> pd.DataFrame:
        asked.append(given)
        return answer("wanted_index", WANTED)

    for led_by in (["id"], ["id", "person"]):
        found = plans.candidates(plans.scans(looks), answer("table_scans", TABLE | {"led_by": led_by}))
        upkeep_wanted.wanted(table, found)
    assert asked == [{"schema": "public", "table": "logs", "column": "person"}]


def test_old_statistics_lead_to_the_procedure_that_mends_them(archive: Path) -> None:
    """With its parameters filled in, so that it plans exactly that table."""
    control.heal("missing-index")
    control.break_("stats-stale", SYSTEM)
    document = perform("slow-queries", SYSTEM, archive)
    (step,) = [one for one in document["next"] if one["procedure"] == "vacuum-analyze"]
    assert step["parameters"]["tables"] == ["public.import_load"] and document["plan"] is None
    given = {name: step["parameters"][name] for name in ("tables",)}
    catalog.load(ROOT / "notebooks").get("vacuum-analyze").parse(given)
    plan = perform("vacuum-analyze", SYSTEM, archive, **given)["plan"]
    assert plan["targets"] == ["vacuum public.import_load"]


def test_a_strange_name_is_handed_on_as_it_must_be_typed() -> None:
    """What cannot be given to the next procedure is no help."""
    times = dict.fromkeys(("since", "made_at", "now"), datetime(2026, 11, 21, tzinfo=UTC))
    counted = answer("counted_since", times | {"is_replica": False, "tracked": True})
    row = {"schema": "public", "table_name": 'My "Own"', "live_rows": 90_000, "never_analyzed": True}
    (found,) = statistics.stale(
        answer("tended_tables", row | {"changed_rows": 90_000, "changed_pct": 100.0}),
        Limit(warning=20),
        counted,
    )
    assert found.next_parameters == {"tables": ['public."My ""Own"""']}


@pytest.mark.parametrize(
    ("least", "source", "status"),
    [
        (1000, "Query Optimization", Status.OK), (0, "Query Optimization", Status.OK),
        (-1, "Query Optimization", Status.WARNING), (5000, "Query Optimization", Status.WARNING),
        (-1, "opslib default", Status.SKIPPED),
    ],
)  # fmt: skip
def test_the_log_of_slow_statements_is_held_against_the_runbooks_figure(
    least: int, source: str, status: Status
) -> None:
    """Zero logs everything; -1 nothing; nobody's runbook asks for nothing."""
    limit = Limit(warning=1000, unit="ms", source=source)
    found = statements.logged(answer("statements_located", {"log_min_duration_ms": least}), limit)
    assert found.status is status
    assert statements.logged(unanswered("statements_located"), limit).status is Status.UNKNOWN


def test_a_log_that_somebody_switched_off_is_found(sandbox: object, tmp_path: Path) -> None:
    """By the setting that new sessions of that database get."""
    with administrator(SYSTEM) as admin:
        admin.execute('alter database "your-app" set log_min_duration_statement = -1')
        try:
            document = perform("slow-queries", SYSTEM, tmp_path)
        finally:
            admin.execute('alter database "your-app" reset log_min_duration_statement')
    (found,) = [one for one in document["findings"] if one["check"] == "slow log"]
    assert (found["status"], found["observed"], found["limit"]) == ("warning", "switched off", "1 000 ms")
