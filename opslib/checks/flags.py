"""Feature flags of either store in one form: are they well kept, and is one of them behind errors.

A flag is suspected when the share of answers that fail is about the share of users that it lets
through, and somebody changed it lately. Either alone proves nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pandas as pd

from opslib import frames
from opslib.checks import compare
from opslib.verdict import Cause, Finding, Status

if TYPE_CHECKING:
    from opslib.config import Limit
    from opslib.config.parts import Flags

COLUMNS = (
    "flag", "enabled", "kill_switch", "rollout", "exposed", "stops_all", "updated", "who",
    "description", "id", "version", "filters",
)  # fmt: skip
SHOWN = ("flag", "enabled", "kill_switch", "rollout", "exposed", "updated", "who", "description")
BAD_FEATURE = Cause("bad-feature", "the code behind a feature flag fails for those it lets through", 40)
NEXT = "site-down"
STALE_DAYS = 90
CHANGED_HOURS = 48  # a roll-out before the weekend is found after it
_LEAST_TOLERANCE_PCT = 5.0
_SIGMAS = 2.0


@dataclass(frozen=True)
class Errors:
    """How many answers of the site fail.

    Args:
        answers: how many answers came.
        failed: how many of them were 5xx.
        reason: why nothing is known, or nothing.
    """

    answers: int
    failed: int
    reason: str = ""

    @property
    def share_pct(self) -> float | None:
        """Share of failed answers, None where none came."""
        return 100 * self.failed / self.answers if self.answers and not self.reason else None


def state(found: pd.DataFrame, where: Flags | None) -> pd.DataFrame:
    """Return the flags of either store in one form.

    Args:
        found: as the statement `feature_flags` or `PostHog.feature_flags` returns them.
        where: the system's file on its flags; its kill switch is known by its name.

    Returns:
        Columns `COLUMNS`: exposed is the share of users in percent that get the feature now;
        kill_switch is None where the store has none for each flag; who is the person who changed it
        last, or the owner where the store does not tell; stops_all marks the flag that,
        when on, switches things off for everybody. The last changed first; carries the reason when
        `found` could not be filled.
    """
    reason = frames.reason(found)
    if reason:
        return frames.unavailable(COLUMNS, reason, absent=frames.absent(found))
    stop = where.kill_switch if where else ""
    row = _posthog if "active" in found.columns else _sql
    rows = [_exposed({**row(each), "stops_all": False}, stop) for each in found.to_dict("records")]
    # Not numbers to pandas: one flag without a share would turn all shares into fractions.
    table = pd.DataFrame({name: pd.Series([row[name] for row in rows], dtype="object") for name in COLUMNS})
    table["updated"] = pd.to_datetime(table["updated"], utc=True)
    table = table.astype({"enabled": "bool", "stops_all": "bool"})
    return table.sort_values("updated", ascending=False, kind="stable", ignore_index=True)


def _sql(row: Mapping[Any, Any]) -> dict[str, Any]:
    return {
        "flag": row["name"],
        "enabled": bool(row["enabled"]),
        "kill_switch": bool(row["kill_switch"]),
        "rollout": row["rollout_percentage"],
        "updated": row["updated_at"],
        "who": f"owner {row['owner']}" if row["owner"] else "",
        "description": row["description"],
        "id": None,
        "version": None,
        "filters": None,
    }


def _posthog(row: Mapping[Any, Any]) -> dict[str, Any]:
    kept = {name: row[name] for name in ("rollout", "updated", "id", "version", "filters")}
    return {
        **kept,
        "who": f"by {row['changed_by']}" if row["changed_by"] else "",
        "flag": row["key"],
        "enabled": bool(row["active"]),
        "kill_switch": None,
        "description": row["name"],
    }


def _exposed(row: dict[str, Any], stop: str) -> dict[str, Any]:
    on = row["enabled"] and not row["kill_switch"]
    known = row["rollout"] is not None and not pd.isna(row["rollout"])
    share = row["rollout"] if known else None
    return {**row, "exposed": share if on else 0, "stops_all": bool(stop) and row["flag"] == stop}


def shown(flags: pd.DataFrame) -> pd.DataFrame:
    """Return the columns of `state` that a person reads."""
    reason = frames.reason(flags)
    return frames.unavailable(SHOWN, reason) if reason else flags[list(SHOWN)]


def errors(probes: pd.DataFrame) -> Errors:
    """Count the answers that are 5xx; no answer at all is not an error of the app's code.

    Args:
        probes: as `site.probe` returns them.
    """
    reason = frames.reason(probes)
    if reason:
        return Errors(0, 0, reason)
    answered = probes[probes["status_code"] > 0]
    if answered.empty:
        said = next(iter(probes["error"]), "it was not asked") if len(probes) else "it was not asked"
        return Errors(0, 0, f"the site gave no answer: {said}")
    return Errors(len(answered), int((answered["status_code"] >= 500).sum()))


def first_step(limit: Limit) -> float:
    """Return the share of errors, in percent, from which on it counts."""
    steps = [step for step in (limit.warning, limit.critical) if step is not None]
    return float(min(steps, default=math.inf))


def suspects(
    flags: pd.DataFrame, seen: Errors, limit: Limit, hours: int = CHANGED_HOURS, now: datetime | None = None
) -> pd.DataFrame:
    """Return the flags that may be behind the errors, the likeliest first.

    Args:
        flags: as `state` returns them.
        seen: the errors.
        limit: the share from which on errors count.
        hours: a flag that was changed longer ago is none.
        now: time of the look.
    """
    share = seen.share_pct
    if share is None or share < first_step(limit) or flags.empty:
        return flags.head(0)
    since = (now or datetime.now(UTC)) - timedelta(hours=hours)
    fits = [_fits(exposed, share, seen.answers) for exposed in flags["exposed"]]
    # The table has the last changed first, which is the likeliest.
    return flags[pd.Series(fits, index=flags.index) & (flags["updated"] >= since) & ~flags["stops_all"]]


def _fits(exposed: Any, share: float, answers: int) -> bool:
    if exposed is None or pd.isna(exposed) or not exposed:
        return False
    expected = float(exposed)
    spread = _SIGMAS * math.sqrt(expected * (100 - expected) / answers)
    return abs(share - expected) <= max(spread, _LEAST_TOLERANCE_PCT)


def known(flags: pd.DataFrame) -> Finding:
    """Find whether the flags can be seen at all: none is no clean bill, but a hidden table."""
    expected = "the flags of the system, all of them"
    blind = compare.blind("flags", flags, expected=expected)
    if blind is not None:
        return blind
    if flags.empty:
        return compare.unknown(
            "flags", "no flag is seen: either there is none, or this role may not see them", expected=expected
        )
    part = int(flags["exposed"].map(lambda share: share is not None and 0 < share < 100).sum())
    observed = f"{len(flags)} flags, {part} of them rolled out to a part of the users"
    return Finding("flags", Status.OK, "", observed, "", expected)


def error_share(seen: Errors, limit: Limit, found: pd.DataFrame) -> Finding:
    """Find whether too many answers fail.

    Args:
        seen: the errors.
        limit: the share of errors, in percent.
        found: as `suspects` returns them; without any, somebody else must find out why.
    """
    expected = "hardly any answer is an error"
    if seen.share_pct is None:
        return compare.unknown("error share", seen.reason, expected=expected, next=NEXT)
    return compare.below(
        round(seen.share_pct, 1),
        check="error share",
        warning=limit.warning,
        critical=limit.critical,
        expected=expected,
        why=f"{seen.failed} of {seen.answers} answers failed",
        next=NEXT if found.empty else "",
        unit="%",
    )


def blame(flags: pd.DataFrame, found: pd.DataFrame, seen: Errors) -> Finding:
    """Find whether a flag is behind the errors.

    Args:
        flags: as `state` returns them.
        found: as `suspects` returns them.
        seen: the errors.
    """
    expected = "no flag that was changed lately lets through as many users as there are errors"
    reason = frames.reason(flags) or seen.reason
    if reason:
        return compare.unknown("flag behind errors", reason, expected=expected)
    if found.empty:
        return Finding("flag behind errors", Status.OK, "", "none", "none", expected)
    first, others = found.iloc[0], list(found["flag"].iloc[1:])
    observed = f"{seen.share_pct:.0f} % of answers fail, it lets {first['exposed']} % through"
    why = f"changed {_when(first['updated'])}{_by(first['who'])}"
    why += f"; it could also be {' or '.join(others)}" if others else ""
    return Finding(
        "flag behind errors", Status.CRITICAL, first["flag"], observed, "", expected, why, cause=BAD_FEATURE
    )


def kill_switches(flags: pd.DataFrame) -> Finding:
    """Find whether a kill switch is on: it ends a fault and hides it, so that somebody must know."""
    expected = "no kill switch is on"
    blind = compare.blind("kill switch", flags, expected=expected)
    if blind is not None:
        return blind
    on = flags[(flags["kill_switch"].eq(True)) | (flags["stops_all"] & flags["enabled"])]
    if on.empty:
        return Finding("kill switch", Status.OK, "", "off", "off", expected)
    said = [f"{row['flag']} since {_when(row['updated'])}{_by(row['who'])}" for _, row in on.iterrows()]
    why = "what it switches off stays off until somebody puts it back: action unkill"
    return Finding("kill switch", Status.WARNING, "", f"on: {'; '.join(said)}", "off", expected, why)


def stale(flags: pd.DataFrame, days: int = STALE_DAYS, now: datetime | None = None) -> Finding:
    """Find flags that nobody touched for long and that decide nothing any more.

    Args:
        flags: as `state` returns them.
        days: untouched for so long, and all or nobody let through.
        now: time of the look.
    """
    expected = f"a flag that decides nothing any more is removed within {days} days"
    blind = compare.blind("stale flags", flags, expected=expected)
    if blind is not None:
        return blind
    since = (now or datetime.now(UTC)) - timedelta(days=days)
    settled = flags["exposed"].map(lambda share: share in (0, 100))
    # A kill switch is meant to lie idle.
    old = flags[settled & (flags["updated"] < since) & ~flags["stops_all"]]
    if old.empty:
        return Finding("stale flags", Status.OK, "", "none", "none", expected)
    said = ", ".join(f"{row['flag']} ({row['exposed']} %)" for _, row in old.iterrows())
    why = "code for both ways is kept, and one day somebody flips it by mistake"
    return Finding("stale flags", Status.WARNING, "", said, "none", expected, why)


def _when(moment: Any) -> str:
    return "an unknown time" if pd.isna(moment) else f"{moment:%Y-%m-%d %H:%M} UTC"


def _by(person: Any) -> str:
    return f", {person}" if person else ""
