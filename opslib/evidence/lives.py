"""What the log tells of each run, and whether its order and its times can be true."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from opslib.evidence.events import (
    Annotation,
    Approval,
    ChangeBegun,
    Disposal,
    Event,
    Hold,
    RunFinished,
    RunRequested,
    RunStarted,
    ScheduleChanged,
    SlotSkipped,
)
from opslib.evidence.findings import Finding, Kind, Scope
from opslib.evidence.history import Anchor
from opslib.evidence.plain import shown


@dataclass
class Life:
    """One run as the log has it; each part with the index of its leaf.

    Args:
        requested: when somebody asked for it.
        started: when its kernel was about to be started.
        finished: when its record was sealed; more than one if that was done again.
        changes: when it was about to carry out a plan.
    """

    requested: tuple[int, RunRequested] | None = None
    started: tuple[int, RunStarted] | None = None
    finished: list[tuple[int, RunFinished]] = field(default_factory=list)
    changes: list[tuple[int, ChangeBegun]] = field(default_factory=list)


@dataclass
class Story:
    """All runs of a log, and what bears on their records.

    Args:
        lives: run -> what happened to it.
        disposed: (run, digest) -> index of the leaf that says so.
        disposals: (index, event) of all of these leaves.
        held: run -> (index, event) of its holds.
        retired: fingerprint of a key -> index of the leaf from which on it does not count.
        owners: (name, digest) -> the runs that have such a file.
        approvals: of plans, as they came.
        notes: about runs, as they came.
        schedules: each in force until the next.
        skipped: (slot, moment) -> why no run was begun for it.
    """

    lives: dict[str, Life] = field(default_factory=dict)
    disposed: dict[tuple[str, str], int] = field(default_factory=dict)
    disposals: list[tuple[int, Disposal]] = field(default_factory=list)
    held: dict[str, list[tuple[int, Hold]]] = field(default_factory=dict)
    retired: Mapping[str, int] = field(default_factory=dict)
    owners: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    approvals: list[tuple[int, Approval]] = field(default_factory=list)
    notes: list[tuple[int, Annotation]] = field(default_factory=list)
    schedules: list[ScheduleChanged] = field(default_factory=list)
    skipped: dict[tuple[str, datetime], str] = field(default_factory=dict)

    def on_hold(self, run: str, index: int) -> bool:
        """Say whether a record was on hold when a leaf was added."""
        states = [event.state for at, event in self.held.get(run, []) if at < index]
        return bool(states) and states[-1] == "set"


def story_of(events: Iterable[tuple[int, Event]], retired: Mapping[str, int] | None = None) -> Story:
    """Return what the events of a log tell.

    Args:
        events: in the order of the log.
        retired: keys of runners that do not count from a leaf on.
    """
    story = Story(retired=retired or {})
    for index, event in events:
        match event:
            case RunRequested():
                life = story.lives.setdefault(event.run, Life())
                life.requested = life.requested or (index, event)
            case RunStarted():
                life = story.lives.setdefault(event.run, Life())
                life.started = life.started or (index, event)
            case RunFinished():
                _finish(story, index, event)
            case Disposal():
                story.disposals.append((index, event))
                story.disposed.update({(event.run, one.sha256): index for one in event.subjects})
            case Hold():
                story.held.setdefault(event.run, []).append((index, event))
            case ChangeBegun():
                story.lives.setdefault(event.run, Life()).changes.append((index, event))
            case Approval():
                story.approvals.append((index, event))
            case Annotation():
                story.notes.append((index, event))
            case ScheduleChanged():
                story.schedules.append(event)
            case SlotSkipped():
                story.skipped[event.slot, event.scheduled_for] = event.reason
    return story


def order_findings(story: Story, scope: Scope) -> Iterator[Finding]:
    """Yield runs whose events do not follow one another, or that cannot have begun when they say."""
    for run, life in story.lives.items():
        steps = [step for step in (life.requested, life.started, *life.finished[:1]) if step]
        if not steps or not scope.covers(steps[-1][1].time):
            continue
        indices = [index for index, _ in steps]
        if indices != sorted(indices):
            yield Finding(Kind.REORDERED, run, "its events stand in an order that cannot be", min(indices))
        yield from _begun(run, life, scope)


def time_findings(
    events: Sequence[tuple[int, Event]], anchors: Sequence[Anchor], scope: Scope
) -> Iterator[Finding]:
    """Yield events whose time cannot be true, given those before them and what witnesses saw.

    Args:
        events: in the order of the log.
        anchors: the smallest first.
        scope: says how far clocks may be apart.
    """
    sizes = [anchor.size for anchor in anchors]
    latest = None
    for index, event in events:
        place = bisect_right(sizes, index)
        seen = [moment for moment in (latest, anchors[place - 1].earliest if place else None) if moment]
        floor = max(seen) if seen else None
        ceiling = anchors[place].latest if place < len(anchors) else None
        # A clock that ran ahead must not make all that comes after it look dated back.
        here = min(event.time, ceiling) if ceiling else event.time
        latest = max(latest, here) if latest else here
        if scope.covers(event.time):
            yield from _dated(index, event, floor, ceiling, scope)


def _dated(
    index: int, event: Event, floor: datetime | None, ceiling: datetime | None, scope: Scope
) -> Iterator[Finding]:
    subject = getattr(event, "run", event.kind)
    if floor and event.time < floor - scope.tolerance:
        text = f"{event.kind} says {shown(event.time)}, but was logged after {shown(floor)}"
        yield Finding(Kind.BACK_DATED, subject, text, index)
    if ceiling and event.time > ceiling + scope.tolerance:
        text = f"{event.kind} says {shown(event.time)}, but a witness had seen it by {shown(ceiling)}"
        yield Finding(Kind.POST_DATED, subject, text, index)
    if ceiling and ceiling - event.time > scope.late:
        text = f"no witness saw {event.kind} of {shown(event.time)} before {shown(ceiling)}"
        yield Finding(Kind.WITNESSED_LATE, subject, text, index)


def _begun(run: str, life: Life, scope: Scope) -> Iterator[Finding]:
    for index, finished in life.finished:
        asked = life.requested or life.started
        if asked and finished.started < asked[1].time - scope.tolerance:
            text = f"says it began {shown(finished.started)}, but was asked for at {shown(asked[1].time)}"
            yield Finding(Kind.BACK_DATED, run, text, index)
        if finished.started > finished.time + scope.tolerance:
            text = f"says it began {shown(finished.started)}, but was sealed at {shown(finished.time)}"
            yield Finding(Kind.POST_DATED, run, text, index)


def _finish(story: Story, index: int, event: RunFinished) -> None:
    story.lives.setdefault(event.run, Life()).finished.append((index, event))
    for one in event.subjects:
        story.owners.setdefault((one.name, one.sha256), set()).add(event.run)
