"""Replace secret values in whatever is shown or kept, also where they were encoded on the way.

Known are the values themselves, whatever escapes, splits, encodings and cuts they went through, and on
demand what has the shape of a key or of personal data. Pixels, and the last few characters, are not found.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from opslib.masking.masker import WITHHELD, Masker
from opslib.masking.values import COMMON, MIN_LENGTH, maskable

__all__ = ["COMMON", "MIN_LENGTH", "WITHHELD", "Masker", "listen", "maskable", "register", "registered"]

_registered: dict[str, str] = {}
_listeners: list[Callable[[str, str], None]] = []
_lock = threading.Lock()


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
        new = unique not in _registered
        _registered[unique] = value
    for tell in _listeners if new else ():
        tell(unique, value)


def listen(tell: Callable[[str, str], None]) -> None:
    """Have somebody told each name and value that is registered from now on, before anybody gets it."""
    if tell not in _listeners:
        _listeners.append(tell)


def registered() -> dict[str, str]:
    """Return every registered value by its name: a copy, for a `Masker`."""
    with _lock:
        return dict(_registered)
