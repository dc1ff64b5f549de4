"""Does a transaction keep a table's lock for long: what changes there beside its users waits for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opslib import frames
from opslib.checks import compare
from opslib.verdict import Finding, Status

if TYPE_CHECKING:
    import pandas as pd

# What is built, rebuilt or dropped beside its table's users waits for them; behind these it would wait on.
LONG_HELD_S = 600.0
_MOST_SUBJECTS = 5


def held(locks: pd.DataFrame) -> list[Finding]:
    """Find transactions that have used a table and never ended.

    Args:
        locks: the statement `table_locks`.
    """
    expected = "no transaction keeps a table for long"
    if reason := frames.reason(locks):
        return [compare.unknown("table locks", reason, expected=expected)]
    old = locks[locks["since"].ge(LONG_HELD_S)].drop_duplicates(["schema", "table_name"])
    found = [_held(row, expected) for row in old.head(_MOST_SUBJECTS).to_dict("records")]
    return found or [Finding("table locks", Status.OK, "", "none", "", expected)]


def _held(row: dict[Any, Any], expected: str) -> Finding:
    observed = f"{row['holder']} {row['name']} ({row['owner']}), {float(row['since']) / 60:.0f} min old"
    return Finding(
        "table locks", Status.WARNING, f"{row['schema']}.{row['table_name']}", observed,
        f"{LONG_HELD_S / 60:.0f} min", expected,
        "what is rebuilt or dropped there waits for it, and does not end before", "database-connections",
    )  # fmt: skip
