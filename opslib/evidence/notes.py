"""Signed notes and checkpoints, as C2SP has them (signed-note, tlog-checkpoint, tlog-cosignature).

A checkpoint says in three lines how large a log is and what its root is. The log signs it; a witness that
saw that it only ever grows cosigns it, with the time.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime

from opslib.evidence.merkle import HASH_BYTES
from opslib.evidence.plain import NotSound, at_second, strict64, text64, whole

LOG_KEY, WITNESS_KEY = 0x01, 0x04  # kinds of signature: plain Ed25519, cosignature with a time
LARGEST_NOTE = 100_000  # bytes
_MOST_SIGNATURES = 64
_ID_BYTES, _TIME_BYTES, _KEY_BYTES = 4, 8, 32
_NAME = re.compile(r"[^\s+]+")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")
_LINE = re.compile(r"\u2014 ([^\s+]+) ([A-Za-z0-9+/]+={0,2})")

Check = Callable[[bytes, bytes, bytes], bool]


@dataclass(frozen=True)
class VerifierKey:
    """A public key by which notes are verified.

    Args:
        name: whose it is, such as `example.com/log`.
        kind: `LOG_KEY` or `WITNESS_KEY`.
        public: 32 bytes.
    """

    name: str
    kind: int
    public: bytes

    @classmethod
    def parse(cls, text: str) -> VerifierKey:
        """Return the key of a text `name+id+base64`.

        Raises:
            NotSound: it is no such text, its id does not fit, or the kind is not supported.
        """
        name, _, rest = text.partition("+")
        identity, _, encoded = rest.partition("+")
        content = strict64(encoded)
        if not _NAME.fullmatch(name) or len(content) != 1 + _KEY_BYTES:
            raise NotSound(f"{text[:60]!r} is no Ed25519 key of the form name+id+base64")
        key = cls(name, content[0], content[1:])
        if key.kind not in (LOG_KEY, WITNESS_KEY):
            raise NotSound(f"the key of {name} is of kind {key.kind}; only Ed25519 is supported")
        if key.id.hex() != identity:
            raise NotSound(f"the key of {name} does not fit its id {identity[:16]!r}")
        return key

    @property
    def id(self) -> bytes:
        """Four bytes that say which key made a signature; a hint, no proof."""
        named = self.name.encode() + b"\n" + bytes([self.kind]) + self.public
        return hashlib.sha256(named).digest()[:_ID_BYTES]

    @property
    def text(self) -> str:
        """The key as people hand it on."""
        return f"{self.name}+{self.id.hex()}+{text64(bytes([self.kind]) + self.public)}"


@dataclass(frozen=True)
class NoteSignature:
    """One signature below a note.

    Args:
        name: of the key.
        id: of the key, 4 bytes.
        content: what the key made: 64 bytes, after 8 of time where it is a cosignature.
    """

    name: str
    id: bytes
    content: bytes

    @property
    def line(self) -> str:
        """The signature as it stands in a note."""
        return f"\u2014 {self.name} {text64(self.id + self.content)}\n"

    @property
    def time(self) -> int:
        """When a cosignature was made, in seconds since 1970."""
        return int.from_bytes(self.content[:_TIME_BYTES], "big")


@dataclass(frozen=True)
class Note:
    """A text with signatures.

    Args:
        text: what was signed, with its last line feed.
        signatures: whose they are and whether they are good is not known yet.
    """

    text: str
    signatures: tuple[NoteSignature, ...]

    @classmethod
    def parse(cls, content: bytes) -> Note:
        """Return a note.

        Raises:
            NotSound: the form is not exactly that of a signed note.
        """
        text, separator, below = _decoded(content).rpartition("\n\n")
        lines = below.split("\n")
        if not separator or lines.pop() or not 0 < len(lines) <= _MOST_SIGNATURES:
            raise NotSound("this is no signed note: text, an empty line, signatures")
        return cls(f"{text}\n", tuple(_signature(line) for line in lines))

    def encode(self) -> bytes:
        """Return the note as it is written."""
        return (self.text + "\n" + "".join(signature.line for signature in self.signatures)).encode()

    def joined(self, before: Note | None) -> Note:
        """Return the note with the signatures of another copy of it; what was signed first stays."""
        known = before.signatures if before and before.text == self.text else ()
        there = {(one.name, one.id) for one in known}
        more = (one for one in self.signatures if (one.name, one.id) not in there)
        return Note(self.text, (*known, *more))

    def signers(self, keys: Collection[VerifierKey], check: Check) -> dict[VerifierKey, datetime | None]:
        """Return which of the keys have signed, and when if they are witnesses.

        Signatures of other keys are passed over.

        Raises:
            NotSound: a signature that one of the keys should have made is not good.
        """
        known = {(key.name, key.id): key for key in keys}
        found: dict[VerifierKey, datetime | None] = {}
        for signature in self.signatures:
            key = known.get((signature.name, signature.id))
            if key:
                found[key] = self._verified(key, signature, check)
        return found

    def _verified(self, key: VerifierKey, signature: NoteSignature, check: Check) -> datetime | None:
        message, raw, time = self.text.encode(), signature.content, None
        if key.kind == WITNESS_KEY:
            message, raw, time = cosigned(self.text, signature.time), raw[_TIME_BYTES:], signature.time
        if not check(key.public, message, raw):
            raise NotSound(f"the signature of {key.name} does not fit: the text was altered since")
        return None if time is None else at_second(time)


@dataclass(frozen=True)
class Checkpoint:
    """The head of a log.

    Args:
        origin: which log.
        size: its leaves.
        root: of the tree over them, 32 bytes.
        extensions: further lines, which nobody interprets.
    """

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Checkpoint:
        """Return the checkpoint that is the text of a note.

        Raises:
            NotSound: it is none.
        """
        lines = text.split("\n")
        if len(lines) < 4 or lines.pop() or not all(lines):
            raise NotSound("this is no checkpoint: origin, size, root, each on a line")
        root = strict64(lines[2])
        if len(root) != HASH_BYTES:
            raise NotSound("the root in the checkpoint is no SHA-256 hash")
        return cls(lines[0], whole(lines[1]), root, tuple(lines[3:]))

    @property
    def text(self) -> str:
        """What is signed."""
        return "".join(f"{line}\n" for line in (self.origin, self.size, text64(self.root), *self.extensions))


def cosigned(text: str, time: int) -> bytes:
    """Return what a witness signs.

    Args:
        text: of the checkpoint.
        time: seconds since 1970.
    """
    return f"cosignature/v1\ntime {time}\n{text}".encode()


def _decoded(content: bytes) -> str:
    try:
        text = content.decode() if len(content) <= LARGEST_NOTE else "\0"
    except UnicodeDecodeError:
        text = "\0"
    if _CONTROL.search(text):
        raise NotSound("this is no signed note: it is too large, or no plain text")
    return text


def _signature(line: str) -> NoteSignature:
    found = _LINE.fullmatch(line)
    content = strict64(found[2]) if found else b""
    if not found or len(content) <= _ID_BYTES:
        raise NotSound("a line below the note is no signature")
    return NoteSignature(found[1], content[:_ID_BYTES], content[_ID_BYTES:])
