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
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import rfc8785

from opslib.archive import shared, store
from opslib.errors import ArchiveError, UnknownName

FOLDER = "changes"
SHORTEST = 6  # hexadecimal digits that name a plan on the command line
_DIGEST = re.compile(r"(?:sha256:)?([0-9a-f]{1,64})")
_FOLDER = re.compile(r"[0-9a-f]{64}")
_APPROVAL = re.compile(r"approval-([1-9][0-9]{0,3})\.json")
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
                shared.replace(path, rfc8785.dumps(plan))
                store.sync(self._root)
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
        fits = sorted(digest for digest in self._kept() if digest.startswith(found[1]))
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
        content = shared.read(path)
        if not content:
            raise ArchiveError(f"{path}: there is no such plan any more")
        document = _parsed(path, content)
        # Its one form, to the byte: who reads the file must read what the digest is over.
        if rfc8785.dumps(document) != content or digest_of(document) != digest:
            raise ArchiveError(
                f"{path}: was edited: it no longer has the digest in its name", hint="plan again"
            )
        return document

    def digests(self) -> tuple[str, ...]:
        """Return the digests of all plans, the newest first."""
        kept = sorted(self._kept().items(), key=lambda item: item[1], reverse=True)
        return tuple(f"sha256:{name}" for name, _ in kept)

    def keep_request(self, digest: str, signed: Mapping[str, Any]) -> None:
        """Keep the signature of who asked for a plan."""
        with store.plainly(self.archive):
            shared.replace(self.folder(digest) / _REQUEST, _encoded(signed))

    def request(self, digest: str) -> Document | None:
        """Return the signature of who asked for a plan, if there is one."""
        path = self.folder(digest) / _REQUEST
        content = shared.read(path)
        return _parsed(path, content) if content else None

    def add_approval(self, digest: str, signed: Mapping[str, Any]) -> Path:
        """Keep one more signed approval and return its file."""
        folder = self.folder(digest)
        content = _encoded(signed)
        with store.plainly(self.archive):
            for number in range(1, 1000):
                path = folder / f"approval-{number}.json"
                if shared.create(path, content):
                    return path
        raise ArchiveError(f"{folder}: there are a thousand approvals already")

    def approvals(self, digest: str) -> tuple[Document, ...]:
        """Return all approvals of a plan, in the order in which they came."""
        return tuple(_parsed(path, shared.read(path)) for path in self.approval_files(digest))

    def approval_files(self, digest: str) -> tuple[Path, ...]:
        """Return the files of all approvals of a plan, in the order in which they came."""
        folder = self.folder(digest)
        paths = folder.iterdir() if folder.is_dir() else ()
        found = {int(match[1]): path for path in paths if (match := _APPROVAL.fullmatch(path.name))}
        return tuple(found[number] for number in sorted(found))

    def ledger(self, digest: str) -> tuple[Document, ...]:
        """Return the lines of a plan's ledger.

        A last line that was cut off by a power failure does not count.

        Raises:
            ArchiveError: a line was edited, removed or put in between.
        """
        path = self.folder(digest) / _LEDGER
        return tuple(_checked(path, shared.read(path).split(b"\n")[:-1]))

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
        with store.plainly(self.archive):
            shared.append(path, rfc8785.dumps(whole))
        return whole

    def folder(self, digest: str) -> Path:
        """Return the folder of a plan.

        Raises:
            ArchiveError: a link stands in its place.
        """
        path = self._root / digest.removeprefix("sha256:")
        if path.is_symlink():
            raise ArchiveError(f"{path}: is a link; nothing is read or written through one")
        return path

    def _kept(self) -> dict[str, float]:
        """Return the folders that hold a plan, and when they were last written to."""
        with store.plainly(self.archive):
            there = self._root.iterdir() if self._root.is_dir() else ()
            return {
                path.name: (path / _PLAN).lstat().st_mtime
                for path in there
                if _FOLDER.fullmatch(path.name) and (path / _PLAN).is_file()
            }

    @property
    def _root(self) -> Path:
        return self.archive / FOLDER


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
        rfc8785.dumps(found)
    except (ValueError, RecursionError):  # also numbers and letters that have no one form
        found = None
    if not isinstance(found, dict):
        raise ArchiveError(f"{path}: is not what opslib writes", hint=_EDITED)
    return found


def _encoded(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, indent=2, ensure_ascii=False, sort_keys=True).encode() + b"\n"
