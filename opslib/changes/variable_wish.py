"""What a person wants set, without its value: where that lies, and a salted digest to know it again."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass

from opslib import masking
from opslib.config import Secret
from opslib.config.secret import EXAMPLES, is_reference
from opslib.errors import ParameterError, SecretError

VERCEL, DOPPLER = "vercel", "doppler"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Costly on purpose (about 0.1 s and 32 MB a guess): the digest is in the plan, which many may read.
_COST = {"n": 2**15, "r": 8, "p": 1, "maxmem": 2**26}


@dataclass(frozen=True)
class Wish:
    """What is to be set or removed.

    Args:
        name: the variable; nothing where nobody wants any.
        where: vercel or doppler.
        delete: remove it rather than set it.
        redeploy: build the serving deployment again afterwards.
        reference: where the value is.
        salt, digest: by which the value is known again; nothing where it cannot be had.
        mark: short and random; what is done will carry it, so that it can be recognised.
        reason: why the value cannot be had, or why the name is none.
    """

    name: str
    where: str
    delete: bool
    redeploy: bool
    reference: str
    salt: str
    digest: str
    mark: str
    reason: str = ""


def wish(name: str, value: str, *, where: str = VERCEL, delete: bool = False, redeploy: bool = True) -> Wish:
    """Return what is wanted, after a look at the value.

    Args:
        name: the variable, or nothing.
        value: a reference to its value, never the value itself.
        where: vercel or doppler.
        delete: remove it rather than set it.
        redeploy: build the serving deployment again afterwards.

    Raises:
        ParameterError: `value` is no reference; the text is not repeated, and masked from now on.
    """
    if not is_reference(value):
        masking.register("value", value)
        hint = f"write {EXAMPLES}, or use --stdin; what was given here must count as known to others"
        raise ParameterError("value must say where the value is, never what it is", hint=hint)
    salt, digest, reason = secrets.token_hex(16), "", ""
    if name and not _NAME.fullmatch(name):
        reason = "a name has letters, digits and underscores only"
    elif name and not delete:
        try:
            digest = digest_of(Secret.parse(value, name).reveal(), salt)
        except SecretError as error:
            reason = f"its value cannot be had: {error.message}"
    return Wish(name, where, delete, redeploy, value, salt, digest, secrets.token_hex(6), reason)


def digest_of(value: str, salt: str) -> str:
    """Return the scrypt digest of a value.

    Args:
        value: the secret.
        salt: hexadecimal; another one for each plan.
    """
    return hashlib.scrypt(value.encode(), salt=bytes.fromhex(salt), dklen=32, **_COST).hex()


def same(value: str, salt: str, digest: str) -> bool:
    """Tell whether a value is the one that a digest was made of."""
    return hmac.compare_digest(digest_of(value, salt), digest)
