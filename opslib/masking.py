"""Replace secret values in whatever is shown or kept, also where they were encoded on the way.

Known are the values themselves and the forms in which libraries print them: JSON and Python escapes,
percent and HTML encodings, and base64 wherever in a longer text it began. What is compressed, split
or written backwards is not found.
"""

from __future__ import annotations

import base64
import html
import json
import re
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import accumulate
from typing import Any
from urllib.parse import quote, quote_plus

MIN_LENGTH = 6
MIN_LINE = 16
# Masking these would make results unreadable and protect nothing: anybody guesses them first.
_WORDS = """
    123456 1234567 12345678 123456789 admin123 changeme database default development enabled disabled
    example localhost monitor opslib password postgres postgresql preview production public readonly
    sandbox secret secrets staging supabase testing unknown username
"""
COMMON = frozenset(_WORDS.split())
_REMEMBERED_MOST = 8_000_000  # characters
_BASE64_EDGE = r"[A-Za-z0-9+/_-]{0,2}"
_PERCENT = re.compile(r"%[0-9A-F]{2}")

_Span = tuple[int, int, str]  # begin, end, label of a value found in a text

_registered: dict[str, str] = {}
_lock = threading.Lock()


class Masker:
    """Replaces known values by `[redacted:NAME]`.

    Args:
        values: name -> secret value; values that are too short or too common are left out.

    Attributes:
        counts: name -> how many times its value was replaced so far.
    """

    def __init__(self, values: Mapping[str, str] | None = None) -> None:
        self.counts: Counter[str] = Counter()
        self._patterns: dict[str, tuple[str, str]] = {}
        self._shortest = 0
        # Texts without a known value: a notebook is masked after each cell, and most of it is as before.
        self._clean: set[str] = set()
        self._remembered = 0
        self._markers: set[str] = set()
        for name, value in (values or {}).items():
            self.add(name, value)

    def add(self, name: str, value: str) -> None:
        """Know one more value from now on; one that `maskable` refuses is ignored."""
        if not maskable(value):
            return
        label = "secret" if value.strip() in name else re.sub(r"[\[\]<>&\"'\\]", "-", name)
        self._markers.add(_marker(label))
        for literal, pattern in _forms(value):
            self._patterns.setdefault(literal, (label, pattern))
        self._shortest = min(map(len, self._patterns))
        self._clean.clear()

    def mask(self, text: str) -> str:
        """Return the text with every known value replaced; text that was masked before stays as it is."""
        found = self._found(text)
        return _replaced(text, 0, found) if found else text

    def mask_pieces(self, pieces: Sequence[str]) -> list[str]:
        """Mask texts that followed one another as if they were one, and return as many.

        A value that is split over several of them is masked in the piece where it begins and gone from
        the others: together they would still tell it.
        """
        found = self._found("".join(pieces))
        if not found:
            return list(pieces)
        ends = accumulate(len(piece) for piece in pieces)
        return [_replaced(piece, end - len(piece), found) for piece, end in zip(pieces, ends, strict=True)]

    def mask_json(self, obj: Any) -> Any:
        """Return a JSON-like value with every text in it masked: keys, values, and telling numbers.

        Args:
            obj: dicts, lists, tuples, texts, numbers; anything else is returned as it is.
        """
        if isinstance(obj, str):
            return self.mask(obj)
        if isinstance(obj, Mapping):
            return self._mask_mapping(obj)
        if isinstance(obj, list | tuple):
            return type(obj)(self.mask_json(item) for item in obj)
        if isinstance(obj, int | float):
            masked = self.mask(str(obj))
            return obj if masked == str(obj) else masked
        return obj

    def _mask_mapping(self, mapping: Mapping[Any, Any]) -> dict[Any, Any]:
        masked: dict[Any, Any] = {}
        for key, value in mapping.items():
            name = self.mask_json(key)
            unique, number = name, 2
            while unique in masked:
                unique, number = f"{name} {number}", number + 1
            masked[unique] = self.mask_json(value)
        return masked

    def _found(self, text: str) -> list[_Span]:
        """Return where known values stand in a text, and count them."""
        if len(text) < self._shortest or text in self._clean:
            return []
        # Searching each literal is far quicker than one large alternation over text that has none.
        present = [literal for literal in self._patterns if literal in text]
        if not present:
            self._remember(text)
            return []
        present.sort(key=len, reverse=True)
        alternatives = [f"({self._patterns[literal][1]})" for literal in present]
        own = "|".join(re.escape(marker) for marker in sorted(self._markers, key=len, reverse=True))
        labels = [self._patterns[literal][0] for literal in present]
        matches = re.finditer("|".join([f"(?:{own})", *alternatives]), text)
        found = [(*match.span(), labels[match.lastindex - 1]) for match in matches if match.lastindex]
        self.counts.update(label for _, _, label in found)
        return found

    def _remember(self, text: str) -> None:
        self._remembered += len(text)
        if self._remembered > _REMEMBERED_MOST:
            self._clean.clear()
            self._remembered = len(text)
        self._clean.add(text)


def maskable(value: str) -> bool:
    """Tell whether a value is long and rare enough to be searched for."""
    plain = value.strip()
    return len(plain) >= MIN_LENGTH and plain.casefold() not in COMMON and len(set(plain)) > 1


def register(name: str, value: str) -> None:
    """Have a value masked wherever this process shows or keeps something.

    Args:
        name: what stands in its place; a second value under the same name gets a number.
        value: the secret; ignored if `maskable` refuses it.
    """
    if not maskable(value):
        return
    with _lock:
        unique, number = name, 2
        while _registered.get(unique, value) != value:
            unique, number = f"{name} {number}", number + 1
        _registered[unique] = value


def registered() -> dict[str, str]:
    """Return every registered value by its name: a copy, for a `Masker`."""
    with _lock:
        return dict(_registered)


def _replaced(text: str, begin: int, found: Sequence[_Span]) -> str:
    """Return a text, which begins at `begin` of a longer one, without its part of each span."""
    parts, kept = [], 0
    for first, last, label in found:
        start, end = first - begin, min(last - begin, len(text))
        if end <= kept or start >= len(text):
            continue
        if start >= 0:
            parts += [text[kept:start], _marker(label)]
        kept = end
    return "".join([*parts, text[kept:]])


def _marker(label: str) -> str:
    return f"[redacted:{label}]"


@lru_cache(maxsize=512)
def _forms(value: str) -> tuple[tuple[str, str], ...]:
    """Return (literal, pattern) of every form; a pattern may take in the characters at its edges."""
    plain = value.strip()
    lines = [line.strip() for line in plain.splitlines() if "-----" not in line]
    wanted = [plain, *(line for line in lines if len(line) >= MIN_LINE)]
    texts = {form for text in wanted for form in _escaped(text)}
    blobs = {form for form in _base64(plain) if len(form) >= MIN_LENGTH} - texts
    return (
        *((text, re.escape(text)) for text in texts),
        *((blob, f"{_BASE64_EDGE}{re.escape(blob)}{_BASE64_EDGE}={{0,2}}") for blob in blobs),
    )


def _escaped(text: str) -> set[str]:
    once = json.dumps(text)[1:-1]
    marked = html.escape(text)
    percent = {quote(text, safe=""), quote(text), quote_plus(text)}
    return {
        text,
        once,
        json.dumps(once)[1:-1],
        json.dumps(text, ensure_ascii=False)[1:-1],
        repr(text)[1:-1],
        repr(text.encode())[2:-1],
        marked,
        html.escape(text, quote=False),
        marked.replace("&#x27;", "&#39;").replace("&quot;", "&#34;"),
        *percent,
        *(_PERCENT.sub(lambda m: m[0].lower(), form) for form in percent),
    }


def _base64(text: str) -> set[str]:
    """Return what of the base64 of a text is the same whatever stands before and after it."""
    found: set[str] = set()
    for before, cut in ((0, 0), (1, 2), (2, 3)):
        content = b"\0" * before + text.encode()
        encoded = base64.b64encode(content).decode().rstrip("=")
        stable = encoded[cut:] if len(content) % 3 == 0 else encoded[cut:-1]
        found |= {stable, stable.translate(str.maketrans("+/", "-_"))}
    return found
