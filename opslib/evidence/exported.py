"""Verify what was handed over to an auditor: a part of an archive, for one control and one period.

Nothing in it is believed: the rows of the population, its figures and the sample are made again from the log
and the records, and held against what was handed over.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from opslib.evidence.beside import of_runs, spoiled
from opslib.evidence.complete import timetable, unfilled
from opslib.evidence.drawing import drawn, seed
from opslib.evidence.envelopes import STATEMENT, Envelope
from opslib.evidence.events import RunFinished, Subject
from opslib.evidence.expected import slots_inside, undue, unlike_slots
from opslib.evidence.findings import Filled, Finding, Kind, Report, Scope, Slot, gone, report
from opslib.evidence.history import History, read_history
from opslib.evidence.layout import ENVELOPE, LOG, MANIFEST, POPULATION
from opslib.evidence.lives import Story, story_of
from opslib.evidence.manifest import Manifest
from opslib.evidence.merkle import consistent
from opslib.evidence.notes import Checkpoint, Note
from opslib.evidence.plain import NotSound, Unreadable, content_of, listed, strict64, unreadable
from opslib.evidence.population import SEALED, Entry, Extent, Row, counts, entries, population, sheet
from opslib.evidence.proofs import Trust
from opslib.evidence.records import Place, Statement, folder_of, proof_findings, record_findings
from opslib.evidence.rotations import Chain, followed, rotations_found
from opslib.evidence.tiles import CHECKPOINT
from opslib.evidence.verifying import log_findings, unproven_by
from opslib.evidence.vouched import Beside

LEAVES = "log.csv"
EARLIER_HEAD, CONSISTENCY = "checkpoints/earlier", "consistency"
_ONLY_SIGNED = frozenset({ENVELOPE})

BY_THE_TEAM = "that these procedures are evidence for this control is what the team says: judge it yourself"
WHEN_CHOSEN = (
    "the sample follows from the log's head, so whoever exported could choose the moment: ask for an export"
    " with a word of yours (--word)"
)


@dataclass(frozen=True)
class Told:
    """What log and records of a folder say about a control and a period.

    Args:
        story: of all runs.
        rows: of the population.
        leaves: of the period, each explained.
        beside: (index, event) of the approvals and notes that bear on these runs.
    """

    story: Story
    rows: tuple[Row, ...]
    leaves: tuple[Entry, ...]
    beside: tuple[tuple[int, Beside], ...]

    def draw(self, head: Note, word: str, count: int | None) -> tuple[str, ...]:
        """Return the runs that the lot draws: of those whose records are kept."""
        kept = [row.run for row in self.rows if row.state == SEALED]
        return drawn(kept, seed(head, word), count)


def told_by(history: History, archive: Path, extent: Extent) -> Told:
    """Return what a log and the records beside it say.

    Args:
        history: the log, hashed again.
        archive: where the records are.
        extent: control and period.
    """
    story = story_of(history.events, history.chain.runners)
    rows = population(story, extent, lambda event: _stated(archive, event))
    runs = {row.run for row in rows}
    beside = tuple(of_runs(story, runs))
    leaves = entries(history.events, runs, {index for index, _ in beside}, extent)
    return Told(story, rows, leaves, beside)


def verify_export(folder: Path, trust: Trust, scope: Scope) -> Report:
    """Verify what was handed over.

    Args:
        folder: into which it was unpacked.
        trust: whom to believe.
        scope: earlier checkpoints, limits.
    """
    chain = followed(trust, rotations_found(folder / LOG))
    try:
        signers, manifest = _manifest(folder, chain.trust)
    except NotSound as error:
        kind = Kind.UNREADABLE if isinstance(error, Unreadable) else Kind.RECORD_EDITED
        return report([Finding(kind, MANIFEST, str(error))], 0, 0)
    due, wrong = slots_inside(folder)
    files = (*_retired(signers, chain), *_files(folder, manifest), *wrong)
    history = read_history(folder / LOG, trust, scope)
    trust = history.chain.trust
    within = _within(scope, manifest.extent, history, due)
    unproven = (*unproven_by(history, within), *_unproven_export(manifest))
    if not history.leaves.intact:
        return report((*files, *history.findings), history.leaves.tree.size, 0, unproven)
    told = told_by(history, folder, manifest.extent)
    slots = timetable(told.story, within)
    found = (
        *files,
        *history.findings,
        *log_findings(folder, history, told.story, within, {row.run for row in told.rows}),
        *spoiled(folder, told.story, told.beside, trust.check),
        *unfilled(slots),
        *unlike_slots(folder, slots),
        *_sheets(folder, told),
        *_promises(folder, manifest, told, None if within.slots is None else slots),
        *_continued(folder, manifest),
        *_records(folder, manifest, told, history, trust, within),
    )
    unproven = (*unproven, *undue(told.story, within))
    return report(found, history.leaves.tree.size, len(told.rows), unproven, slots)


def _manifest(folder: Path, trust: Trust) -> tuple[Sequence[str], Manifest]:
    """Return the list of what was handed over, and who of those that are trusted has signed it."""
    content = content_of(folder / MANIFEST)
    if why := unreadable(folder / MANIFEST):
        raise Unreadable(f"cannot be read: {why}")
    if content is None:
        raise NotSound("is not there: nothing says what was handed over")
    envelope = Envelope.parse(content)
    signers = tuple(envelope.signers(trust.runners, trust.check))
    if not signers:
        raise NotSound("no runner that is trusted has signed it")
    if envelope.payload_type != STATEMENT:
        raise NotSound(f"holds {envelope.payload_type[:60]!r}, not {STATEMENT}")
    return signers, Manifest.parse(envelope.payload)


def _retired(signers: Sequence[str], chain: Chain) -> Iterator[Finding]:
    if all(one in chain.runners for one in signers):
        yield Finding(Kind.RETIRED_KEY, MANIFEST, f"is signed with {signers[0]}, which had been retired")


def _files(folder: Path, manifest: Manifest) -> Iterator[Finding]:
    signed = {one.name: one.sha256 for one in manifest.subjects}
    for name, digest in signed.items():
        content = content_of(folder / name)
        if content is None:
            yield gone(folder / name, name, "was handed over and is not there")
        elif hashlib.sha256(content).hexdigest() != digest:
            yield Finding(Kind.FILE_EDITED, name, "is not what was handed over")
    for path in listed(folder)[0]:
        name = path.relative_to(folder).as_posix()
        hidden = any(part.startswith(".") for part in name.split("/"))
        if not hidden and name != MANIFEST and name not in signed:
            yield Finding(Kind.FORGED, name, "was not handed over")


def _within(scope: Scope, extent: Extent, history: History, slots: tuple[Slot, ...] | None) -> Scope:
    """Return the scope of the export's period, seen from when it was made: runs went on then."""
    now = scope.now or max((event.time for _, event in history.events), default=extent.until)
    known = {field.name: getattr(scope, field.name) for field in fields(scope)}
    period = {"since": extent.since, "until": extent.until, "slots": slots, "moments": None, "now": now}
    return Scope(**{**known, **period})


def _unproven_export(manifest: Manifest) -> Iterator[str]:
    yield BY_THE_TEAM
    if manifest.count is not None:
        yield f"of records that were not drawn only what was signed is here; {len(manifest.drawn)} were drawn"
        if not manifest.word:
            yield WHEN_CHOSEN


def _stated(archive: Path, event: RunFinished) -> Statement | None:
    content = content_of(folder_of(archive, event) / ENVELOPE)
    if content is None or Subject(ENVELOPE, hashlib.sha256(content).hexdigest()) not in event.subjects:
        return None
    try:
        return Statement.parse(Envelope.parse(content).payload)
    except NotSound:
        return None  # that it was sealed so is said where its record is looked at


def _sheets(folder: Path, told: Told) -> Iterator[Finding]:
    yield from _unlike_sheet(folder, POPULATION, sheet(Row, told.rows))
    yield from _unlike_sheet(folder, LEAVES, sheet(Entry, told.leaves))


def _unlike_sheet(folder: Path, name: str, expected: bytes) -> Iterator[Finding]:
    content = content_of(folder / name)
    if content is None or content == expected:
        return
    found, right = _by_first_cell(content), _by_first_cell(expected)
    for key, line in right.items():
        if key not in found:
            yield Finding(Kind.DELETED, f"{name}: {key}", "its row is missing")
        elif found[key] != line:
            yield Finding(Kind.FILE_EDITED, f"{name}: {key}", "its row is not what log and records say")
    for key in found.keys() - right.keys():
        yield Finding(Kind.FORGED, f"{name}: {key}", "neither log nor records have such a row")
    yield Finding(Kind.FILE_EDITED, name, "is not what follows from log and records")


def _by_first_cell(content: bytes) -> dict[str, bytes]:
    lines = content.split(b"\r\n")
    return {line.split(b'"')[1].decode(errors="replace"): line for line in lines if line.count(b'"') > 1}


def _promises(
    folder: Path, manifest: Manifest, told: Told, slots: Sequence[Filled] | None
) -> Iterator[Finding]:
    if dict(manifest.counts) != counts(told.rows, told.leaves, slots):
        yield Finding(Kind.FORGED, MANIFEST, "its figures are not those of log and records")
    try:
        head = Note.parse(content_of(folder / LOG / CHECKPOINT) or b"")
    except NotSound:
        return  # said where the log was read
    right = told.draw(head, manifest.word, manifest.count)
    if manifest.drawn != right:
        text = f"the lot draws {_named(right)}; handed over were {_named(manifest.drawn)}"
        yield Finding(Kind.SWAPPED, "sample", text)


def _named(runs: Sequence[str]) -> str:
    return ", ".join(runs[:5]) + (f" and {len(runs) - 5} more" if len(runs) > 5 else "") or "none"


def _continued(folder: Path, manifest: Manifest) -> Iterator[Finding]:
    """Yield whether the proof that the log continues an earlier head of it does not hold."""
    if CONSISTENCY not in {one.name for one in manifest.subjects}:
        return
    try:
        heads = [
            Note.parse(content_of(folder / name) or b"") for name in (EARLIER_HEAD, f"{LOG}/{CHECKPOINT}")
        ]
        old, new = (Checkpoint.parse(head.text) for head in heads)
        path = [strict64(line) for line in (content_of(folder / CONSISTENCY) or b"").decode().split()]
        holds = old.origin == new.origin and consistent(old.size, new.size, old.root, new.root, path)
    except (NotSound, UnicodeDecodeError):
        holds = False
    if not holds:
        yield Finding(Kind.FORKED, CONSISTENCY, "does not lead from the earlier head to this one")


def _records(
    folder: Path, manifest: Manifest, told: Told, history: History, trust: Trust, scope: Scope
) -> Iterator[Finding]:
    whole = set(manifest.drawn)
    for row in told.rows:
        for index, event in told.story.lives[row.run].finished:
            only = None if row.run in whole else _ONLY_SIGNED
            place = Place(folder_of(folder, event), folder, only)
            yield from record_findings(place, index, event, told.story, trust, scope)
            yield from proof_findings(place, index, history.leaves, row.run, trust)
