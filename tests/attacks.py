"""What somebody with write access could do to an archive; with keys stolen, too."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from opslib.evidence import Log, LogSigner, Scope, Slot, finished
from opslib.evidence.events import (
    Disposal,
    Event,
    Hold,
    RunRequested,
    RunStarted,
    Subject,
)
from opslib.evidence.merkle import leaf_hash
from opslib.evidence.rotations import NO_ROTATIONS
from opslib.evidence.signing import rotation
from opslib.evidence.tiles import pack, unpack
from tests.besides import annotate, approve, begin
from tests.evidencing import BEGAN, ORIGIN, SLOT, Kept, audit, key, later

RUNS = 6
ENVELOPE = "run.dsse.json"
PLAN = f"sha256:{'ab' * 32}"


@dataclass(frozen=True)
class Attack:
    """One attack, and what a verification has to call it.

    Args:
        act: does it; is given the archive, and a copy of it from a day before.
        alone: names of all faults, by the archive alone.
        watched: further names, where a witness has seen the log before.
    """

    act: Callable[[Kept, Path], object]
    alone: frozenset[str] = frozenset()
    watched: frozenset[str] = frozenset()


def attack(act: Callable[[Kept, Path], object], *alone: str, watched: tuple[str, ...] = ()) -> Attack:
    """Return an attack."""
    return Attack(act, frozenset(alone), frozenset(watched))


def slots() -> tuple[Slot, ...]:
    """Return the slots of the schedule."""
    return tuple(Slot(SLOT, later(hour)) for hour in range(RUNS))


def scope(**more: Any) -> Scope:
    """Return what is verified."""
    return audit(slots=slots(), **more)


def flip(path: Path, at: int = -20) -> None:
    """Turn one bit of a file."""
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def swap(one: Path, other: Path) -> None:
    """Have two files change places."""
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)


def blob(kept: Kept, number: int) -> Path:
    """Return the blob of a run."""
    digest = hashlib.sha256(f"run-{number:04d}".encode()).hexdigest()
    return kept.archive / "blobs" / "sha256" / digest


def bundle(kept: Kept) -> Path:
    """Return the one entry bundle that the present head needs."""
    return kept.archive / "log" / "tile" / "entries" / "000.p" / str(RUNS * 3)


def hashes(kept: Kept) -> Path:
    """Return the one tile that the present head needs."""
    return kept.archive / "log" / "tile" / "0" / "000.p" / str(RUNS * 3)


def restored(kept: Kept, before: Path) -> None:
    """Put yesterday's archive in the place of today's."""
    shutil.rmtree(kept.archive)
    shutil.copytree(before, kept.archive)


def log_restored(kept: Kept, before: Path) -> None:
    """Put only yesterday's log in the place of today's."""
    shutil.rmtree(kept.archive / "log")
    shutil.copytree(before / "log", kept.archive / "log")


def rewritten(kept: Kept, *numbers: int, seed: int = 1, verdict: str = "ok") -> Kept:
    """Make the archive anew from some of its runs, signing everything again."""
    shutil.rmtree(kept.archive)
    made = Kept(kept.archive, seed)
    for number in numbers:
        made.run(number, verdict=verdict)
    return made


def edit_leaf(kept: Kept, change: Callable[[list[bytes]], object]) -> None:
    """Change the leaves in the bundle, and nothing else."""
    leaves = unpack(bundle(kept).read_bytes(), RUNS * 3)
    change(leaves)
    bundle(kept).write_bytes(pack(leaves))


def edit_leaf_and_hashes(kept: Kept, change: Callable[[list[bytes]], object]) -> None:
    """Change the leaves, and the tile so that it fits them."""
    edit_leaf(kept, change)
    leaves = unpack(bundle(kept).read_bytes(), RUNS * 3)
    hashes(kept).write_bytes(b"".join(map(leaf_hash, leaves)))


def renamed(leaves: list[bytes]) -> None:
    """Have somebody else have asked for the second run."""
    leaves[3] = leaves[3].replace(b'"ana"', b'"eve"')


def exchanged(leaves: list[bytes]) -> None:
    """Have two records change places in the log."""
    leaves[2], leaves[5] = leaves[5], leaves[2]


def forged_with_own_key(kept: Kept, _: Path) -> None:
    """Log a run whose record another key has signed."""
    began = later(RUNS)
    kept.log.append(RunRequested(time=began, run="forged"), RunStarted(time=began, run="forged"))
    kept.seal(kept.publish("forged", began, signer=key(66)), began)


def sealed_again(kept: Kept, _: Path) -> None:
    """Seal another record in the place of one that is sealed."""
    shutil.rmtree(kept.folder(1))
    kept.seal(kept.publish("run-0001", later(1), "critical"), later(RUNS))


def finished_before_requested(kept: Kept, _: Path) -> None:
    """Make the log anew with the end of a run in front of its beginning."""
    made = rewritten(kept, 0, 1, 2, 3)
    began = later(4)
    made.seal(made.publish("run-0004", began), began)
    made.log.append(RunRequested(time=began, run="run-0004", slot=SLOT, scheduled_for=began))
    made.run(5)
    made.run(6)


def dated_back(kept: Kept, _: Path) -> None:
    """Log today a run of three days ago, all of it with times of then."""
    began = BEGAN - timedelta(days=3)
    kept.run(90, at=began)


def asked_for_today(kept: Kept, _: Path) -> None:
    """Ask today, honestly, for a run whose record then says that it was three days ago."""
    now, began = later(RUNS), BEGAN - timedelta(days=3)
    kept.log.append(RunRequested(time=now, run="old"), RunStarted(time=now, run="old"))
    kept.seal(kept.publish("old", began), now)


def rotated(kept: Kept, _: Path) -> None:
    """Sign with a key that was retired."""
    kept.log.append(rotation(later(RUNS), "runner", kept.runner, key(50)))
    kept.run(RUNS)


def hidden_rotation(kept: Kept, _: Path) -> None:
    """Take a rotation from the list in which whoever verifies one record looks for it."""
    kept.log.append(rotation(later(RUNS), "runner", kept.runner, key(50)))
    (kept.archive / "log" / "rotations").write_bytes(NO_ROTATIONS)


def head_by_a_retired_key(kept: Kept, _: Path) -> None:
    """Go on signing heads with a key that was retired."""
    kept.log.append(rotation(later(RUNS), "log", kept.signer.key, key(51)))


def successor_named_by_others(kept: Kept, _: Path) -> None:
    """Say that the runner's key was replaced, and sign that with one's own."""
    honest = rotation(later(RUNS), "runner", key(60), key(61))
    kept.log.append(replace(honest, old=kept.runner.public.text))


def second_successor(kept: Kept, _: Path) -> None:
    """Have a retired key, which somebody has found, name another successor, and sign a record with that."""
    for number in (50, 66):
        kept.log.append(rotation(later(RUNS), "runner", kept.runner, key(number)))
    forged_with_own_key(kept, kept.archive)


def changed_in_silence(kept: Kept, _: Path) -> None:
    """Change something, without a word of what was to be done."""
    began = later(RUNS)
    kept.log.append(RunRequested(time=began, run="quiet"), RunStarted(time=began, run="quiet"))
    kept.seal(kept.publish("quiet", began, changed=["left out", "done"]), began)


def approved_afterwards(kept: Kept, _: Path) -> None:
    """Have a change approved that has been made already."""
    begin(kept, RUNS, PLAN, at=later(RUNS))
    approve(kept, PLAN, at=later(RUNS))


def approval_of(kept: Kept) -> Path:
    """Return what somebody has signed, before the change that it allows."""
    path = approve(kept, PLAN, at=later(RUNS))
    begin(kept, RUNS, PLAN, at=later(RUNS))
    return path


def note_of(kept: Kept) -> Path:
    """Return a note about the second run."""
    return annotate(kept, "run-0001", "the load test was ours", at=later(RUNS))


def disposed_on_hold(kept: Kept, _: Path) -> None:
    """Destroy what is on hold, and say that a rule demanded it."""
    hold = Hold(time=later(RUNS), run="run-0001", state="set", reason="a dispute")
    kept.log.append(hold, disposal(kept))
    (kept.folder(1) / "run.ipynb").unlink()


def disposal(kept: Kept) -> Disposal:
    """Return the event of a notebook's end."""
    digest = hashlib.sha256((kept.folder(1) / "run.ipynb").read_bytes()).hexdigest()
    gone = (Subject("run.ipynb", digest),)
    return Disposal(time=later(RUNS), run="run-0001", policy="a rule", subjects=gone)


def started(kept: Kept, _: Path) -> None:
    """Begin a run and kill it, so that it leaves no record."""
    kept.log.append(RunRequested(time=later(RUNS), run="dead"), RunStarted(time=later(RUNS), run="dead"))


def unannounced(kept: Kept, _: Path) -> None:
    """Seal a record of a run that nobody ever asked for."""
    kept.seal(kept.publish("sudden", later(RUNS)), later(RUNS))


def verdict_by_the_log(kept: Kept, _: Path) -> None:
    """Have the log say another verdict than the record."""
    began = later(RUNS)
    folder = kept.publish("run-0006", began, "critical")
    event = finished((folder / ENVELOPE).read_bytes(), began)
    kept.log.append(RunRequested(time=began, run="run-0006"), better(event))


def better(event: Any) -> Event:
    """Return an event with a better verdict."""
    parts = {name: getattr(event, name) for name in ("time", "run", "started", "subjects")}
    return type(event)(verdict="ok", **parts)  # type: ignore[no-any-return]


def other_log(kept: Kept, _: Path) -> None:
    """Put the log of somebody else, honest as it may be, in the place of this one."""
    shutil.rmtree(kept.archive / "log")
    strange = Log(kept.archive / "log", LogSigner(f"{ORIGIN}/other", key(1)))
    strange.append(RunRequested(time=BEGAN, run="x"), RunStarted(time=BEGAN, run="x"))


def post_dated(kept: Kept, _: Path) -> None:
    """Log a run that has not been yet."""
    began = later(RUNS)
    kept.log.append(RunRequested(time=began, run="soon"), RunStarted(time=began, run="soon"))
    kept.seal(kept.publish("soon", began + timedelta(days=2)), began)


ATTACKS: dict[str, Attack] = {
    "edit a record": attack(lambda kept, _: flip(kept.folder(1) / ENVELOPE), "record-edited"),
    "edit a notebook": attack(lambda kept, _: flip(kept.folder(1) / "run.ipynb", 5), "notebook-edited"),
    "edit a page": attack(lambda kept, _: flip(kept.folder(1) / "run.html", 1), "file-edited"),
    "edit a blob": attack(lambda kept, _: flip(blob(kept, 1), 1), "blob-edited"),
    "edit a proof": attack(lambda kept, _: flip(kept.folder(1) / "run.tlog-proof", 40), "proof-edited"),
    "edit a leaf": attack(lambda kept, _: edit_leaf(kept, renamed), "log-edited"),
    "edit a leaf and its hash": attack(
        lambda kept, _: edit_leaf_and_hashes(kept, renamed), "log-edited",
    ),
    "edit a hash": attack(lambda kept, _: flip(hashes(kept)), "log-edited"),
    "edit the head": attack(
        lambda kept, _: flip(kept.archive / "log" / "checkpoint", 25),
        "log-edited",
    ),
    "delete a record": attack(lambda kept, _: shutil.rmtree(kept.folder(1)), "deleted"),
    "delete a notebook": attack(lambda kept, _: (kept.folder(1) / "run.ipynb").unlink(), "deleted"),
    "delete a blob": attack(lambda kept, _: blob(kept, 1).unlink(), "deleted"),
    "delete the leaves": attack(
        lambda kept, _: bundle(kept).unlink(), "deleted",
    ),
    "delete hashes": attack(lambda kept, _: hashes(kept).unlink(), "deleted"),
    "delete the log": attack(
        lambda kept, _: shutil.rmtree(kept.archive / "log"),
        "truncated",
    ),
    "forge a record": attack(lambda kept, _: kept.publish("forged", later(1)), "forged"),
    "forge a logged record": attack(forged_with_own_key, "forged"),
    "forge a verdict": attack(verdict_by_the_log, "forged"),
    "seal a run again": attack(sealed_again, "forged", "swapped"),
    "swap two records": attack(
        lambda kept, _: swap(kept.folder(1) / ENVELOPE, kept.folder(2) / ENVELOPE), "swapped",
    ),
    "swap two notebooks": attack(
        lambda kept, _: swap(kept.folder(1) / "run.ipynb", kept.folder(2) / "run.ipynb"), "swapped",
    ),
    "restore yesterday": attack(restored, "never-recorded", watched=("truncated",)),
    "cut off the log": attack(log_restored, "forged", "never-recorded", watched=("truncated",)),
    "rebuild with own keys": attack(
        lambda kept, _: rewritten(kept, *range(RUNS), seed=70), "rebuilt", "forged", watched=("forked",),
    ),
    "put another log in": attack(
        other_log, "rebuilt", "forged", "unfinished", "never-recorded", watched=("truncated",),
    ),
    "drop a run with stolen keys": attack(
        lambda kept, _: rewritten(kept, 0, 1, 2, 4, 5), "never-recorded", watched=("truncated",),
    ),
    "drop a run and pad with stolen keys": attack(
        lambda kept, _: rewritten(kept, 0, 1, 2, 4, 5, 6, 7), "never-recorded", watched=("forked",),
    ),
    "better a verdict with stolen keys": attack(
        lambda kept, _: rewritten(kept, *range(RUNS), verdict="warning"), watched=("forked",),
    ),
    "exchange leaves": attack(lambda kept, _: edit_leaf(kept, exchanged), "reordered", "log-edited"),
    "exchange leaves and their hashes": attack(
        lambda kept, _: edit_leaf_and_hashes(kept, exchanged), "reordered", "log-edited",
    ),
    "reorder runs with stolen keys": attack(
        lambda kept, _: rewritten(kept, 0, 2, 1, 3, 4, 5), "back-dated", watched=("forked",),
    ),
    "end a run before it began with stolen keys": attack(
        finished_before_requested, "reordered", watched=("forked",),
    ),
    "date a run back": attack(dated_back, "back-dated"),
    "date a run back behind a witness": attack(
        lambda kept, _: kept.run(90, at=later(5.2)), watched=("back-dated",),
    ),
    "date a record back": attack(asked_for_today, "back-dated"),
    "date a record forward": attack(post_dated, "post-dated"),
    "sign with a retired key": attack(rotated, "retired-key"),
    "hide that a key was retired": attack(hidden_rotation, "log-edited"),
    "sign heads with a retired key": attack(head_by_a_retired_key, "retired-key"),
    "name a successor for others": attack(successor_named_by_others, "forged"),
    "name a second successor": attack(second_successor, "retired-key", "forged"),
    "change what nobody approved": attack(
        lambda kept, _: begin(kept, RUNS, PLAN, at=later(RUNS)), "unapproved",
    ),
    "change in silence": attack(changed_in_silence, "unapproved"),
    "approve afterwards": attack(approved_afterwards, "approved-afterwards"),
    "edit an approval": attack(lambda kept, _: flip(approval_of(kept), 1), "approval-edited", "unapproved"),
    "delete an approval": attack(lambda kept, _: approval_of(kept).unlink(), "deleted", "unapproved"),
    "edit a note": attack(lambda kept, _: flip(note_of(kept), 1), "note-edited"),
    "delete a note": attack(lambda kept, _: note_of(kept).unlink(), "deleted"),
    "forge a note": attack(
        lambda kept, _: shutil.copy(note_of(kept), kept.archive / "notes/run-0001/x.json"), "forged",
    ),
    "destroy what is on hold": attack(disposed_on_hold, "disposed-on-hold"),
    "kill a run": attack(started, "unfinished"),
    "seal what nobody asked for": attack(unannounced, "unannounced"),
    "never record a run": attack(lambda kept, _: rewritten(kept, 0, 1, 2, 3, 4), "never-recorded",
                                 watched=("truncated",)),
}  # fmt: skip
