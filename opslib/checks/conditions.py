"""What the condition of a plan's scan asks of a table: the server's words, taken apart and never run."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
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
        sign: of the comparison.
    """

    way: Way
    column: str = ""
    text: str = ""
    sides: tuple[Asked, ...] = ()
    sign: str = ""


def asked(condition: str) -> Asked:
    """Return the part of a condition that an index could serve most easily.

    Args:
        condition: `Filter` of a plan's node.
    """
    order = list(Way)
    return min(parts(condition), key=lambda part: order.index(part.way))


def parts(condition: str) -> list[Asked]:
    """Return what each part of a condition asks, all of which must hold."""
    return [_part(part) for part in _split(condition, "AND")]


def compared(condition: str, columns: Iterable[str]) -> bool:
    """Tell whether a condition compares one of some columns, or something made of it, with a value."""
    sides = [side for part in parts(condition) for side in (part.sides or (part,)) if side.sign]
    texts = " ".join(side.column or side.text for side in sides)
    return any(re.search(rf"(?<!\w){re.escape(column)}(?!\w)", texts) for column in columns)


def _part(text: str) -> Asked:
    sides = list(_split(text, "OR"))
    if len(sides) > 1:
        return Asked(Way.EITHER, text=_bare(text), sides=tuple(asked(side) for side in sides))
    at, sign = next((found for found in _signs(text) if found[1] in _COMPARED), (0, ""))
    left, right = text[:at], text[at + len(sign) + 2 :]
    found = _PLAIN.fullmatch(left) or _CAST.fullmatch(left)
    if not left or (found and _names(right, found[1])):
        return Asked(Way.OTHER, text=_bare(text))
    if not found:
        return Asked(Way.EXPRESSION, text=_bare(left), sign=sign)
    way = Way.PLAIN if _PLAIN.fullmatch(left) else Way.CAST
    return Asked(way, _named(found[2]), left, sign=sign)


def _names(text: str, relation: str | None) -> bool:
    """Tell whether a text names a column of a relation: an index finds a value, not what the row holds."""
    return bool(relation and re.search(rf"(?<![\w.\"]){re.escape(relation)}\.", text))


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
