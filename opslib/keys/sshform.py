"""The form of OpenSSH's signatures (its file PROTOCOL.sshsig): Ed25519 over SHA-512, nothing else.

What is signed names the purpose (the namespace) besides the payload, so a signature that was given for one
purpose is worth nothing for another. Nothing but Python is needed here, as who checks evidence offline has
nothing else.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass

SSH_KIND = "ssh-ed25519"
SSH_BEGIN, SSH_END = "-----BEGIN SSH SIGNATURE-----", "-----END SSH SIGNATURE-----"
_SSH_MAGIC, _SSH_VERSION, _SSH_HASH = b"SSHSIG", 1, b"sha512"
_ARMOUR = re.compile(rf"\s*{SSH_BEGIN}\r?\n(?P<body>[A-Za-z0-9+/=\r\n]+){SSH_END}\s*")
_LARGEST_SIGNATURE = 4096  # bytes; ours have about two hundred


class BadForm(ValueError):
    """Something is no signature of the one form that is taken; its text says why."""


@dataclass(frozen=True)
class SshSignature:
    """A signature, taken apart; whether it is good is not known yet.

    Args:
        blob: the key that it names, as it goes over the wire (RFC 8709); its last 32 bytes are the raw key.
        namespace: the purpose for which it was made.
        raw: the signature itself, 64 bytes where it is whole.
    """

    blob: bytes
    namespace: bytes
    raw: bytes


def signed_text(payload: bytes, namespace: bytes) -> bytes:
    """Return what is signed for a payload and a purpose."""
    return _SSH_MAGIC + framed(namespace, b"", _SSH_HASH, hashlib.sha512(payload).digest())


def put_together(signature: SshSignature) -> bytes:
    """Return the bytes that go into an armour."""
    made = framed(SSH_KIND.encode(), signature.raw)
    head = _SSH_MAGIC + _SSH_VERSION.to_bytes(4, "big")
    return head + framed(signature.blob, signature.namespace, b"", _SSH_HASH, made)


def taken_apart(armoured: str) -> SshSignature:
    """Return what is in an armoured signature.

    Raises:
        BadForm: it is damaged, of another kind or another version.
    """
    content = _bared(armoured)
    head, rest = content[:10], content[10:]
    if head[:6] != _SSH_MAGIC:
        raise BadForm("this is no signature of ssh-keygen")
    if int.from_bytes(head[6:], "big") != _SSH_VERSION:
        raise BadForm(f"the signature has version {int.from_bytes(head[6:], 'big')}, not {_SSH_VERSION}")
    key, namespace, reserved, hashed, made = _frames(rest, 5)
    if reserved:
        raise BadForm("the signature holds something that this version does not know")
    if hashed != _SSH_HASH:
        raise BadForm(f"the signature uses {hashed[:20].decode('ascii', 'replace')}, only sha512 is taken")
    kind, raw = _frames(made, 2)
    _must_be_ed25519(kind)
    _must_be_ed25519(key[4 : 4 + int.from_bytes(key[:4], "big")])
    if key != framed(SSH_KIND.encode(), key[-32:]):
        raise BadForm("the signature holds a damaged key")
    return SshSignature(key, namespace, raw)


def framed(*parts: bytes) -> bytes:
    """Return parts one after another, each behind its length."""
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def _bared(armoured: str) -> bytes:
    """Return the bytes inside of an armour; anything that is not exactly one is refused."""
    found = _ARMOUR.fullmatch(armoured) if len(armoured) <= 2 * _LARGEST_SIGNATURE else None
    try:
        content = base64.b64decode("".join(found["body"].split()), validate=True) if found else b""
    except binascii.Error:
        content = b""
    if not content:
        raise BadForm(f"this is no signature: one begins with {SSH_BEGIN}")
    return content


def _must_be_ed25519(kind: bytes) -> None:
    if kind != SSH_KIND.encode():
        shown = kind[:40].decode("ascii", "replace")
        raise BadForm(f"the signature was made with a key of the kind {shown!r}; only {SSH_KIND} is taken")


def _frames(content: bytes, count: int) -> list[bytes]:
    """Return as many parts as there must be; one more or less, or a cut one, is refused."""
    parts = []
    for _ in range(count):
        end = 4 + int.from_bytes(content[:4], "big")
        if len(content) < max(end, 4):
            raise BadForm("the signature is not whole")
        parts.append(content[4:end])
        content = content[end:]
    if content:
        raise BadForm("the signature has something behind its end")
    return parts
