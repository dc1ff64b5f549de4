"""The private place of a run while it lasts, from which a killed run is taken up again.

`OPSLIB_HOME/spool/<run id>/` holds `intent.json` (what was asked, by whom), `run.ipynb` (masked, as far
as it got), `masked.json` (how often what was masked) and a lock that the runner holds: the system lets go
of it when the process dies, however it dies, so a spool whose lock is free belongs to nobody any more.
`ending.json` is there only for a run that did end while its archive could not be written.
"""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from opslib.archive import store
from opslib.home import private
from opslib.runner.request import Ending

_INTENT = "intent.json"
_NOTEBOOK = "run.ipynb"
_ENDING = "ending.json"
_MASKED = "masked.json"
_LOCK = "lock"
_GONE = ".gone-"
_PAUSE_S = 0.5
_NEEDED = {"run_id", "procedure", "system", "environment", "started_at", "origin"}


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
            ValueError: the run died before its intent was whole, or the disk lost it.
        """
        found = json.loads((self.folder / _INTENT).read_text(encoding="utf-8"))
        if not isinstance(found, dict) or not found.keys() >= _NEEDED:
            raise ValueError("this is no intent")
        return found

    def write_intent(self, intent: dict[str, Any]) -> None:
        """Keep what was asked, durably, before anything is started."""
        with store.plainly(self.folder):
            store.replace(self.folder / _INTENT, json.dumps(intent, default=str).encode())

    def write_notebook(self, content: bytes) -> None:
        """Keep the notebook as far as it got."""
        with store.plainly(self.folder):
            store.replace(self.notebook, content, durable=False)

    def write_masked(self, summary: Mapping[str, Any]) -> None:
        """Keep what was masked in the notebook, as `Masker.summary` tells: names and numbers."""
        with store.plainly(self.folder):
            store.replace(self.folder / _MASKED, json.dumps(summary).encode(), durable=False)

    def masked(self) -> dict[str, Any]:
        """Return what was masked in the notebook as far as it got; nothing where that was not kept."""
        with suppress(OSError, ValueError):
            return dict(json.loads((self.folder / _MASKED).read_text(encoding="utf-8")))
        return {}

    def write_ending(self, notebook: bytes, ending: Ending) -> None:
        """Keep a run that has ended, for a record that cannot be written now."""
        self.write_notebook(notebook)
        with store.plainly(self.folder):
            store.replace(self.folder / _ENDING, json.dumps(asdict(ending)).encode())

    def ending(self) -> Ending | None:
        """Return how the run ended; None when it was killed before."""
        try:
            return Ending(**json.loads((self.folder / _ENDING).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def last_sign(self) -> datetime | None:
        """Return when the notebook was last kept, in UTC."""
        with suppress(OSError):
            return datetime.fromtimestamp(self.notebook.stat().st_mtime, UTC)
        return None

    def remove(self) -> None:
        """Remove the spool; the record is in the archive."""
        # In one step: a sweep that met it half removed, its lock gone first, would take it for a dead run.
        gone = self.set_aside(_GONE)
        shutil.rmtree(gone, ignore_errors=True)

    def set_aside(self, mark: str = ".unreadable-") -> Path:
        """Take the spool out of the sight of sweeps, and return where it is now."""
        with suppress(FileNotFoundError):
            return self.folder.rename(self.folder.with_name(f"{mark}{self.folder.name}"))
        return self.folder


class Saver:
    """Saves when asked, but not all the time: what was asked for in between is saved a little later.

    Of a run whose runner is killed, what it showed in the last moments is lost; most of the work of a
    short run would be to save it again after every cell.

    Args:
        write: saves the state of this moment.
    """

    def __init__(self, write: Callable[[], None]) -> None:
        self._write = write
        self._next = 0.0
        self._later: asyncio.TimerHandle | None = None
        self._failed: Exception | None = None

    def __call__(self) -> None:
        """Save now, or soon.

        Raises:
            Exception: what `write` raised, now or since the last call.
        """
        if self._failed:
            raise self._failed
        loop = asyncio.get_running_loop()
        if loop.time() >= self._next:
            self._save()
        elif self._later is None:
            self._later = loop.call_at(self._next, self._save_late)

    def close(self) -> None:
        """Save nothing any more."""
        if self._later:
            self._later.cancel()

    def _save_late(self) -> None:
        self._later = None
        try:
            self._save()
        except Exception as error:  # noqa: BLE001 - nobody is above a timer; the next call raises it
            self._failed = error

    def _save(self) -> None:
        self._write()
        self._next = asyncio.get_running_loop().time() + _PAUSE_S


@contextmanager
def opened(run_id: str) -> Iterator[Spool]:
    """Make the spool of a run and hold its lock while the block runs; the spool itself stays.

    Raises:
        ArchiveError, DiskFull: it cannot be written.
    """
    folder = private("spool") / run_id
    lock = FileLock(folder / _LOCK)
    # A sweep that came between the folder and its lock would take the run for a dead one.
    with store.plainly(folder), _nobody_looks():
        folder.mkdir(mode=0o700)
        lock.acquire()
    try:
        yield Spool(folder)
    finally:
        lock.release()


@contextmanager
def abandoned() -> Iterator[list[Spool]]:
    """Yield the spools whose runner is gone, each locked while the block runs."""
    with ExitStack() as locks:
        with _nobody_looks():
            folders = sorted(path for path in private("spool").iterdir() if path.is_dir())
            spools = [Spool(folder) for folder in folders if _taken(folder, locks)]
        for left in private("spool").glob(f"{_GONE}*"):
            shutil.rmtree(left, ignore_errors=True)
        yield spools


def _taken(folder: Path, locks: ExitStack) -> bool:
    """Take the lock of a spool for as long as `locks` is open; not if its runner still holds it."""
    if folder.name.startswith("."):
        return False
    try:
        locks.enter_context(FileLock(folder / _LOCK, timeout=0))
    except (Timeout, OSError):
        # Held by its runner, or removed by it at this very moment; if neither, the next sweep meets it again.
        return False
    return folder.is_dir()


def _nobody_looks() -> FileLock:
    """Return the lock under which spools are made and looked for."""
    return FileLock(private("locks") / "spool")
