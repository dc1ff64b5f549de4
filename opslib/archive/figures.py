"""The number in what a check observed, with its unit, so that values can be compared and drawn."""

from __future__ import annotations

import re
from dataclasses import dataclass

_FIGURE = re.compile(r"(-?\d[\d ]*(?:\.\d+)?)\s*((?!of\b)[^\W\d_]+|%)?")


@dataclass(frozen=True)
class Figure:
    """A number with its unit.

    Args:
        value: the number.
        unit: the word after it, or `%`; empty where there is none.
    """

    value: float
    unit: str

    def text(self) -> str:
        """Return it as it is shown: `12.5 MB`."""
        return f"{self.value:g} {self.unit}".strip()


def figure(text: str) -> Figure | None:
    """Return the first number of a text; None where there is none."""
    found = _FIGURE.search(text)
    return Figure(float(found[1].replace(" ", "")), found[2] or "") if found else None


def measured(text: str, unit: str | None = None) -> Figure | None:
    """Return the number that an observation consists of; None for words that only mention one.

    `none idle for 60 min` is no measurement; `195 of 194 (100 %)` is one, in `%` too.

    Args:
        text: what was observed.
        unit: in which unit it is wanted; None for the first number, whatever its unit.
    """
    if not _FIGURE.match(text):
        return None
    found = (Figure(float(one[1].replace(" ", "")), one[2] or "") for one in _FIGURE.finditer(text))
    return next((one for one in found if unit is None or one.unit == unit), None)


def limits(text: str) -> tuple[Figure, ...]:
    """Return the numbers of a limit, as `80 % / 90 %` has two: warning, then critical."""
    found = (figure(part) for part in text.split(" / "))
    return tuple(one for one in found if one)
