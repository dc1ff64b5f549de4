"""What a rehearsal of migrations says: does each file run, and whom does it keep out for how long."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
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
_BOUND = f"{LARGE_ROWS} rows, {LARGE_MB} MB"


@dataclass(frozen=True)
class _Work:
    """What a file does to all rows of a table; `anew`: also to what is stored out of line."""

    check: str
    column: str
    expected: str
    why: str
    anew: bool = False


_ANEW = _Work(
    "rewrites", "rewritten", "no large table is written anew",
    "truncate empties it at once; else all of it is copied while nobody reads or writes it: add a column"
    " beside it, and fill it in steps", anew=True,
)  # fmt: skip
_READ = _Work(
    "scans", "scanned", "no large table is read whole while nobody may write it",
    "writers wait until all of it is read: build the index concurrently; add a constraint as not valid, and"
    " validate it in another file",
)  # fmt: skip

_SWEPT = _Work(
    "row locks", "swept", "no large table is gone through row by row",
    "all of it is read, and whoever would change one of those rows waits until the file ends: change them in"
    " steps, each in a transaction of its own",
)  # fmt: skip


def judged(tried: pd.DataFrame, tended: pd.DataFrame) -> list[Finding]:
    """Find files that fail, and those that copy a large table, or read it while they lock it or its rows.

    Args:
        tried: `ops.rehearse`.
        tended: the statement `tended_tables`: how many rows each table has, which the copy has not.
    """
    if blind := compare.blind("rehearsal", tried, expected=_RUNS):
        return [blind]
    rows = tried.to_dict("records")
    failed = [_failed(row) for row in rows if row["error"]]
    works = [one for work in (_ANEW, _READ, _SWEPT) for one in _done(work, rows, tended)]
    return [*(failed or [_ran(rows)]), *works]


def _failed(row: Mapping[Any, Any]) -> Finding:
    if row["doubt"]:
        why = f"it failed on the copy ({row['error']}), and may not here: {row['doubt']}"
        return compare.unknown("rehearsal", why, subject=row["file"], expected=_RUNS)
    why = "nothing of it and of what follows is planned: mend the file"
    return Finding("rehearsal", Status.WARNING, row["file"], row["error"], "", _RUNS, why, cause=FAILS)


def _ran(rows: list[dict[Any, Any]]) -> Finding:
    if doubt := next((row["doubt"] for row in rows if row["doubt"]), ""):
        return compare.unknown("rehearsal", f"it ran on the copy, and may not here: {doubt}", expected=_RUNS)
    total = sum(float(row["ms"]) for row in rows)
    lacks = f"; the copy lacks something: {rows[0]['lacking']}" if rows and rows[0]["lacking"] else ""
    files = f"{len(rows)} file{'' if len(rows) == 1 else 's'}"
    return Finding("rehearsal", Status.OK, "", f"{files}, {compare.number(total, 'ms')}{lacks}", "", _RUNS)


def _done(work: _Work, rows: list[dict[Any, Any]], tended: pd.DataFrame) -> list[Finding]:
    named = [(row["file"], name) for row in rows for name in row[work.column]]
    if not named:
        return [Finding(work.check, Status.OK, "", "none", "", work.expected)]
    if reason := frames.reason(tended):
        return [compare.unknown(work.check, reason, expected=work.expected)]
    known = {written(row["schema"], row["table_name"]): row for row in tended.to_dict("records")}
    found = [_sized(work, f"{file}: {name}", known.get(name)) for file, name in named]
    bad = [finding for finding in found if finding.status is not Status.OK]
    return bad or [replace(found[0], subject="", observed=", ".join(f.subject for f in found))]


def _sized(work: _Work, subject: str, table: Mapping[Any, Any] | None) -> Finding:
    """Judge one table; counters may have been lost, so its size counts as well as its rows."""
    if table is None:
        why = "how large it is could not be seen"
        return compare.unknown(work.check, why, subject=subject, expected=work.expected)
    size, rows = int(table["bytes"]), int(table["live_rows"])
    size += int(table["toast_bytes"]) if work.anew else 0
    seen = f"{rows} rows, {compare.number(size / _MB, 'MB')}"
    if rows < LARGE_ROWS and size < LARGE_MB * _MB:
        return Finding(work.check, Status.OK, subject, seen, _BOUND, work.expected)
    return Finding(work.check, Status.WARNING, subject, seen, _BOUND, work.expected, work.why)
