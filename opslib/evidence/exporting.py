"""Put together what an auditor gets: one zip with population, sample, proofs, log, keys and verifiers.

The same archive, control, period and head of the log give the same bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from opslib.errors import ArchiveError, UsageError
from opslib.evidence import letter, webpage, zipping
from opslib.evidence.drawing import seed
from opslib.evidence.events import Subject
from opslib.evidence.expected import expected, slots_text
from opslib.evidence.exported import CONSISTENCY, EARLIER_HEAD, LEAVES, Told, told_by, verify_export
from opslib.evidence.findings import Filled, Kind, Moments, Report, Scope
from opslib.evidence.history import History, read_history
from opslib.evidence.layout import ENVELOPE, LOG, MANIFEST, POPULATION, PROOF, SLOTS
from opslib.evidence.manifest import Manifest
from opslib.evidence.merkle import consistency
from opslib.evidence.notes import Checkpoint, Note
from opslib.evidence.plain import NotSound, content_of, text64, unreadable
from opslib.evidence.population import Entry, Extent, Row, counts, sheet
from opslib.evidence.proofs import Trust, head_of
from opslib.evidence.records import folder_of
from opslib.evidence.rotations import followed, rotations_found
from opslib.evidence.signing import sign_statement
from opslib.evidence.standalone import standalone_verifier
from opslib.evidence.tiles import (
    CHECKPOINT,
    COSIGNED,
    ENTRIES,
    WIDTH,
    pack,
    read_tile,
    subtree,
    tile_path,
    unpack,
    width_of,
)
from opslib.evidence.verifier import PEOPLE_KEYS, POLICY, RUNNER_KEYS
from opslib.keys.machine import MachineKey

VERIFIER, PAGE, README = "verify_evidence.py", "index.html", "README.txt"
_NOT_THIS_LOG = {Kind.LOG_EDITED, Kind.DELETED, Kind.TRUNCATED, Kind.FORKED, Kind.REBUILT, Kind.UNREADABLE}
_SEE = "`opslib verify` says what is wrong with the archive"


@dataclass(frozen=True)
class Asked:
    """What is to be handed over.

    Args:
        extent: control, procedures, period.
        count: how many runs are drawn by lot; None for all.
        word: of the auditor, which goes into the draw.
        earlier: the head of the log that was handed over the last time, as a signed note.
        moments: says when an entry of the logged schedule was due; None where nobody can.
        now: the present; of a moment whose run may still begin nothing is told.
    """

    extent: Extent
    count: int | None = None
    word: str = ""
    earlier: bytes = b""
    moments: Moments | None = field(default=None, repr=False)
    now: datetime | None = None


@dataclass(frozen=True)
class Keys:
    """Whom an auditor is to believe, and who signs.

    Args:
        policy: text of a tlog-policy.
        runners: public keys of runners, one a line.
        trust: the same, understood.
        signer: signs what was handed over.
        people: keys of people who may approve changes, one a line; None where they are not at hand.
    """

    policy: str
    runners: str
    trust: Trust
    signer: MachineKey = field(repr=False)
    people: str | None = None


@dataclass(frozen=True)
class Export:
    """What was handed over.

    Args:
        path: the zip.
        sha256: its digest.
        manifest: what is in it.
        report: what an auditor's verification finds.
        head: the log's head, to be kept for the next time.
        keys: of the logs and fingerprints of the runners, for whoever compares them.
    """

    path: Path
    sha256: str
    manifest: Manifest
    report: Report
    head: Note
    keys: tuple[str, ...]


def export(archive: Path, target: Path, asked: Asked, keys: Keys) -> Export:
    """Write the zip for an auditor, verified as the auditor will.

    Args:
        archive: the archive's folder.
        target: the zip; there must be none of that name.
        asked: what is to be handed over.
        keys: whom to believe, and who signs.

    Raises:
        UsageError: the zip exists or cannot be written, the earlier head is of no use, or no run fits.
        ArchiveError: the log is not the one that was signed.
    """
    zipping.must_be_free(target)
    with TemporaryDirectory(prefix="opslib-export-") as place:
        folder = Path(place)
        trust = followed(keys.trust, rotations_found(archive / LOG)).trust
        head = _copy_log(archive / LOG, folder / LOG, trust)
        if asked.earlier:
            zipping.put(folder, EARLIER_HEAD, _usable(asked.earlier, head, trust))
        history = _history(folder, asked, keys.trust)
        told = told_by(history, archive, asked.extent)
        if not told.rows:
            raise UsageError(f"no run of the period fits {asked.extent.control}", hint=_what(asked.extent))
        manifest = _filled(archive, folder, asked, keys, history, told, head)
        report = verify_export(folder, keys.trust, Scope(checkpoints=_earlier(asked)))
        zipping.write(folder, target)
    known = (*(f"log {key.text}" for key in keys.trust.policy.logs), *keys.trust.runners)
    return Export(target, _sha256(target.read_bytes()), manifest, report, head, known)


def _filled(
    archive: Path, folder: Path, asked: Asked, keys: Keys, history: History, told: Told, head: Note
) -> Manifest:
    """Put everything into a folder; return what says so, which is signed and in it too."""
    drawn = told.draw(head, asked.word, asked.count)
    slots = _slots(told, asked)
    figures = counts(told.rows, told.leaves, slots)
    _copy_records(archive, folder, told, set(drawn))
    for name in dict.fromkeys(one.name for _, event in told.beside for one in event.subjects):
        _copy(archive, archive / name, folder, name)
    files = {
        POPULATION: sheet(Row, told.rows),
        LEAVES: sheet(Entry, told.leaves),
        POLICY: keys.policy.encode(),
        RUNNER_KEYS: keys.runners.encode(),
        VERIFIER: standalone_verifier().encode(),
        PAGE: webpage.page(),
        README: letter.letter(asked.extent, figures, drawn, seed(head, asked.word), asked.word).encode(),
    }
    if keys.people is not None:
        files[PEOPLE_KEYS] = keys.people.encode()
    if slots is not None:
        files[SLOTS] = slots_text(slots)
    if asked.earlier:
        files[CONSISTENCY] = _consistency(asked.earlier, history)
    for name, content in files.items():
        zipping.put(folder, name, content)
    subjects = tuple(Subject(name, _sha256(path.read_bytes())) for name, path in zipping.files(folder))
    manifest = Manifest(asked.extent, asked.word, asked.count, drawn, figures, subjects)
    zipping.put(folder, MANIFEST, sign_statement(manifest.encode(), keys.signer))
    return manifest


def _copy_log(log: Path, folder: Path, trust: Trust) -> Note:
    """Copy what belongs to the log's present head; more may be appended meanwhile."""
    content = content_of(log / CHECKPOINT)
    if content is None:
        raise UsageError(f"{log}: there is no log yet", hint="a run makes it: `opslib run`")
    try:
        note = Note.parse(content)
        size = head_of(note, trust).checkpoint.size
        for name, tile in _tiles(log, size):
            zipping.put(folder, name, tile)
    except NotSound as error:
        raise ArchiveError(f"{log}: the log cannot be handed over: {error}", hint=_SEE) from None
    zipping.put(folder, CHECKPOINT, content)
    for path in sorted((log / COSIGNED).glob("[0-9]*")):
        if path.name.isdecimal() and int(path.name) <= size:
            _copy(log, path, folder, f"{COSIGNED}/{path.name}")
    return note


def _tiles(log: Path, size: int) -> Iterator[tuple[str, bytes]]:
    """Yield path and content of all tiles of a log of a size, no hash and no leaf more."""
    level = 0
    while width_of(size, level, 0):
        for number in range(-(-(size >> 8 * level) // WIDTH)):
            width = width_of(size, level, number)
            if level == 0:
                leaves = unpack(read_tile(log, ENTRIES, number, width), width)
                yield tile_path(ENTRIES, number, width), pack(leaves)
            yield (
                tile_path(str(level), number, width),
                read_tile(log, str(level), number, width)[: 32 * width],
            )
        level += 1


def _usable(earlier: bytes, head: Note, trust: Trust) -> bytes:
    """Return an earlier head if it is one of this log.

    Raises:
        UsageError: it is not.
    """
    hint = "take log/checkpoint of the zip that was handed over the last time"
    try:
        old = head_of(Note.parse(earlier), trust)
    except NotSound as error:
        raise UsageError(f"the earlier head cannot be used: {error}", hint=hint) from None
    if not old.signed or old.checkpoint.origin != Checkpoint.parse(head.text).origin:
        raise UsageError(
            f"the earlier head is of {old.checkpoint.origin!r}, which is not this log", hint=hint
        )
    return earlier


def _earlier(asked: Asked) -> tuple[bytes, ...]:
    return (asked.earlier,) if asked.earlier else ()


def _history(folder: Path, asked: Asked, trust: Trust) -> History:
    history = read_history(folder / LOG, trust, Scope(checkpoints=_earlier(asked)))
    faults = [finding for finding in history.findings if finding.kind in _NOT_THIS_LOG]
    if faults:
        raise ArchiveError(f"the log cannot be handed over: {faults[0].kind}: {faults[0].text}", hint=_SEE)
    return history


def _what(extent: Extent) -> str:
    period = f"{extent.since:%Y-%m-%d %H:%M} to {extent.until:%Y-%m-%d %H:%M} UTC"
    return f"looked for runs of {', '.join(extent.procedures)} from {period}; `opslib history` lists runs"


def _copy_records(archive: Path, folder: Path, told: Told, whole: set[str]) -> None:
    """Copy the signed statements of all runs of the population, and all files of those that were drawn."""
    for row in told.rows:
        for _, event in told.story.lives[row.run].finished:
            names = dict.fromkeys((*(one.name for one in event.subjects), PROOF))
            for name in names if row.run in whole else (ENVELOPE,):
                blob = name.startswith("blobs/")
                source = (archive if blob else folder_of(archive, event)) / name
                _copy(archive, source, folder, source.relative_to(archive).as_posix())


def _copy(archive: Path, source: Path, folder: Path, name: str) -> None:
    # A link that somebody put into the archive must not take files of this machine along.
    inside = source.resolve().is_relative_to(archive.resolve())
    content = content_of(source) if inside else None
    if inside and (why := unreadable(source)):
        raise ArchiveError(f"{source}: cannot be read: {why}", hint="export as a user who may read all of it")
    if content is not None:
        zipping.put(folder, name, content)


def _slots(told: Told, asked: Asked) -> tuple[Filled, ...] | None:
    if asked.moments is None:
        return None
    return expected(told.story, asked.extent, asked.moments, asked.now or datetime.now(UTC))


def _consistency(earlier: bytes, history: History) -> bytes:
    old = Checkpoint.parse(Note.parse(earlier).text)
    tree = history.leaves.tree
    path = consistency(partial(subtree, tree), old.size, tree.size)
    return "".join(f"{text64(step)}\n" for step in path).encode()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
