"""A public key as it stands in one line of text."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_ssh_public_key

from opslib.errors import ConfigError

KIND = "ssh-ed25519"
_OTHERS = ("ssh-", "ecdsa-", "sk-ssh-", "sk-ecdsa-", "rsa-")
MAKE_HINT = "make one with `opslib keys init`, or with `ssh-keygen -t ed25519`"


class BadKey(ConfigError):
    """The public key cannot be used."""

    hint = MAKE_HINT


@dataclass(frozen=True)
class PublicKey:
    """An Ed25519 public key.

    Args:
        text: `ssh-ed25519 AAAA…`, without a remark; two keys are the same when this is.
        comment: whatever stood behind it.
    """

    text: str
    comment: str = ""

    @classmethod
    def parse(cls, line: str) -> PublicKey:
        """Return the key of one line, as a file `*.pub` has it.

        Raises:
            BadKey: it is a private key, of another kind, or no key at all; the line is not repeated.
        """
        if "PRIVATE KEY" in line:
            raise BadKey(
                "this is a private key: whoever has read it can sign in your name",
                hint="throw that key away, make a new one (`opslib keys init --force`), give its public part",
            )
        words = line.split(None, 2)
        if words and words[0] != KIND and words[0].startswith(_OTHERS):
            raise BadKey(f"this is a key of the kind {words[0][:40]}; only {KIND} is taken")
        if len(words) < 2 or words[0] != KIND:
            raise BadKey(f"this is no public key: one begins with `{KIND} AAAA`")
        return cls(_canonical(words[1]), words[2].strip() if len(words) > 2 else "")

    @classmethod
    def of(cls, key: Ed25519PublicKey, comment: str = "") -> PublicKey:
        """Return a key of the cryptography library as text."""
        return cls(key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode(), comment)

    @property
    def blob(self) -> bytes:
        """The key as it goes over the wire (RFC 8709)."""
        return base64.b64decode(self.text.split()[1])

    @property
    def fingerprint(self) -> str:
        """`SHA256:…`, as `ssh-keygen -l` prints it."""
        digest = hashlib.sha256(self.blob).digest()
        return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")

    @property
    def line(self) -> str:
        """The key with its remark."""
        return f"{self.text} {self.comment}".strip()

    @property
    def loaded(self) -> Ed25519PublicKey:
        """The key of the cryptography library."""
        return _loaded(self.text)


def _canonical(blob: str) -> str:
    return PublicKey.of(_loaded(f"{KIND} {blob}")).text


def _loaded(text: str) -> Ed25519PublicKey:
    try:
        key = load_ssh_public_key(text.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise BadKey("the public key is damaged: its text is not whole") from None
    if not isinstance(key, Ed25519PublicKey):
        raise BadKey(f"this is another kind of key; only {KIND} is taken")
    return key
