"""Whom to believe, read from files; signatures checked by the cryptography library."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from opslib.errors import ConfigError
from opslib.evidence.people import people_keys
from opslib.evidence.plain import NotSound
from opslib.evidence.policy import Policy
from opslib.evidence.proofs import Trust
from opslib.evidence.runners import runner_keys

_HINT = "evidence is only worth what its keys are: take this file from whoever runs the log, by another way"
Understood = TypeVar("Understood")


def quickly_verified(public: bytes, message: bytes, signature: bytes) -> bool:
    """Say whether an Ed25519 signature is good; some thirty times as quick as without a library.

    Args:
        public: the key, 32 bytes.
        message: what was signed.
        signature: 64 bytes.
    """
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def trust(policy: str, runners: Iterable[str]) -> Trust:
    """Return whom to believe.

    Args:
        policy: text of a tlog-policy.
        runners: public keys of runners, `ssh-ed25519 AAAA…` each.

    Raises:
        NotSound: one of them is not understood.
    """
    return Trust(Policy.parse(policy), runner_keys("\n".join(runners)), quickly_verified)


def load_trust(policy: Path, runners: Path, people: Path | None = None) -> Trust:
    """Return whom to believe, from files.

    Args:
        policy: a tlog-policy.
        runners: public keys of runners, one a line.
        people: keys of people, as `allowed_signers` of OpenSSH; None where they are not at hand.

    Raises:
        ConfigError: one of the files cannot be read or is not understood.
    """
    parsed, keys = _understood(policy, Policy.parse), _understood(runners, runner_keys)
    return Trust(parsed, keys, quickly_verified, _understood(people, people_keys) if people else None)


def _understood(path: Path, read: Callable[[str], Understood]) -> Understood:
    try:
        return read(_text(path))
    except NotSound as error:
        raise ConfigError(f"{path}: {error}", hint=_HINT) from None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError as error:
        why = (error.strerror or "unknown reason").lower()
        raise ConfigError(f"{path}: cannot be read: {why}", hint=_HINT) from None
