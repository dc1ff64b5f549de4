"""What a run did about backups: took one, or only looked; and which old ones it removed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from opslib import frames
from opslib.checks import backups, compare
from opslib.verdict import Finding, Status

if TYPE_CHECKING:
    from opslib.config import Environment

_MOST_NAMED = 5


def taken(made: pd.DataFrame) -> Finding:
    """Find whether the backup that was just asked for was taken.

    Args:
        made: `ops.backups.take()`.
    """
    expected = "taken, and read back to its end, and pg_dump warned of nothing"
    if reason := frames.reason(made):
        why = f"{reason}; nothing was kept of it"
        return Finding("taken", Status.CRITICAL, "", "not taken", "", expected, why, cause=backups.FAILED)
    row = made.iloc[0]
    seen = f"{row['rows']} rows of {row['tables']} tables in {row['seconds']:g} s"
    if row["warnings"]:
        why = f"pg_dump warned: {row['warnings']}"
        return Finding(
            "taken", Status.WARNING, str(row["id"]), seen, "", expected, why, cause=backups.INCOMPLETE
        )
    return Finding("taken", Status.OK, str(row["id"]), seen, "", expected)


def not_taken(env: Environment) -> Finding:
    """Say that this run only looked, and how one is taken.

    Args:
        env: whose database.
    """
    command = f"opslib run {backups.TAKES} --system {env.system.name} --env {env.name} -p take=true"
    return compare.skipped("taken", f"none was taken: this only looked. To take one: {command}")


def retired(gone: pd.DataFrame, left: pd.DataFrame, where: str = "") -> Finding:
    """Say which backups were removed, and find those that could not be.

    Args:
        gone: `ops.backups.retire()` or `ops.copies.retire()`.
        left: what is listed there now.
        where: `in the bucket`, where it is not this machine.
    """
    check, expected = f"retired {where}".strip(), "what the rule no longer keeps is removed, and nothing else"
    if finding := compare.blind(check, gone, expected=expected):
        return finding
    removed, stuck = gone[gone["removed"].astype(bool)], gone[~gone["removed"].astype(bool)]
    kept = "nobody knows how many are left" if frames.reason(left) else f"{len(left)} kept"
    seen = f"{len(removed)} removed; {kept}"
    if len(stuck):
        why = f"not removed: {_named(stuck)}"
        return Finding(check, Status.WARNING, "", f"{seen}, {len(stuck)} to look at", "", expected, why)
    return Finding(check, Status.OK, "", seen, "", expected, _named(removed))


def none_retired() -> Finding:
    """Say that nothing was removed, though it was asked for."""
    return compare.skipped("retired", "nothing was removed: first a new backup must be taken and found good")


def _named(rows: pd.DataFrame) -> str:
    """Return the names of backups by why each was removed or not."""
    told = []
    for why, some in rows.groupby("why", sort=False):
        more = len(some) - _MOST_NAMED
        names = ", ".join(some["id"].head(_MOST_NAMED)) + (f" and {more} more" if more > 0 else "")
        told.append(f"{names} ({why})")
    return "; ".join(told)
