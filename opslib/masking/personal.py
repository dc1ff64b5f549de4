"""Personal data that has a shape: addresses, numbers of phones, accounts and cards."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

Found = tuple[int, int, str]  # begin, end, kind

_DIGITS = b"0123456789"
_LOCAL = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._%+'-"
_HEX = b"0123456789abcdefABCDEF"
_MOST_BEFORE = 80
# Whom everybody may write to: a runbook that hides the vendor's support helps nobody.
_NOBODY = re.compile(
    r"(?:git|no-?reply|support|help|info|hello|contact|sales|billing|security|abuse|admin|postmaster|ops|devops"
    r"|on-?call|status|notifications?)@",
    re.IGNORECASE,
)
_ISSUED = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})|5[1-5]\d{14}|2(?:2[2-9]|[3-6]\d|7[01])\d{13}|3[47]\d{13}"
    r"|3(?:0[0-5]|[68]\d)\d{11}|35\d{14}|6(?:011|5\d\d)\d{12}"
)


@dataclass(frozen=True, slots=True)
class _Shape:
    """One kind of personal data.

    Attributes:
        core: what is searched for; it begins with few characters, which is quick.
        before: the characters that may stand before the core and belong to it.
        unless: nothing is meant where this precedes all of it.
        holds: tells chance from the real thing.
    """

    kind: str
    core: re.Pattern[bytes]
    before: bytes
    unless: re.Pattern[bytes]
    holds: Callable[[str], bool]


def personal(data: bytes) -> Iterator[Found]:
    """Yield what looks like personal data in a text."""
    for shape in _SHAPES:
        for match in shape.core.finditer(data):
            before = data[max(0, match.start() - _MOST_BEFORE) : match.start()]
            rest = before.rstrip(shape.before) if shape.before else before
            begin = match.start() - len(before) + len(rest)
            text = data[begin : match.end()].decode("ascii", "replace")
            if not shape.unless.search(rest) and shape.holds(text):
                yield begin, match.end(), shape.kind


def _is_mail(text: str) -> bool:
    local = text.partition("@")[0]
    return any(c.isalnum() for c in local) and len(local) <= 64 and not _NOBODY.match(text)


def _is_iban(text: str) -> bool:
    plain = text.replace(" ", "")
    turned = plain[4:] + plain[:4]
    return len(plain) >= 15 and int("".join(str(int(c, 36)) for c in turned)) % 97 == 1


def _is_card(text: str) -> bool:
    digits = re.sub(r"\D", "", text)
    doubled = [sum(divmod(2 * int(d), 10)) for d in digits[-2::-2]]
    total = sum(doubled) + sum(map(int, digits[-1::-2]))
    return bool(_ISSUED.fullmatch(digits)) and total % 10 == 0 and len(set(digits)) > 1


def _is_public(text: str) -> bool:
    try:
        return ipaddress.ip_address(text).is_global
    except ValueError:
        return False


def _any(text: str) -> bool:
    return True


def _shape(
    kind: str, core: bytes, unless: bytes, holds: Callable[[str], bool], before: bytes = b""
) -> _Shape:
    return _Shape(kind, re.compile(core), before, re.compile(rb"(?:%s)\Z" % unless), holds)


_SHAPES = (
    # What follows `//` is who logs in to a server, as in the address of a database.
    _shape("e-mail", rb"@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.){1,8}[A-Za-z]{2,24}(?![\w-])",
           rb"//|:", _is_mail, _LOCAL),
    _shape("phone", rb"\+[1-9](?:[ ().-]{0,2}\d){8,13}(?![\w-]|\.\d)", rb"[\w.+-]", _any),
    _shape("phone", rb"\(\d{3}\) ?\d{3}-\d{4}(?![\w-]|\.\d)", rb"[\w.+-]", _any),
    _shape("phone", rb"-\d{3}-\d{4}(?![\w-]|\.\d)", rb"[\w.+-]", lambda text: text[3] == "-", _DIGITS),
    _shape("iban", rb"[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?!\w)", rb"\w", _is_iban),
    _shape("card", rb"[2-6]\d{3}(?:[ -]?\d){9,15}(?![\w-]|\.\d)", rb"[\w.-]", _is_card),
    _shape("ip-address", rb"\.\d{1,3}\.\d{1,3}\.\d{1,3}(?![\w-]|\.\d)", rb"[\w.-]|==|[Vv]ersion:? ",
           _is_public, _DIGITS),
    _shape("ip-address", rb":(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{1,4}(?![\w:])", rb"[\w:.]",
           _is_public, _HEX),
)  # fmt: skip
