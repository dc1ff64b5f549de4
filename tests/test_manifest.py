"""What a manifest says of a database, proven by a restore into a server that was started for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from opslib.backup import comparing, drilling, manifest, taking, tools
from opslib.backup.drilling import Drill
from opslib.backup.manifest import Holds
from opslib.backup.store import Folder
from opslib.config import Door
from opslib.pg import whole
from opslib.sandbox.scratch import scratch
from tests import majors

NAME = "opslib/test"


@contextmanager
def server(major: str = majors.PACKAGED, *roles: str) -> Iterator[Door]:
    """Yield the door to an empty database of a server of one of the versions at hand."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPSLIB_PG_BIN", majors.folders()[major])
        with scratch(0, roles) as door:
            yield door


def make(door: Door, statements: str) -> None:
    """Run statements in a database."""
    with psycopg.connect(door.dsn.reveal(), autocommit=True) as session:
        session.execute(statements.encode())


def held(door: Door) -> Holds:
    """Return what a database holds."""
    with whole.frozen(door, NAME) as view:
        return manifest.look(view)


def drilled(door: Door, folder: Path, major: str = majors.PACKAGED, to: str = "") -> Drill:
    """Take a backup, and restore it into a server that has the roles that the manifest names."""
    kept = Folder(folder / "sandbox", "kulti")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPSLIB_PG_CLIENT_BIN", majors.folders()[major])
        patch.setattr(tools, "_PACKED", ())  # gzip, which programs of all versions can read
        backup = taking.take(taking.Source("kulti", "sandbox", door, NAME), kept)
        return drilling.drill(kept, backup, lambda: server(to or major, *backup.holds.roles))


GRANTED = {
    "a_column": "grant select (id) on t to {}",
    "the_servers_own": "grant execute on function pg_catalog.pg_ls_logdir() to {}",
    "a_type": "create type y as (a int); alter type y owner to {}",
    "a_domain": "create domain d as int; grant usage on domain d to {}",
    "a_mapping": "create foreign data wrapper w; create server s foreign data wrapper w;"
    " create user mapping for {} server s",
    "a_large_object": "select lo_create(4711); grant select on large object 4711 to {}",
    "a_policy": "create policy p on t to {}",
    "a_schema": "create schema apart authorization {}",
}


@pytest.mark.parametrize("major", majors.folders())
def test_each_role_that_a_restore_needs_is_named_and_no_other(major: str, tmp_path: Path) -> None:
    """A target that lacks one is found before the restore; one that is named in vain would be refused."""
    with server(major, *GRANTED, "needless") as door:
        make(door, "create table t (id int)")
        for role, statements in GRANTED.items():
            make(door, statements.format(role))
        make(door, "grant create, temporary on database scratch to needless")
        with psycopg.connect(door.dsn.reveal(), autocommit=True) as session:
            session.execute(b"set role needless; create temporary table t (); create extension hstore")
            assert set(held(door).roles) == {*GRANTED, "postgres"}
        assert drilled(door, tmp_path, major).broke is None


# What a restore makes anew in another order, under another number, or not at all.
REORDERED = """
create table parted (id int primary key, at date) partition by range (id);
create table part_1 partition of parted for values from (0) to (10);
create table refers (id int references parted);
create table part_2 partition of parted for values from (10) to (20);
create function f() returns trigger language plpgsql as 'begin return new; end';
create trigger t after insert on parted for each row execute function f();
insert into parted values (1), (11);
create table parent (b int);
create table child (c int) inherits (parent);
alter table parent add column a int;
insert into child values (1, 2, 3);
create table doubled (id int);
insert into doubled values (1), (1);
create schema apart;
create extension hstore schema apart;
create sequence apart.counted;
alter extension hstore add sequence apart.counted;
select nextval('apart.counted');
"""


@pytest.mark.parametrize("major", majors.folders())
def test_what_a_restore_writes_down_in_another_way_is_no_difference(major: str, tmp_path: Path) -> None:
    """Each of them was once called another database; onto a newer server as well as onto its own."""
    with server(major) as door:
        make(door, REORDERED)
        with pytest.raises(psycopg.errors.UniqueViolation):
            make(door, "create unique index concurrently invalid on doubled (id)")
        made = drilled(door, tmp_path, major)
        assert (made.broke, made.differences) == (None, [])
        was, now = replace(made.backup.holds, written=0), held(door)
        assert not list(filter(comparing.grave, comparing.differences(was, now)))
        newer = drilled(door, tmp_path, major, majors.PACKAGED)
    if major != majors.PACKAGED:
        assert newer.broke is None and [one.part for one in newer.differences] == [comparing.UNSEEN]
