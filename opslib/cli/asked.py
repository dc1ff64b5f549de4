"""The filters that `history` and `search` share, and how a person says a moment."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from opslib.cli import options, output
from opslib.errors import UsageError
from opslib.verdict import Status

if TYPE_CHECKING:
    from opslib.archive.index import Index

VERDICTS = [str(status) for status in Status if status is not Status.SKIPPED]
TRIGGERS = ("manual", "schedule", "routine", "api")
_AGO = re.compile(r"(\d{1,6}) ?(m|h|d|w)")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_MOMENT = "7d, 12h, 2026-11-21 or 2026-11-21T03:04 (UTC)"

_OPTIONS = (
    options.system,
    click.option("--env", "-e", "environment", metavar="NAME", help="Only runs in this environment."),
    click.option("--verdict", type=click.Choice(VERDICTS), help="Only runs that ended so."),
    click.option("--cause", metavar="ID", help="Only runs with this first cause."),
    click.option("--since", metavar="WHEN", help=f"Only runs that began then or later: {_MOMENT}."),
    click.option("--until", metavar="WHEN", help="Only runs that began before; of a day, before its end."),
    click.option("--trigger", type=click.Choice(TRIGGERS), help="Only runs that were started so."),
    click.option("--actor", metavar="NAME", help="Only runs that this person, or schedule:SLOT, started."),
)

Command = Callable[..., Any]


def filters(command: Command) -> Command:
    """Give a command the options that `chosen` reads."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def chosen(now: datetime, **given: str | None) -> dict[str, str]:
    """Return filters as the index takes them.

    Args:
        now: the current time.
        given: what was given on the command line; None where nothing was.

    Raises:
        UsageError: a moment cannot be understood, or nothing can lie between the two.
    """
    known = {name: value for name, value in given.items() if value}
    for name in ("since", "until"):
        if name in known:
            known[name] = moment(known[name], now, end=name == "until").isoformat()
    if known.get("since", "") > known.get("until", "9999"):
        raise UsageError("--since is later than --until: no run can lie between", hint=f"e.g. {_MOMENT}")
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
        raise UsageError(f"{text!r} is no moment", hint=f"e.g. {_MOMENT}") from None


def unreadable(index: Index) -> list[dict[str, str]]:
    """Return the records that could not be read, and say so on stderr: leaving them out would hide runs."""
    found = [{"path": str(path), "reason": why} for path, why in index.unreadable()]
    for row in found[:5]:
        output.note(f"opslib: not read: {row['path']}: {row['reason']}")
    if len(found) > 5:
        output.note(f"opslib: and {len(found) - 5} more that could not be read; see --json")
    return found
