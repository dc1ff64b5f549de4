"""Restoring for real: into a named, empty database, all of it or nothing, and never over the one in use."""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from opslib import acts, config, frames
from opslib.acts import Opening, Work
from opslib.backup import comparing, drilling, in_use, manifest, restoring, store, taking, tools
from opslib.backup.drilling import Drill
from opslib.backup.manifest import Holds, Manifest, Table
from opslib.backup.objects import Objects
from opslib.backup.store import DUMP, MANIFEST, Folder
from opslib.changes import Means, restore
from opslib.checks import backups, copies, drills, restores
from opslib.config import Door, Limit, Secret
from opslib.config.environment import Environment
from opslib.errors import ParameterError, Refused, SourceError
from opslib.gate import faults
from opslib.gate.plan import Target
from opslib.pg import whole
from opslib.pg.connect import parameters
from opslib.run.backups import BackupSource
from opslib.run.recovery import Picked, RecoverySource, Seen, _frame
from opslib.sandbox import control, nightly
from opslib.verdict import Status
from tests.acting import Case, applied, perform, planned, ready, states
from tests.servers import closed_port
from tests.waiting import wait

SYSTEM, COPIED = "kulti", "klutr"  # the second copies its backups to a bucket
CASE = Case("restore", "", SYSTEM, {"target": nightly.TARGET})


def environment() -> Environment:
    """Return where it is rehearsed."""
    return config.load_system(SYSTEM).environment("sandbox")


def admin(database: str) -> psycopg.Connection:
    """Open a superuser's session in one database."""
    dsn = control.status()["databases"][SYSTEM]["admin"]
    return psycopg.connect(psycopg.conninfo.make_conninfo(dsn, dbname=database), autocommit=True)


def tables() -> int:
    """Return how many tables are in the target."""
    with closing(admin(nightly.target(SYSTEM))) as session:
        found = session.execute("select count(*) from pg_tables where schemaname !~ '^(pg_|information_)'")
        row = found.fetchone()
    assert row
    return int(row[0])


@pytest.fixture
def archive(signer: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An archive, a key to approve with, backups, and a target that is made anew afterwards."""
    ready(monkeypatch, tmp_path)
    control.backups(SYSTEM)
    yield tmp_path
    name = nightly.target(SYSTEM)
    with closing(admin("postgres")) as session:
        session.execute(f'drop database "{name}" with (force)'.encode())
        session.execute(f'create database "{name}"'.encode())


def test_a_backup_is_restored_once_and_is_equal_to_its_manifest(archive: Path) -> None:
    """Planned, approved, applied, compared; applied again it does nothing more."""
    document = planned(CASE, archive)
    assert document["verdict"] == "ok" and tables() == 0, "a dry run writes nothing"
    after = applied(CASE, document, archive)
    assert after["verdict"] == "ok", after["findings"]
    assert states(after) == ["done"] and tables() > 5
    wanted = restoring.expected(restoring.chosen(store.of(environment())))
    assert f"holds {wanted} objects" in after["changed"][0]["text"], "counted as the plan counts them"
    target = [found for found in after["findings"] if found["check"] == "target"]
    assert [found["observed"] for found in target] == ["equal to the manifest"]
    with closing(admin(nightly.target(SYSTEM))) as session:
        gathered = "select count(*) from pg_stats where schemaname = 'public'"
        assert session.execute(gathered).fetchone() != (0,), "statistics were gathered"
    again = applied(CASE, document, archive)
    assert again["verdict"] == "ok" and states(again) == ["already done"]


def test_killed_on_the_way_it_is_there_or_cleanly_absent(
    archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One transaction: whoever applies again finds nothing, or all of it."""
    document = planned(CASE, archive)
    found = []
    for point in faults.POINTS:
        monkeypatch.setenv(faults.VARIABLE, point)
        assert applied(CASE, document, archive)["cause"]["id"] == "kernel-died"
        found.append(tables() > 0)
    assert found == [False, False, True, True]
    monkeypatch.delenv(faults.VARIABLE)
    assert applied(CASE, document, archive)["verdict"] == "ok"


def test_nothing_is_planned_unless_a_person_names_the_target(archive: Path) -> None:
    """It is looked at, so that a surprise comes early; it is written to only by its name."""
    document = perform("restore", SYSTEM, archive)
    assert document["verdict"] == "ok" and document["plan"] is None


def test_a_target_that_is_not_empty_is_left_alone(archive: Path) -> None:
    """Also where it filled up between plan and approval."""
    document = planned(CASE, archive)
    control.break_("target-not-empty", SYSTEM)
    after = applied(CASE, document, archive)
    assert (after["verdict"], after["cause"]["id"]) == ("critical", "target-not-empty")
    assert states(after) == ["left out"] and tables() == 1


@pytest.mark.parametrize(
    "made, kind",
    [
        ("create sequence s", "sequence"),
        ("create type t as enum ('a')", "type"),
        ("create type t as (a int)", "type"),
        ("create type t as range (subtype = float8)", "type"),
        ("create domain d as text", "type"),
        ("create schema apart", "schema"),
        ("create function f() returns int language sql as 'select 1'", "function"),
        ("create procedure p() language sql as 'select 1'", "procedure"),
        ("create aggregate total (int) (sfunc = int4pl, stype = int)", "aggregate"),
        ("create operator === (leftarg = int, rightarg = int, function = int4eq)", "operator"),
        ("create view v as select 1", "view"),
        ("select lo_create(0)", "large object"),
        ("create foreign data wrapper w; create server s foreign data wrapper w;"
         " create foreign table f (a int) server s", "foreign table"),
        ("create publication p", "publication"),
        ("create collation c (locale = 'C')", "collation"),
        ("create text search configuration c (copy = simple)", "text search configuration"),
        ("create cast (text as int) with inout", "cast"),
        ("alter default privileges revoke execute on functions from public", "default acl"),
    ],
)  # fmt: skip
def test_whatever_a_person_has_made_there_a_target_is_not_empty(archive: Path, made: str, kind: str) -> None:
    """A sequence or a type is in the way as a table is, or is somebody's work."""
    env = environment()
    backup = restoring.chosen(store.of(env))
    place = restoring.look(env, nightly.TARGET, backup)
    assert (place.objects, place.holds) == (0, "")
    with closing(admin(nightly.target(SYSTEM))) as session:
        session.execute(made.encode())
    place = restoring.look(env, nightly.TARGET, backup)
    assert f"{kind} (1)" in place.holds and "is not empty" in restoring.reason(place, backup)
    (found,) = restores.target(Seen(place), Picked(backup))
    assert (found.cause, found.observed) == (restores.NOT_EMPTY, place.holds)


def test_where_a_vendor_fills_each_database_a_person_is_told_the_way_around(archive: Path) -> None:
    """To make a project of Supabase anew would not help: the new one has the same schemas."""
    with closing(admin(nightly.target(SYSTEM))) as session:
        session.execute(
            b"create role supabase_admin nologin; create schema auth authorization supabase_admin"
        )
        try:
            backup = restoring.chosen(store.of(environment()))
            (found,) = restores.target(
                Seen(restoring.look(environment(), nightly.TARGET, backup)), Picked(backup)
            )
        finally:
            session.execute(b"drop schema auth; drop role supabase_admin")
    assert found.cause == restores.NOT_EMPTY
    assert "a project of Supabase is never empty" in found.why and "point-in-time" in found.why


def test_what_came_with_an_extension_leaves_a_target_empty(archive: Path) -> None:
    """The role that restores may not install it, so somebody else has done it before."""
    env = environment()
    with closing(admin(nightly.target(SYSTEM))) as session:
        for name in ("hstore", "pg_trgm", "pg_stat_statements", "citext"):
            session.execute(f"create extension {name}".encode())
        session.execute("create temporary table t (id int)")
        place = restoring.look(env, nightly.TARGET, restoring.chosen(store.of(env)))
    assert (place.objects, place.holds) == (0, "")


def test_a_backup_that_was_damaged_since_the_plan_is_not_restored(archive: Path) -> None:
    """The approval is for this backup, byte for byte."""
    document = planned(CASE, archive)
    control.break_("backup-truncated", SYSTEM)
    after = applied(CASE, document, archive)
    assert (after["verdict"], tables()) == ("critical", 0)
    assert "not to be relied on" in after["changed"][0]["text"]


def test_the_first_error_takes_everything_back(archive: Path) -> None:
    """Half of the tables would look like a database; here there are none of them."""
    env = environment()
    backup = restoring.chosen(store.of(env))
    last = max(backup.holds.tables)
    with closing(admin(nightly.target(SYSTEM))) as session:
        session.execute(f"create table {last} (id bigint)".encode())
    with pytest.raises(SourceError, match="already exists"):
        restoring.restore(store.of(env), backup, restoring.door_of(env, nightly.TARGET))
    assert tables() == 1


def test_a_restore_that_is_still_at_work_is_waited_for_and_not_begun_twice(archive: Path) -> None:
    """kill -9 ends the kernel, not the program that it started: its transaction may still come."""
    env = environment()
    backup = restoring.chosen(store.of(env))
    given = {"backup": backup.id, "origin": backup.origin}
    dsn = psycopg.conninfo.make_conninfo(
        env.targets[nightly.TARGET].dsn.reveal(), application_name=restoring.WRITER
    )
    kind = restore.Restores(Means(env, None, None, given))  # type: ignore[arg-type]
    identity = {"target": nightly.TARGET}
    target = Target("it", identity, {"objects": 0}, {"objects": 1}, Work(restoring.WORK))
    with closing(psycopg.connect(dsn)) as writer:
        writer.execute("select 1")
        place = restoring.look(env, nightly.TARGET, backup)
        assert "under way" in restoring.reason(place, backup)
        assert kind.observe(target).pending
        assert restore.draft(backup, "", place) is None
    wait(lambda: not restoring.look(env, nightly.TARGET, backup).busy)
    assert not kind.observe(target).pending


def work(env: Environment, **changed: str) -> Work:
    """Return the act that restores the newest backup into the target, or a nearly right one."""
    kept = store.of(env)
    backup = restoring.chosen(kept)
    place = restoring.look(env, nightly.TARGET, backup)
    given = {"backup": backup.id, "digest": restoring.digest(kept, backup.id), "target": place.target}
    return Work(restoring.WORK, {**given, "database": place.database, "server": place.server, **changed})


@pytest.mark.parametrize(
    "changed, match",
    [({"digest": "sha256:0"}, "not the one"), ({"database": "kulti"}, "not to what was shown")],
)
def test_an_act_that_is_not_what_was_shown_does_nothing(
    archive: Path, changed: dict[str, str], match: str
) -> None:
    """A plan can be written by hand; the work looks for itself."""
    act = work(environment(), **changed)
    assert acts.from_dict(acts.to_dict(act)) == act
    with pytest.raises(Refused, match=match):
        restoring.carry_out(Opening(act, "key"), environment())
    with pytest.raises(Refused, match="nothing that a restore could do"):
        restoring.carry_out(Opening(Work("drop_database"), "key"), environment())
    assert tables() == 0


def test_the_database_in_use_is_never_a_target(archive: Path) -> None:
    """Also where the system's file names it as one, and even if it were empty."""
    env = environment()
    assert env.backup
    wrong = replace(env, targets={nightly.TARGET: replace(env.backup, name=nightly.TARGET)})
    backup = restoring.chosen(store.of(env))
    place = restoring.look(wrong, nightly.TARGET, backup)
    assert place.in_use and "in use" in restoring.reason(replace(place, objects=0), backup)
    assert restore.draft(backup, "", replace(place, objects=0)) is None
    seen = RecoverySource(wrong, "run").target(nightly.TARGET, Picked(backup))
    found = restores.target(seen, Picked(backup))
    assert found[0].cause is restores.IN_USE


@pytest.mark.parametrize(
    "one, other, same",
    [
        ("postgresql://a:1@Db.Example.com/shop", "postgresql://b:2@db.example.com.:5432/shop", True),
        ("postgresql://a@localhost/shop", "postgresql://a@127.0.0.1/shop", True),
        ("postgresql://a@[::1]/shop", "host=localhost dbname=shop user=b", True),
        ("host=db user=shop", "postgresql://other@db/shop", True),
        ("hostaddr=10.0.0.1 dbname=shop", "host=10.0.0.1 dbname=shop sslmode=require", True),
        ("postgresql://a@db/shop", "postgresql://a@db:6432/shop", False),
        ("postgresql://a@db/shop", "postgresql://a@db/scratch", False),
        ("postgresql://a@db/shop", "postgresql://a@db2/shop", False),
    ],
)  # fmt: skip
def test_an_address_is_the_same_however_it_is_written(one: str, other: str, same: bool) -> None:
    """Role, password and the way of writing do not make it another database."""
    found = [in_use.address(parameters(Door("x", Secret.literal("x", text), False))) for text in (one, other)]
    assert (found[0] == found[1]) is same


def hidden(env: Environment, folder: str) -> Door:
    """Return a door to the database in use whose address nothing has in common with the known ones."""
    given = psycopg.conninfo.conninfo_to_dict(control.status()["databases"][SYSTEM]["admin"])
    link = Path(folder) / "s"
    link.symlink_to(str(given["host"]))
    dsn = psycopg.conninfo.make_conninfo("", **{**given, "host": str(link)})
    door = Door(nightly.TARGET, Secret.literal("hidden", dsn), False)
    known = {in_use.address(parameters(one)) for one in (*env.doors, env.backup) if one}
    assert in_use.address(parameters(door)) not in known
    return door


@pytest.mark.parametrize("granted", [True, False])
def test_the_database_in_use_is_known_again_under_another_address(archive: Path, granted: bool) -> None:
    """A tunnel, a second name, a pooler; also where a vendor has taken away the right to see its number."""
    env = environment()
    with tempfile.TemporaryDirectory() as folder, closing(admin(SYSTEM)) as session:
        door = hidden(env, folder)
        if not granted:
            session.execute("revoke execute on function pg_control_system() from public")
        try:
            wrong = replace(env, targets={nightly.TARGET: door})
            place = restoring.look(wrong, nightly.TARGET, restoring.chosen(store.of(env)))
        finally:
            session.execute("grant execute on function pg_control_system() to public")
    assert place.in_use and not place.unseen
    assert not in_use.compare(env, env.targets[nightly.TARGET]).same, "another database of the same server"


def test_a_database_that_cannot_be_asked_stops_the_restore_until_a_person_says_that_it_is_gone(
    archive: Path,
) -> None:
    """It might be the target by another name; but on the day it may really be gone."""
    env = environment()
    dead = Door("direct", Secret.literal("dead", f"postgresql://a@127.0.0.1:{closed_port()}/gone"), False)
    env, backup = replace(env, doors=(*env.doors, dead)), restoring.chosen(store.of(env))
    place = restoring.look(env, nightly.TARGET, backup)
    (unseen,) = place.unseen
    assert unseen.startswith("sandbox direct: ") and "nobody knows" in restoring.reason(place, backup)
    assert restore.draft(backup, "", place) is None
    found = restores.target(Seen(place), Picked(backup))
    assert [(one.status, one.cause) for one in found[1:]] == [(Status.UNKNOWN, restores.UNSEEN)]
    act = work(env)
    with pytest.raises(Refused, match="nobody knows"):
        restoring.carry_out(Opening(act, "key"), env)
    assert tables() == 0
    gone = restoring.look(env, nightly.TARGET, backup, lost=True)
    draft = restore.draft(backup, "", gone)
    assert draft and "could not be asked: sandbox direct" in draft.blast
    assert draft.targets[0].act.params["lost"] is True
    assert restores.target(Seen(gone), Picked(backup))[1].status is Status.WARNING
    restoring.carry_out(Opening(replace(act, params={**act.params, "lost": True}), "key"), env)
    assert tables() > 0


def test_doors_whose_address_is_not_on_this_machine_are_told(archive: Path) -> None:
    """No target can have been copied from them, but nobody has compared them; without any it is unknown."""
    env = environment()
    place = restoring.look(env, nightly.TARGET, backup := restoring.chosen(store.of(env)))
    assert place.unread and not place.unseen
    (found,) = restores.target(Seen(place), Picked(backup))
    assert found.status is Status.OK and place.unread[0] in found.why
    missing = Door("direct", Secret.parse("env:NOT_SET_ANYWHERE"), False)
    alone = replace(env, doors=(missing,), backup=None, operator=None)
    assert in_use.compare(alone, env.targets[nightly.TARGET]).unseen == (
        "no address of sandbox is on this machine",
    )


def test_names_that_lead_nowhere_are_told_with_those_that_do(archive: Path) -> None:
    """At night a name is mistyped."""
    backup = restoring.chosen(store.of(environment()))
    with pytest.raises(ParameterError, match=r"target: .* no target 'production' .* there is: scratch"):
        restoring.look(environment(), "production", backup)
    with pytest.raises(ParameterError, match=r"backup: there is no backup 'yesterday'; the newest are"):
        restoring.chosen(store.of(environment()), "yesterday")


def test_each_kind_of_difference_is_found(archive: Path) -> None:
    """A row that changed, a policy that is gone, a sequence that stands elsewhere, an extension too many."""
    env = environment()
    with whole.frozen(restoring.door_of(env, nightly.TARGET), "opslib/test") as view:
        empty = manifest.look(view)
    was = restoring.chosen(store.of(env)).holds
    assert not comparing.differences(was, was)
    name = next(name for name in was.tables)
    rows = replace(was, tables={**was.tables, name: replace(was.tables[name], checksum="1")})
    policy = next(name for name in was.objects if name.startswith("policy"))
    fewer = replace(was, objects={n: d for n, d in was.objects.items() if n != policy})
    counted = replace(was, sequences={**was.sequences, "public.x": 5})
    more = replace(was, extensions={**was.extensions, "citext": "1.8"})
    for now, part in ((rows, "rows"), (fewer, "object"), (counted, "sequence"), (more, "extension")):
        assert {one.part for one in comparing.differences(was, now)} == {part}
    assert {"rows", "object"} <= {one.part for one in comparing.differences(was, empty)}
    older = replace(was, server_version="17.1", extensions=dict.fromkeys(was.extensions, "0"))
    (said,) = comparing.differences(older, was)
    assert said.part == comparing.UNSEEN, "between versions only names are compared, and that is said"
    other = replace(was, extensions={**was.extensions, "plpgsql": "0"})
    judged = [restores.equal(_frame(comparing.differences(was, now)), "d") for now in (older, other, fewer)]
    assert [[one.status for one in found] for found in judged] == [
        [Status.OK], [Status.OK, Status.WARNING], [Status.CRITICAL],
    ]  # fmt: skip
    assert "definitions: PostgreSQL" in judged[0][0].why and "names" in judged[0][0].observed


@pytest.mark.parametrize(
    "step, noted, stands, differs",
    [
        (1, 5, 5, False), (1, 5, 9, False), (1, 5, 4, True), (1, 5, None, True), (1, None, 7, False),
        (-2, -5, -9, False), (-2, -5, -3, True), (0, 5, 1, False),
    ],
)  # fmt: skip
def test_a_sequence_may_have_gone_on_and_never_stands_further_back(
    step: int, noted: int | None, stands: int | None, differs: bool
) -> None:
    """Behind what was noted it would give numbers again that rows have already."""
    empty = Holds("d", "18.1", "2026-11-22T00:00:00Z", {}, {}, {}, {}, ())
    was = replace(empty, sequences={"public.s": noted}, steps={"public.s": step})
    now = replace(was, sequences={"public.s": stands})
    assert [one.part for one in comparing.differences(was, now)] == ["sequence"] * differs
    (gone,) = comparing.differences(was, replace(now, sequences={}))
    assert gone.now == "not there"


def test_a_backup_that_was_taken_while_people_drew_numbers_is_restored_and_found_equal(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No view holds a sequence: the dump has what it meets, and what is read after it may be further on."""
    kept, dumped = Folder(tmp_path / "drawn", SYSTEM), threading.Event()
    run, look = tools.run, manifest.look
    name = next(iter(restoring.chosen(store.of(environment())).holds.sequences))

    def draw() -> None:
        with closing(admin(SYSTEM)) as session:
            session.execute("select nextval(%s)", [name])

    def dump(used: tools.Tools, program: str, *words: str | Path, **more: Any) -> None:
        draw() if program == "pg_dump" else None
        run(used, program, *words, **more)
        if program == "pg_dump":
            draw()
            dumped.set()

    def late(view: whole.Frozen, **more: Any) -> Holds:
        assert dumped.wait(60)
        return look(view, **more)

    with monkeypatch.context() as busy:
        busy.setattr(tools, "run", dump)
        busy.setattr(manifest, "look", late)
        backup = taking.take(taking.Source(SYSTEM, "sandbox", environment().backup, "opslib/test"), kept)  # type: ignore[arg-type]
    restoring.restore(kept, backup, restoring.door_of(environment(), nightly.TARGET))
    with whole.frozen(restoring.door_of(environment(), nightly.TARGET), "opslib/test") as view:
        now = manifest.look(view)
    assert comparing.differences(backup.holds, now) == []
    assert now.sequences[name] != backup.holds.sequences[name], "somebody drew before it was dumped"


def test_a_manifest_that_was_changed_is_a_cause_of_its_own_wherever_it_is_read(
    archive: Path, tmp_path: Path
) -> None:
    """Restore, drill and check all rely on what it says, down to the number of rows."""
    shutil.copytree(store.of(environment()).path, tmp_path / "copied" / "sandbox" / SYSTEM)
    env = replace(environment(), backups=tmp_path / "copied")
    kept = store.of(env)
    whole_one, path = restoring.chosen(kept), kept.folder(kept.ids()[-1]) / MANIFEST
    path.write_text(path.read_text().replace('"public"', '"elsewhere"').replace("schema", "Schema"))
    picked = RecoverySource(env, "run").choose()
    drill = RecoverySource(env, "run").drill(Picked(whole_one))
    source = BackupSource(env, "opslib/test", "run")
    found = [
        restores.chosen(picked), *drills.restored(drill, Picked(whole_one)),
        backups.manifests(source.list()), backups.readback(source.read_back())[0],
    ]  # fmt: skip
    assert {(one.status, one.cause) for one in found} == {(Status.CRITICAL, backups.MANIFEST)}
    with pytest.raises(SourceError, match="not what was written"):
        restoring.chosen(kept)


def test_a_restore_whose_statistics_could_not_be_gathered_says_so(
    archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All rows are back, and the app times out on every query: that must be seen before users see it."""

    def refuse(*words: object) -> None:
        raise SourceError("a lock was not given in time")

    env = environment()
    recovery, picked = RecoverySource(env, "run"), RecoverySource(env, "run").choose()
    restoring.restore(store.of(env), restoring.chosen(store.of(env)), env.targets[nightly.TARGET])
    assert restores.statistics(recovery.without_statistics(nightly.TARGET)).status is Status.OK
    with closing(admin(nightly.target(SYSTEM))) as session:
        session.execute("delete from pg_statistic where starelid >= 16384")
    found = restores.statistics(recovery.without_statistics(nightly.TARGET))
    assert (found.status, found.cause) == (Status.WARNING, restores.GUESSED) and "public.credits" in found.why
    monkeypatch.setattr(whole, "analyze", refuse)
    drill = recovery.drill(picked)
    told = [one for one in drills.restored(drill, picked) if one.status is not Status.OK]
    assert [(one.status, one.cause) for one in told] == [(Status.WARNING, restores.GUESSED)]
    unseen = restores.statistics(frames.unavailable(["table_name"], "no answer"))
    assert unseen.status is Status.UNKNOWN


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of our own for temporary files, that a server's account may pass through."""
    with tempfile.TemporaryDirectory(prefix="drill-") as made:
        Path(made).chmod(0o755)
        monkeypatch.setattr(tempfile, "tempdir", made)
        yield Path(made)


def test_a_drill_measures_compares_and_leaves_nothing(archive: Path, place: Path) -> None:
    """Figures for both promises, and no server, no folder after it."""
    env = environment()
    picked = RecoverySource(env, "run").choose()
    drill = RecoverySource(env, "run").drill(picked)
    assert drill is not None and drill.broke is None and drill.differences == []
    assert [step for step, _ in drill.steps] == [
        "reading it back", "looking at the server", "restoring", "comparing", "starting the app",
    ]  # fmt: skip
    assert list(place.iterdir()) == []
    minutes = Limit(warning=60, critical=240, unit="min")
    found = [
        *drills.restored(drill, picked), drills.smoke(drill, env.system), *drills.app(drill, env),
        drills.time_to_restore(drill, minutes), restores.work_lost(picked, minutes),
    ]  # fmt: skip
    assert {one.status for one in found} == {Status.OK}
    slow = drills.time_to_restore(drill, Limit(warning=0, critical=0.0001, unit="min"))
    assert slow.status is Status.CRITICAL


def test_a_backup_that_only_the_bucket_has_is_fetched_and_restored(archive: Path) -> None:
    """Damaged here, whole there: planned, approved, applied, equal to its manifest."""
    case = Case("restore", "", COPIED, {"target": nightly.TARGET, "place": "bucket"})
    control.backups(COPIED)
    control.break_("backup-truncated", COPIED)
    assert perform("restore", COPIED, archive)["cause"]["id"] == "backup-truncated"
    document = planned(case, archive)
    assert document["verdict"] == "ok", document["findings"]
    after = applied(case, document, archive)
    assert (after["verdict"], states(after)) == ("ok", ["done"]), after["findings"]
    name = nightly.target(COPIED)
    with psycopg.connect(control.status()["databases"][COPIED]["admin"], autocommit=True) as session:
        session.execute(f'drop database "{name}" with (force)'.encode())
        session.execute(f'create database "{name}"'.encode())


def test_a_drill_with_a_copy_counts_the_fetching_and_leaves_nothing(archive: Path, place: Path) -> None:
    """As on the day when this machine is gone; what the store does not answer says nothing of the copy."""
    ops = RecoverySource(config.load_system(COPIED).environment("sandbox"), "run")
    control.break_("backup-truncated", COPIED)
    picked = ops.choose(place="bucket")
    drill = ops.drill(picked)
    assert drill is not None and drill.broke is None and drill.differences == []
    assert drill.steps[0][0] == "fetching it from the bucket" and list(place.iterdir()) == []
    assert ops.choose(picked.id, place="bucket") == picked
    control.break_("bucket-copy-damaged", COPIED)
    damaged = [*drills.restored(ops.drill(picked), picked), restores.fetched(ops.fetch(picked))]
    assert [one.cause for one in damaged] == [copies.DAMAGED] * 2
    control.break_("bucket-refuses", COPIED)
    refused = [*drills.restored(ops.drill(picked), picked), restores.fetched(ops.fetch(picked))]
    assert {one.status for one in refused} == {Status.UNKNOWN}
    assert restores.chosen(ops.choose(place="bucket")).status is Status.UNKNOWN
    assert list(place.iterdir()) == []


def test_a_drill_that_is_interrupted_while_it_fetches_leaves_nothing(
    archive: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C: what has come of the copy goes with the folder that it came into."""
    ops = RecoverySource(config.load_system(COPIED).environment("sandbox"), "run")
    picked, there = ops.choose(place="bucket"), list[Path]()

    def interrupt(self: Objects, name: str, size: int, path: Path) -> str:
        path.write_bytes(b"half")
        there.extend(place.rglob(path.name))
        raise KeyboardInterrupt

    monkeypatch.setattr(Objects, "receive", interrupt)
    with pytest.raises(KeyboardInterrupt):
        ops.drill(picked)
    assert there and list(place.iterdir()) == []


def test_a_copy_for_which_there_is_no_room_is_told_so(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is whole where it is; only the disk is at fault."""
    env = config.load_system(COPIED).environment("sandbox")
    ops = RecoverySource(env, "run")
    picked = ops.choose(place="bucket")
    assert restores.fetched(ops.fetch(picked)).status is Status.OK
    control.break_("backup-changed", COPIED)
    monkeypatch.setattr(Folder, "free_bytes", lambda self: 0)
    assert restores.fetched(ops.fetch(picked)).cause is backups.NO_ROOM
    assert restores.fetched(ops.fetch(Picked())).status is Status.SKIPPED
    nowhere = RecoverySource(environment(), "run")
    assert "names no bucket" in nowhere.choose(place="bucket").reason


def came_back(held: dict[str, int], rows: dict[str, int]) -> Drill:
    """Return a drill of a backup that held so many rows, of which so many came back."""
    tables = {name: Table(count) for name, count in held.items()}
    holds = Holds("d", "18.1", "2026-11-22T00:00:00Z", tables, {}, {}, {}, ())
    backup = Manifest("b", SYSTEM, "sandbox", "all", holds, "18.1", "gzip:1", "2026-11-22T00:00:00Z", 1.0)
    return Drill(backup, rows=rows)


@pytest.mark.parametrize(
    "held, rows, status, said",
    [
        ({"public.users": 5, "public.rooms": 9}, {"public.users": 5, "public.rooms": 9}, Status.OK, "2"),
        ({"public.users": 5, "public.rooms": 0}, {"public.users": 5}, Status.OK, "1"),
        ({"public.users": 5, "public.rooms": 9}, {"public.users": 5}, Status.CRITICAL, "public.rooms"),
        ({"public.users": 0, "public.other": 3}, {"public.other": 3}, Status.CRITICAL, "users, rooms"),
        ({"users": 5}, {"users": 5}, Status.CRITICAL, "users, rooms"),
    ],
)  # fmt: skip
def test_the_tables_that_the_runbook_names_must_have_come_back_with_rows(
    held: dict[str, int], rows: dict[str, int], status: Status, said: str
) -> None:
    """A backup of the wrong database restores without an error, and holds none of them."""
    one = next(iter(environment().system.tables.values()))
    system = environment().system.model_copy(update={"tables": {"users": one, "rooms": one}})
    found = drills.smoke(came_back(held, rows), system)
    assert found.status is status and said in f"{found.subject} {found.observed}"
    assert (found.cause is restores.DIFFERS) is (status is Status.CRITICAL)


def test_where_the_runbook_names_no_table_whatever_had_rows_must_have_some() -> None:
    """And a backup in which nothing had any tells nothing."""
    system = environment().system.model_copy(update={"tables": {}})
    assert drills.smoke(came_back({"a.b": 1}, {"a.b": 1}), system).status is Status.OK
    assert drills.smoke(came_back({"a.b": 1}, {"a.b": 0}), system).status is Status.CRITICAL
    assert drills.smoke(came_back({"a.b": 0}, {}), system).status is Status.UNKNOWN
    assert drills.smoke(None, system).status is Status.SKIPPED


def test_a_drill_that_breaks_says_where_and_what(archive: Path) -> None:
    """A damaged backup, and a server that is too old, are different troubles."""
    env = environment()
    kept = store.of(env)
    backup = restoring.chosen(kept)
    control.break_("backup-changed", SYSTEM)

    def never() -> None:
        raise AssertionError("no server is started for a backup that is damaged")

    drill = drilling.drill(kept, backup, never)  # type: ignore[arg-type]
    assert drill.broke is not None and drill.broke[:2] == ("reading it back", "changed")
    assert drills.smoke(drill, env.system).status is Status.SKIPPED
    control.heal("backup-changed", SYSTEM)
    newer = replace(backup, holds=replace(backup.holds, server_version="99.1"))
    recovery = RecoverySource(env, "run")
    unseen = recovery.drill(Picked(newer))
    assert drills.restored(unseen, Picked(newer))[0].status is Status.UNKNOWN


def test_healing_puts_every_backup_back_as_it_was(archive: Path) -> None:
    """Byte for byte, whatever was done to them."""

    def content() -> dict[str, bytes]:
        kept: Folder = store.of(environment())
        return {str(path): path.read_bytes() for path in kept.path.rglob("*") if path.is_file()}

    before = content()
    assert any(DUMP in path for path in before)
    for scenario in ("backup-stale", "backup-shrunk", "backup-truncated"):
        control.break_(scenario, SYSTEM)
        assert content() != before
        control.heal(scenario, SYSTEM)
        assert content() == before
