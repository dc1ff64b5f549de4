"""Do the files of migrations and the database's own ledger of them agree?

A tool applies what its ledger does not hold. So what was edited after it was applied, or came in between
later, or has lost its file, is never applied again: production and the next new environment differ.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from opslib import frames
from opslib.checks import compare
from opslib.checks.rls import API_ROLES, PLATFORM_SCHEMAS
from opslib.verdict import Cause, Finding, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from opslib.config import Environment

FAILED = Cause("migration-fails-midway", "a migration was begun and not finished", 35)
GAP = Cause("migration-gap", "a migration is missing between others", 50)
TWICE = Cause("migration-number-twice", "two files of migrations have one number", 52)
EDITED = Cause("migration-edited", "a file was changed after it was applied", 55)
PENDING = Cause("migration-pending", "a migration has not been applied yet", 60)

STATES = ("version", "name", "state", "applied_at", "file", "noted", "compared")
APPLIED, WAITING, LATE = "applied", "pending", "out of order"
GONE, CHANGED, HALF, DOUBLE = "file is gone", "edited", "not finished", "number twice"
PLAIN = "plain"
_NAMES_ONLY = (PLAIN, "alembic")
_SEQUENCE = re.compile(r"0*(\d{1,4})")  # a time has more digits, and no next one


def ledger(env: Environment, ledgers: pd.DataFrame) -> dict[str, str]:
    """Return the ledger to go by: tool, schema, name, owner.

    Args:
        env: its system's file may name the table.
        ledgers: the statement `migration_ledgers`.

    Returns:
        The one that the file names, else the first; where none was seen, only what the file names.
    """
    named = env.system.migrations.table if env.system.migrations else ""
    rows = [{str(k): v for k, v in row.items()} for row in ledgers.to_dict("records")]
    fits = [row for row in rows if named in ("", row["name"], f"{row['schema']}.{row['name']}")]
    if fits:
        return {name: str(fits[0][name]) for name in ("tool", "schema", "name", "owner")}
    schema, _, name = named.rpartition(".")
    return {"tool": "", "schema": schema or "public", "name": name or "schema_migrations", "owner": ""}


def found(ledgers: pd.DataFrame, chosen: dict[str, str]) -> Finding:
    """Find whether there is a ledger, and which."""
    expected = "one table says what was applied"
    if blind := compare.blind("ledger", ledgers, expected=expected):
        return blind
    place = f"{chosen['schema']}.{chosen['name']}"
    if not chosen["tool"]:
        why = "without it nobody can tell what was applied: which tool is used, in which schema?"
        return compare.unknown("ledger", f"{place} is not there; {why}", expected=expected)
    return Finding("ledger", Status.OK, place, chosen["tool"], "", expected)


def states(files: pd.DataFrame, applied: pd.DataFrame, tool: str) -> pd.DataFrame:
    """Return every migration with its state; columns `STATES`, by version.

    `noted` is the ledger's own name of it, "" where it has none; `compared` tells whether the ledger keeps
    what was applied, so that an edit can be told.

    Args:
        files: as `migration_files.read`.
        applied: the statement `migrations_applied`.
        tool: of the ledger.
    """
    for frame in (files, applied):
        if reason := frames.reason(frame):
            return frames.unavailable(STATES, reason)
    key = {"supabase": "version", "alembic": "version"}.get(tool, "file")
    noted = {_key(row["version"]): row for row in _rows(applied)}
    newest = max(noted, default="")
    there = [(_key(row[key]), row) for row in _rows(files)]
    count = Counter(name for name, _ in there)
    gone = [(name, None) for name in noted if name not in count]
    named = sorted([*there, *gone], key=lambda one: one[0])
    listed = [_state(name, file, noted.get(name), newest, tool) for name, file in named]
    rows = pd.DataFrame(listed, columns=list(STATES))
    rows.loc[[count[name] > 1 for name, _ in named], "state"] = DOUBLE
    return rows


def judged(env: Environment, rows: pd.DataFrame, tool: str) -> list[Finding]:
    """Find what is unfinished, missing between others, there twice, edited, or not applied.

    Args:
        env: its system's file names known gaps, and files that are critical.
        rows: as `states`.
        tool: of the ledger.
    """
    return [unfinished(rows), complete(env, rows), single(rows), unedited(rows, tool), applied(env, rows)]


def unfinished(rows: pd.DataFrame) -> Finding:
    """Find migrations that were begun and neither finished nor marked as rolled back."""
    expected = "every migration that was begun was finished"
    why = "some of its statements may stand, and the tool applies nothing more: see what is there first"
    return _none(rows, (HALF,), "finished", expected, Status.CRITICAL, why, FAILED)


def complete(env: Environment, rows: pd.DataFrame) -> Finding:
    """Find what is missing: a number, a file, or an older one that was never applied."""
    expected = "no number, no file and no older migration is missing"
    why = "it is in one place and not in the other: a new environment will not be like this one"
    known = env.system.migrations.gaps if env.system.migrations else ()
    finding = _none(rows, (GONE, LATE), "complete", expected, Status.WARNING, why, GAP)
    lost = [] if frames.reason(rows) else missing(map(str, rows["version"]), known)
    if finding.status is not Status.OK or not lost:
        return finding
    seen = f"no {', '.join(lost)}"
    return Finding("complete", Status.WARNING, "", seen, "", expected, why, cause=GAP)


def single(rows: pd.DataFrame) -> Finding:
    """Find files that share what the ledger knows a migration by: it can hold one of them only."""
    expected = "no two files have the same number in a ledger of numbers"
    why = "the ledger holds one, so the other is never applied: give the newer one the next number"
    return _none(rows, (DOUBLE,), "numbers", expected, Status.WARNING, why, TWICE)


def unedited(rows: pd.DataFrame, tool: str) -> Finding:
    """Find files that are not what was applied; some ledgers keep nothing to tell it by, or not of all."""
    if tool in _NAMES_ONLY and not frames.reason(rows):
        return compare.skipped("unedited", "this ledger keeps names only: an edited file cannot be told")
    expected = "every file is what was applied"
    why = "the change is not in this database, and never will be: undo the edit, write a new migration"
    finding = _none(rows, (CHANGED,), "unedited", expected, Status.WARNING, why, EDITED)
    if frames.reason(rows):
        return finding
    blank = rows[rows["state"].eq(APPLIED) & ~rows["compared"].astype(bool)]
    if blank.empty:
        return finding
    reason = f"the ledger keeps nothing of what was applied for {', '.join(blank['file'])}"
    if finding.status is Status.WARNING:
        return replace(finding, why=f"{finding.why}; {reason}")
    return compare.unknown("unedited", reason, expected=expected)


def applied(env: Environment, rows: pd.DataFrame) -> Finding:
    """Find what has not been applied; a file that the system's file calls critical is."""
    expected = "every migration is applied"
    why = "code that counts on it fails: apply it before that code is deployed"
    finding = _none(rows, (WAITING,), "applied", expected, Status.WARNING, why, PENDING)
    grave = set(env.system.migrations.critical if env.system.migrations else ())
    if finding.status is Status.WARNING and grave & set(rows[rows["state"] == WAITING]["file"]):
        return _none(rows, (WAITING,), "applied", expected, Status.CRITICAL, why, PENDING)
    return finding


def missing(versions: Iterable[str], known: Sequence[str]) -> list[str]:
    """Return the numbers that a sequence leaves out; versions that are times have none.

    Args:
        versions: as files have them.
        known: gaps that are no fault.
    """
    numbers = [found for version in versions if (found := _SEQUENCE.match(version + " ")) is not None]
    there = {int(found[1]) for found in numbers if not found.string[found.end()].isdigit()}
    if not there:
        return []
    width = max(len(found[0]) for found in numbers)
    fine = {int(gap) for gap in known}
    return [str(n).zfill(width) for n in range(min(there), max(there)) if n not in there | fine]


def _none(
    rows: pd.DataFrame,
    states: Sequence[str],
    check: str,
    expected: str,
    status: Status,
    why: str,
    cause: Cause,
) -> Finding:
    if blind := compare.blind(check, rows, expected=expected):
        return blind
    wrong = rows[rows["state"].isin(states)]
    if wrong.empty:
        return Finding(check, Status.OK, "", f"{len(rows)} migrations", "", expected)
    named = ", ".join(f"{row['file'] or row['noted']} ({row['state']})" for row in _rows(wrong))
    return Finding(check, status, "", named, "", expected, why, cause=cause)


def _state(
    key: str, file: dict[str, Any] | None, noted: dict[str, Any] | None, newest: str, tool: str
) -> dict[str, Any]:
    about = file or noted or {}
    at = noted["applied_at"] if noted else pd.NaT
    given = {"version": about["version"], "name": about["name"], "applied_at": at}
    places = {"file": file["file"] if file else "", "noted": noted["version"] if noted else ""}
    state = _judged(key, file, noted, newest, tool)
    return {**given, "state": state, **places, "compared": bool(file and noted and noted[_kept(tool)])}


def _judged(
    key: str, file: dict[str, Any] | None, noted: dict[str, Any] | None, newest: str, tool: str
) -> str:
    if noted is None:
        return LATE if key < newest else WAITING
    if noted["unfinished"]:
        return HALF
    if file is None:
        return GONE
    same = _kept(tool)
    return CHANGED if noted[same] and noted[same] != file[same] else APPLIED


def _kept(tool: str) -> str:
    """Return the column in which a tool's ledger keeps what was applied."""
    return "checksum" if tool == "prisma" else "content"


def _key(name: Any) -> str:
    return str(name).removesuffix(".sql")


def _rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def things(table: Callable[..., pd.DataFrame]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Look at what a file may leave open: tables and views with their guards, constraints that hold no row.

    Args:
        table: `ops.pg.table`.

    Returns:
        The statements `api_relations` and `constraints_unproven`.
    """
    skip = list(PLATFORM_SCHEMAS)
    relations = table("api_relations", roles=list(API_ROLES), skip_schemas=skip)
    return relations, table("constraints_unproven", skip_schemas=skip)


def made(
    before: tuple[pd.DataFrame, pd.DataFrame], now: tuple[pd.DataFrame, pd.DataFrame]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return what of it is new.

    Args:
        before, now: `things`.
    """
    return _new(before[0], now[0]), _new(before[1], now[1])


def _new(before: pd.DataFrame, now: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that were not there, by their first three columns."""
    if reason := frames.reason(before) or frames.reason(now):
        return frames.unavailable(list(now.columns), reason)
    names = list(now.columns[:3])
    known = set(before[names].itertuples(index=False, name=None))
    return now[[row not in known for row in now[names].itertuples(index=False, name=None)]]
