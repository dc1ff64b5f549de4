"""Talks to the sandbox's control endpoint; standard library only, so that commands start at once."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any
from urllib.parse import urlsplit

from opslib import errors
from opslib.sandbox import state

# The longest command breaks every system at once.
COMMAND_S = 180.0
PING_S = 10.0


class Gone(errors.SandboxError):
    """The sandbox's process is not there any more."""


class Busy(errors.SandboxError):
    """The sandbox's process is there but does not answer."""

    hint = "`opslib sandbox down` ends it all the same"


def call(document: dict[str, Any], command: str, timeout: float = COMMAND_S, **words: Any) -> Any:
    """Send one command and return its result.

    Args:
        document: the state file's content.
        command: status, break, heal, systems or down.
        timeout: seconds to wait.
        words: the command's arguments.

    Raises:
        Gone, Busy: nobody answers.
        OpsError: what the sandbox raised.
    """
    with closing(_connection(document, timeout)) as connection:
        answer = _ask(connection, "POST", f"/{command}", document, json.dumps(words))
        try:
            told = json.loads(answer.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise Gone(f"The sandbox broke off its answer to {command}: {error}") from error
    if answer.status != 200:
        kind = getattr(errors, str(told.get("error")), errors.SandboxError)
        raise kind(told.get("message", f"{command} was refused ({answer.status})"), hint=told.get("hint", ""))
    return told["result"]


@contextmanager
def lease(document: dict[str, Any]) -> Iterator[None]:
    """Keep the sandbox up while the block lasts; a lease ends with its process, however that ends."""
    with closing(_connection(document, PING_S)) as connection:
        answer = _ask(connection, "GET", "/lease", document, None)
        answer.readline()
        yield
        answer.close()


def alive() -> dict[str, Any] | None:
    """Return the state of the sandbox that is up; None when none is.

    Raises:
        Busy: one is there but does not answer.
    """
    document = state.read()
    if document is None:
        return None
    try:
        answer = call(document, "status", PING_S)
    except Busy:
        raise
    except errors.OpsError:
        # Nobody listens there, or by now somebody else.
        return None
    return document if answer["pid"] == document["pid"] else None


def _connection(document: dict[str, Any], timeout: float) -> http.client.HTTPConnection:
    address = urlsplit(document["control"])
    return http.client.HTTPConnection(str(address.hostname), address.port, timeout=timeout)


def _ask(
    connection: http.client.HTTPConnection, method: str, path: str, document: dict[str, Any], body: str | None
) -> http.client.HTTPResponse:
    try:
        connection.request(method, path, body, {"Authorization": f"Bearer {document['token']}"})
        return connection.getresponse()
    except TimeoutError as error:
        raise Busy(f"The sandbox (process {document['pid']}) does not answer") from error
    except (OSError, http.client.HTTPException) as error:
        raise Gone(f"The sandbox does not answer: {error}") from error
