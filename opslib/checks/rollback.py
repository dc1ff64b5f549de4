"""Is a deployment to blame, and can production go back to one that worked?

The site's own answers say whether it fails; each host's deployments, and what they answer at their
own addresses, say whether the code that serves is why. Only then a way back is looked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from opslib import frames
from opslib.checks import compare, deployed, site_down
from opslib.checks.rollback_choice import Choice, code, label, matches, status_of
from opslib.checks.rollback_choice import choose as choose
from opslib.checks.rollback_seen import CALLS, RAILWAY, VERCEL, Row, rows
from opslib.checks.rollback_seen import Seen as Seen
from opslib.checks.rollback_seen import path as path
from opslib.verdict import Cause, Finding, Status

GONE = Cause("rollback-target-gone", "there is no earlier deployment left to go back to", 35)
ALREADY = Cause("already-rolled-back", "production was rolled back, and nothing new goes live by itself", 60)
EXPECTED = "production can go back to a deployment that worked"
_OTHER_WAY = "the other way: git revert the commit, and let that deploy"


def analyse(seen: Seen, after: Mapping[str, Any] | None = None) -> list[Finding]:
    """Judge the site, the deployment that serves at each host, and the version that the site tells.

    Args:
        seen: what was looked at.
        after: after a change: what production was to be, as the target of its plan has it.

    Returns:
        Findings app (an endpoint each), deployment (a host each) and version; the same ones before
        and after a change.
    """
    judged = [_deployment(seen, host, after) for host in seen.hosts]
    if not judged:
        judged = [compare.skipped("deployment", "the system's file names no host that opslib can ask")]
    explained = any(found.status is Status.CRITICAL and found.cause for found in judged)
    app = [_leading_on(found) for found in site_down.app(seen.site, explained=explained)]
    return [*app, *judged, version(seen, strict=after is not None)]


def target(choice: Choice) -> Finding:
    """Say what production can go back to."""
    if choice.kind == "none":
        return compare.skipped("way back", f"nothing has to be rolled back: {choice.why}")
    if choice.kind == "unknown":
        return compare.unknown("way back", choice.why, expected=EXPECTED)
    if choice.chosen is not None:
        words = f"{'forward' if choice.forward else 'back'} to {label(choice.chosen)}"
        return Finding("way back", Status.OK, choice.host, words, "", EXPECTED, choice.why)
    passed = [f"{name}: {why}" for name, why in choice.passed.items()]
    why = "; ".join([choice.why, *passed, _OTHER_WAY])
    cause = GONE if choice.kind == "gone" else None
    return Finding("way back", Status.CRITICAL, choice.host, choice.kind, "", EXPECTED, why, cause=cause)


def version(seen: Seen, *, strict: bool = False) -> Finding:
    """Find whether the version that the site tells is the one that should serve.

    Args:
        seen: what was looked at.
        strict: something was changed, so that any other version is critical.
    """
    told = _told(seen)
    for host in seen.hosts:
        current = seen.serving(host)
        meant = next((row for row in seen.rows(host) if matches(row, told)), None)
        if current is None or meant is None:
            continue
        expected = f"the version of what serves at {host}: {label(current)}"
        if meant["commit"] == current["commit"]:
            return Finding("version", Status.OK, "", told[:12], code(current), expected)
        status = Status.CRITICAL if strict else Status.WARNING
        why = "the site tells another version than its host: a cache, or the switch is not through yet"
        return Finding("version", status, "", told[:12], code(current), expected, why)
    none = "the version that the site tells is no commit of these deployments"
    return compare.skipped("version", none if told else "no endpoint of the site tells its version")


def _deployment(seen: Seen, host: str, after: Mapping[str, Any] | None) -> Finding:
    explained = seen.elsewhere
    if host == RAILWAY and VERCEL in seen.hosts:
        explained = explained or _judged(seen, VERCEL, explained).status is Status.CRITICAL
    found = _judged(seen, host, explained)
    cause = CALLS[host] if found.cause == deployed.BAD else found.cause
    if found.status is Status.OK:
        other = _already(seen, host) if after is None else _other_than(seen, host, after)
        found, cause = (other, other.cause) if other else (found, cause)
    return replace(found, subject=host, cause=cause, next="")


def _judged(seen: Seen, host: str, explained: bool) -> Finding:
    fails, tried = seen.site.code_fails, seen.tried(host)
    young = timedelta(minutes=seen.window_minutes)
    found = deployed.judge(
        seen.frame(host), tried, fails=fails, explained=explained, young=young, now=seen.now
    )
    if found.status is not Status.OK or not fails:
        return found
    why = _suspicion(seen, host, explained)
    return replace(found, status=Status.CRITICAL, why=why, cause=deployed.BAD) if why else found


def _suspicion(seen: Seen, host: str, explained: bool) -> str:
    """Return why the deployment that serves is to blame although its code alone does not say so."""
    current, tried = seen.serving(host), seen.tried(host)
    if current is None or status_of(current, tried) < 500:
        return ""
    older = [row for row in seen.rows(host) if row["created"] < current["created"]]
    twins = [row for row in older if row["commit"] == current["commit"]]
    works = next((row for row in twins if 200 <= status_of(row, tried) < 400), None)
    if works is not None:
        return (
            f"the same code works at {works['url']}, so they differ in what they were built with:"
            " going back helps at once, the variable that changed mends it for good"
        )
    alone = not any(status_of(row, tried) for row in older)
    if alone and not explained and seen.now - current["created"] <= timedelta(minutes=seen.window_minutes):
        return "it is new, fails at its own address too, and nothing is left to compare it with"
    return ""


def _already(seen: Seen, host: str) -> Finding | None:
    """Return the finding for production that was rolled back and is well."""
    current = seen.serving(host)
    if host != VERCEL or current is None or seen.site.fails or frames.reason(seen.project):
        return None
    last: Row = next(iter(rows(seen.project)), {})
    newer = [
        row for row in seen.rows(host) if row["created"] > current["created"] and row["state"] == "READY"
    ]
    if not newer or (last.get("last_request"), last.get("last_request_to")) != ("rollback", current["id"]):
        return None
    text = f"{label(current)} serves, though {label(newer[0])} is newer"
    why = (
        "it was rolled back and works, so nothing has to be done at once. New deployments wait: when one"
        " has the fault mended, name it in `to`, and from then on they go live by themselves again"
    )
    return Finding("deployment", Status.WARNING, "", text, "", deployed.EXPECTED, why, cause=ALREADY)


def _other_than(seen: Seen, host: str, after: Mapping[str, Any]) -> Finding | None:
    """Return the finding for something else that serves, and works, than what was planned."""
    current = seen.serving(host) or {}
    planned = after.get("production") if host == VERCEL else after.get("code")
    serves = current.get("id") if host == VERCEL else current.get("commit")
    if planned in (None, serves):
        return None
    why = f"it works, but it is not what was planned: {planned}"
    return Finding("deployment", Status.WARNING, "", label(current), "", deployed.EXPECTED, why)


def _leading_on(found: Finding) -> Finding:
    """Lead to the diagnosis where no deployment explains what is wrong."""
    return replace(found, next="site-down") if found.next else found


def _told(seen: Seen) -> str:
    """Return the version that the site told last, or nothing."""
    if frames.reason(seen.probes):
        return ""
    fields = {e.name: e.version_field for e in (*seen.env.health, *seen.env.smoke) if e.version_field}
    told = [
        str(shown.get(fields[name]) or "")
        for name, shown in zip(seen.probes["endpoint"], seen.probes["fields"], strict=True)
        if name in fields
    ]
    return next((value for value in reversed(told) if value), "")
