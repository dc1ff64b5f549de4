"""The items of a routine as findings."""

from __future__ import annotations

from typing import Any

import pandas as pd

from opslib import frames
from opslib.verdict import Cause, Finding, Status

CHECK = "item"
EXPECTED = "the procedure ends with ok"


def analyse(items: pd.DataFrame) -> list[Finding]:
    """Return one finding an item.

    An item that a procedure answers carries the procedure's verdict and cause. An item that only a
    person can do, or whose procedure cannot look here, is `skipped` and says so: the verdict is
    that of what was looked at.

    Args:
        items: columns item, by, procedure, verdict, cause, why, record, finished_at, state.

    Returns:
        Findings in the order of the list; one `unknown` finding when there is no list.
    """
    reason = frames.reason(items) or ("the routine has no items" if items.empty else "")
    if reason:
        return [Finding(CHECK, Status.UNKNOWN, "routine", "could not look", why=reason)]
    return [_finding(row) for row in items.to_dict("records")]


def _finding(row: dict[Any, Any]) -> Finding:
    status = Status(row["verdict"])
    if status is Status.SKIPPED:
        return Finding(CHECK, status, row["item"], str(row["state"]), why=row["why"])
    return Finding(
        check=CHECK,
        status=status,
        subject=row["item"],
        observed=f"{row['procedure']}: {status}",
        expected=EXPECTED,
        why="" if status is Status.OK else row["why"],
        next="" if status is Status.OK else row["procedure"],
        cause=Cause(row["cause"], row["why"]) if row["cause"] else None,
    )
