"""The ways into a database, tried from the best to the last, and again where the trouble may pass."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence

from opslib.errors import SourceError
from opslib.pg.connect import DoorLike
from opslib.pg.failures import PASSING
from opslib.pg.session import Session

ROUNDS = 3
# No further try begins after this: a person waits.
PATIENCE_S = 8.0
# How long a closed database is taken to be closed, so that a page of checks does not wait for each.
REMEMBER_S = 30.0
_PAUSE_S = (0.2, 0.8)


class Ladder:
    """Climbs some doors, and remembers for a while that all were closed.

    Args:
        doors: ways in, the best first.
        enter: opens one of them once, or raises `SourceError`.
    """

    def __init__(self, doors: Sequence[DoorLike], enter: Callable[[DoorLike], Session]) -> None:
        self._doors, self._enter = tuple(doors), enter
        self._closed_until = 0.0
        self._why_closed: SourceError | None = None

    def climb(self) -> Session:
        """Return a session through the first door that opens.

        In rounds, and not one door to the end: when no new server connection can be had, a pooler
        may still have one to lend.

        Raises:
            SourceError: none opened; the message says why of each.
        """
        if self._why_closed is not None and time.monotonic() < self._closed_until:
            raise self._why_closed
        deadline = time.monotonic() + PATIENCE_S
        left = list(self._doors)
        failed: dict[str, SourceError] = {}
        for attempt in range(ROUNDS):
            for door in left if attempt == 0 or time.monotonic() < deadline else ():
                try:
                    return self._enter(door)
                except SourceError as error:
                    failed[door.name] = error
            left = [door for door in left if failed[door.name].kind in PASSING]
            if not left or attempt == ROUNDS - 1 or time.monotonic() >= deadline:
                break
            # Jittered, so that the many who wait do not come back at the same moment.
            time.sleep(random.uniform(*_PAUSE_S))
        raise self._shut(list(failed.values()))

    def _shut(self, errors: list[SourceError]) -> SourceError:
        """Return the one error for all doors, and remember it for a while."""
        if not errors:
            return SourceError("no door to the database is known", kind="no-door")
        first = errors[0]
        message = "; ".join(error.message for error in errors)
        self._why_closed = type(first)(message, kind=first.kind, hint=first.hint)
        self._closed_until = time.monotonic() + REMEMBER_S
        return self._why_closed
