"""Reading over HTTP: what each kind of trouble becomes."""

from __future__ import annotations

import gzip
import hashlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler
from typing import Any

import dns.message
import dns.rcode
import dns.rrset
import pytest

from opslib import acts
from opslib import dns as names
from opslib.acts import Opening
from opslib.calls import Call
from opslib.config import Secret
from opslib.errors import (
    Forbidden,
    Malformed,
    RateLimited,
    Refused,
    SourceError,
    Unreachable,
    UsageError,
)
from opslib.http import ONCE, Client, Policy, safe
from opslib.http import retry as policy
from tests.servers import Arrived, closed_port, in_turn, noting, raw, reply, serving


def client(url: str, **options: Any) -> Client:
    """Return a client that asks once and gives up soon, unless told otherwise."""
    return Client(url, **{"name": "app", "policy": ONCE, "timeout": 5.0, **options})


def kind_of(url: str, error: type[SourceError], **options: Any) -> str:
    """Return the kind of the error that reading `url` ends in."""
    with client(url, **options) as reader, pytest.raises(error) as caught:
        reader.get("/health")
    assert "app (127.0.0.1" in caught.value.message or ".test" in caught.value.message
    return caught.value.kind


def silence(connection: socket.socket) -> None:
    """Say nothing until the other side is gone."""
    while connection.recv(1000):
        pass


def hang_up(connection: socket.socket) -> None:
    """Read the request and close."""
    connection.recv(1000)


@contextmanager
def name_server(answer: Callable[[dns.message.Message], dns.message.Message | None]) -> Iterator[str]:
    """Serve names over UDP; yields `address:port`."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))

        def serve() -> None:
            while True:
                try:
                    packet, peer = listener.recvfrom(4096)
                except OSError:
                    return
                said = answer(dns.message.from_wire(packet)) if packet else None
                if said is not None:
                    listener.sendto(said.to_wire(), peer)

        threading.Thread(target=serve, daemon=True).start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"


def loopback(asked: dns.message.Message) -> dns.message.Message:
    """Answer every question with 127.0.0.1."""
    said = dns.message.make_response(asked)
    said.answer.append(dns.rrset.from_text(asked.question[0].name, 5, "IN", "A", "127.0.0.1"))
    return said


def test_json_is_read_with_its_time_and_its_steps() -> None:
    """The plain good case, with what a slow-page diagnosis needs."""
    with serving(reply(body=b'{"status": "ok"}')) as url, client(url) as reader:
        answer = reader.get("/health")
    assert answer.json == {"status": "ok"}
    assert answer.status_code == 200 and answer.ms > 0
    assert {"dns", "connect", "first_byte"} <= set(answer.timings)


def test_a_closed_port_is_refused() -> None:
    """Nothing listens: the host itself says so."""
    assert kind_of(f"http://127.0.0.1:{closed_port()}", Unreachable) == "refused"


def test_a_silent_server_is_a_timeout() -> None:
    """It takes the connection and never answers."""
    with raw(silence) as url:
        assert kind_of(url, Unreachable, timeout=0.2) == "timeout"


def test_a_dripping_server_cannot_outlive_the_deadline() -> None:
    """A byte now and then resets no clock."""

    def drip(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while True:
            connection.sendall(b" ")
            time.sleep(0.02)

    with raw(drip) as url:
        assert kind_of(url, Unreachable, timeout=0.3) == "timeout"


def test_a_server_that_hangs_up_is_a_reset() -> None:
    """No status line at all."""
    with raw(hang_up) as url:
        assert kind_of(url, Unreachable) == "reset"


def test_noise_instead_of_http_is_malformed() -> None:
    """Something else listens on that port."""

    def noise(connection: socket.socket) -> None:
        connection.recv(1000)
        connection.sendall(b"220 mail ready\r\n\r\n")

    with raw(noise) as url:
        assert kind_of(url, Malformed) == "not-http"


def test_no_tls_behind_https_says_tls() -> None:
    """A plain server behind an https address."""
    with serving(reply()) as url:
        assert kind_of(url.replace("http:", "https:"), Unreachable) == "tls"


@pytest.mark.parametrize("body", [b"", b"<!DOCTYPE html><p>Welcome", b'{"status": '])
def test_a_body_that_is_no_json_is_malformed(body: bytes) -> None:
    """Empty, a web page, cut off: none of them may pass for an answer."""
    with serving(reply(body=body)) as url:
        assert kind_of(url, Malformed) == "not-json"


def test_a_huge_body_is_cut_off() -> None:
    """Neither a large file nor a small one that unpacks to a large one fills the memory."""
    huge = gzip.compress(b" " * 200_000)
    with serving(reply(body=huge, Content_Encoding="gzip")) as url:
        assert kind_of(url, Malformed, max_bytes=50_000) == "too-large"


@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [
        (401, Forbidden, "authentication"),
        (403, Forbidden, "permission"),
        (404, Malformed, "http-4xx"),
        (429, RateLimited, "rate-limited"),
        (500, Unreachable, "http-5xx"),
        (503, Unreachable, "http-5xx"),
    ],
)
def test_each_status_has_its_error(status: int, error: type[SourceError], kind: str) -> None:
    """Forbidden is not unreachable, and neither is a success."""
    with serving(reply(status)) as url:
        assert kind_of(url, error) == kind


def test_the_status_is_data_where_it_is_asked_for() -> None:
    """A probe wants to see the 500, not an exception."""
    with serving(reply(500, b"oops")) as url, client(url) as reader:
        answer = reader.fetch("/")
    assert (answer.status_code, answer.text) == (500, "oops")


def waits(*handles: Callable[[BaseHTTPRequestHandler], None], **bounds: Any) -> tuple[list[float], int]:
    """Read once from a server that answers in turn; return the waits and the final status."""
    slept: list[float] = []
    with (
        serving(in_turn(*handles)) as url,
        client(url, policy=Policy(**bounds), sleep=slept.append) as reader,
    ):
        return slept, reader.fetch("/").status_code


def test_retry_after_in_seconds_is_obeyed() -> None:
    """The server knows best."""
    assert waits(reply(429, Retry_After="7"), reply()) == ([7.0], 200)


def test_retry_after_as_a_date_is_obeyed() -> None:
    """The other form that HTTP allows."""
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=9), usegmt=True)
    slept, status = waits(reply(503, Retry_After=later), reply())
    assert status == 200 and 6 < slept[0] <= 9


def test_a_vendors_reset_header_is_obeyed() -> None:
    """Seconds since 1970 and seconds from now both occur."""
    epoch = str(int(time.time()) + 9)
    assert 6 < waits(reply(429, X_Sentry_Rate_Limit_Reset=epoch), reply())[0][0] <= 9
    assert waits(reply(429, Ratelimit_Reset="4"), reply())[0] == [4.0]


def test_waits_grow_when_the_server_names_none() -> None:
    """With jitter, within bounds."""
    slept, status = waits(reply(502), reply(504), reply(), first_wait_s=1.0)
    assert status == 200 and 0.5 <= slept[0] <= 1.0 <= slept[1] <= 2.0


def test_asking_again_is_bounded_in_number_and_in_time() -> None:
    """Three attempts; never a wait that goes beyond the total."""
    assert len(waits(reply(503))[0]) == 2
    assert waits(reply(429, Retry_After="3600"), reply()) == ([], 429)


def test_a_plain_500_is_not_asked_again() -> None:
    """Only what says "later" is worth a second try."""
    assert waits(reply(500), reply()) == ([], 500)


@pytest.mark.parametrize("given", ["", "soon", "-5", "nan", "inf"])
def test_a_strange_retry_after_is_ignored(given: str) -> None:
    """Bad headers must neither crash nor stall a run."""
    assert policy.asked_to_wait({"retry-after": given}) is None


def test_github_means_too_many_with_a_403() -> None:
    """A spent counter makes a 403 a rate limit."""
    assert policy.limited(403, {"x-ratelimit-remaining": "0"})
    assert not policy.limited(403, {})


def test_redirects_are_followed_but_not_for_ever() -> None:
    """One hop is fine, a loop is not."""
    hop = in_turn(reply(301, b"", Location="/new"), reply(body=b'{"a": 1}'))
    with serving(hop) as url, client(url) as reader:
        assert reader.get("/old").json == {"a": 1}
    with serving(reply(302, b"", Location="/again")) as url:
        assert kind_of(url, Malformed) == "redirect"


def test_a_secret_does_not_follow_a_redirect_to_another_server() -> None:
    """A token belongs to one server only."""
    seen: list[str | None] = []

    def thief(request: BaseHTTPRequestHandler) -> None:
        seen.append(request.headers.get("x-access-token"))
        reply()(request)

    with serving(thief) as other, serving(reply(302, b"", Location=f"{other}/")) as url:
        assert kind_of(url, Malformed, headers={"x-access-token": "secret-value"}) == "redirect"
    assert seen == []


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_it_refuses_to_write(method: str) -> None:
    """Nothing is sent."""
    with client(f"http://127.0.0.1:{closed_port()}") as reader, pytest.raises(UsageError, match="only reads"):
        reader.fetch("/", method=method)


def test_each_request_is_recorded_without_its_secrets() -> None:
    """Method, path, time and digest; never the query's secrets."""
    calls: list[Call] = []
    with serving(in_turn(reply(body=b"[1]"), reply(404))) as url, client(url, on_call=calls.append) as reader:
        reader.get("/v1/items", params={"limit": 5, "token": "very-secret"})
        with pytest.raises(Malformed):
            reader.get("/v1/none")
    first, second = calls
    assert (first.source, first.what, first.ok, len(first.digest)) == ("http:app", "GET /v1/items", True, 64)
    assert (second.ok, second.error) == (False, "answered 404")
    assert "very-secret" not in repr(calls)


def test_a_failed_request_is_recorded_too() -> None:
    """A record that leaves out the failures is no record."""
    calls: list[Call] = []
    kind_of(f"http://127.0.0.1:{closed_port()}", Unreachable, on_call=calls.append)
    assert [call.ok for call in calls] == [False] and "refuses" in calls[0].error


def test_pages_are_followed_to_the_end_and_never_in_circles() -> None:
    """A list that leads back to itself is malformed."""

    def advance(page: dict[str, Any]) -> dict[str, Any] | None:
        return {"until": page["next"]} if page["next"] else None

    two = in_turn(reply(body=b'{"next": 1}'), reply(body=b'{"next": null}'))
    with serving(two) as url, client(url) as reader:
        assert len(list(reader.pages("/list", {}, advance))) == 2
    with serving(reply(body=b'{"next": 1}')) as url, client(url) as reader, pytest.raises(Malformed):
        list(reader.pages("/list", {}, advance))


def test_names_go_through_the_given_resolver() -> None:
    """A name that no other server knows is found, and the host header carries it."""
    hosts: list[str | None] = []

    def note(request: BaseHTTPRequestHandler) -> None:
        hosts.append(request.headers["host"])
        reply()(request)

    with serving(note) as url, name_server(loopback) as server:
        port = url.rsplit(":", 1)[1]
        with client(f"http://app.sandbox.test:{port}", resolver=server) as reader:
            reader.get("/")
    assert hosts == [f"app.sandbox.test:{port}"]


@pytest.mark.parametrize(
    ("rcode", "kind"), [(dns.rcode.NXDOMAIN, "nxdomain"), (dns.rcode.SERVFAIL, "servfail"), (None, "timeout")]
)
def test_a_name_that_does_not_resolve_says_why(rcode: dns.rcode.Rcode | None, kind: str) -> None:
    """No such name, a broken name server and a silent one are three different faults."""

    def fail(asked: dns.message.Message) -> dns.message.Message | None:
        said = dns.message.make_response(asked)
        said.set_rcode(rcode or dns.rcode.NOERROR)
        return said if rcode is not None else None

    with name_server(fail) as server:
        assert names.resolve("app.sandbox.test", server, timeout=0.3).kind == kind
        if rcode is not None:
            assert kind_of("http://app.sandbox.test:81", Unreachable, resolver=server) == "dns"


def test_addresses_are_not_looked_up() -> None:
    """An address stands for itself."""
    assert names.resolve("127.0.0.1", "127.0.0.1:1").addresses == ("127.0.0.1",)
    assert "127.0.0.1" in names.resolve("localhost").addresses


def test_connections_do_not_share_state_between_threads() -> None:
    """One client may be used side by side; each request keeps its own clock."""
    with serving(reply()) as url, client(url) as reader:
        found: list[int] = []
        threads = [
            threading.Thread(target=lambda: found.append(reader.get("/").status_code)) for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert found == [200] * 8


ROLLBACK = acts.Request(
    "app", "POST", "/v1/projects/shop/rollback/dpl_1", {"teamId": "t", "dry": False}, {"reason": "Ünwell"}
)
SECRET_VALUE = "sk_live_Zx81-not-for-eyes"
VARIABLE = acts.Request("app", "POST", "/v1/env", {}, {"key": "API", "values": [{"secret": "new value"}]})


def leave(act: acts.Act = ROLLBACK) -> Opening:
    """Return a leave such as the gate gives."""
    return Opening(act, "key-1", {"new value": SECRET_VALUE})


def acted(
    *handles: Callable[[BaseHTTPRequestHandler], None], act: acts.Act = ROLLBACK, **options: Any
) -> tuple[list[Arrived], SourceError | None, list[float]]:
    """Carry an act out against a server; return what arrived, how it failed, and the waits."""
    arrived: list[Arrived] = []
    slept: list[float] = []
    given: dict[str, Any] = {"policy": Policy(), "sleep": slept.append, **options}
    with serving(noting(arrived, in_turn(*handles))) as url, client(url, **given) as writer:
        try:
            writer.act(leave(act))
        except SourceError as error:
            return arrived, error, slept
    return arrived, None, slept


def test_an_act_arrives_exactly_as_it_stands_in_the_plan() -> None:
    """Method, path, query and body, and the credential where the vendor wants it."""
    token = Secret.literal("test-token", "token-of-the-test")
    options: dict[str, Any] = {"token": token, "token_header": ("Project-Access-Token", "")}
    arrived, error, _ = acted(reply(202), **options)
    (one,) = arrived
    assert error is None
    assert (one.method, one.path) == ("POST", "/v1/projects/shop/rollback/dpl_1?teamId=t&dry=false")
    assert json.loads(one.body) == {"reason": "Ünwell"} and one.headers["content-type"] == "application/json"
    assert one.headers["project-access-token"] == "token-of-the-test"
    assert not {"idempotency-key", "authorization"} & set(one.headers)


@pytest.mark.parametrize("body, sent", [(None, b""), ({}, b"{}"), ([], b"[]")])
def test_no_body_and_an_empty_body_are_two_things(body: Any, sent: bytes) -> None:
    """Some vendors refuse the one, some the other."""
    arrived, _, _ = acted(reply(), act=acts.Request("app", "DELETE", "/v1/env/1", {}, body))
    assert [(one.method, one.body) for one in arrived] == [("DELETE", sent)]


def test_a_secret_is_put_in_at_the_last_moment_and_told_to_nobody() -> None:
    """The server gets the value; the record's digest covers its label, and its echo is masked."""
    calls: list[Call] = []
    said = json.dumps({"error": {"code": "invalid", "message": f"{'x' * 280} {SECRET_VALUE} is too long"}})
    arrived, error, _ = acted(reply(422, said.encode()), act=VARIABLE, on_call=calls.append)
    assert json.loads(arrived[0].body) == {"key": "API", "values": [SECRET_VALUE]}
    assert isinstance(error, Malformed)
    assert SECRET_VALUE[:8] not in error.text() and "[redacted:" in error.message
    assert SECRET_VALUE not in repr(calls)
    expected = hashlib.sha256(json.dumps(acts.to_dict(VARIABLE), sort_keys=True).encode()).hexdigest()
    assert [(call.what, call.ok, call.digest) for call in calls] == [("POST /v1/env", False, expected)]


@pytest.mark.parametrize(
    "status, body, said",
    [
        (402, {"error": {"code": "plan", "message": "rolling back needs a paid plan"}}, "paid plan"),
        (409, {"message": "another rollback\n is under way"}, "another rollback is under way"),
        (422, {"detail": "no such field"}, "no such field"),
        (400, {"error": "wrong target"}, "wrong target"),
        (400, {"errors": [{"message": "Not Authorized"}]}, "Not Authorized"),
        (404, ["nothing"], "answered 404"),
    ],
)
def test_the_vendors_own_words_are_in_the_error(status: int, body: Any, said: str) -> None:
    """A number alone sends people to the documentation at night."""
    arrived, error, slept = acted(reply(status, json.dumps(body).encode()))
    assert isinstance(error, Malformed) and said in error.message
    assert len(arrived) == 1 and slept == []


@pytest.mark.parametrize("status", [500, 502, 503, 504, 408])
def test_an_act_is_never_sent_again_where_it_may_have_been_done(status: int) -> None:
    """A gateway that gave up says nothing about the server behind it."""
    arrived, error, _ = acted(reply(status, Retry_After="1"))
    assert isinstance(error, Unreachable) and len(arrived) == 1


def test_an_act_that_was_turned_away_for_now_comes_back_at_the_named_time() -> None:
    """429 is said before anything is done; without a time to come back it is left alone."""
    arrived, error, slept = acted(reply(429, Retry_After="7"), reply())
    assert error is None and len(arrived) == 2 and slept == [7.0]
    arrived, error, slept = acted(reply(429), reply())
    assert isinstance(error, RateLimited) and len(arrived) == 1 and slept == []


def test_an_act_with_a_key_that_the_server_knows_is_sent_again_with_the_same_key() -> None:
    """There a second request is the first one."""
    arrived, error, slept = acted(reply(503), reply(500), reply(), idempotency_header=True)
    assert error is None and len(slept) == 2
    assert [one.headers["idempotency-key"] for one in arrived] == ["key-1"] * 3


@pytest.mark.parametrize("idempotent, attempts", [(False, 1), (True, 3)])
def test_an_act_without_an_answer_is_sent_again_only_with_a_key(idempotent: bool, attempts: int) -> None:
    """The request may have arrived; only looking tells."""
    seen: list[bytes] = []

    def hear_and_hang_up(connection: socket.socket) -> None:
        seen.append(connection.recv(65536))

    options: dict[str, Any] = {"policy": Policy(), "sleep": lambda seconds: None}
    with (
        raw(hear_and_hang_up) as url,
        client(url, idempotency_header=idempotent, **options) as writer,
        pytest.raises(Unreachable),
    ):
        writer.act(leave())
    assert len(seen) == attempts and all(b"rollback/dpl_1" in one for one in seen)


@pytest.mark.parametrize(
    "answer", [b"noise\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n" + b"x" * 900]
)
def test_an_answer_that_cannot_be_read_leaves_it_open_whether_the_act_was_done(answer: bytes) -> None:
    """It is not said to have failed: whoever asked must look."""

    def answer_badly(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(answer)

    with raw(answer_badly) as url, client(url, max_bytes=500) as writer, pytest.raises(Unreachable) as caught:
        writer.act(leave())
    assert caught.value.kind == "lost" and "not known" in caught.value.message


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_an_act_follows_no_redirect(status: int) -> None:
    """What was approved is for one address."""
    arrived, error, _ = acted(reply(status, b"", Location="/elsewhere"), reply())
    assert isinstance(error, Malformed) and error.kind == "redirect" and len(arrived) == 1


def test_a_success_that_names_errors_is_none() -> None:
    """GraphQL answers 200 to everything; what became of it must be looked at."""
    _, error, _ = acted(reply(200, b'{"data": null, "errors": [{"message": "Problem processing request"}]}'))
    assert isinstance(error, Unreachable) and "Problem processing" in error.message
    _, error, _ = acted(reply(200, b'{"success": true, "errors": []}'))
    assert error is None


@pytest.mark.parametrize(
    "act, why",
    [
        (acts.Request("vercel", "POST", "/v1"), "for vercel, this is app"),
        (acts.Statement("terminate_session"), "nothing that can be sent"),
        (acts.Request("app", "GET", "/v1"), "no request that a plan"),
        (acts.Request("app", "POST", "@elsewhere.example/v1"), "no request that a plan"),
        (acts.Request("app", "POST", ".elsewhere.example/v1"), "no request that a plan"),
    ],
)
def test_a_leave_for_something_else_is_refused_before_anything_is_sent(act: acts.Act, why: str) -> None:
    """It stays good for what it is for."""
    arrived: list[Arrived] = []
    opening = leave(act)
    with serving(noting(arrived, reply())) as url, client(url) as writer, pytest.raises(Refused, match=why):
        writer.act(opening)
    assert arrived == []
    assert opening.use()


GRAPHQL_READS = (
    "{ me { id } }",
    "query { me { id } }",
    'query D($first: Int = 5, $in: Filter = {status: [READY]}) @live { deployments(a: "mutation {") { id } }',
    "query { me { ...Names } } fragment Names on User { name }",
    '# mutation\nquery { note(text: """ a "quoted" mutation { } """) }',
)  # fmt: skip
GRAPHQL_WRITES = (
    "mutation { deploymentRollback(id: 1) }",
    "query A { me { id } } mutation B { deploymentRollback(id: 1) }",
    "subscription { logs { line } }",
    "fragment F on Mutation { x }",
    '{ me } """ mutation """ mutation { x }',
    'query { note(text: "\\") }\nmutation { x }\nquery B { note(text: "") }',
    "query { me { id }",
    "query { me ( } )",
    "query",
    "",
    "type Query { me: User }",
    "query { me } } mutation { x }",
    "query { ﹛ }",
)


@pytest.mark.parametrize("document", GRAPHQL_READS)
def test_a_graphql_query_is_a_question(document: str) -> None:
    """It goes out with POST, because the server takes nothing else."""
    arrived: list[Arrived] = []
    body = {"query": document, "variables": {"first": 1}}
    answer = reply(body=b'{"data": {"me": 1}}')
    with serving(noting(arrived, answer)) as url, client(url, name="railway") as reader:
        assert reader.ask("", body).json == {"data": {"me": 1}}
    assert [(one.method, json.loads(one.body)) for one in arrived] == [("POST", body)]


@pytest.mark.parametrize("document", GRAPHQL_WRITES)
def test_any_other_graphql_document_is_refused(document: str) -> None:
    """Also one that cannot be read for certain."""
    assert not safe.reads("railway", "", {"query": document})


@pytest.mark.parametrize(
    "name, path, body",
    [
        ("railway", "", [{"query": "{ me }"}]),
        ("railway", "", {"query": "{ me }", "extensions": {"persistedQuery": {"sha256Hash": "0"}}}),
        ("railway", "", {"query": None}),
        ("railway", "/graphql/v3", {"query": "{ me }"}),
        ("vercel", "", {"query": "{ me }"}),
        ("posthog", "/api/projects/1/feature_flags/", {"query": {"kind": "HogQLQuery", "query": "select 1"}}),
        ("posthog", "/api/projects/../query/", {"query": {"kind": "HogQLQuery", "query": "select 1"}}),
        ("posthog", "/api/projects/1/query/", {"query": {"kind": "HogQLQuery", "query": "drop table x"}}),
        ("posthog", "/api/projects/1/query/", {"query": {"kind": "Other", "query": "select 1"}}),
    ],
)
def test_only_the_questions_of_the_table_go_out_with_post(name: str, path: str, body: Any) -> None:
    """Nobody listens there: what is refused never reaches a socket."""
    url = f"http://127.0.0.1:{closed_port()}"
    with client(url, name=name) as reader, pytest.raises(UsageError, match="only reads"):
        reader.ask(path, body)


def test_a_question_is_put_again_like_any_other_and_its_errors_are_no_answer() -> None:
    """Half an answer would look like a whole one."""
    hogql = {"query": {"kind": "HogQLQuery", "query": "select count() from events"}}
    slept: list[float] = []
    partial = reply(body=b'{"data": {"a": 1}, "errors": [{"message": "b is not there"}]}')
    with (
        serving(in_turn(reply(503), reply(body=b'{"results": []}'), partial)) as url,
        client(url, name="posthog", policy=Policy(), sleep=slept.append) as reader,
    ):
        assert reader.ask("/api/projects/@current/query/", hogql).json == {"results": []}
        assert len(slept) == 1
        with pytest.raises(Malformed, match="b is not there"):
            reader.ask("/api/projects/@current/query/", hogql)
