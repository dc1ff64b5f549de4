"""Is what the rows say still true: references, business keys, sequences, the order of indexes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from opslib import frames
from opslib.checks import compare
from opslib.verdict import Cause, Finding, Status

if TYPE_CHECKING:
    from opslib.config import Limit

ORPHANS = Cause("orphan-rows", "rows point at rows that are not there", 30)
DUPLICATES = Cause("duplicate-rows", "what should be there once is there several times", 35)
SEQUENCE = Cause("sequence-near-end", "a sequence runs out of numbers", 20)
DAMAGED = Cause("index-damaged", "an index is not in the order that its rows demand", 10)
Say = Callable[[Mapping[Any, Any], str, Cause], Finding]
_MOST_SUBJECTS = 10
_KEPT = "each row keeps every constraint"
_FOUND = "each reference leads to a row"
_ONCE = "each business key is there once"
_NUMBERS = "numbers to spare in each sequence"
_ORDER = "each index is in order"


def constraints(unproven: pd.DataFrame) -> list[Finding]:
    """Find constraints that the rows at hand need not keep.

    Args:
        unproven: the statement `constraints_unproven`.
    """
    if reason := frames.reason(unproven):
        return [compare.unknown("constraints", reason, expected=_KEPT)]
    found = [_unproven(row) for row in unproven.head(_MOST_SUBJECTS).to_dict("records")]
    return found or [Finding("constraints", Status.OK, "", "all hold for all rows", "", _KEPT)]


def orphans(looks: pd.DataFrame) -> list[Finding]:
    """Find references that lead nowhere.

    Args:
        looks: `integrity_look.orphans`.
    """
    found = _judged("orphan rows", looks, _FOUND, ORPHANS, _orphan)
    return found or [compare.skipped("orphan rows", "no table refers to another")]


def duplicates(looks: pd.DataFrame) -> list[Finding]:
    """Find business keys that occur more than once.

    Args:
        looks: `integrity_look.duplicates`.
    """
    found = _judged("duplicates", looks, _ONCE, DUPLICATES, _duplicate)
    words = "the system's file names no `business_key` of a table"
    return found or [compare.skipped("duplicates", words)]


def sequences(frame: pd.DataFrame, limit: Limit) -> list[Finding]:
    """Find sequences that run out of numbers.

    Args:
        frame: the statement `sequences`.
        limit: per cent used up.
    """
    if reason := frames.reason(frame):
        return [compare.unknown("sequences", reason, expected=_NUMBERS)]
    found: list[Finding] = []
    hidden = list(frame.loc[~frame["readable"].fillna(False), "sequence"])
    if hidden:
        why = f"{len(hidden)} sequences are hidden from our role ({hidden[0]}, …): grant it pg_read_all_data"
        found.append(compare.unknown("sequences", why, expected=_NUMBERS))
    seen = frame[frame["readable"].fillna(False) & ~frame["cycles"].fillna(False)]
    near = [_used(row, limit) for row in seen.head(_MOST_SUBJECTS).to_dict("records")]
    bad = [finding for finding in near if finding.status is not Status.OK]
    if not bad and (len(seen) or not hidden):
        words = (
            f"{len(seen)} sequences, the fullest at {seen['used_pct'].max():.0f} %" if len(seen) else "none"
        )
        bad = [Finding("sequences", Status.OK, "", words, "", _NUMBERS)]
    return [*bad, *found]


def indexes(looks: pd.DataFrame) -> list[Finding]:
    """Find indexes whose order is broken.

    Args:
        looks: `integrity_look.indexes`.
    """
    found = _judged("index order", looks, _ORDER, DAMAGED, _damaged)
    return found or [compare.skipped("index order", "there is no index to check")]


def _judged(check: str, looks: pd.DataFrame, expected: str, cause: Cause, say: Say) -> list[Finding]:
    """Return what was found, what could not be looked at, and what was left out; nothing for no look."""
    if (blind := compare.blind(check, looks, expected=expected)) is not None:
        return [blind]
    rows = looks.to_dict("records")
    bad = [say(row, expected, cause) for row in rows if row["rows"]]
    asides = [_aside(check, row, expected) for row in rows if row["reason"]]
    clean = [row for row in rows if not row["rows"] and not row["reason"]]
    fine = Finding(check, Status.OK, "", f"{len(clean)} looked through, none", "none", expected)
    return [*bad[:_MOST_SUBJECTS], *asides, *([fine] if clean and not bad else [])]


def _aside(check: str, row: Mapping[Any, Any], expected: str) -> Finding:
    if row["left_out"]:
        return compare.skipped(check, row["reason"], subject=row["subject"])
    return compare.unknown(check, row["reason"], subject=row["subject"], expected=expected)


def _unproven(row: Mapping[Any, Any]) -> Finding:
    subject = f"{row['schema']}.{row['table_name']}.{row['constraint_name']}"
    if row["switched_off"]:
        why = "nothing keeps new rows from breaking it: switch it on, then validate it"
        return Finding("constraints", Status.WARNING, subject, "switched off", "", _KEPT, why)
    why = f"older rows may break it: alter table … validate constraint {row['constraint_name']}"
    return Finding("constraints", Status.WARNING, subject, f"{row['kind']}, not valid", "", _KEPT, why)


def _orphan(row: Mapping[Any, Any], expected: str, cause: Cause) -> Finding:
    why = f"{row['detail']}; the first one: {row['example']}. Bring the row back, or take the reference away"
    seen = f"{row['rows']} row{'s' if row['rows'] > 1 else ''}"
    return Finding("orphan rows", Status.WARNING, row["subject"], seen, "0", expected, why, cause=cause)


def _duplicate(row: Mapping[Any, Any], expected: str, cause: Cause) -> Finding:
    why = f"{row['detail']}; the first one: {row['example']}. Find out which is right before any is removed"
    seen = f"{row['rows']} rows of the same key"
    return Finding("duplicates", Status.WARNING, row["subject"], seen, "0", expected, why, cause=cause)


def _damaged(row: Mapping[Any, Any], expected: str, cause: Cause) -> Finding:
    why = f"{row['detail']}: take a backup, then reindex concurrently, and find out why"
    return Finding("index order", Status.CRITICAL, row["subject"], "damaged", "", expected, why, cause=cause)


def _used(row: Mapping[Any, Any], limit: Limit) -> Finding:
    subject = str(row["column_name"] or row["sequence"])
    return compare.below(
        float(row["used_pct"]), check="sequences", warning=limit.warning, critical=limit.critical,
        subject=subject, unit=limit.unit, expected=_NUMBERS, cause=SEQUENCE,
        why="at the end every insert fails; an integer key must become a bigint before that",
    )  # fmt: skip
