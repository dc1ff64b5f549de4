"""Migrations: what files and ledger say of each other, and a file that is applied whole or not at all."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import psycopg
import pytest

from opslib import config, frames
from opslib.__main__ import main
from opslib.acts import Opening, Statement
from opslib.changes import migration
from opslib.changes.migration_text import against
from opslib.checks import migration_files, migrations
from opslib.errors import Malformed, OpsError, Refused, SourceError, UsageError
from opslib.gate import faults
from opslib.gate.plan import Risk
from opslib.pg import Database, sql
from opslib.sandbox import control
from opslib.verdict import Finding, Status
from tests.acting import ROOT, Case, applied, perform, planned, ready, states
from tests.answers import administrator

BACKEND = config.load_system("your-backend", ROOT / "parameters").environment("sandbox")
APP = config.load_system("your-app", ROOT / "parameters").environment("sandbox")
LEDGER = {"tool": "supabase", "schema": "supabase_migrations", "name": "schema_migrations", "owner": "app"}
COLUMNS = [column.name for column in sql.load("migrations_applied").returns]
CLOSED = "nothing listens there"
NEW = "20251101090000_tags.sql"


@pytest.fixture
def archive(signer: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An archive in the running sandbox, and a key to approve with."""
    ready(monkeypatch, tmp_path)
    yield tmp_path


def files(**texts: str) -> pd.DataFrame:
    """Return files of migrations by their version, each named `VERSION_step.sql`."""
    rows = [
        {
            "version": version[1:], "name": "step", "file": f"{version[1:]}_step.sql", "checksum": "sum",
            "content": migration_files.digest(text), "text": text,
        }
        for version, text in texts.items()
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=list(migration_files.FILES))


def noted(*versions: str, unfinished: bool = False, text: str = "select 1") -> pd.DataFrame:
    """Return the rows of a ledger."""
    content = migration_files.digest(text) if text else ""
    row = {"name": "step", "applied_at": pd.NaT, "checksum": "sum", "content": content}
    rows = [{**row, "version": version, "unfinished": unfinished} for version in versions]
    return pd.DataFrame(rows, columns=COLUMNS)


def told(rows: pd.DataFrame, env: Any = APP, tool: str = "supabase") -> Mapping[str, Finding]:
    """Return the findings by their check."""
    return {finding.check: finding for finding in migrations.judged(env, rows, tool)}


def compared(there: pd.DataFrame, ledger: pd.DataFrame, tool: str = "supabase") -> dict[str, str]:
    """Return the state of each version."""
    rows = migrations.states(there, ledger, tool)
    return dict(zip(rows["version"], rows["state"], strict=True))


def database(system: str) -> Database:
    """Return a system's database, as the operator."""
    door = config.load_system(system).environment("sandbox").operator
    assert door
    return Database([door], application_name="opslib-test")


def asked(system: str, query: str) -> list[tuple[Any, ...]]:
    """Ask a system's database as its administrator."""
    with psycopg.connect(control.status()["databases"][system]["admin"], autocommit=True) as admin:
        return admin.execute(query.encode()).fetchall()


def clone(tmp_path: Path, system: str, **more: str) -> Path:
    """Return a copy of a system's files with some more."""
    place = tmp_path / "clone"
    shutil.copytree(Path(os.environ["OPSLIB_HOME"]) / "sandbox" / "migrations" / system, place)
    for name, text in more.items():
        (place / f"{name[1:]}.sql").write_text(text)
    return place


def test_each_way_of_parting_company_has_its_own_name() -> None:
    """What a person must do differs for each."""
    there = files(v1="select 1", v2="select 2", v4="select 1", v5="select 1")
    found = compared(there, noted("1", "2", "3"))
    assert found == {"1": "applied", "2": "edited", "3": "file is gone", "4": "pending", "5": "pending"}
    assert compared(files(v1="select 1", v2="select 1"), noted("2"))["1"] == "out of order"
    assert compared(there, noted("1", unfinished=True))["1"] == "not finished"


def test_two_files_of_one_number_are_named_and_nothing_is_applied_on_top_of_them() -> None:
    """A ledger of numbers holds one of them; one of names holds both."""
    there = pd.concat([files(v3="select 3"), files(v3="select 4"), files(v4="select 4")], ignore_index=True)
    there["file"] = ["3_avatars.sql", "3_billing.sql", "4_next.sql"]
    for ledger in (noted(), noted("3")):
        rows = migrations.states(there, ledger, "supabase")
        assert rows["state"].tolist() == ["number twice", "number twice", "pending"]
        found = told(rows)["numbers"]
        assert (found.status, found.cause) == (Status.WARNING, migrations.TWICE)
        assert "3_avatars.sql" in found.observed and "3_billing.sql" in found.observed
        draft = migration.draft(rows, there, LEDGER, wanted=True)
        assert draft and not draft.targets and "number twice" in draft.left_out["4_next.sql"]
        assert migration.pending(rows, there, LEDGER, wanted=True) == ()
    plain = migrations.states(there, noted("3_avatars.sql", text=""), "plain")
    assert plain["state"].tolist() == ["applied", "pending", "pending"]
    assert told(plain, BACKEND, "plain")["numbers"].status is Status.OK


def test_where_the_ledger_keeps_no_statements_an_edit_is_not_claimed() -> None:
    """And a plain ledger says that it cannot tell, rather than that all is well."""
    assert compared(files(v1="select 2"), noted("1", text=""))["1"] == "applied"
    plain = migrations.states(files(v1="select 2"), noted("1_step.sql", text=""), "plain")
    assert list(plain["state"]) == ["applied"]
    assert told(plain, BACKEND, "plain")["unedited"].status is Status.SKIPPED
    assert told(plain, BACKEND, "alembic")["unedited"].status is Status.SKIPPED


def test_a_file_of_which_the_ledger_keeps_nothing_is_not_called_unedited() -> None:
    """A version that was noted by hand has no statements; the file's name is said."""
    there = files(v1="select 1", v2="select 2", v3="select 3")
    ledger = pd.concat([noted("1"), noted("2", text="")], ignore_index=True)
    finding = told(migrations.states(there, ledger, "supabase"))["unedited"]
    assert finding.status is Status.UNKNOWN
    assert finding.why.endswith(f"for {there['file'][1]}")
    edited = told(migrations.states(files(v1="select 9", v2="select 2"), ledger, "supabase"))["unedited"]
    assert (edited.status, edited.cause) == (Status.WARNING, migrations.EDITED)
    assert there["file"][1] in edited.why
    pending = told(migrations.states(there, noted("1", "2", text=""), "supabase"))["applied"]
    assert pending.cause is migrations.PENDING


def test_a_version_that_was_noted_without_statements_is_found_so_on_a_server(sandbox: object) -> None:
    """A row that somebody wrote by hand to mark a file as applied."""
    change = b"update supabase_migrations.schema_migrations set statements = %s where version = %s"
    query = b"select version, statements from supabase_migrations.schema_migrations order by 1 desc limit 1"
    with administrator(APP.system.name) as admin, closing(database(APP.system.name)) as opened:
        last = admin.execute(query).fetchone()
        assert last
        admin.execute(change, [None, last[0]])
        try:
            ledger = opened.table("migrations_applied", table=[LEDGER["schema"], LEDGER["name"]])
        finally:
            admin.execute(change, [last[1], last[0]])
    finding = told(migrations.states(migration_files.read(APP, ""), ledger, "supabase"))["unedited"]
    assert finding.status is Status.UNKNOWN and last[0] in finding.why


def test_a_try_that_was_rolled_back_is_not_applied_and_of_others_the_last_one_counts(sandbox: object) -> None:
    """`prisma migrate resolve --rolled-back` keeps the row; the mended file is noted in another."""
    place = ["public", "_prisma_migrations"]
    tries = """insert into _prisma_migrations
        (id, migration_name, checksum, applied_steps_count, started_at, finished_at, rolled_back_at) values
        (gen_random_uuid(), '2999_b', 'old', 0, now() - interval '2 h', null, now()),
        (gen_random_uuid(), '2999_a', 'new', 1, now(), now(), null),
        (gen_random_uuid(), '2999_a', 'older', 1, now() - interval '1 h', now(), null),
        (gen_random_uuid(), '2999_a', 'old', 0, now() - interval '2 h', null, now())"""
    with administrator("klutr") as admin, closing(database("klutr")) as opened:
        admin.execute(tries)
        try:
            ledger = opened.table("migrations_applied", table=place)
        finally:
            admin.execute("delete from _prisma_migrations where migration_name like '2999%'")
    rows = ledger[ledger["version"].str.startswith("2999")]
    assert rows[["version", "checksum", "unfinished"]].values.tolist() == [["2999_a", "new", False]]
    states = compared(files(v2999="select 1").assign(file="2999_b"), ledger, "prisma")
    assert states["2999"] == "pending"


def test_white_space_and_how_statements_were_split_is_no_edit() -> None:
    """Supabase's command line keeps the statements without their semicolons."""
    assert migration_files.digest("select 1;\n\n select 2;\n") == migration_files.digest("select 1select 2")
    assert migration_files.digest("select 1") != migration_files.digest("select 2")


def test_a_number_that_is_left_out_is_a_gap_unless_it_is_known() -> None:
    """009 of your-backend never was; times have no next one."""
    assert migrations.missing(["001", "002", "004"], ()) == ["003"]
    assert migrations.missing(["008", "010"], ["009"]) == []
    assert migrations.missing(["20250105090000", "20250220120000"], ()) == []
    rows = migrations.states(files(v001="select 1", v003="select 1"), noted("001", "003"), "supabase")
    finding = told(rows)["complete"]
    assert (finding.status, finding.observed, finding.cause) == (Status.WARNING, "no 002", migrations.GAP)


def test_a_critical_file_that_is_not_applied_is_critical() -> None:
    """012 of your-backend is its row level security."""
    name = "012_add_rls_core_tables.sql"
    row = {"version": "012", "name": "x", "state": "pending", "applied_at": pd.NaT, "file": name, "noted": ""}
    finding = told(pd.DataFrame([row]), BACKEND, "plain")["applied"]
    assert (finding.status, finding.cause) == (Status.CRITICAL, migrations.PENDING)
    other = pd.DataFrame([{**row, "file": "014_x.sql"}])
    assert told(other, BACKEND, "plain")["applied"].status is Status.WARNING


@pytest.mark.parametrize("side", ["files", "ledger"])
@pytest.mark.parametrize("reason", [CLOSED, "permission denied for table schema_migrations", "timed out"])
def test_what_could_not_be_read_leaves_all_unknown_and_nothing_planned(side: str, reason: str) -> None:
    """No files is not: all are applied."""
    gone = frames.unavailable(migration_files.FILES if side == "files" else COLUMNS, reason)
    there, ledger = (gone, noted("1")) if side == "files" else (files(v1="select 1"), gone)
    rows = migrations.states(there, ledger, "supabase")
    assert {finding.status for finding in told(rows).values()} == {Status.UNKNOWN}
    assert {finding.why for finding in told(rows).values()} == {reason}
    assert migration.draft(rows, there, LEDGER, wanted=True) is None


def test_a_folder_that_is_none_or_empty_or_no_text_says_so(tmp_path: Path) -> None:
    """Never an empty list, which would make all that is applied look lost."""

    def reason(place: Path) -> str:
        return str(frames.reason(migration_files.read(APP, str(place))))

    assert "no such file" in reason(tmp_path / "nowhere")
    assert "holds no migration" in reason(tmp_path)
    (tmp_path / "001_x.sql").write_bytes(b"\xff\xfe")
    assert "no text in utf-8" in reason(tmp_path)
    production = config.load_system("your-app", ROOT / "parameters").environment("production")
    assert "give folder=" in str(frames.reason(migration_files.read(production, "")))


def test_prismas_folders_and_plain_files_are_both_read(tmp_path: Path) -> None:
    """The tool's own layout, with its own checksum."""
    (tmp_path / "20250101000000_init").mkdir()
    (tmp_path / "20250101000000_init" / "migration.sql").write_text("select 1;\n")
    (tmp_path / "migration_lock.toml").write_text("")
    frame = migration_files.read(APP, str(tmp_path))
    assert list(frame["file"]) == ["20250101000000_init"]
    assert migrations.states(frame, noted("20250101000000_init"), "prisma")["state"].tolist() == ["edited"]
    same = noted("20250101000000_init").assign(checksum=frame["checksum"][0])
    assert migrations.states(frame, same, "prisma")["state"].tolist() == ["applied"]


@pytest.mark.parametrize(
    "text",
    [
        "begin; create table a (b int); commit;",
        "create table a (b int);\n COMMIT;",
        "create index concurrently i on a (b);",
        "create index Concurrently i on a (b)",
        "vacuum a",
        "rollback",
        "savepoint x; select 1",
        "\\i other.sql\nselect 1;",
        "copy a from stdin;\n1\n\\.\n",
        "-- nothing\n/* at all; */",
        "",
    ],
)
def test_a_file_that_cannot_be_whole_or_nothing_is_left_out(text: str) -> None:
    """It would stop half way, or could not run at all."""
    assert against(text)


@pytest.mark.parametrize(
    "text",
    [
        "create table a (b text default 'commit; begin'); -- commit;\n",
        "create function f() returns int language plpgsql as $$ begin return 1; end $$;",
        "create function f() returns int language plpgsql as $body$ begin; commit; end $body$; select 1",
        'alter table "begin" add column "commit" int; /* ; vacuum; */',
        r"insert into a values (E'it\'s; commit;')",
        "do $$ begin perform 1; end $$",
    ],
)
def test_words_in_texts_comments_and_bodies_are_no_commands(text: str) -> None:
    """A harmless file that is refused is applied by hand, past everything that is checked here."""
    assert against(text) == ""


def test_only_pending_files_are_planned_and_only_up_to_the_first_that_cannot_be() -> None:
    """In order; and each waits for the one before."""
    there = files(v1="select 1", v2="select 2", v3="vacuum", v4="select 4")
    rows = migrations.states(there, noted("1"), "supabase")
    draft = migration.draft(rows, there, LEDGER, wanted=True)
    assert draft and [target.name for target in draft.targets] == ["2_step.sql"]
    assert list(draft.left_out) == ["3_step.sql", "4_step.sql"]
    assert (draft.risk, draft.targets[0].undo, bool(draft.not_undoable)) == (Risk.HIGH, None, True)
    assert draft.targets[0].before == {"applied": False, "after": "1"}
    assert migration.draft(rows, there, LEDGER, wanted=False) is None


@pytest.mark.parametrize("tool", ["prisma", "alembic", ""])
def test_ledgers_that_others_keep_are_left_to_them(tool: str) -> None:
    """Prisma checks more than a row."""
    there = files(v1="select 1")
    rows = migrations.states(there, noted(), tool)
    draft = migration.draft(rows, there, {**LEDGER, "tool": tool}, wanted=True)
    assert draft and not draft.targets and draft.left_out


def test_nothing_is_applied_on_top_of_what_is_not_in_order() -> None:
    """Which of two histories would the new one belong to?"""
    there = files(v1="select 9", v2="select 2")
    rows = migrations.states(there, noted("1"), "supabase")
    draft = migration.draft(rows, there, LEDGER, wanted=True)
    assert draft and not draft.targets and "1 (edited)" in draft.left_out["2_step.sql"]


@pytest.mark.parametrize("system", ["your-app", "your-backend"])
def test_a_pending_file_is_planned_applied_and_found_applied(archive: Path, system: str) -> None:
    """What it makes belongs to the app, not to opslib; done twice it is done once; the ledger has it."""
    control.break_("migration-pending", system)
    case = Case("migrations", "migration-pending", system, {"apply": True}, ())
    document = planned(case, archive)
    assert asked(system, "select to_regclass('public.tags')::text") == [(None,)]
    after = applied(case, document, archive)
    assert (after["verdict"], states(after)) == ("ok", ["done"]), after["findings"]
    owner = "select tableowner from pg_tables where tablename = 'tags'"
    assert asked(system, owner) == [(f"app_{system.replace('-', '_')}",)]
    assert states(applied(case, document, archive)) == ["already done"]
    assert document["plan"]["risk"] == "high"


def test_a_file_is_applied_exactly_once_wherever_the_run_is_killed(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ledger row came with it or it did not come."""
    control.break_("migration-pending", "your-app")
    case = Case("migrations", "migration-pending", "your-app", {"apply": True}, ())
    document = planned(case, archive)
    for point in ("after-intent", "after-act"):
        monkeypatch.setenv(faults.VARIABLE, point)
        assert applied(case, document, archive)["verdict"] == "unknown"
    monkeypatch.delenv(faults.VARIABLE)
    after = applied(case, document, archive)
    assert (after["verdict"], states(after)) == ("ok", ["done"]), after["findings"]


def test_a_file_that_fails_leaves_nothing_behind_and_ends_the_rest(archive: Path, tmp_path: Path) -> None:
    """Not its first statement, not its note, and not the file after it."""
    place = clone(
        tmp_path, "your-app",
        # Without rows, as in the rehearsal, it divides by nothing.
        v20260101000000_half="create table public.half (a int); select 1 / (id is null)::int from users;",
        v20260102000000_next="create table public.next (a int);",
    )  # fmt: skip
    case = Case("migrations", "", "your-app", {"apply": True, "folder": str(place)}, ())
    after = applied(case, planned(case, archive), archive)
    assert (after["verdict"], states(after)) == ("critical", ["failed", "not reached"])
    assert "division by zero" in after["changed"][0]["text"]
    left = "select to_regclass('public.half')::text, to_regclass('public.next')::text, count(*)"
    assert asked("your-app", f"{left} from supabase_migrations.schema_migrations") == [(None, None, 5)]


def test_what_is_run_is_what_was_approved_whatever_the_file_says_by_then(
    archive: Path, tmp_path: Path
) -> None:
    """Somebody pushes between the approval and the act."""
    control.break_("migration-pending", "your-app")
    place = clone(tmp_path, "your-app")
    case = Case("migrations", "", "your-app", {"apply": True, "folder": str(place)}, ())
    document = planned(case, archive)
    (place / NEW).write_text("drop table public.users cascade;")
    after = applied(case, document, archive)
    assert (states(after), after["cause"]["id"]) == (["done"], "migration-edited")
    assert asked("your-app", "select count(*) > 0 from public.users") == [(True,)]


def act(script: str, version: str = "20990101000000") -> Opening:
    """Return a leave to run a file in your-app."""
    params = {"version": version, "name": "x", "content": script}
    return Opening(Statement("note_migration", params, script, "x.sql", "app_your_app"), "key")


def test_a_file_and_its_note_are_one_at_the_database_itself(sandbox: Any) -> None:
    """Noted by somebody else, or out of its transaction, or as somebody that the operator is not."""
    mark = "create table public.trace (a int)"
    there = asked("your-app", "select min(version) from supabase_migrations.schema_migrations")[0][0]
    found = database("your-app")
    try:
        with pytest.raises(SourceError, match="noted by somebody else") as conflict:
            found.act(act(mark, there))
        assert conflict.value.kind == "conflict"
        with pytest.raises(OpsError):
            found.act(act(f"{mark}; select no_such_function()"))
        with pytest.raises(SourceError, match="permission denied"):
            found.act(Opening(Statement(**{**vars(act(mark).act), "role": "postgres"}), "key"))
        assert asked("your-app", "select to_regclass('public.trace')::text") == [(None,)]
        assert found.table("server_facts").iloc[0]["role"] == "opslib_operator", "the role ends with the act"
        with pytest.raises((Malformed, SourceError)):
            found.act(act("select 1; commit; select 2"))
    finally:
        found.close()
    ledger = "select count(*) from supabase_migrations.schema_migrations where version like '2099%'"
    assert asked("your-app", ledger) == [(0,)]


def test_a_busy_table_makes_a_file_fail_instead_of_making_everybody_wait(sandbox: Any) -> None:
    """The migration that waits is the one that all readers queue behind."""
    holding = psycopg.connect(control.status()["databases"]["your-app"]["admin"])
    found = database("your-app")
    try:
        holding.execute("lock table public.users in access share mode")
        with pytest.raises(SourceError, match="lock"):
            found.act(act("alter table public.users add column trace int"))
    finally:
        found.close()
        holding.close()


def test_an_approval_is_needed(archive: Path) -> None:
    """High risk: nobody's dry run applies anything."""
    control.break_("migration-pending", "your-app")
    document = perform("migrations", "your-app", archive, apply=True)
    assert document["plan"]["needs"] != "none"
    approval = {"dry_run": False, "approval": document["plan"]["digest"]}
    with pytest.raises(Refused, match="no valid approval"):
        perform("migrations", "your-app", archive, apply=True, **approval)
    assert asked("your-app", "select to_regclass('public.tags')::text") == [(None,)]


def made(place: Path, *words: str) -> str:
    """Make a file on the command line; return its name below the folder, or the exit code without one."""
    before = set(place.rglob("*.sql"))
    with pytest.raises(SystemExit) as ended:
        main(["migration", "new", *words, "--folder", str(place)])
    found = next(iter(set(place.rglob("*.sql")) - before), None)
    return str(ended.value.code if found is None else found.relative_to(place))


@pytest.mark.parametrize(
    ("there", "pattern"),
    [
        (["001_init.sql", "009_more.sql"], r"010_add_tags\.sql"), (["0099_x.sql"], r"0100_add_tags\.sql"),
        (["20250101000000_init.sql"], r"20\d{12}_add_tags\.sql"), ([], r"20\d{12}_add_tags\.sql"),
        (["20250101000000_init/migration.sql"], r"20\d{12}_add_tags/migration\.sql"),
        (["29990101000000_ahead.sql"], r"29990101000001_add_tags\.sql"),
    ],
)  # fmt: skip
def test_a_new_file_is_numbered_and_laid_out_as_the_others(
    tmp_path: Path, there: list[str], pattern: str
) -> None:
    """And comes after the last of them, whatever the clock says."""
    for name in there:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("select 1;\n")
    name = made(tmp_path, "Add tags")
    assert re.fullmatch(pattern, name), name
    text = (tmp_path / name).read_text()
    assert "lock_timeout = '2s'" in text and ("set local" in text) is ("/" not in name)
    assert against(text) == ""


def test_a_new_file_overwrites_nothing_and_a_strange_name_makes_none(tmp_path: Path) -> None:
    """Two people, one second: the second is told."""
    now = datetime(2026, 11, 22, tzinfo=UTC)
    first = migration_files.create(tmp_path, "add tags", now)
    first.write_text("select 1;")
    (tmp_path / "prisma" / "20250101000000_x").mkdir(parents=True)
    (tmp_path / "prisma" / "20250101000000_x" / "migration.sql").touch()
    assert migration_files.create(tmp_path, "add tags", now) != first and first.read_text() == "select 1;"
    taken = tmp_path / "prisma" / f"{now:%Y%m%d%H%M%S}_add_tags"
    taken.mkdir()
    with pytest.raises(UsageError, match="file exists; nothing was written"):
        migration_files.create(taken.parent, "add tags", now)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / f"{now:%Y%m%d%H%M%S}_add_tags.sql").symlink_to(tmp_path / "elsewhere.sql")
    with pytest.raises(UsageError, match="file exists; nothing was written"):
        migration_files.create(tmp_path / "other", "add tags", now)
    assert not (tmp_path / "elsewhere.sql").exists()
    for name in ("../evil", "", "a/b", "tags;"):
        assert made(tmp_path, name) == "64"
    assert made(tmp_path / "nowhere", "x") == "64"
