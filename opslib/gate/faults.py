"""Points at which a test can end the process for good, to prove that nothing is done twice.

`OPSLIB_FAULT=after-act:2` kills the process without warning the second time that it gets there.
"""

from __future__ import annotations

import os
import signal
from collections import Counter

VARIABLE = "OPSLIB_FAULT"
POINTS = ("before-intent", "after-intent", "after-act", "before-outcome")
STEP = "after-step"  # where an act has several
_seen: Counter[str] = Counter()


def reach(point: str) -> None:
    """Die here, if that is what was asked for."""
    wanted, _, number = os.environ.get(VARIABLE, "").partition(":")
    if wanted != point:
        return
    _seen[point] += 1
    if _seen[point] == int(number or 1):
        os.kill(os.getpid(), signal.SIGKILL)
