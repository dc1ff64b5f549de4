"""Going back to a deployment that worked: which one, exactly once, and proven by the same probe."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from opslib import frames
from opslib.changes import deployment
from opslib.checks import deployed, rollback
from opslib.checks.rollback import Seen
from opslib.checks.rollback_choice import matches
from opslib.checks.rollback_seen import BACKEND
from opslib.cli.app import cli
from opslib.gate import faults
from opslib.gate.plan import Plan
from opslib.gate.results import Result, State
from opslib.sandbox import control
from opslib.sandbox.switching import ROLLBACK, AliasRequest
from opslib.sandbox.web import Web
from opslib.vendors.vercel import ANSWERS
from opslib.verdict import Cause, Finding, Status
from tests.acting import Case, applied, arrived, perform, planned, ready, states
from tests.hosts import Hosts, NoDatabases
from tests.servers import closed_port

ROOT = Path(__file__).parents[1]
BAD = deployed.BAD
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def web() -> Iterator[Web]:
    """The rehearsed hosts of two systems, in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPSLIB_PARAMETERS", str(ROOT / "parameters"))
        served = Web(NoDatabases(closed_port(), ("klutr", "your-backend")))
    served.start()
    yield served
    served.stop()


@pytest.fixture
def hosts(web: Web, tmp_path: Path) -> Iterator[Hosts]:
    """The same, with a bad deployment at both hosts; both are as before afterwards."""
    project, service = web.project("klutr"), web.service("your-backend")
    before, listed = project.current, service.deployments
    bad = project.deploy("b" * 40, "bad", broken=True)
    worse = service.deploy("c" * 40, "worse", broken=True)
    yield Hosts(web, tmp_path)
    project.plan, project.rolling, project.jammed, project.request = "pro", False, False, None
    project.take_away([made for made in project.deployments if made.created >= bad.created])
    project.promote(before)
    project.auto_assign, service.unstartable = True, False
    service.forgotten.clear()
    newer = [image.id for image in service.deployments if image.id not in {old.id for old in listed}]
    for name in newer:
        service.withdraw(name)
    assert worse.id not in {image.id for image in service.deployments}


def row(name: str, hours: float, **other: Any) -> dict[str, Any]:
    """Return a good production deployment, so many hours old."""
    plain = {
        "id": f"dpl_{name}", "created": pd.Timestamp(NOW - timedelta(hours=hours)), "state": "READY",
        "substate": "PROMOTED", "target": "production", "commit": name * 40, "branch": "main", "message": "m",
        "author": "dev", "current": False, "rollback_candidate": True, "url": f"https://{name}.example.app",
        "error": "", "mark": "",
    }  # fmt: skip
    return {**plain, **other}


def looked(hosts: Hosts, *rows: dict[str, Any], **answered: int) -> Seen:
    """Return a look at these deployments, the newest first, with what some answer at their own addresses."""
    commits = {each["id"]: each["commit"] for each in rows}
    told = [
        {
            **dict.fromkeys(ANSWERS),
            "id": f"dpl_{name}",
            "commit": commits[f"dpl_{name}"],
            "status_code": status,
            "steady": True,
        }
        for name, status in answered.items()
    ]
    seen = hosts.seen("klutr")
    answers = pd.DataFrame(told, columns=list(ANSWERS))
    return replace(seen, vercel=pd.DataFrame(list(rows)), answers=answers, now=NOW)


def serves(name: str, hours: float = 1, **other: Any) -> dict[str, Any]:
    """Return the deployment that serves."""
    return row(name, hours, current=True, rollback_candidate=False, **other)


def picked(seen: Seen, *causes: Cause, to: str = "", named: tuple[pd.DataFrame, ...] = ()) -> tuple[str, str]:
    """Return the id of the chosen deployment, or what became of the search; and why."""
    choice = rollback.choose(seen, causes, to=to, named=named)
    return (str(choice.chosen["id"]) if choice.chosen else choice.kind, choice.why)


def test_the_last_one_before_it_that_served_is_chosen(hosts: Hosts) -> None:
    """Not the newest, which may be the bad one, nor the oldest."""
    seen = looked(hosts, serves("a"), row("b", 5), row("c", 9), a=500, b=200)
    assert picked(seen, BAD) == (
        "dpl_b",
        "the last one before it that served production; it answers 200 at its own address",
    )


@pytest.mark.parametrize(
    ("other", "answers", "words"),
    [
        ({"state": "ERROR"}, {}, "it is ERROR"),
        ({"rollback_candidate": False}, {}, "not offered"),
        ({}, {"b": 503}, "answers 503"),
        ({"commit": "a" * 40}, {"b": 0}, "same code"),
        ({"target": "preview"}, {}, ""),
    ],
)
def test_what_is_known_to_be_bad_is_passed_over_with_its_reason(
    hosts: Hosts, other: dict[str, Any], answers: dict[str, int], words: str
) -> None:
    """A second bad version helps nobody."""
    seen = looked(hosts, serves("a"), row("b", 5, **other), row("c", 9), a=500, **answers)
    choice = rollback.choose(seen, [BAD])
    assert choice.chosen is not None and choice.chosen["id"] == "dpl_c"
    assert [words in why for why in choice.passed.values()] == [True] * bool(words)


def test_one_that_was_rolled_back_from_before_is_not_gone_back_to(hosts: Hosts) -> None:
    """Somebody has seen it fail."""
    seen = looked(hosts, serves("a"), row("b", 5), row("c", 9))
    project = seen.project.assign(last_request="rollback", last_request_from="dpl_b")
    assert picked(replace(seen, project=project), BAD)[0] == "dpl_c"


def test_the_same_code_is_a_way_back_if_it_works(hosts: Hosts) -> None:
    """Then they differ in what they were built with, as after a variable was removed."""
    seen = looked(hosts, serves("a"), row("b", 5, commit="a" * 40), a=500, b=200)
    assert picked(seen, BAD)[0] == "dpl_b"


def test_nothing_is_chosen_where_no_deployment_is_to_blame(hosts: Hosts) -> None:
    """A rollback for another fault only adds to it."""
    choice = rollback.choose(looked(hosts, serves("a"), row("b", 5)), [])
    assert choice.kind == "none"
    assert deployment.draft(choice, hosts.env("klutr")) is None
    assert rollback.target(choice).status is Status.SKIPPED


def test_without_an_earlier_one_it_is_said_that_there_is_no_way_back(hosts: Hosts) -> None:
    """And which other way there is."""
    choice = rollback.choose(looked(hosts, row("n", 0.5), serves("a")), [BAD])
    found = rollback.target(choice)
    assert (choice.kind, found.status, found.cause) == ("gone", Status.CRITICAL, rollback.GONE)
    assert "git revert" in found.why
    assert deployment.draft(choice, hosts.env("klutr")) is None


@pytest.mark.parametrize(
    ("to", "kind", "words"),
    [
        ("dpl_p", "refused", "preview"),
        ("dpl_a", "refused", "serves already"),
        ("dpl_e", "refused", "BUILDING"),
        ("dpl_o", "refused", "not offered"),
        ("dpl_f", "refused", "answers 500"),
        ("dpl_x", "gone", "no deployment dpl_x"),
        ("dpl_b", "dpl_b", "named"),
        ("bbbbbbb", "dpl_b", "named"),
        ("bbb", "gone", "no deployment bbb"),
        ("https://b.example.app/", "dpl_b", "named"),
    ],
)
def test_a_named_deployment_is_taken_or_refused_with_its_reason(
    hosts: Hosts, to: str, kind: str, words: str
) -> None:
    """A person may decide; what cannot serve is said before anything is planned."""
    rows = (serves("a"), row("e", 2, state="BUILDING"), row("b", 5), row("f", 6))
    seen = looked(hosts, *rows, row("o", 9, rollback_candidate=False), f=500)
    named = pd.DataFrame([row("p", 3, target="preview", rollback_candidate=False)])
    found, why = picked(seen, to=to, named=(named,))
    assert (found, words in why) == (kind, True), why
    status = rollback.target(rollback.choose(seen, [], to=to, named=(named,))).status
    assert status is (Status.OK if found.startswith("dpl_") else Status.CRITICAL)


def test_a_newer_deployment_is_promoted_and_that_is_taken_back_by_a_rollback(hosts: Hosts) -> None:
    """How a rollback ends, once the fault is mended: new deployments go live by themselves again."""
    seen = looked(hosts, row("n", 0.5, substate="STAGED", rollback_candidate=False), serves("a", 5))
    choice = rollback.choose(seen, [], to="dpl_n")
    draft = deployment.draft(choice, hosts.env("klutr"))
    assert choice.forward and draft is not None
    (target,) = draft.targets
    assert "/promote/dpl_n" in target.act.text
    assert target.undo is not None and "/rollback/dpl_a" in target.undo.text


def test_a_source_that_cannot_be_asked_is_unknown_and_plans_nothing(hosts: Hosts) -> None:
    """Neither the list of deployments nor the project may be guessed."""
    blind = frames.unavailable((), "vercel is out")
    seen = looked(hosts, serves("a"), row("b", 5))
    for broken in (replace(seen, vercel=blind), replace(seen, project=blind)):
        choice = rollback.choose(broken, [BAD])
        assert rollback.target(choice).status is Status.UNKNOWN
        assert deployment.draft(choice, hosts.env("klutr")) is None


def test_a_host_that_the_system_does_not_have_is_unknown(hosts: Hosts) -> None:
    """A slip in `host` must not end as a good result."""
    seen = replace(looked(hosts, serves("a")), host="railway")
    found = rollback.target(rollback.choose(seen, []))
    assert found.status is Status.UNKNOWN and "no project at Railway" in found.why


def test_a_commit_is_only_meant_by_enough_of_it() -> None:
    """Three letters fit too many."""
    assert matches(row("b", 1), "b" * 7) and not matches(row("b", 1), "b" * 6)
    assert not matches(row("b", 1), "")


def judged(seen: Seen, after: dict[str, Any] | None = None) -> dict[str, Finding]:
    """Return the findings by check and subject."""
    return {found.key: found for found in rollback.analyse(seen, after)}


def failing(seen: Seen) -> Seen:
    """Return the same look at a site that answers 500."""
    endpoint = seen.env.health[0]
    sample = {
        "endpoint": endpoint.name, "url": endpoint.url, "sample": 1, "status_code": 500, "ms": 3.0,
        "error": "", "error_kind": "", "json_ok": False, "fields": {}, "body_digest": "",
    }  # fmt: skip
    return replace(seen, probes=pd.DataFrame([sample]))


def test_code_that_fails_where_the_one_before_works_is_to_blame(hosts: Hosts) -> None:
    """And the site's error needs no other explanation."""
    found = judged(failing(looked(hosts, serves("a"), row("b", 5), a=500, b=200)))
    assert (found["deployment:vercel"].status, found["deployment:vercel"].cause) == (Status.CRITICAL, BAD)
    assert found["app:health"].cause is None


def test_the_same_code_built_with_something_else_is_to_blame_too(hosts: Hosts) -> None:
    """Going back helps at once, though the code did not change."""
    seen = failing(looked(hosts, serves("a"), row("b", 5, commit="a" * 40), a=500, b=200))
    assert "built with" in judged(seen)["deployment:vercel"].why


def test_bad_code_that_was_deployed_again_is_still_to_blame(hosts: Hosts) -> None:
    """That an earlier deployment has the same code clears it only if that one works."""
    rows = (serves("a"), row("t", 2, commit="a" * 40), row("b", 5))
    found = judged(failing(looked(hosts, *rows, a=500, t=500, b=200)))
    assert found["deployment:vercel"].cause == BAD
    assert picked(looked(hosts, *rows, a=500, t=500, b=200), BAD)[0] == "dpl_b"


def test_an_older_fault_is_not_blamed_on_the_deployment(hosts: Hosts) -> None:
    """All of them fail: it is something else, and site-down finds out what."""
    found = judged(failing(looked(hosts, serves("a", 50), row("b", 90), a=500, b=500)))
    assert found["deployment:vercel"].status is Status.OK
    assert (found["app:health"].status, found["app:health"].next) == (Status.CRITICAL, "site-down")


def test_a_rollback_that_holds_is_told_apart_from_what_was_just_done(hosts: Hosts) -> None:
    """Found later it is a warning, as nothing new goes live; right after the change it is the aim."""
    seen = looked(hosts, row("n", 1), serves("a", 5))
    seen = replace(seen, project=seen.project.assign(last_request="rollback", last_request_to="dpl_a"))
    assert judged(seen)["deployment:vercel"].cause == rollback.ALREADY
    assert judged(seen, {"production": "dpl_a"})["deployment:vercel"].status is Status.OK
    assert judged(seen, {"production": "dpl_b"})["deployment:vercel"].status is Status.WARNING


@pytest.mark.parametrize(
    ("told", "status", "strictly"),
    [
        ("a" * 40, Status.OK, Status.OK),
        ("a" * 7, Status.OK, Status.OK),
        ("b" * 40, Status.WARNING, Status.CRITICAL),
        ("1.0.0", Status.SKIPPED, Status.SKIPPED),
        ("", Status.SKIPPED, Status.SKIPPED),
    ],
)
def test_the_version_of_the_site_is_held_against_what_serves(
    hosts: Hosts, told: str, status: Status, strictly: Status
) -> None:
    """A release number is no commit, and says nothing about deployments."""
    seen = failing(looked(hosts, serves("a"), row("b", 5)))
    endpoint = replace(seen.env.health[0], version_field="version")
    probes = seen.probes.assign(fields=pd.Series([{"version": told}]))
    seen = replace(seen, probes=probes, env=_Asked(seen.env, (endpoint,)))  # type: ignore[arg-type]
    assert (rollback.version(seen).status, rollback.version(seen, strict=True).status) == (status, strictly)


class _Asked:
    """An environment with other health endpoints."""

    def __init__(self, env: Any, health: tuple[Any, ...]) -> None:
        self._env, self.health, self.smoke = env, health, ()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._env, name)


def bad_plan(hosts: Hosts) -> Plan:
    """Return the plan to go back at Vercel."""
    return hosts.plan(hosts.choice(BAD))


def test_a_plan_says_what_it_is_about(hosts: Hosts) -> None:
    """One target, its way back, what stays, and how much goes."""
    draft = bad_plan(hosts).draft
    (target,) = draft.targets
    project = hosts.web.project("klutr")
    assert target.before["production"] == project.current == target.before["newest"]
    assert target.after["production"] == project.deployments[1].id
    assert (draft.risk, dict(draft.numbers)) == ("high", {"deployments out of production": 1})
    assert "migrations" in draft.not_undoable[0] and "no longer go live" in draft.blast
    assert target.undo is not None and "/promote/" in target.undo.text


def test_a_rollback_is_done_once_and_seen_to_be_done(hosts: Hosts) -> None:
    """It waits until the vendor is through; applied again it finds it done."""
    plan, before = bad_plan(hosts), len(hosts.writes("vercel"))
    assert hosts.apply(plan).state is State.DONE
    assert hosts.web.project("klutr").current == plan.draft.targets[0].after["production"]
    assert hosts.apply(plan).state is State.ALREADY_DONE
    assert hosts.writes("vercel")[before:] == [201]


def test_it_is_taken_back_by_a_promotion_also_a_queued_one(hosts: Hosts) -> None:
    """202: the vendor does it later, and it is done when it shows."""
    plan = bad_plan(hosts)
    bad = plan.draft.targets[0].before["production"]
    hosts.apply(plan)
    hosts.web.project("klutr").rolling = True
    way_back = plan.draft.targets[0].reversed()
    assert way_back is not None
    back = replace(plan, draft=replace(plan.draft, targets=(way_back,)), undoes=plan.digest)
    assert hosts.apply(back).state is State.DONE
    assert hosts.writes("vercel")[-1] == 202
    project = hosts.web.project("klutr")
    assert project.current == bad and project.auto_assign


def test_a_fix_that_is_deployed_after_a_rollback_does_not_unsettle_it_but_its_undo(hosts: Hosts) -> None:
    """The rollback is as it was left; to promote the bad one over a waiting fix needs a plan of its own."""
    plan, project = bad_plan(hosts), hosts.web.project("klutr")
    hosts.apply(plan)
    fix = project.redeploy(project.deployments[1].id, "production")
    again = hosts.apply(plan)
    assert again.state is State.ALREADY_DONE and "different" not in again.text
    way_back = plan.draft.targets[0].reversed()
    assert way_back is not None
    back = replace(plan, draft=replace(plan.draft, targets=(way_back,)), undoes=plan.digest)
    assert fix.id in left_out(hosts, back).text


def left_out(hosts: Hosts, plan: Plan) -> Result:
    """Apply a plan that must not do anything."""
    before = hosts.writes("vercel"), hosts.writes("railway")
    result = hosts.apply(plan)
    assert (hosts.writes("vercel"), hosts.writes("railway")) == before
    assert result.state is State.LEFT_OUT, result
    return result


def test_a_newer_deployment_since_the_plan_is_left_alone(hosts: Hosts) -> None:
    """Somebody has deployed a fix, or is about to: it is not rolled over."""
    plan = bad_plan(hosts)
    fix = hosts.web.project("klutr").redeploy(hosts.web.project("klutr").deployments[1].id, "production")
    assert fix.id in left_out(hosts, plan).text


def test_somebody_elses_switch_under_way_is_left_alone(hosts: Hosts) -> None:
    """Two people at once: the second one looks again first."""
    plan, project = bad_plan(hosts), hosts.web.project("klutr")
    third = project.deployments[3].id
    project.request = AliasRequest(ROLLBACK, project.current, third, project.clock() + 60_000)
    assert "under way" in left_out(hosts, plan).text


def test_a_deployment_that_was_deleted_since_the_plan_is_not_asked_for(hosts: Hosts) -> None:
    """Retention does not wait for an approval."""
    plan, project = bad_plan(hosts), hosts.web.project("klutr")
    lost = project.deployments[1]
    project.take_away([lost])
    try:
        assert "destination gone now" in left_out(hosts, plan).text
    finally:
        project.put_back([lost])


def test_the_same_rollback_by_somebody_else_is_not_ours(hosts: Hosts) -> None:
    """It is so already, and the ledger does not claim it."""
    plan, project = bad_plan(hosts), hosts.web.project("klutr")
    project.promote(plan.draft.targets[0].after["production"])
    assert "not by this plan" in left_out(hosts, plan).text


def test_what_the_vendor_turns_down_has_failed_with_its_words(hosts: Hosts) -> None:
    """The plan of the vendor does not allow it: known only when it is asked for."""
    project = hosts.web.project("klutr")
    plan = hosts.plan(hosts.choice(to=project.deployments[3].id))
    project.plan = "hobby"
    result = hosts.apply(plan)
    assert result.state is State.FAILED and "upgrade to pro" in result.text


def test_a_switch_that_fails_at_the_vendor_ends_the_wait(hosts: Hosts) -> None:
    """The vendor says that it failed, so three minutes more would not help."""
    plan = bad_plan(hosts)
    hosts.web.project("klutr").jammed = True
    result = hosts.apply(plan, patience_s=60)
    assert result.state is State.FAILED
    assert "failed" in result.text and "still serves" in result.text


def test_a_vendor_that_is_out_leaves_everything_open(hosts: Hosts) -> None:
    """Nobody can look, so nothing is done; later the same plan is applied."""
    plan, vendor = bad_plan(hosts), hosts.web.vendor("vercel")
    before = hosts.writes("vercel")
    vendor.outages["test"] = ()
    try:
        result = hosts.apply(plan)
    finally:
        del vendor.outages["test"]
    assert result.state is State.NOT_BEGUN and "could not be looked at" in result.text
    assert hosts.writes("vercel") == before
    assert hosts.apply(plan).state is State.DONE


def backend_plan(hosts: Hosts) -> Plan:
    """Return the plan to go back at Railway."""
    return hosts.plan(hosts.choice(BACKEND, system="your-backend"), "your-backend")


def test_at_railway_the_code_tells_that_it_is_done(hosts: Hosts) -> None:
    """The old image is a new deployment, which no plan can name."""
    plan, before = backend_plan(hosts), len(hosts.writes("railway"))
    (target,) = plan.draft.targets
    result = hosts.apply(plan)
    service = hosts.web.service("your-backend")
    assert (result.state, service.serving.commit) == (State.DONE, target.after["code"])
    assert service.serving.reason == "rollback"
    assert hosts.apply(plan).state is State.ALREADY_DONE
    way_back = target.reversed()
    assert way_back is not None
    back = replace(plan, draft=replace(plan.draft, targets=(way_back,)), undoes=plan.digest)
    assert hosts.apply(back).state is State.DONE
    assert service.serving.commit == target.before["code"]
    assert len(hosts.writes("railway")) - before == 2


def test_at_railway_other_new_code_and_what_is_still_starting_are_left_alone(hosts: Hosts) -> None:
    """A fix on its way is not stopped."""
    plan, service = backend_plan(hosts), hosts.web.service("your-backend")
    fix = service.roll_back(service.deployments[2].id)
    assert "under way" in left_out(hosts, plan).text
    service.clock = lambda: fix.ready
    assert service.serving.id == fix.id
    del service.clock
    service.clock = type(service)("x").clock
    assert fix.id in left_out(hosts, plan).text


def test_at_railway_a_deployment_that_does_not_start_has_failed(hosts: Hosts) -> None:
    """And the one before goes on serving."""
    plan, service = backend_plan(hosts), hosts.web.service("your-backend")
    service.unstartable = True
    result = hosts.apply(plan, patience_s=60)
    assert result.state is State.FAILED and "FAILED" in result.text
    assert service.serving.broken


def test_at_railway_an_image_that_is_kept_no_longer_is_not_asked_for(hosts: Hosts) -> None:
    """`canRollback` is looked at again before the act."""
    plan = backend_plan(hosts)
    act: Any = plan.draft.targets[0].act
    hosts.web.service("your-backend").forgotten.add(act.body["variables"]["id"])
    assert "destination gone now" in left_out(hosts, plan).text


def test_at_railway_the_same_code_is_refused(hosts: Hosts) -> None:
    """Nobody could tell afterwards whether it was done."""
    service = hosts.web.service("your-backend")
    same = service.deploy(service.serving.commit, "again")
    twin = service.deployments[1]
    choice = hosts.choice(system="your-backend", to=twin.id)
    assert (choice.kind, same.commit == twin.commit) == ("refused", True)
    assert "redeploy" in choice.why


@pytest.fixture
def archive(signer: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An archive in the running sandbox, and a key to approve with."""
    ready(monkeypatch, tmp_path)
    yield tmp_path


BACKEND_CASE = Case("rollback", "bad-backend-deploy", "your-backend", vendors=("railway",))
VARIABLE_CASE = Case("rollback", "env-var-missing", "klutr")


@pytest.mark.parametrize("point", ["after-intent", "after-act"])
def test_a_backend_goes_back_exactly_once_even_if_it_is_killed(
    archive: Path, point: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Railway's new deployment is recognised as ours by whoever runs it again; the version proves it."""
    control.break_(BACKEND_CASE.scenario, BACKEND_CASE.system)
    document = planned(BACKEND_CASE, archive)
    before = arrived(BACKEND_CASE)
    monkeypatch.setenv(faults.VARIABLE, point)
    assert applied(BACKEND_CASE, document, archive)["verdict"] == "unknown"
    monkeypatch.delenv(faults.VARIABLE)
    after = applied(BACKEND_CASE, document, archive)
    assert (after["verdict"], states(after)) == ("ok", ["done"]), after["findings"]
    assert arrived(BACKEND_CASE) - before == 1
    version = next(found for found in after["findings"] if found["check"] == "version")
    assert (version["status"], version["observed"][:7]) == ("ok", version["limit"])


def test_a_backend_comes_back_by_undo(archive: Path) -> None:
    """With the fault, which the same probe finds again."""
    control.break_(BACKEND_CASE.scenario, BACKEND_CASE.system)
    after = applied(BACKEND_CASE, planned(BACKEND_CASE, archive), archive)
    assert after["verdict"] == "ok"
    assert cli.main(["undo", after["run_id"], "--json"], standalone_mode=False) == 2
    later = perform("rollback", BACKEND_CASE.system, archive)
    assert later["cause"]["id"] == "bad-backend-deploy"


def test_a_build_without_a_variable_is_rolled_back_to_one_that_has_it(archive: Path) -> None:
    """The code is the same; the older build works, and visitors need not wait for the variable."""
    control.break_(VARIABLE_CASE.scenario, VARIABLE_CASE.system)
    document = planned(VARIABLE_CASE, archive)
    after = applied(VARIABLE_CASE, document, archive)
    assert (document["verdict"], after["verdict"]) == ("critical", "ok"), after["findings"]


def test_a_preview_that_is_named_is_refused_and_nothing_is_planned(archive: Path) -> None:
    """Seen by the vendor's own answer, though it is in no list of production."""
    control.break_("bad-deploy", "kulti")
    status = control.status()
    assert status["up"]
    from opslib.config import load_system
    from opslib.vendors.vercel import Vercel

    env = load_system("kulti", ROOT / "parameters").environment("sandbox")
    client = Vercel(env.vendors["vercel"], resolver=env.resolver)
    preview = client.deployments(limit=1, target="preview").iloc[0]["id"]
    document = perform("rollback", "kulti", archive, to=preview)
    way = next(found for found in document["findings"] if found["check"] == "way back")
    assert (document["plan"], way["status"], "preview" in way["why"]) == (None, "critical", True)


def test_a_later_look_says_that_production_was_rolled_back(archive: Path) -> None:
    """Well, but nothing new goes live: a warning until somebody promotes what is mended."""
    case = Case("rollback", "bad-deploy", "kulti")
    control.break_(case.scenario, case.system)
    assert applied(case, planned(case, archive), archive)["verdict"] == "ok"
    later = perform("rollback", case.system, archive)
    assert (later["verdict"], later["cause"]["id"], later["plan"]) == ("warning", "already-rolled-back", None)
