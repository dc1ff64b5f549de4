"""Neon and Supabase: what is asked is in their specifications, and so is what the sandbox answers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pandas as pd
import pytest

from opslib import config, vendors
from opslib.acts import Request
from opslib.config import VendorAccess
from opslib.errors import Forbidden, Malformed, OpsError, SourceError, Unreachable
from opslib.vendors import neon_acts, supabase_acts
from opslib.vendors.neon import Neon
from opslib.vendors.supabase import Supabase
from tests.contracts import checked, jsonschema, sent, specification
from tests.servers import Arrived, closed_port, in_turn, noting, reply, serving

NAMES = ("neon", "supabase")


@pytest.fixture
def access(sandbox: object) -> Iterator[dict[str, VendorAccess]]:
    """How klutr's two vendors are reached in the sandbox."""
    yield dict(config.load_system("klutr").environment("sandbox").vendors)


def answered(access: VendorAccess, path: str, method: str = "GET", body: Any = None) -> httpx.Response:
    """Ask a simulated vendor as it is, past opslib's client."""
    headers = {"authorization": f"Bearer {access.token.reveal() if access.token else ''}"}
    with httpx.Client(trust_env=False, headers=headers) as client:
        return client.request(method, f"{access.api_url}{path}", json=body)


def requests(access: VendorAccess, name: str) -> list[Arrived]:
    """Return what arrives when everything is asked that a client offers."""
    arrived: list[Arrived] = []

    def handle(request: Any) -> None:
        found = answered(access, request.path)
        reply(found.status_code, found.content)(request)

    with serving(noting(arrived, handle)) as url:
        client = vendors.load(name)(replace(access, api_url=url))
        for method in client.COLUMNS:
            frame = getattr(client, method)()
            assert list(frame.columns) == list(client.COLUMNS[method]), method
    return arrived


@pytest.mark.parametrize("name", NAMES)
def test_every_question_of_a_client_is_one_that_the_vendor_has(
    access: dict[str, VendorAccess], name: str
) -> None:
    """The runbook's address of Neon was none; a path that is not in the specification is not asked here."""
    spec = specification({"supabase": "supabase-management"}.get(name, name))
    for one in requests(access[name], name):
        parts = urlsplit(one.path)
        fits = [p for p in spec["paths"] if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", p), parts.path)]
        assert len(fits) == 1, one.path
        given = parse_qs(parts.query)
        known = _parameters(spec, spec["paths"][fits[0]], spec["paths"][fits[0]]["get"])
        assert set(given) <= set(known), one.path
        for key, values in given.items():
            jsonschema.validate(_typed(values, known[key]["schema"]), known[key]["schema"])
        assert {k for k, p in known.items() if p.get("required")} <= set(given)


def test_every_answer_of_the_simulated_neon_is_one_that_neon_could_give(
    access: dict[str, VendorAccess],
) -> None:
    """A client that is right about the sandbox is then right about Neon."""
    place = f"/projects/{access['neon'].settings['project']}"
    wanted = act("a-contract", timedelta(minutes=5), access["neon"])
    made = answered(access["neon"], wanted.path, "POST", wanted.body)
    assert made.status_code == 201
    checked("/projects/{project_id}/branches", made.json(), "post", vendor="neon", code="201")
    for path in ("", "/branches", "/endpoints", "/snapshots"):
        found = answered(access["neon"], place + path).json()
        checked(f"/projects/{{project_id}}{path}", found, vendor="neon")
    with pytest.raises(jsonschema.ValidationError):
        checked("/projects/{project_id}/branches", {"branches": [{"id": "x"}]}, vendor="neon")


def test_every_answer_of_the_simulated_supabase_is_one_that_supabase_could_give(
    access: dict[str, VendorAccess],
) -> None:
    """The same for the other vendor."""
    place = f"/v1/projects/{access['supabase'].settings['project']}"
    assert re.fullmatch("[a-z]{20}", access["supabase"].settings["project"])
    for path in ("", "/health?services=auth&services=db", "/database/backups", "/storage/buckets"):
        found = answered(access["supabase"], place + path).json()
        checked(f"/v1/projects/{{ref}}{path.partition('?')[0]}", found, vendor="supabase-management")
    with pytest.raises(jsonschema.ValidationError):
        checked("/v1/projects/{ref}", {"ref": "x"}, vendor="supabase-management")


def test_every_act_is_one_that_the_vendor_takes(access: dict[str, VendorAccess]) -> None:
    """A plan that the vendor would refuse for its form is no plan."""
    sent(act("shop", timedelta(minutes=5), access["neon"]), "neon")
    sent(supabase_acts.restore_to("a" * 20, 1_740_787_200), "supabase-management")
    with pytest.raises(jsonschema.ValidationError):
        sent(supabase_acts.restore_to("a" * 20, -1), "supabase-management")


def test_neon_refuses_a_branch_from_before_its_history_and_one_of_a_name_that_is_taken(
    access: dict[str, VendorAccess],
) -> None:
    """As the real one; a simulator that takes everything teaches nothing."""
    far = act("too-far", timedelta(days=30), access["neon"])
    refused = answered(access["neon"], far.path, "POST", far.body)
    assert (refused.status_code, "history retention window" in refused.json()["message"]) == (400, True)
    twice = act("main", timedelta(minutes=5), access["neon"])
    assert answered(access["neon"], twice.path, "POST", twice.body).status_code == 409


def test_branches_are_read_to_the_last_page() -> None:
    """A branch on the second page is there, too."""
    pages = [
        '{"branches": [{"id": "br-1"}], "pagination": {"next": "c1"}}',
        '{"branches": [{"id": "br-2"}], "pagination": {"next": "c2"}}',
        '{"branches": [], "pagination": {"next": "c3"}}',
    ]
    with serving(in_turn(*(reply(body=page.encode()) for page in pages))) as url:
        frame = Neon(plain(url)).branches()
    assert list(frame["id"]) == ["br-1", "br-2"]


@pytest.mark.parametrize("client, method", [(Neon, "project"), (Neon, "branches"), (Supabase, "window")])
@pytest.mark.parametrize(
    "status, body, error",
    [
        (401, b'{"message": "no"}', Forbidden),
        (500, b"{}", Unreachable),
        (200, b"[]", Malformed),
        (200, b"<html>", Malformed),
        (200, b"", Malformed),
    ],
)
def test_what_cannot_be_read_is_an_error_and_never_an_empty_list(
    client: type[Any], method: str, status: int, body: bytes, error: type[OpsError]
) -> None:
    """No branches would read as none there; no window as recovery that is off."""
    with serving(reply(status, body, retry_after="0")) as url, pytest.raises(error):
        getattr(client(plain(url)), method)()


def test_a_project_that_is_not_named_is_said_before_anything_is_asked() -> None:
    """The file has a gap: no request can help."""
    for client in (Neon, Supabase):
        nameless = replace(plain(f"http://127.0.0.1:{closed_port()}"), settings={})
        with pytest.raises(SourceError, match="name no project"):
            client(nameless).project()


def test_a_window_without_bounds_has_none() -> None:
    """Supabase leaves them out where the add-on is off; that is no window since 1970."""
    body = b'{"backups": [], "pitr_enabled": false, "physical_backup_data": {}}'
    with serving(reply(body=body)) as url:
        row = Supabase(plain(url)).window().iloc[0]
    assert (bool(row["point_in_time"]), pd.isna(row["earliest"]), pd.isna(row["latest"])) == (
        False,
        True,
        True,
    )


def plain(url: str) -> VendorAccess:
    """Return the access to a server of the test."""
    return VendorAccess("acme", url, "", "none", (), {"project": "shop"}, None)


def act(name: str, ago: timedelta, access: VendorAccess) -> Request:
    """Return the act that begins a branch some time ago."""
    moment = (datetime.now(UTC) - ago).strftime("%Y-%m-%dT%H:%M:%SZ")
    return neon_acts.create_branch(access.settings["project"], "br-1", name, moment, moment)


def _parameters(spec: dict[str, Any], *nodes: dict[str, Any]) -> dict[str, Any]:
    """Return the query parameters of an operation, by name."""
    listed = [entry for node in nodes for entry in node.get("parameters", [])]
    whole = [
        spec["components"]["parameters"][e["$ref"].rpartition("/")[2]] if "$ref" in e else e for e in listed
    ]
    return {entry["name"]: entry for entry in whole if entry["in"] == "query"}


def _typed(values: list[str], schema: dict[str, Any]) -> Any:
    """Return what a query says, as its schema has it; an array is a parameter given several times."""
    if schema["type"] == "array":
        return values
    assert len(values) == 1
    return int(values[0]) if schema["type"] == "integer" else values[0]
