"""Are the environment variables right: set, live, the same in both places, and none of them public?

Only names and times are looked at. That a variable is not set, and that the serving deployment was
built without it, are two facts: setting it mends the first, only a new deployment the second.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import pandas as pd

from opslib import frames
from opslib.checks import compare
from opslib.verdict import Cause, Finding, Status

if TYPE_CHECKING:
    from opslib.config import Environment

# Nearer than a failing app (45): it is what the app fails of.
MISSING = Cause("env-var-missing", "an environment variable that the app needs is not set", 40)
LEAK = Cause("env-public-leak", "the value of a secret is in every visitor's browser", 42)
NOT_LIVE = Cause("env-not-live", "a variable was changed, and no deployment has the change yet", 60)
DRIFT = Cause("env-drift", "Vercel and Doppler do not have the same variables", 65)

# What frameworks copy into the pages that they send to browsers.
PUBLIC = (
    "NEXT_PUBLIC_", "NUXT_PUBLIC_", "EXPO_PUBLIC_", "GATSBY_", "REACT_APP_", "VITE_", "VUE_APP_", "PUBLIC_",
)  # fmt: skip
PRODUCTION = "production"
_NONE_SERVES = "of previews there is not one deployment that serves"
SHOWN = ("name", "at_vercel", "type", "targets", "at_doppler", "note")
_SECRET_WORDS = frozenset({"SECRET", "PRIVATE", "PASSWORD", "PASSWD", "CREDENTIAL", "CREDENTIALS", "SK"})
_SECRET_PAIRS = frozenset({("SERVICE", "ROLE"), ("DATABASE", "URL"), ("ENCRYPTION", "KEY")})


def target(env: Environment) -> str:
    """Return which of Vercel's targets an environment is: what is not for real users is no production."""
    named = env.vendors["vercel"].settings.get("target", "") if "vercel" in env.vendors else ""
    return named or (PRODUCTION if env.production or env.name == "sandbox" else "preview")


def required(env: Environment, vercel: pd.DataFrame, doppler: pd.DataFrame) -> list[Finding]:
    """Find whether every variable that the system's file names is set where it should be.

    Args:
        env: its system names the variables; those of another place than Vercel are skipped.
        vercel: as `Vercel.environment_variables`.
        doppler: as `Doppler.secret_names`; not every system has it.
    """
    wanted = env.system.required_at("vercel")
    elsewhere = [name for name in env.system.required_env if name not in wanted]
    found = [_required(env, "vercel", wanted, vercel, "key")]
    if not frames.absent(doppler):
        found.append(_required(env, "doppler", wanted, doppler, "name"))
    if elsewhere:
        seen = f"{', '.join(elsewhere)}: where the backend runs, no source of ours tells names"
        found.append(compare.skipped("required", seen, subject="backend"))
    return found


def built(env: Environment, built_with: pd.DataFrame, vercel: pd.DataFrame) -> Finding:
    """Find whether the deployment that serves was built with every required variable.

    Args:
        env: its system names the variables.
        built_with: as `Vercel.built_with`, for the deployment that serves.
        vercel: as `Vercel.environment_variables`.
    """
    expected = "the serving deployment was built with every required variable"
    wanted = env.system.required_at("vercel")
    if target(env) != PRODUCTION:
        return compare.skipped("built", _NONE_SERVES)
    if blind := compare.blind("built", built_with, expected=expected):
        return blind
    there = set(built_with["name"])
    known = set() if frames.reason(vercel) else set(vercel["key"])
    if known and not known & there:
        return compare.skipped("built", "Vercel tells of this deployment no variable of the project")
    missing = sorted(set(wanted) - there)
    if not missing:
        return Finding("built", Status.OK, "", f"{len(wanted)} of {len(wanted)}", "", expected)
    seen = f"built without {', '.join(missing)}"
    why = "a deployment keeps the variables that it was built with: deploy again once it is set"
    return Finding("built", Status.CRITICAL, "", seen, "", expected, why, cause=MISSING)


def live(env: Environment, vercel: pd.DataFrame, deployment: pd.DataFrame) -> Finding:
    """Find whether the serving deployment is newer than every value of a variable.

    Args:
        env: the environment.
        vercel: as `Vercel.environment_variables`.
        deployment: as `Vercel.deployment`, the one that serves.
    """
    expected = "no variable was changed after the serving deployment was built"
    if target(env) != PRODUCTION:
        return compare.skipped("live", _NONE_SERVES)
    for source in (vercel, deployment):
        if blind := compare.blind("live", source, expected=expected):
            return blind
    if deployment.empty:
        return compare.unknown("live", "no deployment serves production", expected=expected)
    made = pd.Timestamp(deployment.iloc[0]["created"])
    late = sorted(vercel[vercel["since"] > made]["key"])
    if not late:
        return Finding("live", Status.OK, "", f"built {made:%Y-%m-%d %H:%M} UTC", "", expected)
    seen = f"{', '.join(late)} changed after {made:%Y-%m-%d %H:%M} UTC"
    why = "the change is not live yet: deploy the same commit again"
    return Finding("live", Status.WARNING, "", seen, "", expected, why, cause=NOT_LIVE)


def drift(vercel: pd.DataFrame, doppler: pd.DataFrame) -> Finding:
    """Find whether both places have the same names; what an integration sets at Vercel does not count.

    Args:
        vercel: as `Vercel.environment_variables`.
        doppler: as `Doppler.secret_names`.
    """
    expected = "Vercel and Doppler have the same names"
    for source in (doppler, vercel):
        if blind := compare.blind("drift", source, expected=expected):
            return blind
    own = vercel[~vercel["managed"].astype(bool)]
    left, right = set(own["key"]), set(doppler["name"])
    only = {
        "Doppler": sorted(right - set(vercel["key"])),
        "Vercel": sorted(left - right),
    }
    if not any(only.values()):
        return Finding("drift", Status.OK, "", f"{len(right)} names in both", "", expected)
    seen = "; ".join(f"only at {place}: {', '.join(names)}" for place, names in only.items() if names)
    why = "the next one who deploys or rotates takes one of them for the truth"
    return Finding("drift", Status.WARNING, "", seen, "", expected, why, cause=DRIFT)


def public(vercel: pd.DataFrame, doppler: pd.DataFrame) -> list[Finding]:
    """Find whether a name makes a secret public.

    Args:
        vercel: as `Vercel.environment_variables`.
        doppler: as `Doppler.secret_names`.
    """
    found = [_public("vercel", vercel, "key")]
    return found if frames.absent(doppler) else [*found, _public("doppler", doppler, "name")]


def everything(
    env: Environment,
    vercel: pd.DataFrame,
    doppler: pd.DataFrame,
    deployment: pd.DataFrame,
    built_with: pd.DataFrame,
) -> list[Finding]:
    """Make all findings of this module; arguments as of the single ones."""
    return [
        *required(env, vercel, doppler),
        drift(vercel, doppler),
        built(env, built_with, vercel),
        live(env, vercel, deployment),
        *public(vercel, doppler),
    ]


def serving(project: pd.DataFrame) -> str:
    """Return the id of the deployment that serves production, or nothing where none is known.

    Args:
        project: as `Vercel.project`.
    """
    return "" if project.empty else str(project.iloc[0]["production_deployment"])


def shown(vercel: pd.DataFrame, doppler: pd.DataFrame) -> pd.DataFrame:
    """Return what a person reads: name, at_vercel (when it was set), type, targets, at_doppler, note.

    Args:
        vercel: as `Vercel.environment_variables`.
        doppler: as `Doppler.secret_names`.
    """
    if reason := frames.reason(vercel):
        return frames.unavailable(SHOWN, reason)
    there = vercel.rename(
        columns={"key": "name", "updated": "at_vercel", "target": "targets", "comment": "note"}
    )
    both = there.merge(doppler[["name"]], on="name", how="outer", indicator="place")
    words = {"both": "yes", "right_only": "yes", "left_only": "no"}
    both["at_doppler"] = "" if frames.reason(doppler) else both["place"].astype(str).map(words)
    return both[list(SHOWN)].sort_values("name", ignore_index=True)


def leaks(names: Iterable[str]) -> list[str]:
    """Return the names by which a framework publishes what looks like a secret."""
    return sorted({name for name in names if _leaks(name)})


def _required(
    env: Environment, place: str, wanted: Sequence[str], source: pd.DataFrame, column: str
) -> Finding:
    sets = f"set for {target(env)}"
    expected = f"every required variable is {sets}"
    if blind := compare.blind("required", source, subject=place, expected=expected):
        return blind
    if not wanted:
        return compare.skipped("required", "the system's file names no required variable", subject=place)
    missing = sorted(set(wanted) - set(source[column]))
    if not missing:
        return Finding("required", Status.OK, place, f"{len(wanted)} {sets}", "", expected)
    seen = f"{', '.join(missing)} not set"
    command = f"opslib plan env-vars --system {env.system.name} --env {env.name} -p name={missing[0]}"
    where = "" if place == "vercel" else f" -p where={place}"
    why = f"its value is known to nobody here; to set it: {command}{where} --stdin"
    return Finding("required", Status.CRITICAL, place, seen, "", expected, why, cause=MISSING)


def _public(place: str, source: pd.DataFrame, column: str) -> Finding:
    expected = f"no name that begins with {PUBLIC[0]} or the like stands for a secret"
    if blind := compare.blind("public", source, subject=place, expected=expected):
        return blind
    found = leaks(source[column])
    if not found:
        return Finding("public", Status.OK, place, f"none of {len(source)} names", "", expected)
    why = "give it a name without the prefix, deploy, and replace the value: it has been public since"
    return Finding("public", Status.CRITICAL, place, ", ".join(found), "", expected, why, cause=LEAK)


def _leaks(name: str) -> bool:
    prefix = next((prefix for prefix in PUBLIC if name.upper().startswith(prefix)), "")
    words = name.upper().removeprefix(prefix).split("_")
    return bool(prefix) and bool(_SECRET_WORDS & set(words) or _SECRET_PAIRS & set(pairwise(words)))
