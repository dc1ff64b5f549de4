"""Upkeep on a real server: exactly what was planned, nothing that enforces something, never half unseen."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import psycopg
import pytest

from opslib import config, frames
from opslib.acts import Opening, Statement
from opslib.changes import Means, upkeep, upkeep_choice, upkeep_tables, upkeep_targets, upkeep_views
from opslib.checks import indexes, statistics, vacuum, vectors, views
from opslib.cli import changes
from opslib.cli.app import cli
from opslib.config import Limit
from opslib.errors import ParameterError, Refused
from opslib.gate import bounds, faults
from opslib.gate.plan import Draft, Observed, Risk, Target
from opslib.pg import Database, frame, relations, sql
from opslib.sandbox import control
from opslib.verdict import Status
from tests.acting import Case, applied, perform, planned, ready, states
from tests.answers import administrator
from tests.changing import Office

SYSTEM = "kulti"
MB, DAY = Limit(warning=10, unit="MB"), Limit(warning=30, unit="d")
PCT = Limit(warning=20, unit="%")
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
ALL = ("unused-index", "duplicate-index", "fk-without-index", "invalid-index")
STRANGE = 'Weird "per % cent" {x}'
TABLE = (
    f"""create table "{STRANGE.replace('"', '""')}" (id int primary key, "a b" int, c text, d int unique)"""
)
CASES = (
    Case("index-usage", "unused-index", SYSTEM), Case("index-usage", "fk-without-index", SYSTEM),
    Case("reindex", "bloat", SYSTEM), Case("vacuum-analyze", "bloat", SYSTEM),
    Case("refresh-views", "matview-stale", "voiceaitraining"),
)  # fmt: skip
# Given and taken back, it has written the view's row in the catalog and left nothing else.
ON_VIEW = b"select on reporting_leaderboard"
GRANTED = b"grant %b to pg_monitor; revoke %b from pg_monitor" % (ON_VIEW, ON_VIEW)
# Every index and table of the app, whether it is whole, and when it was tended.
STATE = """select c.relname, i.indisvalid, pg_get_indexdef(i.indexrelid), i.indexrelid::int from pg_index i
join pg_class c on c.oid = i.indexrelid where c.relnamespace = 'public'::regnamespace union all
select relname, null, concat(last_vacuum, last_analyze), 0 from pg_stat_user_tables union all
select relname, null, xmin::text, 0 from pg_class where relkind = 'm' order by 1"""


def answer(name: str, *rows: dict[str, Any]) -> pd.DataFrame:
    """Return rows as the server's answer to a packaged statement; columns not given are NULL."""
    statement = sql.load(name)
    columns = [column.name for column in statement.returns]
    return frame.build(statement, columns, [[row.get(column) for column in columns] for row in rows])


def unanswered(name: str) -> pd.DataFrame:
    """Return the frame of a statement that could not be asked."""
    return frames.unavailable([column.name for column in sql.load(name).returns], "door direct: refused")


def index(name: str = "notes_idx", **given: Any) -> dict[str, Any]:
    """Return one row of `indexes`: a plain one that nobody uses."""
    return {
        "schema": "public", "table_name": "notes", "index_name": name, "build": "7", "method": "btree",
        "columns": ["a"], "definition": f"CREATE INDEX {name}", "sayable": True, "is_valid": True,
        "is_ready": True, "is_unique": False, "needed_for": "", "supports_foreign_key": False, "scans": 0,
        "writes": 9, "bytes": 50 * 1024**2, "table_rows": 1000, "counted_since": NOW - timedelta(days=40),
        "in_progress": False, "leftover": "", "locked": False, "owner": "app", "mine": True,
        "maintained": True, **given,
    }  # fmt: skip


def aged(rows: pd.DataFrame, *records: str) -> pd.DataFrame:
    """Return the indexes without a scan, and since when that is known by the words of earlier records."""
    facts = answer("server_facts", {"server_time": NOW})
    history = pd.DataFrame({"status": ["ok"] * len(records), "text": list(records)})
    return indexes.aged(rows, facts, MB, DAY, history)


def known(days: int, build: str = "7") -> str:
    """Return the words of a record that has known an index for so many days."""
    return f"1: {build} {NOW - timedelta(days=days):%Y-%m-%dT%H:%M:%SZ}"


def one() -> pd.DataFrame:
    """Return one index that is known long enough to have no scan."""
    return aged(answer("indexes", index()), known(50))


def look(*rows: dict[str, Any], **others: pd.DataFrame) -> upkeep_choice.Seen:
    """Return what was seen of made-up indexes."""
    names = upkeep_choice.Seen.__dataclass_fields__
    return upkeep_choice.Seen(
        **{n: answer(n) for n in names} | {"indexes": answer("indexes", *rows)} | others
    )


class Stage:
    """A database entered by the operator's door, and the kind of change that looks at it.

    Args:
        database: entered by the operator's door.
        app: a session of the app.
    """

    def __init__(self, database: Database, app: psycopg.Connection[Any]) -> None:
        self.database, self.app = database, app
        env = config.load_system(SYSTEM).environment("sandbox")
        self.kind = upkeep.Upkeep(Means(env, lambda: database, lambda name: None, {}))

    def seen(self) -> upkeep_choice.Seen:
        """Look at everything."""
        return upkeep_choice.seen(self.database.table)

    def row(self, name: str, statement: str = "indexes") -> Any:
        """Return what is seen of one index or table."""
        found = self.database.table(statement, schema="public", name=name)
        return found.to_dict("records")[0]

    def do(self, target: Target) -> Observed:
        """Do what a target says, as the gate does, and look."""
        self.database.act(Opening(target.act, "key"))
        return self.kind.observe(target)


@pytest.fixture
def stage(sandbox: object) -> Iterator[Stage]:
    """A table with a name that nobody should give, and with indexes; gone after the test."""
    doors = control.status()["databases"][SYSTEM]
    door = config.load_system(SYSTEM).environment("sandbox").operator
    assert door is not None
    with (
        closing(psycopg.connect(doors["app"], autocommit=True)) as app,
        closing(Database((door,), application_name="opslib/test/1")) as database,
    ):
        app.execute(TABLE.encode())
        quoted = TABLE.split("(", maxsplit=1)[0].removeprefix("create table ")
        app.execute(f"insert into {quoted} select n, n, n, n from generate_series(1, 100) n".encode())
        yield Stage(database, app)
        app.execute(f"drop table {quoted}".encode())


def on(stage: Stage, rest: str) -> None:
    """Run a statement in which TABLE stands for the table."""
    name = '"' + STRANGE.replace('"', '""') + '"'
    stage.app.execute(rest.replace("TABLE", name).encode())


def _oid(stage: Stage) -> Any:
    """Return the table's number in the catalog."""
    row = stage.app.execute("select oid from pg_class where relname = %s", [STRANGE]).fetchone()
    assert row
    return row[0]


def test_a_dropped_index_comes_back_exactly_as_it_was(stage: Stage) -> None:
    """Whatever its names are made of: the server's own words for it are the same before and after."""
    on(stage, 'create index "o\'brien %s idx" on TABLE ("a b", c)')
    target = upkeep_targets.drop(stage.row("o'brien %s idx"))
    assert stage.kind.observe(target).fits(target.before) and not stage.kind.observe(target).fits(
        target.after
    )
    assert stage.do(target).fits(target.after)
    back = target.reversed()
    assert back is not None and stage.kind.observe(back).fits(back.before)
    assert stage.do(back).fits(back.after)
    assert stage.row("o'brien %s idx")["definition"] == target.before["definition"]


def test_an_index_that_was_used_since_is_left_alone(stage: Stage) -> None:
    """The scan counter is part of what must still be so."""
    on(stage, "create index used_idx on TABLE (c)")
    target = upkeep_targets.drop(stage.row("used_idx"))
    stage.app.execute("set enable_seqscan = off")
    on(stage, "select count(*) from TABLE where c = '5'")
    stage.app.execute("select pg_stat_force_next_flush()")
    stage.app.execute("select 1")
    assert not stage.kind.observe(target).fits(target.before)


@pytest.mark.parametrize(
    "meanwhile",
    ["drop index cover_idx", "drop index cover_idx; create index cover_idx on TABLE (id)"],
    ids=["gone", "another one of that name"],
)
def test_a_duplicate_stays_where_the_index_that_does_its_work_has_gone(stage: Stage, meanwhile: str) -> None:
    """Between plan and act somebody may have dropped the other one; taken back it is in any case."""
    on(stage, "create index cover_idx on TABLE (c, id)")
    on(stage, "create index twin_idx on TABLE (c)")
    seen = stage.seen()
    draft = upkeep_choice.usage(["duplicate-index"], seen, aged(answer("indexes")))
    assert draft is not None and [target.name for target in draft.targets] == ["drop public.twin_idx"]
    (target,) = draft.targets
    assert stage.kind.observe(target).fits(target.before)
    for statement in meanwhile.split("; "):
        on(stage, statement)
    assert not stage.kind.observe(target).fits(target.before)
    assert stage.do(target).fits(target.after)
    back = target.reversed()
    assert back is not None and stage.do(back).fits(back.after)


def test_a_duplicate_stays_where_the_index_that_does_its_work_is_not_whole(stage: Stage) -> None:
    """It is said so, by its name."""
    on(stage, "create index cover_idx on TABLE (c, id)")
    on(stage, "create index twin_idx on TABLE (c)")
    target = upkeep_targets.drop(stage.row("twin_idx"), stage.row("cover_idx"))
    with administrator(SYSTEM) as admin:
        admin.execute(b"update pg_index set indisvalid = false where indexrelid = 'cover_idx'::regclass")
    found = stage.kind.observe(target)
    assert not found.fits(target.before)
    assert "public.cover_idx, which was to do its work, is gone or not whole" in found.text


@pytest.mark.parametrize(
    "rest", ["(c desc)", "((lower(c)))", "(c) where c <> ''", "(c) include (d)", "(c text_pattern_ops)",
             "(c) with (fillfactor = 70)"],
)  # fmt: skip
def test_an_index_that_names_cannot_say_is_never_dropped(stage: Stage, rest: str) -> None:
    """Nothing could bring it back; its definition is shown instead."""
    on(stage, f"create index said_idx on TABLE {rest}")
    row = stage.row("said_idx")
    assert not row["sayable"]
    old = {"bytes": 50 * 1024**2, "counted_since": NOW - timedelta(days=40)}
    seen = replace(stage.seen(), indexes=answer("indexes", row | old))
    draft = upkeep_choice.usage(ALL, seen, aged(seen.indexes, known(50, row["build"])))
    assert draft is not None and not draft.targets
    assert row["definition"] in next(iter(draft.left_out.values()))


def test_what_could_not_be_built_twice_is_dropped_and_not_built_a_third_time(stage: Stage) -> None:
    """Each plan would fail, and leave one more copy that every write pays for."""
    with pytest.raises(psycopg.errors.DivisionByZero):
        on(stage, "create index concurrently never_idx on TABLE ((1 / (id - id)))")
    first = upkeep_choice.rebuild(stage.seen())
    assert first is not None and [target.name for target in first.targets] == ["rebuild public.never_idx"]
    with pytest.raises(psycopg.errors.DivisionByZero):
        on(stage, "reindex index concurrently never_idx")
    second = upkeep_choice.rebuild(stage.seen())
    dropped = ["drop public.never_idx", "drop public.never_idx_ccnew"]
    assert second is not None and [target.name for target in second.targets] == dropped


def test_what_enforces_something_is_told_from_what_only_serves(stage: Stage) -> None:
    """Primary key, constraint, replica identity, support of a foreign key: never called unused."""
    on(stage, "create unique index unique_idx on TABLE (id, c)")
    rows = stage.database.table("indexes", schema="", name="")
    mine = rows[rows["table_name"].eq(STRANGE)].set_index("index_name")
    assert (
        set(mine["needed_for"]) == {"primary key", "constraint", ""} and mine.loc["unique_idx", "is_unique"]
    )
    assert bool(rows.set_index("index_name").loc["recordings_session_id_idx", "supports_foreign_key"])
    small = Limit(warning=0, unit="MB")
    idle = set(indexes.idle(rows, small)["index_name"])
    assert idle and not idle & {*mine.index, "recordings_session_id_idx"}


def test_an_index_is_built_and_taken_back(stage: Stage) -> None:
    """The server says of it what the plan promised."""
    made = {"schema": "public", "table_name": STRANGE, "index_name": "new_idx", "columns": ["a b", "id"]}
    on(stage, 'create index new_idx on TABLE ("a b", id)')
    target = upkeep_targets.create({**made, "definition": stage.row("new_idx")["definition"]})
    on(stage, "drop index new_idx")
    assert stage.kind.observe(target).fits(target.before)
    assert stage.do(target).fits(target.after)
    back = target.reversed()
    assert back is not None and stage.do(back).fits(back.after)


def test_a_build_that_fails_is_failed_and_the_next_plan_drops_what_it_left(stage: Stage) -> None:
    """Seen as failed, not as under way; the leftover is named with its definition."""
    on(stage, "insert into TABLE values (0, 1)")
    with pytest.raises(psycopg.errors.UniqueViolation):
        on(stage, 'create unique index concurrently left_ccnew on TABLE ("a b")')
    row = stage.row("left_ccnew")
    seen = stage.kind.observe(upkeep_targets.create({**row, "definition": row["definition"]}))
    assert seen.failed and "failed copy of a rebuild" in seen.text
    usage = upkeep_choice.usage(["invalid-index"], stage.seen(), aged(answer("indexes")))
    rebuild = upkeep_choice.rebuild(stage.seen())
    assert usage is not None and rebuild is not None
    for draft in (usage, rebuild):
        assert [target.name for target in draft.targets] == ["drop public.left_ccnew"]
        assert row["definition"] in draft.not_undoable[0] and draft.targets[0].undo is None
    assert stage.do(usage.targets[0]).fits({"there": False})


def test_what_a_rebuild_left_of_a_toast_table_is_dropped(stage: Stage) -> None:
    """It is found among the invalid ones; nothing else of the server's own schemas is ever listed."""
    toast = (
        "select indexrelid from pg_index i join pg_class c on c.reltoastrelid = i.indrelid where c.oid = %s"
    )
    with administrator(SYSTEM) as admin:
        row = admin.execute(toast.encode(), [_oid(stage)]).fetchone()
        admin.execute(
            "update pg_index set indisvalid = false, indisprimary = false where indexrelid = %s", row
        )
        admin.execute("update pg_class set relname = relname || '_ccnew' where oid = %s", row)
        (left,) = admin.execute("select relname from pg_class where oid = %s", row).fetchall()
    draft = upkeep_choice.rebuild(stage.seen())
    assert draft is not None
    (drop,) = draft.targets
    assert drop.name == f"drop pg_toast.{left[0]}"
    assert stage.do(drop).fits(drop.after)
    found = stage.database.table("indexes", schema="", name="")
    assert not found["schema"].str.startswith("pg_").any()


def test_what_was_cut_off_is_built_again_as_it_may_have_been_whole_and_may_enforce(stage: Stage) -> None:
    """A drop that was cut off looks like a build that was; a unique index still refuses rows."""
    on(stage, "create unique index cut_idx on TABLE (c)")
    with administrator(SYSTEM) as admin:
        admin.execute(b"update pg_index set indisvalid = false where indexrelid = 'cut_idx'::regclass")
    with pytest.raises(psycopg.errors.UniqueViolation):
        on(stage, "insert into TABLE values (0, 0, '1', 0)")
    usage = upkeep_choice.usage(["invalid-index"], stage.seen(), aged(answer("indexes")))
    rebuild = upkeep_choice.rebuild(stage.seen())
    assert usage is not None and rebuild is not None
    for draft in (usage, rebuild):
        assert [target.name for target in draft.targets] == ["rebuild public.cut_idx"]
    assert stage.do(usage.targets[0]).fits(usage.targets[0].after)
    assert stage.row("cut_idx")["leftover"] == ""


def test_a_rebuild_is_seen_by_the_index_being_a_new_one(stage: Stage) -> None:
    """Same name, same definition, valid before and after: only the build tells."""
    on(stage, "create index again_idx on TABLE (c)")
    target = upkeep_targets.reindex(stage.row("again_idx"))
    assert stage.kind.observe(target).fits(target.before)
    assert stage.do(target).fits(target.after)


def test_a_vacuum_that_was_skipped_is_not_called_done(stage: Stage) -> None:
    """PostgreSQL reports success; the time of the last vacuum says otherwise, and the text why."""
    target = upkeep_targets.vacuum(stage.row(STRANGE, "tended_tables"))
    with stage.app.transaction():
        on(stage, "lock table TABLE in share mode")
        seen = stage.do(target)
        assert seen.fits(target.before) and not seen.fits(target.after) and "locked by somebody" in seen.text
    assert stage.do(target).fits(target.after)
    analyzing = upkeep_targets.analyze(stage.row(STRANGE, "tended_tables"))
    assert stage.do(analyzing).fits(analyzing.after)


def test_counters_that_began_anew_are_not_taken_for_a_vacuum(stage: Stage) -> None:
    """After a reset, or a crash, a table was never vacuumed: it is done then, and not called done."""
    on(stage, "vacuum analyze TABLE")
    row = stage.row(STRANGE, "tended_tables")
    targets = [upkeep_targets.vacuum(row), upkeep_targets.analyze(row)]
    with administrator(SYSTEM) as admin:
        admin.execute("select pg_stat_reset_single_table_counters(%s::oid)", [_oid(stage)])
    for target in targets:
        seen = stage.kind.observe(target)
        assert seen.fits(target.before) and not seen.fits(target.after) and "count anew" in seen.text
    assert stage.do(targets[0]).fits(targets[0].after) and stage.kind.observe(targets[1]).fits(
        targets[1].after
    )


def test_without_the_right_nothing_is_done_and_the_reason_is_told(stage: Stage) -> None:
    """VACUUM would only warn, and report success."""
    with closing(psycopg.connect(control.status()["databases"][SYSTEM]["admin"], autocommit=True)) as admin:
        admin.execute("create table foreign_thing (id int primary key)")
        try:
            table = upkeep_targets.vacuum(stage.row("foreign_thing", "tended_tables"))
            key = upkeep_targets.drop(stage.row("foreign_thing_pkey"))
            for target in (table, key):
                seen = stage.kind.observe(target)
                assert not seen.fits(target.before) and "belongs to postgres" in seen.text
            assert not stage.do(table).fits(table.after)
        finally:
            admin.execute("drop table foreign_thing")


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_fault_is_planned_approved_mended_and_found_mended(
    signer: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: Case
) -> None:
    """A dry run changes nothing; the same probe says ok afterwards; done twice is done once."""
    ready(monkeypatch, tmp_path)
    control.break_(case.scenario, case.system)
    with closing(
        psycopg.connect(control.status()["databases"][case.system]["admin"], autocommit=True)
    ) as admin:
        before = admin.execute(STATE.encode()).fetchall()
        document = planned(case, tmp_path)
        assert document["cause"]["id"] == case.scenario
        assert admin.execute(STATE.encode()).fetchall() == before
        after = applied(case, document, tmp_path)
        assert (after["verdict"], set(states(after))) == ("ok", {"done"}), after["findings"]
        mended = admin.execute(STATE.encode()).fetchall()
        assert mended != before
        assert set(states(applied(case, document, tmp_path))) == {"already done"}
        assert admin.execute(STATE.encode()).fetchall() == mended
    if case.procedure == "index-usage":
        cli.main(["undo", after["run_id"], "--json"], standalone_mode=False)
        again = perform(case.procedure, case.system, tmp_path)
        assert again["cause"]["id"] == case.scenario


def test_killed_at_any_point_and_applied_again_an_index_is_rebuilt_once(
    signer: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The build tells: after the kill in the middle it is the new one, and stays it."""
    case = Case("reindex", "bloat", SYSTEM)
    ready(monkeypatch, tmp_path)
    control.break_(case.scenario, case.system)
    document = planned(case, tmp_path)
    builds = []
    with closing(psycopg.connect(control.status()["databases"][SYSTEM]["admin"], autocommit=True)) as admin:
        for point in ("after-intent", "after-act", ""):
            monkeypatch.setenv(faults.VARIABLE, point)
            after = applied(case, document, tmp_path)
            builds.append(admin.execute("select 'import_staging_pkey'::regclass::oid").fetchone())
    assert builds[0] != builds[1] == builds[2]
    assert after["verdict"] == "ok" and states(after) == ["done"]


def test_a_vector_index_is_held_against_a_full_scan(sandbox: object, tmp_path: Path) -> None:
    """One that finds what the scan finds is good; of what is no vector index nothing is known."""
    found = perform("reindex", "klutr", tmp_path, recall_of="notes_embedding_idx")
    if "there is no index" in str(found["cause"]):
        pytest.skip("no pgvector in this PostgreSQL")
    told = {row["check"]: row for row in found["findings"]}["vector recall"]
    assert (told["status"], told["subject"]) == ("ok", "public.notes_embedding_idx")
    other = perform("reindex", "klutr", tmp_path, recall_of="notes_pkey")
    assert other["verdict"] == "unknown" and "no plain index" in str(other["findings"])
    few = pd.DataFrame([{"probes": 20, "found": 100, "wanted": 200, "asked": 20}])
    assert vectors.judged(few, ["a", "b"], Limit(warning=90, unit="%")).status is Status.WARNING


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("index-usage", "indexes"), ("reindex", "indexes"), ("vacuum-analyze", "tables"),
        ("refresh-views", "views"),
    ],
)  # fmt: skip
def test_a_name_that_means_nothing_ends_the_run_before_any_plan(
    sandbox: object, tmp_path: Path, name: str, key: str
) -> None:
    """The message says which parameter, and what there is not."""
    document = perform(name, SYSTEM, tmp_path, **{key: ["nowhere"]})
    assert document["verdict"] == "unknown" and document["plan"] is None
    assert f"{key}: there is no" in document["cause"]["text"]


@pytest.mark.parametrize("text", ["pg_catalog.pg_attribute", '"pg_toast"."x"', "information_schema.tables"])
def test_what_is_the_server_s_own_cannot_be_named(stage: Stage, text: str) -> None:
    """No statement here would list it, so that nothing would be done and all be well."""
    with pytest.raises(ParameterError, match="server's own"):
        relations.find(stage.database, "tables", text, ("table", "index", "view"))


def test_what_could_not_be_asked_is_unknown_everywhere() -> None:
    """An index that nobody could look at is not a good one."""
    some = answer("indexes", index())
    unseen = indexes.aged(some, unanswered("server_facts"), MB, DAY, pd.DataFrame())
    found = [
        *indexes.unused(unanswered("indexes"), aged(unanswered("indexes")), DAY),
        *indexes.unused(answer("indexes", index()), unseen, DAY),
        indexes.remembered(unseen),
        *indexes.duplicates(unanswered("duplicate_indexes")),
        *indexes.foreign_keys(unanswered("foreign_keys_without_index")),
        *indexes.bloat(unanswered("index_bloat_estimate")),
        *statistics.stale(unanswered("tended_tables"), PCT, unanswered("counted_since")),
        *vacuum.freezing(unanswered("tended_tables"), PCT),
    ]
    assert {finding.status for finding in found} == {Status.UNKNOWN}
    assert all("refused" in finding.why for finding in found)
    blind = replace(look(index()), indexes=unanswered("indexes"))
    assert upkeep_choice.usage(ALL, blind, unseen) is None and upkeep_choice.rebuild(blind) is None
    assert upkeep_tables.tables(["bloat"], unanswered("tended_tables"), PCT, PCT, PCT) is None
    assert frames.reason(vacuum.rewrite(unanswered("table_bloat_estimate")))
    assert frames.reason(indexes.per_row(unanswered("indexes")))


def test_an_unused_index_counts_only_once_it_was_counted_for_long_enough() -> None:
    """After a restart every index looks unused, and a new index does always."""
    rows = answer("indexes", index())
    old = indexes.unused(rows, aged(rows, known(50), known(50)), DAY)
    assert [(found.status, found.cause) for found in old] == [(Status.WARNING, indexes.UNUSED)]
    restarted = answer("indexes", index(counted_since=NOW - timedelta(days=2)))
    young = aged(rows), aged(rows, known(29)), aged(rows, known(50, "8")), aged(restarted, known(50))
    assert [indexes.unused(rows, found, DAY)[0].status for found in young] == [Status.SKIPPED] * 4
    locked = answer("indexes", index(locked=True, definition=None))
    assert [f.status for f in indexes.unused(locked, aged(locked), DAY)] == [Status.OK, Status.UNKNOWN]
    used = answer("indexes", index(scans=1), index(is_unique=True), index(needed_for="constraint"))
    assert [f.status for f in indexes.unused(used, aged(used), DAY)] == [Status.OK]


def test_an_index_that_earlier_records_did_not_know_is_not_proposed_to_be_dropped() -> None:
    """Built an hour ago, it has no scan since the server began to count, like an old one."""
    seen = look(index(), index("new", build="8"))
    found = aged(seen.indexes, known(50))
    assert list(found["index_name"][found["long_enough"]]) == ["notes_idx"]
    draft = upkeep_choice.usage(["unused-index"], seen, found)
    assert draft is not None and [target.name for target in draft.targets] == ["drop public.notes_idx"]
    told = indexes.unused(seen.indexes, found, DAY)
    assert [finding.status for finding in told] == [Status.WARNING, Status.SKIPPED]
    assert "1 without a scan so far, the largest public.new since 2026-11-21" in told[1].why


def test_what_is_known_of_an_index_is_carried_on_from_record_to_record() -> None:
    """Only runs that go far back would know otherwise; one that was not well is left out."""
    rows = answer("indexes", index(), index("other", build="8"))
    first = indexes.remembered(aged(rows, known(50)))
    assert first.observed == "2: 7 2026-10-02T12:00:00Z, 8 2026-11-21T12:00:00Z"
    history = pd.DataFrame({"status": ["ok", "unknown"], "text": [first.observed, ""]})
    facts = answer("server_facts", {"server_time": NOW + timedelta(days=7)})
    second = indexes.remembered(indexes.aged(rows, facts, MB, DAY, history))
    assert second.observed == first.observed


def test_a_run_finds_what_the_run_before_has_recorded(sandbox: object, tmp_path: Path) -> None:
    """Through notebook, record and index, as the schedule does it."""
    control.break_("unused-index", SYSTEM)
    found = [
        {one["check"]: one["observed"] for one in perform("index-usage", SYSTEM, tmp_path)["findings"]}
        for _ in range(2)
    ]
    first, second = (one[indexes.REMEMBERED] for one in found)
    assert first.startswith("1: ") and second == first
    assert first.split()[-1] in found[1]["unused index"]


def test_hidden_statistics_are_said_and_not_called_good() -> None:
    """A plain member of pg_monitor sees none of them."""
    row = {"schema": "public", "index_name": "i", "bytes": 9 * 1024**2, "no_statistics": True, "hidden": True}
    assert [f.status for f in indexes.bloat(answer("index_bloat_estimate", row))] == [Status.SKIPPED]


def view(name: str = "daily", **given: Any) -> dict[str, Any]:
    """Return one row of `materialized_views`: one that can be refreshed beside its readers."""
    return {
        "schema": "public", "view_name": name, "populated": True, "concurrently": True, "bytes": 8192,
        "mark": "7", "file": "8", "held": False, "owner": "app", "mine": True, "maintained": True, **given,
    }  # fmt: skip


def test_a_view_is_judged_by_what_is_noted_of_it() -> None:
    """No time is known of what nobody notes: that is said, and not called young."""
    facts, hours = answer("server_facts", {"server_time": NOW}), Limit(warning=24, unit="h")
    seen = answer("view_refreshes", {"view_name": "daily", "refreshed_at": NOW - timedelta(hours=30)})
    found = views.age(answer("materialized_views", view(), view("other")), seen, facts, hours)
    assert [finding.status for finding in found] == [Status.WARNING, Status.SKIPPED]
    some = answer("materialized_views", view())
    assert [f.status for f in views.age(some, unanswered("view_refreshes"), facts, hours)] == [Status.UNKNOWN]
    assert [f.status for f in views.age(some, views.refreshes(lambda *a, **k: some, {}), facts, hours)] == [
        Status.SKIPPED
    ]
    assert [f.status for f in views.age(unanswered("materialized_views"), seen, facts, hours)] == [
        Status.UNKNOWN
    ]
    assert [f.status for f in views.filled(unanswered("materialized_views"))] == [Status.UNKNOWN]
    empty = views.filled(answer("materialized_views", view(populated=False)))
    assert [(f.status, f.cause) for f in empty] == [(Status.CRITICAL, views.STALE)]


def test_a_name_that_two_views_have_tells_of_neither() -> None:
    """Noted with its schema it does, and that is the name which is noted again."""
    facts, hours = answer("server_facts", {"server_time": NOW}), Limit(warning=24, unit="h")
    pair = answer("materialized_views", view(), view(schema="reports"))
    bare = answer("view_refreshes", {"view_name": "daily", "refreshed_at": NOW})
    assert [one.status for one in views.age(pair, bare, facts, hours)] == [Status.SKIPPED] * 2
    whole = answer("view_refreshes", {"view_name": "reports.daily", "refreshed_at": NOW})
    assert [one.status for one in views.age(pair, whole, facts, hours)] == [Status.SKIPPED, Status.OK]
    log = {"table": ["public", "refreshes"], "view": "name", "time": "at"}
    names = ["public.daily", "reports.daily"]
    for seen, notes in ((bare, []), (whole, ["reports.daily"])):
        draft = upkeep_views.refresh(["matview-stale"], pair, seen, names, log=log)
        assert draft is not None
        assert [one.identity["name"] for one in draft.targets if "note" in one.identity] == notes


def test_a_view_that_would_shut_its_readers_out_is_refreshed_only_when_asked() -> None:
    """One that was never filled has no readers, and is filled at once."""
    rows = answer(
        "materialized_views", view(), view("closed", concurrently=False),
        view("empty", populated=False, concurrently=False),
    )  # fmt: skip
    stale, seen = ["public.daily", "public.closed", "public.empty"], answer("view_refreshes")
    draft = upkeep_views.refresh(["matview-stale"], rows, seen, stale, log={})
    assert draft is not None and [target.act.text.split("(")[0] for target in draft.targets] == [
        "refresh_view_concurrently", "refresh_view",
    ]  # fmt: skip
    assert "shut_out_readers" in draft.left_out["refresh public.closed"]
    asked = upkeep_views.refresh(["matview-stale"], rows, seen, stale, log={}, shut_out_readers=True)
    assert asked is not None and len(asked.targets) == 3


def test_nothing_is_noted_of_a_view_that_was_not_refreshed(sandbox: object) -> None:
    """A note would make a stale view look young; a grant writes the same row of the catalog."""
    env = config.load_system("voiceaitraining").environment("sandbox")
    assert env.operator is not None
    with closing(Database((env.operator,), application_name="opslib/test/1")) as database:
        kind = upkeep.Upkeep(Means(env, lambda: database, lambda name: None, {}))
        found = database.table("materialized_views", schema="", name="")
        log = views.log(env.system.tables)
        seen = views.refreshes(database.table, log)
        draft = upkeep_views.refresh(
            ["matview-stale"], found, seen, ["public.reporting_leaderboard"], log=log
        )
        assert draft is not None
        refresh, note = draft.targets
        with administrator("voiceaitraining") as admin:
            admin.execute(GRANTED)
        granted = kind.observe(refresh)
        assert granted.fits(refresh.before) and not granted.fits(refresh.after) and granted.unmarked
        assert "not refreshed" in kind.observe(note).text and not kind.observe(note).fits(note.before)
        database.act(Opening(refresh.act, "key"))
        assert kind.observe(refresh).fits(refresh.after) and kind.observe(note).fits(note.before)


def test_a_view_that_shuts_its_readers_out_is_known_by_its_new_file(sandbox: object) -> None:
    """What was done before this run is seen as well, so that nobody is shut out twice; a grant is not it."""
    env = config.load_system("voiceaitraining").environment("sandbox")
    assert env.operator is not None
    with closing(Database((env.operator,), application_name="opslib/test/1")) as database:
        found = database.table("materialized_views", schema="public", name="reporting_leaderboard")
        plain = found.assign(concurrently=False)
        draft = upkeep_views.refresh(
            ["matview-stale"], plain, views.refreshes(database.table, {}), ["public.reporting_leaderboard"],
            log={}, shut_out_readers=True,
        )  # fmt: skip
        assert draft is not None
        (refresh,) = draft.targets
        with administrator("voiceaitraining") as admin:
            admin.execute(GRANTED)
        means = Means(env, lambda: database, lambda name: None, {})
        assert upkeep.Upkeep(means).observe(refresh).fits(refresh.before)
        database.act(Opening(refresh.act, "key"))
        assert upkeep.Upkeep(means).observe(refresh).fits(refresh.after)


def refusals(draft: Draft | None) -> str:
    """Return why nothing of a proposal is left."""
    assert draft is not None and not draft.targets
    return " ".join(draft.left_out.values())


def test_what_might_be_needed_elsewhere_or_would_not_end_is_left_out() -> None:
    """Replicas count their own scans; a build waits for every older transaction."""
    replicas = answer("replication", {"place": "replica", "name": "r"})
    assert "replicas" in refusals(upkeep_choice.usage(ALL, look(index(), replication=replicas), one()))
    draft = upkeep_choice.usage(ALL, look(index(), replication=replicas), one(), replicas_checked=True)
    assert draft is not None and len(draft.targets) == 1 and draft.targets[0].undo is not None
    unseen = look(index(), replication=unanswered("replication"))
    assert "could not be seen" in refusals(upkeep_choice.usage(ALL, unseen, one()))
    old = answer("xmin_horizon", {"holder": "session", "name": "7", "owner": "psql", "since": 3600.0})
    assert "60 min old" in refusals(upkeep_choice.usage(ALL, look(index(), xmin_horizon=old), one()))
    assert "60 min old" in refusals(
        upkeep_choice.rebuild(look(index(), xmin_horizon=old), names=[["public", "notes_idx"]])
    )


def test_an_index_that_takes_over_the_work_of_another_is_kept() -> None:
    """Of two that are the same, both unused, one goes."""
    pair = {
        "schema": "public",
        "table_name": "notes",
        "index_name": "twin",
        "covered_by": "notes_idx",
        "same": True,
    }
    both = aged(answer("indexes", index(), index("twin")), known(50))
    draft = upkeep_choice.usage(
        ALL, look(index(), index("twin"), duplicate_indexes=answer("duplicate_indexes", pair)), both
    )
    assert draft is not None and [target.name for target in draft.targets] == ["drop public.twin"]
    assert "does the work of public.twin" in draft.left_out["drop public.notes_idx"]
    unseen = look(index("twin"), duplicate_indexes=answer("duplicate_indexes", pair))
    assert "could not be looked at" in refusals(upkeep_choice.usage(["duplicate-index"], unseen, both))


def test_of_three_that_are_the_same_two_go_and_the_third_does_the_work_of_both() -> None:
    """What covered the third is dropped before it, so that the third is held to what is left."""
    same = {"schema": "public", "table_name": "notes", "same": True}
    pairs = [{**same, "index_name": "b", "covered_by": "a"}, {**same, "index_name": "c", "covered_by": "b"}]
    seen = look(index("a"), index("b"), index("c"), duplicate_indexes=answer("duplicate_indexes", *pairs))
    draft = upkeep_choice.usage(["duplicate-index"], seen, aged(answer("indexes")))
    assert draft is not None
    covers = [(target.name, target.before["covered_by"]["index"]) for target in draft.targets]
    assert covers == [("drop public.b", ["public", "a"]), ("drop public.c", ["public", "a"])]


def test_whoever_names_indexes_has_no_others_touched() -> None:
    """What failed builds left elsewhere waits for a plan without names."""
    left = index("left", is_valid=False, is_ready=False, leftover="failed build", is_unique=True)
    copy = index("notes_idx_ccnew", is_valid=False, leftover="failed copy of a rebuild")
    seen = look(index(), left, copy)
    for names, wanted in (
        ([], ["drop public.left", "drop public.notes_idx_ccnew"]),
        (["notes_idx"], ["rebuild public.notes_idx"]),
        (["left", "notes_idx_ccnew"], ["rebuild public.left", "drop public.notes_idx_ccnew"]),
    ):
        draft = upkeep_choice.rebuild(seen, names=[["public", name] for name in names])
        assert draft is not None and [target.name for target in draft.targets] == wanted
        nothing_rebuilt = not any(name.startswith("rebuild") for name in wanted)
        assert ("rebuild nothing" in draft.title) is nothing_rebuilt, "a title says what is done"


def test_a_rebuild_needs_room_and_a_plan_has_an_end() -> None:
    """Half of the free space is kept; what is beyond `most` waits for the next plan."""
    seen = look(index(), index("second"))
    names = [["public", "notes_idx"], ["public", "second"]]
    fixed = look(index(needed_for="exclusion constraint"))
    assert "exclusion constraint" in refusals(upkeep_choice.rebuild(fixed, names=names[:1]))
    assert "too much beside 60 MB" in refusals(upkeep_choice.rebuild(seen, names=names[:1], free_mb=60))
    draft = upkeep_choice.rebuild(seen, names=names, free_mb=500, most=1)
    assert (
        draft is not None
        and len(draft.targets) == 1
        and "plan again" in draft.left_out["rebuild public.second"]
    )
    assert draft.settings["sizes"]["public.notes_idx"] == "50 MB"
    assert draft.targets[0].before["build"] == "the one of now (number 7)", "a bare number says nothing"
    assert upkeep_choice.rebuild(seen, names=names, repair="none") is None


def test_a_plan_is_given_as_long_as_its_commands_may_take(office: Office) -> None:
    """A runner that gives up after its usual two minutes would leave half an index behind."""
    two = Draft(
        "upkeep",
        "Rebuild",
        (upkeep_targets.reindex(index()), upkeep_targets.drop(index("b"))),
        Risk.MEDIUM,
        "",
    )
    assert changes._commanded_s(office.plan(two)) == 2 * 3600
    note = replace(two, targets=(replace(two.targets[0], act=Statement("note_refresh", {})),))
    assert changes._commanded_s(office.plan(note)) == 0


def test_a_plan_that_was_written_by_hand_keeps_to_what_its_target_names(office: Office) -> None:
    """The archive proves nothing: an act on another index than the one shown is refused."""
    good = upkeep_targets.drop(index())
    assert good.undo is not None
    other = Statement("drop_index", {"index": ["public", "users_pkey"]})
    elsewhere = Statement("create_index", {**good.undo.params, "table": ["public", "users"]})
    whole = Draft("upkeep", "Drop", (good,), Risk.MEDIUM, "nothing")
    bounds.check(office.plan(whole))
    for bad in (replace(good, act=other), replace(good, undo=elsewhere)):
        with pytest.raises(Refused, match="nothing that a change of the kind upkeep does"):
            bounds.check(office.plan(replace(whole, targets=(bad,))))
