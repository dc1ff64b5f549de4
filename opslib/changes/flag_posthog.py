"""Flags at PostHog: planned by `flag`, changed by their number."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from opslib.changes.flag import Watched, seen_now
from opslib.checks import flags as checks

if TYPE_CHECKING:
    from opslib.gate.plan import Observed, Target


class PostHogFlag(Watched):
    """Flags at PostHog."""

    LOCK: ClassVar[str] = "file"

    def observe(self, target: Target) -> Observed:
        """Look at the flag: enabled, rollout where it is one, conditions."""
        found = self._means.vendor("posthog").feature_flags(search=target.identity["flag"])
        return seen_now(checks.state(found, None), target)


KIND = PostHogFlag
