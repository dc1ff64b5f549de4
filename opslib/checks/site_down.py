"""Why is the site down? Follow the visitor's way, from the name to the vendors behind the app.

Each step is judged with the others as witnesses: a database counts as down only if the app fails
and we are refused too; a deployment counts as bad only if an earlier one, with other code, still
works. What could not be asked is unknown. Of several causes the one nearest to the visitor leads.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from opslib import frames
from opslib.checks import compare, deployed, vendor_status
from opslib.checks.evidence import Evidence as Evidence
from opslib.checks.evidence import well
from opslib.checks.looks import Look
from opslib.verdict import Cause, Finding, Status

HOSTING = ("vercel", "railway")
# An outage of these takes nothing from a visitor: they watch, or serve the people who build.
ASIDE = ("sentry", "rollbar", "posthog", "github", "doppler", "pagerduty", "slack", "statuspage")

DNS = Cause("dns-broken", "the site's name does not resolve", 10)
TLS = Cause("tls-broken", "the site offers no safe connection", 15)
EDGE = Cause("vendor-outage", "the hosting vendor has an outage", 20)
DOWN = Cause("app-down", "the app takes no connections", 30)
ERROR = Cause("app-500", "the app fails, and nothing around it explains why", 45)
VARIABLE = Cause("env-var-missing", "an environment variable that the app needs is not set", 50)
APP_DATABASE = Cause(
    "app-database-disconnected", "the database answers us but not the app: its address or password", 55
)
DATABASE = Cause("database-down", "the database refuses everybody", 60)
SLOTS = Cause("connections-exhausted-idle", "the database has no connection left to give", 58)

_FULL = ("slots-exhausted", "database-limit", "pool-exhausted")
_OURS = ("role-limit", "authentication", "permission", "tls")


def analyse(evidence: Evidence) -> list[Finding]:
    """Judge every step of the way and name the causes.

    Returns:
        One finding or more for each step: name, certificate, hosting, app, deployment,
        environment, database, vendor; the app's own failure has a cause of its own only if no
        other step explains it.
    """
    around = [
        *names(evidence),
        *certificates(evidence),
        *vendors(evidence),
        environment(evidence),
        *database(evidence),
    ]
    explained = any(f.cause and f.status is Status.CRITICAL for f in around)
    code = deployed.judge(
        evidence.deployments,
        evidence.answers,
        fails=evidence.code_fails,
        explained=explained,
        young=timedelta(minutes=evidence.window_minutes),
        now=evidence.now,
    )
    explained = explained or (code.status is Status.CRITICAL and code.cause is not None)
    return [*app(evidence, explained=explained), code, *around, *without_source()]


def names(evidence: Evidence) -> list[Finding]:
    """Find whether the site's names resolve; a name that does not is certain once anything else answers."""
    if reason := frames.reason(evidence.names):
        return [compare.unknown("name", reason)]
    return [_name(row, certain=evidence.we_have_a_network) for row in evidence.names.to_dict("records")]


def certificates(evidence: Evidence) -> list[Finding]:
    """Find whether the site offers a safe connection."""
    if reason := frames.reason(evidence.certificates):
        return [compare.unknown("certificate", reason)]
    if evidence.certificates.empty:
        return [compare.skipped("certificate", "no address of this system begins with https")]
    return [_certificate(row) for row in evidence.certificates.to_dict("records")]


def app(evidence: Evidence, *, explained: bool) -> list[Finding]:
    """Find whether the app answers; `explained` tells that another step accounts for its errors."""
    if not evidence.looks:
        reason = frames.reason(evidence.probes) or "no endpoint was asked"
        return [compare.unknown("app", reason)]
    return [_app(look, explained, certain=evidence.we_have_a_network) for look in evidence.looks]


def environment(evidence: Evidence) -> Finding:
    """Find whether every variable that the app needs is set for production."""
    expected = "every required variable is set for production"
    if not evidence.required:
        return compare.skipped("environment", "the system's file names no required variable")
    if blind := compare.blind("environment", evidence.variables, expected=expected):
        return blind
    missing = sorted(set(evidence.required) - set(evidence.variables["key"]))
    if not missing:
        return Finding("environment", Status.OK, "", f"{len(evidence.required)} set", "", expected)
    status = Status.CRITICAL if evidence.code_fails else Status.WARNING
    seen = f"{', '.join(missing)} not set"
    why = (
        "set it for production, then deploy again: a running deployment keeps the variables it was built with"
    )
    return Finding("environment", status, "", seen, "", expected, why, "env-vars", VARIABLE)


def database(evidence: Evidence) -> list[Finding]:
    """Find whether the database answers us and the app."""
    expected = "every door opens, for us and for the app"
    doors = evidence.doors
    if blind := compare.blind("database", doors, expected=expected):
        return [blind]
    if doors.empty:
        return [compare.unknown("database", "no door is known", expected=expected)]
    shut = doors[~doors["reachable"].astype(bool)]
    if shut.empty:
        return [_open_doors(evidence, expected)]
    kinds = ", ".join(f"{row['door']}: {row['kind']}" for row in shut.to_dict("records"))
    if len(shut) < len(doors):
        return [Finding("database", Status.WARNING, "", kinds, "", expected, "one way in is shut", _NEXT_DB)]
    return [_shut_doors(evidence, set(shut["kind"]), kinds, expected)]


def vendors(evidence: Evidence) -> list[Finding]:
    """Find whether a vendor behind the site is out.

    It is only a warning while the site works, while the app says that it reaches the vendor, or if
    no visitor's request goes there.
    """
    working = {name for look in evidence.looks for name in look.endpoint.expect if name not in look.wrong}
    working = working if any(look.read for look in evidence.looks) else set()
    return [
        _vendor(found, evidence.fails and found.subject not in {*ASIDE, *working})
        for found in vendor_status.analyse(evidence.pages)
    ]


def without_source() -> list[Finding]:
    """Return what a runbook asks for and nothing here can measure."""
    return [
        compare.skipped(what, "no source of this system tells it", subject="database")
        for what in ("cpu", "disk")
    ]


_NEXT_DB = "database-connections"


def _name(row: dict[Any, Any], *, certain: bool) -> Finding:
    host, expected = str(row["host"]), "the name leads to an address"
    if not row["error"]:
        return Finding("name", Status.OK, host, str(row["addresses"]), "", expected)
    if not certain:
        return Finding("name", Status.UNKNOWN, host, row["kind"], "", expected, _OUR_NETWORK, cause=DNS)
    why = f"{row['error']}; other names do resolve: look at the domain's records and its renewal"
    return Finding("name", Status.CRITICAL, host, row["kind"], "", expected, why, cause=DNS)


_OUR_NETWORK = "nothing else answers us either, so the fault may be on our side"


def _certificate(row: dict[Any, Any]) -> Finding:
    host, expected = str(row["host"]), "browsers accept the certificate"
    if row["kind"] == "tls":
        why = "browsers refuse the site"
        return Finding("certificate", Status.CRITICAL, host, row["error"], "", expected, why, cause=TLS)
    if row["error"]:
        return compare.unknown("certificate", row["error"], subject=host, expected=expected)
    return Finding("certificate", Status.OK, host, f"{row['days_left']:g} days left", "", expected)


def _app(look: Look, explained: bool, *, certain: bool) -> Finding:
    expected = "a right answer every time"
    if well(look):
        return Finding("app", Status.OK, look.name, f"{look.good} of {look.samples} right", "", expected)
    status, cause, why = _app_fault(look, explained, certain)
    wrong = ", ".join(f"{name}={value}" for name, value in look.wrong.items())
    seen = "; ".join(filter(None, (look.says, wrong))) or "the answer is not what was promised"
    next_step = "" if explained else "health-check"
    return Finding("app", status, look.name, seen, "", expected, why, next_step, cause)


def _app_fault(look: Look, explained: bool, certain: bool) -> tuple[Status, Cause | None, str]:
    if look.kind in ("forbidden", "limited"):
        return Status.UNKNOWN, None, "it does not let us look"
    if look.kind == "dns":
        return Status.UNKNOWN, None, "it could not be asked by its name"
    if look.kind == "tls":
        return Status.CRITICAL, TLS, TLS.text
    if look.kind in ("refused", "reset"):
        return Status.CRITICAL, DOWN, "the host itself turns connections away"
    if look.kind == "timeout" and not look.good:
        return (Status.CRITICAL, DOWN, "silent") if certain else (Status.UNKNOWN, DOWN, _OUR_NETWORK)
    mostly = look.good * 2 > look.samples and not (look.wrong or look.missing or look.no_json)
    status = Status.WARNING if mostly else Status.CRITICAL
    return status, None if explained else ERROR, "visitors get an error"


def _open_doors(evidence: Evidence, expected: str) -> Finding:
    opened = f"{len(evidence.doors)} of {len(evidence.doors)} doors open"
    complains = [look.name for look in evidence.looks if "database" in look.wrong]
    if not complains:
        return Finding("database", Status.OK, "", opened, "", expected)
    seen = f"{opened}, but {', '.join(complains)} says disconnected"
    why = APP_DATABASE.text
    return Finding("database", Status.CRITICAL, "", seen, "", expected, why, _NEXT_DB, APP_DATABASE)


def _shut_doors(evidence: Evidence, kinds: set[Any], seen: str, expected: str) -> Finding:
    if kinds & set(_OURS):
        reason = f"our own way in is at fault ({seen})"
        return compare.unknown("database", reason, expected=expected, next=_NEXT_DB)
    cause = SLOTS if kinds & set(_FULL) else DATABASE
    if not evidence.fails:
        why = "we are turned away, but the site works: there is no second source"
        return Finding("database", Status.UNKNOWN, "", seen, "", expected, why, _NEXT_DB, cause)
    why = "we are turned away and the app fails: two sources agree"
    return Finding("database", Status.CRITICAL, "", seen, "", expected, why, _NEXT_DB, cause)


def _vendor(found: Finding, hurts: bool) -> Finding:
    hosting = found.subject in HOSTING
    check = "hosting" if hosting else "vendor"
    status = found.status
    if status is Status.CRITICAL and not hurts:
        status = Status.WARNING
    cause = found.cause
    if cause and hosting and cause.id == EDGE.id:
        cause = EDGE
    wrong = status not in (Status.OK, Status.SKIPPED)
    next_step = "vendor-status" if wrong else ""
    return Finding(
        check, status, found.subject, found.observed, "", found.expected, found.why, next_step, cause
    )
