"""Signatures in OpenSSH's format, made and verified; their form is in `sshform`."""

from __future__ import annotations

import base64
import textwrap
from collections.abc import Callable

from cryptography.exceptions import InvalidSignature

from opslib.errors import Refused
from opslib.keys.public import KIND, BadKey, PublicKey
from opslib.keys.sshform import (
    SSH_BEGIN,
    SSH_END,
    BadForm,
    SshSignature,
    put_together,
    signed_text,
    taken_apart,
)

_WIDTH = 70  # characters a line, as ssh-keygen writes it


class BadSignature(Refused):
    """The signature is not good."""

    hint = "have the plan approved again"


def made(payload: bytes, namespace: str, key: PublicKey, sign: Callable[[bytes], bytes]) -> str:
    """Return an armoured signature.

    Args:
        payload: what is signed.
        namespace: the purpose.
        key: the public part of the key that signs.
        sign: makes the 64 bytes of a raw Ed25519 signature.
    """
    raw = sign(signed_text(payload, namespace.encode()))
    body = base64.b64encode(put_together(SshSignature(key.blob, namespace.encode(), raw))).decode()
    return "\n".join([SSH_BEGIN, *textwrap.wrap(body, _WIDTH), SSH_END, ""])


def verify(payload: bytes, signature: str, namespace: str) -> str:
    """Return the public key, as text, that signed this payload for this purpose.

    Whose key it is, `config.People.by_key` says.

    Raises:
        BadSignature: the signature is damaged, was made for another purpose, with another kind of
            key, or over something else.
    """
    try:
        found = taken_apart(signature)
        key = PublicKey.parse(f"{KIND} {base64.b64encode(found.blob).decode()}")
    except BadForm as error:
        raise BadSignature(str(error)) from None
    except BadKey:
        raise BadSignature("the signature holds a damaged key") from None
    if found.namespace != namespace.encode():
        shown = found.namespace.decode("ascii", "replace")[:60]
        raise BadSignature(f"the signature was made for {shown!r}, not for {namespace!r}")
    try:
        key.loaded.verify(found.raw, signed_text(payload, found.namespace))
    except InvalidSignature:
        raise BadSignature(
            f"the signature of {key.fingerprint} does not fit: what was signed was altered since"
        ) from None
    return key.text
