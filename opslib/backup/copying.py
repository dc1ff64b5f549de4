"""Copies of backups in an S3 bucket. The manifest is sent last: without it, half a copy is no backup."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from opslib import ids
from opslib.archive.access import Access
from opslib.backup import manifest, room
from opslib.backup.objects import Objects
from opslib.backup.reading import Wrong, damage, older
from opslib.backup.store import ID, MANIFEST, Folder
from opslib.config.store import bucket_and_prefix
from opslib.errors import Malformed, NotNamed, Refused, SourceError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from opslib.backup.manifest import Manifest
    from opslib.config import Environment

DAMAGED = "copy"
_MB = 1e6
# What was begun so long ago is no longer being sent by anybody.
_ABANDONED = timedelta(days=7)


class Copies:
    """The copies of one system's backups.

    Args:
        objects: below the bucket's prefix.
        folder: environment and system, as a part of each name.
    """

    def __init__(self, objects: Objects, folder: str) -> None:
        self.objects, self._folder = objects, folder

    def __str__(self) -> str:
        return f"{self.objects}/{self._folder}"

    @property
    def origin(self) -> str:
        """Whose copies belong here, as `ENVIRONMENT/SYSTEM`."""
        return self._folder

    def ids(self) -> list[str]:
        """Return the names of all whole copies, the oldest first.

        Raises:
            SourceError: the bucket cannot be listed.
        """
        return sorted(name for name, parts in self._listed().items() if MANIFEST in parts)

    def manifest(self, name: str) -> bytes:
        """Return the manifest of a copy.

        Raises:
            SourceError: it cannot be read.
        """
        found = self.objects.read(self._name(name, MANIFEST))
        if found is None:
            raise Malformed(f"copy {name} has no manifest", kind="manifest")
        return found

    def send(self, kept: Folder, name: str, say: Callable[[str], None] = lambda text: None) -> None:
        """Copy a backup, hold every file against what the store has of it, and send the manifest last.

        Raises:
            SourceError: the store refuses or does not answer; what was sent of it is no backup.
            Malformed: what the store has is not what was sent.
        """
        if name in self.ids():
            return
        known = manifest.read(kept.manifest(name), f"backup {name}")
        sent = 0
        for path, file in known.files.items():
            place = self._name(name, path)
            said = self.objects.send(place, kept.folder(name) / path)
            if not self.objects.has(place, file.bytes, said, file.sha256):
                raise Malformed(f"{place}: the store has not what was sent", kind=DAMAGED)
            sent += file.bytes
            say(f"{sent / _MB:.1f} of {known.bytes / _MB:.1f} MB sent")
        place, text = self._name(name, MANIFEST), kept.manifest(name)
        # A request whose answer was lost is sent again, and meets the manifest that it has put there itself.
        if not self.objects.create(place, text) and self.objects.read(place) != text:
            raise Malformed(f"copy {name}: somebody else has sent it meanwhile", kind=DAMAGED)

    def fetch(self, name: str, kept: Folder, say: Callable[[str], None] = lambda text: None) -> None:
        """Bring a copy back to this machine, where it is a backup only once every byte of it is right.

        One that is there and whole is left; one that is damaged is set aside, and stays as evidence.

        Args:
            name: of the copy.
            kept: where it goes.
            say: told how far it is.

        Raises:
            Malformed: it is not what was sent, of kind `copy`; or it has no manifest that can be read.
            NoRoom: the disk has no room for it.
            Refused: a backup is being written there, or nothing can be.
            SourceError: the store cannot be asked.
        """
        text = self.manifest(name)
        known = manifest.read(text, f"copy {name}")
        if known.id != name:
            raise Malformed(f"copy {name} says of itself that it is {known.id}", kind="manifest")
        if _is_there(kept, known, text):
            return
        if wrong := _unlike(known, self._listed().get(name, {})):
            raise Malformed(f"copy {name}: {wrong.text}", kind=DAMAGED)
        room.fits(kept, known.bytes)
        with kept.preparing() as part:
            fetched = 0
            for path, file in known.files.items():
                (part / path).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                if self.objects.receive(self._name(name, path), file.bytes, part / path) != file.sha256:
                    raise Malformed(f"copy {name}: {path} is not the file that was sent", kind=DAMAGED)
                fetched += file.bytes
                say(f"{fetched / _MB:.1f} of {known.bytes / _MB:.1f} MB fetched")
            (part / MANIFEST).write_bytes(text)
            kept.set_aside(name)
            kept.put(part, name)

    def check(self, name: str) -> Wrong | None:
        """Return what is wrong with a copy, or None where the store has every byte of it.

        Raises:
            SourceError: the store cannot be asked.
        """
        known = manifest.read(self.manifest(name), f"copy {name}")
        if wrong := _unlike(known, self._listed()[name]):
            return wrong
        for path, file in known.files.items():
            if not self.objects.has(self._name(name, path), file.bytes, "", file.sha256):
                return Wrong("changed", f"{path} is not the file that was sent: its checksum differs")
        return older(known.client_version, known.holds.server_version)

    def remove(self, name: str) -> None:
        """Remove a copy for good: its manifest first, so that what is left of it is no backup.

        Raises:
            Refused: the store holds on to it.
            SourceError: the store cannot be asked.
        """
        parts = sorted(self._listed()[name], key=lambda path: path != MANIFEST)
        for path in parts:
            if why := self.objects.gone(self._name(name, path)):
                raise Refused(why)

    def clear_away(self) -> list[tuple[str, str, bool, str]]:
        """Remove what was left of copies that broke off, once nobody can still be sending them.

        One that had a manifest once is left: in a bucket with versions it can be brought back.

        Returns:
            id, taken_at, removed, why; one for each.

        Raises:
            SourceError: the bucket cannot be listed.
        """
        found = []
        for name, parts in self._listed().items():
            if MANIFEST in parts or _begun(name) > datetime.now(UTC) - _ABANDONED:
                continue
            why, removed = "a copy that broke off", False
            try:
                if self.objects.versions(self._name(name, MANIFEST)):
                    why = "its manifest was removed: a version of it is still there"
                else:
                    self.remove(name)
                    removed = True
            except (SourceError, Refused) as error:
                why = f"{why}, but {error.message}"
            found.append((name, ids.stamp(_begun(name)), removed, why))
        return found

    def _listed(self) -> dict[str, dict[str, int]]:
        """Return backup -> path -> bytes."""
        found: dict[str, dict[str, int]] = {}
        for name, stored in self.objects.listed(f"{self._folder}/").items():
            backup, _, path = name.removeprefix(f"{self._folder}/").partition("/")
            if ID.fullmatch(backup):
                found.setdefault(backup, {})[path] = stored.size
        return found

    def _name(self, backup: str, path: str) -> str:
        return f"{self._folder}/{backup}/{path}"


def _is_there(kept: Folder, known: Manifest, text: bytes) -> bool:
    """Tell whether a backup is in a folder already, manifest and all."""
    if not kept.path.exists() or known.id not in kept.ids():
        return False
    try:
        return kept.manifest(known.id) == text and damage(kept.folder(known.id), known) is None
    except Malformed:
        return False


def _unlike(known: Manifest, there: Mapping[str, int]) -> Wrong | None:
    """Return what a listing alone shows to be wrong with a copy."""
    for path, file in known.files.items():
        if path not in there:
            return Wrong("missing", f"{path} is gone from the bucket")
        if there[path] != file.bytes:
            kind = "short" if there[path] < file.bytes else "changed"
            return Wrong(kind, f"{path} has {there[path]} of {file.bytes} bytes")
    return None


def of(env: Environment) -> Copies:
    """Return the copies of one environment of a system.

    Raises:
        NotNamed: the system's file names no bucket.
        SecretError: a credential cannot be had.
        SourceError: the packages for S3 are not installed.
    """
    named = env.bucket
    if named is None:
        raise NotNamed(
            f"{env.system.name} names no bucket for its backups in {env.name}: they are on this machine only",
            hint="add `backup_bucket:` to the environment",
        )
    parts = bucket_and_prefix(named.place)
    assert parts, "the file was checked"
    values = {name: secret.reveal() for name, secret in named.secrets.items()}
    access = Access(named.endpoint, named.region, **values)
    return Copies(Objects(*parts, access), f"{env.name}/{env.system.name}")


def _begun(name: str) -> datetime:
    return datetime.strptime(name.partition("-")[0], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
