"""An archive whose pages are asked for: its index, made anew beside the asking, and the records themselves.

What a run's page says is read from the record each time, not from the index, which anybody who may write
into the archive could have changed.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opslib.archive import disposed, reading, shared
from opslib.archive.index import Index
from opslib.errors import ArchiveError, OpsError

if TYPE_CHECKING:
    from opslib.evidence import Trust

PATIENCE = 1.0  # seconds that a question waits for an index that is being made
LARGEST = 100_000_000  # bytes of a kept file


@dataclass(frozen=True)
class Kept:
    """A run as its record tells it now.

    Args:
        document: what the statement says; of a record that cannot be read, what the index remembers.
        folder: of the record.
        stated: the statement; None where it cannot be read.
        fault: why it cannot be read.
        gone: that its content was destroyed, as what is left of it says.
    """

    document: Mapping[str, Any]
    folder: Path
    stated: Mapping[str, Any] | None = None
    fault: str = ""
    gone: str = ""


class Library:
    """An archive that is read by several people at once.

    Args:
        archive: the archive's folder.
        trust: whom to believe when a record is verified; asked for each time.
        unproven: what believing these does not prove, in sentences.
        witnessed: says of the folder of a record how far it is witnessed; None where nobody is named.
    """

    def __init__(
        self,
        archive: Path,
        trust: Callable[[], Trust],
        unproven: Sequence[str] = (),
        witnessed: Callable[[Path], str | None] = lambda folder: None,
    ) -> None:
        self.archive = archive
        self.trust = trust
        self.unproven = tuple(unproven)
        self.witnessed = witnessed
        self._lock = threading.Lock()
        self._index, self._seen = Index(archive), _newest(archive)
        self._making: threading.Thread | None = None

    def index(self) -> Index | None:
        """Return the index; None while it is being made, which takes a while where there are many records.

        Raises:
            ArchiveError: the archive cannot be read.
        """
        with self._lock:
            self._follow()
            index = self._index
            if index.ready():
                return index
            if self._making is None or not self._making.is_alive():
                self._making = threading.Thread(target=_make, args=(index,), daemon=True)
                self._making.start()
            making = self._making
        making.join(PATIENCE)
        return None if making.is_alive() else index

    def kept(self, known: Mapping[str, Any]) -> Kept:
        """Return a run as its record tells it.

        Args:
            known: what the index keeps of the run.
        """
        folder = Path(known["record"])
        try:
            path = self._inside(folder) / reading.STATEMENT
            content = shared.read(path, most=LARGEST)
            if not content:
                raise ArchiveError(f"{path}: is not there any more")
            stated, document = reading.understood(content, path)
        except ArchiveError as error:
            return self._left(folder) or Kept(known, folder, fault=error.message)
        return Kept(document, folder, stated)

    def _left(self, folder: Path) -> Kept | None:
        """Return what is left of a record that was destroyed; None where nothing says that it was."""
        try:
            path = self._inside(folder) / disposed.FILE
            _, document = reading.understood(shared.read(path, most=LARGEST), path)
        except ArchiveError:
            return None
        return Kept(document, folder, gone=disposed.told(document))

    def file(self, known: Mapping[str, Any], name: str) -> bytes:
        """Return what is in a file of a record; nothing where there is none.

        Args:
            known: what the index keeps of the run.
            name: of the file.

        Raises:
            ArchiveError: it is a link, no plain file, too large, cannot be read, or lies elsewhere.
        """
        return shared.read(self._inside(Path(known["record"])) / name, most=LARGEST)

    def _inside(self, folder: Path) -> Path:
        """Return a folder that lies among the records; the index, or a link, could name another."""
        if not folder.resolve().is_relative_to((self.archive / "runs").resolve()):
            raise ArchiveError(f"{folder}: lies outside of the archive")
        return folder

    def _follow(self) -> None:
        """Begin a new index where none can be written: nobody else tells it of new records."""
        if not os.access(self.archive, os.W_OK) and (newest := _newest(self.archive)) != self._seen:
            self._index, self._seen = Index(self.archive), newest


def _make(index: Index) -> None:
    with suppress(OpsError):  # whoever asks next is told the same
        index.known()  # any question has it made first


def _newest(archive: Path) -> tuple[int, ...]:
    """Return when something last came into `runs`, and its newest year, month and day."""
    place, times = archive / "runs", []
    for _ in range(4):
        try:
            times.append(place.stat().st_mtime_ns)
            place = max(place.iterdir())
        except (OSError, ValueError):
            break
    return tuple(times)
