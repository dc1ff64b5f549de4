"""From the items of a list to its lines: what answers each item, and what came out of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from opslib import catalog
from opslib.catalog import Catalog, Procedure
from opslib.errors import OpsError
from opslib.verdict import Status

if TYPE_CHECKING:
    from opslib.config import Environment, RoutineItem

CHECKLIST = "checklist"


@dataclass(frozen=True)
class Line:
    """One item of a list, with its result.

    Args:
        item: the item's title, as the runbook has it.
        by: `procedure` or `person`.
        procedure: the procedure that answers it, or an empty string.
        verdict: its verdict; `skipped` for what was not run.
        cause: id of the cause that was found.
        why: the cause in a sentence, or why the item was not run.
        record: where the run is kept.
        finished_at: when it ended, RFC 3339.
        state: `ran`, `fresh` (an earlier record counted), `open`, `not built`, `not possible`, `failed`.
    """

    item: str
    by: str
    procedure: str
    verdict: str
    cause: str = ""
    why: str = ""
    record: str = ""
    finished_at: str = ""
    state: str = "ran"


COLUMNS = tuple(field.name for field in fields(Line))


@dataclass(frozen=True)
class Job:
    """One procedure that a list asks for, once, however many items it answers."""

    procedure: Procedure
    parameters: Mapping[str, Any]

    @property
    def key(self) -> str:
        """Identity of the job within one routine."""
        return json.dumps([self.procedure.id, self.parameters], sort_keys=True, default=str)


Documents = Mapping[str, Mapping[str, Any]]
Answer = Callable[[Sequence[Job]], Documents]


def answered(items: Iterable[RoutineItem], target: Environment, answer: Answer) -> tuple[Line, ...]:
    """Return one line an item; each procedure with the same parameters is asked for once.

    Args:
        items: the list.
        target: the environment that it is about.
        answer: gets jobs done and returns their documents by `Job.key`; a document may instead
            say `{"error": text}`, and may carry `state`.
    """
    known = catalog.load()
    planned = [(item, _planned(item, target, known)) for item in items]
    jobs = {plan.key: plan for _, plan in planned if isinstance(plan, Job)}
    documents = answer(list(jobs.values()))
    return tuple(
        _line(item, documents[plan.key]) if isinstance(plan, Job) else plan for item, plan in planned
    )


def _planned(item: RoutineItem, target: Environment, known: Catalog) -> Job | Line:
    """Return the job that answers an item, or the line that says why there is none."""
    if item.procedure is None:
        return _not_run(item, "open", "open: only a person can do this")
    if item.procedure == CHECKLIST:
        return _not_run(item, "not possible", "a checklist cannot be an item of one")
    try:
        if item.procedure not in known.ids and item.procedure not in known.problems:
            return _not_run(item, "not built", f"there is no procedure {item.procedure} yet")
        procedure = known.get(item.procedure)
        reasons = procedure.missing(target)
        if reasons:
            return _not_run(item, "not possible", "; ".join(reasons))
        return Job(procedure, procedure.parse(item.parameters))
    except OpsError as error:
        return _failed(item, error.message)


def _not_run(item: RoutineItem, state: str, why: str) -> Line:
    return Line(item.title, item.by, item.procedure or "", str(Status.SKIPPED), why=why, state=state)


def _failed(item: RoutineItem, why: str) -> Line:
    return Line(item.title, item.by, item.procedure or "", str(Status.UNKNOWN), why=why, state="failed")


def _line(item: RoutineItem, document: Mapping[str, Any]) -> Line:
    if "error" in document:
        return _failed(item, document["error"])
    cause = document.get("cause") or {}
    return Line(
        item.title,
        item.by,
        document["procedure"],
        document["verdict"],
        cause.get("id", ""),
        cause.get("text", "") or _worst(document.get("findings", [])),
        str(document.get("record") or ""),
        document.get("finished_at", ""),
        document.get("state", "ran" if document.get("record") else "failed"),
    )


def _worst(findings: Iterable[Mapping[str, str]]) -> str:
    """Return the worst finding that is not ok, in a few words."""
    bad = [f for f in findings if f["status"] not in (Status.OK, Status.SKIPPED)]
    worst = max(bad, key=lambda f: Status(f["status"]).severity, default=None)
    return f"{worst['key']}: {worst['why'] or worst['observed']}" if worst else ""
