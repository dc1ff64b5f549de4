"""Changes on disk: one folder a plan, `changes/<digest>/`, beside the records of the archive.

    plan.json            the plan, canonical; its name is its own digest
    requested.json       signed by who asked for it, where they have a key
    approval-N.json      what was signed, and the signature
    ledger.jsonl         what was about to be done, and what came of it; each line holds the digest of
                         the one before it, and is on the disk before anything goes on

Nothing here is ever changed after it was written; lines and files are only added.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import rfc8785

from opslib.archive import store
from opslib.errors import ArchiveError, UnknownName

FOLDER = "changes"
SHORTEST = 6  # hexadecimal digits that name a plan on the command line
_DIGEST = re.compile(r"(?:sha256:)?([0-9a-f]{1,64})")
_PLAN, _REQUEST, _LEDGER = "plan.json", "requested.json", "ledger.jsonl"

Document = dict[str, Any]


def digest_of(document: Any) -> str:
    """Return SHA-256 over the canonical JSON (RFC 8785) of a document."""
    return f"sha256:{hashlib.sha256(rfc8785.dumps(document)).hexdigest()}"


class Changes:
    """The plans of one archive.

    Args:
        archive: the archive's folder.
    """

    def __init__(self, archive: Path) -> None:
        self.archive = archive

    def keep(self, plan: Mapping[str, Any]) -> str:
        """Write a plan and return its digest; a plan that is there already is left as it is.

        Raises:
            ArchiveError: the archive cannot be written to.
        """
        digest = digest_of(plan)
        path = self.folder(digest) / _PLAN
        with store.plainly(self.archive):
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                store.replace(path, rfc8785.dumps(plan))
        return digest

    def find(self, name: str) -> str:
        """Return the whole digest of the plan that a person named by its beginning.

        Raises:
            UnknownName: there is none, several begin so, or it is no digest.
        """
        hint = "see `opslib plans`"
        found = _DIGEST.fullmatch(name.strip().lower())
        if not found or len(found[1]) < SHORTEST:
            raise UnknownName(f"{name!r} is no digest of a plan ({SHORTEST} or more hex digits)", hint=hint)
        fits = sorted(path.name for path in self._root.glob(f"{found[1]}*") if (path / _PLAN).is_file())
        if not fits:
            raise UnknownName(f"there is no plan {name} in {self.archive}", hint=hint)
        if len(fits) > 1:
            raise UnknownName(f"{len(fits)} plans begin with {name}", hint="give more of its digits")
        return f"sha256:{fits[0]}"

    def plan(self, digest: str) -> Document:
        """Return a plan.

        Raises:
            ArchiveError: it cannot be read, or is not what its digest says.
        """
        path = self.folder(digest) / _PLAN
        document = _read(path)
        if digest_of(document) != digest:
            raise ArchiveError(
                f"{path}: was edited: it no longer has the digest in its name", hint="plan again"
            )
        return document

    def digests(self) -> tuple[str, ...]:
        """Return the digests of all plans, the newest first."""
        found = sorted(self._root.glob(f"*/{_PLAN}"), key=lambda path: path.stat().st_mtime, reverse=True)
        return tuple(f"sha256:{path.parent.name}" for path in found)

    def keep_request(self, digest: str, signed: Mapping[str, Any]) -> None:
        """Keep the signature of who asked for a plan."""
        with store.plainly(self.archive):
            store.replace(self.folder(digest) / _REQUEST, _encoded(signed))

    def request(self, digest: str) -> Document | None:
        """Return the signature of who asked for a plan, if there is one."""
        path = self.folder(digest) / _REQUEST
        return _read(path) if path.exists() else None

    def add_approval(self, digest: str, signed: Mapping[str, Any]) -> Path:
        """Keep one more signed approval and return its file."""
        folder = self.folder(digest)
        content = _encoded(signed)
        with store.plainly(self.archive):
            for number in range(1, 1000):
                path = folder / f"approval-{number}.json"
                try:
                    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
                except FileExistsError:
                    continue
                with os.fdopen(handle, "wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                return path
        raise ArchiveError(f"{folder}: there are a thousand approvals already")

    def approvals(self, digest: str) -> tuple[Document, ...]:
        """Return all approvals of a plan, in the order in which they came."""
        paths = self.folder(digest).glob("approval-*.json")
        return tuple(_read(path) for path in sorted(paths, key=lambda path: int(path.stem.split("-")[1])))

    def ledger(self, digest: str) -> tuple[Document, ...]:
        """Return the lines of a plan's ledger.

        A last line that was cut off by a power failure does not count.

        Raises:
            ArchiveError: a line was edited, removed or put in between.
        """
        path = self.folder(digest) / _LEDGER
        lines = path.read_bytes().split(b"\n") if path.exists() else []
        return tuple(_checked(path, lines[:-1]))

    def write(self, digest: str, line: Mapping[str, Any], before: Sequence[Document]) -> Document:
        """Add a line to a plan's ledger and return it whole; it is on the disk then.

        Args:
            digest: the plan's.
            line: what to add.
            before: all lines that are there, as `ledger` returned them; only who holds the plan's lock
                writes, so they cannot have become more since.

        Raises:
            ArchiveError, DiskFull: it could not be written.
        """
        path = self.folder(digest) / _LEDGER
        last = digest_of(before[-1]) if before else digest
        whole = {**line, "seq": len(before) + 1, "previous": last}
        with store.plainly(self.archive), path.open("ab") as file:
            _mend(path)
            file.write(rfc8785.dumps(whole) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        return whole

    def folder(self, digest: str) -> Path:
        """Return the folder of a plan."""
        return self._root / digest.removeprefix("sha256:")

    @property
    def _root(self) -> Path:
        return self.archive / FOLDER


def _mend(path: Path) -> None:
    """Cut off what a power failure left of a line that was never finished."""
    content = path.read_bytes()
    if content and not content.endswith(b"\n"):
        os.truncate(path, content.rfind(b"\n") + 1)


def _checked(path: Path, lines: list[bytes]) -> list[Document]:
    last = f"sha256:{path.parent.name}"
    found: list[Document] = []
    for number, raw in enumerate(lines, 1):
        line = _parsed(path, raw)
        if line.get("previous") != last or line.get("seq") != number:
            raise ArchiveError(f"{path}: line {number} does not follow from the one before it", hint=_EDITED)
        last = digest_of(line)
        found.append(line)
    return found


_EDITED = "somebody edited it: nothing more is done with this plan; plan again"


def _parsed(path: Path, raw: bytes) -> Document:
    try:
        found = json.loads(raw)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise ArchiveError(f"{path}: is not what opslib writes", hint=_EDITED)
    return found


def _read(path: Path) -> Document:
    try:
        return _parsed(path, path.read_bytes())
    except OSError as error:
        raise ArchiveError(f"{path}: cannot be read: {(error.strerror or '').lower()}") from error


def _encoded(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, indent=2, ensure_ascii=False, sort_keys=True).encode() + b"\n"
