"""Who sees whose rows: tables without row security, policies that let everybody through, ways around them.

The catalog tells what is guarded and how; what a visitor really sees only a look as that visitor tells.
Tables that are meant to be seen by all are named in the system's file (`shared_with`).
"""

from __future__ import annotations

import re
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
_JUDGED = "no policy lets everybody through"
_AROUND = "no view and no function goes around row security"
_MOST_SUBJECTS = 10
_PUBLIC = "public"


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
    return _worst(found) or [Finding("row security", Status.OK, "", seen, "", _GUARDED)]


def policies(frame: pd.DataFrame, declared: Mapping[str, Table]) -> list[Finding]:
    """Find policies that let everybody through, or trust what a user can edit.

    Args:
        frame: the statement `policies`.
        declared: tables of the system's file; those that are shared may be read by all.
    """
    if reason := frames.reason(frame):
        return [compare.unknown("policies", reason, expected=_JUDGED)]
    rows = frame.to_dict("records")
    hidden = [f"{row['schema']}.{row['table_name']}" for row in rows if not row["seen"]]
    restrictive = [row for row in rows if not row["permissive"]]
    seen_rows = [row for row in rows if row["seen"]]
    found = [finding for row in seen_rows for finding in _policy(row, declared, _narrowed(row, restrictive))]
    if hidden:
        words = f"a lock hides the policies of {', '.join(sorted(set(hidden)))}: look again later"
        found.append(compare.unknown("policies", words, expected=_JUDGED))
    seen = f"{len(rows)} policies looked at"
    return _worst(found) or [Finding("policies", Status.OK, "", seen, "", _JUDGED)]


def ways_around(relations: pd.DataFrame, functions: pd.DataFrame) -> list[Finding]:
    """Find views and functions within reach of the web API that read with another's rights.

    Args:
        relations: the statement `api_relations`.
        functions: the statement `definer_functions`.
    """
    if reason := frames.reason(relations) or frames.reason(functions):
        return [compare.unknown("ways around", reason, expected=_AROUND)]
    views = [_view(row) for row in relations.to_dict("records") if _leaks(row)]
    definers = [row for row in functions.to_dict("records") if row["callers"]]
    calls = [_function(row) for row in definers if not row["fixed_path"]]
    seen = f"{len(definers)} functions run with their owner's rights, each with a search_path of its own"
    fine = Finding("ways around", Status.OK, "", seen if definers else "none", "", _AROUND)
    return _worst([*views, *calls]) or [fine]


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
    leaks = [_leak(row) for row in seen if row["rows"] and not _shared(row, [row["role"]], declared)]
    words = f"{len(seen)} looks, the first {pages} pages each; none shows rows of others"
    fine = [Finding("rows seen", Status.OK, "", words, "", _nothing_of_others(""))] if seen else []
    return [*(_worst(leaks) or fine), *unseen]


def _unguarded(row: Mapping[Any, Any]) -> Finding | None:
    subject, roles = _name(row), _roles(row)
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


def _policy(row: Mapping[Any, Any], declared: Mapping[str, Table], narrowed: bool) -> Iterable[Finding]:
    subject = f"{_name(row)}.{row['policy']}"
    texts = f"{row['using_text'] or ''} {row['check_text'] or ''}"
    if "user_metadata" in texts.lower():
        why = "a user can edit user_metadata, and so let himself in; use app_metadata"
        yield Finding("policies", Status.WARNING, subject, "trusts user_metadata", "", _JUDGED, why)
    if narrowed or not row["permissive"] or _for_servers_only(row["roles"]):
        return
    writes = row["command"] != "select"
    # Without a condition of its own for new rows the one for old rows holds.
    new = row["check_text"] if row["check_text"] is not None else row["using_text"]
    if writes and _always(row["using_text"] if row["command"] == "delete" else new):
        why = f"{', '.join(row['roles'])} may {row['command']} any row, as far as it is granted"
        yield _through(Status.CRITICAL if row["rls_enabled"] else Status.WARNING, subject, row, why)
    elif _shows_all(row) and not _shared(row, row["roles"], declared):
        why = f"{', '.join(row['roles'])} see every row; if that is meant, say so: shared_with"
        yield _through(Status.WARNING, subject, row, why)


def _through(status: Status, subject: str, row: Mapping[Any, Any], why: str) -> Finding:
    seen = f"for {row['command']}: always true"
    return Finding("policies", status, subject, seen, "a condition", _JUDGED, why, cause=PERMISSIVE)


def _narrowed(row: Mapping[Any, Any], restrictive: Sequence[Mapping[Any, Any]]) -> bool:
    """Tell whether a restrictive policy holds as well: then what is always true lets nobody through."""
    return any(
        _name(row) == _name(other)
        and other["command"] in ("all", row["command"])
        and (_PUBLIC in other["roles"] or set(row["roles"]) <= set(other["roles"]))
        and _holds_back(other, row["command"])
        for other in restrictive
    )


def _holds_back(other: Mapping[Any, Any], command: str) -> bool:
    """Tell whether a restrictive policy sets a condition: to what is there, and to what is written."""
    new = other["check_text"] if other["check_text"] is not None else other["using_text"]
    there = command == "insert" or not _always(other["using_text"])
    return there and (command in ("select", "delete") or not _always(new))


def _always(text: str | None) -> bool:
    return re.sub(r"[\s()]", "", text or "").lower() in ("true", "1=1")


def _shows_all(row: Mapping[Any, Any]) -> bool:
    return row["command"] in ("select", "all") and _always(row["using_text"])


def _for_servers_only(roles: Sequence[str]) -> bool:
    """Policies for a server's own role, or for opslib's, let nobody else through."""
    return all(role.startswith(("service_role", "supabase_", "opslib_")) for role in roles)


def _leaks(row: Mapping[Any, Any]) -> bool:
    if not row["readers"] or not row["guarded"]:
        return False
    return row["kind"] == "materialized view" or (row["kind"] == "view" and not row["invoker"])


def _view(row: Mapping[Any, Any]) -> Finding:
    way = "take the grant back" if row["kind"] == "materialized view" else "set (security_invoker = true)"
    why = f"{', '.join(row['readers'])} read through it with the rights of {row['owner']}: {way}"
    seen = f"{row['kind']} on {', '.join(row['guarded'])}"
    return Finding("ways around", Status.WARNING, _name(row), seen, "none", _AROUND, why, cause=BYPASSED)


def _function(row: Mapping[Any, Any]) -> Finding:
    why = f"{', '.join(row['callers'])} may call it with the rights of {row['owner']}: set search_path = ''"
    seen = "security definer without a search_path"
    return Finding("ways around", Status.WARNING, row["function"], seen, "", _AROUND, why, cause=BYPASSED)


def _leak(row: Mapping[Any, Any]) -> Finding:
    anonymous = row["role"] == "anon"
    who = "a visitor who is not signed in" if anonymous else "any signed-in stranger"
    why = f"{who} sees them; if that is meant, say so in the system's file: shared_with"
    status = Status.CRITICAL if anonymous else Status.WARNING
    seen = f"{row['rows']} rows"
    cause = PERMISSIVE if row["rls_enabled"] else OFF
    subject = f"{_name(row)} as {row['role']}"
    return Finding("rows seen", status, subject, seen, "0", _nothing_of_others(who), why, cause=cause)


def _could_not(role: object, reasons: Sequence[str]) -> Finding:
    why = f"{len(reasons)} tables: {reasons[0]}"
    return compare.unknown("rows seen", why, subject=str(role), expected=_nothing_of_others(""))


def _nothing_of_others(who: str) -> str:
    return f"{who or 'a stranger'} sees no row but those that are meant for all"


def _shared(row: Mapping[Any, Any], roles: Iterable[str], declared: Mapping[str, Table]) -> bool:
    """Whoever is not signed in may see no more than what is shared with him as well."""
    table = declared.get(row["table_name"]) or declared.get(_name(row))
    asking = {one for role in roles for one in (API_ROLES if role == _PUBLIC else (role,))}
    return table is not None and asking <= set(table.shared_with)


def _roles(row: Mapping[Any, Any]) -> list[str]:
    return sorted({*row["readers"], *row["writers"]})


def _name(row: Mapping[Any, Any]) -> str:
    return f"{row['schema']}.{row.get('table_name') or row['relation']}"


def _worst(found: Iterable[Finding]) -> list[Finding]:
    return sorted(found, key=lambda finding: -finding.status.severity)[:_MOST_SUBJECTS]
