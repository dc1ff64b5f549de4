"""Did a drill bring back what went in, does the app come up on it, and how long did it take."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import pandas as pd

from opslib import frames
from opslib.backup import comparing
from opslib.backup.copying import DAMAGED
from opslib.backup.drilling import EXTENSION, REFUSED
from opslib.checks import backups, compare, copies, health, restores
from opslib.verdict import Cause, Finding, Status

if TYPE_CHECKING:
    from opslib.backup.drilling import Drill
    from opslib.config import Environment, Limit, System

BROKE = Cause("restore-failed", "the backup could not be restored", 30)
APP = Cause("restore-app-unwell", "the app does not come up on what was restored", 28)
_ELSEWHERE = "; install it here, or let OPSLIB_PG_BIN name the folder of a server that has it"
_BAD = (Status.WARNING, Status.CRITICAL)


def restored(drill: Drill | None, picked: restores.PickedLike) -> list[Finding]:
    """Find whether the drill came to its end, and what came back is what went in.

    Args:
        drill: `ops.recovery.drill()`.
        picked: `ops.recovery.choose()`.
    """
    expected = "restored without an error"
    if drill is None:
        return [compare.unknown("restore", picked.reason, expected=expected, next="backup-check")]
    if drill.broke is None:
        seen = f"{sum(drill.rows.values())} rows of {len(drill.rows)} tables"
        found = Finding("restore", Status.OK, drill.backup.id, seen, "", expected, _to_set(drill))
        guessed = pd.DataFrame({"table_name": list(drill.guessed)})
        return [
            found,
            *restores.equal(_restorable(differences(drill)), drill.backup.holds.database),
            restores.statistics(guessed),
        ]
    step, kind, text = drill.broke
    if kind in (REFUSED, EXTENSION):
        cause = restores.EXTENSION if kind == EXTENSION else None
        why = f"{step}: {text}" + _ELSEWHERE * (kind == EXTENSION)
        found = compare.unknown("restore", why, subject=drill.backup.id, expected=expected)
        return [replace(found, cause=cause)]
    damage = backups.damage(kind)
    cause = damage or (copies.DAMAGED if kind == DAMAGED else BROKE)
    next = backups.TAKES if damage else ""
    found = Finding(
        "restore", Status.CRITICAL, drill.backup.id, f"broke at {step}", "", expected, text, next, cause
    )
    return [backups.asking(found)]


def _restorable(found: pd.DataFrame) -> pd.DataFrame:
    """Return what a backup could have brought back; no drill mends that it has no settings."""
    return found[found["part"] != comparing.SETTING]


def _to_set(drill: Drill) -> str:
    names = ", ".join(one.name for one in drill.differences if one.part == comparing.SETTING)
    return (
        f"no dump holds settings of the database or rights on it: after a restore, set {names}"
        if names
        else ""
    )


def smoke(drill: Drill | None, system: System) -> Finding:
    """Find whether the tables that the system's runbook names came back with rows.

    Args:
        drill: `ops.recovery.drill()`.
        system: as its file describes it.
    """
    expected = "the tables that the runbook names answer, and hold rows where they did"
    if drill is None or drill.broke:
        return compare.skipped("smoke", "nothing was restored")
    had = {name for name, table in drill.backup.holds.tables.items() if table.rows}
    wanted = [f"public.{name}" for name in system.tables if f"public.{name}" in had]
    if system.tables and not wanted:
        why = "already the backup had no rows in any of them: is it of the right database?"
        named = ", ".join(system.tables)
        return Finding("smoke", Status.CRITICAL, named, "no rows", "", expected, why, cause=restores.DIFFERS)
    wanted = wanted or sorted(had)
    if not wanted:
        return compare.unknown("smoke", "the backup holds no rows that could be looked at", expected=expected)
    empty = [name for name in wanted if not drill.rows.get(name)]
    if empty:
        return Finding("smoke", Status.CRITICAL, empty[0], "no rows", "", expected, cause=restores.DIFFERS)
    return Finding("smoke", Status.OK, "", f"{len(wanted)} tables answer", "", expected)


def app(drill: Drill | None, env: Environment) -> list[Finding]:
    """Find whether an instance of the app came up on the restored database and answers its health checks.

    Args:
        drill: `ops.recovery.drill()`.
        env: its endpoints are asked.
    """
    if drill is None or drill.app is None:
        return [compare.skipped("app", "nothing was restored that an app could run on")]
    if isinstance(drill.app, str):
        expected = "it starts, and listens"
        return [Finding("app", Status.CRITICAL, "", "did not start", "", expected, drill.app, cause=APP)]
    if frames.absent(drill.app):
        return [compare.skipped("app", str(frames.reason(drill.app)))]
    asked = [*env.health, *env.smoke]
    found = [*health.answers(drill.app, asked), *health.contents(drill.app, asked)]
    return [
        replace(one, check=f"app {one.check}", next="", cause=APP if one.status in _BAD else None)
        for one in found
    ]


def time_to_restore(drill: Drill | None, limit: Limit) -> Finding:
    """Find whether a restore takes no longer than was promised.

    Args:
        drill: `ops.recovery.drill()`.
        limit: minutes.
    """
    if drill is None or drill.broke:
        return compare.skipped("time to restore", "nothing was restored, so there is nothing to measure")
    return compare.below(
        drill.minutes, check="time to restore", warning=limit.warning, critical=limit.critical,
        unit=limit.unit, expected="within the promise (RTO)", why=f"promised by: {limit.source}",
    )  # fmt: skip


def differences(drill: Drill | None) -> pd.DataFrame:
    """Return where what came back in a drill is not what went in."""
    found = [asdict(one) for one in drill.differences] if drill else []
    return pd.DataFrame(found, columns=["part", "name", "was", "now"])


def steps(drill: Drill | None) -> pd.DataFrame:
    """Return how long each step of a drill took."""
    return pd.DataFrame(drill.steps if drill else [], columns=["step", "seconds"])
