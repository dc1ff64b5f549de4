"""What a manifest says of a database, proven by a restore into a server that was started for it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from opslib import config
from opslib.backup import comparing, manifest, restoring
from opslib.backup.manifest import Table
from opslib.backup.store import Folder
from opslib.checks import drills, restores
from opslib.config import Door, Secret
from opslib.pg import whole
from opslib.run.recovery import Picked, RecoverySource, Seen, _frame
from opslib.verdict import Status
from tests import majors
from tests.restored import NAME, drilled, held, make, server

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
create table checked (id int constraint k check (id > 0) references parted) partition by range (id);
create table checked_1 partition of checked for values from (0) to (10);
create trigger t after insert on checked for each row execute function f();
comment on trigger t on checked_1 is 'x';
comment on constraint k on checked_1 is 'y';
comment on constraint checked_id_fkey on checked_1 is 'z';
comment on constraint part_1_pkey on part_1 is 'z';
comment on index part_1_pkey is 'w';
create table shrunk (id int, secret text);
create role reader;
create role former;
grant select (id, secret) on shrunk to reader;
grant select (secret) on shrunk to former;
alter table shrunk drop column secret;
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
        assert "former" not in made.backup.holds.roles
        was, now = replace(made.backup.holds, written=0), held(door)
        assert not list(filter(comparing.grave, comparing.differences(was, now)))
        newer = drilled(door, tmp_path, major, majors.PACKAGED)
    if major != majors.PACKAGED:
        assert newer.broke is None and [one.part for one in newer.differences] == [comparing.UNSEEN]


@pytest.mark.parametrize("major", majors.folders())
def test_whose_the_schema_public_is_comes_back_whatever_the_first_superuser_is_called(
    major: str, tmp_path: Path
) -> None:
    """A tool that resets makes it anew; before 15 it is the first superuser's, who has many names."""
    with server(major) as door:
        make(door, "create role other superuser login password 'other'")
        make(_as(door, "other", password="other"), "alter role postgres rename to admin")
        admin = _as(door, "admin")
        made = drilled(admin, tmp_path / "first", major)
        assert made.differences == []
        if made.backup.holds.major >= 15:
            make(admin, "drop schema public cascade; create schema public")
            assert drilled(admin, tmp_path / "reset", major).differences == []
            make(admin, "create role postgres; alter schema public owner to postgres")
            assert drilled(admin, tmp_path / "second", major).differences == []


def _as(door: Door, user: str, **words: str) -> Door:
    dsn = psycopg.conninfo.make_conninfo(door.dsn.reveal(), user=user, **words)
    return Door(door.name, Secret.literal("test", dsn), False)


def test_a_deploy_while_rows_are_counted_leaves_no_trace_in_a_manifest(tmp_path: Path) -> None:
    """The dump has what was there when the view began, so what a manifest says of that is asked for first."""
    with server() as door:
        function = "create or replace function f() returns int language sql as 'select {}'"
        make(door, function.format(1))

        def deploy(text: str) -> None:
            if text.startswith("counting"):
                make(door, function.format(2))

        made = drilled(door, tmp_path, say=deploy)
    assert (made.broke, made.differences) == (None, [])


def test_what_was_dropped_since_a_view_began_is_not_written_down_under_a_number() -> None:
    """The server has no name of it any more, and no definition."""
    with server() as door:
        make(door, "create function f() returns int language sql as 'select 1'; create type y as enum ('a');"
                   " create aggregate a(int) (sfunc = int4pl, stype = int); create view v as select 1 as one;"
                   " create table t (id int primary key check (id > 1))")  # fmt: skip
        with whole.frozen(door, NAME) as view:
            make(door, "drop view v; drop table t; drop function f; drop aggregate a(int); drop type y")
            found = manifest.look(view, checksums=False)
    assert set(found.objects) == {"schema public", "rights schema public"} | {
        name for name in found.objects if name.startswith(("comment ", "database "))
    }


@pytest.mark.parametrize("major", majors.folders())
def test_rights_on_the_database_are_named_as_no_dump_has_them(major: str, tmp_path: Path) -> None:
    """After a restore anybody may connect again: a person must know, though no drill could mend it."""
    with server(major, "member") as door:
        make(door, "grant connect on database scratch to member;"
                   " revoke connect, temporary on database scratch from public")  # fmt: skip
        made = drilled(door, tmp_path, major)
        same = comparing.differences(made.backup.holds, held(door))
    lost = ["database rights of member (CONNECT)", "database rights of public (none)"]
    assert (made.broke, same) == (None, [])
    assert [(one.part, one.name) for one in made.differences] == [(comparing.SETTING, name) for name in lost]
    found = drills.restored(made, Picked(made.backup))
    assert {one.status for one in found} == {Status.OK} and ", ".join(lost) in found[0].why
    (_, warned) = restores.equal(_frame(made.differences), "d")
    assert (warned.status, warned.cause) == (Status.WARNING, restores.SETTINGS)


# Each thing that a manifest has: its name there, how it is made, and a change that nobody should overlook.
THINGS = {
    "policy public.guarded.p": (
        "create table guarded (id int); create policy p on guarded to member using (true)",
        "alter policy p on guarded to public",
    ),
    "rights table public.granted": ("create table granted (id int)", "grant all on granted to public"),
    "rights table column public.granted.id": ("", "grant select (id) on granted to member"),
    "rights schema apart": ("create schema apart", "grant create on schema apart to member"),
    "rights table public.owned": ("create table owned ()", "alter table owned owner to member"),
    "rights function public.called(integer)": (
        "create function called(int) returns int language sql return $1",
        "revoke execute on function called from public",
    ),
    "function public.body(integer)": (
        "create function body(int) returns int language sql security definer return $1",
        "create or replace function body(int) returns int language sql return $1",
    ),
    "function public.path()": (
        "create function path() returns int language sql set search_path = '' as 'select 1'",
        "alter function path() reset search_path",
    ),
    "function public.total(integer)": (
        "create aggregate total(int) (sfunc = int4pl, stype = int)",
        "create or replace aggregate total(int) (sfunc = int4pl, stype = int, initcond = '9')",
    ),
    "trigger public.fired.t": (
        "create table fired (id int);"
        " create function fires() returns trigger language plpgsql as 'begin return new; end';"
        " create trigger t before insert on fired for each row execute function fires('Bearer secret')",
        "drop trigger t on fired; create trigger t after delete on fired execute function fires()",
    ),
    "table public.columns": (
        "create table columns (id int default 7, t text collate \"C\" not null,"
        " n int generated always as identity, d int generated always as (id * 2) stored)"
        " with (fillfactor = 70)",
        "alter table columns alter id drop default",
    ),
    "table public.identified": (
        "create table identified (id int primary key)",
        "alter table identified replica identity full",
    ),
    "index public.identified_pkey": ("", "alter table identified cluster on identified_pkey"),
    "view public.seen": (
        "create view seen with (security_barrier = true) as select * from columns",
        "alter view seen reset (security_barrier)",
    ),
    "filled public.kept": (
        "create materialized view kept as select 1 as one",
        "refresh materialized view kept with no data",
    ),
    "rule public.columns.r": (
        "create rule r as on delete to columns do instead nothing", "drop rule r on columns"
    ),
    "sequence public.counts": (
        "create sequence counts increment 5", "alter sequence counts increment 1 maxvalue 9"
    ),
    "type public.mood": ("create type mood as enum ('a')", "alter type mood add value 'b'"),
    "domain public.small": (
        "create domain small as int check (value < 9)", "alter domain small set default 3"
    ),
    "composite type public.pair": (
        "create type pair as (a int, b text)", "alter type pair alter attribute b type varchar"
    ),
    "range type public.spans": ("create type spans as range (subtype = float8)", "drop type spans"),
    "statistics public.told": (
        "create statistics told on id, t from columns", "drop statistics told"
    ),
    "publication told": (
        "create publication told for table columns", "alter publication told add table owned"
    ),
    "foreign table public.far": (
        "create foreign data wrapper w; create server s foreign data wrapper w;"
        " create foreign table far (id int) server s",
        "alter foreign table far options (a 'b')",
    ),
    "foreign server s": ("", "alter server s options (host 'x')"),
    "user mapping member at s": (
        "create user mapping for member server s", "drop user mapping for member server s"
    ),
    "large objects all": (
        "select lo_create(5); grant select on large object 5 to member",
        "grant update on large object 5 to member",
    ),
    "trigger state public.part_1.t": (
        "create table part (id int) partition by range (id);"
        " create table part_1 partition of part for values from (0) to (9);"
        " create table part_2 partition of part for values from (9) to (20);"
        " create trigger t after insert on part for each row execute function fires();"
        " alter table part_2 disable trigger t",
        "alter table part_1 disable trigger t",
    ),
    "comment table public.owned": ("comment on table owned is 'a'", "comment on table owned is 'b'"),
    "default rights postgres apart r": (
        "alter default privileges in schema apart grant select on tables to member",
        "alter default privileges in schema apart grant all on tables to member",
    ),
    "event trigger e": (
        "create function f() returns event_trigger language plpgsql as 'begin end';"
        " create event trigger e on ddl_command_end execute function f()",
        "alter event trigger e disable",
    ),
    "other cast (pg_catalog.text AS integer)": (
        "create cast (text as int) with inout", "drop cast (text as int)"
    ),
}  # fmt: skip
BESIDE = """create extension hstore; alter database scratch set "app.jwt" = 'secret';
create table foreigner (id int references identified); grant usage on schema public to member;
create view filtered as select id, count(*) from columns group by id;
alter table columns alter t set storage external"""


@pytest.mark.parametrize("major", majors.folders())
def test_a_change_of_whatever_a_manifest_has_is_found_and_a_restore_changes_nothing(
    major: str, tmp_path: Path
) -> None:
    """A policy, a right, the body of a function: equal is said only where each of them is as it was."""
    with server(major, "member") as door:
        make(door, ";".join([*(made for made, _ in THINGS.values() if made), BESIDE]))
        made = drilled(door, tmp_path, major)
        assert made.broke is None
        assert [(one.part, one.name) for one in made.differences] == [(comparing.SETTING, "app.jwt")]
        was = held(door)
        assert "secret" not in made.backup.text()
        for _, change in THINGS.values():
            make(door, change)
        make(door, "drop extension hstore; create extension hstore schema apart")
        found = {one.name for one in comparing.differences(was, held(door))}
    assert {*THINGS, "hstore"} - found == set()


def test_a_column_that_is_called_as_the_row_hides_no_other_column() -> None:
    """The checksum is over whole rows, whatever people call their columns."""
    with server() as door:
        make(door, "create table t (opslib_row text, a int); insert into t values ('x', 1)")
        was = held(door)
        make(door, "update t set a = 2")
        assert [one.name for one in comparing.differences(was, held(door))] == ["public.t"]


LATIN = {
    "encoding": "LATIN1", "provider": "c", "collation": "C", "ctype": "C", "locale": "", "rules": ""
}  # fmt: skip
BUILTIN = {**LATIN, "encoding": "UTF8", "provider": "b", "locale": "C.UTF-8"}
COMPUTED = """create table people (
    name text, slug text check (slug = lower(name)), folded text generated always as (lower(name)) stored);
insert into people values (U&'\\00C4rger', lower(U&'\\00C4rger'))"""


@pytest.mark.parametrize(
    "major, locale",
    [*((major, LATIN) for major in majors.folders()), (majors.PACKAGED, BUILTIN)],
)
def test_a_drill_writes_and_sorts_text_as_the_database_did(
    major: str, locale: dict[str, str], tmp_path: Path
) -> None:
    """By another locale a check fails and a stored column differs, and the backup would be blamed."""
    with server(major, locale=locale) as door:
        make(door, COMPUTED)
        made = drilled(door, tmp_path, major)
        was = made.backup.holds
        assert (was.locale, made.broke, made.differences) == (locale, None, [])
        with server(major) as other:
            place = restoring.examine(other, made.backup)
            found = restores.target(Seen(place), Picked(made.backup))
            now = replace(held(other), tables={**was.tables, "public.people": Table(1, "other bytes")})
    assert [(one.status, one.cause) for one in found[1:]] == [(Status.WARNING, restores.LOCALE)]
    judged = restores.equal(_frame(comparing.differences(replace(was, objects=now.objects), now)), "d")
    expected = Status.UNKNOWN if locale is LATIN else Status.CRITICAL
    assert judged[0].status is expected


def test_where_the_machine_lacks_the_locale_nobody_knows_whether_the_backup_is_good(tmp_path: Path) -> None:
    """It says so, and what to install; the backup is not blamed."""
    with server() as door:
        make(door, COMPUTED)
        backup = drilled(door, tmp_path).backup
        far = {**backup.holds.locale, "collation": "xx_XX.utf8"}
        elsewhere = replace(backup, holds=replace(backup.holds, locale=far))
        place = restoring.examine(door, elsewhere)
    env = config.load_system("kulti").environment("production")
    recovery = RecoverySource(replace(env, backups=tmp_path), "run")
    recovery._store = Folder(tmp_path / "sandbox", "kulti")
    (found,) = drills.restored(recovery.drill(Picked(elsewhere)), Picked(elsewhere))
    assert found.status is Status.UNKNOWN and "xx_XX" in found.why
    assert place.other_locale == "collation C and not xx_XX.utf8"
    assert restoring._other_locale({"collation": "en_US.UTF-8"}, {"collation": "en_US.utf8"}) == ""
