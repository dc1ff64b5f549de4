"""Start what a slot of the schedule asks for."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opslib import catalog, ids
from opslib.runner import attempt, routine
from opslib.schedule import TRIGGER, name

if TYPE_CHECKING:
    from opslib.config import Slot


def start(slot: Slot, moment: datetime, archive: Path) -> dict[str, Any]:
    """Run a slot for one moment.

    Returns:
        `verdict`, `run_id`, `record`; the run's record names the slot and the moment.

    Raises:
        OpsError: the slot cannot be run as it is written.
    """
    document = _routine(slot, moment, archive) if slot.routine else _procedure(slot, moment, archive)
    return {key: document[key] for key in ("verdict", "run_id", "record")}


def _routine(slot: Slot, moment: datetime, archive: Path) -> dict[str, Any]:
    done = routine.run_routine(
        slot.system,
        slot.environment,
        str(slot.routine),
        archive=archive,
        trigger=TRIGGER,
        actor=name(slot),
        scheduled_for=ids.stamp(moment),
    )
    return done.to_dict()


def _procedure(slot: Slot, moment: datetime, archive: Path) -> dict[str, Any]:
    from opslib.runner.request import Request

    procedure = catalog.load().get(str(slot.procedure))
    target = attempt.target(slot.system, slot.environment)
    request = Request(
        procedure=procedure,
        system=slot.system,
        environment=slot.environment,
        parameters=procedure.parse(slot.parameters),
        archive=archive,
        trigger=TRIGGER,
        actor=name(slot),
        scheduled_for=ids.stamp(moment),
    )
    return attempt.attempt(request, target)
