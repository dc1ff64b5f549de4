"""May a backup be restored there, and is what came back what went in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import pandas as pd

from opslib import frames, ids
from opslib.backup import comparing, manifest
from opslib.checks import backups, compare, copies
from opslib.verdict import Cause, Finding, Status

if TYPE_CHECKING:
    from collections.abc import Hashable

    from opslib.backup.manifest import Manifest
    from opslib.backup.restoring import Place
    from opslib.config import Limit

IN_USE = Cause("target-in-use", "the target is the database that the system uses", 5)
UNSEEN = Cause("target-not-compared", "a database in use could not be asked whether it is the target", 7)
BUSY = Cause("target-busy", "a restore into the target is under way", 8)
NOT_EMPTY = Cause("target-not-empty", "the target holds something already", 10)
OLDER = Cause("restore-older-server", "the target's server is older than the backup's", 20)
EXTENSION = Cause("restore-missing-extension", "the server lacks an extension that the backup needs", 20)
ROLE = Cause("restore-missing-role", "the server lacks a role that the backup needs", 25)
LOCKS = Cause("restore-too-few-locks", "the server has no room for the locks of one restore", 27)
DIFFERS = Cause("restore-differs", "what came back is not what was backed up", 12)
VERSION = Cause("restore-extension-version", "an extension came back in another version", 46)
LOCALE = Cause("restore-other-locale", "the target writes or sorts text in another way", 40)
SETTINGS = Cause(
    "restore-without-settings", "settings of the database itself, or rights on it, are not there", 44
)
GUESSED = Cause("restore-without-statistics", "what came back has no statistics, so queries are slow", 45)
_MOST_SUBJECTS = 5


class PickedLike(Protocol):
    """What is needed of a chosen backup: `ops.recovery.choose()` returns it."""

    @property
    def backup(self) -> Manifest | None:
        """Its manifest."""

    @property
    def reason(self) -> str:
        """Why there is none."""

    @property
    def kind(self) -> str:
        """In which way it could not be read."""


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
    if picked.kind == manifest.CHANGED:
        return Finding(
            "backup", Status.CRITICAL, "", "not what was written", "", expected, picked.reason,
            "backup-check", backups.MANIFEST,
        )  # fmt: skip
    if picked.backup is None:
        return compare.unknown("backup", picked.reason, expected=expected, next="backup-check")
    found = picked.backup
    held = f"{found.holds.rows} rows of {len(found.holds.tables)} tables"
    held = held if found.content != "schema" else "no rows, the schema only"
    seen = f"{held}, as of {found.holds.taken_at}"
    why = "" if found.sealed else "its manifest is of before manifests had a checksum of their own"
    return Finding("backup", Status.OK, found.id, seen, "", expected, why)


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
        "fetched", Status.CRITICAL, str(row["id"]), row["kind"], "", expected, row["text"], "backup-check",
        cause,
    )  # fmt: skip


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
        (NOT_EMPTY, place.holds, _instead(place), place.objects > 0),
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
        (LOCKS, "too few locks", place.locks, bool(place.locks)),
    ]
    found = [
        Finding("target", Status.CRITICAL, place.database, shown, "", expected, why, cause=cause)
        for cause, shown, why, bad in wrong if bad
    ]  # fmt: skip
    why = f"not compared with {', '.join(place.unread)}: their addresses are not here" if place.unread else ""
    ok = Finding("target", Status.OK, place.database, f"empty, at {place.server}", "", expected, why)
    return [*(found or [ok]), *_uncompared(place), *_other_locale(place)]


def _instead(place: Place) -> str:
    if not place.vendor:
        return "name another one, or make this one anew"
    return (
        f"a project of {place.vendor} is never empty: name a PostgreSQL of your own, or let {place.vendor}"
        " put its own backup back (point-in-time)"
    )


def _other_locale(place: Place) -> list[Finding]:
    """Find where text is written or sorted otherwise: checks and stored columns go by the locale."""
    if not place.other_locale:
        return []
    expected = "encoding and locale of the database that was backed up"
    why = (
        "make the target so with CREATE DATABASE, and `monetary` with ALTER DATABASE ... SET lc_monetary;"
        " a check or a computed column may come out otherwise, and amounts of money cannot be read"
    )
    return [
        Finding("locale", Status.WARNING, place.database, place.other_locale, "", expected, why, cause=LOCALE)
    ]


def _uncompared(place: Place) -> list[Finding]:
    """Find which databases in use could not be asked; only a person can say that they are gone."""
    status = Status.WARNING if place.lost else Status.UNKNOWN
    expected = "each database in use says that it is another one"
    why = "they were said to be lost" if place.lost else "with `lost = true` you say that it is gone"
    return [
        Finding(
            "in use", status, one.partition(":")[0], "could not be asked", "", expected, f"{one}; {why}",
            "database-connections", UNSEEN,
        )
        for one in place.unseen
    ]  # fmt: skip


def equal(differences: pd.DataFrame, database: str) -> list[Finding]:
    """Find whether a database holds exactly what the backup's manifest says.

    Args:
        differences: `ops.recovery.compare()`, or of a drill.
        database: its name.
    """
    expected = "every row, object and extension as in the manifest, no sequence further back"
    if reason := frames.reason(differences):
        return [compare.unknown("target", reason, subject=database, expected=expected)]
    named = {str(part): rows for part, rows in differences.groupby("part")}
    versions, unseen = named.pop(comparing.VERSION, None), named.pop(comparing.UNSEEN, None)
    settings = named.pop(comparing.SETTING, differences.iloc[:0])
    bad = pd.concat(named.values()) if named else differences.iloc[:0]
    found = [_differs(row, expected) for row in bad.head(_MOST_SUBJECTS).to_dict("records")]
    return [
        *(found or [_alike(unseen, database, expected)]),
        *_other_versions(versions),
        *_settings(settings),
    ]


def _differs(row: dict[Hashable, object], expected: str) -> Finding:
    return Finding(
        "target", Status.CRITICAL, f"{row['part']} {row['name']}", f"{row['now']}", f"{row['was']}",
        expected, "it is not the database that was backed up", cause=DIFFERS,
    )  # fmt: skip


def _alike(unseen: pd.DataFrame | None, database: str, expected: str) -> Finding:
    """Say that nothing differs, and of what only the names were compared."""
    if unseen is None or unseen.empty:
        return Finding("target", Status.OK, database, "equal to the manifest", "", expected)
    named = [f"{row['name']}: {row['was']} here, {row['now']} there" for row in unseen.to_dict("records")]
    why = f"not compared: {'; '.join(named)}"
    if comparing.CONTENTS in set(unseen["name"]):
        return compare.unknown("target", why, subject=database, expected=expected)
    seen = "rows and names as in the manifest"
    return Finding("target", Status.OK, database, seen, "", "rows as in the manifest, each thing there", why)


def _settings(found: pd.DataFrame) -> list[Finding]:
    """Find which settings and rights a person must put back: no dump of one database holds them."""
    if found.empty:
        return []
    names, why = (
        ", ".join(found["name"]),
        "no dump holds them: use ALTER DATABASE, ALTER ROLE, GRANT and REVOKE",
    )
    expected = "those that it had"
    return [Finding("settings", Status.WARNING, names, "not there", "", expected, why, cause=SETTINGS)]


def _other_versions(found: pd.DataFrame | None) -> list[Finding]:
    rows = [] if found is None else found.to_dict("records")
    expected, why = "the version that it had", "what it gives back may have changed: read its release notes"
    return [
        Finding(
            "extension", Status.WARNING, f"{row['name']}", f"{row['now']}", f"{row['was']}", expected, why,
            cause=VERSION,
        )
        for row in rows
    ]  # fmt: skip


def statistics(tables: pd.DataFrame) -> Finding:
    """Find whether statistics were gathered after a restore.

    Args:
        tables: `ops.recovery.without_statistics()`, or of a drill.
    """
    some = ", ".join(tables["table_name"].head(_MOST_SUBJECTS))
    return compare.none(
        tables, check="statistics", expected="gathered for every table that has rows", cause=GUESSED,
        why=f"without them every plan is a guess, and may take hours: run ANALYZE there. {some}",
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
    if minutes < -backups.CLOCKS_APART_H * 60:
        reason = f"it is of {picked.backup.taken_at:%Y-%m-%d}, which is to come: a clock is wrong"
        return compare.unknown("work lost", reason, expected=expected)
    found = compare.below(
        max(minutes, 0.0), check="work lost", warning=limit.warning, critical=limit.critical,
        unit=limit.unit, expected=expected, cause=backups.STALE, next=backups.TAKES,
        why=f"what was written since {picked.backup.holds.taken_at} would be gone",
    )  # fmt: skip
    return backups.asking(found)


def _major(version: str) -> int:
    return int(version.partition(".")[0])
