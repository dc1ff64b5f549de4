"""Put together what is said of a procedure over time, from the archive and the schedule."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from opslib import ids
from opslib.archive.figures import Figure, limits, measured
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
SOON = timedelta(minutes=60)
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
    unit, bounds = _scale(known[chosen][0])
    points = tuple(_points(runs, chosen, unit))
    return Trend(chosen, unit, points, bounds) if key or len(points) > 1 else None


def _scale(newest: Mapping[str, str]) -> tuple[str, tuple[Figure, ...]]:
    """Return the unit in which a finding is drawn, and its limits in that unit."""
    bounds = limits(newest["limit"])
    for bound in bounds:
        if measured(newest["observed"], bound.unit):
            return bound.unit, tuple(one for one in bounds if one.unit == bound.unit)
    first = measured(newest["observed"])
    return first.unit if first else "", ()


def _numbered(runs: Sequence[Run]) -> dict[str, list[Mapping[str, str]]]:
    """Return findings whose newest observation has a number, by key, the newest first."""
    rows: dict[str, list[Mapping[str, str]]] = {}
    for run in runs:
        for row in run["findings"]:
            if row["key"] in rows or measured(row["observed"]):
                rows.setdefault(row["key"], []).append(row)
    return rows


def _weight(rows: Sequence[Mapping[str, str]]) -> tuple[bool, int, int, int]:
    """Return by how much a finding matters: held to a limit, bad now, not always the same, often seen."""
    held = bool(_scale(rows[0])[1])
    values = {row["observed"] for row in rows}
    return held, Status(rows[0]["status"]).severity, len(values), len(rows)


def _points(runs: Sequence[Run], key: str, unit: str) -> Iterator[tuple[datetime, float]]:
    for run in reversed(runs):
        seen = (measured(row["observed"], unit) for row in run["findings"] if row["key"] == key)
        if found := next(seen, None):
            yield _began(run), found.value


def _flips(runs: Sequence[Run], now: datetime) -> Iterator[Flip]:
    """Yield verdicts of the last days that soon went back, although nothing that we know of changed."""
    for after, between, before in zip(runs, runs[1:], runs[2:], strict=False):
        moment = _began(after)
        if now - moment > _FLIPPED:
            return
        back = before["verdict"] == after["verdict"] != between["verdict"]
        if back and moment - _began(before) <= SOON and _alike(before, between, after):
            verdicts = (before["verdict"], between["verdict"])
            yield Flip(before["run_id"], between["run_id"], moment, verdicts)


def _alike(*runs: Run) -> bool:
    """Whether runs that differ in their verdicts should not."""
    first, *others = ((run["code"]["sha256"], run["parameters"], bool(run["changed"])) for run in runs)
    return first[0] is not None and not first[2] and all(other == first for other in others)


def _notes(index: Index, entries: Sequence[Entry]) -> tuple[Mapping[str, Any], ...]:
    notes = Notes(index.archive)
    found = [note.to_dict() for entry in entries if entry.run_id for note in notes.of(entry.run_id)]
    return tuple(sorted(found, key=lambda note: str(note["time"]), reverse=True))


def _began(run: Run) -> datetime:
    return datetime.fromisoformat(run["started_at"])
