"""Clients of vendors: found by their files, read in their own formats, never more sure than they can be."""

from __future__ import annotations

import json
from typing import Any, get_args

import pytest

from opslib import vendors
from opslib.config import Secret, VendorAccess
from opslib.config.fields import StatusFormat
from opslib.errors import Malformed, SourceError, UnknownName
from opslib.sandbox import hosting, hosting_json, variables
from opslib.sandbox.hosting import Project
from opslib.sandbox.simulated import VendorState, page_document
from opslib.vendors import statuspage
from opslib.vendors.vercel import Vercel
from tests.contracts import checked, jsonschema
from tests.servers import in_turn, reply, serving

FORMATS = ("statuspage", "incident.io", "betterstack")


def vendor(status_format: str = "statuspage") -> VendorState:
    """Return a vendor that is well."""
    return VendorState("acme", "Acme", status_format, ("Auth", "Storage"), "token")


def access(api_url: str = "", **options: Any) -> VendorAccess:
    """Return the access to a vendor."""
    given = {
        "status_url": "",
        "status_format": "statuspage",
        "components": (),
        "settings": {"project": "shop"},
        "token": Secret.literal("vercel-token", "abcdef-123456"),
    }
    return VendorAccess(name="acme", api_url=api_url, **{**given, **options})


def states(document: Any, status_format: str, kind: str) -> list[tuple[str, str]]:
    """Return name and state of the rows of one kind."""
    rows = statuspage.parse(document, status_format)
    return [(row["name"], row["state"]) for row in rows if row["kind"] == kind]


def rows_of(status: int, body: bytes, **options: Any) -> list[dict[str, Any]]:
    """Read the status page that a server with one answer gives."""
    with serving(reply(status, body)) as url:
        return statuspage._read_one(access(status_url=url, **options), None, None)


def shop() -> Project:
    """Return a project with five deployments and two variables."""
    return hosting.project("shop", 8000, ["DATABASE_URL", "API_KEY"])


def test_a_file_is_enough_to_be_a_vendor() -> None:
    """No list is kept; what is no vendor's client is not offered."""
    assert "vercel" in vendors.names()
    assert "statuspage" not in vendors.names()
    assert vendors.load("vercel") is Vercel


def test_an_unknown_vendor_is_answered_with_close_names() -> None:
    """A slip of the finger costs one more try, not a search."""
    with pytest.raises(UnknownName) as caught:
        vendors.load("vercell")
    assert "vercel" in caught.value.hint


@pytest.mark.parametrize("name", vendors.names())
def test_each_client_promises_columns_for_each_of_its_methods(name: str) -> None:
    """`ops.<vendor>` needs them when the vendor can't be asked; it offers nothing but those."""
    client = vendors.load(name)
    methods = {m: getattr(client, m) for m in dir(client) if not m.startswith("_")}
    frames = {
        m for m, f in methods.items() if getattr(f, "__annotations__", {}).get("return") == "pd.DataFrame"
    }
    assert frames == set(client.COLUMNS)


def test_every_format_that_a_file_may_name_can_be_read() -> None:
    """A format that nobody reads would leave a vendor unwatched in silence."""
    assert {*FORMATS, "none"} == set(get_args(StatusFormat))
    assert set(statuspage.PATHS) == set(FORMATS)


@pytest.mark.parametrize("status_format", FORMATS)
def test_a_calm_page_is_operational_in_every_format(status_format: str) -> None:
    """Three formats, one reading."""
    document = page_document(vendor(status_format))
    assert states(document, status_format, "page") == [("Acme", "operational")]
    assert states(document, status_format, "incident") == []


@pytest.mark.parametrize("status_format", FORMATS)
def test_an_outage_is_seen_in_every_format(status_format: str) -> None:
    """The page as a whole, the part, and the incident."""
    broken = vendor(status_format)
    broken.outages["test"] = ("Auth",)
    document = page_document(broken)
    assert states(document, status_format, "page") == [("Acme", "outage")]
    assert ("Auth", "outage") in states(document, status_format, "component")
    assert ("Storage", "outage") not in states(document, status_format, "component")
    assert len(states(document, status_format, "incident")) == 1


@pytest.mark.parametrize("status_format", FORMATS)
def test_maintenance_is_seen_in_every_format(status_format: str) -> None:
    """It is neither an outage nor nothing."""
    busy = vendor(status_format)
    busy.maintenances["test"] = ("Storage",)
    document = page_document(busy)
    assert states(document, status_format, "page") == [("Acme", "maintenance")]
    assert [state for _, state in states(document, status_format, "maintenance")] == ["maintenance"]


@pytest.mark.parametrize("status_format", FORMATS)
@pytest.mark.parametrize("document", [{}, [], None, "ok", {"status": "ok"}, {"data": None}])
def test_json_of_another_shape_is_malformed(document: Any, status_format: str) -> None:
    """Only the expected keys are believed."""
    with pytest.raises(Malformed):
        statuspage.parse(document, status_format)


def test_a_state_that_nobody_knows_is_malformed() -> None:
    """A new word must not pass for well."""
    document = page_document(vendor())
    document["components"][0]["status"] = "mostly_fine"
    with pytest.raises(Malformed):
        statuspage.parse(document, "statuspage")


def test_resolved_incidents_and_planned_maintenance_do_not_count() -> None:
    """Only what is going on now."""
    broken = vendor()
    broken.outages["test"], broken.maintenances["test"] = ("Auth",), ("Auth",)
    document = page_document(broken)
    document["incidents"][0]["status"] = "resolved"
    document["scheduled_maintenances"][0]["status"] = "scheduled"
    assert states(document, "statuspage", "incident") == []
    assert states(document, "statuspage", "maintenance") == []


@pytest.mark.parametrize(
    ("status", "body"),
    [(200, b"<!doctype html><p>All Systems Operational"), (200, b""), (200, b"{}"), (404, b"{}"), (403, b"")],
)
def test_a_page_that_cannot_be_read_says_so_and_has_no_state(status: int, body: bytes) -> None:
    """HTML that says "operational" is no statement that a program may rely on."""
    (row,) = rows_of(status, body)
    assert row["state"] == "" and row["error"]


def test_a_page_without_the_chosen_part_is_not_taken_for_well() -> None:
    """Vendors rename parts; the file must follow, and says so."""
    body = json.dumps(page_document(vendor())).encode()
    rows = rows_of(200, body, components=("auth", "Realtime"))
    used = {row["name"]: row for row in rows if row["kind"] == "component" and row["used"]}
    assert used["Auth"]["state"] == "operational"
    assert used["Realtime"]["error"] and used["Realtime"]["state"] == ""
    assert not next(row for row in rows if row["kind"] == "page")["used"]


def vercel(*bodies: Any) -> Any:
    """Return a handler that answers with each JSON body in turn."""
    return in_turn(*(reply(body=json.dumps(body).encode()) for body in bodies))


def listing(project: Project, take: slice, following: int | None = None) -> dict[str, Any]:
    """Return a page of deployments."""
    entries = [hosting_json.deployment_json(project, d) for d in project.deployments[take]]
    return {"deployments": entries, "pagination": {"count": len(entries), "next": following, "prev": None}}


def test_deployments_come_newest_first_with_the_serving_one_marked() -> None:
    """Also after a rollback, when the serving one is not the newest."""
    project = shop()
    project.promote(project.deployments[2].id)
    with serving(vercel(hosting_json.project_json(project), listing(project, slice(5)))) as url:
        frame = Vercel(access(url)).deployments(limit=5)
    assert list(frame.columns) == list(Vercel.COLUMNS["deployments"])
    assert list(frame["current"]) == [False, False, True, False, False]
    assert frame["created"].is_monotonic_decreasing
    assert frame.iloc[0]["commit"] == project.deployments[0].commit


def test_deployments_are_read_page_by_page() -> None:
    """A project with a long past is not cut off."""
    project = shop()
    pages = (listing(project, slice(0, 3), following=1), listing(project, slice(3, 5)))
    with serving(vercel(hosting_json.project_json(project), *pages)) as url:
        assert len(Vercel(access(url)).deployments(limit=5)) == 5


def test_without_targets_the_newest_promoted_deployment_counts_as_serving() -> None:
    """Older answers have no targets."""
    project = shop()
    document = {k: v for k, v in hosting_json.project_json(project).items() if k != "targets"}
    with serving(vercel(document, listing(project, slice(5)))) as url:
        frame = Vercel(access(url)).deployments()
    assert list(frame["current"]) == [True, False, False, False, False]


def test_variables_are_read_by_name_and_never_by_value() -> None:
    """Names are enough to find a missing one."""
    document = variables.listing(shop().variables)
    document["envs"][0]["target"] = ["preview"]
    with serving(vercel(document)) as url:
        frame = Vercel(access(url)).environment_variables()
    assert list(frame["key"]) == ["DATABASE_URL"]
    assert "value" not in frame.columns
    assert not any(entry["value"] in frame.to_string() for entry in document["envs"])


@pytest.mark.parametrize("document", [[], {}, {"deployments": "none"}, {"id": "x", "deployments": [1]}])
def test_vercel_answering_something_else_is_malformed(document: Any) -> None:
    """An empty list of deployments must be Vercel's word, not our guess."""
    project = {"id": "prj", "name": "shop"}
    with serving(vercel(project, document)) as url, pytest.raises(Malformed):
        Vercel(access(url)).deployments()


def test_a_project_that_is_not_named_is_said_before_anything_is_asked() -> None:
    """The file has a gap: no request can help."""
    with pytest.raises(SourceError, match="name no project"):
        Vercel(access("http://127.0.0.1:9", settings={})).environment_variables()


def test_old_deployments_are_asked_at_their_own_addresses() -> None:
    """One that answers and one that is gone, each with what it said."""
    with serving(reply(body=b"fine")) as good:
        project = shop()
        document = listing(project, slice(3))
        for entry, url in zip(document["deployments"], (good, "http://127.0.0.1:9", good), strict=True):
            entry["url"] = url
        document["deployments"][2]["readyState"] = "ERROR"
        with serving(vercel(hosting_json.project_json(project), document)) as api:
            frame = Vercel(access(api)).answers(path="/health", limit=3)
    assert list(frame["status_code"]) == [200, 0]
    assert frame.iloc[1]["error_kind"] == "refused"


def test_the_simulated_deployments_keep_to_vercels_specification() -> None:
    """What the sandbox answers is what the real one would."""
    document = listing(shop(), slice(5))
    checked("/v7/deployments", document)
    with pytest.raises(jsonschema.ValidationError):
        checked("/v7/deployments", {**document, "deployments": [{"uid": "x"}]})


def test_the_simulated_project_and_variables_keep_to_vercels_specification() -> None:
    """The same for the two other answers that are read."""
    checked("/v9/projects/{idOrName}", hosting_json.project_json(shop()))
    checked("/v10/projects/{idOrName}/env", variables.listing(shop().variables))
