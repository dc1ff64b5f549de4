"""Can the database be put back to a moment, and is what came of it whole?

Neon keeps a history and begins a branch at any moment of it; production is not touched. Supabase puts
the database back in place, over what is there. The reach of both moves with the clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pandas as pd

from opslib import frames, ids
from opslib.checks import compare as holding
from opslib.errors import ParameterError
from opslib.verdict import Cause, Finding, Status

if TYPE_CHECKING:
    from opslib.config import Environment

NEON, SUPABASE = "neon", "supabase"
READY = {NEON: "ready", SUPABASE: "ACTIVE_HEALTHY"}
OUT = Cause("target-time-out-of-window", "the moment to go back to is out of reach", 30)
COMPARED = ("table", "before", "now", "difference", "reason")
_EXAMPLE = "such as 2026-01-31T14:05:00Z"


@dataclass(frozen=True)
class Reach:
    """How far back the database can go.

    Args:
        vendor: neon or supabase; "" where the system names neither.
        project: the vendor's id of it.
        branch: id of the branch that serves production, at Neon.
        status: what the vendor says of it.
        earliest, latest: the bounds; None where there are none.
        reason: why that is not known.
        absent: it is not known because the system has neither vendor.
    """

    vendor: str = ""
    project: str = ""
    branch: str = ""
    status: str = ""
    earliest: datetime | None = None
    latest: datetime | None = None
    reason: str = ""
    absent: bool = False

    def holds(self, moment: datetime) -> bool:
        """Tell whether a moment is within reach."""
        return bool(self.earliest and self.latest and self.earliest <= moment <= self.latest)

    @property
    def text(self) -> str:
        """The window, for a person."""
        if self.earliest is None or self.latest is None:
            return "point-in-time recovery is off: only the daily backups are there"
        return f"from {_said(self.earliest)} to {_said(self.latest)}"


def moment(at: str, minutes_ago: int) -> datetime:
    """Return the moment to go back to, in whole seconds.

    Args:
        at: RFC 3339 with its zone; "" for none.
        minutes_ago: counts where `at` is not given.

    Raises:
        ParameterError: it is no time, has no zone, or has not come yet.
    """
    now = ids.now().replace(microsecond=0)
    if not at:
        return now - timedelta(minutes=minutes_ago)
    try:
        found = datetime.fromisoformat(at)
    except ValueError:
        raise ParameterError(f"at: {at!r} is no time", hint=f"write it with its zone, {_EXAMPLE}") from None
    if found.tzinfo is None:
        raise ParameterError(f"at: {at!r} names no time zone", hint=f"Z stands for UTC, {_EXAMPLE}")
    if found > now:
        raise ParameterError(f"at: {_said(found)} has not come yet", hint="name a time that is past")
    return found.astimezone(UTC).replace(microsecond=0)


def tables(env: Environment, at: str) -> list[str]:
    """Return the tables to count: those that the system's file names, and none where nothing is planned."""
    return list(env.system.tables) if at else []


def reach(
    env: Environment,
    project: pd.DataFrame,
    branches: pd.DataFrame,
    hosted: pd.DataFrame,
    window: pd.DataFrame,
) -> Reach:
    """Return how far back the database can go, by the vendor that has it.

    Args:
        env: its vendors say where the database is: at Neon where that is one of them.
        project, branches: as `Neon.project` and `Neon.branches`.
        hosted, window: as `Supabase.project` and `Supabase.window`.
    """
    if NEON in env.vendors:
        return _at_neon(project, branches)
    if SUPABASE in env.vendors:
        return _at_supabase(hosted, window)
    return Reach(reason=f"{env.system.name} names neither Neon nor Supabase in its file", absent=True)


def ready(reach: Reach) -> Finding:
    """Find whether the vendor has the project's database in order."""
    expected = f"the project is {READY.get(reach.vendor, 'ready')}"
    if reach.reason:
        return _blind("project", reach, expected)
    if reach.status == READY[reach.vendor]:
        return Finding("project", Status.OK, reach.vendor, reach.status, "", expected)
    why = "while it is so, nothing can be put back: look at the vendor's console"
    return Finding("project", Status.WARNING, reach.vendor, reach.status, "", expected, why)


def window(reach: Reach, moment: datetime) -> Finding:
    """Find whether the moment can be gone back to."""
    expected = f"{_said(moment)} is within reach"
    if reach.reason:
        return _blind("window", reach, expected)
    if reach.holds(moment):
        return Finding("window", Status.OK, reach.vendor, reach.text, "", expected)
    why = "only a backup from that time, or an older snapshot, still has it"
    seen = f"{_said(moment)} is not"
    return Finding("window", Status.CRITICAL, reach.vendor, seen, reach.text, expected, why, cause=OUT)


def compare(before: pd.DataFrame, now: pd.DataFrame) -> Finding:
    """Find whether every table that could be counted before is there, and not empty where it was not.

    Other counts are no fault: what was written and removed since is why anybody goes back.

    Args:
        before: production, as `DatabaseSource.counts`.
        now: the same tables of the branch, or of the database that was put back.
    """
    expected = "every table is there, and none is empty that was not"
    for frame in (before, now):
        if reason := frames.reason(frame):
            return holding.unknown("compare", reason, expected=expected)
    rows = difference(before, now)
    if rows.empty:
        return holding.skipped("compare", "the system's file names no table")
    unseen = rows[rows["before"].isna() | rows["now"].isna()]
    if not unseen.empty:
        said = "; ".join(f"{row['table']}: {row['reason']}" for row in unseen.to_dict("records"))
        return holding.unknown("compare", f"not counted: {said}", expected=expected)
    empty = [str(name) for name in rows[(rows["now"] == 0) & (rows["before"] > 0)]["table"]]
    if empty:
        why = "the moment may lie before they were filled: do not swap before you know"
        return Finding("compare", Status.WARNING, "", f"empty: {', '.join(empty)}", "", expected, why)
    total = f"{len(rows)} tables, {rows['before'].sum()} rows before, {rows['now'].sum()} now"
    return Finding("compare", Status.OK, "", total, "", expected)


def difference(before: pd.DataFrame, now: pd.DataFrame) -> pd.DataFrame:
    """Return both counts side by side; columns `COMPARED`."""
    for frame in (before, now):
        if reason := frames.reason(frame):
            return frames.unavailable(COMPARED, reason)
    joined = before.merge(now, on="table", how="outer", suffixes=("_before", "_now"))
    reasons = joined["reason_before"].fillna("").where(joined["reason_before"] != "", joined["reason_now"])
    made = {"table": joined["table"], "before": joined["rows_before"], "now": joined["rows_now"]}
    return pd.DataFrame({**made, "difference": made["now"] - made["before"], "reason": reasons.fillna("")})


def _at_neon(project: pd.DataFrame, branches: pd.DataFrame) -> Reach:
    if unfilled := [frame for frame in (project, branches) if frames.reason(frame)]:
        return _unseen(NEON, unfilled[0])
    main = next((row for row in _rows(branches) if row["default"]), None)
    if main is None or project.empty:
        return Reach(NEON, reason="neon names no branch that serves production")
    row, now = _rows(project)[0], ids.now()
    earliest = max(now - timedelta(seconds=int(row["history_seconds"])), main["created"].to_pydatetime())
    status = main["state"] if not main["pending"] else f"{main['state']}, on the way to {main['pending']}"
    return Reach(NEON, str(row["id"]), str(main["id"]), str(status), earliest, now)


def _at_supabase(project: pd.DataFrame, window: pd.DataFrame) -> Reach:
    if unfilled := [frame for frame in (project, window) if frames.reason(frame)]:
        return _unseen(SUPABASE, unfilled[0])
    if project.empty or window.empty:
        return Reach(SUPABASE, reason="supabase told nothing of the project")
    about, known = _rows(project)[0], _rows(window)[0]
    bounds = [known["earliest"], known["latest"]]
    told = known["point_in_time"] and not any(pd.isna(bound) for bound in bounds)
    earliest, latest = (bound.to_pydatetime() for bound in bounds) if told else (None, None)
    return Reach(SUPABASE, str(about["ref"]), "", str(about["status"]), earliest, latest)


def _unseen(vendor: str, unfilled: pd.DataFrame) -> Reach:
    return Reach(vendor, reason=str(frames.reason(unfilled)), absent=frames.absent(unfilled))


def _blind(check: str, reach: Reach, expected: str) -> Finding:
    if reach.absent:
        return holding.skipped(check, reach.reason, subject=reach.vendor)
    return holding.unknown(check, reach.reason, subject=reach.vendor, expected=expected)


def _rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def _said(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
