"""What the log of an archive is told of the schedule, so that no run that was due is left out unseen."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING

from opslib import config, ids, schedule
from opslib.runner import notary, origin

if TYPE_CHECKING:
    from opslib.config import Slot
    from opslib.evidence.events import Event, Planned, Subject
    from opslib.schedule import Due, Ticked


def seen(archive: Path, slots: Sequence[Slot]) -> None:
    """Tell the log of the schedule, if it is another one than the log knows.

    Args:
        archive: whose log.
        slots: the schedule as it is now.
    """
    from opslib.evidence.events import ScheduleChanged
    from opslib.runner.known import known

    with notary.complaining(f"the schedule is not in the log of {archive}"):
        before, now, files = known(archive / notary.LOG), _planned(slots), _file()
        same = before.slots == now and before.file == "".join(one.sha256 for one in files)
        if same or (before.slots is None and not now and not files):
            return
        event = ScheduleChanged(time=ids.now(), actor=origin.user(), slots=now, subjects=files)
        notary.log_of(archive).append(event)


def skipped(archive: Path, done: Ticked) -> None:
    """Tell the log which moments of the schedule pass without a run, and why; of each once."""
    from opslib.runner.known import known

    if not done.missed:
        return
    with notary.complaining(f"missed moments are not in the log of {archive}"):
        events = list(_skips(done.missed, known(archive / notary.LOG).skipped))
        if events:
            notary.log_of(archive).append(*events)


def unlike(archive: Path, slots: Sequence[Slot]) -> str:
    """Return, as a sentence, that the log knows another schedule than there is now; "" if it is the same.

    Raises:
        ArchiveError: the log's head cannot be read.
        NotSound: the log is damaged.
    """
    from opslib.runner.known import known

    before = known(archive / notary.LOG)
    if (before.slots or ()) == _planned(slots):
        return ""
    logged = f"the one that the log knows since {before.since}" if before.slots else "known to the log"
    return f"parameters/{config.schedule_file().name} is not {logged}: `opslib schedule list` tells it"


def between(planned: Planned, begin: datetime, end: datetime) -> Iterator[datetime]:
    """Yield when an entry of the schedule was due, from a moment on and before another, the newest first."""
    past = takewhile(lambda moment: moment >= begin, schedule.moments(planned, end))
    return (moment for moment in past if moment < end)


def _planned(slots: Iterable[Slot]) -> tuple[Planned, ...]:
    from opslib.evidence.events import Planned
    from opslib.evidence.parts import ROUTINE

    return tuple(
        Planned(
            name=schedule.name(slot),
            runs=slot.procedure or f"{slot.routine}{ROUTINE}",
            system=slot.system,
            environment=slot.environment,
            cron=slot.cron,
            timezone=slot.timezone,
            latest_start=str(math.ceil(slot.latest_start_minutes)),
        )
        for slot in slots
    )


def _file() -> tuple[Subject, ...]:
    from opslib.evidence.events import Subject

    path = config.schedule_file()
    try:
        return (Subject(path.name, hashlib.sha256(path.read_bytes()).hexdigest()),)
    except FileNotFoundError:
        return ()


def _skips(missed: Iterable[Due], told: dict[str, str]) -> Iterator[Event]:
    from opslib.evidence.events import SlotSkipped
    from opslib.evidence.plain import written

    for due in missed:
        name = schedule.name(due.slot)
        if told.get(name, "") < written(due.scheduled_for):
            yield SlotSkipped(time=ids.now(), slot=name, scheduled_for=due.scheduled_for, reason=_why(due))


def _why(due: Due) -> str:
    latest = due.scheduled_for + timedelta(minutes=due.slot.latest_start_minutes)
    text = f"nothing had begun it by {latest:%Y-%m-%d %H:%M} UTC"
    return f"{text}; only the latest that was missed is run" if due.slot.catch_up == "last" else text
