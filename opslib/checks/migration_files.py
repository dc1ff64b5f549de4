"""The files of migrations in a folder, as Supabase's, Prisma's and plain tools lay them out."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from opslib import frames, home
from opslib.errors import UsageError

if TYPE_CHECKING:
    from datetime import datetime

    from opslib.config import Environment

FILES = ("version", "name", "file", "checksum", "content", "text")
_NUMBERED = re.compile(r"(\d+)[_-](.+)\.sql")
_PRISMA = "migration.sql"
_LARGEST = 5_000_000
_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_TIME = "%Y%m%d%H%M%S"
_HEAD = """-- {name}
-- Why:
-- Way back: a new migration. Once this one is applied anywhere, it is never edited.
{setting} lock_timeout = '2s';

"""


def folder(env: Environment, given: str) -> Path | None:
    """Return where the files are: as given, in the sandbox its own; None where nobody knows.

    Args:
        env: the environment.
        given: what a person named, or "".
    """
    if given:
        return Path(given).expanduser().absolute()
    return home.home() / "sandbox" / "migrations" / env.system.name if env.name == "sandbox" else None


def read(env: Environment, given: str) -> pd.DataFrame:
    """Read the files of migrations.

    Args:
        env: the environment.
        given: the folder, or "".

    Returns:
        Columns `FILES`, by version: checksum is the SHA-256 of the bytes; content a digest of the text
        without white space and semicolons, as `migrations_applied` makes it; text is all of it.
        Unavailable, with the reason, where there is no folder, no migration in it, or a file cannot be
        read.
    """
    place = folder(env, given)
    if place is None:
        return frames.unavailable(FILES, "where the files are is not known: give folder=, of a clone")
    try:
        rows = [_row(name, path) for name, path in _found(place)]
    except OSError as error:
        why = (error.strerror or type(error).__name__).lower()
        return frames.unavailable(FILES, f"folder: {error.filename or place}: {why}")
    if not rows:
        return frames.unavailable(FILES, f"folder: {place} holds no migration")
    return pd.DataFrame(rows, columns=list(FILES)).sort_values("file", ignore_index=True)


def create(place: Path, name: str, now: datetime) -> Path:
    """Write a new, empty file after those that are there, numbered and laid out as they are.

    Args:
        place: the folder.
        name: what it does, in words.
        now: for tools that number by time.

    Returns:
        The file.

    Raises:
        UsageError: the name will not do, or there is no such folder, or no room for such a file in it.
    """
    words = re.sub(r"[\s-]+", "_", name.strip().lower())
    if not _NAME.fullmatch(words):
        raise UsageError(f"{name!r} will not do as a name", hint="letters, figures, spaces")
    try:
        there = _found(place)
        path = place / f"{_number([name for name, _ in there], now)}_{words}"
        nested = any(file.name == _PRISMA for _, file in there)
        path = path / _PRISMA if nested else path.with_name(f"{path.name}.sql")
        path.parent.mkdir(exist_ok=not nested)
        with path.open("x", encoding="utf-8") as file:
            file.write(_HEAD.format(name=words, setting="set" if nested else "set local"))
    except OSError as error:
        why = (error.strerror or type(error).__name__).lower()
        raise UsageError(f"{error.filename or place}: {why}; nothing was written") from None
    return path


def _number(names: list[str], now: datetime) -> str:
    """Return the next number where files are counted, else the time; after the last one in any case."""
    given = max((found[1] for name in names if (found := re.match(r"(\d+)[_-]", name))), default="", key=int)
    if 0 < len(given) < len(now.strftime(_TIME)):
        return str(int(given) + 1).zfill(len(given))
    return max(now.strftime(_TIME), str(int(given or 0) + 1), key=int)


def _found(place: Path) -> list[tuple[str, Path]]:
    """Return the name and the file of each migration."""
    entries = sorted(place.iterdir())
    nested = [(path.name, path / _PRISMA) for path in entries if (path / _PRISMA).is_file()]
    return nested or [(path.name, path) for path in entries if path.suffix == ".sql" and path.is_file()]


def _row(name: str, path: Path) -> dict[str, Any]:
    if path.stat().st_size > _LARGEST:
        raise OSError(None, f"larger than {_LARGEST} bytes", str(path))
    content, numbered = path.read_bytes(), _NUMBERED.fullmatch(name)
    text = _text(content, path)
    return {
        "version": numbered[1] if numbered else name,
        "name": numbered[2] if numbered else name,
        "file": name,
        "checksum": hashlib.sha256(content).hexdigest(),
        "content": digest(text),
        "text": text,
    }


def _text(content: bytes, path: Path) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise OSError(None, "is no text in utf-8", str(path)) from None


def digest(text: str) -> str:
    """Return the digest of a text without white space and semicolons: splitting it changes nothing."""
    bare = re.sub(r"[ \t\r\n;]+", "", text)
    return hashlib.md5(bare.encode(), usedforsecurity=False).hexdigest()
