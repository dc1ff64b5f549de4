"""A client that reads: GET and HEAD, bounded in time, size, redirects and attempts."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import httpx

from opslib.calls import Call
from opslib.errors import Malformed, SourceError, UsageError
from opslib.http import failures, retry
from opslib.http.transport import Clock, Transport

if TYPE_CHECKING:
    from opslib.config import Secret

MAX_BYTES = 5_000_000
MAX_REDIRECTS = 5
TIMEOUT_S = 10.0
READS = ("GET", "HEAD")
Params = Mapping[str, str | int | float | bool]

_SECRET_NAME = re.compile(r"token|key|secret|pass|signature|credential|auth|code", re.IGNORECASE)


@dataclass(frozen=True)
class Answer:
    """What a server said.

    Args:
        source: name of the client that asked.
        status_code: HTTP status.
        headers: names in lower case.
        body: the bytes, decoded.
        url: the address that answered, after redirects.
        ms: from the start of the request to the last byte, name look-up included.
        timings: dns, connect, tls, first_byte in milliseconds, as far as they took place.
    """

    source: str
    status_code: int
    headers: Mapping[str, str]
    body: bytes
    url: str
    ms: float
    timings: Mapping[str, float] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The body as text; bytes that are not UTF-8 are replaced."""
        return self.body.decode("utf-8", "replace")

    @property
    def digest(self) -> str:
        """SHA-256 of the body."""
        return hashlib.sha256(self.body).hexdigest()

    @cached_property
    def json(self) -> Any:
        """The body as JSON.

        Raises:
            Malformed: it is not JSON.
        """
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError) as error:
            start = self.text[:40].strip() or "an empty body"
            raise Malformed(
                f"{self.source} ({_host(self.url)}) answered with no JSON but {start!r}", kind="not-json"
            ) from error


class Client:
    """Reads from one server.

    Args:
        base_url: scheme, host and leading path; paths are appended to it.
        name: short name for messages and the call record, e.g. `vercel`.
        headers: sent with each request.
        token: sent as `Authorization: Bearer`; revealed at the first request.
        resolver: name server (`address:port`) to ask instead of the system's.
        timeout: seconds for one whole answer; connecting may take half of it.
        policy: when to ask again.
        on_call: receives a record of each request.
        max_bytes: an answer larger than this is `Malformed`.
        sleep: how to wait between attempts.
    """

    def __init__(
        self,
        base_url: str,
        *,
        name: str,
        headers: Mapping[str, str] | None = None,
        token: Secret | None = None,
        resolver: str | None = None,
        timeout: float = TIMEOUT_S,
        policy: retry.Policy | None = None,
        on_call: Callable[[Call], None] | None = None,
        max_bytes: int = MAX_BYTES,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.base_url, self.name = base_url.rstrip("/"), name
        self._headers, self._token = dict(headers or {}), token
        self._timeout, self._policy = timeout, policy or retry.Policy()
        self._on_call, self._max_bytes, self._sleep = on_call, max_bytes, sleep
        self._clock = Clock()
        self._http = httpx.Client(
            transport=Transport(self.base_url, resolver, self._clock),
            headers={"user-agent": "opslib", "accept": "application/json, */*;q=0.5"},
            timeout=httpx.Timeout(timeout, connect=timeout / 2),
            follow_redirects=False,
            trust_env=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def get(self, path: str = "", *, params: Params | None = None, expect_json: bool = True) -> Answer:
        """Read a path, asking again where the policy says so.

        Args:
            path: appended to the base address; "" is the base address itself.
            params: query parameters.
            expect_json: refuse an answer that is not JSON.

        Raises:
            Unreachable: no answer, or 5xx; `kind` says which.
            Forbidden: 401 or 403.
            RateLimited: still 429 after the last attempt, or asked to wait longer than allowed.
            Malformed: 4xx, too large, redirected too often, or not JSON.
        """
        answer = self.fetch(path, params=params)
        error = failures.from_status(answer.status_code, answer.headers, self._where, path or "/")
        if error:
            raise error
        if expect_json:
            _ = answer.json
        return answer

    def fetch(self, path: str = "", *, params: Params | None = None, method: str = "GET") -> Answer:
        """Read a path and return the answer whatever its status is; errors as in `get` otherwise."""
        if method not in READS:
            raise UsageError(f"{method} could change something; this client only reads")
        begun = time.monotonic()
        attempt = 1
        while True:
            answer = self._recorded(method, path, params)
            wait = self._wait(answer, attempt, time.monotonic() - begun)
            if wait is None:
                return answer
            self._sleep(wait)
            attempt += 1

    def pages(
        self, path: str, params: Params, advance: Callable[[Any], Params | None], *, most: int = 20
    ) -> Iterator[Any]:
        """Yield the JSON of each page.

        Args:
            path: path of the list.
            params: query parameters of the first page.
            advance: given a page, returns the parameters that lead to the next one, or None at the end.
            most: no more pages than this.

        Raises:
            Malformed: the list leads back to a page that was already read.
        """
        asked: list[Params] = []
        current: Params | None = params
        while current is not None and len(asked) < most:
            if current in asked:
                raise Malformed(f"{self._where} leads in circles while listing {path}", kind="paging")
            asked.append(current)
            page = self.get(path, params=current).json
            yield page
            step = advance(page)
            current = None if step is None else {**params, **step}

    @property
    def _where(self) -> str:
        return f"{self.name} ({_host(self.base_url)})"

    def _wait(self, answer: Answer, attempt: int, spent: float) -> float | None:
        """Return the seconds to wait before asking again, or None to be content with the answer."""
        again = answer.status_code in retry.ASK_AGAIN or retry.limited(answer.status_code, answer.headers)
        if not again or attempt >= self._policy.attempts:
            return None
        wait = self._policy.wait(attempt, answer.headers)
        return wait if spent + wait <= self._policy.total_s else None

    def _recorded(self, method: str, path: str, params: Params | None) -> Answer:
        started = time.perf_counter()
        try:
            answer = self._ask(method, path, params)
        except SourceError as error:
            self._record(method, path, params, started, error=error.message)
            raise
        self._record(method, path, params, started, answer=answer)
        return answer

    def _ask(self, method: str, path: str, params: Params | None) -> Answer:
        self._clock.begin(self._timeout)
        started = time.perf_counter()
        try:
            request = self._http.build_request(
                method, self.base_url + path, params=params, headers=self._authorised()
            )
            return self._follow(request, started)
        except failures.TRANSPORT_ERRORS as error:
            raise failures.from_exception(error, self._where) from error

    def _follow(self, request: httpx.Request, started: float) -> Answer:
        for _ in range(MAX_REDIRECTS + 1):
            request.extensions["trace"] = self._clock.trace
            response = self._http.send(request, stream=True)
            try:
                following = self._allowed(request, response)
                if following is None:
                    return self._read(response, started)
                request = following
            finally:
                response.close()
        raise Malformed(f"{self._where} redirects more than {MAX_REDIRECTS} times", kind="redirect")

    def _allowed(self, request: httpx.Request, response: httpx.Response) -> httpx.Request | None:
        """Return the request that a redirect asks for; a secret never follows to another server."""
        following = response.next_request
        if following is None:
            return None
        here, there = request.url, following.url
        same = (here.scheme, here.host, here.port) == (there.scheme, there.host, there.port)
        downgrade = here.scheme == "https" and there.scheme != "https"
        if downgrade or (not same and (self._token or self._headers)):
            raise Malformed(f"{self._where} redirects to {there.host}, where it must not", kind="redirect")
        return following

    def _read(self, response: httpx.Response, started: float) -> Answer:
        body = bytearray()
        for chunk in response.iter_bytes():
            body += chunk
            if len(body) > self._max_bytes:
                limit = self._max_bytes / 1e6
                raise Malformed(f"{self._where} answered with more than {limit:g} MB", kind="too-large")
        ms = round((time.perf_counter() - started) * 1000, 2)
        headers = {name.lower(): value for name, value in response.headers.items()}
        url = str(response.request.url)
        timings = self._clock.timings()
        return Answer(self.name, response.status_code, headers, bytes(body), url, ms, timings)

    def _authorised(self) -> dict[str, str]:
        if self._token is None:
            return self._headers
        return {**self._headers, "authorization": f"Bearer {self._token.reveal()}"}

    def _record(
        self,
        method: str,
        path: str,
        params: Params | None,
        started: float,
        *,
        answer: Answer | None = None,
        error: str = "",
    ) -> None:
        if self._on_call is None:
            return
        ms = round((time.perf_counter() - started) * 1000, 1)
        good = answer is not None and answer.status_code < 400
        said = error or ("" if good or answer is None else f"answered {answer.status_code}")
        shown = {k: v for k, v in (params or {}).items() if not _SECRET_NAME.search(k)}
        asked = json.dumps([method, self.base_url + path, shown], sort_keys=True)
        digest = hashlib.sha256(asked.encode()).hexdigest()
        what = f"{method} {httpx.URL(self.base_url + path).path}"
        self._on_call(Call(f"http:{self.name}", what, None, ms, good, said, digest))


def _host(url: str) -> str:
    return httpx.URL(url).netloc.decode()
