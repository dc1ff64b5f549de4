"""What is due, and running it once.

Nothing is remembered here: what ran is read from the archive's index, where each scheduled run
keeps the moment it was scheduled for and the slot that started it. So any machine that sees the
archive can say what is due or was missed, and a cron line with `opslib schedule tick` is all it takes.

A slot runs once for a moment even if two ticks come together: a tick takes the lock of the slot's
target, looks at the archive again, and only then runs. The lock dies with the process.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice, takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from zoneinfo import ZoneInfo

from cronsim import CronSim
from filelock import FileLock, Timeout

from opslib import home, ids
from opslib.errors import OpsError
from opslib.verdict import Status, combine

if TYPE_CHECKING:
    from opslib.config import Slot

TRIGGER = "schedule"
LOOK_BACK = timedelta(days=35)
MOST_MOMENTS = 400  # a slot that runs every minute must not make a list of fifty thousand


@dataclass(frozen=True)
class Due:
    """One moment of one slot.

    Args:
        slot: the line of `parameters/schedule.yml`.
        scheduled_for: the moment, in UTC.
        state: `done`, `running`, `due` (start it) or `missed` (it will not be started any more).
        late: whether its latest start has passed and it is due only as catch-up.
        verdict: how it ended, when it is done.
        run_id: the run, when it is done.
    """

    slot: Slot
    scheduled_for: datetime
    state: str
    late: bool = False
    verdict: str = ""
    run_id: str = ""


@dataclass(frozen=True)
class Ticked:
    """What one tick did.

    Args:
        ran: one entry a slot that was started: slot, scheduled_for, verdict, run_id, record, error.
        missed: moments that were never run and will not be.
        waiting: slots that are due but whose target is busy with another run.
    """

    ran: tuple[dict[str, Any], ...]
    missed: tuple[Due, ...]
    waiting: tuple[Due, ...]

    @property
    def status(self) -> Status:
        """The worst verdict of what ran; ok when nothing was due."""
        return combine(Status(entry["verdict"]) for entry in self.ran) if self.ran else Status.OK


class Runs(Protocol):
    """What the schedule asks of the archive's index."""

    def scheduled(self, slot: str) -> Iterable[tuple[datetime, str, str]]:
        """Yield (scheduled_for, verdict, run id) of the runs that a slot started."""
        ...


def name(slot: Slot) -> str:
    """Return how a slot signs the runs that it starts."""
    return f"{TRIGGER}:{slot.id}"


class Recurring(Protocol):
    """Anything that comes due again and again: a slot, or what the log holds of one."""

    @property
    def cron(self) -> str:
        """Five fields."""
        ...

    @property
    def timezone(self) -> str:
        """In which they are meant."""
        ...


def moments(slot: Recurring, now: datetime) -> Iterator[datetime]:
    """Yield the moments of a slot up to `now`, the newest first, in UTC.

    Hours are those of the slot's time zone: 06:00 stays 06:00 when clocks change, a moment that a
    change skips is moved to the hour after it, one that a change repeats comes once.
    """
    local = now.astimezone(ZoneInfo(slot.timezone)).replace(second=0, microsecond=0)
    for moment in CronSim(slot.cron, local + timedelta(minutes=1), reverse=True):
        yield moment.astimezone(UTC)


def upcoming(slot: Slot, now: datetime) -> datetime:
    """Return the next moment of a slot after `now`, in UTC."""
    return next(CronSim(slot.cron, now.astimezone(ZoneInfo(slot.timezone)))).astimezone(UTC)


def due(slots: Iterable[Slot], index: Runs, now: datetime) -> list[Due]:
    """Return, for each slot, its latest moment and the ones missed since its last run.

    A slot that has never run has missed nothing: only its latest moment is returned.

    Args:
        slots: the schedule.
        index: the archive's index.
        now: the current time.

    Returns:
        By slot, then time; the last one of each slot is its latest moment.
    """
    return [moment for slot in slots for moment in _slot_due(slot, index, now)]


def _slot_due(slot: Slot, index: Runs, now: datetime) -> list[Due]:
    last = max(index.scheduled(name(slot)), default=None)
    newest = next(moments(slot, now), None)
    if newest is None:
        return []
    if last and last[0] >= newest:
        return [Due(slot, last[0], "done", False, last[1], last[2])]
    since = max(last[0], now - LOOK_BACK) if last else newest
    gap = takewhile(lambda moment: moment > since, islice(moments(slot, now), 1, MOST_MOMENTS))
    return [*(Due(slot, moment, "missed") for moment in reversed(list(gap))), _latest(slot, newest, now)]


def _latest(slot: Slot, moment: datetime, now: datetime) -> Due:
    if _claimed(slot, moment):
        return Due(slot, moment, "running")
    late = now - moment > timedelta(minutes=slot.latest_start_minutes)
    return Due(slot, moment, "missed" if late and slot.catch_up == "skip" else "due", late)


Start = Callable[["Slot", datetime, Path], dict[str, Any]]


def tick(
    slots: Sequence[Slot], index: Runs, archive: Path, start: Start, now: datetime | None = None
) -> Ticked:
    """Run once what is due.

    Args:
        slots: the schedule.
        index: the archive's index.
        archive: where records go.
        start: runs one slot for one moment and returns `verdict`, `run_id`, `record`.
        now: the current time; given by tests.

    Returns:
        What ran, what was missed since the last run of its slot, and what waits for its target.
    """
    moment = now or ids.now()
    found = due(slots, index, moment)
    ran: list[dict[str, Any]] = []
    waiting: list[Due] = []
    for item in [item for item in found if item.state in ("due", "running")]:
        with _claim(item) as mine:
            if not mine:
                waiting.append(item)
            elif _still_due(item, index):
                ran.append(_started(item, archive, start))
    return Ticked(tuple(ran), tuple(item for item in found if item.state == "missed"), tuple(waiting))


def _still_due(item: Due, index: Runs) -> bool:
    """Look again under the lock: another tick may have run it between our look and our claim."""
    return all(moment < item.scheduled_for for moment, _, _ in index.scheduled(name(item.slot)))


def _started(item: Due, archive: Path, start: Start) -> dict[str, Any]:
    """Run one slot; what is wrong with one slot's lines must not keep the others from running."""
    entry = {"slot": item.slot.id, "scheduled_for": ids.stamp(item.scheduled_for), "late": item.late}
    try:
        return {**entry, **start(item.slot, item.scheduled_for, archive), "error": ""}
    except OpsError as error:
        return {**entry, "verdict": str(Status.UNKNOWN), "run_id": "", "record": None, "error": error.message}


def _place(slot: Slot, kind: str) -> Path:
    return home.private("locks") / f"schedule-{slot.system}-{slot.environment}.{kind}"


@contextmanager
def _claim(item: Due) -> Iterator[bool]:
    """Hold the target's lock; yields False when another run has it."""
    lock = FileLock(_place(item.slot, "lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        yield False
        return
    note = _place(item.slot, "json")
    try:
        claim = {"slot": item.slot.id, "scheduled_for": ids.stamp(item.scheduled_for), "pid": os.getpid()}
        note.write_text(json.dumps(claim), encoding="utf-8")
        yield True
    finally:
        note.unlink(missing_ok=True)
        lock.release()


def _claimed(slot: Slot, moment: datetime) -> bool:
    """Return whether a living process says that it is running this slot for this moment.

    The lock itself is not tried: trying it would, for an instant, keep a real tick out.
    """
    try:
        claim = json.loads(_place(slot, "json").read_text(encoding="utf-8"))
        os.kill(int(claim["pid"]), 0)
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return bool(claim["slot"] == slot.id and claim["scheduled_for"] == ids.stamp(moment))
