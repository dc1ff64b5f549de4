"""Figures with what they count, as people write them."""

from __future__ import annotations

from typing import Any

_HISSING = ("ches", "shes", "sses", "xes")


def counted(value: Any, name: str) -> str:
    """Return a figure with what it counts: `1 entry`, `2 entries`, `1 byte of the backup`.

    Args:
        value: the figure.
        name: what it counts, in the plural.
    """
    return f"{value} {_single(name) if value == 1 else name}"


def _single(name: str) -> str:
    """Return the singular of the first noun, which stands before any `of`, `in` or `into`."""
    words = name.split(" ")
    for place, word in enumerate(words):
        if word in ("of", "in", "into", "out"):
            break
        if word.endswith("s"):
            words[place] = _one(word)
            break
    return " ".join(words)


def _one(word: str) -> str:
    if word.endswith("ies"):
        return f"{word.removesuffix('ies')}y"
    return word.removesuffix("es" if word.endswith(_HISSING) else "s")
