"""Backups of a real database: whole or not there at all, and what is wrong with one is called by its name."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pandas as pd
import psycopg
import pytest

from opslib import config, frames, ids
from opslib.backup import comparing, manifest, reading, restoring, retention, taking, tools
from opslib.backup.manifest import Manifest
from opslib.backup.store import DUMP, MANIFEST, Folder
from opslib.backup.store import of as store_of
from opslib.checks import backup_done, backups
from opslib.config import Door, Limit, Secret
from opslib.config.environment import Environment
from opslib.errors import Malformed, ParameterError, Refused, SourceError, Unreachable, UsageError
from opslib.pg import whole
from opslib.run.backups import BackupSource, _taken, listed, newest_of
from opslib.sandbox import control, nightly, roles, small_disk, watchdog
from opslib.sandbox.postgres import Cluster, Ground
from opslib.sandbox.scratch import scratch
from opslib.verdict import Finding, Status
from tests.acting import perform, ready
from tests.waiting import wait

SYSTEM = "kulti"
OLDER = Path("/usr/lib/postgresql/15/bin")
KILLED = """
import os, signal, sys
from pathlib import Path
from opslib.backup import taking
from opslib.backup.store import Folder
from opslib.config import Door, Secret

def die(text):
    if text == sys.argv[3]:
        os.kill(os.getpid(), signal.SIGKILL)

door = Door("backup", Secret.literal("test", sys.argv[1]), False)
source = taking.Source("kulti", "sandbox", door, "opslib/test")
taking.take(source, Folder(Path(sys.argv[2]), "kulti"), say=die)
"""

LEFT_ALONE = """
import os, signal, sys
from pathlib import Path
from opslib.backup import tools
from opslib.config import Door, Secret

folder = Path(sys.argv[1])
notes = folder / "notes"

def die():
    if notes.exists() and notes.read_text().endswith("\\n"):
        os.kill(os.getpid(), signal.SIGKILL)

door = Door("backup", Secret.literal("test", "host=h user=u password=secret"), False)
with tools.reaching(door, "opslib/test") as environment:
    used = tools.Tools(folder, "test", "18.6", True)
    tools.run(used, "pg_dump", str(notes), environment=environment, progress=die)
"""


def address(role: str = "monitor") -> str:
    """Return an address of the rehearsed database."""
    return str(control.status()["databases"][SYSTEM][role])


def source(dsn: str = "", *, pooled: bool = False) -> taking.Source:
    """Return what is backed up."""
    door = Door("backup", Secret.literal("test", dsn or address()), pooled)
    return taking.Source(SYSTEM, "sandbox", door, "opslib/test")


def parts(store: Folder) -> list[str]:
    """Return what of unfinished backups lies about."""
    return [path.name for path in store.path.iterdir() if path.name.startswith(".part")]


@pytest.fixture
def store(tmp_path: Path) -> Folder:
    """An empty store."""
    return Folder(tmp_path / "sandbox", SYSTEM)


@pytest.fixture
def kept(sandbox: object, store: Folder) -> Folder:
    """A store with a good backup in it."""
    taking.take(source(), store)
    return store


def newest(store: Folder) -> Manifest:
    """Return the manifest of the newest backup."""
    return manifest.read(store.manifest(store.ids()[-1]), "it")


def largest(store: Folder) -> Path:
    """Return the largest file of the newest backup."""
    files = (store.folder(store.ids()[-1]) / DUMP).iterdir()
    return max(files, key=lambda path: path.stat().st_size)


def test_the_manifest_says_what_the_database_held(kept: Folder) -> None:
    """Counted and summed up in the very view that was dumped, and each file with its checksum."""
    made = newest(kept)
    with psycopg.connect(address("admin"), autocommit=True) as admin:
        for name, table in made.holds.tables.items():
            assert admin.execute(f"select count(*) from {name}".encode()).fetchone() == (table.rows,), name
    assert made.holds.rows > 1000
    assert {"index", "constraint", "policy", "row"} <= {name.split()[0] for name in made.holds.objects}
    assert roles.app(SYSTEM) in made.holds.roles and "plpgsql" in made.holds.extensions
    for name, file in made.files.items():
        content = (kept.folder(made.id) / name).read_bytes()
        assert file == manifest.File(len(content), hashlib.sha256(content).hexdigest())
    assert manifest.read(made.text(), "it") == made
    assert reading.verify(kept, made.id) is None


def test_while_others_write_dump_and_manifest_hold_the_same_moment(sandbox: object, store: Folder) -> None:
    """Rows that were written after the view was taken are in neither of them."""
    written = threading.Event()

    def write(text: str) -> None:
        if "reading" in text or written.is_set():
            return
        with psycopg.connect(address("admin"), autocommit=True) as admin:
            admin.execute("create table written_meanwhile as select 1 as one")
        written.set()

    try:
        made = taking.take(source(), store, say=write)
        assert written.is_set()
        assert "public.written_meanwhile" not in made.holds.tables
        listed = store.folder(made.id) / DUMP / "toc.dat"
        assert b"written_meanwhile" not in listed.read_bytes()
    finally:
        with psycopg.connect(address("admin"), autocommit=True) as admin:
            admin.execute("drop table if exists written_meanwhile")


def test_a_manifest_of_before_there_were_checksums_is_read_and_that_is_said(kept: Folder) -> None:
    """Backups of last week must stay of use; one whose checksum was taken out is another matter."""
    path, made = kept.folder(kept.ids()[-1]) / MANIFEST, newest(kept)
    body = json.loads(path.read_text())
    del body["digest"]
    path.write_text(json.dumps(body))
    with pytest.raises(Malformed) as refused:
        newest(kept)
    assert refused.value.kind == manifest.CHANGED
    del body["holds"]["steps"], body["database_bytes"]
    path.write_text(json.dumps({**body, "type": "https://opslib.dev/backup/v0.1"}))
    older = replace(made, sealed=False, database_bytes=0, holds=replace(made.holds, steps={}))
    assert newest(kept) == older
    assert reading.verify(kept, made.id) is None
    found = backups.manifests(listed(kept, kept.origin))
    assert found.status is Status.OK and "before manifests had a checksum" in found.why


def test_behind_one_that_nobody_can_read_the_newest_good_one_is_read_back(kept: Folder) -> None:
    """It is the one that a restore would begin with, so it is the one whose bytes matter."""
    good = newest(kept)
    for days in (1, 2):
        nightly.age(kept, good, timedelta(days=days), copied=True)
    for name in ("20991231T000000Z-aaaaaa", "20991231T000001Z-aaaaaa"):
        (kept.path / name).mkdir()
    names = kept.ids()[::-1]
    assert newest_of(kept, kept.origin, 1) == (names[0], good.id)
    (kept.folder(good.id) / MANIFEST).write_text(replace(good, content="schema").text())
    assert newest_of(kept, kept.origin, 1) == (names[0], names[3])
    assert newest_of(kept, kept.origin, 9) == tuple(names)


def test_numbers_that_json_readers_round_are_under_the_checksum_too(kept: Folder) -> None:
    """A sequence of 64 bits may stand beyond what a float can tell apart."""
    made = newest(kept)
    far = replace(made, holds=replace(made.holds, sequences={"public.s": 2**63 - 1}))
    assert manifest.read(far.text(), "it") == far
    with pytest.raises(Malformed, match="not what was written"):
        manifest.read(far.text().replace(str(2**63 - 1), str(2**63 - 2)), "it")


def strange(kept: Folder) -> Manifest:
    """Put a backup of another environment beside the others, as the newest one."""
    first = newest(kept)
    nightly.age(kept, first, timedelta(minutes=-1), copied=True)
    other = replace(newest(kept), environment="staging")
    (kept.folder(other.id) / MANIFEST).write_text(other.text())
    return other


def test_a_backup_of_another_environment_is_not_taken_for_one_of_this(kept: Folder) -> None:
    """Restored into this one it would be the wrong people's data, in good order."""
    own, other = newest(kept), strange(kept)
    assert restoring.chosen(kept).id == own.id
    with pytest.raises(ParameterError, match=f"{other.id} is of staging/{SYSTEM}, not of sandbox") as refused:
        restoring.chosen(kept, other.id)
    assert f"origin=staging/{SYSTEM}" in refused.value.hint
    assert restoring.chosen(kept, other.id, f"staging/{SYSTEM}").id == other.id
    with pytest.raises(ParameterError, match="not of production/klutr"):
        restoring.chosen(kept, own.id, "production/klutr")
    frame = listed(kept, kept.origin)
    found = backups.manifests(frame)
    assert (found.status, found.cause) == (Status.CRITICAL, backups.FOREIGN)
    assert list(backups.whole(frame)["id"]) == [own.id], "its age and size say nothing of this system"


def test_a_backup_of_another_environment_is_left_alone_and_keeps_no_place(kept: Folder) -> None:
    """Three of them, newer than an own one, must not push that out; and nobody removes what is not ours."""
    own = newest(kept)
    strange(kept)
    rows = retention.retire(kept, 0, 1, ids.now() + timedelta(days=99), kept.origin)
    assert [(row[2], row[3]) for row in rows] == [(False, f"it is of staging/{SYSTEM}, not of {kept.origin}")]
    assert own.id in kept.ids()


def cut(store: Folder) -> None:
    """Cut the largest file in half."""
    content = largest(store).read_bytes()
    largest(store).write_bytes(content[: len(content) // 2])


def flip(store: Folder) -> None:
    """Change one bit."""
    content = bytearray(largest(store).read_bytes())
    content[-9] ^= 1
    largest(store).write_bytes(content)


def lose(store: Folder) -> None:
    """Remove a file."""
    largest(store).unlink()


def rewrite(store: Folder) -> None:
    """Write another number into the manifest, and leave everything else."""
    path = store.folder(store.ids()[-1]) / MANIFEST
    path.write_text(re.sub(r'"rows": \d+', '"rows": 0', path.read_text(), count=1))


def add(store: Folder) -> None:
    """Add a file that does not belong there."""
    largest(store).with_name("9999.dat").write_bytes(b"x")


def tear(store: Folder) -> None:
    """Cut the manifest in half."""
    path = store.folder(store.ids()[-1]) / MANIFEST
    path.write_bytes(path.read_bytes()[:300])


def forge(store: Folder) -> None:
    """Cut a file in half, and write down that it has always been so."""
    cut(store)
    found = newest(store)
    folder = store.folder(found.id)
    text = manifest.Manifest(**{**vars(found), "files": reading.files(folder)}).text()
    (folder / MANIFEST).write_text(text)


@pytest.mark.parametrize(
    "spoil, kind",
    [(cut, "short"), (flip, "changed"), (lose, "missing"), (add, "extra"), (tear, "unreadable"),
     (forge, "unreadable"), (rewrite, manifest.CHANGED)],
)  # fmt: skip
def test_whatever_is_wrong_with_a_backup_is_found_and_called_by_its_name(
    kept: Folder, spoil: Callable[[Folder], None], kind: str
) -> None:
    """A list of its contents would pass: it is in the first file. Here every byte is read."""
    spoil(kept)
    found = reading.verify(kept, kept.ids()[-1])
    assert found is not None and found.kind == kind


def age_header(store: Folder) -> None:
    """Let the dump itself say that pg_dump was of the version before; the manifest knows of nothing."""
    path = store.folder(store.ids()[-1]) / DUMP / "toc.dat"
    known = newest(store)
    before, server, after = path.read_bytes().partition(known.holds.server_version.encode())
    was = known.client_version.encode()
    path.write_bytes(before + server + after.replace(was, b"9.".ljust(len(was), b"9"), 1))
    text = manifest.Manifest(**{**vars(known), "files": reading.files(store.folder(known.id))}).text()
    (store.folder(known.id) / MANIFEST).write_text(text)


def age_manifest(store: Folder) -> None:
    """Let the manifest alone say so."""
    path = store.folder(store.ids()[-1]) / MANIFEST
    path.write_text(replace(newest(store), client_version="9.6").text())


@pytest.mark.parametrize("make", [age_header, age_manifest])
def test_a_backup_that_an_older_pg_dump_made_is_not_relied_on(
    kept: Folder, make: Callable[[Folder], None]
) -> None:
    """All of it can be read, and what only the newer server knows was left out without a word."""
    make(kept)
    found = reading.verify(kept, kept.ids()[-1])
    assert found is not None and found.kind == reading.OLDER
    assert found.text.startswith("pg_dump 9.") and newest(kept).holds.server_version in found.text
    assert backups.damage(found.kind) is backups.OLDER


def test_versions_are_held_against_each_other_by_their_major_number() -> None:
    """A minor version behind is no trouble, and what a vendor writes behind the number does not count."""
    assert reading.older("18.1 (Debian 18.1-1)", "18.6") is None
    assert reading.older("19beta1", "18.6") is None
    assert reading.older("9.6.24", "10.1") is not None
    with pytest.raises(Malformed, match="no version"):
        reading.older("unknown", "18.6")


def test_a_dump_that_does_not_say_who_made_it_is_not_taken_for_a_good_one(
    kept: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Silence is not an answer."""
    monkeypatch.setattr(reading, "_CLIENT", "Dumped by nobody")
    found = reading.verify(kept, kept.ids()[-1])
    assert found is not None and found.kind == "unreadable" and "does not say" in found.text


@pytest.mark.parametrize("where", ["counting and checking every row", "reading it back"])
def test_killed_on_the_way_nothing_is_left_that_looks_like_a_backup(
    sandbox: object, store: Folder, where: str
) -> None:
    """kill -9 in the middle; the next one clears away what is left."""
    words = [sys.executable, "-c", KILLED, address(), str(store.path.parent), where]
    assert subprocess.run(words, check=False, env={**os.environ}).returncode == -signal.SIGKILL
    assert store.ids() == [] and len(parts(store)) == 1
    made = taking.take(source(), store)
    assert store.ids() == [made.id] and parts(store) == []


def test_an_interrupt_leaves_nothing_and_ends_the_program(sandbox: object, store: Folder) -> None:
    """Ctrl-C while pg_dump works: no file, no process, no private folder with the password."""

    def interrupt(text: str) -> None:
        if "written" in text:
            raise KeyboardInterrupt

    with psycopg.connect(address("admin"), autocommit=True) as admin:
        admin.execute("create table wide as select repeat('x', 9000) || n from generate_series(1, 20000) n")
        try:
            with pytest.raises(KeyboardInterrupt):
                taking.take(source(), store, say=interrupt)
        finally:
            admin.execute("drop table wide")
    assert store.ids() == [] and parts(store) == []


def test_the_password_is_in_no_command_line_and_in_no_file_that_stays(
    sandbox: object, tmp_path: Path
) -> None:
    """Every account of the machine can read command lines."""
    door = source().door
    password = psycopg.conninfo.conninfo_to_dict(address())["password"]
    with tools.reaching(door, "opslib/test") as environment:
        files = [Path(environment[name]) for name in ("PGSERVICEFILE", "PGPASSFILE")]
        assert [file.stat().st_mode & 0o777 for file in (*files, files[0].parent)] == [0o600, 0o600, 0o700]
        assert str(password) not in " ".join(environment.values())
        assert str(password) not in files[0].read_text() and str(password) in files[1].read_text()
        used = tools.find(18, remote=False)
        tools.run(used, "pg_dump", "--schema-only", f"--file={tmp_path / 'x'}", environment=environment)
    assert not files[0].parent.exists()


def test_killed_on_the_way_neither_the_password_nor_the_program_stays(tmp_path: Path) -> None:
    """kill -9 lets nobody clear away; the dump would go on reading, and the file lie there for anybody."""
    program = tmp_path / "pg_dump"
    program.write_text(
        '#!/bin/sh\ncat "$PGPASSFILE" > /dev/null && echo "$$ $PGPASSFILE" > "$1"\nsleep 600\n'
    )
    program.chmod(0o700)
    words = [sys.executable, "-c", LEFT_ALONE, str(tmp_path)]
    assert subprocess.run(words, check=False, timeout=60).returncode == -signal.SIGKILL
    number, password = (tmp_path / "notes").read_text().split()
    wait(lambda: not Path(f"/proc/{number}").exists() and not Path(password).parent.exists())


def test_two_backups_into_one_store_are_not_taken_at_once(sandbox: object, store: Folder) -> None:
    """The second would clear away what the first has prepared."""
    with store.preparing(), pytest.raises(Refused, match="being written"):
        taking.take(source(), store)


def test_rows_behind_a_policy_are_never_left_out_without_a_word(sandbox: object, store: Folder) -> None:
    """A role that policies hold for gets an error, and no backup."""
    control.break_("backup-rows-hidden", SYSTEM)
    with pytest.raises(SourceError, match="row-level security"):
        taking.take(source(), store)
    assert store.ids() == [] and parts(store) == []


def test_the_role_that_takes_backups_is_asked_what_it_may_read(sandbox: object) -> None:
    """The role that diagnoses may read everything here; the dump would still stop at the first table."""
    env = config.load_system(SYSTEM).environment("sandbox")
    name = "takes_backups"
    dsn = psycopg.conninfo.make_conninfo(address("admin"), user=name, password=name)
    with psycopg.connect(address("admin"), autocommit=True) as admin:
        admin.execute(f"create role {name} login password '{name}'".encode())
        try:
            other = replace(env, backup=Door("backup", Secret.literal("test", dsn), False))
            found = backups.readable(BackupSource(other, "opslib/test", "run").tables())
        finally:
            admin.execute(f"drop role {name}".encode())
    assert statuses(found) == {Status.CRITICAL} and found[0].cause is backups.UNREADABLE
    (ours,) = backups.readable(BackupSource(env, "opslib/test", "run").tables())
    assert ours.status is Status.OK
    (nobody,) = backups.readable(BackupSource(replace(env, backup=None), "opslib/test", "run").tables())
    assert nobody.status is Status.UNKNOWN and "names no door" in nobody.why


def test_what_pg_dump_leaves_out_without_an_error_is_told_before_and_after(
    sandbox: object, store: Folder
) -> None:
    """A subscription is in the dump of a superuser only, and so is a user mapping with its password."""
    env = config.load_system(SYSTEM).environment("sandbox")
    name = "reads_rows"
    dsn = psycopg.conninfo.make_conninfo(address("admin"), user=name, password=name)
    other = replace(env, backup=Door("backup", Secret.literal("test", dsn), False))
    with psycopg.connect(address("admin"), autocommit=True) as admin:
        made = f"create role {name} login bypassrls password '{name}' in role pg_read_all_data"
        admin.execute(made.encode())
        admin.execute("create subscription follows connection '' publication p with (connect = false)")
        admin.execute("create foreign data wrapper far; create server away foreign data wrapper far")
        admin.execute("create user mapping for public server away options (password 'x')")
        try:
            kept = BackupSource(other, "opslib/test", "run")
            found = backups.readable(kept.tables())
            assert [one.subject for one in found] == ["follows", "public at away"]
            assert {(one.status, one.cause) for one in found} == {(Status.WARNING, backups.INCOMPLETE)}
            taken = taking.take(source(dsn), store)
            assert any("subscriptions not dumped" in text for text in newest(store).warnings)
            after = backup_done.taken(_taken(taken))
            assert (after.status, after.cause) == (Status.WARNING, backups.INCOMPLETE)
            own = backups.readable(BackupSource(at_admin(env), "opslib/test", "run").tables())
            assert statuses(own) == {Status.OK}, "a superuser gets all of it"
        finally:
            admin.execute("alter subscription follows set (slot_name = none)")
            admin.execute("drop subscription follows; drop foreign data wrapper far cascade")
            admin.execute(f"drop role {name}".encode())


def at_admin(env: Environment) -> Environment:
    """Return an environment whose backups a superuser takes."""
    return replace(env, backup=Door("backup", Secret.literal("test", address("admin")), False))


def test_large_objects_that_may_not_be_read_are_told_before_the_dump_stops_at_them(sandbox: object) -> None:
    """pg_read_all_data holds for no large object."""
    env = config.load_system(SYSTEM).environment("sandbox")
    name = "reads_all"
    dsn = psycopg.conninfo.make_conninfo(address("admin"), user=name, password=name)
    other = replace(env, backup=Door("backup", Secret.literal("test", dsn), False))

    def look() -> Finding:
        return backups.readable(BackupSource(other, "opslib/test", "run").tables())[0]

    with psycopg.connect(address("admin"), autocommit=True) as admin:
        made = f"create role {name} login bypassrls password '{name}' in role pg_read_all_data"
        admin.execute(made.encode())
        number = admin.execute("select lo_from_bytea(0, 'x')").fetchone()
        try:
            found = look()
            assert (found.subject, found.cause) == ("large objects", backups.UNREADABLE)
            assert "as their owner" in found.why
            admin.execute(f"grant select on large object {number and number[0]} to {name}".encode())
            assert look().status is Status.OK
        finally:
            admin.execute("select lo_unlink(%s)", number)
            admin.execute(f"drop role {name}".encode())


def test_no_time_limit_of_the_server_ends_a_view_that_is_held_for_hours(sandbox: object) -> None:
    """Also not the one on transactions, which version 17 has brought."""
    with psycopg.connect(address("admin"), autocommit=True) as admin:
        if admin.info.server_version < 170000:
            pytest.skip("this server has no limit on transactions")
        admin.execute("alter role opslib_monitor set transaction_timeout = '1h'")
        try:
            with whole.frozen(source().door, "opslib/test") as view:
                assert view._rows("show transaction_timeout") == [("0",)]
        finally:
            admin.execute("alter role opslib_monitor reset transaction_timeout")


def test_on_a_standby_unlogged_tables_are_left_out_and_that_is_said(store: Folder) -> None:
    """It has no rows of them, and reading one is an error there; pg_dump leaves them out as well."""
    ground = Ground("secret")
    try:
        cluster = Cluster(ground, "one", 0)
        cluster.create(ground.template())
        cluster.start()
        dsn = f"postgresql://postgres:secret@/postgres?host={cluster.socket_directory}&port={cluster.port}"
        with psycopg.connect(dsn) as admin:
            admin.execute("create unlogged table fleeting as select 1 as one")
            admin.execute("create table lasting as select 1 as one")
        cluster.shut_down()
        (ground.base / "one" / "data" / "standby.signal").touch()
        cluster.start()
        made = taking.take(source(dsn), store)
        assert made.holds.tables["public.fleeting"] == manifest.EMPTY and made.holds.rows == 1
        env = config.load_system(SYSTEM).environment("sandbox")
        other = replace(env, backup=Door("backup", Secret.literal("test", dsn), False))
        (found,) = backups.readable(BackupSource(other, "opslib/test", "run").tables())
        assert found.status is Status.OK and "1 unlogged" in found.observed and "standby" in found.why
        with scratch(made.holds.major, made.holds.roles) as door:
            restoring.restore(store, made, door)
            with whole.frozen(door, "opslib/test") as view:
                assert comparing.differences(made.holds, manifest.look(view)) == []
    finally:
        ground.close()


def test_a_disk_that_fails_after_the_look_is_an_answer_and_no_end_of_the_run(
    kept: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files of another account, or a disk that filled up: after a good backup the notebook must go on."""
    name = kept.ids()[0]

    def refuses(path: object) -> None:
        raise OSError(errno.EACCES, "Permission denied", str(path))

    with monkeypatch.context() as patch:
        patch.setattr("opslib.backup.store.shutil.rmtree", refuses)
        rows = retention.retire(kept, 0, 0, ids.now() + timedelta(days=9), kept.origin)
    assert [(row[0], row[2]) for row in rows] == [(name, False)] and "Permission denied" in rows[0][3]
    monkeypatch.setattr("opslib.backup.store._sync", refuses)
    with pytest.raises(Unreachable, match="cannot be written to: Permission denied"):
        taking.take(source(), kept)
    assert kept.ids() == [] and parts(kept) == []


@pytest.mark.skipif(not small_disk.possible(), reason="a full disk can be made by root only")
def test_on_a_full_disk_it_is_refused_with_the_figures_before_anything_is_dumped(sandbox: object) -> None:
    """A dump that breaks at the end costs the server all the work, and leaves less room than before."""
    control.backups(SYSTEM)
    control.break_("disk-nearly-full", SYSTEM)
    kept = store_of(config.load_system(SYSTEM).environment("sandbox"))
    before, said = kept.ids(), list[str]()
    with pytest.raises(OSError, match="No space left"):
        (kept.path / "one-more").write_bytes(b"x" * 9000)
    (kept.path / "one-more").unlink()
    with pytest.raises(Refused, match=r"has 0\.0 MB left, and \d\.\d MB are needed: twice the"):
        taking.take(source(), kept, say=said.append)
    assert said == [] and kept.ids() == before and parts(kept) == []


@pytest.mark.skipif(not small_disk.possible(), reason="a full disk can be made by root only")
def test_a_small_disk_is_taken_away_also_when_the_sandbox_was_killed(tmp_path: Path) -> None:
    """A file system that stays behind outlives its folder's owner."""
    folder = tmp_path / "backups"
    folder.mkdir()
    (folder / "one").write_bytes(b"x" * 100)
    small_disk.fill(folder)
    assert folder.is_mount() and (folder / "one").read_bytes() == b"x" * 100
    watchdog.unmount_all(tmp_path)
    assert not folder.is_mount()


def test_room_is_measured_by_the_last_backup_else_by_the_tables(
    sandbox: object, store: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tables are larger than what is packed; without a backup nothing better is known."""
    with monkeypatch.context() as full:
        full.setattr(Folder, "free_bytes", lambda self: 1000)
        with pytest.raises(Refused, match="that the tables have"):
            taking.take(source(), store)
        assert taking.take(source(), store, content="schema").content == "schema"
    taking.take(source(), store)
    monkeypatch.setattr(Folder, "free_bytes", lambda self: 1000)
    with pytest.raises(Refused, match="that the last backup has"):
        taking.take(source(), store)


def test_a_transaction_pooler_is_refused_before_anything_is_read(sandbox: object, store: Folder) -> None:
    """Behind it every statement may have another session, and so another view."""
    with pytest.raises(Refused, match="pooler"):
        taking.take(source(pooled=True), store)


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Path]]:
    """Make client programs that say a version; nothing else on the machine is found."""
    monkeypatch.setattr(tools, "_PLACES", ())
    monkeypatch.setattr(tools, "_WHEELS", ())
    monkeypatch.setattr(shutil, "which", lambda name: None)

    def make(version: str, said: str = "connection refused") -> Path:
        folder = tmp_path / version
        folder.mkdir()
        for name in tools.NEEDED:
            asked = f'--version) echo "{name} (PostgreSQL) {version}";; *) echo "{said}" >&2'
            script = f'#!/bin/sh\ncase "$1" in {asked};; esac\n'
            (folder / name).write_text(script)
            (folder / name).chmod(0o755)
        monkeypatch.setenv(tools.GIVEN, str(folder))
        return folder

    yield make


def test_the_programs_are_of_the_servers_own_major_version(programs: Callable[[str], Path]) -> None:
    """An older pg_dump stops at the server; a newer one writes what the server cannot read back."""
    folder = programs("17.10")
    assert tools.find(17, remote=True) == tools.Tools(folder, tools.GIVEN, "17.10", True)
    for major in (16, 18):
        with pytest.raises(Refused, match=f"needs pg_dump and pg_restore {major} with TLS; found: 17.10"):
            tools.find(major, remote=True)


def test_programs_without_tls_are_for_a_socket_of_this_machine_only(
    programs: Callable[..., Path],
) -> None:
    """Over a network they would send every row in plain text."""
    programs("18.6", 'sslmode value \\"require\\" invalid when SSL support is not compiled in')
    assert not tools.find(18, remote=False).tls
    with pytest.raises(Refused, match="without TLS"):
        tools.find(18, remote=True)


@pytest.mark.parametrize(
    "version, said, compression, argument",
    [
        ("17.11", "connection to server failed", "zstd:1", "--compress=zstd:1"),
        ("17.11", "this build does not support compression with ZSTD", "gzip:1", "--compress=gzip:1"),
        ("15.18", "connection to server failed", "gzip:1", "--compress=1"),
    ],
)
def test_it_packs_with_what_the_programs_say_they_can(
    programs: Callable[..., Path], version: str, said: str, compression: str, argument: str
) -> None:
    """Asked for zstd, version 15 stops, and version 14 writes everything unpacked without a word."""
    programs(version, said)
    used = tools.find(int(version[:2]), remote=True)
    assert tools.compression(used) == compression
    assert tools.packed(used, compression) == argument


def test_rows_that_cannot_be_counted_end_the_dump(
    sandbox: object, store: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both work at once; a dump whose manifest cannot be made is of no use."""

    def refuse(view: object, **more: object) -> None:
        raise SourceError("no right to count")

    monkeypatch.setattr(manifest, "look", refuse)
    with pytest.raises(SourceError, match="no right to count"):
        taking.take(source(), store)
    assert store.ids() == [] and parts(store) == []


def test_of_two_faults_the_first_is_told(
    sandbox: object, store: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A view that could not be read is gone, so the dump breaks, too, with words that help nobody."""
    looked = threading.Event()

    def refuse(view: object, **more: object) -> None:
        looked.set()
        raise SourceError("no right to count")

    def lose_the_view(*words: object, **more: object) -> None:
        looked.wait(10)
        raise Unreachable("pg_dump failed: could not import the requested snapshot", kind="pg_dump")

    monkeypatch.setattr(manifest, "look", refuse)
    monkeypatch.setattr(tools, "run", lose_the_view)
    with pytest.raises(SourceError, match="no right to count"):
        taking.take(source(), store)


@pytest.mark.skipif(not OLDER.exists(), reason="no PostgreSQL 15 on this machine")
def test_an_older_pg_dump_is_refused_before_it_can_fail(
    sandbox: object, store: Folder, programs: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real one of version 15, against a server that is newer."""
    monkeypatch.setenv(tools.GIVEN, str(OLDER))
    with pytest.raises(Refused, match=r"found: 15\."):
        taking.take(source(), store)
    assert store.ids() == []


def test_only_what_is_too_old_is_retired_and_never_the_newest(kept: Folder) -> None:
    """What cannot be read is left for a person, and three stay whatever their age."""
    first = newest(kept)
    for days in (1, 8, 9, 10):
        nightly.age(kept, first, timedelta(days=days), copied=True)
    broken = kept.ids()[1]
    (kept.folder(broken) / MANIFEST).write_text("{")
    rows = retention.retire(kept, 7, 3, ids.now())
    assert [(row[0] == broken, row[2]) for row in rows] == [(True, False), (False, True)]
    assert len(kept.ids()) == 4 and broken in kept.ids() and first.id in kept.ids()
    assert retention.retire(kept, 7, 3, ids.now())[1:] == [], "done again, it does nothing more"
    assert retention.days(config.load_system("klutr")) == 7


def test_a_schema_alone_is_no_reason_to_remove_the_last_rows(kept: Folder) -> None:
    """Three of them, newer than a whole one, would else push it out; nor is one restored unasked."""
    first = newest(kept)
    for days in (1, 2, 8):
        nightly.age(kept, first, timedelta(days=days), copied=True)
    for name in kept.ids()[1:]:
        found = manifest.read(kept.manifest(name), name)
        (kept.folder(name) / MANIFEST).write_text(replace(found, content="schema").text())
    whole = kept.ids()[0]
    assert retention.retire(kept, 7, 3, ids.now()) == []
    assert restoring.chosen(kept).id == whole


@pytest.mark.parametrize("shrunk", [True, False])
def test_a_backup_that_shrank_pushes_no_older_one_out(
    signer: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shrunk: bool
) -> None:
    """A job that was pointed at another database would else remove the good ones, a night at a time."""
    ready(monkeypatch, tmp_path)
    control.backups(SYSTEM)
    control.break_("backup-stale", SYSTEM)
    kept = store_of(config.load_system(SYSTEM).environment("sandbox"))
    for name in kept.ids() if shrunk else ():
        found = manifest.read(kept.manifest(name), name)
        more = {table: replace(held, rows=held.rows * 10) for table, held in found.holds.tables.items()}
        (kept.folder(name) / MANIFEST).write_text(
            replace(found, holds=replace(found.holds, tables=more)).text()
        )
    before = kept.ids()
    document = perform("backup", SYSTEM, tmp_path, take=True, retire=True)
    assert document["cause"] == ({"id": "backup-shrunk", "text": backups.SHRUNK.text} if shrunk else None)
    assert (set(before) <= set(kept.ids())) is shrunk and len(kept.ids()) >= 3


@pytest.mark.parametrize("name", ["", "..", "../kulti", "20261122T023757Z-zzzzzz"])
def test_a_name_that_is_none_leads_nowhere(store: Folder, name: str) -> None:
    """A name is a part of a path."""
    store.path.mkdir(parents=True)
    with pytest.raises(UsageError, match="there is no backup"):
        store.folder(name)


def test_a_store_that_is_not_there_is_no_empty_store(tmp_path: Path) -> None:
    """A disk that was not mounted must not look like a system without backups."""
    with pytest.raises(Unreachable, match="no such folder"):
        Folder(tmp_path / "gone" / "x", SYSTEM).ids()
    with pytest.raises(Malformed, match="manifest"):
        manifest.read(b"", "it")


LISTED = ("id", "taken_at", "age_hours", "content", "megabytes", "rows", "problem")
AGE, SIZE = Limit(warning=26, critical=50, unit="h"), Limit(warning=20, critical=50, unit="%")


def listing(*rows: tuple[float, float, int]) -> pd.DataFrame:
    """Return a list of backups: age in hours, megabytes, rows."""
    made = [
        (f"b{number}", pd.Timestamp("2026-11-22T00:00Z"), age, "all", size, count, "")
        for number, (age, size, count) in enumerate(rows)
    ]
    return pd.DataFrame(made, columns=list(LISTED))


def statuses(found: list[Finding]) -> set[Status]:
    """Return the statuses of findings."""
    return {finding.status for finding in found}


def test_a_store_that_cannot_be_looked_at_is_unknown_to_every_check() -> None:
    """Neither missing nor well."""
    unseen = frames.unavailable(LISTED, "no such folder")
    found = [
        backups.age(unseen, AGE), *backups.size(unseen, SIZE), backups.manifests(unseen),
        backups.tools(unseen), *backups.readable(unseen), backups.room(unseen), backups.server(unseen),
        *backups.readback(unseen),
    ]  # fmt: skip
    assert statuses(found) == {Status.UNKNOWN}
    assert all("no such folder" in finding.why for finding in found)


def test_a_backup_from_the_future_is_not_taken_for_a_young_one() -> None:
    """A clock is wrong, here or there: it could be of any day. A few minutes are no matter."""
    ahead = backups.age(listing((-5, 1, 100)), AGE)
    assert ahead.status is Status.UNKNOWN and "a clock is wrong" in ahead.why
    assert backups.age(listing((-0.1, 1, 100)), AGE).status is Status.OK


def test_a_database_of_no_known_size_is_no_reason_to_find_room() -> None:
    """Room for twice nothing is on every disk, also on a full one."""
    room = pd.DataFrame([(10, 0)], columns=["free_bytes", "needed_bytes"])
    assert backups.room(room).status is Status.UNKNOWN
    full = pd.DataFrame([(0, 1_000_000)], columns=["free_bytes", "needed_bytes"])
    assert (backups.room(full).status, backups.room(full).cause) == (Status.CRITICAL, backups.NO_ROOM)
    assert backups.needed(listing(), frames.unavailable(["bytes_estimate"], "no answer")) == 0


def test_no_backup_an_old_one_and_a_small_one_have_causes_of_their_own() -> None:
    """What to do differs."""
    none, old = backups.age(listing(), AGE), backups.age(listing((60, 1, 100)), AGE)
    assert (none.status, none.cause) == (Status.CRITICAL, backups.NONE)
    assert (old.status, old.cause) == (Status.CRITICAL, backups.STALE)
    assert backups.age(listing((30, 1, 100)), AGE).status is Status.WARNING
    small = backups.size(listing((1, 10, 10), (25, 10, 100), (49, 10, 100)), SIZE)
    assert [(one.subject, one.status) for one in small] == [
        ("rows", Status.CRITICAL), ("megabytes", Status.OK),
    ]  # fmt: skip
    assert small[0].cause is backups.SHRUNK
    assert statuses(backups.size(listing((1, 10, 10)), SIZE)) == {Status.SKIPPED}


def test_too_little_room_and_a_readback_that_nobody_could_do_are_told_apart() -> None:
    """A disk that is full is known; programs that are missing leave it open whether a backup is whole."""
    room = pd.DataFrame([(10_000_000, 8_000_000)], columns=["free_bytes", "needed_bytes"])
    assert (backups.room(room).status, backups.room(room).cause) == (Status.CRITICAL, backups.NO_ROOM)
    rows = [("a", pd.NA, "unseen", "no client programs"), ("b", False, "short", "cut")]
    read = pd.DataFrame(rows, columns=["id", "whole", "kind", "text"])
    assert [one.status for one in backups.readback(read)] == [Status.UNKNOWN, Status.CRITICAL]
