"""The planned moments of a procedure at which nothing was run.

They follow from the schedule as it stands now, from the first run that a slot has ever started on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import islice, pairwise, takewhile
from typing import TYPE_CHECKING, Any

from opslib import schedule

if TYPE_CHECKING:
    from opslib.config import Slot

_PENDING = ("due", "running")


def of(slots: Iterable[Slot], runs: Sequence[Mapping[str, Any]]) -> list[Slot]:
    """Return the slots that have started any of some runs, by themselves or as a routine.

    Args:
        slots: the schedule.
        runs: documents of runs of one procedure on one system and environment.
    """
    actors = {run["actor"] for run in runs}
    return [slot for slot in slots if schedule.name(slot) in actors]


def missed(
    slot: Slot, runs: Sequence[Mapping[str, Any]], index: schedule.Runs, now: datetime, most: int
) -> list[datetime]:
    """Return the last moments of a slot at which nothing was run and nothing will be.

    Args:
        slot: one of `of`.
        runs: as for `of`.
        index: the archive's index.
        now: the current time.
        most: how many moments to go back.
    """
    own = [run for run in runs if run["actor"] == schedule.name(slot)]
    times = [datetime.fromisoformat(run["scheduled_for"] or run["started_at"]) for run in own]
    times += [planned for planned, _, _ in index.scheduled(schedule.name(slot))]
    first = min(times)
    planned = list(islice(takewhile(lambda moment: moment > first, schedule.moments(slot, now)), most))
    spans = list(pairwise([now, *planned]))
    gone = [moment for after, moment in spans if not any(moment <= time < after for time in times)]
    latest = schedule.due([slot], index, now)[-1:]
    pending = {item.scheduled_for for item in latest if item.state in _PENDING}
    return [moment for moment in gone if moment not in pending]
