"""Holds, and the lawful end of records: what may be destroyed, by which rule, and destroying it.

The log is told first, then the files go: whoever dies in between leaves a disposal to be completed, never
files that are missing without a word.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from filelock import FileLock

from opslib.archive import disposed, store
from opslib.archive.index import Index
from opslib.errors import ArchiveError, Refused, UsageError
from opslib.evidence.events import Disposal, Hold, RunFinished, RunRequested, Subject
from opslib.evidence.findings import Scope
from opslib.evidence.history import read_history
from opslib.evidence.layout import LOG, PROOF
from opslib.evidence.lives import Life, Story, story_of
from opslib.evidence.log import Log
from opslib.evidence.plain import written
from opslib.evidence.proofs import Trust
from opslib.evidence.records import folder_of
from opslib.evidence.retention import Rule

_LOCK = ".retention.lock"
_SEE = "`opslib verify` says what is wrong with the archive"


@dataclass(frozen=True)
class Due:
    """A record that a rule demands to be destroyed.

    Args:
        run: id of the run.
        procedure, system, environment: as it was asked for.
        verdict: as the log says.
        started: when it began.
        left: what is told of it afterwards.
        policy: the rule, as the log has it.
        folder: of the record.
        subjects: what is destroyed, as it was sealed; where the log knows already, blobs that are left.
        logged: whether the log knows already, and only files are left to go.
    """

    run: str
    procedure: str
    system: str
    environment: str
    verdict: str
    started: datetime
    left: Mapping[str, Any]
    policy: str
    folder: Path
    subjects: tuple[Subject, ...]
    logged: bool = False


@dataclass(frozen=True)
class Disposals:
    """What rules demand of an archive now.

    Args:
        due: the oldest first.
        kept: why others are kept -> how many.
    """

    due: tuple[Due, ...]
    kept: Mapping[str, int]

    @property
    def digest(self) -> str:
        """What a person confirms: it changes with every record and rule."""
        lines = "".join(f"{one.run} {one.policy} {one.logged}\n" for one in self.due)
        return hashlib.sha256(lines.encode()).hexdigest()


def read_story(archive: Path, trust: Trust) -> Story:
    """Return what the log tells of all runs.

    Raises:
        ArchiveError: it is not the log that was signed; nothing is destroyed by it.
    """
    history = read_history(archive / LOG, trust, Scope())
    faults = [finding for finding in history.findings if finding.fault or finding.unknown]
    if not history.leaves.intact or faults:
        why = f": {faults[0].text}" if faults else ""
        raise ArchiveError(f"{archive / LOG}: the log is not what was signed{why}", hint=_SEE)
    return story_of(history.events)


def held(story: Story) -> tuple[Hold, ...]:
    """Return the holds that stand."""
    return tuple(states[-1][1] for states in story.held.values() if states[-1][1].state == "set")


def hold(archive: Path, log: Log, trust: Trust, event: Hold) -> None:
    """Set or clear a hold on a record.

    Raises:
        UsageError: it is so already, or the log has no record of the run.
        Refused: its content is gone.
        ArchiveError: the log cannot be read or written.
    """
    with _alone(archive):
        story = read_story(archive, trust)
        life = story.lives.get(event.run)
        if not life or not life.finished:
            raise UsageError(f"the log has no sealed record of {event.run}", hint="see `opslib history`")
        if (event.run in {one.run for one in held(story)}) == (event.state == "set"):
            raise UsageError(f"{event.run} is {'' if event.state == 'set' else 'not '}on hold already")
        if event.state == "set" and any(run == event.run for run, _ in story.disposed):
            raise Refused(
                f"the content of {event.run} was destroyed", hint="see `opslib show` for what is left"
            )
        log.append(event)


def wanted(archive: Path, story: Story, rules: Sequence[Rule], now: datetime) -> Disposals:
    """Return what the rules demand.

    Args:
        archive: the archive's folder.
        story: of all runs.
        rules: the first that fits a run decides.
        now: the current time.
    """
    kept: Counter[str] = Counter()
    due: list[Due] = []
    newest: Counter[tuple[str, str, str]] = Counter()
    on_hold = {one.run for one in held(story)}
    disposals = {event.run: event for _, event in story.disposals}
    sealed = [(life.finished[-1][1], life) for life in story.lives.values() if life.finished]
    for event, life in sorted(sealed, key=lambda one: one[0].started, reverse=True):
        if gone := disposals.get(event.run):
            due.extend(_left(archive, event, life, story, gone))
            continue
        one = _due(archive, event, life, "", now)
        alike = (one.procedure, one.system, one.environment)
        newest[alike] += 1
        fitting = (rule for rule in rules if not rule.retired and rule.fits(one.procedure, one.environment))
        rule = next(fitting, None)
        why = _kept(event, rule, newest[alike], event.run in on_hold, now)
        if why or rule is None:
            kept[why] += 1
        else:
            due.append(_due(archive, event, life, rule.said(event.verdict), now))
    return Disposals(tuple(reversed(due)), dict(sorted(kept.items())))


def dispose(
    archive: Path, log: Log, trust: Trust, rules: Sequence[Rule], agreed: str, now: datetime, actor: str
) -> Disposals:
    """Destroy what the rules demand, if it is still what somebody agreed to.

    Args:
        archive: the archive's folder.
        log: of the archive.
        trust: in the keys by which the log is read.
        rules: the first that fits a run decides.
        agreed: digest of what was shown.
        now: the current time.
        actor: who does it.

    Raises:
        Refused: meanwhile something else is due; nothing was destroyed.
        ArchiveError: the log or the files cannot be used; what the log was told is completed the next time.
    """
    with _alone(archive):
        found = wanted(archive, read_story(archive, trust), rules, now)
        if found.digest != agreed:
            raise Refused("what is due has changed meanwhile; nothing was destroyed", hint="look at it again")
        new = [one for one in found.due if not one.logged]
        if new:
            log.append(*(_event(one, now, actor) for one in new))
        with store.plainly(archive):
            _destroy_logged(archive, wanted(archive, read_story(archive, trust), rules, now).due)
    return found


def _kept(event: RunFinished, rule: Rule | None, rank: int, on_hold: bool, now: datetime) -> str:
    """Return why a record is kept; empty where it is due."""
    if on_hold:
        return "on hold"
    if rule is None:
        return "no rule is about them"
    if event.started + timedelta(days=rule.days_for(event.verdict)) > now:
        return "their time is not over"
    return "among the newest, of which some are always kept" if rank <= rule.at_least else ""


def _due(archive: Path, event: RunFinished, life: Life, policy: str, when: datetime) -> Due:
    asked = life.requested[1] if life.requested else RunRequested(time=event.started, run=event.run)
    left = {
        "run_id": event.run, "procedure": asked.procedure, "system": asked.system,
        "environment": asked.environment, "verdict": event.verdict, "started_at": written(event.started),
        "finished_at": written(event.time), "duration_s": (event.time - event.started).total_seconds(),
        "trigger": asked.trigger, "actor": asked.actor,
        "scheduled_for": written(asked.scheduled_for) if asked.scheduled_for else None,
        "disposed": {"policy": policy, "time": written(when)},
    }  # fmt: skip
    where = (asked.procedure, asked.system, asked.environment)
    folder = folder_of(archive, event)
    return Due(event.run, *where, event.verdict, event.started, left, policy, folder, event.subjects)


def _left(archive: Path, event: RunFinished, life: Life, story: Story, gone: Disposal) -> Iterator[Due]:
    """Yield the disposal of a record of which files are still there."""
    one = _due(archive, event, life, gone.policy, gone.time)
    going = (subject for subject in gone.subjects if not _shared(subject, event.run, story))
    blobs = tuple(subject for subject in going if _is_blob(subject) and (archive / subject.name).exists())
    if blobs or _files(one.folder):
        yield replace(one, subjects=blobs, logged=True)


def _shared(one: Subject, run: str, story: Story) -> bool:
    """Say whether a blob belongs to another record, too, that is kept."""
    others = story.owners.get((one.name, one.sha256), set()) - {run}
    return _is_blob(one) and any((other, one.sha256) not in story.disposed for other in others)


def _event(one: Due, now: datetime, actor: str) -> Disposal:
    return Disposal(time=now, actor=actor, run=one.run, policy=one.policy, subjects=one.subjects)


def _destroy_logged(archive: Path, due: Sequence[Due]) -> None:
    """Destroy what the log says; of two records with one blob, none spares it for the other any more."""
    index = Index(archive)
    index.outdate()  # whoever dies in between must not leave in it what was destroyed
    for one in due:
        if one.logged:
            _destroy(archive, one)
    index.rebuild()


def _destroy(archive: Path, one: Due) -> None:
    if not one.folder.resolve().is_relative_to(archive.resolve()):
        raise ArchiveError(f"{one.folder}: leads out of the archive; nothing there is destroyed", hint=_SEE)
    disposed.mark(one.folder, one.left)
    blobs = (archive / subject.name for subject in one.subjects if _is_blob(subject))
    for path in (*_files(one.folder), *blobs):
        path.unlink(missing_ok=True)
    store.sync(one.folder)


def _files(folder: Path) -> list[Path]:
    """Return all that is in a record but its proof and what is left; also what was never sealed."""
    kept = (PROOF, disposed.FILE)
    return [path for path in folder.rglob("*") if not path.is_dir() and path.name not in kept]


def _is_blob(subject: Subject) -> bool:
    return subject.name.startswith("blobs/")


@contextmanager
def _alone(archive: Path) -> Iterator[None]:
    """Let no hold be set while records are destroyed."""
    with store.plainly(archive), FileLock(archive / _LOCK):
        yield
