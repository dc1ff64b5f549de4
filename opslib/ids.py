"""Identity and time of a run."""

from __future__ import annotations

from datetime import UTC, datetime

import uuid_utils


def new_run_id() -> str:
    """Return a time-ordered UUID (version 7, RFC 9562)."""
    return str(uuid_utils.uuid7())


def now() -> datetime:
    """Return the current time in UTC."""
    return datetime.now(UTC)


def stamp(moment: datetime) -> str:
    """Return RFC 3339 text in UTC with milliseconds, e.g. `2026-11-21T03:04:05.678Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
