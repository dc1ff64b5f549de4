"""Definitions as a restore leaves them: the server writes some of them otherwise once it has read them again.

Of what it made itself, it reads `((a AND b) AND c)` as `(a AND b AND c)`, and `(ARRAY[x, y])::text[]` as
`ARRAY[(x)::text, (y)::text]`. Nothing else is put right here: what means something else stays different.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

_TOKEN = re.compile(
    r"""(\s*)(E'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'|"(?:[^"]|"")*"|(\$\w*\$).*?\3|::|\w[\w$]*|\S)""", re.DOTALL
)
_CLOSED_BY = {"(": ")", "[": "]"}
_CHAINS = {"AND", "OR"}


@dataclass(frozen=True)
class _Part:
    """A token, or all that stands in one pair of brackets.

    Args:
        blank: what separates it from the part before.
        text: as it is written.
        inside: the parts between the brackets.
        bracket: the one that opens it; nothing of a token.
    """

    blank: str
    text: str
    inside: tuple[_Part, ...] = ()
    bracket: str = ""


def settled(text: str) -> str:
    """Return a definition as the server writes it once it has been dumped and restored.

    Blanks outside of quotes count as one. Text whose quotes or brackets do not match is returned as it is:
    it is no definition.
    """
    levels: list[tuple[str, str, list[_Part]]] = [("", "", [])]
    for found in _TOKEN.finditer(text):
        blank, token = " " if found[1] else "", found[2]
        opened = levels[-1][0]
        if token in _CLOSED_BY:
            levels.append((token, blank, []))
        elif token in _CLOSED_BY.values():
            if _CLOSED_BY.get(opened) != token:
                return text
            bracket, before, parts = levels.pop()
            levels[-1][2].append(_group(bracket, before, _flat(_spread(parts))))
        elif token in ("'", '"'):
            return text
        else:
            levels[-1][2].append(_Part(blank, token))
    return _written(_spread(levels[0][2])).strip() if len(levels) == 1 else text


def _group(bracket: str, blank: str, inside: Sequence[_Part]) -> _Part:
    return _Part(blank, f"{bracket}{_written(inside)}{_CLOSED_BY[bracket]}", tuple(inside), bracket)


def _written(parts: Iterable[_Part]) -> str:
    return "".join(part.blank + part.text for part in parts)


def _flat(parts: list[_Part]) -> list[_Part]:
    """Take the brackets off a chain of AND, or of OR, that begins a longer one: the server does so, too."""
    if len(parts) < 2 or parts[0].bracket != "(" or parts[1].text not in _CHAINS:
        return parts
    first = parts[0].inside
    alike = {part.text for part in (*first, *parts)} & _CHAINS
    if len(alike) != 1 or not any(part.text in alike for part in first):
        return parts
    return [replace(first[0], blank=parts[0].blank), *first[1:], *parts[1:]]


def _spread(parts: list[_Part]) -> list[_Part]:
    """Give the cast of an array that is written out to each of its elements."""
    made: list[_Part] = []
    place = 0
    while place < len(parts):
        part, kind = parts[place], _cast_to(parts, place + 1)
        if _is_array(part.inside) and kind:
            made += _cast(part.inside, kind, part.blank)
            place += len(kind) + 2  # itself, the colons and the type; its last brackets instead of itself
        else:
            made.append(part)
        place += 1
    return made


def _is_array(parts: Sequence[_Part]) -> bool:
    return len(parts) == 2 and parts[0].text == "ARRAY" and bool(parts[1].inside)


def _cast_to(parts: Sequence[_Part], place: int) -> list[_Part]:
    """Return the type of an array's elements where a cast to it begins; nothing where none does."""
    if place >= len(parts) or parts[place].text != "::":
        return []
    kind: list[_Part] = []
    for part in parts[place + 1 :]:
        if part.text == "[]":
            return kind
        if not re.match(r'[\w".(]', part.text):
            break
        kind.append(part)
    return []


def _cast(array: Sequence[_Part], kind: Sequence[_Part], blank: str) -> list[_Part]:
    inside = []
    for element in _elements(array[1].inside):
        if _is_array(element):
            inside += _cast(element, kind, element[0].blank)
        else:
            first = replace(element[0], blank="")
            inside += [_group("(", element[0].blank, (first, *element[1:])), _Part("", "::"), *kind]
        inside.append(_Part("", ","))
    return [replace(array[0], blank=blank), _group("[", "", inside[:-1])]


def _elements(parts: Sequence[_Part]) -> Iterator[list[_Part]]:
    one: list[_Part] = []
    for part in (*parts, _Part("", ",")):
        if part.text != ",":
            one.append(part)
        elif one:
            yield one
            one = []
