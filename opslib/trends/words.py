"""The sentences about a procedure over time, for its page and for terminals."""

from __future__ import annotations

from datetime import datetime

from opslib.show.words import SIGN
from opslib.trends.facts import MISSED, Flip, Open, OverTime, Rates, Trend
from opslib.trends.gather import SOON
from opslib.verdict import Status

MISSED_SIGN = "○"
VERDICTS = (Status.OK, Status.WARNING, Status.CRITICAL, Status.UNKNOWN)
_STEPS = "▁▂▃▄▅▆▇█"


def clock(moment: datetime) -> str:
    """Return `2026-11-21 03:04`; all moments are UTC, which is said once."""
    return f"{moment:%Y-%m-%d %H:%M}"


def sign(state: str) -> str:
    """Return the sign of a verdict or of a missed moment."""
    return MISSED_SIGN if state == MISSED else SIGN[Status(state)]


def strip(over: OverTime) -> str:
    """Return in one line what the last entries came to."""
    states = [entry.state for entry in over.entries]
    kinds = [f"{states.count(state)} {state}" for state in (*VERDICTS, MISSED) if state in states]
    return f"Last {len(states)}: {', '.join(kinds)}"


def planned(over: OverTime) -> str:
    """Return what runs it, and what was missed."""
    if not over.schedule:
        return "Nothing in the schedule has run this here, so nothing counts as missed."
    missed = over.missed
    lead = f"Runs by {over.schedule}"
    if not missed:
        return f"{lead}; none of these was missed."
    return f"{lead}; {len(missed)} missed, the last one {clock(missed[-1].moment)}."


def flaky(over: OverTime) -> str:
    """Return why it is marked; empty when it is not."""
    if not over.flips:
        return ""
    many = "once" if len(over.flips) == 1 else f"{len(over.flips)} times"
    minutes = int(SOON.total_seconds() // 60)
    return (
        f"its verdict changed and went back within {minutes} minutes, {many} in 30 days, with the same"
        f" notebook and parameters: {flip(over.flips[0])}. The check flutters, or somebody mended it"
    )


def flip(pair: Flip) -> str:
    """Return one change of verdict."""
    first, second = pair.verdicts
    return f"{first}, {second}, and {first} again at {clock(pair.moment)}"


def look(pair: Flip) -> str:
    """Return the command that shows what differed."""
    return f"opslib diff {pair.before} {pair.after}"


def since(found: Open) -> str:
    """Return when a finding was first seen."""
    return f"{clock(found.first)}{' or earlier' if found.older else ''}"


def spell(found: Open) -> str:
    """Return since when a finding is open, and how often it was seen."""
    many = "once" if found.runs == 1 else f"in {found.runs} runs"
    return f"first seen {since(found)}, last {clock(found.last)}, {many}"


def seen(found: Open) -> str:
    """Return what was observed, with its limit."""
    row = found.finding
    return f"{row['observed']} (limit {row['limit']})" if row["limit"] else row["observed"]


def shares(rates: Rates) -> list[str]:
    """Return the share of each verdict, in the order of `VERDICTS`."""
    known = [rates.share(verdict) for verdict in VERDICTS]
    return ["" if share is None else _percent(share) for share in known]


def trend(found: Trend) -> str:
    """Return in one line how a number went."""
    values = [value for _, value in found.points]
    unit = f" {found.unit}" if found.unit else ""
    bounds = " / ".join(bound.text() for bound in found.limits)
    held = f", limit {bounds}" if bounds else ""
    span = f"{values[0]:g} → {values[-1]:g}{unit}" if len(values) > 1 else f"{values[-1]:g}{unit}"
    many = "1 run" if len(values) == 1 else f"{len(values)} runs"
    return f"{span} over {many}; lowest {min(values):g}, highest {max(values):g}{held}"


def sparkline(found: Trend, most: int) -> str:
    """Return the last numbers as a row of bars.

    Args:
        found: the numbers.
        most: how many bars at most.
    """
    values = [value for _, value in found.points][-most:]
    low, high = min(values), max(values)
    wide = (high - low) or 1.0
    return "".join(_STEPS[round((value - low) / wide * (len(_STEPS) - 1))] for value in values)


def _percent(share: float) -> str:
    """Return a share; what is not all, and not nothing, is never rounded to it."""
    return f"{min(max(share * 100, 0.1), 99.9):.1f} %" if 0 < share < 1 else f"{share:.0%}".replace("%", " %")
