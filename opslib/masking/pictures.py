"""What a picture says in words, beside its pixels: nobody sees it on a page, and everybody has it."""

from __future__ import annotations

import base64
import re
import zlib
from binascii import Error
from collections.abc import Callable, Iterator

Mask = Callable[[str], str]

PNG = "image/png"
# `data:` addresses in HTML and Markdown; a picture may be megabytes, so nothing here looks back.
URI = re.compile(r"data:([a-zA-Z]+/[\w.+-]+)[^,\s\"'<>]{0,200};base64,([A-Za-z0-9+/=]*)")
_OPAQUE = re.compile(r"(?:image|audio|video|font)/(?!.*\+xml)|application/(?:pdf|octet-stream|zip)")
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_DRAWN = (b"IHDR", b"PLTE", b"IDAT", b"IEND", b"fdAT", b"fcTL", b"acTL")  # pixels, and how to show them
_LENGTH, _TYPE, _CHECKSUM = 4, 4, 4
_INFLATED_MOST = 1_000_000

_Chunk = tuple[bytes, bytes, bytes]  # type, content, all of it


def opaque(mime: str) -> bool:
    """Tell whether content of a type is nothing that is read as text."""
    return bool(_OPAQUE.match(mime.lower()))


def without_words(content: str, mask: Mask) -> str:
    """Return a PNG without those of its words in which `mask` finds something.

    Args:
        content: in base64; what is no PNG comes back as it is.
        mask: returns a text as it may be kept.
    """
    try:
        raw = base64.b64decode(content)
    except Error:
        return content
    if not raw.startswith(_SIGNATURE):
        return content
    chunks = list(_chunks(raw))
    kept = [whole for kind, said, whole in chunks if kind in _DRAWN or _clean(kind, said, mask)]
    return content if len(kept) == len(chunks) else base64.b64encode(_SIGNATURE + b"".join(kept)).decode()


def _chunks(raw: bytes) -> Iterator[_Chunk]:
    """Yield the parts of a PNG; what follows its end is one more, without a type."""
    at, kind = len(_SIGNATURE), b""
    while kind != b"IEND" and at + _LENGTH + _TYPE <= len(raw):
        content = at + _LENGTH + _TYPE
        kind = raw[at + _LENGTH : content]
        end = content + int.from_bytes(raw[at : at + _LENGTH])
        yield kind, raw[content:end], raw[at : end + _CHECKSUM]
        at = end + _CHECKSUM
    if at < len(raw):
        yield b"", raw[at:], raw[at:]


def _clean(kind: bytes, said: bytes, mask: Mask) -> bool:
    """Tell whether `mask` has nothing to say of a part; of one that cannot be read, nobody knows."""
    try:
        words = _words(kind, said)
    except (zlib.error, ValueError):
        return False
    return mask(words) == words


def _words(kind: bytes, said: bytes) -> str:
    """Return what a part says, its keyword on a line of its own."""
    if kind == b"zTXt":
        name, packed = said.split(b"\0", 1)
        said = name + b"\0" + _inflated(packed[1:])
    elif kind == b"iTXt":
        name, rest = said.split(b"\0", 1)
        language, title, text = rest[2:].split(b"\0", 2)
        said = b"\0".join([name, language, title, _inflated(text) if rest[:1] == b"\1" else text])
    try:
        return said.replace(b"\0", b"\n").decode()
    except UnicodeDecodeError:
        return said.replace(b"\0", b"\n").decode("latin-1")


def _inflated(packed: bytes) -> bytes:
    return zlib.decompressobj().decompress(packed, _INFLATED_MOST)
