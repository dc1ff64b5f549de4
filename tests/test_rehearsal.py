"""Migrations tried on a copy: what fails is known before anything is touched, and nothing of it stays."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import psycopg
import pytest

from opslib import config, frames
from opslib.acts import Statement
from opslib.changes import migration
from opslib.checks import migration_trial, migrations
from opslib.config import Secret
from opslib.config.environment import Door
from opslib.gate.plan import Draft
from opslib.run import rehearsal
from opslib.sandbox import binaries, trial
from opslib.sandbox.databases import Databases
from opslib.sandbox.scratch import scratch
from opslib.verdict import Finding, Status
from tests import majors
from tests.acting import Case, applied, perform, planned, ready, states
from tests.answers import administrator, answer, monitor, unanswered
from tests.test_matrix import traces
from tests.test_migrations import LEDGER, clone, files, noted

SYSTEM = "your-app"
PLACE = ["supabase_migrations", "schema_migrations"]
TRIED: dict[str, Any] = {
    "file": "2_step.sql", "ms": 5.0, "shut": (), "unwritable": (), "scanned": (), "swept": (),
    "rewritten": (), "error": "", "doubt": "", "lacking": "",
}  # fmt: skip
MANY = answer(
    "tended_tables",
    {"schema": "public", "table_name": "events", "live_rows": 5_000_000, "bytes": 0, "toast_bytes": 0},
    {"schema": "public", "table_name": "files", "live_rows": 0, "bytes": 10**9, "toast_bytes": 0},
    {"schema": "public", "table_name": "letters", "live_rows": 9, "bytes": 8192, "toast_bytes": 10**9},
    {"schema": "public", "table_name": "small", "live_rows": 9, "bytes": 8192, "toast_bytes": 8192},
)


@pytest.fixture
def empty(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder in which a server would be made, short enough for its socket, and open to its account."""
    place = Path(tempfile.mkdtemp(prefix="t", dir="/tmp"))
    place.chmod(0o755)
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    yield place
    shutil.rmtree(place)


@pytest.fixture
def archive(signer: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An archive in the running sandbox, and a key to approve with."""
    ready(monkeypatch, tmp_path)
    yield tmp_path


def source() -> Door:
    """Return the door by which the tables of the rehearsed system are copied."""
    found = config.load_system(SYSTEM).environment("sandbox").backup
    assert found
    return found


def act(version: str, text: str) -> Statement:
    """Return a file with its note."""
    params = {"version": version, "name": "x", "content": text}
    return Statement("note_migration", params, text, f"{version}.sql", "app_your_app")


def drafted(**texts: str) -> Draft:
    """Return the proposal to apply files of which the first is there."""
    there = files(**texts)
    rows = migrations.states(there, noted("1"), "supabase")
    draft = migration.draft(rows, there, LEDGER, wanted=True)
    assert draft
    return draft


def tries(*rows: dict[str, Any]) -> pd.DataFrame:
    """Return what a rehearsal would say."""
    return pd.DataFrame([TRIED | row for row in rows], columns=list(rehearsal.TRIED))


def judged(*rows: dict[str, Any], tended: pd.DataFrame = MANY) -> dict[str, Finding]:
    """Return the findings by their check."""
    return {finding.check: finding for finding in migration_trial.judged(tries(*rows), tended)}


def test_files_are_tried_in_order_and_say_whom_they_keep_out(sandbox: object, empty: Path) -> None:
    """Of the copy nothing stays, and of the files nothing arrives."""
    before = traces(SYSTEM)
    acts = [
        act("2099", "create table tags (id int); alter table users add nick text;"),
        act("2100", "create index on tags (id); create index on events (name);"),
        act("2101", "alter table events alter column name type varchar(99)"),
        act("2102", "create table half (a int); select 1 / 0"),
        act("2103", "select 1"),
    ]
    found = trial.trial(source(), acts, PLACE)
    assert [(one.shut, one.unwritable, one.rewritten, one.error) for one in found.files] == [
        (("public.users",), (), (), ""),
        ((), ("public.events",), (), ""),
        (("public.events",), (), ("public.events",), ""),
        ((), (), (), "division by zero"),
    ]
    assert found.lacking == "" and all(one.ms > 0 for one in found.files)
    assert traces(SYSTEM) == before and list(empty.iterdir()) == []


def test_a_file_finds_what_logins_of_its_role_find_and_is_noted_once(sandbox: object) -> None:
    """By their search path and time zone; and one that notes itself would conflict with its note."""
    zone = "do $$ begin assert current_setting('timezone') = 'America/New_York'; end $$"
    itself = "insert into supabase_migrations.schema_migrations (version) values ('2100')"
    with administrator(SYSTEM) as admin:
        admin.execute('create schema "An extra" create table thing (i int)')
        admin.execute('alter table "An extra".thing owner to app_your_app')
        admin.execute('grant all on schema "An extra" to app_your_app')
        admin.execute("alter role app_your_app set search_path = public, 'An extra'")
        admin.execute("""alter database "your-app" set timezone = 'America/New_York'""")
        try:
            acts = [act("2099", f"alter table thing add j int; {zone}"), act("2100", itself)]
            found = trial.trial(source(), acts, PLACE)
        finally:
            admin.execute("alter role app_your_app reset search_path")
            admin.execute('alter database "your-app" reset timezone')
            admin.execute('drop schema "An extra" cascade')
    assert [one.error for one in found.files] == ["", trial.NOTED], found.lacking


def test_a_file_finds_publications_the_database_and_its_settings(sandbox: object) -> None:
    """By their names; and settings that only a session or another role has are a doubt."""
    texts = (
        "alter publication supabase_realtime add table users",
        'alter database "your-app" set statement_timeout = 9',
        "alter table users add tenant text default current_setting('app.tenant')",
        "do $$ begin assert current_setting('app.tenant') = 'acme, inc'; end $$",
        "create index on users (role) tablespace fast",
    )
    with administrator(SYSTEM) as admin:
        admin.execute("set role app_your_app; create publication supabase_realtime; reset role")
        admin.execute("""alter database "your-app" set "app.tenant" = 'acme, inc'""")
        admin.execute("""alter database "your-app" set default_transaction_read_only = on""")
        try:
            acts = [act(str(2099 + n), text) for n, text in enumerate(texts)]
            found = trial.trial(source(), acts, PLACE)
            acts[0] = act("2099", "select current_setting('app.other')")
            unset = trial.trial(source(), acts, PLACE)
        finally:
            admin.execute("set default_transaction_read_only = off; drop publication supabase_realtime")
            for name in ("app.tenant", "default_transaction_read_only"):
                admin.execute(f'alter database "your-app" reset {name}'.encode())
    assert [one.error for one in found.files[:-1]] == [""] * 4, found
    assert found.files[-1].doubt == "tablespaces and subscriptions are not copied"
    assert "unrecognized" in unset.files[0].error and "set for its role" in unset.files[0].doubt


@pytest.mark.parametrize("database", ["postgres", "Odd % name"])
def test_a_database_of_any_name_can_be_rehearsed(database: str) -> None:
    """Also by the name that is there on every server."""
    asked = """select current_database(), pg_get_userbyid(datdba),
        (select array_agg(rolname::text) from pg_roles where rolsuper)
        from pg_database where datname = current_database()"""
    with (
        scratch(0, ["app"], owner="app", database=database, superuser="someone") as door,
        closing(psycopg.connect(door.dsn.reveal(), autocommit=True)) as connection,
    ):
        found = connection.execute(asked.encode()).fetchone()
    assert found == (database, "app", ["someone"])


def test_materialized_views_are_read_and_refreshed_on_the_copy(sandbox: object) -> None:
    """They are empty there as their tables are, and not unfilled, which would be the copy's fault."""
    texts = (
        "refresh materialized view concurrently daily", "refresh materialized view daily",
        "create view days as select count(*) from daily; select * from days",
    )  # fmt: skip
    with administrator(SYSTEM) as admin:
        admin.execute(
            "create materialized view daily as select id from users; create unique index on daily (id)"
        )
        admin.execute("alter materialized view daily owner to app_your_app")
        try:
            acts = [act(str(2099 + n), text) for n, text in enumerate(texts)]
            found = trial.trial(source(), acts, PLACE)
        finally:
            admin.execute("drop materialized view daily")
    assert [(one.error, one.scanned) for one in found.files] == [("", ())] * 3


def test_an_interrupted_rehearsal_leaves_nothing_behind(sandbox: object, empty: Path) -> None:
    """Ctrl-C in the middle of it: no server, no copy, no dump."""
    seen: list[str] = []

    def interrupted(text: str) -> None:
        if text.startswith("trying"):
            seen.extend(path.name for path in next(empty.iterdir()).iterdir())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trial.trial(source(), [act("2099", "select 1")], PLACE, interrupted)
    assert {"schema.dump", "notes.dump"} <= set(seen) and list(empty.iterdir()) == []


def test_without_a_server_or_the_right_to_read_it_is_unknown_why(
    sandbox: object, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Not rehearsed is not: it works."""
    env, draft = config.load_system(SYSTEM).environment("sandbox"), drafted(v1="select 1", v2="select 2")
    acts = [act("2099", "select 1")]

    def why(other: config.Environment) -> str:
        return str(frames.reason(rehearsal.rehearse(other, acts, PLACE, lambda text: None)))

    with administrator(SYSTEM) as admin:
        admin.execute("create role stranger login password 'let-me-in'")
        door = source().dsn.reveal()
        address = psycopg.conninfo.make_conninfo(door, user="stranger", password="let-me-in")
        try:
            strange = Door("backup", Secret.literal("stranger", address), False)
            assert "permission denied" in why(replace(env, backup=strange))
        finally:
            admin.execute("drop role stranger")
    assert "names no door to the server itself" in why(replace(env, backup=None))
    monkeypatch.setenv("OPSLIB_PG_BIN", str(tmp_path))
    assert "does not hold" in why(env)
    tried = rehearsal.rehearse(env, acts, PLACE, lambda text: None)
    assert [one.status for one in migration_trial.judged(tried, MANY)] == [Status.UNKNOWN]
    told = migration.rehearsed(draft, tried, None)
    assert told and told.targets == draft.targets and "it was not rehearsed" in told.not_undoable[-1]


def test_a_file_that_fails_is_known_before_anything_is_touched_and_is_not_planned(
    archive: Path, tmp_path: Path
) -> None:
    """The good one before it may go; it and all after it may not."""
    place = clone(
        tmp_path, SYSTEM, v20260101000000_good="create table public.good (a int);",
        v20260102000000_bad="alter table public.nowhere add a int;", v20260103000000_next="select 1;",
    )  # fmt: skip
    before = traces(SYSTEM)
    document = perform("migrations", SYSTEM, archive, apply=True, folder=str(place))
    assert (document["verdict"], document["cause"]["id"]) == ("warning", "migration-fails-midway")
    assert document["plan"]["targets"] == ["20260101000000_good.sql"] and traces(SYSTEM) == before
    told = {one["check"]: one for one in document["findings"]}
    assert 'relation "public.nowhere" does not exist' in told["rehearsal"]["observed"]
    assert told["age"]["status"] == "ok"


def test_files_that_a_tool_applies_itself_are_tried_as_well(archive: Path, tmp_path: Path) -> None:
    """Nothing is planned of them, but what fails is known before the tool is let loose."""
    place = clone(tmp_path, "klutr")
    (place / "20991231000000_bad").mkdir()
    (place / "20991231000000_bad" / "migration.sql").write_text('alter table "Nowhere" add column a int;')
    document = perform("migrations", "klutr", archive, apply=True, folder=str(place))
    assert (document["cause"]["id"], document["plan"]) == ("migration-fails-midway", None)
    assert "Nowhere" in {one["check"]: one for one in document["findings"]}["rehearsal"]["observed"]


def test_what_is_tried_is_what_would_be_applied() -> None:
    """The same texts, with the same notes; nothing where two histories part, or nobody asks."""
    there, draft = files(v1="select 1", v2="select 2", v3="vacuum"), drafted(v1="select 1", v2="select 2")
    rows = migrations.states(there, noted("1"), "supabase")
    assert migration.pending(rows, there, LEDGER, wanted=True) == tuple(one.act for one in draft.targets)
    assert migration.pending(rows, there, LEDGER, wanted=False) == ()
    edited = migrations.states(there, noted("1", text="select 9"), "supabase")
    assert migration.pending(edited, there, LEDGER, wanted=True) == ()


def test_a_new_table_that_everybody_can_read_is_found_once_it_is_made(archive: Path, tmp_path: Path) -> None:
    """And a constraint that old rows need not keep; those that were there before are not this file's."""
    text = """create table public.open (a int); grant select on public.open to anon;
        alter table public.users add constraint kept check (email <> '') not valid;"""
    place = clone(tmp_path, SYSTEM, v20260101000000_open=text)
    case = Case("migrations", "", SYSTEM, {"apply": True, "folder": str(place)}, ())
    document = planned(case, archive)
    try:
        after = applied(case, document, archive)
    finally:
        with administrator(SYSTEM) as admin:
            admin.execute("drop table public.open; alter table public.users drop constraint kept")
            admin.execute("delete from supabase_migrations.schema_migrations where version like '2026%'")
    assert (states(after), after["cause"]["id"]) == (["done"], "rls-off")
    found = {(one["check"], one["subject"]) for one in after["findings"] if one["status"] != "ok"}
    assert {("row security", "public.open"), ("constraints", "public.users.kept")} <= found


def test_files_that_wait_unasked_for_are_not_tried_and_that_is_said() -> None:
    """Beside a file that is pending, whoever reads that nothing is applied wonders what to do."""
    env = config.load_system("klutr").environment("production")
    tried = rehearsal.rehearse(env, [], ["public", "ledger"], lambda text: None)
    (found,) = migration_trial.judged(tried, MANY)
    assert found.status is Status.SKIPPED and "with apply=true" in found.why


def test_a_failure_on_half_a_copy_proves_nothing() -> None:
    """What is missing there may be what the file needs."""
    whole = judged({"error": "boom"})["rehearsal"]
    half = judged({"error": "boom", "doubt": "no vector"})["rehearsal"]
    assert (whole.status, whole.cause) == (Status.WARNING, migration_trial.FAILS)
    assert (half.status, half.cause) == (Status.UNKNOWN, None) and "no vector" in half.why
    assert "no vector" in judged({"lacking": "no vector"})["rehearsal"].observed
    nothing = frames.unavailable(rehearsal.TRIED, "nothing is about to be applied", absent=True)
    assert [one.status for one in migration_trial.judged(nothing, MANY)] == [Status.SKIPPED]


@pytest.mark.parametrize(
    ("text", "said", "doubt"),
    [
        ("insert into sessions select gen_random_uuid(), gen_random_uuid(), '::1', '', now(), now()",
         "violates foreign key", "the rows that it refers to are not copied"),
        ("insert into sessions (id, user_id) values (gen_random_uuid(), (select id from users limit 1))",
         "violates not-null", "the rows that it would take a value from are not copied"),
        ("do $$ begin if not exists (select from users) then raise exception 'seed first'; end if; end $$",
         "seed first", "the rows that it may have looked for are not copied"),
    ],
)  # fmt: skip
def test_what_fails_for_want_of_rows_says_so(sandbox: object, text: str, said: str, doubt: str) -> None:
    """The copy has none, and of the rights only those to tables."""
    (one,) = trial.trial(source(), [act("2099", text)], PLACE).files
    assert said in one.error and one.doubt == doubt


def test_what_may_fail_on_the_copy_only_is_left_to_people() -> None:
    """Such a failure refuses nothing."""
    draft = drafted(v1="select 1", v2="select 2", v3="select 3")
    plan = migration.rehearsed(draft, tries({"error": "boom", "doubt": "no rows"}), None)
    assert plan and plan.targets == draft.targets
    assert plan.not_undoable[-2:] == (
        "2_step.sql was not rehearsed to its end: boom", "not rehearsed, behind that one: 3_step.sql",
    )  # fmt: skip


def test_what_ran_on_another_version_is_no_proof() -> None:
    """It may use what an older one does not have: approvers are told, and it is not called ok."""
    row = {"file": "2_step.sql", "doubt": "it was tried on 18, and this is 16"}
    found = judged(row)["rehearsal"]
    assert found.status is Status.UNKNOWN and "tried on 18" in found.why
    draft = drafted(v1="select 1", v2="select 2")
    plan = migration.rehearsed(draft, tries(row), None)
    assert plan and plan.targets == draft.targets
    assert plan.not_undoable[-1] == (
        "2_step.sql ran on a copy, and may not here: it was tried on 18, and this is 16"
    )


@pytest.mark.parametrize("major", list(majors.folders())[1:])
def test_a_file_is_tried_on_the_same_version_where_there_is_one(
    major: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And on a newer one it is said to be."""
    folder = majors.folders()[major]
    monkeypatch.setenv("OPSLIB_PG_BIN", folder)
    monkeypatch.setenv("OPSLIB_PG_CLIENT_BIN", folder)
    version = "do $$ begin assert current_setting('server_version_num')::int / 10000 = {}; end $$"
    with closing(Databases([SYSTEM], scale=0.02)) as databases:
        door = Door("backup", Secret.literal("x", databases.dsn(SYSTEM, "admin")), False)
        with databases.admin(SYSTEM) as admin:
            there = admin.info.server_version // 10000
        same = trial.trial(door, [act("2099", version.format(there))], PLACE)
        monkeypatch.delenv("OPSLIB_PG_BIN")
        packaged = next(binaries.candidates())
        monkeypatch.setattr(binaries, "candidates", lambda: iter([packaged]))
        newer = trial.trial(door, [act("2099", version.format(18))], PLACE)
    assert (same.files[0].error, same.files[0].doubt, same.lacking) == ("", "", "")
    assert (newer.files[0].error, newer.files[0].doubt) == ("", f"it was tried on 18, and this is {there}")
    assert newer.lacking.startswith(newer.files[0].doubt)


def test_a_large_table_that_is_written_anew_is_named_with_its_rows() -> None:
    """The copy has none of them, so that only the server itself knows."""
    anew = {"rewritten": ("public.events",)}
    assert judged(anew)["rewrites"].status is Status.WARNING
    assert "5000000 rows" in judged(anew)["rewrites"].observed
    assert judged({"rewritten": ("public.files",)})["rewrites"].status is Status.WARNING
    assert judged({"rewritten": ("public.small",)})["rewrites"].status is Status.OK
    assert judged({"rewritten": ("public.letters",)})["rewrites"].status is Status.WARNING
    assert judged({"scanned": ("public.letters",)})["scans"].status is Status.OK
    assert judged({"rewritten": ("public.unseen",)})["rewrites"].status is Status.UNKNOWN
    assert judged()["rewrites"].status is Status.OK
    assert judged(anew, tended=unanswered("tended_tables"))["rewrites"].status is Status.UNKNOWN


def test_what_is_stored_out_of_line_is_written_anew_as_well(sandbox: object) -> None:
    """Its rows are few and short; also where nobody has vacuumed it yet."""
    with administrator(SYSTEM) as admin:
        admin.execute("create table letters (id int, body text); alter table letters owner to app_your_app")
        admin.execute("alter table letters alter body set storage external")
        admin.execute("insert into letters select g, repeat('x', 50000) from generate_series(1, 600) g")
        admin.execute("select pg_stat_force_next_flush()" if admin.info.server_version >= 150000 else "")
        try:
            text = "alter table letters alter body type varchar(60000)"
            tried = trial.trial(source(), [act("2099", text)], PLACE)
            with monitor(SYSTEM) as database:
                young = database.table("tended_tables", schema="public", name="letters")
                admin.execute("vacuum letters")
                old = database.table("tended_tables", schema="public", name="letters")
        finally:
            admin.execute("drop table letters")
    row = {"rewritten": tried.files[0].rewritten}
    assert row == {"rewritten": ("public.letters",)}
    assert [judged(row, tended=one)["rewrites"].status for one in (young, old)] == [Status.WARNING] * 2


def test_a_large_table_that_is_read_whole_while_it_is_locked_is_named() -> None:
    """A lock alone is brief; one that lasts as long as each row is looked at is not."""
    assert judged({"scanned": ("public.events",)})["scans"].status is Status.WARNING
    assert judged({"scanned": ("public.small",)})["scans"].status is Status.OK
    assert judged({"shut": ("public.events",)})["scans"].status is Status.OK
    assert judged({"scanned": ("public.unseen",)})["scans"].status is Status.UNKNOWN


def test_the_rehearsal_tells_what_reads_a_table_whole_from_what_only_locks_it(sandbox: object) -> None:
    """The copy has no rows, but the server counts that it went to look for them."""
    tells = {
        "create index on events (name)": ("public.events",),
        "alter table events add later int default 1": (),
        "alter table events add check (name <> '')": ("public.events",),
        "alter table events alter column id set not null, add unique (id, name)": ("public.events",),
        "alter table sessions add foreign key (user_id) references users": ("public.sessions",),
        "alter table sessions add other uuid references users": (),
        "create table tags (a uuid); alter table tags add foreign key (a) references users": (),
        "alter table events alter column name type varchar(99)": (),
        "alter table events add check (name <> '') not valid": (),
        "create table mine (a uuid references users); create index on users (role)": ("public.users",),
        "alter table sessions add foreign key (user_id) references users not valid;"
        "alter table users add check (role <> '')": ("public.users",),
        "create table own (a uuid references users); alter table users alter last_sign_in_at set not null": (
            "public.users",
        ),
        "create index on sessions (user_id); do $$ begin alter table sessions add foreign key (user_id)"
        " references users; end $$": ("public.sessions",),
        "lock table events in access exclusive mode; insert into tags values (null)": (),
    }
    acts = [act(str(2099 + n), text) for n, text in enumerate(tells)]
    found = trial.trial(source(), acts, PLACE)
    assert [(one.error, one.scanned) for one in found.files] == [("", tables) for tables in tells.values()]


def test_a_table_goes_by_the_name_that_it_has_before_any_file(sandbox: object) -> None:
    """Its size is known by that one alone; what an earlier file has made keeps nobody waiting."""
    texts = (
        "alter table events rename to happenings; create table events (a int)",
        "create index on happenings (name)", "create index on events (a); drop table events",
    )  # fmt: skip
    found = trial.trial(source(), [act(str(2099 + n), text) for n, text in enumerate(texts)], PLACE)
    assert [(one.error, one.shut, one.unwritable, one.scanned) for one in found.files] == [
        ("", ("public.events",), (), ()),
        ("", (), ("public.events",), ("public.events",)),
        ("", (), (), ()),
    ]


def test_rows_of_a_whole_table_that_stay_locked_are_named(sandbox: object) -> None:
    """Not those that are found by their key, nor rows that are new, nor a table that is only read."""
    tells = {
        "update events set name = 'x'": ("public.events",),
        "delete from events where name = 'x'": ("public.events",),
        "select * from events for update": ("public.events",),
        "update users set role = 'x' where email = 'y'": (),
        "insert into events (name) select email from users": (),
        "create index on events (name); update events set name = 'x'": (),
    }
    acts = [act(str(2099 + n), text) for n, text in enumerate(tells)]
    found = trial.trial(source(), acts, PLACE)
    assert [(one.error, one.swept) for one in found.files] == [("", tables) for tables in tells.values()]
    assert found.files[-1].scanned == ("public.events",)
    large, small = (judged({"swept": (f"public.{name}",)})["row locks"] for name in ("events", "small"))
    assert (large.status, small.status) == (Status.WARNING, Status.OK) and "in steps" in large.why


def test_a_plan_leaves_out_what_failed_and_says_that_no_backup_is_young() -> None:
    """From the first that fails on; and in the sentences that an approver reads."""
    draft = drafted(v1="select 1", v2="select 2", v3="select 3", v4="vacuum")
    old = Finding("age", Status.CRITICAL, "", "no backup", why="nothing could be restored")
    told = migration.rehearsed(draft, tries({}, {"file": "3_step.sql", "error": "boom"}), old)
    assert told and [target.name for target in told.targets] == ["2_step.sql"]
    assert (told.title, told.numbers) == ("Apply 1 migration", {"files": 1})
    assert list(told.left_out) == ["3_step.sql", "4_step.sql"]
    assert told.left_out["3_step.sql"] == "it fails on a copy: boom"
    assert told.not_undoable[-1].endswith("no young backup: no backup")
    young = Finding("age", Status.OK, "", "2 h")
    same = migration.rehearsed(draft, tries({}, {"file": "3_step.sql"}), young)
    assert same and (same.targets, same.not_undoable) == (draft.targets, draft.not_undoable)
    assert migration.rehearsed(None, tries(), old) is None


def test_only_what_is_new_is_told_as_new() -> None:
    """A table of last year is another procedure's; and what nobody could see is not nothing."""
    one, other = ({"schema": "public", "relation": name, "kind": "table"} for name in ("old", "new"))
    before, now = answer("api_relations", one), answer("api_relations", one, other)
    none = answer("constraints_unproven")
    tables, constraints = migrations.made((before, none), (now, none))
    assert list(tables["relation"]) == ["new"] and constraints.empty
    assert frames.reason(migrations.made((unanswered("api_relations"), none), (now, none))[0])
