"""One piece of upkeep as a target: what was seen of a table or an index, what is done, what undoes it.

Nothing here is SQL. An index is made again only where its whole definition is method, table and plain
columns, which are names: the server says so itself, by comparing its own words (`sayable`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pandas as pd

from opslib.acts import Statement
from opslib.checks import compare
from opslib.gate.plan import Target

Row = Mapping[str, Any]
NEVER, DONE, NEW = "never", "after this plan was made", "a new one"
VACUUM, ANALYZE, REINDEX = "vacuum_table", "analyze_table", "reindex_index"
DROP, CREATE = "drop_index", "create_index"
COVER = "covered_by"
REFRESH, REFRESH_BESIDE, NOTE = "refresh_view", "refresh_view_concurrently", "note_refresh"
# The column of `materialized_views` that tells of each: beside its readers a view keeps its file.
MARKS = {REFRESH: "file", REFRESH_BESIDE: "mark"}
_MB = 1024**2
_WAITS = "reads and writes go on; it waits for all transactions that are older"


def vacuum(row: Row) -> Target:
    """Clear a table of dead rows and renew its statistics; `row` is one of `tended_tables`."""
    effect = f"reads and writes go on; {row['dead_rows']} dead rows make room for new ones"
    return _tended(row, VACUUM, "vacuumed", row["last_vacuum"], "vacuum", effect)


def analyze(row: Row) -> Target:
    """Renew the statistics of a table; `row` is one of `tended_tables`."""
    effect = "reads and writes go on; from then on queries are planned anew"
    return _tended(row, ANALYZE, "analyzed", row["last_analyze"], "analyze", effect)


def reindex(row: Row) -> Target:
    """Build an index anew; `row` is one of `indexes`."""
    relation = [row["schema"], row["index_name"]]
    before = {
        "valid": bool(row["is_valid"]), "build": as_now(row["build"]), "there": True,
        "definition": row["definition"],
    }  # fmt: skip
    return Target(
        f"rebuild {shown(row)}", {"relation": relation, "table": [row["schema"], row["table_name"]]},
        before, {"valid": True, "build": NEW}, Statement(REINDEX, {"index": relation}),
        effect=f"{_WAITS}; it needs {size(row)} more on the disk until the old one is gone",
    )  # fmt: skip


def drop(row: Row, cover: Row | None = None) -> Target:
    """Remove an index. Used or changed since, it is left alone, and also where its cover is not as it was.

    Args:
        row: one of `indexes`.
        cover: another one of them, that does its work from then on.
    """
    relation, table = [row["schema"], row["index_name"]], [row["schema"], row["table_name"]]
    before: dict[str, Any] = {
        "there": True, "valid": bool(row["is_valid"]), "scans": int(row["scans"]),
        "definition": row["definition"],
    }  # fmt: skip
    if cover:
        before |= {COVER: covering([cover["schema"], cover["index_name"]], cover)}
    back = _create(row, row["method"]) if comes_back(row) else None
    what = "writes become cheaper" if row["is_valid"] else "no query can use it; writes become cheaper"
    return Target(
        f"drop {shown(row)}", {"relation": relation, "table": table}, before, {"there": False},
        Statement(DROP, {"index": relation}), back, f"{_WAITS}; {what}, {size(row)} become free",
    )  # fmt: skip


def create(row: Row) -> Target:
    """Build an index over plain columns.

    Args:
        row: schema, table_name, index_name, columns, and definition as the server will say it, where that
            is known (the statement `foreign_keys_without_index` has them all).
    """
    relation, table = [row["schema"], row["index_name"]], [row["schema"], row["table_name"]]
    known = {"definition": row["definition"]} if row.get("definition") else {}
    after = {"there": True, "valid": True, **known}
    return Target(
        f"build {shown(row)}", {"relation": relation, "table": table}, {"there": False}, after,
        _create(row, "btree"), Statement(DROP, {"index": relation}),
        f"{_WAITS}; until then the machine reads all of {row['table_name']} twice",
    )  # fmt: skip


def covering(relation: list[str], row: Row | None) -> dict[str, Any]:
    """Return what is seen of an index that does another one's work; without a definition where it cannot.

    Args:
        relation: its schema and name.
        row: one of `indexes`; None where it is gone.
    """
    whole = row is not None and row["is_valid"] and row["is_ready"] and not row["locked"]
    return {"index": relation, "definition": row["definition"] if row is not None and whole else ""}


def comes_back(row: Row) -> bool:
    """Tell whether a dropped index can be built again from names alone."""
    return bool(row["sayable"] and row["is_valid"])


def shown(row: Row, of: str = "index_name") -> str:
    """Return schema and name, as a person reads them."""
    return f"{row['schema']}.{row[of]}"


def size(row: Row) -> str:
    """Return the size of what a row is about."""
    return compare.number(int(row["bytes"]) / _MB, "MB")


def as_now(number: Any) -> str:
    """Return the server's own number of a file or build in words: it says only which one it is."""
    return f"the one of now (number {number})"


def stamp(moment: Any) -> str:
    """Return a moment as text that can be signed."""
    if moment is None or pd.isna(moment):
        return NEVER
    found: datetime = moment
    return found.isoformat()


def _create(row: Row, method: str) -> Statement:
    table, columns = [row["schema"], row["table_name"]], list(row["columns"])
    given = {"index": row["index_name"], "table": table, "method": method, "columns": columns}
    return Statement(CREATE, given)


def _tended(row: Row, statement: str, what: str, last: Any, verb: str, effect: str) -> Target:
    relation = [row["schema"], row["table_name"]]
    return Target(
        f"{verb} {shown(row, 'table_name')}", {"relation": relation}, {what: stamp(last)}, {what: DONE},
        Statement(statement, {"table": relation}), effect=effect,
    )  # fmt: skip
