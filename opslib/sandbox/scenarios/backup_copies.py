"""Ways in which the copies of backups in a bucket come to harm."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from opslib.backup.store import MANIFEST
from opslib.sandbox import nightly
from opslib.sandbox.scenario import Act, Scenario, World
from opslib.sandbox.simulators.aws_objects import Kept, sums
from opslib.verdict import Status

_WITH_BUCKET = ("klutr",)
_REFUSES, _STALE = "bucket-refuses", "bucket-copy-stale"
_MISSING, _DAMAGED = "bucket-copy-missing", "bucket-copy-damaged"
_SILENT = timedelta(days=3)


def _with_copies(world: World, system: str) -> Kept:
    nightly.back_up(world.databases, world.web, system)
    kept = nightly.bucket(world.web, system)
    assert kept is not None, f"{system} has no bucket"
    return kept


def _deny(world: World, system: str) -> None:
    """Take from the key that opslib has the rights to the bucket."""
    kept = _with_copies(world, system)
    world.hold(_REFUSES, system).callback(setattr, kept, "denied", False)
    kept.denied = True


def _changing(scenario: str, change: Callable[[Kept], None]) -> Act:
    """Return what changes the objects of a bucket until the scenario is healed."""

    def make(world: World, system: str) -> None:
        kept = _with_copies(world, system)
        world.hold(scenario, system).callback(setattr, kept, "objects", dict(kept.objects))
        change(kept)

    return make


def _stop_sending(kept: Kept) -> None:
    """Let the bucket lack what was sent in the last days."""
    since = f"{datetime.now(UTC) - _SILENT:%Y%m%dT%H%M%SZ}"
    kept.objects = {key: one for key, one in kept.objects.items() if key.split("/")[3] < since}


def _expire(kept: Kept) -> None:
    """Remove everything, as a rule for old objects does that was set to too few days."""
    kept.objects = {}


def _write_over(kept: Kept) -> None:
    """Put other bytes in the place of the largest file of the newest copy, as many as there were."""
    newest = max(key for key in kept.objects if key.endswith(f"/{MANIFEST}")).removesuffix(MANIFEST)
    sizes = {key: len(one.data) for key, one in kept.objects.items() if key.startswith(newest)}
    largest = max(sizes, key=lambda key: sizes[key])
    other = bytes(sizes[largest])
    kept.put(largest, other, sums(other))


SCENARIOS = (
    Scenario(
        _REFUSES,
        "the key with which backups are copied to the bucket has lost its rights",
        _deny,
        dict.fromkeys(("backup", "backup-check"), (Status.CRITICAL, _REFUSES)),
        _WITH_BUCKET,
    ),
    Scenario(
        _STALE,
        "the job that copies backups to the bucket stopped days ago",
        _changing(_STALE, _stop_sending),
        {"backup-check": (Status.CRITICAL, _STALE)},
        _WITH_BUCKET,
    ),
    Scenario(
        _MISSING,
        "a rule of the bucket has removed all copies",
        _changing(_MISSING, _expire),
        {"backup-check": (Status.CRITICAL, _MISSING)},
        _WITH_BUCKET,
    ),
    Scenario(
        _DAMAGED,
        "a file of the newest copy was written over with something else of the same size",
        _changing(_DAMAGED, _write_over),
        {"backup-check": (Status.CRITICAL, _DAMAGED)},
        _WITH_BUCKET,
    ),
)
