"""How far several runs are: a changing picture on a terminal, a line for each end where there is none."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, Any

from opslib.cli import output
from opslib.runner.watch import Lines, Watch

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

    from opslib.runner.request import Outcome

_ROOM = 6  # lines of a screen that are not for runs that have ended
_PER_SECOND = 4


class Board(Watch):
    """Shows how far runs are; this one shows nothing."""

    def hidden(self) -> Any:
        """Return a context in which something else may be printed."""
        return nullcontext()


class Written(Lines, Board):
    """A line on stderr for each run that has ended."""

    def __init__(self) -> None:
        super().__init__(output.note)


class Screen(Board):
    """A line for each running notebook, and for as many of those that have ended as there is room for."""

    def __init__(self) -> None:
        self._console = output.console(sys.stderr)
        self._expected = 0
        self._said = ""
        self._running: dict[str, tuple[float, str]] = {}
        self._ended: list[tuple[Any, ...]] = []
        self._live = self._picture()

    def expect(self, runs: int) -> None:
        """Hear how many runs there will be."""
        self._expected = runs

    def say(self, text: str) -> None:
        """Show a line that is about all of them."""
        self._said = text

    def step(self, run_id: str, text: str) -> None:
        """Show how far one run is."""
        self._said = ""
        begun, _ = self._running.get(run_id, (time.monotonic(), ""))
        self._running[run_id] = begun, text

    def done(self, outcome: Outcome) -> None:
        """Show the verdict of one run."""
        self._said = ""
        self._running.pop(outcome.run_id, None)
        seconds = f"{outcome.document['duration_s']:.1f} s"
        self._ended.append((output.status(outcome.status), outcome.name, seconds))

    @contextmanager
    def hidden(self) -> Iterator[None]:
        """Take the picture away while the block prints."""
        self._live.stop()
        try:
            yield
        finally:
            # A new one: the old would wipe out as many lines as it had had, and now they are the block's.
            self._live = self._picture()
            self._live.start()

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Show the picture while the block lasts."""
        self._live.start()
        try:
            yield
        finally:
            with suppress(OSError):  # the terminal may be gone
                self._live.stop()

    def _picture(self) -> Live:
        from rich.live import Live

        return Live(
            get_renderable=self._lines,
            console=self._console,
            transient=True,
            refresh_per_second=_PER_SECOND,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def _lines(self) -> RenderableType:
        from rich.console import Group
        from rich.table import Table

        grid = Table.grid(padding=(0, 2))
        for row in self._ended[-max(1, self._console.height - _ROOM - len(self._running)) :]:
            grid.add_row(*row)
        for begun, text in list(self._running.values()):
            grid.add_row("…", output.plain(text), f"{time.monotonic() - begun:.0f} s")
        return Group(grid, output.plain(self._summary()))

    def _summary(self) -> str:
        left = self._expected - len(self._ended) - len(self._running)
        waiting = f", {left} waiting" if left > 0 else ""
        if self._said or not self._expected:
            return self._said
        return f"{len(self._ended)} of {self._expected} ended{waiting}"


@contextmanager
def opened(show: bool) -> Iterator[Board]:
    """Yield what shows how far runs are.

    Args:
        show: whether anything is to be shown at all.
    """
    if not show:
        yield Board()
    elif not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield Written()
    else:
        screen = Screen()
        with screen.shown():
            yield screen
