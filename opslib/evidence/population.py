"""All runs of a period that are evidence for a control, one row each, as the log and the records have them.

Who hands the rows over and who checks them make them with this same code, so neither has to be believed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import datetime

from opslib.evidence.complete import MISSING, RUN, SKIPPED
from opslib.evidence.events import Event, RunFinished, RunRequested
from opslib.evidence.findings import Filled
from opslib.evidence.layout import ENVELOPE
from opslib.evidence.lives import Life, Story
from opslib.evidence.plain import written
from opslib.evidence.records import Statement

SEALED, OPEN, DISPOSED = "sealed", "open", "disposed"
IN_POPULATION, OTHER_CONTROL, OTHER_EVENT = "population", "other control", "other event"
DECIDED = (RUN, SKIPPED, MISSING)  # what can have become of a moment of the schedule that is over
_SHEET_FORMULA = re.compile(r"[ \t\r\n\0]*[=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r\n]")

Stated = Callable[[RunFinished], Statement | None]


@dataclass(frozen=True)
class Extent:
    """What an export is about.

    Args:
        control: the control that an auditor asked for.
        procedures: whose runs are evidence for it.
        since: runs that were asked for at or after it.
        until: runs that were asked for before it.
    """

    control: str
    procedures: tuple[str, ...]
    since: datetime
    until: datetime

    def covers(self, when: datetime) -> bool:
        """Say whether a moment lies in the period."""
        return self.since <= when < self.until

    def has(self, life: Life) -> bool:
        """Say whether a run belongs to the population; one of which the log says no procedure does."""
        steps = [step[1].time for step in (life.requested, life.started) if step]
        began = steps[0] if steps else life.finished[0][1].started if life.finished else _moment_of(life)
        procedure = life.requested[1].procedure if life.requested else ""
        return self.covers(began) and (not procedure or procedure in self.procedures)


@dataclass(frozen=True)
class Row:
    """One run; all is text.

    Args:
        run: its id.
        state: `sealed`, `open` (asked for, without a sealed record) or `disposed`.
        procedure, system, environment, trigger, actor: as it was asked for.
        scheduled_for: the moment of the schedule.
        requested: when it was asked for.
        started: when it began.
        finished: when it ended, as its record says.
        verdict: as the log says.
        cause: as its record says.
        log_index: of the leaf that sealed it, or else of the first about it.
        record_sha256: digest of its signed record.
    """

    run: str
    state: str
    procedure: str
    system: str
    environment: str
    trigger: str
    actor: str
    scheduled_for: str
    requested: str
    started: str
    finished: str
    verdict: str
    cause: str
    log_index: str
    record_sha256: str


@dataclass(frozen=True)
class Entry:
    """One leaf of the log, and why it is in the population or not; all is text.

    Args:
        log_index: of the leaf.
        time: of the event.
        kind: of the event.
        run: the run that it is about, if it is about one.
        explained: `population` (runs, and what bears on them: approvals, notes, holds, disposals),
            `other control` or `other event`.
    """

    log_index: str
    time: str
    kind: str
    run: str
    explained: str


def population(story: Story, extent: Extent, stated: Stated) -> tuple[Row, ...]:
    """Return the rows of all runs that fit, in the order of the log.

    Args:
        story: of all runs.
        extent: which fit.
        stated: returns what a record states; None where it is not there or not what was sealed.
    """
    found = [(_first(life), run, life) for run, life in story.lives.items() if extent.has(life)]
    return tuple(_row(run, life, story, stated) for _, run, life in sorted(found, key=lambda one: one[:2]))


def entries(
    events: Iterable[tuple[int, Event]], runs: Collection[str], beside: Collection[int], extent: Extent
) -> tuple[Entry, ...]:
    """Return the leaves of a period, and those of the population that lie outside, each explained.

    Args:
        events: of the log.
        runs: of the population.
        beside: indices of leaves that bear on these runs without naming one.
        extent: the period.
    """
    return tuple(_entries(events, runs, beside, extent))


def counts(
    rows: Sequence[Row], leaves: Sequence[Entry], slots: Sequence[Filled] | None = None
) -> dict[str, int]:
    """Return the figures by which population, log and schedule reconcile.

    Args:
        rows: of the population.
        leaves: of the period.
        slots: moments of the schedule; None where they are not known.
    """
    states = {f"runs {state}": sum(row.state == state for row in rows) for state in (SEALED, OPEN, DISPOSED)}
    reasons = (IN_POPULATION, OTHER_CONTROL, OTHER_EVENT)
    explained = {f"leaves: {why}": sum(one.explained == why for one in leaves) for why in reasons}
    became = {f"moments {state}": sum(one.state == state for one in slots or ()) for state in DECIDED}
    due = {} if slots is None else {"moments": len(slots), **became}
    return {"runs": len(rows), **states, "leaves": len(leaves), **explained, **due}


def sheet(kind: type[Row] | type[Entry], rows: Iterable[Row | Entry]) -> bytes:
    """Return rows as CSV (RFC 4180), every cell in quotes; no cell is a formula to a spreadsheet."""
    names = [field.name for field in fields(kind)]
    lines = [names, *([getattr(row, name) for name in names] for row in rows)]
    return "".join(",".join(map(_cell, line)) + "\r\n" for line in lines).encode("utf-8", "backslashreplace")


def _cell(text: str) -> str:
    tame = f"'{text}" if _SHEET_FORMULA.match(text) else text
    return '"' + tame.replace('"', '""') + '"'


def _first(life: Life) -> int:
    return min(step[0] for step in (life.requested, life.started, *life.finished, *life.changes) if step)


def _row(run: str, life: Life, story: Story, stated: Stated) -> Row:
    asked = life.requested[1] if life.requested else RunRequested(time=_moment_of(life), run=run)
    index, sealed = life.finished[-1] if life.finished else (_first(life), None)
    told = stated(sealed) if sealed else None
    digest = _digest(sealed)
    started = sealed.started if sealed else life.started[1].time if life.started else None
    return Row(
        run=run,
        state=_state(run, sealed, digest, story),
        procedure=asked.procedure,
        system=asked.system,
        environment=asked.environment,
        trigger=asked.trigger,
        actor=asked.actor,
        scheduled_for=written(asked.scheduled_for) if asked.scheduled_for else "",
        requested=written(asked.time) if life.requested else "",
        started=written(started) if started else "",
        finished=told.finished if told else "",
        verdict=sealed.verdict if sealed else "",
        cause=told.cause if told else "",
        log_index=str(index),
        record_sha256=digest,
    )


def _state(run: str, sealed: RunFinished | None, digest: str, story: Story) -> str:
    if sealed is None:
        return OPEN
    return DISPOSED if (run, digest) in story.disposed else SEALED


def _digest(sealed: RunFinished | None) -> str:
    return next((one.sha256 for one in sealed.subjects if one.name == ENVELOPE), "") if sealed else ""


def _moment_of(life: Life) -> datetime:
    steps = (life.started, *life.finished, *life.changes)
    return next(step[1].time for step in steps if step)


def _entries(
    events: Iterable[tuple[int, Event]], runs: Collection[str], beside: Collection[int], extent: Extent
) -> Iterator[Entry]:
    for index, event in events:
        run = str(getattr(event, "run", ""))
        ours = run in runs or index in beside
        if ours or extent.covers(event.time):
            why = IN_POPULATION if ours else OTHER_CONTROL if run else OTHER_EVENT
            yield Entry(str(index), written(event.time), event.kind, run, why)
