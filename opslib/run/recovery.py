"""`ops.recovery`: choose a backup, look at where it may go, compare, and drill."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import cached_property, partial

import pandas as pd

from opslib import config, frames, site
from opslib.backup import comparing, copying, drilling, instance, manifest, restoring, store, vanishing
from opslib.backup.drilling import Drill
from opslib.backup.manifest import Manifest
from opslib.backup.restoring import Place
from opslib.backup.room import NoRoom
from opslib.config.model import SANDBOX
from opslib.errors import (
    ConfigError,
    ParameterError,
    Refused,
    SandboxError,
    SecretError,
    SourceError,
    UsageError,
)
from opslib.pg import sql, whole
from opslib.pg.connect import DoorLike
from opslib.run.backups import prepared
from opslib.show import display

DIFFERENCES = ("part", "name", "was", "now")
_GUESSED = "without_statistics"
FETCHED = ("id", "kind", "text")
DISK, BUCKET = "disk", "bucket"


@dataclass(frozen=True)
class Picked:
    """A backup that was chosen, or why none could be.

    Args:
        backup: its manifest.
        digest: over the manifest.
        reason: why there is none.
        kind: in which way it could not be read.
        place: where it was seen: `disk`, or `bucket`.
    """

    backup: Manifest | None = None
    digest: str = ""
    reason: str = ""
    kind: str = ""
    place: str = DISK

    @property
    def id(self) -> str:
        """Its name; "" where there is none."""
        return self.backup.id if self.backup else ""


@dataclass(frozen=True)
class Seen:
    """A target as it was seen, or why it was not.

    Args:
        place: what was seen; None also where the system's file names no target.
        reason: why it could not be looked at.
        named: a person named it; one that was only looked at is never written to.
    """

    place: Place | None = None
    reason: str = ""
    named: bool = False

    @property
    def wanted(self) -> Place | None:
        """What was seen of a target that a person named."""
        return self.place if self.named else None


class RecoverySource:
    """`ops.recovery`: what backups are for.

    Args:
        env: whose.
        run_id: the run, for progress.
    """

    def __init__(self, env: config.Environment, run_id: str) -> None:
        self._env = env
        self._say = display.Progress(run_id)

    def choose(self, backup: str = "", origin: str = "", place: str = DISK) -> Picked:
        """Return a backup by its name: the newest one when none is named.

        Args:
            backup: its name.
            origin: whose it is, as `ENVIRONMENT/SYSTEM`, where it is not this system's own.
            place: `disk` for those on this machine, `bucket` for the copies of them.

        Raises:
            ParameterError: there is none of that name, or it is of another system.
        """
        try:
            kept: store.Listing = self._copies if place == BUCKET else self._store
            found = restoring.chosen(kept, backup, origin)
            return Picked(found, restoring.digest(kept, found.id), place=place)
        except ParameterError:
            raise
        except (SourceError, ConfigError, UsageError, Refused, SandboxError) as error:
            return Picked(reason=error.message, kind=getattr(error, "kind", ""), place=place)

    def fetch(self, picked: Picked) -> pd.DataFrame:
        """Bring a backup that was seen in the bucket to this machine, where it stays.

        Returns:
            One row: id, kind (`damaged`, `room`, or "" where it is here now) and text.
        """
        if picked.place != BUCKET:
            return frames.unavailable(FETCHED, "it is on this machine already", absent=True)
        if picked.backup is None:
            return frames.unavailable(FETCHED, picked.reason)
        try:
            self._copies.fetch(picked.id, self._store, self._say)
            row = (picked.id, "", "every byte is as it was sent")
        except NoRoom as error:
            row = (picked.id, "room", error.message)
        except (SourceError, ConfigError, UsageError, Refused, SandboxError) as error:
            if getattr(error, "kind", "") != copying.DAMAGED:
                return frames.unavailable(FETCHED, error.message)
            row = (picked.id, "damaged", error.message)
        return pd.DataFrame([row], columns=list(FETCHED))

    def target(self, name: str, picked: Picked, *, lost: bool = False) -> Seen:
        """Look at a target of the system's file, as far as it matters for a backup.

        Args:
            name: which one; where none is named and the file has one only, that is looked at.
            picked: the backup.
            lost: a person says that databases in use which cannot be asked are gone.

        Raises:
            ParameterError: the file names none of that name.
        """
        only = next(iter(self._env.targets), "") if len(self._env.targets) == 1 else ""
        if not (name or only) or picked.backup is None:
            return Seen()
        try:
            place = restoring.look(self._env, name or only, picked.backup, lost=lost)
            return Seen(place, named=bool(name))
        except (SourceError, SecretError, Refused) as error:
            return Seen(reason=error.message)

    def compare(self, picked: Picked, target: str) -> pd.DataFrame:
        """Compare every row of a target with what the backup's manifest says; one row a difference."""
        if picked.backup is None:
            return frames.unavailable(DIFFERENCES, picked.reason)
        backup = picked.backup
        try:
            with whole.frozen(restoring.door_of(self._env, target), "opslib/compare") as view:
                now = manifest.look(view)
        except (SourceError, SecretError, Refused) as error:
            return frames.unavailable(DIFFERENCES, error.message)
        return _frame(comparing.differences(backup.holds, now, content=backup.content))

    def without_statistics(self, target: str) -> pd.DataFrame:
        """Return the statement of this name, asked of a target: what a restore should have left empty."""
        columns = [column.name for column in sql.load(_GUESSED).returns]
        try:
            with whole.frozen(restoring.door_of(self._env, target), "opslib/compare") as view:
                return view.table(_GUESSED)
        except (SourceError, SecretError, Refused) as error:
            return frames.unavailable(columns, error.message)

    def drill(self, picked: Picked) -> Drill | None:
        """Restore a backup into a server of its own, compare, remove it; None where there is no backup.

        One that was seen in the bucket is fetched for the drill alone, and goes with it.
        """
        if picked.backup is None:
            return None
        if picked.place != BUCKET:
            return self._drill(picked.backup, self._store)
        with vanishing.folder("opslib-fetched-") as folder:
            kept, name = store.Folder(folder / self._env.name, self._env.system.name), picked.id
            return self._drill(picked.backup, kept, lambda: self._copies.fetch(name, kept, self._say))

    def _drill(self, backup: Manifest, kept: store.Folder, fetch: Callable[[], None] | None = None) -> Drill:
        from opslib.sandbox import proving

        server = partial(proving.server, backup.holds)
        return drilling.drill(kept, backup, server, self._say, self._try_app, fetch)

    def _try_app(self, door: DoorLike) -> pd.DataFrame:
        """Start an instance of the app against a database, and ask each of its endpoints once."""
        start = self._start()
        if start is None:
            reason = f"{self._env.system.name} does not say how its app is started (drill_app)"
            return frames.unavailable(site.PROBE_COLUMNS, reason, absent=True)
        with instance.running(start, door.dsn.reveal()) as url:
            return site.probe(replace(self._env, base_url=url, resolver=None), samples=1)

    def _start(self) -> instance.Start | None:
        if self._env.name == SANDBOX:
            from opslib.sandbox import instance as rehearsed

            return rehearsed.start(self._env.system.name)
        told = self._env.system.drill_app
        return instance.Start(tuple(shlex.split(told.command)), told.variable, told.seconds) if told else None

    @cached_property
    def _store(self) -> store.Folder:
        return store.of(prepared(self._env))

    @cached_property
    def _copies(self) -> copying.Copies:
        return copying.of(prepared(self._env))


def _frame(found: list[comparing.Difference]) -> pd.DataFrame:
    return pd.DataFrame([asdict(one) for one in found], columns=list(DIFFERENCES))
