"""Places that keep files: whatever they are, the checks and the gate meet the same shape."""

from __future__ import annotations

import base64
import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from opslib import config
from opslib.acts import Opening, Request, Work
from opslib.archive import access
from opslib.calls import Call
from opslib.config import Secret, VendorAccess
from opslib.errors import Forbidden, Malformed, NotNamed, OpsError, Refused, SourceError, Unreachable
from opslib.files import place as places
from opslib.files.copying import PUT, TAKE
from opslib.files.folder import Folder
from opslib.files.place import Content, Place
from opslib.files.s3 import S3Bucket
from opslib.files.supabase import SupabaseBucket
from opslib.http import Carrier
from tests import buckets
from tests.buckets import Server
from tests.contracts import checked, holds, jsonschema, specification
from tests.servers import Arrived, closed_port, in_turn, noting, raw, reply, serving

SYSTEM = "voiceaitraining"
KINDS = ("folder", "s3", "supabase")
ODD = "org 1/ä ? # %25 &+.mp3"
SONG = Content(b"ID3 la la", "audio/mpeg")
OTHER = Content(b"something else", "audio/mpeg")


def leave(name: str = PUT) -> Opening:
    """Return a leave, as the gate gives one."""
    return Opening(Work(name), "key")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """One S3 server for all of these tests."""
    with buckets.serving() as found:
        yield found


def s3(server: Server, **more: str) -> tuple[S3Bucket, list[Call]]:
    """Return a part of a new bucket, and where its calls are recorded."""
    calls: list[Call] = []
    made = server.bucket()
    return S3Bucket(at_s3(server.url, **more), made.name, "some/files", on_call=calls.append), calls


def removed(place: Place, key: str) -> None:
    """Remove an object, whatever it is."""
    found = place.content(key)
    assert found
    place.take(leave(TAKE), key, found.sha256)


def at_s3(url: str, key: str = buckets.KEY) -> VendorAccess:
    """Return how a store is reached."""
    secrets = {"key": Secret.literal("t-key", key), "secret": Secret.literal("t-secret", buckets.SECRET)}
    return VendorAccess("aws", url, "", "none", (), {"region": "us-east-1"}, None, secrets)


def supabase() -> VendorAccess:
    """Return how the simulated Supabase is reached."""
    return config.load_system(SYSTEM).environment("sandbox").vendors["supabase"]


def at_supabase(url: str, key: str = "sb_secret_1") -> VendorAccess:
    """Return how a server of the test is reached as if it were Supabase."""
    secrets = {"secret_key": Secret.literal("t-key", key)}
    return VendorAccess("supabase", url, "", "none", (), {"storage_url": "/storage/v1"}, None, secrets)


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """An empty place of each kind."""
    if request.param == "folder":
        yield Folder(tmp_path, hash_bytes=1000)
    elif request.param == "s3":
        yield s3(request.getfixturevalue("server"))[0]
    else:
        request.getfixturevalue("sandbox")
        made = SupabaseBucket(supabase(), "recordings", "test")
        yield made
        for key in made.objects():
            removed(made, key)


def test_a_file_is_put_once_read_back_listed_and_taken_away(place: Place) -> None:
    """The same words for all three, with names that are no good for addresses."""
    assert place.content(ODD) is None
    place.put(leave(), ODD, SONG)
    assert place.content(ODD) == SONG
    listed = place.objects()
    assert {ODD} == set(listed)
    assert (listed[ODD].size, len(listed[ODD].md5)) == (len(SONG.data), 32)
    assert abs(datetime.now(UTC) - listed[ODD].modified) < timedelta(minutes=5)
    place.take(leave(TAKE), ODD, SONG.sha256)
    assert place.content(ODD) is None and not place.objects()


def test_nothing_is_ever_put_over_something_else(place: Place) -> None:
    """The place itself refuses, so nobody can come in between; the gate reads it as somebody else's."""
    place.put(leave(), "a/b.mp3", OTHER)
    with pytest.raises(Malformed, match="there already") as told:
        place.put(leave(), "a/b.mp3", SONG)
    assert told.value.kind == "conflict"
    assert place.content("a/b.mp3") == OTHER


def test_what_is_another_one_by_now_is_left_alone(place: Place) -> None:
    """Undo takes away what was put there, and not what somebody has put in its place."""
    place.put(leave(), "a.mp3", OTHER)
    opening = leave(TAKE)
    for key in ("a.mp3", "gone.mp3"):
        with pytest.raises(Refused, match="not what was put there"):
            place.take(opening, key, SONG.sha256)
    assert place.content("a.mp3") == OTHER and opening.use()


@pytest.mark.parametrize("meanwhile", [True, False])
def test_s3_itself_refuses_to_remove_what_somebody_puts_there_at_the_last_moment(
    server: Server, meanwhile: bool
) -> None:
    """Between the last look and the act; a server in front does as S3 does with the condition."""
    bucket, arrived = server.bucket(), list[Arrived]()
    direct = S3Bucket(at_s3(server.url), bucket.name)

    def pass_on(request: Any) -> None:
        one = arrived[-1]
        kept = {n: v for n, v in one.headers.items() if n not in ("host", "connection", "content-length")}
        with httpx.Client(trust_env=False, base_url=server.url) as client:
            if one.method == "DELETE":
                direct.replace("a.mp3", OTHER.data) if meanwhile else None
                if direct._tag("a.mp3") != one.headers.get("if-match"):
                    said = b"<Error><Code>PreconditionFailed</Code><Message>no</Message></Error>"
                    reply(412, said, content_type="application/xml")(request)
                    return
            found = client.request(one.method, one.path, content=one.body, headers=kept)
        request.send_response(found.status_code)
        for name in {"etag", "last-modified", "content-type", "content-length"} & set(found.headers):
            request.send_header(name, found.headers[name])
        request.end_headers()
        request.wfile.write(found.content)

    with serving(noting(arrived, pass_on)) as url:
        direct.put(leave(), "a.mp3", SONG)
        place = S3Bucket(at_s3(url), bucket.name)
        if meanwhile:
            with pytest.raises(Malformed, match="another one by now") as refused:
                place.take(leave(TAKE), "a.mp3", SONG.sha256)
            assert refused.value.kind == "conflict"
        else:
            place.take(leave(TAKE), "a.mp3", SONG.sha256)
    found = direct.content("a.mp3")
    assert (found.data if found else None) == (OTHER.data if meanwhile else None)


def test_supabase_is_asked_to_remove_a_file_right_after_it_was_read() -> None:
    """It takes no condition: the less lies between, the less can happen."""
    arrived: list[Arrived] = []
    answers = (SEEN, reply(200, SONG.data, content_type="audio/mpeg"), reply(200, b"{}"))
    with serving(noting(arrived, in_turn(*answers))) as url:
        SupabaseBucket(at_supabase(url), "recordings").take(leave(TAKE), "a.mp3", SONG.sha256)
    assert [one.method for one in arrived[-2:]] == ["GET", "DELETE"]


def test_a_leave_is_spent_by_its_first_use(place: Place) -> None:
    """Whatever keeps the files: no second write without another look of the gate."""
    opening = leave()
    place.put(opening, "a.mp3", SONG)
    with pytest.raises(Refused, match="used already"):
        place.put(opening, "b.mp3", SONG)
    with pytest.raises(Refused, match="used already"):
        place.take(opening, "a.mp3", SONG.sha256)
    assert set(place.objects()) == {"a.mp3"}


@pytest.mark.parametrize("key", ["../a", "/etc/passwd", "a/../../b", "a//b", "", "a\nb", "a/."])
def test_a_name_that_leads_out_of_its_place_is_refused(place: Place, key: str) -> None:
    """A name in a plan may have been written by hand; the leave is not even spent."""
    opening = leave()
    with pytest.raises(Refused, match="no name of an object"):
        place.put(opening, key, SONG)
    with pytest.raises(Refused, match="no name of an object"):
        place.take(opening, key, SONG.sha256)
    with pytest.raises(Refused, match="no name of an object"):
        place.content(key)
    assert opening.use() and not place.objects()


def test_what_has_too_many_objects_is_not_taken_for_listed(place: Place) -> None:
    """A listing that stops somewhere would make the rest look lost."""
    for name in ("a", "b", "c"):
        place.put(leave(), name, SONG)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(places, "MOST_OBJECTS", 2)
        with pytest.raises(Malformed, match="not listed to the end"):
            place.objects()


def test_a_folder_that_is_not_there_is_no_empty_copy(tmp_path: Path) -> None:
    """A disk that was not mounted would make every file look uncopied, and a restore impossible."""
    gone = Folder(tmp_path / "gone")
    for ask in (gone.objects, lambda: gone.content("a"), lambda: gone.put(leave(), "a", SONG)):
        with pytest.raises(Unreachable, match="is its disk mounted"):
            ask()
    assert not (tmp_path / "gone").exists()


def test_what_a_killed_copy_left_is_no_file_and_the_next_one_clears_it_away(tmp_path: Path) -> None:
    """Half a file has not its name yet."""
    folder = Folder(tmp_path, hash_bytes=100)
    folder.put(leave(), "a/b.mp3", SONG)
    part = tmp_path / "a" / f"{next(iter(_parts(folder, tmp_path)))}"
    part.write_bytes(b"ID3")
    assert set(folder.objects()) == {"a/b.mp3"}
    (tmp_path / "a" / "b.mp3").unlink()
    folder.put(leave(), "a/b.mp3", SONG)
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b.mp3"]


def test_what_a_killed_copy_left_is_never_written_into(tmp_path: Path) -> None:
    """It may be a whole file's other name."""
    folder = Folder(tmp_path, hash_bytes=100)
    name = next(iter(_parts(folder, tmp_path)))
    folder.put(leave(), "a/b.mp3", SONG)
    (tmp_path / "a" / name).hardlink_to(tmp_path / "a" / "b.mp3")
    (tmp_path / "a" / "b.mp3").rename(tmp_path / "a" / "kept.mp3")
    folder.put(leave(), "a/b.mp3", Content(b"another", "audio/mpeg"))
    assert (tmp_path / "a" / "kept.mp3").read_bytes() == SONG.data


def _parts(folder: Folder, root: Path) -> Iterator[str]:
    """Yield what a file is called before it is whole, as a put that cannot end leaves it behind."""
    seen: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.link", lambda part, path: seen.append(Path(part).name))
        folder.put(leave(), "a/b.mp3", SONG)
    yield from seen


def test_files_beyond_what_may_be_read_have_no_checksum(tmp_path: Path) -> None:
    """Then they are compared by size, which the finding says; links lead elsewhere and count for nothing."""
    (tmp_path / "a").write_bytes(b"12345")
    (tmp_path / "b").write_bytes(b"12345")
    (tmp_path / "c").symlink_to(tmp_path / "a")
    listed = Folder(tmp_path, hash_bytes=7).objects()
    assert [(one.key, bool(one.md5)) for one in listed.values()] == [("a", True), ("b", False)]


def test_a_bucket_says_whether_it_keeps_versions_and_who_may_read_it(server: Server) -> None:
    """By policy or by grants; a guard that ignores both closes it."""
    bucket, calls = s3(server)
    assert (bucket.versioned(), bucket.public()) == (False, False)
    bucket._call("put_bucket_versioning", VersioningConfiguration={"Status": "Enabled"})
    assert bucket.versioned()
    bucket._call("put_bucket_acl", ACL="public-read")
    assert bucket.public()
    guard = {"IgnorePublicAcls": True, "RestrictPublicBuckets": True}
    bucket._call("put_public_access_block", PublicAccessBlockConfiguration=guard)
    assert not bucket.public()
    anyone = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": f"arn:aws:s3:::{bucket.name}/*",
    }
    bucket._call("put_bucket_policy", Policy=json.dumps({"Version": "2012-10-17", "Statement": [anyone]}))
    assert not bucket.public()
    bucket._call("delete_public_access_block")
    bucket._call("put_bucket_acl", ACL="private")
    assert bucket.public()
    assert {call.source for call in calls} == {f"s3:{bucket.name}"} and all(call.what for call in calls)


def test_only_its_own_part_of_a_bucket_is_seen_and_no_folder_marks(server: Server) -> None:
    """The copy shares a bucket with the backups of the database."""
    bucket, _ = s3(server)
    bucket.put(leave(), "a.mp3", SONG)
    for key in ("other/b.mp3", "some/files-too/c.mp3", "some/files/d/"):
        bucket._call("put_object", Key=key, Body=b"")
    assert set(bucket.objects()) == {"a.mp3"}


def test_a_request_that_is_sent_again_meets_its_own_file(server: Server) -> None:
    """Its first answer was lost on the way: that is no file of somebody else's."""
    bucket, _ = s3(server)
    bucket.put(leave(), "a.mp3", SONG)
    bucket.put(leave(), "a.mp3", SONG)
    assert bucket.content("a.mp3") == SONG


def test_a_store_that_refuses_is_silent_or_has_no_such_bucket_is_unknown(server: Server) -> None:
    """Never an empty bucket."""
    bucket, _ = s3(server)
    server.strict(True)
    try:
        with pytest.raises(Forbidden, match="refuses these credentials") as told:
            S3Bucket(at_s3(server.url, "wrong"), bucket.name).objects()
        assert "system's file" in told.value.hint
    finally:
        server.strict(False)
    with pytest.raises(Forbidden, match="no such bucket"):
        S3Bucket(at_s3(server.url), "nobody-made-this").objects()
    with pytest.raises(Unreachable, match="does not answer"):
        S3Bucket(at_s3(f"http://127.0.0.1:{closed_port()}"), bucket.name).objects()


def answered(path: str, method: str = "GET", body: Any = None, **headers: str) -> httpx.Response:
    """Ask the simulated Storage as it is, past opslib's client."""
    access = supabase()
    key = access.secrets["secret_key"].reveal()
    sent = {
        "authorization": f"Bearer {key}",
        "apikey": key,
        **{n.replace("_", "-"): v for n, v in headers.items()},
    }
    given = {"content": body} if isinstance(body, bytes) else {"json": body}
    with httpx.Client(trust_env=False, headers=sent) as client:
        return client.request(method, f"{access.api_url}{access.settings['storage_url']}{path}", **given)


def test_every_answer_of_the_simulated_storage_is_one_that_supabase_could_give(sandbox: object) -> None:
    """A client that is right about the sandbox is then right about Supabase."""
    here = {"vendor": "supabase-storage"}
    checked("/bucket", answered("/bucket").json(), **here)
    first = answered("/object/list-v2/recordings", "POST", {"limit": 3, "prefix": ""}).json()
    assert first["hasNext"] and len(first["objects"]) == 3
    checked("/object/list-v2/{bucketName}", first, "post", **here)
    rest = answered("/object/list-v2/recordings", "POST", {"cursor": first["nextCursor"]}).json()
    assert not rest["hasNext"] and len(rest["objects"]) == 5
    checked("/object/list-v2/{bucketName}", rest, "post", **here)
    one = "/object/{bucketName}/{path}"
    put = answered("/object/recordings/x", "POST", b"1", x_upsert="false")
    checked(one, put.json(), "post", **here)
    again = answered("/object/recordings/x", "POST", b"1", x_upsert="false")
    assert (again.status_code, again.json()["statusCode"]) == (400, "409")
    checked(one, again.json(), "post", code="400", **here)
    checked(one, answered("/object/recordings/x", "DELETE").json(), "delete", **here)
    gone = answered("/object/authenticated/recordings/x")
    assert (gone.status_code, gone.json()["code"]) == (400, "NoSuchKey")
    checked("/object/authenticated/{bucketName}/{path}", gone.json(), code="400", **here)
    with pytest.raises(jsonschema.ValidationError):
        checked("/bucket", [{"id": "x"}], **here)


def operation_of(one: Arrived) -> dict[str, Any]:
    """Return the operation of the specification that a request is for: the least open path that fits."""
    path = urlsplit(one.path).path.removeprefix("/storage/v1")
    paths = specification("supabase-storage")["paths"]
    for known, methods in sorted(paths.items(), key=lambda one: one[0].count("{")):
        pattern = known.replace("{path}", ".+").replace("{bucketName}", "[^/]+")
        if re.fullmatch(pattern, path) and one.method.lower() in methods:
            return dict(methods[one.method.lower()])
    raise AssertionError(f"{one.method} {path} is no operation of the specification")


def test_every_request_to_storage_is_one_that_supabase_has(sandbox: object) -> None:
    """Paths, queries and bodies, those that write as well."""
    arrived: list[Arrived] = []
    access = supabase()

    def pass_on(request: Any) -> None:
        one = arrived[-1]
        kept = {
            n: v
            for n, v in one.headers.items()
            if n in ("authorization", "apikey", "x-upsert", "content-type")
        }
        with httpx.Client(trust_env=False, headers=kept) as client:
            url = access.api_url + access.settings["storage_url"].removesuffix("/storage/v1")
            found = client.request(one.method, url + one.path, content=one.body)
        reply(found.status_code, found.content, content_type=found.headers.get("content-type", ""))(request)

    with serving(noting(arrived, pass_on)) as url:
        settings = {"storage_url": "/storage/v1"}
        place = SupabaseBucket(replace(access, api_url=url, settings=settings), "recordings", "test")
        place.put(leave(), ODD, SONG)
        assert place.content(ODD) == SONG and set(place.objects()) == {ODD}
        place.take(leave(TAKE), ODD, SONG.sha256)
    for one in arrived:
        operation = operation_of(one)
        known = {p["name"]: p["schema"] for p in operation["parameters"] if p["in"] == "query"}
        for name, values in parse_qs(urlsplit(one.path).query).items():
            integer = known[name]["type"] == "integer"
            jsonschema.validate(int(values[0]) if integer else values[0], known[name])
        taken = operation.get("requestBody", {}).get("content", {})
        if "application/json" in taken:
            holds(taken["application/json"]["schema"], json.loads(one.body))
    puts = [one for one in arrived if one.method == "POST" and "list-v2" not in one.path]
    assert [(one.body, one.headers["x-upsert"], one.headers["content-type"]) for one in puts] == [
        (SONG.data, "false", "audio/mpeg")
    ]


MARK = "x/.emptyFolderPlaceholder"
SEEN = reply(body=b'[{"id": "recordings", "name": "recordings", "public": false}]')


def page(*names: str, cursor: str = "", more: bool = False, **over: Any) -> Callable[..., None]:
    """Return a handler for a page of a listing."""
    about = {"size": 1, "eTag": '"x"'}
    objects = [{"name": n, "id": n, "updated_at": "2026-01-01T00:00:00Z", "metadata": about} for n in names]
    whole = {
        "folders": [],
        "objects": objects,
        "hasNext": more,
        **({"nextCursor": cursor} if cursor else {}),
        **over,
    }
    return reply(body=json.dumps(whole).encode())


def test_a_listing_is_followed_to_its_last_page() -> None:
    """What is on the second page is there, too; what a console puts into an empty folder is no file."""
    with serving(
        in_turn(SEEN, page("a", cursor="1", more=True), page("b", cursor="2", more=True), page("c", MARK))
    ) as url:
        assert set(SupabaseBucket(at_supabase(url), "recordings").objects()) == {"a", "b", "c"}


@pytest.mark.parametrize(
    "second, error",
    [
        (reply(500, retry_after="0"), Unreachable),
        (reply(403, b'{"message": "no"}'), Forbidden),
        (reply(body=b"<html>"), Malformed),
        (reply(body=b"[]"), Malformed),
        (reply(body=b"{}"), Malformed),
        (page("b", more=True), Malformed),
        (page("b", cursor="1", more=True), Malformed),
        (page(objects=[{"name": "b"}]), Malformed),
        (page(objects=["b"]), Malformed),
        (page(objects=[{"name": "b", "metadata": {"size": 1}, "updated_at": "soon"}]), Malformed),
    ],
)
def test_a_listing_that_breaks_off_is_an_error_and_no_shorter_listing(
    second: Any, error: type[OpsError]
) -> None:
    """What was not listed would look lost, or look as if it needed no copy."""
    with serving(in_turn(SEEN, page("a", cursor="1", more=True), second)) as url, pytest.raises(error):
        SupabaseBucket(at_supabase(url), "recordings").objects()


@pytest.mark.parametrize("status, body, error", [
    (500, b"{}", Unreachable),
    (429, b"{}", SourceError),
    (200, b"{}", Malformed),
    (200, b"", Malformed),
    (200, b"[]", Forbidden),
    (400, b'{"statusCode": "403", "error": "Unauthorized", "message": "", "code": "x"}', Forbidden),
])  # fmt: skip
def test_a_bucket_that_cannot_be_seen_is_not_empty(status: int, body: bytes, error: type[OpsError]) -> None:
    """Row-level security answers a weak key with an empty list, and with `not found` for what is there."""
    with serving(reply(status, body, retry_after="0")) as url:
        place = SupabaseBucket(at_supabase(url), "recordings")
        for ask in (place.objects, lambda: place.content("a"), place.public):
            with pytest.raises(error):
                ask()


def token(role: str) -> str:
    """Return a key of the old kind."""
    claims = (
        base64.urlsafe_b64encode(json.dumps({"role": role, "iss": "supabase"}).encode()).decode().rstrip("=")
    )
    return f"eyJh.{claims}.x"


def test_a_store_that_never_answers_is_not_waited_for_for_ever(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slow is unknown, too."""
    monkeypatch.setattr("opslib.files.supabase._PATIENCE_S", 0.3)
    monkeypatch.setitem(access._PATIENCE, "read_timeout", 0.3)
    monkeypatch.setitem(access._PATIENCE, "retries", {"total_max_attempts": 1})
    asleep = threading.Event()

    def sleep(connection: socket.socket) -> None:
        asleep.wait(20)

    with raw(sleep) as url:
        for place in (SupabaseBucket(at_supabase(url), "recordings"), S3Bucket(at_s3(url), "recordings")):
            with pytest.raises(Unreachable):
                place.objects()
        asleep.set()


@pytest.mark.parametrize("key", ["sb_publishable_x", token("anon"), token("authenticated")])
def test_a_key_that_sees_only_a_part_is_refused_before_anything_is_asked(key: str) -> None:
    """It would be answered politely, and with nothing."""
    arrived: list[Arrived] = []
    with serving(noting(arrived, SEEN)) as url, pytest.raises(Forbidden, match="publishable"):
        SupabaseBucket(at_supabase(url, key), "recordings").objects()
    assert not arrived
    with serving(in_turn(SEEN, page("a"))) as url:
        assert SupabaseBucket(at_supabase(url, token("service_role")), "recordings").objects()


@pytest.mark.parametrize(
    "status, body, error",
    [
        (503, b"{}", Unreachable),
        (401, b"{}", Forbidden),
        (
            400,
            b'{"statusCode": "413", "error": "Payload too large", "message": "too large", "code": "x"}',
            Malformed,
        ),
    ],
)
def test_a_file_that_was_not_taken_is_an_error(status: int, body: bytes, error: type[OpsError]) -> None:
    """Sent once, whatever comes: only looking tells what became of it."""
    arrived: list[Arrived] = []
    with serving(noting(arrived, reply(status, body))) as url, pytest.raises(error):
        SupabaseBucket(at_supabase(url), "recordings").put(leave(), "a", SONG)
    assert len(arrived) == 1


def test_a_file_that_says_too_little_is_said() -> None:
    """No key, no project: no request can help."""
    keyless = replace(at_supabase("http://127.0.0.1:1"), secrets={})
    with pytest.raises(NotNamed, match="names no secret_key"):
        SupabaseBucket(keyless, "recordings").objects()
    nameless = replace(at_supabase("http://127.0.0.1:1"), settings={})
    with pytest.raises(SourceError, match="name no project"):
        SupabaseBucket(nameless, "recordings").objects()


def test_bytes_are_carried_for_a_work_only_and_once() -> None:
    """A leave for a request is none for bytes that stand in no plan."""
    arrived: list[Arrived] = []
    with serving(noting(arrived, reply(503))) as url, Carrier(url, name="supabase-storage") as client:
        wrong = Opening(Request("supabase-storage", "POST", "/x"), "key")
        with pytest.raises(Refused, match="no work"):
            client.carry(wrong, "POST", "/x", b"1")
        with pytest.raises(Refused, match="no work"):
            client.carry(leave(), "PUT", "/x", b"1")
        assert wrong.use() and not arrived
        opening = leave()
        assert client.carry(opening, "POST", "/x", b"1").status_code == 503
        with pytest.raises(Refused, match="used already"):
            client.carry(opening, "POST", "/x", b"1")
    assert [(one.method, one.body) for one in arrived] == [("POST", b"1")]
