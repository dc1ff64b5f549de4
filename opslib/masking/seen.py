"""What was looked at before: a notebook is masked after each cell, and most of it is as before."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable, Mapping
from functools import lru_cache

from opslib.masking.search import Masked, Search

_REMEMBERED_MOST = 500_000  # characters; a notebook with its outputs has a tenth of that
_OVERLAP = 4_096
_HEADS = 4


class Seen:
    """Texts that were looked at, and what they became.

    Args:
        longest: how long the longest value is; a form of it may be several times as long.
    """

    def __init__(self, longest: int = 0) -> None:
        self._overlap = max(_OVERLAP, 8 * longest)
        self._texts: OrderedDict[str, Masked | None] = OrderedDict()
        self._size = 0
        self._heads: deque[str] = deque(maxlen=_HEADS)

    def __contains__(self, text: str) -> bool:
        return text in self._texts

    def dirty(self, texts: Iterable[str]) -> dict[str, Masked]:
        """Return those of some texts in which something was found, and what they became."""
        return {text: masked for text in texts if (masked := self._of(text))}

    def put(self, texts: Iterable[str], found: Mapping[str, Masked]) -> None:
        """Remember some texts, and what those became in which something was found.

        Those that were not met for the longest time are forgotten: they are of runs that have ended.
        """
        for text in texts:
            self._size += len(text)
            self._texts[text] = found.get(text)
        while self._size > _REMEMBERED_MOST and self._texts:
            self._size -= len(self._texts.popitem(last=False)[0])

    def _of(self, text: str) -> Masked | None:
        try:
            self._texts.move_to_end(text)
            return self._texts[text]
        except KeyError:  # never seen, or forgotten this moment by another thread
            return None

    def put_head(self, text: str) -> None:
        """Remember a text that will go on, and in which nothing is."""
        self._heads.append(text)

    def rest(self, text: str) -> str | None:
        """Return what is new in a text whose beginning is known to be clean, or None.

        Some of what is known comes along: a value may have begun there.
        """
        heads = [head for head in tuple(self._heads) if text.startswith(head)]
        longest = max(map(len, heads), default=0)
        return text[max(0, longest - self._overlap) :] if longest else None


@lru_cache(maxsize=4)
def ready(values: tuple[tuple[str, str], ...], net: bool, allow_personal: bool) -> tuple[Search, Seen]:
    """Return the search for some values, and what it has seen: the same for maskers that know the same.

    A run has several, so that each counts for itself.
    """
    longest = max((len(value) for _, value in values), default=0)
    return Search(values, net=net, allow_personal=allow_personal), Seen(longest)
