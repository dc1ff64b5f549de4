"""Which sessions are to be ended: few and exact, by cause, by hand, or as the last resort all of them.

Everything is chosen from one look (statement `session_candidates`). What the server says must be left
alone is never chosen, whoever asks: it is named, with the reason.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from opslib.checks import connections, sessions

if TYPE_CHECKING:
    import pandas as pd

    from opslib.config import Limit

Row = dict[str, Any]
Limits = Callable[[str], "Limit"]
IDLE, OPEN = "idle", "idle in transaction"
_MINUTE = 60.0
_SCARCE_PCT = 80.0
# Below the limit by this much, so that the next burst does not reach it again at once.
_SPARE_PCT = 5.0
_PREPARED = "(prepared transaction)"


@dataclass(frozen=True)
class Pick:
    """One session that is chosen.

    Args:
        row: what was seen of it.
        cancel: only its statement is ended; the session itself lives on.
    """

    row: Row
    cancel: bool


@dataclass
class Picks:
    """The chosen ones in the order in which they are to be ended, and those that look like it.

    Args:
        chosen: pid -> what is to be done.
        left_out: name -> why it is left alone.
    """

    chosen: dict[int, Pick] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)

    def take(self, rows: Iterable[Row], *, whole: bool = False) -> None:
        """Choose rows that may be ended; name those that must be left alone.

        Args:
            rows: of the candidates.
            whole: end the session, although cancelling its statement would do.
        """
        for row in rows:
            if row["protected_reason"]:
                self.left_out[name(row)] = row["protected_reason"]
            else:
                self.chosen.setdefault(row["pid"], Pick(row, not whole and heeds_a_cancel(row)))

    def cut(self, most: int) -> None:
        """Keep the first ones only, and say how many are left for the next plan."""
        beyond = list(self.chosen)[most:]
        for pid in beyond:
            del self.chosen[pid]
        if beyond:
            self.left_out[f"{len(beyond)} more"] = f"one plan ends {most} at most (parameter most)"


def name(row: Row) -> str:
    """Return what people call a session."""
    return f"{row['application']} (pid {row['pid']})"


def heeds_a_cancel(row: Row) -> bool:
    """Tell whether a cancel ends what a session does.

    One that is idle in a transaction ignores it, and so does one that waits for its client to take
    the rows: that one has to be terminated.
    """
    return row["state"] == "active" and not (row["waits_for"] or "").startswith("Client:")


def by_cause(causes: Iterable[str], rows: Sequence[Row], headroom: pd.DataFrame, limit: Limits) -> Picks:
    """Choose what ends the causes that were found; none is chosen for any other reason.

    Args:
        causes: ids of the causes.
        rows: the candidates, the longest in their state first.
        headroom: statement `connections_headroom`.
        limit: returns a limit by its name.
    """
    found, picks = set(causes), Picks()
    if sessions.STORM in found:
        _storm(picks, rows, first(limit("lock_wait_seconds")))
    if sessions.FORGOTTEN in found:
        old = first(limit("idle_in_transaction_minutes")) * _MINUTE
        picks.take(row for row in rows if is_open(row) and row["in_state"] >= old)
    if sessions.LONG in found:
        late = first(limit("long_query_seconds"))
        picks.take(row for row in rows if _runs(row) and row["statement"] >= late)
    if connections.IDLE in found:
        ended = sum(not pick.cancel for pick in picks.chosen.values())
        _idle(picks, rows, _too_many(headroom, limit("connections_pct")) - ended)
    return picks


def by_hand(pids: Iterable[str], rows: Sequence[Row]) -> Picks:
    """Choose exactly the sessions that a person named.

    Args:
        pids: their numbers, as text.
        rows: the candidates.
    """
    picks, known = Picks(), {str(row["pid"]): row for row in rows}
    for pid in dict.fromkeys(pids):
        if pid in known:
            picks.take([known[pid]])
        else:
            picks.left_out[f"pid {pid}"] = "there is no such session"
    return picks


def everything(rows: Sequence[Row]) -> Picks:
    """Choose every session that may be ended at all.

    Those that wait for a lock come first, the last in line before all: once those ahead are gone they
    would move on, and be other than they were shown. Then those in transactions.

    Args:
        rows: the candidates.
    """
    picks = Picks()
    waiting = sorted((row for row in rows if row["blocked_by"]), key=lambda row: row["waiting"])
    others = [row for row in rows if not row["blocked_by"]]
    picks.take([*waiting, *sorted(others, key=lambda row: not has_transaction(row))], whole=True)
    return picks


def is_open(row: Row) -> bool:
    """Tell whether a session is idle in a transaction."""
    return str(row["state"]).startswith(OPEN)


def has_transaction(row: Row) -> bool:
    """Tell whether something is rolled back when a session ends."""
    return not math.isnan(row["transaction"])


def first(limit: Limit) -> float:
    """Return the value at which a limit begins to count; endless when it has none."""
    return min((value for value in (limit.warning, limit.critical) if value is not None), default=math.inf)


def _runs(row: Row) -> bool:
    """Tell whether a session works by itself and does not merely wait for a lock."""
    return row["state"] == "active" and not (row["waits_for"] or "").startswith("Lock:")


def _storm(picks: Picks, rows: Sequence[Row], seconds: float) -> None:
    """Free the queue first, then end what holds it up.

    A waiting DDL with others behind it is cancelled before the root: that alone lets the others
    pass, and nothing is lost, as it has not begun.
    """
    waiting = {row["pid"]: row for row in rows if row["blocked_by"]}
    by_pid = {row["pid"]: row for row in rows}
    roots: dict[int, None] = {}
    for row in waiting.values():
        if row["waiting"] >= seconds:
            roots |= dict.fromkeys(_roots(row["pid"], waiting))
    in_the_way = {pid for row in waiting.values() for pid in row["blocked_by"]}
    queued = [
        row
        for row in waiting.values()
        if row["maintenance"] and row["pid"] in in_the_way and roots.keys() & _roots(row["pid"], waiting)
    ]
    picks.take(sorted(queued, key=lambda row: -row["waiting"]))
    picks.take(by_pid[pid] for pid in roots if pid in by_pid)
    if 0 in roots:
        picks.left_out[_PREPARED] = "it has no session: commit it or roll it back by its name"


def _roots(pid: int, waiting: dict[int, Row]) -> list[int]:
    """Return the ends of the chains that a session waits in: those that wait for nobody."""
    seen, ahead, ends = {pid}, list(waiting[pid]["blocked_by"]), []
    while ahead:
        blocker = ahead.pop(0)
        if blocker in seen:
            continue
        seen.add(blocker)
        if blocker in waiting:
            ahead.extend(waiting[blocker]["blocked_by"])
        else:
            ends.append(blocker)
    return ends


def _too_many(headroom: pd.DataFrame, limit: Limit) -> int:
    """Return how many slots must come free so that some are to spare again."""
    row = headroom.iloc[0]
    scarce = first(limit)
    aim = (scarce if math.isfinite(scarce) else _SCARCE_PCT) - _SPARE_PCT
    return int(row["used"]) - math.floor(int(row["usable"]) * aim / 100)


def _idle(picks: Picks, rows: Sequence[Row], needed: int) -> None:
    """Choose the longest idle sessions, of as few applications as hold enough of them."""
    idle = [row for row in rows if row["state"] == IDLE and row["pid"] not in picks.chosen]
    picks.take(row for row in idle if row["protected_reason"])
    free = [row for row in idle if not row["protected_reason"]]
    counts: dict[str, int] = {}
    for row in free:
        counts[row["application"]] = counts.get(row["application"], 0) + 1
    leaking: set[str] = set()
    for application in sorted(counts, key=lambda each: (-counts[each], each)):
        if sum(counts[each] for each in leaking) >= needed:
            break
        leaking.add(application)
    picks.take([row for row in free if row["application"] in leaking][: max(needed, 0)])
