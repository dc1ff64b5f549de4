"""Is the database itself in good order: space, memory, transaction ids, indexes, pages.

What a plain member of pg_monitor can't see is told apart from what is well: a core check that could
not look is `unknown`, an estimate that needs rights beyond pg_monitor is `skipped` and says which.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pandas as pd

from opslib import frames
from opslib.checks import compare, held_back
from opslib.verdict import Cause, Finding, Status

if TYPE_CHECKING:
    from opslib.config import Limit

# Below these volumes a share says nothing, or nobody would act on it.
ENOUGH_READS = 100_000
ENOUGH_GROWTH_BYTES = 100 * 1024**2
# Autovacuum begins at 100 % of its own freeze age; half as much again means that it falls behind.
FREEZE_AGE_PCT = 150.0
_FAR_WEEKS = 520
_MOST_SUBJECTS = 5
_DAY_S = 86_400
_WEEK = 7

WRAPAROUND = Cause("wraparound-near", "transaction ids run out faster than vacuum gives them back", 20)
UNTENDED = Cause("autovacuum-off", "the server vacuums no table by itself: autovacuum is switched off", 40)
INVALID = Cause("invalid-index", "an index was left behind half built", 55)


def rights(facts: pd.DataFrame) -> Finding:
    """Find whether our role may see what the other checks rely on.

    Args:
        facts: the statement `server_facts`.
    """
    expected = "the role is a member of pg_monitor"
    if reason := blind(facts):
        return compare.unknown("rights", reason, expected=expected, next="database-connections")
    role = str(facts["role"].iloc[0])
    return Finding("rights", Status.OK, role, "pg_monitor", "", expected)


def blind(facts: pd.DataFrame) -> str:
    """Return why our role can't see others' sessions and replicas, or "" when it can."""
    if reason := _absent(facts):
        return reason
    row = facts.iloc[0]
    if bool(row["can_monitor"]):
        return ""
    return f"sessions and replicas are hidden from {row['role']}: grant pg_monitor to {row['role']}"


def autovacuum(facts: pd.DataFrame) -> Finding:
    """Find whether the server vacuums and analyzes by itself at all; a table may still be left out.

    Args:
        facts: the statement `server_facts`.
    """
    expected = "autovacuum runs"
    if reason := _absent(facts):
        return compare.unknown("autovacuum", reason, expected=expected)
    row = facts.iloc[0]
    if row["is_replica"]:
        return compare.skipped("autovacuum", "a replica has its tables vacuumed by its primary")
    if row["autovacuum"]:
        return Finding("autovacuum", Status.OK, "", "on", "", expected)
    why = "dead rows and old statistics pile up in all tables: set autovacuum and track_counts to on, reload"
    return Finding("autovacuum", Status.WARNING, "", "off", "on", expected, why, cause=UNTENDED)


def size(sizes: pd.DataFrame) -> Finding:
    """Say how large the database is; what is too large only its growth and its disk can tell.

    Args:
        sizes: the statement `database_sizes`.
    """
    expected = "known, so that growth can be seen"
    if reason := _absent(_current(sizes)):
        return compare.unknown("size", reason, expected=expected)
    # Always in the same unit: later runs read the number back.
    return Finding("size", Status.OK, "", compare.number(_bytes(sizes) / 1024**2, "MB"), "", expected)


def growth(sizes: pd.DataFrame, history: pd.DataFrame, limit: Limit, now: datetime | None = None) -> Finding:
    """Find whether the database grows faster than expected.

    Args:
        sizes: the statement `database_sizes`.
        history: `ops.history("size", days=1)`: what earlier runs saw, in MB.
        limit: per cent a week.
        now: time of the look, in UTC.
    """
    expected = "grows no faster than its data should"
    if reason := _absent(_current(sizes)):
        return compare.unknown("growth", reason, expected=expected)
    pasts = _pasts(history, now or datetime.now(UTC))
    if not pasts:
        reason = frames.reason(history) or "no record of this procedure is at least a day old"
        return compare.skipped("growth", reason)
    # Not from the oldest: what was imported then is no growth of this week, and a quiet half year hides one.
    then, days = _week_ago(pasts)
    grown = _bytes(sizes) - then * 1024**2
    pct = 100 * grown / max(then * 1024**2, 1) * _WEEK / days if grown >= ENOUGH_GROWTH_BYTES else 0.0
    why = _doubling(pct)
    return _below(pct, limit, "growth", expected, why=why, unit="% a week", next="archive-rows")


def forecast(
    sizes: pd.DataFrame, history: pd.DataFrame, room: Limit, weeks: Limit, now: datetime | None = None
) -> Finding:
    """Find when the database will have filled its disk, at the pace of earlier records.

    Args:
        sizes: the statement `database_sizes`; the disk holds all databases.
        history: `ops.history("size", days=1)`: what earlier runs saw of ours, in MB.
        room: size of the disk in GB, as `critical`; PostgreSQL does not know it.
        weeks: weeks that must be left.
        now: time of the look, in UTC.
    """
    expected = "room for the growth to come"
    if reason := _absent(_current(sizes)):
        return compare.unknown("disk", reason, expected=expected)
    if room.critical is None:
        words = "PostgreSQL does not know the size of its disk: set `disk_gb` in the system's file"
        return compare.skipped("disk", words)
    left = room.critical * 1024**3 - float(sizes["bytes"].sum())
    if left <= 0:
        seen = compare.number(float(sizes["bytes"].sum()) / 1024**3, "GB")
        limit = compare.number(room.critical, room.unit)
        return Finding(
            "disk", Status.CRITICAL, "", seen, limit, expected, "the disk must be full: enlarge it"
        )
    pasts = _pasts(history, now or datetime.now(UTC))
    if not pasts:
        reason = frames.reason(history) or "no record of this procedure is at least a day old"
        return compare.skipped("disk", reason)
    # The worse pace: the last week after quiet months, or the months after a week in which much was deleted.
    ends = (_week_ago(pasts), pasts[0])
    weekly = max((_bytes(sizes) - then * 1024**2) * _WEEK / days for then, days in ends)
    if weekly * _FAR_WEEKS <= left:
        return Finding("disk", Status.OK, "", f"more than {_FAR_WEEKS} weeks", "", expected)
    return compare.above(
        left / weekly, check="disk", warning=weeks.warning, critical=weeks.critical, unit=weeks.unit,
        expected=expected, why="at this pace the disk is full then; WAL and logs take room as well",
        next="archive-rows",
    )  # fmt: skip


def hit_rates(rates: pd.DataFrame, limit: Limit) -> list[Finding]:
    """Find whether reads are served from memory; a share of few reads is left alone.

    Args:
        rates: the statement `hit_rates`.
        limit: per cent.
    """
    if reason := _absent(rates):
        return [compare.unknown("hit rate", reason)]
    return [_hit_rate(row, limit) for row in rates.to_dict("records")]


def wraparound(ages: pd.DataFrame, limit: Limit, horizon: pd.DataFrame | None = None) -> list[Finding]:
    """Find whether any database nears the end of its transaction ids, or falls behind in freezing.

    Args:
        ages: the statement `wraparound_databases`.
        limit: per cent of the way to the end.
        horizon: the statement `xmin_horizon`: whoever holds such old rows must end before any vacuum helps.
    """
    if reason := _absent(ages):
        return [compare.unknown(check, reason) for check in ("wraparound", "freezing")]
    end = ages.nlargest(1, "pct_to_wraparound").iloc[0]
    behind = ages.nlargest(1, "pct_of_freeze_age").iloc[0]
    held = held_back.holder(horizon, behind["xid_age"])
    onward = "database-connections" if held else "vacuum-analyze"
    why = f"{held}: end it first, vacuum freezes nothing meanwhile" if held else ""
    return [
        _below(
            float(end["pct_to_wraparound"]), limit, "wraparound", "far from the last transaction id",
            subject=str(end["database"]), cause=WRAPAROUND, next=onward,
            why=why or "at the end the server takes no more writes; vacuum the oldest tables now",
        ),
        compare.below(
            float(behind["pct_of_freeze_age"]), check="freezing", warning=FREEZE_AGE_PCT, unit="%",
            expected="autovacuum freezes rows about as fast as they age", subject=str(behind["database"]),
            cause=WRAPAROUND, next=onward,
            why=why or "old snapshots, locks or a switched-off autovacuum keep rows from being frozen",
        ),
    ]  # fmt: skip


def invalid_indexes(indexes: pd.DataFrame) -> list[Finding]:
    """Find indexes that a failed build left behind; one that is being built now is none of them.

    Args:
        indexes: the statement `invalid_indexes`.
    """
    expected = "every index is complete"
    if reason := frames.reason(indexes):
        return [compare.unknown("invalid index", reason, expected=expected)]
    left = indexes[~indexes["in_progress"].fillna(False)]
    if left.empty:
        building = f"{len(indexes)} being built" if len(indexes) else "none"
        return [Finding("invalid index", Status.OK, "", building, "none", expected)]
    why = "it serves no query and still slows each write; drop it, then build it again concurrently"
    return [
        Finding(
            "invalid index", Status.WARNING, str(row["index_name"]),
            f"{row['leftover']} on {row['table_name']}", "none", expected, why, "reindex", INVALID,
        )
        for row in left.head(_MOST_SUBJECTS).to_dict("records")
    ]  # fmt: skip


def checksums(counters: pd.DataFrame) -> Finding:
    """Find whether the server has read damaged pages.

    Args:
        counters: the statement `database_counters`.
    """
    expected = "no page was read damaged"
    if reason := _absent(counters):
        return compare.unknown("checksums", reason, expected=expected)
    row = counters.iloc[0]
    if not bool(row["checksums_on"]):
        return compare.skipped("checksums", "this server keeps no checksums, so damage would go unseen")
    return compare.below(
        float(row["checksum_failures"]), check="checksums", critical=1, expected=expected, unit="failures",
        why="the storage gave back other bytes than were written: take a backup, call the vendor",
    )  # fmt: skip


def _absent(frame: pd.DataFrame) -> str:
    return frames.reason(frame) or ("the answer has no rows" if frame.empty else "")


def _current(sizes: pd.DataFrame) -> pd.DataFrame:
    if frames.reason(sizes):
        return sizes
    return sizes[sizes["is_current"].fillna(False)]


def _bytes(sizes: pd.DataFrame) -> float:
    return float(_current(sizes)["bytes"].iloc[0])


def _pasts(history: pd.DataFrame, now: datetime) -> list[tuple[float, float]]:
    """Return sizes in MB with their age in days, of all records that are a day old; the oldest first."""
    rows = history.dropna(subset=["observed"]).to_dict("records")
    days = [(pd.Timestamp(now) - row["finished_at"]).total_seconds() / _DAY_S for row in rows]
    return [(float(row["observed"]), age) for row, age in zip(rows, days, strict=True) if age >= 1]


def _week_ago(pasts: list[tuple[float, float]]) -> tuple[float, float]:
    return min(pasts, key=lambda past: abs(past[1] - _WEEK))


def _doubling(pct: float) -> str:
    if pct <= 0:
        return ""
    weeks = max(1, round(100 / pct))
    return f"at this pace it is twice as large in {weeks} week{'s' if weeks > 1 else ''}"


def _below(
    value: float, limit: Limit, check: str, expected: str, *, subject: str = "", cause: Cause | None = None,
    why: str = "", unit: str = "", next: str = "",
) -> Finding:  # fmt: skip
    return compare.below(
        value, check=check, warning=limit.warning, critical=limit.critical, expected=expected, why=why,
        subject=subject, cause=cause, unit=unit or limit.unit, next=next,
    )  # fmt: skip


def _hit_rate(row: dict[Any, Any], limit: Limit) -> Finding:
    volume = int(row["hits"]) + int(row["reads"])
    since = f" since {row['since']:%Y-%m-%d %H:%M} UTC" if not pd.isna(row["since"]) else ""
    if volume < ENOUGH_READS:
        return compare.skipped(
            "hit rate", f"only {volume} block reads{since}: a share of so few says nothing", subject=row["of"]
        )
    return compare.above(
        float(row["hit_pct"]), check="hit rate", warning=limit.warning, critical=limit.critical,
        expected="nearly all reads are served from memory", subject=row["of"], unit=limit.unit,
        next="slow-queries",
        why=f"of {volume} block reads{since}: memory is short of what is read; not the fault of an index",
    )  # fmt: skip
