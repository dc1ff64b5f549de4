"""The one form in which a thing is written: base64, whole numbers, moments.

Evidence that could be written in two ways could be altered without anything noticing, so each reader
here takes exactly what the writer makes and nothing else.
"""

from __future__ import annotations

import base64
import binascii
import errno
import os
import re
import stat
from datetime import UTC, datetime
from pathlib import Path

_NUMBER = re.compile(r"0|[1-9][0-9]{0,18}")
_NOT_THERE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG)
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


class NotSound(ValueError):
    """Something that was signed or logged is not as it must be; its text says what."""


class Unreadable(NotSound):
    """Something is there, or may be, and cannot be read: nobody knows whether it is sound."""


def strict64(text: str) -> bytes:
    """Return what base64 text (RFC 4648, section 4) stands for.

    Raises:
        NotSound: it is not the one text for these bytes.
    """
    try:
        content = base64.b64decode(text.encode("ascii"), validate=True)
    except (ValueError, binascii.Error):
        raise NotSound("what should be base64 is none") from None
    if text64(content) != text:
        raise NotSound("the base64 is not in its one form")
    return content


def text64(content: bytes) -> str:
    """Return bytes as base64 text."""
    return base64.b64encode(content).decode("ascii")


def whole(text: str) -> int:
    """Return a whole number that has no sign and no leading zeros.

    Raises:
        NotSound: it is written otherwise.
    """
    if not _NUMBER.fullmatch(text):
        raise NotSound(f"{text[:30]!r} is no whole number")
    return int(text)


def moment(text: str) -> datetime:
    """Return the moment of a text such as `2026-11-21T03:04:05.678Z`.

    Raises:
        NotSound: it is written otherwise.
    """
    if not _MOMENT.fullmatch(text):
        raise NotSound(f"{text[:40]!r} is no moment in UTC with milliseconds")
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise NotSound(f"{text[:40]!r} is no moment that a calendar has") from None


def written(when: datetime) -> str:
    """Return the text of a moment: RFC 3339 in UTC, with milliseconds."""
    return when.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def shown(when: datetime) -> str:
    """Return a moment for a person."""
    return f"{when:%Y-%m-%d %H:%M:%S} UTC"


def readable(text: str) -> str:
    """Return a text that a terminal can be given: what is no character to be seen is spelled out."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def content_of(path: Path) -> bytes | None:
    """Return what is in a plain file; None where there is none, or it cannot be read.

    Whoever may write into an archive could put a pipe there, which would be waited for, for ever.
    """
    try:
        with open(path, "rb", buffering=0, opener=_without_waiting) as file:
            return file.readall() if stat.S_ISREG(os.fstat(file.fileno()).st_mode) else None
    except (OSError, ValueError):
        return None


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def unreadable(path: Path) -> str:
    """Return why a plain file that may well be there cannot be read; "" where it can, or there is none."""
    try:
        if stat.S_ISREG(path.stat().st_mode):
            with path.open("rb") as file:
                file.read(1)
        return ""
    except ValueError:
        return ""
    except OSError as error:
        return "" if error.errno in _NOT_THERE else (error.strerror or "unknown reason").lower()


def listed(folder: Path) -> tuple[list[Path], str]:
    """Return the files and links below a folder, and why it could not be looked into everywhere.

    Args:
        folder: one that is not there has none.
    """
    faults: list[OSError] = []
    found = []
    for place, folders, names in os.walk(folder, onerror=faults.append):
        links = [name for name in folders if Path(place, name).is_symlink()]
        found += [Path(place, name) for name in (*links, *names)]
    why = [error.strerror or "unknown reason" for error in faults if error.errno not in _NOT_THERE]
    return sorted(found), why[0].lower() if why else ""


def at_second(seconds: int) -> datetime:
    """Return the moment that lies so many seconds after 1970 began.

    Raises:
        NotSound: no calendar goes so far.
    """
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        raise NotSound(f"second {seconds} is beyond any calendar") from None
