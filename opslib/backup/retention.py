"""Which own backups are kept: all of the last days, and always the newest ones whatever their age."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from opslib import ids
from opslib.backup import manifest
from opslib.errors import Refused, SourceError

if TYPE_CHECKING:
    from opslib.config import System

KEEP_DAYS, KEEP_LEAST = 7.0, 3
_FACT = "backup_keep_days"


def days(system: System) -> float:
    """Return for how many days a system's backups are kept: its runbook's figure, else opslib's own."""
    fact = system.facts.get(_FACT)
    return float(fact.value) if fact and isinstance(fact.value, int | float) else KEEP_DAYS


class Kept(Protocol):
    """A place with backups: a folder, or a bucket."""

    def ids(self) -> list[str]:
        """Return the names of all backups, the oldest first."""

    def manifest(self, name: str) -> bytes:
        """Return the manifest of a backup."""

    def remove(self, name: str) -> None:
        """Remove a backup."""


def retire(
    kept: Kept, keep_days: float, keep_least: int, now: datetime, origin: str = ""
) -> list[tuple[str, str, bool, str]]:
    """Remove what the rule no longer keeps.

    A backup whose manifest cannot be read, that is of another system, or that the store holds on to, is left:
    a person must look.

    Args:
        kept: the backups of one system, on disk or in a bucket.
        keep_days: younger ones are kept.
        keep_least: so many of the newest whole ones are kept, however old.
        now: the time.
        origin: whose they must be, as `ENVIRONMENT/SYSTEM`; not looked at where not given.

    Returns:
        id, taken_at, removed, why; one for each that is too old or that a person must look at.
    """
    whole: list[tuple[str, datetime]] = []
    parts: list[tuple[str, datetime]] = []
    found: list[tuple[str, str, bool, str]] = []
    for name in reversed(kept.ids()):
        try:
            known = manifest.read(kept.manifest(name), name)
        except SourceError as error:
            found.append((name, "", False, error.message))
            continue
        if origin not in ("", known.origin):
            found.append(
                (name, ids.stamp(known.taken_at), False, f"it is of {known.origin}, not of {origin}")
            )
            continue
        (whole if known.content == "all" else parts).append((name, known.taken_at))
    # A schema alone brings no rows back, so it never counts as one of the newest.
    for name, taken in (*whole[keep_least:], *parts):
        if now - taken > timedelta(days=keep_days):
            found.append((name, ids.stamp(taken), *_removed(kept, name, f"older than {keep_days:g} days")))
    return found


def _removed(kept: Kept, name: str, why: str) -> tuple[bool, str]:
    try:
        kept.remove(name)
    except (SourceError, Refused) as error:
        return False, f"{why}, but {error.message}"
    return True, why
