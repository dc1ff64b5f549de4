"""What is left of a record whose content was destroyed: that there was a run, when, and its verdict."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from opslib.archive import shared
from opslib.errors import UsageError

FILE = "disposed.json"
LEFT = (
    "run_id", "procedure", "system", "environment", "verdict", "started_at", "finished_at", "duration_s",
    "trigger", "scheduled_for", "actor", "disposed",
)  # fmt: skip
_EMPTY: dict[str, Any] = {
    "cause": None, "causes": [], "findings": [], "next": [], "plan": None, "no_plan": "", "changed": [],
    "parameters": {},
    "code": {"sha256": None, "commit": None, "changed_since_commit": None},
}  # fmt: skip


def mark(folder: Path, left: Mapping[str, Any]) -> None:
    """Write what is left of a record, unless that was done.

    Args:
        folder: of the record.
        left: has the names of `LEFT`; `disposed` has `policy` and `time`.

    Raises:
        OSError: it cannot be written.
    """
    if not (folder / FILE).exists():
        shared.replace(folder / FILE, (json.dumps(dict(left), indent=1) + "\n").encode())


def told(document: Mapping[str, Any]) -> str:
    """Return, in a sentence, that the content of a run was destroyed; "" where it was not."""
    gone = document.get("disposed")
    if not gone:
        return ""
    return f"the content of {document['run_id']} was destroyed {gone['time'][:10]} under {gone['policy']}"


def must_be_there(*documents: Mapping[str, Any]) -> None:
    """See that runs can be looked at.

    Raises:
        UsageError: the content of one was destroyed.
    """
    for one in documents:
        if why := told(one):
            raise UsageError(why, hint="`opslib verify` without a run looks at the log, which says so")


def document(found: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return what is left of a record in the form of a record's document."""
    return {**{name: found[name] for name in LEFT}, **_EMPTY, "record": str(folder)}
