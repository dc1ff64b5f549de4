"""A client that reads, bounded in time, size, redirects and attempts; and that does what an opening says."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Self

import httpx

from opslib.calls import Call
from opslib.errors import Malformed, SourceError, Unreachable, UsageError
from opslib.http import acting, failures, retry, safe
from opslib.http.answer import Answer, Params, Sending, host
from opslib.http.transport import Clock, Transport

if TYPE_CHECKING:
    from opslib.acts import Opening
    from opslib.config import Secret

MAX_BYTES = 5_000_000
MAX_REDIRECTS = 5
TIMEOUT_S = 10.0
READS = ("GET", "HEAD")
BEARER = ("authorization", "Bearer ")
Again = Callable[[int, Mapping[str, str]], bool]


class Client:
    """Talks to one server.

    Args:
        base_url: scheme, host and leading path; paths are appended to it.
        name: short name for messages and the call record, e.g. `vercel`.
        headers: sent with each request.
        token: credential; revealed at the first request.
        token_header: name of the header that carries it, and what stands before it.
        idempotency_header: the server knows a repeated change by its `Idempotency-Key`.
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
        token_header: tuple[str, str] = BEARER,
        idempotency_header: bool = False,
        resolver: str | None = None,
        timeout: float = TIMEOUT_S,
        policy: retry.Policy | None = None,
        on_call: Callable[[Call], None] | None = None,
        max_bytes: int = MAX_BYTES,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.base_url, self.name = base_url.rstrip("/"), name
        self._headers, self._token, self._token_header = dict(headers or {}), token, token_header
        self._idempotent = idempotency_header
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
        answer = self._good(self.fetch(path, params=params), path)
        if expect_json:
            _ = answer.json
        return answer

    def fetch(self, path: str = "", *, params: Params | None = None, method: str = "GET") -> Answer:
        """Read a path and return the answer whatever its status is; errors as in `get` otherwise."""
        if method not in READS:
            raise UsageError(f"{method} could change something; this client only reads")
        return self._patiently(Sending(method, path, params), retry.reading)

    def ask(self, path: str, json: Any) -> Answer:
        """Put a question that a server takes only with POST; the few there are stand in `http.safe`.

        Args:
            path: appended to the base address.
            json: the body.

        Raises:
            UsageError: it is not known to be a mere question; nothing was sent.
            Malformed: the answer names errors.
            SourceError: as `get`.
        """
        if not safe.reads(self.name, path, json):
            raise UsageError(f"POST {path or '/'} could change something; this client only reads")
        answer = self._good(self._patiently(Sending("POST", path, body=json), retry.reading), path)
        _ = answer.json
        if said := failures.errors_within(answer.body):
            raise Malformed(f"{self._where} did not answer the question: {said}", kind="rejected")
        return answer

    def act(self, opening: Opening) -> Answer:
        """Do exactly what an opening of the gate says, once.

        It is sent again only when the server turned it away for now (429 with the time to come back),
        or when it knows the request again by its idempotency key.

        Args:
            opening: the leave; it is spent before anything is sent.

        Returns:
            A success, 202 included; its body may repeat what was sent, secret values too.

        Raises:
            Refused: it is for another source, or used before. Nothing was sent.
            Unreachable: nobody knows whether it was done.
            SourceError: the server did not do it; its reason is in the message.
        """
        sending = acting.sending(opening, self.name, idempotent=self._idempotent)
        again = retry.recognised if self._idempotent else retry.turned_away
        try:
            answer = self._patiently(sending, again, errors=self._idempotent)
        except Malformed as error:
            raise Unreachable(f"{error.message}; whether it was done is not known", kind="lost") from None
        if said := failures.errors_within(self._good(answer, sending.path).body):
            raise Unreachable(f"{self._where} took it and names errors: {said}", kind="rejected")
        return answer

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
        return f"{self.name} ({host(self.base_url)})"

    def _good(self, answer: Answer, path: str) -> Answer:
        """Return the answer if it is a success, else raise the error for it."""
        said = failures.vendors_words(answer.body)
        error = failures.from_status(answer.status_code, answer.headers, self._where, path or "/", said)
        if error:
            raise error
        return answer

    def _patiently(self, sending: Sending, again: Again, *, errors: bool = False) -> Answer:
        """Send a request, and again where that is allowed.

        Args:
            sending: the request.
            again: given status and headers, tells whether it may be sent again.
            errors: it may be sent again also when no answer came.
        """
        begun = time.monotonic()
        attempt = 1
        while True:
            try:
                answer = self._recorded(sending)
            except SourceError:
                if not errors or (wait := self._wait({}, attempt, begun)) is None:
                    raise
            else:
                repeat = again(answer.status_code, answer.headers)
                if not repeat or (wait := self._wait(answer.headers, attempt, begun)) is None:
                    return answer
            self._sleep(wait)
            attempt += 1

    def _wait(self, headers: Mapping[str, str], attempt: int, begun: float) -> float | None:
        """Return the seconds to wait before the next attempt, or None when there shall be none."""
        if attempt >= self._policy.attempts:
            return None
        wait = self._policy.wait(attempt, headers)
        return wait if time.monotonic() - begun + wait <= self._policy.total_s else None

    def _recorded(self, sending: Sending) -> Answer:
        started = time.perf_counter()
        try:
            answer = self._send(sending)
        except SourceError as error:
            self._record(sending, started, error.message)
            raise
        self._record(sending, started, "" if answer.status_code < 400 else f"answered {answer.status_code}")
        return answer

    def _send(self, sending: Sending) -> Answer:
        self._clock.begin(self._timeout)
        started = time.perf_counter()
        try:
            words = sending.words(self._authorised())
            request = self._http.build_request(sending.method, self.base_url + sending.path, **words)
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
        if following is None or request.method not in READS:
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
        name, before = self._token_header
        return {**self._headers, name: f"{before}{self._token.reveal()}"}

    def _record(self, sending: Sending, started: float, error: str) -> None:
        if self._on_call is None:
            return
        ms = round((time.perf_counter() - started) * 1000, 1)
        what, digest = sending.trace(self.base_url)
        self._on_call(Call(f"http:{self.name}", what, None, ms, not error, error, digest))
