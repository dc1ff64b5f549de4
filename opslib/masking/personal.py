"""Personal data that has a shape: addresses, numbers of phones, accounts and cards."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator

Found = tuple[int, int, str]  # begin, end, kind

_DOMAIN = re.compile(rb"@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.){1,8}[A-Za-z]{2,24}(?![\w-])")
_LOCAL = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._%+'-"
_MOST_LOCAL = 64
_NOBODY = {b"git", b"noreply", b"no-reply"}
_PHONE = re.compile(
    rb"(?<![\w.+-])(?:\+[1-9](?:[ ().-]{0,2}\d){8,13}|\(\d{3}\) ?\d{3}-\d{4}|\d{3}-\d{3}-\d{4})(?![\w-]|\.\d)"
)
_IBAN = re.compile(rb"(?<!\w)[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?!\w)")
_CARD = re.compile(rb"(?<![\w.-])[2-6]\d{3}(?:[ -]?\d){9,15}(?![\w-]|\.\d)")
_ISSUED = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})|5[1-5]\d{14}|2(?:2[2-9]|[3-6]\d|7[01])\d{13}|3[47]\d{13}"
    r"|3(?:0[0-5]|[68]\d)\d{11}|35\d{14}|6(?:011|5\d\d)\d{12}"
)
_IPV4 = re.compile(rb"(?<![\w.=-])(?<!version )(?:\d{1,3}\.){3}\d{1,3}(?![\w-]|\.\d)")
_IPV6 = re.compile(rb"(?<![\w:.])(?:[0-9A-Fa-f]{1,4}:){1,7}(?::?[0-9A-Fa-f]{1,4}){1,7}(?![\w:]|\.\d)")


def personal(data: bytes) -> Iterator[Found]:
    """Yield what looks like personal data in a text."""
    if b"@" in data:
        yield from _mail(data)
    for kind, pattern, holds in _NUMBERS:
        for match in pattern.finditer(data):
            if holds(match[0].decode("ascii", "replace")):
                yield (*match.span(), kind)


def _mail(data: bytes) -> Iterator[Found]:
    for match in _DOMAIN.finditer(data):
        before = data[max(0, match.start() - _MOST_LOCAL) : match.start()]
        rest = before.rstrip(_LOCAL)
        local = before[len(rest) :]
        # What follows `//` is who logs in to a server, as in the address of a database.
        if local and local.lower() not in _NOBODY and not rest.endswith((b"//", b":")):
            yield match.start() - len(local), match.end(), "e-mail"


def _is_iban(text: str) -> bool:
    plain = text.replace(" ", "")
    turned = plain[4:] + plain[:4]
    return len(plain) >= 15 and int("".join(str(int(c, 36)) for c in turned)) % 97 == 1


def _is_card(text: str) -> bool:
    digits = re.sub(r"\D", "", text)
    doubled = [sum(divmod(2 * int(d), 10)) for d in digits[-2::-2]]
    total = sum(doubled) + sum(map(int, digits[-1::-2]))
    return bool(_ISSUED.fullmatch(digits)) and total % 10 == 0 and len(set(digits)) > 2


def _is_public(text: str) -> bool:
    try:
        return ipaddress.ip_address(text).is_global
    except ValueError:
        return False


_NUMBERS: tuple[tuple[str, re.Pattern[bytes], Callable[[str], bool]], ...] = (
    ("phone", _PHONE, lambda text: True),
    ("iban", _IBAN, _is_iban),
    ("card", _CARD, _is_card),
    ("ip-address", _IPV4, _is_public),
    ("ip-address", _IPV6, _is_public),
)
