"""The rehearsed hosts: what Vercel and Railway do when production is pointed elsewhere, step by step."""

from __future__ import annotations

import json
from typing import Any

import pytest

from opslib.acts import Request
from opslib.config import Secret, VendorAccess
from opslib.errors import Malformed
from opslib.http import safe
from opslib.sandbox import container, hosting, hosting_json
from opslib.sandbox.container import Service
from opslib.sandbox.hosting import Project
from opslib.sandbox.switching import BUILD_MS, PENDING_MS, QUEUED_MS, SWITCHING_MS, Rejected
from opslib.vendors import railway, railway_acts, railway_rows, vercel_acts
from opslib.vendors.railway import Railway
from tests.contracts import checked, sent
from tests.hosts import Clock
from tests.servers import in_turn, reply, serving

THROUGH_MS = PENDING_MS + SWITCHING_MS


@pytest.fixture
def clock() -> Clock:
    """A clock that stands still."""
    return Clock()


@pytest.fixture
def shop(clock: Clock) -> Project:
    """A project with a past, on that clock."""
    made = hosting.project("shop", 8000, ["API_KEY"])
    made.clock = clock
    return made


@pytest.fixture
def service(clock: Clock) -> Service:
    """A container service with a past, on that clock."""
    made = container.service("shop", ["API_KEY"])
    made.clock = clock
    return made


def refused(project: Project, type: str, deployment: str) -> int:
    """Return the status with which a switch is turned down."""
    with pytest.raises(Rejected) as caught:
        project.switch(type, deployment)
    return caught.value.status


def test_a_rollback_takes_a_moment_and_then_the_old_version_serves(shop: Project, clock: Clock) -> None:
    """Pending, in progress, succeeded; until then visitors get what they had."""
    newest, older = shop.deployments[:2]
    shop.switch("rollback", older.id)
    states = []
    for _ in range(3):
        states.append((hosting_json.project_json(shop)["lastAliasRequest"]["jobStatus"], shop.serving))
        clock.wait(SWITCHING_MS)
    assert states == [("pending", newest), ("in-progress", newest), ("succeeded", older)]
    assert not shop.auto_assign


def test_after_a_rollback_nothing_new_goes_live_until_one_is_promoted(shop: Project, clock: Clock) -> None:
    """The trap of an instant rollback: the fix is built, and nobody gets it."""
    newest, older = shop.deployments[:2]
    shop.switch("rollback", older.id)
    clock.wait(THROUGH_MS)
    fix = shop.redeploy(newest.id, "production")
    clock.wait(BUILD_MS)
    assert (shop.find(fix.id).substate, shop.serving) == ("STAGED", older)
    shop.switch("promote", fix.id)
    clock.wait(THROUGH_MS)
    assert shop.serving.id == fix.id and shop.auto_assign
    shop.redeploy(newest.id, "production")
    clock.wait(BUILD_MS)
    assert shop.serving.id == shop.deployments[0].id


def test_a_redeployment_is_built_with_the_variables_as_they_are_now(shop: Project, clock: Clock) -> None:
    """And serves when it is built, not before."""
    code = shop.serving
    shop.variables.clear()
    made = shop.redeploy(code.id, "production", [("opslib", "mark")])
    assert (made.state, shop.serving) == ("BUILDING", code)
    clock.wait(BUILD_MS)
    assert shop.serving.id == made.id
    assert (shop.serving.variables, shop.serving.commit) == (frozenset(), code.commit)
    assert hosting_json.deployment_json(shop, shop.serving)["meta"]["opslib"] == "mark"


def test_only_one_switch_at_a_time(shop: Project, clock: Clock) -> None:
    """The second one is a conflict, and so is the one that serves already."""
    _, second, third = shop.deployments[:3]
    shop.switch("rollback", third.id)
    assert refused(shop, "rollback", second.id) == 409
    clock.wait(THROUGH_MS)
    assert refused(shop, "rollback", third.id) == 409
    assert not shop.switch("rollback", second.id).queued


def test_what_cannot_serve_is_refused_each_with_its_own_code(shop: Project) -> None:
    """Unknown, a preview, not built, never served, and further back than the plan allows."""
    preview = next(deployment for deployment in shop.everything if deployment.target == "preview")
    building = shop.redeploy(preview.id, "production")
    assert refused(shop, "rollback", "dpl_nobody") == 404
    assert (refused(shop, "rollback", preview.id), refused(shop, "promote", preview.id)) == (422, 400)
    assert refused(shop, "rollback", building.id) == 422
    shop.auto_assign = False
    staged = shop.preview("c", "m")
    assert refused(shop, "rollback", staged.id) == 422
    shop.plan = "hobby"
    assert refused(shop, "rollback", shop.candidates()[0].id[:-1]) == 404
    assert refused(shop, "rollback", shop.deployments[4].id) == 402


def test_a_promotion_waits_behind_a_rolling_release(shop: Project, clock: Clock) -> None:
    """202: queued, and later done."""
    older = shop.deployments[1]
    shop.rolling = True
    assert shop.switch("promote", older.id).queued
    clock.wait(THROUGH_MS)
    assert shop.serving != older
    clock.wait(QUEUED_MS)
    assert shop.serving == older


@pytest.mark.parametrize("how", ["jammed", "gone"])
def test_a_switch_that_fails_leaves_production_as_it_was(shop: Project, clock: Clock, how: str) -> None:
    """The vendor says so, and names the domains that were not moved."""
    newest, older = shop.deployments[:2]
    shop.jammed = how == "jammed"
    shop.switch("rollback", older.id)
    if how == "gone":
        shop.take_away([older])
    clock.wait(THROUGH_MS)
    assert shop.serving == newest and shop.auto_assign
    assert hosting_json.project_json(shop)["lastAliasRequest"]["jobStatus"] == "failed"
    assert len(hosting_json.aliases_json(shop, failed_only=True)["aliases"]) == 1


def test_a_withdrawn_deployment_takes_its_rollback_with_it(shop: Project, clock: Clock) -> None:
    """Healing a rehearsal leaves no trace of what a person did about it."""
    before = (shop.deployments, shop.current)
    bad = shop.deploy("bad", "bad", broken=True)
    shop.switch("rollback", before[1])
    clock.wait(THROUGH_MS)
    shop.withdraw(bad.id, before[1])
    assert (shop.deployments, shop.current, shop.request, shop.auto_assign) == (*before, None, True)


def test_the_simulated_answers_keep_to_vercels_specification(shop: Project, clock: Clock) -> None:
    """One deployment, the project while a switch runs, and the domains of a switch."""
    shop.switch("rollback", shop.deployments[1].id)
    checked("/v9/projects/{idOrName}", hosting_json.project_json(shop))
    checked("/v13/deployments/{idOrUrl}", hosting_json.document(shop, shop.serving))
    made = hosting_json.document(shop, shop.redeploy(shop.current, "production"))
    checked("/v13/deployments", made, "post")
    checked("/v1/projects/{projectId}/promote/aliases", hosting_json.aliases_json(shop, failed_only=False))
    listed = [hosting_json.deployment_json(shop, d) for d in shop.everything]
    checked(
        "/v7/deployments", {"deployments": listed, "pagination": {"count": 7, "next": None, "prev": None}}
    )


ACTS = (
    vercel_acts.rollback("prj_1", "dpl_1", team="acme", why="it fails"),
    vercel_acts.promote("prj_1", "dpl_1", team="team_1"),
    vercel_acts.redeploy("shop", "dpl_1", team="acme", meta={"opslib": "mark"}),
    vercel_acts.redeploy("shop", "dpl_1", target="preview"),
)


@pytest.mark.parametrize("act", ACTS, ids=lambda act: act.text)
def test_each_act_is_a_request_that_vercels_specification_has(act: Request) -> None:
    """Method, path, query parameters and body: what is sent is what the vendor has promised to take."""
    sent(act)


def test_a_team_is_named_by_its_id_or_by_its_short_name() -> None:
    """Vercel has a parameter for each, and refuses one in the place of the other."""
    assert vercel_acts.team_of("team_abc") == {"teamId": "team_abc"}
    assert vercel_acts.team_of("acme") == {"slug": "acme"}
    assert vercel_acts.team_of("") == {}


def test_going_back_at_railway_starts_an_old_image_as_a_new_deployment(
    service: Service, clock: Clock
) -> None:
    """With the variables that it had; the old one goes on until the new one runs."""
    newest, older = service.deployments[:2]
    service.variables.clear()
    made = service.roll_back(older.id)
    assert (made.id != older.id, made.digest, service.serving) == (True, older.digest, newest)
    clock.wait(container.START_MS)
    assert (service.serving.id, service.serving.variables) == (made.id, older.variables)
    assert service.find(newest.id).status == container.REMOVED


def test_a_deployment_that_does_not_start_leaves_the_one_before(service: Service, clock: Clock) -> None:
    """As Railway has it."""
    newest, older = service.deployments[:2]
    service.unstartable = True
    made = service.roll_back(older.id)
    clock.wait(container.START_MS)
    assert (service.find(made.id).status, service.serving) == (container.FAILED, newest)


def test_railway_goes_back_only_where_it_says_that_it_can(service: Service) -> None:
    """Not to what serves, nor to what is kept no longer, nor to what never was."""
    newest, older = service.deployments[:2]
    service.forgotten.add(older.id)
    for name in (newest.id, older.id, "nobody"):
        with pytest.raises(Rejected):
            service.roll_back(name)


def test_railways_documents_are_known_as_what_they_are() -> None:
    """Questions may be asked at any time, and each act needs an opening."""
    for name, document in railway.DOCUMENTS.items():
        assert safe.reads("railway", "", {"query": document, "operationName": name, "variables": {}})
    for name, document in railway_acts.DOCUMENTS.items():
        assert not safe.reads("railway", "", {"query": document, "operationName": name, "variables": {}})
    act = railway_acts.rollback("d1")
    assert act.text == "POST railway: deploymentRollback(id=d1)"


def access(url: str, **settings: str) -> VendorAccess:
    """Return the access to a server that stands for Railway."""
    given = {"project": "p", "environment": "e", "service": "s", **settings}
    return VendorAccess("railway", url, "", "none", (), given, Secret.literal("railway-token", "0123456789"))


@pytest.mark.parametrize(
    ("kind", "header"), [("project", "project-access-token"), ("account", "authorization")]
)
def test_a_token_goes_into_the_header_of_its_kind(kind: str, header: str) -> None:
    """A project's token in the header of an account's is refused by Railway."""
    seen: dict[str, str] = {}

    def handle(request: Any) -> None:
        seen.update({name.lower(): value for name, value in request.headers.items()})
        reply(body=b'{"data": {"deployments": {"edges": []}}}')(request)

    with serving(handle) as url:
        assert Railway(access(url, token_kind=kind)).deployments().empty
    assert seen[header].endswith("0123456789")
    assert len({"project-access-token", "authorization"} & set(seen)) == 1


@pytest.mark.parametrize(
    "data",
    [
        None,
        {},
        {"deployments": None},
        {"deployments": {"edges": [{"node": {}}]}},
        {"deployments": {"edges": [{"node": {"id": "x", "status": "DANCING"}}]}},
    ],
)
def test_railway_answering_something_else_is_malformed(data: Any) -> None:
    """An unknown state must not pass for a good one, nor nothing for no deployment."""
    with serving(in_turn(reply(body=json.dumps({"data": data}).encode()))) as url, pytest.raises(Malformed):
        Railway(access(url)).deployments()


def test_the_newest_deployment_that_runs_is_the_one_that_serves() -> None:
    """One that failed, or is still starting, serves nobody; a crashed one is what visitors meet."""
    times = {"FAILED": 5, "DEPLOYING": 4, "CRASHED": 3, "SUCCESS": 2, "REMOVED": 1}
    nodes = [
        {"id": status, "status": status, "createdAt": f"2026-11-2{day}T00:00:00Z", "meta": None}
        for status, day in times.items()
    ]
    found = {row["id"]: row for row in railway_rows.rows(nodes)}
    assert [name for name, row in found.items() if row["current"]] == ["CRASHED"]
    assert found["CRASHED"]["state"] == "ERROR"
