"""What lies beside the records: was each change approved before, are approvals and notes those of then?"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from opslib.evidence.events import Annotation, Approval, ChangeBegun
from opslib.evidence.findings import Finding, Kind, Scope
from opslib.evidence.lives import Story
from opslib.evidence.plain import content_of, shown

NOTES = "notes"
Beside = Approval | Annotation
_EDITED = {Approval: Kind.APPROVAL_EDITED, Annotation: Kind.NOTE_EDITED}
_NO_NEED = "none"
_AGREED = ("approved", "break-glass")


def unapproved(story: Story, scope: Scope) -> Iterator[Finding]:
    """Yield changes that nobody had approved when they began.

    Args:
        story: of all runs.
        scope: the period.
    """
    for life in story.lives.values():
        for index, event in life.changes:
            if event.need != _NO_NEED and scope.covers(event.time):
                yield from _agreed(index, event, story, scope)


def of_runs(story: Story, runs: Iterable[str]) -> Iterator[tuple[int, Beside]]:
    """Yield the approvals of what runs have carried out, and the notes about them.

    Args:
        story: of all runs.
        runs: their ids.
    """
    chosen = set(runs)
    changes = [event for run in chosen for _, event in story.lives[run].changes]
    plans = {plan for event in changes for plan in (event.plan, event.undoes)} - {""}
    yield from ((index, event) for index, event in story.approvals if event.plan in plans)
    yield from ((index, event) for index, event in story.notes if event.run in chosen)


def of_period(story: Story, scope: Scope) -> Iterator[tuple[int, Beside]]:
    """Yield the approvals and notes of a period."""
    kept: list[tuple[int, Beside]] = [*story.approvals, *story.notes]
    yield from ((index, event) for index, event in kept if scope.covers(event.time))


def spoiled(archive: Path, story: Story, kept: Iterable[tuple[int, Beside]]) -> Iterator[Finding]:
    """Yield approvals and notes that are not what was logged, and notes that never were.

    Args:
        archive: the archive's folder.
        story: of all runs.
        kept: the approvals and notes that should be there.
    """
    for index, event in kept:
        yield from _changed(archive, index, event, story)
    known = {one.name for _, event in story.notes for one in event.subjects}
    for path in sorted(archive.glob(f"{NOTES}/*/*.json")):
        name = path.relative_to(archive).as_posix()
        if name not in known and not path.name.startswith("."):
            yield Finding(Kind.FORGED, name, "there is a note, but no leaf in the log")


def _agreed(index: int, event: ChangeBegun, story: Story, scope: Scope) -> Iterator[Finding]:
    plans = {event.plan, event.undoes} - {""}
    given = [
        (at, one.given or one.time)
        for at, one in story.approvals
        if one.plan in plans and one.decision in _AGREED
    ]
    if not given:
        text = f"carried out {event.plan}, and the log knows nobody who had approved that"
        yield Finding(Kind.UNAPPROVED, event.run, text, index)
    elif not any(at < index and when <= event.time + scope.tolerance for at, when in given):
        text = f"began to carry out {event.plan} at {shown(event.time)}; it was approved only afterwards"
        yield Finding(Kind.APPROVED_AFTERWARDS, event.run, text, index)


def _changed(archive: Path, index: int, event: Beside, story: Story) -> Iterator[Finding]:
    for one in event.subjects:
        content = content_of(archive / one.name)
        if content is None:
            yield _lost(one.name, one.sha256, index, event, story)
        elif hashlib.sha256(content).hexdigest() != one.sha256:
            yield Finding(_EDITED[type(event)], one.name, "is not what was written then", index)


def _lost(name: str, digest: str, index: int, event: Beside, story: Story) -> Finding:
    run = event.run if isinstance(event, Annotation) else ""
    at = story.disposed.get((run, digest))
    if at is None:
        return Finding(Kind.DELETED, name, "is not there", index)
    if story.on_hold(run, at):
        return Finding(Kind.DISPOSED_ON_HOLD, name, "was destroyed while on hold", at)
    return Finding(Kind.DISPOSED, name, "was destroyed as a rule demands", at)
