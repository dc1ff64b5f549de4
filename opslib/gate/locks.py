"""One change at a time for each target: two people never change one thing at once.

Where the system's database is the target, the lock is the server's own and holds from every machine.
Else it is a file in the archive, which the people who share changes share.
"""

from __future__ import annotations

import getpass
import hashlib
import json
import os
import platform
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from opslib import ids
from opslib.archive import shared, store
from opslib.archive.changes import FOLDER
from opslib.changes import Kind, Means
from opslib.errors import ArchiveError, Refused
from opslib.gate.plan import Plan

DATABASE = "database"


@contextmanager
def held(plan: Plan, kind: type[Kind], means: Means, archive: Path, run_id: str) -> Iterator[None]:
    """Hold everything that a plan is about to change.

    Raises:
        Refused: somebody else holds it; the message says who, and since when.
        ArchiveError: the archive cannot be written to.
    """
    place = f"{plan.system}/{plan.environment}/{plan.draft.kind}"
    with ExitStack() as stack:
        stack.enter_context(_file(archive, f"plan {plan.digest}", f"plan {plan.short}", run_id))
        if kind.LOCK == DATABASE:
            stack.enter_context(means.database().lock(f"{plan.system}/{plan.environment}"))
        else:
            for identity in sorted({_identity(plan, place, n) for n in range(len(plan.draft.targets))}):
                stack.enter_context(_file(archive, identity, place, run_id))
        yield


def _identity(plan: Plan, place: str, number: int) -> str:
    identity = plan.draft.targets[number].identity
    return f"{place} {json.dumps(dict(identity), sort_keys=True, default=str)}"


@contextmanager
def _file(archive: Path, what: str, shown: str, run_id: str) -> Iterator[None]:
    folder = archive / FOLDER / ".locks"
    path = folder / f"{hashlib.sha256(what.encode()).hexdigest()[:32]}.lock"
    note = path.with_suffix(".holder")
    with store.plainly(archive):
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise Refused(f"{shown} is being changed{_holder(note)}", hint="wait for it to end") from None
    try:
        with store.plainly(archive):
            said = f"by {_who()}, run {run_id}, since {ids.stamp(ids.now())}"
            shared.replace(note, said.encode(errors="replace"))
        yield
    finally:
        with suppress(OSError):  # who comes next writes their own
            note.unlink()
        lock.release()


def _holder(note: Path) -> str:
    try:
        said = shared.read(note).decode(errors="replace").strip()
    except ArchiveError:
        said = ""
    return f" {said or 'by somebody else'}"


def _who() -> str:
    try:
        user = getpass.getuser()
    except (OSError, KeyError):
        user = "unknown"
    return f"{user}@{platform.node() or 'localhost'} (pid {os.getpid()})"
