"""Who is told how far a number of runs are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from opslib.runner.request import Outcome, Request


class Watch:
    """Told how far runs are; this one keeps it to itself."""

    def expect(self, runs: int) -> None:
        """Hear how many runs there will be."""

    def say(self, text: str) -> None:
        """Hear a line that is about all of them."""

    def step(self, run_id: str, text: str) -> None:
        """Hear a line about how far one run is."""

    def done(self, outcome: Outcome) -> None:
        """Hear that a run has ended."""

    def over(self, request: Request) -> Request:
        """Return a request whose progress is told here."""
        return replace(request, progress=partial(self.step, request.run_id))


class Lines(Watch):
    """A line for each run that has ended.

    Args:
        write: shows one line.
    """

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._expected = self._ended = 0

    def expect(self, runs: int) -> None:
        """Hear how many runs there will be."""
        self._expected, self._ended = runs, 0

    def say(self, text: str) -> None:
        """Show a line that is about all of them."""
        self._write(text)

    def done(self, outcome: Outcome) -> None:
        """Show the verdict of a run, and how many have ended."""
        self._ended += 1
        found = outcome.document
        cause = f" ({found['cause']['id']})" if found["cause"] else ""
        which = f"{self._ended}/{self._expected} {outcome.name}"
        self._write(f"{which}: {outcome.status}{cause}, {found['duration_s']:.1f} s")
