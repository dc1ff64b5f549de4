"""Which runs a person asks for, on a command line or in an address: the words, and how a moment is said."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from opslib.errors import UsageError
from opslib.verdict import Status

VERDICTS = [str(status) for status in Status if status is not Status.SKIPPED]
TRIGGERS = ("manual", "schedule", "routine", "api")
MOMENT = "7d, 12h, 2026-11-21 or 2026-11-21T03:04 (UTC)"
_AGO = re.compile(r"(\d{1,6}) ?(m|h|d|w)")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


def chosen(now: datetime, **given: str | None) -> dict[str, str]:
    """Return filters as the index takes them.

    Args:
        now: the current time.
        given: what was given, by the name of the filter; None where nothing was.

    Raises:
        UsageError: a moment cannot be understood, or nothing can lie between the two.
    """
    known = {name: value for name, value in given.items() if value}
    for name in ("since", "until"):
        if name in known:
            known[name] = moment(known[name], now, end=name == "until").isoformat()
    if known.get("since", "") > known.get("until", "9999"):
        raise UsageError("since is later than until: no run can lie between", hint=f"e.g. {MOMENT}")
    return known


def moment(text: str, now: datetime, *, end: bool = False) -> datetime:
    """Return the moment that a person means, in UTC.

    Args:
        text: `7d` ago, a day, or a day and a time; without an offset it is UTC.
        now: the current time.
        end: of a day its end is meant, not its beginning.

    Raises:
        UsageError: it is none of these.
    """
    ago = _AGO.fullmatch(text.strip())
    try:
        if ago:
            return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        found = datetime.fromisoformat(text.strip())
        aware = found if found.tzinfo else found.replace(tzinfo=UTC)
        day = end and _DAY.fullmatch(text.strip())
        return (aware + timedelta(days=1) if day else aware).astimezone(UTC)
    except (ValueError, OverflowError):
        raise UsageError(f"{text!r} is no moment", hint=f"e.g. {MOMENT}") from None
