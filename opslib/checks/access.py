"""Who may do what in the database: roles with wide powers, grants to everybody, what has changed since."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from opslib import frames
from opslib.checks import compare
from opslib.verdict import Cause, Finding, Status

if TYPE_CHECKING:
    from opslib.config import Environment

WIDE = Cause("role-too-wide", "a role may do more than its work needs", 40)
PUBLIC = "PUBLIC"
_Told = Callable[[Mapping[Any, Any]], tuple[str, str, str]]
_Wide = Callable[[Mapping[Any, Any]], bool]
# Roles that the platform made and answers for.
_PLATFORM = (
    "supabase_", "authenticator", "service_role", "dashboard_user", "pgbouncer", "pgsodium_",
    "neon_superuser", "cloud_admin", "web_access", "rdsadmin", "rds_", "rdsrepladmin", "rdswriteforward",
)  # fmt: skip
_MANAGERS = frozenset({"neon_superuser", "rds_superuser"})
_OWN = ("opslib_monitor", "opslib_operator")
_GUARDS = ("superuser", "bypassrls")
_MODEST = "no role may do more than its work needs"
_NARROW = "nothing is granted to everybody"
_SAME = "the same as in the last record"
_MOST_SUBJECTS = 10
# What members of a vendor's project can do, the database does not know.
_WITH_MEMBERS = ("vercel", "supabase", "neon", "railway", "github", "doppler", "posthog", "rollbar", "sentry")


def powers(roles: pd.DataFrame, expected: Collection[str]) -> list[Finding]:
    """Find roles that may do more than work with their own tables.

    Args:
        roles: the statement `role_powers`.
        expected: roles that are meant to.
    """
    if reason := frames.reason(roles):
        return [compare.unknown("powers", reason, expected=_MODEST)]
    if roles.empty:
        return [compare.unknown("powers", "the answer has no rows", expected=_MODEST)]
    found = [_wide(row, _unusual(row)) for row in _others(roles, expected) if _unusual(row)]
    seen = f"{len(roles)} roles looked at"
    return _worst(found) or [Finding("powers", Status.OK, "", seen, "", _MODEST)]


def bypassing(roles: pd.DataFrame, expected: Collection[str]) -> list[Finding]:
    """Find roles for which row security does not hold.

    Args:
        roles: the statement `role_powers`.
        expected: roles that are meant to.
    """
    words = "row security holds for every role but the platform's and opslib's own"
    if reason := frames.reason(roles):
        return [compare.unknown("bypass", reason, expected=words)]
    found = [
        _wide(row, around, check="bypass", expected=words)
        for row in _others(roles, expected)
        if not _given(row, roles) and (around := [power for power in row["powers"] if power in _GUARDS])
    ]
    return _worst(found) or [Finding("bypass", Status.OK, "", f"{len(roles)} roles looked at", "", words)]


def to_everybody(
    grants: pd.DataFrame,
    creators: pd.DataFrame,
    defaults: pd.DataFrame,
    functions: pd.DataFrame,
    *,
    expected: Collection[str] = (),
) -> list[Finding]:
    """Find what every role that can connect may use, make, call, or will be given.

    Args:
        grants: the statement `grants`.
        creators: the statement `schema_creators`.
        defaults: the statement `default_privileges`.
        functions: the statement `definer_functions`.
        expected: functions that everybody is meant to call, as that statement writes them.
    """
    sources: dict[str, tuple[pd.DataFrame, _Told, _Wide]] = {
        "public grants": (grants, _granted, _to_public),
        "public create": (creators, _creates, _to_public),
        "public defaults": (defaults, _will_be, _to_public),
        "public functions": (functions, _callable, lambda row: _called(row, expected)),
    }
    found: list[Finding] = []
    for check, (frame, say, is_wide) in sources.items():
        if reason := frames.reason(frame):
            found.append(compare.unknown(check, reason, expected=_NARROW))
            continue
        wide = [row for row in frame.to_dict("records") if is_wide(row)]
        fine = Finding(check, Status.OK, "", "none", "none", _NARROW)
        found += [_open(check, *say(row)) for row in wide[:_MOST_SUBJECTS]] or [fine]
    return found


def stale(roles: pd.DataFrame) -> list[Finding]:
    """Find logins that have run out and were left behind.

    Args:
        roles: the statement `role_powers`.
    """
    expected = "no login is left that has run out"
    if reason := frames.reason(roles):
        return [compare.unknown("stale", reason, expected=expected)]
    logins = roles[roles["login"].fillna(False)]
    old = logins[logins["expired"].fillna(False)]
    found = [
        Finding("stale", Status.WARNING, row["role"], f"ran out on {row['expires']:%Y-%m-%d}", "", expected,
                "nobody can log in with its password any more; drop it, or give it a new one")
        for row in old.head(_MOST_SUBJECTS).to_dict("records")
    ]  # fmt: skip
    idle = int((logins["sessions"] == 0).sum())
    seen = f"{idle} of {len(logins)} logins have no session now; since when, the server does not keep"
    return found or [Finding("stale", Status.OK, "", seen, "", expected)]


def logins(roles: pd.DataFrame) -> Finding:
    """List who may log in.

    Args:
        roles: the statement `role_powers`.
    """
    if reason := frames.reason(roles):
        return compare.unknown("logins", reason)
    return _listed("logins", roles.loc[roles["login"].fillna(False), "role"])


def memberships(roles: pd.DataFrame) -> Finding:
    """List attributes and memberships of all roles.

    Args:
        roles: the statement `role_powers`.
    """
    if reason := frames.reason(roles):
        return compare.unknown("memberships", reason)
    each = (
        f"{row['role']} {thing}"
        for row in roles.to_dict("records")
        for thing in sorted({*row["powers"], *row["member_of"]})
    )
    return _listed("memberships", each)


def granted(grants: pd.DataFrame) -> Finding:
    """Count what is granted to whom in each schema; a mark tells when other relations are meant.

    Args:
        grants: the statement `grants`.
    """
    if reason := frames.reason(grants):
        return compare.unknown("grants", reason)
    rows = grants.to_dict("records")
    count = Counter(f"{r['grantee']} {'+'.join(r['privileges'])} in {r['schema']}" for r in rows)
    each = sorted(f"{r['grantee']} {r['privileges']} {r['schema']}.{r['relation']}" for r in rows)
    mark = hashlib.sha256("\n".join(each).encode()).hexdigest()[:8]
    return _listed("grants", [*(f"{times} times {what}" for what, times in count.items()), f"mark {mark}"])


def compared(now: Finding, history: pd.DataFrame) -> list[Finding]:
    """Say what has come and gone since the last record.

    Args:
        now: a list, as one of the functions above makes it.
        history: `ops.history` of the same check.
    """
    if now.status is not Status.OK:
        return [now]
    subject = now.check
    if reason := frames.reason(history):
        return [now, compare.skipped("changes", reason, subject=subject)]
    earlier = history[history["status"] == str(Status.OK)]
    if earlier.empty:
        return [now, compare.skipped("changes", "no earlier record to compare with", subject=subject)]
    last = earlier.iloc[-1]
    new, gone = _items(now.observed) - _items(last["text"]), _items(last["text"]) - _items(now.observed)
    since = f"the record of {last['finished_at']:%Y-%m-%d %H:%M} UTC"
    if not new and not gone:
        return [now, Finding("changes", Status.OK, subject, "none", since, _SAME)]
    parts = [f"{word}: {', '.join(sorted(some))}" for word, some in (("new", new), ("gone", gone)) if some]
    why = "see that somebody meant it; the next record compares with this one"
    return [now, Finding("changes", Status.WARNING, subject, "; ".join(parts), since, _SAME, why)]


def members(environment: Environment) -> Finding:
    """Say whose members must be looked at elsewhere.

    Args:
        environment: its vendors.
    """
    named = [access.title for name, access in environment.vendors.items() if name in _WITH_MEMBERS]
    where = ", ".join(named) or "its vendors"
    return compare.skipped(
        "project members", f"no vendor's client lists them: look in the consoles of {where}"
    )


def _others(roles: pd.DataFrame, expected: Collection[str]) -> list[dict[Any, Any]]:
    known = (*_OWN, *expected)
    return [
        row for row in roles.to_dict("records")
        if row["role"] not in known and not row["builtin"] and not row["role"].startswith(_PLATFORM)
    ]  # fmt: skip


def _unusual(row: Mapping[Any, Any]) -> list[str]:
    """The owner of the database is given most attributes by managed platforms, but never the highest."""
    return [power for power in row["powers"] if power == "superuser" or not row["owns_database"]]


def _given(row: Mapping[Any, Any], roles: pd.DataFrame) -> bool:
    """Tell whether a platform made this owner, and let him around row security itself."""
    of_supabase = row["role"] == "postgres" and "supabase_admin" in set(roles["role"])
    owner_of = of_supabase or not _MANAGERS.isdisjoint(row["member_of"])
    return row["owns_database"] and owner_of and "superuser" not in row["powers"]


def _wide(
    row: Mapping[Any, Any], powers: list[str], check: str = "powers", expected: str = _MODEST
) -> Finding:
    status = Status.CRITICAL if "superuser" in powers and row["login"] else Status.WARNING
    why = "whoever has its password has these; take away what it does not need, or name it in `expected`"
    if not row["login"]:
        why = "its members can become it; take away what they do not need, or name it in `expected`"
    return Finding(check, status, row["role"], ", ".join(powers), "none of these", expected, why, cause=WIDE)


def _granted(row: Mapping[Any, Any]) -> tuple[str, str, str]:
    name = f"{row['schema']}.{row['relation']}"
    return name, ", ".join(row["privileges"]), f"revoke all on {name} from public"


def _creates(row: Mapping[Any, Any]) -> tuple[str, str, str]:
    return row["schema"], "create", f"revoke create on schema {row['schema']} from public"


def _will_be(row: Mapping[Any, Any]) -> tuple[str, str, str]:
    subject = f"{row['kind']} of {row['made_by']}"
    return subject, ", ".join(row["privileges"]), f"alter default privileges … revoke, in {row['schema']}"


def _callable(row: Mapping[Any, Any]) -> tuple[str, str, str]:
    seen = f"execute, with the rights of {row['owner']}"
    return (
        row["function"],
        seen,
        f"revoke execute on function {row['function']} from public, or name it in `expected`",
    )


def _to_public(row: Mapping[Any, Any]) -> bool:
    return bool(row["grantee"] == PUBLIC)


def _called(row: Mapping[Any, Any], expected: Collection[str]) -> bool:
    """Functions that policies ask must be open to whoever the policies are for."""
    return row["everybody"] and not row["judges"] and row["function"] not in expected


def _open(check: str, subject: str, seen: str, way: str) -> Finding:
    why = f"every role that can connect may use it: {way}"
    return Finding(check, Status.WARNING, subject, seen, "none", _NARROW, why, cause=WIDE)


def _listed(check: str, things: Iterable[str]) -> Finding:
    found = sorted(set(things))
    seen = f"{len(found)}: {', '.join(found)}"
    return Finding(check, Status.OK, "", seen, "", "known, so that a change can be seen")


def _items(text: str) -> set[str]:
    return set(text.partition(": ")[2].split(", ")) - {""}


def _worst(found: Iterable[Finding]) -> list[Finding]:
    return sorted(found, key=lambda finding: -finding.status.severity)[:_MOST_SUBJECTS]
