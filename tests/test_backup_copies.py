"""Copies of backups in a bucket: whole or no backup at all, and the one on disk stays whatever happens."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from opslib import config, frames, ids
from opslib.archive import access
from opslib.archive.access import Access
from opslib.archive.bucket import Answered
from opslib.backup import manifest, objects, reading, retention, taking
from opslib.backup.copying import Copies
from opslib.backup.manifest import Holds, Manifest, Table
from opslib.backup.objects import Objects
from opslib.backup.room import NoRoom
from opslib.backup.store import DUMP, MANIFEST, Folder
from opslib.checks import copies as checks
from opslib.config import Limit, Secret
from opslib.config import bucket as buckets
from opslib.config.environment import Environment
from opslib.config.parts import EnvironmentFile
from opslib.config.store import BackupBucket
from opslib.errors import Malformed, SourceError, Unreachable
from opslib.run.backups import LISTED, READ, BackupSource
from opslib.run.copies import PLACE, SENT, CopySource
from opslib.verdict import Status
from tests.buckets import KEY, SECRET, Killed, Server, dying, serving

SYSTEM = "kulti"
AGE = Limit(warning=26, critical=50, unit="h")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """An S3 server."""
    with serving() as made:
        yield made


@pytest.fixture
def copies(server: Server) -> Copies:
    """An empty place in a new bucket."""
    bucket = server.bucket()
    return Copies(Objects(bucket.name, "team/databases", server.access), f"production/{SYSTEM}")


@pytest.fixture
def kept(tmp_path: Path) -> Folder:
    """A store with a backup of two files in it."""
    return stored(Folder(tmp_path / "store", SYSTEM), timedelta(0))


def stored(store: Folder, age: timedelta, content: bytes = b"x" * 4000) -> Folder:
    """Put a backup into a store, as if it had been taken so long ago."""
    moment = ids.now() - age
    name = taking.new_id(moment)
    (store.path / name / DUMP).mkdir(parents=True)
    (store.path / name / DUMP / "toc.dat").write_bytes(b"table of contents")
    (store.path / name / DUMP / "1.dat").write_bytes(content)
    holds = Holds("kulti", "18.6", ids.stamp(moment), {"public.t": Table(3, "1")}, {}, {}, {}, ())
    files = reading.files(store.path / name)
    made = Manifest(name, SYSTEM, "production", "all", holds, "18.6", "gzip:1", ids.stamp(moment), 1.0, files)
    (store.path / name / MANIFEST).write_text(made.text())
    return store


def contents(copies: Copies) -> dict[str, bytes]:
    """Return everything that the bucket lists."""
    return {name: copies.objects.read(name) or b"" for name in copies.objects.listed()}


def test_a_copy_has_every_byte_and_its_manifest_came_last(
    kept: Folder, copies: Copies, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever lists the bucket meanwhile sees no backup; sent again, nothing is sent."""
    name = kept.ids()[0]
    order: list[str] = []
    call = copies.objects._call

    def seen(method: str, **words: Any) -> Any:
        if method == "put_object":
            assert copies.ids() == []
            order.append(words["Key"].rpartition("/")[2])
        return call(method, **words)

    monkeypatch.setattr(copies.objects, "_call", seen)
    copies.send(kept, name)
    assert order[-1] == MANIFEST and len(order) == 3
    assert copies.ids() == [name] and copies.check(name) is None
    assert copies.manifest(name) == kept.manifest(name)
    copies.send(kept, name)
    assert len(order) == 3


def test_a_copy_whose_last_answer_was_lost_is_whole_and_one_of_somebody_else_is_not(
    kept: Folder, copies: Copies, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The request is sent again, and meets what it has put there itself: nobody else has sent it."""
    name = kept.ids()[0]
    call = copies.objects._call

    def send(first: Callable[[bytes], bytes]) -> None:
        def lost(method: str, **words: Any) -> Any:
            if method == "put_object" and words["Key"].endswith(MANIFEST):
                call(method, **{**words, "Body": first(words["Body"])})
            return call(method, **words)

        monkeypatch.setattr(copies.objects, "_call", lost)
        copies.send(kept, name)

    with pytest.raises(Malformed, match="somebody else"):
        send(lambda text: text + b" ")
    assert copies.objects.gone(copies._name(name, MANIFEST)) == ""
    send(lambda text: text)
    assert copies.ids() == [name] and copies.check(name) is None


def test_a_large_file_is_sent_in_parts_and_read_back_whole(
    tmp_path: Path, copies: Copies, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It need not fit into the memory, and a store that tells no sum of the whole is read to its end."""
    monkeypatch.setattr(objects, "PART_BYTES", 5 << 20)
    kept = stored(Folder(tmp_path / "store", SYSTEM), timedelta(0), os.urandom(11 << 20))
    name = kept.ids()[0]
    copies.send(kept, name)
    assert copies.check(name) is None
    monkeypatch.setattr(Objects, "_digest", lambda self, name, size: "another")
    found = copies.check(name)
    assert found is not None and found.kind == "changed", "the sums of parts say nothing of the whole"


def test_what_the_store_has_is_not_what_was_sent(
    kept: Folder, copies: Copies, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that answers well and keeps something else makes no backup."""
    monkeypatch.setattr(Objects, "has", lambda *all: False)
    with pytest.raises(Malformed, match="not what was sent"):
        copies.send(kept, kept.ids()[0])
    assert copies.ids() == []


def test_a_copy_that_is_brought_back_by_any_tool_is_a_backup_again(
    kept: Folder, copies: Copies, tmp_path: Path
) -> None:
    """When this machine is gone there is only the bucket; names in it are paths of the folder."""
    name = kept.ids()[0]
    copies.send(kept, name)
    for key, content in contents(copies).items():
        path = tmp_path / "new machine" / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    back = Folder(tmp_path / "new machine" / "production", SYSTEM)
    assert back.ids() == [name]
    assert reading.damage(back.folder(name), manifest.read(back.manifest(name), name)) is None


@pytest.mark.parametrize("after", [0, 1, 2])
def test_killed_on_the_way_no_copy_is_there_and_the_next_try_makes_it(
    kept: Folder, copies: Copies, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    """Files without a manifest are no backup, and a second try finds its own first files."""
    name = kept.ids()[0]
    with monkeypatch.context() as patch, pytest.raises(Killed):
        dying(copies.objects, patch, after)
        copies.send(kept, name)
    assert copies.ids() == [] and len(contents(copies)) == after
    copies.send(kept, name)
    assert copies.ids() == [name] and copies.check(name) is None


def test_what_broke_off_long_ago_is_cleared_away(tmp_path: Path, kept: Folder, copies: Copies) -> None:
    """Not what somebody may still be sending, and never by sending another one."""
    old, young = (f"{ids.now() - timedelta(days=days):%Y%m%dT%H%M%SZ}-abcdef" for days in (8, 6))
    for half in (old, young):
        copies.objects.create(f"production/{SYSTEM}/{half}/dump/1.dat", b"half")
    copies.send(kept, kept.ids()[0])
    assert old in " ".join(contents(copies))
    assert [(row[0], row[2]) for row in copies.clear_away()] == [(old, True)]
    names = " ".join(contents(copies))
    assert old not in names and young in names


def spoil(copies: Copies, change: Callable[[bytes], bytes] | None) -> None:
    """Change or remove a file of the newest copy."""
    name = f"production/{SYSTEM}/{copies.ids()[-1]}/{DUMP}/1.dat"
    if change is None:
        copies.objects.hide(name)
    else:
        copies.objects.replace(name, change(copies.objects.read(name) or b""))


@pytest.mark.parametrize(
    "change, kind",
    [
        (None, "missing"),
        (lambda text: text[:9], "short"),
        (lambda text: b"y" + text[1:], "changed"),
        (lambda text: text + b"y", "changed"),
    ],
)
def test_each_damage_of_a_copy_is_called_by_its_name(
    kept: Folder, copies: Copies, change: Any, kind: str
) -> None:
    """A list of names would pass all of them but the first."""
    copies.send(kept, kept.ids()[0])
    spoil(copies, change)
    found = copies.check(kept.ids()[0])
    assert found is not None and found.kind == kind


def elsewhere(tmp_path: Path) -> Folder:
    """Return the store of a new machine, on which nothing is yet."""
    return Folder(tmp_path / "new machine" / "production", SYSTEM)


def everything(store: Folder) -> dict[str, bytes]:
    """Return all that is in a store, by path; not its lock."""
    found = (path for path in store.path.rglob("*") if path.is_file() and path.name != ".lock")
    return {path.relative_to(store.path).as_posix(): path.read_bytes() for path in found}


def test_a_copy_is_fetched_byte_for_byte_and_only_once(
    tmp_path: Path, copies: Copies, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also a file that came in parts; one that is here and whole is not read again."""
    monkeypatch.setattr(objects, "PART_BYTES", 5 << 20)
    kept = stored(Folder(tmp_path / "store", SYSTEM), timedelta(0), os.urandom((11 << 20) + 3))
    name, said = kept.ids()[0], list[str]()
    copies.send(kept, name)
    back = elsewhere(tmp_path)
    copies.fetch(name, back, said.append)
    assert back.ids() == [name] and everything(back) == everything(kept)
    assert said[-1] == "11.5 of 11.5 MB fetched"
    monkeypatch.setattr(Objects, "receive", lambda *all: pytest.fail("read again"))
    copies.fetch(name, back)


@pytest.mark.parametrize("path", ["dump/1.dat", MANIFEST])
def test_one_that_is_damaged_here_is_set_aside_for_the_copy(kept: Folder, copies: Copies, path: str) -> None:
    """It is no backup any more, and still there for whoever asks what happened to it."""
    name = kept.ids()[0]
    copies.send(kept, name)
    before = everything(kept)
    (kept.folder(name) / path).write_bytes(b"half")
    copies.fetch(name, kept)
    now = everything(kept)
    assert kept.ids() == [name] and {path: now[path] for path in before} == before
    aside = {name: text for name, text in now.items() if name not in before}
    assert len(aside) == len(before)
    assert [text for name, text in aside.items() if name.endswith(path)] == [b"half"]


@pytest.mark.parametrize(
    "change", [None, lambda text: text[:9], lambda text: b"y" + text[1:], lambda text: text + b"y"]
)
def test_a_copy_that_is_not_what_was_sent_is_not_brought_here(
    kept: Folder, copies: Copies, tmp_path: Path, change: Any
) -> None:
    """Nothing of it is left, and the one that is here under another name is not touched."""
    copies.send(kept, kept.ids()[0])
    spoil(copies, change)
    back = stored(elsewhere(tmp_path), timedelta(days=1))
    before = everything(back)
    with pytest.raises(Malformed) as told:
        copies.fetch(kept.ids()[0], back)
    assert told.value.kind == "copy" and everything(back) == before


def test_a_fetch_that_is_interrupted_leaves_nothing(kept: Folder, copies: Copies, tmp_path: Path) -> None:
    """Ctrl-C between two files; tried again, it comes to its end."""

    def interrupt(text: str) -> None:
        raise KeyboardInterrupt

    copies.send(kept, kept.ids()[0])
    back = elsewhere(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        copies.fetch(kept.ids()[0], back, interrupt)
    assert everything(back) == {} and back.ids() == []
    copies.fetch(kept.ids()[0], back)
    assert back.ids() == kept.ids()


def test_without_room_nothing_is_fetched(
    kept: Folder, copies: Copies, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Known before the first byte: a disk that fills up stops more than a restore."""
    copies.send(kept, kept.ids()[0])
    back = elsewhere(tmp_path)
    monkeypatch.setattr(Folder, "free_bytes", lambda self: 4000)
    monkeypatch.setattr(Objects, "receive", lambda *all: pytest.fail("read"))
    with pytest.raises(NoRoom, match=r"0\.0 MB left, and 0\.0 MB are needed"):
        copies.fetch(kept.ids()[0], back)


@pytest.mark.parametrize(
    "path", ["../../outside", "/tmp/outside", "dump/../../../outside", "", "dump//1.dat"]
)
def test_a_manifest_from_elsewhere_leads_nowhere_but_into_the_folder(
    kept: Folder, copies: Copies, tmp_path: Path, path: str
) -> None:
    """Whoever may write into the bucket must not write onto this machine."""
    name = kept.ids()[0]
    copies.send(kept, name)
    known = manifest.read(kept.manifest(name), name)
    text = replace(known, files={path: known.files["dump/1.dat"]}).text()
    copies.objects.replace(f"production/{SYSTEM}/{name}/{MANIFEST}", text.encode())
    with pytest.raises(Malformed, match="cannot be read"):
        copies.fetch(name, elsewhere(tmp_path))


def test_a_manifest_of_another_backup_is_not_taken_for_this_one(
    kept: Folder, copies: Copies, tmp_path: Path
) -> None:
    """An older one under the name of the newest would bring back last month."""
    name = kept.ids()[0]
    copies.send(kept, name)
    text = replace(manifest.read(kept.manifest(name), name), id=taking.new_id(ids.now())).text()
    copies.objects.replace(f"production/{SYSTEM}/{name}/{MANIFEST}", text.encode())
    with pytest.raises(Malformed, match="says of itself"):
        copies.fetch(name, elsewhere(tmp_path))


@pytest.fixture
def environment(server: Server, copies: Copies, monkeypatch: pytest.MonkeyPatch) -> Environment:
    """A system whose file names the bucket, with its key in the environment."""
    monkeypatch.setenv("BUCKET_KEY", KEY)
    monkeypatch.setenv("BUCKET_SECRET", SECRET)
    spec = BackupBucket(
        place=f"s3://{copies.objects.name}/team/databases", endpoint=server.url, region="us-east-1",
        key="env:BUCKET_KEY", secret="env:BUCKET_SECRET",
    )  # fmt: skip
    env = config.load_system(SYSTEM).environment("production")
    return replace(env, bucket=buckets.named(spec))


def source(env: Environment, kept: Folder) -> CopySource:
    """Return what a notebook has."""
    own = BackupSource(env, "opslib/test", "run")
    own.__dict__["store"] = kept
    return CopySource(env, own, "run")


def made(kept: Folder) -> pd.DataFrame:
    """Return what `ops.backups.take()` returned."""
    return pd.DataFrame({"id": [kept.ids()[-1]]})


def test_a_notebook_sends_lists_and_reads_back(environment: Environment, kept: Folder) -> None:
    """Also its credentials are references, and its secrets are masked."""
    ops = source(environment, kept)
    assert "env:BUCKET_SECRET" in {secret.reference for secret in environment.secrets()}
    assert checks.place(ops.place()).status is Status.OK
    assert checks.sent(ops.send(made(kept))).status is Status.OK
    found = checks.copies(ops.list(), ops.read_back(), AGE)
    assert {one.status for one in found} == {Status.OK}
    assert all(one.check.endswith("in the bucket") for one in found)


def refusing(env: Environment, **changed: Any) -> Environment:
    """Return the environment with another bucket, or reached in another way."""
    assert env.bucket
    return replace(env, bucket=replace(env.bucket, **changed))


def test_a_bucket_that_refuses_leaves_the_backup_here_and_says_that_it_is_only_here(
    server: Server, environment: Environment, kept: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No such bucket, no right to it, no key for it: the cause is the same, the words are not."""
    absent = refusing(environment, place="s3://no-such-bucket-here/x")
    keyless = refusing(environment, secrets={"key": Secret.parse("env:NO_SUCH_KEY")})
    asked = {"no such bucket": (absent, Status.CRITICAL), "NO_SUCH_KEY": (keyless, Status.UNKNOWN)}
    for said, (env, looked) in asked.items():
        found = checks.sent(source(env, kept).send(made(kept)))
        assert (found.status, found.cause) == (Status.CRITICAL, checks.REFUSES)
        assert said in found.why and "only here" in found.why
        assert checks.place(source(env, kept).place()).status is looked
    server.strict(True)
    try:
        found = checks.sent(source(environment, kept).send(made(kept)))
        looked_at = checks.place(source(environment, kept).place())
    finally:
        server.strict(False)
    assert looked_at.cause is checks.REFUSES
    assert found.cause is checks.REFUSES and "refuses these credentials" in found.why
    assert reading.damage(kept.folder(kept.ids()[0]), manifest.read(kept.manifest(kept.ids()[0]), "")) is None


def test_a_store_that_is_full_says_so(kept: Folder, copies: Copies, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each make of store has a word of its own for it."""
    call = copies.objects._call

    def full(method: str, **words: Any) -> Any:
        if method == "put_object":
            raise Answered("XMinioStorageFull")
        return call(method, **words)

    monkeypatch.setattr(copies.objects, "_call", full)
    with pytest.raises(SourceError, match="the store is full"):
        copies.send(kept, kept.ids()[0])
    assert copies.ids() == []


def test_a_store_that_never_answers_is_given_up(kept: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that is taken and then left alone must not hold the schedule for ever."""
    patience = {"connect_timeout": 1, "read_timeout": 0.2, "retries": {"total_max_attempts": 1}}
    monkeypatch.setattr(access, "_PATIENCE", patience)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        there = Copies(Objects("bucket", "x", Access(url, "us-east-1", KEY, SECRET)), "production/kulti")
        with pytest.raises(Unreachable, match="does not answer"):
            there.send(kept, kept.ids()[0])


def test_old_copies_are_retired_and_never_the_newest(tmp_path: Path, copies: Copies) -> None:
    """By the same rule as on disk; nothing of a retired one stays in the bucket."""
    store = Folder(tmp_path / "many", SYSTEM)
    for days in (0, 1, 8, 9, 10):
        stored(store, timedelta(days=days))
    for name in store.ids():
        copies.send(store, name)
    rows = retention.retire(copies, 7, 3, ids.now())
    assert [row[2] for row in rows] == [True, True] and copies.ids() == store.ids()[2:]
    assert not any(name.split("/")[2] in store.ids()[:2] for name in copies.objects.listed())
    assert retention.retire(copies, 7, 3, ids.now()) == [], "done again, it does nothing more"


def test_what_the_store_holds_on_to_stays_and_is_told(server: Server, tmp_path: Path) -> None:
    """Object Lock is there to be obeyed; a refusal that is swallowed would look like room that was made."""
    bucket = server.bucket(locking=True)
    there = Copies(Objects(bucket.name, "x", server.access), f"production/{SYSTEM}")
    store = stored(Folder(tmp_path / "many", SYSTEM), timedelta(days=20))
    name = store.ids()[0]
    there.send(store, name)
    until = ids.now() + timedelta(days=3)
    there.objects._call(
        "put_object_retention", Key=f"x/production/{SYSTEM}/{name}/{MANIFEST}",
        Retention={"Mode": "COMPLIANCE", "RetainUntilDate": until},
    )  # fmt: skip
    rows = retention.retire(there, 7, 0, ids.now())
    assert [(row[0], row[2]) for row in rows] == [(name, False)] and "Object Lock" in rows[0][3]
    assert there.ids() == [name] and there.check(name) is None, "not even a part of it was removed"


def test_a_bucket_that_cannot_be_looked_at_is_unknown_and_one_that_is_not_named_is_skipped() -> None:
    """Neither is a copy that is well."""
    unseen = frames.unavailable(LISTED, "the store does not answer")
    unread = frames.unavailable(READ, "the store does not answer")
    found = [checks.place(frames.unavailable(PLACE, "silent")), *checks.copies(unseen, unread, AGE)]
    assert {one.status for one in found} == {Status.UNKNOWN}
    assert checks.sent(frames.unavailable(SENT, "no backup was taken")).status is Status.UNKNOWN
    none = frames.unavailable(LISTED, "names no bucket", absent=True)
    assert {one.status for one in checks.copies(none, none, AGE)} == {Status.SKIPPED}
    assert checks.sent(none).status is checks.place(none).status is Status.SKIPPED


def test_no_copy_and_an_old_one_have_causes_of_their_own(environment: Environment, tmp_path: Path) -> None:
    """The backups here may be young and whole, and the house burns down."""
    store = stored(Folder(tmp_path / "old", SYSTEM), timedelta(hours=60))
    ops = source(environment, store)
    empty = checks.copies(ops.list(), ops.read_back(), AGE)
    (none,) = [one for one in empty if one.cause is checks.NONE]
    assert (none.observed, none.why) == ("no copy", "if this machine goes, nothing could be restored")
    ops.send(made(store))
    found = checks.copies(ops.list(), ops.read_back(), AGE)
    assert checks.STALE in {one.cause for one in found}


def test_the_files_words_are_checked() -> None:
    """A place that is none, and half of a credential, are found before the night."""
    for given in ({"place": "klutr-backups"}, {"place": "s3://klutr-backups", "key": "env:K"}):
        with pytest.raises(ValueError, match=r"s3://|belong together"):
            EnvironmentFile.model_validate({"backup_bucket": given})
