"""Look at tables as a visitor of the web API would: the only proof of what row security lets through."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import pandas as pd

from opslib import frames

COLUMNS = ("schema", "table_name", "role", "rls_enabled", "rows", "reason")
# Somebody who is signed in and owns nothing.
STRANGER = "00000000-0000-4000-8000-000000000000"
_TABLES = ("table", "partitioned table")


class Asks(Protocol):
    """What is needed of a database: `ops.pg` has it."""

    def table_as(self, role: str, claims: Mapping[str, str], name: str, /, **params: Any) -> pd.DataFrame:
        """Run one packaged statement as another role."""


def look(database: Asks, relations: pd.DataFrame, roles: pd.DataFrame, pages: int) -> pd.DataFrame:
    """Count the rows that each role of the web API sees of each table it may read.

    Args:
        database: where to look.
        relations: the statement `api_relations`.
        roles: the statement `api_roles`.
        pages: how many pages of a table are read at most; what lies behind them is not looked at.

    Returns:
        One row a table and role: schema, table_name, role, rls_enabled, rows, reason (why it could not be
        looked at, else ""). Roles that bypass row security are left out: they see everything.
    """
    if reason := frames.reason(relations) or frames.reason(roles):
        return frames.unavailable(COLUMNS, reason)
    may = {row["role"]: row["may_become"] for row in roles.to_dict("records") if not row["bypasses_rls"]}
    pairs = [
        (row, role)
        for row in relations[relations["kind"].isin(_TABLES)].to_dict("records")
        for role in row["readers"]
        if role in may
    ]
    rows = [_row(row, role, *_seen(database, row, role, pages, may[role])) for row, role in pairs]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _seen(database: Asks, row: Mapping[Any, Any], role: str, pages: int, may_become: bool) -> tuple[int, str]:
    if not may_become:
        return 0, f"our role may not act as {role}: grant {role} to opslib_monitor"
    claims = {"role": role} if role == "anon" else {"role": role, "sub": STRANGER, "org_id": STRANGER}
    name = [row["schema"], row["relation"]]
    statement = "rows_visible_columns" if role in row["column_readers"] else "rows_visible"
    answer = database.table_as(role, claims, statement, table=name, pages=pages)
    if reason := frames.reason(answer):
        return 0, reason
    return int(answer["rows"].iloc[0]), ""


def _row(row: Mapping[Any, Any], role: str, rows: int, reason: str) -> tuple[Any, ...]:
    return row["schema"], row["relation"], role, bool(row["rls_enabled"]), rows, reason
