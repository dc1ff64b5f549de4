"""Over which column a scan asks for an index, and why none is offered where none is.

A scan is one row of `plans.scans`, a table one of the statement `table_scans`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opslib.checks import conditions
from opslib.checks.conditions import Way

# A table of which more is wanted is read whole for good reason.
WANTED_SHARE = 0.05
_EXPRESSION = (
    "an index over the column does not serve what is made of it: one over ({asked}) does, where that"
    " gives the same at all times"
)
_TOGETHER = "no column of it alone tells few rows from many; one index over ({columns}) may"
_NOT_PLAIN = "nothing is compared there as a plain index has it"
_IN_PART = "with its values it may be served by {names}, over a part of the rows"


def offered(scan: Mapping[Any, Any], table: Mapping[Any, Any]) -> str:
    """Return the column over which an index is offered; nothing where none serves, or one may do already."""
    return "" if in_part(scan, table) else _column(scan, table)


def in_part(scan: Mapping[Any, Any], table: Mapping[Any, Any]) -> list[str]:
    """Return the indexes over a part of the rows that may serve a scan, by what its values are."""
    parts = (table["partial"] or {}).items()
    return sorted(name for name, columns in parts if conditions.compared(scan["condition"], columns or ()))


def led(table: Mapping[Any, Any], side: conditions.Asked) -> bool:
    """Tell whether an index over all rows finds what one side of a condition compares."""
    return side.column in table["led_by"] or (side.sign == "=" and side.column in table["hashed"])


def _column(scan: Mapping[Any, Any], table: Mapping[Any, Any]) -> str:
    """Return the column over which an index serves a scan; nothing where no single one does."""
    if scan["way"] == Way.PLAIN:
        return _telling(scan["condition"], table["distinct_values"] or {})
    # What a cast makes of a column is another thing, mostly.
    same = scan["way"] == Way.CAST and scan["asked"].endswith("::text")
    return str(scan["column_name"]) if same and scan["column_name"] in table["varchars"] else ""


def _telling(condition: str, values: Mapping[str, float]) -> str:
    """Return which of the columns that a condition compares tells few rows from many, best by equality."""
    parts = conditions.parts(condition)
    plain = [part for part in parts if part.way == Way.PLAIN]
    best = {
        equal: max(sides, key=lambda part: values.get(part.column, 1 / WANTED_SHARE))
        for equal in (True, False)
        if (sides := [part for part in plain if (part.sign == "=") is equal])
    }
    # Of the only condition the planner has said already that it leaves few rows.
    enough = (part for part in best.values() if len(parts) == 1 or _many(part.column, values))
    return next((part.column for part in enough), "")


def _many(column: str, values: Mapping[str, float]) -> bool:
    return values.get(column, 1 / WANTED_SHARE) * WANTED_SHARE >= 1


def why_none(scan: Mapping[Any, Any], table: Mapping[Any, Any]) -> str:
    """Return why no index over one column serves a scan, and what may."""
    if names := in_part(scan, table):
        return _IN_PART.format(names=", ".join(names))
    if scan["way"] == Way.OTHER:
        return _NOT_PLAIN
    if scan["way"] == Way.EITHER:
        return _either(scan, table)
    columns = [part.column for part in conditions.parts(scan["condition"]) if part.way == Way.PLAIN]
    if len(columns) > 1:
        return _TOGETHER.format(columns=", ".join(columns))
    return _EXPRESSION.format(**scan)


def _either(scan: Mapping[Any, Any], table: Mapping[Any, Any]) -> str:
    """Say which sides of an OR have no index: one of them is enough to have the whole table read."""
    sides = conditions.asked(scan["condition"]).sides
    without = sorted({side.column or side.text for side in sides if not led(table, side)})
    if without:
        return f"an OR is served only where each side has an index, and none begins with {', '.join(without)}"
    return "an OR of which each side has an index, and that is read whole: two queries with UNION may serve"
