"""Which indexes cost more than they give, and which one is missing.

An index that no query uses here may serve on a replica, or once a quarter: only counting for long enough
tells, and what enforces something is never called unused.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pandas as pd

from opslib import frames
from opslib.checks import compare
from opslib.pg.relations import written
from opslib.verdict import Cause, Finding, Status

if TYPE_CHECKING:
    from opslib.config import Limit

# Below these volumes nobody would act.
ENOUGH_ROWS = 10_000
ENOUGH_BLOAT_BYTES = 5 * 1024**2
BLOAT_PCT = 50.0
_MB = 1024**2
_MOST_SUBJECTS, _MOST_REMEMBERED = 5, 100
REMEMBERED = "indexes without a scan"
_STAMP = "%Y-%m-%dT%H:%M:%SZ"
_REMEMBERED = re.compile(r"(\d+) (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)")

UNUSED = Cause("unused-index", "an index is kept up to date by each write, and no query reads it", 70)
DUPLICATE = Cause("duplicate-index", "an index does nothing that another one does not do as well", 65)
NO_INDEX = Cause("fk-without-index", "a foreign key without an index: each delete reads the whole table", 50)
BLOAT = Cause("bloat", "indexes hold much more dead space than entries", 60)


def idle(indexes: pd.DataFrame, size: Limit) -> pd.DataFrame:
    """Return the rows of the indexes that no query has read since the counting began.

    Args:
        indexes: the statement `indexes`.
        size: from how many MB on an index counts.

    Returns:
        Rows of `indexes`, the largest first; never unique ones, those behind a constraint, a foreign key
        or a replica identity, or those whose table is locked now.
    """
    if frames.reason(indexes) or indexes.empty:
        return indexes
    spare = ~(indexes["is_unique"] | indexes["supports_foreign_key"] | indexes["locked"])
    free = spare & indexes["is_valid"] & indexes["needed_for"].eq("") & ~indexes["in_progress"]
    large = indexes["bytes"].ge(_least(size) * _MB)
    return indexes[free & large & indexes["scans"].eq(0)].sort_values("bytes", ascending=False)


def aged(
    indexes: pd.DataFrame, facts: pd.DataFrame, size: Limit, age: Limit, history: pd.DataFrame
) -> pd.DataFrame:
    """Return the indexes without a scan, each with the time from which on that is known.

    The server counts since a time that it tells, and keeps no date of an index: a new one looks as unused as
    an old one. So it counts from the first record in which opslib knew it, carried on from record to record.

    Args:
        indexes: the statement `indexes`.
        facts: the statement `server_facts`: the server's clock.
        size: from how many MB on an index counts.
        age: for how many days it must have had no scan.
        history: `ops.history("indexes without a scan")`.

    Returns:
        Rows as of `idle`, with known_since and unused_since (UTC times) and long_enough.
    """
    columns = [*indexes.columns, "known_since", "unused_since", "long_enough"]
    if reason := frames.reason(indexes) or frames.reason(facts):
        return frames.unavailable(columns, reason)
    if indexes.empty or facts.empty:
        return pd.DataFrame(columns=columns)
    found, now = idle(indexes, size), facts["server_time"].iloc[0]
    earlier = _earlier(history)
    times = [earlier.get(build, now) for build in found["build"]]
    known = pd.Series(times, found.index, "datetime64[us, UTC]")
    since = known.where(known.ge(found["counted_since"]), found["counted_since"])
    enough = (now - since).ge(pd.Timedelta(days=_least(age)))
    return found.assign(known_since=known, unused_since=since, long_enough=enough)[columns]


def remembered(found: pd.DataFrame) -> Finding:
    """Keep which indexes without a scan there are, so that a later run knows that they are no new ones.

    Args:
        found: as of `aged`.
    """
    if reason := frames.reason(found):
        return compare.unknown(REMEMBERED, reason)
    rows = found.head(_MOST_REMEMBERED).to_dict("records")
    kept = [f"{row['build']} {row['known_since']:{_STAMP}}" for row in rows]
    seen = f"{len(kept)}: {', '.join(kept)}"
    return Finding(REMEMBERED, Status.OK, "", seen, "", "known, so that their age can be told")


def unused(indexes: pd.DataFrame, found: pd.DataFrame, age: Limit) -> list[Finding]:
    """Find indexes that no query uses, once they were known and counted for long enough.

    Args:
        indexes: the statement `indexes`.
        found: as of `aged`.
        age: for how many days an index must have had no scan.
    """
    expected = "each index is read by some query"
    if reason := frames.reason(indexes) or frames.reason(found):
        return [compare.unknown("unused index", reason, expected=expected)]
    if indexes.empty:
        return [_none("unused index", expected, "no index at all")]
    old, young = found[found["long_enough"].astype(bool)], found[~found["long_enough"].astype(bool)]
    told = [_unused(row, expected) for row in old.head(_MOST_SUBJECTS).to_dict("records")]
    if len(young):
        told.append(_young(young, age))
    locked = int(indexes["locked"].sum())
    told = told or [_none("unused index", expected, f"{len(indexes)} indexes")]
    return [*told, *([_locked("unused index", locked)] if locked else [])]


def duplicates(pairs: pd.DataFrame) -> list[Finding]:
    """Find indexes that another one makes superfluous.

    Args:
        pairs: the statement `duplicate_indexes`.
    """
    expected = "no two indexes do the same"
    if reason := frames.reason(pairs):
        return [compare.unknown("duplicate index", reason, expected=expected)]
    return [_duplicate(row, expected) for row in pairs.head(_MOST_SUBJECTS).to_dict("records")] or [
        _none("duplicate index", expected)
    ]


def missing(keys: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of `foreign_keys_without_index` for which one delete reads enough to matter."""
    if frames.reason(keys):
        return keys
    return keys[keys["read_rows"].ge(ENOUGH_ROWS).fillna(False)]


def foreign_keys(keys: pd.DataFrame) -> list[Finding]:
    """Find foreign keys whose table has many rows and no index for them.

    Args:
        keys: the statement `foreign_keys_without_index`; of those that an index serves by half, and of whose
            values nothing is known, is a finding of its own, which is unknown.
    """
    expected = "each foreign key of a large table has an index"
    if reason := frames.reason(keys):
        return [compare.unknown("foreign key", reason, expected=expected)]
    untold = keys[keys["read_rows"].isna() & ~keys["table_rows"].lt(ENOUGH_ROWS).fillna(False)]
    told = [_without(row, expected) for row in missing(keys).head(_MOST_SUBJECTS).to_dict("records")]
    if len(untold):
        told.append(_untold(untold, expected))
    few = len(keys)
    small = f"none; {few} whose deletes read few rows, as far as statistics tell" if few else "none"
    return told or [_none("foreign key", expected, small)]


def bloated(estimate: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of `index_bloat_estimate` that are worth a rebuild."""
    if frames.reason(estimate):
        return estimate
    much = estimate["bloat_bytes"].ge(ENOUGH_BLOAT_BYTES).fillna(False)
    return estimate[much & estimate["bloat_pct"].ge(BLOAT_PCT)]


def bloat(estimate: pd.DataFrame) -> list[Finding]:
    """Find b-trees that hold much more space than their entries need; an estimate.

    Args:
        estimate: the statement `index_bloat_estimate`; those without statistics are a finding of their own.
    """
    expected = "indexes are not much larger than their entries"
    if reason := frames.reason(estimate):
        return [compare.unknown("index bloat", reason, expected=expected)]
    told = [_bloated(row, expected) for row in bloated(estimate).head(_MOST_SUBJECTS).to_dict("records")]
    blind = estimate[estimate["no_statistics"]]
    if not told and (len(estimate) > len(blind) or blind.empty):
        told = [_none("index bloat", expected, f"{len(estimate) - len(blind)} large enough to be looked at")]
    cure = "analyze their tables"
    return [*told, *compare.without_statistics("index bloat", blind, len(estimate), "indexes", cure)]


def per_row(indexes: pd.DataFrame) -> pd.DataFrame:
    """Return how large indexes that are no b-trees are for each row of their table, the largest first.

    Args:
        indexes: the statement `indexes`.

    Returns:
        schema, table_name, index_name, method, bytes, table_rows, bytes_per_row.
    """
    columns = ["schema", "table_name", "index_name", "method", "bytes", "table_rows", "bytes_per_row"]
    if reason := frames.reason(indexes):
        return frames.unavailable(columns, reason)
    found = indexes[indexes["method"].ne("btree")].sort_values("bytes", ascending=False)
    rows = found["table_rows"].where(found["table_rows"].gt(0))
    return found.assign(bytes_per_row=(found["bytes"] / rows).astype("Float64").round(1))[columns]


def name(row: dict[Any, Any], of: str = "index_name") -> str:
    """Return schema and name of what a row is about."""
    return f"{row['schema']}.{row[of]}"


def _least(limit: Limit) -> float:
    return float(limit.warning if limit.warning is not None else limit.critical or 0)


def _earlier(history: pd.DataFrame) -> dict[str, pd.Timestamp]:
    """Return since when indexes without a scan are known, by their build, as the last record says."""
    if frames.reason(history) or history.empty:
        return {}
    good = history[history["status"].eq(str(Status.OK))]["text"]
    pairs = _REMEMBERED.findall(good.iloc[-1] if len(good) else "")
    return {build: pd.Timestamp(moment) for build, moment in pairs}


def _young(found: pd.DataFrame, age: Limit) -> Finding:
    """Return that nobody knows yet whether some indexes are unused."""
    first = found.to_dict("records")[0]
    since = f"{first['unused_since']:{_STAMP}}"
    reason = (
        f"{len(found)} without a scan so far, the largest {name(first)} since {since}: {_least(age):g} days"
        " tell; the server keeps no date of an index, so that each counts from the first record in which"
        " opslib saw it, or from when the server began to count"
    )
    return compare.skipped("unused index", reason, subject="not long enough")


def _size(row: dict[Any, Any]) -> str:
    return compare.number(row["bytes"] / _MB, "MB")


def _unused(row: dict[Any, Any], expected: str) -> Finding:
    since, writes = f"{row['unused_since']:{_STAMP}}", f"{row['writes']} writes to {row['table_name']}"
    observed = f"no scan since {since}, {_size(row)}, {writes}"
    why = "each write keeps it up to date for nobody; replicas count their own scans: look there too"
    return Finding("unused index", Status.WARNING, name(row), observed, "", expected, why, cause=UNUSED)


def _duplicate(row: dict[Any, Any], expected: str) -> Finding:
    kind = "the same as" if row["same"] else "the beginning of"
    why = "each write keeps both up to date, and queries lose nothing without it"
    observed = f"{kind} {row['covered_by']} on {row['table_name']}, {_size(row)}"
    return Finding("duplicate index", Status.WARNING, name(row), observed, "", expected, why, cause=DUPLICATE)


def _without(row: dict[Any, Any], expected: str) -> Finding:
    observed = f"({', '.join(row['columns'])}) -> {row['parent']}, {row['table_rows']} rows"
    much = f"{row['read_rows']} rows by {row['served_by']}, in" if row["served_by"] else "all of"
    why = f"a delete from {row['parent']} ({row['on_delete']}) reads {much} {row['table_name']}, each time"
    limit = f"{ENOUGH_ROWS} rows"
    subject = f"{name(row, 'table_name')} {row['constraint_name']}"
    return Finding("foreign key", Status.WARNING, subject, observed, limit, expected, why, cause=NO_INDEX)


def _untold(keys: pd.DataFrame, expected: str) -> Finding:
    """Return that nobody knows how much a delete reads for some keys."""
    names = ", ".join(sorted({name(row, "table_name") for row in keys.to_dict("records")})[:_MOST_SUBJECTS])
    reason = (
        f"how much a delete reads for {len(keys)} keys, of {names}: their statistics are hidden from this"
        " role (grant it pg_read_all_data, with row security also bypassrls) or were never gathered (analyze)"
    )
    return compare.unknown("foreign key", reason, subject="without statistics", expected=expected)


def _bloated(row: dict[Any, Any], expected: str) -> Finding:
    observed = f"about {row['bloat_pct']:.0f} % of {_size(row)}"
    why = "an estimate; a rebuild beside it gives the space back and shuts nobody out"
    return Finding(
        "index bloat", Status.WARNING, name(row), observed, f"{BLOAT_PCT:.0f} %", expected, why,
        "reindex", BLOAT, {"indexes": [written(row["schema"], row["index_name"])]},
    )  # fmt: skip


def _none(check: str, expected: str, observed: str = "none") -> Finding:
    return Finding(check, Status.OK, "", observed, "", expected)


def _locked(check: str, count: int) -> Finding:
    reason = f"{count} indexes of tables that are locked now were left out; look again later"
    return compare.unknown(check, reason, subject="locked tables")
