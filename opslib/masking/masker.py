"""The masker: what it knows, what it has replaced, what it has seen before."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from opslib.masking import pictures
from opslib.masking.search import Masked, Search
from opslib.masking.seen import Seen, ready
from opslib.masking.spans import Rank, Span
from opslib.masking.values import MIN_LENGTH, maskable

WITHHELD = "[output withheld: redaction error]"


class Masker:
    """Replaces known values by `[redacted:NAME]`, and what a second net finds by `[redacted:KIND]`.

    What cannot be searched, for whatever reason, is replaced as a whole by a fixed sentence.

    Args:
        values: name -> secret value; values that are too short or too common are left out.
        net: whether shapes of keys, passwords by their place, and personal data are searched for too.
        allow_personal: whether the system's policy allows personal data in what is kept.
        strict: whether `quarantine` names the keys and passwords that only the net has found.

    Attributes:
        counts: name -> how many times its value was replaced so far.
        kinds: kind -> how many times the net alone found such a thing.
        withheld: how many texts could not be searched and were left out.
        unscanned: type -> how many contents of it have more than words: pixels, sound.
    """

    def __init__(
        self, values: Mapping[str, str] | None = None, *, net: bool = False, allow_personal: bool = False,
        strict: bool = False,
    ) -> None:  # fmt: skip
        self.counts: Counter[str] = Counter()
        self.kinds: Counter[str] = Counter()
        self.withheld = 0
        self.unscanned: Counter[str] = Counter()
        self._strict = strict
        self._known: tuple[Search, Seen] | None = None
        self._suspected: set[str] = set()
        self._options = (net, allow_personal)
        self._values: list[tuple[str, str]] = []
        for name, value in (values or {}).items():
            self.add(name, value)

    @property
    def quarantine(self) -> tuple[str, ...]:
        """The kinds of secrets that nobody had registered, where `strict`: a reason to keep nothing."""
        return tuple(sorted(self._suspected)) if self._strict else ()

    def add(self, name: str, value: str) -> None:
        """Know one more value from now on; one that `maskable` refuses is ignored."""
        if not maskable(value):
            return
        label = "secret" if value.strip() in name else re.sub(r"[\[\]<>&\"'\\]", "-", name)
        self._values.append((label, value))
        self._known = None

    def summary(self) -> dict[str, Any]:
        """Return what a record says of masking: names, kinds and numbers, never a value."""
        told = {"masked": dict(self.counts), "found": dict(self.kinds), "withheld": self.withheld}
        return {**told, "unscanned": dict(self.unscanned)}

    def resume(self, summary: Mapping[str, Any]) -> None:
        """Count on from what `summary` has told of a masking that was cut off."""
        self.counts.update(summary.get("masked", {}))
        self.kinds.update(summary.get("found", {}))
        self.withheld += summary.get("withheld", 0)
        self.unscanned.update(summary.get("unscanned", {}))

    def mask(self, text: str) -> str:
        """Return the text with every known value replaced; text that was masked before stays as it is."""
        return self._put_text(text, self._looked([text]))

    def mask_pieces(self, pieces: Sequence[str]) -> list[str]:
        """Mask texts that followed one another as if they were one, and return as many.

        A value that is split over several of them is masked in the piece where it begins and gone from
        the others: together they would still tell it.
        """
        search, seen = self._ready
        whole = "".join(pieces)
        rest = seen.rest(whole)
        if search and (rest is None or self._looked([rest])):
            masked, spans = self._closed(pieces)
            self._count(spans)
            if masked != list(pieces):
                return masked
        seen.put_head(whole)
        return list(pieces)

    def mask_known(self, text: str) -> str:
        """Return a text with the known values replaced, and what the net would find left where it is."""
        search, _ = ready(tuple(self._values), False, True)
        try:
            (masked,), spans = search.masked([text]) if search else ([text], [])
        except Exception:  # noqa: BLE001  nothing of what could not be looked at gets out
            self.withheld += 1
            return WITHHELD
        self._count(spans)
        return masked

    def mask_content(self, mime: str, content: Any) -> Any:
        """Return content of a type with the words of its pictures masked, and count what is no text.

        Args:
            mime: its type.
            content: as a notebook keeps it: text is not looked at here, `mask_json` does that.
        """
        if not isinstance(content, str):
            return content
        if pictures.opaque(mime):
            return self._picture(mime, content)
        if not mime.startswith("text/") or "base64," not in content:
            return content
        return pictures.URI.sub(self._linked, content)

    def _linked(self, found: re.Match[str]) -> str:
        mime, content = found[1].lower(), found[2]
        if not pictures.opaque(mime):
            return found[0]
        begin = found.start(2) - found.start()
        return f"{found[0][:begin]}{self._picture(mime, content)}"

    def _picture(self, mime: str, content: str) -> str:
        self.unscanned[mime] += 1
        if mime != pictures.PNG:
            return content
        try:
            return pictures.without_words(content, self.mask)
        except Exception:  # noqa: BLE001  nothing of what could not be looked at gets out
            self.withheld += 1
            return ""

    def mask_json(self, obj: Any) -> Any:
        """Return a JSON-like value with every text in it masked: keys, values, and telling numbers.

        All its texts are looked at in one go; where nothing is found the very same object is returned.

        Args:
            obj: dicts, lists, tuples, texts, numbers; anything else is returned as it is.
        """
        try:
            texts, numbers = _leaves(obj)
            found: dict[Any, Masked] = {**self._looked(texts)}
            found.update(self._telling(numbers))
            return self._put(obj, found) if found else obj
        except Exception:  # noqa: BLE001  nothing of what could not be looked at gets out
            self.withheld += 1
            return WITHHELD

    def _put(self, obj: Any, found: Mapping[Any, Masked]) -> Any:
        if isinstance(obj, str):
            return self._put_text(obj, found)
        if isinstance(obj, Mapping):
            return self._put_mapping(obj, found)
        if isinstance(obj, list | tuple):
            return type(obj)(self._put(item, found) for item in obj)
        if isinstance(obj, int | float) and obj in found:
            return self._put_text(obj, found)
        return obj

    def _put_mapping(self, mapping: Mapping[Any, Any], found: Mapping[Any, Masked]) -> dict[Any, Any]:
        masked: dict[Any, Any] = {}
        for key, value in mapping.items():
            name = self._put(key, found)
            unique, number = name, 2
            while unique in masked:
                unique, number = f"{name} {number}", number + 1
            masked[unique] = self._put(value, found)
        return masked

    def _put_text(self, text: str | float, found: Mapping[Any, Masked]) -> str:
        masked, spans = found.get(text) or (str(text), [])
        self._count(spans)
        return masked

    def _count(self, spans: Iterable[Span]) -> None:
        for span in spans:
            (self.counts if span.rank is Rank.KNOWN else self.kinds)[span.label] += 1
            if span.rank is Rank.SHAPE:
                self._suspected.add(span.label)

    @property
    def _ready(self) -> tuple[Search, Seen]:
        if self._known is None:
            self._known = ready(tuple(self._values), *self._options)
        return self._known

    def _looked(self, texts: Iterable[str]) -> dict[str, Masked]:
        """Return those of some texts in which something was found, masked, and what it was."""
        search, seen = self._ready
        texts = [text for text in texts if len(text) >= MIN_LENGTH] if search else []
        found = seen.dirty(texts)
        new = [text for text in texts if text not in seen]
        try:
            fresh = search.masked_apart(new) if new else {}
        except Exception:  # noqa: BLE001  one text that cannot be looked at must not hide the others
            return found | self._one_by_one(new)
        seen.put(new, fresh)
        return found | fresh

    def _telling(self, numbers: Iterable[float]) -> dict[float, Masked]:
        """Return those of some numbers that are known values; one that looks like a card may be a size."""
        spelled = {str(number): number for number in numbers} if self._values else {}
        if not spelled:
            return {}
        search, _ = ready(tuple(self._values), False, True)
        return {spelled[text]: masked for text, masked in search.masked_apart(list(spelled)).items()}

    def _one_by_one(self, texts: Sequence[str]) -> dict[str, Masked]:
        each = {text: self._closed([text]) for text in texts}
        return {text: (masked[0], spans) for text, (masked, spans) in each.items() if masked != [text]}

    def _closed(self, pieces: Sequence[str]) -> tuple[list[str], list[Span]]:
        """Mask some pieces as one, or leave all of them out where that fails."""
        try:
            return self._ready[0].masked(pieces)
        except Exception:  # noqa: BLE001  nothing of what could not be looked at gets out
            self.withheld += 1
            return [WITHHELD, *("" for _ in pieces[1:])], []


def _leaves(obj: Any) -> tuple[Iterable[str], Iterable[float]]:
    """Return every text in a JSON-like value, and every number, each once."""
    texts: dict[str, None] = {}
    numbers: dict[float, None] = {}
    waiting = [obj]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            texts[item] = None
        elif isinstance(item, Mapping):
            waiting += [*item, *item.values()]
        elif isinstance(item, list | tuple):
            waiting += item
        elif isinstance(item, int | float):
            numbers[item] = None
    return texts, numbers
