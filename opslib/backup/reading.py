"""Whether a backup is whole: every byte hashed, and all of it really read back.

`pg_restore --list` reads the beginning only, and passes on half a file.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from opslib.backup import manifest, tools
from opslib.backup.manifest import File, Manifest
from opslib.backup.store import DUMP, MANIFEST, Store
from opslib.backup.tools import Progress, Tools
from opslib.errors import SourceError, Unreachable

OLDER = "older"
_BLOCK = 1 << 20
_SERVER, _CLIENT = "Dumped from database version", "Dumped by pg_dump version"


@dataclass(frozen=True)
class Wrong:
    """What is wrong with a backup.

    Args:
        kind: `missing`, `short`, `changed`, `extra`, `unreadable`, `manifest-changed`, or `older` where all
            of it is there and the pg_dump that made it was older than the server.
        text: in words.
    """

    kind: str
    text: str


def files(folder: Path) -> dict[str, File]:
    """Return all files of a backup but its manifest, by their path.

    Raises:
        Unreachable: one cannot be read.
    """
    try:
        found = sorted(path for path in folder.rglob("*") if path.is_file() and path != folder / MANIFEST)
        return {str(path.relative_to(folder)): _file(path) for path in found}
    except OSError as error:
        raise Unreachable(f"{error.filename}: cannot be read: {error.strerror}") from None


def damage(folder: Path, known: Manifest) -> Wrong | None:
    """Return what of a backup's files is not as it was written down, or None.

    Raises:
        Unreachable: one cannot be read.
    """
    now = files(folder)
    for name, was in known.files.items():
        if name not in now:
            return Wrong("missing", f"{name} is gone")
        if now[name].bytes < was.bytes:
            return Wrong("short", f"{name} has {now[name].bytes} of {was.bytes} bytes")
        if now[name] != was:
            return Wrong("changed", f"{name} is not the file that was written: its checksum differs")
    extra = sorted(set(now) - set(known.files))
    return Wrong("extra", f"{extra[0]} does not belong to it") if extra else None


def read_back(folder: Path, used: Tools, progress: Progress = lambda: None) -> None:
    """Read all of a dump, as a restore would.

    Raises:
        Unreachable: it cannot be read to its end.
    """
    words = ("--format=directory", "--file=/dev/null", folder / DUMP)
    tools.run(used, "pg_restore", *words, progress=progress)


def versions(folder: Path, used: Tools) -> tuple[str, str]:
    """Return of which version the server of a dump was, and the pg_dump that made it, as its header has them.

    Raises:
        Unreachable: the header cannot be read, or does not say.
    """
    with tempfile.TemporaryDirectory() as place:
        listed = Path(place) / "listed"
        tools.run(used, "pg_restore", "--list", f"--file={listed}", folder / DUMP)
        text = listed.read_text(encoding="utf-8", errors="replace")
    said = [re.search(rf"^;\s*{what}: (\d.*)$", text, re.MULTILINE) for what in (_SERVER, _CLIENT)]
    if not all(said):
        raise Unreachable("its header does not say of which version server and pg_dump were")
    server, client = (found[1].strip() for found in said if found)
    return server, client


def older(client: str, server: str) -> Wrong | None:
    """Return what is wrong with a backup whose pg_dump was of an older major version than the server.

    Such a pg_dump knows nothing of what the server has learned since, and leaves it out; PostgreSQL's own
    stops, so one that did not was changed, or was told to go on.

    Args:
        client, server: their versions.

    Raises:
        Malformed: one of them is no version.
    """
    if tools.major_of(client) >= tools.major_of(server):
        return None
    return Wrong(OLDER, f"pg_dump {client} made it of a server {server}: it may lack what is newer")


def verify(store: Store, name: str, progress: Progress = lambda: None) -> Wrong | None:
    """Return what is wrong with a backup in a store, or None where all of it was read and is as it was.

    Raises:
        Refused: no client programs of its version are here to read it back.
        SourceError: the store cannot be read.
    """
    try:
        known = manifest.read(store.manifest(name), f"backup {name}")
    except SourceError as error:
        if error.kind not in (manifest.UNREADABLE, manifest.CHANGED):
            raise
        kind = "unreadable" if error.kind == manifest.UNREADABLE else error.kind
        return Wrong(kind, error.message)
    if wrong := damage(store.folder(name), known):
        return wrong
    used = tools.find(known.holds.major, remote=False)
    try:
        server, client = versions(store.folder(name), used)
        read_back(store.folder(name), used, progress)
    except Unreachable as error:
        if error.kind in tools.NO_FAULT:
            raise
        return Wrong("unreadable", error.message)
    # The header stands in the dump itself: whoever wrote the manifest beside it may have known no better.
    return older(client, server) or older(known.client_version, known.holds.server_version)


def _file(path: Path) -> File:
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as content:
        while block := content.read(_BLOCK):
            digest.update(block)
            size += len(block)
    return File(size, digest.hexdigest())
