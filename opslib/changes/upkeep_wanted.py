"""Which index is proposed for a statement that reads a whole table: the one that its plan asks for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from opslib import frames
from opslib.changes import upkeep_targets as make
from opslib.changes.upkeep_choice import AUTO, NONE, Picks, failed_twice, plain_rows
from opslib.changes.upkeep_waits import waits
from opslib.pg import sql

if TYPE_CHECKING:
    from opslib.changes.upkeep_targets import Row
    from opslib.gate.plan import Draft, Target

_ASKED = "wanted_index"
_WHY_NOT = {
    "other": "its name is taken by something else: give it another one, in a migration",
    "partitions": "the table has partitions, which are built one by one: in a migration",
    "wide": (
        "its values are long, or may be: one that does not fit stops the build, and could not be written"
        " afterwards; take a hash index, in a migration"
    ),
}
_TWICE = "neither its build nor its rebuild succeeded: reindex drops both; see the server's log for why"
_FINAL = "an index that a failed build left is built again, and stays: index-usage drops it where it is idle"


def wanted(table: Callable[..., pd.DataFrame], candidates: pd.DataFrame) -> pd.DataFrame:
    """Return the indexes that candidates ask for; columns as of the statement `wanted_index`.

    Args:
        table: `ops.pg.table`.
        candidates: `checks.plans.candidates`.
    """
    columns = [column.name for column in sql.load(_ASKED).returns]
    if reason := frames.reason(candidates):
        return frames.unavailable(columns, reason, absent=frames.absent(candidates))
    asked = [
        table(_ASKED, schema=row["schema"], table=row["table_name"], column=row["column_name"])
        for row in candidates[~candidates["indexed"].astype(bool)].to_dict("records")
    ]
    blind = next((frame for frame in asked if frames.reason(frame)), None)
    if blind is not None or not asked:
        return blind if blind is not None else pd.DataFrame(columns=columns)
    return pd.concat(asked, ignore_index=True)


def build(
    look: pd.DataFrame, indexes: pd.DataFrame, horizon: pd.DataFrame, *,
    only: Sequence[Sequence[str]] = (), repair: str = AUTO, most: int = 3,
) -> Draft | None:  # fmt: skip
    """Propose which indexes to build.

    Args:
        look: `wanted`.
        indexes: the statement `indexes`; what a failed build left is built again.
        horizon: the statement `xmin_horizon`.
        only: schema and name of the tables that are wanted, of what is found; all where none is named.
        repair: `auto` acts on what was found, `none` on nothing.
        most: how many targets one plan may have.
    """
    if repair == NONE or frames.reason(look) or frames.reason(indexes):
        return None
    picks, wait, kept = Picks(most), waits(horizon), [list(one) for one in only]
    left = {(row["schema"], row["index_name"]): row for row in plain_rows(indexes)}
    for row in plain_rows(look):
        if kept and [row["schema"], row["table_name"]] not in kept:
            continue
        why_not = "an index of its table is being built now" if row["in_progress"] else wait
        why_not = _WHY_NOT.get(str(row["stands"]), why_not)
        again = left.get((row["schema"], row["index_name"])) if row["stands"] == "leftover" else None
        if again is not None and failed_twice(again, indexes):
            why_not = _TWICE
        picks.take(*_target(row, again, why_not))
    undo = ("a built index is dropped, that one and no other",)
    return picks.draft("Build indexes", "reads and writes go on all the while", undo)


def _target(row: Row, again: Row | None, why_not: str) -> tuple[Target, str, str]:
    """Return the target, why it is none, and what cannot be brought back."""
    return (make.create(row), why_not, "") if again is None else (make.reindex(again), why_not, _FINAL)
