"""Does vacuum keep up: dead rows, dead space, and the old snapshots that hold it back."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from opslib import frames
from opslib.checks import compare, counters, held_back
from opslib.checks.database import FREEZE_AGE_PCT, WRAPAROUND, blind
from opslib.pg.relations import written
from opslib.verdict import Cause, Finding, Status

if TYPE_CHECKING:
    from opslib.config import Limit

# Below these volumes nobody would act on a share.
ENOUGH_DEAD_ROWS = 10_000
URGENT_DEAD_ROWS = 1_000_000
ENOUGH_BLOAT_BYTES = 50 * 1024**2
BLOAT_PCT = 50.0
OLD_SNAPSHOT_S = 3600.0
OLD_SNAPSHOT_XIDS = 1_000_000
_MOST_SUBJECTS = 5
_REWRITTEN_MB_A_SECOND = 50  # read and written, on an ordinary disk
_OUTSIDE, _TOAST = ("toast_dead", "toast_live"), " (TOAST)"
_TENDING = "vacuum-analyze"
BLOAT = Cause("bloat", "tables hold much more dead space than rows", 60)
UNTENDED = Cause("autovacuum-off-for-table", "autovacuum is told to leave a table alone", 61)


def dead_rows(need: pd.DataFrame, limit: Limit, counted: pd.DataFrame) -> list[Finding]:
    """Find tables whose dead rows vacuum does not clear away.

    Args:
        need: the statement `autovacuum_need`.
        limit: per cent of a table's rows that are dead; critical only from a million dead rows up. What it
            stores out of line (TOAST) is judged apart.
        counted: the statement `counted_since`; tables whose counters were lost are counted in a finding
            of their own, which is skipped.
    """
    if reason := counters.unasked(need, counted):
        return [compare.unknown("dead rows", reason)]
    outside = need.assign(dead_rows=need["toast_dead"], dead_pct=need["toast_dead_pct"], of=_TOAST)
    both = pd.concat([need.assign(of=""), outside], ignore_index=True)
    many = both[both["dead_rows"].ge(ENOUGH_DEAD_ROWS).fillna(False) & counters.measured(both, counted)]
    found = _worst([_dead(row, limit) for row in many.to_dict("records")])
    found += counters.forgotten("dead rows", need, counted)
    return found or [_all_well("dead rows", len(need), "vacuum keeps up with changes")]


def mostly_dead(tables: pd.DataFrame, limit: Limit) -> pd.DataFrame:
    """Return the rows of the tables that `dead_rows` finds too full of dead rows.

    Args:
        tables: the statement `autovacuum_need` or `tended_tables`.
        limit: per cent of a table's rows that are dead.
    """
    if frames.reason(tables):
        return tables
    return tables[_mostly(tables, "dead_rows", "live_rows", limit) | _mostly(tables, *_OUTSIDE, limit)]


def oldest(tables: pd.DataFrame, limit: Limit) -> pd.DataFrame:
    """Return the rows of the tables whose oldest rows wait too long to be frozen, the oldest first.

    Args:
        tables: the statement `tended_tables`.
        limit: per cent of the way to transaction id wraparound.
    """
    if frames.reason(tables):
        return tables
    behind = tables["pct_of_freeze_age"].ge(FREEZE_AGE_PCT) | tables["pct_to_wraparound"].ge(_first(limit))
    return tables[behind.fillna(False)].sort_values("pct_to_wraparound", ascending=False)


def freezing(tables: pd.DataFrame, limit: Limit, horizon: pd.DataFrame | None = None) -> list[Finding]:
    """Find tables whose oldest rows wait too long to be frozen, for want of which transaction ids run out.

    Args:
        tables: the statement `tended_tables`.
        limit: per cent of the way to transaction id wraparound.
        horizon: the statement `xmin_horizon`: whoever holds such old rows must end before any vacuum helps.
    """
    expected = "autovacuum freezes rows about as fast as they age"
    if reason := frames.reason(tables):
        return [compare.unknown("freezing", reason, expected=expected)]
    old = oldest(tables, limit).head(_MOST_SUBJECTS).to_dict("records")
    return [_old(row, limit, expected, horizon) for row in old] or [
        _all_well("freezing", len(tables), expected)
    ]


def rewrite(estimate: pd.DataFrame) -> pd.DataFrame:
    """Return what VACUUM FULL would give back and cost, for tables where it would give back much.

    Args:
        estimate: the statement `table_bloat_estimate`.

    Returns:
        schema, table_name, mb_now, mb_given_back, mb_needed_meanwhile, seconds_shut: how long nobody could
        read or write it, at 50 MB a second, without the time that its indexes take.
    """
    columns = ["schema", "table_name", "mb_now", "mb_given_back", "mb_needed_meanwhile", "seconds_shut"]
    if reason := frames.reason(estimate):
        return frames.unavailable(columns, reason)
    spare = estimate["bloat_bytes"].fillna(0) + estimate["toast_bloat_bytes"].fillna(0)
    large = estimate[spare.ge(ENOUGH_BLOAT_BYTES)]
    now = (large["heap_bytes"] + large["toast_bytes"].fillna(0)) / 1024**2
    back = spare[large.index] / 1024**2
    seconds = (now + now - back) / _REWRITTEN_MB_A_SECOND
    made = {"mb_now": now, "mb_given_back": back, "mb_needed_meanwhile": now - back, "seconds_shut": seconds}
    return large.assign(**{name: values.round(0) for name, values in made.items()})[columns]


def switched_off(need: pd.DataFrame) -> list[Finding]:
    """Find tables of some size that autovacuum is told to leave alone, also while they have no dead rows.

    Args:
        need: the statement `autovacuum_need`; that nobody could ask it is for `dead_rows` to say.
    """
    if frames.reason(need):
        return []
    large = (need["live_rows"] + need["dead_rows"]).ge(ENOUGH_DEAD_ROWS)
    off = need[large & ~need["autovacuum_enabled"].astype(bool)]
    return [_untended(row) for row in off.head(_MOST_SUBJECTS).to_dict("records")]


def _untended(row: dict[Any, Any]) -> Finding:
    name = written(row["schema"], row["table_name"])
    why = f"dead rows pile up again: alter table {name} reset (autovacuum_enabled)"
    return Finding(
        "autovacuum of a table", Status.WARNING, f"{row['schema']}.{row['table_name']}", "off", "on",
        "autovacuum tends every table", why, cause=UNTENDED,
    )  # fmt: skip


def bloat(estimate: pd.DataFrame, to_clear: pd.DataFrame | None = None) -> list[Finding]:
    """Find tables that hold much more space than their rows need; an estimate.

    Args:
        estimate: the statement `table_bloat_estimate`; tables without statistics, or whose statistics are
            hidden from our role, are counted in a finding of their own, which is skipped.
        to_clear: `mostly_dead`: the tables in which vacuum would clear something away. In the others it has
            been done, and leads nowhere; where it is not given, nobody knows.
    """
    if reason := frames.reason(estimate):
        return [compare.unknown("bloat", reason)]
    parts = pd.concat([estimate.assign(of=""), _outside(estimate)])
    large = parts[
        parts["bloat_bytes"].ge(ENOUGH_BLOAT_BYTES).fillna(False) & parts["bloat_pct"].ge(BLOAT_PCT)
    ]
    found = [_bloated(row, to_clear) for row in large.head(_MOST_SUBJECTS).to_dict("records")]
    blind = estimate[estimate["no_statistics"]]
    if not found and (len(estimate) > len(blind) or blind.empty):
        expected = "tables are not much larger than their rows"
        found = [_all_well("bloat", len(estimate) - len(blind), expected)]
    cure = "analyze them"
    return [*found, *compare.without_statistics("bloat", blind, len(estimate), "tables", cure)]


def old_snapshots(
    horizon: pd.DataFrame, facts: pd.DataFrame, ages: pd.DataFrame | None = None
) -> list[Finding]:
    """Find what keeps vacuum from removing dead rows.

    Args:
        horizon: the statement `xmin_horizon`.
        facts: the statement `server_facts`: without pg_monitor others' snapshots are hidden.
        ages: the statement `wraparound_databases` or `tended_tables`: a snapshot that is older than rows
            may be before they are frozen is an old one, too.
    """
    expected = "no snapshot is older than an hour"
    if reason := frames.reason(horizon) or blind(facts):
        return [compare.unknown("old snapshots", reason, expected=expected)]
    most = min(OLD_SNAPSHOT_XIDS, held_back.freeze_age(ages) or OLD_SNAPSHOT_XIDS)
    old = [_holder(row, expected) for row in horizon.to_dict("records") if _is_old(row, most)]
    return old[:_MOST_SUBJECTS] or [Finding("old snapshots", Status.OK, "", "none", "1 h", expected)]


def _mostly(tables: pd.DataFrame, dead: str, live: str, limit: Limit) -> pd.Series:
    many, both = tables[dead], tables[dead] + tables[live]
    share = 100 * many >= (_first(limit) or 0) * both
    return many.ge(ENOUGH_DEAD_ROWS).fillna(False) & share.fillna(False)


def _dead(row: dict[Any, Any], limit: Limit) -> Finding:
    why = "they cost space and time in each scan; see what holds vacuum back"
    if not row["autovacuum_enabled"]:
        why = "autovacuum is switched off for this table"
    elif row["of"]:
        why = (
            "pieces of long values; autovacuum clears them away apart from the rows, by settings of their own"
        )
    critical = limit.critical if row["dead_rows"] >= URGENT_DEAD_ROWS else None
    found = compare.below(
        float(row["dead_pct"]), check="dead rows", warning=_first(limit), critical=critical, unit=limit.unit,
        expected="vacuum keeps up with changes",
        subject=f"{row['schema']}.{row['table_name']}{row['of']}", cause=BLOAT,
        why=why, next=_TENDING,
    )  # fmt: skip
    return replace(found, next_parameters=_named(row))


def _old(row: dict[Any, Any], limit: Limit, expected: str, horizon: pd.DataFrame | None) -> Finding:
    urgent = limit.critical is not None and row["pct_to_wraparound"] >= limit.critical
    held = held_back.holder(horizon, row["xid_age"])
    why = f"{held}: end it first, vacuum freezes nothing meanwhile" if held else "vacuum it now"
    return Finding(
        "freezing", Status.CRITICAL if urgent else Status.WARNING, f"{row['schema']}.{row['table_name']}",
        f"{row['xid_age']} transactions old, {row['pct_of_freeze_age']:.0f} % of autovacuum's freeze age",
        f"{FREEZE_AGE_PCT:.0f} %", expected, why, "database-connections" if held else _TENDING, WRAPAROUND,
        {} if held else _named(row),
    )  # fmt: skip


def _named(row: dict[Any, Any]) -> dict[str, list[str]]:
    return {"tables": [written(row["schema"], row["table_name"])]}


def _first(limit: Limit) -> float | None:
    return limit.critical if limit.warning is None else limit.warning


def _worst(found: list[Finding]) -> list[Finding]:
    bad = [finding for finding in found if finding.status is not Status.OK]
    return sorted(bad, key=lambda finding: -finding.status.severity)[:_MOST_SUBJECTS]


def _bloated(row: dict[Any, Any], to_clear: pd.DataFrame | None) -> Finding:
    observed = f"about {row['bloat_pct']:.0f} % of {compare.number(row['heap_bytes'] / 1024**2, 'MB')}"
    why = "an estimate: measure with pgstattuple before any rewrite, and see first why vacuum fell behind"
    done = _cleared(row, to_clear)
    if done:
        why = (
            "vacuum has done its work: the file stays large, with room inside for new rows; nothing is to be"
            " done unless the disk is short (pg_repack)"
        )
    return Finding(
        "bloat", Status.WARNING, f"{row['schema']}.{row['table_name']}{row['of']}", observed,
        f"{BLOAT_PCT:.0f} %", "tables are not much larger than their rows", why, "" if done else _TENDING,
        BLOAT, {} if done else _named(row),
    )  # fmt: skip


def _cleared(row: dict[Any, Any], to_clear: pd.DataFrame | None) -> bool:
    """Tell whether vacuum would find nothing to do in a table."""
    if to_clear is None or frames.reason(to_clear):
        return False
    same = to_clear["schema"].eq(row["schema"]) & to_clear["table_name"].eq(row["table_name"])
    return not same.any()


def _outside(estimate: pd.DataFrame) -> pd.DataFrame:
    """Return what the tables store out of line as rows of their own, for which no statistics are needed."""
    heap, spare = estimate["toast_bytes"], estimate["toast_bloat_bytes"]
    share = 100 * spare / heap.where(heap.gt(0))
    return estimate.assign(heap_bytes=heap, bloat_bytes=spare, bloat_pct=share, of=_TOAST)


def _is_old(row: dict[Any, Any], most: float) -> bool:
    if row["owner"] == "autovacuum worker":
        return False
    old = not pd.isna(row["since"]) and float(row["since"]) >= OLD_SNAPSHOT_S
    return old or (not pd.isna(row["xmin_age"]) and int(row["xmin_age"]) >= most)


def _holder(row: dict[Any, Any], expected: str) -> Finding:
    since = "" if pd.isna(row["since"]) else f"{float(row['since']) / 3600:.1f} h, "
    return Finding(
        "old snapshots", Status.WARNING, f"{row['holder']} {row['name']}",
        f"{row['owner']}: {since}{row['xmin_age']} transactions old", "1 h", expected,
        "vacuum can't remove any row that died since", "database-connections",
    )  # fmt: skip


def _all_well(check: str, tables: int, expected: str) -> Finding:
    seen = (
        f"{tables} table{'s' if tables > 1 else ''} looked at"
        if tables
        else "no table is large enough to matter"
    )
    return Finding(check, Status.OK, "", seen, "", expected)
