"""What the log of an archive says of a run besides its record: notes, approvals, that it was destroyed.

The log is read, and not verified: `opslib verify` looks at whether it is the one that was signed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opslib.archive.notes import Note
from opslib.runner import notary
from opslib.runner.card import brief
from opslib.web import frame

if TYPE_CHECKING:
    from opslib.evidence.events import Approval, Disposal, Event

AS_LOGGED = "as it was logged"
EDITED = "edited since: it is not what was logged"
UNREAD = "what was signed cannot be read here"
GONE = "what was signed is not there any more"
NOT_LOGGED = "the log does not know it"
_NOTES_END = (
    "Notes were added later, so the seal of the record is not about them: the log is."
    " <code>opslib verify</code> names one that was taken away."
)


@dataclass(frozen=True)
class Logged:
    """What a log says of a run.

    Args:
        archive: the archive's folder.
        events: about it, and approvals of the plans that it has carried out.
        fault: why the log could not be read.
    """

    archive: Path
    events: tuple[Event, ...] = ()
    fault: str = ""

    def state(self, path: Path) -> str:
        """Return, in words, whether a file beside the record is what was logged of it."""
        from opslib.evidence.plain import content_of, unreadable

        if self.fault:
            return f"not held against the log: {self.fault}"
        name = path.relative_to(self.archive).as_posix()
        wanted = {one.sha256 for event in self.events for one in event.subjects if one.name == name}
        if not wanted:
            return NOT_LOGGED
        content = content_of(path)
        if content is None:
            return UNREAD if unreadable(path) else GONE
        return AS_LOGGED if hashlib.sha256(content).hexdigest() in wanted else EDITED


def logged(archive: Path, document: Mapping[str, Any]) -> Logged:
    """Return what the log says of a run.

    Args:
        archive: the archive's folder.
        document: of the run.
    """
    from opslib.evidence.events import ChangeBegun
    from opslib.evidence.history import leaves_with
    from opslib.evidence.plain import NotSound

    log = archive / notary.LOG
    if not log.exists():
        return Logged(archive, fault="there is none")
    try:
        own = _events(leaves_with(log, _pair("run", document["run_id"])))
        begun = [event for event in own if isinstance(event, ChangeBegun)]
        plans = {plan for event in begun for plan in (event.plan, event.undoes)} - {""}
        given = _events(leaves_with(log, *(_pair("plan", plan) for plan in plans))) if plans else ()
    except NotSound as error:
        return Logged(archive, fault=str(error))
    return Logged(archive, tuple(dict.fromkeys((*own, *given))))


def destroyed(found: Logged) -> Disposal | None:
    """Return what the log says of the destruction of a record; None where it says nothing."""
    from opslib.evidence.events import Disposal

    return next((event for event in found.events if isinstance(event, Disposal)), None)


def notes(rows: Sequence[Note], found: Callable[[], Logged]) -> str:
    """Return the notes about a run as HTML, each with whether it is what was logged.

    Args:
        rows: the notes.
        found: returns what the log says; asked for only where there are notes.
    """
    if not rows:
        return ""
    log = found()
    items = "".join(_note(note, log) for note in rows)
    foot = f'<p class="quiet">{_NOTES_END}</p>'
    return f'<section class="over"><h2>Notes</h2><ul class="notes">{items}</ul>{foot}</section>'


def approvals(found: Logged) -> str:
    """Return who has answered for the plans that a run has carried out, as HTML; "" where nobody has."""
    from opslib.evidence.events import Approval

    given = [event for event in found.events if isinstance(event, Approval)]
    items = "".join(_approval(event, found) for event in given)
    foot = '<p class="quiet"><code>opslib verify</code> says whether they came before the change.</p>'
    return (
        f'<section class="over"><h2>Approved by</h2><ul class="notes">{items}</ul>{foot}</section>'
        if given
        else ""
    )


def _events(leaves: Any) -> tuple[Event, ...]:
    return tuple(event for _, event in leaves)


def _pair(name: str, text: str) -> bytes:
    """Return how a leaf, which has only one form, holds a text."""
    return f'"{name}":{json.dumps(text, ensure_ascii=False)}'.encode("utf-8", "replace")


def _approval(event: Approval, found: Logged) -> str:
    when = frame.moment((event.given or event.time).isoformat())
    state = ", ".join(found.state(found.archive / one.name) for one in event.subjects)
    what = f"{escape(brief(event.decision))}, {when}, {escape(state)}"
    return f"<li>{escape(brief(event.actor))} <small>{what}</small></li>"


def _note(note: Note, found: Logged) -> str:
    if not note.readable:
        return f"<li>A note cannot be read: {escape(brief(note.text, 300))}</li>"
    state = found.state(note.path)
    if note.doubt:
        state = f"{state}; its signature does not hold: {brief(note.doubt, 200)}"
    by = f"{escape(brief(note.actor))}, {frame.moment(note.time)}, {escape(state)}"
    return f'<li><span class="note">{escape(note.text)}</span> <small>{by}</small></li>'
