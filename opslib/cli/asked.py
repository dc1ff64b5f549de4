"""The filters that `history` and `search` share, and what could not be read."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from opslib.archive.choosing import MOMENT, TRIGGERS, VERDICTS
from opslib.cli import options, output

if TYPE_CHECKING:
    from opslib.archive.index import Index

_OPTIONS = (
    options.system,
    click.option("--env", "-e", "environment", metavar="NAME", help="Only runs in this environment."),
    click.option("--verdict", type=click.Choice(VERDICTS), help="Only runs that ended so."),
    click.option("--cause", metavar="ID", help="Only runs with this first cause."),
    click.option("--since", metavar="WHEN", help=f"Only runs that began then or later: {MOMENT}."),
    click.option("--until", metavar="WHEN", help="Only runs that began before; of a day, before its end."),
    click.option("--trigger", type=click.Choice(TRIGGERS), help="Only runs that were started so."),
    click.option("--actor", metavar="NAME", help="Only runs that this person, or schedule:SLOT, started."),
)

Command = Callable[..., Any]


def filters(command: Command) -> Command:
    """Give a command the options that `choosing.chosen` reads."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def unreadable(index: Index) -> list[dict[str, str]]:
    """Return the records that could not be read, and say so on stderr: leaving them out would hide runs."""
    found = [{"path": str(path), "reason": why} for path, why in index.unreadable()]
    for row in found[:5]:
        output.note(f"opslib: not read: {row['path']}: {row['reason']}")
    if len(found) > 5:
        output.note(f"opslib: and {len(found) - 5} more that could not be read; see --json")
    return found
