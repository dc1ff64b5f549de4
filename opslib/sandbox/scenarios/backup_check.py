"""Ways in which backups go bad while the job that takes them goes on."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path

from opslib.backup import manifest, taking
from opslib.backup.store import DUMP, Folder
from opslib.sandbox import nightly
from opslib.sandbox.scenario import Scenario, World
from opslib.sandbox.scenarios.point_in_time import forget
from opslib.verdict import Status

_DAYS = 3
_SHORT = "vendor-window-short"


def spoil(world: World, system: str) -> Folder:
    """Put the backups aside, and return copies that can be spoiled."""
    nightly.back_up(world.databases, system)
    kept = nightly.store(world.databases, system)
    aside = _aside(kept)
    if not aside.exists():
        kept.path.rename(aside)
        shutil.copytree(aside, kept.path)
    return kept


def put_back(world: World, system: str) -> None:
    """Have the backups again that were put aside."""
    kept = nightly.store(world.databases, system)
    if _aside(kept).exists():
        shutil.rmtree(kept.path, ignore_errors=True)
        _aside(kept).rename(kept.path)


def _aside(kept: Folder) -> Path:
    return kept.path.with_name(f"{kept.path.name}.aside")


def _largest(kept: Folder) -> Path:
    dump = kept.folder(kept.ids()[-1]) / DUMP
    return max(dump.iterdir(), key=lambda path: path.stat().st_size)


def _stop_the_job(world: World, system: str) -> None:
    """Let the newest backup be some days old."""
    kept = spoil(world, system)
    for name in kept.ids():
        backup = manifest.read(kept.manifest(name), name)
        nightly.age(kept, backup, timedelta(days=_DAYS))


def _truncate(world: World, system: str) -> None:
    """Cut the largest file of the newest backup in half, as a full disk does."""
    path = _largest(spoil(world, system))
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def _flip(world: World, system: str) -> None:
    """Change one byte of the newest backup, as a bad disk does."""
    path = _largest(spoil(world, system))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _lead_astray(world: World, system: str) -> None:
    """Take a backup of the wrong database: in good order, and nearly empty."""
    kept = spoil(world, system)
    taking.take(nightly.source(world.databases, system, "postgres"), kept)


def _critical(cause: str, *procedures: str) -> dict[str, tuple[Status, str]]:
    return dict.fromkeys(procedures, (Status.CRITICAL, cause))


SCENARIOS: tuple[Scenario, ...] = (
    Scenario(
        "backup-stale",
        "the job that takes backups stopped days ago",
        _stop_the_job,
        _critical("backup-stale", "backup-check"),
        heal=put_back,
    ),
    Scenario(
        "backup-truncated",
        "the newest backup is cut off in the middle",
        _truncate,
        _critical("backup-truncated", "backup-check", "restore", "dr-drill"),
        heal=put_back,
    ),
    Scenario(
        "backup-changed",
        "one byte of the newest backup is no longer what was written",
        _flip,
        _critical("backup-changed", "backup-check", "restore", "dr-drill"),
        heal=put_back,
    ),
    Scenario(
        "backup-shrunk",
        "the newest backup was taken of another, nearly empty database",
        _lead_astray,
        _critical("backup-shrunk", "backup-check"),
        heal=put_back,
    ),
    Scenario(
        _SHORT,
        "the vendor keeps its own history of the database for minutes only",
        lambda world, system: forget(world, system, _SHORT),
        _critical(_SHORT, "backup-check"),
    ),
)
