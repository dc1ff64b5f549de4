"""Put together what is said of a procedure over time, from the archive and the schedule."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from opslib import ids
from opslib.archive.figures import figure, limits
from opslib.archive.index import Index
from opslib.archive.notes import Notes
from opslib.errors import UnknownName
from opslib.trends import slots as planned
from opslib.trends.facts import MISSED, Entry, Flip, Open, OverTime, Rates, Trend
from opslib.verdict import Status

if TYPE_CHECKING:
    from opslib.config import Slot

SHOWN = 30  # runs and missed moments
LOOKED = 400  # runs
DAYS = (30, 90, 365)
SOON = timedelta(minutes=15)
_FLIPPED = timedelta(days=30)
_GOOD = (Status.OK, Status.SKIPPED)

Run = Mapping[str, Any]


def gather(
    index: Index,
    schedule: Iterable[Slot],
    target: Mapping[str, str],
    *,
    key: str = "",
    now: datetime | None = None,
) -> OverTime:
    """Return what is known of a procedure over time.

    Args:
        index: the archive's index.
        schedule: the slots of `parameters/schedule.yml`.
        target: procedure, system, environment.
        key: of which finding the numbers are wanted; empty for the one that matters most.
        now: the current time; given by tests.

    Raises:
        UnknownName: no such run is kept, or no finding of that key has a number.
    """
    moment = now or ids.now()
    runs = index.find(limit=LOOKED, **target)
    if not runs:
        raise UnknownName(
            f"no run of {target['procedure']} on {target['system']} ({target['environment']}) is kept",
            hint="`opslib history` lists what is; --env names another environment",
        )
    slots = planned.of(schedule, runs)
    gone = [time for slot in slots for time in planned.missed(slot, runs, index, moment, SHOWN)]
    entries = _entries(runs, gone)
    return OverTime(
        **target,
        now=moment,
        newest=runs[0],
        entries=entries,
        schedule=", ".join(f"{slot.id} ({slot.cron}, {slot.timezone})" for slot in slots),
        rates=tuple(_rates(index, target, days, moment) for days in DAYS),
        open=_open(runs),
        trend=_trend(runs, key),
        flips=tuple(_flips(runs, moment)),
        notes=_notes(index, entries),
        looked=len(runs),
        unreadable=len(index.unreadable()),
    )


def _entries(runs: Sequence[Run], gone: Sequence[datetime]) -> tuple[Entry, ...]:
    ran = [Entry(_began(run), run["verdict"], run["duration_s"], run["run_id"]) for run in runs[:SHOWN]]
    missed = [Entry(moment, MISSED) for moment in gone]
    return tuple(sorted([*ran, *missed], key=lambda entry: entry.moment)[-SHOWN:])


def _rates(index: Index, target: Mapping[str, str], days: int, now: datetime) -> Rates:
    return Rates(days, index.counts(**target, since=(now - timedelta(days=days)).isoformat()))


def _open(runs: Sequence[Run]) -> tuple[Open, ...]:
    """Return findings that are not ok in the newest run that has them, the worst first."""
    newest: dict[str, Run] = {}
    for run in runs[:SHOWN]:
        for row in run["findings"]:
            newest.setdefault(row["key"], row)
    latest = {row["key"] for row in runs[0]["findings"]}
    bad = [row for key, row in newest.items() if row["status"] not in _GOOD and _stands(key, runs, latest)]
    bad.sort(key=lambda row: -Status(row["status"]).severity)
    return tuple(_spell(row, runs) for row in bad)


def _stands(key: str, runs: Sequence[Run], latest: set[str]) -> bool:
    """Whether a finding can still be open: the newest run has it, or did not come to it."""
    return key in latest or runs[0]["verdict"] == Status.UNKNOWN


def _spell(finding: Mapping[str, str], runs: Sequence[Run]) -> Open:
    """Return since when a finding is not ok, and how often it was seen so."""
    seen: list[Run] = []
    older = True
    for run in runs:
        statuses = [row["status"] for row in run["findings"] if row["key"] == finding["key"]]
        if statuses and all(status in _GOOD for status in statuses):
            older = False
            break
        if statuses:
            seen.append(run)
    return Open(dict(finding), _began(seen[-1]), _began(seen[0]), len(seen), older and len(runs) == LOOKED)


def _trend(runs: Sequence[Run], key: str) -> Trend | None:
    """Return the numbers of a finding: of the one asked for, else of the worst that is held to a limit."""
    known = _numbered(runs[:SHOWN])
    if key and key not in known:
        names = ", ".join(sorted(known)[:10]) or "none"
        raise UnknownName(f"no finding {key!r} with a number is kept", hint=f"there is: {names}")
    if not known:
        return None
    chosen = key or max(known, key=lambda name: _weight(known[name]))
    now = figure(known[chosen][0]["observed"])
    unit = now.unit if now else ""
    points = tuple(_points(runs, chosen, unit))
    bounds = tuple(bound for bound in limits(known[chosen][0]["limit"]) if bound.unit == unit)
    return Trend(chosen, unit, points, bounds)


def _numbered(runs: Sequence[Run]) -> dict[str, list[Mapping[str, str]]]:
    """Return findings whose newest observation has a number, by key, the newest first."""
    rows: dict[str, list[Mapping[str, str]]] = {}
    for run in runs:
        for row in run["findings"]:
            if row["key"] in rows or figure(row["observed"]):
                rows.setdefault(row["key"], []).append(row)
    return rows


def _weight(rows: Sequence[Mapping[str, str]]) -> tuple[bool, int, int, int]:
    """Return by how much a finding matters: held to a limit, bad now, not always the same, often seen."""
    newest, seen = rows[0], figure(rows[0]["observed"])
    held = any(seen and bound.unit == seen.unit for bound in limits(newest["limit"]))
    return held, Status(newest["status"]).severity, len({row["observed"] for row in rows}), len(rows)


def _points(runs: Sequence[Run], key: str, unit: str) -> Iterator[tuple[datetime, float]]:
    for run in reversed(runs):
        found = next((figure(row["observed"]) for row in run["findings"] if row["key"] == key), None)
        if found and found.unit == unit:
            yield _began(run), found.value


def _flips(runs: Sequence[Run], now: datetime) -> Iterator[Flip]:
    """Yield neighbours of the last days that differ although nothing that we know of changed in between."""
    for after, before in pairwise(runs):
        moment = _began(after)
        if now - moment > _FLIPPED:
            return
        if moment - _began(before) <= SOON and _alike(before, after):
            verdicts = (before["verdict"], after["verdict"])
            yield Flip(before["run_id"], after["run_id"], moment, verdicts)


def _alike(before: Run, after: Run) -> bool:
    """Whether two runs that differ in their verdict should not."""
    code = [(run.get("code") or {}).get("sha256") for run in (before, after)]
    same = code[0] == code[1] is not None and before["parameters"] == after["parameters"]
    return same and before["verdict"] != after["verdict"] and not (before["changed"] or after["changed"])


def _notes(index: Index, entries: Sequence[Entry]) -> tuple[Mapping[str, Any], ...]:
    notes = Notes(index.archive)
    found = [note.to_dict() for entry in entries if entry.run_id for note in notes.of(entry.run_id)]
    return tuple(sorted(found, key=lambda note: str(note["time"]), reverse=True))


def _began(run: Run) -> datetime:
    return datetime.fromisoformat(run["started_at"])
