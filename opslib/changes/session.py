"""Ending sessions of the system's database, or their statements: exactly those that were shown.

A session is the one that was shown when process and start are the same; it is as it was shown when
it has done nothing since. Any other is left out, also one that took over the number of its process.
Nothing of this can be undone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from opslib import frames
from opslib.acts import Statement
from opslib.changes import Kind, session_choice
from opslib.changes.session_choice import Limits, Pick, Picks, Row, has_transaction, is_open
from opslib.checks.sessions import span
from opslib.gate.plan import Draft, Observed, Risk, Target
from opslib.verdict import Cause

if TYPE_CHECKING:
    import pandas as pd


AUTO, NONE, KILL_ALL = "auto", "none", "kill-all"
SHOWN = (
    "pid", "application", "role", "state", "in_state", "transaction", "waits_for", "blocked_by",
    "protected_reason", "query",
)  # fmt: skip
_WAIT_MS = 5000
_FINAL = (
    "Nothing brings a session or a transaction back: open transactions are rolled back, and the clients"
    " see an error and connect again.",
)
_EFFECT_DDL = "the statement has not begun and nothing is lost; run it again later, with a lock_timeout"
_EFFECT_CANCEL = "its statement fails with 'canceling statement due to user request'; the session stays"
_EFFECT_OPEN = "its open transaction is rolled back; its client notices at its next statement"
_EFFECT_ACTIVE = "its statement fails, and its transaction is rolled back"
_EFFECT_IDLE = "nobody is served by it now; its client connects again when it needs to"


def shown(candidates: pd.DataFrame) -> pd.DataFrame:
    """Return the columns of `session_candidates` that a person reads."""
    if reason := frames.reason(candidates):
        return frames.unavailable(SHOWN, reason)
    return candidates[list(SHOWN)]


def draft(
    causes: Iterable[Cause], candidates: pd.DataFrame, headroom: pd.DataFrame, limit: Limits, *,
    repair: str = AUTO, pids: Sequence[str] = (), most: int = 100,
) -> Draft | None:  # fmt: skip
    """Propose which sessions to end.

    Args:
        causes: the causes that were found.
        candidates: statement `session_candidates`, asked for all.
        headroom: statement `connections_headroom`.
        limit: returns a limit by its name.
        repair: `auto` acts on the causes, `none` on nothing, `kill-all` ends all that may be ended.
        pids: with `auto`: exactly these sessions instead.
        most: how many sessions one plan may end; `kill-all` is not bounded by it.

    Returns:
        The proposal; without targets where all that would be ended must be left alone; None where
        there is nothing to end, or nothing could be seen.
    """
    if repair == NONE or frames.reason(candidates) or frames.reason(headroom) or headroom.empty:
        return None
    rows = _rows(candidates)
    if repair == KILL_ALL:
        picks = session_choice.everything(rows)
    else:
        ids = [cause.id for cause in causes]
        picks = (
            session_choice.by_hand(pids, rows)
            if pids
            else session_choice.by_cause(ids, rows, headroom, limit)
        )
        picks.cut(most)
    if not picks.chosen and not picks.left_out:
        return None
    return _drafted(picks, Risk.BREAK_GLASS if repair == KILL_ALL else Risk.MEDIUM)


class Sessions(Kind):
    """The kind of change: looks at one session again."""

    LOCK: ClassVar[str] = "database"
    CHAINED: ClassVar[bool] = False
    PATIENCE_S: ClassVar[float] = 10.0

    def observe(self, target: Target) -> Observed:
        """Look at the session, and whether it still does what it did.

        Returns:
            present, state, state_change, query_start, protected; running: the statement to be
            cancelled still runs.
        """
        pid = target.identity["pid"]
        found = self._means.database().table("session_candidates", pid=pid)
        rows = _rows(found)
        row = next((r for r in rows if r["backend_start"] == target.identity["backend_start"]), None)
        if row is None:
            text = f"gone; pid {pid} is another session now" if rows else "gone"
            return Observed({"present": False, "running": False}, text=text)
        return Observed(_values(row, target.before.get("query_start")), text=_text(row))


KIND = Sessions


def _rows(candidates: pd.DataFrame) -> list[Row]:
    """Return the candidates as plain values; a reason that is missing is an empty text."""
    rows: list[Row] = [
        {str(name): value for name, value in row.items()} for row in candidates.to_dict("records")
    ]
    return [
        {**row, "pid": int(row["pid"]), "protected_reason": row["protected_reason"] or ""} for row in rows
    ]


def _values(row: Row, query_start: Any) -> dict[str, Any]:
    runs = row["state"] == "active" and query_start is not None and row["query_start"] == query_start
    kept = {name: row[name] for name in ("state", "state_change", "query_start")}
    return {"present": True, "running": runs, **kept, "protected": row["protected_reason"]}


def _text(row: Row) -> str:
    reason = f"; {row['protected_reason']}" if row["protected_reason"] else ""
    return f"{row['state']} for {span(max(row['in_state'], 0.0))}{reason}"


def _drafted(picks: Picks, risk: Risk) -> Draft:
    chosen = list(picks.chosen.values())
    return Draft(
        kind="session",
        title=_title(chosen),
        targets=tuple(_target(pick) for pick in chosen),
        risk=risk,
        blast=_blast(chosen),
        numbers=_numbers(chosen),
        not_undoable=_FINAL,
        left_out=dict(picks.left_out),
    )


def _target(pick: Pick) -> Target:
    row = pick.row
    identity = {"pid": row["pid"], "backend_start": row["backend_start"]}
    seen = {"state": row["state"], "state_change": row["state_change"]}
    name = session_choice.name(row)
    before = {**seen, "protected": row["protected_reason"]}
    if not pick.cancel:
        act = Statement("terminate_session", {**identity, **seen, "wait_ms": _WAIT_MS})
        return Target(
            name, identity, {"present": True, **before}, {"present": False}, act, effect=_effect(pick)
        )
    when = {"state_change": row["state_change"], "query_start": row["query_start"]}
    act = Statement("cancel_session", {**identity, **when})
    before |= {"running": True, "query_start": row["query_start"]}
    return Target(name, identity, before, {"running": False}, act, effect=_effect(pick))


def _effect(pick: Pick) -> str:
    if pick.cancel:
        return _EFFECT_DDL if pick.row["maintenance"] else _EFFECT_CANCEL
    if is_open(pick.row):
        return _EFFECT_OPEN
    return _EFFECT_ACTIVE if pick.row["state"] == "active" else _EFFECT_IDLE


def _title(chosen: Sequence[Pick]) -> str:
    cancelled = sum(pick.cancel for pick in chosen)
    ended = len(chosen) - cancelled
    parts = [
        *([f"cancel {_many(cancelled, 'statement')}"] if cancelled else []),
        *([f"end {_many(ended, 'session')}"] if ended else []),
    ]
    return ", then ".join(parts) or "end no session: all that would help must be left alone"


def _blast(chosen: Sequence[Pick]) -> str:
    if not chosen:
        return "nobody notices anything"
    counts: dict[str, int] = {}
    for pick in chosen:
        counts[pick.row["application"]] = counts.get(pick.row["application"], 0) + 1
    of = ", ".join(
        f"{application} {counts[application]}" for application in sorted(counts, key=lambda a: -counts[a])
    )
    lost = _transactions(chosen)
    rolled = f"{_many(lost, 'open transaction')} rolled back" if lost else "no open transaction is lost"
    return f"{of}; {rolled}"


def _numbers(chosen: Sequence[Pick]) -> dict[str, int]:
    return {
        "sessions": len(chosen),
        "applications": len({pick.row["application"] for pick in chosen}),
        "open transactions": _transactions(chosen),
        "seconds in its state at most": int(max((pick.row["in_state"] for pick in chosen), default=0)),
    }


def _transactions(chosen: Sequence[Pick]) -> int:
    return sum(has_transaction(pick.row) for pick in chosen)


def _many(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
