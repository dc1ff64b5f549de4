"""What the policies of row security let through, as far as their conditions tell."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Any

import pandas as pd

from opslib import frames
from opslib.checks import compare, rls
from opslib.verdict import Finding, Status

if TYPE_CHECKING:
    from opslib.config.parts import Table

_JUDGED = "no policy lets everybody through"
_ASKER = re.compile(r"\bauth\.|jwt|current_setting|(current|session)_(user|role)|has_role", re.IGNORECASE)
_LITERAL = re.compile(r"'((?:[^']|'')*)'")
# What is asked of a token, or of the session, to see no more than that somebody is signed in.
_PICKING_NOBODY = {
    "", "role", "sub", "aal", "email", "is_anonymous", "authenticated", "anon", "aal1", "aal2",
    "request.jwt.claims", "request.jwt.claim.sub", "request.jwt.claim.role",
}  # fmt: skip


class _Narrowed(Enum):
    """What restrictive policies leave of one that is always true, in the words of a finding."""

    NOT = ""
    FOR_ALL_ALIKE = "; a restrictive policy holds too, but for whoever asks alike"
    BY_WHO_ASKS = "; a restrictive policy asks who it is"


def judged(frame: pd.DataFrame, declared: Mapping[str, Table]) -> list[Finding]:
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
    found = [finding for row in seen_rows for finding in _policy(row, declared, _narrowing(row, restrictive))]
    if hidden:
        words = f"a lock hides the policies of {', '.join(sorted(set(hidden)))}: look again later"
        found.append(compare.unknown("policies", words, expected=_JUDGED))
    seen = f"{len(rows)} policies looked at"
    return rls.worst(found) or [Finding("policies", Status.OK, "", seen, "", _JUDGED)]


def _policy(row: Mapping[Any, Any], declared: Mapping[str, Table], narrowed: _Narrowed) -> Iterable[Finding]:
    subject = f"{rls.name(row)}.{row['policy']}"
    texts = f"{row['using_text'] or ''} {row['check_text'] or ''}"
    if "user_metadata" in texts.lower():
        why = "a user can edit user_metadata, and so let himself in; use app_metadata"
        yield Finding("policies", Status.WARNING, subject, "trusts user_metadata", "", _JUDGED, why)
    if narrowed is _Narrowed.BY_WHO_ASKS or not row["permissive"] or _for_servers_only(row["roles"]):
        return
    who = ", ".join(row["roles"])
    if verbs := dict.fromkeys(verb for verb, text in _written(row) if _always(text)):
        why = f"{who} may {' and '.join(verbs)} any row, as far as it is granted"
        grave = row["rls_enabled"] and narrowed is _Narrowed.NOT
        yield _through(Status.CRITICAL if grave else Status.WARNING, subject, row, why + narrowed.value)
    elif verbs := dict.fromkeys(verb for verb, text in _written(row) if _for_anybody(row, text or "")):
        why = f"whoever is signed in may {' and '.join(verbs)} any row: compare a column with the user"
        seen = f"for {row['command']}: its condition names no column"
        yield _through(Status.WARNING, subject, row, why, seen)
    elif _shows_all(row) and not rls.shared(row, row["roles"], declared):
        why = f"{who} see every row; if that is meant, say so: shared_with"
        yield _through(Status.WARNING, subject, row, why + narrowed.value)


def _written(row: Mapping[Any, Any]) -> Iterable[tuple[str, str | None]]:
    """Yield what a change does to rows that are there, and to new ones, with the condition on those."""
    command = row["command"]
    if command in ("all", "update", "delete"):
        yield "change and delete" if command == "all" else command, row["using_text"]
    if command in ("all", "insert", "update"):
        # Without a condition of its own for new rows the one for old rows holds.
        new = row["check_text"] if row["check_text"] is not None else row["using_text"]
        yield "insert" if command == "all" else command, new


def _through(status: Status, subject: str, row: Mapping[Any, Any], why: str, seen: str = "") -> Finding:
    seen = seen or f"for {row['command']}: always true"
    return Finding("policies", status, subject, seen, "a condition", _JUDGED, why, cause=rls.PERMISSIVE)


def _narrowing(row: Mapping[Any, Any], restrictive: Sequence[Mapping[Any, Any]]) -> _Narrowed:
    """Tell whether a restrictive policy holds as well: then what is always true may let nobody through."""
    beside = [
        other
        for other in restrictive
        if rls.name(row) == rls.name(other)
        and other["command"] in ("all", row["command"])
        and (rls.PUBLIC in other["roles"] or set(row["roles"]) <= set(other["roles"]))
        and all(not _always(text) for text in _held(other, row["command"]))
    ]
    if any(all(_names_asker(other, text) for text in _held(other, row["command"])) for other in beside):
        return _Narrowed.BY_WHO_ASKS
    return _Narrowed.FOR_ALL_ALIKE if beside else _Narrowed.NOT


def _held(other: Mapping[Any, Any], command: str) -> Iterable[str]:
    """Yield the conditions of a restrictive policy: on what is there, and on what is written."""
    if command != "insert":
        yield other["using_text"] or "true"
    if command not in ("select", "delete"):
        yield other["check_text"] or other["using_text"] or "true"


def _names_asker(row: Mapping[Any, Any], text: str) -> bool:
    """Tell whether a condition asks who is asking, beyond being signed in.

    A function of the app's own may do so inside.
    """
    asks = bool(_ASKER.search(text)) or _named(row["calls"], text, calls=True)
    return asks and not _for_anybody(row, text)


def _for_anybody(row: Mapping[Any, Any], text: str) -> bool:
    """Tell whether a condition holds for each row and for whoever is signed in, whoever that is.

    A table that it reads, a function of the app's own and a value that it compares with may pick somebody.
    """
    plain = re.sub(r"\bAS \w+", "", _LITERAL.sub("", text))
    picks = {value.lower() for value in _LITERAL.findall(text)} - _PICKING_NOBODY
    own = _named(row["calls"], re.sub(r"\bauth\.\w+\(", "", plain), calls=True)
    rows = _named(row["columns"], plain) or ".*" in plain or re.search(r"\bFROM\b", plain)
    return not (picks or own or rows or re.search(r"(?<![\w.])\d|\bfalse\b", plain))


def _named(names: Iterable[str], text: str, calls: bool = False) -> bool:
    after = r"\"?\(" if calls else r"(?![\w(])"
    return any(re.search(rf"(?<!\w){re.escape(name)}{after}", text) for name in names)


def _always(text: str | None) -> bool:
    return re.sub(r"[\s()]", "", text or "").lower() in ("true", "1=1")


def _shows_all(row: Mapping[Any, Any]) -> bool:
    return row["command"] in ("select", "all") and _always(row["using_text"])


def _for_servers_only(roles: Sequence[str]) -> bool:
    """Policies for a server's own role, or for opslib's, let nobody else through."""
    return all(role.startswith(("service_role", "supabase_", "opslib_")) for role in roles)
