"""The sandbox's apps, vendors and names: real sockets, real calls, and healed without a trace."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from opslib import config, dns, site
from opslib.config import Environment
from opslib.errors import Forbidden, Unreachable
from opslib.http import ONCE, Client
from opslib.sandbox import control
from opslib.sandbox.scenario import World
from opslib.sandbox.stage import Stage, catalogue
from opslib.sandbox.web import Web
from opslib.vendors import statuspage
from opslib.vendors.vercel import Vercel
from tests.conftest import Rehearsal
from tests.servers import closed_port

ROOT = Path(__file__).parents[1]
MINE = (
    "bad-deploy", "env-var-missing", "dns-broken", "app-500", "app-slow", "app-down", "app-wrong-json",
    "app-database-disconnected", "vendor-outage", "vendor-maintenance", "vendor-status-html",
    "env-public-leak", "env-not-live", "rollback-target-gone", "already-rolled-back",
)  # fmt: skip


@dataclass(frozen=True)
class NoDatabases:
    """Databases that are all gone, which is enough to serve the web around them."""

    port: int
    systems: Sequence[str] = ("klutr", "your-app", "your-backend")

    def dsn(self, system: str, role: str) -> str:
        """Return an address where nobody listens."""
        return f"postgresql://app_{system}:x@127.0.0.1:{self.port}/{system}"


@pytest.fixture(scope="module")
def web() -> Iterator[Web]:
    """Two apps without databases, their vendors and names, in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPSLIB_PARAMETERS", str(ROOT / "parameters"))
        served = Web(NoDatabases(closed_port()))
    served.start()
    yield served
    served.stop()


@pytest.fixture
def world(web: Web) -> World:
    """The same, as a scenario meets it."""
    return World(databases=SimpleNamespace(), web=web)  # type: ignore[arg-type]


def kulti(name: str = "kulti") -> Environment:
    """Return a system's sandbox environment."""
    return config.load_system(name, ROOT / "parameters").environment("sandbox")


def get(url: str, path: str = "", **options: Any) -> tuple[int, str]:
    """Return status and text of one GET."""
    with Client(url, name="test", policy=ONCE, timeout=10, **options) as client:
        answer = client.fetch(path)
    return answer.status_code, answer.text


def picture(web: Web, system: str) -> dict[str, Any]:
    """Return everything that a visitor or an API client can see of one system."""
    project, app = web.project(system), web.app(system)
    return {
        "listening": web.listening(system),
        "deployments": list(project.deployments),
        "current": (project.current, project.request, project.auto_assign),
        "variables": dict(project.variables),
        "app": (app.dsn, set(app.failing), dict(app.delays), set(app.odd_json), app.pool.block()),
        "dns": dict(web.dns.broken),
        "vendors": {n: (dict(v.outages), dict(v.maintenances), v.page) for n, v in web._vendors.items()},
    }


@pytest.mark.parametrize("name", MINE)
def test_healing_restores_exactly_what_was_there(web: Web, world: World, name: str) -> None:
    """Nothing is left for the next rehearsal to trip over."""
    scenario = next(found for found in catalogue() if found.id == name)
    before = picture(web, "klutr")
    scenario.make(world, "klutr")
    assert picture(web, "klutr") != before
    scenario.restore(world, "klutr")
    assert picture(web, "klutr") == before


def test_healing_takes_back_what_a_person_did_about_it_too(web: Web, world: World) -> None:
    """The rehearsed rollback is gone with the deployment that it was about."""
    scenario = next(found for found in catalogue() if found.id == "bad-deploy")
    before, project = picture(web, "klutr"), web.project("klutr")
    scenario.make(world, "klutr")
    project.switch("rollback", before["current"][0])
    scenario.restore(world, "klutr")
    assert picture(web, "klutr") == before


def test_to_begin_again_forgets_whatever_was_deployed_or_set(web: Web) -> None:
    """Else each rehearsed rollback and each new variable would be the past of the next one."""
    before, other = picture(web, "your-backend"), picture(web, "klutr")
    for _ in range(2):
        project, backend = web.project("your-backend"), web.service("your-backend")
        project.deploy("f00", "Something else", broken=True)
        project.switch("rollback", before["current"][0])
        project.variables.clear()
        backend.deploy("f00", "Something else", broken=True)
        backend.variables["NEW"] = "1"
        web.begin_again("klutr")
        assert picture(web, "your-backend") != before and backend.serving.broken
        web.begin_again("your-backend")
        assert (picture(web, "your-backend"), picture(web, "klutr")) == (before, other)
        assert not backend.serving.broken and "NEW" not in backend.variables


def test_to_heal_everything_is_to_begin_again(web: Web, world: World) -> None:
    """To heal one scenario is not: what a person has done about it is theirs to keep."""
    stage, before, project = Stage(world), picture(web, "klutr"), web.project("klutr")
    project.redeploy(before["current"][0], "production")
    stage.heal("bad-deploy")
    assert picture(web, "klutr") != before
    stage.heal()
    assert picture(web, "klutr") == before


def test_scenarios_compose_and_heal_in_any_order(web: Web, world: World) -> None:
    """A bad deployment on top of a missing variable; either may be mended first."""
    names = ("env-var-missing", "rollback-target-gone", "bad-deploy")
    both = [next(s for s in catalogue() if s.id == name) for name in names]
    before = picture(web, "klutr")
    for healing in (both, both[::-1]):
        for scenario in both:
            scenario.make(world, "klutr")
        for scenario in healing:
            scenario.restore(world, "klutr")
        assert picture(web, "klutr") == before


def test_a_vendor_stays_out_until_the_last_one_lets_go(web: Web, world: World) -> None:
    """Two systems rehearse the same outage."""
    outage = next(scenario for scenario in catalogue() if scenario.id == "vendor-outage")
    for system in ("klutr", "your-app"):
        outage.make(world, system)
    outage.restore(world, "klutr")
    assert not web.vendor("supabase").up
    outage.restore(world, "your-app")
    assert web.vendor("supabase").up


def test_a_closed_app_refuses_and_opens_on_the_same_port(web: Web) -> None:
    """The socket is really closed, and nobody else can take its port meanwhile."""
    address = web.apps["klutr"]
    web.listen("klutr", False)
    try:
        with pytest.raises(Unreachable) as caught:
            get(address)
        with pytest.raises(OSError), socket.create_server(("127.0.0.1", int(address.rsplit(":", 1)[1]))):
            pass
    finally:
        web.listen("klutr", True)
    assert caught.value.kind == "refused"
    assert get(address)[0] in (200, 503)


def test_names_of_the_sandbox_lead_to_loopback_and_others_nowhere(web: Web) -> None:
    """The site's own name, each deployment's, and no more."""
    host = web.host("klutr")
    assert dns.resolve(host, web.resolver).addresses == ("127.0.0.1",)
    assert dns.resolve(f"klutr-abc.{host.split('.', 1)[1]}", web.resolver).addresses == ("127.0.0.1",)
    for name in ("nobody.sandbox.test", "example.com"):
        assert dns.resolve(name, web.resolver).kind == "nxdomain"


@pytest.mark.parametrize(
    ("how", "kind"), [("NXDOMAIN", "nxdomain"), ("SERVFAIL", "servfail"), ("SILENCE", "timeout")]
)
def test_a_name_can_break_in_three_ways(web: Web, how: str, kind: str) -> None:
    """As names do outside."""
    host = web.host("klutr")
    web.dns.broken[host] = how
    try:
        assert dns.resolve(host, web.resolver, timeout=0.3).kind == kind
    finally:
        del web.dns.broken[host]


def test_noise_does_not_stop_the_name_server(web: Web) -> None:
    """A packet that is no question is dropped."""
    address, port = web.resolver.split(":")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as noise:
        noise.sendto(b"\x00\x01nonsense", (address, int(port)))
    assert dns.resolve(web.host("klutr"), web.resolver).addresses


def test_an_app_without_its_database_says_so(web: Web) -> None:
    """It really tried: these databases do not exist."""
    status, text = get(web.apps["klutr"], "/api/health")
    assert status == 503
    assert '"database": "disconnected"' in text and '"supabase": "connected"' in text


def test_a_missing_variable_is_named_without_any_value(web: Web, world: World) -> None:
    """As frameworks do when they start without one."""
    scenario = next(found for found in catalogue() if found.id == "env-var-missing")
    scenario.make(world, "klutr")
    try:
        status, text = get(web.apps["klutr"], "/")
    finally:
        scenario.restore(world, "klutr")
    assert status == 500 and "NEON_DATABASE_URL is not set" in text


def test_the_vendors_api_wants_its_token(web: Web) -> None:
    """A wrong token is refused as Vercel refuses it."""
    with Client(web.vendors["vercel"], name="vercel", policy=ONCE) as client, pytest.raises(Forbidden):
        client.get("/v9/projects/klutr")


def test_status_pages_answer_in_the_vendors_own_formats(web: Web) -> None:
    """Each page that the sandbox announces can be read."""
    for name, address in web.status_pages.items():
        state = web.vendor(name)
        with Client(address, name=name, policy=ONCE) as client:
            document = client.get(statuspage.PATHS[state.status_format]).json
        assert statuspage.parse(document, state.status_format)[0]["state"] == "operational"


@pytest.mark.parametrize("system", config.list_systems(ROOT / "parameters"))
def test_each_healthy_app_answers_as_its_runbook_says(sandbox: Rehearsal, system: str) -> None:
    """Right status, right fields, by its name, with a real database behind it."""
    environment = kulti(system)
    frame = site.probe(environment, samples=1)
    assert set(frame["status_code"]) == {200}, frame[["url", "status_code", "error"]]
    for endpoint in environment.health:
        (fields,) = frame[frame["endpoint"] == endpoint.name]["fields"]
        for name, accepted in endpoint.expect.items():
            assert fields[name] and ("*" in accepted or fields[name] in accepted)


def test_an_app_that_lost_its_password_cannot_reach_a_database_that_is_well(sandbox: Rehearsal) -> None:
    """Not a flag: the connection really fails, and really works again."""
    control.break_("app-database-disconnected", "klutr")
    frame = site.probe(kulti("klutr"), samples=1)
    assert frame.iloc[0]["fields"]["database"] == "disconnected"
    control.heal("app-database-disconnected", "klutr")
    assert set(site.probe(kulti("klutr"), samples=1)["status_code"]) == {200}


def test_an_exhausted_pool_holds_real_connections(sandbox: Rehearsal) -> None:
    """As many as the app's file names, seen by the database itself."""
    import psycopg

    count = "select count(*) from pg_stat_activity where application_name = 'app-pool'"
    with psycopg.connect(control.status()["databases"]["your-app"]["admin"], autocommit=True) as admin:
        control.break_("app-pool-exhausted", "your-app")
        assert admin.execute(count).fetchone() == (50,)


def test_a_bad_deployment_leaves_the_one_before_at_its_own_address(sandbox: Rehearsal) -> None:
    """The proof that a promotion will help."""
    control.break_("bad-deploy", "kulti")
    environment = kulti()
    client = Vercel(environment.vendors["vercel"], resolver=environment.resolver)
    assert list(client.answers(path="/", limit=2)["status_code"]) == [500, 200]
    assert set(site.probe(environment, samples=1)["status_code"]) == {500}
    control.heal("bad-deploy", "kulti")
    assert set(site.probe(environment, samples=1)["status_code"]) == {200}


def test_the_site_is_only_found_through_the_sandboxs_name_server(sandbox: Rehearsal) -> None:
    """So that a broken name is broken for every client."""
    control.break_("dns-broken", "kulti")
    frame = site.names(kulti())
    assert list(frame["kind"]) == ["nxdomain"]
    assert set(site.probe(kulti(), samples=3)["error_kind"]) == {"dns"}
    control.heal("dns-broken", "kulti")
    assert list(site.names(kulti())["addresses"]) == ["127.0.0.1"]
    assert site.tls(kulti()).empty
