"""The planner of `variable`: what was seen and what is wanted in, literal targets out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from opslib import frames, ids
from opslib.acts import Request
from opslib.changes.variable_wish import DOPPLER, VERCEL, Wish
from opslib.checks import variables
from opslib.gate.plan import Draft, Risk, Target
from opslib.vendors import doppler_acts, vercel_acts, vercel_variable_acts
from opslib.vendors.vercel_notes import noted
from opslib.vendors.vercel_variables import UNREADABLE
from opslib.verdict import Finding, Status

if TYPE_CHECKING:
    from opslib.config import Environment

ROLLBACK = "rollback"
_TYPE = "encrypted"
_RESERVED = "VERCEL_"
_NOT_YET = "nobody yet: a deployment keeps the variables that it was built with"
_BUILD = "visitors change over when the build is ready, after some minutes; nobody is cut off"
_BACK = "the deployment before serves again at once (instant rollback), then the former value is set back"
_AFTER_ROLLBACK = "after an instant rollback, Vercel lets no new deployment serve until one is promoted"
_KEPT = "the former value is kept for that, encrypted, on the machine that applies"


@dataclass(frozen=True)
class Seen:
    """What the procedure has seen.

    Args:
        vercel: as `Vercel.environment_variables`.
        doppler: as `Doppler.secret_names`.
        deployment: as `Vercel.deployment`, the one that serves.
        project: as `Vercel.project`.
        site: what was found about the site's endpoints.
    """

    vercel: pd.DataFrame
    doppler: pd.DataFrame
    deployment: pd.DataFrame
    project: pd.DataFrame
    site: Sequence[Finding]

    @property
    def works(self) -> bool:
        """Whether every endpoint of the site gave a right answer."""
        return bool(self.site) and all(finding.status is Status.OK for finding in self.site)


def draft(env: Environment, wish: Wish, seen: Seen) -> Draft | None:
    """Propose to set or remove one variable, and to deploy again.

    Without a name it proposes a deployment alone, where a change of a variable is not live yet.

    Returns:
        The proposal; without targets where something stands against it, which it names; None where
        nothing is wanted.
    """
    if not wish.name:
        return _draft(env, wish, seen, []) if wish.redeploy and _late(env, seen) else None
    reason = wish.reason or _against(env, wish, seen)
    if reason:
        return Draft("variable", f"Set {wish.name}", (), Risk.HIGH, "", left_out={wish.name: reason})
    target = _at_doppler(env, wish) if wish.where == DOPPLER else _at_vercel(env, wish, _row(seen, wish.name))
    return _draft(env, wish, seen, [target])


def moment(value: Any) -> str:
    """Return a time of a frame as RFC 3339 text in UTC, with milliseconds."""
    return ids.stamp(pd.Timestamp(value).to_pydatetime())


def _against(env: Environment, wish: Wish, seen: Seen) -> str:
    """Return why a variable must not be set or removed as wanted, or nothing."""
    source = seen.doppler if wish.where == DOPPLER else seen.vercel
    if unseen := frames.reason(source):
        return f"it could not be looked at: {unseen}"
    if wish.where == DOPPLER:
        return _against_at_doppler(wish, seen)
    row = _row(seen, wish.name)
    if wish.name.startswith(_RESERVED):
        return f"names that begin with {_RESERVED} are Vercel's own"
    if row and (row["managed"] or row["type"] == "system"):
        return "an integration sets it and would set it again: change it there"
    if wish.delete:
        needed = "the app needs it, as the system's file says" if wish.name in env.system.required_env else ""
        return needed or ("" if row else "it is not set")
    if variables.leaks([wish.name]):
        return "by this name its value would be copied into every page: give it a name without the prefix"
    return ""


def _against_at_doppler(wish: Wish, seen: Seen) -> str:
    if wish.delete:
        return "opslib removes nothing at Doppler"
    if wish.name in set(seen.doppler["name"]):
        return (
            "it is set: Doppler's list tells no times, so a change by somebody else could not be noticed,"
            " and opslib only adds names there"
        )
    return (
        "Doppler takes capital letters, digits and underscores only" if wish.name != wish.name.upper() else ""
    )


def _draft(env: Environment, wish: Wish, seen: Seen, targets: list[Target]) -> Draft:
    left_out: dict[str, str] = {}
    if wish.redeploy and wish.where == VERCEL:
        found = _redeployment(env, wish, seen)
        if isinstance(found, Target):
            targets = [*targets, found]
        else:
            left_out["deploy again"] = found
    elif wish.where == DOPPLER:
        left_out["deploy again"] = (
            "Doppler deploys nothing: once Vercel has the value, run this without a name"
        )
    return Draft(
        kind="variable",
        title=_title(wish, targets),
        targets=tuple(targets),
        risk=Risk.HIGH,
        blast=_blast(wish, targets),
        numbers=_numbers(targets),
        not_undoable=_not_undoable(targets),
        undo=_undo(targets),
        left_out=left_out,
        settings=_settings(wish, seen),
    )


def _settings(wish: Wish, seen: Seen) -> dict[str, Any]:
    known = {"name": wish.name, "reference": wish.reference, "salt": wish.salt, "digest": wish.digest}
    return {**known, "mark": wish.mark, "watch": seen.works}


def _at_vercel(env: Environment, wish: Wish, row: Mapping[str, Any] | None) -> Target:
    (project, team), target = _vercel(env), variables.target(env)
    place = {"where": VERCEL, "project": project, "name": wish.name, "target": target}
    if row is None:
        act = vercel_variable_acts.create(
            project, wish.name, [target], type=_TYPE, comment=noted("", wish.mark), team=team
        )
        undo: Request | None = vercel_variable_acts.delete_created(project, team=team)
        after = {"exists": True, "mark": wish.mark}
        return Target(f"{wish.name} at Vercel", place, {"exists": False}, after, act, undo, _NOT_YET)
    before = {"exists": True, "updated": moment(row["updated"]), "type": row["type"]}
    act, undo, after = _edit(project, team, wish, row)
    return Target(f"{wish.name} at Vercel", place, before, after, act, undo, _effect(row, target))


def _edit(
    project: str, team: str, wish: Wish, row: Mapping[str, Any]
) -> tuple[Request, Request | None, dict[str, Any]]:
    """Return act, undo and what is there afterwards, for a variable that is set."""
    back = noted(row["comment"], f"back to {moment(row['updated'])}")
    if wish.delete:
        act = vercel_variable_acts.delete(project, row["id"], team=team)
        undo = vercel_variable_acts.create(
            project, wish.name, row["target"].split(", "), type=row["type"], comment=back, team=team,
            label=vercel_variable_acts.BEFORE,
        )  # fmt: skip
        after: dict[str, Any] = {"exists": False}
    else:
        comment = noted(row["comment"], wish.mark)
        act = vercel_variable_acts.change(project, row["id"], comment=comment, team=team)
        undo = vercel_variable_acts.change(
            project, row["id"], comment=back, team=team, label=vercel_variable_acts.BEFORE
        )
        after = {"exists": True, "mark": wish.mark}
    return act, None if row["type"] in UNREADABLE else undo, after


def _effect(row: Mapping[str, Any], target: str) -> str:
    others = [other for other in row["target"].split(", ") if other != target]
    return f"{_NOT_YET}; it is the same variable for {' and '.join(others)}" if others else _NOT_YET


def _at_doppler(env: Environment, wish: Wish) -> Target:
    settings = env.vendors[DOPPLER].settings
    project, config = settings.get("project", ""), settings.get("config", "")
    place = {"where": DOPPLER, "project": project, "config": config, "name": wish.name}
    act = doppler_acts.create(project, config, wish.name)
    undo = doppler_acts.delete(project, config, wish.name)
    after = {"exists": True, "mark": wish.mark}
    effect = "nobody, unless something takes its variables from this config as it is"
    return Target(f"{wish.name} at Doppler", place, {"exists": False}, after, act, undo, effect)


def _redeployment(env: Environment, wish: Wish, seen: Seen) -> Target | str:
    """Return the target that builds the serving deployment again, or why there is none."""
    if variables.target(env) != variables.PRODUCTION:
        return "only what serves production is deployed again"
    for source in (seen.deployment, seen.project):
        if unseen := frames.reason(source):
            return f"what serves could not be looked at: {unseen}"
    if seen.deployment.empty or seen.project.empty:
        return "Vercel does not tell which deployment serves production"
    about = seen.project.iloc[0]
    if about["last_request"] == ROLLBACK and about["last_request_state"] != "failed":
        return f"production was rolled back: {_AFTER_ROLLBACK}"
    row, (project, team) = seen.deployment.iloc[0], _vercel(env)
    meta = {"opslib": wish.mark}
    act = vercel_acts.redeploy(str(about["name"]), str(row["id"]), team=team, meta=meta)
    undo = vercel_acts.rollback(project, str(row["id"]), team=team)
    place = {"where": VERCEL, "project": project, "serves": variables.PRODUCTION}
    name = f"{row['commit'][:7] or row['id']} built again"
    return Target(name, place, {"production": row["id"]}, {"mark": wish.mark}, act, undo, _BUILD)


def _is_build(target: Target) -> bool:
    return "serves" in target.identity


def _title(wish: Wish, targets: list[Target]) -> str:
    done = (
        f"{'remove' if wish.delete else 'set'} {wish.name} at {wish.where.capitalize()}" if wish.name else ""
    )
    build = "deploy the same commit again" if any(map(_is_build, targets)) else ""
    return ", then ".join(part for part in (done, build) if part)


def _blast(wish: Wish, targets: list[Target]) -> str:
    if any(map(_is_build, targets)):
        return _BUILD
    return _NOT_YET if wish.where == VERCEL else "nobody, unless something takes its variables from Doppler"


def _numbers(targets: list[Target]) -> dict[str, int]:
    built = sum(map(_is_build, targets))
    counts = {"variables": len(targets) - built, "deployments": built}
    return {what: count for what, count in counts.items() if count}


def _not_undoable(targets: list[Target]) -> tuple[str, ...]:
    sealed = [target.name for target in targets if target.undo is None]
    return tuple(
        f"{name}: nobody can read the value that it has now, so nothing can bring it back" for name in sealed
    )


def _undo(targets: list[Target]) -> tuple[str, ...]:
    kept = [_KEPT] if any(t.undo and "exists" in t.before and t.before["exists"] for t in targets) else []
    built = [_BACK, _AFTER_ROLLBACK] if any(map(_is_build, targets)) else []
    return (*built, *kept)


def _late(env: Environment, seen: Seen) -> bool:
    """Tell whether a variable was changed after the serving deployment was built."""
    if any(frames.reason(source) for source in (seen.vercel, seen.deployment)) or seen.deployment.empty:
        return False
    if variables.target(env) != variables.PRODUCTION:
        return False
    return bool((seen.vercel["since"] > seen.deployment.iloc[0]["created"]).any())


def _row(seen: Seen, name: str) -> dict[str, Any] | None:
    rows = seen.vercel[seen.vercel["key"] == name].to_dict("records")
    return {str(key): value for key, value in rows[0].items()} if rows else None


def _vercel(env: Environment) -> tuple[str, str]:
    settings = env.vendors[VERCEL].settings
    return settings.get("project", ""), settings.get("team", "")
