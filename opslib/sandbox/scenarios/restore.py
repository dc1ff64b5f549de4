"""Ways in which a good backup still cannot be restored."""

from __future__ import annotations

import shutil

from opslib.backup import taking
from opslib.sandbox import nightly
from opslib.sandbox.scenario import Scenario, World
from opslib.sandbox.scenarios.backup_check import put_back, spoil
from opslib.sandbox.sessions import until
from opslib.verdict import Status

_LEFT = "left_from_last_time"
_EXTENSION = "house_rules"
_CONTROL = "comment = 'rules of the house'\ndefault_version = '1.0'\nrelocatable = true\n"
_SCRIPT = "create function house_rule() returns text language sql as 'select ''be kind''::text';\n"


def _fill_the_target(world: World, system: str) -> None:
    """Leave a table in the database that backups may be restored into."""
    nightly.back_up(world.databases, world.web, system)
    with world.databases.admin(system, nightly.target(system)) as admin:
        admin.execute(f"create table {_LEFT} (id bigint)".encode())


def _empty_the_target(world: World, system: str) -> None:
    with world.databases.admin(system, nightly.target(system)) as admin:
        admin.execute(f"drop table if exists {_LEFT}".encode())


def _use_an_extension(world: World, system: str) -> None:
    """Install an extension that only this server has, use it, and take a backup."""
    kept = spoil(world, system)
    place = world.databases.base / system / "share"
    (place / "extension").mkdir(parents=True)
    (place / "extension" / f"{_EXTENSION}.control").write_text(_CONTROL)
    (place / "extension" / f"{_EXTENSION}--1.0.sql").write_text(_SCRIPT)
    with world.databases.admin(system) as admin:
        admin.execute(f"alter system set extension_control_path = '$system:{place}'".encode())
        admin.execute("select pg_reload_conf()")
        known = "select count(*) from pg_available_extensions where name = %s"
        until(lambda: admin.execute(known, (_EXTENSION,)).fetchone() == (1,), f"{_EXTENSION} to be seen")
        admin.execute(f"create extension {_EXTENSION}".encode())
    taking.take(nightly.source(world.databases, system), kept)


def _do_without(world: World, system: str) -> None:
    with world.databases.admin(system) as admin:
        admin.execute(f"drop extension if exists {_EXTENSION}".encode())
        admin.execute("alter system reset extension_control_path")
        admin.execute("select pg_reload_conf()")
    shutil.rmtree(world.databases.base / system / "share", ignore_errors=True)
    put_back(world, system)


SCENARIOS: tuple[Scenario, ...] = (
    Scenario(
        "target-not-empty",
        "the database that a backup should go into holds something already",
        _fill_the_target,
        {"restore": (Status.CRITICAL, "target-not-empty")},
        heal=_empty_the_target,
    ),
    Scenario(
        "restore-missing-extension",
        "the database uses an extension that the server of a drill does not have",
        _use_an_extension,
        {"dr-drill": (Status.UNKNOWN, "restore-missing-extension")},
        heal=_do_without,
    ),
)
