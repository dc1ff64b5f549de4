"""Why a site is down: each cause with its witnesses, and none without."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pytest

from opslib import frames, site
from opslib.checks import site_down, vendor_status
from opslib.checks.evidence import Evidence
from opslib.vendors import statuspage
from opslib.vendors.vercel import Vercel
from opslib.verdict import Finding, Status, conclude
from tests.test_checks_health import API, PAGE, WELL, failed, frame, sample, silent

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
DOORS = ("door", "reachable", "kind", "error", "ms")
BLIND = "nobody answered"


def deployments(*rows: tuple[str, str, float], current: int = 0, state: str = "READY") -> pd.DataFrame:
    """Return deployments from (id, commit, age in hours)."""
    listed = [
        {
            "id": name,
            "commit": commit,
            "created": pd.Timestamp(NOW - timedelta(hours=age)),
            "state": state,
            "current": number == current,
            "error": "",
        }
        for number, (name, commit, age) in enumerate(rows)
    ]
    return pd.DataFrame(listed, columns=list(Vercel.COLUMNS["deployments"]))


def answers(*rows: tuple[str, str, int]) -> pd.DataFrame:
    """Return how deployments answer at their own addresses, from (id, commit, status)."""
    names = ("id", "commit", "status_code")
    listed = [{**dict(zip(names, row, strict=True)), "steady": True} for row in rows]
    return pd.DataFrame(listed, columns=list(Vercel.COLUMNS["answers"]))


def doors(kind: str = "", *, count: int = 2) -> pd.DataFrame:
    """Return doors that all open, or are all shut for one reason."""
    rows = [(f"door{number}", not kind, kind, kind, 1.0) for number in range(count)]
    return pd.DataFrame(rows, columns=list(DOORS))


def names(kind: str = "") -> pd.DataFrame:
    """Return the site's name, resolved or not."""
    row = ("app", "" if kind else "192.0.2.1", "no such name" if kind else "", kind, 1.0)
    return pd.DataFrame([row], columns=list(site.NAME_COLUMNS))


def pages(**states: str) -> pd.DataFrame:
    """Return one page a vendor, by its state; `broken` for one that can't be read."""
    rows = [
        {
            "vendor": vendor,
            "kind": "page",
            "name": vendor,
            "state": "" if state == "broken" else state,
            "used": True,
            "detail": "",
            "since": "",
            "url": "",
            "error": "no JSON" if state == "broken" else "",
        }
        for vendor, state in (states or {"vercel": "operational", "supabase": "operational"}).items()
    ]
    return pd.DataFrame(rows, columns=list(statuspage.COLUMNS))


def variables(*keys: str) -> pd.DataFrame:
    """Return the variables that are set."""
    return pd.DataFrame({"key": keys or ("DATABASE_URL", "API_KEY")})


def well(**changes: Any) -> Evidence:
    """Return the evidence of a site that is well, with some changes."""
    calm = Evidence(
        endpoints=(API, PAGE),
        probes=frame(sample(), sample(PAGE)),
        names=names(),
        certificates=pd.DataFrame(columns=list(site.TLS_COLUMNS)),
        deployments=deployments(("d2", "bbb", 26), ("d1", "aaa", 70)),
        answers=answers(("d2", "bbb", 200), ("d1", "aaa", 200)),
        variables=variables(),
        doors=doors(),
        pages=pages(),
        required=("DATABASE_URL", "API_KEY"),
        window_minutes=120,
        now=NOW,
    )
    return replace(calm, **changes)


FAILING = frame(failed(500), failed(500, PAGE))
ALIKE = answers(("d2", "bbb", 500), ("d1", "aaa", 500))


def outcome(evidence: Evidence) -> tuple[Status, list[str]]:
    """Return the verdict and its causes, the first first."""
    verdict = conclude(site_down.analyse(evidence))
    return verdict.status, [cause.id for cause in verdict.causes]


def only(findings: list[Finding], check: str) -> Finding:
    """Return the one finding of a check."""
    (found,) = [finding for finding in findings if finding.check == check]
    return found


def test_a_site_that_is_well_is_ok() -> None:
    """Every step ok or skipped, and no cause."""
    assert outcome(well()) == (Status.OK, [])


def test_what_has_no_source_is_skipped_and_says_so() -> None:
    """The runbook asks for CPU and disk; nothing here can measure them."""
    skipped = [f for f in site_down.analyse(well()) if f.status is Status.SKIPPED]
    assert {"cpu", "disk", "certificate"} == {f.check for f in skipped}


def test_code_that_fails_for_some_only_is_not_blamed_as_such() -> None:
    """A feature that is rolled out to six of ten fails now and then, whatever the deployment before does."""
    some = answers(("d2", "bbb", 500), ("d1", "aaa", 200)).assign(steady=[False, True])
    assert outcome(well(probes=FAILING, answers=some)) == (Status.CRITICAL, ["app-500"])


def test_a_broken_name_is_certain_once_anything_else_answers() -> None:
    """The deployment answers at its own address: so it is the name."""
    lost = frame(silent("dns"), silent("dns", PAGE))
    assert outcome(well(probes=lost, names=names("nxdomain"))) == (Status.CRITICAL, ["dns-broken"])


def test_a_broken_name_is_a_guess_while_nothing_answers() -> None:
    """It may be our own network."""
    blind = well(
        probes=frame(silent("dns"), silent("dns", PAGE)),
        names=names("timeout"),
        deployments=frames.unavailable(Vercel.COLUMNS["deployments"], BLIND),
        answers=frames.unavailable(Vercel.COLUMNS["answers"], BLIND),
        doors=doors("refused"),
    )
    assert outcome(blind)[0] is Status.UNKNOWN


def test_a_refused_certificate_is_named() -> None:
    """Browsers show a warning page; that is down, too."""
    row = ("app", pd.NaT, None, "expired", "tls")
    evidence = well(
        probes=frame(silent("tls"), silent("tls", PAGE)),
        certificates=pd.DataFrame([row], columns=list(site.TLS_COLUMNS)),
    )
    assert outcome(evidence) == (Status.CRITICAL, ["tls-broken"])


def test_a_refused_connection_is_the_app() -> None:
    """The host itself says no."""
    probes = frame(silent("refused"), silent("refused", PAGE))
    gone = answers(("d2", "bbb", 0), ("d1", "aaa", 0))
    assert outcome(well(probes=probes, answers=gone)) == (Status.CRITICAL, ["app-down"])


def test_silence_counts_only_with_a_second_source() -> None:
    """Vercel answers us, so our network is fine; else nobody knows."""
    quiet = frame(silent("timeout"), silent("timeout", PAGE))
    none = {
        "deployments": frames.unavailable(Vercel.COLUMNS["deployments"], BLIND),
        "answers": frames.unavailable(Vercel.COLUMNS["answers"], BLIND),
    }
    assert outcome(well(probes=quiet)) == (Status.CRITICAL, ["app-down"])
    assert outcome(well(probes=quiet, **none))[0] is Status.UNKNOWN


def test_a_deployment_is_bad_when_the_one_before_still_works() -> None:
    """The way out is in the sentence: which one to promote."""
    evidence = well(probes=FAILING, answers=answers(("d2", "bbb", 500), ("d1", "aaa", 200)))
    assert outcome(evidence) == (Status.CRITICAL, ["bad-deploy"])
    assert "aaa" in only(site_down.analyse(evidence), "deployment").why


def test_a_deployment_is_not_bad_when_the_one_before_fails_alike() -> None:
    """The code is not what changed, so something else is."""
    assert outcome(well(probes=FAILING, answers=ALIKE)) == (Status.CRITICAL, ["app-500"])


def test_a_deployment_is_not_bad_when_its_code_works_elsewhere() -> None:
    """The same commit, built before: it was built with something else."""
    evidence = well(
        probes=FAILING,
        deployments=deployments(("d3", "bbb", 1), ("d2", "bbb", 26), ("d1", "aaa", 70)),
        answers=answers(("d3", "bbb", 500), ("d2", "bbb", 200), ("d1", "aaa", 200)),
        variables=variables("API_KEY"),
    )
    assert outcome(evidence) == (Status.CRITICAL, ["env-var-missing"])


def test_a_redeployment_is_not_blamed_for_what_else_is_broken() -> None:
    """Same code again, without a variable, while the database is down too: two causes, not three."""
    evidence = well(
        probes=FAILING,
        deployments=deployments(("d3", "bbb", 0.2), ("d2", "bbb", 26), ("d1", "aaa", 70)),
        answers=answers(("d3", "bbb", 500), ("d2", "bbb", 503), ("d1", "aaa", 503)),
        variables=variables("API_KEY"),
        doors=doors("refused"),
    )
    assert outcome(evidence)[1] == ["env-var-missing", "database-down"]


def test_a_young_deployment_is_a_suspect_when_the_earlier_ones_are_locked() -> None:
    """Deployment protection answers 401; age and silence of all else must do."""
    locked = answers(("d2", "bbb", 401), ("d1", "aaa", 401))
    young = deployments(("d2", "bbb", 0.5), ("d1", "aaa", 70))
    old = deployments(("d2", "bbb", 50), ("d1", "aaa", 70))
    assert outcome(well(probes=FAILING, answers=locked, deployments=young))[1] == ["bad-deploy"]
    assert outcome(well(probes=FAILING, answers=locked, deployments=old))[1] == ["app-500"]


def test_a_missing_variable_is_a_warning_until_the_app_fails() -> None:
    """The next deployment will miss it; the running one may still have it."""
    assert outcome(well(variables=variables("API_KEY"))) == (Status.WARNING, ["env-var-missing"])
    failing = well(variables=variables("API_KEY"), probes=FAILING, answers=ALIKE)
    assert outcome(failing) == (Status.CRITICAL, ["env-var-missing"])


def test_a_database_is_down_when_we_and_the_app_are_turned_away() -> None:
    """Two sources; one alone is unknown."""
    says = frame(sample(status_code=503, fields={**WELL, "database": "disconnected"}), failed(503, PAGE))
    down = well(probes=says, answers=answers(("d2", "bbb", 503), ("d1", "aaa", 503)), doors=doors("refused"))
    assert outcome(down) == (Status.CRITICAL, ["database-down"])
    assert outcome(well(doors=doors("refused"))) == (Status.UNKNOWN, ["database-down"])


def test_a_database_without_free_connections_is_not_called_down() -> None:
    """It stands, but lets nobody in."""
    full = well(probes=FAILING, answers=ALIKE, doors=doors("slots-exhausted"))
    assert outcome(full) == (Status.CRITICAL, ["connections-exhausted-idle"])


@pytest.mark.parametrize("kind", ["authentication", "role-limit", "tls"])
def test_our_own_locked_door_says_nothing_of_the_database(kind: str) -> None:
    """Our password may be wrong while the database is well."""
    found = only(site_down.analyse(well(probes=FAILING, answers=ALIKE, doors=doors(kind))), "database")
    assert found.status is Status.UNKNOWN and found.cause is None


def test_an_app_with_a_wrong_password_is_told_from_a_dead_database() -> None:
    """We get in, the app says that it does not."""
    says = frame(sample(status_code=503, fields={**WELL, "database": "disconnected"}), failed(503, PAGE))
    evidence = well(probes=says, answers=answers(("d2", "bbb", 503), ("d1", "aaa", 503)))
    assert outcome(evidence) == (Status.CRITICAL, ["app-database-disconnected"])


def test_one_shut_door_of_two_is_a_warning() -> None:
    """There is another way in."""
    half = doors().assign(reachable=[True, False], kind=["", "timeout"])
    assert outcome(well(doors=half)) == (Status.WARNING, [])


def test_a_vendor_is_to_blame_when_the_app_misses_it() -> None:
    """Its page and the app agree."""
    says = frame(sample(status_code=503, fields={**WELL, "supabase": "disconnected"}), failed(503, PAGE))
    evidence = well(
        probes=says,
        answers=answers(("d2", "bbb", 503), ("d1", "aaa", 503)),
        pages=pages(vercel="operational", supabase="outage"),
    )
    assert outcome(evidence) == (Status.CRITICAL, ["vendor-outage"])


def test_a_vendors_outage_is_a_warning_where_it_takes_nothing_away() -> None:
    """The site works, the app says that it reaches the vendor, or no visitor goes there."""
    out = pages(supabase="outage")
    assert outcome(well(pages=out)) == (Status.WARNING, ["vendor-outage"])
    reached = frame(sample(status_code=503, fields={**WELL, "status": "unhealthy"}), failed(500, PAGE))
    assert outcome(well(probes=reached, answers=ALIKE, pages=out))[1][0] == "app-500"
    assert outcome(well(probes=FAILING, answers=ALIKE, pages=pages(sentry="outage")))[1][0] == "app-500"


def test_of_two_causes_the_one_nearer_to_the_visitor_leads() -> None:
    """Both are found."""
    both = well(
        probes=FAILING,
        deployments=deployments(("d2", "bbb", 0.5), ("d1", "aaa", 70)),
        answers=answers(("d2", "bbb", 500), ("d1", "aaa", 503)),
        doors=doors("refused"),
    )
    assert outcome(both) == (Status.CRITICAL, ["bad-deploy", "database-down"])
    lost = replace(both, probes=frame(silent("dns"), silent("dns", PAGE)), names=names("nxdomain"))
    assert outcome(lost)[1] == ["dns-broken", "bad-deploy", "database-down"]


@pytest.mark.parametrize(
    ("source", "columns", "check"),
    [
        ("names", site.NAME_COLUMNS, "name"),
        ("certificates", site.TLS_COLUMNS, "certificate"),
        ("probes", site.PROBE_COLUMNS, "app"),
        ("deployments", Vercel.COLUMNS["deployments"], "deployment"),
        ("variables", Vercel.COLUMNS["environment_variables"], "environment"),
        ("doors", DOORS, "database"),
        ("pages", statuspage.COLUMNS, "vendor"),
    ],
)
def test_each_source_that_cannot_be_asked_is_unknown(
    source: str, columns: tuple[str, ...], check: str
) -> None:
    """Never ok, and never a reason to call anything broken."""
    evidence = well(**{source: frames.unavailable(columns, BLIND)})
    found = only(site_down.analyse(evidence), check)
    assert (found.status, found.why) == (Status.UNKNOWN, BLIND)
    assert outcome(evidence) == (Status.UNKNOWN, [])


@pytest.mark.parametrize(("probes", "status"), [(FAILING, Status.CRITICAL), (None, Status.WARNING)])
def test_a_serving_deployment_that_is_not_ready_is_named(probes: Any, status: Status) -> None:
    """It is as bad as what visitors get."""
    listed = deployments(("d2", "bbb", 26), state="ERROR")
    evidence = well(
        deployments=listed, **({"probes": probes, "answers": ALIKE} if probes is not None else {})
    )
    assert outcome(evidence) == (status, ["bad-deploy"])


def test_a_failed_build_that_never_went_live_is_a_warning() -> None:
    """The site runs on, with older code than somebody believes."""
    listed = deployments(("d3", "ccc", 1), ("d2", "bbb", 26), current=1)
    listed.loc[0, "state"] = "ERROR"
    assert outcome(well(deployments=listed))[0] is Status.WARNING


def status(**states: str) -> dict[str, tuple[Status, str]]:
    """Return status and cause by vendor."""
    found = vendor_status.analyse(pages(**states))
    return {f.subject: (f.status, f.cause.id if f.cause else "") for f in found}


def test_each_vendor_is_judged_by_itself() -> None:
    """One unreadable page leaves the others as they are."""
    assert status(a="operational", b="outage", c="maintenance", d="degraded", e="broken") == {
        "a": (Status.OK, ""),
        "b": (Status.CRITICAL, "vendor-outage"),
        "c": (Status.WARNING, "vendor-maintenance"),
        "d": (Status.WARNING, "vendor-outage"),
        "e": (Status.UNKNOWN, "vendor-status-unreachable"),
    }


def test_an_incident_in_parts_that_we_do_not_use_is_a_warning() -> None:
    """It may reach us yet."""
    calm = pages(acme="operational")
    incident = calm.assign(kind="incident", name="Slow", state="outage", used=True)
    unused = calm.assign(kind="component", name="Far region", state="outage", used=False)
    found = vendor_status.analyse(pd.concat([calm, unused, incident], ignore_index=True))
    assert [f.status for f in found] == [Status.WARNING]


def test_no_page_at_all_is_unknown() -> None:
    """An empty table is not a clean one."""
    empty = pd.DataFrame(columns=list(statuspage.COLUMNS))
    assert [f.status for f in vendor_status.analyse(empty)] == [Status.UNKNOWN]
