"""What differs between two runs, in words, for terminals and pages."""

from __future__ import annotations

from typing import Any

from opslib.archive.diff import APPEARED, CHANGED, GONE, MOVED, Change, Difference
from opslib.show.words import SIGN
from opslib.verdict import Status

SIGNS = {APPEARED: "+", GONE: "-", CHANGED: "≠", MOVED: "~"}
COLUMNS = ("what", "before", "after")


def name(change: Change) -> str:
    """Return which fact a change is about."""
    if change.part in ("parameter", "cause", "changed"):
        return f"{change.part} {change.name}"
    return "notebook" if change.part == "code" else change.name


def value(told: Any) -> str:
    """Return what a run says of a fact; a dash where it says nothing."""
    if told is None:
        return "-"
    if not isinstance(told, dict):
        return str(told)
    limit = f" (limit {told['limit']})" if told["limit"] else ""
    observed = f" {told['observed']}{limit}" if told["observed"] else ""
    why = f": {told['why']}" if told["why"] and told["status"] != Status.OK else ""
    return f"{SIGN[Status(told['status'])]} {told['status']}{observed}{why}"


def by(change: Change) -> str:
    """Return how far a number moved: `+12`; empty where nothing of that kind moved."""
    return "" if change.by is None else f"{change.by:+g}"


def summary(difference: Difference) -> str:
    """Return in one line how much differs."""
    if difference.same:
        return "Nothing differs but times and ids."
    told, moved = len(difference.told), len(difference.moved)
    parts = [f"{told} fact{'' if told == 1 else 's'} changed"] if told else ["no fact changed"]
    parts += [f"{moved} value{'' if moved == 1 else 's'} moved"] if moved else []
    return f"{', '.join(parts)}."
