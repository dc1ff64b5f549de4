"""What people have signed: approvals of plans, notes about runs. Is each signature good, and whose is it?

The signature is OpenSSH's, as the gate demands it before a change.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from opslib.evidence.events import Annotation, Approval
from opslib.evidence.forms import canonical
from opslib.evidence.notes import Check
from opslib.evidence.people import CHANGES, NOTED
from opslib.evidence.plain import NotSound, Unreadable, content_of, unreadable, written
from opslib.evidence.proofs import Trust
from opslib.evidence.runners import fingerprint
from opslib.keys.sshform import BadForm, signed_text, taken_apart

Beside = Approval | Annotation
_STATED = {
    "approved": ("approval", False), "break-glass": ("approval", True), "reviewed": ("review", False),
}  # fmt: skip
_NOTE = ("run_id", "time", "actor", "text")


def not_signed(event: Beside, content: bytes, check: Check) -> str:
    """Return why a file does not show what the log says of it; "" where it does.

    Args:
        event: an approval or a note.
        content: of its file, as it was logged.
        check: says whether an Ed25519 signature is good.
    """
    try:
        if isinstance(event, Approval):
            _must_approve(event, content, check)
        else:
            _must_note(event, content, check)
    except NotSound as error:
        return str(error)
    return ""


def must_count(event: Approval, archive: Path, trust: Trust, *, rehearsal: bool) -> datetime | None:
    """Return until when an approval holds, if it says so and counts.

    It is signed, and by somebody who is known, where it is known who is.

    Args:
        event: the approval.
        archive: the archive's folder.
        trust: whom to believe; has the keys of people, if they are at hand.
        rehearsal: whether it was in the sandbox, where whoever works there may approve.

    Raises:
        Unreadable: its file cannot be read.
        NotSound: it does not count; the text says why.
    """
    if len(event.subjects) != 1:
        raise NotSound("its leaf names no file that somebody has signed")
    one = event.subjects[0]
    content = content_of(archive / one.name)
    if content is None:
        if why := unreadable(archive / one.name):
            raise Unreadable(f"{one.name} cannot be read: {why}")
        raise NotSound(f"{one.name} is not there")
    if hashlib.sha256(content).hexdigest() != one.sha256:
        raise NotSound(f"{one.name} is not what was signed then")
    stated = _must_approve(event, content, trust.check)
    _must_be_known(event, trust, rehearsal)
    return _stated_moment(stated["expires_at"]) if "expires_at" in stated else None


def _must_be_known(event: Approval, trust: Trust, rehearsal: bool) -> None:
    if trust.people is None:
        return
    holder = trust.people.get(event.key)
    if holder is None:
        if not rehearsal:
            raise NotSound(f"{event.key} is the key of nobody who is known")
    elif holder.person != event.actor:
        raise NotSound(f"{event.key} is the key of {holder.person}, not of {event.actor}")
    elif not holder.held(event.given or event.time):
        raise NotSound(f"the key of {holder.person} did not count then")


def _must_approve(event: Approval, content: bytes, check: Check) -> dict[str, Any]:
    told = _parts(content, "statement", "signature")
    payload = _whole(told["statement"].encode)
    _must_be_by(event.key, payload, told["signature"], CHANGES, check)
    stated = _in_one_form(payload)
    kind, glass = _STATED.get(event.decision, ("", False))
    meant = (f"https://opslib.dev/{kind}/v0.1", glass)
    if (stated.get("type"), stated.get("break_glass") is True) != meant:
        raise NotSound(f"what was signed does not say {event.decision}, as the log does")
    if stated.get("digest") != event.plan:
        raise NotSound(f"what was signed is not about {event.plan}, as the log says")
    if event.given is None or written(_stated_moment(stated.get("at"))) != written(event.given):
        raise NotSound("what was signed has another time than the log says")
    return stated


def _must_note(event: Annotation, content: bytes, check: Check) -> None:
    if not event.key and b'"signature"' not in content:
        return  # nobody has signed it, and nobody says so
    told = _parts(content, *_NOTE, "signature")
    note = _whole(lambda: canonical({name: told[name] for name in _NOTE}))
    _must_be_by(event.key, note, told["signature"], NOTED, check)
    if told["run_id"] != event.run:
        raise NotSound(f"what was signed is about {told['run_id'][:80]}, not about {event.run}")


def _must_be_by(key: str, payload: bytes, signature: str, purpose: str, check: Check) -> None:
    try:
        found = taken_apart(signature)
    except BadForm as error:
        raise NotSound(f"it is not signed: {error}") from None
    name = fingerprint(found.blob)
    if found.namespace != purpose.encode():
        raise NotSound(f"{name} has signed it for another purpose")
    if not check(found.blob[-32:], signed_text(payload, found.namespace), found.raw):
        raise NotSound(f"the signature of {name} does not fit: what was signed was altered since")
    if name != key:
        raise NotSound(f"{name} has signed it, not {key or 'nobody'}, as the log says")


def _parts(content: bytes, *names: str) -> dict[str, str]:
    try:
        found = json.loads(content)
        told = {name: found[name] for name in names}
    except (ValueError, KeyError, TypeError, RecursionError):
        raise NotSound("it is nothing that somebody has signed") from None
    if not all(isinstance(value, str) for value in told.values()):
        raise NotSound("it holds something else where text belongs")
    return told


def _whole(made: Callable[[], bytes]) -> bytes:
    try:
        return made()
    except UnicodeEncodeError:
        raise NotSound("it holds half a character") from None


def _stated_moment(at: Any) -> datetime:
    try:
        return datetime.fromisoformat(at).astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        raise NotSound("what was signed has another time than the log says") from None


def _in_one_form(payload: bytes) -> dict[str, Any]:
    """Return what a text states, which has one reading only."""
    try:
        stated = json.loads(payload)
        plain = isinstance(stated, dict) and canonical(stated) == payload
    except (ValueError, RecursionError):
        plain = False
    if not plain:
        raise NotSound("what was signed is not in its one form")
    return dict(stated)
