"""Who sees whose rows: tables without row security, policies that let everybody through, ways around them.

The catalog tells what is guarded and how; what a visitor really sees only a look as that visitor tells.
Tables that are meant to be seen by all are named in the system's file (`shared_with`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from opslib import frames
from opslib.checks import compare
from opslib.verdict import Cause, Finding, Status

if TYPE_CHECKING:
    from opslib.config.parts import Table

# Schemas that belong to the platform: their owner answers for them.
PLATFORM_SCHEMAS = (
    "auth", "storage", "realtime", "vault", "graphql", "graphql_public", "extensions", "pgsodium",
    "pgbouncer", "supabase_functions", "supabase_migrations", "cron", "net", "pgmq", "_realtime",
    "_analytics", "neon_auth",
)  # fmt: skip
API_ROLES = ("anon", "authenticated")
OFF = Cause("rls-off", "row security is off for a table, so everybody sees every row", 20)
PERMISSIVE = Cause("rls-permissive", "a policy lets everybody through", 25)
BYPASSED = Cause("rls-bypassed", "a view or a function goes around row security", 30)
_TABLES = ("table", "partitioned table")
_GUARDED = "row security is on for each table that the web API reaches"
_AROUND = "no view and no function goes around row security"
_MOST_SUBJECTS = 10
PUBLIC = "public"


def api(roles: pd.DataFrame, named: Collection[str]) -> Finding:
    """Say whether this database is reached by a web API that relies on row security.

    Args:
        roles: the statement `api_roles`.
        named: the roles that were asked for.
    """
    if reason := frames.reason(roles):
        return compare.unknown("web API", reason, next="database-connections")
    found = ", ".join(roles["role"])
    if not found:
        words = f"no role {' or '.join(named)} here: no web API reaches tables by itself"
        return compare.skipped("web API", words)
    return Finding(
        "web API", Status.OK, "", f"requests run as {found}", "", "known, so that it can be judged"
    )


def tables(relations: pd.DataFrame) -> list[Finding]:
    """Find tables whose rows nothing guards.

    Args:
        relations: the statement `api_relations`.
    """
    if reason := frames.reason(relations):
        return [compare.unknown("row security", reason, expected=_GUARDED)]
    plain = relations[relations["kind"].isin((*_TABLES, "foreign table"))]
    open_ = [_unguarded(row) for row in plain.to_dict("records") if not row["rls_enabled"]]
    found = [finding for finding in open_ if finding]
    reached = sum(bool(_roles(row)) for row in plain.to_dict("records"))
    seen = f"{len(plain)} tables looked at, {reached} within reach of the web API"
    return worst(found) or [Finding("row security", Status.OK, "", seen, "", _GUARDED)]


def ways_around(
    relations: pd.DataFrame, functions: pd.DataFrame, expected: Collection[str] = ()
) -> list[Finding]:
    """Find views and functions within reach of the web API that read with another's rights.

    Args:
        relations: the statement `api_relations`.
        functions: the statement `definer_functions`.
        expected: functions that a visitor is meant to call, as that statement writes them.
    """
    if reason := frames.reason(relations) or frames.reason(functions):
        return [compare.unknown("ways around", reason, expected=_AROUND)]
    views = [_view(row) for row in relations.to_dict("records") if _leaks(row)]
    definers = [row for row in functions.to_dict("records") if row["callers"]]
    loose = [_function(row) for row in definers if not row["fixed_path"]]
    open_ = [_past(row) for row in definers if row["fixed_path"] and _opens(row, expected)]
    seen = f"{len(definers)} functions run with their owner's rights; what they hand out was not looked at"
    fine = Finding("ways around", Status.OK, "", seen if definers else "none", "", _AROUND)
    return worst([*views, *loose, *open_]) or [fine]


def seen_by(looks: pd.DataFrame, declared: Mapping[str, Table], pages: int) -> list[Finding]:
    """Judge what a visitor, and a stranger who is signed in, really see.

    Args:
        looks: `rls_probe.look`.
        declared: tables of the system's file; those that are shared may be seen.
        pages: how many pages of each table were read.
    """
    if reason := frames.reason(looks):
        return [compare.unknown("rows seen", reason)]
    if looks.empty:
        return [compare.skipped("rows seen", "no table is within reach of a role of the web API")]
    blind = looks[looks["reason"].astype(bool)]
    unseen = [_could_not(role, list(rows["reason"])) for role, rows in blind.groupby("role")]
    seen = looks[~looks["reason"].astype(bool)].to_dict("records")
    leaks = [_leak(row) for row in seen if row["rows"] and not shared(row, [row["role"]], declared)]
    words = f"{len(seen)} looks, the first {pages} pages each; none shows rows of others"
    fine = [Finding("rows seen", Status.OK, "", words, "", _nothing_of_others(""))] if seen else []
    return [*(worst(leaks) or fine), *unseen]


def shared(row: Mapping[Any, Any], roles: Iterable[str], declared: Mapping[str, Table]) -> bool:
    """Whoever is not signed in may see no more than what is shared with him as well."""
    table = declared.get(row["table_name"]) or declared.get(name(row))
    asking = {one for role in roles for one in (API_ROLES if role == PUBLIC else (role,))}
    return table is not None and asking <= set(table.shared_with)


def name(row: Mapping[Any, Any]) -> str:
    """Return the name of the table or view that a row is about, with its schema."""
    return f"{row['schema']}.{row.get('table_name') or row['relation']}"


def worst(found: Iterable[Finding]) -> list[Finding]:
    """Return the worst findings, as many as somebody reads."""
    return sorted(found, key=lambda finding: -finding.status.severity)[:_MOST_SUBJECTS]


def _unguarded(row: Mapping[Any, Any]) -> Finding | None:
    subject, roles = name(row), _roles(row)
    if row["kind"] == "foreign table" and not roles:
        return None
    if roles:
        why = f"{', '.join(roles)} reach every row; alter table {subject} enable row level security"
        seen = f"off, {row['policies']} policies without effect" if row["policies"] else "off"
        if row["kind"] == "foreign table":
            seen = "a foreign table has none"
            why = f"{', '.join(roles)} reach every row; take the grant back"
        return Finding("row security", Status.CRITICAL, subject, seen, "on", _GUARDED, why, cause=OFF)
    if row["policies"]:
        seen = f"off, {row['policies']} policies without effect"
        why = "somebody wrote policies for it and relies on them"
        return Finding("row security", Status.WARNING, subject, seen, "on", _GUARDED, why, cause=OFF)
    return None


def _leaks(row: Mapping[Any, Any]) -> bool:
    if not row["readers"] or not row["guarded"]:
        return False
    return row["kind"] == "materialized view" or (row["kind"] == "view" and not row["invoker"])


def _view(row: Mapping[Any, Any]) -> Finding:
    way = "take the grant back" if row["kind"] == "materialized view" else "set (security_invoker = true)"
    why = f"{', '.join(row['readers'])} read through it with the rights of {row['owner']}: {way}"
    seen = f"{row['kind']} on {', '.join(row['guarded'])}"
    return Finding("ways around", Status.WARNING, name(row), seen, "none", _AROUND, why, cause=BYPASSED)


def _function(row: Mapping[Any, Any]) -> Finding:
    why = f"{', '.join(row['callers'])} may call it with the rights of {row['owner']}: set search_path = ''"
    seen = "security definer without a search_path"
    return Finding("ways around", Status.WARNING, row["function"], seen, "", _AROUND, why, cause=BYPASSED)


def _opens(row: Mapping[Any, Any], expected: Collection[str]) -> bool:
    """Tell whether a visitor gets past row security by it; what policies themselves ask, all must call."""
    anonymous = "anon" in row["callers"] and row["owner_bypasses"]
    return anonymous and not row["judges"] and row["function"] not in expected


def _past(row: Mapping[Any, Any]) -> Finding:
    way = "revoke execute from public and anon, or name it in `expected`"
    why = f"no policy holds for {row['owner']}: see what it hands out and changes; {way}"
    seen = "security definer, open to anon"
    return Finding("ways around", Status.WARNING, row["function"], seen, "", _AROUND, why, cause=BYPASSED)


def _leak(row: Mapping[Any, Any]) -> Finding:
    anonymous = row["role"] == "anon"
    who = "a visitor who is not signed in" if anonymous else "any signed-in stranger"
    why = f"{who} sees them; if that is meant, say so in the system's file: shared_with"
    status = Status.CRITICAL if anonymous else Status.WARNING
    seen = f"{row['rows']} rows"
    cause = PERMISSIVE if row["rls_enabled"] else OFF
    subject = f"{name(row)} as {row['role']}"
    return Finding("rows seen", status, subject, seen, "0", _nothing_of_others(who), why, cause=cause)


def _could_not(role: object, reasons: Sequence[str]) -> Finding:
    why = f"{len(reasons)} tables: {reasons[0]}"
    return compare.unknown("rows seen", why, subject=str(role), expected=_nothing_of_others(""))


def _nothing_of_others(who: str) -> str:
    return f"{who or 'a stranger'} sees no row but those that are meant for all"


def _roles(row: Mapping[Any, Any]) -> list[str]:
    return sorted({*row["readers"], *row["writers"]})
