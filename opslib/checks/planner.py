"""Ways of planning that somebody switched off."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opslib import frames
from opslib.checks import compare
from opslib.checks.plans import BAD
from opslib.verdict import Finding, Status

if TYPE_CHECKING:
    import pandas as pd

_MOST_SUBJECTS = 5
_FREE = "the planner may use every way there is"


def switches(frame: pd.DataFrame) -> list[Finding]:
    """Find ways of planning that somebody switched off and forgot.

    Args:
        frame: the statement `planner_switches`.
    """
    if reason := frames.reason(frame):
        return [compare.unknown("planner", reason, expected=_FREE)]
    why = "somebody tried something and left it so: every statement there pays for it"
    found = [
        Finding("planner", Status.WARNING, row["holds_for"], f"{row['name']} = {row['setting']}", "on", _FREE,
                f"{why}: {row['way_back']}", cause=BAD)
        for row in frame.head(_MOST_SUBJECTS).to_dict("records")
    ]  # fmt: skip
    return found or [Finding("planner", Status.OK, "", "nothing is switched off", "", _FREE)]
