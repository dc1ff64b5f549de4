"""An act that is carried out in many steps, each a transaction of its own that may be the last."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from opslib.errors import Unreachable

if TYPE_CHECKING:
    import pandas as pd

    from opslib.changes import Kind
    from opslib.gate.plan import Target

# A disk that syncs slowly must not hold up each step; what is done is told by looking, not by these notes.
NOTED_S = 1.0
# Others were at the same rows, or held a lock too long: nothing was done, and the next step may get through.
_PASSING = ("moved", "lock-timeout", "statement-timeout")


def taken(act: Callable[[], pd.DataFrame], kind: Kind, way: Target) -> Iterator[str]:
    """Take one step after the other, and say after each how many there were and what it has done.

    Args:
        act: carries the act out once, with an opening of its own.
        kind: tells when nothing is left to do.
        way: the target.

    Raises:
        SourceError: a step failed in a way that does not pass.
    """
    number = 0
    while True:
        found = _once(act)
        if found:
            number += 1
            yield f"step {number}: {found}"
        if not kind.more(way, bool(found)):
            return


def _once(act: Callable[[], pd.DataFrame]) -> str:
    """Return what one step has done; nothing where it found nothing to do."""
    try:
        found = act()
    except Unreachable as error:
        if error.kind not in _PASSING:
            raise
        return ""
    return "" if found.empty else ", ".join(f"{value} {name}" for name, value in found.iloc[0].items())
