"""Can a backup be taken, and are the ones that there are young, whole, and as large as they should be."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from opslib import frames
from opslib.backup import manifest, reading
from opslib.backup import room as room_
from opslib.checks import compare
from opslib.verdict import Cause, Finding, Status

if TYPE_CHECKING:
    from opslib.config import Limit

TAKES = "backup"  # the procedure that takes one
_MOST_SUBJECTS = 5
CLOCKS_APART_H = 0.25  # clocks of two machines may differ by so much
_MB = 1e6

TOOLS = Cause("backup-tools-missing", "no client programs on this machine fit the database's server", 20)
HIDDEN = Cause("backup-rows-hidden", "row-level security hides rows from the role that takes backups", 15)
UNREADABLE = Cause("backup-table-unreadable", "the role that takes backups may not read every table", 16)
NO_ROOM = Cause("disk-nearly-full", "there is no room for another backup", 18)
NONE = Cause("backup-missing", "there is no whole backup at all", 10)
FAILED = Cause("backup-failed", "the backup could not be taken", 22)
INCOMPLETE = Cause("backup-incomplete", "pg_dump leaves something out, and ends well all the same", 24)
STALE = Cause("backup-stale", "the newest backup is too old", 30)
SHRUNK = Cause("backup-shrunk", "the newest backup holds far less than those before", 20)
TRUNCATED = Cause("backup-truncated", "a file of the newest backup is cut off or gone", 15)
CHANGED = Cause("backup-changed", "a file of the newest backup is not the one that was written", 16)
MANIFEST = Cause(
    "backup-manifest-changed", "the newest backup's manifest is not the one that was written", 14
)
FOREIGN = Cause("backup-foreign", "a backup of another system or environment lies among these", 17)
OLDER = Cause("backup-older-client", "the newest backup was made by a pg_dump older than the server", 18)
# By what is wrong with a file, or with the manifest.
_DAMAGE = {
    "missing": TRUNCATED, "short": TRUNCATED, "unreadable": TRUNCATED, "changed": CHANGED, "extra": CHANGED,
    manifest.CHANGED: MANIFEST, reading.OLDER: OLDER,
}  # fmt: skip
_MANIFESTS = {manifest.CHANGED: MANIFEST, manifest.FOREIGN: FOREIGN}
_GRANT = {
    "": "grant pg_read_all_data to the role",
    "large objects": "pg_read_all_data does not hold for them: take backups as their owner, or grant select",
}
# What pg_dump leaves out where it may not read it, and still ends well.
_SILENT = {
    "subscription": "only a superuser's dump has it: write down how it is made",
    "user mapping": "the dump has it without its options, such as a password: write them down",
    "table of an extension": "no dump has its rows, nor, where it was added to it later, the table",
}


def server(facts: pd.DataFrame) -> Finding:
    """Find whether the server answers, and can be backed up from.

    Args:
        facts: the statement `server_facts`.
    """
    expected = "the server answers"
    if reason := frames.reason(facts) or ("" if len(facts) else "the answer has no rows"):
        return compare.unknown("server", reason, expected=expected, next="database-connections")
    row = facts.iloc[0]
    return Finding("server", Status.OK, str(row["database"]), str(row["version_text"]), "", expected)


def major(facts: pd.DataFrame) -> int:
    """Return the server's major version; 0 where it did not answer."""
    return 0 if frames.reason(facts) or facts.empty else int(facts["version"].iloc[0])


def tools(found: pd.DataFrame) -> Finding:
    """Find whether client programs of the server's version are here.

    Args:
        found: `ops.backups.tools(major)`.
    """
    expected = "pg_dump of the server's own major version, with TLS where a network lies between"
    if frames.absent(found):
        why = str(frames.reason(found))
        return Finding("tools", Status.CRITICAL, "", "no way in", "", expected, why, cause=TOOLS)
    if finding := compare.blind("tools", found, expected=expected):
        return finding
    row = found.iloc[0]
    if row["fits"]:
        return Finding("tools", Status.OK, "", str(row["text"]), "", expected)
    return Finding(
        "tools",
        Status.CRITICAL,
        f"server {row['server']}",
        "none fits",
        "",
        expected,
        row["text"],
        cause=TOOLS,
    )


def readable(tables: pd.DataFrame) -> list[Finding]:
    """Find whether the role would get every row of every table.

    Args:
        tables: `ops.backups.tables()`.
    """
    expected = "every row of every table can be read"
    if reason := frames.reason(tables):
        return [compare.unknown("readable", reason, expected=expected)]
    unread, hidden = tables[~tables["can_read"]], tables[tables["rls_hides"].fillna(False)]
    silent = unread["kind"].isin(list(_SILENT))
    refused, left = unread[~silent], unread[silent].head(_MOST_SUBJECTS)
    found = [
        _table(name, "may not be read", expected, UNREADABLE, _GRANT.get(kind, _GRANT[""]))
        for name, kind in refused[["table_name", "kind"]].head(_MOST_SUBJECTS).itertuples(index=False)
    ] + [
        _table(name, "rows hidden by policies", expected, HIDDEN, "give the role BYPASSRLS; with"
               " --enable-row-security the dump would leave these rows out without a word")
        for name in hidden["table_name"].head(_MOST_SUBJECTS)
    ]  # fmt: skip
    found += [
        Finding("readable", Status.WARNING, name, "left out", "", expected, _SILENT[kind], cause=INCOMPLETE)
        for name, kind in left[["table_name", "kind"]].itertuples(index=False)
    ]
    if found:
        return found
    unlogged, emptied = (int(tables[column].fillna(False).sum()) for column in ("unlogged", "emptied"))
    rows = int(tables["kind"].str.contains("table|sequence").sum())
    seen = f"{rows} tables and sequences" + (f", {unlogged} unlogged" if unlogged else "")
    why = "a standby has no rows of unlogged tables: none of theirs would be in it" if emptied else ""
    return [Finding("readable", Status.OK, "", seen, "", expected, why)]


def room(found: pd.DataFrame) -> Finding:
    """Find whether there is room for another backup.

    Args:
        found: `ops.backups.room(bytes)`.
    """
    expected = "room for twice what a backup may take"
    if finding := compare.blind("room", found, expected=expected):
        return finding
    row = found.iloc[0]
    if not row["needed_bytes"]:
        return compare.unknown("room", "nobody knows how large a backup may be", expected=expected)
    needed = float(row["needed_bytes"]) * room_.SPARE / _MB
    return compare.above(
        float(row["free_bytes"]) / _MB, check="room", critical=needed, unit="MB", expected=expected,
        cause=NO_ROOM, why="a full disk ends a backup half way; remove old ones, or enlarge it",
    )  # fmt: skip


def needed(listed: pd.DataFrame, tables: pd.DataFrame) -> int:
    """Return how many bytes another backup may take: as the largest so far, else as the tables have."""
    if not frames.reason(listed) and listed["megabytes"].notna().any():
        return int(listed["megabytes"].max() * _MB)
    return 0 if frames.reason(tables) else int(tables["bytes_estimate"].sum())


def age(listed: pd.DataFrame, limit: Limit, next: str = "") -> Finding:
    """Find whether the newest whole backup is young enough: what came after it would be lost.

    Args:
        listed: `ops.backups.list()`.
        limit: hours.
        next: procedure that takes one.
    """
    return asking(_age(listed, limit, next))


def size(listed: pd.DataFrame, limit: Limit, next: str = "") -> list[Finding]:
    """Find whether the newest backup holds about as much as those before: rows, and bytes.

    Args:
        listed: `ops.backups.list()`.
        limit: per cent by which it may be smaller than the median of the others.
        next: procedure that takes one.
    """
    expected = "about as much as the backups before"
    if reason := frames.reason(listed):
        return [asking(compare.unknown("size", reason, expected=expected, next=next))]
    kept = whole(listed)
    if len(kept) < 2:
        return [compare.skipped("size", "there are not two whole backups to compare")]
    found = [
        compare.below(
            _smaller(kept[column]), check="size", subject=column, warning=limit.warning,
            critical=limit.critical, unit="% smaller", expected=expected, cause=SHRUNK, next=next,
            why=f"{kept[column].iloc[0]:g} now, {kept[column].iloc[1:].median():g} before: another database,"
            " or only a part of this one?",
        )
        for column in ("rows", "megabytes")
    ]  # fmt: skip
    return [asking(one) for one in found]


def readback(read: pd.DataFrame, next: str = "") -> list[Finding]:
    """Find whether the newest backups were read back whole.

    Args:
        read: `ops.backups.read_back()`.
        next: procedure that takes one.
    """
    expected = "every byte is as it was written, and all of it can be read"
    if reason := frames.reason(read):
        return [asking(compare.unknown("read back", reason, expected=expected, next=next))]
    return [asking(_read(row, expected, next)) for row in read.to_dict("records")]


def asking(found: Finding) -> Finding:
    """Return a finding that, where it leads to taking a backup, asks for one: unasked, that only looks."""
    return replace(found, next_parameters={"take": True}) if found.next == TAKES else found


def damage(kind: str) -> Cause | None:
    """Return the cause that the kind of a `reading.Wrong` stands for; None where it is no such kind."""
    return _DAMAGE.get(kind)


def manifests(listed: pd.DataFrame) -> Finding:
    """Find whether each backup says what it holds, as it was written, and is of this system.

    Args:
        listed: `ops.backups.list()`.
    """
    expected = "each backup has its manifest, as it was written, and is of this system"
    if reason := frames.reason(listed):
        return compare.unknown("manifests", reason, expected=expected)
    bad = listed[listed["problem"] != ""]
    if bad.empty:
        older = int((listed["kind"] != "").sum())
        why = f"{older} of before manifests had a checksum of their own" if older else ""
        return Finding("manifests", Status.OK, "", f"{len(listed)} read", "", expected, why)
    first = bad.iloc[0]
    newest = bad.index[0] == listed.index[0]
    cause = _MANIFESTS.get(first["kind"], TRUNCATED) if newest else None
    status = Status.CRITICAL if newest else Status.WARNING
    return Finding(
        "manifests", status, str(first["id"]), f"{len(bad)} not to be used", "", expected, first["problem"],
        cause=cause,
    )  # fmt: skip


def whole(listed: pd.DataFrame) -> pd.DataFrame:
    """Return the backups of everything whose manifest can be read, the newest first."""
    return listed[(listed["problem"] == "") & (listed["content"] == "all")]


def _age(listed: pd.DataFrame, limit: Limit, next: str) -> Finding:
    expected = "the newest backup is younger than the limit"
    if reason := frames.reason(listed):
        return compare.unknown("age", reason, expected=expected, next=next)
    kept = whole(listed)
    if kept.empty:
        return Finding(
            "age", Status.CRITICAL, "", "no backup", "", expected, "nothing could be restored", next, NONE
        )
    if float(kept["age_hours"].iloc[0]) < -CLOCKS_APART_H:
        reason = f"the newest is of {kept['taken_at'].iloc[0]:%Y-%m-%d}, which is to come: a clock is wrong"
        return compare.unknown("age", reason, expected=expected, next=next)
    return compare.below(
        float(kept["age_hours"].iloc[0]), check="age", warning=limit.warning, critical=limit.critical,
        unit=limit.unit, expected=expected, cause=STALE, next=next,
        why=f"what was written since {kept['taken_at'].iloc[0]:%Y-%m-%d %H:%M} UTC would be lost",
    )  # fmt: skip


def _table(name: str, seen: str, expected: str, cause: Cause, why: str) -> Finding:
    return Finding("readable", Status.CRITICAL, name, seen, "", expected, why, cause=cause)


def _smaller(values: pd.Series) -> float:
    before = float(values.iloc[1:].median())
    return max(0.0, 100 * (before - float(values.iloc[0])) / before) if before else 0.0


def _read(row: dict[Any, Any], expected: str, next: str) -> Finding:
    if pd.isna(row["whole"]):
        return compare.unknown("read back", row["text"], subject=row["id"], expected=expected, next=next)
    if row["whole"]:
        return Finding("read back", Status.OK, row["id"], row["text"], "", expected)
    return Finding(
        "read back", Status.CRITICAL, row["id"], row["kind"], "", expected, row["text"], next,
        damage(row["kind"]),
    )  # fmt: skip
