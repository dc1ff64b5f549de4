"""What is said of a procedure over time, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from opslib import ids
from opslib.archive.figures import Figure

MISSED = "missed"


@dataclass(frozen=True)
class Entry:
    """One run, or one planned moment at which none came.

    Args:
        moment: when it began, or was planned for.
        state: the verdict, or `missed`.
        seconds: how long it took; None when that is not known, or it was missed.
        run_id: the run; empty when it was missed.
    """

    moment: datetime
    state: str
    seconds: float | None = None
    run_id: str = ""


@dataclass(frozen=True)
class Rates:
    """How often it came to which verdict in the last days.

    Args:
        days: how many days back.
        counts: verdict -> runs.
    """

    days: int
    counts: Mapping[str, int]

    @property
    def runs(self) -> int:
        """All runs of these days."""
        return sum(self.counts.values())

    def share(self, verdict: str) -> float | None:
        """Return the share of a verdict, 0 to 1; None where nothing was run."""
        return self.counts.get(verdict, 0) / self.runs if self.runs else None


@dataclass(frozen=True)
class Open:
    """A finding that is not ok in the newest run that looked.

    Args:
        finding: the newest one, with the columns of the JSON contract.
        first: when it was first seen since it was last ok.
        last: when it was last seen.
        runs: how many runs saw it in between.
        older: whether it was there already in the oldest run that was looked through.
    """

    finding: Mapping[str, str]
    first: datetime
    last: datetime
    runs: int
    older: bool


@dataclass(frozen=True)
class Trend:
    """The numbers of one finding.

    Args:
        key: the finding's key.
        unit: unit of all numbers.
        points: (moment, number), the oldest first.
        limits: numbers of its limit now: one, or warning and critical.
    """

    key: str
    unit: str
    points: tuple[tuple[datetime, float], ...]
    limits: tuple[Figure, ...]


@dataclass(frozen=True)
class Flip:
    """A verdict that soon went back to what it was, with the same code and parameters.

    Args:
        before, after: ids of the run before, and of the one that said differently.
        moment: when the run began that said as before again.
        verdicts: what the two came to.
    """

    before: str
    after: str
    moment: datetime
    verdicts: tuple[str, str]


@dataclass(frozen=True)
class OverTime:
    """A procedure over time.

    Args:
        procedure, system, environment: what is told of.
        now: when this was put together.
        newest: document of the newest run.
        entries: the last runs and missed moments, the oldest first.
        schedule: what runs it, in words; empty when nothing does.
        rates: for some spans of days, the shortest first.
        open: findings that are not ok, the worst first.
        trend: of the number that matters most; None where no finding has one.
        flips: verdicts that went back without a reason that could be seen here, the newest first.
        notes: what people noted to the runs in `entries`, the newest first.
        looked: how many runs were looked through for findings, numbers and flips.
        unreadable: how many records of the archive cannot be read.
    """

    procedure: str
    system: str
    environment: str
    now: datetime
    newest: Mapping[str, Any]
    entries: tuple[Entry, ...]
    schedule: str
    rates: tuple[Rates, ...]
    open: tuple[Open, ...]
    trend: Trend | None
    flips: tuple[Flip, ...]
    notes: tuple[Mapping[str, Any], ...]
    looked: int
    unreadable: int

    @property
    def flaky(self) -> bool:
        """Whether its verdict flips."""
        return bool(self.flips)

    @property
    def missed(self) -> tuple[Entry, ...]:
        """The entries that are missed moments."""
        return tuple(entry for entry in self.entries if entry.state == MISSED)

    def to_dict(self) -> dict[str, Any]:
        """Return it for `--json`."""
        newest = {name: self.newest[name] for name in ("run_id", "verdict", "cause", "started_at", "record")}
        whole: dict[str, Any] = _stamped({**asdict(self), "newest": newest, "flaky": self.flaky})
        return whole


def _stamped(value: Any) -> Any:
    """Return data with its moments as RFC 3339 text."""
    if isinstance(value, datetime):
        return ids.stamp(value)
    if isinstance(value, dict):
        return {name: _stamped(part) for name, part in value.items()}
    return [_stamped(part) for part in value] if isinstance(value, list | tuple) else value
