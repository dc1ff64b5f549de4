"""What was about to be done, and what came of it: written and synced around each act.

A line `intent` without a line `outcome` is an act of which nobody knows yet whether it took place.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from opslib import ids
from opslib.archive.changes import Changes, Document
from opslib.errors import ArchiveError
from opslib.gate import witness
from opslib.gate.plan import Target

DO, UNDO = "do", "undo"
DONE, FAILED = "done", "failed"
Line = Mapping[str, Any]

# What each kind of line must hold as text, besides type, at and run_id.
_TEXTS: Mapping[str, tuple[str, ...]] = {
    "intent": ("target", "name", "act", "key"),
    "outcome": ("target", "name", "act", "status", "text"),
    "step": ("target", "name", "act", "text"),
    "left-out": ("target", "name", "why"),
    "taking-back": ("reason",),
}


@dataclass(frozen=True)
class Entry:
    """How far one act of one target has come.

    Args:
        intent: when it was about to be done, or nothing.
        outcome: `done`, `failed`, or nothing while it is open.
        at: when the outcome was written.
        text: what came of it.
        run_id: the run that did it.
    """

    intent: str = ""
    outcome: str = ""
    at: str = ""
    text: str = ""
    run_id: str = ""

    @property
    def done(self) -> bool:
        """Whether it took place."""
        return self.outcome == DONE

    @property
    def open(self) -> bool:
        """Whether nobody knows if it took place."""
        return bool(self.intent) and not self.outcome


class Ledger:
    """The ledger of one plan, read once; after that only what is written here is added to it.

    Args:
        changes: where it is kept.
        digest: the plan's.
        run_id: the run that writes; "" for one that only reads.
    """

    def __init__(self, changes: Changes, digest: str, run_id: str = "") -> None:
        self._changes, self._digest, self._run_id = changes, digest, run_id

    @cached_property
    def lines(self) -> list[Document]:
        """All lines, checked.

        Raises:
            ArchiveError: they are not what opslib wrote, or not all that this machine has written.
        """
        found = list(self._changes.ledger(self._digest))
        for number, line in enumerate(found, 1):
            _must_be_whole(number, line)
        witness.check(self._digest, found)
        return found

    def entry(self, target: Target, act: str = DO) -> Entry:
        """Return how far one act has come."""
        found = Entry()
        for line in self.lines:
            if line.get("target") != target.digest or line.get("act") != act:
                continue
            if line["type"] == "intent":
                found = Entry(line["at"], run_id=line["run_id"])
            elif line["type"] == "outcome":
                found = Entry(found.intent, line["status"], line["at"], line["text"], line["run_id"])
        return found

    def key(self, target: Target, act: str = DO) -> str:
        """Return the idempotency key of one act: the same whenever it is tried again."""
        return hashlib.sha256(f"{self._digest} {target.digest} {act}".encode()).hexdigest()[:32]

    def open_entries(self, targets: tuple[Target, ...]) -> bool:
        """Tell whether some act may or may not have taken place."""
        cut_off = bool(self.taking_back) and not self.finished_since("taking-back")
        return cut_off or any(self.entry(target, act).open for target in targets for act in (DO, UNDO))

    def taken_back(self, targets: tuple[Target, ...]) -> bool:
        """Tell whether something was done and all of it was taken back by the plan itself."""
        done = [target for target in targets if self.entry(target).done]
        return bool(done) and all(self.entry(target, UNDO).done for target in done)

    def done_at(self, targets: tuple[Target, ...]) -> str:
        """Return when the last target was done, RFC 3339; empty while one of them is not."""
        entries = [self.entry(target) for target in targets]
        return max((entry.at for entry in entries), default="") if all(e.done for e in entries) else ""

    @property
    def began(self) -> Line | None:
        """The line with which it was first applied, or None."""
        return next((line for line in self.lines if line["type"] == "started"), None)

    def finished_since(self, kind: str, target: Target | None = None) -> bool:
        """Tell whether some run came to its end after the last line of a kind (about a target)."""
        wanted = target.digest if target else None
        places = [n for n, line in enumerate(self.lines) if line["type"] == kind]
        places = [n for n in places if not wanted or self.lines[n]["target"] == wanted]
        return bool(places) and any(line["type"] == "finished" for line in self.lines[places[-1] :])

    @property
    def taking_back(self) -> str:
        """Why what was done is being taken back, or nothing."""
        return next((line["reason"] for line in self.lines if line["type"] == "taking-back"), "")

    def started(self, authority: Line) -> None:
        """Write that a run begins to apply the plan, and what allows it."""
        self._write("started", authority=dict(authority))

    def intent(self, target: Target, act: str) -> None:
        """Write that an act is about to be done, and how it will be undone."""
        way_back = target.reversed() if act == DO else None
        undo = {"undo": way_back.digest if way_back else None}
        self._write(
            "intent", target=target.digest, name=target.name, act=act, key=self.key(target, act), **undo
        )

    def outcome(self, target: Target, act: str, status: str, text: str) -> None:
        """Write what came of an act."""
        self._write("outcome", target=target.digest, name=target.name, act=act, status=status, text=text)

    def step(self, target: Target, act: str, text: str) -> None:
        """Write what one step of an act has done; the act itself stays open."""
        self._write("step", target=target.digest, name=target.name, act=act, text=text)

    def left_out(self, target: Target, why: str) -> None:
        """Write that a target was not touched."""
        self._write("left-out", target=target.digest, name=target.name, why=why)

    def take_back(self, reason: str) -> None:
        """Write that what was done is to be taken back."""
        self._write("taking-back", reason=reason)

    def finished(self, counts: Mapping[str, int]) -> None:
        """Write that a run is through with the plan."""
        self._write("finished", counts=dict(counts))

    def _write(self, kind: str, **values: Any) -> None:
        line = {"type": kind, "at": ids.stamp(ids.now()), "run_id": self._run_id, **values}
        self.lines.append(self._changes.write(self._digest, line, self.lines))
        witness.keep(self._digest, self.lines)


def _must_be_whole(number: int, line: Line) -> None:
    texts = ("type", "at", "run_id", *_TEXTS.get(str(line.get("type")), ()))
    missing = [name for name in texts if not isinstance(line.get(name), str)]
    if missing or not _is_moment(line["at"]):
        what = ", ".join(missing) or "a time"
        raise ArchiveError(f"line {number} of the ledger does not hold {what}", hint=witness.HINT)


def _is_moment(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False
