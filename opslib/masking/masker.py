"""The masker: what it knows, what it has replaced, what it has seen to be clean."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any

from opslib.masking.needles import needles, whole_blob
from opslib.masking.net import shapes
from opslib.masking.personal import personal
from opslib.masking.spans import Rank, Span, merged, without
from opslib.masking.values import MIN_LENGTH, maskable
from opslib.masking.views import GAP, View, views

WITHHELD = "[output withheld: redaction error]"
_REMEMBERED_MOST = 8_000_000  # characters

_Masked = tuple[str, list[Span]]
_Finds = Callable[[bytes], Iterator[tuple[int, int, str]]]


class Masker:
    """Replaces known values by `[redacted:NAME]`, and what a second net finds by `[redacted:KIND]`.

    What cannot be searched, for whatever reason, is replaced as a whole by a fixed sentence.

    Args:
        values: name -> secret value; values that are too short or too common are left out.
        net: whether shapes of keys, passwords by their place, and personal data are searched for too.
        allow_personal: whether the system's policy allows personal data in what is kept.
        strict: whether what only the net found is named in `quarantine`.

    Attributes:
        counts: name -> how many times its value was replaced so far.
        kinds: kind -> how many times the net alone found such a thing.
        withheld: how many texts could not be searched and were left out.
    """

    def __init__(
        self, values: Mapping[str, str] | None = None, *, net: bool = False, allow_personal: bool = False,
        strict: bool = False,
    ) -> None:  # fmt: skip
        self.counts: Counter[str] = Counter()
        self.kinds: Counter[str] = Counter()
        self.withheld = 0
        self._strict = strict
        self._nets = _nets(net, allow_personal)
        self._values: list[tuple[str, str]] = []
        # Texts in which nothing was found: a notebook is masked after each cell, and most of it is as before.
        self._clean: set[str] = set()
        self._remembered = 0
        for name, value in (values or {}).items():
            self.add(name, value)

    @property
    def quarantine(self) -> tuple[str, ...]:
        """The kinds of what nobody had registered, where `strict` asks for them: a reason to keep nothing."""
        return tuple(sorted(self.kinds)) if self._strict else ()

    def add(self, name: str, value: str) -> None:
        """Know one more value from now on; one that `maskable` refuses is ignored."""
        if not maskable(value):
            return
        label = "secret" if value.strip() in name else re.sub(r"[\[\]<>&\"'\\]", "-", name)
        self._values.append((label, value))
        self._clean.clear()

    def summary(self) -> dict[str, Any]:
        """Return what a record says about masking: names, kinds and numbers, never a value."""
        return {"masked": dict(self.counts), "found": dict(self.kinds), "withheld": self.withheld}

    def mask(self, text: str) -> str:
        """Return the text with every known value replaced; text that was masked before stays as it is."""
        return self._counted(self._looked([text]).get(text, (text, [])))

    def mask_pieces(self, pieces: Sequence[str]) -> list[str]:
        """Mask texts that followed one another as if they were one, and return as many.

        A value that is split over several of them is masked in the piece where it begins and gone from
        the others: together they would still tell it.
        """
        whole = "".join(pieces)
        if not self._looks_for or whole in self._clean:
            return list(pieces)
        masked, spans = self._closed(pieces)
        self._count(spans)
        if masked == list(pieces):
            self._remember([whole])
        return masked

    def mask_json(self, obj: Any) -> Any:
        """Return a JSON-like value with every text in it masked: keys, values, and telling numbers.

        All its texts are looked at in one go; where nothing is found the very same object is returned.

        Args:
            obj: dicts, lists, tuples, texts, numbers; anything else is returned as it is.
        """
        try:
            found = self._looked(_texts(obj))
            return self._put(obj, found) if found else obj
        except Exception:  # noqa: BLE001  nothing of what could not be looked at gets out
            self.withheld += 1
            return WITHHELD

    def _put(self, obj: Any, found: Mapping[str, _Masked]) -> Any:
        if isinstance(obj, str):
            return self._counted(found.get(obj, (obj, [])))
        if isinstance(obj, Mapping):
            return self._put_mapping(obj, found)
        if isinstance(obj, list | tuple):
            return type(obj)(self._put(item, found) for item in obj)
        if isinstance(obj, int | float) and str(obj) in found:
            return self._counted(found[str(obj)])
        return obj

    def _put_mapping(self, mapping: Mapping[Any, Any], found: Mapping[str, _Masked]) -> dict[Any, Any]:
        masked: dict[Any, Any] = {}
        for key, value in mapping.items():
            name = self._put(key, found)
            unique, number = name, 2
            while unique in masked:
                unique, number = f"{name} {number}", number + 1
            masked[unique] = self._put(value, found)
        return masked

    def _counted(self, masked: _Masked) -> str:
        text, spans = masked
        self._count(spans)
        return text

    def _count(self, spans: Iterable[Span]) -> None:
        for span in spans:
            (self.counts if span.rank is Rank.KNOWN else self.kinds)[span.label] += 1

    def _looked(self, texts: Iterable[str]) -> dict[str, _Masked]:
        """Return those of some texts in which something was found, masked, and what it was."""
        if not self._looks_for:
            return {}
        new = [text for text in texts if len(text) >= MIN_LENGTH and text not in self._clean]
        try:
            masked, spans = self._masked(new, GAP)
        except Exception:  # noqa: BLE001  one text that cannot be looked at must not hide the others
            each = {text: self._closed([text]) for text in new}
            return {text: (one[0], spans) for text, (one, spans) in each.items() if one[0] != text}
        if not spans:
            self._remember(new)
            return {}
        return self._sorted_out(new, masked, spans)

    def _sorted_out(self, texts: list[str], masked: list[str], spans: list[Span]) -> dict[str, _Masked]:
        found: dict[str, _Masked] = {}
        begins = [0, *accumulate(len(_encoded(text)) + len(GAP) for text in texts)]
        waiting = iter(spans)
        span = next(waiting, None)
        for text, without_it, end in zip(texts, masked, begins[1:], strict=True):
            mine = []
            while span and span.begin < end:
                mine.append(span)
                span = next(waiting, None)
            if mine:
                found[text] = (without_it, mine)
        self._remember(text for text in texts if text not in found)
        return found

    def _closed(self, pieces: Sequence[str]) -> tuple[list[str], list[Span]]:
        """Mask some pieces, or leave all of them out where that fails."""
        try:
            return self._masked(pieces, b"")
        except Exception:  # noqa: BLE001  nothing of what could not be looked at gets out
            self.withheld += 1
            return [WITHHELD, *("" for _ in pieces[1:])], []

    def _masked(self, pieces: Sequence[str], gap: bytes) -> tuple[list[str], list[Span]]:
        encoded = [_encoded(piece) for piece in pieces]
        text = gap.join(encoded)
        spans = merged(text, self._found(text), self._labels())
        if not spans:
            return list(pieces), []
        ends = accumulate(len(piece) + len(gap) for piece in encoded)
        begun = ((piece, end - len(piece) - len(gap)) for piece, end in zip(encoded, ends, strict=True))
        return [
            without(piece, begin, spans).decode("utf-8", "surrogatepass") for piece, begin in begun
        ], spans

    def _found(self, text: bytes) -> Iterator[Span]:
        search = needles(tuple(self._values))
        for view in views(text):
            for begin, end, label, blob in search.hits(view):
                first, last = view.origin(begin, end)
                yield Span(*(whole_blob(text, first, last) if blob else (first, last)), label, Rank.KNOWN)
            if not view.squeezed:
                yield from self._netted(view)

    def _netted(self, view: View) -> Iterator[Span]:
        for rank, finds in self._nets:
            for begin, end, kind in finds(view.data):
                yield Span(*view.origin(begin, end), kind, rank)

    @property
    def _looks_for(self) -> bool:
        return bool(self._values or self._nets)

    def _labels(self) -> set[str]:
        return {label for label, _ in self._values}

    def _remember(self, texts: Iterable[str]) -> None:
        for text in texts:
            self._remembered += len(text)
            if self._remembered > _REMEMBERED_MOST:
                self._clean.clear()
                self._remembered = len(text)
            self._clean.add(text)


def _nets(net: bool, allow_personal: bool) -> tuple[tuple[Rank, _Finds], ...]:
    if not net:
        return ()
    keys: tuple[Rank, _Finds] = (Rank.SHAPE, shapes)
    return (keys,) if allow_personal else (keys, (Rank.PERSONAL, personal))


def _texts(obj: Any) -> set[str]:
    """Return every text in a JSON-like value, each once, and its numbers as they are written."""
    found: set[str] = set()
    waiting = [obj]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            found.add(item)
        elif isinstance(item, Mapping):
            waiting += [*item, *item.values()]
        elif isinstance(item, list | tuple):
            waiting += item
        elif isinstance(item, int | float):
            found.add(str(item))
    return found


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
