"""The forms of a value that no view turns back into the value: encodings, parts, and spellings."""

from __future__ import annotations

import base64
import codecs
import json
import quopri
import re
import shlex
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from urllib.parse import quote

from opslib.masking.values import MIN_LENGTH, distinct, maskable, telling
from opslib.masking.views import readings

_MIN_LINE = 16
_MIN_FRAGMENT = 8
_MIN_ENCODED = 10
_MIN_LONG = 20
_WINDOW = 12
_PHRASE = 20
_URL = re.compile(r"[a-z][a-z0-9+.-]*://(?:[^/?#]*?:(?P<password>[^/?#]*)@)?", re.IGNORECASE)
_ADDRESS = re.compile(r"(?:[\w.+-]+@)?(?:[a-z0-9-]+\.)+[a-z]{2,24}(?::\d+)?|[a-z0-9.-]+:\d{1,5}")
_EDGES = re.compile(r"[/@:?#&=]")
_URLSAFE = str.maketrans("+/", "-_")


@dataclass(frozen=True, slots=True)
class Form:
    """One thing to search for.

    Attributes:
        written: the bytes of it.
        distinct: it counts also in other letter case, and where blanks were taken out of the text.
        blob: what surrounds it in base64 belongs to it.
    """

    written: bytes
    distinct: bool
    blob: bool = False


@lru_cache(maxsize=512)
def forms(value: str) -> tuple[Form, ...]:
    """Return every form of a value to search for.

    Args:
        value: one that `maskable` accepts.
    """
    plain = value.strip()
    lines = [line.strip() for line in plain.splitlines() if "-----" not in line]
    texts = [plain, *(line for line in lines if len(line) >= _MIN_LINE), *_parts(plain)]
    spelled = chain.from_iterable(map(_spelled, texts))
    found: dict[bytes, Form] = {}
    for form in chain(spelled, _turned(plain), _encoded(plain), _windows(plain), _phrases(plain)):
        found.setdefault(form.written, form)
    return tuple(form for form in found.values() if len(form.written) >= MIN_LENGTH)


def _spelled(text: str) -> Iterator[Form]:
    """Yield a text as files and command lines hold it; escapes are undone by the views."""
    spellings = {
        text,
        text.replace(" ", "+"),
        text.replace('"', '""'),
        text.replace("'", "''"),
        shlex.quote(text).strip("'"),
        text.replace("'", "'\\''"),
    }
    if not text.isascii():
        spellings |= {text.upper(), text.lower()}
    for written in {as_bytes for spelling in spellings for as_bytes in _bytes(spelling)}:
        yield from (Form(reading, distinct(text)) for reading in readings(written))


def _bytes(text: str) -> Iterator[bytes]:
    plain = text.encode("utf-8", "surrogatepass")
    yield plain
    yield quopri.encodestring(plain).replace(b"=\n", b"")
    with suppress(UnicodeEncodeError):
        yield text.encode("latin-1")


def _turned(text: str) -> Iterator[Form]:
    """Yield what a text becomes by games that hide it from nobody."""
    for turned in (text[::-1], codecs.encode(text, "rot13")):
        if turned != text and distinct(turned):
            yield from _spelled(turned)


def _parts(text: str) -> Iterator[str]:
    """Yield what error messages show of an address: its password, what it was wrongly split into."""
    # Most of such a file is the public key, which everybody may see.
    if _ADDRESS.fullmatch(text) or "OPENSSH PRIVATE KEY" in text:
        return
    url = _URL.match(text)
    if url and maskable(url["password"] or ""):
        yield url["password"]
    rest = text[url.end() :] if url else text
    pieces = _EDGES.split(rest)
    if len(pieces) > 1:
        least = _MIN_LINE if url else _MIN_FRAGMENT
        yield from (p for p in pieces if len(p) >= least and telling(p) and not (url and "." in p))


def _windows(text: str) -> Iterator[Form]:
    """Yield the parts of a long secret that still tell it, as where a token was cut."""
    for piece in _uncut(text):
        size = _WINDOW if len(piece) >= _MIN_LONG else max(_MIN_FRAGMENT, len(piece) * 2 // 3)
        for begin in range(len(piece) - size + 1):
            window = piece[begin : begin + size]
            if telling(window):
                yield Form(window.encode("utf-8", "surrogatepass"), size >= _WINDOW)


def _phrases(text: str) -> Iterator[Form]:
    """Yield the parts of a secret of several words that nobody else would write."""
    for begin in range(len(text) - _PHRASE + 1):
        phrase = text[begin : begin + _PHRASE]
        if " " in phrase and "=" not in text and "\n" not in text:
            yield Form(phrase.encode("utf-8", "surrogatepass"), True)


def _uncut(text: str) -> list[str]:
    """Return the pieces of a value that are secret as a whole, without servers and heads of tokens."""
    if "\n" in text or ("=" in text and " " in text) or _ADDRESS.fullmatch(text):
        return []
    if text.startswith("eyJ") and text.count(".") == 2:
        return [text.rpartition(".")[2]]
    return [p for p in _parts(text) if len(p) >= _MIN_LINE] if _URL.match(text) else [text]


def _encoded(text: str) -> Iterator[Form]:
    """Yield what of an encoding is the same whatever stands before and after the text."""
    plain, wide = text.encode("utf-8", "surrogatepass"), text.encode("utf-16-le", "surrogatepass")
    contents = {plain, wide, json.dumps(text)[1:-1].encode(), quote(text, safe="").encode("ascii")}
    contents |= {core.encode() for core in _cores(plain, base64.b64encode, 6)}
    for content in contents:
        for core in _cores(content, base64.b64encode, 6):
            yield from (_form(written, blob=True) for written in {core, core.translate(_URLSAFE)})
    yield from (_form(core) for core in _cores(plain, base64.b32encode, 5))
    yield from (_form(digits) for digits in _digits(plain))
    yield _form(wide.hex())


def _digits(content: bytes) -> Iterator[str]:
    yield content.hex()
    yield from (content.hex(separator) for separator in ":-")
    yield ",".join(map(hex, content))
    yield ",".join(map(str, content))


def _form(written: str, *, blob: bool = False) -> Form:
    return Form(written.encode(), len(written) >= _MIN_ENCODED, blob)


def _cores(content: bytes, encode: Callable[[bytes], bytes], bits: int) -> set[str]:
    """Return the characters that hold nothing but bits of the content, at each alignment."""
    found = set()
    for before in range(bits // 2 if bits == 6 else bits):
        text = encode(b"\0" * before + content).decode()
        found.add(text[-(-before * 8 // bits) : (before + len(content)) * 8 // bits])
    return found
