"""Switching a feature flag, or rolling it out in steps: planned alike for every store.

This kind is for flags in the app's own table; `flag_posthog` is for those at PostHog. Each step is a
target of its own. A step that gives something new to more users is watched: when more answers fail
than the limit allows, the gate takes back all steps, the last first.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar

from opslib import site
from opslib.acts import Act, Statement
from opslib.changes import Kind, flag_choice
from opslib.changes.flag_choice import State, Wanted
from opslib.checks import flags as checks
from opslib.gate.plan import Draft, Observed, Risk, Target
from opslib.vendors import posthog_acts

if TYPE_CHECKING:
    import pandas as pd

    from opslib.config import Environment

TABLE = "public.feature_flags"
_LOOK_AGAIN_S = 15.0
_UNDO = "each step sets back exactly what it has set, unless somebody has changed the flag since"
_STAYS = "what users have made with the feature stays as they made it"
Acting = Callable[[State, State, bool], Act]


def draft(
    flags: pd.DataFrame, asked: Wanted | None, seen: checks.Errors, env: Environment, *,
    samples: int = 20, watch_seconds: int = 60,
) -> Draft | None:  # fmt: skip
    """Propose how to get a flag where it is asked to be.

    Args:
        flags: as `checks.flags.state` returns them.
        asked: what is asked, or None.
        seen: the errors now.
        env: the environment; its limit `error_pct` bounds the errors on the way.
        samples: how often each page is asked in one look.
        watch_seconds: how long each step is watched.

    Returns:
        The proposal; without targets where it cannot be planned (the reason is left out with the
        flag's name) or the flag is there already; None where nothing is asked.
    """
    if asked is None:
        return None
    limit = env.limit("error_pct")
    why = flag_choice.refusal(flags, asked, seen, limit)
    row = None if why else flag_choice.row_of(flags, asked)
    if row is None:
        return Draft(
            "flag", f"{asked.action} a feature flag", (), Risk.MEDIUM, "",
            left_out={asked.flag or asked.action: why},
        )  # fmt: skip
    kind, identity, acting, same = _at_posthog(row, env) if row["id"] is not None else _in_table(row)
    states = [flag_choice.state_of(row), *flag_choice.way(row, asked)]
    targets = [
        _target(row, identity, same, pair, acting, first=not number)
        for number, pair in enumerate(pairwise(states))
    ]
    wider = flag_choice.widens(row, asked)
    settings: dict[str, int] = {}
    if wider and asked.guarded:
        permille = round(checks.first_step(limit) * 10)
        settings = {"samples": samples, "watch_seconds": watch_seconds, "limit_permille": permille}
    was, will = flag_choice.reached(states[0]), flag_choice.reached(states[-1])
    return Draft(
        kind=kind,
        title=_title(row, asked, len(targets)),
        targets=tuple(targets),
        risk=Risk.MEDIUM,
        blast=_blast(row, was, will, settings),
        numbers={} if row["stops_all"] else {"percent of users now": was, "percent of users then": will},
        not_undoable=(_STAYS,) if wider else (),
        undo=(_UNDO,),
        settings=settings,
    )


class Watched(Kind):
    """What flags of every store have in common: how a wider roll-out is watched."""

    CHAINED: ClassVar[bool] = True
    PATIENCE_S: ClassVar[float] = 10.0

    def watch(self, target: Target) -> str:
        """Ask the site for as long as the plan says; return why the step must be taken back.

        Raises:
            SourceError: the site has no address.
        """
        settings = self._means.settings
        if not settings:
            return ""
        until = time.monotonic() + settings["watch_seconds"]
        while True:
            reason = self._look()
            left = until - time.monotonic()
            if reason or left <= 0:
                return reason
            time.sleep(min(_LOOK_AGAIN_S, left))

    def _look(self) -> str:
        settings = self._means.settings
        seen = checks.errors(site.probe(self._means.env, samples=settings["samples"]))
        if seen.share_pct is None:
            return f"what it does to users could not be seen: {seen.reason}"
        if seen.failed * 1000 < settings["limit_permille"] * seen.answers or not seen.failed:
            return ""
        said = f"{seen.share_pct:.3g} % of the answers failed ({seen.failed} of {seen.answers})"
        return f"{said}, limit {settings['limit_permille'] / 10:g} %"


class SqlFlag(Watched):
    """Flags in the app's own table."""

    LOCK: ClassVar[str] = "database"

    def observe(self, target: Target) -> Observed:
        """Look at the flag: enabled, kill_switch, rollout."""
        found = checks.state(self._means.database().table("feature_flags"), None)
        return seen_now(found, target)


KIND = SqlFlag


def seen_now(flags: pd.DataFrame, target: Target) -> Observed:
    """Return what the flag of a target is now; `conditions` too where it is known at a store by them.

    Args:
        flags: as `checks.flags.state` returns them.
        target: its identity names the flag, and its number where it has one.
    """
    number = target.identity.get("id")
    rows = flags[(flags["flag"] == target.identity["flag"])].to_dict("records")
    row = next(({str(k): v for k, v in r.items()} for r in rows if number in (None, r["id"])), None)
    if row is None:
        return Observed({}, text="the flag is gone")
    state = flag_choice.state_of(row)
    same = {} if row["filters"] is None else {"conditions": conditions(row["filters"])}
    return Observed({**state, **same}, text=said(state))


def conditions(filters: Mapping[str, Any]) -> str:
    """Return a short digest of whom a flag is for, without how many of them get it."""
    whom = [[group.get("properties"), group.get("variant")] for group in filters["groups"]]
    text = json.dumps([whom, filters.get("multivariate")], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def said(state: State) -> str:
    """Return a flag's state in words."""
    if state.get("kill_switch"):
        return "kill switch on"
    if not state["enabled"]:
        return "off"
    return f"on at {state['rollout']} %" if "rollout" in state else "on"


def _in_table(row: Mapping[str, Any]) -> tuple[str, dict[str, Any], Acting, dict[str, Any]]:
    seen_at = row["updated"].isoformat()

    def act(before: State, after: State, first: bool) -> Act:
        seen = {f"seen_{name}": value for name, value in before.items()}
        # Later steps and the way back meet the time that our own steps have set.
        at = seen_at if first else ""
        return Statement("set_feature_flag", {"name": row["flag"], **after, **seen, "seen_updated_at": at})

    return "flag", {"store": "sql", "table": TABLE, "flag": row["flag"]}, act, {}


def _at_posthog(
    row: Mapping[str, Any], env: Environment
) -> tuple[str, dict[str, Any], Acting, dict[str, Any]]:
    project, filters = env.vendors["posthog"].settings.get("project", ""), row["filters"]

    def fields(state: State) -> dict[str, Any]:
        same = state.get("rollout") == flag_choice.state_of(row).get("rollout")
        share = filters if same else posthog_acts.rolled_out(filters, state["rollout"])
        return {"active": state["enabled"], "filters": share}

    def act(before: State, after: State, first: bool) -> Act:
        return posthog_acts.update(project, row["id"], fields(before), fields(after), int(row["version"]))

    identity = {"store": "posthog", "project": project, "flag": row["flag"], "id": int(row["id"])}
    return "flag_posthog", identity, act, {"conditions": conditions(filters)}


def _target(
    row: Mapping[str, Any], identity: Mapping[str, Any], same: Mapping[str, Any],
    pair: tuple[State, State], acting: Acting, *, first: bool,
) -> Target:  # fmt: skip
    before, after = pair
    return Target(
        name=f"{row['flag']}: {said(after)}",
        identity=identity,
        before={**before, **same},
        after={**after, **same},
        act=acting(before, after, first),
        undo=acting(after, before, False),
        effect=_blast(row, flag_choice.reached(before), flag_choice.reached(after), {}),
    )


def _title(row: Mapping[str, Any], asked: Wanted, steps: int) -> str:
    if asked.action == flag_choice.ROLLOUT:
        in_steps = f" in {steps} steps" if steps > 1 else ""
        return f"roll the feature {asked.flag} out to {asked.percent} %{in_steps}"
    on = asked.action in (flag_choice.ENABLE, flag_choice.KILL)
    if row["stops_all"]:
        return f"switch the kill switch {asked.flag} {'on' if on else 'off'}"
    if row["kill_switch"] is not None and asked.action in (flag_choice.KILL, flag_choice.UNKILL):
        return f"switch the kill switch of the feature {asked.flag} {'on' if on else 'off'}"
    on = asked.action in (flag_choice.ENABLE, flag_choice.UNKILL)
    return f"switch the feature {asked.flag} {'on' if on else 'off'}"


def _blast(row: Mapping[str, Any], was: int, will: int, settings: Mapping[str, Any]) -> str:
    text = f"{will} % of the users get the feature {row['flag']}, after {was} %"
    if was == will:
        text = f"users notice nothing yet: as before, {will} % of them get the feature {row['flag']}"
    if row["stops_all"]:
        text = f"what {row['flag']} stands for {'stops' if will else 'works again'}, for everybody"
    if not settings:
        return text
    limit, seconds = settings["limit_permille"] / 10, settings["watch_seconds"]
    return f"{text}; each step is watched for {seconds} s, and all are taken back at {limit:g} % of errors"
