"""Public keys of runners, as OpenSSH writes them: one `ssh-ed25519 AAAA… name` a line."""

from __future__ import annotations

import hashlib

from opslib.evidence.plain import NotSound, strict64, text64

_KIND = "ssh-ed25519"
_HEAD = len(_KIND).to_bytes(4, "big") + _KIND.encode() + (32).to_bytes(4, "big")


def runner_keys(text: str) -> dict[str, bytes]:
    """Return fingerprint -> public key (32 bytes) of all lines; empty lines and remarks are passed over.

    Raises:
        NotSound: a line is no Ed25519 public key; the message has its number.
    """
    found = {}
    for number, line in enumerate(text.split("\n"), 1):
        words = line.split()
        if words and not words[0].startswith("#"):
            blob = _blob(words, number)
            found[fingerprint(blob)] = blob[len(_HEAD) :]
    return found


def fingerprint(blob: bytes) -> str:
    """Return `SHA256:…` of a key as it goes over the wire, as `ssh-keygen -l` prints it."""
    return "SHA256:" + text64(hashlib.sha256(blob).digest()).rstrip("=")


def _blob(words: list[str], number: int) -> bytes:
    try:
        blob = strict64(words[1]) if words[0] == _KIND else b""
    except (IndexError, NotSound):
        blob = b""
    if not blob.startswith(_HEAD) or len(blob) != len(_HEAD) + 32:
        raise NotSound(f"line {number} is no key of the form `{_KIND} AAAA…`")
    return blob
