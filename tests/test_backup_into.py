"""Where a backup goes to, and when it is from: what a server or a clock says must not mislead anybody."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import psycopg

from opslib import config, ids
from opslib.backup import restoring, store
from opslib.checks import restores
from opslib.config import Limit
from opslib.run.backups import prepared
from opslib.run.recovery import Picked
from opslib.sandbox.scratch import scratch
from opslib.verdict import Status

SYSTEM = "kulti"


def test_a_target_whose_sessions_begin_read_only_is_restored_into_all_the_same(sandbox: object) -> None:
    """Who made it so has meant the app, and has named it as a target."""
    kept = store.of(prepared(config.load_system(SYSTEM).environment("sandbox")))
    backup = restoring.chosen(kept)
    with scratch(backup.holds.major, backup.holds.roles) as door:
        with psycopg.connect(door.dsn.reveal(), autocommit=True) as admin:
            admin.execute("alter database scratch set default_transaction_read_only = on")
        assert restoring.reason(restoring.examine(door, backup), backup) == ""
        restoring.restore(kept, backup, door)
        with psycopg.connect(door.dsn.reveal()) as admin:
            found = admin.execute("select count(*) from pg_tables where schemaname = 'public'").fetchone()
    assert found and found[0] > 3


def test_a_backup_from_the_future_promises_nothing(sandbox: object) -> None:
    """A clock is wrong, so nobody knows how much would be lost; a few minutes are two machines' clocks."""
    kept = store.of(prepared(config.load_system(SYSTEM).environment("sandbox")))
    backup, limit = restoring.chosen(kept), Limit(warning=60, critical=240, unit="min")

    def found(ahead: timedelta) -> Status:
        moment = ids.stamp(ids.now() + ahead)
        picked = Picked(replace(backup, holds=replace(backup.holds, taken_at=moment)))
        return restores.work_lost(picked, limit).status

    assert found(timedelta(days=30)) is Status.UNKNOWN
    assert found(timedelta(minutes=5)) is Status.OK
