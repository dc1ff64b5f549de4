"""Plans of the statements that take most: which index is missing, and what the planner may not use.

A plan is made for the statement without its values, and never run. A candidate for an index needs
evidence from two sides: the plan reads a whole table for few of its rows, and the server has counted
such scans of that table.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import pandas as pd

from opslib import frames
from opslib.checks import compare, conditions, statistics, wanted
from opslib.checks.conditions import Way
from opslib.checks.indexes import name
from opslib.pg.relations import written
from opslib.verdict import Cause, Finding, Status

MISSING = Cause("missing-index", "a large table is read whole for a few rows, for want of an index", 30)
BAD = Cause("bad-plan", "the planner may not use what would be quickest", 25)
PLAN_COLUMNS = ("queryid", "query", "calls", "total_ms", "plan", "reason", "left_out")
_NONE = "no statement ran min_calls times yet, so that none was planned"
SCAN_COLUMNS = (
    "queryid", "schema", "table_name", "column_name", "way", "asked", "condition", "rows_wanted", "calls",
    "total_ms",
)  # fmt: skip
CANDIDATE_COLUMNS = (*SCAN_COLUMNS, "rows", "seq_scans", "indexed")
LONGEST_QUERY = 20_000  # as `slow_statements` gives it
# Smaller tables are read whole for good reason.
ENOUGH_ROWS, ENOUGH_SCANS = 10_000, 10
# No server reads a table faster: a statement that ends earlier has another plan, once it has its values.
_MOST_BYTES_A_MS = 2_000_000
_REFUSED, _RECORDED = "permission denied", 'syntax error at or near "$'
_MOST_SUBJECTS = 5
_SERVED = "no large table is read whole for a few rows"


class Plans(Protocol):
    """What is needed of a database: `ops.pg` has it."""

    def plan(self, query: str) -> pd.DataFrame:
        """Have a statement planned, not run."""


def look(database: Plans, statements: pd.DataFrame, facts: pd.DataFrame, most: int) -> pd.DataFrame:
    """Have the statements that took most time planned.

    Args:
        database: where to ask.
        statements: the statement `slow_statements`.
        facts: the statement `server_facts`: nothing is planned as a superuser, because planning may call
            functions that others wrote.
        most: how many statements.

    Returns:
        One row a statement: queryid, query, calls, total_ms, plan, reason (why there is none, else ""),
        left_out (not to be had on this server, or with our role's rights).
    """
    if reason := frames.reason(statements) or frames.reason(facts):
        return frames.unavailable(PLAN_COLUMNS, reason)
    if bool(facts["is_superuser"].iloc[0]):
        words = "nothing is planned as a superuser: use opslib_monitor"
        return frames.unavailable(PLAN_COLUMNS, words, absent=True)
    rows = [_planned(database, row) for row in statements.head(most).to_dict("records")]
    return pd.DataFrame(rows, columns=list(PLAN_COLUMNS))


def scans(plans: pd.DataFrame) -> pd.DataFrame:
    """Return every reading of a whole table under a condition, one row each.

    Args:
        plans: `look`.

    Returns:
        queryid, schema, table_name, column_name ("" where no single one is compared), way (as of
        `conditions`), asked (what is compared), condition, rows_wanted (the planner's), calls, total_ms.
    """
    if reason := frames.reason(plans):
        return frames.unavailable(SCAN_COLUMNS, reason, absent=frames.absent(plans))
    if plans.empty:
        return frames.unavailable(SCAN_COLUMNS, _NONE, absent=True)
    if plans["reason"].astype(bool).all():
        return frames.unavailable(SCAN_COLUMNS, plans["reason"].iloc[0], absent=bool(plans["left_out"].all()))
    rows = [
        (row["queryid"], *scan, row["calls"], row["total_ms"])
        for row in plans.to_dict("records")
        for scan in _scans(row["plan"] or {})
    ]
    return pd.DataFrame(rows, columns=list(SCAN_COLUMNS))


def planned(plans: pd.DataFrame) -> list[Finding]:
    """Say of how many statements there is a plan.

    Args:
        plans: `look`.
    """
    expected = "the statements that take most can be planned"
    if (blind := compare.blind("plans", plans, expected=expected)) is not None:
        return [blind]
    if plans.empty:
        return [compare.skipped("plans", _NONE)]
    without = plans[plans["reason"].astype(bool)]
    if without.empty:
        seen = f"{len(plans)} statements"
        return [Finding("plans", Status.OK, "", seen, "", expected)]
    why = f"{len(without)} of {len(plans)} statements: {without['reason'].iloc[0]}"
    if not without["left_out"].all():
        return [compare.unknown("plans", why, expected=expected)]
    return [compare.skipped("plans", why)]


def missing_indexes(found: pd.DataFrame, tables: pd.DataFrame) -> list[Finding]:
    """Find tables that are read whole for a few rows, and whether an index could serve instead.

    Args:
        found: `scans`.
        tables: the statement `table_scans`.
    """
    named = candidates(found, tables)
    if (blind := compare.blind("missing index", named, expected=_SERVED)) is not None:
        return [blind]
    rows = [_candidate(row) for row in named.to_dict("records")[:_MOST_SUBJECTS]]
    rows += [_unserved(*pair) for pair in unserved(found, tables)[:_MOST_SUBJECTS]]
    rows += _uncounted(found, tables)
    seen = f"{len(found)} scans under a condition in these plans"
    return rows or [Finding("missing index", Status.OK, "", seen, "", _SERVED)]


def candidates(found: pd.DataFrame, tables: pd.DataFrame) -> pd.DataFrame:
    """Return the columns that an index would serve, by plans and counters, one row each.

    Args:
        found: `scans`.
        tables: the statement `table_scans`.

    Returns:
        The columns of `scans`, and rows (of the table), seq_scans, indexed (an index over the column is
        passed by).
    """
    if reason := frames.reason(tables):
        return frames.unavailable(CANDIDATE_COLUMNS, reason)
    if reason := frames.reason(found):
        return frames.unavailable(CANDIDATE_COLUMNS, reason, absent=frames.absent(found))
    known = {(row["schema"], row["table_name"]): row for row in tables.to_dict("records")}
    kept: dict[tuple[str, ...], tuple[Any, ...]] = {}
    for scan in found.to_dict("records"):
        table = known.get((scan["schema"], scan["table_name"]))
        if table is None or not _matters(scan, table) or not (column := wanted.offered(scan, table)):
            continue
        place, found_by = (scan["schema"], scan["table_name"], column), {**scan, "column_name": column}
        indexed = any(
            wanted.led(table, part) for part in conditions.parts(scan["condition"]) if part.column == column
        )
        kept.setdefault(
            place, (*found_by.values(), int(table["rows_estimate"]), int(table["seq_scans"]), indexed)
        )
    return pd.DataFrame(kept.values(), columns=list(CANDIDATE_COLUMNS))


def unserved(found: pd.DataFrame, tables: pd.DataFrame) -> list[tuple[dict[Any, Any], dict[Any, Any]]]:
    """Return scans that read a large table for few rows, and that an index over one column does not serve.

    Args:
        found: `scans`.
        tables: the statement `table_scans`.

    Returns:
        Rows of both, each expression of a table once.
    """
    known = {(row["schema"], row["table_name"]): row for row in tables.to_dict("records")}
    kept: dict[tuple[str, ...], tuple[dict[Any, Any], dict[Any, Any]]] = {}
    for scan in found.to_dict("records"):
        table = known.get((scan["schema"], scan["table_name"]))
        if table is not None and _matters(scan, table) and not wanted.offered(scan, table):
            kept.setdefault((scan["schema"], scan["table_name"], scan["asked"]), (scan, table))
    return list(kept.values())


def _planned(database: Plans, row: Mapping[Any, Any]) -> tuple[Any, ...]:
    if len(str(row["query"])) >= LONGEST_QUERY:
        reason = "its text is too long to be recorded whole"
        return row["queryid"], row["query"], row["calls"], row["total_ms"], None, reason, True
    answer = database.plan(str(row["query"]))
    reason = frames.reason(answer) or ""
    plan = None if reason else answer["plan"].iloc[0]
    left_out = frames.absent(answer)
    if _REFUSED in reason:
        reason, left_out = f"{reason}; grant opslib_monitor select to have it planned", True
    # A literal with its type, as in `interval '1 day'`, is recorded in words that are no statement.
    left_out = left_out or _RECORDED in reason
    return row["queryid"], row["query"], row["calls"], row["total_ms"], plan, reason, left_out


def _scans(node: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str, str, str, float]]:
    condition = str(node.get("Filter", ""))
    if node.get("Node Type") == "Seq Scan" and condition:
        found, own = conditions.asked(condition), re.escape(str(node.get("Alias", node["Relation Name"])))
        text = re.sub(rf"(?<![\w.\"])\"?{own}\"?\.", "", found.text)
        place = (node["Schema"], node["Relation Name"], found.column)
        yield *place, str(found.way), text, condition, float(node["Plan Rows"])
    for child in node.get("Plans", ()):
        yield from _scans(child)


def _matters(scan: Mapping[Any, Any], table: Mapping[Any, Any]) -> bool:
    """Tell whether a scan reads a large table for few of its rows, and does so often."""
    rows = int(table["rows_estimate"])
    few = float(scan["rows_wanted"]) <= rows * wanted.WANTED_SHARE
    long = float(scan["total_ms"]) * _MOST_BYTES_A_MS >= int(table["bytes"]) * int(scan["calls"])
    return rows >= ENOUGH_ROWS and few and long and int(table["seq_scans"]) >= ENOUGH_SCANS


def _candidate(row: Mapping[Any, Any]) -> Finding:
    subject = f"{row['schema']}.{row['table_name']} ({row['column_name']})"
    seen = f"{row['seq_scans']} times read whole, about {row['rows']} rows, for {row['rows_wanted']:.0f}"
    took = f"query {row['queryid']}: {row['calls']} calls, {compare.number(float(row['total_ms']), 'ms')}"
    if row["indexed"]:
        why = f"{took}; an index begins with this column and is not used: see statistics and the planner"
        given = {"tables": [written(row["schema"], row["table_name"])]}
        return Finding(
            "missing index", Status.WARNING, subject, seen, "", _SERVED, why, "vacuum-analyze", BAD, given
        )
    why = f"{took}; where {row['condition']}"
    return Finding("missing index", Status.WARNING, subject, seen, "", _SERVED, why, cause=MISSING)


def _uncounted(found: pd.DataFrame, tables: pd.DataFrame) -> list[Finding]:
    """Say of which tables nobody knows how many of their rows are few, as after pg_upgrade."""
    empty = tables["rows_estimate"].eq(0) & tables["bytes"].ge(statistics.ENOUGH_BYTES).fillna(False)
    named = {name(row, "table_name") for row in tables[empty].to_dict("records")}
    asked = sorted(named & {name(row, "table_name") for row in found.to_dict("records")})
    reason = f"how many rows these hold is not known, so analyze them: {', '.join(asked[:_MOST_SUBJECTS])}"
    return [compare.skipped("missing index", reason, subject="without statistics")] if asked else []


def _unserved(scan: Mapping[Any, Any], table: Mapping[Any, Any]) -> Finding:
    """Say of a table that is read whole why no index is offered for it."""
    subject = f"{scan['schema']}.{scan['table_name']} ({scan['asked']})"
    took = f"query {scan['queryid']}: {scan['calls']} calls, {compare.number(float(scan['total_ms']), 'ms')}"
    seen = f"{table['seq_scans']} times read whole, about {table['rows_estimate']} rows"
    why = wanted.why_none(scan, table)
    if scan["way"] == Way.OTHER or wanted.in_part(scan, table):
        return compare.skipped("missing index", f"{seen}, {took}; none is offered: {why}", subject=subject)
    few = f"{seen}, for {scan['rows_wanted']:.0f}"
    words = f"{took}; {why}; the plan offers none: write it into a migration"
    return Finding("missing index", Status.WARNING, subject, few, "", _SERVED, words, cause=MISSING)
