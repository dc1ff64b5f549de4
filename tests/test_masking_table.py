"""Secrets times what libraries, terminals and people make of them: how many come through."""

from __future__ import annotations

import base64
import codecs
import gzip
import html
import json
import quopri
import re
import shlex
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest

from opslib.masking import Masker

SECRETS = {
    "password": "Tr0ub4dor&3/x+Y=z!",
    "token": "acme_live_9fK2mQ7xZ4pL8wR1tV6yB3nH5jD0sG",
    "cloud": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYzQ9kLm2pTs",
    "jwt": "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJyb2xlIjoic2VydmljZSJ9.Q2x9mV7tLk3pZr8Wd1Hs5Yb0Nf6Gj4Ac",
    "dsn": "postgresql://app:s3cr%2Ft-P4ss@db.acme.example:5432/orders?sslmode=require",
    "key": "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7\n"
    "VJTUt9Us8cKjMzEfYyjiWA4R4/M2bS1GB4t7NXp98C3SC6dVMvDu\n-----END PRIVATE KEY-----",
    "uuid": "3f2b8c1e-9d47-4a6f-b05e-7c81d2e96a34",
    "passphrase": "correct \"horse\" <ok> battery's staple",
    "umlauts": "pä$$wörd-für-Jürgen7",
    "hex": "9b1deb4d3b7d4bad9bdd2b0d7b3dcb6d51f2a6c8e04b7d93a1c5f8e2d6b09473",
    "short": "hunter2-X9",
    "webhook": "https://hooks.slack.example/services/T0AB12CD3/B0EF45GH6/x7YzQ1w2E3r4T5y6U7i8O9p0",
}  # fmt: skip


def b64(content: bytes) -> str:
    """Return base64 as a text."""
    return base64.b64encode(content).decode()


def chunks(value: str, size: int = 4) -> list[str]:
    """Return a value in pieces of some characters."""
    return [value[i : i + size] for i in range(0, len(value), size)]


TRANSFORMATIONS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "json": json.dumps,
    "json twice": lambda v: json.dumps(json.dumps(v)),
    "repr": repr,
    "bytes repr": lambda v: repr(v.encode()),
    "html": html.escape,
    "html, decimal": lambda v: "".join(f"&#{ord(c)};" for c in v),
    "html, hexadecimal": lambda v: "".join(f"&#x{ord(c):x};" for c in v),
    "percent": lambda v: quote(v, safe=""),
    "percent, lower case": lambda v: re.sub("%..", lambda m: m[0].lower(), quote(v, safe="")),
    "percent twice": lambda v: quote(quote(v, safe=""), safe=""),
    "form": quote_plus,
    "shell": shlex.quote,
    "javascript": lambda v: "".join(f"\\u{ord(c):04x}" for c in v),
    "quoted-printable": lambda v: quopri.encodestring(v.encode()).decode(),
    "base64": lambda v: b64(v.encode()),
    "base64 after one byte": lambda v: b64(b"x" + v.encode() + b"yz"),
    "base64 after two bytes": lambda v: b64(b"x:" + v.encode() + b"!"),
    "base64url": lambda v: base64.urlsafe_b64encode(v.encode()).decode().rstrip("="),
    "base64 of json": lambda v: b64(json.dumps({"value": v}).encode()),
    "base64 of utf-16": lambda v: b64(v.encode("utf-16-le")),
    "base64 twice": lambda v: b64(b64(v.encode()).encode()),
    "base32": lambda v: base64.b32encode(v.encode()).decode(),
    "hex": lambda v: v.encode().hex(),
    "hex with colons": lambda v: v.encode().hex(":").upper(),
    "upper case": str.upper,
    "coloured": lambda v: "".join(f"\x1b[3{i % 8}m{c}\x1b[0m" for i, c in enumerate(chunks(v))),
    "zero-width": lambda v: "\u200b\u00ad".join(chunks(v)),
    "tags": lambda v: "".join(f'<span class="s1">{html.escape(c)}</span>' for c in chunks(v)),
    "wrapped": lambda v: "\n    ".join(chunks(v, 8)),
    "concatenated": lambda v: "\n".join(f'"{c}"' for c in chunks(v, 8)),
    "utf-16 read as bytes": lambda v: v.encode("utf-16-le").decode("latin-1"),
    "cut off": lambda v: v[: len(v) * 3 // 4] + "…",
    "reversed": lambda v: v[::-1],
    "rot13": lambda v: codecs.encode(v, "rot13"),
    "compressed": lambda v: b64(gzip.compress(v.encode(), mtime=0)),
    "last four": lambda v: "****" + v[-4:],
}

# The end of a value tells nobody the value. Where the value was cut, what is left is a token without its
# signature, a hook without its key, an address without its password, and too little of a short password.
MISSED = {f"{name}, last four" for name in SECRETS}
MISSED |= {f"{name}, cut off" for name in ("jwt", "webhook", "dsn", "short")}


def survives(written: str, masked: str) -> bool:
    """Tell whether half of what was written is still there, whatever stands in between."""
    size = min(4, len(written))
    pieces = {written[i : i + size] for i in range(len(written) - size + 1)}
    return sum(piece in masked for piece in pieces) * 2 >= len(pieces)


def comes_through(written: str) -> bool:
    """Tell whether a secret is still there after masking, in text and in JSON."""
    masker = Masker(SECRETS)
    text = f"INFO app: got {written} from there, retrying\n"
    masked = masker.mask(text)
    assert masked.startswith("INFO app: ") and masked.endswith(" there, retrying\n")
    assert masker.mask_json({"outputs": [{"text": text}]}) == {"outputs": [{"text": masked}]}
    return "[redacted:" not in masked or survives(written, masked)


def test_all_but_the_harmless_of_the_table_is_masked() -> None:
    """The number is a promise: 444 are planted, and it is known by name which come through."""
    planted = [(name, how) for name in SECRETS for how in TRANSFORMATIONS]
    missed = {f"{name}, {how}" for name, how in planted if comes_through(TRANSFORMATIONS[how](SECRETS[name]))}
    assert len(planted) == 444
    assert missed == MISSED
    assert len(planted) - len(missed) == 428


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_that_is_not_known_is_left_alone(name: str) -> None:
    """The table would also be passed by a masker that masks everything."""
    others = Masker({other: value for other, value in SECRETS.items() if other != name})
    for how in TRANSFORMATIONS.values():
        written = how(SECRETS[name])
        assert others.mask(written) == written
