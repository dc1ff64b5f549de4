"""Does a vector index still find the neighbours that a full scan finds."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from opslib import frames
from opslib.checks import compare
from opslib.verdict import Finding

if TYPE_CHECKING:
    from opslib.config import Limit

PROBES, NEIGHBOURS = 20, 10
COLUMNS = ("probes", "found", "wanted", "asked")
_OTHER_WAY = (
    "the planner asks another index, or none, as it does where a table is small: nothing is known of this one"
)
_CLASS = re.compile(r'(?:(\w+)|"([^"]+)")\.vector_(cosine|l2|ip)_ops')


def recall(table: Callable[..., pd.DataFrame], indexes: pd.DataFrame, name: Sequence[str]) -> pd.DataFrame:
    """Ask a vector index for neighbours of a few rows, and a full scan for the same.

    Args:
        table: `ops.pg.table`.
        indexes: the statement `indexes`.
        name: schema and name of the index; empty where none is to be tested.

    Returns:
        probes, found, wanted, and asked: how often that very index was scanned; empty with the reason where
        it could not be tested.
    """
    if not name:
        return frames.unavailable(COLUMNS, "no index was named for the test", absent=True)
    if reason := frames.reason(indexes):
        return frames.unavailable(COLUMNS, reason)
    row = indexes[indexes["schema"].eq(name[0]) & indexes["index_name"].eq(name[1])].iloc[0]
    kind = _CLASS.search(row["definition"] or "")
    if kind is None or row["columns"][0] is None or " WHERE " in row["definition"]:
        return frames.unavailable(COLUMNS, "it is no plain index over one column of the type vector")
    return table(
        f"vector_recall_{kind[3]}", table=[row["schema"], row["table_name"]], column=row["columns"][0],
        operators=kind[1] or kind[2], index=int(row["build"]), probes=PROBES, neighbours=NEIGHBOURS,
    )  # fmt: skip


def judged(seen: pd.DataFrame, name: Sequence[str], limit: Limit) -> Finding:
    """Judge how many of the true neighbours were found.

    Args:
        seen: as `recall` returns it.
        name: schema and name of the index.
        limit: per cent.
    """
    expected, subject = "nearly all of the true neighbours", ".".join(name)
    if blind := compare.blind("vector recall", seen, subject=subject, expected=expected):
        return blind
    wanted = int(seen["wanted"].iloc[0])
    if not wanted:
        return compare.skipped("vector recall", "its table is empty", subject=subject)
    if int(seen["asked"].iloc[0]) < int(seen["probes"].iloc[0]):
        return compare.unknown("vector recall", _OTHER_WAY, subject=subject, expected=expected)
    return compare.above(
        100 * int(seen["found"].iloc[0]) / wanted, check="vector recall", warning=limit.warning,
        critical=limit.critical, expected=expected, subject=subject, unit=limit.unit,
        why=f"of {wanted} neighbours; name the index in `indexes` to have it built anew",
    )  # fmt: skip
