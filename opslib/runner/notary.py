"""What the log of an archive is told of runs: asked for, begun, sealed; and how their records are signed.

A log that cannot be written keeps nobody from looking at a sick system: the run goes on, why is said once,
and `opslib verify` names the record that the log does not know.
"""

from __future__ import annotations

import hashlib
import logging
import platform
import re
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from opslib import ids
from opslib.errors import OpsError
from opslib.home import private

if TYPE_CHECKING:
    from opslib.evidence import Log, Trust
    from opslib.evidence.events import Event
    from opslib.runner.request import Request

LOG, STATEMENT = "log", "run.json"
_ODD = re.compile(r"[^A-Za-z0-9.-]+")

log = logging.getLogger("opslib.evidence")
_said: set[str] = set()


def requested(requests: Sequence[Request]) -> None:
    """Tell the log that runs were asked for: in one go, before anything else is done."""
    for archive in dict.fromkeys(request.archive for request in requests):
        mine = [request for request in requests if request.archive == archive]
        _tell(archive, partial(list, map(_asked, mine)))


def started(archive: Path, run_id: str) -> None:
    """Tell the log that a kernel is about to be started for a run."""

    def event() -> list[Event]:
        from opslib.evidence.events import RunStarted

        return [RunStarted(time=ids.now(), run=run_id)]

    _tell(archive, event)


def signed(statement: bytes) -> dict[str, bytes]:
    """Return the envelope of a statement as a file of its record; nothing where it cannot be signed."""
    from opslib.evidence import sign_statement
    from opslib.evidence.records import ENVELOPE
    from opslib.keys.machine import machine_key

    with complaining("a record is not signed"):
        return {ENVELOPE: sign_statement(statement, machine_key("runner"))}
    return {}


def sealed(archive: Path, folder: Path, actor: str = "") -> None:
    """Put a record that is in its place into the log, and its proof beside it, unless that was done."""
    from opslib.evidence import finished, seal
    from opslib.evidence.events import Subject
    from opslib.evidence.records import ENVELOPE, PROOF

    envelope = folder / ENVELOPE
    if (folder / PROOF).exists() or not envelope.exists():
        return
    with complaining(f"a record is not in the log of {archive}"):
        plain = Subject(STATEMENT, hashlib.sha256((folder / STATEMENT).read_bytes()).hexdigest())
        event = finished(envelope.read_bytes(), ids.now(), actor=actor, blobs=[plain])
        seal(log_of(archive), folder, event)


def own_trust(archive: Path) -> Trust:
    """Return trust in the keys of this machine: enough to see what others did to its own archive.

    Raises:
        ConfigError: a key is there and cannot be used.
    """
    from opslib.evidence import trust
    from opslib.keys.machine import machine_key

    verifier = log_of(archive).signer.verifier
    return trust(f"log {verifier.text}\nquorum none\n", [machine_key("runner").public.line])


def _asked(request: Request) -> Event:
    from opslib.evidence.events import RunRequested

    moment = request.scheduled_for
    return RunRequested(
        time=ids.now(),
        actor=request.actor,
        run=request.run_id,
        procedure=request.procedure.id,
        system=request.system,
        environment=request.environment,
        trigger=request.trigger,
        slot=request.actor if moment else "",
        scheduled_for=datetime.fromisoformat(moment) if moment else None,
    )


def _tell(archive: Path, events: Callable[[], Sequence[Event]]) -> None:
    with complaining(f"runs are not in the log of {archive}"):
        log_of(archive).append(*events())


def log_of(archive: Path) -> Log:
    """Return the log of an archive, which signs with this machine's key.

    Raises:
        ConfigError: the key is there and cannot be used.
        OSError: its head cannot be read.
    """
    return _log(archive, private("keys"))


@contextmanager
def complaining(what: str) -> Iterator[None]:
    """Say what cannot be done, once, and go on."""
    from opslib.evidence.plain import NotSound

    try:
        yield
    except (OpsError, OSError, NotSound) as error:
        text = f"{what}: {getattr(error, 'message', error)}"
        if text not in _said:
            _said.add(text)
            log.warning("%s", text)


@cache
def _log(archive: Path, keys: Path) -> Log:
    """Return the log of an archive; its key is the one in that folder of keys."""
    from opslib.evidence import Log, LogSigner
    from opslib.keys.machine import machine_key

    return Log(archive / LOG, LogSigner(_origin(archive / LOG), machine_key("log")))


def _origin(folder: Path) -> str:
    """Return the name of a log, which is on its head; a new one where it has none yet."""
    from opslib.evidence.tiles import CHECKPOINT

    try:
        return (folder / CHECKPOINT).read_text(encoding="utf-8").partition("\n")[0]
    except FileNotFoundError:
        return f"{_ODD.sub('-', platform.node()) or 'localhost'}/opslib/{secrets.token_hex(4)}"
