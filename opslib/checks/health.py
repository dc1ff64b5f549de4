"""Is each endpoint well: does it answer, with what, how fast, over which certificate.

A refused connection and a 5xx come from the host itself and are critical. Silence and a name that
does not resolve may as well be our own network's fault: without a second source they are unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import pandas as pd

from opslib import frames
from opslib.checks import compare
from opslib.checks.looks import ANSWERED_NO, Look, looks
from opslib.verdict import Cause, Finding, Status

if TYPE_CHECKING:
    from opslib.config import HealthEndpoint, Limit

NEXT = "site-down"
ENOUGH_FOR_P95 = 5
_POOL_WARNING_PCT = 80.0

DNS = Cause("dns-broken", "the site's name does not resolve", 10)
TLS = Cause("tls-broken", "the site offers no safe connection", 15)
DOWN = Cause("app-down", "the app takes no connections", 30)
ERROR = Cause("app-500", "the app answers with server errors", 45)
DATABASE = Cause("app-database-disconnected", "the app says that it cannot reach its database", 55)
VENDOR = Cause("vendor-outage", "the app says that it cannot reach a vendor", 70)
ODD = Cause("app-wrong-json", "a health endpoint answers something else than promised", 46)
POOL = Cause("app-pool-exhausted", "every connection of the app's pool is in use", 52)
SLOW = Cause("app-slow", "the app answers too slowly", 48)

_BY_KIND = {"refused": DOWN, "reset": DOWN, "tls": TLS, "dns": DNS, "timeout": SLOW, "http-5xx": ERROR}
_OWN_STATE = ("status", "ok", "healthy")


def answers(probes: pd.DataFrame, endpoints: Iterable[HealthEndpoint]) -> list[Finding]:
    """Find whether each endpoint answers with a right status, every time.

    Args:
        probes: as `site.probe` returns them.
        endpoints: the endpoints asked.
    """
    endpoints = list(endpoints)
    told = any(look.wrong or look.missing for look in _looks(probes, endpoints))
    return _each("answers", probes, endpoints, lambda look, others: _answer(look, others, told))


def contents(probes: pd.DataFrame, endpoints: Iterable[HealthEndpoint]) -> list[Finding]:
    """Find whether the JSON of each endpoint says what it should: one finding a wrong field.

    Args:
        probes: as `site.probe` returns them.
        endpoints: those without expected fields are left out.
    """
    wanted = [endpoint for endpoint in endpoints if endpoint.json]
    if not wanted:
        return [compare.skipped("content", "no endpoint of this system promises JSON")]
    asked = _looks(probes, wanted)
    named = any(name not in _OWN_STATE for look in asked for name in look.wrong)
    found = [_content(look, named) for look in asked]
    return [f for findings in found for f in findings] or [_blind("content", probes)]


def pools(probes: pd.DataFrame, endpoints: Iterable[HealthEndpoint]) -> list[Finding]:
    """Find whether the app's connection pool has room: `checked_out` under `pool_size + max_overflow`.

    Args:
        probes: as `site.probe` returns them.
        endpoints: those without a pool block are left out.
    """
    wanted = [endpoint for endpoint in endpoints if endpoint.pool]
    if not wanted:
        return [compare.skipped("pool", "no endpoint of this system reports its connection pool")]
    return _each("pool", probes, wanted, lambda look, _: _pool(look))


def speed(
    probes: pd.DataFrame, endpoints: Iterable[HealthEndpoint], response: Limit, p95: Limit
) -> list[Finding]:
    """Find whether each endpoint answers in time: its median, and its 95th percentile.

    Args:
        probes: as `site.probe` returns them.
        endpoints: the endpoints asked.
        response: limit of the median, in milliseconds.
        p95: limit of the 95th percentile, judged from five good samples up.
    """
    endpoints = list(endpoints)
    median = _each("response time", probes, endpoints, lambda look, _: _median(look, response))
    return [*median, *_each("p95", probes, endpoints, lambda look, _: _p95(look, p95))]


def certificates(tls: pd.DataFrame, limit: Limit) -> list[Finding]:
    """Find whether each certificate is accepted and lasts.

    Args:
        tls: as `site.tls` returns it; no rows when nothing is reached by https.
        limit: days left.
    """
    reason = frames.reason(tls)
    if reason:
        return [compare.unknown("certificate", reason)]
    if tls.empty:
        return [compare.skipped("certificate", "no address of this system begins with https")]
    return [_certificate(row, limit) for row in tls.to_dict("records")]


def percentiles(probes: pd.DataFrame) -> pd.DataFrame:
    """Return endpoint, samples, good, p50, p95, p99 and worst in milliseconds, for a reader."""
    rows = [
        {
            "endpoint": name,
            "samples": len(group),
            "answered": int((group["status_code"] > 0).sum()),
            **{f"p{q}": round(float(group["ms"].quantile(q / 100)), 1) for q in (50, 95, 99)},
            "worst": round(float(group["ms"].max()), 1),
        }
        for name, group in probes.groupby("endpoint", sort=False)
    ]
    columns = ["endpoint", "samples", "answered", "p50", "p95", "p99", "worst"]
    reason = frames.reason(probes)
    return frames.unavailable(columns, reason) if reason else pd.DataFrame(rows, columns=columns)


def _looks(probes: pd.DataFrame, endpoints: Iterable[HealthEndpoint]) -> list[Look]:
    return [] if frames.reason(probes) else looks(probes, endpoints)


def _blind(check: str, probes: pd.DataFrame) -> Finding:
    return compare.unknown(check, frames.reason(probes) or "no endpoint was asked", next=NEXT)


def _each(
    check: str,
    probes: pd.DataFrame,
    endpoints: Iterable[HealthEndpoint],
    judge: Callable[[Look, bool], Finding],
) -> list[Finding]:
    """Judge each endpoint; `judge` is told whether any other endpoint answered."""
    found = _looks(probes, endpoints)
    if not found:
        return [_blind(check, probes)]
    return [
        judge(look, any(other.answered for other in found if other is not look))
        if look.samples
        else compare.unknown(check, "it was not asked", subject=look.name)
        for look in found
    ]


def _answer(look: Look, others_answer: bool, told: bool) -> Finding:
    expected = f"{_codes(look)} every time"
    if look.good == look.samples:
        seen = f"{look.good} of {look.samples} right"
        return Finding("answers", Status.OK, look.name, seen, "all", expected)
    observed = f"{look.good} of {look.samples} right, others: {look.says}"
    status = _how_bad(look, others_answer)
    # Where the JSON of a health endpoint says what is wrong, a 5xx adds nothing to it.
    cause = None if told and look.kind == "http-5xx" else _BY_KIND.get(look.kind)
    return Finding("answers", status, look.name, observed, "all", expected, _why(look), NEXT, cause)


def _how_bad(look: Look, others_answer: bool) -> Status:
    if look.kind in ("forbidden", "limited"):
        return Status.UNKNOWN
    if look.kind in ANSWERED_NO or look.code > 0 or others_answer or look.good:
        return Status.WARNING if look.good * 2 > look.samples else Status.CRITICAL
    return Status.UNKNOWN


def _why(look: Look) -> str:
    if look.kind == "forbidden":
        return "it asks for credentials, so nobody can tell from here whether it works"
    if look.kind == "dns":
        return "its name does not resolve from here; a second source must tell whose fault that is"
    if look.kind == "timeout" and not look.good:
        return "it stayed silent; that may be its network or ours"
    return "visitors get an error"


def _codes(look: Look) -> str:
    return " or ".join(str(code) for code in look.endpoint.status_codes)


def _content(look: Look, named: bool) -> list[Finding]:
    expected = ", ".join(f"{name}: {' or '.join(v)}" for name, v in look.endpoint.expect.items())
    if look.no_json:
        seen = "a right status but no JSON object"
        return [Finding("content", Status.CRITICAL, look.name, seen, "", expected, ODD.text, NEXT, ODD)]
    if not look.read:
        reason = f"there was no JSON to read: {look.says or 'it was not asked'}"
        return [compare.unknown("content", reason, subject=look.name, expected=expected, next=NEXT)]
    found = [_missing(look, expected)] if look.missing else []
    found += [_wrong(look, name, value, named) for name, value in look.wrong.items()]
    return found or [Finding("content", Status.OK, look.name, "as expected", "", expected)]


def _missing(look: Look, expected: str) -> Finding:
    seen = f"without {', '.join(look.missing)}"
    return Finding("content", Status.CRITICAL, look.name, seen, "", expected, ODD.text, NEXT, ODD)


def _wrong(look: Look, name: str, value: str, named: bool) -> Finding:
    accepted = " or ".join(look.endpoint.expect[name])
    cause = _blamed(name, named)
    why = cause.text if cause else "the app itself says that it is not well"
    next_step = {VENDOR: "vendor-status", DATABASE: "database-connections"}.get(cause or ODD, NEXT)
    subject = f"{look.name}.{name}"
    return Finding("content", Status.CRITICAL, subject, value, accepted, accepted, why, next_step, cause)


def _blamed(name: str, named: bool) -> Cause | None:
    """Return what a wrong field points at; a summary blames nobody if a field anywhere names the part."""
    if name in _OWN_STATE:
        return None if named else ODD
    if name == "database":
        return DATABASE
    return ODD if name in ("environment", "version", "timestamp") else VENDOR


def _pool(look: Look) -> Finding:
    block = look.pool or {}
    figures = [block.get(name) for name in ("checked_out", "pool_size", "max_overflow")]
    if not all(isinstance(figure, int | float) for figure in figures):
        return compare.unknown("pool", "the answer has no such block", subject=look.name, next=NEXT)
    out, size, overflow = (float(figure) for figure in figures if figure is not None)
    room = size + overflow
    status = Status.CRITICAL if out >= room else Status.OK
    if status is Status.OK and out * 100 >= room * _POOL_WARNING_PCT:
        status = Status.WARNING
    wrong = status is not Status.OK
    return Finding(
        "pool",
        status,
        look.name,
        f"{out:g} checked out",
        f"{room:g}",
        "fewer connections checked out than pool size and overflow together",
        "requests wait for a connection" if wrong else "",
        "database-connections" if wrong else "",
        POOL if wrong else None,
    )


def _median(look: Look, limit: Limit) -> Finding:
    value = float(pd.Series(look.ms).median()) if look.ms else None
    return _timed(look, "response time", value, limit)


def _p95(look: Look, limit: Limit) -> Finding:
    if 0 < len(look.ms) < ENOUGH_FOR_P95:
        few = f"{len(look.ms)} good samples are too few; ask for {ENOUGH_FOR_P95} or more"
        return compare.skipped("p95", few, subject=look.name)
    value = float(pd.Series(look.ms).quantile(0.95)) if look.ms else None
    return _timed(look, "p95", value, limit)


def _timed(look: Look, check: str, value: float | None, limit: Limit) -> Finding:
    if value is None:
        return compare.unknown(check, f"there was no good answer to time: {look.says}", subject=look.name)
    return compare.below(
        value,
        check=check,
        warning=limit.warning,
        critical=limit.critical,
        expected=f"an answer within {_within(limit)}",
        why="visitors wait",
        subject=look.name,
        cause=SLOW, next="slow-queries", unit="ms",
    )  # fmt: skip


def _within(limit: Limit) -> str:
    first = limit.warning if limit.warning is not None else limit.critical
    return compare.number(first, "ms") if first is not None else "its limit"


def _certificate(row: dict[Any, Any], limit: Limit) -> Finding:
    host, expected = str(row["host"]), "a certificate that browsers accept, for weeks to come"
    if row["kind"] == "tls":
        why = "browsers refuse the site"
        return Finding("certificate", Status.CRITICAL, host, row["error"], "", expected, why, NEXT, TLS)
    if row["error"]:
        return compare.unknown("certificate", row["error"], subject=host, expected=expected, next=NEXT)
    return compare.above(
        row["days_left"],
        check="certificate",
        warning=limit.warning,
        critical=limit.critical,
        expected=expected,
        why="browsers will refuse the site",
        subject=host,
        cause=TLS,
        unit="days",
    )
