"""A text as it reads after decoding: each view knows where every byte of it came from.

A value that was escaped, split or encoded reads plainly in one of the views, whatever wrote it and in
whatever order; so few forms of a value have to be searched for.
"""

from __future__ import annotations

import binascii
import html
import re
import zlib
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property, lru_cache

# Stands between texts that have nothing to do with one another; no text in UTF-8 has such a byte.
GAP = b"\n\xff\n"
_LEVELS = 3
_DEPTH = 2
_INFLATED_MOST = 1_000_000  # for all of a text; beyond it only the beginning of each is looked at
_INFLATED_LEAST = 4_096
_RUN = rb"[A-Za-z0-9+/_-]"
_BASE64_RUN = re.compile(rb"%s{20,}+={0,2}" % _RUN)
_HEX_RUN = re.compile(rb"(?:[0-9a-fA-F]{2})+")
_WRAP = re.compile(rb"\r?\n(?:(?<=%s{40}\n)|(?<=%s{40}\r\n))[ \t]*(?=%s)" % (_RUN, _RUN, _RUN))
# Each pattern begins with one literal byte: texts without that byte are passed over at full speed.
_ESCAPES = (
    re.compile(rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|u\{[0-9a-fA-F]{1,6}\}"
               rb"|U[0-9a-fA-F]{8}|x[0-9a-fA-F]{2}|[0-3][0-7]{2}|[\s\S])"),
    re.compile(rb"%(?:u[0-9a-fA-F]{4}|[0-9a-fA-F]{2})"),
    re.compile(rb"&(?:\#[0-9]{1,7}|\#[xX][0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,31});"),
)  # fmt: skip
_MARKS = (
    re.compile(rb"<[^<>\xff]{0,4000}>"),
    re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x07\x1b\xff]{0,4000}(?:\x07|\x1b\\)|[ -/]+[0-~]"
               rb"|[0-OQ-WYZ\\`-~])"),
    re.compile(rb"\x08[^\x08\xff]"),
    re.compile(rb"\xe2(?:\x80[\x8b-\x8f\xa8-\xae]|\x81[\xa0-\xaf]|\x94\x82[ \t]*\r?\n[ \t]*\xe2\x94\x82)"),
    re.compile(rb"\xef(?:\xbb\xbf|\xb8[\x80-\x8f])"),
    re.compile(rb"\xc2[\x85\xa0\xad]"),
    re.compile(rb"\xcd\x8f"),
    re.compile(rb"\xa0"),
    re.compile(rb"\xad"),
    re.compile(rb"\|[ \t]*\r?\n[ \t]*\|"),
    re.compile(rb"=\r?\n"),
    re.compile(rb"\"[ \t\r\n]*[+.,&]?[ \t\r\n]*[\"']"),
    re.compile(rb"'[ \t\r\n]*[+.,&]?[ \t\r\n]*[\"']"),
)  # fmt: skip
_SCRIPT = re.compile(rb"<script\b[^\xff]{0,4000}?</script[^<>\xff]{0,20}>")
_TERMINATOR = b"\x1b\\"
_BLANKS = bytes({*range(33), 127})
_BLANK = re.compile(b"[%s]+" % re.escape(_BLANKS))
_CONTROL = bytes.maketrans(b"nrt0bfvae", b"\n\r\t\0\b\f\v\a\x1b")
_TO_STANDARD = bytes.maketrans(b"-_", b"+/")

_New = bytes | Callable[[re.Match[bytes]], bytes]
_Unit = tuple[int, int, int, int]  # begin and end in the source, begin and end in the view


class View:
    """Some bytes, and the way back from them to the text.

    Args:
        data: what is searched.
        source: what it was made from; None for the text itself.
        units: finds what was rewritten; whatever stands between two units was kept.
        squeezed: whether blanks were taken out.

    Attributes:
        final: whether nothing is left to unescape.
    """

    def __init__(
        self, data: bytes, source: View | None = None, units: Callable[[], list[_Unit]] = list,
        *, squeezed: bool = False,
    ) -> None:  # fmt: skip
        self.data = data
        self.squeezed = squeezed
        self.final = False
        self._source = source
        self._find_units = units

    def origin(self, begin: int, end: int) -> tuple[int, int]:
        """Return which bytes of the text a part of this view was made from."""
        view: View = self
        while view._source is not None:
            begin, end = view._back(begin)[0], view._back(end - 1)[1]
            view = view._source
        return begin, end

    def _back(self, position: int) -> tuple[int, int]:
        index = bisect_right(self._begins, position) - 1
        if index < 0:
            return position, position + 1
        begin, end, _, until = self._units[index]
        moved = end + position - until
        return (begin, end) if position < until else (moved, moved + 1)

    @cached_property
    def _units(self) -> list[_Unit]:
        return self._find_units()

    @cached_property
    def _begins(self) -> list[int]:
        return [unit[2] for unit in self._units]


def views(text: bytes) -> Iterator[View]:
    """Yield a text and what it says when it is unescaped, squeezed, and decoded, each also of the others."""
    said = View(text)
    for _ in range(_DEPTH + 1):
        unescaped = said
        for view in _readings(said):
            yield view
            unescaped = view if view.final else unescaped
        said = _decoded(_rewritten(unescaped, _WRAP, b""))
        if not said.data:
            return


def readings(written: bytes) -> set[bytes]:
    """Return what a written form may have become in a view: unescaped, and squeezed."""
    return {view.data for view in _readings(View(written))}


def _readings(view: View) -> Iterator[View]:
    if _TERMINATOR in view.data:  # to unescape it would take the letter after it
        yield _squeezed(_all_rewritten(view, _MARKS, b""))
    for _ in range(_LEVELS):
        deeper = _all_rewritten(view, _ESCAPES, _unescaped)
        if deeper is view:
            break
        yield view
        view = deeper
    view.final = True
    yield view
    yield (squeezed := _squeezed(view))
    without = _all_rewritten(view, _MARKS, b"")
    if without is not view:
        yield (squeezed := _squeezed(without))
    if b"</script" in view.data:  # beside the other view: a script may itself put a value together
        yield _squeezed(_all_rewritten(_rewritten(view, _SCRIPT, b""), _MARKS, b""))
    joined = _all_rewritten(squeezed, _ESCAPES, _unescaped)  # an escape may itself have been split
    if joined is not squeezed:
        yield _squeezed(_all_rewritten(joined, _MARKS, b""))


def _squeezed(view: View) -> View:
    data = view.data.translate(None, _BLANKS)
    return View(data, view, _units_of(view.data, _BLANK, b""), squeezed=True)


def _all_rewritten(view: View, patterns: Iterable[re.Pattern[bytes]], new: _New) -> View:
    """Return the same view where there is nothing to rewrite in it."""
    for pattern in patterns:
        view = _rewritten(view, pattern, new)
    return view


def _rewritten(view: View, pattern: re.Pattern[bytes], new: _New) -> View:
    data = pattern.sub(new, view.data)
    return view if data == view.data else View(data, view, _units_of(view.data, pattern, new))


def _units_of(data: bytes, pattern: re.Pattern[bytes], new: _New) -> Callable[[], list[_Unit]]:
    def found() -> list[_Unit]:
        units: list[_Unit] = []
        shift = 0
        for match in pattern.finditer(data):
            length = len(new if isinstance(new, bytes) else new(match))
            begin = match.start() + shift
            units.append((match.start(), match.end(), begin, begin + length))
            shift += length - (match.end() - match.start())
        return units

    return found


def _unescaped(match: re.Match[bytes]) -> bytes:
    return _character(match[0])


@lru_cache(maxsize=4096)
def _character(escape: bytes) -> bytes:
    """Return what one escape of any language stands for; UTF-8 stays in its bytes."""
    kind, letter, digits = escape[:1], escape[1:2], escape[2:].strip(b"{}")
    if kind == b"&":
        return html.unescape(escape.decode()).encode("utf-8", "surrogatepass")
    if kind == b"%" and letter != b"u":
        return bytes([int(escape[1:], 16)])
    if letter == b"x" and digits:
        return bytes([int(digits, 16)])
    if letter in b"uU" and digits:
        return _code_points(digits, escape)
    if len(escape) == 4:
        return bytes([int(escape[1:], 8) & 255])
    return letter.translate(_CONTROL)


def _code_points(digits: bytes, escape: bytes) -> bytes:
    numbers = [int(part, 16) for part in digits.split(b"\\u")]
    if max(numbers) > 0x10FFFF:
        return escape
    pair = "".join(map(chr, numbers)).encode("utf-16-le", "surrogatepass")
    return pair.decode("utf-16-le", "surrogatepass").encode("utf-8", "surrogatepass")


def _decoded(view: View) -> View:
    """Return only what base64, hexadecimal digits and compressed data in a view say."""
    parts: list[bytes] = []
    units: list[_Unit] = []
    length = 0
    for match in _BASE64_RUN.finditer(view.data):
        most = max(_INFLATED_LEAST, _INFLATED_MOST - length)
        said = GAP.join(text for raw in _bytes_of(match[0]) if (text := _text(raw, most)))
        if said:
            parts.append(said + GAP)
            units.append((*match.span(), length, length + len(said) + len(GAP)))
            length += len(said) + len(GAP)
    return View(b"".join(parts), view, lambda: units)


def _bytes_of(run: bytes) -> Iterator[bytes]:
    body = run.rstrip(b"=").translate(_TO_STANDARD)
    body = body[: len(body) - (len(body) % 4 == 1)]
    yield binascii.a2b_base64(body + b"=" * (-len(body) % 4))
    if hexadecimal := _HEX_RUN.fullmatch(run[: len(run) // 2 * 2]):
        yield bytes.fromhex(hexadecimal[0].decode())


def _text(raw: bytes, most: int) -> bytes:
    """Return what bytes say, decompressed where they are; b"" for pictures, digests and the like."""
    if raw[:2] == b"\x1f\x8b" or (raw[:1] == b"\x78" and int.from_bytes(raw[:2]) % 31 == 0):
        try:
            raw = zlib.decompressobj(wbits=47).decompress(raw, most)
        except zlib.error:
            return b""
    raw = raw.removeprefix(b"\xff\xfe").removeprefix(b"\xfe\xff")
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        # A truncated run may end within a character.
        return raw if error.start > len(raw) - 4 else b""
    return raw
