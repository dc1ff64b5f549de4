"""Look through users' tables and indexes, one after the other, each within its bounds.

All functions return one row a thing that was looked at: subject, detail, rows (that are wrong), example,
reason (why there is no answer, else ""), left_out (it was too large to be looked at, by our own bounds).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import pandas as pd

from opslib import frames
from opslib.pg.failures import DAMAGED

if TYPE_CHECKING:
    from opslib.config.parts import Table

COLUMNS = ("subject", "detail", "rows", "example", "reason", "left_out")
_COLUMNS_OF_A_KEY = 3
_COUNTED = 10_000
_NO_TABLE = "there is no such table here"
_FILTERED = "row security hides rows from our role: it needs bypassrls to tell"

Row = tuple[str, str, int, str, str, bool]


class Asks(Protocol):
    """What is needed of a database: `ops.pg` has it."""

    def table(self, name: str, /, **params: Any) -> pd.DataFrame:
        """Run one packaged statement."""


def orphans(database: Asks, keys: pd.DataFrame, most_rows: int) -> pd.DataFrame:
    """Look for rows whose reference leads nowhere: scans both tables of each foreign key.

    Args:
        database: where to look.
        keys: the statement `foreign_keys`.
        most_rows: tables that together have more rows by the planner's estimate are left out.
    """
    if reason := frames.reason(keys):
        return frames.unavailable(COLUMNS, reason)
    return _frame(_orphans(database, row, most_rows) for row in keys.to_dict("records"))


def duplicates(database: Asks, tables: Mapping[str, Table], most_rows: int) -> pd.DataFrame:
    """Look for business keys that occur more than once: scans each table that declares one.

    Args:
        database: where to look.
        tables: of the system's file.
        most_rows: tables that have more rows by the planner's estimate are left out.
    """
    declared = [(name, table.business_key) for name, table in tables.items() if table.business_key]
    return _frame(_duplicates(database, name, key, most_rows) for name, key in declared)


def indexes(database: Asks, amcheck: pd.DataFrame, named: pd.DataFrame, most_megabytes: int) -> pd.DataFrame:
    """Check the order of B-tree indexes with amcheck: reads each index whole, and writes nothing.

    Args:
        database: where to look.
        amcheck: the statement `amcheck`; where it is not installed, or not allowed, the frame is absent.
        named: the statement `btree_indexes`.
        most_megabytes: of all indexes together; the smallest come first.
    """
    if reason := frames.reason(amcheck) or frames.reason(named):
        return frames.unavailable(COLUMNS, reason)
    here = amcheck.iloc[0]
    if not here["schema"]:
        words = (
            "could be installed: create extension amcheck" if here["available"] else "is not to be had here"
        )
        return frames.unavailable(COLUMNS, f"amcheck {words}", absent=True)
    if not here["allowed"]:
        way = f"grant execute on function {here['schema']}.bt_index_check(regclass) to opslib_monitor"
        return frames.unavailable(COLUMNS, f"our role may not call amcheck: {way}", absent=True)
    within = named[named["bytes"].cumsum() <= most_megabytes * 1024**2]
    rows = [_checked(database, here["schema"], row) for row in within.to_dict("records")]
    return _frame([*rows, *_beyond(len(named) - len(within), most_megabytes)])


def _orphans(database: Asks, row: Mapping[Any, Any], most_rows: int) -> Row:
    subject = f"{row['schema']}.{row['table_name']}.{row['constraint_name']}"
    detail = f"({', '.join(row['columns'])}) without a row in {row['parent_schema']}.{row['parent']}"
    if not row["readable"]:
        return _blind(subject, "our role may not read it: grant select on both tables to opslib_monitor")
    if row["filtered"]:
        return _blind(subject, _FILTERED)
    if row["period"]:
        return _left_out(subject, "its key ends in a period, which several rows may cover together")
    if len(row["columns"]) > _COLUMNS_OF_A_KEY:
        return _left_out(subject, f"its key has more than {_COLUMNS_OF_A_KEY} columns")
    if int(row["rows_estimate"]) > most_rows:
        return _left_out(subject, _too_large(int(row["rows_estimate"]), most_rows))
    names = dict(zip("abc", _thrice(row["columns"]), strict=True))
    names |= dict(zip("xyz", _thrice(row["parent_columns"]), strict=True))
    child, parent = [row["schema"], row["table_name"]], [row["parent_schema"], row["parent"]]
    heirs = {"child_heirs": row["heirs"], "parent_heirs": row["parent_heirs"]}
    found = database.table("orphans", child=child, parent=parent, most=_COUNTED, **names, **heirs)
    return _row(subject, detail, found)


def _duplicates(database: Asks, name: str, key: Sequence[str], most_rows: int) -> Row:
    from opslib.pg.relations import taken_apart

    schema, bare = taken_apart(name)
    there = database.table("relation", schema=schema, name=bare)
    if reason := frames.reason(there):
        return _blind(name, reason)
    if len(there) != 1:
        return _blind(name, _NO_TABLE if there.empty else "several have this name: name it with its schema")
    if there["filtered"].iloc[0]:
        return _blind(name, _FILTERED)
    rows = int(there["rows_estimate"].iloc[0])
    if rows > most_rows:
        return _left_out(name, _too_large(rows, most_rows))
    names = dict(zip("abc", _thrice(key), strict=True))
    found = database.table("duplicates", table=[there["schema"].iloc[0], bare], **names)
    return _row(name, f"the same {', '.join(key)}", found)


def _checked(database: Asks, amcheck: str, row: Mapping[Any, Any]) -> Row:
    subject = f"{row['schema']}.{row['index_name']}"
    found = database.table("index_check", amcheck=amcheck, numbers=[int(row["number"])])
    reason = frames.reason(found) or ""
    if DAMAGED in reason:
        return subject, reason, 1, "", "", False
    return _blind(subject, reason)


def _beyond(count: int, most_megabytes: int) -> list[Row]:
    words = f"beyond {most_megabytes} MB of indexes: raise most_megabytes in a quiet hour"
    return [_left_out(f"{count} larger indexes", words)] if count else []


def _thrice(columns: Sequence[str]) -> list[str]:
    return [*columns, *[columns[-1]] * (_COLUMNS_OF_A_KEY - len(columns))]


def _too_large(rows: int, most_rows: int) -> str:
    return f"about {rows} rows, more than {most_rows}: raise most_rows in a quiet hour"


def _row(subject: str, detail: str, found: pd.DataFrame) -> Row:
    if reason := frames.reason(found):
        return _blind(subject, reason)
    first = found.iloc[0]
    return subject, detail, int(first["rows"]), str(first["example"] or ""), "", False


def _blind(subject: str, reason: str) -> Row:
    return subject, "", 0, "", reason, False


def _left_out(subject: str, reason: str) -> Row:
    return subject, "", 0, "", reason, True


def _frame(rows: Iterable[Row]) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=list(COLUMNS))
