"""Is anything missing: runs without an end, ends without a beginning, slots without a run?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

from opslib.evidence.events import RunRequested
from opslib.evidence.findings import Filled, Finding, Kind, Scope, Slot
from opslib.evidence.lives import Life, Story
from opslib.evidence.parts import Planned
from opslib.evidence.plain import readable, shown
from opslib.evidence.records import folder_of

RUN, SKIPPED, DUE, MISSING = "run", "skipped", "due", "missing"
NONE_KNOWN = "the log knows no schedule: which runs were due is not known"
KNOWN_FROM = "the log knows the schedule from {} on: which runs were due before is not known"


def missing(story: Story, scope: Scope) -> Iterator[Finding]:
    """Yield what the log itself shows to be missing.

    Args:
        story: of all runs.
        scope: the period.
    """
    for run, life in story.lives.items():
        step = life.requested or life.started
        if step and not life.finished and scope.covers(step[1].time):
            yield _open(run, step[0], life, scope)
        if life.finished and not life.requested and scope.covers(life.finished[0][1].time):
            text = "was sealed without ever having been asked for"
            yield Finding(Kind.UNANNOUNCED, run, text, life.finished[0][0])


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


def timetable(story: Story, scope: Scope) -> tuple[Filled, ...]:
    """Return each moment of the schedule in the period, and what became of it.

    Args:
        story: of all runs, with the schedules that the log holds.
        scope: the period; the slots that were expected, or how they follow from a schedule.
    """
    asked: dict[tuple[str, object], list[RunRequested]] = {}
    for life in story.lives.values():
        if life.requested and life.requested[1].slot:
            event = life.requested[1]
            asked.setdefault((event.slot, event.scheduled_for), []).append(event)
    slots = _logged(story, scope) if scope.slots is None else scope.slots
    found = [
        _became(slot, asked.get((slot.name, slot.moment), []), story, scope)
        for slot in slots
        if scope.covers(slot.moment)
    ]
    return tuple(sorted(found, key=lambda one: (one.slot.moment, one.slot.name)))


def unfilled(slots: Iterable[Filled]) -> Iterator[Finding]:
    """Yield moments of the schedule for which there is no run."""
    for one in slots:
        if one.state == MISSING:
            text = f"the run that was due at {shown(one.slot.moment)} was never recorded"
            text += f": {one.text}" if one.text else ""
            yield Finding(Kind.NEVER_RECORDED, one.slot.name, text)
        elif one.state == SKIPPED:
            text = f"no run was begun for {shown(one.slot.moment)}: {one.text}"
            yield Finding(Kind.SKIPPED, one.slot.name, text)


def rescheduled(story: Story, scope: Scope) -> Iterator[Finding]:
    """Yield how the schedule was changed in the period: what is taken off it is not expected any more."""
    if scope.moments is None:
        return
    for before, after in pairwise(story.schedules):
        if scope.covers(after.time) and before.slots != after.slots:
            old, new = ({one.name: one for one in event.slots} for event in (before, after))
            kinds = {
                "without": sorted(old.keys() - new.keys()),
                "with": sorted(new.keys() - old.keys()),
                "otherwise": sorted(name for name in old.keys() & new.keys() if old[name] != new[name]),
            }
            told = "; ".join(f"{kind} {', '.join(names)}" for kind, names in kinds.items() if names)
            text = f"since {shown(after.time)} {told or 'in another order'}"
            yield Finding(Kind.RESCHEDULED, f"schedule, by {after.actor or 'nobody known'}", text)


def unscheduled(story: Story, scope: Scope) -> Iterator[str]:
    """Yield for which part of the period nobody knows what was due."""
    if scope.slots is None and scope.moments is not None:
        yield from unknown(story, scope)


def unknown(story: Story, scope: Scope) -> Iterator[str]:
    """Yield for which part of the period the log knows no schedule."""
    if not story.schedules:
        yield NONE_KNOWN
    elif scope.since is None or scope.since < story.schedules[0].time:
        yield KNOWN_FROM.format(shown(story.schedules[0].time))


def _logged(story: Story, scope: Scope) -> Iterator[Slot]:
    """Yield the moments of the schedules that the log holds, each in force until the next one."""
    if scope.moments is None:
        return
    until = min(scope.until or scope.present, scope.present)
    ends = [*(event.time for event in story.schedules[1:]), until]
    for event, end in zip(story.schedules, ends, strict=False):
        begin = max(event.time, scope.since or event.time)
        for planned in event.slots:
            grace = timedelta(minutes=int(planned.latest_start))
            for moment in scope.moments(planned, begin, min(end, until)):
                yield Slot(planned.name, moment, moment + grace)


def _became(slot: Slot, asked: Sequence[RunRequested], story: Story, scope: Scope) -> Filled:
    fits = _fitting(slot, story)
    runs = [event.run for event in asked if fits(event)]
    reason = story.skipped.get((slot.name, slot.moment))
    if runs:
        return Filled(slot, RUN, ", ".join(runs))
    if reason is not None:
        return Filled(slot, SKIPPED, readable(reason))
    if slot.latest and scope.present < slot.latest:
        return Filled(slot, DUE, f"may begin until {shown(slot.latest)}")
    return Filled(slot, MISSING, readable("; ".join(map(_claimed, asked))))


def _fitting(slot: Slot, story: Story) -> Callable[[RunRequested], bool]:
    """Return what says whether a run is what the schedule had for a moment, then or when it was asked for.

    What a log without that entry had is not known; there the name alone decides.
    """

    def fits(event: RunRequested) -> bool:
        known = [_planned(slot.name, when, story) for when in (slot.moment, event.time)]
        whose = [one for one in known if one]
        return not whose or any(one.fits(event.procedure, event.system, event.environment) for one in whose)

    return fits


def _planned(name: str, when: datetime, story: Story) -> Planned | None:
    """Return the entry of the schedule that was in force at a moment."""
    before = [event.slots for event in story.schedules if event.time <= when]
    return next((one for one in before[-1] if one.name == name), None) if before else None


def _claimed(event: RunRequested) -> str:
    what = f"{event.procedure} on {event.system} ({event.environment})"
    return f"{event.run} says that it was for this, but ran {what}"
