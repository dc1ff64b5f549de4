"""What commands print: tables for people, exactly one JSON object for programs."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TextIO

from opslib.show import plainly
from opslib.show.words import HEADLINE, SIGN
from opslib.verdict import Status

if TYPE_CHECKING:
    from rich.console import Console

STYLE = {
    Status.OK: "bold green",
    Status.WARNING: "bold yellow",
    Status.CRITICAL: "bold red",
    Status.UNKNOWN: "bold magenta",
    Status.SKIPPED: "dim",
}
_PIPE_WIDTH = 500  # a table that goes to a file or a pipe is not folded, so that grep sees whole lines


def console(stream: TextIO | None = None) -> Console:
    """Return a rich console; colours only on a terminal and without NO_COLOR."""
    from rich.console import Console

    target = stream or sys.stdout
    width = None if target.isatty() else _PIPE_WIDTH
    return Console(
        file=target,
        width=width,
        color_system=None if os.environ.get("NO_COLOR") else "auto",
        highlight=False,
        emoji=False,
        markup=False,
    )


def emit(document: Mapping[str, Any]) -> None:
    """Print one JSON object, and nothing else, on stdout."""
    print(json.dumps(document, ensure_ascii=False, indent=2, default=str))


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, title: str = "") -> None:
    """Print rows as a table; a cell may be text or a `Status`.

    Args:
        columns: headings.
        rows: one sequence of cells a row.
        title: a line above the table.
    """
    from rich.table import Table

    grid = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold", title_justify="left")
    for name in columns:
        grid.add_column(name, overflow="fold")
    for row in rows:
        grid.add_row(*(_cell(cell) for cell in row))
    if title:
        say(f"\n{title}", style="bold")
    screen = console()
    with screen.capture() as captured:
        screen.print(grid)
    for line in captured.get().splitlines():
        print(line.rstrip())


def say(text: str, *, style: str | None = None) -> None:
    """Print one line for people on stdout."""
    console().print(plainly.lines(text), style=style, soft_wrap=True)


def note(text: str) -> None:
    """Print one line on stderr: about the work, not part of the result."""
    print(plainly.lines(text), file=sys.stderr)


def status(value: str | Status) -> Any:
    """Return sign and word of a status, in its colour."""
    from rich.text import Text

    known = Status(value)
    return Text(f"{SIGN[known]} {HEADLINE[known]}", style=STYLE[known])


def plain(text: str) -> Any:
    """Return a text of ours or of somebody else's as one line, of which rich interprets nothing."""
    from rich.text import Text

    return Text(plainly.line(text), no_wrap=True, overflow="ellipsis")


def progress(show: bool = True, *, timed: bool = False) -> Callable[[str], None]:
    """Return a function that shows one changing line on stderr; silent unless that is a terminal.

    Args:
        show: False for silence anywhere.
        timed: say since when the line stands there, so that a long step is told from one that hangs.
    """
    if not show or not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        return lambda text: None

    def line(text: str) -> None:
        since = f"since {datetime.now(UTC):%H:%M:%S} UTC, " if timed and text else ""
        shown = f"{since}{plainly.line(text)}"[: shutil.get_terminal_size().columns - 1]
        sys.stderr.write(f"\r\x1b[2K{shown}")
        sys.stderr.flush()

    return line


def _cell(cell: Any) -> Any:
    return (
        status(cell) if isinstance(cell, Status) else cell if hasattr(cell, "spans") else plainly.lines(cell)
    )
