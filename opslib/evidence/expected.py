"""The moments of the schedule that an export is about, and what became of each, beside the evidence."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

from opslib.evidence.complete import DUE, timetable, unknown
from opslib.evidence.findings import Filled, Finding, Kind, Moments, Scope, Slot
from opslib.evidence.layout import SLOTS
from opslib.evidence.lives import Story
from opslib.evidence.parts import ROUTINE, Planned
from opslib.evidence.plain import NotSound, content_of, moment
from opslib.evidence.population import Extent

SLOTS_INSIDE = f"which runs were due was taken from {SLOTS}, and not found out again from the log"


def read_slots(path: Path) -> tuple[Slot, ...] | None:
    """Return the moments that a file names; None where there is no file.

    Args:
        path: `slots.json`, a list of `name` and `moment`; what else stands there is not read.

    Raises:
        NotSound: it is no such list.
    """
    content = content_of(path)
    if content is None:
        return None
    try:
        return tuple(Slot(str(one["name"]), moment(one["moment"])) for one in json.loads(content))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise NotSound(f"{path.name} is no list of name and moment: {error}") from None


def slots_inside(folder: Path) -> tuple[tuple[Slot, ...] | None, tuple[Finding, ...]]:
    """Return the moments that an export names, None where it names none, and whether they cannot be read."""
    try:
        return read_slots(folder / SLOTS), ()
    except NotSound as error:
        return (), (Finding(Kind.FILE_EDITED, SLOTS, str(error)),)


def expected(story: Story, extent: Extent, moments: Moments, now: datetime) -> tuple[Filled, ...] | None:
    """Return what became of each moment that is over; None where the log knows no schedule of the period.

    A routine is in, whatever it runs: the log does not say what that was.

    Args:
        story: of all runs, with the schedules that the log holds.
        extent: procedures and period.
        moments: says when an entry of the schedule was due.
        now: the present; of a moment whose run may still begin nothing is told.
    """
    if not any(event.time < extent.until for event in story.schedules):
        return None

    def ours(planned: Planned, begin: datetime, end: datetime) -> Iterable[datetime]:
        fits = planned.runs in extent.procedures or planned.runs.endswith(ROUTINE)
        return moments(planned, begin, end) if fits else ()

    scope = Scope(since=extent.since, until=extent.until, moments=ours, now=now)
    return tuple(one for one in timetable(story, scope) if one.state != DUE)


def slots_text(slots: Iterable[Filled]) -> bytes:
    """Return moments as they are handed over."""
    return (json.dumps([one.to_dict() for one in slots], indent=1) + "\n").encode()


def unlike_slots(folder: Path, slots: Sequence[Filled]) -> Iterator[Finding]:
    """Yield moments of which something else was handed over than log and records say.

    Args:
        folder: of the export.
        slots: what follows from log and records for the moments that it names.
    """
    right = [one.to_dict() for one in slots]
    if not slots_inside(folder)[0]:
        return
    for one in json.loads(content_of(folder / SLOTS) or b"[]"):
        if one not in right:
            name = f"{SLOTS}: {one['name']} {one['moment']}"
            yield Finding(Kind.FILE_EDITED, name, "is not what became of it, or not of the period")


def undue(story: Story, scope: Scope) -> Iterator[str]:
    """Yield what the moments that were handed over do not show, in sentences."""
    if scope.slots is not None:
        yield SLOTS_INSIDE
        yield from unknown(story, scope)
