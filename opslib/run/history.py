"""What earlier runs observed, read from the archive's index."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from opslib import frames
from opslib.archive.figures import figure
from opslib.archive.index import Index
from opslib.errors import ArchiveError

if TYPE_CHECKING:
    from opslib.config import Environment

COLUMNS = ("finished_at", "status", "observed", "text")


def series(
    archive: Path, procedure: str, env: Environment, key: str, runs: int, days: int = 0
) -> pd.DataFrame:
    """Return what earlier runs of a procedure observed for one finding, the oldest first.

    Args:
        archive: the archive to read.
        procedure: id of the procedure.
        env: the environment that was looked at.
        key: the finding's key.
        runs: how many runs to go back at most.
        days: at most one run in so many days, so that frequent runs go back as far; 0 for all.

    Returns:
        Columns finished_at (UTC time), status, observed (first number of the text, else NaN), text;
        empty, with the reason, when the archive cannot be read.
    """
    try:
        same = {"procedure": procedure, "system": env.system.name, "environment": env.name}
        found = _apart(archive, runs, days, same) if days else Index(archive).find(limit=runs, **same)
    except ArchiveError as error:
        return frames.unavailable(COLUMNS, error.message)
    rows = [
        (pd.Timestamp(run["finished_at"]), seen["status"], _number(seen["observed"]), seen["observed"])
        for run in reversed(found)
        for seen in run["findings"]
        if seen["key"] == key
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _apart(archive: Path, runs: int, days: int, same: dict[str, str]) -> list[dict[str, Any]]:
    """Return runs of one kind that began at least so many days apart, the newest first."""
    index, found = Index(archive), list[dict[str, Any]]()
    before: dict[str, str] = {}
    while len(found) < runs and (next_one := index.find(limit=1, **same, **before)):
        found += next_one
        until = datetime.fromisoformat(next_one[0]["started_at"]) - timedelta(days=days)
        before = {"until": until.isoformat()}
    return found


def _number(text: str) -> float:
    found = figure(text)
    return found.value if found else float("nan")
