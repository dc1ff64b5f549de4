"""Going back to a moment: a branch from it at Neon, or the database itself put back at Supabase.

A branch is a database of its own beside production; that it takes production's place is a person's
doing, after a look. What Supabase puts back, it puts in production's place at once: break-glass, and
nothing brings back what was written since.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

import pandas as pd

from opslib import frames, ids
from opslib.changes import Kind
from opslib.checks.point_in_time import NEON, READY, Reach
from opslib.gate.plan import Draft, Observed, Plan, Risk, Target
from opslib.vendors import neon_acts, supabase_acts

if TYPE_CHECKING:
    from opslib.config import Environment

_LOST = (
    "What was written after the moment is gone, and files in Storage stay as they are now.",
    "The project cannot be reached until Supabase is done: minutes to hours, by its size.",
)
_STAYS = "opslib does not remove the branch: Neon does when it expires, or you do in its console."


def draft(
    env: Environment, reach: Reach, at: str, moment: datetime, started: str, *, keep_hours: int
) -> Draft | None:
    """Propose to go back to a moment.

    Args:
        env: where.
        reach: how far back the database can go.
        at: what the person gave; nothing is proposed where that is empty.
        moment: the time to go back to.
        started: when the server was started, as `started` returns it.
        keep_hours: how long a branch is kept.

    Returns:
        The proposal; without targets where the moment cannot be reached, which it says; None where
        nothing is wanted.
    """
    if not at:
        return None
    text = _text(moment)
    if reason := _against(reach, moment, started):
        return Draft("past", f"Go back to {text}", (), Risk.HIGH, "", left_out={text: reason})
    if reach.vendor == NEON:
        return _branch(env, reach, moment, keep_hours)
    return _in_place(env, reach, moment, started)


def started(facts: pd.DataFrame) -> str:
    """Return when a server was started, as text that can be signed; "" where that is not known.

    Args:
        facts: the statement `server_facts`.
    """
    if frames.reason(facts) or facts.empty:
        return ""
    return ids.stamp(pd.Timestamp(facts.iloc[0]["started_at"]).to_pydatetime())


def host(plan: Plan | None, branches: pd.DataFrame, endpoints: pd.DataFrame) -> str | None:
    """Return where what came of a plan can be asked.

    Args:
        plan: the plan that was applied.
        branches, endpoints: as `Neon.branches` and `Neon.endpoints`.

    Returns:
        The host of the branch's compute, "" where none is known; None where it is production itself.
    """
    place = plan.draft.targets[0].identity if plan else {}
    if place.get("vendor") != NEON:
        return None
    made = set(branches[branches["name"] == place["branch"]]["id"])
    hosts = [str(row["host"]) for row in endpoints.to_dict("records") if row["branch"] in made]
    return hosts[0] if hosts else ""


class Branch(Kind):
    """The kind of change at Neon: looks for the branch."""

    LOCK: ClassVar[str] = "file"
    CHAINED: ClassVar[bool] = True
    PATIENCE_S: ClassVar[float] = 900.0

    def observe(self, target: Target) -> Observed:
        """Look at the branch: exists, moment (that it began at).

        Raises:
            SourceError: it cannot be seen.
        """
        listed = self._means.vendor(NEON).branches()
        found = listed[listed["name"] == target.identity["branch"]].to_dict("records")
        if not found:
            return Observed({"exists": False}, text="no such branch")
        row = found[0]
        values = {"exists": True, "moment": _text(row["parent_time"])}
        return Observed(values, row["state"] != READY[NEON], f"branch {row['id']} is {row['state']}")


KIND = Branch


def _against(reach: Reach, moment: datetime, started: str) -> str:
    """Return why the database must not, or cannot, go back to a moment; "" where it can."""
    if reach.reason:
        return f"how far back it can go is not known: {reach.reason}"
    if not reach.holds(moment):
        return f"out of reach: {reach.text}"
    if reach.status != READY[reach.vendor]:
        return f"the project is {reach.status}"
    if reach.vendor != NEON and not started:
        return "when the server was started is not known, so nobody could tell that it was put back"
    return ""


def _branch(env: Environment, reach: Reach, moment: datetime, keep_hours: int) -> Draft:
    name, text = f"opslib-{moment:%Y%m%d-%H%M%S}", _text(moment)
    expires = _text(ids.now() + timedelta(hours=keep_hours))
    target = Target(
        name=f"branch {name}",
        identity={"vendor": NEON, "project": reach.project, "branch": name},
        before={"exists": False},
        after={"exists": True, "moment": text},
        act=neon_acts.create_branch(reach.project, reach.branch, name, text, expires),
        effect="nobody notices: production is not touched, and the branch costs what a compute does",
    )
    return Draft(
        kind="past",
        title=f"Begin a branch of {env.system.name} at {text}",
        targets=(target,),
        risk=Risk.LOW,
        blast="users notice nothing",
        numbers={"hours kept": keep_hours},
        not_undoable=(_STAYS,),
    )


def _in_place(env: Environment, reach: Reach, moment: datetime, started: str) -> Draft:
    text = _text(moment)
    seconds = int(moment.timestamp())
    place = {"vendor": reach.vendor, "project": reach.project, "moment": seconds, "started": started}
    target = Target(
        name=f"database of {env.system.name}",
        identity=place,
        before={"status": reach.status, "restarted": False},
        after={"status": reach.status, "restarted": True},
        act=supabase_acts.restore_to(reach.project, seconds),
        effect="the project is down while it is put back, and then as it was at the moment",
    )
    lost = int((ids.now() - moment).total_seconds() // 60)
    return Draft(
        kind="past_in_place",
        title=f"Put the database of {env.system.name} back to {text}, in place",
        targets=(target,),
        risk=Risk.BREAK_GLASS,
        blast=f"everybody is cut off until it is done, and loses what they did in the last {lost} minutes",
        numbers={"minutes of writes lost": lost},
        not_undoable=_LOST,
    )


def _text(moment: Any) -> str:
    """Return a time as Neon takes it; "" for none."""
    if pd.isna(moment):
        return ""
    return f"{pd.Timestamp(moment).to_pydatetime().astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
