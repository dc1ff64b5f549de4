"""Verify an archive with its whole log."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from opslib.evidence.alone import NO_WITNESS
from opslib.evidence.beside import NO_PEOPLE, needs_approval, of_period, spoiled, unapproved
from opslib.evidence.complete import missing, rescheduled, strangers, timetable, unfilled, unscheduled
from opslib.evidence.events import Disposal, RunFinished
from opslib.evidence.findings import Filled, Finding, Kind, Report, Scope, report
from opslib.evidence.history import History, read_history
from opslib.evidence.layout import LOG
from opslib.evidence.lives import Story, order_findings, story_of, time_findings
from opslib.evidence.plain import shown
from opslib.evidence.proofs import Trust
from opslib.evidence.records import Place, folder_of, proof_findings, record_findings, unsealed
from opslib.evidence.retention import disposal_findings

NO_SCHEDULE = "no schedule was given: a run that was due and never recorded cannot be missed"
NO_RULES = "no rules of retention were given: that what was destroyed had to be, only the log says"
NOT_READ = "the log is not the one that was signed: order, times and completeness were not looked at"
NO_EARLIER = "no earlier checkpoint was given that you kept yourself"


def verify_archive(archive: Path, trust: Trust, scope: Scope | None = None) -> Report:
    """Verify the log of an archive and the records of a period, all of them by default.

    Args:
        archive: the archive's folder.
        trust: whom to believe.
        scope: the period, expected slots, earlier checkpoints, limits.
    """
    scope = scope or Scope()
    history = read_history(archive / LOG, trust, scope)
    trust = history.chain.trust
    story = story_of(history.events, history.chain.runners)
    chosen = [
        (index, event)
        for index, event in history.events
        if isinstance(event, RunFinished) and scope.covers(event.time)
    ]
    slots = timetable(story, scope) if history.leaves.intact else ()
    told = tuple(_logged_findings(archive, history, story, scope, slots)) if history.leaves.intact else ()
    kept = [one for leaf in chosen for one in _record(archive, *leaf, history, story, trust, scope)]
    found = (*history.findings, *told, *kept)
    unseen = tuple(unscheduled(story, scope))
    size, unproven = history.leaves.tree.size, unproven_by(history, scope)
    return report(found, size, len(chosen), unproven, slots, unseen)


def log_findings(
    archive: Path, history: History, story: Story, scope: Scope, runs: Collection[str] | None = None
) -> Iterator[Finding]:
    """Yield what is wrong with the log's events, and records that it does not know.

    Args:
        archive: the archive's folder, or what was handed over of one.
        history: its log.
        story: of all runs.
        scope: the period.
        runs: those that were handed over; all when not given.
    """
    yield from order_findings(story, scope)
    yield from time_findings(history.events, history.dated, scope)
    yield from missing(story, scope)
    yield from rescheduled(story, scope)
    yield from unapproved(archive, story, scope, history.chain.trust, runs)
    yield from strangers(archive, story)
    yield from disposal_findings(story, scope)
    for run, life in story.lives.items():
        if len({event.subjects for _, event in life.finished}) > 1:
            yield Finding(
                Kind.FORGED, run, "was sealed twice, each time with other files", life.finished[1][0]
            )


def _logged_findings(
    archive: Path, history: History, story: Story, scope: Scope, slots: Iterable[Filled]
) -> Iterator[Finding]:
    yield from log_findings(archive, history, story, scope)
    yield from spoiled(archive, story, of_period(story, scope), history.chain.trust.check)
    yield from unfilled(slots)


def _record(
    archive: Path, index: int, event: RunFinished, history: History, story: Story, trust: Trust, scope: Scope
) -> Iterator[Finding]:
    place = Place(folder_of(archive, event), archive)
    yield from record_findings(place, index, event, story, trust, scope)
    if index == story.lives[event.run].finished[-1][0]:
        yield from unsealed(place, index, event, story)
        yield from proof_findings(place, index, history.leaves, event.run, trust)


def unproven_by(history: History, scope: Scope) -> Iterator[str]:
    """Yield what a sound log does not show, in sentences."""
    size, events = history.leaves.size, [event for _, event in history.events]
    if not history.leaves.intact:
        yield NOT_READ
    if not history.anchors:
        yield NO_WITNESS
    elif history.anchors[-1].size < size:
        last = history.anchors[-1]
        yield (
            f"leaves {last.size} to {size - 1} came after what witnesses saw last ({shown(last.latest)}):"
            " they can still be cut off or rewritten unseen"
        )
    if not scope.checkpoints:
        yield NO_EARLIER
    if history.chain.trust.people is None and any(map(needs_approval, events)):
        yield NO_PEOPLE
    if scope.slots is None and scope.moments is None:
        yield NO_SCHEDULE
    if scope.retention is None and any(isinstance(event, Disposal) for event in events):
        yield NO_RULES
