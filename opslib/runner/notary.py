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
from dataclasses import replace
from datetime import datetime
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from opslib import ids
from opslib.archive import shared
from opslib.archive.holders import Busy
from opslib.errors import OpsError
from opslib.home import parameters_file, private

if TYPE_CHECKING:
    from opslib.config import Witnesses
    from opslib.evidence import Log, Trust
    from opslib.evidence.events import Event, KeyRotated
    from opslib.evidence.witnesses import Standing
    from opslib.runner.request import Request

LOG, STATEMENT, WITNESSES = "log", "run.json", "witnesses.yml"
_ORIGIN = "origin"  # has the name of a log until its head does
_ODD = re.compile(r"[^A-Za-z0-9.-]+")

_MEANWHILE = "Until then nothing is logged: `opslib verify` will name these records"

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
    from opslib.evidence.layout import ENVELOPE
    from opslib.keys.machine import machine_key

    with complaining("a record is not signed"):
        return {ENVELOPE: sign_statement(statement, machine_key("runner"))}
    return {}


def sealed(archive: Path, folder: Path, actor: str = "") -> None:
    """Put a record that is in its place into the log, and its proof beside it, unless that was done."""
    from opslib.evidence import finished, seal
    from opslib.evidence.events import Subject
    from opslib.evidence.layout import ENVELOPE, PROOF

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

    policy, runners = own_keys(archive)
    return trust(policy, runners.splitlines())


def own_keys(archive: Path) -> tuple[str, str]:
    """Return whom this machine believes: about its own log, and as runners, one key a line.

    Raises:
        ConfigError: a key is there and cannot be used.
    """
    from opslib.evidence.rotations import RUNNER
    from opslib.keys.machine import machine_key

    keys = private("keys")
    before = [event.old for event in _rotated(keys, _stamps(keys)) if event.role == RUNNER]
    lines = [machine_key(RUNNER).public.line, *before]
    return own_policy(archive), "".join(f"{line}\n" for line in lines)


def own_policy(archive: Path) -> str:
    """Return whom this machine believes about its own log: the log's keys, and the witnesses of its file.

    Raises:
        ConfigError: the file is wrong, or a key cannot be used.
    """
    keys = private("keys")
    known, found = _log(archive, keys, _stamps(keys), _origin(archive / LOG)).keys, witnesses()
    if found is None:
        return "".join(f"log {key.text}\n" for key in known) + "quorum none\n"
    from opslib.evidence.witnesses import policy_text

    return policy_text(known, found)


def witnesses() -> Witnesses | None:
    """Return who witnesses the logs of this project; None where no file says so.

    Raises:
        ConfigError: the file is wrong.
    """
    path = parameters_file(WITNESSES)
    if path is None:
        return None
    from opslib.config.witnesses import read_witnesses

    found = read_witnesses(path)
    return found if found.witnesses else None


def standing(archive: Path) -> Standing | None:
    """Return who is known to hold how much of the log of an archive; None where nobody witnesses it.

    Raises:
        ConfigError: the file of witnesses is wrong.
    """
    found = witnesses()
    if found is None:
        return None
    from opslib.evidence.witnesses import standing as known

    return known(archive / LOG, found)


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
    """Return the log of an archive, which signs with this machine's key, and knows whose place that took.

    Raises:
        ConfigError: the key is there and cannot be used.
        ArchiveError, OSError: the log cannot be read, or not be told of a new key.
        NotSound: it is damaged.
    """
    keys = private("keys")
    origin = _named(archive / LOG)
    _announced(archive, keys, _stamps(keys), origin)
    return _log(archive, keys, _stamps(keys), origin)


@contextmanager
def complaining(what: str) -> Iterator[None]:
    """Say what cannot be done, once, and go on."""
    from opslib.evidence.plain import NotSound

    try:
        yield
    except Busy as error:
        _say(f"busy: {error.lock}", f"{what}: {error.message}; {error.hint}. {_MEANWHILE}")
    except (OpsError, OSError, NotSound) as error:
        text = f"{what}: {getattr(error, 'message', error)}"
        _say(text, text)


def _say(once: str, text: str) -> None:
    if once not in _said:
        _said.add(once)
        log.warning("%s", text)


_Stamps = tuple[tuple[int, int], ...]


def _stamps(keys: Path) -> _Stamps:
    """Return what changes when a key of this machine does."""
    found = [path.stat() for path in (*keys.glob("*.rotations"), *keys.glob("[lr]*_ed25519"))]
    return tuple((stat.st_mtime_ns, stat.st_ino) for stat in found)


@cache
def _log(archive: Path, keys: Path, stamps: _Stamps, origin: str) -> Log:
    """Return the log of an archive; its key is the one in that folder of keys."""
    from opslib.evidence import Log, LogSigner
    from opslib.evidence.rotations import LOG_ROLE
    from opslib.keys.machine import machine_key
    from opslib.keys.public import PublicKey

    signer = LogSigner(origin, machine_key(LOG_ROLE))
    before = [event.old for event in _rotated(keys, stamps) if event.role == LOG_ROLE]
    former = [replace(signer.verifier, public=PublicKey.parse(old).blob[-32:]) for old in before]
    return Log(archive / LOG, signer, former)


@cache
def _rotated(keys: Path, stamps: _Stamps) -> tuple[KeyRotated, ...]:
    """Return all rotations that led to the keys of this machine."""
    if not any(keys.glob("*.rotations")):
        return ()
    from opslib.evidence.rotating import rotated
    from opslib.evidence.rotations import LOG_ROLE, RUNNER
    from opslib.keys.machine import machine_key

    return tuple(event for role in (LOG_ROLE, RUNNER) for event in rotated(role, machine_key(role)))


@cache
def _announced(archive: Path, keys: Path, stamps: _Stamps, origin: str) -> None:
    """Tell a log of the rotations that it does not know."""
    told = _rotated(keys, stamps)
    if not told:
        return
    from opslib.runner.known import known

    log = _log(archive, keys, stamps, origin)
    before = known(log.folder).rotated
    new = [replace(event, time=ids.now()) for event in told if event.accepted not in before]
    if new:
        log.append(*new)


def _named(folder: Path) -> str:
    """Return the name of a log, which a new one is given now: of several that begin it, by the quickest."""
    from opslib.evidence.tiles import CHECKPOINT

    if not (folder / CHECKPOINT).exists() and not (folder / _ORIGIN).exists():
        folder.mkdir(parents=True, exist_ok=True)
        shared.create(folder / _ORIGIN, f"{_origin(folder)}\n".encode())
    return _origin(folder)


def _origin(folder: Path) -> str:
    """Return the name of a log, which is on its head; a new one where it has none yet."""
    from opslib.evidence.tiles import CHECKPOINT

    for name in (CHECKPOINT, _ORIGIN):
        if found := shared.read(folder / name).decode("utf-8", "replace").partition("\n")[0]:
            return found
    return f"{_ODD.sub('-', platform.node()) or 'localhost'}/opslib/{secrets.token_hex(4)}"
