"""A disk that is full says nothing of a backup: neither before a drill nor in the midst of one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from opslib import config
from opslib.backup import reading, restoring, room, store, tools
from opslib.backup.tools import Tools
from opslib.checks import drills
from opslib.errors import Unreachable
from opslib.run.backups import prepared
from opslib.run.recovery import Picked, RecoverySource
from opslib.verdict import Status

SYSTEM = "kulti"


_UNBUILT = "cannot restore from compressed archive (this build does not support compression with zstd)"


def full(folder: Path, does: str = "cat /proc/version > /dev/full") -> Tools:
    """Return programs that write to a device which is full, or do something else."""
    for name in tools.NEEDED:
        (folder / name).write_text(f"#!/bin/sh\n{does}\n")
        (folder / name).chmod(0o700)
    return Tools(folder, "test", "18.6", True)


def test_a_drill_for_which_there_is_no_room_is_unknown_and_says_both_figures(sandbox: object) -> None:
    """The database's size stands in the manifest; what is packed may need ten times its size."""
    env = config.load_system(SYSTEM).environment("sandbox")
    backup = restoring.chosen(store.of(prepared(env)))
    assert backup.database_bytes > backup.bytes
    large = replace(backup, database_bytes=10**15)
    drill = RecoverySource(env, "run").drill(Picked(large))
    (found,) = drills.restored(drill, Picked(large))
    assert found.status is Status.UNKNOWN and "1000000300 MB are needed" in found.why, found


def test_what_breaks_for_want_of_room_is_told_from_what_the_backup_is_to_blame_for(tmp_path: Path) -> None:
    """A server on a full disk ends the restore, and may end itself."""
    with pytest.raises(room.NoRoomToTry, match="is full"), room.kept_free(tmp_path):
        tools.run(full(tmp_path), "pg_restore")
    with pytest.raises(Unreachable, match="role"), room.kept_free(tmp_path):
        raise Unreachable("role x does not exist", kind="pg_restore")


@pytest.mark.parametrize(
    "does, kind",
    [
        ("cat /proc/version > /dev/full", tools.FULL),
        (f"echo 'pg_restore: error: {_UNBUILT}' >&2; exit 1", tools.UNABLE),
    ],
)
def test_a_dump_that_could_not_be_read_back_here_is_not_called_damaged(
    sandbox: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, does: str, kind: str
) -> None:
    """The disk was full, or the programs of this machine were built without what it is packed with."""
    kept = store.of(prepared(config.load_system(SYSTEM).environment("sandbox")))
    used = full(tmp_path, does)
    monkeypatch.setattr(tools, "find", lambda major, remote: used)
    with pytest.raises(Unreachable) as refused:
        reading.verify(kept, kept.ids()[-1])
    assert refused.value.kind == kind
