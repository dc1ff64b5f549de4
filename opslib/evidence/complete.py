"""Is anything missing: runs without an end, ends without a beginning, slots without a run?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from opslib.evidence.findings import Finding, Kind, Scope
from opslib.evidence.lives import Life, Story
from opslib.evidence.plain import shown
from opslib.evidence.records import folder_of


def missing(story: Story, scope: Scope) -> Iterator[Finding]:
    """Yield what the log itself shows to be missing.

    Args:
        story: of all runs.
        scope: the period, and the slots that were expected.
    """
    for run, life in story.lives.items():
        step = life.requested or life.started
        if step and not life.finished and scope.covers(step[1].time):
            yield _open(run, step[0], life, scope)
        if life.finished and not life.requested and scope.covers(life.finished[0][1].time):
            text = "was sealed without ever having been asked for"
            yield Finding(Kind.UNANNOUNCED, run, text, life.finished[0][0])
    yield from _unfilled(story, scope)


def strangers(archive: Path, story: Story) -> Iterator[Finding]:
    """Yield records on the disk that the log does not know.

    Args:
        archive: the archive's folder.
        story: of all runs.
    """
    known = {
        folder_of(archive, event) for life in story.lives.values() for _, event in life.finished
    }  # fmt: skip
    for folder in sorted(archive.glob("runs/*/*/*/*")):
        life = story.lives.get(folder.name)
        announced = life is not None and not life.finished
        if folder not in known and not announced and not folder.name.startswith("."):
            yield Finding(Kind.FORGED, folder.name, "there is a record of it, but no leaf in the log")


def _open(run: str, index: int, life: Life, scope: Scope) -> Finding:
    step = life.requested or life.started
    if step and scope.present - step[1].time <= scope.longest:
        return Finding(Kind.RUNNING, run, "has not ended yet", index)
    word = "started" if life.started else "asked for"
    return Finding(Kind.UNFINISHED, run, f"was {word} and has no sealed record", index)


def _unfilled(story: Story, scope: Scope) -> Iterator[Finding]:
    asked = [life.requested[1] for life in story.lives.values() if life.requested]
    filled = {(event.slot, event.scheduled_for) for event in asked}
    for slot in scope.slots or ():
        if (slot.name, slot.moment) not in filled and scope.covers(slot.moment):
            text = f"the run that was due at {shown(slot.moment)} was never recorded"
            yield Finding(Kind.NEVER_RECORDED, slot.name, text)
