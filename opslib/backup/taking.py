"""Taking a backup: one view, its manifest and its dump side by side, hashed, read back, then named."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from opslib import ids
from opslib.backup import manifest, money, reading, room, tools
from opslib.backup.manifest import Content, Holds, Manifest
from opslib.backup.store import DUMP, MANIFEST, Folder
from opslib.errors import SourceError
from opslib.pg import whole
from opslib.pg.connect import DoorLike

if TYPE_CHECKING:
    from datetime import datetime

_WORDS = {"all": (), "schema": ("--schema-only",), "data": ("--data-only",)}
_MB, _MOMENT_S = 1e6, 1.0
Say = Callable[[str], None]


@dataclass(frozen=True)
class Source:
    """What is backed up.

    Args:
        system, environment: whose database.
        door: a way to the server itself.
        name: what the server's administrator sees.
    """

    system: str
    environment: str
    door: DoorLike
    name: str


def take(
    source: Source, store: Folder, *, content: Content = "all", jobs: int = 1, say: Say = lambda text: None
) -> Manifest:
    """Take a backup into a store.

    Args:
        source: of what.
        store: into which.
        content: everything, the schema only, or the data only.
        jobs: tables that are dumped at once; each takes a connection.
        say: told how far it is.

    Returns:
        The manifest; only what was read back and found whole is in the store.

    Raises:
        Refused: no fitting programs, no room, another backup is being taken, or no view can be held there.
        SourceError: the database could not be read as a whole.
    """
    begun = time.monotonic()
    with store.preparing() as part, whole.frozen(source.door, source.name) as view:
        used = tools.find(view.major, remote=tools.over_network(source.door))
        packed = tools.compression(used)
        if content != "schema":
            room.make_sure(store, view)
        described = manifest.describe(view)  # before the dump: what that has of a sequence is never behind
        say("counting and checking every row")
        words = [
            "--format=directory", f"--jobs={jobs}", tools.packed(used, packed), f"--snapshot={view.snapshot}",
            f"--lock-wait-timeout={whole.LOCK_TIMEOUT_S}s", "--no-password", *_WORDS[content],
        ]  # fmt: skip
        with tools.reaching(source.door, source.name) as environment, _looking(view, described) as looked:
            dump = part / DUMP
            how_far = _how_far(dump, say, looked)
            with _first_fault(looked):
                warned = tools.run(
                    used, "pg_dump", *words, f"--file={dump}", environment=environment, progress=how_far
                )
            holds = money.noted(view, looked.result())
        say("reading it back")
        found = reading.files(part)
        reading.read_back(part, used)
        made = Manifest(
            id=new_id(view.taken_at), system=source.system, environment=source.environment, content=content,
            holds=holds, client_version=used.version, compression=packed, finished_at=ids.stamp(ids.now()),
            seconds=round(time.monotonic() - begun, 2), files=found,
            database_bytes=int(view.table("database_size")["bytes"].iloc[0]), warnings=warned,
        )  # fmt: skip
        (part / MANIFEST).write_text(made.text(), encoding="utf-8")
        store.put(part, made.id)
    return made


def new_id(moment: datetime) -> str:
    """Return a name for a backup that sorts by its time."""
    return f"{moment:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


@contextmanager
def _looking(view: whole.Frozen, described: Holds) -> Iterator[Future[Holds]]:
    """Yield what the view holds, read while others work; left early, the reading is ended."""
    with ThreadPoolExecutor(1) as beside:
        looked = beside.submit(manifest.look, view, described=described)
        try:
            yield looked
        finally:
            if not looked.done():
                view.cancel()


@contextmanager
def _first_fault(looked: Future[Holds]) -> Iterator[None]:
    """Let what broke first be told: where the view could not be read it is gone, and the dump breaks, too."""
    try:
        yield
    except SourceError:
        if looked in wait([looked], _MOMENT_S).done:
            looked.result()
        raise


def _how_far(dump: Path, say: Say, looked: Future[Holds]) -> Callable[[], None]:
    def tell() -> None:
        if looked.done():
            looked.result()  # what could not be read ends the dump
        written = sum(path.stat().st_size for path in dump.glob("*")) if dump.exists() else 0
        say(f"{written / _MB:.1f} MB written")

    return tell
