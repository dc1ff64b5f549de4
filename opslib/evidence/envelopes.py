"""DSSE envelopes: a payload, its type, and signatures over both.

A signature is Ed25519 over the pre-authentication encoding, so a payload cannot be taken for one of
another type. Keys are named by their OpenSSH fingerprint, `SHA256:…`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from opslib.evidence.notes import Check
from opslib.evidence.plain import NotSound, strict64, text64

STATEMENT = "application/vnd.in-toto+json"
_MOST_SIGNATURES_BELOW = 64


@dataclass(frozen=True)
class EnvelopeSignature:
    """One signature of an envelope.

    Args:
        key_id: fingerprint of the key.
        content: 64 bytes.
    """

    key_id: str
    content: bytes


@dataclass(frozen=True)
class Envelope:
    """A signed payload.

    Args:
        payload: any bytes.
        payload_type: what they are.
        signatures: whose they are and whether they are good is not known yet.
    """

    payload: bytes
    payload_type: str
    signatures: tuple[EnvelopeSignature, ...]

    @classmethod
    def parse(cls, content: bytes) -> Envelope:
        """Return an envelope.

        Raises:
            NotSound: it is none.
        """
        try:
            found = json.loads(content)
            signatures = tuple((one["keyid"], one["sig"]) for one in found["signatures"])
            parts = (found["payload"], found["payloadType"])
        except (ValueError, KeyError, TypeError, RecursionError):
            raise NotSound("this is no envelope: payload, payloadType, signatures with keyid") from None
        texts = [*parts, *(text for pair in signatures for text in pair)]
        if not all(isinstance(text, str) for text in texts) or len(signatures) > _MOST_SIGNATURES_BELOW:
            raise NotSound("this is no envelope: its parts are no texts, or too many")
        made = tuple(EnvelopeSignature(key_id, strict64(raw)) for key_id, raw in signatures)
        return cls(strict64(parts[0]), parts[1], made)

    def encode(self) -> bytes:
        """Return the envelope as JSON on one line."""
        signatures = [{"keyid": one.key_id, "sig": text64(one.content)} for one in self.signatures]
        parts = {"payload": text64(self.payload), "payloadType": self.payload_type, "signatures": signatures}
        return json.dumps(parts, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"

    def signers(self, keys: Mapping[str, bytes], check: Check) -> tuple[str, ...]:
        """Return the fingerprints of those of the keys that have signed.

        Signatures of other keys are passed over.

        Args:
            keys: fingerprint -> public key, 32 bytes.
            check: says whether a signature is good.

        Raises:
            NotSound: a signature that one of the keys should have made is not good.
        """
        message = pae(self.payload_type, self.payload)
        found = [one for one in self.signatures if one.key_id in keys]
        for one in found:
            if not check(keys[one.key_id], message, one.content):
                raise NotSound(f"the signature of {one.key_id} does not fit: the payload was altered since")
        return tuple(dict.fromkeys(one.key_id for one in found))


def pae(payload_type: str, payload: bytes) -> bytes:
    """Return what is signed: the pre-authentication encoding of DSSE version 1."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)
