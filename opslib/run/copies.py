"""`ops.copies`: the copies of own backups in a bucket."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import pandas as pd

from opslib import config, frames, ids
from opslib.backup import copying, manifest, retention
from opslib.backup.objects import KIND
from opslib.errors import ConfigError, Forbidden, NotNamed, OpsError, Refused, SourceError, UsageError
from opslib.run import backups
from opslib.run.backups import LISTED, READ, RETIRED
from opslib.show import display

PLACE = ("place", "takes", "text")
SENT = ("id", "place", "sent", "reason")


class CopySource:
    """`ops.copies`: what is in the bucket that the system's file names.

    Args:
        env: whose.
        kept: own backups, as they are on disk.
        run_id: the run, for progress.
    """

    def __init__(self, env: config.Environment, kept: backups.BackupSource, run_id: str) -> None:
        self._env, self._kept = env, kept
        self._say = display.Progress(run_id)

    def place(self) -> pd.DataFrame:
        """Say whether the bucket lets itself be listed, at least: columns `PLACE`, one row.

        What the store refuses is an answer; only where it gives none, nobody knows.
        """
        return _attempt(PLACE, self._place)

    def list(self) -> pd.DataFrame:
        """Return all whole copies, the newest first; columns as `ops.backups.list()`."""
        return _attempt(LISTED, lambda: backups.listed(self._copies, self._copies.origin))

    def send(self, made: pd.DataFrame) -> pd.DataFrame:
        """Copy a backup that was just taken into the bucket; the one on disk stays, whatever comes of it.

        Args:
            made: `ops.backups.take()`.

        Returns:
            One row: id, place, sent, and where it could not be sent the reason.
        """
        if frames.reason(made):
            return frames.unavailable(SENT, "no backup was taken", absent=self._env.bucket is None)
        return _attempt(SENT, lambda: self._sent(str(made["id"].iloc[0])))

    def read_back(self, newest: int = 1) -> pd.DataFrame:
        """Hold the newest copies against their manifests, byte for byte; columns as of `ops.backups`."""
        return _attempt(READ, lambda: self._read_back(newest))

    def retire(self, keep_least: int = retention.KEEP_LEAST) -> pd.DataFrame:
        """Remove copies that the rule no longer keeps; what the store holds on to is told, with why."""
        return _attempt(RETIRED, lambda: self._retire(keep_least))

    @cached_property
    def _copies(self) -> copying.Copies:
        return copying.of(backups.prepared(self._env))

    def _place(self) -> pd.DataFrame:
        copies = self._copies
        try:
            row = (str(copies), True, f"{len(copies.ids())} whole copies")
        except SourceError as error:
            if error.kind not in (KIND, Forbidden.kind):
                raise
            row = (str(copies), False, error.message)
        return pd.DataFrame([row], columns=list(PLACE))

    def _sent(self, name: str) -> pd.DataFrame:
        reason = ""
        try:
            self._copies.send(self._kept.store, name, self._say)
        except NotNamed:
            raise
        except (SourceError, ConfigError, UsageError, Refused) as error:
            reason = error.message
        place = self._env.bucket.place if self._env.bucket else ""
        return pd.DataFrame([(name, place, not reason, reason)], columns=list(SENT))

    def _read_back(self, newest: int) -> pd.DataFrame:
        chosen = backups.newest_of(self._copies, self._copies.origin, newest)
        rows = [self._held(name) for name in chosen]
        return pd.DataFrame(rows, columns=list(READ)).astype({"whole": "boolean"})

    def _held(self, name: str) -> tuple[Any, ...]:
        try:
            wrong = self._copies.check(name)
        except OpsError as error:
            changed = getattr(error, "kind", "") == manifest.CHANGED
            return (
                name,
                False if changed else pd.NA,
                manifest.CHANGED if changed else "unseen",
                error.message,
            )
        if wrong:
            return (name, False, wrong.kind, wrong.text)
        return (name, True, "", "the store has every byte as it was sent")

    def _retire(self, keep_least: int) -> pd.DataFrame:
        days = retention.days(self._env.system)
        old = retention.retire(self._copies, days, keep_least, ids.now(), self._copies.origin)
        rows = [*old, *self._copies.clear_away()]
        return pd.DataFrame(rows, columns=list(RETIRED))


def _attempt(columns: tuple[str, ...], look: Any) -> pd.DataFrame:
    try:
        frame: pd.DataFrame = look()
    except (SourceError, ConfigError, UsageError, Refused) as error:
        return frames.unavailable(columns, error.message, absent=isinstance(error, NotNamed))
    return frame
