"""Which statements take the server's time, which became slower, and which run far too often."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from opslib import frames
from opslib.checks import compare
from opslib.config.limits import defaults
from opslib.verdict import Cause, Finding, Status

if TYPE_CHECKING:
    from opslib.config import Limit

# A loop that asks for one row at a time shows as very many cheap calls that add up.
OFTEN_CALLS, OFTEN_SHARE_PCT, ONE_ROW, CHEAP_MS = 100_000, 20.0, 1.5, 5.0
# Slower means twice as slow and by as much as somebody notices, over enough calls.
SLOWER_TIMES, SLOWER_MS, ENOUGH_CALLS = 2.0, 20.0, 20
LOOPED = Cause("n-plus-one", "the app asks for one row after the other, in place of all at once", 35)
# A loop asks once for each row of its list, give or take what was dropped or asked elsewhere.
_NEARLY = 0.1
_REMEMBERED = 12
_SHOWN_CHARACTERS = 80
_MOST_SUBJECTS, _NAMED = 5, 2
_KEPT = "statistics of statements are kept"
_QUICK = "no statement is slow on average"


def located(here: pd.DataFrame) -> list[Finding]:
    """Say whether statements are counted at all.

    Args:
        here: the statement `statements_located`.
    """
    if reason := frames.reason(here):
        return [compare.unknown("statement counters", reason, expected=_KEPT, next="database-connections")]
    row = here.iloc[0]
    if row["schema"] and row["loaded"]:
        seen = f"pg_stat_statements {row['version']} in {row['schema']}"
        return [Finding("statement counters", Status.OK, "", seen, "", _KEPT)]
    if row["loaded"]:
        why = "the library is loaded: create extension pg_stat_statements"
    elif row["available"]:
        why = "switch pg_stat_statements on: shared_preload_libraries or the vendor's console, and a restart"
    else:
        why = "pg_stat_statements is not to be had on this server"
    return [compare.unknown("statement counters", why, expected=_KEPT)]


def schema(here: pd.DataFrame) -> str:
    """Return the schema of the statistics; the usual one where it is not known, so that asking says why."""
    if frames.reason(here) or not here["schema"].iloc[0]:
        return "public"
    return str(here["schema"].iloc[0])


def window(frame: pd.DataFrame) -> list[Finding]:
    """Say how far the figures can be relied on.

    Args:
        frame: the statement `statements_window`.
    """
    expected = "every statement is counted, and shown to our role"
    if reason := frames.reason(frame):
        return [compare.unknown("window", reason, expected=expected)]
    row = frame.iloc[0]
    if int(row["hidden"]):
        why = f"the texts of {row['hidden']} statements are hidden: grant pg_monitor to opslib_monitor"
        return [compare.unknown("window", why, expected=expected)]
    hours = float(row["age"]) / 3600
    seen = f"{hours:.1f} h, {row['entries']} of {row['most']} places taken, {row['dropped']} times dropped"
    return [Finding("window", Status.OK, "", seen, "", expected)]


def logged(here: pd.DataFrame, limit: Limit) -> Finding:
    """Find whether the server writes slow statements into its log, where the system's own file asks for it.

    Args:
        here: the statement `statements_located`.
        limit: mean time in ms; one of opslib's own asks for no log.
    """
    expected = "a statement slower than the limit is in the log, with its values"
    if reason := frames.reason(here):
        return compare.unknown("slow log", reason, expected=expected)
    if limit.source == defaults().limits["slow_query_ms"].source or limit.warning is None:
        return compare.skipped("slow log", "no runbook asks for it")
    least = int(here["log_min_duration_ms"].iloc[0])
    bound = compare.number(limit.warning, limit.unit)
    if 0 <= least <= limit.warning:
        return Finding("slow log", Status.OK, "", f"from {compare.number(least, 'ms')} on", bound, expected)
    seen = "switched off" if least < 0 else f"from {compare.number(least, 'ms')} on"
    why = f"{limit.source} asks for it: log_min_duration_statement, in the vendor's console"
    return Finding("slow log", Status.WARNING, "", seen, bound, expected, why)


def slow(statements: pd.DataFrame, limit: Limit) -> list[Finding]:
    """Find statements that are slow on average.

    Args:
        statements: the statement `slow_statements`.
        limit: mean time in ms.
    """
    if reason := frames.reason(statements):
        return [compare.unknown("mean time", reason, expected=_QUICK)]
    rows = statements.sort_values("mean_ms", ascending=False).to_dict("records")
    found = [_slow(row, limit) for row in rows]
    bad = [finding for finding in found if finding.status is not Status.OK]
    seen = f"{len(rows)} statements looked at"
    return bad[:_MOST_SUBJECTS] or [Finding("mean time", Status.OK, "", seen, "", _QUICK)]


def often(statements: pd.DataFrame) -> list[Finding]:
    """Find cheap statements that are asked in a loop, one row at a time.

    Args:
        statements: the statement `slow_statements`.
    """
    expected = "what belongs together is asked for together"
    if reason := frames.reason(statements):
        return [compare.unknown("loops", reason, expected=expected)]
    rows = statements[
        (statements["calls"] >= OFTEN_CALLS)
        & (statements["share_pct"] >= OFTEN_SHARE_PCT)
        & (statements["rows_per_call"] <= ONE_ROW)
        & (statements["mean_ms"] <= CHEAP_MS)
    ]
    found = [_looped(row, statements, expected) for row in rows.head(_MOST_SUBJECTS).to_dict("records")]
    return found or [Finding("loops", Status.OK, "", "none", "", expected)]


def remembered(statements: pd.DataFrame) -> Finding:
    """Keep what a later run compares with: calls and total time of the statements that took most.

    Args:
        statements: the statement `slow_statements`.
    """
    if reason := frames.reason(statements):
        return compare.unknown("times", reason)
    kept = [f"{row['queryid']} {row['calls']}x {row['total_ms']:.0f}ms" for row in _top(statements)]
    expected = "known, so that a later run sees what became slower"
    return Finding("times", Status.OK, "", f"{len(kept)}: {', '.join(kept)}", "", expected)


def slower(statements: pd.DataFrame, history: pd.DataFrame) -> list[Finding]:
    """Find statements that are slower since the last record than they were until then.

    Args:
        statements: the statement `slow_statements`.
        history: `ops.history("times")`.
    """
    expected = "no statement is twice as slow as it was"
    if reason := frames.reason(statements):
        return [compare.unknown("slower", reason, expected=expected)]
    earlier = {} if frames.reason(history) or history.empty else _read(str(history["text"].iloc[-1]))
    if not earlier:
        words = frames.reason(history) or "no earlier record to compare with"
        return [compare.skipped("slower", words)]
    pairs = [(row, earlier[row["queryid"]]) for row in _top(statements) if row["queryid"] in earlier]
    found = [finding for row, then in pairs if (finding := _slower(row, *then, expected))]
    seen = f"{len(pairs)} statements compared"
    return found or [Finding("slower", Status.OK, "", seen, "", expected)]


def _slow(row: Mapping[Any, Any], limit: Limit) -> Finding:
    return compare.below(
        float(row["mean_ms"]), check="mean time", warning=limit.warning, critical=limit.critical, unit="ms",
        subject=_short(row), expected=_QUICK,
        why=f"{row['calls']} calls as {row['role']}, {row['share_pct']} % of all time; see its plan below",
    )  # fmt: skip


def _looped(row: Mapping[Any, Any], statements: pd.DataFrame, expected: str) -> Finding:
    seen = f"{row['calls']} calls, {row['share_pct']:.0f} % of all time"
    why = "one query for each row of another (N+1): let the application ask for all at once"
    if lists := _lists(row, statements):
        why = f"{why}; as many rows came from: {', '.join(lists)}"
    return Finding("loops", Status.WARNING, _short(row), seen, "", expected, why, cause=LOOPED)


def _lists(row: Mapping[Any, Any], statements: pd.DataFrame) -> list[str]:
    """Return statements that gave about as many rows as another one was asked for."""
    given = statements["calls"] * statements["rows_per_call"]
    near = (given - row["calls"]).abs().le(row["calls"] * _NEARLY) & statements["rows_per_call"].gt(ONE_ROW)
    return [_short(found) for found in statements[near].head(_NAMED).to_dict("records")]


def _slower(row: Mapping[Any, Any], calls: int, total: float, expected: str) -> Finding | None:
    """Compare the mean since the last record with the one until then, unless counters began anew."""
    since = int(row["calls"]) - calls
    if calls < ENOUGH_CALLS or since < ENOUGH_CALLS:
        return None
    before, now = total / calls, (float(row["total_ms"]) - total) / since
    if now < before * SLOWER_TIMES or now - before < SLOWER_MS:
        return None
    seen, limit = compare.number(now, "ms"), f"{compare.number(before, 'ms')} before"
    why = f"over {since} calls since the last record"
    return Finding("slower", Status.WARNING, _short(row), seen, limit, expected, why)


def _top(statements: pd.DataFrame) -> list[dict[Any, Any]]:
    """Return the statements that took most, each once: several roles may ask the same."""
    sums = statements.groupby("queryid", sort=False, as_index=False)
    whole = sums.agg({"calls": "sum", "total_ms": "sum", "query": "first"})
    return whole.nlargest(_REMEMBERED, "total_ms").to_dict("records")


def _read(text: str) -> dict[str, tuple[int, float]]:
    """Return calls and total ms by query, from the words of an earlier record."""
    found = {}
    for part in text.partition(": ")[2].split(", "):
        words = part.split()
        if len(words) == 3 and words[1].endswith("x") and words[2].endswith("ms"):
            found[words[0]] = (int(words[1][:-1]), float(words[2][:-2]))
    return found


def _short(row: Mapping[Any, Any]) -> str:
    words = " ".join(str(row["query"]).split())
    return words if len(words) <= _SHOWN_CHARACTERS else f"{words[: _SHOWN_CHARACTERS - 1]}…"
