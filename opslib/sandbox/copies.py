"""The copies of a rehearsed system's buckets: a folder each, as a job of last night has left them."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from opslib.sandbox.simulators.supabase import SupabaseApi
    from opslib.sandbox.simulators.supabase_storage import File, Storage
    from opslib.sandbox.web import Web

_NIGHT = timedelta(hours=6)  # what was written since the job ran is not in the copy yet


def place(base: Path) -> Path:
    """Return where the copies of all systems are."""
    return base / "copies"


def storage(web: Web, system: str) -> Storage:
    """Return the Storage of a system's project."""
    return cast("SupabaseApi", web.simulator("supabase")).storage(system)


def make(base: Path, web: Web) -> None:
    """Copy every bucket of every system."""
    if "supabase" not in web.vendors:
        return
    until = datetime.now(UTC) - _NIGHT
    for system in cast("SupabaseApi", web.simulator("supabase")).systems:
        for name, kept in storage(web, system).buckets.items():
            for key, file in kept.files.items():
                if file.modified < until:
                    write(place(base) / system / name / key, file)


def write(path: Path, file: File) -> None:
    """Write the copy of one file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(file.data)
    os.utime(path, times=(file.modified.timestamp(),) * 2)
