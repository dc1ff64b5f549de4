"""What people sign: that they asked for a plan, approve it, or have reviewed it afterwards.

The signature is OpenSSH's (SSHSIG), over the exact text that is kept beside it: `ssh-keygen -Y verify`
checks it without opslib. Who signed follows from the key alone, never from a name that was given.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import rfc8785

from opslib import config, ids, keys
from opslib.errors import Refused

NAMESPACE = "opslib-change"
REQUEST, APPROVAL, REVIEW = "request", "approval", "review"
Document = dict[str, Any]

# What each must state besides its type; a field without which nobody would know what was agreed to.
_TEXTS = {
    REQUEST: ("digest", "at"),
    APPROVAL: ("digest", "at", "expires_at", "reason", "system", "environment"),
    REVIEW: ("digest", "at", "reason"),
}


@dataclass(frozen=True)
class Signed:
    """A statement whose signature holds.

    Args:
        statement: what was signed.
        person: whose key it was.
        at: when, as the signer's clock had it.
        key: the public key.
    """

    statement: Mapping[str, Any]
    person: config.Person
    at: datetime
    key: str

    @property
    def until(self) -> datetime:
        """When an approval ends."""
        return _moment(self.statement["expires_at"])


def sign(kind: str, digest: str, signer: keys.Signer, **values: Any) -> Document:
    """Return a signed statement about a plan.

    Args:
        kind: request, approval or review.
        digest: the plan's.
        signer: whose key.
        values: what else is stated (reason, incident, expires_at, ...).
    """
    stated = {
        "type": f"https://opslib.dev/{kind}/v0.1",
        "digest": digest,
        "at": ids.stamp(ids.now()),
        **values,
    }
    text = rfc8785.dumps(stated).decode()
    return {"statement": text, "signature": signer.sign(text.encode(), NAMESPACE), "key": signer.public}


def verified(document: Mapping[str, Any], kind: str, digest: str, env: config.Environment) -> Signed:
    """Return a statement whose signature, kind, plan and person hold.

    Raises:
        Refused: something of it does not hold; the message says what.
    """
    text, signature = str(document.get("statement", "")), str(document.get("signature", ""))
    payload = text.encode(errors="surrogatepass")
    public = keys.verify(payload, signature, NAMESPACE)
    stated = _stated(payload, kind)
    if stated["digest"] != digest:
        raise Refused("it is for another plan")
    at = _moment(stated["at"])
    return Signed(stated, person(public, at, env), at, public)


def _stated(payload: bytes, kind: str) -> dict[str, Any]:
    """Return what a text states, which has one reading only: no key twice, nothing left out."""
    try:
        stated = json.loads(payload)
        canonical = rfc8785.dumps(stated)
    except (ValueError, RecursionError):
        raise Refused("what was signed is not JSON that opslib writes") from None
    if not isinstance(stated, dict) or stated.get("type") != f"https://opslib.dev/{kind}/v0.1":
        raise Refused(f"it is no {kind}, but {_said(stated)}")
    if canonical != payload:
        raise Refused("what was signed is not in the one form in which opslib writes it")
    missing = [name for name in _TEXTS[kind] if not isinstance(stated.get(name), str)]
    if missing:
        raise Refused(f"what was signed does not state: {', '.join(missing)}")
    for name in ("at", "expires_at"):
        if name in _TEXTS[kind]:
            _moment(stated[name])
    return stated


def _said(stated: Any) -> str:
    return str(stated.get("type"))[:80] if isinstance(stated, dict) else "something else"


def _moment(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise Refused(f"{text[:40]!r} is no time") from None
    if found.tzinfo is None:
        raise Refused(f"{text!r} is a time without its zone")
    return found


def person(public: str, at: datetime, env: config.Environment) -> config.Person:
    """Return the person who has a key; in the sandbox, whoever works here.

    Raises:
        Refused: nobody has it, or not at that time.
    """
    return config.load_people().rehearsing(env, public).by_key(public, at)
