"""What people add to a record afterwards: one file a note, beside the records, never in them.

    notes/<run id>/<uuid7>.json    run_id, time, actor, text; key and signature of whoever has a key

A note is only ever added. One without a signature is nobody's proof: whoever may write into the archive can
write one under any name. The signature is OpenSSH's, over the canonical JSON (RFC 8785) of the first four.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rfc8785

from opslib import ids
from opslib.archive import shared, store
from opslib.errors import ArchiveError, OpsError, UsageError

if TYPE_CHECKING:
    from opslib.keys import Signer

FOLDER = "notes"
NAMESPACE = "opslib-note"
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
        signed_by: fingerprint of the key that signed it; "" where none did.
        doubt: why its signature does not hold; "" where it does, or there is none.
        path: its file.
    """

    run_id: str
    time: str
    actor: str
    text: str
    readable: bool = True
    signed_by: str = ""
    doubt: str = ""
    path: Path = field(default=Path(), compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Return it for `--json`."""
        return {name: value for name, value in asdict(self).items() if name != "path"}


class Notes:
    """The notes of one archive.

    Args:
        archive: the archive's folder.
    """

    def __init__(self, archive: Path) -> None:
        self._root = archive / FOLDER
        self._archive = archive

    def add(self, run_id: str, actor: str, text: str, signer: Signer | None = None) -> Note:
        """Add a note, durably, and return it.

        Args:
            run_id: the whole id of a run that is kept.
            actor: who writes.
            text: masked already.
            signer: signs it.

        Raises:
            Refused: the key cannot sign now; nothing is written.
            UsageError: the text is empty or too long.
            ArchiveError: the archive cannot be written to.
        """
        if not text.strip():
            raise UsageError("the note is empty", hint='e.g. opslib annotate latest "false alarm: rehearsal"')
        if len(text) > LONGEST:
            raise UsageError(f"a note has at most {LONGEST} characters, this one has {len(text)}")
        note = Note(run_id, ids.stamp(ids.now()), actor, text.strip())
        content = _stated(note)
        if signer:
            signature = signer.sign(rfc8785.dumps(content), NAMESPACE)
            content |= {"key": signer.public, "signature": signature}
        path = self._root / run_id / f"{ids.new_run_id()}.json"
        with store.plainly(self._archive):
            path.parent.mkdir(parents=True, exist_ok=True)
            shared.create(path, _encoded(content))
            for above in (self._root, self._archive):
                store.sync(above)
        return replace(note, signed_by=signer.fingerprint if signer else "", path=path)

    def of(self, run_id: str) -> tuple[Note, ...]:
        """Return the notes about a run, the oldest first; one that cannot be read is told in its place."""
        paths = sorted((self._root / run_id).glob("*.json"))
        return tuple(_read(path) for path in paths if not path.name.startswith("."))

    def beside(self, documents: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Return documents of runs, each with its `notes`."""
        return [{**d, "notes": [note.to_dict() for note in self.of(d["run_id"])]} for d in documents]


def _stated(note: Note) -> dict[str, str]:
    return {"run_id": note.run_id, "time": note.time, "actor": note.actor, "text": note.text}


def _verified(note: Note, found: Mapping[str, Any]) -> Note:
    """Return a note with whose signature it has, or why that does not hold."""
    from opslib import keys

    try:
        public = keys.verify(rfc8785.dumps(_stated(note)), str(found["signature"]), NAMESPACE)
        return replace(note, signed_by=keys.PublicKey.parse(public).fingerprint)
    except OpsError as error:
        return replace(note, doubt=error.message)


def _encoded(content: Mapping[str, str]) -> bytes:
    return (json.dumps(content, indent=1) + "\n").encode()


def _read(path: Path) -> Note:
    run_id = path.parent.name
    try:
        found = json.loads(shared.read(path))
        told = {name: found[name] for name in ("time", "actor", "text")}
        if not all(isinstance(value, str) for value in told.values()):
            raise TypeError("its parts are no texts")
        note = Note(run_id, **told, path=path)
        return _verified(note, found) if found.get("signature") else note
    except ArchiveError as error:
        return Note(run_id, "", "", error.message, readable=False)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        return Note(run_id, "", "", f"{path}: is no note: {error!r}", readable=False)
