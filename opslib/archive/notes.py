"""What people add to a record afterwards: one file a note, beside the records, never in them.

    notes/<run id>/<uuid7>.json    run_id, time, actor, text

A note is only ever added. It is nobody's proof: whoever may write into the archive can write one under any
name.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from opslib import ids
from opslib.archive import shared, store
from opslib.errors import ArchiveError, UsageError

FOLDER = "notes"
LONGEST = 20_000  # characters


@dataclass(frozen=True)
class Note:
    """One note.

    Args:
        run_id: the run that it is about.
        time: when it was written, RFC 3339.
        actor: who wrote it.
        text: what was written; of a note that cannot be read, why.
        readable: whether the file could be read.
    """

    run_id: str
    time: str
    actor: str
    text: str
    readable: bool = True

    def to_dict(self) -> dict[str, Any]:
        """Return it for `--json`."""
        return asdict(self)


class Notes:
    """The notes of one archive.

    Args:
        archive: the archive's folder.
    """

    def __init__(self, archive: Path) -> None:
        self._root = archive / FOLDER
        self._archive = archive

    def add(self, run_id: str, actor: str, text: str) -> Note:
        """Add a note, durably, and return it.

        Args:
            run_id: the whole id of a run that is kept.
            actor: who writes.
            text: masked already.

        Raises:
            UsageError: the text is empty or too long.
            ArchiveError: the archive cannot be written to.
        """
        if not text.strip():
            raise UsageError("the note is empty", hint='e.g. opslib annotate latest "false alarm: rehearsal"')
        if len(text) > LONGEST:
            raise UsageError(f"a note has at most {LONGEST} characters, this one has {len(text)}")
        note = Note(run_id, ids.stamp(ids.now()), actor, text.strip())
        content = {"run_id": note.run_id, "time": note.time, "actor": note.actor, "text": note.text}
        folder = self._root / run_id
        with store.plainly(self._archive):
            folder.mkdir(parents=True, exist_ok=True)
            shared.create(folder / f"{ids.new_run_id()}.json", _encoded(content))
            for above in (self._root, self._archive):
                store.sync(above)
        return note

    def of(self, run_id: str) -> tuple[Note, ...]:
        """Return the notes about a run, the oldest first; one that cannot be read is told in its place."""
        paths = sorted((self._root / run_id).glob("*.json"))
        return tuple(_read(path) for path in paths if not path.name.startswith("."))

    def beside(self, documents: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Return documents of runs, each with its `notes`."""
        return [{**d, "notes": [note.to_dict() for note in self.of(d["run_id"])]} for d in documents]


def _encoded(content: Mapping[str, str]) -> bytes:
    return (json.dumps(content, indent=1) + "\n").encode()


def _read(path: Path) -> Note:
    run_id = path.parent.name
    try:
        found = json.loads(shared.read(path))
        told = {name: found[name] for name in ("time", "actor", "text")}
        if not all(isinstance(value, str) for value in told.values()):
            raise TypeError("its parts are no texts")
        return Note(run_id, **told)
    except ArchiveError as error:
        return Note(run_id, "", "", error.message, readable=False)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        return Note(run_id, "", "", f"{path}: is no note: {error!r}", readable=False)
