"""May a backup be restored there, is what came back what went in, and how long did it take."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Protocol

import pandas as pd

from opslib import frames, ids
from opslib.backup.copying import DAMAGED
from opslib.checks import backups, compare, copies, health
from opslib.verdict import Cause, Finding, Status

if TYPE_CHECKING:
    from opslib.backup.drilling import Drill
    from opslib.backup.manifest import Manifest
    from opslib.backup.restoring import Place
    from opslib.config import Environment, Limit, System

IN_USE = Cause("target-in-use", "the target is the database that the system uses", 5)
BUSY = Cause("target-busy", "a restore into the target is under way", 8)
NOT_EMPTY = Cause("target-not-empty", "the target holds something already", 10)
OLDER = Cause("restore-older-server", "the target's server is older than the backup's", 20)
EXTENSION = Cause("restore-missing-extension", "the server lacks an extension that the backup needs", 20)
ROLE = Cause("restore-missing-role", "the server lacks a role that the backup needs", 25)
DIFFERS = Cause("restore-differs", "what came back is not what was backed up", 12)
BROKE = Cause("restore-failed", "the backup could not be restored", 30)
APP = Cause("restore-app-unwell", "the app does not come up on what was restored", 28)
_BAD = (Status.WARNING, Status.CRITICAL)
_MOST_SUBJECTS = 5


class PickedLike(Protocol):
    """What is needed of a chosen backup: `ops.recovery.choose()` returns it."""

    @property
    def backup(self) -> Manifest | None:
        """Its manifest."""

    @property
    def reason(self) -> str:
        """Why there is none."""


class SeenLike(Protocol):
    """What is needed of a target: `ops.recovery.target()` returns it."""

    @property
    def place(self) -> Place | None:
        """What was seen."""

    @property
    def reason(self) -> str:
        """Why it could not be looked at."""


def chosen(picked: PickedLike) -> Finding:
    """Say which backup it is, and from when.

    Args:
        picked: `ops.recovery.choose()`.
    """
    expected = "a backup that says what it holds"
    if picked.backup is None:
        return compare.unknown("backup", picked.reason, expected=expected, next="backup-check")
    found = picked.backup
    held = f"{found.holds.rows} rows of {len(found.holds.tables)} tables"
    held = held if found.content != "schema" else "no rows, the schema only"
    seen = f"{held}, as of {found.holds.taken_at}"
    return Finding("backup", Status.OK, found.id, seen, "", expected)


def fetched(found: pd.DataFrame) -> Finding:
    """Find whether the backup was brought to this machine, where it was seen in the bucket only.

    Args:
        found: `ops.recovery.fetch()`.
    """
    expected = "every file has the checksum with which it was sent"
    if finding := compare.blind("fetched", found, expected=expected):
        return finding
    row = found.iloc[0]
    if not row["kind"]:
        return Finding("fetched", Status.OK, str(row["id"]), str(row["text"]), "", expected)
    cause = backups.NO_ROOM if row["kind"] == "room" else copies.DAMAGED
    return Finding(
        "fetched",
        Status.CRITICAL,
        str(row["id"]),
        row["kind"],
        "",
        expected,
        row["text"],
        "backup-check",
        cause,
    )


def target(seen: SeenLike, picked: PickedLike) -> list[Finding]:
    """Find whether the backup may be restored into the target.

    Args:
        seen: `ops.recovery.target()`.
        picked: `ops.recovery.choose()`.
    """
    expected = "an empty database that nobody uses, whose server has what the backup needs"
    if seen.reason:
        return [compare.unknown("target", seen.reason, expected=expected)]
    if seen.place is None or picked.backup is None:
        return [compare.skipped("target", "no target was named, so nothing can be restored")]
    place, needs = seen.place, picked.backup.holds
    wrong = [
        (
            IN_USE,
            "in use",
            "a backup is never restored over it, not even by breaking the glass",
            place.in_use,
        ),
        (BUSY, "being written to", "wait for it to end", place.busy),
        (NOT_EMPTY, f"{place.objects} things", "name another one, or make this one anew", place.objects > 0),
        (
            OLDER,
            place.version,
            f"the backup is of {needs.server_version}",
            _major(place.version) < needs.major,
        ),
        (EXTENSION, ", ".join(place.missing_extensions), "install it there", bool(place.missing_extensions)),
        (
            ROLE,
            ", ".join(place.missing_roles),
            "create it there; it needs no login",
            bool(place.missing_roles),
        ),
    ]
    found = [
        Finding("target", Status.CRITICAL, place.database, shown, "", expected, why, cause=cause)
        for cause, shown, why, bad in wrong if bad
    ]  # fmt: skip
    ok = Finding("target", Status.OK, place.database, f"empty, at {place.server}", "", expected)
    return found or [ok]


def equal(differences: pd.DataFrame, database: str) -> list[Finding]:
    """Find whether a database holds exactly what the backup's manifest says.

    Args:
        differences: `ops.recovery.compare()`, or of a drill.
        database: its name.
    """
    expected = "every row, object, sequence and extension as in the manifest"
    if reason := frames.reason(differences):
        return [compare.unknown("target", reason, subject=database, expected=expected)]
    if differences.empty:
        return [Finding("target", Status.OK, database, "equal to the manifest", "", expected)]
    return [
        Finding(
            "target", Status.CRITICAL, f"{row['part']} {row['name']}", f"{row['now']}", f"{row['was']}",
            expected, "it is not the database that was backed up", cause=DIFFERS,
        )
        for row in differences.head(_MOST_SUBJECTS).to_dict("records")
    ]  # fmt: skip


def restored(drill: Drill | None, picked: PickedLike) -> list[Finding]:
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
        found = Finding("restore", Status.OK, drill.backup.id, seen, "", expected)
        return [found, *equal(differences(drill), drill.backup.holds.database)]
    step, kind, text = drill.broke
    if kind == "refused":
        return [compare.unknown("restore", f"{step}: {text}", subject=drill.backup.id, expected=expected)]
    damage = backups.damage(kind)
    cause = damage or {"extension": EXTENSION, DAMAGED: copies.DAMAGED}.get(kind, BROKE)
    next = "backup" if damage else ""
    return [
        Finding(
            "restore", Status.CRITICAL, drill.backup.id, f"broke at {step}", "", expected, text, next, cause
        )
    ]


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
        return Finding("smoke", Status.CRITICAL, named, "no rows", "", expected, why, cause=DIFFERS)
    wanted = wanted or sorted(had)
    if not wanted:
        return compare.unknown("smoke", "the backup holds no rows that could be looked at", expected=expected)
    empty = [name for name in wanted if not drill.rows.get(name)]
    if empty:
        return Finding("smoke", Status.CRITICAL, empty[0], "no rows", "", expected, cause=DIFFERS)
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


def work_lost(picked: PickedLike, limit: Limit) -> Finding:
    """Find whether a restore would lose no more work than was promised.

    Args:
        picked: `ops.recovery.choose()`.
        limit: minutes.
    """
    expected = "within the promise (RPO)"
    if picked.backup is None:
        return compare.unknown("work lost", picked.reason, expected=expected)
    minutes = (ids.now() - picked.backup.taken_at).total_seconds() / 60
    return compare.below(
        max(minutes, 0.0), check="work lost", warning=limit.warning, critical=limit.critical,
        unit=limit.unit, expected=expected, cause=backups.STALE, next="backup",
        why=f"what was written since {picked.backup.holds.taken_at} would be gone",
    )  # fmt: skip


def differences(drill: Drill | None) -> pd.DataFrame:
    """Return where what came back in a drill is not what went in."""
    found = [asdict(one) for one in drill.differences] if drill else []
    return pd.DataFrame(found, columns=["part", "name", "was", "now"])


def steps(drill: Drill | None) -> pd.DataFrame:
    """Return how long each step of a drill took."""
    return pd.DataFrame(drill.steps if drill else [], columns=["step", "seconds"])


def _major(version: str) -> int:
    return int(version.partition(".")[0])
