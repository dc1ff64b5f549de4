"""What the condition of a plan's scan asks of a table: the server's words, taken apart and never run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

_NAME = r'("(?:[^"]|"")+"|\w+)'
_PLAIN = re.compile(rf"(?:{_NAME}\.)?{_NAME}")
_CAST = re.compile(rf"\((?:{_NAME}\.)?{_NAME}\)::[\w ]+")
_COMPARED = ("<=", ">=", "=", "<", ">")


class Way(StrEnum):
    """How a condition reaches its column; the first ones are the easier ones to serve."""

    PLAIN = "column"
    CAST = "cast"
    EXPRESSION = "expression"
    EITHER = "or"
    OTHER = "other"


@dataclass(frozen=True)
class Asked:
    """What a condition compares with a value.

    Args:
        way: how.
        column: the column, where one alone is meant.
        text: the expression that is compared; of an OR, or of what is no comparison, all of it.
        sides: of an OR what each side compares.
    """

    way: Way
    column: str = ""
    text: str = ""
    sides: tuple[Asked, ...] = ()


def asked(condition: str) -> Asked:
    """Return the part of a condition that an index could serve most easily.

    Args:
        condition: `Filter` of a plan's node.
    """
    order = list(Way)
    parts = [_part(part) for part in _split(condition, "AND")]
    return min(parts, key=lambda part: order.index(part.way))


def _part(text: str) -> Asked:
    sides = list(_split(text, "OR"))
    if len(sides) > 1:
        return Asked(Way.EITHER, text=_bare(text), sides=tuple(asked(side) for side in sides))
    left = next((text[:at] for at, sign in _signs(text) if sign in _COMPARED), "")
    if found := _PLAIN.fullmatch(left):
        return Asked(Way.PLAIN, _named(found[2]), left)
    if found := _CAST.fullmatch(left):
        return Asked(Way.CAST, _named(found[2]), left)
    return Asked(Way.EXPRESSION, text=_bare(left)) if left else Asked(Way.OTHER, text=_bare(text))


def _split(text: str, word: str) -> Iterator[str]:
    """Yield what stands between a word where no bracket is open, each part without brackets around it."""
    text, start = _bare(text), 0
    for at, found in _signs(text):
        if found == word:
            yield _bare(text[start:at])
            start = at + len(word) + 2
    yield _bare(text[start:])


def _signs(text: str) -> Iterator[tuple[int, str]]:
    """Yield the words between two blanks that stand outside of brackets and quotes, with where they begin."""
    depth, quote = 0, ""
    for at, sign in enumerate(text):
        if quote or sign in "'\"":
            quote = "" if sign == quote else quote or sign
        elif sign in "()[]":
            depth += 1 if sign in "([" else -1
        elif sign == " " and not depth and (end := text.find(" ", at + 1)) > 0:
            yield at, text[at + 1 : end]


def _bare(text: str) -> str:
    """Return a text without the brackets around all of it."""
    while text.startswith("(") and text.endswith(")") and not _closed_early(text):
        text = text[1:-1]
    return text


def _closed_early(text: str) -> bool:
    depth, quote = 0, ""
    for sign in text[:-1]:
        if quote or sign in "'\"":
            quote = "" if sign == quote else quote or sign
        elif sign in "()":
            depth += 1 if sign == "(" else -1
            if not depth:
                return True
    return False


def _named(text: str) -> str:
    """Return a name as the catalog has it."""
    return text[1:-1].replace('""', '"') if text.startswith('"') else text
