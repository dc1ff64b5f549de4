"""All that a rollback has looked at: the site, and the deployments of each host that the system has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pandas as pd

from opslib import frames
from opslib.checks import deployed
from opslib.checks.evidence import Evidence
from opslib.verdict import Cause

if TYPE_CHECKING:
    from opslib.config import Environment

Row = Mapping[str, Any]
AUTO, VERCEL, RAILWAY = "auto", "vercel", "railway"
BACKEND = Cause("bad-backend-deploy", "the backend that serves is broken", 41)
# What calls for going back, by host.
CALLS = {VERCEL: deployed.BAD, RAILWAY: BACKEND}
_OWN_STATE = ("status", "ok", "healthy")
_ANSWERS = ("id", "commit", "url", "path", "status_code", "ms", "error", "error_kind", "steady")


@dataclass(frozen=True)
class Seen:
    """All that was looked at.

    Args:
        env: the environment.
        probes: `site.probe`.
        vercel: `Vercel.deployments`.
        answers: `Vercel.answers`.
        project: `Vercel.project`.
        railway: `Railway.deployments`.
        host: vercel, railway, or auto: the one that is to blame.
        window_minutes: a deployment younger than this is a suspect where it cannot be compared.
        now: time of the look, in UTC.
    """

    env: Environment
    probes: pd.DataFrame
    vercel: pd.DataFrame
    answers: pd.DataFrame
    project: pd.DataFrame
    railway: pd.DataFrame
    host: str = AUTO
    window_minutes: int = 120
    now: datetime = field(default_factory=lambda: datetime.now().astimezone())

    @cached_property
    def site(self) -> Evidence:
        """The same as a diagnosis of the site reads it; what it would need besides is absent."""
        none = frames.unavailable((), "not part of this look", absent=True)
        endpoints = (*self.env.health, *self.env.smoke)
        return Evidence(
            endpoints, self.probes, none, none, self.vercel, self.answers, none, none, none,
            required=(), window_minutes=self.window_minutes, now=self.now,
        )  # fmt: skip

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts that the system has, and that are meant."""
        there = [name for name in (VERCEL, RAILWAY) if not frames.absent(self.frame(name))]
        return tuple(name for name in there if self.host in (AUTO, name))

    @property
    def elsewhere(self) -> bool:
        """Whether the app names a part of itself that is at fault, rather than its own code."""
        return any(name not in _OWN_STATE for look in self.site.looks for name in look.wrong)

    def frame(self, host: str) -> pd.DataFrame:
        """Return the deployments at a host."""
        return self.vercel if host == VERCEL else self.railway

    def rows(self, host: str) -> list[Row]:
        """Return the deployments at a host, the newest first; none where it could not be asked."""
        return rows(self.frame(host))

    def serving(self, host: str) -> Row | None:
        """Return the deployment that serves at a host, or None."""
        return next((row for row in self.rows(host) if row["current"]), None)

    def tried(self, host: str) -> pd.DataFrame:
        """Return what the deployments answer at their own addresses; none where they have none."""
        if host == VERCEL:
            return self.answers
        # Twins of what serves would be taken for proof that its code is well.
        code = (self.serving(host) or {}).get("commit")
        listed = [row for row in rows(self.railway) if row["current"] or row["commit"] != code]
        ready = [row for row in listed if row["state"] == "READY"]
        told = [{**dict.fromkeys(_ANSWERS), **row, "status_code": 0, "steady": True} for row in ready]
        return pd.DataFrame(told, columns=list(_ANSWERS))


def rows(frame: pd.DataFrame) -> list[Row]:
    """Return the rows of a frame, in its order; none where it could not be filled."""
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def path(env: Environment) -> str:
    """Return the path at which deployments are asked: a health endpoint's where there is one."""
    return next((endpoint.path for endpoint in (*env.health, *env.smoke)), "/")
