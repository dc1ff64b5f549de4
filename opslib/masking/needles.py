"""Search a text for many values at once."""

from __future__ import annotations

import string
from collections.abc import Iterator
from functools import lru_cache

from ahocorasick_rs import BytesAhoCorasick, Implementation

from opslib.masking.forms import Form, forms
from opslib.masking.views import View

_ANCHOR = 8  # long enough to be rare; the whole form is looked at where its beginning was found
_DFA_MOST = 4_000  # anchors; twice as quick as the other kind, but large and slow to build
_BLOB = (string.ascii_letters + string.digits + "+/_-").encode()
_BLOB_MOST = 10_000

Hit = tuple[int, int, str, bool]  # begin and end in a view, label, whether it is a part of a blob


class Needles:
    """All forms of some values, ready to be searched for.

    Args:
        values: (label, value) each.
    """

    def __init__(self, values: tuple[tuple[str, str], ...]) -> None:
        self._forms: dict[bytes, dict[bytes, tuple[Form, str]]] = {}
        # The shortest first: the password of an address is named as the password, not as the address.
        for label, value in sorted(values, key=lambda known: len(known[1])):
            for form in forms(value):
                same = self._forms.setdefault(form.written.lower()[:_ANCHOR], {})
                same.setdefault(form.written, (form, label))
        self._anchors = list(self._forms)
        few = len(self._anchors) <= _DFA_MOST
        kind = Implementation.DFA if few else Implementation.ContiguousNFA
        self._automaton = BytesAhoCorasick(self._anchors, implementation=kind)

    def hits(self, view: View) -> Iterator[Hit]:
        """Yield where a view has a form of a value; not what lies within the last of them."""
        folded = view.data.lower()
        first = last = -1
        for index, begin, _ in self._automaton.find_matches_as_indexes(folded, overlapping=True):
            for form, label in self._forms[self._anchors[index]].values():
                end = begin + len(form.written)
                if not first <= begin < end <= last and _stands(form, view, folded, begin):
                    first, last = begin, end
                    yield begin, end, label, form.blob


def _stands(form: Form, view: View, folded: bytes, begin: int) -> bool:
    if form.distinct:
        return folded.startswith(form.written.lower(), begin)
    return not view.squeezed and view.data.startswith(form.written, begin)


@lru_cache(maxsize=16)
def needles(values: tuple[tuple[str, str], ...]) -> Needles:
    """Return the search for some values; the same again for the same values."""
    return Needles(values)


def whole_blob(text: bytes, begin: int, end: int) -> tuple[int, int]:
    """Return the whole of the base64 that a hit is a part of: its edges hold bits of the value."""
    before, after = text[max(0, begin - _BLOB_MOST) : begin], text[end : end + _BLOB_MOST]
    rest = after.lstrip(_BLOB)
    padding = rest[:2]
    first = begin - len(before) + len(before.rstrip(_BLOB))
    return first, end + len(after) - len(rest) + len(padding) - len(padding.lstrip(b"="))
