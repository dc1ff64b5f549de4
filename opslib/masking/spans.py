"""What of a text is replaced, once several searches have said what they found."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence, Set
from enum import IntEnum
from typing import NamedTuple

PLACED = "password"  # the kind of what only its place gives away; any other kind says more


class Rank(IntEnum):
    """How much is known of what was found; where two finds overlap, the better known names it."""

    KNOWN = 0
    SHAPE = 1
    PERSONAL = 2


class Span(NamedTuple):
    """A part of a text, in bytes, that must not be seen."""

    begin: int
    end: int
    label: str
    rank: Rank


def marker(label: str) -> str:
    """Return what stands in the place of a value."""
    return f"[redacted:{label}]"


def merged(text: bytes, found: Iterable[Span], labels: Set[str]) -> list[Span]:
    """Return what to replace, in order and apart from one another; marks of earlier maskings stay.

    Args:
        text: where the spans were found.
        found: the spans, in any order; they may overlap.
        labels: of the values that are known; only marks with one of them are the masker's own.
    """
    ordered = sorted({_whole_characters(text, span) for span in found})
    if not ordered:
        return []
    marks = _marks(text, {*labels, *(span.label for span in ordered)})
    joined: list[list[Span]] = []
    reached = -1
    for span in ordered:
        if any(begin <= span.begin and span.end <= end for begin, end in marks):
            continue
        if span.begin >= reached:
            joined.append([])
        joined[-1].append(span)
        reached = max(reached, span.end)
    return [_union(spans) for spans in joined]


def without(piece: bytes, begin: int, spans: Sequence[Span]) -> bytes:
    """Return a text, which begins at `begin` of a longer one, without its part of each span."""
    parts, kept = [], 0
    for span in spans:
        start, end = span.begin - begin, min(span.end - begin, len(piece))
        if end <= kept or start >= len(piece):
            continue
        if start >= 0:
            parts += [piece[kept:start], marker(span.label).encode()]
        kept = end
    return b"".join([*parts, piece[kept:]])


def _whole_characters(text: bytes, span: Span) -> Span:
    begin, end = span.begin, span.end
    while begin and text[begin] & 0xC0 == 0x80:
        begin -= 1
    while end < len(text) and text[end] & 0xC0 == 0x80:
        end += 1
    return span._replace(begin=begin, end=end)


def _marks(text: bytes, labels: Set[str]) -> list[tuple[int, int]]:
    if b"[redacted:" not in text:
        return []
    longest_first = sorted((re.escape(marker(label).encode()) for label in labels), key=len, reverse=True)
    return [match.span() for match in re.finditer(b"|".join(longest_first), text)]


def _union(spans: Sequence[Span]) -> Span:
    best = min(spans, key=lambda span: (span.rank, span.label == PLACED, span.begin - span.end))
    return best._replace(begin=spans[0].begin, end=max(span.end for span in spans))
