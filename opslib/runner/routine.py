"""A system's daily, weekly, monthly or quarterly list.

`run_routine` runs the procedures of a list side by side, then the notebook `checklist`, which keeps
the whole as one record. `collect` is what that notebook asks: it reuses records that are fresh
enough and runs the rest, so the notebook alone (in JupyterLab, under stock papermill) does the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opslib import catalog, ids
from opslib.errors import UnknownName
from opslib.runner import attempt
from opslib.runner.lines import CHECKLIST, COLUMNS, Documents, Job, Line, answered
from opslib.runner.watch import Watch
from opslib.verdict import Status, combine

if TYPE_CHECKING:
    import pandas as pd

    from opslib.config import Environment
    from opslib.runner.request import Request

_EARLIER_RUNS = 50  # of one procedure, among which one with the same parameters is looked for


@dataclass(frozen=True)
class Routine:
    """A routine that was run.

    Args:
        lines: one an item, in the order of the list.
        document: the document of the run that keeps it, None when the checklist could not run.
    """

    name: str
    system: str
    environment: str
    lines: tuple[Line, ...]
    document: Mapping[str, Any] | None

    @property
    def status(self) -> Status:
        """The worst verdict; what was skipped counts only if everything was."""
        statuses = [Status(line.verdict) for line in self.lines]
        if self.document and any(status is not Status.SKIPPED for status in statuses):
            statuses.append(Status(self.document["verdict"]))
        return combine(statuses)

    def to_dict(self) -> dict[str, Any]:
        """The routine as one JSON object."""
        return {
            "routine": self.name,
            "system": self.system,
            "environment": self.environment,
            "verdict": str(self.status),
            "items": [{name: getattr(line, name) for name in COLUMNS} for line in self.lines],
            "run_id": self.document["run_id"] if self.document else None,
            "record": self.document["record"] if self.document else None,
        }


def run_routine(
    system: str,
    environment: str,
    name: str,
    *,
    archive: Path,
    trigger: str = "routine",
    actor: str = "",
    scheduled_for: str | None = None,
    jobs: int | None = None,
    watch: Watch | None = None,
) -> Routine:
    """Run a routine and keep it as one record of the procedure `checklist`.

    Args:
        system: a system with a file in `parameters/systems`.
        environment: one of its environments.
        name: daily, weekly, monthly or quarterly.
        archive: where the records go.
        trigger: what started it.
        actor: who started it; for a schedule, the slot.
        scheduled_for: the moment of the schedule, RFC 3339.
        jobs: how many procedures at the same time; None for two more than there are cores.
        watch: told how far they are.

    Raises:
        UnknownName: there is no such system, environment or routine.
        ConfigError: a file is wrong.
    """
    target = attempt.target(system, environment)
    items = target.system.routine(name).items
    watch = watch or Watch()
    asked = _Asked(system, environment, archive, trigger, actor, scheduled_for, jobs, watch)
    started = ids.now()
    with attempt.sandbox_for(target, progress=watch.say):
        target = attempt.target(system, environment)
        lines = answered(items, target, lambda wanted: _together(wanted, asked))
        minutes = int((ids.now() - started) / timedelta(minutes=1)) + 5
        document = _kept(name, minutes, asked)
    return Routine(name, system, environment, lines, document)


def collect(system: str, environment: str, routine: str, max_age_minutes: int, archive: Path) -> pd.DataFrame:
    """Return the items of a routine with their results, running the procedures that have no fresh one.

    Args:
        system: a system with a file in `parameters/systems`.
        environment: one of its environments.
        routine: daily, weekly, monthly or quarterly.
        max_age_minutes: a record younger than this counts.
        archive: where records are looked for and kept.

    Returns:
        One row an item, in the order of the list: columns as `COLUMNS`; empty, with the reason, when
        the system has no such routine.
    """
    import pandas as pd

    from opslib import frames

    target = attempt.target(system, environment)
    try:
        items = target.system.routine(routine).items
    except UnknownName as error:
        return frames.unavailable(COLUMNS, error.message)

    oldest = ids.now() - timedelta(minutes=max_age_minutes)
    lines = answered(items, target, lambda wanted: _fresh_or_run(wanted, target, oldest, archive))
    return pd.DataFrame([astuple(line) for line in lines], columns=list(COLUMNS))


@dataclass(frozen=True)
class _Asked:
    """What all runs of one routine have in common."""

    system: str
    environment: str
    archive: Path
    trigger: str
    actor: str
    scheduled_for: str | None
    jobs: int | None
    watch: Watch

    def request(self, job: Job, *, scheduled: bool = False) -> Request:
        from opslib.runner.request import Request

        return Request(
            procedure=job.procedure,
            system=self.system,
            environment=self.environment,
            parameters=dict(job.parameters),
            archive=self.archive,
            trigger=self.trigger if scheduled else "routine",
            actor=self.actor,
            scheduled_for=self.scheduled_for if scheduled else None,
        )


def _together(jobs: Sequence[Job], asked: _Asked) -> Documents:
    """Run jobs side by side in this process."""
    from opslib.runner import execute

    requests = [asked.watch.over(asked.request(job)) for job in jobs]
    asked.watch.expect(len(requests))
    outcomes = execute.run_many(requests, jobs=asked.jobs, on_done=asked.watch.done)
    return {job.key: outcome.document for job, outcome in zip(jobs, outcomes, strict=True)}


def _kept(name: str, minutes: int, asked: _Asked) -> Mapping[str, Any] | None:
    """Run the checklist on the records just made; None while there is no such notebook."""
    from opslib.runner import execute

    known = catalog.load()
    if CHECKLIST not in known.ids:
        return None
    asked.watch.say(f"keeping the {name} checklist")
    procedure = known.get(CHECKLIST)
    parameters = procedure.parse({"routine": name, "max_age_minutes": max(minutes, 30)})
    request = asked.watch.over(asked.request(Job(procedure, parameters), scheduled=True))
    return execute.run_many([request])[0].document


def _fresh_or_run(jobs: Sequence[Job], target: Environment, oldest: datetime, archive: Path) -> Documents:
    """Return what is kept of jobs since a moment, and run the others."""
    from opslib.runner import apart, recover

    fresh = _since(oldest, jobs, target, archive)
    begun = ids.now()
    missing = [job for job in jobs if job.key not in fresh]
    ran = apart.run(missing, target, archive)
    failed = [job for job in missing if "error" in ran[job.key]]
    if failed:  # of a process that was cut off no answer came, but what its runs came to is there
        recover.sweep(archive)
    ended = _since(begun, failed, target, archive)
    return {
        **{key: {**document, "state": "fresh"} for key, document in fresh.items()},
        **ran,
        **ended,
    }


def _since(oldest: datetime, jobs: Sequence[Job], target: Environment, archive: Path) -> Documents:
    """Return the newest record of each job that was given the same parameters and is young enough."""
    found = {job.key: _newest(job, target, archive) for job in jobs}
    moment = ids.stamp(oldest)
    return {key: row for key, row in found.items() if row and row["finished_at"] >= moment}


def _newest(job: Job, target: Environment, archive: Path) -> dict[str, Any] | None:
    from opslib.archive.index import Index

    names = {"procedure": job.procedure.id, "system": target.system.name, "environment": target.name}
    rows = Index(archive).find(limit=_EARLIER_RUNS, **names)
    return next((row for row in rows if row["parameters"] == dict(job.parameters)), None)
