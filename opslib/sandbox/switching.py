"""Pointing a simulated project's domains at another deployment: asked now, done a moment later.

Nothing runs in between: what has become of a request follows from the clock whenever somebody asks.
"""

from __future__ import annotations

from dataclasses import dataclass

PROMOTE, ROLLBACK = "promote", "rollback"
PENDING_MS = 150
SWITCHING_MS = 200
QUEUED_MS = 400  # behind a rolling release
BUILD_MS = 500


class Rejected(Exception):
    """A request that the vendor turns down.

    Args:
        status: HTTP status.
        code: the vendor's word for it.
        message: its sentence.
    """

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


@dataclass(frozen=True)
class AliasRequest:
    """One request to point production at a deployment, as `lastAliasRequest` tells of it.

    Args:
        type: promote or rollback.
        source: id of the deployment that served when it was made.
        to: id of the deployment that shall serve.
        asked: when, milliseconds since 1970.
        queued: it waits behind a rolling release.
        fails: it will not succeed.
    """

    type: str
    source: str
    to: str
    asked: int
    queued: bool = False
    fails: bool = False

    @property
    def ends(self) -> int:
        """When it is done, milliseconds since 1970."""
        return self._begins + SWITCHING_MS

    def status(self, now: int) -> str:
        """Return Vercel's jobStatus at a time."""
        if now < self._begins:
            return "pending"
        if now < self.ends:
            return "in-progress"
        return "failed" if self.fails else "succeeded"

    @property
    def _begins(self) -> int:
        return self.asked + PENDING_MS + (QUEUED_MS if self.queued else 0)
