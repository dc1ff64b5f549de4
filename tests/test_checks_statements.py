"""Slow statements: what takes the time, what became slower, what lacks an index, what cannot be planned."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pandas as pd
import psycopg
import pytest

from opslib import config, frames
from opslib.checks import planner, plans, statements
from opslib.config import Limit
from opslib.errors import SourceError
from opslib.run.sources import DatabaseSource
from opslib.sandbox import control
from opslib.verdict import Finding, Status
from tests.answers import REFUSED, administrator, answer, causes, monitor, statuses, stranger, unanswered

SYSTEM = "your-app"
LIMIT = Limit(warning=1000, unit="ms")
QUERY: dict[str, Any] = {
    "queryid": "7", "role": "web", "calls": 200, "total_ms": 400.0, "mean_ms": 2.0, "rows_per_call": 1.0,
    "share_pct": 1.0, "query": "select 1",
}  # fmt: skip
TABLE: dict[str, Any] = {
    "schema": "public", "table_name": "logs", "rows_estimate": 50_000, "seq_scans": 40, "index_scans": 0,
    "bytes": 2_000_000, "led_by": ["id"], "hashed": [], "partial": None, "varchars": ["person"],
    "distinct_values": None,
}  # fmt: skip
WHOLE: dict[str, Any] = {
    "Node Type": "Seq Scan", "Schema": "public", "Relation Name": "logs", "Plan Rows": 3,
    "Filter": "(logs.person = $1)",
}  # fmt: skip
SCAN: dict[str, Any] = {"Node Type": "Limit", "Plans": [WHOLE]}
FACTS = answer("server_facts", {"is_superuser": False})


@pytest.fixture
def asked(sandbox: object) -> Iterator[DatabaseSource]:
    """A rehearsed system's database, as a notebook meets it."""
    env = config.load_system(SYSTEM).environment("sandbox")
    source = DatabaseSource(env, "opslib/tests", lambda call: None)
    yield source
    source.close()


class Planner:
    """A database that gives one plan for everything, or one reason why it gives none."""

    def __init__(
        self, plan: dict[str, Any] | None = None, reason: str = REFUSED, absent: bool = False
    ) -> None:
        self._frame = frames.unavailable(["plan"], reason, absent=absent)
        if plan:
            self._frame = pd.DataFrame({"plan": [plan]})

    def plan(self, query: str) -> pd.DataFrame:
        """Return it."""
        return self._frame


def judged(plan: dict[str, Any] | None, table: dict[str, Any], **planner: Any) -> list[Finding]:
    """Judge one statement that has this plan over one table."""
    looks = plans.look(Planner(plan, **planner), answer("slow_statements", QUERY), FACTS, 5)
    return plans.missing_indexes(plans.scans(looks), answer("table_scans", table))


def times(text: str) -> pd.DataFrame:
    """Return one earlier record."""
    return pd.DataFrame([("ok", 1.0, text)], columns=["status", "observed", "text"])


def test_a_missing_index_is_named_with_its_evidence_on_both_sides(asked: DatabaseSource) -> None:
    """The column from the plan, the scans from the server's counters; with the index it is gone."""
    control.break_("missing-index", SYSTEM)
    (located, facts) = asked.table("statements_located"), asked.table("server_facts")
    where = statements.schema(located)
    top = asked.table("slow_statements", statements=where, min_calls=20, rows=10)
    looks = plans.look(asked, top, facts, 10)
    (found,) = plans.missing_indexes(plans.scans(looks), asked.table("table_scans"))
    assert (found.subject, causes([found])) == ("public.viewing_log (person)", {"missing-index"})
    assert "40 calls" in found.why and "(viewing_log.person = $1)" in found.why
    with administrator(SYSTEM) as admin:
        admin.execute("create index on viewing_log (person)")
    again = plans.scans(plans.look(asked, top, facts, 10))
    assert statuses(plans.missing_indexes(again, asked.table("table_scans"))) == {Status.OK}


def test_a_switch_that_was_left_off_is_named_with_whom_it_holds_for(asked: DatabaseSource) -> None:
    """For a database as for a role; opslib sees it though its own session may not be touched by it."""
    control.break_("bad-plan", SYSTEM)
    with administrator(SYSTEM) as admin:
        admin.execute("alter role app_your_app set enable_hashjoin = off")
        try:
            found = planner.switches(asked.table("planner_switches"))
        finally:
            admin.execute("alter role app_your_app reset enable_hashjoin")
    assert {(f.subject, f.observed) for f in found} == {
        ("database your-app", "enable_bitmapscan = off"),
        ("database your-app", "enable_indexscan = off"),
        ("role app_your_app", "enable_hashjoin = off"),
    }
    assert causes(found) == {"bad-plan"}
    whys = {f.observed: f.why for f in found}
    assert whys["enable_indexscan = off"].endswith(': alter database "your-app" reset enable_indexscan')
    assert whys["enable_hashjoin = off"].endswith(": alter role app_your_app reset enable_hashjoin")


def test_where_nothing_ran_often_enough_that_is_said() -> None:
    """A healthy system of a quiet night has no plan to look at; the parameter is named that decides it."""
    none = plans.look(Planner(SCAN), answer("slow_statements"), FACTS, 1)
    (found,) = plans.planned(none)
    assert found.status is Status.SKIPPED and "min_calls" in found.why


def test_planning_runs_nothing_and_takes_one_statement_only(sandbox: object) -> None:
    """Whatever an application made the server record."""
    with monitor(SYSTEM) as asked, administrator(SYSTEM) as admin:
        before = admin.execute("select count(*) from feature_flags").fetchone()
        for text in ("select 1; delete from feature_flags", "select 1; select 2", ") select 1", "nonsense"):
            with pytest.raises(SourceError):
                asked.plan(text)
        assert asked.plan("select * from feature_flags where name = $1")["Node Type"]
        with pytest.raises(SourceError, match="permission denied"):
            asked.plan("delete from feature_flags")
        assert admin.execute("select count(*) from feature_flags").fetchone() == before
        assert asked.facts["role"] == "opslib_monitor"


def test_a_plain_member_of_pg_monitor_is_told_what_to_grant(sandbox: object) -> None:
    """Plans need the right to read; the counters do not."""
    control.break_("missing-index", SYSTEM)
    with administrator(SYSTEM) as admin:
        admin.execute("revoke select on viewing_log from public")
    with stranger(SYSTEM, "pg_monitor") as asked:
        top = asked.table("slow_statements", statements="extensions", min_calls=40, rows=50)
        query = next(text for text in top["query"] if "viewing_log" in text)
        with pytest.raises(SourceError, match="permission denied"):
            asked.plan(query)
        assert statuses(statements.window(asked.table("statements_window", statements="extensions"))) == {
            Status.OK
        }
    (found,) = judged(None, TABLE, reason="door direct: permission denied for table logs")
    assert found.status is Status.SKIPPED and "grant opslib_monitor select" in found.why


def test_a_role_without_pg_monitor_sees_no_texts_and_is_told_so(sandbox: object) -> None:
    """Hidden statements are unknown, not quick."""
    with stranger(SYSTEM) as asked:
        (found,) = statements.window(asked.table("statements_window", statements="extensions"))
    assert found.status is Status.UNKNOWN and "grant pg_monitor" in found.why


@pytest.mark.parametrize(
    "plan, table, cause",
    [
        ({}, {}, "missing-index"),
        ({"Plan Rows": 30_000}, {}, ""),
        ({}, {"rows_estimate": 500}, ""),
        ({}, {"seq_scans": 2}, ""),
        ({}, {"led_by": ["id", "person"]}, "bad-plan"),
        ({"Filter": "((logs.person)::text = $1)"}, {}, "missing-index"),
        ({"Filter": '(logs."the person" = $1)'}, {}, "missing-index"),
        ({"Filter": "((lower(logs.what) = $2) AND (logs.person = $1))"}, {}, "missing-index"),
        ({"Filter": "((logs.id = 1) OR (logs.what = $2)) AND (logs.person = $1)"}, {}, "missing-index"),
        ({"Filter": "((logs.what ~~ '%x%'::text) AND (logs.person = $1))"}, {}, "missing-index"),
        ({"Node Type": "Index Scan"}, {}, ""),
    ],
)
def test_a_candidate_needs_a_large_table_few_rows_and_many_scans(
    plan: dict[str, Any], table: dict[str, Any], cause: str
) -> None:
    """What an index would not help is left alone."""
    found = judged(SCAN | {"Plans": [WHOLE | plan]}, TABLE | table)
    assert causes(found) == ({cause} if cause else set())
    assert statuses(found) == {Status.WARNING if cause else Status.OK}
    way = {"tables": ["public.logs"]} if cause == "bad-plan" else {}
    assert [dict(finding.next_parameters) for finding in found] == [way]


@pytest.mark.parametrize(
    "condition, subject, said",
    [
        ("((logs.state = $1) AND (logs.person = $2))", "(person)", "where "),
        ("((logs.person = $2) AND (logs.at > $1))", "(person)", "where "),
        ("((logs.state = $1) AND (logs.at > $2))", "(at)", "where "),
        ("((logs.state = $1) AND (logs.kind = $2))", "(state)", "one index over (state, kind) may"),
        ("((logs.kind = $1) AND (logs.unread = $2))", "(unread)", "where "),
    ],
)
def test_of_several_columns_the_one_that_tells_few_rows_from_many_is_taken(
    condition: str, subject: str, said: str
) -> None:
    """An index over three states is taken by a plan without values, and by none with them."""
    table = TABLE | {"distinct_values": {"state": 3, "kind": 2, "person": 20_000, "at": 49_000}}
    (found,) = judged(SCAN | {"Plans": [WHOLE | {"Filter": condition}]}, table)
    assert found.cause == plans.MISSING and subject in found.subject and said in found.why


@pytest.mark.parametrize(
    "condition, subject, said",
    [
        ("(lower(logs.person) = $1)", "lower(person)", "one over (lower(person)) does"),
        ("((logs.person)::date = $1)", "(person)::date", "one over ((person)::date) does"),
        ("((logs.data ->> ') OR ('::text) = $1)", "data ->> ') OR ('::text", "one over (data ->> ') OR ('"),
        ("((logs.id = $2) OR (logs.person = $1))", "(id = $2) OR (person = $1)", "none begins with person"),
        ("((logs.id = $2) OR (logs.id = $1))", "(id = $2) OR (id = $1)", "each side has an index"),
        ("((logs.id = $2) OR (lower(logs.a) = $1))", "(id = $2) OR (lower(a) = $1)", "begins with lower"),
    ],
)
def test_a_scan_that_no_plain_index_serves_is_named_with_what_would(
    condition: str, subject: str, said: str
) -> None:
    """A function around the column, or an OR: nothing is built for it, and it is not called well."""
    plan = SCAN | {"Plans": [WHOLE | {"Filter": condition}]}
    (found,) = judged(plan, TABLE)
    assert (found.status, found.cause) == (Status.WARNING, plans.MISSING)
    assert found.subject == f"public.logs ({subject})"
    assert said in found.why and "write it into a migration" in found.why
    looks = plans.look(Planner(plan), answer("slow_statements", QUERY), FACTS, 5)
    assert plans.candidates(plans.scans(looks), answer("table_scans", TABLE)).empty
    assert statuses(judged(plan, TABLE | {"rows_estimate": 500})) == {Status.OK}


@pytest.mark.parametrize(
    "condition",
    [
        "(logs.what ~~ '%x = 1%'::text)",
        "(logs.gone IS NULL)",
        "(NOT logs.gone)",
        "(logs.person = logs.former_person)",
        "((logs.person)::text = (logs.former_person)::text)",
    ],
)
def test_where_nothing_is_compared_it_is_said_that_no_index_is_offered(condition: str) -> None:
    """Not a fault that an index mends, and no clean bill."""
    (found,) = judged(SCAN | {"Plans": [WHOLE | {"Filter": condition}]}, TABLE)
    assert found.status is Status.SKIPPED and "none is offered" in found.why


def test_a_statement_that_is_too_quick_for_reading_the_table_has_another_plan() -> None:
    """Whoever else read the table whole, as each nightly copy of it does."""
    plan = SCAN | {"Plans": [WHOLE]}
    assert causes(judged(plan, TABLE)) == {"missing-index"}
    assert statuses(judged(plan, TABLE | {"bytes": 9_000_000})) == {Status.OK}


@pytest.mark.parametrize(
    "condition, columns, status",
    [
        ("((logs.person = $1) AND (logs.state = $2))", ["state"], Status.SKIPPED),
        ("((logs.person = $1) AND (lower(logs.state) = $2))", ["state"], Status.SKIPPED),
        ("((logs.person = $1) AND ((logs.state = $2) OR (logs.at > $3)))", ["at"], Status.SKIPPED),
        ("(logs.person = $1)", ["state"], Status.WARNING),
        ("((logs.person = $1) AND (logs.states = $2))", ["state"], Status.WARNING),
        ("((logs.person = $1) AND (logs.gone IS NULL))", ["gone"], Status.WARNING),
    ],
)
def test_an_index_over_a_part_of_the_rows_that_a_value_may_ask_for_is_named_instead_of_another(
    condition: str, columns: list[str], status: Status
) -> None:
    """A plan without values cannot use it; what is written out has been tried and passed by."""
    plan, table = SCAN | {"Plans": [WHOLE | {"Filter": condition}]}, TABLE | {"partial": {"few": columns}}
    (found,) = judged(plan, table)
    assert found.status is status and ("may be served by few" in found.why) is (status is Status.SKIPPED)
    looks = plans.look(Planner(plan), answer("slow_statements", QUERY), FACTS, 5)
    offered = plans.candidates(plans.scans(looks), answer("table_scans", table))
    assert len(offered) == (status is Status.WARNING)


@pytest.mark.parametrize("sign, indexed", [("=", True), (">", False)])
def test_an_index_that_knows_no_order_serves_no_range(sign: str, indexed: bool) -> None:
    """It is not passed by: it cannot be used."""
    table = TABLE | {"hashed": ["person"]}
    (found,) = judged(SCAN | {"Plans": [WHOLE | {"Filter": f"(logs.person {sign} $1)"}]}, table)
    assert found.cause == (plans.BAD if indexed else plans.MISSING)


def test_what_an_index_is_good_for_is_read_from_the_server(sandbox: object) -> None:
    """By its kind, its collation, and the columns that say which rows it holds."""
    with administrator(SYSTEM) as admin, monitor(SYSTEM) as asked:
        admin.execute("create table kinds (id int, at timestamptz, n int, word text, state text, gone date)")
        for index in (
            "(id)", "using brin (at)", "using hash (n)", '(word collate "C")',
            "(word) where state = 'open' and gone is null",
        ):  # fmt: skip
            admin.execute(f"create index on kinds {index}".encode())
        try:
            found = asked.table("table_scans")
        finally:
            admin.execute("drop table kinds")
    (row,) = found[found["table_name"].eq("kinds")].to_dict("records")
    assert (row["led_by"], row["hashed"]) == (["id"], ["n"])
    assert row["partial"] == {"kinds_word_idx1": ["gone", "state"]}


def test_an_expression_of_a_real_plan_is_said_as_the_index_would_have_it(asked: DatabaseSource) -> None:
    """The server's own words, with the alias of the statement taken out; with that index it is gone."""
    control.break_("missing-index", SYSTEM)
    with administrator(SYSTEM) as admin:
        admin.execute("select count(*) from viewing_log v where lower(what) = 'x'")
        query = {**QUERY, "query": "select * from viewing_log v where lower(what) = $1"}
        top, tables = answer("slow_statements", query), asked.table("table_scans")
        looks = plans.look(asked, top, FACTS, 1)
        (found,) = plans.missing_indexes(plans.scans(looks), tables)
        assert found.subject == "public.viewing_log (lower(what))"
        admin.execute("create index on viewing_log (lower(what))")
    again = plans.scans(plans.look(asked, top, FACTS, 1))
    assert statuses(plans.missing_indexes(again, tables)) == {Status.OK}


def test_a_text_that_was_cut_is_not_planned_and_that_is_no_fault_of_the_server() -> None:
    """Half of a statement is another one, or none."""
    long = QUERY | {"query": "select " + "1," * plans.LONGEST_QUERY}
    looks = plans.look(Planner(SCAN), answer("slow_statements", long), FACTS, 5)
    (found,) = plans.planned(looks)
    assert found.status is Status.SKIPPED and "too long" in found.why


def test_statements_in_brackets_or_behind_a_comment_are_counted(asked: DatabaseSource) -> None:
    """Drivers and monitors put their marks in front, and unions begin with a bracket."""
    schema = statements.schema(asked.table("statements_located"))
    with administrator(SYSTEM) as admin:
        for query in (
            "/*app='a * b'*/ select 11 as marked",
            "-- who\nselect 12 as noted, 1, 1",
            "((select 13 as kept, 1) union all (select 3, 1))",
        ):
            admin.execute(query.encode())
    found = asked.table("slow_statements", statements=schema, min_calls=1, rows=5000)["query"]
    assert [found.str.contains(word).any() for word in ("marked", "noted", "kept")] == [True] * 3


@pytest.mark.parametrize(
    "planner, status",
    [
        ({}, Status.UNKNOWN),
        ({"reason": "plans need 16", "absent": True}, Status.SKIPPED),
        ({"reason": 'no plan: ERROR:  syntax error at or near "$4"'}, Status.SKIPPED),
    ],
)
def test_without_any_plan_a_missing_index_is_not_ruled_out(planner: dict[str, Any], status: Status) -> None:
    """Nothing looked at is not nothing found."""
    assert statuses(judged(None, TABLE, **planner)) == {status}


@pytest.mark.parametrize(
    "failed, status",
    [
        ({"reason": "statement timeout"}, Status.UNKNOWN),
        ({"reason": "server closed the connection"}, Status.UNKNOWN),
        ({"reason": "permission denied for table logs"}, Status.SKIPPED),
        ({"reason": "plans need 16", "absent": True}, Status.SKIPPED),
    ],
)
def test_a_plan_that_failed_is_unknown_and_one_that_cannot_be_had_is_skipped(
    failed: dict[str, Any], status: Status
) -> None:
    """Beside others that were made; the one that failed may be the one that lacks an index."""
    top = answer("slow_statements", QUERY)
    made = plans.look(Planner(SCAN), top, FACTS, 1)
    other = plans.look(Planner(**failed), top, FACTS, 1)
    (found,) = plans.planned(pd.concat([made, other], ignore_index=True))
    assert found.status is status and found.why.startswith(f"1 of 2 statements: {failed['reason']}")


def test_nothing_is_planned_as_a_superuser() -> None:
    """Planning may call functions that others wrote, with our rights."""
    facts = answer("server_facts", {"is_superuser": True})
    looks = plans.look(Planner(SCAN), answer("slow_statements", QUERY), facts, 5)
    assert statuses(plans.planned(looks)) == {Status.SKIPPED}


@pytest.mark.parametrize(
    "row, status",
    [
        ({"schema": "extensions", "loaded": True, "version": "1.12"}, Status.OK),
        ({"loaded": True, "available": True}, Status.UNKNOWN),
        ({"loaded": False, "available": True}, Status.UNKNOWN),
        ({"schema": "public", "loaded": False, "available": True}, Status.UNKNOWN),
        ({"loaded": False, "available": False}, Status.UNKNOWN),
    ],
)
def test_statistics_that_are_not_kept_are_unknown_with_what_to_do(
    row: dict[str, Any], status: Status
) -> None:
    """Loaded but not made, and made but not loaded, are different faults."""
    (found,) = statements.located(answer("statements_located", row))
    assert found.status is status and (found.why or status is Status.OK)


def test_a_statement_that_is_slow_on_average_is_named_with_its_weight() -> None:
    """By its mean; the others are left out of the list."""
    rows = [QUERY, QUERY | {"mean_ms": 1500.0, "query": "select  slow\nfrom x", "queryid": "8"}]
    (found,) = statements.slow(answer("slow_statements", *rows), LIMIT)
    assert (found.status, found.subject, found.observed) == (Status.WARNING, "select slow from x", "1 500 ms")
    assert statuses(statements.slow(answer("slow_statements", QUERY), LIMIT)) == {Status.OK}


def test_a_loop_that_really_ran_is_named_with_the_list_that_it_goes_through(asked: DatabaseSource) -> None:
    """From the server's own counters: the list gave as many rows as the other statement was asked for."""
    control.break_("n-plus-one", SYSTEM)
    top = asked.table("slow_statements", statements="extensions", min_calls=20, rows=30)
    (found,) = statements.often(top)
    assert (found.subject, found.cause) == ("select email from users where id = $1", statements.LOOPED)
    assert found.why.endswith("came from: select user_id from sessions order by id limit $1")
    control.heal("n-plus-one", SYSTEM)
    top = asked.table("slow_statements", statements="extensions", min_calls=20, rows=30)
    assert statuses(statements.often(top)) == {Status.OK}


def test_a_loop_over_single_rows_is_named() -> None:
    """Cheap, very often, one row at a time, and a large share: without one of them it is well."""
    loop = QUERY | {"calls": 900_000, "share_pct": 40.0}
    assert statuses(statements.often(answer("slow_statements", loop))) == {Status.WARNING}
    for changed in ({"calls": 900}, {"share_pct": 2.0}, {"rows_per_call": 80.0}, {"mean_ms": 90.0}):
        assert statuses(statements.often(answer("slow_statements", loop | changed))) == {Status.OK}


@pytest.mark.parametrize(
    "earlier, status",
    [
        ("1: 7 100x 100ms", Status.OK),  # 1 ms before, 3 ms since
        ("1: 7 150x 10ms", Status.OK),  # slower, but by less than anybody notices
        ("1: 7 300x 900ms", Status.OK),  # counters began anew
        ("1: 8 100x 100ms", Status.OK),  # another statement
        ("", Status.SKIPPED),
    ],
)
def test_what_is_slower_is_judged_by_the_calls_since_the_last_record(earlier: str, status: Status) -> None:
    """A mean over all time would hide it for weeks."""
    assert statuses(statements.slower(answer("slow_statements", QUERY), times(earlier))) == {status}


def test_a_statement_that_became_twice_as_slow_is_named_with_both_times() -> None:
    """What one record kept, the next one compares with."""
    then = statements.remembered(answer("slow_statements", QUERY))
    now = answer("slow_statements", QUERY | {"calls": 300, "total_ms": 8400.0})
    (found,) = statements.slower(now, times(then.observed))
    assert (found.status, found.observed, found.limit) == (Status.WARNING, "80 ms", "2 ms before")


def test_an_unreadable_archive_is_no_fault_of_the_database() -> None:
    """Skipped, with the reason."""
    (found,) = statements.slower(
        answer("slow_statements", QUERY), frames.unavailable(["text"], "the archive is locked")
    )
    assert (found.status, found.why) == (Status.SKIPPED, "the archive is locked")


@pytest.mark.parametrize(
    "judge",
    [
        lambda: statements.located(unanswered("statements_located")),
        lambda: statements.window(unanswered("statements_window")),
        lambda: statements.slow(unanswered("slow_statements"), LIMIT),
        lambda: statements.often(unanswered("slow_statements")),
        lambda: [statements.remembered(unanswered("slow_statements"))],
        lambda: statements.slower(unanswered("slow_statements"), times("1: 7 1x 1ms")),
        lambda: plans.planned(plans.look(Planner(), unanswered("slow_statements"), FACTS, 1)),
        lambda: plans.missing_indexes(
            plans.scans(plans.look(Planner(), unanswered("slow_statements"), FACTS, 1)), answer("table_scans")
        ),
        lambda: judged_blind(),
        lambda: planner.switches(unanswered("planner_switches")),
    ],
)
def test_what_could_not_be_asked_is_unknown_with_the_reason(judge: Callable[[], list[Finding]]) -> None:
    """A shut door is no clean bill."""
    found = judge()
    assert statuses(found) == {Status.UNKNOWN}
    assert {finding.why for finding in found} == {REFUSED}


def judged_blind() -> list[Finding]:
    """Judge a plan over tables whose counters could not be asked."""
    looks = plans.look(Planner(SCAN), answer("slow_statements", QUERY), FACTS, 1)
    return plans.missing_indexes(plans.scans(looks), unanswered("table_scans"))


def test_statistics_in_another_schema_are_found_there(asked: DatabaseSource) -> None:
    """An unqualified name would not find them."""
    located = asked.table("statements_located")
    assert statements.schema(located) == "extensions"
    assert statements.schema(unanswered("statements_located")) == "public"
    assert frames.reason(asked.table("statements_window", statements="public"))


def test_our_own_questions_are_not_among_the_slow_ones(asked: DatabaseSource) -> None:
    """A diagnosis that finds itself finds nothing."""
    with psycopg.connect(control.status()["databases"][SYSTEM]["app"], autocommit=True) as app:
        app.execute("select count(*) from feature_flags")
    top = asked.table("slow_statements", statements="extensions", min_calls=1, rows=500)
    assert not top["role"].astype(str).str.startswith("opslib_").any()
    assert top["query"].str.contains("feature_flags").any()
