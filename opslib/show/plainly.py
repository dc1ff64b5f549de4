"""Text from elsewhere, as it can be put on a terminal: nothing in it moves the cursor or hides a word."""

from __future__ import annotations

import unicodedata

# Cc: control characters, escape sequences begin with one; Cf: invisible, and what turns the direction;
# Zl, Zp: line ends; Cs, Co: no letters at all.
_HIDDEN = ("Cc", "Cf", "Zl", "Zp", "Cs", "Co")


def line(text: object) -> str:
    """Return a text in one line, with what would not be seen written out: `\\x1b`, `\\u202e`, `\\n`."""
    said = str(text)
    return said if said.isprintable() else "".join(map(_shown, said))


def lines(text: object) -> str:
    """Return a text of several lines, with what would not be seen written out."""
    return "\n".join(line(part) for part in str(text).split("\n"))


def _shown(letter: str) -> str:
    if letter.isprintable() or unicodedata.category(letter) not in _HIDDEN:
        return letter
    return letter.encode("unicode_escape").decode("ascii")
