"""Ways in which files, or the copies of them, come to harm."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from opslib.sandbox import copies
from opslib.sandbox.scenario import Scenario, World
from opslib.sandbox.simulators.supabase_storage import File, Kept
from opslib.verdict import Status

_PROCEDURE = "file-storage"
# There files are only ever added; users of klutr change and remove theirs.
_KEEPS_ALL = ("voiceaitraining",)
_BOTH = ("klutr", "voiceaitraining")
_MISSING, _CHANGED, _STALE = "object-missing", "object-changed", "copy-stale"
_PUBLIC, _FORBIDDEN = "bucket-public", "storage-forbidden"
_OLD, _EXPORTS, _MONTHS_AGO = "exports-old", "exports", (100, 130, 200)
_LOST = 5  # of the copies, the newest: the job has not run for days


def bucket(world: World, system: str) -> tuple[str, Kept]:
    """Return the bucket of a system, and its name in the system's file."""
    name = next(iter(world.web.app(system).system.files))
    return name, next(iter(copies.storage(world.web, system).buckets.values()))


def folder(world: World, system: str) -> Path:
    """Return where the copy of a system's bucket is."""
    return copies.place(world.databases.base) / system / bucket(world, system)[0]


def _oldest(kept: Kept) -> tuple[str, File]:
    return min(kept.files.items(), key=lambda one: one[1].modified)


def _lose_one(world: World, system: str) -> None:
    """Remove a file that is in the copy."""
    kept = bucket(world, system)[1]
    key, file = _oldest(kept)
    world.hold(_MISSING, system).callback(kept.files.__setitem__, key, file)
    del kept.files[key]


def _spoil_one(world: World, system: str) -> None:
    """Put other bytes in the place of a file, as many as there were."""
    kept = bucket(world, system)[1]
    key, file = _oldest(kept)
    world.hold(_CHANGED, system).callback(kept.files.__setitem__, key, file)
    kept.files[key] = File(bytes(len(file.data)), file.type, file.modified)


def _stop_copying(world: World, system: str) -> None:
    """Take the newest files out of the copy."""
    kept = bucket(world, system)[1]
    newest = sorted(kept.files, key=lambda key: kept.files[key].modified)[-_LOST:]
    for path in [folder(world, system) / key for key in newest]:
        if path.exists():
            file = File(
                path.read_bytes(), "", kept.files[path.relative_to(folder(world, system)).as_posix()].modified
            )
            world.hold(_STALE, system).callback(copies.write, path, file)
            path.unlink()


def _open_to_all(world: World, system: str) -> None:
    kept = bucket(world, system)[1]
    world.hold(_PUBLIC, system).callback(setattr, kept, "public", kept.public)
    kept.public = True


def _revoke(world: World, system: str) -> None:
    storage = copies.storage(world.web, system)
    world.hold(_FORBIDDEN, system).callback(setattr, storage, "revoked", False)
    storage.revoked = True


def _leave_old_exports(world: World, system: str) -> None:
    """Have exports of months ago in the bucket, and in the copy as well."""
    kept, stack = copies.storage(world.web, system).buckets[_EXPORTS], world.hold(_OLD, system)
    stack.callback(setattr, kept, "files", dict(kept.files))
    for days in _MONTHS_AGO:
        key, content = f"org-1/report-{days}.csv", f"day,calls\n{days},{days * 7}\n".encode()
        kept.files[key] = File(content, "text/csv", datetime.now(UTC) - timedelta(days=days))
        path = copies.place(world.databases.base) / system / _EXPORTS / key
        copies.write(path, kept.files[key])
        stack.callback(path.unlink, missing_ok=True)


SCENARIOS = (
    Scenario(
        _MISSING,
        "a file is gone from the bucket; the copy still has it",
        _lose_one,
        {_PROCEDURE: (Status.CRITICAL, _MISSING)},
        _KEEPS_ALL,
    ),
    Scenario(
        _CHANGED,
        "a file was written over with something else of the same size",
        _spoil_one,
        {_PROCEDURE: (Status.CRITICAL, _CHANGED)},
        _KEEPS_ALL,
    ),
    Scenario(
        _STALE,
        "the job that copies the files has not run for days",
        _stop_copying,
        {_PROCEDURE: (Status.CRITICAL, _STALE)},
        _BOTH,
    ),
    Scenario(
        _PUBLIC,
        "a bucket that holds private files was opened to everybody",
        _open_to_all,
        {_PROCEDURE: (Status.CRITICAL, _PUBLIC)},
        _BOTH,
    ),
    Scenario(
        _FORBIDDEN,
        "the key with which opslib looks at the files was revoked",
        _revoke,
        {_PROCEDURE: (Status.UNKNOWN, _FORBIDDEN)},
        _BOTH,
    ),
    Scenario(
        _OLD,
        "exports of months ago were never archived",
        _leave_old_exports,
        {_PROCEDURE: (Status.WARNING, _OLD)},
        _KEEPS_ALL,
    ),
)
