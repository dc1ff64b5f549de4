"""What is tried on a copy stays there: no file reaches another server, a program, or a superuser's rights."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from opslib.acts import Statement
from opslib.config import Secret
from opslib.config.environment import Door
from opslib.sandbox import trial
from opslib.sandbox.databases import Databases
from tests.test_rehearsal import PLACE, SYSTEM

OWNER = "app_your_app"
DENIED = "of the rights of roles only those to tables are copied"


class Source:
    """A server with everything on it that leads away from it.

    Args:
        databases: the server.
        place: a folder that every account may write to.
    """

    def __init__(self, databases: Databases, place: Path) -> None:
        self.databases, self.place = databases, place
        self.door = Door("backup", Secret.literal("x", databases.dsn(SYSTEM, "admin")), False)
        app = conninfo_to_dict(databases.dsn(SYSTEM, "app"))
        self.address = f"host '{app['host']}', port '{app['port']}', dbname '{SYSTEM}'"
        self.password = f"user '{OWNER}', password '{app['password']}'"
        self.dsn = psycopg.conninfo.make_conninfo(databases.dsn(SYSTEM, "app")).replace("'", "''")

    def run(self, text: str) -> list[tuple[object, ...]]:
        """Run statements as the administrator, and return what the last one gives."""
        with self.databases.admin(SYSTEM) as admin:
            cursor = admin.execute(text.encode())
            return cursor.fetchall() if cursor.description else []

    def tried(self, *texts: str, role: str = OWNER) -> tuple[trial.Tried, ...]:
        """Try files."""
        acts = [Statement("", {"version": "1"}, text, f"{n}.sql", role) for n, text in enumerate(texts)]
        found = trial.trial(self.door, acts, PLACE)
        assert found.lacking == ""
        return found.files

    @property
    def traces(self) -> list[object]:
        """What stands in the real table, and the files that programs have made."""
        return [*self.run("select t from audit"), *self.place.iterdir()]


@pytest.fixture(scope="module")
def source() -> Iterator[Source]:
    """One server for all of them: nothing of it may change."""
    with (
        tempfile.TemporaryDirectory(prefix="t", dir="/tmp") as place,
        closing(Databases([SYSTEM], scale=0.02)) as databases,
    ):
        Path(place).chmod(0o777)
        made = Source(databases, Path(place))
        made.run(f"""create extension postgres_fdw; create extension dblink;
            create table audit (t text); alter table audit owner to {OWNER};
            create server loop foreign data wrapper postgres_fdw options ({made.address});
            alter server loop owner to {OWNER};
            create user mapping for {OWNER} server loop options ({made.password});
            create foreign table far (t text) server loop options (table_name 'audit');
            alter foreign table far owner to {OWNER}""")
        yield made


def test_a_foreign_table_that_leads_home_takes_no_row(source: Source) -> None:
    """Nor when the file brings the password along; and that it failed is no fault of the file."""
    mapping = f"drop user mapping if exists for {OWNER} server loop; create user mapping for {OWNER}"
    found = [
        source.tried(text)[0]
        for text in (
            "insert into far values ('rehearsal')",
            f"{mapping} server loop options ({source.password}); insert into far values ('rehearsal')",
            f"alter server loop options (set port '1', add {source.address.split(',')[0]})",
        )
    ]
    assert source.traces == []
    assert [one.doubt for one in found] == [
        "other servers are out of reach of the copy", "other servers are out of reach of the copy",
        "the addresses of other servers are not copied",
    ]  # fmt: skip


def test_of_other_servers_the_copy_knows_no_address_and_no_password(source: Source) -> None:
    """Yet the foreign tables are there, and can be changed."""
    text = """alter foreign table far add column more int; create view farther as select t from far;
        do $$ begin assert not exists (select from pg_user_mappings), 'a password';
        assert not exists (select from pg_foreign_server where srvoptions is not null), 'an address';
        end $$"""
    assert [one.error for one in source.tried(text)] == [""]


def test_a_function_that_reaches_a_server_by_itself_does_not(source: Source) -> None:
    """With the whole address in the file."""
    (one,) = source.tried(f"select dblink_exec('{source.dsn}', 'insert into audit values (1)')")
    assert source.traces == [] and one.doubt == "other servers are out of reach of the copy"


@pytest.mark.parametrize("role", [OWNER, "postgres"])
@pytest.mark.parametrize("before", ["", "reset role;", "reset session authorization;", "set role postgres;"])
def test_no_file_runs_a_program(source: Source, before: str, role: str) -> None:
    """As whomever: even the role that is a superuser where the tables are is none on the copy."""
    (one,) = source.tried(f"{before} copy (select 1) to program 'touch {source.place}/here'", role=role)
    assert source.traces == [] and one.doubt == DENIED


def test_no_file_comes_to_more_rights_than_its_role_has(source: Source) -> None:
    """The superuser has a name that nobody knows, and lends its rights to nothing."""
    for text in (
        "create role mine superuser", "grant pg_execute_server_program to current_user",
        "set session authorization postgres", "select pg_read_file('/etc/hostname')",
    ):  # fmt: skip
        (one,) = source.tried(text, role="postgres")
        assert one.doubt, text
    ordinary = """do $$ begin assert (select array_agg(rolname ~ '^opslib_[0-9a-f]{16}$') from pg_roles
        where rolsuper) = '{true}', 'who is it?'; end $$"""
    assert [one.error for one in source.tried(ordinary)] == [""]


def test_a_file_of_a_superuser_may_change_what_belongs_to_others(source: Source) -> None:
    """As it may where the tables are."""
    (one,) = source.tried("alter table audit add column a int; create table public.new ()", role="postgres")
    assert one.error == ""


def test_what_an_administrator_had_opened_is_shut_on_the_copy(source: Source) -> None:
    """Functions with a superuser's rights, of the server's files, and in languages that may do anything."""
    made = f"""
        create function as_root() returns void language plpgsql security definer as
          $$ begin copy (select 1) to program 'touch {source.place}/root'; end $$;
        grant execute on function lo_export(oid, text) to {OWNER};
        create function handler() returns language_handler language c
          as '$libdir/plpgsql', 'plpgsql_call_handler';
        create language anything handler handler;
        create function anyway() returns int language anything as 'begin return 1; end'"""
    source.run(made)
    try:
        files = (
            "select as_root()", f"select lo_export(lo_from_bytea(0, 'x'), '{source.place}/large')",
            "select anyway()",
        )  # fmt: skip
        found = [source.tried(text)[0] for text in files]
    finally:
        source.run(f"""drop function as_root(), anyway(); drop language anything; drop function handler();
            revoke execute on function lo_export(oid, text) from {OWNER}""")
    assert source.traces == [] and all(one.error and one.doubt for one in found), found


def test_what_the_database_runs_by_itself_runs_without_a_superusers_rights(source: Source) -> None:
    """A trigger of the ledger as its rows are copied; an event trigger as a file makes a table."""
    program = f"copy (select 1) to program 'touch {source.place}/trigger'"
    source.run(f"""create schema spy authorization {OWNER};
        create function spy.noted() returns trigger language plpgsql as
          $$ begin begin {program}; exception when others then null; end; return new; end $$;
        create trigger noted before insert on supabase_migrations.schema_migrations
          for each row execute function spy.noted();
        create function spy.made() returns event_trigger language plpgsql as
          $$ begin create table if not exists public.made_by_it (); {program}; end $$;
        create event trigger spying on ddl_command_end when tag in ('ALTER TABLE')
          execute function spy.made()""")
    try:
        (one,) = source.tried("create table public.mine (); alter table public.mine add a int")
    finally:
        source.run("""drop event trigger spying; drop schema spy cascade;
            drop trigger if exists noted on supabase_migrations.schema_migrations""")
    assert source.traces == [] and one.doubt == DENIED
