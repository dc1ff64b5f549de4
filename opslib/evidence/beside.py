"""What lies beside the records: was each change approved before, are approvals and notes those of then?"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path

from opslib.evidence.events import Annotation, Approval, ChangeBegun, Event, Subject
from opslib.evidence.findings import Finding, Kind, Scope, gone
from opslib.evidence.lives import Life, Story
from opslib.evidence.notes import Check
from opslib.evidence.plain import NotSound, Unreadable, content_of, shown
from opslib.evidence.proofs import Trust
from opslib.evidence.vouched import Beside, must_count, not_signed

NOTES = "notes"
NO_PEOPLE = (
    "keys of people were not at hand: that whoever signed an approval is the person that it names, only the"
    " log says"
)
_EDITED = {Approval: Kind.APPROVAL_EDITED, Annotation: Kind.NOTE_EDITED}
_NO_NEED = "none"
_AGREED = ("approved", "break-glass")
REHEARSAL = "sandbox"  # the environment in which whoever works there may approve
_Given = tuple[int, Approval]
_Counts = Callable[[Approval], datetime | None]


def needs_approval(event: Event) -> bool:
    """Say whether an event is a change that somebody has to have approved."""
    return isinstance(event, ChangeBegun) and event.need != _NO_NEED


def unapproved(
    archive: Path, story: Story, scope: Scope, trust: Trust, runs: Collection[str] | None = None
) -> Iterator[Finding]:
    """Yield changes that nobody had approved when they began.

    Args:
        archive: the archive's folder.
        story: of all runs.
        scope: the period.
        trust: whom to believe; has the keys of people, if they are at hand.
        runs: those of which the archive has what people signed; of others the log alone tells. All when not
            given.
    """
    begun = _first_begun(story)
    for run, life in story.lives.items():
        must = _counting(archive, life, trust) if runs is None or run in runs else _told_by_the_log
        for index, event in life.changes:
            if needs_approval(event) and scope.covers(event.time):
                held = partial(_must_hold, must, event, begun[event.plan] == index, scope)
                yield from _agreed(index, event, _answers(event, story), held, scope)


def of_runs(story: Story, runs: Iterable[str]) -> Iterator[tuple[int, Beside]]:
    """Yield the approvals of what runs have carried out, and the notes about them.

    Args:
        story: of all runs.
        runs: their ids.
    """
    chosen = set(runs)
    changes = [event for run in chosen for _, event in story.lives[run].changes]
    plans = {plan for event in changes for plan in (event.plan, event.undoes)} - {""}
    yield from ((index, event) for index, event in story.approvals if event.plan in plans)
    yield from ((index, event) for index, event in story.notes if event.run in chosen)


def of_period(story: Story, scope: Scope) -> Iterator[tuple[int, Beside]]:
    """Yield the approvals and notes of a period."""
    kept: list[tuple[int, Beside]] = [*story.approvals, *story.notes]
    yield from ((index, event) for index, event in kept if scope.covers(event.time))


def spoiled(
    archive: Path, story: Story, kept: Iterable[tuple[int, Beside]], check: Check
) -> Iterator[Finding]:
    """Yield approvals and notes that are not what was logged, or not signed so, and notes that never were.

    Args:
        archive: the archive's folder.
        story: of all runs.
        kept: the approvals and notes that should be there.
        check: says whether an Ed25519 signature is good.
    """
    for index, event in kept:
        yield from _changed(archive, index, event, story, check)
    known = {one.name for _, event in story.notes for one in event.subjects}
    for path in sorted(archive.glob(f"{NOTES}/*/*.json")):
        name = path.relative_to(archive).as_posix()
        if name not in known and not path.name.startswith("."):
            yield Finding(Kind.FORGED, name, "there is a note, but no leaf in the log")


def _answers(event: ChangeBegun, story: Story) -> Sequence[_Given]:
    plans = {event.plan, event.undoes} - {""}
    return [one for one in story.approvals if one[1].plan in plans and one[1].decision in _AGREED]


def _first_begun(story: Story) -> dict[str, int]:
    """Return the leaf with which each plan was begun for the first time."""
    first: dict[str, int] = {}
    for life in story.lives.values():
        for index, event in life.changes:
            first[event.plan] = min(index, first.get(event.plan, index))
    return first


def _told_by_the_log(event: Approval) -> None:
    """Ask no more of an approval than that it was logged."""


def _counting(archive: Path, life: Life, trust: Trust) -> _Counts:
    """Return until when an approval holds for a run; raises `NotSound` where it does not count."""
    rehearsal = life.requested is not None and life.requested[1].environment == REHEARSAL
    return lambda event: must_count(event, archive, trust, rehearsal=rehearsal)


def _must_hold(must: _Counts, change: ChangeBegun, first: bool, scope: Scope, approval: Approval) -> None:
    """See that an approval counts, and still held when a plan was begun.

    What was begun may be finished later. What undoes a plan is covered by the approval of that, for as
    long as the policy says.
    """
    until = must(approval)
    if until and first and approval.plan == change.plan and change.time > until + scope.tolerance:
        raise NotSound(f"it held until {shown(until)}, and was used at {shown(change.time)}")


def _agreed(
    index: int, event: ChangeBegun, given: Sequence[_Given], must: Callable[[Approval], None], scope: Scope
) -> Iterator[Finding]:
    good: list[_Given] = []
    doubts: list[NotSound] = []
    for at, one in given:
        try:
            must(one)
            good.append((at, one))
        except NotSound as error:
            doubts.append(error)
    latest = event.time + scope.tolerance
    if any(at < index and (one.given or one.time) <= latest for at, one in good):
        return
    unread = [error for error in doubts if isinstance(error, Unreadable)]
    if unread:
        text = f"whether {event.plan} was approved before is not known: {unread[0]}"
        yield Finding(Kind.UNREADABLE, event.run, text, index)
    elif good:
        text = f"began to carry out {event.plan} at {shown(event.time)}; it was approved only afterwards"
        yield Finding(Kind.APPROVED_AFTERWARDS, event.run, text, index)
    else:
        why = "; ".join(dict.fromkeys(map(str, doubts)))
        text = f"no approval of that counts: {why}" if why else "the log knows nobody who had approved that"
        yield Finding(Kind.UNAPPROVED, event.run, f"carried out {event.plan}, and {text}", index)


def _changed(archive: Path, index: int, event: Beside, story: Story, check: Check) -> Iterator[Finding]:
    if isinstance(event, Approval) and not event.subjects:
        text = "its leaf names no file that somebody has signed"
        yield Finding(Kind.FORGED, f"approval of {event.plan}", text, index)
    for one in event.subjects:
        content = content_of(archive / one.name)
        if content is None:
            yield _lost(archive / one.name, one, index, event, story)
        elif hashlib.sha256(content).hexdigest() != one.sha256:
            yield Finding(_EDITED[type(event)], one.name, "is not what was written then", index)
        elif why := not_signed(event, content, check):
            yield Finding(Kind.FORGED, one.name, why, index)


def _lost(path: Path, one: Subject, index: int, event: Beside, story: Story) -> Finding:
    run = event.run if isinstance(event, Annotation) else ""
    at = story.disposed.get((run, one.sha256))
    if at is None:
        return gone(path, one.name, "is not there", index)
    if story.on_hold(run, at):
        return Finding(Kind.DISPOSED_ON_HOLD, one.name, "was destroyed while on hold", at)
    return Finding(Kind.DISPOSED, one.name, "was destroyed as a rule demands", at)
