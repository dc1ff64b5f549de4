"""The private place of a run while it lasts, from which a killed run is taken up again.

`OPSLIB_HOME/spool/<run id>/` holds `intent.json` (what was asked, by whom), `run.ipynb` (masked, as far
as it got) and a lock that the runner holds: the system lets go of it when the process dies, however it
dies, so a spool whose lock is free belongs to nobody any more.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from opslib.archive import store
from opslib.home import private

_INTENT = "intent.json"
_NOTEBOOK = "run.ipynb"
_LOCK = "lock"


@dataclass(frozen=True)
class Spool:
    """The spool of one run.

    Args:
        folder: its folder.
    """

    folder: Path

    @property
    def notebook(self) -> Path:
        """The notebook as far as it got."""
        return self.folder / _NOTEBOOK

    def intent(self) -> dict[str, Any]:
        """Return what was asked.

        Raises:
            ValueError: the run died before its intent was whole.
        """
        found: dict[str, Any] = json.loads((self.folder / _INTENT).read_text(encoding="utf-8"))
        return found

    def write_intent(self, intent: dict[str, Any]) -> None:
        """Keep what was asked, before anything is started."""
        _replace(self.folder / _INTENT, json.dumps(intent, default=str).encode())

    def write_notebook(self, content: bytes) -> None:
        """Keep the notebook as far as it got."""
        _replace(self.notebook, content)

    def remove(self) -> None:
        """Remove the spool; the record is in the archive."""
        shutil.rmtree(self.folder, ignore_errors=True)


@contextmanager
def opened(run_id: str) -> Iterator[Spool]:
    """Make the spool of a run and hold its lock while the block runs; the spool itself stays.

    Raises:
        ArchiveError, DiskFull: it cannot be written.
    """
    folder = private("spool") / run_id
    with store.plainly(folder):
        folder.mkdir(mode=0o700)
    with FileLock(folder / _LOCK):
        yield Spool(folder)


@contextmanager
def abandoned() -> Iterator[list[Spool]]:
    """Yield the spools whose runner is gone, each locked while the block runs."""
    locks: list[FileLock] = []
    found: list[Spool] = []
    try:
        for folder in sorted(path for path in private("spool").iterdir() if path.is_dir()):
            lock = FileLock(folder / _LOCK, timeout=0)
            try:
                lock.acquire()
            except (Timeout, FileNotFoundError):
                continue
            locks.append(lock)
            found.append(Spool(folder))
        yield [spool for spool in found if spool.folder.is_dir()]
    finally:
        for lock in locks:
            lock.release()


def _replace(path: Path, content: bytes) -> None:
    beside = path.with_suffix(".new")
    with store.plainly(path.parent):
        beside.write_bytes(content)
        beside.replace(path)
