"""Mask texts once: look for everything in all that they say, and replace what was found."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate

from opslib.masking.needles import needles, whole_blob
from opslib.masking.spans import Rank, Span, merged, without
from opslib.masking.views import GAP, View, views

Finds = Callable[[bytes], Iterator[tuple[int, int, str]]]
Masked = tuple[str, list[Span]]


class Search:
    """What is looked for.

    Args:
        values: (label, value) each.
        net: whether shapes of keys, passwords by their place, and personal data are looked for too.
        allow_personal: whether personal data is left alone.
    """

    def __init__(self, values: tuple[tuple[str, str], ...], *, net: bool, allow_personal: bool) -> None:
        self._values = values
        self._labels = {label for label, _ in values}
        self._nets = _nets(allow_personal) if net else ()

    def __bool__(self) -> bool:
        return bool(self._values or self._nets)

    def masked(self, pieces: Sequence[str]) -> tuple[list[str], list[Span]]:
        """Mask texts that followed one another, as one; also return what was replaced."""
        encoded = [_encoded(piece) for piece in pieces]
        text = b"".join(encoded)
        spans = merged(text, self._found(text), self._labels)
        ends = accumulate(map(len, encoded)) if spans else ()
        kept = [
            without(piece, end - len(piece), spans).decode("utf-8", "surrogatepass")
            for piece, end in zip(encoded, ends, strict=False)
        ]
        return kept or list(pieces), spans

    def masked_apart(self, texts: Sequence[str]) -> dict[str, Masked]:
        """Mask texts that have nothing to do with one another; return those in which something was found."""
        encoded = [_encoded(text) for text in texts]
        whole = GAP.join(encoded)
        spans = merged(whole, self._found(whole), self._labels)
        found: dict[str, Masked] = {}
        begin, waiting = 0, iter([*spans, None])
        span = next(waiting)
        for text, piece in zip(texts, encoded, strict=True):
            mine = []
            while span and span.begin < begin + len(piece) + len(GAP):
                mine.append(span)
                span = next(waiting)
            if mine:
                found[text] = (without(piece, begin, mine).decode("utf-8", "surrogatepass"), mine)
            begin += len(piece) + len(GAP)
        return found

    def _found(self, text: bytes) -> Iterator[Span]:
        search = needles(self._values)
        for view in views(text):
            for begin, end, label, blob in search.hits(view):
                first, last = view.origin(begin, end)
                yield Span(*(whole_blob(text, first, last) if blob else (first, last)), label, Rank.KNOWN)
            if not view.squeezed:
                yield from self._netted(view)

    def _netted(self, view: View) -> Iterator[Span]:
        for rank, finds in self._nets:
            if rank is not Rank.PERSONAL or view.final:
                for begin, end, kind in finds(view.data):
                    yield Span(*view.origin(begin, end), kind, rank)


def _nets(allow_personal: bool) -> tuple[tuple[Rank, Finds], ...]:
    # Imported here: most processes mask what they know and nothing else.
    from opslib.masking.net import shapes
    from opslib.masking.personal import personal

    keys: tuple[Rank, Finds] = (Rank.SHAPE, shapes)
    return (keys,) if allow_personal else (keys, (Rank.PERSONAL, personal))


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
