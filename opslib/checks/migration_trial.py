"""What a rehearsal of migrations says: does each file run, and whom does it keep out for how long."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from opslib import frames
from opslib.checks import compare
from opslib.pg.relations import written
from opslib.verdict import Cause, Finding, Status

if TYPE_CHECKING:
    import pandas as pd

FAILS = Cause("migration-fails-midway", "a pending migration fails, tried on a copy: nothing was touched", 34)
# Smaller tables are written anew before anybody notices.
LARGE_ROWS, LARGE_MB = 100_000, 16
_MB = 1024**2
_RUNS = "each file runs to its end on a copy of the tables"
_BRIEF = "no large table is written anew"


def judged(tried: pd.DataFrame, tended: pd.DataFrame) -> list[Finding]:
    """Find files that fail, and those that write a large table anew.

    Args:
        tried: `ops.rehearse`.
        tended: the statement `tended_tables`: how many rows each table has, which the copy has not.
    """
    if blind := compare.blind("rehearsal", tried, expected=_RUNS):
        return [blind]
    rows = tried.to_dict("records")
    failed = [_failed(row) for row in rows if row["error"]]
    return [*(failed or [_ran(rows)]), *_rewrites(rows, tended)]


def _failed(row: Mapping[Any, Any]) -> Finding:
    if row["doubt"]:
        why = f"it failed on the copy ({row['error']}), and may not here: {row['doubt']}"
        return compare.unknown("rehearsal", why, subject=row["file"], expected=_RUNS)
    why = "nothing of it and of what follows is planned: mend the file"
    return Finding("rehearsal", Status.WARNING, row["file"], row["error"], "", _RUNS, why, cause=FAILS)


def _ran(rows: list[dict[Any, Any]]) -> Finding:
    total = sum(float(row["ms"]) for row in rows)
    lacks = f"; the copy lacks something: {rows[0]['lacking']}" if rows and rows[0]["lacking"] else ""
    files = f"{len(rows)} file{'' if len(rows) == 1 else 's'}"
    return Finding("rehearsal", Status.OK, "", f"{files}, {compare.number(total, 'ms')}{lacks}", "", _RUNS)


def _rewrites(rows: list[dict[Any, Any]], tended: pd.DataFrame) -> list[Finding]:
    anew = [(row["file"], name) for row in rows for name in row["rewritten"]]
    if not anew:
        return [Finding("rewrites", Status.OK, "", "none", "", _BRIEF)]
    if reason := frames.reason(tended):
        return [compare.unknown("rewrites", reason, expected=_BRIEF)]
    known = {written(row["schema"], row["table_name"]): row for row in tended.to_dict("records")}
    found = [_rewritten(f"{file}: {name}", known.get(name)) for file, name in anew]
    bad = [finding for finding in found if finding.status is not Status.OK]
    return bad or [replace(found[0], subject="", observed=", ".join(f.subject for f in found))]


def _rewritten(subject: str, table: Mapping[Any, Any] | None) -> Finding:
    """Judge one table; counters may have been lost, so its size counts as well as its rows."""
    if table is None:
        return compare.unknown(
            "rewrites", "how large it is could not be seen", subject=subject, expected=_BRIEF
        )
    size, rows = int(table["bytes"]), int(table["live_rows"])
    seen = f"{rows} rows, {compare.number(size / _MB, 'MB')}"
    bound = f"{LARGE_ROWS} rows, {LARGE_MB} MB"
    if rows < LARGE_ROWS and size < LARGE_MB * _MB:
        return Finding("rewrites", Status.OK, subject, seen, bound, _BRIEF)
    why = "all of it is copied while nobody reads or writes it: add a column beside it, and fill it in steps"
    return Finding("rewrites", Status.WARNING, subject, seen, bound, _BRIEF, why)
