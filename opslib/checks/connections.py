"""Can anybody still get into the database, and who holds the connection slots?

What the sessions do once they are in is judged in `opslib.checks.sessions`. Both are for the procedure
`database-connections`. A shut door is believed only if the app, too, does without its database: our own
address, network or password may be what is wrong.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import pandas as pd

from opslib import frames
from opslib.checks import compare
from opslib.checks.holders import blind, holders
from opslib.checks.looks import Look, looks
from opslib.verdict import Cause, Finding, Status

if TYPE_CHECKING:
    from opslib.config import HealthEndpoint, Limit

DOWN = Cause("database-down", "the database lets nobody in, neither us nor the app", 10)
MAYBE_DOWN = Cause(
    "database-down", "perhaps the database is down: we are not let in, and nobody else told", 10
)
IDLE = "connections-exhausted-idle"
ACTIVE = "connections-exhausted-active"
ROLE = "role-limit-reached"
POOL = Cause(
    "pool-too-small", "the app's own pool is used up while the server has room for more connections", 35
)
APP = Cause(
    "app-database-disconnected", "the database answers us but not the app: its address or its password", 45
)
EXHAUSTED_DISTANCE = 20
FULL = Cause(
    IDLE, "every connection slot is taken; who holds them could not be looked at", EXHAUSTED_DISTANCE
)

# Ways to fail that are the database's, or on the way to it; any other is our own.
_FULL = ("slots-exhausted", "database-limit", "pool-exhausted")
_ABSENT = ("refused", "timeout", "dns", "starting-up", "shutting-down", "lost", "unreachable")
_OWN_ROLES = "opslib_"
_NEARLY_PCT, _FULL_PCT = 80.0, 100.0
_SLOTS_EXPECTED = "slots to spare for the next visitor"
_NEXT_DEPLOYED = "site-down"


def doors(tried: pd.DataFrame, probes: pd.DataFrame, endpoints: Iterable[HealthEndpoint]) -> list[Finding]:
    """Judge which ways lead into the database, with the app as the second witness.

    Args:
        tried: `ops.pg.doors()`.
        probes: `ops.site.probe()`.
        endpoints: the endpoints that were asked.

    Returns:
        One finding.
    """
    expected = "every door opens"
    if (reason := frames.reason(tried)) or tried.empty:
        return [compare.unknown("doors", reason or "no door to the database is known", expected=expected)]
    seen = [] if frames.reason(probes) else looks(probes, endpoints)
    shut = tried[~tried["reachable"].astype(bool)]
    if shut.empty:
        opened = f"{', '.join(tried['door'])} open"
        return [Finding("doors", Status.OK, "", opened, "", expected)]
    kinds = ", ".join(f"{row['door']}: {row['kind']}" for row in shut.to_dict("records"))
    if len(shut) < len(tried):
        return [_half_open(shut, kinds, expected)]
    return [_shut(shut, kinds, expected, _witness(seen))]


def slots(headroom: pd.DataFrame, owners: pd.DataFrame, limit: Limit) -> list[Finding]:
    """Judge how many connection slots are left, and name who holds them.

    Args:
        headroom: statement `connections_headroom`.
        owners: statement `connections_by_owner`.
        limit: `connections_pct`; whatever it says, no slot left is critical.
    """
    if (reason := frames.reason(headroom)) or headroom.empty:
        return [compare.unknown("slots", reason or "the server did not say", expected=_SLOTS_EXPECTED)]
    row = headroom.iloc[0]
    found = [_slots(row, owners, limit)]
    if int(row["hidden"]):
        found.append(compare.unknown("visibility", blind(headroom), expected="every session can be seen"))
    return found


def limits(frame: pd.DataFrame) -> list[Finding]:
    """Judge roles and databases that have a connection limit of their own; opslib's roles do not count.

    Args:
        frame: statement `connection_limits`.
    """
    expected = "no role and no database near its own limit"
    if reason := frames.reason(frame):
        return [compare.unknown("own limits", reason, expected=expected)]
    others = frame[~frame["name"].astype(str).str.startswith(_OWN_ROLES)]
    near = others[others["pct_used"].fillna(0) >= _NEARLY_PCT]
    if near.empty:
        return [Finding("own limits", Status.OK, "", f"{len(others)} limits, none near", "", expected)]
    return [_own_limit(row, expected) for row in near.to_dict("records")]


def app(probes: pd.DataFrame, endpoints: Iterable[HealthEndpoint], headroom: pd.DataFrame) -> list[Finding]:
    """Judge what the app says of its database, where it says anything and we are in.

    Args:
        probes: `ops.site.probe()`.
        endpoints: the endpoints that were asked.
        headroom: statement `connections_headroom`: what is true for us need not be true for the app.
    """
    telling = [endpoint for endpoint in endpoints if "database" in endpoint.expect]
    if not telling:
        return [compare.skipped("app database", "no endpoint of this system tells of its database")]
    if reason := frames.reason(probes) or frames.reason(headroom):
        return [compare.unknown("app database", reason, next="health-check")]
    room = _room(headroom)
    return [_app_database(look, room is not None and room <= 0) for look in looks(probes, telling)]


def pool(
    probes: pd.DataFrame, endpoints: Iterable[HealthEndpoint], headroom: pd.DataFrame, tried: pd.DataFrame
) -> list[Finding]:
    """Judge the app's own pool, and the vendor's pooler, against the room that the server has.

    Args:
        probes: `ops.site.probe()`.
        endpoints: the endpoints that were asked; those that report a pool name it in the system's file.
        headroom: statement `connections_headroom`.
        tried: `ops.pg.doors()`: a pooler that lends nothing while the server has room is too small.
    """
    room = _room(headroom)
    found = _poolers(tried, room)
    reporting = [endpoint for endpoint in endpoints if endpoint.pool]
    if not reporting:
        return [*found, compare.skipped("app pool", "no endpoint of this system reports its pool")]
    if reason := frames.reason(probes):
        return [*found, compare.unknown("app pool", reason, next="health-check")]
    return [*found, *(_app_pool(look, room) for look in looks(probes, reporting))]


def _witness(seen: list[Look]) -> tuple[bool, str]:
    """Return whether the app, too, does without its database, and in which words.

    An app that reports its database is asked for that alone; of another one, only its own errors
    (not silence) can be taken as a sign.
    """
    reporting = [look for look in seen if look.read and "database" in look.endpoint.expect]
    if reporting:
        wrong = [look for look in reporting if "database" in look.wrong]
        says = wrong[0].wrong["database"] if wrong else "well"
        return bool(wrong), f"the app says of its database: {says}"
    failing = [look for look in seen if look.code >= 500 or look.wrong]
    if failing:
        return True, f"the app fails as well ({failing[0].name}: {failing[0].says or 'not well'})"
    works = any(look.good for look in seen)
    return False, "the app works" if works else "the app could not be asked"


def _shut(shut: pd.DataFrame, kinds: str, expected: str, witness: tuple[bool, str]) -> Finding:
    first = shut.iloc[0]
    ours = [kind for kind in shut["kind"] if kind not in (*_FULL, *_ABSENT)]
    if ours:
        reason = f"our own way in is at fault: {first['error']}"
        return Finding("doors", Status.UNKNOWN, "", kinds, "", expected, reason)
    full = any(kind in _FULL for kind in shut["kind"])
    agreed, words = witness
    cause = FULL if full else DOWN if agreed else MAYBE_DOWN
    if agreed:
        why = f"{first['error']}; {words}: two sources agree"
        return Finding("doors", Status.CRITICAL, "", kinds, "", expected, why, _NEXT_DEPLOYED, cause)
    why = f"{first['error']}; {words}: no second source agrees"
    return Finding("doors", Status.UNKNOWN, "", kinds, "", expected, why, _NEXT_DEPLOYED, cause)


def _half_open(shut: pd.DataFrame, kinds: str, expected: str) -> Finding:
    return Finding("doors", Status.WARNING, "", f"shut: {kinds}", "", expected, str(shut.iloc[0]["error"]))


def _app_database(look: Look, full: bool) -> Finding:
    check, expected = "app database", " or ".join(look.endpoint.expect["database"])
    if not look.read:
        return compare.unknown(check, look.says or "it gave no JSON", subject=look.name, next="health-check")
    if "database" not in look.wrong:
        return Finding(check, Status.OK, look.name, expected, "", expected)
    why = "no slot is left for it" if full else "it can't use the database although we can"
    seen = look.wrong["database"]
    cause = None if full else APP
    return Finding(check, Status.CRITICAL, look.name, seen, "", expected, why, "health-check", cause)


def _slots(row: pd.Series[Any], owners: pd.DataFrame, limit: Limit) -> Finding:
    used, usable, pct = int(row["used"]), int(row["usable"]), float(row["pct_of_usable"])
    status = Status.OK
    if limit.warning is not None and pct >= limit.warning:
        status = Status.WARNING
    if used >= usable or (limit.critical is not None and pct >= limit.critical):
        status = Status.CRITICAL
    idle, stuck, active = (int(row[name]) for name in ("idle", "idle_in_transaction", "active"))
    seen = f"{used} of {usable} ({pct:.0f} %): {idle} idle, {stuck} idle in transaction, {active} active"
    bounds = [compare.number(value, "%") for value in (limit.warning, limit.critical) if value is not None]
    if status is Status.OK:
        return Finding("slots", status, "", seen, " / ".join(bounds), _SLOTS_EXPECTED)
    who = holders(owners)
    cause = _exhausted(ACTIVE if active > idle + stuck else IDLE, f"held by {who}" if who else "")
    return Finding(
        "slots", status, "", seen, " / ".join(bounds), _SLOTS_EXPECTED,
        f"new connections are refused; held by {who or 'sessions that could not be listed'}"
        if used >= usable
        else f"the next burst is refused; held by {who or 'sessions that could not be listed'}",
        cause=cause,
    )  # fmt: skip


def _exhausted(id: str, who: str) -> Cause:
    kind = "sessions that do nothing" if id == IDLE else "sessions that all work at once"
    text = f"{kind} hold the connection slots" + (f": {who}" if who else "")
    return Cause(id, text, EXHAUSTED_DISTANCE)


def _own_limit(row: dict[Any, Any], expected: str) -> Finding:
    full = row["pct_used"] >= _FULL_PCT
    subject = f"{row['scope']} {row['name']}"
    cause = Cause(ROLE, f"the {subject} has used up its own connection limit", EXHAUSTED_DISTANCE + 2)
    return Finding(
        "own limits",
        Status.CRITICAL if full else Status.WARNING,
        subject,
        f"{row['used']} of {row['connection_limit']}",
        f"{row['connection_limit']}",
        expected,
        "its next connection is refused, whatever room the server has" if full else "its limit is near",
        cause=cause,
    )


def _room(headroom: pd.DataFrame) -> int | None:
    """Return how many slots are free, or None when that is not known."""
    if frames.reason(headroom) or headroom.empty:
        return None
    return int(headroom.iloc[0]["usable"]) - int(headroom.iloc[0]["used"])


def _poolers(tried: pd.DataFrame, room: int | None) -> list[Finding]:
    if frames.reason(tried):
        return []
    empty = tried[tried["kind"] == "pool-exhausted"]
    cause = POOL if room else None
    why = "the pooler lends nothing" + (f" while the server has {room} free slots" if room else "")
    return [
        Finding("pooler", Status.CRITICAL, door, "exhausted", "", "it lends a connection", why, cause=cause)
        for door in empty["door"]
    ]


def _app_pool(look: Look, room: int | None) -> Finding:
    block = look.pool or {}
    figures = [block.get(name) for name in ("checked_out", "pool_size", "max_overflow")]
    if not all(isinstance(figure, int | float) for figure in figures):
        says = look.says or "the answer has no such block"
        return compare.unknown("app pool", says, subject=look.name, next="health-check")
    out, size, overflow = (float(figure or 0) for figure in figures)
    most = size + overflow
    full = out >= most
    status = Status.CRITICAL if full else Status.WARNING if out * 100 >= most * _NEARLY_PCT else Status.OK
    server = (
        "how much room the server has is not known" if room is None else f"the server has {room} free slots"
    )
    return Finding(
        "app pool",
        status,
        look.name,
        f"{out:g} of {most:g} checked out",
        f"{most:g}",
        "connections to spare in the app's own pool",
        "" if status is Status.OK else f"requests wait for a connection; {server}",
        cause=POOL if room and room > 0 and status is not Status.OK else None,
    )
