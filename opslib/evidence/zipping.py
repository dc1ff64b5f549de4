"""Files of a folder, and a zip of them: the same files give the same bytes."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import IO

from opslib.errors import UsageError

_LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the first moment that a zip can name


def must_be_free(target: Path) -> None:
    """Make sure that a zip can be written there.

    Raises:
        UsageError: something of that name is there, or no folder for it.
    """
    if target.exists():
        raise UsageError(f"{target} is there already", hint="choose another name; nothing is written over")
    if not target.parent.is_dir():
        raise UsageError(f"{target.parent}: there is no such folder", hint="make it, or choose another place")


def put(folder: Path, name: str, content: bytes) -> None:
    """Write a file below a folder."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def files(folder: Path) -> list[tuple[str, Path]]:
    """Return name and path of all files below a folder, in the order of their names."""
    paths = (path for path in folder.rglob("*") if path.is_file())
    return sorted((path.relative_to(folder).as_posix(), path) for path in paths)


def write(folder: Path, target: Path) -> None:
    """Write all files of a folder into a new zip; what is there already is left alone.

    Raises:
        UsageError: it cannot be written; nothing is left of it.
    """
    try:
        with target.open("xb") as stream:
            try:
                _packed(folder, stream)
            except OSError:
                target.unlink()
                raise
    except OSError as error:
        why = (error.strerror or "unknown reason").lower()
        raise UsageError(f"{target}: cannot be written: {why}", hint="choose another place") from None


def _packed(folder: Path, stream: IO[bytes]) -> None:
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as made:
        for name, path in files(folder):
            info = zipfile.ZipInfo(name, _LONG_AGO)
            info.compress_type, info.create_system, info.external_attr = zipfile.ZIP_DEFLATED, 3, 0o644 << 16
            made.writestr(info, path.read_bytes())
