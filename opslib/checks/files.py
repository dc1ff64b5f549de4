"""Can all files be seen, are they copied lately, and read by nobody who should not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import pandas as pd

from opslib import frames, ids
from opslib.checks import compare
from opslib.files.inventory import Inventory, Side
from opslib.verdict import Cause, Finding, Status

if TYPE_CHECKING:
    from opslib.config import Limit

SUMMARY = (
    "bucket", "files", "megabytes", "newest", "copied_files", "newest_copy", "not_copied", "missing",
    "changed",
)  # fmt: skip
DIFFERENCES = ("bucket", "key", "what", "bytes", "bytes_in_copy", "written", "written_in_copy")

NO_COPY = Cause("no-copy", "a bucket has no copy: what is lost there is lost", 15)
STALE = Cause("copy-stale", "files have not been copied for too long", 20)
PUBLIC = Cause("bucket-public", "everybody can read a bucket that is not meant to be public", 8)
UNDECLARED = Cause("bucket-undeclared", "there is a bucket that the system's file does not know", 40)
VERSIONS = Cause("versioning-off", "a bucket keeps no versions, though its store can", 30)
_MB, _HOUR_S, _WEEK_S = 1e6, 3600, 7 * 86_400
_HERE = "file-storage"
_ENOUGH_MB = 1.0  # growth of less than this tells nothing


def summary(seen: Sequence[Inventory]) -> pd.DataFrame:
    """Return one row a declared bucket; columns `SUMMARY`, NA where nobody can tell."""
    rows = [
        (
            one.name, *_figures(one.live), one.live.newest, _figures(one.copy)[0], one.copy.newest,
            *([pd.NA] * 3 if one.reason else (len(one.uncopied), len(one.missing), len(one.changed))),
        )
        for one in seen
    ]  # fmt: skip
    counts = dict.fromkeys(("files", "copied_files", "not_copied", "missing", "changed"), "Int64")
    return pd.DataFrame(rows, columns=list(SUMMARY)).astype(counts)


def differences(seen: Sequence[Inventory]) -> pd.DataFrame:
    """Return one row a file that is not the same on both sides; columns `DIFFERENCES`."""
    return pd.DataFrame([row for one in seen for row in _differences(one)], columns=list(DIFFERENCES))


def listed(seen: Sequence[Inventory]) -> list[Finding]:
    """Find whether each bucket and its copy could be listed to the end."""
    return [_listed(subject, side) for subject, side, _ in _sides(seen)]


def copied(seen: Sequence[Inventory], limit: Limit) -> list[Finding]:
    """Find whether the copy is up to date: how long ago the oldest file was written that it lacks.

    Args:
        seen: the declared buckets.
        limit: hours.
    """
    return [_copied(one, limit, ids.now()) for one in seen]


def versions(seen: Sequence[Inventory]) -> list[Finding]:
    """Find whether what is removed or written over by mistake can still be had."""
    return [_versions(subject, side) for subject, side, _ in _sides(seen) if not side.reason]


def public(seen: Sequence[Inventory], buckets: pd.DataFrame) -> list[Finding]:
    """Find whether anything is open to everybody that is not meant to be, copies included.

    Args:
        seen: the declared buckets.
        buckets: `ops.files.buckets()`.
    """
    expected = "only buckets that are meant to be public are"
    if finding := compare.blind("public", buckets, expected=expected):
        return [finding]
    found = [*_open(seen), *_strange(buckets)]
    unseen = [
        compare.unknown("public", reason, subject=subject, expected=expected)
        for subject, side, _ in _sides(seen)
        if (reason := side.public.reason or side.reason) and not _no_copy(subject, side)
    ]
    fine = Finding("public", Status.OK, "", "none that should not be", "", expected)
    return [*found, *unseen] or [fine]


def sizes(
    seen: Sequence[Inventory], history: Callable[[str], pd.DataFrame], room: Limit, growth: Limit
) -> list[Finding]:
    """Find how large each bucket is, and how fast it grows.

    Args:
        seen: the declared buckets.
        history: `ops.history`.
        room: GB that the plan has for all of them, as `critical`.
        growth: per cent a week.
    """
    found = [_size(one) for one in seen]
    found += [_growth(one, history(f"size:{one.name}"), growth) for one in seen]
    return [*found, _room(seen, room)]


def _figures(side: Side) -> tuple[object, object]:
    return (pd.NA, None) if side.reason else (len(side.objects), round(side.bytes / _MB, 3))


def _differences(one: Inventory) -> Iterator[tuple[object, ...]]:
    named = {
        "missing": one.missing,
        "changed": one.changed,
        "not sure": one.unsure,
        "not copied": one.uncopied,
    }
    for what, keys in named.items():
        for key in keys if not one.reason else ():
            here, there = one.live.objects.get(key), one.copy.objects.get(key)
            sizes = (here.size if here else None, there.size if there else None)
            times = (here.modified if here else None, there.modified if there else None)
            yield (one.name, key, what, *sizes, *times)


def _sides(seen: Sequence[Inventory]) -> list[tuple[str, Side, bool | None]]:
    """Return each side by a name that stays, and whether it is meant to be public; None for a copy."""
    both = [[(one.name, one.live, one.spec.public), (f"{one.name}, copy", one.copy, None)] for one in seen]
    return [side for sides in both for side in sides]


def _no_copy(subject: str, side: Side) -> bool:
    """Tell whether this is a copy that there is none of; a bucket itself is declared, so it must be seen."""
    return side.absent and subject.endswith(", copy")


def _listed(subject: str, side: Side) -> Finding:
    expected = "listed to the end"
    if _no_copy(subject, side):
        why = f"{side.reason}; no backup of a database holds files"
        return Finding("listed", Status.CRITICAL, subject, "no copy", "", expected, why, cause=NO_COPY)
    if side.reason:
        return Finding(
            "listed", Status.UNKNOWN, subject, "could not look", "", expected, side.reason, cause=side.cause
        )
    seen = f"{len(side.objects)} files, {compare.number(side.bytes / _MB, 'MB')} at {side.where}"
    return Finding("listed", Status.OK, subject, seen, "", expected)


def _copied(one: Inventory, limit: Limit, now: datetime) -> Finding:
    expected = "every file is in the copy within the limit"
    if one.reason:
        return compare.unknown("copied", one.reason, subject=one.name, expected=expected)
    # A file that users have changed since it was copied waits for its copy like a new one.
    waiting = [*one.uncopied, *(one.changed if one.spec.mutable else ())]
    if not waiting:
        return Finding("copied", Status.OK, one.name, "all of them", "", expected)
    oldest = min(one.live.objects[key].modified for key in waiting)
    return compare.below(
        round((now - oldest).total_seconds() / _HOUR_S, 1), check="copied", subject=one.name,
        warning=limit.warning, critical=limit.critical, unit=limit.unit, expected=expected, cause=STALE,
        why=f"{len(waiting)} files wait for their copy, the oldest for this long; what is lost now has none",
        next=_HERE,
    )  # fmt: skip


def _versions(subject: str, side: Side) -> Finding:
    expected = "versions are kept where the store can"
    if side.versioned.reason:
        return compare.unknown("versions", side.versioned.reason, subject=subject, expected=expected)
    if side.versioned.value is None:
        return compare.skipped("versions", "this kind of place keeps none", subject=subject)
    if side.versioned.value:
        return Finding("versions", Status.OK, subject, "on", "", expected)
    why = "a file that is written over or removed by mistake is gone at once: switch versioning on"
    return Finding("versions", Status.WARNING, subject, "off", "on", expected, why, cause=VERSIONS)


def _open(seen: Sequence[Inventory]) -> list[Finding]:
    return [
        Finding(
            "public", Status.CRITICAL, subject, f"{side.where} is public", "not public",
            "only buckets that are meant to be public are",
            "whoever has, or guesses, an address reads the file: close it, then ask what was read",
            cause=PUBLIC,
        )
        for subject, side, meant in _sides(seen) if side.public.value and not meant
    ]  # fmt: skip


def _strange(buckets: pd.DataFrame) -> list[Finding]:
    """Return the buckets that the system's file does not know: nobody copies them."""
    unknown = buckets[buckets["declared"] == ""]
    return [
        Finding(
            "public", Status.CRITICAL if row["public"] else Status.WARNING, f"{row['place']}:{row['bucket']}",
            "public, not declared" if row["public"] else "not declared", "declared",
            "every bucket is declared, with its copy",
            "no copy of it is known: add it under `files`",
            cause=PUBLIC if row["public"] else UNDECLARED,
        )
        for row in unknown.to_dict("records")
    ]  # fmt: skip


def _size(one: Inventory) -> Finding:
    expected = "known, so that growth can be told"
    if one.live.reason:
        return compare.unknown("size", one.live.reason, subject=one.name, expected=expected)
    return Finding("size", Status.OK, one.name, f"{one.live.bytes / _MB:.3f} MB", "", expected)


def _growth(one: Inventory, history: pd.DataFrame, limit: Limit) -> Finding:
    expected = "grows no faster than its users do"
    if one.live.reason:
        return compare.unknown("growth", one.live.reason, subject=one.name, expected=expected)
    earlier = history.dropna(subset=["observed"]) if not frames.reason(history) else history
    if earlier.empty:
        return compare.skipped("growth", "no earlier record tells its size", subject=one.name)
    then, since = float(earlier["observed"].iloc[0]), earlier["finished_at"].iloc[0]
    weeks = (pd.Timestamp(ids.now()) - since).total_seconds() / _WEEK_S
    if weeks * 7 < 1:
        return compare.skipped("growth", "no record of this is at least a day old", subject=one.name)
    grown = one.live.bytes / _MB - then
    pct = 100 * grown / max(then, 1e-3) / weeks if grown >= _ENOUGH_MB else 0.0
    return compare.below(
        round(pct, 1), check="growth", subject=one.name, warning=limit.warning, critical=limit.critical,
        unit=limit.unit, expected=expected,
        why=f"{then:.3f} MB on {since:%Y-%m-%d}, {one.live.bytes / _MB:.3f} MB now: who writes so much?",
    )  # fmt: skip


def _room(seen: Sequence[Inventory], limit: Limit) -> Finding:
    expected = "less than the plan has room for"
    if limit.critical is None:
        return compare.skipped(
            "room", "the room of the plan is not said: set `files_gb` in the system's file"
        )
    if reasons := [one.live.reason for one in seen if one.live.reason]:
        return compare.unknown("room", reasons[0], expected=expected)
    total = sum(one.live.bytes for one in seen) / 1e9
    return compare.below(
        round(total, 3), check="room", warning=limit.warning, critical=limit.critical, unit=limit.unit,
        expected=expected, why="uploads fail when the plan is full",
    )  # fmt: skip
