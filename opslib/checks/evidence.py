"""All that a diagnosis of a site has looked at, and what follows from it taken together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

import pandas as pd

from opslib import frames
from opslib.checks import deployed
from opslib.checks.looks import ANSWERED_NO, Look, looks

if TYPE_CHECKING:
    from opslib.config import HealthEndpoint


@dataclass(frozen=True)
class Evidence:
    """All that was looked at, each as its source returned it.

    Args:
        endpoints: the endpoints that were asked.
        probes: `site.probe`.
        names: `site.names`.
        certificates: `site.tls`.
        deployments: `Vercel.deployments`.
        answers: `Vercel.answers`: the latest deployments, asked at their own addresses.
        variables: `Vercel.environment_variables`.
        doors: `Database.doors`.
        pages: `statuspage.read_all`.
        required: names of the variables that the app needs.
        window_minutes: a deployment younger than this is a suspect.
        now: time of the look, in UTC.
    """

    endpoints: Iterable[HealthEndpoint]
    probes: pd.DataFrame
    names: pd.DataFrame
    certificates: pd.DataFrame
    deployments: pd.DataFrame
    answers: pd.DataFrame
    variables: pd.DataFrame
    doors: pd.DataFrame
    pages: pd.DataFrame
    required: tuple[str, ...]
    window_minutes: int
    now: datetime = field(default_factory=lambda: datetime.now().astimezone())

    @cached_property
    def looks(self) -> list[Look]:
        """One look an endpoint; none when the site could not be asked at all."""
        return [] if frames.reason(self.probes) else looks(self.probes, self.endpoints)

    @property
    def fails(self) -> bool:
        """Whether visitors get anything but a good answer; our own blindness does not count."""
        ill = [look for look in self.looks if not well(look)]
        said = [look for look in ill if look.answered or look.kind in ANSWERED_NO]
        return bool(said) or self.code_fails or (bool(ill) and self.we_have_a_network)

    @property
    def code_fails(self) -> bool:
        """Whether the app itself answers with an error, by its name or past it."""
        seen = [look for look in self.looks if look.code >= 500 or look.wrong]
        return bool(seen) or deployed.serving_code(self.deployments, self.answers) >= 500

    @property
    def we_have_a_network(self) -> bool:
        """Whether anything outside answered us, so that silence is not our own fault."""
        asked = frames.reason(self.answers) is None and bool((self.answers["status_code"] > 0).any())
        return asked or frames.reason(self.deployments) is None or any(look.answered for look in self.looks)


def well(look: Look) -> bool:
    """Tell whether an endpoint gave a right answer every time."""
    return look.good == look.samples > 0 and not (look.wrong or look.missing or look.no_json)
