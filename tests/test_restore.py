"""Restoring for real: into a named, empty database, all of it or nothing, and never over the one in use."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from opslib import acts, config
from opslib.acts import Opening, Work
from opslib.backup import comparing, drilling, manifest, restoring, store
from opslib.backup.objects import Objects
from opslib.backup.store import DUMP, Folder
from opslib.changes import Means, restore
from opslib.checks import backups, copies, restores
from opslib.config import Limit
from opslib.config.environment import Environment
from opslib.errors import ParameterError, Refused, SourceError
from opslib.gate import faults
from opslib.gate.plan import Target
from opslib.pg import whole
from opslib.run.recovery import Picked, RecoverySource
from opslib.sandbox import control, nightly
from opslib.verdict import Status
from tests.acting import Case, applied, perform, planned, ready, states
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
    dsn = psycopg.conninfo.make_conninfo(
        env.targets[nightly.TARGET].dsn.reveal(), application_name=restoring.WRITER
    )
    kind = restore.Restores(Means(env, None, None, {"backup": backup.id}))  # type: ignore[arg-type]
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
    counted = replace(was, sequences={"public.x": 5})
    more = replace(was, extensions={**was.extensions, "citext": "1.8"})
    for now, part in ((rows, "rows"), (fewer, "object"), (counted, "sequence"), (more, "extension")):
        assert {one.part for one in comparing.differences(was, now)} == {part}
    assert {"rows", "object"} <= {one.part for one in comparing.differences(was, empty)}
    older = replace(was, server_version="17.1", extensions=dict.fromkeys(was.extensions, "0"))
    assert not comparing.differences(older, was), "between versions only names are compared"


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
        *restores.restored(drill, picked), restores.smoke(drill, env.system), *restores.app(drill, env),
        restores.time_to_restore(drill, minutes), restores.work_lost(picked, minutes),
    ]  # fmt: skip
    assert {one.status for one in found} == {Status.OK}
    slow = restores.time_to_restore(drill, Limit(warning=0, critical=0.0001, unit="min"))
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
    assert ops.choose(picked.id, "bucket") == picked
    control.break_("bucket-copy-damaged", COPIED)
    damaged = [*restores.restored(ops.drill(picked), picked), restores.fetched(ops.fetch(picked))]
    assert [one.cause for one in damaged] == [copies.DAMAGED] * 2
    control.break_("bucket-refuses", COPIED)
    refused = [*restores.restored(ops.drill(picked), picked), restores.fetched(ops.fetch(picked))]
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
    assert restores.smoke(drill, env.system).status is Status.SKIPPED
    control.heal("backup-changed", SYSTEM)
    newer = replace(backup, holds=replace(backup.holds, server_version="99.1"))
    recovery = RecoverySource(env, "run")
    unseen = recovery.drill(Picked(newer))
    assert restores.restored(unseen, Picked(newer))[0].status is Status.UNKNOWN


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
