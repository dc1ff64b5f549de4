"""A system's daily, weekly, monthly or quarterly list.

`run_routine` runs the procedures of a list side by side, then the notebook `checklist`, which keeps
the whole as one record. `collect` is what that notebook asks: it reuses records that are fresh
enough and runs the rest, so the notebook alone (in JupyterLab, under stock papermill) does the same.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opslib import catalog, ids
from opslib.errors import UnknownName
from opslib.runner import attempt
from opslib.runner.lines import CHECKLIST, COLUMNS, Documents, Job, Line, answered
from opslib.verdict import Status, combine

if TYPE_CHECKING:
    import pandas as pd

    from opslib.config import Environment
    from opslib.runner.request import Request

JOBS = 2
MOST_SECONDS = 900  # for one procedure that `collect` starts itself


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
    progress: Callable[[str], None] | None = None,
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
        progress: told a short line when something is done.

    Raises:
        UnknownName: there is no such system, environment or routine.
        ConfigError: a file is wrong.
    """
    target = attempt.target(system, environment)
    items = target.system.routine(name).items
    asked = _Asked(
        system, environment, archive, trigger, actor, scheduled_for, progress or (lambda text: None)
    )
    started = ids.now()
    with attempt.sandbox_for(target, progress):
        target = attempt.target(system, environment)
        lines = answered(items, target, lambda jobs: _together(jobs, asked))
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

    def answer(jobs: Sequence[Job]) -> Documents:
        def one(job: Job) -> Mapping[str, Any]:
            return _fresh(job, target, max_age_minutes, archive) or _apart(job, target, archive)

        with ThreadPoolExecutor(JOBS) as pool:
            return dict(zip([job.key for job in jobs], pool.map(one, jobs), strict=True))

    lines = answered(items, target, answer)
    return pd.DataFrame([astuple(line) for line in lines], columns=list(COLUMNS))


# ---- ways to get a job answered


@dataclass(frozen=True)
class _Asked:
    """What all runs of one routine have in common."""

    system: str
    environment: str
    archive: Path
    trigger: str
    actor: str
    scheduled_for: str | None
    progress: Callable[[str], None]

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

    done: list[str] = []

    def told(outcome: execute.Outcome) -> None:
        done.append(outcome.document["procedure"])
        asked.progress(f"{len(done)}/{len(jobs)} {done[-1]}: {outcome.status}")

    outcomes = execute.run_many([asked.request(job) for job in jobs], jobs=JOBS, on_done=told)
    return {job.key: outcome.document for job, outcome in zip(jobs, outcomes, strict=True)}


def _kept(name: str, minutes: int, asked: _Asked) -> Mapping[str, Any] | None:
    """Run the checklist on the records just made; None while there is no such notebook."""
    from opslib.runner import execute

    known = catalog.load()
    if CHECKLIST not in known.ids:
        return None
    asked.progress(f"keeping the {name} checklist")
    procedure = known.get(CHECKLIST)
    parameters = procedure.parse({"routine": name, "max_age_minutes": max(minutes, 30)})
    return execute.run(asked.request(Job(procedure, parameters), scheduled=True)).document


def _fresh(job: Job, target: Environment, max_age_minutes: int, archive: Path) -> dict[str, Any] | None:
    """Return the newest record of a job, if it is young enough and was given the same parameters."""
    from opslib.archive.index import Index

    rows = Index(archive).find(
        procedure=job.procedure.id, system=target.system.name, environment=target.name, limit=5
    )
    oldest = ids.stamp(ids.now() - timedelta(minutes=max_age_minutes))
    for row in rows:
        if row["finished_at"] >= oldest and row["parameters"] == dict(job.parameters):
            return {**row, "state": "fresh"}
    return None


def _apart(job: Job, target: Environment, archive: Path) -> dict[str, Any]:
    """Run a job in a process of its own: the kernel that asks is busy with its own notebook."""
    words = [sys.executable, "-m", "opslib", "run", job.procedure.id, "--json", "--archive", str(archive)]
    words += ["--system", target.system.name, "--env", target.name]
    words += [word for name, value in job.parameters.items() for word in ("-p", f"{name}={_text(value)}")]
    own = {key: value for key, value in os.environ.items() if key != "OPSLIB_RUN_ID"}
    try:
        done = subprocess.run(
            words, capture_output=True, text=True, env=own, timeout=MOST_SECONDS, stdin=subprocess.DEVNULL
        )
        document = json.loads(done.stdout)
    except subprocess.TimeoutExpired:
        return {"error": f"no verdict within {MOST_SECONDS} s"}
    except ValueError:
        return {"error": f"ended with exit code {done.returncode} and without a verdict"}
    return {"error": document["error"]["message"]} if "error" in document else dict(document)


def _text(value: Any) -> str:
    return json.dumps(value) if isinstance(value, list | bool) else str(value)
