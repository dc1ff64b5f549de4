"""The log on a disk: several writers, writers that die, disks that are full, files that were altered."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from opslib.archive import shared
from opslib.archive.holders import Busy
from opslib.errors import ArchiveError, DiskFull
from opslib.evidence import Log, LogSigner
from opslib.evidence.events import Hold, decode_event
from opslib.evidence.merkle import consistent
from opslib.evidence.notes import Checkpoint, Note, VerifierKey
from opslib.evidence.plain import NotSound
from opslib.evidence.tiles import Rehashed, rehash
from opslib.evidence.trusting import quickly_verified
from tests.evidencing import BEGAN, ORIGIN, Kept, key, later

PROJECT = Path(__file__).parents[1]
KILLS = 60
# Forks writers that append for ever and kills each after some looks at the head; prints the heads seen.
KILLER = """
import os, pathlib, random, signal, sys
from tests.test_evidence_log import log_in, remark
folder, kills = pathlib.Path(sys.argv[1]), int(sys.argv[2])
log_in(folder).append(remark(0))
draw, seen = random.Random(9), {}
for round in range(kills):
    child = os.fork()
    if not child:
        log = log_in(folder)
        while True:
            log.append(*(remark(number) for number in range(draw.choice((1, 1, 2, 40)))))
    before = (folder / "checkpoint").read_bytes()
    while (folder / "checkpoint").read_bytes() == before:
        pass
    for _ in range(draw.randrange(200)):
        seen[(folder / "checkpoint").read_bytes()] = None
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    seen[(folder / "checkpoint").read_bytes()] = None
sys.stdout.buffer.write(b"\\0".join(seen))
"""
WRITER = """
import pathlib, sys
from tests.test_evidence_log import log_in, remark
folder = pathlib.Path(sys.argv[1])
log = log_in(folder / "log")
(folder / sys.argv[2]).touch()
while not all((folder / who).exists() for who in ("ana", "bo")):
    pass
for number in range(60):
    log.append(remark(number, sys.argv[2]), remark(number, sys.argv[2]))
"""
WITHOUT_ROOM = """
import pathlib, resource, signal, sys
from opslib.errors import OpsError
from tests.test_evidence_log import log_in, remark
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    log_in(pathlib.Path(sys.argv[1])).append(*(remark(number) for number in range(100)))
except OpsError as error:
    print(type(error).__name__)
    sys.exit(error.exit_code)
"""


class Died(BaseException):
    """Stands for the end of a process: nothing is tidied up after it."""


def log_in(folder: Path, seed: int = 1) -> Log:
    """Return the log of a folder, as one more process opens it."""
    return Log(folder, LogSigner(ORIGIN, key(seed)))


def remark(number: int, who: str = "") -> Hold:
    """Return an event."""
    return Hold(time=BEGAN, actor=who, run=f"run-{number}", state="set")


def head(log: Log) -> Checkpoint:
    """Return the present head of a log."""
    note = log.head()
    assert note
    return Checkpoint.parse(note.text)


def whole(folder: Path) -> Rehashed:
    """Return the tree over all leaves; it is the one that was signed, and each leaf is an event."""
    log = log_in(folder)
    found = head(log)
    tree = rehash(folder, found.size)
    assert tree.root(found.size) == found.root
    assert all(decode_event(log.leaf(index)) for index in range(0, found.size, 97))
    return tree


def filled(folder: Path, count: int) -> Log:
    """Return a log with so many events."""
    log = log_in(folder)
    log.append(*(remark(number) for number in range(count)))
    return log


def files(folder: Path) -> set[str]:
    """Return the paths of all files below a folder, but for the lock."""
    found = (path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")
    return {str(path.relative_to(folder)) for path in found}


def test_what_is_appended_can_be_read_and_proved(tmp_path: Path) -> None:
    """By another process too, from the files alone."""
    log = log_in(tmp_path / "new" / "log")
    first = log.append(remark(1), remark(2))
    second = log.append(remark(3))
    assert (first.first, second.first, head(log).size) == (0, 2, 3)
    other = log_in(tmp_path / "new" / "log")
    assert [decode_event(other.leaf(index)) for index in range(3)] == [remark(1), remark(2), remark(3)]
    for index in range(3):
        proof = other.proof(index)
        assert proof.included() == head(log) and proof.leaf == other.leaf(index)
    old = Checkpoint.parse(first.note.text)
    assert consistent(2, 3, old.root, head(log).root, other.consistency(2))


def test_an_older_head_can_still_be_proved_against(tmp_path: Path) -> None:
    """Cosignatures come later than the head that they are for."""
    log = filled(tmp_path, 300)
    note = log.head()
    log.append(*(remark(number) for number in range(300)))
    proof = log.proof(17, note=note)
    assert proof.included().size == 300


def test_only_the_tiles_that_others_look_for_are_kept(tmp_path: Path) -> None:
    """Partial tiles go when the whole one is there; the names are those of the format."""
    log = log_in(tmp_path)
    for _ in range(3):
        log.append(*(remark(number) for number in range(90)))
    assert files(tmp_path) == {
        "checkpoint", "rotations", "tile/0/000", "tile/0/001.p/14", "tile/1/000.p/1",
        "tile/entries/000", "tile/entries/001.p/14",
    }  # fmt: skip
    whole(tmp_path)


def test_two_writers_at_once_lose_nothing(tmp_path: Path) -> None:
    """Each event is there once, each pair together, and the log is whole."""
    words = [[sys.executable, "-c", WRITER, str(tmp_path), who] for who in ("ana", "bo")]
    running = [subprocess.Popen(command, cwd=PROJECT) for command in words]
    assert [process.wait() for process in running] == [0, 0]
    log = log_in(tmp_path / "log")
    found = [decode_event(log.leaf(index)) for index in range(head(log).size)]
    assert found[::2] == found[1::2] and len(found) == 240
    for who in ("ana", "bo"):
        assert [one for one in found if one.actor == who][::2] == [remark(n, who) for n in range(60)]
    whole(tmp_path / "log")


def test_writers_that_take_turns_see_what_the_other_has_appended(tmp_path: Path) -> None:
    """What a writer remembers of the edge counts only while the head is still its own."""
    ana, bo = log_in(tmp_path), log_in(tmp_path)
    firsts = [log.append(remark(number)).first for number in range(150) for log in (ana, bo)]
    assert firsts == list(range(300))
    whole(tmp_path)


def test_a_killed_writer_leaves_a_whole_log_and_every_head_was_a_prefix(tmp_path: Path) -> None:
    """Killed sixty times at any moment: what was published stays true."""
    words = [sys.executable, "-c", KILLER, str(tmp_path), str(KILLS)]
    done = subprocess.run(words, cwd=PROJECT, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    log = log_in(tmp_path)
    log.append(remark(1))
    tree = whole(tmp_path)
    heads = [Checkpoint.parse(Note.parse(content).text) for content in done.stdout.split(b"\0")]
    assert len(heads) >= KILLS and [one.size for one in heads] == sorted(one.size for one in heads)
    for one in heads:
        assert tree.root(one.size) == one.root
    assert not left_over(tmp_path)


def left_over(folder: Path) -> list[str]:
    """Return what killed writers left, and nobody has removed."""
    return [path for path in files(folder) if path.split("/")[-1].startswith(".")]


def dying(after: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the process die in the call number `after` that changes the disk."""
    left = [after]

    def counted(call: Callable[..., object]) -> Callable[..., object]:
        def instead(*arguments: object, **more: object) -> object:
            left[0] -= 1
            if left[0] < 0:
                raise Died
            return call(*arguments, **more)

        return instead

    for name in ("write", "fsync", "replace", "mkdir"):
        monkeypatch.setattr(os, name, counted(getattr(os, name)))


@pytest.mark.parametrize("before", [0, 3, 254, 255, 511])
def test_whoever_dies_at_any_step_leaves_the_old_head_or_the_new_one(
    before: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each write, sync, rename and new folder on the way, also where tiles become full."""
    if before:
        filled(tmp_path / "begun", before)
    (tmp_path / "begun").mkdir(exist_ok=True)
    for step in range(200):
        folder = shutil.copytree(tmp_path / "begun", tmp_path / str(step))
        with monkeypatch.context() as patch:
            dying(step, patch)
            try:
                log_in(folder).append(remark(1), remark(2))
                died = False
            except Died:
                died = True
        published = (folder / "checkpoint").exists() and head(log_in(folder)).size
        assert published in ((before or False, before + 2) if died else (before + 2,))
        log_in(folder).append(remark(3))
        assert whole(folder).size == (published or 0) + 1
        assert not left_over(folder)
        shutil.rmtree(folder)
        if not died:
            assert step > 8
            return
    raise AssertionError("it never came to its end")


@pytest.mark.parametrize("before", [0, 3])
def test_what_others_keep_beside_the_log_is_left_alone(before: int, tmp_path: Path) -> None:
    """A folder of somebody's own in the archive, and what another process is about to put into the log's."""
    log = tmp_path / "archive" / "log"
    if before:
        filled(log, before)
    log.mkdir(parents=True, exist_ok=True)
    (tmp_path / "archive" / ".trash-20261122").mkdir()
    theirs = [tmp_path / "archive" / ".backup-20261122", log / ".origin-364c2480"]
    for path in theirs:
        path.write_text("theirs")
    log_in(log).append(remark(1))
    assert [path.read_text() for path in theirs] == ["theirs", "theirs"]
    assert whole(log).size == before + 1


def test_a_full_disk_is_said_and_leaves_the_old_head(tmp_path: Path) -> None:
    """Code 3 and the next step; what was sealed is sealed, and there is room for the next try."""
    log = filled(tmp_path, 10)
    before = files(tmp_path), head(log)
    words = [sys.executable, "-c", WITHOUT_ROOM, str(tmp_path)]
    done = subprocess.run(words, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (DiskFull.exit_code, "DiskFull"), done.stderr
    assert (files(tmp_path), head(log)) == before
    log.append(remark(11))
    assert whole(tmp_path).size == 11


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 kB, where this user may mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    words = [str(mount), "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    if not mount or os.geteuid() or subprocess.run(words, capture_output=True, check=False).returncode:
        pytest.skip("this user cannot mount a small disk here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_on_a_disk_that_really_is_full_the_same_writer_goes_on_once_there_is_room(small_disk: Path) -> None:
    """Its own idea of the edge is still the one on the disk."""
    log = filled(small_disk / "log", 5)
    (small_disk / "filler").write_bytes(b"x" * 200_000)
    with pytest.raises(DiskFull):
        for number in range(1000):
            log.append(*(remark(number) for _ in range(20)))
    size = head(log).size
    assert whole(small_disk / "log").size == size
    (small_disk / "filler").unlink()
    log.append(remark(1))
    assert whole(small_disk / "log").size == size + 1


def edited(path: Path) -> None:
    """Turn one bit in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "hashes edited": lambda folder: edited(folder / "tile/0/001.p/4"),
    "leaves edited": lambda folder: edited(folder / "tile/entries/001.p/4"),
    "hashes above edited": lambda folder: edited(folder / "tile/1/000.p/1"),
    "hashes missing": lambda folder: (folder / "tile/0/001.p/4").unlink(),
    "leaves missing": lambda folder: (folder / "tile/entries/001.p/4").unlink(),
    "head edited": lambda folder: edited(folder / "checkpoint"),
    "head missing": lambda folder: (folder / "checkpoint").unlink(),
    "head of others": lambda folder: (folder / "checkpoint").write_bytes(foreign_head()),
}


def foreign_head() -> bytes:
    """Return a head that another key has signed."""
    root = Rehashed().root(0)
    return LogSigner(ORIGIN, key(5)).sign(Checkpoint(ORIGIN, 0, root)).encode()


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_nothing_is_appended_to_a_log_that_was_altered(
    damage: Callable[[Path], object], tmp_path: Path
) -> None:
    """A new head over altered leaves would sign what somebody else has written."""
    filled(tmp_path, 260)
    damage(tmp_path)
    before = {name: (tmp_path / name).read_bytes() for name in files(tmp_path)}
    with pytest.raises(ArchiveError) as raised:
        log_in(tmp_path).append(remark(1))
    assert str(tmp_path) in raised.value.message and "opslib verify" in raised.value.hint
    assert {name: (tmp_path / name).read_bytes() for name in files(tmp_path)} == before


def test_what_is_not_there_is_not_proved(tmp_path: Path) -> None:
    """A leaf behind the end, a size the log never had, a log without events."""
    empty, log = log_in(tmp_path / "empty"), filled(tmp_path / "log", 3)
    calls: tuple[Callable[[], object], ...] = (
        lambda: log.leaf(3), lambda: log.leaf(-1), lambda: log.proof(3), lambda: log.consistency(4),
        lambda: empty.proof(0), lambda: empty.leaf(0),
    )  # fmt: skip
    for call in calls:
        with pytest.raises(ArchiveError):
            call()
    assert empty.head() is None and not (tmp_path / "empty").exists()


def test_a_lock_that_is_never_released_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rather than waiting for ever."""
    monkeypatch.setattr("opslib.evidence.log._WAIT_SECONDS", 0)
    log, other = log_in(tmp_path), log_in(tmp_path)
    with log._alone(), pytest.raises(ArchiveError, match="has been locked for"):
        other.append(remark(1))


def test_a_log_that_nobody_lets_go_of_is_waited_for_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A run at night must not wait at each of its steps; once the lock is free, all is as before."""
    monkeypatch.setattr("opslib.evidence.log._WAIT_SECONDS", 0.1)
    monkeypatch.setattr("opslib.evidence.log._ASK_SECONDS", 0)
    log, other = log_in(tmp_path), log_in(tmp_path)
    waits = []
    with log._alone(), caplog.at_level("DEBUG", "filelock"):
        for _ in range(3):
            caplog.clear()
            with pytest.raises(Busy) as raised:
                other.append(remark(1))
            waits.append(any("waiting" in line.message for line in caplog.records))
    assert waits == [True, False, False]
    assert str(tmp_path) in raised.value.message and "end it if it hangs" in raised.value.hint
    assert other.append(remark(1)).first == 0
    with log._alone(), caplog.at_level("DEBUG", "filelock"):
        caplog.clear()
        with pytest.raises(Busy):
            other.append(remark(2))
    assert any("waiting" in line.message for line in caplog.records)


@pytest.mark.skipif(not Path("/proc/locks").exists(), reason="only Linux lists who holds a lock")
def test_who_holds_a_lock_is_said_where_the_system_knows(tmp_path: Path) -> None:
    """At night somebody has to know what to end."""
    lock = tmp_path / "lock"
    with FileLock(lock):
        text = Busy(lock, 30).text()
    assert ("`lsof" in text) != (f"by process {os.getpid()}" in text)
    assert "`lsof" in Busy(lock, 30).text() and "`lsof" in Busy(tmp_path / "none", 30).text()


def test_a_head_that_witnesses_sent_back_is_kept_beside_the_log(tmp_path: Path) -> None:
    """And one that this log never signed is not."""
    kept = Kept(tmp_path)
    kept.run(0)
    note = Note.parse(kept.cosign(later(1)))
    path = tmp_path / "log" / "cosigned" / "000000000003"
    assert Note.parse(path.read_bytes()) == note and len(note.signatures) == 2
    with pytest.raises(ArchiveError):
        kept.log.keep_cosigned(Note.parse(foreign_head()))


def test_an_event_without_a_form_leaves_the_log_as_it_was(tmp_path: Path) -> None:
    """All of one append or nothing."""
    log = filled(tmp_path, 1)
    with pytest.raises(NotSound):
        log.append(remark(1), Hold(time=BEGAN, run="r", state="x" * 70_000))
    assert whole(tmp_path).size == 1


def test_heads_are_signed_with_the_key_that_policies_name(tmp_path: Path) -> None:
    """What an auditor is handed is what verifies."""
    log = filled(tmp_path, 1)
    note = log.head()
    assert note and note.signers([log.signer.verifier], quickly_verified)
    assert VerifierKey.parse(log.signer.verifier.text) == log.signer.verifier
    assert head(log).origin == ORIGIN


def test_no_link_is_followed_to_a_head(tmp_path: Path) -> None:
    """Whoever may write into the folder must not have another file taken for the head."""
    log = filled(tmp_path / "log", 1)
    (tmp_path / "log" / "checkpoint").rename(tmp_path / "elsewhere")
    (tmp_path / "log" / "checkpoint").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ArchiveError, match="is a link"):
        log.append(remark(1))
    assert shared.read(tmp_path / "elsewhere")
