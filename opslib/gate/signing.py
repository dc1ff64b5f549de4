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


@dataclass(frozen=True)
class Signed:
    """A statement whose signature holds.

    Args:
        statement: what was signed.
        person: whose key it was.
        at: when, as the signer's clock had it.
    """

    statement: Mapping[str, Any]
    person: config.Person
    at: datetime


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
    public = keys.verify(text.encode(), signature, NAMESPACE)
    stated: dict[str, Any] = json.loads(text)
    if stated.get("type") != f"https://opslib.dev/{kind}/v0.1":
        raise Refused(f"it is no {kind}, but {stated.get('type')}")
    if stated.get("digest") != digest:
        raise Refused("it is for another plan")
    at = datetime.fromisoformat(stated["at"])
    return Signed(stated, person(public, at, env), at)


def person(public: str, at: datetime, env: config.Environment) -> config.Person:
    """Return the person who has a key; in the sandbox, whoever works here.

    Raises:
        Refused: nobody has it, or not at that time.
    """
    return config.load_people().rehearsing(env, public).by_key(public, at)
