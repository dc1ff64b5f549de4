"""How a person names a run without its id: `latest`, `latest ok`, `latest critical site-down klutr`."""

from __future__ import annotations

from opslib.archive.asking import Filters
from opslib.archive.record import RESULTS

LATEST = "latest"
_NAMES = ("procedure", "system", "environment")


def latest(name: str) -> Filters | None:
    """Return which runs a name speaks of, of which the newest is meant; None when it is an id.

    Args:
        name: `latest`, then at most a verdict, a procedure, a system and an environment, in that order.
    """
    first, *words = name.split() or [""]
    if first != LATEST:
        return None
    verdict = words.pop(0) if words and words[0] in RESULTS else ""
    if len(words) > len(_NAMES):
        return None
    return Filters(verdict=verdict, **dict(zip(_NAMES, words, strict=False)))
