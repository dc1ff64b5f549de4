"""A copy of the archive in an S3 bucket: sound at any moment, and it contradicts whoever alters either."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from opslib import ids
from opslib.archive import access
from opslib.archive.bucket import Bucket
from opslib.cli import copying
from opslib.config.store import ObjectLock, read_store
from opslib.errors import ArchiveError, ConfigError, Forbidden, SourceError, Unreachable, UsageError
from opslib.evidence import LogSigner, Report, disposing, verify_archive
from opslib.evidence.copies import HEAD, HELD, NEXT, files_of, held_heads, is_file
from opslib.evidence.notes import Checkpoint, Note
from opslib.evidence.pulling import Pulled, pull
from opslib.evidence.pushing import Pushed, push
from opslib.evidence.retention import Rule
from opslib.runner import notary
from opslib.verdict import Status
from tests import buckets, shop
from tests.buckets import Killed, Server
from tests.evidencing import BEGAN, ORIGIN, Kept, audit, key, later
from tests.shop import Project
from tests.test_cli import Shell

RULE = Rule("ops-30d", 30, 30)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """One S3 server for all of these tests."""
    with buckets.serving() as found:
        yield found


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    """An archive with one sealed run."""
    made = Kept(tmp_path / "archive")
    made.run(0)
    return made


@pytest.fixture
def bucket(server: Server) -> Bucket:
    """A place for a copy."""
    return server.bucket()


@pytest.fixture
def opslib(capsys: pytest.CaptureFixture[str]) -> Shell:
    """Return the shell."""
    return Shell(capsys)


@pytest.fixture
def project(one_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project of the test's own with one sealed run."""
    monkeypatch.chdir(tmp_path)
    return shop.copied(one_run, tmp_path, monkeypatch)


def pushed(kept: Kept, bucket: Bucket, **more: Any) -> Pushed:
    """Push an archive."""
    return push(kept.archive, kept.log, kept.trusted(), bucket, now=ids.now(), **more)


def held(kept: Kept, bucket: Bucket) -> Pushed:
    """Push an archive, and have the store hold its head."""
    return pushed(kept, bucket, hold=ObjectLock(mode="compliance", days=30))


def pulled(kept: Kept, bucket: Bucket, folder: Path) -> Pulled:
    """Bring a copy into a folder of which nothing is left from before."""
    shutil.rmtree(folder, ignore_errors=True)
    return pull(bucket, folder, lambda _: kept.trusted())


def verified(kept: Kept, bucket: Bucket, folder: Path) -> Report:
    """Bring a copy and verify it against the heads that the store holds."""
    heads = held_heads(bucket)
    pulled(kept, bucket, folder)
    return verify_archive(folder, kept.trusted(), audit(checkpoints=heads, retention=[RULE]))


def kinds(report: Report) -> set[str]:
    """Return the names of the faults."""
    return {str(one.kind) for one in report.findings if one.fault}


def configured(project: Project, bucket: Bucket, url: str, **more: Any) -> None:
    """Write parameters/store.yml; JSON is YAML, too."""
    told = {"copy": str(bucket), "endpoint": url, "region": "us-east-1", **more}
    (project.root / "parameters" / "store.yml").write_text(json.dumps(told))


def test_a_copy_has_the_names_of_the_archive_and_no_left_overs(kept: Kept, bucket: Bucket) -> None:
    """Whoever looks into the bucket finds the archive; the index, locks and left-overs stay behind."""
    (kept.archive / "index.sqlite").write_bytes(b"x")
    (kept.archive / "notes" / "run-0000").mkdir(parents=True)
    (kept.archive / "notes" / "run-0000" / ".n.json-0123abcd").write_bytes(b"x")
    (kept.archive / "runs" / ".writing-run-0009").mkdir()
    (kept.archive / "runs" / ".writing-run-0009" / "run.html").write_bytes(b"x")
    done = pushed(kept, bucket)
    tiles = {"log/tile/0/000.p/3", "log/tile/entries/000.p/3"}
    assert bucket.listed().keys() == {*files_of(kept.archive), HEAD, *tiles}
    assert not [name for name in bucket.listed() if "/." in name or "index" in name]
    assert bucket.read(HEAD) == (kept.archive / HEAD).read_bytes()
    assert (done.status, done.size) == (Status.OK, 3)


def test_a_second_push_sends_nothing_and_a_later_one_what_is_new(kept: Kept, bucket: Bucket) -> None:
    """A push costs what has changed; tiles that the new head does not need are gone."""
    first = pushed(kept, bucket)
    again = pushed(kept, bucket)
    assert (again.sent, again.same) == (0, first.sent - 2)  # the head, and the word that it was to come
    kept.run(1)
    assert pushed(kept, bucket).sent == 5 + 2 + 2
    assert list(bucket.listed("log/tile/0/")) == ["log/tile/0/000.p/6"]


def test_what_was_pulled_is_what_was_pushed(kept: Kept, bucket: Bucket, tmp_path: Path) -> None:
    """Byte by byte, and it verifies like the archive."""
    pushed(kept, bucket)
    done = pulled(kept, bucket, tmp_path / "back")
    assert (done.size, done.files, done.waiting) == (3, 5 + 3, ())
    for name in (*files_of(kept.archive), HEAD):
        assert (tmp_path / "back" / name).read_bytes() == (kept.archive / name).read_bytes()
    assert verify_archive(tmp_path / "back", kept.trusted(), audit()).sound


def test_a_copy_is_sound_after_each_object_of_a_push_that_was_killed(
    kept: Kept, bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after each single object and begun again, it never shows a fault, and in the end it is whole."""
    pushed(kept, bucket)
    kept.run(1)
    sizes = []
    for _ in range(20):
        with monkeypatch.context() as patch:
            buckets.dying(bucket, patch, after=1)
            try:
                pushed(kept, bucket)
            except Killed:
                ended = False
            else:
                ended = True
        report = verified(kept, bucket, tmp_path / "back")
        assert report.sound, [str(one) for one in report.findings]
        sizes.append(report.leaves)
        if ended:
            break
    assert ended and len(sizes) > 9 and set(sizes) == {3, 6} and sizes == sorted(sizes)
    assert NEXT not in bucket.listed() and pushed(kept, bucket).sent == 0


def test_what_a_cut_off_push_was_about_to_send_is_left_out_and_nothing_else(
    kept: Kept, bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A record that somebody put into the bucket is a forgery, whatever a head that is none says."""
    pushed(kept, bucket)
    kept.run(1)
    buckets.dying(bucket, monkeypatch, after=8)
    with pytest.raises(Killed):
        pushed(kept, bucket)
    monkeypatch.undo()
    assert len(pulled(kept, bucket, tmp_path / "back").waiting) >= 4
    bucket.create("runs/2026/11/21/run-0099/run.html", b"x")
    assert kinds(verified(kept, bucket, tmp_path / "back")) == {"forged"}
    coming = Checkpoint.parse(Note.parse(bucket.read(NEXT) or b"").text)
    by_a_stranger = LogSigner(ORIGIN, key(50)).sign(coming)
    over_other_leaves = kept.signer.sign(Checkpoint(ORIGIN, coming.size, bytes(32)))
    for note in (by_a_stranger, over_other_leaves):
        bucket.replace(NEXT, note.encode())
        assert pulled(kept, bucket, tmp_path / "back").waiting == ()


def test_an_object_that_was_altered_is_found_and_never_overwritten(
    kept: Kept, bucket: Bucket, tmp_path: Path
) -> None:
    """The push names it, the verification names it, and it stays for whoever looks into it."""
    pushed(kept, bucket)
    name = next(name for name in files_of(kept.archive) if name.endswith("run.html"))
    bucket.replace(name, b"<p>all was well")
    done = pushed(kept, bucket)
    assert (done.differing, done.status, done.sent) == ((name,), Status.CRITICAL, 0)
    assert bucket.read(name) == b"<p>all was well"
    assert kinds(verified(kept, bucket, tmp_path / "back")) == {"file-edited"}


def test_what_somebody_puts_there_in_this_very_moment_is_not_overwritten(kept: Kept, bucket: Bucket) -> None:
    """The store itself refuses to put one object over another that the listing did not have."""
    name = next(name for name in files_of(kept.archive) if name.endswith("run.html"))

    def after_the_listing(text: str) -> None:
        if text.startswith("leaves"):
            bucket.create(name, b"x")

    done = pushed(kept, bucket, progress=after_the_listing)
    assert bucket.read(name) == b"x" and done.differing == (name,)


@pytest.mark.parametrize(
    "name",
    ["runs/../../x", "runs//x", "/etc/x", "log/origin", "runs", "runs/.x/y", "runs\\..\\x", "runs/a\n/x"],
)
def test_an_object_whose_name_leads_elsewhere_is_no_file(name: str) -> None:
    """Whoever may write into the bucket must not write onto the machine of whoever reads it."""
    assert not is_file(name) and is_file("runs/2026/11/21/run-0000/run.html")


def test_a_file_that_only_grows_is_brought_up_to_date_and_one_that_shrank_is_not(
    kept: Kept, bucket: Bucket
) -> None:
    """A ledger gets lines, a proof cosignatures; what is altered here must not reach the copy."""
    ledger = kept.archive / "changes" / "abc" / "ledger.jsonl"
    ledger.parent.mkdir(parents=True)
    ledger.write_bytes(b"one\n")
    pushed(kept, bucket)
    ledger.write_bytes(b"one\ntwo\n")
    assert pushed(kept, bucket).sent == 1 and bucket.read("changes/abc/ledger.jsonl") == b"one\ntwo\n"
    ledger.write_bytes(b"one\n")
    proof = kept.folder(0) / "run.tlog-proof"
    better = kept.log.proof(2).encode()
    proof.write_bytes(better)
    assert pushed(kept, bucket).differing == ("changes/abc/ledger.jsonl",)
    assert bucket.read(proof.relative_to(kept.archive).as_posix()) == better
    proof.write_bytes(kept.log.proof(1).encode())
    assert len(pushed(kept, bucket).differing) == 2


def test_what_witnesses_have_signed_goes_along(kept: Kept, bucket: Bucket, tmp_path: Path) -> None:
    """A copy proves as much as the archive."""
    kept.cosign(later(3))
    pushed(kept, bucket)
    pulled(kept, bucket, tmp_path / "back")
    report = verify_archive(tmp_path / "back", kept.trusted(kept.watched), audit())
    assert report.sound and "log/cosigned/000000000003" in bucket.listed()
    assert not [text for text in report.unproven if "no witness" in text]


def test_files_that_are_gone_here_are_told_and_stay_in_the_copy(kept: Kept, bucket: Bucket) -> None:
    """Whoever deletes a record here has not deleted it over there."""
    pushed(kept, bucket)
    path = kept.folder(0) / "run.ipynb"
    path.unlink()
    done = pushed(kept, bucket)
    name = path.relative_to(kept.archive).as_posix()
    assert (done.status, done.missing) == (Status.WARNING, (name,)) and bucket.read(name)


def test_a_log_that_was_cut_back_or_rewritten_is_refused(kept: Kept, bucket: Bucket, tmp_path: Path) -> None:
    """Nothing is sent by whoever does not continue the head over there; nor by a damaged log."""
    shutil.copytree(kept.archive, tmp_path / "before")
    kept.run(1)
    pushed(kept, bucket)
    before = buckets.contents(bucket)
    cut = Kept(tmp_path / "before")
    assert "truncated: log/checkpoint over there has 6 leaves" in pushed(cut, bucket).refused
    cut.run(3)
    cut.run(4)
    done = pushed(cut, bucket)
    assert "forked: the first 6 leaves" in done.refused and done.status is Status.CRITICAL
    stranger = Kept(tmp_path / "stranger", seed=7)
    stranger.run(0)
    assert "which this log has not signed" in pushed(stranger, bucket).refused
    tile = kept.archive / "log" / "tile" / "entries" / "000.p" / "6"
    tile.write_bytes(tile.read_bytes()[:-2] + b"x}")
    assert "log-edited" in pushed(kept, bucket).refused
    assert buckets.contents(bucket) == before


def test_a_destroyed_record_is_removed_over_there_as_well(kept: Kept, bucket: Bucket, tmp_path: Path) -> None:
    """What a rule demands to go is gone in the copy, the log tells so, and the copy is sound."""
    pushed(kept, bucket)
    disposed(kept)
    done = pushed(kept, bucket)
    gone = {name for name in done.removed if name.startswith("runs/")}
    assert {name.rpartition("/")[2] for name in gone} == {"run.html", "run.ipynb", "run.dsse.json"}
    assert len(done.removed) == 4 and not done.locked and done.status is Status.OK
    assert not bucket.versions("blobs/") and {one.name for one in bucket.versions("runs/")} == {
        name for name in bucket.listed("runs/") if name.endswith(("disposed.json", "run.tlog-proof"))
    }
    report = verified(kept, bucket, tmp_path / "back")
    assert report.sound and {str(one.kind) for one in report.findings} == {"disposed"}
    assert pushed(kept, bucket).removed == ()


def disposed(kept: Kept) -> None:
    """Destroy all records by a rule."""
    now = BEGAN + timedelta(days=31)
    found = disposing.wanted(kept.archive, disposing.read_story(kept.archive, kept.trusted()), [RULE], now)
    disposing.dispose(kept.archive, kept.log, kept.trusted(), [RULE], found.digest, now, "ana")


def test_the_store_keeps_each_head_from_being_removed(kept: Kept, server: Server, tmp_path: Path) -> None:
    """Neither deleting nor writing over it helps: an earlier head is found, and names what was done."""
    bucket = server.bucket(locking=True)
    copy = tmp_path / "back"
    shutil.copytree(kept.archive, tmp_path / "before")
    kept.run(1)
    assert held(kept, bucket).status is Status.OK and held(kept, bucket).sent == 0
    (version,) = bucket.versions(HELD)
    assert version.name == f"{HELD}000000000006" and not bucket.remove(version)
    assert verified(kept, bucket, copy).sound
    bucket.hide(version.name)
    bucket.replace(version.name, b"x")
    for name in [name for name in bucket.listed() if not name.startswith(HELD)]:
        bucket.hide(name)
    cut = Kept(tmp_path / "before")
    bucket.hide(version.name)
    assert "truncated: a head that is locked" in held(cut, bucket).refused
    assert pushed(cut, bucket).status is Status.OK  # whoever does not ask for locks is not told of them
    assert "truncated" in kinds(verified(kept, bucket, copy))
    cut.run(3)
    cut.run(4)
    pushed(cut, bucket)
    assert "forked" in kinds(verified(kept, bucket, copy))


def test_a_record_under_lock_is_hidden_and_told(kept: Kept, server: Server, tmp_path: Path) -> None:
    """What the store does not let go is not taken for gone, and is tried again by the next push."""
    bucket = server.bucket(locking=True)
    days = {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 1}}}
    bucket._call("put_object_lock_configuration", ObjectLockConfiguration=days)
    pushed(kept, bucket)
    disposed(kept)
    done = pushed(kept, bucket)
    assert len(done.locked) == 4 and not done.removed
    assert not [name for name in bucket.listed("runs/") if name.endswith("run.html")]
    assert verified(kept, bucket, tmp_path / "back").sound
    assert len(pushed(kept, bucket).locked) == 4


def test_a_lock_needs_a_bucket_that_has_one(kept: Kept, bucket: Bucket) -> None:
    """Said before anything is sent."""
    with pytest.raises(ConfigError, match="has no Object Lock"):
        held(kept, bucket)
    assert bucket.listed() == {}


def test_a_store_that_cannot_be_used_is_named(kept: Kept, server: Server) -> None:
    """Who does not answer, who refuses, and what is not there: each with its own words and exit code."""
    away = Bucket(
        "nobody", "x", access.Access(f"http://127.0.0.1:{buckets.free_port()}", "us-east-1", "k", "s")
    )
    with pytest.raises(Unreachable, match="does not answer") as unreachable:
        pushed(kept, away)
    with pytest.raises(UsageError, match="there is no such bucket"):
        pushed(kept, Bucket("nobody", "x", server.access))
    with pytest.raises(UsageError, match="there is no archive"):
        pull(server.bucket(), kept.archive / "x")
    bucket = server.bucket()
    server.strict(True)
    try:
        with pytest.raises(Forbidden, match="refuses these credentials") as refused:
            pushed(kept, bucket)
    finally:
        server.strict(False)
    assert unreachable.value.exit_code == refused.value.exit_code == 3
    assert buckets.SECRET not in str(refused.value.text()) + repr(server.access)


def test_two_pushes_of_an_archive_do_not_meet(kept: Kept, bucket: Bucket) -> None:
    """The second one says so, and sends nothing."""
    with pytest.raises(ArchiveError, match="another push is under way"):
        pushed(kept, bucket, progress=lambda text: pushed(kept, bucket) and None)


def test_the_commands_push_pull_and_verify_a_copy(
    project: Project, opslib: Shell, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From one file to a copy, to an archive in another place; credentials are references."""
    bucket = server.bucket(locking=True)
    monkeypatch.setenv("STORE_KEY", buckets.KEY)
    monkeypatch.setenv("STORE_SECRET", buckets.SECRET)
    lock = {"mode": "governance", "days": 3}
    configured(project, bucket, server.url, key="env:STORE_KEY", secret="env:STORE_SECRET", object_lock=lock)
    assert opslib("archive", "push") == 0 and "3 leaves of the log" in opslib.out
    assert opslib("archive", "push", str(bucket), "--json") == 0
    assert json.loads(opslib.out) | {"status": "ok", "sent": 0, "to": str(bucket)} == json.loads(opslib.out)
    assert opslib("verify", "--archive", str(bucket), "--json") == 0, opslib.err
    (report,) = json.loads(opslib.out)["reports"]
    assert (report["subject"], report["records"]) == (str(bucket), 1)
    assert not [text for text in report["unproven"] if "earlier checkpoint" in text]
    assert opslib("archive", "pull", str(bucket), "restored") == 0
    assert opslib("verify", "--archive", "restored") == 0
    assert opslib("archive", "pull", str(bucket), "restored") == 64 and "is there already" in opslib.err
    assert opslib("verify", "--archive", str(bucket), "--witnesses") == 64
    bucket.replace(next(name for name in bucket.listed("runs/") if name.endswith("run.html")), b"x")
    assert opslib("verify", "latest", "--archive", str(bucket)) == 2
    assert opslib("archive", "push") == 2 and "something else of that name" in opslib.out


def test_a_store_without_versions_can_be_verified_unless_a_lock_is_asked_for(
    project: Project, opslib: Shell, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was not looked at is told; where a lock is asked for, the copy is not known to be sound."""

    def not_implemented(self: Bucket, under: str) -> None:
        raise SourceError("the store answers NotImplemented")

    bucket = server.bucket()
    own = {"key": "env:STORE_KEY", "secret": "env:STORE_SECRET"}
    monkeypatch.setenv("STORE_KEY", buckets.KEY)
    monkeypatch.setenv("STORE_SECRET", buckets.SECRET)
    configured(project, bucket, server.url, **own)
    assert opslib("archive", "push") == 0
    monkeypatch.setattr(Bucket, "versions", not_implemented)
    assert opslib("verify", "--archive", str(bucket)) == 0 and "were not looked at" in opslib.out
    configured(project, bucket, server.url, **own, object_lock={"mode": "compliance", "days": 1})
    assert opslib("verify", "--archive", str(bucket)) == 3 and "NotImplemented" in opslib.err


def test_commands_that_cannot_be_meant_end_with_64(
    project: Project, opslib: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No place, no place in a bucket, no packages."""
    assert opslib("archive", "push") == 64 and "no place for the copy is known" in opslib.err
    assert opslib("archive", "push", "s3://a/../b") == 64 and "is no place in a bucket" in opslib.err
    monkeypatch.setattr(access, "find_spec", lambda name: None)
    assert opslib("archive", "push", "s3://records") == 64 and "pip install 'opslib[s3]'" in opslib.err
    assert copying.opened(None, lambda _: pytest.fail("not asked"), False).folder == project.archive


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("copy: /srv/records", "store.yml:1: copy: must be s3://BUCKET/PREFIX"),
        ("copy: s3://records\nkey: AKIA", "store.yml:2: key: a plain value stands where a reference"),
        ("copy: s3://records\nkey: env:KEY", "`key` and `secret` belong together"),
        ("copy: s3://records\nobject_lock: {mode: strict, days: 3}", "store.yml:2: object_lock.mode"),
        ("copy: s3://records\nobject_lock: {mode: compliance, days: 0}", "store.yml:2: object_lock.days"),
        ("copy: s3://records\nbucket: x", "store.yml:2: bucket"),
        ("region: x", "copy"),
    ],
)
def test_a_file_that_is_wrong_is_named_with_line_and_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, says: str
) -> None:
    """Before anybody is asked."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "store.yml").write_text(text)
    with pytest.raises(ConfigError) as wrong:
        read_store(tmp_path / "store.yml")
    assert says in wrong.value.message


def test_a_bucket_with_a_lock_is_a_witness_of_the_log(
    project: Project, opslib: Shell, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It holds the head, screens say so, and `verify --witnesses` names a log that was cut back."""
    bucket = server.bucket(locking=True)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", buckets.KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", buckets.SECRET)
    (project.root / "parameters" / "witnesses.yml").write_text("witnesses: [{name: bucket, kind: s3}]")
    configured(project, bucket, server.url)
    assert opslib("witness", "ask") == 3 and "object_lock: is missing" in opslib.out
    configured(project, bucket, server.url, object_lock={"mode": "compliance", "days": 2})
    assert opslib("witness", "ask") == 0 and opslib("witness", "ask") == 0
    assert len(bucket.versions(HELD)) == 1 and opslib("witness", "held") == 0 and "3 leaves" in opslib.out
    assert opslib("verify", "--witnesses") == 0 and "bucket holds 3 leaves" in opslib.out
    shutil.copytree(project.archive, project.root / "before")
    notary.started(project.archive, "run-of-the-test")
    assert opslib("witness", "ask") == 0 and len(bucket.versions(HELD)) == 2
    shutil.rmtree(project.archive)
    (project.root / "before").rename(project.archive)
    assert opslib("witness", "ask") == 2 and "it was cut back" in opslib.out
    assert opslib("verify", "--witnesses") == 2 and "truncated" in opslib.out
