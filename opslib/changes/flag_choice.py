"""What is asked of which feature flag: the states it shall go through, or why that cannot be planned."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from opslib import frames
from opslib.checks import compare
from opslib.checks.flags import Errors, first_step
from opslib.verdict import Finding, Status

if TYPE_CHECKING:
    from opslib.config import Limit
    from opslib.config.parts import Flags

ENABLE, DISABLE, KILL, UNKILL, ROLLOUT = "enable", "disable", "kill", "unkill", "rollout"
CHECK = "what is asked"
_EXPECTED = "a flag and an action that can be planned"
State = Mapping[str, Any]


@dataclass(frozen=True)
class Wanted:
    """What is asked.

    Args:
        flag: its key; "" where nobody named one.
        action: enable, disable, kill, unkill or rollout.
        percent: how far to roll out.
        steps: the shares on the way there, as they were given.
        guarded: go on to more users only where errors can be seen and are few.
    """

    flag: str
    action: str
    percent: int = 100
    steps: tuple[str, ...] = ()
    guarded: bool = True


def wanted(
    flag: str, action: str, percent: int, steps: Sequence[str], guarded: bool,
    suspects: pd.DataFrame, where: Flags | None,
) -> Wanted | None:  # fmt: skip
    """Return what is asked; without an action that is to switch off the likeliest suspect.

    Args:
        flag, action, percent, steps, guarded: as the procedure's parameters have them.
        suspects: as `checks.flags.suspects` returns them.
        where: the system's file on its flags; `kill` alone means its kill switch.

    Returns:
        None where nothing is asked and nothing is suspected.
    """
    if action:
        stop = where.kill_switch if where and action in (KILL, UNKILL) else ""
        return Wanted(flag or stop, action, percent, tuple(steps), guarded)
    likeliest = [name for name in suspects["flag"] if flag in ("", name)]
    return Wanted(likeliest[0], DISABLE) if likeliest else None


def row_of(flags: pd.DataFrame, asked: Wanted) -> dict[str, Any] | None:
    """Return the row of the flag that is asked for, or None."""
    found = flags[flags["flag"] == asked.flag].to_dict("records")
    return {str(name): value for name, value in found[0].items()} if found else None


def state_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a flag's state in plain values: enabled, kill_switch where it has one, rollout where it is one.

    Args:
        row: of `checks.flags.state`.
    """
    share, killed = row["rollout"], row["kill_switch"]
    whole = share is not None and not pd.isna(share) and float(share).is_integer()
    return {
        "enabled": bool(row["enabled"]),
        **({} if killed is None else {"kill_switch": bool(killed)}),
        **({"rollout": int(share)} if whole else {}),
    }


def way(row: Mapping[str, Any], asked: Wanted) -> tuple[State, ...]:
    """Return the states that a flag goes through, without the one that it is in.

    Args:
        row: of `checks.flags.state`; what is asked of it can be planned.
        asked: what is asked.
    """
    now = state_of(row)
    states = [{**now, **change} for change in _changes(row, asked)]
    return tuple(state for before, state in zip([now, *states], states, strict=False) if state != before)


def widens(row: Mapping[str, Any], asked: Wanted) -> bool:
    """Tell whether more users get something new in the end."""
    states = way(row, asked)
    if not states:
        return False
    more = reached(states[-1]) - reached(state_of(row))
    return more < 0 if row["stops_all"] else more > 0


def reached(state: State) -> int:
    """Return how many percent of the users a flag lets through."""
    on = state["enabled"] and not state.get("kill_switch", False)
    return int(state.get("rollout", 100)) if on else 0


def refusal(flags: pd.DataFrame, asked: Wanted, seen: Errors, limit: Limit) -> str:
    """Return why it cannot be planned, or nothing.

    Args:
        flags: as `checks.flags.state` returns them.
        asked: what is asked.
        seen: the errors now.
        limit: the share of errors from which on they count.
    """
    if frames.reason(flags):
        return "the flags cannot be seen"
    if not asked.flag:
        return f"nobody said which flag to {asked.action}: give -p flag=KEY"
    row = row_of(flags, asked)
    if row is None:
        near = difflib.get_close_matches(asked.flag, list(flags["flag"]), n=3, cutoff=0.4)
        offer = f"did you mean {' or '.join(near)}?" if near else f"there are: {', '.join(flags['flag'])}"
        return f"there is no flag {asked.flag}; {offer}"
    return _of_the_flag(row, asked) or _of_the_site(row, asked, seen, limit)


def answered(flags: pd.DataFrame, asked: Wanted | None, seen: Errors, limit: Limit) -> Finding:
    """Find whether what is asked can be planned; arguments as in `refusal`."""
    if asked is None:
        return compare.skipped(CHECK, "nothing is asked, and no flag is suspected")
    why = refusal(flags, asked, seen, limit)
    if why:
        return compare.unknown(CHECK, why, subject=asked.flag, expected=_EXPECTED)
    row = row_of(flags, asked)
    states = way(row, asked) if row else ()
    observed = f"{asked.action}: {len(states)} step{'s' if len(states) > 1 else ''}"
    return Finding(
        CHECK, Status.OK, asked.flag, observed if states else "it is so already", expected=_EXPECTED
    )


def _changes(row: Mapping[str, Any], asked: Wanted) -> list[State]:
    if asked.action == ROLLOUT:
        return [{"enabled": True, "rollout": share} for share in _shares(row, asked)]
    if row["stops_all"]:
        return [{"enabled": True, "rollout": 100} if asked.action == KILL else {"enabled": False}]
    if row["kill_switch"] is not None and asked.action in (KILL, UNKILL):
        return [{"kill_switch": asked.action == KILL}]
    # PostHog has no kill switch for each flag: there, off is off.
    return [{"enabled": asked.action in (ENABLE, UNKILL)}]


def _shares(row: Mapping[str, Any], asked: Wanted) -> list[int]:
    now = reached(state_of(row))
    between = sorted({int(step) for step in asked.steps})
    return [*(share for share in between if now < share < asked.percent), asked.percent]


def _of_the_flag(row: Mapping[str, Any], asked: Wanted) -> str:
    if asked.action == ROLLOUT and not all(step.isdecimal() and int(step) <= 100 for step in asked.steps):
        return f"steps are whole percents from 0 to 100, not {', '.join(asked.steps)}"
    if row["stops_all"] and asked.action in (ENABLE, DISABLE, ROLLOUT):
        return "it is the kill switch and stops things for everybody: say kill or unkill"
    if asked.action == ROLLOUT and row["kill_switch"]:
        return "its kill switch is on: unkill it first"
    if row["id"] is None and (pd.isna(row["updated"]) or "rollout" not in state_of(row)):
        return "its row does not tell its share and when it was changed last: mend it in the table itself"
    return _of_its_conditions(row, asked)


def _of_its_conditions(row: Mapping[str, Any], asked: Wanted) -> str:
    if asked.action != ROLLOUT and not (row["stops_all"] and asked.action == KILL):
        return ""
    if "rollout" not in state_of(row):
        return "it has several conditions or a share that is no whole number: set them in PostHog itself"
    if _has_fractions(row["filters"]):
        return "its conditions hold fractions, which a plan cannot show exactly: set it in PostHog itself"
    return ""


def _of_the_site(row: Mapping[str, Any], asked: Wanted, seen: Errors, limit: Limit) -> str:
    if not asked.guarded or not widens(row, asked):
        return ""
    most = first_step(limit)
    if math.isinf(most):
        return "no limit of errors is set for this system, so that nothing would stop it"
    if seen.share_pct is None:
        return f"the site cannot be watched: {seen.reason}"
    if seen.share_pct >= most:
        return (
            f"{seen.share_pct:.3g} % of the answers fail now: nothing new for more users before that is well"
        )
    return ""


def _has_fractions(part: Any) -> bool:
    if isinstance(part, Mapping):
        return any(_has_fractions(value) for value in part.values())
    if isinstance(part, list | tuple):
        return any(_has_fractions(value) for value in part)
    return isinstance(part, float)
