"""From an executed notebook to a record: verdict, page, statement, archive, index."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from opslib import ids
from opslib.archive import record, since, store
from opslib.archive.index import Index
from opslib.errors import ArchiveError
from opslib.masking import Masker
from opslib.runner import notary, results
from opslib.runner.request import Ending, Outcome
from opslib.verdict import Cause, Finding, Status

HISTORY_RUNS = 30


def seal(
    notebook: Mapping[str, Any], intent: Mapping[str, Any], ending: Ending, masker: Masker,
    *, finished: datetime | None = None,
) -> Outcome:  # fmt: skip
    """Put the record of a run into the archive.

    Args:
        notebook: the executed notebook, masked, as plain JSON.
        intent: what was asked, as the spool keeps it.
        ending: how the execution ended.
        masker: knows the secrets, and what was masked so far.
        finished: when the run ended or was last seen; now when not given.

    Raises:
        ArchiveError, DiskFull: the record could not be written.
    """
    from opslib.runner import page

    result, fault = results.read(notebook)
    if fault and not ending.cause:
        ending = Ending("procedure-broke", fault)
    document = _document(intent, result, ending, finished or ids.now())
    archive = Path(intent["archive"])
    calls = result.get("calls", [])
    stated = _stated(document, intent, ending, masker, calls)
    files = {"run.ipynb": record.encode(notebook)}
    shown = record.statement(stated, files)
    before = (
        _history(archive, document),
        _since(archive, record.document(shown, archive)),
        _unreadable(archive),
    )
    # Once more: what a page leaves out of what was shown may have stood between two halves of a secret.
    files["run.html"] = masker.mask_known(page.render(notebook, shown, *before)).encode()
    whole = record.encode(record.statement(_stated(document, intent, ending, masker, calls), files))
    started = datetime.fromisoformat(intent["started_at"])
    files |= {notary.STATEMENT: whole, **notary.signed(whole)}
    folder = store.publish(archive, document["run_id"], started, files)
    notary.sealed(archive, folder, str(intent["origin"].get("actor", "")))
    document["record"] = str(folder)
    Index(archive).add(record.document(json.loads(whole), folder), folder)
    return Outcome.of(document, folder)


def prepare() -> None:
    """Do ahead, once a process, what the first seal would spend most of its time on."""
    from opslib.runner import page

    page.prepare()


def unkept(intent: Mapping[str, Any], ending: Ending) -> dict[str, Any]:
    """Return the document of a run of which there is no record."""
    return _document(intent, {}, ending, ids.now())


def taken_over(intent: Mapping[str, Any]) -> bool:
    """Say whether the record of a run is in the archive already, and see that the index knows it.

    A runner may die after its record is safe and before the index has heard of it.
    """
    archive = Path(intent["archive"])
    started = datetime.fromisoformat(intent["started_at"])
    folder = store.folder(archive, intent["run_id"], started)
    kept = folder / notary.STATEMENT
    if not kept.is_file():
        return False
    notary.sealed(archive, folder)
    Index(archive).add(record.document(json.loads(kept.read_text(encoding="utf-8")), folder), folder)
    return True


def _document(
    intent: Mapping[str, Any], result: Mapping[str, Any], ending: Ending, finished: datetime
) -> dict[str, Any]:
    started = datetime.fromisoformat(intent["started_at"])
    finished = max(started, finished)  # the clock of a file system is coarser
    document: dict[str, Any] = {
        "run_id": intent["run_id"],
        "procedure": intent["procedure"],
        "system": intent["system"],
        "environment": intent["environment"],
        "verdict": result.get("verdict", str(Status.UNKNOWN)),
        "cause": result.get("cause"),
        "causes": list(result.get("causes", [])),
        "findings": list(result.get("findings", [])),
        "next": list(result.get("next", [])),
        "plan": result.get("plan"),
        "no_plan": str(result.get("no_plan") or ""),
        "changed": list(result.get("changed", [])),
        "record": "",
        "started_at": intent["started_at"],
        "finished_at": ids.stamp(finished),
        "duration_s": round((finished - started).total_seconds(), 3),
    }
    return _broken(document, ending) if ending.cause else document


def _broken(document: dict[str, Any], ending: Ending) -> dict[str, Any]:
    """A run that did not end by itself is unknown, whatever it had said before."""
    cause = Cause(ending.cause, ending.text).to_dict()
    found = Finding("run", Status.UNKNOWN, document["procedure"], "did not finish", why=ending.text)
    return {
        **document,
        "verdict": str(Status.UNKNOWN),
        "cause": cause,
        "causes": [cause, *document["causes"]],
        "findings": [*document["findings"], found.to_dict()],
    }


def _stated(
    document: Mapping[str, Any],
    intent: Mapping[str, Any],
    ending: Ending,
    masker: Masker,
    calls: list[Any],
) -> dict[str, Any]:
    error = {"cell": ending.cell, "type": ending.error, "text": ending.text} if ending.cause else None
    return record.predicate(document, {**intent["origin"], "masked": masker.summary(), "error": error}, calls)


def _history(archive: Path, document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the last runs of the same thing, the oldest first, this one last; none if they cannot be read.

    An old record that somebody damaged must not keep a new one from being kept.
    """
    names = ("run_id", "verdict", "started_at", "duration_s")
    same = {name: document[name] for name in ("procedure", "system", "environment")}
    try:
        earlier = Index(archive).find(limit=HISTORY_RUNS - 1, **same)
    except ArchiveError:
        return []
    rows = [{name: row[name] for name in names} for row in reversed(earlier)]
    return [*rows, {name: document[name] for name in names}]


def _since(archive: Path, document: Mapping[str, Any]) -> since.Since | None:
    """Return a run that is not ok against the last ok one; None if it is ok, or the index cannot be read."""
    if document["verdict"] == Status.OK:
        return None
    try:
        return since.compared(Index(archive), document)
    except ArchiveError:
        return None


def _unreadable(archive: Path) -> int:
    try:
        return len(Index(archive).unreadable())
    except ArchiveError:
        return 0  # then the history is missing as a whole, and that is said
