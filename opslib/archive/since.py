"""What has changed since the last run of the same thing that was ok."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opslib.archive import diff, disposed, reading
from opslib.archive.diff import Difference
from opslib.archive.index import Index
from opslib.errors import ArchiveError

_SAME = ("procedure", "system", "environment")


@dataclass(frozen=True)
class Since:
    """A run against the last ok one before it.

    Args:
        run_id: the last ok run; empty where there was none.
        started_at: when it began, RFC 3339.
        difference: what has changed since then; None where there was none, or its record cannot be read.
        fault: why its record cannot be read.
    """

    run_id: str = ""
    started_at: str = ""
    difference: Difference | None = None
    fault: str = ""


def last_ok(index: Index, document: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the newest ok run of the same thing before a run; None where there was none."""
    same = {name: str(document[name]) for name in _SAME}
    found = index.find(verdict="ok", until=str(document["started_at"]), limit=1, **same)
    return found[0] if found else None


def compared(index: Index, document: Mapping[str, Any]) -> Since:
    """Return a run against the last ok one, whose record is read for it.

    Args:
        index: the archive's index.
        document: the run, as `record.document` returns it.

    Raises:
        ArchiveError: the index cannot be used; a record that cannot be read is told in the result.
    """
    found = last_ok(index, document)
    if found is None:
        return Since()
    known = {"run_id": found["run_id"], "started_at": found["started_at"]}
    if gone := disposed.told(found):
        return Since(**known, fault=gone)
    try:
        kept = reading.document(Path(found["record"]) / reading.STATEMENT)
    except ArchiveError as error:
        return Since(**known, fault=error.message)
    return Since(**known, difference=diff.compare(kept, document))
