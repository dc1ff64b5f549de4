"""Read what a record holds; what cannot be read is said in one sentence with its file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from opslib.archive import disposed, record
from opslib.archive.asking import place
from opslib.errors import ArchiveError
from opslib.verdict import FINDING_COLUMNS

NOTEBOOK = "run.ipynb"
STATEMENT = "run.json"
_HINT = "move that folder out of the archive; a record is never edited"
_ODD = (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError)
_WORDS = ("run_id", "procedure", "system", "environment", "verdict", "actor")


def document(path: Path) -> dict[str, Any]:
    """Return what the statement of a record says, as the index keeps it.

    Args:
        path: the statement, `run.json`, or what is left of it, `disposed.json`.

    Raises:
        ArchiveError: it is gone, damaged, or none of ours.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise _unreadable(path, (error.strerror or "").lower()) from error
    return understood(content, path)[1]


def understood(content: bytes, path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the statement of a record, and what it says as the index keeps it.

    Args:
        content: of the statement.
        path: where it stands; its folder has the name of the run.

    Raises:
        ArchiveError: it is damaged, or none of ours.
    """
    try:
        stated = json.loads(content)
        form = disposed.document if path.name == disposed.FILE else record.document
        found = form(stated, path.parent)
        if found["run_id"] != path.parent.name:
            raise ValueError(f"it is the record of run {found['run_id']}")
        return stated, _checked(found)
    except _ODD as error:
        raise ArchiveError(f"{path}: this is not a record of opslib: {error!r}", hint=_HINT) from error


def notebook(folder: Path) -> dict[str, Any]:
    """Return the executed notebook of a record.

    Raises:
        ArchiveError: it is gone or damaged.
    """
    path = folder / NOTEBOOK
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        for cell in found.get("cells") or ():
            for item in cell.get("outputs") or ():
                (item.get("data") or {}).get("text/plain")
    except OSError as error:
        raise _unreadable(path, (error.strerror or "").lower()) from error
    except _ODD as error:
        raise _unreadable(path, f"this is not a notebook: {error!r}") from error
    return found


def _checked(document: dict[str, Any]) -> dict[str, Any]:
    """Return a document whose parts have the form that everything after this relies on."""
    place(document["started_at"])
    if document["scheduled_for"]:
        place(document["scheduled_for"])
    parts = (("findings", FINDING_COLUMNS), ("causes", ("id", "text")))
    texts = [row[name] for part, names in parts for row in document[part] for name in names]
    if not all(isinstance(text, str) for text in [*texts, *(document[name] for name in _WORDS)]):
        raise TypeError("what should be a text is none")
    if not isinstance(document["parameters"], dict) or not isinstance(document["cause"] or {}, dict):
        raise TypeError("parameters or cause are not whole")
    return document


def _unreadable(path: Path, why: str) -> ArchiveError:
    return ArchiveError(f"{path}: cannot be read: {why}", hint=_HINT)
