"""A restore that is tried: how long each step takes, and whether what comes back is what went in."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opslib.backup import comparing, instance, manifest, reading, restoring, room, tools
from opslib.backup.comparing import Difference
from opslib.backup.copying import DAMAGED
from opslib.backup.manifest import Manifest
from opslib.backup.store import Folder
from opslib.errors import OpsError, Refused, SourceError, Unreachable
from opslib.pg import whole
from opslib.pg.connect import DoorLike, parameters

_NAME = "opslib/dr-drill"
# What this machine is to blame for, and not the backup.
REFUSED, EXTENSION = "refused", "extension"
Server = Callable[[], AbstractContextManager[DoorLike]]


@dataclass
class Drill:
    """What came of a drill.

    Args:
        backup: what was restored.
        steps: (what, seconds), in order.
        differences: between the manifest and what came back.
        broke: (step, kind, words) where it went no further, or nothing.
        rows: of each table that came back.
        guessed: tables of which there are no statistics, so that every plan is a guess.
        app: what came of trying an app on it: what it answered, or in words why it did not start; None
            where that was not reached.
    """

    backup: Manifest
    steps: list[tuple[str, float]] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)
    broke: tuple[str, str, str] | None = None
    rows: dict[str, int] = field(default_factory=dict)
    guessed: tuple[str, ...] = ()
    app: Any = None

    @property
    def minutes(self) -> float:
        """How long it took, but for starting the server: what a real restore would take on this machine."""
        return sum(seconds for _, seconds in self.steps) / 60


def drill(
    kept: Folder,
    backup: Manifest,
    server: Server,
    say: Callable[[str], None] = lambda text: None,
    try_app: Callable[[DoorLike], Any] = lambda door: None,
    fetch: Callable[[], None] | None = None,
) -> Drill:
    """Restore a backup into a server that is started for it, and compare every row.

    Where the disk has no room for that, nothing is known of the backup: it is not to blame.

    Args:
        kept: where the backup is.
        backup: which one.
        server: yields the door to an empty database, through a socket beside its data, and removes it after.
        say: told how far it is.
        try_app: starts an app against the restored database, and asks it; not where something differs.
        fetch: brings the backup to where it is kept, as the first step; None where it is there already.

    Returns:
        What came of it; nothing is raised for a backup or a server that is no good.
    """
    made = Drill(backup)
    clock = _Clock(made, say)
    try:
        if fetch:
            clock.step("fetching it from the bucket")
            _fetched(fetch)
        clock.step("reading it back")
        if wrong := reading.verify(kept, backup.id):
            made.broke = (clock.now, wrong.kind, wrong.text)
            return made
        clock.pause()
        with server() as door:
            clock.step("looking at the server")
            place = restoring.examine(door, backup)
            if why := restoring.reason(place, backup):
                kind = _kind(place)
                made.broke = (clock.now, kind, why)
                return made
            folder = Path(parameters(door)["host"])  # of its socket, and of its data
            room.restorable(folder, backup)
            with room.kept_free(folder):
                clock.step("restoring")
                restoring.restore(kept, backup, door)
                clock.step("comparing")
                _compare(made, door)
            if not any(map(comparing.grave, made.differences)):
                clock.step("starting the app")
                made.app = _tried(try_app, door)
    except OpsError as error:
        kind = getattr(error, "kind", REFUSED)
        made.broke = (clock.now, REFUSED if kind in tools.NO_FAULT else kind, error.message)
    finally:
        clock.pause()
    return made


def _kind(place: restoring.Place) -> str:
    """Return of what kind it is that a backup cannot be tried here."""
    if place.missing_extensions:
        return EXTENSION
    return REFUSED if place.locks else "target"


def _compare(made: Drill, door: DoorLike) -> None:
    with whole.frozen(door, _NAME) as view:
        now = manifest.look(view)
        made.guessed = tuple(view.table("without_statistics")["table_name"])
    made.rows = {name: table.rows for name, table in now.tables.items()}
    made.differences = comparing.differences(made.backup.holds, now, content=made.backup.content)


def _fetched(fetch: Callable[[], None]) -> None:
    try:
        fetch()
    except SourceError as error:
        if error.kind in (DAMAGED, "manifest"):
            raise
        raise Refused(error.message) from None  # a store that is silent says nothing of the backup


def _tried(try_app: Callable[[DoorLike], Any], door: DoorLike) -> Any:
    try:
        return try_app(door)
    except Unreachable as error:
        if error.kind != instance.KIND:
            raise
        return error.message


class _Clock:
    """Writes down how long each step takes."""

    def __init__(self, made: Drill, say: Callable[[str], None]) -> None:
        self._made, self._say, self._begun = made, say, 0.0
        self.now = ""
        self._running = False

    def step(self, name: str) -> None:
        self.pause()
        self.now, self._begun, self._running = name, time.monotonic(), True
        self._say(name)

    def pause(self) -> None:
        if self._running:
            self._made.steps.append((self.now, round(time.monotonic() - self._begun, 3)))
            self._running = False
