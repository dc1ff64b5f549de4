"""Letting another deployment serve production: back to one that worked, or forward again.

At Vercel the domains are pointed at a deployment that exists, so it is recognised by its id. Railway
starts an old image as a new deployment, so what serves is recognised by its code.
"""

from __future__ import annotations

import time
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from opslib import ids
from opslib.acts import Request
from opslib.changes import Kind, Means
from opslib.checks.rollback_choice import Choice, code, label
from opslib.checks.rollback_seen import RAILWAY, VERCEL, Row, Seen, rows
from opslib.gate.plan import Draft, Observed, Plan, Risk, Target
from opslib.vendors import railway_acts, vercel_acts

if TYPE_CHECKING:
    import pandas as pd

    from opslib.config import Environment

READY, GONE = "READY", "gone"
_RUNNING = ("pending", "in-progress")
_FAILED = ("failed", "skipped")
_UNDER_WAY = ("BUILDING", "QUEUED")
_EVERY_S = 1.0  # between two looks at a real vendor, as its own command line does
_LISTED = 20

_STAYS = (
    "The database: migrations that came with the newer code stay, so the older code must get on with them.",
    "What the newer code has written, sent or charged.",
)


def draft(choice: Choice, env: Environment) -> Draft | None:
    """Propose to let the chosen deployment serve; None where there is none.

    Args:
        choice: from `opslib.checks.rollback.choose`.
        env: where.
    """
    if choice.chosen is None:
        return None
    target = _at_vercel(choice, env) if choice.host == VERCEL else _at_railway(choice, env)
    chosen, host = choice.chosen, choice.host.capitalize()
    where = "forward" if choice.forward else "back"
    return Draft(
        kind="deployment",
        title=f"Let production at {host} go {where} to {label(chosen)}",
        targets=(target,),
        risk=Risk.HIGH,
        blast=_blast(choice),
        numbers={f"deployments {'into' if choice.forward else 'out of'} production": choice.between},
        not_undoable=_STAYS,
        undo=(_way_back(choice),),
        left_out=dict(choice.passed),
        settings={"since": ids.stamp(choice.newest["created"].to_pydatetime())},
    )


def notice(env: Environment, seen: Seen, change: Plan | None, changed: bool) -> str:
    """Return the text for #deploys, ready to paste.

    Args:
        env: where.
        seen: what was looked at last.
        change: the plan.
        changed: whether anything was done.
    """
    place = f"{env.system.title} ({env.name})"
    host = str(change.draft.targets[0].identity["vendor"]) if change and changed else ""
    current = seen.serving(host) if host else None
    if current is None:
        return f"{place}: production was not touched."
    return (
        f"{place}: production at {host.capitalize()} is now {label(current)} ({current['message']})."
        " The database's migrations did not move with it. Please deploy nothing until further notice."
    )


class Deployments(Kind):
    """The kind of change: looks at what serves production.

    Nothing is taken back by itself: the procedure's own probe tells what became of it, and one that came
    out badly is not exchanged for a worse one.
    """

    LOCK: ClassVar[str] = "file"
    CHAINED: ClassVar[bool] = True
    PATIENCE_S: ClassVar[float] = 180.0

    def __init__(self, means: Means) -> None:
        super().__init__(means)
        self._looked = float("-inf")

    def observe(self, target: Target) -> Observed:
        """Look at what serves, and at the deployment that the target leads to.

        Returns:
            At Vercel production and newest (ids of deployments), at Railway code and others (id of a
            newer deployment with other code); destination: READY, gone, or its state.
        """
        self._pause()
        at_vercel = target.identity["vendor"] == VERCEL
        return self._at_vercel(target) if at_vercel else self._at_railway(target)

    @cached_property
    def _vercel(self) -> Any:
        return self._means.vendor(VERCEL)

    @cached_property
    def _railway(self) -> Any:
        return self._means.vendor(RAILWAY)

    def _pause(self) -> None:
        wait = self._looked + _EVERY_S - time.monotonic()
        if self._means.env.production and wait > 0:
            time.sleep(wait)
        self._looked = time.monotonic()

    def _at_vercel(self, target: Target) -> Observed:
        listed: pd.DataFrame = self._vercel.deployments(limit=_LISTED)
        last = rows(self._vercel.project())[0]
        wanted, serves = str(target.after["production"]), str(last["production_deployment"])
        running = last["last_request_state"] in _RUNNING
        if last["last_request_to"] == wanted and (running or serves == wanted):
            # What came after the switch was asked for is no reason to doubt it.
            listed = listed[listed["created"] <= last["last_request_at"]]
        newest = str(listed.iloc[0]["id"]) if len(listed) else ""
        there = READY if serves == wanted else self._state(VERCEL, wanted)
        values = {"production": serves, "newest": newest, "destination": there}
        failed = last["last_request_state"] in _FAILED and last["last_request_to"] == wanted != serves
        return Observed(values, running, _said(last, serves, failed), failed)

    def _at_railway(self, target: Target) -> Observed:
        listed = rows(self._railway.deployments(limit=_LISTED))
        current = next((row for row in listed if row["current"]), {})
        serves, wanted = str(current.get("commit", "")), str(target.after["code"])
        newer = [row for row in listed if row["created"] > _moment(self._means.settings["since"])]
        if serves == wanted and current:
            newer = [row for row in newer if row["created"] <= current["created"]]
        known = (target.before["code"], target.after["code"])
        others = next((str(row["id"]) for row in newer if row["commit"] not in known), "")
        running = next((row for row in listed if row["state"] in _UNDER_WAY), None)
        failed = bool(newer) and newer[0]["commit"] == wanted != serves and newer[0]["state"] == "ERROR"
        text = f"{code(current)} serves" if current else "nothing serves"
        if running:
            text = f"deployment {running['id']} is {running['substate']}"
        elif failed:
            text = f"the new deployment {newer[0]['id']} is {newer[0]['substate']}, and {text}"
        there = READY if serves == wanted else self._state(RAILWAY, _destination(target.act))
        values = {"code": serves, "others": others, "destination": there}
        return Observed(values, running is not None, text, failed)

    def _state(self, host: str, name: str) -> str:
        """Return the state of the deployment that shall serve, or that it is gone."""
        client = self._vercel if host == VERCEL else self._railway
        found = next(iter(rows(client.deployment(name))), None)
        kept = found is not None and (host == VERCEL or found["rollback_candidate"])
        return str(found["state"]) if found and kept else GONE


KIND = Deployments


def _at_vercel(choice: Choice, env: Environment) -> Target:
    assert choice.chosen is not None
    team = env.vendors[VERCEL].settings.get("team", "")
    current, chosen, newest = (str(row["id"]) for row in (choice.current, choice.chosen, choice.newest))
    forth = _switch(choice.project, chosen, team, back=not choice.forward)
    return Target(
        name=f"production of {env.system.name} at Vercel",
        identity={"vendor": VERCEL, "project": choice.project, "target": "production"},
        before={"production": current, "newest": newest, "destination": READY},
        after={"production": chosen, "newest": newest, "destination": READY},
        act=forth,
        undo=_switch(choice.project, current, team, back=choice.forward),
        effect=_effect(choice),
    )


def _switch(project: str, deployment: str, team: str, *, back: bool) -> Request:
    if back:
        return vercel_acts.rollback(project, deployment, team=team)
    return vercel_acts.promote(project, deployment, team=team)


def _at_railway(choice: Choice, env: Environment) -> Target:
    assert choice.chosen is not None
    settings = env.vendors[RAILWAY].settings
    place = {name: settings[name] for name in ("project", "environment", "service")}
    return Target(
        name=f"the backend of {env.system.name} at Railway",
        identity={"vendor": RAILWAY, **place},
        before={"code": choice.current["commit"], "others": "", "destination": READY},
        after={"code": choice.chosen["commit"], "others": "", "destination": READY},
        act=railway_acts.rollback(str(choice.chosen["id"])),
        undo=railway_acts.rollback(str(choice.current["id"])),
        effect=_effect(choice),
    )


def _effect(choice: Choice) -> str:
    assert choice.chosen is not None
    return f"they get {code(choice.chosen)} in place of {code(choice.current)}: {choice.why}"


def _blast(choice: Choice) -> str:
    if choice.host == RAILWAY:
        return (
            "its image starts as a new deployment, with the variables that it had, and takes over once it"
            " runs: variables changed since do not reach it"
        )
    if choice.forward:
        return "everybody gets it at once; from then on new deployments go live by themselves again"
    hobby = (
        "; Vercel's Hobby plan allows this for the deployment just before only" if choice.between > 1 else ""
    )
    return (
        "everybody gets it at once, with the variables and cron jobs that it was built with: variables"
        " changed since do not reach it; new deployments no longer go live until one is promoted" + hobby
    )


def _way_back(choice: Choice) -> str:
    if choice.host == RAILWAY:
        return f"`opslib undo` starts {label(choice.current)} again, as a new deployment"
    if choice.forward:
        return f"`opslib undo` rolls back to {label(choice.current)}"
    return (
        f"`opslib undo` promotes {label(choice.current)} again; from then on new deployments go live by"
        " themselves again"
    )


def _said(last: Row, serves: str, failed: bool) -> str:
    """Return what is seen at Vercel, for a person."""
    what = f"the {last['last_request']} to {last['last_request_to']}"
    if last["last_request_state"] in _RUNNING:
        return f"{what} is {last['last_request_state']}"
    return f"{what} {last['last_request_state']}, and {serves} still serves" if failed else f"{serves} serves"


def _destination(act: Any) -> str:
    """Return the id of the deployment whose image an act at Railway starts."""
    return str(act.body["variables"]["id"])


def _moment(text: str) -> Any:
    import pandas as pd

    return pd.Timestamp(text)
