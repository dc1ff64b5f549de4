"""Archives full of runs, for tests that read them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from opslib import ids
from opslib.archive import record, store
from opslib.archive.index import Index
from opslib.runner import notary
from tests.pages import finding

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
EMPTY: dict[str, Any] = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": []}

Json = dict[str, Any]


def keep(archive: Path, run_id: str, ago: timedelta = timedelta(), **told: Any) -> Path:
    """Put a run into an archive, as the runner does; return the folder of its record.

    Args:
        archive: the archive's folder.
        run_id: its id.
        ago: how long before `NOW` it began.
        told: what differs from an ok run of site-down on kulti (production) by ana; `cells` are those of
            its notebook, `sha256` is that of the notebook it was made from; with `sealed`, its record is
            signed and logged with the keys in `OPSLIB_HOME`; `page` is its kept report.
    """
    sealed, page = told.pop("sealed", False), told.pop("page", "<p>")
    began = NOW - ago
    whole = record.encode({**EMPTY, "cells": told.pop("cells", [])})
    stated = record.statement(record.predicate(_document(run_id, began, told), _origin(told), []), {})
    files = {"run.ipynb": whole, "run.html": page.encode()}
    content = record.encode(record.statement(stated["predicate"], files))
    signed = notary.signed(content) if sealed else {}
    folder = store.publish(archive, run_id, began, {**files, "run.json": content, **signed})
    if sealed:
        notary.sealed(archive, folder)
    Index(archive).add(record.document(stated, folder), folder)
    return folder


def found(check: str, status: str = "ok", **told: str) -> Json:
    """Return one finding, whose key is its check and subject."""
    key = f"{check}:{told['subject']}" if told.get("subject") else check
    return {**finding(check, status, **told), "key": key}


def cause(name: str, text: str = "something is wrong") -> Json:
    """Return what tells a run its cause."""
    one = {"id": name, "text": text}
    return {"cause": one, "causes": [one]}


def statement(folder: Path) -> Json:
    """Return the statement of a record."""
    whole: Json = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    return whole


def _document(run_id: str, began: datetime, told: Json) -> Json:
    return {
        "run_id": run_id, "procedure": "site-down", "system": "kulti", "environment": "production",
        "verdict": "ok", "cause": None, "causes": [], "findings": [], "next": [], "plan": None, "changed": [],
        "started_at": ids.stamp(began), "finished_at": ids.stamp(began + timedelta(seconds=2)),
        "duration_s": 2.0, **told,
    }  # fmt: skip


def _origin(told: Json) -> Json:
    source = {"name": "x.ipynb", "sha256": told.get("sha256", "0" * 64), "commit": told.get("commit")}
    return {
        "parameters": {}, "trigger": "manual", "scheduled_for": None, "secrets": [], "actor": "ana",
        "actor_type": "User", "host": "here", "versions": {}, "masked": {},
        "source": {**source, "dirty": None}, **told,
    }  # fmt: skip
