"""Each client, each act and each simulated answer against the vendor's specification, which Prism holds.

Prism finds an operation by path and method, and reads JSON. At S3 the query tells which operation is meant,
and answers are XML: what is asked there is held against AWS's own model of S3 instead. Railway has no
specification of this kind.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from opslib import config, vendors
from opslib.acts import Opening, Request, Work
from opslib.config import Secret, VendorAccess
from opslib.errors import OpsError
from opslib.files.copying import PUT, TAKE
from opslib.files.place import Content
from opslib.files.s3 import S3Bucket
from opslib.files.supabase import KEY, SupabaseBucket
from opslib.sandbox.simulators import supabase as simulated
from opslib.sandbox.switching import PENDING_MS, SWITCHING_MS
from opslib.sandbox.web import Web
from opslib.vendors import doppler_acts, neon_acts, posthog_acts, supabase_acts, vercel_acts
from opslib.vendors import vercel_variable_acts as variable_acts
from opslib.vendors.base import VendorClient
from tests import buckets
from tests.contracts import query_of
from tests.hosts import Clock, Hosts, NoDatabases
from tests.prism import Asked, Line, line, prism
from tests.servers import closed_port

ROOT = Path(__file__).parents[1]
SYSTEM, FILES = "klutr", "voiceaitraining"
SPECS = {"supabase": "supabase-management"}
NAMES = ("doppler", "neon", "posthog", "supabase", "vercel")
STORAGE = "supabase-storage"
MAY_BE_EMPTY = ("snapshots", "buckets")  # the sandbox has none
SONG = Content(b"\xff\xfbID3 la la", "audio/mpeg")
Secrets = Mapping[str, str]
Settings = Mapping[str, str]
Making = partial[Request]


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    """The simulated vendors of two systems, in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPSLIB_PARAMETERS", str(ROOT / "parameters"))
        web = Web(NoDatabases(closed_port(), (SYSTEM, FILES)))
    web.start()
    yield Hosts(web, tmp_path_factory.mktemp("hosts"))
    web.stop()


@pytest.fixture(scope="module", params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    """Each vendor that has a client and a specification."""
    return str(request.param)


@pytest.fixture(scope="module")
def access(name: str, hosts: Hosts) -> VendorAccess:
    """How the simulated vendor is reached."""
    return hosts.access(name, SYSTEM)


@pytest.fixture(scope="module")
def mocked(name: str) -> Iterator[str]:
    """The address of answers that Prism makes up from the vendor's specification."""
    with prism(SPECS.get(name, name)) as url:
        yield url


@pytest.fixture(scope="module")
def watched(name: str, access: VendorAccess) -> Iterator[str]:
    """The address of the simulated vendor, with Prism before it."""
    with prism(SPECS.get(name, name), access.api_url) as url:
        yield url


def client(access: VendorAccess, name: str, url: str, hosts: Hosts) -> Any:
    """Return the vendor's client, led to another address."""
    return vendors.load(name)(replace(access, api_url=url), resolver=hosts.web.resolver)


def questions(name: str, hosts: Hosts) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield all that a client can be asked, and with what."""
    project = hosts.web.project(SYSTEM)
    given = {
        "deployment": (project.current,),
        "built_with": (project.current,),
        "variable_value": (next(iter(project.variables)),),
        "secret_value": (config.load_system(SYSTEM, ROOT / "parameters").required_env[0],),
    }
    for method in dir(vendors.load(name)):
        if method not in dir(VendorClient) and not method.startswith("_") and method.islower():
            yield method, given.get(method, ())


def unknown(held: Line, name: str) -> list[str]:
    """Return the names in queries that the vendor does not know, which Prism lets go by."""
    vendor = SPECS.get(name, name)
    return [f"{one.path}: {word}" for one in held.asked
            for word in one.query - query_of(vendor, one.method, one.path)]  # fmt: skip


def acts(name: str, hosts: Hosts) -> Iterator[tuple[Making, Secrets]]:
    """Yield acts of every kind that there is for a vendor; the sandbox takes them in this order."""
    made = {
        "doppler": at_doppler,
        "neon": at_neon,
        "posthog": at_posthog,
        "supabase": at_supabase,
        "vercel": at_vercel,
    }
    yield from made[name](hosts, hosts.access(name, SYSTEM).settings)


def at_doppler(hosts: Hosts, known: Settings) -> Iterator[tuple[Making, Secrets]]:
    """Yield a secret that is set, and removed."""
    where = (known["project"], known["config"], "NEW_KEY")
    yield partial(doppler_acts.create, *where), {doppler_acts.VALUE: "value-of-the-test"}
    yield partial(doppler_acts.delete, *where), {doppler_acts.BEFORE: "value-of-the-test"}


def at_neon(hosts: Hosts, known: Settings) -> Iterator[tuple[Making, Secrets]]:
    """Yield a branch from five minutes ago."""
    past, later = (f"{datetime.now(UTC) + timedelta(minutes=m):%Y-%m-%dT%H:%M:%SZ}" for m in (-5, 60))
    yield partial(neon_acts.create_branch, known["project"], "br-1", "look", past, later), {}


def at_posthog(hosts: Hosts, known: Settings) -> Iterator[tuple[Making, Secrets]]:
    """Yield a flag that is turned down."""
    simulated: Any = hosts.web.simulator("posthog")
    flag = simulated.flag(SYSTEM, "smart-stacks")
    seen = {"active": flag["active"], "filters": flag["filters"]}
    wanted = {"active": False, "filters": posthog_acts.rolled_out(flag["filters"], 5)}
    yield partial(posthog_acts.update, known["project"], flag["id"], seen, wanted, flag["version"]), {}


def at_supabase(hosts: Hosts, known: Settings) -> Iterator[tuple[Making, Secrets]]:
    """Yield a database that is put back by five minutes."""
    yield partial(supabase_acts.restore_to, known["project"], int(datetime.now(UTC).timestamp()) - 300), {}


def at_vercel(hosts: Hosts, known: Settings) -> Iterator[tuple[Making, Secrets]]:
    """Yield variables that are set, changed and removed; a deployment, a rollback and its way back."""
    kept, project = hosts.web.project(SYSTEM), known["project"]
    first, second = list(kept.variables)[:2]
    value, team = {variable_acts.VALUE: "value-of-the-test"}, {"team": ""}
    named = {"type": "encrypted", "comment": "by opslib", **team}
    yield partial(variable_acts.create, project, "NEW_KEY", ["production"], **named), value
    yield partial(variable_acts.change, project, first, comment="by opslib", **team), value
    yield partial(variable_acts.delete, project, first, **team), {}
    yield partial(variable_acts.delete_created, project, **team), {variable_acts.ID: second}
    yield partial(vercel_acts.redeploy, SYSTEM, kept.current, meta={"opslib": "mark"}), {}
    yield partial(vercel_acts.rollback, project, kept.deployments[2].id, why="it fails"), {}
    kept.clock = Clock(kept.clock() + PENDING_MS + SWITCHING_MS)
    yield partial(vercel_acts.promote, project, kept.deployments[3].id), {}


def makers(name: str) -> set[str]:
    """Return the names of all functions that make an act for a vendor."""
    found = [one.name for one in pkgutil.iter_modules(vendors.__path__) if one.name.startswith(name)]
    modules = [importlib.import_module(f"{vendors.__name__}.{one}") for one in found if one.endswith("_acts")]
    made = {key: value for module in modules for key, value in vars(module).items() if key[0] != "_"}
    return {
        key for key, one in made.items() if getattr(one, "__annotations__", {}).get("return") == "Request"
    }


def test_all_that_a_client_asks_and_does_is_what_the_vendor_takes(
    name: str, mocked: str, access: VendorAccess, hosts: Hosts
) -> None:
    """Every question and every act, at a vendor that does nothing but keep to its specification."""
    done = set()
    with line(mocked) as held:
        asking = client(access, name, held.url, hosts)
        for method, given in questions(name, hosts):
            before = len(held.asked)
            with suppress(OpsError):  # what Prism makes up may be no time, or the same page for ever
                getattr(asking, method)(*given)
            assert len(held.asked) > before, f"{method} asked nothing"
        for make, secrets in acts(name, hosts):
            done.add(make.func.__name__)
            with suppress(OpsError):
                asking.act(Opening(make(), "key", secrets))
    assert held.objections == []
    assert unknown(held, name) == []
    assert done >= makers(name)


def test_all_that_the_sandbox_answers_is_what_the_vendor_may(
    name: str, watched: str, access: VendorAccess, hosts: Hosts
) -> None:
    """A client that is right about the sandbox is then right about the vendor."""
    with line(watched) as held:
        asking = client(access, name, held.url, hosts)
        for method, given in questions(name, hosts):
            found = getattr(asking, method)(*given)
            assert found is not None and len(found) >= (method not in MAY_BE_EMPTY), method
        for make, secrets in acts(name, hosts):
            assert 200 <= asking.act(Opening(make(), "key", secrets)).status_code < 300
    assert held.objections == []


@pytest.mark.parametrize("name", ["supabase"], indirect=True)
def test_an_act_with_another_name_for_a_field_is_objected_to(
    name: str, mocked: str, access: VendorAccess, hosts: Hosts
) -> None:
    """Otherwise no objection would mean nothing."""
    act = supabase_acts.restore_to("a" * 20, 1_740_787_200)
    (moment,) = act.body.values()
    broken = replace(act, body={"recovery_time": moment})
    with line(mocked) as held, pytest.raises(OpsError):
        client(access, name, held.url, hosts).act(Opening(broken, "key"))
    assert "recovery_time_target_unix" in "".join(held.objections)


@pytest.mark.parametrize("name", ["supabase"], indirect=True)
def test_an_answer_without_a_field_that_is_promised_is_objected_to(
    name: str, watched: str, access: VendorAccess, hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same for what the sandbox answers."""
    whole = simulated._about
    less = ("status", "organization_id")
    monkeypatch.setattr(simulated, "_about", lambda p: {k: v for k, v in whole(p).items() if k not in less})
    with line(watched) as held, pytest.raises(OpsError):
        client(access, name, held.url, hosts).project()
    assert "status" in "".join(held.objections)


def at_storage(hosts: Hosts, url: str) -> SupabaseBucket:
    """Return a bucket of the simulated Storage, reached by another address."""
    access = hosts.access("supabase", FILES)
    assert access.token is not None
    secrets = {KEY: Secret.literal("storage-key", access.token.reveal())}
    return SupabaseBucket(replace(access, settings={"storage_url": url}, secrets=secrets), "recordings")


@pytest.mark.parametrize("way", ["mock", "proxy"])
def test_all_that_storage_is_asked_and_answers_is_in_its_specification(hosts: Hosts, way: str) -> None:
    """Prism knows a path by the number of its parts, so the object here has a name of one part."""
    access = hosts.access("supabase", FILES)
    upstream = f"{access.api_url}{access.settings['storage_url']}" if way == "proxy" else ""
    with prism(STORAGE, upstream) as url, line(url) as held:
        place, name = at_storage(hosts, held.url), "ä song.mp3"
        steps: list[Callable[[], Any]] = [
            place.buckets,
            lambda: place.put(Opening(Work(PUT), "key"), name, SONG),
            lambda: place.content(name),
            place.objects,
            # Prism makes text of what it passes on, so these are not the bytes that were put there.
            lambda: place.take(Opening(Work(TAKE), "key"), name, found(place, name).sha256),
        ]
        for step in steps:
            with suppress(OpsError) if way == "mock" else nullcontext():
                step()
    assert held.objections == []
    assert unknown(held, STORAGE) == []


def found(place: SupabaseBucket, key: str) -> Content:
    """Return what is there, for the time being."""
    content = place.content(key)
    assert content
    return content


def test_s3_is_asked_nothing_but_what_its_model_has() -> None:
    """And nothing that the client's own list of rights leaves out."""
    model = pytest.importorskip("botocore.loaders").Loader().load_service_model("s3", "service-2")
    with buckets.serving() as server, line(server.url) as held:
        secrets = {"key": Secret.literal("k", buckets.KEY), "secret": Secret.literal("s", buckets.SECRET)}
        access = VendorAccess("aws", held.url, "", "none", (), {"region": "us-east-1"}, None, secrets)
        place = S3Bucket(access, server.bucket().name, "some/files")
        place.put(Opening(Work(PUT), "key"), "a b.mp3", SONG)
        assert place.content("a b.mp3") == SONG and set(place.objects()) == {"a b.mp3"}
        assert (place.versioned(), place.public()) == (False, False)
        place.take(Opening(Work(TAKE), "key"), "a b.mp3", SONG.sha256)
    asked = {s3_operation(model, one) for one in held.asked}
    assert asked == {
        "PutObject", "HeadObject", "GetObject", "DeleteObject", "ListObjectsV2", "GetBucketVersioning",
        "GetBucketAcl", "GetBucketPolicyStatus", "GetPublicAccessBlock",
    }  # fmt: skip


def s3_operation(model: dict[str, Any], asked: Asked) -> str:
    """Return which operation of S3 a request is: the one with most words in its query that are there."""
    parts = len(asked.path.strip("/").split("/", 1))
    fits = []
    for name, operation in model["operations"].items():
        path, _, query = operation["http"]["requestUri"].partition("?")
        fixed = {word.partition("=")[0] for word in query.split("&") if word}
        needed, taken = s3_words(model, operation)
        given = {*asked.query, *asked.headers}
        same = path.count("{") == parts and operation["http"]["method"] == asked.method
        if same and fixed | needed <= given and asked.query - fixed <= taken:
            fits.append((len(fixed), name))
    assert fits, f"{asked.method} {asked.path} {set(asked.query)} is no operation of S3"
    return str(max(fits)[1])


def s3_words(model: dict[str, Any], operation: dict[str, Any]) -> tuple[set[str], set[str]]:
    """Return what an operation needs in its query and headers, and all that it takes in its query."""
    shape = model["shapes"][operation["input"]["shape"]]
    there = {
        name: (one["locationName"].lower(), one["location"])
        for name, one in shape["members"].items()
        if one.get("location") in ("querystring", "header")
    }
    needed = {there[name][0] for name in shape.get("required", ()) if name in there}
    return needed, {
        one["locationName"] for one in shape["members"].values() if one.get("location") == "querystring"
    }
