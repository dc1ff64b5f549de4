"""A disk that is really full: a file system of a few pages in memory, on the folder that is to be full."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from opslib.errors import SandboxError

_PAGE = 4096
_FILLER = ".filler"


@cache
def possible() -> bool:
    """Tell whether this process may put a file system onto a folder; it tries."""
    if os.geteuid() or not shutil.which("mount"):
        return False
    with tempfile.TemporaryDirectory() as place:
        try:
            _mount(Path(place), 1)
        except SandboxError:
            return False
        empty(Path(place))
    return True


def fill(folder: Path) -> None:
    """Put a folder with all that is in it onto a disk of its own, and fill that to the last page.

    Raises:
        SandboxError: the system does not let us.
    """
    aside = folder.with_name(f"{folder.name}.moved")
    folder.rename(aside)
    folder.mkdir(mode=0o700)
    try:
        _mount(folder, sum(1 + path.stat().st_size // _PAGE for path in aside.rglob("*")) + 16)
        shutil.copytree(aside, folder, dirs_exist_ok=True)
        _write_until_full(folder / _FILLER)
    finally:
        shutil.rmtree(aside)


def empty(folder: Path) -> None:
    """Take the disk away again; what was on it is gone. Nothing happens where there is none."""
    if folder.is_mount():
        _run("umount", "--lazy", str(folder))


def _write_until_full(path: Path) -> None:
    with path.open("wb", buffering=0) as filler:
        try:
            while True:
                filler.write(bytes(_PAGE))
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise


def _mount(folder: Path, pages: int) -> None:
    size = f"size={pages * _PAGE},mode=0700"
    _run("mount", "-t", "tmpfs", "-o", size, "opslib-sandbox", str(folder))


def _run(*words: str) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SandboxError(f"{words[0]}: {done.stderr.strip()}")
