"""What goes over the wire between a log and its witness, as C2SP's tlog-witness has it."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from opslib.errors import Malformed, Unreachable
from opslib.evidence.merkle import HASH_BYTES
from opslib.evidence.notes import LARGEST_NOTE, Note
from opslib.evidence.plain import NotSound, strict64, text64, whole

if TYPE_CHECKING:
    import httpx

ADD = "/add-checkpoint"
SIZE_TYPE = "text/x.tlog.size"
DEADLINE_SECONDS = 10.0  # for name, connection, request and answer together
LARGEST_REQUEST = LARGEST_NOTE + 64 * 46  # bytes; a note, a proof and the old size
_LONGEST_PROOF = 63
_NUMBER = re.compile(r"^\[Errno -?\d+\] ")
_TEXT = "text/plain; charset=utf-8"


@dataclass(frozen=True)
class Submission:
    """A head that a witness is asked to cosign.

    Args:
        old: leaves that the witness is thought to have seen.
        proof: that the log still begins as it did then.
        note: the head, signed by its log.
    """

    old: int
    proof: tuple[bytes, ...]
    note: Note

    @classmethod
    def parse(cls, body: bytes) -> Submission:
        """Return what a request asks for.

        Raises:
            NotSound: it has another form.
        """
        above, separator, note = body.partition(b"\n\n")
        try:
            first, *lines = above.decode("ascii").split("\n")
        except UnicodeDecodeError:
            raise NotSound("the proof is no plain text") from None
        if not separator or not first.startswith("old ") or len(lines) > _LONGEST_PROOF:
            raise NotSound("this is no request of the form: old size, proof, empty line, checkpoint")
        proof = tuple(strict64(line) for line in lines)
        if any(len(step) != HASH_BYTES for step in proof):
            raise NotSound("a line of the proof is no SHA-256 hash")
        return cls(whole(first.removeprefix("old ")), proof, Note.parse(note))

    def encode(self) -> bytes:
        """Return the body of the request."""
        lines = [f"old {self.old}", *map(text64, self.proof)]
        return ("\n".join(lines) + "\n\n").encode() + self.note.encode()


@dataclass(frozen=True)
class Answer:
    """What came back.

    Args:
        status: of HTTP.
        body: no longer than a note can be.
    """

    status: int
    body: bytes


def held_path(origin: str) -> str:
    """Return where a witness shows the last head that it cosigned of a log."""
    return f"/{hashlib.sha256(origin.encode()).hexdigest()}/checkpoint"


def exchanged(
    method: str, url: str, path: str, *, body: bytes = b"", token: str = "", kind: str = _TEXT
) -> Answer:
    """Send one request and return the answer, all of it within a deadline.

    Args:
        method: `GET` or `POST`.
        url: of the witness.
        path: below it.
        body: what to send.
        token: a bearer token, or nothing.
        kind: media type of the body.

    Raises:
        Unreachable: no answer came in time, or its certificate is not trusted.
        Malformed: the answer is too large, or no HTTP.
    """
    import httpcore
    import httpx

    from opslib.http.transport import Clock, Transport

    clock = Clock()
    clock.begin(DEADLINE_SECONDS)
    headers = {"Content-Type": kind, "Accept-Encoding": "identity"}
    headers |= {"Authorization": f"Bearer {token}"} if token else {}
    try:
        with httpx.Client(transport=Transport(url, None, clock), timeout=DEADLINE_SECONDS) as client:
            request = client.build_request(method, url + path, content=body, headers=headers)
            return _read(client.send(request, stream=True))
    except httpcore.TimeoutException:
        raise Unreachable(f"no whole answer came within {DEADLINE_SECONDS:g} s", kind="timeout") from None
    except (httpcore.ProtocolError, httpx.DecodingError) as error:
        raise Malformed(f"what it answers is no HTTP: {error}") from None
    except (httpcore.NetworkError, httpcore.ProxyError, httpx.InvalidURL, OSError) as error:
        why = _NUMBER.sub("", str(error)).lower()
        raise Unreachable(f"it cannot be reached: {why}" if why else "it hung up") from None


def _read(response: httpx.Response) -> Answer:
    content = b""
    try:
        for chunk in response.iter_raw():
            content += chunk
            if len(content) > LARGEST_NOTE:
                raise Malformed(f"its answer is longer than {LARGEST_NOTE // 1000} kB")
    finally:
        response.close()
    return Answer(response.status_code, content)
