"""Ways in which backups go bad while the job that takes them goes on."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from opslib.backup import manifest, reading, taking
from opslib.backup.store import DUMP, MANIFEST, Folder
from opslib.sandbox import nightly
from opslib.sandbox.scenario import Scenario, World
from opslib.sandbox.scenarios.point_in_time import forget, supabase
from opslib.verdict import Status

_DAYS = 3
_SHORT, _VENDOR_STALE, _VENDOR_OFF = "vendor-window-short", "vendor-backup-stale", "vendor-backups-off"
# Neon makes no backups of its own: its history is all there is, and `vendor-window-short` cuts that.
_AT_SUPABASE = ("kulti", "voiceaitraining", "your-app", "your-backend")


def spoil(world: World, system: str) -> Folder:
    """Put the backups aside, and return copies that can be spoiled."""
    nightly.back_up(world.databases, world.web, system)
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


def _dump_with_an_older_client(world: World, system: str) -> None:
    """Let the newest backup be as a pg_dump of the major version before would have written it.

    Its header says so, and the manifest is in keeping with it. PostgreSQL's own pg_dump stops at a server
    that is newer than itself; one that was built to go on does not.
    """
    kept = spoil(world, system)
    known = nightly.newest(kept)
    version = f"{known.holds.major - 1}{known.client_version.removeprefix(str(known.holds.major))}"
    table = kept.folder(known.id) / DUMP / "toc.dat"
    # The server's version stands first, then that of pg_dump, which keeps its length.
    before, server, after = table.read_bytes().partition(known.holds.server_version.encode())
    table.write_bytes(before + server + after.replace(known.client_version.encode(), version.encode(), 1))
    made = replace(known, client_version=version, files=reading.files(kept.folder(known.id)))
    (kept.folder(known.id) / MANIFEST).write_text(made.text(), encoding="utf-8")


def _edit_the_manifest(world: World, system: str) -> None:
    """Have somebody put another version of pg_dump into the newest manifest by hand."""
    kept = spoil(world, system)
    path = kept.folder(kept.ids()[-1]) / MANIFEST
    document = json.loads(path.read_text(encoding="utf-8"))
    document["client_version"] = "99.0"
    path.write_text(json.dumps(document), encoding="utf-8")


def _mix_up(world: World, system: str) -> None:
    """Let the newest of these backups be of production, as after a job that was given the wrong folder."""
    kept = spoil(world, system)
    other = replace(nightly.newest(kept), environment="production")
    (kept.folder(other.id) / MANIFEST).write_text(other.text(), encoding="utf-8")


def _lead_astray(world: World, system: str) -> None:
    """Take a backup of the wrong database: in good order, and nearly empty."""
    kept = spoil(world, system)
    taking.take(nightly.source(world.databases, system, "postgres"), kept)


def _stop_the_log(world: World, system: str) -> None:
    """Let nothing of the log have reached the vendor's archive for days."""
    project = supabase(world, system)
    world.hold(_VENDOR_STALE, system).callback(setattr, project, "lag", project.lag)
    project.lag = timedelta(days=_DAYS)


def _leave_the_plan(world: World, system: str) -> None:
    """Have a plan without point-in-time recovery and without daily backups."""
    project, stack = supabase(world, system), world.hold(_VENDOR_OFF, system)
    stack.callback(setattr, project, "point_in_time", project.point_in_time)
    stack.callback(setattr, project, "nights", project.nights)
    project.point_in_time, project.nights = False, 0


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
        "backup-older-client",
        "the newest backup was made by a pg_dump that is older than the server",
        _dump_with_an_older_client,
        _critical("backup-older-client", "backup-check", "restore", "dr-drill"),
        heal=put_back,
    ),
    Scenario(
        "backup-manifest-changed",
        "somebody edited what the newest backup says of itself",
        _edit_the_manifest,
        _critical("backup-manifest-changed", "backup-check", "restore", "dr-drill"),
        heal=put_back,
    ),
    Scenario(
        "backup-foreign",
        "the newest backup here is of another environment",
        _mix_up,
        _critical("backup-foreign", "backup-check"),
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
    Scenario(
        _VENDOR_STALE,
        "the vendor's archive has got nothing of the database's log for days",
        _stop_the_log,
        _critical(_VENDOR_STALE, "backup-check"),
        _AT_SUPABASE,
    ),
    Scenario(
        _VENDOR_OFF,
        "the project is on a plan on which the vendor backs nothing up",
        _leave_the_plan,
        _critical(_VENDOR_OFF, "backup-check"),
        _AT_SUPABASE,
    ),
)
