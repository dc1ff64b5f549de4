"""Which indexes cost more than they give, and which one is missing.

An index that no query uses here may serve on a replica, or once a quarter: only counting for long enough
tells, and what enforces something is never called unused.
"""

from __future__ import annotations

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
_DAY_S = 86_400
_MOST_SUBJECTS = 5

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


def unused(indexes: pd.DataFrame, facts: pd.DataFrame, size: Limit, age: Limit) -> list[Finding]:
    """Find indexes that no query uses, once they were counted for long enough.

    Args:
        indexes: the statement `indexes`.
        facts: the statement `server_facts`: the server's clock.
        size: from how many MB on an index counts.
        age: how many days the server must have counted.
    """
    expected = "each index is read by some query"
    if reason := frames.reason(indexes) or frames.reason(facts):
        return [compare.unknown("unused index", reason, expected=expected)]
    if indexes.empty or facts.empty:
        return [_none("unused index", expected, "no index at all")]
    days, since = _counted(indexes, facts)
    found = idle(indexes, size)
    if days < _least(age):
        reason = f"counted for {days:.1f} days only, since {since}: {_least(age):g} days tell"
        return [compare.skipped("unused index", reason)]
    locked = int(indexes["locked"].sum())
    told = [_unused(row, since, expected) for row in found.head(_MOST_SUBJECTS).to_dict("records")]
    told = told or [_none("unused index", expected, f"{len(indexes)} indexes, counted since {since}")]
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
    """Return the rows of `foreign_keys_without_index` whose table is large enough to matter."""
    if frames.reason(keys):
        return keys
    return keys[keys["table_rows"].ge(ENOUGH_ROWS)]


def foreign_keys(keys: pd.DataFrame) -> list[Finding]:
    """Find foreign keys whose table has many rows and no index for them.

    Args:
        keys: the statement `foreign_keys_without_index`.
    """
    expected = "each foreign key of a large table has an index"
    if reason := frames.reason(keys):
        return [compare.unknown("foreign key", reason, expected=expected)]
    found = missing(keys)
    small = f"none; {len(keys)} on small tables" if len(keys) else "none"
    return [_without(row, expected) for row in found.head(_MOST_SUBJECTS).to_dict("records")] or [
        _none("foreign key", expected, small)
    ]


def bloated(estimate: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of `index_bloat_estimate` that are worth a rebuild."""
    if frames.reason(estimate):
        return estimate
    much = estimate["bloat_bytes"].ge(ENOUGH_BLOAT_BYTES).fillna(False)
    return estimate[much & estimate["bloat_pct"].ge(BLOAT_PCT)]


def bloat(estimate: pd.DataFrame) -> list[Finding]:
    """Find b-trees that hold much more space than their entries need; an estimate.

    Args:
        estimate: the statement `index_bloat_estimate`; hidden statistics are a finding of their own.
    """
    expected = "indexes are not much larger than their entries"
    if reason := frames.reason(estimate):
        return [compare.unknown("index bloat", reason, expected=expected)]
    hidden = estimate[estimate["no_statistics"] & estimate["hidden"]]
    told = [_bloated(row, expected) for row in bloated(estimate).head(_MOST_SUBJECTS).to_dict("records")]
    if not told and (len(estimate) > len(hidden) or hidden.empty):
        told = [_none("index bloat", expected, f"{len(estimate) - len(hidden)} large enough to be looked at")]
    return [*told, *([_hidden(len(hidden), len(estimate))] if len(hidden) else [])]


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


def _counted(indexes: pd.DataFrame, facts: pd.DataFrame) -> tuple[float, str]:
    """Return for how many days the server has counted, and since when."""
    since = indexes["counted_since"].iloc[0]
    days = (facts["server_time"].iloc[0] - since).total_seconds() / _DAY_S
    return max(days, 0.0), f"{since:%Y-%m-%d %H:%M} UTC"


def _size(row: dict[Any, Any]) -> str:
    return compare.number(row["bytes"] / _MB, "MB")


def _unused(row: dict[Any, Any], since: str, expected: str) -> Finding:
    observed = f"no scan since {since}, {_size(row)}, {row['writes']} writes to {row['table_name']}"
    why = "each write keeps it up to date for nobody; replicas count their own scans: look there too"
    return Finding("unused index", Status.WARNING, name(row), observed, "", expected, why, cause=UNUSED)


def _duplicate(row: dict[Any, Any], expected: str) -> Finding:
    kind = "the same as" if row["same"] else "the beginning of"
    why = "each write keeps both up to date, and queries lose nothing without it"
    observed = f"{kind} {row['covered_by']} on {row['table_name']}, {_size(row)}"
    return Finding("duplicate index", Status.WARNING, name(row), observed, "", expected, why, cause=DUPLICATE)


def _without(row: dict[Any, Any], expected: str) -> Finding:
    observed = f"({', '.join(row['columns'])}) -> {row['parent']}, {row['table_rows']} rows"
    why = f"a delete from {row['parent']} ({row['on_delete']}) reads all of {row['table_name']}, each time"
    limit = f"{ENOUGH_ROWS} rows"
    subject = f"{name(row, 'table_name')} {row['constraint_name']}"
    return Finding("foreign key", Status.WARNING, subject, observed, limit, expected, why, cause=NO_INDEX)


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


def _hidden(hidden: int, of: int) -> Finding:
    reason = (
        f"statistics of {hidden} of {of} tables with large indexes are hidden from this role;"
        " grant it pg_read_all_data (with row security also bypassrls) to have them estimated"
    )
    return compare.skipped("index bloat", reason, subject="hidden tables")
