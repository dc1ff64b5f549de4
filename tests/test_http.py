"""Reading over HTTP: what each kind of trouble becomes."""

from __future__ import annotations

import gzip
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

from opslib import dns as names
from opslib.calls import Call
from opslib.errors import Forbidden, Malformed, RateLimited, SourceError, Unreachable, UsageError
from opslib.http import ONCE, Client, Policy
from opslib.http import retry as policy
from tests.servers import closed_port, in_turn, raw, reply, serving


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
