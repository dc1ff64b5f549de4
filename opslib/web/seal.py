"""Is what a page shows what was signed and logged? Looked at anew for each page."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from opslib.archive import shared
from opslib.errors import ArchiveError, OpsError
from opslib.show.words import SIGN
from opslib.verdict import Status
from opslib.web.beside import Logged, destroyed
from opslib.web.library import LARGEST

if TYPE_CHECKING:
    from opslib.web.library import Kept, Library

_EDITED = "-edited"
_WHOLE = "`opslib verify` looks through the whole log"
NO_PROOF = f"no proof lies beside it: it never came into the log, or somebody took the proof away. {_WHOLE}"
UNREADABLE = f"its record cannot be read. {_WHOLE}"
UNSIGNED = "it has neither a signature nor a proof: nothing shows that it is as it was written"
NOT_LOGGED = f"what is left says that it was destroyed, the log says nothing of it. {_WHOLE}"
BY_A_RULE = f"that a rule demanded it, and that it was not on hold. {_WHOLE}"
OTHER_WORDS = "run.json does not say what was signed"
SOUND = "what is shown here is what was signed, and a proof leads from it to the head of the log"


@dataclass(frozen=True)
class Badge:
    """What a verification of one record came to.

    Args:
        word: `sealed`, `not sealed`, `destroyed`, `edited`, `not sound`, or `not verified`.
        status: how well that is.
        told: what was found, in sentences.
        unproven: what it does not show, in sentences.
    """

    word: str
    status: Status
    told: tuple[str, ...]
    unproven: tuple[str, ...] = ()


def badge(kept: Kept, library: Library, logged: Callable[[], Logged]) -> Badge:
    """Return what a verification of a record says now.

    Args:
        kept: the run, as its page shows it.
        library: knows whom to believe.
        logged: returns what the log says of it.
    """
    from opslib.evidence.layout import ENVELOPE, PROOF
    from opslib.evidence.plain import NotSound

    if kept.gone:
        return _gone(logged())
    if kept.stated is None:
        return Badge("not sound", Status.CRITICAL, (UNREADABLE,))
    try:
        if not (kept.folder / PROOF).exists():
            signed = (kept.folder / ENVELOPE).exists()
            return Badge("not sealed", Status.UNKNOWN, (NO_PROOF if signed else UNSIGNED,))
        return _verified(kept, library)
    except (OpsError, OSError, NotSound) as error:
        why = f"it could not be looked at: {getattr(error, 'message', error)}"
        return Badge("not verified", Status.UNKNOWN, (why,))


def section(found: Badge) -> str:
    """Return it as HTML."""
    first, *more = found.told
    mark = f'<span class="mark" aria-hidden="true">{SIGN[found.status]}</span>'
    limits = f"<details><summary>What this does not prove</summary>{_list(found.unproven)}</details>"
    return (
        f'<section class="seal {found.status}" aria-label="Verification">'
        f"<p>{mark} <b>{escape(found.word)}</b>: {escape(first)}</p>"
        f"{_list(more)}{limits if found.unproven else ''}</section>"
    )


def _gone(found: Logged) -> Badge:
    from opslib.evidence.plain import shown

    event = destroyed(found)
    if found.fault:
        return Badge("not verified", Status.UNKNOWN, (f"the log could not be looked at: {found.fault}",))
    if event is None:
        return Badge("not sound", Status.CRITICAL, (NOT_LOGGED,))
    by = event.actor or "nobody known"
    text = f"the log says so, too: under {event.policy}, by {by}, {shown(event.time)}"
    return Badge("destroyed", Status.SKIPPED, (text,), (BY_A_RULE,))


def _verified(kept: Kept, library: Library) -> Badge:
    from opslib.evidence import verify_record

    report = verify_record(kept.folder, library.trust())
    unproven = (*report.unproven, *library.unproven)
    faults = [one for one in report.findings if one.fault]
    told = [f"{one.text} ({one.kind})" for one in faults]
    if not _as_signed(kept):
        told.append(OTHER_WORDS)
    if report.unknown:
        unread = tuple(one.text for one in report.findings if one.unknown)
        return Badge("not verified", Status.UNKNOWN, (*unread, *told), unproven)
    if not told:
        return Badge("sealed", Status.OK, (SOUND, *filter(None, [library.witnessed(kept.folder)])), unproven)
    edited = all(one.kind.endswith(_EDITED) for one in faults)
    return Badge("edited" if edited else "not sound", Status.CRITICAL, tuple(told), unproven)


def _as_signed(kept: Kept) -> bool:
    """Say whether the words on the page are those of the envelope; that one's signature is looked at apart.

    The folder of another run, put whole into the place of this one, would be sound by itself.
    """
    from opslib.evidence.envelopes import Envelope
    from opslib.evidence.layout import ENVELOPE
    from opslib.evidence.plain import NotSound

    try:
        content = shared.read(kept.folder / ENVELOPE, most=LARGEST)
        return bool(json.loads(Envelope.parse(content).payload) == kept.stated)
    except (ArchiveError, NotSound, ValueError, RecursionError):
        return False


def _list(lines: Sequence[str]) -> str:
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f"<ul>{items}</ul>" if items else ""
