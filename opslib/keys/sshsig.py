"""Signatures in OpenSSH's format (its file PROTOCOL.sshsig): Ed25519 over SHA-512, nothing else.

What is signed names the purpose (the namespace) besides the payload, so a signature that was given
for one purpose is worth nothing for another.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import textwrap
from collections.abc import Callable

from cryptography.exceptions import InvalidSignature

from opslib.errors import Refused
from opslib.keys.public import KIND, BadKey, PublicKey

_MAGIC = b"SSHSIG"
_VERSION = 1
_HASH = b"sha512"
_BEGIN, _END = "-----BEGIN SSH SIGNATURE-----", "-----END SSH SIGNATURE-----"
_WIDTH = 70  # characters a line, as ssh-keygen writes it
_ARMOUR = re.compile(rf"\s*{_BEGIN}\r?\n(?P<body>[A-Za-z0-9+/=\r\n]+){_END}\s*")
_LARGEST = 4096  # bytes; ours have about two hundred


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
    raw = sign(_signed(payload, namespace.encode()))
    head = _MAGIC + _VERSION.to_bytes(4, "big")
    parts = (key.blob, namespace.encode(), b"", _HASH, _joined(KIND.encode(), raw))
    body = base64.b64encode(head + _joined(*parts)).decode()
    return "\n".join([_BEGIN, *textwrap.wrap(body, _WIDTH), _END, ""])


def verify(payload: bytes, signature: str, namespace: str) -> str:
    """Return the public key, as text, that signed this payload for this purpose.

    Whose key it is, `config.People.by_key` says.

    Raises:
        BadSignature: the signature is damaged, was made for another purpose, with another kind of
            key, or over something else.
    """
    key, purpose, raw = _taken_apart(_bared(signature))
    if purpose != namespace.encode():
        shown = purpose.decode("ascii", "replace")[:60]
        raise BadSignature(f"the signature was made for {shown!r}, not for {namespace!r}")
    try:
        key.loaded.verify(raw, _signed(payload, purpose))
    except InvalidSignature:
        raise BadSignature(
            f"the signature of {key.fingerprint} does not fit: what was signed was altered since"
        ) from None
    return key.text


def _signed(payload: bytes, namespace: bytes) -> bytes:
    return _MAGIC + _joined(namespace, b"", _HASH, hashlib.sha512(payload).digest())


def _joined(*parts: bytes) -> bytes:
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def _bared(armoured: str) -> bytes:
    """Return the bytes inside of an armour; anything that is not exactly one is refused."""
    found = _ARMOUR.fullmatch(armoured) if len(armoured) <= 2 * _LARGEST else None
    try:
        content = base64.b64decode("".join(found["body"].split()), validate=True) if found else b""
    except binascii.Error:
        content = b""
    if not content:
        raise BadSignature(f"this is no signature: one begins with {_BEGIN}")
    return content


def _taken_apart(content: bytes) -> tuple[PublicKey, bytes, bytes]:
    """Return the key, the namespace and the raw signature."""
    head, rest = content[:10], content[10:]
    if head[:6] != _MAGIC:
        raise BadSignature("this is no signature of ssh-keygen")
    if int.from_bytes(head[6:], "big") != _VERSION:
        raise BadSignature(f"the signature has version {int.from_bytes(head[6:], 'big')}, not {_VERSION}")
    key, namespace, reserved, hashed, signature = _split(rest, 5)
    if reserved:
        raise BadSignature("the signature holds something that this version does not know")
    if hashed != _HASH:
        raise BadSignature(
            f"the signature uses {hashed[:20].decode('ascii', 'replace')}, only sha512 is taken"
        )
    kind, raw = _split(signature, 2)
    _must_be_ed25519(kind)
    return _key(key), namespace, raw


def _key(blob: bytes) -> PublicKey:
    _must_be_ed25519(blob[4 : 4 + int.from_bytes(blob[:4], "big")])
    try:
        return PublicKey.parse(f"{KIND} {base64.b64encode(blob).decode()}")
    except BadKey:
        raise BadSignature("the signature holds a damaged key") from None


def _must_be_ed25519(kind: bytes) -> None:
    if kind != KIND.encode():
        shown = kind[:40].decode("ascii", "replace")
        raise BadSignature(f"the signature was made with a key of the kind {shown!r}; only {KIND} is taken")


def _split(content: bytes, count: int) -> list[bytes]:
    """Return as many parts as there must be; one more or less, or a cut one, is refused."""
    parts = []
    for _ in range(count):
        end = 4 + int.from_bytes(content[:4], "big")
        if len(content) < max(end, 4):
            raise BadSignature("the signature is not whole")
        parts.append(content[4:end])
        content = content[end:]
    if content:
        raise BadSignature("the signature has something behind its end")
    return parts
