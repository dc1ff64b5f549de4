"""What the samples of an endpoint mean: every kind of answer, and every kind of silence."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from opslib import frames, site
from opslib.checks import health
from opslib.config import HealthEndpoint, Limit
from opslib.verdict import Finding, Status, conclude

EXPECT = {"status": ["ok", "healthy"], "database": ["connected"], "supabase": ["connected"], "built": ["*"]}
WELL = {"status": "ok", "database": "connected", "supabase": "connected", "built": "today"}
API = HealthEndpoint("health", "/api/health", "http://app/api/health", EXPECT, None, None)
PAGE = HealthEndpoint("page", "/", "http://app/", {}, None, None)
POOL = HealthEndpoint("detail", "/d", "http://app/d", {"status": ["ok"]}, "pool", None)
RESPONSE = Limit(warning=500, critical=1000, unit="ms", source="test")
P95 = Limit(warning=2000, critical=None, unit="ms", source="test")


def sample(endpoint: HealthEndpoint = API, **changes: Any) -> dict[str, Any]:
    """Return a good sample with some changes."""
    good = {
        "endpoint": endpoint.name,
        "url": endpoint.url,
        "sample": 1,
        "status_code": 200,
        "ms": 40.0,
        "error": "",
        "error_kind": "",
        "json_ok": True if endpoint.json else None,
        "fields": dict(WELL) if endpoint is API else {},
        "body_digest": "",
    }
    return {**good, **changes}


def silent(kind: str, endpoint: HealthEndpoint = API) -> dict[str, Any]:
    """Return a sample without an answer."""
    return sample(endpoint, status_code=0, error=f"no: {kind}", error_kind=kind, json_ok=None, fields={})


def failed(code: int, endpoint: HealthEndpoint = API) -> dict[str, Any]:
    """Return a sample with an error status and a body that is no JSON."""
    return sample(endpoint, status_code=code, json_ok=False if endpoint.json else None, fields={})


def frame(*samples: dict[str, Any]) -> pd.DataFrame:
    """Return a frame as the probe gives it."""
    return pd.DataFrame(list(samples), columns=list(site.PROBE_COLUMNS))


def outcome(findings: list[Finding]) -> tuple[Status, str]:
    """Return the verdict and its first cause."""
    verdict = conclude(findings)
    return verdict.status, verdict.cause.id if verdict.cause else ""


def test_a_well_app_is_ok_throughout() -> None:
    """No finding but ok."""
    probes = frame(*[sample()] * 5)
    found = [
        *health.answers(probes, [API]),
        *health.contents(probes, [API]),
        *health.speed(probes, [API], RESPONSE, P95),
    ]
    assert {finding.status for finding in found} == {Status.OK}


@pytest.mark.parametrize(
    ("bad", "status", "cause"),
    [
        (silent("refused"), Status.CRITICAL, "app-down"),
        (silent("reset"), Status.CRITICAL, "app-down"),
        (silent("tls"), Status.CRITICAL, "tls-broken"),
        (silent("timeout"), Status.UNKNOWN, "app-slow"),
        (silent("dns"), Status.UNKNOWN, "dns-broken"),
        (failed(500), Status.CRITICAL, "app-500"),
        (failed(503), Status.CRITICAL, "app-500"),
        (failed(404), Status.CRITICAL, ""),
        (failed(401), Status.UNKNOWN, ""),
        (failed(403), Status.UNKNOWN, ""),
        (failed(429), Status.UNKNOWN, ""),
    ],
)
def test_each_way_to_fail_has_its_verdict(bad: dict[str, Any], status: Status, cause: str) -> None:
    """What the host itself said is critical; silence and locked doors are unknown."""
    assert outcome(health.answers(frame(bad, bad), [API])) == (status, cause)


def test_silence_is_critical_once_another_endpoint_answers() -> None:
    """That is the second source: our network is fine."""
    probes = frame(silent("timeout"), sample(PAGE))
    assert outcome(health.answers(probes, [API, PAGE])) == (Status.CRITICAL, "app-slow")


def test_one_bad_answer_among_many_good_ones_is_a_warning() -> None:
    """It flaps; nobody need be woken."""
    probes = frame(sample(), sample(), failed(500))
    assert outcome(health.answers(probes, [API])) == (Status.WARNING, "app-500")


def test_an_endpoint_that_was_not_asked_is_unknown() -> None:
    """Missing rows must not pass for good ones."""
    found = health.answers(frame(sample()), [API, PAGE])
    assert [finding.status for finding in found] == [Status.OK, Status.UNKNOWN]


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"database": "disconnected", "status": "unhealthy"}, "app-database-disconnected"),
        ({"supabase": "disconnected", "status": "unhealthy"}, "vendor-outage"),
        ({"status": "unhealthy"}, "app-wrong-json"),
        ({"database": None}, "app-wrong-json"),
        ({"built": ""}, "app-wrong-json"),
    ],
)
def test_the_json_names_what_is_wrong(changes: dict[str, Any], cause: str) -> None:
    """Also when the status is 200: the app may lie in its status and not in its body."""
    for code in (200, 503):
        probes = frame(sample(status_code=code, fields={**WELL, **changes}))
        found = [*health.answers(probes, [API]), *health.contents(probes, [API])]
        assert outcome(found) == (Status.CRITICAL, cause)


def test_two_wrong_fields_are_two_causes() -> None:
    """One fault must not hide the other."""
    wrong = {**WELL, "database": "disconnected", "supabase": "disconnected"}
    causes = conclude(health.contents(frame(sample(fields=wrong)), [API])).causes
    assert [cause.id for cause in causes] == ["app-database-disconnected", "vendor-outage"]


def test_an_endpoint_that_only_sums_up_does_not_outrank_the_one_that_names_the_part() -> None:
    """`status: unhealthy` here and `database: disconnected` there are one fault, and that is the database."""
    short = HealthEndpoint("short", "/s", "http://app/s", {"status": ["ok"]}, None, None)
    sick = {"status": "unhealthy"}
    probes = frame(
        sample(short, json_ok=True, fields=sick), sample(fields={**WELL, **sick, "database": "disconnected"})
    )
    found = health.contents(probes, [short, API])
    assert [cause.id for cause in conclude(found).causes] == ["app-database-disconnected"]
    assert {f.subject for f in found} == {"short.status", "health.status", "health.database"}


def test_a_page_where_json_was_promised_is_wrong() -> None:
    """A login page with status 200 is not a healthy app."""
    found = health.contents(frame(sample(json_ok=False, fields={})), [API])
    assert outcome(found) == (Status.CRITICAL, "app-wrong-json")


def test_json_that_could_not_be_read_is_unknown() -> None:
    """There was an error page, or nothing."""
    for bad in (failed(500), silent("refused")):
        assert outcome(health.contents(frame(bad), [API]))[0] is Status.UNKNOWN


def pool(**block: Any) -> tuple[Status, str]:
    """Return what a pool block leads to."""
    probes = frame(sample(POOL, fields={"status": "ok", "pool": block or None}))
    return outcome(health.pools(probes, [POOL]))


def test_the_pool_is_full_when_size_and_overflow_are_checked_out() -> None:
    """Exactly then, and a warning shortly before."""
    assert pool(checked_out=3, pool_size=5, max_overflow=10)[0] is Status.OK
    assert pool(checked_out=12, pool_size=5, max_overflow=10)[0] is Status.WARNING
    assert pool(checked_out=15, pool_size=5, max_overflow=10) == (Status.CRITICAL, "app-pool-exhausted")


def test_a_missing_or_odd_pool_block_is_unknown() -> None:
    """No figures, no verdict."""
    assert pool()[0] is Status.UNKNOWN
    assert pool(checked_out="many", pool_size=5, max_overflow=0)[0] is Status.UNKNOWN


@pytest.mark.parametrize(("ms", "status"), [(499, Status.OK), (500, Status.WARNING), (1000, Status.CRITICAL)])
def test_the_median_is_held_against_the_systems_limit(ms: float, status: Status) -> None:
    """klutr's runbook: 500 ms warns, 1000 ms is critical."""
    found = health.speed(frame(*[sample(ms=ms)] * 5), [API], RESPONSE, P95)
    assert found[0].status is status


def test_the_95th_percentile_needs_samples() -> None:
    """Of two samples the worst is not a percentile; of twenty it nearly is."""
    few = health.speed(frame(sample(), sample(ms=9000)), [API], RESPONSE, P95)
    many = health.speed(frame(*[sample()] * 18, *[sample(ms=9000)] * 2), [API], RESPONSE, P95)
    assert [finding.status for finding in few if finding.check == "p95"] == [Status.SKIPPED]
    assert [finding.status for finding in many if finding.check == "p95"] == [Status.WARNING]


def test_errors_are_not_timed() -> None:
    """An app that fails fast is not fast."""
    assert outcome(health.speed(frame(failed(500)), [API], RESPONSE, P95))[0] is Status.UNKNOWN


def certificate(**row: Any) -> Status:
    """Return the status of one host's certificate."""
    given = {"host": "app", "expires": pd.NaT, "days_left": None, "error": "", "kind": "", **row}
    return health.certificates(pd.DataFrame([given]), Limit(warning=21, critical=7, unit="d", source="test"))[
        0
    ].status


def test_a_certificate_must_be_accepted_and_last() -> None:
    """Near its end it warns; refused by browsers it is critical; not reached it is unknown."""
    assert certificate(days_left=60.0) is Status.OK
    assert certificate(days_left=10.0) is Status.WARNING
    assert certificate(days_left=3.0) is Status.CRITICAL
    assert certificate(error="expired", kind="tls") is Status.CRITICAL
    assert certificate(error="refused", kind="refused") is Status.UNKNOWN


def test_what_could_not_be_asked_is_unknown_everywhere() -> None:
    """The reason is passed on, word for word."""
    blind = frames.unavailable(site.PROBE_COLUMNS, "no address is known")
    found = [
        *health.answers(blind, [API]),
        *health.contents(blind, [API]),
        *health.pools(blind, [POOL]),
        *health.speed(blind, [API], RESPONSE, P95),
        *health.certificates(frames.unavailable(site.TLS_COLUMNS, "no address is known"), RESPONSE),
    ]
    assert {(finding.status, finding.why) for finding in found} == {(Status.UNKNOWN, "no address is known")}
    assert frames.reason(health.percentiles(blind)) == "no address is known"


def test_what_a_system_does_not_have_is_skipped_with_the_reason() -> None:
    """No JSON, no pool, no https."""
    probes = frame(sample(PAGE))
    found = [
        *health.contents(probes, [PAGE]),
        *health.pools(probes, [PAGE]),
        *health.certificates(pd.DataFrame(columns=list(site.TLS_COLUMNS)), RESPONSE),
    ]
    assert {finding.status for finding in found} == {Status.SKIPPED}
    assert all(finding.why for finding in found)
